"""Corrections of 8-bit pictures in the time that a live frame has.

All steps but the ceiling are linear, so they may change places: the colour matrix and the gains of single px are one
product on the full picture; everything coarser is worked out in a quarter of the width and height, with the noise, and
enlarged once. Sums are 16-bit integers of 1/64 code value, or of 1/256 where colours alone change, rounded by chance;
blocks of rows stay in the cache, so alpha is taken off and put back block by block too.
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

ROWS = 72
"""Rows worked on at once, a multiple of 3 and 4: few calls a picture, and what they work on stays in the cache."""
_UNIT = 64
"""Parts of a code value, where sums may leave 0-255 before all is added."""
_SCALE = 256
"""Parts of a code value where there is nothing but colours: sums, less half of all, end just where 16 bits do."""
_SPARE = 61
"""Columns of noise more than the picture has, so that each block of rows gets another part of it."""
_BANK = 1 << 19
_TURN = {_UNIT: 39, _SCALE: 159}
"""Each picture rounds on by so many parts, the golden section of all: a px that was rounded up is rounded down next."""
_TOP_BIT = np.uint8(0x80)
_COLOURS = np.array((255, 255, 255, 0), np.uint8).view(np.uint32)[0]
"""What of an RGBA px, taken as one number, is colour."""
_OPAQUE = np.uint32(0xFFFF_FFFF)
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
        height, width, _ = pixels.shape
        share = 0.0 if anchor is None else fix.anchor
        out: Bytes = np.empty(pixels.shape, np.uint8)
        if fix.gains == (1.0, 1.0, 1.0) and not any(fix.noise) and fix.ceiling <= 0.0 and share <= 0.0:
            self._recolour(pixels, fix, out)
            return out
        chance = np.random.Generator(np.random.Philox(key=(self._seed, fix.number & 0xFFFF_FFFF)))
        colour = np.array(fix.colour, np.float32).reshape(3, 4)
        colour[:, 3] *= 255.0
        unit = np.float32(_UNIT * (1.0 - share))
        field = self._field(pixels, unit * colour, fix, unit, chance)
        grain = self._grain(width, unit, fix, chance)
        shifts = chance.integers(_SPARE, size=-(-height // ROWS)).tolist()
        for block, top in enumerate(range(0, height, ROWS)):
            end = min(top + ROWS, height)
            words = _coloured(pixels, top, end, unit * colour, fix, float(unit))
            # Sums stay at their ends where numpy's would wrap around.
            if field is not None:
                cv2.add(words, _enlarged(field, top, end, width), dst=words)
            if anchor is not None and share > 0.0:
                part = np.multiply(anchor[top:end], np.float32(_UNIT * share)).astype(np.int16)
                cv2.add(words, part, dst=words)
            shift = shifts[block] if grain.shape[1] > width else 0
            cv2.add(words, grain[: end - top, shift : shift + width], dst=words)
            words >>= 6
            np.clip(words, 0, 255, out=words)
            _put(words, pixels[top:end], out[top:end])
        return out

    def _recolour(self, pixels: Bytes, fix: Correction, out: Bytes) -> None:
        """Write the picture to ``out`` with its colours corrected, which is all there is to do most of the time.

        Sums start half the range lower and stay at the ends of 16 bits, which is where 0 and 255 are: their upper byte
        is the code value but for its top bit, and there is nothing to clip.
        """
        height, width, _ = pixels.shape
        colour = np.array(fix.colour, np.float32).reshape(3, 4) * np.float32(_SCALE)
        colour[:, 3] = colour[:, 3] * 255.0 - 32768.0
        parts = self._parts(width, _SCALE, fix.number)
        for top in range(0, height, ROWS):
            end = min(top + ROWS, height)
            words = _coloured(pixels, top, end, colour, fix, _SCALE)
            cv2.add(words, parts[: end - top], dst=words)
            words >>= 8
            _put(words, pixels[top:end], out[top:end], flipped=True)

    def _parts(self, width: int, unit: int, number: int) -> Words:
        """Return what rounding by chance adds to a block of rows, ``(ROWS, W, 3)``: 0 to ``unit`` - 1."""
        turned = np.add(_dither(width, self._seed), np.uint8(_TURN[unit] * number & 0xFF))
        turned &= np.uint8(unit - 1)
        words: Words = _array("grain words", turned.shape, np.int16)
        np.copyto(words, turned)
        return words

    def _white(self, count: int, width: int, chance: np.random.Generator) -> Floats:
        """Return ``(count, width, 3)`` of white noise: some part of what was drawn once."""
        need = count * width * 3
        if self._bank.size < 2 * need:
            size = max(_BANK, 2 * need)
            self._bank = np.random.Generator(np.random.Philox(self._seed)).standard_normal(size, np.float32)
        start = int(chance.integers(self._bank.size - need))
        return self._bank[start : start + need].reshape(count, width, 3)

    def _field(
        self, pixels: Bytes, colour: Floats, fix: Correction, unit: np.float32, chance: np.random.Generator
    ) -> Words | None:
        """Return what is to be added of all that is coarser than the fine band, in a quarter of the width and height.

        Parts of a code value, ``(h, w, 3)``; None if there is nothing.
        """
        _, middle, coarse = fix.gains
        height, width = pixels.shape[:2]
        # As many as the sixteenth has, four times: what lies at the edge comes from beyond it too.
        high, wide = -(-height // 16) * 4, -(-width // 16) * 4
        field: Floats | None = None
        if middle != 1.0 or coarse != 1.0:
            quarter = _quarter(pixels, fix.number)
            sixteenth = cv2.transform(_means(quarter), np.float32(1.0 - coarse) * colour)
            down, right = high - quarter.shape[0], wide - quarter.shape[1]
            quarter = cv2.copyMakeBorder(quarter, 0, down, 0, right, cv2.BORDER_REPLICATE)
            field = cv2.transform(quarter, np.float32(coarse - middle) * colour).reshape(high, wide, 3)
            field += _larger(sixteenth.reshape(high // 4, wide // 4, 3), 4)
        if fix.noise[2] > 0.0:
            tint = 255.0 * unit * np.array(fix.tint, np.float32).reshape(3, 3)
            amount = fix.noise[2] / (_kept(height, 4, 2) * _kept(width, 4, 2))
            white = self._white(high // 2, wide // 2, chance)
            grain = _larger(cv2.transform(white, np.float32(amount) * tint).reshape(white.shape), 2)
            field = grain if field is None else np.add(field, grain, out=field)
        if field is None:
            return None
        np.clip(np.rint(field, out=field), -32768, 32767, out=field)
        return field.astype(np.int16)

    def _grain(self, width: int, unit: np.float32, fix: Correction, chance: np.random.Generator) -> Words:
        """Return the fine and middle noise of one block of rows, and what the rounding by chance adds.

        Parts of a code value, ``(ROWS, W, 3)``, and some more columns if there is noise.
        """
        fine, middle, _ = fix.noise
        noisy = fine > 0.0 or middle > 0.0
        wide = -(-(width + _SPARE) // 3) * 3 if noisy else width
        words = self._parts(wide, _UNIT, fix.number)
        if not noisy:
            return words
        tint = 255.0 * unit * np.array(fix.tint, np.float32).reshape(3, 3)
        grain = _array("grain", (ROWS, wide, 3), np.float32)
        if fine > 0.0:
            cv2.transform(self._white(ROWS, wide, chance), np.float32(fine) * tint, dst=grain)
        else:
            grain[:] = 0.0
        if middle > 0.0:
            white = self._white(ROWS // 3, wide // 3, chance)
            amount = np.float32(middle / (_kept(ROWS, 3, 1) * _kept(wide, 3, 1)))
            grain += _larger(cv2.transform(white, amount * tint).reshape(white.shape), 3)
        noise = _array("noise words", grain.shape, np.int16)
        np.copyto(noise, grain, casting="unsafe")
        words += noise
        return words


def _coloured(pixels: Bytes, top: int, end: int, colour: Floats, fix: Correction, unit: float) -> Words:
    """Return rows ``top`` to ``end`` with their colours, the fine and the middle band gained: parts of a code value.

    Args:
        pixels: all rows.
        colour: 3 × 4 matrix to parts of a code value.
        fix: for the gains and the ceiling.
        unit: parts of a code value.
    """
    width, channels = pixels.shape[1:]
    fine, middle, _ = fix.gains
    linear = middle == fine and fix.ceiling <= 0.0
    # Two rows more above and below, as the binomial takes them.
    first, last = (top, end) if linear else (max(top - 2, 0), min(end + 2, len(pixels)))
    here = slice(top - first, end - first)
    rgb = pixels[first:last]
    if channels == 4:
        rgb = _array("rgb", (ROWS + 4, width, 3), np.uint8)[: last - first]
        cv2.cvtColor(pixels[first:last], cv2.COLOR_RGBA2RGB, dst=rgb)
    words, source, other = (_words(name, end - top, width) for name in ("words", "source", "other"))
    np.copyto(source, rgb[here])
    if linear:
        cv2.transform(source, np.float32(fine) * colour, dst=words)
        return words
    blur = _array("blur", (ROWS + 4, width, 3), np.uint8)[: last - first]
    cv2.GaussianBlur(rgb, (5, 5), 0, dst=blur, borderType=cv2.BORDER_REPLICATE)
    np.copyto(other, blur[here])
    if fix.ceiling > 0.0:
        source -= other
        cv2.transform(source, np.float32(fine) * colour[:, :3], dst=words)
        _bend(words, 255.0 * unit * fix.ceiling)
        cv2.transform(other, np.float32(middle) * colour, dst=source)
    else:
        rest = np.float32(middle - fine) * colour
        rest[:, 3] = middle * colour[:, 3]
        cv2.transform(source, np.column_stack((np.float32(fine) * colour[:, :3], np.zeros(3, np.float32))), dst=words)
        cv2.transform(other, rest, dst=source)
    cv2.add(words, source, dst=words)
    return words


def _put(words: Words, pixels: Bytes, out: Bytes, flipped: bool = False) -> None:
    """Write colours to rows of the picture, with the alpha that ``pixels`` have, if any.

    Args:
        words: 0-255; -128 to 127 where ``flipped``.
        pixels: the rows before.
        out: the rows to be written.
        flipped: whether half of all was taken off.
    """
    whole = pixels.shape[2] == 3
    rgb = out if whole else _array("rgb", (ROWS + 4, words.shape[1], 3), np.uint8)[: len(words)]
    np.copyto(rgb, words, casting="unsafe")
    if flipped:
        rgb ^= _TOP_BIT
    if whole:
        return
    cv2.cvtColor(rgb, cv2.COLOR_RGB2RGBA, dst=out)
    given = pixels.view(np.uint32)
    # Most pictures are opaque, which is soon seen.
    if np.bitwise_and.reduce(given, axis=None) | _COLOURS != _OPAQUE:
        seen = out.view(np.uint32)
        seen &= given | _COLOURS


def _larger(cells: Floats, times: int) -> Floats:
    """Return cells ``(h, w, 3)`` enlarged bilinearly."""
    high, wide = cells.shape[0] * times, cells.shape[1] * times
    whole: Floats = cv2.resize(cells, (wide, high), interpolation=cv2.INTER_LINEAR)
    return whole.reshape(high, wide, 3)


@lru_cache(maxsize=4)
def _dither(width: int, seed: int) -> Bytes:
    """Return ``(ROWS, W, 3)`` of all bytes alike: adding some of their bits, and leaving the parts out, is fair."""
    random = np.random.Generator(np.random.Philox(key=(seed, width)))
    return random.integers(0, 256, (ROWS, width, 3), np.uint8)


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


def _quarter(pixels: Bytes, number: int) -> Floats:
    """Return means over 4 × 4 px, the last px repeated, ``(⌈H/4⌉, ⌈W/4⌉, 3)``.

    Halving twice in 8 bit rounds halves up. Every second picture is halved as its negative, which rounds them down: a
    bias would add up over pictures.
    """
    down, right = -pixels.shape[0] % 4, -pixels.shape[1] % 4
    if down or right:
        pixels = cv2.copyMakeBorder(pixels, 0, down, 0, right, cv2.BORDER_REPLICATE)
    if number % 2:
        pixels = np.bitwise_not(pixels, out=_array("negative", pixels.shape, np.uint8))
    height, width, channels = pixels.shape
    half = _array("half", (height // 2, width // 2, channels), np.uint8)
    cv2.resize(pixels, (width // 2, height // 2), dst=half, interpolation=cv2.INTER_AREA)
    found = cv2.resize(half, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    means: Floats = found.reshape(height // 4, width // 4, channels)[..., :3].astype(np.float32)
    if number % 2:
        np.subtract(np.float32(255.0), means, out=means)
    return means


def _means(picture: Floats) -> Floats:
    """Return means over 4 × 4 px, the last px repeated."""
    down, right = -picture.shape[0] % 4, -picture.shape[1] % 4
    if down or right:
        picture = cv2.copyMakeBorder(picture, 0, down, 0, right, cv2.BORDER_REPLICATE)
    height, width = picture.shape[0] // 4, picture.shape[1] // 4
    found: Floats = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return found.reshape(height, width, 3)


def _words(name: str, rows: int, width: int) -> Words:
    """Return ``(rows, W, 3)`` with anything in it: the same memory for the last block, which has fewer rows."""
    words: Words = _array(name, (ROWS, width, 3), np.int16)[:rows]
    return words


def _bend(single: Words, ceiling: float) -> None:
    """Bend the fine band down where it nears ``ceiling``, both in parts of a code value."""
    rows, width, _ = single.shape
    values, limit, root = (_array(name, (ROWS, width, 3), np.float32)[:rows] for name in ("bent", "limit", "root"))
    np.copyto(values, single)
    limit.fill(max(ceiling, 1.0))
    cv2.magnitude(values, limit, magnitude=root)
    cv2.divide(values, root, dst=values, scale=max(ceiling, 1.0))
    np.copyto(single, values, casting="unsafe")


def _enlarged(field: Words, top: int, end: int, width: int) -> Words:
    """Return rows ``top`` to ``end`` of the field enlarged."""
    # One more cell above and below, as what is between two cells comes from both.
    first, last = max(top // 4 - 1, 0), min(-(-end // 4) + 1, len(field))
    high, wide = (last - first) * 4, field.shape[1] * 4
    whole = _array("enlarged", (high, wide, 3), np.int16)
    cv2.resize(field[first:last], (wide, high), dst=whole)
    return whole[top - first * 4 : end - first * 4, :width]
