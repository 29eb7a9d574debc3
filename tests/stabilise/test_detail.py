"""The detail of a correction."""

from __future__ import annotations

import numpy as np
import pytest

from vjengine.stabilise.detail import DetailKeeper

ANCHOR = np.array((4e-4, 2e-3, 8e-3), np.float32)


def test_what_is_as_wanted_is_left_alone() -> None:
    found = DetailKeeper().step(ANCHOR, ANCHOR, 0.0, 0.4, 0.3)
    assert found.gains == (1.0, 1.0, 1.0)
    assert found.noise == (0.0, 0.0, 0.0)
    assert found.ceiling == 0.0


def test_what_multiplies_is_damped_band_by_band() -> None:
    found = DetailKeeper().step(ANCHOR * np.array((4, 1, 1), np.float32), ANCHOR, 2.0, 0.4, 0.3)
    assert found.gains[0] < 0.8
    assert found.gains[1:] == (1.0, 1.0)
    assert found.noise == (0.0, 0.0, 0.0)
    assert found.ceiling > 0.0


def test_what_is_lost_comes_back_as_noise_and_never_by_gain() -> None:
    found = DetailKeeper().step(ANCHOR * np.array((1, 0.1, 1), np.float32), ANCHOR, 0.0, 0.4, 0.3)
    assert found.gains == (1.0, 1.0, 1.0)
    assert found.noise[0] == found.noise[2] == 0.0
    # Of the anchor's variance a share of what is missing: 0.3 x some 0.9 of it.
    assert found.noise[1] ** 2 == pytest.approx(0.3 * 0.9 * 2e-3, rel=0.15)


def test_a_steady_loss_is_answered_with_more_and_in_bounds() -> None:
    keeper = DetailKeeper()
    half = ANCHOR * np.float32(0.5)
    noise = [keeper.step(half, ANCHOR, -1.0, 0.4, 0.3).noise[0] for _ in range(2000)]
    assert noise[100] > noise[0]
    assert noise[-1] == noise[-100] < 8.0 * noise[0]


def test_a_switched_off_keeper_learns_nothing() -> None:
    keeper = DetailKeeper()
    for _ in range(100):
        assert keeper.step(ANCHOR * np.float32(0.1), ANCHOR, -3.0, 0.0, 0.0).noise == (0.0, 0.0, 0.0)
    assert keeper.step(ANCHOR, ANCHOR, 0.0, 0.4, 0.3).noise == (0.0, 0.0, 0.0)


def test_a_flat_anchor_asks_for_no_noise() -> None:
    flat = np.zeros(3, np.float32)
    found = DetailKeeper().step(flat, flat, 0.0, 1.0, 1.0)
    assert found.noise == (0.0, 0.0, 0.0)
    assert found.gains == (1.0, 1.0, 1.0)


def test_single_pixels_are_answered_at_once_where_they_went_in_a_moment() -> None:
    """Their band as wanted, but the Laplacian halved: nothing is learnt yet, and noise is given all the same."""
    assert DetailKeeper().step(ANCHOR, ANCHOR, -1.0, 0.4, 0.3).noise[0] > 0.0
    assert DetailKeeper().step(ANCHOR, ANCHOR, 1.0, 0.4, 0.3).gains[0] < 1.0
    assert DetailKeeper().step(ANCHOR, ANCHOR, -1.0, 0.4, 0.3).noise[1:] == (0.0, 0.0)
