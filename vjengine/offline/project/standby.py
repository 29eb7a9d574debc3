"""The built-in continuation in the place of a backend that fails: it goes on from whatever pictures there are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vjengine.offline.continuation import Ask, Carried, Clip, Continuation, Need, Opening, Watcher

_MARK = "standby"


class Standby:
    """A :class:`~vjengine.offline.continuation.Continuation` that takes over in the middle of a film.

    Args:
        inner: what makes the pictures; it begins anew from the last ones, since what another one carries is not its.
    """

    def __init__(self, inner: Continuation) -> None:
        self._inner = inner
        self.name, self.version, self.deterministic = inner.name, inner.version, inner.deterministic
        self.chunk, self.tail = inner.chunk, inner.tail

    def need(self, size: tuple[int, int], frames: int) -> Need:
        """Return what ``inner`` needs."""
        return self._inner.need(size, frames)

    def open(self, opening: Opening, size: tuple[int, int], watcher: Watcher) -> Carried:
        """Begin, as ``inner`` does."""
        carried = self._inner.open(opening, size, watcher)
        return replace(carried, state={**carried.state, _MARK: np.ones(1, np.float32)})

    def extend(self, carried: Carried, ask: Ask, watcher: Watcher) -> Clip:
        """Go on; from the pictures alone, if they are another one's."""
        if _MARK not in carried.state:
            height, width = carried.frames.shape[1:3]
            opening = Opening(pictures=carried.frames, seed=ask.seed)
            carried = replace(carried, state=self._inner.open(opening, (width, height), watcher).state)
        own = {key: value for key, value in carried.state.items() if key != _MARK}
        # It takes its colours from the pictures, and so keeps to the scene: the words would change them.
        clip = self._inner.extend(replace(carried, state=own), replace(ask, prompt=""), watcher)
        return replace(
            clip, state={**clip.state, _MARK: np.ones(1, np.float32)}, notes={**clip.notes, "standby": self.name}
        )

    def lighten(self) -> str:
        """Take less memory, as ``inner`` does."""
        return self._inner.lighten()

    def close(self) -> None:
        """Let go of ``inner``."""
        self._inner.close()
