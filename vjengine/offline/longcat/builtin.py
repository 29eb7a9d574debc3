"""The continuation that needs nothing: the last picture drifts along currents while new light is painted into it.

The picture itself is what is carried, so it may begin with anyone's image, and a correction made to it stays. What is
painted is ink along the contours of two slow fields of noise, by the hand that the prompt's words call for, in their
palette or in the picture's own colours; it never freezes, fades to grey or comes round again, since it is drawn anew
all the time and currents, fields and hues have no common period.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.errors import UsageError
from vjengine.offline.continuation import Ask, Carried, Clip, Need, Opening, Pixels16, Watcher
from vjengine.offline.longcat.brush import Brush, mixed_gain, sheet_size
from vjengine.offline.longcat.field import TILE
from vjengine.offline.longcat.hands import hand_of
from vjengine.offline.longcat.inks import HUES, TONES, inks_of_picture, inks_of_prompt

Floats = npt.NDArray[np.float32]
State = dict[str, npt.NDArray[np.generic]]

VERSION = "2"
_BEFORE = 4.0
"""s that are painted before the first picture is shown: a film begins with a picture, not with an empty sheet."""
_STEPS = 48
"""Steps that those take."""
_GLIDE = 3.0
"""s in which one prompt's inks and strokes become the next one's."""
_UNVEIL = 4.0
"""s in which light and strokes come up over a picture that was given: the film begins with just that picture."""


class Builtin:
    """A :class:`~vjengine.offline.continuation.Continuation` of numpy and OpenCV alone; any size, on any machine."""

    name = "builtin"
    version = f"builtin {VERSION}"
    deterministic = True
    chunk = 48
    tail = 1

    def __init__(self) -> None:
        self._brushes: dict[tuple[tuple[int, int], bytes], Brush] = {}

    def need(self, size: tuple[int, int], frames: int) -> Need:
        """Estimate the memory of a chunk: two clips, one made and one written, and some planes to paint with."""
        pixels, sheet = size[0] * size[1], math.prod(sheet_size(size))
        planes = pixels * 40.0 + sheet * 4.0 * 24 + 2 * 4 * 4.0 * TILE * TILE
        return Need(0.0, (2 * pixels * 6.0 * frames + planes) / 2**20, f"{frames} pictures in 16 bit, twice")

    def open(self, opening: Opening, size: tuple[int, int], watcher: Watcher) -> Carried:
        """Take the pictures given, or paint the first one from the prompt and the seed."""
        seed = opening.seed & 0xFFFF_FFFF_FFFF
        state: State = {
            "seed": np.array([seed], np.int64),
            "time": np.array([0.0]),
            "inks": np.zeros((2, TONES, HUES, 3), np.float32),
            "age": np.array([_GLIDE]),
            "prompt": _letters(opening.prompt),
            "before": _letters(opening.prompt),
            "gain": np.array([1.0]),
            "veil": np.array([_UNVEIL]),
            "rest": np.zeros((0, 0, 3), np.float32),
        }
        if opening.pictures is not None:
            frames = np.ascontiguousarray(opening.pictures[-self.tail :])
            inks = inks_of_prompt(opening.prompt) if opening.prompt else inks_of_picture(frames[-1])
            state["inks"][:] = inks
            state["veil"][0] = 0.0
            sheet = _fitted(frames[-1])
            state["sheet"], state["shown"] = sheet, sheet
            state["rest"] = _rest(frames[-1], sheet)
            return Carried(frames, frames[-1], state)
        inks = inks_of_prompt(opening.prompt)
        state["inks"][:] = inks
        brush = self._brush(size, state)
        sheet = np.full((*brush.sheet[::-1], 3), 0.25, np.float32)
        gain, dt = 1.0, _BEFORE / _STEPS
        for step in range(_STEPS):
            watcher.alive("painting the first picture", step / _STEPS)
            time = (step + 1 - _STEPS) * dt
            sheet, field, mood = brush.step(sheet, inks, _NO_WHIRL, time, dt, 0.5, 0.0, gain)
            gain = mixed_gain(gain, sheet, 2 * dt)
        first = np.empty((1, size[1], size[0], 3), np.uint16)
        brush.show(first[0], sheet, inks, field, mood, 0.0, 0.0, 1.0)
        state["gain"][0] = gain
        state["sheet"], state["shown"] = sheet, _fitted(first[0])
        return Carried(first, first[0], state)

    def extend(self, carried: Carried, ask: Ask, watcher: Watcher) -> Clip:
        """Paint ``ask.frames`` more."""
        state: State = {name: np.array(value) for name, value in carried.state.items()}
        height, width = carried.frames.shape[1:3]
        if ask.prompt and _text(state["prompt"]) != ask.prompt.strip():
            state["inks"][0] = _mixed(state)
            state["inks"][1] = inks_of_prompt(ask.prompt)
            state["before"] = _letters(_text(state["before"] if _share(state) < 0.5 else state["prompt"]))
            state["age"][0], state["prompt"] = 0.0, _letters(ask.prompt)
        # Whatever was done to the last picture since it was handed out is taken over.
        sheet = np.asarray(state["sheet"], np.float32)
        changed = _fitted(carried.frames[-1]) - np.asarray(state["shown"], np.float32)
        sheet = np.clip(sheet + changed, np.float32(0), np.float32(1))
        dt = 1.0 / float(ask.fps)
        gain, rest = float(state["gain"][0]), np.asarray(state["rest"], np.float32)
        frames = np.empty((ask.frames, height, width, 3), np.uint16)
        for k in range(ask.frames):
            watcher.alive("painting", k / ask.frames)
            pulse = ask.pulse[k] if k < len(ask.pulse) else 0.0
            state["time"][0] += dt * (0.45 + 1.1 * ask.motion + 0.6 * pulse)
            for clock in ("age", "veil"):
                state[clock][0] += dt
            time, bare = float(state["time"][0]), min(float(state["veil"][0]) / _UNVEIL, 1.0)
            inks, share = _mixed(state), _share(state)
            brush = self._brush((width, height), state)
            whirl = _whirl(ask.seed, k / ask.frames)
            sheet, field, mood = brush.step(
                sheet, inks, whirl, time, dt, ask.motion, pulse, gain, 0.12 + 0.88 * bare * bare
            )
            gain = mixed_gain(gain, sheet, dt)
            # Two hands never draw at once: the light of one goes out before the other's comes up.
            veil = bare * bare * (3.0 - 2.0 * bare) * abs(2.0 * share - 1.0)
            brush.show(frames[k], sheet, inks, field, mood, time, pulse, veil)
            if rest.size and bare < 0.5:
                rest = brush.dragged(rest)
                frames[k] = np.clip(frames[k] + rest * np.float32(1.0 - 2.0 * bare), 0, 65535).astype(np.uint16)
        state["rest"] = rest if float(state["veil"][0]) * 2.0 < _UNVEIL else np.zeros((0, 0, 3), np.float32)
        state["sheet"], state["shown"] = sheet, _fitted(frames[-1])
        state["gain"][0] = gain
        return Clip(frames, state, {"seed": ask.seed})

    def _brush(self, size: tuple[int, int], state: State) -> Brush:
        """Return the brush of the prompt that is drawn now; each prompt has fields of its own."""
        letters = np.asarray(state["before"] if _share(state) < 0.5 else state["prompt"], np.uint8).tobytes()
        digest = hashlib.sha256(letters + int(state["seed"][0]).to_bytes(8, "little")).digest()
        key = size, digest
        if key not in self._brushes:
            while len(self._brushes) >= 2:
                del self._brushes[next(iter(self._brushes))]
            self._brushes[key] = Brush(size, hand_of(letters.decode()), int.from_bytes(digest[:6], "little"))
        return self._brushes[key]

    def lighten(self) -> str:
        """Nothing of it can be made lighter; fewer pictures at once are up to whoever asks."""
        return ""

    def close(self) -> None:
        """Let go of the brushes."""
        self._brushes.clear()


_NO_WHIRL = (0.0, 0.0, 0.0, 1.0, 0.0)


def _whirl(seed: int, part: float) -> tuple[float, float, float, float, float]:
    """Return the whirl of one chunk alone: it swells and dies within it, so that no seam is seen."""
    random = np.random.Generator(np.random.Philox(key=seed))
    x, y = random.uniform(-0.35, 0.35, 2)
    spin = random.choice((-1.0, 1.0)) * random.uniform(0.5, 1.0)
    return float(x), float(y), float(spin), float(random.uniform(0.08, 0.2)), math.sin(math.pi * part) ** 2


def _share(state: State) -> float:
    """Return how far the newest prompt has come, 0-1."""
    share = min(max(float(state["age"][0]) / _GLIDE, 0.0), 1.0)
    return share * share * (3.0 - 2.0 * share)


def _mixed(state: State) -> Floats:
    """Return the inks at the state's age: from the last prompt's to this one's."""
    inks = np.asarray(state["inks"], np.float32)
    share = _share(state)
    if share >= 1.0:
        return np.asarray(inks[1], np.float32)
    glided: Floats = inks[0] + np.float32(share) * (inks[1] - inks[0])
    return glided


def _fitted(picture: Pixels16) -> Floats:
    """Return ``(H, W, 3)`` in the size of its sheet, float32 0-1."""
    size = picture.shape[1], picture.shape[0]
    sheet = sheet_size(size)
    small = picture if sheet == size else cv2.resize(picture, sheet, interpolation=cv2.INTER_AREA)
    fitted: Floats = small.astype(np.float32)
    fitted *= np.float32(1 / 65535)
    return fitted


def _rest(picture: Pixels16, sheet: Floats) -> Floats:
    """Return what of a picture ``(H, W, 3)`` its sheet is too small for, float32; nothing where it is not."""
    size = picture.shape[1], picture.shape[0]
    if sheet.shape[:2] == picture.shape[:2]:
        return np.zeros((0, 0, 3), np.float32)
    rough = cv2.resize((sheet * np.float32(65535)).astype(np.uint16), size, interpolation=cv2.INTER_CUBIC)
    rest: Floats = picture.astype(np.float32) - rough
    return rest


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
