"""The colour of a correction."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest

from vjengine.core.correction import UNCHANGED, Colour
from vjengine.stabilise.transfer import colour_towards, faded_by, from_oklab, to_oklab

Doubles = npt.NDArray[np.float64]


def picture(seed: int = 1, count: int = 2000) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    centres = np.array([(0.8, 0.3, 0.2), (0.2, 0.5, 0.7), (0.4, 0.7, 0.3)])
    return np.clip(centres[rng.integers(0, 3, count)] + 0.08 * rng.standard_normal((count, 3)), 0.0, 1.0).astype(
        np.float32
    )


def applied(colour: Colour, sample: npt.ArrayLike) -> Doubles:
    matrix = np.array(colour).reshape(3, 4)
    return np.clip(np.asarray(sample) @ matrix[:, :3].T + matrix[:, 3], 0.0, 1.0)


def statistics(sample: npt.ArrayLike) -> tuple[Doubles, Doubles]:
    lab = to_oklab(sample)
    return lab.mean(axis=0), lab.std(axis=0)


def test_oklab_has_the_published_values() -> None:
    """White, and the example pairs of Ottosson's article (XYZ of the article's table given as sRGB)."""
    assert to_oklab([[1.0, 1.0, 1.0]])[0] == pytest.approx((1.0, 0.0, 0.0), abs=1e-4)
    assert to_oklab([[1.0, 0.0, 0.0]])[0] == pytest.approx((0.62796, 0.22486, 0.12585), abs=1e-4)
    assert to_oklab([[0.0, 0.0, 1.0]])[0] == pytest.approx((0.45201, -0.03246, -0.31153), abs=1e-4)


def test_there_and_back_changes_nothing() -> None:
    sample = picture()
    assert from_oklab(to_oklab(sample)) == pytest.approx(sample, abs=1e-5)


def test_a_picture_that_is_as_wanted_stays() -> None:
    sample = picture()
    mean, spread = statistics(sample)
    assert applied(colour_towards(sample, mean, spread, 0.5), sample) == pytest.approx(sample, abs=0.004)


def test_no_share_is_no_change() -> None:
    mean, spread = statistics(picture())
    assert colour_towards(picture(2), mean, spread, 0.0) == UNCHANGED


@pytest.mark.parametrize("cast", [(0.06, -0.02, 0.05), (-0.08, -0.08, -0.08), (-0.03, 0.08, -0.03)])
def test_a_cast_is_taken_back_in_a_few_steps(cast: tuple[float, float, float]) -> None:
    wanted = statistics(picture())
    drifted: Doubles = np.clip(picture() + np.array(cast), 0.0, 1.0).astype(np.float64)
    first = float(np.abs(statistics(drifted)[0] - wanted[0]).sum())
    for _ in range(12):
        drifted = applied(colour_towards(drifted.astype(np.float32), *wanted, 0.25), drifted)
    assert float(np.abs(statistics(drifted)[0] - wanted[0]).sum()) < 0.15 * first


def test_lost_colour_comes_back_slowly_and_never_by_leaps() -> None:
    wanted = statistics(picture())
    grey = picture().mean(axis=1, keepdims=True) + 0.2 * (picture() - picture().mean(axis=1, keepdims=True))
    spreads = []
    for _ in range(40):
        grey = applied(colour_towards(grey.astype(np.float32), *wanted, 0.25), grey)
        spreads.append(float(statistics(grey)[1][1]))
    assert max(b / a for a, b in itertools.pairwise(spreads)) < 1.06
    assert spreads[-1] > 2.0 * spreads[0]


@pytest.mark.parametrize(
    "flat",
    [
        np.zeros((500, 3)),
        np.ones((500, 3)),
        np.full((500, 3), 0.5),
        np.tile((0.1, 0.6, 0.2), (500, 1)),
        np.zeros((1, 3)),
    ],
)
def test_a_flat_picture_gets_a_bounded_step_and_no_noise(flat: Doubles) -> None:
    colour = colour_towards(flat.astype(np.float32), *statistics(picture()), 1.0)
    assert np.isfinite(colour).all()
    noisy = np.clip(flat + np.random.default_rng(1).normal(0, 0.004, flat.shape), 0.0, 1.0)
    assert applied(colour, noisy).std(axis=0).max() <= 1.3 * noisy.std(axis=0).max() + 1e-6
    assert np.abs(applied(colour, flat) - flat).max() < 0.2


def test_calling_in_an_anchor_picture_takes_no_contrast() -> None:
    """Of a picture that has nothing to do with it, of one much like it, and of one without any contrast."""
    here, share = picture(1), 0.1
    mean, spread = statistics(here)
    near = np.clip(here + np.float32(0.02) * picture(4), 0.0, 1.0)
    for there in (picture(2), near, np.full_like(here, 0.5)):
        colour = colour_towards(here, mean, spread, 0.25, faded_by(here, there, share))
        kept, lost = (
            statistics((1.0 - share) * each + share * there)[1] for each in (applied(colour, here), here)
        )  # fmt: skip
        assert np.abs(kept / spread - 1.0).max() < 0.05
        assert (kept >= lost - 1e-4).all()
    assert (statistics(0.9 * here + 0.1 * picture(2))[1] < 0.93 * spread).all(), "without it, it does"


def test_no_anchor_picture_and_no_contrast_are_no_reason_to_grow() -> None:
    flat = np.full((100, 3), 0.4, np.float32)
    assert faded_by(picture(), None, 0.1) == 1.0
    assert faded_by(picture(), picture(2), 0.0) == 1.0
    assert faded_by(flat, flat, 0.1) == 1.0
    assert 1.0 < faded_by(picture(), flat[:1].repeat(2000, axis=0), 0.1) <= 1.0 / 0.9 + 1e-9
