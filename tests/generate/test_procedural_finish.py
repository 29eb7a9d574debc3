"""The film curve and the polynomial that stands for it in the shader."""

from __future__ import annotations

import numpy as np
import pytest

from vjengine.generate.procedural_finish import FILM_MIDDLE, FILM_TERMS, Film, film_curve


@pytest.mark.parametrize("contrast", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_the_polynomial_follows_the_film_curve(contrast: float) -> None:
    light = np.concatenate([[0.0], np.geomspace(1e-4, 8.0, 600)])
    place = np.sqrt(light / (light + FILM_MIDDLE))
    seen = (place[:, None] ** np.arange(1, FILM_TERMS + 1)) @ Film().terms(contrast).astype(np.float64)
    assert seen[0] == 0.0
    assert np.abs(seen - film_curve(light, contrast)).max() < 4 / 255
    # Brighter light is never seen darker, but for what eight bits and their dither hide in black and in white.
    shown = np.clip(seen, 0.0, 1.0)
    assert (np.maximum.accumulate(shown) - shown).max() < 2 / 255


def test_more_contrast_darkens_the_dark_and_brightens_the_bright() -> None:
    light = np.array([0.02, 1.5])
    soft, stark = film_curve(light, 0.0), film_curve(light, 1.0)
    assert stark[0] < soft[0]
    assert stark[1] > soft[1]
