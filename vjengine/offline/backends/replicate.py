"""A model at Replicate as a continuation: it gets the last picture by upload and answers with pictures or a video."""

from __future__ import annotations

import hashlib
import json
import posixpath
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vjengine.errors import BackendError
from vjengine.offline.backends import pictures
from vjengine.offline.backends.comfyui import decode
from vjengine.offline.backends.replicate_client import API, Replicate, find_token, split_model
from vjengine.offline.backends.template import KNOWN, fill, placeholders, values_of
from vjengine.offline.continuation import Ask, Carried, Clip, Need, Opening, Pixels16, Watcher

_LIMIT = 1 << 30


@dataclass(frozen=True, slots=True)
class ReplicateSettings:
    """What settings.yaml says of Replicate.

    Attributes:
        model: ``owner/name`` or ``owner/name:version`` that continues from a picture.
        input: that model's own input, with placeholders.
        first_model, first_input: the same for a first picture from text; empty needs a picture in inputs/.
        values: more placeholders.
        frames: new pictures that the model makes in one go.
        skip: pictures at the beginning of its answer that are not new.
        token_file: file that holds the token, if the environment does not.
        price: of one prediction, in the account's currency; only for the estimate.
        api, seconds, poll, tries, pause: as in :class:`~vjengine.offline.backends.replicate_client.Replicate`.
    """

    model: str = ""
    input: Mapping[str, Any] = field(default_factory=dict)
    first_model: str = ""
    first_input: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    frames: int = 24
    skip: int = 1
    token_file: Path | None = None
    price: float = 0.0
    api: str = API
    seconds: float = 3600.0
    poll: float = 2.0
    tries: int = 6
    pause: float = 1.0


class ReplicateModel:
    """A :class:`~vjengine.offline.continuation.Continuation` whose pictures come from Replicate.

    Raises:
        BackendError: no model, no token, or an input that nothing fills in.
    """

    name = "replicate"
    deterministic = False
    tail = 1

    def __init__(self, settings: ReplicateSettings) -> None:
        if not settings.model:
            raise BackendError("which model? Set `replicate: model: owner/name` and `input:` in settings.yaml")
        split_model(settings.model)
        if "image" not in placeholders(settings.input):
            raise BackendError("no {{image}} under `replicate: input:`: the model would never see the last picture")
        for values in (settings.input, settings.first_input):
            for name, has_default in placeholders(values).items():
                if not has_default and name not in KNOWN and name not in settings.values:
                    raise BackendError(f"{{{{{name}}}}} under `replicate:` has no value; give it under `values:`")
        self.settings = settings
        self.chunk = settings.frames
        decides = [
            settings.model, settings.input, settings.first_model, settings.first_input, dict(settings.values),
            settings.frames, settings.skip,
        ]  # fmt: skip
        text = json.dumps(decides, sort_keys=True, separators=(",", ":"), default=dict)
        self.version = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._service = Replicate(
            find_token(settings.token_file),
            api=settings.api,
            tries=settings.tries,
            pause=settings.pause,
            seconds=settings.seconds,
            poll=settings.poll,
        )

    def need(self, size: tuple[int, int], frames: int) -> Need:
        """Return the memory taken here: the pictures."""
        pixels = size[0] * size[1] * 6 * (frames + self.settings.skip)
        return Need(0.0, 3 * pixels / (1 << 20), "the model runs at Replicate")

    def open(self, opening: Opening, size: tuple[int, int], watcher: Watcher) -> Carried:
        """Begin with the pictures given, or with one made from text by the other model."""
        frames = opening.pictures
        if frames is None:
            if not self.settings.first_model:
                raise BackendError(
                    "Replicate has no picture to begin with: put one into inputs/ (mode image), or name `first_model:`"
                )
            ask = Ask(0, 1, opening.seed, prompt=opening.prompt, negative=opening.negative)
            frames = self._make(self.settings.first_model, self.settings.first_input, ask, size, "", 0, watcher)[-1:]
        return Carried(frames, frames[-1])

    def extend(self, carried: Carried, ask: Ask, watcher: Watcher) -> Clip:
        """Upload the last picture, run the model, fetch the new pictures."""
        last = carried.frames[-1]
        size = (last.shape[1], last.shape[0])
        number, address = self._service.upload("last.png", pictures.to_png16(last), watcher)
        try:
            frames = self._make(
                self.settings.model, self.settings.input, ask, size, address, self.settings.skip, watcher
            )
        finally:
            self._service.forget(number)
        new = frames[self.settings.skip :]
        if not len(new):
            raise BackendError(
                f"the model made {len(frames)} picture(s), of which {self.settings.skip} are not new: none is left",
                retry=True,
            )
        return Clip(np.ascontiguousarray(new), notes={"seed": ask.seed % (1 << 32), "model": self.settings.model})

    def lighten(self) -> str:
        """Nothing here makes a model elsewhere smaller."""
        return ""

    def close(self) -> None:
        """Nothing is held between two chunks."""

    def _make(
        self,
        model: str,
        template: Mapping[str, Any],
        ask: Ask,
        size: tuple[int, int],
        image: str,
        skip: int,
        watcher: Watcher,
    ) -> Pixels16:
        values = fill(template, values_of(ask, size, image, skip) | dict(self.settings.values))
        output = self._service.run(model, values, watcher)
        addresses = output if isinstance(output, list) else [output]
        if not addresses or len(addresses) > pictures.MAX_FRAMES or not all(isinstance(a, str) for a in addresses):
            raise BackendError(f"the model answers with {str(output)[:80]!r}; expected a video or pictures")
        found = []
        for number, address in enumerate(addresses):
            watcher.alive("fetching the pictures", number / len(addresses))
            name = posixpath.basename(urllib.parse.urlsplit(address).path)[:100]
            ending = Path(name).suffix.lower()
            if ending not in pictures.PICTURES + pictures.VIDEOS:
                raise BackendError(f"the model has made {name!r}, which is neither picture nor video")
            found.append(decode(self._service.fetch(address, watcher, _LIMIT), name, ending, size))
        return np.concatenate(found)
