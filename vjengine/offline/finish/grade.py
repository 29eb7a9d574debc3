"""Colour: exposure, contrast, saturation and a LUT become one table of colours, which is looked up once a picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vjengine.errors import ConfigError, UsageError

Pixels8 = npt.NDArray[np.uint8]
Colours = npt.NDArray[np.float32]

_SIDE = 33  # points of the table along each colour, as most .cube files have
_PIVOT = 0.435  # sRGB code of middle grey (18 %): where contrast turns
_LARGEST_CUBE = 129
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)  # ITU-R BT.709


@dataclass(frozen=True, slots=True)
class Grade:
    """How colours are changed, in this order.

    Attributes:
        exposure: stops, -8 to 8; in linear light.
        contrast: 0-4 around middle grey; 1 changes nothing.
        saturation: 0-4; 0 is black and white, 1 changes nothing.
        lut: a ``.cube`` file (3D or 1D), last.
    """

    exposure: float = 0.0
    contrast: float = 1.0
    saturation: float = 1.0
    lut: Path | None = None

    @property
    def neutral(self) -> bool:
        """Nothing is changed."""
        return self == Grade()


def parse_grade(text: str) -> Grade:
    """Return the grade that ``exposure=0.3,contrast=1.1,saturation=1.2,lut=film.cube`` names.

    Raises:
        UsageError: for another name, or a number out of range.
    """
    limits = {"exposure": (-8.0, 8.0), "contrast": (0.0, 4.0), "saturation": (0.0, 4.0)}
    values: dict[str, Any] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = item.partition("=")
        name = name.strip()
        if name == "lut":
            values["lut"] = Path(value.strip())
            continue
        if name not in limits:
            raise UsageError(f"--grade {item!r}: expected exposure=, contrast=, saturation= or lut=FILE.cube")
        low, high = limits[name]
        try:
            number = float(value)
        except ValueError:
            number = np.nan
        if not low <= number <= high:
            raise UsageError(f"--grade {item!r}: expected a number from {low:g} to {high:g}")
        values[name] = number
    return Grade(**values)


class Grader:
    """Applies a grade to pictures.

    Raises:
        ConfigError: if the LUT cannot be read.
    """

    def __init__(self, grade: Grade) -> None:
        from PIL import ImageFilter

        self._table = ImageFilter.Color3DLUT(_SIDE, _table(grade).reshape(-1), channels=3)

    def apply(self, pixels: Pixels8) -> Pixels8:
        """Return ``(H, W, 3)`` uint8 in new colours, interpolated between the table's points."""
        from PIL import Image

        return np.asarray(Image.fromarray(pixels).filter(self._table))


def graded(colours: Colours, grade: Grade) -> Colours:
    """Return ``(..., 3)`` sRGB codes 0-1, graded and kept within 0-1."""
    result = colours
    if grade.exposure:
        result = _code(_linear(result) * np.float32(2.0**grade.exposure))
    if grade.contrast != 1.0:
        result = (result - np.float32(_PIVOT)) * np.float32(grade.contrast) + np.float32(_PIVOT)
    if grade.saturation != 1.0:
        grey = (result @ _LUMA)[..., None]
        result = np.asarray(grey + (result - grey) * np.float32(grade.saturation), np.float32)
    result = np.clip(result, 0.0, 1.0).astype(np.float32)
    return read_cube(grade.lut).look_up(result) if grade.lut is not None else result


def _table(grade: Grade) -> Colours:
    """Return the table ``(blue, green, red, 3)``."""
    steps = np.linspace(0.0, 1.0, _SIDE, dtype=np.float32)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    return graded(np.stack([red, green, blue], axis=-1), grade)


def _linear(code: Colours) -> Colours:
    """IEC 61966-2-1."""
    low = code <= 0.04045
    return np.where(low, code / 12.92, ((np.maximum(code, 0.0) + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _code(light: Colours) -> Colours:
    bent = 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, 12.92 * light, bent).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Cube:
    """A table of colours: ``table`` is ``(n, 3)`` for one curve a channel, or ``(n, n, n, 3)`` by blue, green, red."""

    table: Colours
    low: Colours
    high: Colours

    def look_up(self, colours: Colours) -> Colours:
        """Return ``(..., 3)`` colours in 0-1 as the table has them, linear between its points."""
        last = self.table.shape[0] - 1
        at = np.clip((colours - self.low) / (self.high - self.low), 0.0, 1.0) * last
        below = np.minimum(at.astype(np.intp), last - 1)
        share = (at - below).astype(np.float32)
        if self.table.ndim == 2:
            parts = [
                self.table[below[..., c], c] * (1 - share[..., c]) + self.table[below[..., c] + 1, c] * share[..., c]
                for c in range(3)
            ]
            return np.asarray(np.clip(np.stack(parts, axis=-1), 0.0, 1.0), np.float32)
        total = np.zeros(colours.shape, np.float32)
        for corner in range(8):
            step = np.array([corner & 1, corner >> 1 & 1, corner >> 2 & 1])
            place = below + step
            weight = np.where(step, share, 1 - share).prod(axis=-1, dtype=np.float32)
            total += weight[..., None] * self.table[place[..., 2], place[..., 1], place[..., 0]]
        return np.clip(total, 0.0, 1.0).astype(np.float32)


def read_cube(path: Path) -> Cube:
    """Read a ``.cube`` file (Adobe, Cube LUT Specification 1.0).

    Raises:
        ConfigError: if it is missing, or not one; says in which line.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise ConfigError(path, "lut", str(path), f"a .cube file that can be read ({error.strerror})") from error
    return _parsed(path, lines)


def _parsed(path: Path, lines: Iterable[str]) -> Cube:
    size, flat = 0, False
    domain = {"DOMAIN_MIN": [0.0, 0.0, 0.0], "DOMAIN_MAX": [1.0, 1.0, 1.0]}
    rows: list[list[float]] = []
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words or words[0] == "TITLE":
            continue
        try:
            if words[0] in ("LUT_3D_SIZE", "LUT_1D_SIZE"):
                size, flat = int(words[1]), words[0] == "LUT_1D_SIZE"
                continue
            if words[0] in domain:
                domain[words[0]] = _three(words[1:])
                continue
            rows.append(_three(words))
        except (ValueError, IndexError):
            raise ConfigError(path, f"line {number}", line, "three numbers, or LUT_3D_SIZE n") from None
    largest = 65536 if flat else _LARGEST_CUBE
    if not 2 <= size <= largest:
        raise ConfigError(path, "LUT_1D_SIZE" if flat else "LUT_3D_SIZE", size, f"a size from 2 to {largest}")
    if len(rows) != (wanted := size if flat else size**3):
        raise ConfigError(path, "entries", len(rows), f"{wanted} lines of three numbers")
    low, high = (np.array(domain[key], np.float32) for key in ("DOMAIN_MIN", "DOMAIN_MAX"))
    if not (high > low).all():
        raise ConfigError(path, "DOMAIN_MAX", domain["DOMAIN_MAX"], "more than DOMAIN_MIN")
    table = np.array(rows, np.float32)
    return Cube(table if flat else table.reshape(size, size, size, 3), low, high)


def _three(words: list[str]) -> list[float]:
    values = [float(word) for word in words]
    if len(values) != 3 or not np.isfinite(values).all():
        raise ValueError(words)
    return values
