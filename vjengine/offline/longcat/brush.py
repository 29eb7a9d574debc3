"""What paints: a sheet of colour that flows and is painted into, and light laid over it in the film's own size.

The sheet is bounded in size, whatever the film's: currents and ink are soft. What is sharp, the strokes and what floats
about, is drawn over it afresh in each picture, at full size; it is never fed back, so it never blurs.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.offline.continuation import Pixels16
from vjengine.offline.longcat.field import TILE, Currents, Folded, enlarged, noise_tile, places
from vjengine.offline.longcat.hands import Hand
from vjengine.offline.longcat.inks import HUES, TONES
from vjengine.offline.longcat.motes import Motes

Floats = npt.NDArray[np.float32]

SHEET = 512 * 288
"""Pixels of the sheet at most."""
_ROWS = 1024
"""Steps of a field in the table of light: fine enough for the thinnest stroke."""
_TONES = 256
"""Steps of a field in the table of ink, which is soft."""
_SPAN = 7.0
"""Deviations of a field that the tables cover."""
_LEVELS = 20
"""Steps from calm to burning in the table of light."""
_LIGHT = 0.33
"""Mean code value that the ink is mixed for."""


def sheet_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return (width, height) of the sheet for pictures of ``size``."""
    share = math.sqrt(SHEET / (size[0] * size[1]))
    return size if share >= 1.0 else (max(16, round(size[0] * share)), max(16, round(size[1] * share)))


class Brush:
    """Paints one prompt of one film; all that passes on is the sheet. Not for two threads at once.

    Args:
        size: (width, height) of the pictures, px.
        hand: how.
        film: seed of the film: it decides fields and currents.
    """

    def __init__(self, size: tuple[int, int], hand: Hand, film: int) -> None:
        self.size, self.sheet, self._hand = size, sheet_size(size), hand
        self._draft = max(16, self.sheet[0] // 2), max(16, self.sheet[1] // 2)
        self._currents = Currents(film, size, hand.whirls, hand.folds)
        self._coarse = noise_tile(film * 2 + 1, 400.0, 60.0, 2.1)
        self._fine = noise_tile(film * 2 + 2, 170.0, 16.0, 1.8)
        self._drift = np.random.Generator(np.random.Philox(key=film + 77)).uniform(0.0, 2.0 * math.pi, 12)
        width, height = self.sheet
        self._columns, self._rows = (
            plane.astype(np.float32) for plane in np.meshgrid(np.arange(width), np.arange(height))
        )
        x, y = places(self._draft, size)
        self._x, self._y = x, y
        folded = Folded(x, y, hand.folds)
        self._folded = folded.x, folded.y
        rough = Folded(*places((max(8, self._draft[0] // 4), max(8, self._draft[1] // 4)), size), hand.folds)
        self._rough = rough.x, rough.y
        # At the edges what flows in from outside is not known: there it is painted more, so that nothing is smeared.
        wide, high = 0.5 * size[0] / max(size), 0.5 * size[1] / max(size)
        edge = np.clip((np.maximum(np.abs(x) / wide, np.abs(y) / high) - 0.84) / 0.16, 0.0, 1.0) ** 2
        self._edge = edge.astype(np.float32)
        self._dim = (1.0 - 0.35 * np.clip((x / wide) ** 2 + (y / high) ** 2 - 0.7, 0.0, 1.3) / 1.3).astype(np.float32)
        still = np.zeros(self._currents.x.shape, np.float32)
        self._way = still, still
        # Kept for each picture anew: to take and give back so much memory costs more than the work.
        self._across, self._level = np.empty(size[::-1], np.float32), np.empty(size[::-1], np.float32)
        self._lit = np.empty((*size[::-1], 3), np.uint16)
        self._motes = Motes(size, hand, film)

    def step(
        self,
        sheet: Floats,
        inks: Floats,
        visitor: tuple[float, float, float, float, float],
        time: float,
        dt: float,
        motion: float,
        pulse: float,
        gain: float,
        wet: float = 1.0,
    ) -> tuple[Floats, Floats, Floats]:
        """Return the sheet ``dt`` s later ``(h, w, 3)`` float32 0-1, and the field and mood it was painted by.

        Args:
            sheet: as it was.
            inks: ``(TONES, HUES, 3)``.
            visitor: x, y, spin, width and swell of a whirl of its own.
            time: of the field, s.
            dt: s that pass.
            motion, pulse: 0-1.
            gain: how bright the ink is mixed.
            wet: how much is painted, 1 for as usual.
        """
        right, down = self._currents.at(time)
        moved = self._moved(sheet, right, down, visitor, time, dt, motion, pulse)
        paint, damp, field, mood = self._painted(inks, right, down, time, gain)
        # The same share a second at any pace.
        damp *= np.float32(dt * wet * (2.2 + 1.6 * motion) * (1.0 + 0.8 * pulse))
        damp += np.float32(dt * wet * (0.45 + 0.3 * motion))
        cv2.scaleAdd(self._edge, 3.0 * dt * min(1.0, 0.3 + wet), damp, dst=damp)
        np.minimum(damp, np.float32(0.9), out=damp)
        share = cv2.resize(damp, self.sheet, interpolation=cv2.INTER_LINEAR)
        paint = cv2.resize(paint, self.sheet, interpolation=cv2.INTER_LINEAR)
        mixed: Floats = cv2.blendLinear(paint, moved, share, np.float32(1.0) - share)
        return np.clip(mixed, 0.0, 1.0, out=mixed), field, mood

    def _moved(
        self,
        sheet: Floats,
        right: Floats,
        down: Floats,
        visitor: tuple[float, float, float, float, float],
        time: float,
        dt: float,
        motion: float,
        pulse: float,
    ) -> Floats:
        hand, currents = self._hand, self._currents
        pace = 0.022 + 0.05 * motion + 0.04 * pulse
        # Slow tides, of which none comes round with another: a minute has a shape.
        tide = math.sin(time / 11.3 + self._drift[6])
        zoom = hand.zoom * (0.5 + motion + 0.5 * tide) + 0.10 * pulse
        spin = hand.turn + 0.03 * math.sin(time / 17.9 + self._drift[7])
        near, far, turn, wide, swell = visitor
        whirl_x, whirl_y = currents.whirl(near, far, 0.8 * turn * swell, wide)
        wind = 0.35 + 0.9 * motion
        x = pace * right + whirl_x - spin * currents.y + zoom * currents.x + hand.wind_x * wind
        y = pace * down + whirl_y + spin * currents.x + zoom * currents.y + hand.wind_y * wind
        self._way = x * np.float32(dt * max(self.size)), y * np.float32(dt * max(self.size))
        scale_x = dt * max(self.size) * self.sheet[0] / self.size[0]
        scale_y = dt * max(self.size) * self.sheet[1] / self.size[1]
        map_x = cv2.scaleAdd(enlarged(x, self.sheet), -scale_x, self._columns)
        map_y = cv2.scaleAdd(enlarged(y, self.sheet), -scale_y, self._rows)
        moved: Floats = cv2.remap(sheet, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        return moved

    def dragged(self, picture: Floats) -> Floats:
        """Return a picture ``(H, W, 3)`` in the film's size, moved as the sheet was in the last :meth:`step`."""
        width, height = self.size
        columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        right, down = self._way
        columns -= enlarged(right, self.size)
        rows -= enlarged(down, self.size)
        moved: Floats = cv2.remap(picture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        return moved

    def _painted(
        self, inks: Floats, right: Floats, down: Floats, time: float, gain: float
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """Return what is painted ``(h, w, 3)``, how wet it is, the field and the mood, each of the draft's size."""
        hand, drift = self._hand, self._drift
        x, y = self._folded
        bent_x, bent_y = enlarged(right, self._draft), enlarged(down, self._draft)
        field = self._sampled(self._coarse, x + 0.035 * bent_x, y + 0.035 * bent_y, 0.50, 0.013, time, drift[0])
        fine = self._sampled(self._fine, x - 0.02 * bent_y, y + 0.02 * bent_x, 0.60, -0.021, time, drift[1])
        # The light wanders about its place; around it strokes close into rings.
        light_x = hand.glow_x + (0.0 if hand.folds else 0.10 * math.sin(0.083 * time + drift[2]))
        light_y = hand.glow_y + (0.05 if hand.folds else 0.07) * math.sin(0.061 * time + drift[3])
        apart = (self._x - np.float32(light_x)) ** 2 + (self._y - np.float32(light_y)) ** 2
        reach = hand.reach * (1.0 + 0.25 * math.sin(0.047 * time + drift[4]))
        glow = cv2.exp(apart * np.float32(-1.0 / reach**2))
        cv2.addWeighted(field, 1.0 - hand.grain, fine, hand.grain, 0.0, dst=field)
        cv2.scaleAdd(glow, 1.1, field, dst=field)
        # Where it is calm and where it burns: wide regions that wander, so that a picture has depth.
        x, y = self._rough
        cells = (x.shape[1], x.shape[0])
        bent_x, bent_y = (cv2.resize(bent, cells, interpolation=cv2.INTER_LINEAR) for bent in (right, down))
        mood = np.sin(np.float32(2.6) * x + np.float32(1.1) * bent_x - np.float32(0.07 * time - drift[8]))
        mood *= np.sin(np.float32(2.9) * y + np.float32(1.1) * bent_y + np.float32(0.05 * time + drift[9]))
        mood = cv2.resize(mood * np.float32(0.33) + np.float32(0.58), self._draft, interpolation=cv2.INTER_LINEAR)
        cv2.scaleAdd(glow, hand.glow, mood, dst=mood)
        mood -= np.float32(0.20 * hand.glow)
        cv2.multiply(mood, self._dim, dst=mood)
        np.clip(mood, np.float32(0.04), np.float32(1.6), out=mood)
        hue = np.sin(np.float32(2.3) * x + np.float32(0.11 * time + drift[5])) * np.float32(0.10 * HUES)
        hue += np.sin(np.float32(3.1) * y - np.float32(0.09 * time)) * np.float32(0.09 * HUES)
        hue += np.float32(HUES * ((0.020 * time) % 1.0 + 0.6))
        hue = cv2.resize(hue, self._draft, interpolation=cv2.INTER_LINEAR)
        cv2.scaleAdd(fine, 0.05 * HUES, hue, dst=hue)
        cv2.scaleAdd(field, 0.05 * HUES, hue, dst=hue)
        np.clip(hue, np.float32(0), np.float32(3 * HUES - 2), out=hue)
        field *= np.float32(_ROWS / _SPAN)
        field += np.float32(_ROWS / 2.0)
        np.clip(field, np.float32(0.0), np.float32(_ROWS - 5.0), out=field)
        row = field * np.float32(_TONES / _ROWS)
        colours, wet = self._table(inks, time)
        paint: Floats = cv2.remap(colours, hue, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        damp = wet.take(row.astype(np.intp))
        damp *= mood
        cv2.multiply(paint, cv2.merge((mood, mood, mood)), dst=paint, scale=gain)
        return paint, damp, field, mood

    def _sampled(
        self, tile: Floats, x: Floats, y: Floats, span: float, turn: float, time: float, phase: float
    ) -> Floats:
        """Return the part of a tile that is under the picture now: it drifts, turns and breathes."""
        hand = self._hand
        angle = 0.35 * math.sin(turn * time + phase) if max(hand.wide, hand.high) > 1.4 else phase + turn * time
        reach = span * TILE * (1.0 + 0.12 * math.sin(0.05 * time + phase))
        across, along = math.cos(angle), math.sin(angle)
        wind = 0.10 if hand.folds else 0.45
        away = 0.031 * TILE * time * math.cos(phase * 3.0) - wind * reach * hand.wind_x * time / hand.wide
        off = 0.031 * TILE * time * math.sin(phase * 3.0) - wind * reach * hand.wind_y * time / hand.high
        a, b = reach / hand.wide, reach / hand.high
        # The tile is there twice: from its middle, half of it is left on every side.
        u = x * np.float32(across * a) + y * np.float32(along * a)
        u += np.float32(TILE + (away + phase * 100.0) % TILE - TILE / 2)
        v = y * np.float32(across * b) - x * np.float32(along * b)
        v += np.float32(TILE + (off + phase * 210.0) % TILE - TILE / 2)
        found: Floats = cv2.remap(tile, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        return found

    def _lines(
        self, time: float, count: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return for each row of the tables: distance to the next stroke, its number, and how bright that is."""
        value = ((np.arange(count) + 0.5) / count - 0.5) * _SPAN
        phase = value * self._hand.lines - 0.05 * time
        line = np.floor(phase + 0.5)
        # No two strokes are equally bright, and each swells and wanes.
        bright = 0.60 + 0.40 * np.sin(2.4 * line + 0.31 * time + self._drift[10])
        return np.abs((phase + 0.5) % 1.0 - 0.5) / self._hand.lines, line, bright

    def _table(self, inks: Floats, time: float) -> tuple[Floats, Floats]:
        """Return the colours ``(_TONES, 3·HUES, 3)`` along the field's values, and how wet each is ``(_TONES,)``."""
        hand = self._hand
        apart, _, bright = self._lines(time, _TONES)
        thin = 0.10 - 0.05 * hand.thin
        core, halo = np.exp(-((apart / thin) ** 2)), np.exp(-apart / (3.5 * thin))
        value = ((np.arange(_TONES) + 0.5) / _TONES - 0.5) * _SPAN
        cloud = 1.0 / (1.0 + np.exp(-1.6 * value))
        tone = 0.05 + 0.50 * hand.soft * cloud + bright * ((0.75 - 0.25 * hand.soft) * halo + 0.35 * core)
        rows = np.clip(tone * (TONES - 1), 0, TONES - 1)
        low = np.minimum(rows.astype(int), TONES - 2)
        part = (rows - low)[:, None, None].astype(np.float32)
        colours = inks[low] * (1 - part) + inks[low + 1] * part
        wet = (0.15 + bright * (0.35 * halo + 0.6 * core)).astype(np.float32)
        return np.ascontiguousarray(np.concatenate((colours, colours, colours), axis=1), dtype=np.float32), wet

    def show(
        self,
        picture: Pixels16,
        sheet: Floats,
        inks: Floats,
        field: Floats,
        mood: Floats,
        time: float,
        pulse: float,
        veil: float,
    ) -> None:
        """Paint ``picture`` ``(H, W, 3)`` over: the sheet, its glow, and the light on it.

        Args:
            picture: what is written to.
            sheet, inks, time, pulse: as in :meth:`step`.
            field, mood: as it returned them.
            veil: how much is laid over the sheet, 0-1.
        """
        if veil <= 0.0:
            self._enlarge(sheet * np.float32(65535), picture)
            return
        small = cv2.resize(sheet, (self._draft[0] // 2, self._draft[1] // 2), interpolation=cv2.INTER_AREA)
        soft = cv2.GaussianBlur(small * small, (0, 0), max(1.0, self._draft[0] / 64))
        soft *= np.float32(veil * (0.40 + 0.70 * pulse))
        soft = cv2.resize(soft, self.sheet, interpolation=cv2.INTER_LINEAR)
        # Glow fills what is dark and does not burn out what is bright.
        whole = cv2.multiply(np.float32(1.0) - sheet, soft)
        whole += sheet
        whole *= np.float32(65535)
        self._enlarge(whole, picture)
        cv2.resize(field, self.size, dst=self._across, interpolation=cv2.INTER_CUBIC)
        cv2.resize(mood * np.float32((_LEVELS - 1) / 1.6), self.size, dst=self._level, interpolation=cv2.INTER_LINEAR)
        light = self._light(inks, time, veil * (0.45 + 1.0 * pulse))
        cv2.remap(light, self._across, self._level, cv2.INTER_NEAREST, dst=self._lit, borderMode=cv2.BORDER_REPLICATE)
        cv2.add(picture, self._lit, dst=picture)
        self._motes.draw(picture, inks, time, veil * (0.8 + 0.5 * pulse))

    def _light(self, inks: Floats, time: float, strength: float) -> Pixels16:
        """Return the light of strokes ``(_LEVELS, _ROWS, 3)``, by mood and field."""
        apart, line, bright = self._lines(time, _ROWS)
        thin = 0.030 - 0.016 * self._hand.thin
        # A stroke is one colour all along, and the next is another.
        place = ((line * 0.17 + 0.02 * time) % 1.0 * HUES).astype(int) % HUES
        shine = bright**2 * (np.exp(-((apart / thin) ** 2)) + 0.22 * np.exp(-apart / (4 * thin)))
        row = inks[int(0.86 * (TONES - 1)), place] * shine[:, None].astype(np.float32)
        level = np.clip((np.arange(_LEVELS) / (_LEVELS - 1) * 1.6 - 0.15) / 0.9, 0.0, 1.3) ** 1.5
        light = (level * strength * 0.75 * 65535).astype(np.float32)[:, None, None] * row
        lit: Pixels16 = np.minimum(light, np.float32(65535)).astype(np.uint16)
        return lit

    def _enlarge(self, sheet: Floats, picture: Pixels16) -> None:
        if self.sheet == self.size:
            np.copyto(picture, sheet, casting="unsafe")
        else:
            cv2.resize(sheet.astype(np.uint16), self.size, dst=picture, interpolation=cv2.INTER_CUBIC)


def mixed_gain(gain: float, sheet: Floats, dt: float) -> float:
    """Return how bright to mix the ink next, so that a film is neither murky nor glaring, whatever the inks."""
    mean = float(np.dot(cv2.mean(sheet)[:3], (0.2126, 0.7152, 0.0722)))
    return min(max(gain * math.exp(0.8 * dt * (_LIGHT - mean) / _LIGHT), 0.6), 2.6)
