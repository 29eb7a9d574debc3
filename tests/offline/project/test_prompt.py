"""prompt.md says what is wanted; what says how it is made is named, left out, and sent to where it belongs."""

from pathlib import Path

import pytest

from vjengine.errors import ConfigError
from vjengine.offline.project.prompt import Prompt, read_prompt

BACKENDS = ("builtin", "diffusers", "comfyui")


def read(tmp_path: Path, text: str) -> Prompt:
    path = tmp_path / "prompt.md"
    path.write_text(text, encoding="utf-8")
    return read_prompt(path, BACKENDS)


def test_sections_become_words(tmp_path: Path) -> None:
    prompt = read(
        tmp_path,
        "---\ntitle: Ink: a sea\nmode: image\nbackend: comfyui\n---\n<!-- a\nhint -->\n# Prompt\nink in\nwater.\n"
        "## Negative ##\npeople\n# Style\nfilm grain\n# Motion\nslow\n",
    )
    assert (prompt.title, prompt.mode, prompt.backend) == ("Ink: a sea", "image", "comfyui")
    assert prompt.words == "ink in water, film grain, slow"
    assert prompt.negative == "people"
    assert prompt.misplaced == ()


def test_keys_above_the_first_heading_do_too(tmp_path: Path) -> None:
    assert read(tmp_path, "title: Ink\nmode: text\n\n# Prompt\nink").title == "Ink"


def test_mechanics_are_named_and_left_out(tmp_path: Path) -> None:
    prompt = read(
        tmp_path,
        "fps: 12\nbackend: comfyui\n# Prompt\nink --seed 5 in water --ar 16:9\nsteps = 30\n"
        "Noise: a soft hiss of rain\n- size: 640x360\n",
    )
    said = [(stray.line, stray.key, stray.value, stray.home) for stray in prompt.misplaced]
    assert said == [
        (1, "fps", "12", "film: fps"),
        (4, "--seed", "5", "film: seed"),
        (5, "steps", "30", "comfyui: values: steps"),
        (7, "size", "640x360", "film: size"),
    ]
    assert prompt.words == "ink in water --ar 16:9 Noise: a soft hiss of rain"
    assert str(prompt.misplaced[0]).startswith("prompt.md:1: fps = 12 says how, not what")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mood: dark\n# Prompt\nink", r"prompt\.md:1: mood"),
        ("# Promt\nink", r"did you mean 'prompt'"),
        ("mode: sound\n", "one of text, image, video"),
        ("backend: comfy\n", "did you mean 'comfyui'"),
        ("# Prompt\n" + "ink " * 2000, "at most 4000 characters"),
        ("lost words\n# Prompt\nink", "or a heading"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read(tmp_path, text)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "prompt.md"
    path.write_bytes(b"# Prompt\n\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_prompt(path, BACKENDS)
    with pytest.raises(ConfigError, match="readable file"):
        read_prompt(tmp_path / "none.md", BACKENDS)
