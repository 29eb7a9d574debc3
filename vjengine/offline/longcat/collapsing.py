"""A continuation that goes wrong on purpose, as those that feed on themselves do: for rehearsals, tests and figures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.offline.continuation import Ask, Carried, Clip, Continuation, Need, Opening, Watcher

Floats = npt.NDArray[np.float32]
Harm = Literal["magenta", "green", "dark", "grey", "burn", "blur", "sharpen"]
HARMS: tuple[Harm, ...] = ("magenta", "green", "dark", "grey", "burn", "blur", "sharpen")


def harmed(picture: Floats, harm: Harm, amount: float) -> Floats:
    """Return ``(H, W, 3)`` float32 0-1 a little worse; ``amount`` 1 is what one picture's step does to it."""
    if harm == "magenta":
        worse = picture + np.float32(amount) * np.array((0.002, -0.001, 0.002), np.float32)
    elif harm == "green":
        worse = picture * (1.0 + np.float32(amount) * np.array((-0.003, 0.004, -0.003), np.float32))
    elif harm == "dark":
        worse = picture * np.float32(0.993**amount)
    elif harm == "grey":
        worse = picture + np.float32(0.01 * amount) * (0.5 * picture.mean(axis=2, keepdims=True) + 0.25 - picture)
    elif harm == "burn":
        worse = (picture - 0.5) * np.float32(1.02**amount) + np.float32(0.5 + 0.005 * amount)
    else:
        soft = cv2.GaussianBlur(picture, (0, 0), 0.7)
        share = 0.08 if harm == "blur" else -0.06
        worse = picture + np.float32(share * amount) * (soft - picture)
    return np.clip(worse, 0.0, 1.0).astype(np.float32)


@dataclass(slots=True)
class Drifting:
    """A scene that glides past, and gets a little worse with each picture: nothing else of it changes.

    Attributes:
        harm: what goes wrong, a picture at a time; each new picture is made of the one before it.
        strength: how much of it a picture.
        inner: paints the scene.
    """

    inner: Continuation
    harm: Harm = "magenta"
    strength: float = 1.0
    chunk: int = 24
    tail: int = 1
    name: str = "drifting"
    deterministic: bool = True

    version: str = ""

    def __post_init__(self) -> None:
        self.version = f"drifting {self.harm} {self.strength:g} of {self.inner.version}"

    def need(self, size: tuple[int, int], frames: int) -> Need:
        """Estimate the memory of a chunk."""
        return self.inner.need(size, frames)

    def open(self, opening: Opening, size: tuple[int, int], watcher: Watcher) -> Carried:
        """Begin with what the inner one begins with."""
        carried = self.inner.open(opening, size, watcher)
        return replace(carried, state={"step": np.zeros(1, np.int64)})

    def extend(self, carried: Carried, ask: Ask, watcher: Watcher) -> Clip:
        """Move the last picture on, and harm it, again and again."""
        step = int(carried.state["step"][0])
        picture = carried.frames[-1].astype(np.float32) / np.float32(65535)
        random = np.random.Generator(np.random.Philox(key=ask.seed))
        height, width = picture.shape[:2]
        # Another seed takes another way; it does no less harm.
        bend = float(random.uniform(-0.3, 0.3))
        frames = np.empty((ask.frames, height, width, 3), np.uint16)
        for k in range(ask.frames):
            watcher.alive("drifting", k / ask.frames)
            step += 1
            matrix = cv2.getRotationMatrix2D(
                (width / 2, height / 2), 0.15 * np.sin(0.010 * step), 1.003 + 0.002 * np.sin(0.017 * step)
            )
            matrix[0, 2] += 0.4 * np.sin(0.013 * step) + 0.5 * bend
            matrix[1, 2] += 0.25 * np.sin(0.007 * step)
            picture = cv2.warpAffine(
                picture, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
            )
            picture = harmed(picture, self.harm, self.strength)
            frames[k] = np.rint(picture * np.float32(65535)).astype(np.uint16)
        return Clip(frames, {"step": np.array([step], np.int64)})

    def lighten(self) -> str:
        """Nothing can be made lighter."""
        return ""

    def close(self) -> None:
        """Close the inner one."""
        self.inner.close()
