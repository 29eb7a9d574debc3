"""A correction carried out on the CPU: as it is written, fast, fair to small changes, and on bad input."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vjengine.core.correction import NO_CORRECTION, UNCHANGED, Correction
from vjengine.stabilise.apply import Applier, apply_exactly, enlarged, means
from vjengine.stabilise.fast import ROWS
from vjengine.stabilise.statistics import measure

CAST = (1.05, -0.02, 0.01, 0.01, 0.03, 0.9, 0.02, -0.02, 0.0, 0.05, 0.97, 0.015)
RED = (0.97, 0, 0, 0.15, 0.15, 0, 0.1, 0, 0.1)
Bytes = npt.NDArray[np.uint8]


def scene(width: int = 240, height: int = 136, channels: int = 3) -> Bytes:
    """Return a picture with detail at all scales, ``(H, W, channels)``, some of it near black and white."""
    random = np.random.default_rng(4)
    picture = np.full((height, width, channels), 0.5, np.float32)
    for cells, strength in ((4, 0.25), (24, 0.12), (width, 0.05)):
        noise = random.standard_normal((max(1, cells * height // width), cells, channels)).astype(np.float32)
        picture += strength * cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return (picture.clip(0, 1) * 255).astype(np.uint8)


def generator() -> np.random.Generator:
    return np.random.default_rng(1)


def fast(picture: Bytes, correction: Correction, times: int = 1) -> npt.NDArray[np.float64]:
    """Return the mean of the fast path under several numbers, code values."""
    applier = Applier()
    total = np.zeros(picture.shape)
    for number in range(1, times + 1):
        numbered = Correction(
            number, correction.colour, correction.gains, correction.ceiling, correction.noise, correction.tint
        )
        total += applier.apply(picture, numbered)
    return total / times


@pytest.mark.parametrize("picture", [scene(), scene(channels=4), scene()[:1, :1], scene().astype(np.float32) / 255])
def test_no_correction_changes_no_bit(picture: npt.NDArray[Any]) -> None:
    applier = Applier()
    assert applier.apply(picture, NO_CORRECTION) is picture
    assert applier.apply(picture, Correction(number=7, keep=1, strength=0.3, feedback=0.5)) is picture
    broken = Correction(number=8, colour=(float("nan"), *UNCHANGED[1:]))
    assert applier.apply(picture, broken) is picture


def test_the_exact_steps_are_what_is_written() -> None:
    """Each step by itself, by another way than the code's."""
    picture = scene(128, 64).astype(np.float32) / 255
    colour = apply_exactly(picture, Correction(1, colour=CAST), generator())
    matrix = np.array(CAST).reshape(3, 4)
    wanted = np.einsum("ij,hwj->hwi", matrix[:, :3], picture) + matrix[:, 3]
    assert np.abs(colour - wanted.clip(0, 1)).max() < 1e-5

    padded = np.pad(picture.astype(np.float64), ((2, 2), (2, 2), (0, 0)), mode="edge")
    weights = np.outer((1, 4, 6, 4, 1), (1, 4, 6, 4, 1)) / 256
    blur = sum(weights[i, j] * padded[i : i + 64, j : j + 128] for i in range(5) for j in range(5))
    quarter = picture.reshape(16, 4, 32, 4, 3).mean((1, 3))
    assert np.abs(means(picture) - quarter).max() < 1e-6
    whole = enlarged(quarter, 4, 64, 128)
    # Pixel centres aligned: px 2 of a cell lies an eighth of the way to the next one.
    assert whole[2, 2] == pytest.approx(
        (49 * quarter[0, 0] + 7 * quarter[0, 1] + 7 * quarter[1, 0] + quarter[1, 1]) / 64, abs=1e-6
    )
    rest = enlarged(means(quarter), 16, 64, 128)
    fine, middle, coarse = picture - blur, blur - whole, whole - rest
    bands = apply_exactly(picture, Correction(1, gains=(0.8, 0.9, 0.7)), generator())
    assert np.abs(bands - (0.8 * fine + 0.9 * middle + 0.7 * coarse + rest).clip(0, 1)).max() < 1e-5
    bent = apply_exactly(picture, Correction(1, ceiling=0.02), generator())
    assert np.abs(bent - (fine / np.sqrt(1 + (fine / 0.02) ** 2) + blur).clip(0, 1)).max() < 1e-5
    back = apply_exactly(picture, Correction(1, anchor=0.25), generator(), np.full_like(picture, 0.4))
    assert np.abs(back - (0.75 * picture + 0.1)).max() < 1e-5


@pytest.mark.parametrize(
    "correction",
    [
        Correction(1, colour=CAST),
        Correction(1, gains=(1.0, 1.0, 0.8)),
        Correction(1, gains=(0.8, 0.8, 0.75)),
        Correction(1, gains=(0.75, 0.9, 1.0)),
        Correction(1, colour=CAST, gains=(0.9, 0.8, 0.95)),
        Correction(1, colour=CAST, gains=(0.9, 0.8, 0.95), ceiling=0.05),
    ],
)
@pytest.mark.parametrize("size", [(240, 136), (117, 61)])
def test_fast_is_nearly_exact_and_fair_in_the_mean(correction: Correction, size: tuple[int, int]) -> None:
    picture = scene(*size)
    exact = apply_exactly(picture.astype(np.float32) / 255, correction, generator()) * 255.0
    # One is rounding; the rest is where cells of 16 px meet: enlarged in two steps, their edges are softer.
    assert np.abs(fast(picture, correction) - exact).max() < 3.0
    inside = (exact > 3) & (exact < 252)
    apart = (fast(picture, correction, times=24) - exact)[inside]
    assert abs(apart.mean()) < 0.03
    assert np.abs(apart).mean() < 0.15


@pytest.mark.parametrize("band", [0, 1, 2])
@pytest.mark.parametrize("path", ["fast", "float", "ceiling"])
def test_noise_has_the_size_and_colours_asked_for(band: int, path: str) -> None:
    noise = [0.0, 0.0, 0.0]
    noise[band] = 0.08
    correction = Correction(
        3, noise=(noise[0], noise[1], noise[2]), tint=RED, ceiling=0.5 if path == "ceiling" else 0.0
    )
    grey: npt.NDArray[Any] = np.full((360, 640, 3), 128, np.uint8)
    if path == "float":
        grey = np.full((360, 640, 3), 128 / 255, np.float32)
    found = Applier().apply(grey, correction).astype(np.float64) / (1.0 if path == "float" else 255.0) - 128 / 255
    size = np.sqrt((found**2).mean((0, 1)).sum())
    assert size == pytest.approx(0.08, rel=0.1)
    tint = np.array(RED).reshape(3, 3)
    covariance = np.einsum("hwi,hwj->ij", found, found) / (found.shape[0] * found.shape[1]) / size**2
    assert np.abs(covariance - tint @ tint.T).max() < 0.1
    bands = measure((found + 0.5).astype(np.float32)).bands
    # No enlarged noise keeps to the middle band, so narrow is it; three px come closest.
    assert (bands / bands.sum())[band] > (0.7, 0.25, 0.7)[band]


def test_small_changes_add_up() -> None:
    """A thousandth of the range 300 times is 76 code values; rounded each time it would be none."""
    applier = Applier()
    picture = np.full((90, 160, 3), 60, np.uint8)
    nudge = (1, 0, 0, 0.001, 0, 1, 0, -0.0005, 0, 0, 1, 0)
    for number in range(1, 301):
        picture = applier.apply(picture, Correction(number, colour=nudge))
    red, green, blue = picture.reshape(-1, 3).mean(0)
    assert red == pytest.approx(60 + 76.5, abs=3)
    assert green == pytest.approx(60 - 38.25, abs=3)
    assert blue == 60
    # Rounding goes round in turns: it leaves next to no noise.
    assert picture.std((0, 1)).max() < 1.0


def test_a_still_picture_stays_in_place_over_thousands_of_steps() -> None:
    """Whatever the rounding: what asks for nothing but a mild gain of the bands must not drift in colour."""
    applier = Applier()
    picture = scene(160, 96)
    before = picture.mean((0, 1))
    for number in range(1, 501):
        picture = applier.apply(picture, Correction(number, gains=(0.999, 0.999, 0.999)))
    assert np.abs(picture.mean((0, 1)) - before).max() < 2.0


def test_noise_follows_from_seed_and_number() -> None:
    picture, correction = scene(), Correction(5, noise=(0.02, 0.03, 0.04), gains=(0.9, 0.9, 0.9))
    one = Applier(3).apply(picture, correction)
    assert np.array_equal(one, Applier(3).apply(picture, correction))
    assert not np.array_equal(one, Applier(4).apply(picture, correction))
    assert not np.array_equal(one, Applier(3).apply(picture, Correction(6, noise=correction.noise)))
    floats = picture.astype(np.float32) / 255
    assert np.array_equal(Applier(3).apply(floats, correction), Applier(3).apply(floats, correction))


def test_noise_does_not_repeat_from_block_to_block() -> None:
    grey = np.full((192, 320, 3), 128, np.uint8)
    found = Applier().apply(grey, Correction(1, noise=(0.05, 0, 0))).astype(np.float64) - 128
    for lag in (1, 4, ROWS, 2 * ROWS):
        a, b = found[lag:].ravel(), found[:-lag].ravel()
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.1


def test_the_anchor_picture_is_the_one_kept() -> None:
    applier = Applier()
    first, later = np.full((60, 90, 3), 200, np.uint8), np.full((60, 90, 3), 40, np.uint8)
    assert np.array_equal(applier.apply(later, Correction(1, anchor=0.5)), later)
    applier.apply(first, Correction(number=0, keep=1))
    towards = applier.apply(later, Correction(2, keep=1, anchor=0.25)).mean()
    assert towards == pytest.approx(80.0, abs=0.2)
    other_size = applier.apply(np.full((31, 17, 4), 40, np.uint8), Correction(3, keep=1, anchor=0.25))
    assert other_size[..., :3].mean() == pytest.approx(80.0, abs=0.5)
    floats = applier.apply(np.full((60, 90, 3), 40 / 255, np.float32), Correction(4, keep=1, anchor=0.25))
    assert floats.mean() * 255 == pytest.approx(80.0, abs=0.1)


def test_alpha_stays() -> None:
    picture = scene(channels=4)
    found = Applier().apply(picture, Correction(1, colour=CAST, gains=(0.8, 0.9, 0.9), noise=(0.02, 0.02, 0.02)))
    assert np.array_equal(found[..., 3], picture[..., 3])
    assert found.dtype == np.uint8
    bent = Applier().apply(picture, Correction(1, ceiling=0.02))
    assert np.array_equal(bent[..., 3], picture[..., 3])


@settings(max_examples=30, deadline=None)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 70)),
    channels=st.sampled_from((3, 4)),
    level=st.sampled_from((0, 1, 128, 255)),
    ceiling=st.sampled_from((0.0, 0.05)),
    large=st.booleans(),
)
def test_any_size_and_any_numbers(
    size: tuple[int, int], channels: int, level: int, ceiling: float, large: bool
) -> None:
    picture = np.full((*size, channels), level, np.uint8)
    colour = (9.0, 3, 3, 5, 0, -9, 0, -3, 1, 1, 1, 1) if large else UNCHANGED
    applier = Applier()
    correction = Correction(1, colour, (0.7, 0.8, 1.25), ceiling, (0.0, 0.0, 0.0), keep=1, anchor=0.1)
    found = applier.apply(picture, correction)
    assert found.shape == picture.shape
    if not large:
        # A flat picture has no bands: nothing is made of them.
        assert np.abs(found.astype(int) - level).max() <= 1
    else:
        wanted = np.array(colour).reshape(3, 4) @ (*[level / 255] * 3, 1.0) * 255 * 0.9 + level * 0.1
        assert np.abs(found[..., :3] - wanted.clip(0, 255)).max() <= 2


@pytest.mark.parametrize("channels", [3, 4])
def test_colours_alone_stay_at_the_ends_and_are_fair_between(channels: int) -> None:
    """Sums far out of range are black or white; inside it, a quarter of a code value is met in the mean."""
    picture = np.random.default_rng(6).integers(0, 256, (150, 40, channels), np.uint8)
    far = Applier().apply(picture, Correction(1, colour=(9.0, 0, 0, -4.5, 0, -9.0, 0, 4.5, 0, 0, 1, 0.25 / 255)))
    wanted = np.stack((picture[..., 0] * 9.0 - 1147.5, picture[..., 1] * -9.0 + 1147.5, picture[..., 2] + 0.25), axis=2)
    apart = far[..., :3] - wanted.clip(0, 255)
    assert np.abs(apart).max() < 1.0
    assert abs(apart[..., 2][picture[..., 2] < 255].mean()) < 0.03
    assert np.array_equal(far[..., 3:], picture[..., 3:])


@pytest.mark.parametrize("ceiling", [0.0, 0.05])
def test_noise_on_single_pixels_stays_in_bounds(ceiling: float) -> None:
    for shape in ((1, 1, 3), (1, 9, 4), (5, 1, 3)):
        found = [
            Applier(seed).apply(np.full(shape, 128, np.uint8), Correction(2, ceiling=ceiling, noise=(0.02, 0.02, 0.02)))
            for seed in range(20)
        ]
        assert np.std(np.stack(found)[..., :3]) < 4 * 0.035 * 255


def test_what_is_no_number_becomes_grey() -> None:
    picture = np.full((20, 30, 3), np.nan, np.float32)
    found = Applier().apply(picture, Correction(1, colour=CAST))
    assert np.isfinite(found).all()
    assert 0.3 < found.mean() < 0.7
