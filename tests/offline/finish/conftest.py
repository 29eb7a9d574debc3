"""Moving pictures whose every moment is known, so that what is made in between can be held to the truth."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import numpy.typing as npt
import pytest

Pixels8 = npt.NDArray[np.uint8]


def texture(seed: int, width: int, height: int) -> Pixels8:
    draw = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for octave in range(1, 6):
        grain = draw.random((2**octave + 1, 2 ** (octave + 1), 3)).astype(np.float32)
        total += 0.7**octave * np.asarray(cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC))
    total -= total.min()
    return np.asarray(total / total.max() * 255, np.uint8)


def moment(time: float, size: tuple[int, int] = (128, 72), kind: str = "slide", seed: int = 1) -> Pixels8:
    """What is seen at ``time`` s: a texture that slides, turns or grows, or one before which a disc passes."""
    width, height = size
    ground = texture(seed, 2 * width, 2 * height)
    angle, scale, shift = 0.0, 1.0, (0.0, 0.0)
    match kind:
        case "slide":
            shift = (40.0 * time, 12.0 * time)
        case "turn":
            angle = 25.0 * time
        case "grow":
            scale = 1.0 + 0.5 * time
    matrix = cv2.getRotationMatrix2D((float(width), float(height)), angle, scale)
    matrix[:, 2] += np.array([shift[0] - width / 2, shift[1] - height / 2])
    picture = cv2.warpAffine(ground, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    if kind == "pass":
        centre = (round(16 * (20 + 60 * time)), round(16 * height / 2))
        cv2.circle(picture, centre, 16 * 14, (250, 220, 40), -1, cv2.LINE_AA, shift=4)
    return np.asarray(picture, np.uint8)


def psnr(one: Pixels8, two: Pixels8) -> float:
    error = float(np.mean((one.astype(np.float64) - two) ** 2))
    return float(10 * np.log10(255.0**2 / max(error, 1e-6)))


@pytest.fixture(scope="session")
def scenes() -> SimpleNamespace:
    """``moment(time, size, kind, seed)`` and ``psnr(one, two)``."""
    return SimpleNamespace(moment=moment, psnr=psnr)
