"""prompt.md: what is wanted, in words. What says how it is made is named, left out, and sent to settings.yaml."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from vjengine.errors import ConfigError
from vjengine.strict_yaml import suggest

MODES = ("text", "image", "video")
MAX_BYTES = 200_000
MAX_TEXT = 4000
"""Longest text of a section, characters."""

_HEAD = ("title", "mode", "backend")
_SECTIONS = ("prompt", "negative", "style", "motion")
_HEADING = re.compile(r"#{1,6}\s+(.*?)\s*#*\s*")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_KEY = re.compile(r"(?:[-*]\s+|--)?([A-Za-z][A-Za-z0-9_ -]{0,30}?)\s*[:=]\s*(\S.*)")
_FLAG = re.compile(r"--([a-z][a-z-]{1,30})[ =](\S+)")

MECHANICAL = {
    "size": "film: size",
    "width": "film: size",
    "height": "film: size",
    "resolution": "film: size",
    "fps": "film: fps",
    "frames": "film: frames",
    "num frames": "film: frames",
    "seed": "film: seed",
    "cycles": "film: cycles",
    "hours": "film: cycles",
    "seconds": "film: cycles",
    "duration": "film: cycles",
    "retries": "film: retries",
    "stabilise": "film: stabilise",
    "steps": "BACKEND: steps",
    "num inference steps": "BACKEND: steps",
    "guidance": "BACKEND: guidance",
    "guidance scale": "BACKEND: guidance",
    "cfg": "BACKEND: guidance",
    "sampler": "BACKEND: sampler",
    "scheduler": "BACKEND: scheduler",
    "model": "BACKEND: model",
    "checkpoint": "BACKEND: model",
    "motion bucket": "BACKEND: motion",
    "motion bucket id": "BACKEND: motion",
    "noise": "BACKEND: noise",
    "noise aug": "BACKEND: noise",
    "device": "BACKEND: device",
    "server": "comfyui: server",
    "workflow": "comfyui: workflow",
    "token": "replicate: token_file",
    "audio": "inputs: audio",
    "track": "inputs: audio",
    "image": "inputs: picture",
    "video": "inputs: video",
    "crf": "finish: crf",
    "encoder": "finish: encoder",
    "codec": "finish: encoder",
    "upscale": "finish: upscale",
    "interpolate": "finish: interpolate",
}
"""Keys that say how a film is made, and where in settings.yaml each of them belongs."""


@dataclass(frozen=True, slots=True)
class Misplaced:
    """A mechanical key in the prompt file: it is left out, and this says where it belongs."""

    file: str
    line: int
    key: str
    value: str
    home: str

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}: {self.key} = {self.value} says how, not what; it is left out. "
            f"It belongs into settings.yaml: `{self.home}`"
        )


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is wanted.

    Attributes:
        title: of the film.
        mode: what it begins with: ``text``, ``image`` or ``video``.
        backend: what makes its pictures.
        prompt, negative, style, motion: the sections, each in one line.
        misplaced: what was left out.
    """

    title: str = ""
    mode: str = "text"
    backend: str = "builtin"
    prompt: str = ""
    negative: str = ""
    style: str = ""
    motion: str = ""
    misplaced: tuple[Misplaced, ...] = ()

    @property
    def words(self) -> str:
        """What a model is told: prompt, style and motion in one."""
        return ", ".join(part.rstrip(" ,.") for part in (self.prompt, self.style, self.motion) if part)


def read_prompt(path: Path, backends: tuple[str, ...]) -> Prompt:
    """Read ``path``: keys between two lines ``---`` or above the first heading, then sections.

    Args:
        path: the file.
        backends: names that ``backend:`` may have.

    Raises:
        ConfigError: unreadable, an unknown key, section, mode or backend, or a text that is too long.
    """
    name = path.name
    lines = _read(path).splitlines()
    head: dict[str, str] = {}
    bodies: dict[str, list[str]] = {section: [] for section in _SECTIONS}
    misplaced: list[Misplaced] = []
    section = ""
    for number, line in enumerate(lines, 1):
        if not line.strip() or (not section and line.strip() == "---"):
            continue
        if heading := _HEADING.fullmatch(line):
            section = heading[1].strip(" :").lower()
            if section not in _SECTIONS:
                raise ConfigError(
                    f"{path}:{number}", "heading", heading[1], f"a section: {suggest(section, _SECTIONS)}"
                )
            continue
        key, value = _pair(line)
        home = MECHANICAL.get(_plain(key)) if key else None
        # Among prose, "Noise: a soft hiss of rain" is a picture; "noise: 0.1" is not.
        if home and (not section or len(value.split()) == 1):
            misplaced.append(Misplaced(name, number, key, value, home))
        elif section:
            bodies[section].append(_without_flags(line, name, number, misplaced))
        elif key and _plain(key) in _HEAD:
            head[_plain(key)] = value.strip("\"' ")
        else:
            raise ConfigError(f"{path}:{number}", key or "text", value or line, f"{', '.join(_HEAD)}, or a heading")
    texts = {section: " ".join(" ".join(body).split()) for section, body in bodies.items()}
    for section, text in texts.items():
        if len(text) > MAX_TEXT:
            raise ConfigError(path, section, text, f"at most {MAX_TEXT} characters")
    if head.get("mode", "text") not in MODES:
        raise ConfigError(path, "mode", head["mode"], f"one of {', '.join(MODES)}")
    if head.get("backend", backends[0]) not in backends:
        raise ConfigError(path, "backend", head["backend"], f"a backend: {suggest(head['backend'], backends)}")
    backend = head.get("backend", backends[0])
    return Prompt(
        title=head.get("title", "")[:200],
        mode=head.get("mode", "text"),
        backend=backend,
        misplaced=tuple(replace(item, home=_home(item.home, backend)) for item in misplaced),
        **texts,
    )


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(path, "(file)", error.strerror or str(error), "a readable file") from error
    if len(raw) > MAX_BYTES:
        raise ConfigError(path, "(file)", "too large", f"at most {MAX_BYTES:,} bytes")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(path, "(file)", f"byte {error.start}", "text in UTF-8") from error
    # Lines stay where they are, so that a warning can name its own.
    return _COMMENT.sub(lambda match: "\n" * match[0].count("\n"), text)


def _home(home: str, backend: str) -> str:
    # What a server's workflow takes is named by its placeholders.
    return home.replace("BACKEND:", f"{backend}: values:" if backend in ("comfyui", "replicate") else f"{backend}:")


def _pair(line: str) -> tuple[str, str]:
    match = _KEY.fullmatch(line.strip())
    return (match[1].strip(), match[2].strip()) if match else ("", "")


def _plain(key: str) -> str:
    return key.lower().replace("_", " ").replace("-", " ")


def _without_flags(line: str, name: str, number: int, misplaced: list[Misplaced]) -> str:
    """Return ``line`` without such as ``--seed 5``, as other programs take them inside a prompt."""

    def take(match: re.Match[str]) -> str:
        home = MECHANICAL.get(_plain(match[1]))
        if home is None:
            return match[0]
        misplaced.append(Misplaced(name, number, f"--{match[1]}", match[2], home))
        return ""

    return _FLAG.sub(take, line)
