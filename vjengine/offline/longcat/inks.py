"""What the built-in continuation paints with: a table of colours, from the words of a prompt or from a picture."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.generate.palettes import DESIGNS, palette_table

Floats = npt.NDArray[np.float32]

TONES, HUES = 64, 96
"""Rows (dark to bright) and columns (once around the inks) of a table."""

WORDS: dict[str, str] = {
    "neon": "neon city cyber club magenta pink purple violet laser synth electric jellyfish coral flowers techno",
    "ember": "ember fire flame flames lava magma red burning volcano blood heat rust inferno dragon phoenix tiger mars",
    "aurora": "aurora northern emerald nebula galaxy cosmos space dream silk reef tropical lagoon universe butterfly",
    "ice": "ice ocean sea water blue deep underwater glacier snow winter rain sky polar frost wave waves river lake",
    "acid": "acid green forest jungle moss leaf leaves toxic slime plants garden matrix frog tree trees meadow",
    "dusk": "dusk sunset dawn evening coral rose flower flowers peach autumn skin lotus love mask face",
    "mono": "mono monochrome black white grey gray smoke silver chrome fog ink noir snow skull machine clouds",
    "gold": "gold golden desert sand amber honey sun brass wheat temple noon candle cathedral dune owl",
}
"""Words that call for a palette; any other prompt gets two by its own letters, always the same."""


def palettes_of(prompt: str) -> tuple[tuple[str, float], ...]:
    """Return palettes and their weights, the strongest first; the words that come first count most."""
    found: dict[str, float] = {}
    for place, word in enumerate(re.findall(r"[a-z]+", prompt.lower())):
        for name, words in WORDS.items():
            if word in words.split():
                found[name] = found.get(name, 0.0) + 1.0 / (1.0 + 0.15 * place)
    if not found:
        digest = hashlib.sha256(prompt.strip().lower().encode()).digest()
        names = [name for name in DESIGNS if name != "mono"]
        first = digest[0] % len(names)
        found = {names[first]: 1.0, names[(first + 1 + digest[1] % (len(names) - 1)) % len(names)]: 0.6}
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:3]
    total = sum(weight for _, weight in ranked)
    return tuple((name, weight / total) for name, weight in ranked)


@lru_cache(maxsize=16)
def _coded(name: str) -> Floats:
    linear = palette_table(name)[..., :3].astype(np.float32)
    code = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-6) ** (1 / 2.4) - 0.055)
    found: Floats = code.astype(np.float32)
    found.flags.writeable = False
    return found


def inks_of_prompt(prompt: str) -> Floats:
    """Return ``(TONES, HUES, 3)`` sRGB code values 0-1: the palettes of ``prompt`` side by side around one circle.

    Mixed in place they would turn grey; side by side a picture can wander from one into the next.
    """
    palettes = palettes_of(prompt)
    widths = [round(HUES * weight) for _, weight in palettes]
    widths[0] += HUES - sum(widths)
    parts = []
    for (name, _), width in zip(palettes, widths, strict=True):
        table = _coded(name)
        columns = np.linspace(0.0, table.shape[1], max(1, width), endpoint=False).astype(int)
        parts.append(table[:, columns])
    return _softened(np.concatenate(parts, axis=1)[:, :HUES], 3.0 if len(parts) > 1 else 0.0)


def inks_of_picture(picture: npt.NDArray[np.uint16]) -> Floats:
    """Return ``(TONES, HUES, 3)``: the colours of ``(H, W, 3)`` itself, by how bright they are and by their hue."""
    size = min(128, picture.shape[1]), min(96, picture.shape[0])
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).reshape(-1, 3).astype(np.float32) / np.float32(
        65535
    )
    lab = cv2.cvtColor(small.reshape(1, -1, 3), cv2.COLOR_RGB2Lab).reshape(-1, 3)
    order = np.argsort(lab[:, 0], kind="stable")
    table = np.zeros((TONES, HUES, 3), np.float32)
    for row in range(TONES):
        middle = (row + 0.5) / TONES * len(order)
        half = max(HUES // 8, len(order) // TONES)
        near = order[max(0, int(middle - half)) : int(middle + half) + 1]
        # Around the circle and back again: the first hue and the last are neighbours.
        turn = np.argsort(np.arctan2(lab[near, 2], lab[near, 1]), kind="stable")
        places = np.abs(np.linspace(-1.0, 1.0, HUES, endpoint=False)) * (len(near) - 1)
        table[row] = small[near[turn[places.astype(int)]]]
    return _softened(table, 2.5)


def _softened(table: Floats, blur: float) -> Floats:
    if blur <= 0.0:
        return np.ascontiguousarray(table)
    wide = np.concatenate((table, table, table), axis=1)
    soft = cv2.GaussianBlur(wide, (0, 0), blur, borderType=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(soft[:, table.shape[1] : 2 * table.shape[1]])
