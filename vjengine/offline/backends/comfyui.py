"""ComfyUI as a continuation: its workflow gets the last picture, makes the next ones, and we fetch them."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vjengine.errors import BackendError
from vjengine.offline.backends import pictures
from vjengine.offline.backends.comfyui_check import check, read_workflow
from vjengine.offline.backends.comfyui_client import Comfy
from vjengine.offline.backends.template import KNOWN, fill, placeholders, values_of
from vjengine.offline.continuation import Ask, Carried, Clip, Need, Opening, Pixels16, Watcher
from vjengine.resources import resource_dir

_FILE_LIMIT = {**dict.fromkeys(pictures.PICTURES, 128 << 20), **dict.fromkeys(pictures.VIDEOS, 1 << 30)}
_TRIES = 3


@dataclass(frozen=True, slots=True)
class ComfySettings:
    """What settings.yaml says of ComfyUI.

    Attributes:
        server: its address.
        workflow: template of the workflow that continues; None is the bundled one for SVD.
        first: template of the workflow that makes a first picture from text; None is the bundled one.
        values: more placeholders, such as ``steps`` or ``checkpoint``; they win over those filled in by themselves.
        frames: new pictures a chunk.
        skip: pictures at the beginning of what the workflow makes that are not new: SVD's first one repeats the last.
        seconds: the most that one chunk may take.
        patience: s without any word of a job before it counts as stuck.
        tries, pause, poll: as in :class:`~vjengine.offline.backends.comfyui_client.Comfy`.
    """

    server: str = "http://127.0.0.1:8188"
    workflow: Path | None = None
    first: Path | None = None
    values: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    frames: int = 24
    skip: int = 1
    seconds: float = 3600.0
    patience: float = 600.0
    tries: int = 4
    pause: float = 1.0
    poll: float = 2.0


class ComfyUI:
    """A :class:`~vjengine.offline.continuation.Continuation` whose pictures come from a ComfyUI server.

    Raises:
        BackendError: a template cannot be read, or uses a name that nothing fills in.
    """

    name = "comfyui"
    deterministic = False
    tail = 1

    def __init__(self, settings: ComfySettings) -> None:
        self.settings = settings
        self.chunk = settings.frames
        folder = resource_dir("presets") / "comfyui"
        self.path = settings.workflow or folder / "svd.json"
        self.first_path = settings.first or folder / "first.json"
        self.workflow = read_workflow(self.path)
        self.first = read_workflow(self.first_path)
        for path, workflow in ((self.path, self.workflow), (self.first_path, self.first)):
            for name, has_default in placeholders(workflow).items():
                if not has_default and name not in KNOWN and name not in settings.values:
                    raise BackendError(f"{path}: {{{{{name}}}}} has no value; give it under `values:` in settings.yaml")
        if "image" not in placeholders(self.workflow):
            raise BackendError(f"{self.path}: no {{{{image}}}} in it: the workflow would never see the last picture")
        decides = [self.workflow, self.first, dict(settings.values), settings.frames, settings.skip]
        text = json.dumps(decides, sort_keys=True, separators=(",", ":"))
        self.version = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._comfy = Comfy(
            settings.server,
            tries=settings.tries,
            pause=settings.pause,
            seconds=settings.seconds,
            patience=settings.patience,
            poll=settings.poll,
        )
        self._checked: set[Path] = set()
        self._freed = False

    def need(self, size: tuple[int, int], frames: int) -> Need:
        """Return the memory taken here: the pictures; the model's is the server's matter."""
        pixels = size[0] * size[1] * 6 * (frames + self.settings.skip)
        return Need(0.0, 3 * pixels / (1 << 20), "the model is in the memory of ComfyUI's machine")

    def open(self, opening: Opening, size: tuple[int, int], watcher: Watcher) -> Carried:
        """Begin with the pictures given, or with one made from text by the other workflow."""
        frames = opening.pictures
        if frames is None:
            ask = Ask(0, 1, opening.seed, prompt=opening.prompt, negative=opening.negative)
            frames = self._make(self.first_path, self.first, ask, size, "", 0, watcher)[-1:]
        return Carried(frames, frames[-1])

    def extend(self, carried: Carried, ask: Ask, watcher: Watcher) -> Clip:
        """Send the last picture, run the workflow, fetch the new pictures."""
        last = carried.frames[-1]
        size = (last.shape[1], last.shape[0])
        png = pictures.to_png16(last)
        # Named by what is in it: sent twice, it is the same file there.
        stored = self._comfy.upload(f"vjengine-{hashlib.sha256(png).hexdigest()[:20]}.png", png, watcher)
        frames = self._make(self.path, self.workflow, ask, size, stored, self.settings.skip, watcher)
        new = frames[self.settings.skip :]
        if not len(new):
            raise BackendError(
                f"the workflow made {len(frames)} picture(s), of which {self.settings.skip} are not new: none is left",
                retry=True,
            )
        return Clip(np.ascontiguousarray(new), notes={"seed": ask.seed % (1 << 32), "workflow": self.path.name})

    def lighten(self) -> str:
        """Ask the server once to give back what other work has left in its memory."""
        if self._freed:
            return ""
        self._freed = True
        try:
            self._comfy.free()
        except BackendError:
            return ""
        return "ComfyUI has unloaded its models"

    def close(self) -> None:
        """Nothing is held between two chunks."""

    def _make(
        self,
        path: Path,
        template: Mapping[str, Any],
        ask: Ask,
        size: tuple[int, int],
        image: str,
        skip: int,
        watcher: Watcher,
    ) -> Pixels16:
        workflow = fill(template, values_of(ask, size, image, skip) | dict(self.settings.values))
        if path not in self._checked:
            self._comfy.stats(watcher)
            check(self._comfy, workflow, path.name, watcher)
            self._checked.add(path)
        entry = self._comfy.run(workflow, watcher)
        return self._fetch(outputs(entry), size, watcher)

    def _fetch(self, files: list[Mapping[str, Any]], size: tuple[int, int], watcher: Watcher) -> Pixels16:
        if not files:
            raise BackendError("the workflow is done but has saved no picture", retry=True)
        if len(files) > pictures.MAX_FRAMES:
            raise BackendError(f"the workflow has saved {len(files)} files; at most {pictures.MAX_FRAMES} are fetched")
        found: list[Pixels16] = []
        for number, file in enumerate(files):
            watcher.alive("fetching the pictures", number / len(files))
            found.append(self._one(file, size, watcher))
        return np.concatenate(found)

    def _one(self, file: Mapping[str, Any], size: tuple[int, int], watcher: Watcher) -> Pixels16:
        name = str(file.get("filename", ""))[:200]
        ending = Path(name).suffix.lower()
        if ending not in _FILE_LIMIT:
            raise BackendError(f"ComfyUI has made {name!r}, which is neither picture nor video; end in SaveImage")
        for attempt in range(_TRIES):
            data = self._comfy.fetch(file, watcher, _FILE_LIMIT[ending])
            try:
                return decode(data, name, ending, size)
            except BackendError as error:
                if not error.retry or attempt + 1 == _TRIES:
                    raise
        raise AssertionError("not reached")


def outputs(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the files that a job has saved, in order: those of the node that saved most; previews only if need be."""
    nodes = entry.get("outputs")
    best: list[Mapping[str, Any]] = []
    for wanted in ("output", "temp"):
        for _, node in sorted(nodes.items() if isinstance(nodes, dict) else ()):
            files: list[Mapping[str, Any]] = []
            for key in ("images", "gifs", "video", "videos"):
                listed = node.get(key) if isinstance(node, dict) else None
                if isinstance(listed, list):
                    files += [file for file in listed if isinstance(file, dict) and file.get("type") == wanted]
            if len(files) > len(best):
                best = files
        if best:
            break
    return best


def decode(data: bytes, name: str, ending: str, size: tuple[int, int]) -> Pixels16:
    """Return the pictures in a downloaded file as ``(n, H, W, 3)``.

    Raises:
        BackendError: it is not what its name says, broken, or of another size.
    """
    if ending in pictures.PICTURES:
        return pictures.from_bytes(data, name, size)
    with tempfile.TemporaryDirectory(prefix="vjengine-") as folder:
        path = Path(folder) / f"video{ending}"
        path.write_bytes(data)
        return pictures.from_video(path, name, size)
