"""From the command line's words to the generator's orders."""

import argparse

import pytest

from vjengine.cli.arguments import add_picture_arguments, picture_options
from vjengine.core.clock import FrameTime
from vjengine.core.reducer import control_step, generator_params, initial_state
from vjengine.core.signals import NO_AUDIO
from vjengine.engine.options import PictureOptions
from vjengine.engine.setup import generator_spec, load_show, opening
from vjengine.errors import UsageError


def options(*words: str) -> PictureOptions:
    parser = argparse.ArgumentParser()
    add_picture_arguments(parser, size="1280x720", fps="60", generator_fps="30")
    return picture_options(parser.parse_args(words))


def test_flags_become_options_of_the_turbo_generator() -> None:
    given = options(
        "--generator", "turbo:device=cpu", "--model", "random:tiny", "--lora", "a.safetensors",
        "--lora", "b.safetensors",
        "--init", "camera", "--rung", "eager", "--seed", "5", "--full-vae",
    )  # fmt: skip
    spec = generator_spec(given, load_show(given), prompts=("what the  score wants",))
    assert (spec.name, spec.seed) == ("turbo", 5)
    prompts = str(spec.options["prompts"]).splitlines()
    assert prompts[0] == "what the score wants"
    assert "calm, mist, soft light" in prompts
    assert any("silk" in prompt for prompt in prompts)
    assert {name: value for name, value in spec.options.items() if name != "prompts"} == {
        "device": "cpu", "model": "random:tiny", "lora": "a.safetensors|b.safetensors",
        "init": "camera", "rung": "eager", "vae": "full",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("size", "by_cpu", "expected"),
    [("1280x720", False, (768, 448)), ("1280x720", True, (320, 192)), ("512x512", False, (512, 512))],
)
def test_diffusion_draws_in_sizes_it_can(size: str, by_cpu: bool, expected: tuple[int, int]) -> None:
    given = options("--generator", "turbo", "--size", size)
    assert generator_spec(given, load_show(given), by_cpu=by_cpu).size == expected


def test_an_asked_size_is_kept() -> None:
    given = options("--generator", "turbo", "--generator-size", "500x300")
    assert generator_spec(given, load_show(given)).size == (500, 300)


def test_diffusion_flags_need_the_turbo_generator() -> None:
    given = options("--model", "sd-turbo", "--full-vae")
    with pytest.raises(UsageError, match="--model, --full-vae mean nothing to the generator 'procedural'; add"):
        generator_spec(given, load_show(given))


def test_a_prompt_and_a_negative_reach_the_generator() -> None:
    given = options("--prompt", "a red fox", "--negative", "text, watermark")
    show = load_show(given)
    state = initial_state(show)
    assert "fox" not in str(generator_params(state, 1, show).prompts)
    state = control_step(state, opening(given), NO_AUDIO, FrameTime(0, 0.0, 0.0), show)
    params = generator_params(state, 1, show)
    assert params.prompts[0] == ("a red fox", 1.0)
    assert params.negative == "text, watermark"
    assert opening(options()) == []
