"""Corrections of 8-bit pictures in the time that a live frame has.

All steps but the ceiling are linear, so they may change places: the colour matrix and the gains of single px are one
product on the full picture; everything coarser is worked out in a quarter of the width and height, with the noise, and
enlarged once. Sums are 16-bit integers of 1/64 code value, rounded by chance; blocks of rows stay in the cache.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.core.correction import Correction
from vjengine.stabilise.colours import Floats
from vjengine.stabilise.copies import Bytes
from vjengine.stabilise.scratch import Scratch

Words = npt.NDArray[np.int16]

ROWS = 48
"""Rows worked on at once, a multiple of 3 and 4."""
_UNIT = 64
"""Parts of a code value."""
_SPARE = 61
"""Columns of noise more than the picture has, so that each block of rows gets another part of it."""
_BANK = 1 << 19
_TURN = 39
"""Each picture rounds on by so many parts, the golden section of all: a px that was rounded up is rounded down next."""
_array = Scratch().get


class FastApplier:
    """Applies checked corrections to uint8 pictures.

    Args:
        seed: of the noise.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed & 0xFFFF_FFFF
        self._bank: Floats = np.zeros(0, np.float32)

    def apply(self, pixels: Bytes, fix: Correction, anchor: Bytes | None) -> Bytes:
        """Return ``(H, W, 3 or 4)`` uint8 corrected; alpha as it was.

        Args:
            pixels: contiguous.
            fix: within its limits.
            anchor: ``(H, W, 3)`` uint8, or None.
        """
        height, width, channels = pixels.shape
        share = 0.0 if anchor is None else fix.anchor
        chance = np.random.Generator(np.random.Philox(key=(self._seed, fix.number & 0xFFFF_FFFF)))
        rgb = pixels
        if channels == 4:
            rgb = cv2.cvtColor(pixels, cv2.COLOR_RGBA2RGB, dst=_array("rgb", (height, width, 3), np.uint8))
        colour = np.array(fix.colour, np.float32).reshape(3, 4)
        colour[:, 3] *= 255.0
        unit = np.float32(_UNIT * (1.0 - share))
        fine, middle, _ = fix.gains
        field = self._field(rgb, colour, fix, chance)
        grain = self._grain(width, unit, fix, chance)
        dither = _array("dither", (ROWS, width, 3), np.int16)
        np.add(_dither(width, self._seed), _TURN * fix.number % _UNIT, out=dither)
        dither &= _UNIT - 1
        size = (height, width, 3)
        out: Bytes = np.empty(size, np.uint8) if channels == 3 else _array("out", size, np.uint8)
        for top in range(0, height, ROWS):
            end = min(top + ROWS, height)
            size = (end - top, width, 3)
            words: Words = _array("words", size, np.int16)
            source = _array("source", size, np.int16)
            if middle == fine and fix.ceiling <= 0.0:
                np.copyto(source, rgb[top:end])
                cv2.transform(source, unit * fine * colour, dst=words)
            else:
                blur = _blurred(rgb, top, end)
                np.subtract(rgb[top:end], blur, out=source, dtype=np.int16)
                single = _array("single", size, np.int16)
                cv2.transform(source, unit * fine * colour[:, :3], dst=single)
                if fix.ceiling > 0.0:
                    _bend(single, 255.0 * float(unit) * fix.ceiling)
                np.copyto(source, blur)
                cv2.transform(source, unit * middle * colour, dst=words)
                cv2.add(words, single, dst=words)
            if field is not None:
                cv2.add(words, _enlarged(field, top, end, width, unit), dst=words)
            if anchor is not None and share > 0.0:
                part = np.multiply(anchor[top:end], np.float32(_UNIT * share)).astype(np.int16)
                cv2.add(words, part, dst=words)
            # Sums stay at their ends where numpy's would wrap around.
            if grain is not None:
                shift = int(chance.integers(_SPARE))
                cv2.add(words, grain[: end - top, shift : shift + width], dst=words)
            cv2.add(words, dither[: end - top], dst=words)
            words >>= 6
            np.clip(words, 0, 255, out=words)
            np.copyto(out[top:end], words, casting="unsafe")
        if channels == 3:
            return out
        found: Bytes = cv2.cvtColor(out, cv2.COLOR_RGB2RGBA)
        found[..., 3] = pixels[..., 3]
        return found

    def _white(self, count: int, width: int, chance: np.random.Generator) -> Floats:
        """Return ``(count, width, 3)`` of white noise: some part of what was drawn once."""
        need = count * width * 3
        if self._bank.size < 2 * need:
            size = max(_BANK, 2 * need)
            self._bank = np.random.Generator(np.random.Philox(self._seed)).standard_normal(size, np.float32)
        start = int(chance.integers(self._bank.size - need))
        return self._bank[start : start + need].reshape(count, width, 3)

    def _field(self, rgb: Bytes, colour: Floats, fix: Correction, chance: np.random.Generator) -> Floats | None:
        """Return what is to be added of all that is coarser than the fine band, in a quarter of the width and height.

        Code values 0-255, ``(h, w, 3)``; None if there is nothing.
        """
        _, middle, coarse = fix.gains
        height, width = rgb.shape[:2]
        # As many as the sixteenth has, four times: what lies at the edge comes from beyond it too.
        high, wide = -(-height // 16) * 4, -(-width // 16) * 4
        field: Floats | None = None
        if middle != 1.0 or coarse != 1.0:
            quarter = _means(rgb)
            sixteenth = _means(quarter)
            down, right = high - quarter.shape[0], wide - quarter.shape[1]
            quarter = cv2.copyMakeBorder(quarter, 0, down, 0, right, cv2.BORDER_REPLICATE)
            field = (coarse - middle) * cv2.transform(quarter, colour).reshape(high, wide, 3)
            field += (1.0 - coarse) * _larger(cv2.transform(sixteenth, colour).reshape(sixteenth.shape), 4)
        if fix.noise[2] > 0.0:
            tint = 255.0 * np.array(fix.tint, np.float32).reshape(3, 3)
            amount = fix.noise[2] / (_kept(height, 4, 2) * _kept(width, 4, 2))
            white = self._white(high // 2, wide // 2, chance)
            grain = _larger(cv2.transform(white, np.float32(amount) * tint).reshape(white.shape), 2)
            field = grain if field is None else field + grain
        return field

    def _grain(self, width: int, unit: np.float32, fix: Correction, chance: np.random.Generator) -> Words | None:
        """Return the fine and middle noise of one block of rows, ``(ROWS, W + spare, 3)``; None if there is none."""
        fine, middle, _ = fix.noise
        if fine <= 0.0 and middle <= 0.0:
            return None
        wide = -(-(width + _SPARE) // 3) * 3
        tint = 255.0 * unit * np.array(fix.tint, np.float32).reshape(3, 3)
        grain = _array("grain", (ROWS, wide, 3), np.float32)
        grain[:] = 0.0
        if fine > 0.0:
            cv2.transform(self._white(ROWS, wide, chance), np.float32(fine) * tint, dst=grain)
        if middle > 0.0:
            white = self._white(ROWS // 3, wide // 3, chance)
            amount = np.float32(middle / (_kept(ROWS, 3, 1) * _kept(wide, 3, 1)))
            grain += _larger(cv2.transform(white, amount * tint).reshape(white.shape), 3)
        words: Words = _array("grain words", grain.shape, np.int16)
        np.copyto(words, grain, casting="unsafe")
        return words


def _larger(cells: Floats, times: int) -> Floats:
    """Return cells ``(h, w, 3)`` enlarged bilinearly."""
    high, wide = cells.shape[0] * times, cells.shape[1] * times
    whole: Floats = cv2.resize(cells, (wide, high), interpolation=cv2.INTER_LINEAR)
    return whole.reshape(high, wide, 3)


@lru_cache(maxsize=4)
def _dither(width: int, seed: int) -> Words:
    """Return ``(ROWS, W, 3)`` of 0 to 63 parts of a code value: adding them, and leaving the parts out, is fair."""
    random = np.random.Generator(np.random.Philox(key=(seed, width)))
    return random.integers(0, _UNIT, (ROWS, width, 3), np.int16)


@lru_cache(maxsize=32)
def _kept(length: int, first: int, then: int) -> float:
    """Return what is left, along one side of ``length`` px, of the RMS of noise enlarged ``first`` and ``then`` times.

    Args:
        first: how many times it is enlarged to px.
        then: how many times before that.
    """
    cells = -(-length // first)
    count = -(-cells // then)
    each = np.eye(count, dtype=np.float32)
    if then > 1:
        each = cv2.resize(each, (count * then, count)).reshape(count, -1)[:, :cells]
    each = cv2.resize(np.ascontiguousarray(each), (cells * first, count)).reshape(count, -1)[:, :length]
    return float(np.sqrt((each**2).sum(axis=0).mean()))


def _means(picture: npt.NDArray[np.uint8] | Floats) -> Floats:
    """Return means over 4 × 4 px, the last px repeated, not rounded: a bias would add up over pictures."""
    down, right = -picture.shape[0] % 4, -picture.shape[1] % 4
    if down or right:
        picture = cv2.copyMakeBorder(picture, 0, down, 0, right, cv2.BORDER_REPLICATE)
    height, width = picture.shape[0] // 4, picture.shape[1] // 4
    kind = np.uint16 if picture.dtype == np.uint8 else np.float32
    four = picture.reshape(height, 4, width * 4, 3)
    lines = np.add(four[:, 0], four[:, 1], dtype=kind)
    lines += four[:, 2]
    lines += four[:, 3]
    found: Floats = cv2.resize(lines.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    return found.reshape(height, width, 3) * np.float32(0.25)


def _blurred(rgb: Bytes, top: int, end: int) -> Bytes:
    """Return rows ``top`` to ``end`` under the binomial."""
    above, below = max(top - 2, 0), min(end + 2, len(rgb))
    blur: Bytes = cv2.GaussianBlur(rgb[above:below], (5, 5), 0, borderType=cv2.BORDER_REPLICATE)
    return blur.reshape(below - above, -1, 3)[top - above : end - above]


def _bend(single: Words, ceiling: float) -> None:
    """Bend the fine band down where it nears ``ceiling``, both in parts of a code value."""
    values = np.multiply(single, np.float32(1.0 / max(ceiling, 1.0)), out=_array("bent", single.shape, np.float32))
    values *= values
    values += 1.0
    np.sqrt(values, out=values)
    np.divide(single, values, out=single, casting="unsafe")


def _enlarged(field: Floats, top: int, end: int, width: int, unit: np.float32) -> Words:
    """Return rows ``top`` to ``end`` of the field enlarged, in parts of a code value."""
    # One more cell above and below, as what is between two cells comes from both.
    first, last = max(top // 4 - 1, 0), min(-(-end // 4) + 1, len(field))
    cells = np.clip(np.rint(field[first:last] * unit), -32768, 32767).astype(np.int16)
    high, wide = (last - first) * 4, field.shape[1] * 4
    whole: Words = cv2.resize(cells, (wide, high), dst=_array("enlarged", (high, wide, 3), np.int16))
    return whole.reshape(high, wide, 3)[top - first * 4 : end - first * 4, :width]
