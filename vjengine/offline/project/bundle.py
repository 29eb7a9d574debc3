"""A project as read: its words, its settings, its inputs; and what of it was edited since a run began."""

from __future__ import annotations

import difflib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from vjengine.errors import ConfigError, RecordError, UsageError
from vjengine.offline.project.new import INPUTS, PROMPT, RUNS, SETTINGS
from vjengine.offline.project.prompt import Prompt, read_prompt
from vjengine.offline.project.settings import CONTINUATIONS, ProjectSettings, read_settings

CONFIG = "config"
_KINDS = {
    "picture": (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"),
    "video": (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v"),
    "audio": (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aif", ".aiff"),
}
_SHOWN = 8
_LONG = 80


@dataclass(frozen=True, slots=True)
class Project:
    """A project folder.

    Attributes:
        folder: where it is.
        prompt: what is wanted.
        settings: how it is made; inputs that it does not name are those found in inputs/.
        as_begun: words and settings are those that a run keeps of its beginning.
    """

    folder: Path
    prompt: Prompt
    settings: ProjectSettings
    as_begun: bool = False

    @property
    def runs(self) -> Path:
        """Where its runs are."""
        return self.folder / RUNS

    def run_path(self, name: str) -> Path:
        """Return the folder of the run ``name``."""
        return self.runs / name


def find_project(folder: Path) -> Path:
    """Return ``folder`` if it is a project.

    Raises:
        UsageError: if it is none; says how to make one.
    """
    missing = [name for name in (PROMPT, SETTINGS) if not (folder / name).is_file()]
    if missing:
        raise UsageError(f"{folder} is no project: {' and '.join(missing)} missing. Make one: vjengine new NAME")
    return folder


def read_project(folder: Path, begun: Path | None = None) -> Project:
    """Read the project ``folder``.

    Args:
        folder: where it is.
        begun: a run whose own prompt.md and settings.yaml are to count, as they were when it began.

    Raises:
        UsageError: if it is no project, or an input that its mode needs is missing.
        ConfigError: names file, key, value and what was expected.
    """
    find_project(folder)
    prompt = read_prompt((begun / CONFIG if begun else folder) / PROMPT, tuple(CONTINUATIONS))
    if begun:
        # Files that it names lie beside the project's own settings, not beside the copy.
        settings = _as_begun(folder, begun)
    else:
        settings = read_settings(folder / SETTINGS)
    inputs = folder / INPUTS
    picture = (settings.picture or _only(inputs, "picture")) if prompt.mode == "image" else None
    video = (settings.video or _only(inputs, "video")) if prompt.mode == "video" else None
    for mode, kind, file in (("image", "picture", picture), ("video", "video", video)):
        if prompt.mode == mode and file is None:
            raise UsageError(
                f"{folder}: mode {mode} begins with a {kind}: put one into {inputs}, or write `mode: text` in {PROMPT}"
            )
    audio = settings.audio or _only(inputs, "audio")
    return Project(folder, prompt, replace(settings, picture=picture, video=video, audio=audio), begun is not None)


def _as_begun(folder: Path, begun: Path) -> ProjectSettings:
    text = (begun / CONFIG / SETTINGS).read_bytes()
    beside = folder / f".{SETTINGS}.{begun.name}"
    try:
        beside.write_bytes(text)
        return read_settings(beside)
    finally:
        beside.unlink(missing_ok=True)


def _only(inputs: Path, kind: str) -> Path | None:
    if not inputs.is_dir():
        return None
    found = sorted(path for path in inputs.iterdir() if path.suffix.lower() in _KINDS[kind] and path.is_file())
    if len(found) > 1:
        names = ", ".join(path.name for path in found[:6])
        raise ConfigError(inputs.parent / SETTINGS, f"inputs.{kind}", names, f"one of them: there are {len(found)}")
    return found[0] if found else None


def snapshot(project: Project, run: Path) -> None:
    """Keep prompt.md and settings.yaml in ``run`` as they are now, if it is they that count.

    Raises:
        RecordError: if the disk refuses.
    """
    if project.as_begun:
        return
    try:
        (run / CONFIG).mkdir(parents=True, exist_ok=True)
        for name in (PROMPT, SETTINGS):
            part = run / CONFIG / f"{name}.part"
            shutil.copyfile(project.folder / name, part)
            part.replace(run / CONFIG / name)
    except OSError as error:
        raise RecordError(f"{run / CONFIG} cannot be written: {error.strerror or error}") from error


def edited(folder: Path, run: Path) -> list[str]:
    """Return what was edited since ``run`` began: lines as ``settings.yaml: seed: 1 -> seed: 2``."""
    lines: list[str] = []
    for name in (PROMPT, SETTINGS):
        try:
            before = (run / CONFIG / name).read_text(encoding="utf-8").splitlines()
            now = (folder / name).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        matcher = difflib.SequenceMatcher(None, before, now, autojunk=False)
        for tag, a, b, c, d in matcher.get_opcodes():
            if tag != "equal":
                lines.append(f"{name}: {' -> '.join(_told(_plain(before[a:b]), _plain(now[c:d])))}")
    return lines[:_SHOWN] + ([f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else [])


def _plain(lines: list[str]) -> str:
    return " / ".join(line.partition(" #")[0].strip() for line in lines if line.strip())


def _told(before: str, now: str) -> tuple[str, str]:
    """Return both, short enough to read: of long lines the part that differs, from its word on."""
    start = 0
    if max(len(before), len(now)) > _LONG:
        pairs = zip(before, now, strict=False)
        same = before[: next((k for k, (a, b) in enumerate(pairs) if a != b), min(len(before), len(now)))]
        start = max(same.rfind(", "), same.rfind("{"), same.rfind(" / "), 0)
    first, second = (text[start:].lstrip(", {/") for text in (before, now))
    first, second = (text[: _LONG - 3] + "..." if len(text) > _LONG else text for text in (first, second))
    return first or "(nothing)", second or "(nothing)"
