"""The continuation that needs nothing: the last picture drifts along currents while new light is painted into it.

The picture itself is what is carried, so it may begin with anyone's image. What is painted is ink along the contours of
two slow fields of noise, in the palette of the prompt's words, or in the picture's own colours; it never freezes, fades
to grey or comes round again, since it is drawn anew all the time and currents, fields and hues have no common period.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.errors import UsageError
from vjengine.offline.continuation import Ask, Carried, Clip, Need, Opening, Pixels16, Watcher
from vjengine.offline.longcat.field import TILE, Currents, enlarged, noise_tile
from vjengine.offline.longcat.inks import HUES, TONES, inks_of_picture, inks_of_prompt

Floats = npt.NDArray[np.float32]

VERSION = "1"
_BEFORE = 3.0
"""s that are painted before the first picture is shown: a film begins with a picture, not with an empty sheet."""
_GLIDE = 3.0
"""s in which one prompt's inks and strokes become the next one's."""
_ROWS = 512
"""Rows of the table that turns a field into strokes: fine enough for the thinnest."""


@dataclass(frozen=True, slots=True)
class Hand:
    """How a prompt paints: drawn from its letters, so that each prompt has its own.

    Attributes:
        whirls: currents along the longer side.
        lines: strokes to one deviation of the field.
        thin: how thin they are, 0-1.
        grain: share of the finer field.
        stretch: how far the field is drawn out in one direction, 1 for not at all.
        zoom: growth a second, negative for falling back.
        turn: rad/s.
    """

    whirls: float
    lines: float
    thin: float
    grain: float
    stretch: float
    zoom: float
    turn: float


def hand_of(prompt: str) -> Hand:
    """Return the hand that paints ``prompt``."""
    digest = hashlib.sha256(f"hand:{prompt.strip().lower()}".encode()).digest()
    a, b, c, d, e, f, g = (value / 255.0 for value in digest[:7])
    return Hand(
        whirls=2.0 + 2.0 * a,
        lines=0.7 + 0.9 * b,
        thin=c,
        grain=0.25 + 0.3 * d,
        stretch=1.0 + 0.9 * e,
        zoom=0.02 + 0.05 * f,
        turn=0.05 * (g - 0.5),
    )


class Builtin:
    """A :class:`~vjengine.offline.continuation.Continuation` of numpy and OpenCV alone; any size, on any machine."""

    name = "builtin"
    version = f"builtin {VERSION}"
    deterministic = True
    chunk = 48
    tail = 1

    def need(self, size: tuple[int, int], frames: int) -> Need:
        """Estimate the memory of a chunk: the clip, and some twenty float planes to paint with."""
        pixels = size[0] * size[1]
        host = (pixels * 6.0 * frames + pixels * 4.0 * 34 + 2 * 4 * 4.0 * TILE * TILE) / 2**20
        return Need(0.0, host, f"{frames} pictures in 16 bit")

    def open(self, opening: Opening, size: tuple[int, int], watcher: Watcher) -> Carried:
        """Take the pictures given, or paint the first one from the prompt and the seed."""
        state = {
            "seed": np.array([opening.seed & 0xFFFF_FFFF_FFFF], np.int64),
            "time": np.array([0.0]),
            "inks": np.zeros((2, TONES, HUES, 3), np.float32),
            "age": np.array([_GLIDE]),
            "prompt": _letters(opening.prompt),
        }
        if opening.pictures is not None:
            frames = np.ascontiguousarray(opening.pictures[-self.tail :])
            inks = inks_of_prompt(opening.prompt) if opening.prompt else inks_of_picture(frames[-1])
            state["inks"][:] = inks
            return Carried(frames, frames[-1], state)
        state["inks"][:] = inks_of_prompt(opening.prompt)
        brush = Brush(size, state, opening.prompt, opening.seed, 0.0)
        picture = brush.paint(0.0, np.zeros((size[1], size[0], 3), np.float32))[0]
        steps = 60
        for step in range(steps):
            watcher.alive("painting the first picture", step / steps)
            at = (step - steps) / steps * _BEFORE
            picture = brush.step(picture, at, _BEFORE / steps, 0.5, 0.0)
        first = _coded(picture)[None]
        return Carried(first, first[0], state)

    def extend(self, carried: Carried, ask: Ask, watcher: Watcher) -> Clip:
        """Paint ``ask.frames`` more."""
        state = {name: np.array(value) for name, value in carried.state.items()}
        height, width = carried.frames.shape[1:3]
        if ask.prompt and _text(state["prompt"]) != ask.prompt.strip():
            state["inks"][0] = _mixed(state)
            state["inks"][1] = inks_of_prompt(ask.prompt)
            state["age"][0], state["prompt"] = 0.0, _letters(ask.prompt)
        dt = 1.0 / float(ask.fps)
        brush = Brush((width, height), state, ask.prompt, ask.seed, ask.time, lead=ask.frames * dt)
        picture = carried.frames[-1].astype(np.float32) / np.float32(65535)
        frames = np.empty((ask.frames, height, width, 3), np.uint16)
        for k in range(ask.frames):
            watcher.alive("painting", k / ask.frames)
            pulse = ask.pulse[k] if k < len(ask.pulse) else 0.0
            state["time"][0] += dt * (0.35 + 1.3 * ask.motion + 0.5 * pulse)
            state["age"][0] += dt
            brush.inks = _mixed(state)
            picture = brush.step(picture, float(state["time"][0]), dt, ask.motion, pulse)
            frames[k] = _coded(picture)
        return Clip(frames, state, {"seed": ask.seed})

    def lighten(self) -> str:
        """Nothing of it can be made lighter; fewer pictures at once are up to whoever asks."""
        return ""

    def close(self) -> None:
        """Nothing is held."""


class Brush:
    """Moves a picture and paints into it.

    Args:
        size: (width, height), px.
        state: as carried; its seed decides the fields.
        prompt: decides the hand.
        seed: of what is new in this chunk.
        start, lead: s into the film, and the length of the chunk: a whirl of its own comes and goes within.
    """

    def __init__(
        self,
        size: tuple[int, int],
        state: dict[str, npt.NDArray[np.generic]],
        prompt: str,
        seed: int,
        start: float,
        lead: float = 1.0,
    ) -> None:
        self.inks: Floats = np.asarray(state["inks"][1], np.float32)
        self._size = size
        self._hand = hand_of(prompt)
        film = int(state["seed"][0])
        self._currents = Currents(film, size, self._hand.whirls)
        self._coarse = noise_tile(film * 2 + 1, 400.0, 40.0, 1.9)
        self._fine = noise_tile(film * 2 + 2, 150.0, 9.0, 1.55)
        self._random = np.random.Generator(np.random.Philox(key=film + 77))
        self._drift = self._random.uniform(0.0, 2.0 * math.pi, 8)
        width, height = size
        longer = max(size)
        columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        self._columns, self._rows = columns, rows
        self._longer = longer
        visitor = np.random.Generator(np.random.Philox(key=seed))
        self._whirl = (*visitor.uniform(-0.35, 0.35, 2), visitor.choice((-1.0, 1.0)) * visitor.uniform(0.5, 1.0))
        self._wide = visitor.uniform(0.08, 0.2)
        self._begun, self._lead = float(state["time"][0]), max(lead, 1e-3)
        # At the edges what flows in from outside is not known: there it is painted more, so that nothing is smeared.
        edge_x = np.abs(self._currents.x) * longer / width * 2.0
        edge_y = np.abs(self._currents.y) * longer / height * 2.0
        edge = np.clip((np.maximum(edge_x, edge_y) - 0.80) / 0.20, 0.0, 1.0) ** 2
        self._edge = enlarged(edge, size)

    def step(self, picture: Floats, time: float, dt: float, motion: float, pulse: float) -> Floats:
        """Return the picture ``dt`` s later, ``(H, W, 3)`` float32 0-1, at the field's own ``time``."""
        moved = self._moved(picture, time, dt, motion, pulse)
        paint, wet = self.paint(time, moved)
        # The same share a second at any pace.
        rate = dt * (0.55 + 0.35 * motion)
        wet *= np.float32(rate * (4.5 + 5.0 * pulse))
        wet += np.float32(rate * 0.55)
        cv2.scaleAdd(self._edge, 2.5 * dt, wet, dst=wet)
        np.minimum(wet, np.float32(0.9), out=wet)
        mixed: Floats = cv2.blendLinear(paint, moved, wet, np.float32(1.0) - wet)
        return np.clip(mixed, 0.0, 1.0, out=mixed)

    def _moved(self, picture: Floats, time: float, dt: float, motion: float, pulse: float) -> Floats:
        currents = self._currents
        right, down = currents.at(time)
        pace = 0.020 + 0.055 * motion + 0.05 * pulse
        far_x, far_y = currents.x - self._whirl[0], currents.y - self._whirl[1]
        # A whirl of this chunk alone: it swells and dies within it, so that no seam is seen.
        swell = math.sin(math.pi * min(max((time - self._begun) / self._lead, 0.0), 1.0)) ** 2
        turn = 0.9 * self._whirl[2] * swell * np.exp(-(far_x**2 + far_y**2) / self._wide**2)
        zoom = self._hand.zoom * (0.5 + motion) + 0.12 * pulse
        spin = self._hand.turn
        x = pace * right - turn * far_y - spin * currents.y + zoom * currents.x
        y = pace * down + turn * far_x + spin * currents.x + zoom * currents.y
        scale = dt * self._longer
        map_x = self._columns - enlarged(x * scale, self._size)
        map_y = self._rows - enlarged(y * scale, self._size)
        moved: Floats = cv2.remap(picture, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        return moved

    def paint(self, time: float, under: Floats) -> tuple[Floats, Floats]:
        """Return what is painted at ``time`` ``(H, W, 3)``, and how wet it is ``(H, W)``, 0-1."""
        hand, drift = self._hand, self._drift
        right, down = self._currents.at(0.6 * time + 40.0)
        x, y = self._currents.x, self._currents.y
        field = self._sampled(self._coarse, x + 0.05 * right, y + 0.05 * down, 0.62, 0.013, time, drift[0])
        fine = self._sampled(self._fine, x - 0.03 * right, y - 0.03 * down, 0.85, -0.021, time, drift[1])
        cv2.addWeighted(field, 1.0 - hand.grain, fine, hand.grain, 0.0, dst=field)
        hue = 0.022 * time + 0.13 * np.sin(2.3 * x + 0.11 * time + drift[2]) + 0.10 * np.sin(3.1 * y - 0.09 * time)
        hue_map = enlarged((hue - math.floor(float(hue.min()))) * HUES, self._size)
        cv2.scaleAdd(fine, 0.05 * HUES, hue_map, dst=hue_map)
        np.clip(hue_map, 0.0, 3.0 * HUES - 2.0, out=hue_map)
        # Where it is calm and where it burns: wide regions that wander, so that a picture has a place to look at.
        mood = 0.62 + 0.38 * np.sin(2.6 * x + 1.1 * right - 0.07 * time + drift[4]) * np.sin(
            2.9 * y + 1.1 * down + 0.05 * time + drift[5]
        )
        self._mood = enlarged(mood, self._size)
        field *= np.float32(_ROWS / 6.0)
        field += np.float32(_ROWS / 2.0)
        np.clip(field, 0.0, _ROWS - 2.0, out=field)
        strokes, wet = self._strokes(time)
        paint: Floats = cv2.remap(strokes, hue_map, field, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        damp: Floats = cv2.remap(wet, np.zeros_like(field), field, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        damp *= self._mood
        cv2.multiply(paint, cv2.merge((self._mood, self._mood, self._mood)), dst=paint, scale=1.55)
        return paint, damp

    def _sampled(
        self,
        tile: Floats,
        x: npt.NDArray[np.float64],
        y: npt.NDArray[np.float64],
        span: float,
        turn: float,
        time: float,
        phase: float,
    ) -> Floats:
        """Return the part of a tile that is under the picture now: it drifts, turns and breathes."""
        angle = phase + turn * time
        reach = span * TILE * (1.0 + 0.12 * math.sin(0.05 * time + phase))
        across, along = math.cos(angle), math.sin(angle)
        u, v = (x * across + y * along) * reach, (y * across - x * along) * reach * self._hand.stretch
        # The tile is there twice: from its middle, half of it is left on every side.
        u += TILE + (0.031 * TILE * time * math.cos(phase * 3.0) + phase * 100.0) % TILE - TILE / 2
        v += TILE + (0.031 * TILE * time * math.sin(phase * 3.0) + phase * 210.0) % TILE - TILE / 2
        found: Floats = cv2.remap(
            tile, enlarged(u, self._size), enlarged(v, self._size), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
        )
        return found

    def _strokes(self, time: float) -> tuple[Floats, Floats]:
        """Return the colours ``(_ROWS, 3·HUES, 3)`` along the field's values, and how wet each is ``(_ROWS, 1)``."""
        value = (np.arange(_ROWS) + 0.5) / _ROWS * 6.0 - 3.0
        phase = value * self._hand.lines - 0.045 * time
        apart = np.abs((phase + 0.5) % 1.0 - 0.5) / self._hand.lines
        thin = 0.055 - 0.035 * self._hand.thin
        core, halo = np.exp(-((apart / thin) ** 2)), np.exp(-apart / (4.5 * thin))
        # No two strokes are equally bright, and each swells and wanes.
        line = np.floor(phase + 0.5)
        bright = 0.62 + 0.38 * np.sin(2.4 * line + 0.31 * time + self._drift[3])
        tone = 0.14 + bright * (0.84 * halo + 0.50 * core)
        rows = np.clip(tone * (TONES - 1), 0, TONES - 1)
        low = np.minimum(rows.astype(int), TONES - 2)
        part = (rows - low)[:, None, None].astype(np.float32)
        colours = self.inks[low] * (1 - part) + self.inks[low + 1] * part
        wet = (0.06 + bright * (0.25 * halo + 0.75 * core)).astype(np.float32)[:, None]
        return np.ascontiguousarray(np.concatenate((colours, colours, colours), axis=1), dtype=np.float32), wet


def _mixed(state: dict[str, npt.NDArray[np.generic]]) -> Floats:
    """Return the inks at the state's age: from the last prompt's to this one's."""
    inks = np.asarray(state["inks"], np.float32)
    share = min(max(float(state["age"][0]) / _GLIDE, 0.0), 1.0)
    share = share * share * (3.0 - 2.0 * share)
    mixed: Floats = inks[0] + np.float32(share) * (inks[1] - inks[0])
    return mixed


def _coded(picture: Floats) -> Pixels16:
    coded: Pixels16 = np.rint(picture * np.float32(65535)).astype(np.uint16)
    return coded


def _letters(prompt: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(prompt.strip().encode() or b" ", np.uint8).copy()


def _text(letters: npt.NDArray[np.generic]) -> str:
    return bytes(np.asarray(letters, np.uint8)).decode().strip()


def make_builtin(options: Mapping[str, object]) -> Builtin:
    """Make it; it has no options.

    Raises:
        UsageError: if there are some.
    """
    if options:
        raise UsageError(f"the continuation builtin has no options, not even {', '.join(sorted(options))}")
    return Builtin()
