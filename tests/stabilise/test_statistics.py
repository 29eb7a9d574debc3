"""What is measured of a picture: against plain definitions, against known changes, on bad input."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vjengine.stabilise.palette import band_change, detail_change, hue_entropy, palette_distance
from vjengine.stabilise.statistics import Statistics, measure, pool

Pixels = npt.NDArray[Any]


def scene(seed: int = 1, size: tuple[int, int] = (384, 216)) -> npt.NDArray[np.uint8]:
    """Return a picture with colours and detail at all scales, ``(H, W, 3)`` uint8."""
    random = np.random.default_rng(seed)
    width, height = size
    picture = np.full((height, width, 3), 0.45, np.float32)
    for cells, strength in ((4, 0.15), (16, 0.1), (64, 0.06), (192, 0.04)):
        noise = random.standard_normal((cells * 9 // 16, cells, 3)).astype(np.float32)
        picture += strength * cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC)
    return (np.clip(picture, 0, 1) * 255).astype(np.uint8)


def exact_bands(picture: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return variances and covariance of the bands by their definition, every px, for sides that 16 divides."""
    p = picture.astype(np.float64) / 255
    height, width = p.shape[:2]
    kernel = np.array((1, 4, 6, 4, 1)) / 16.0
    blur = cv2.sepFilter2D(p, -1, kernel, kernel, borderType=cv2.BORDER_REPLICATE)
    quarter = p.reshape(height // 4, 4, width // 4, 4, 3).mean((1, 3))
    sixteenth = p.reshape(height // 16, 16, width // 16, 16, 3).mean((1, 3))
    q, s = (cv2.resize(a, (width, height), interpolation=cv2.INTER_LINEAR) for a in (quarter, sixteenth))
    bands = [(b - b.mean((0, 1))).reshape(-1, 3) for b in (p - blur, blur - q, q - s)]
    covariance = sum(b.T @ b / len(b) for b in bands)
    return np.array([b.var(axis=0).sum() for b in bands]), covariance / np.trace(covariance)


def finite(found: Statistics) -> bool:
    return all(np.isfinite(getattr(found, name)).all() for name in Statistics.__dataclass_fields__)


def test_detail_is_what_the_definitions_say() -> None:
    picture = scene(size=(768, 432))
    found = measure(picture)
    bands, covariance = exact_bands(picture)
    assert np.abs(np.log2(found.bands / bands)).max() < 0.15
    assert np.abs(found.tint @ found.tint.T - covariance).max() < 0.03
    laplacian = cv2.Laplacian(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.CV_64F)
    assert abs(np.log2(found.detail / laplacian.var())) < 0.1


def test_the_rows_looked_at_are_enough_for_a_variance() -> None:
    """Of pictures that are alike but for chance, the bands and the Laplacian come out alike: log2, standard errors."""
    random = np.random.default_rng(7)
    found = []
    for _ in range(8):
        white = random.integers(60, 200, (432, 768, 3), np.uint8)
        soft = cv2.resize(random.integers(0, 56, (54, 96, 3), np.uint8), (768, 432), interpolation=cv2.INTER_LINEAR)
        one = measure(white + soft)
        found.append((*np.log2(one.bands), np.log2(one.detail)))
    assert (np.std(found, axis=0) < (0.04, 0.07, 0.09, 0.06)).all()


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("down", [True, False])
def test_every_part_of_a_picture_counts_as_much(part: int, down: bool) -> None:
    random = np.random.default_rng(8)
    whole = random.integers(60, 200, (432, 768, 3), np.uint8)
    third = np.full_like(whole, 130)
    here = (
        (slice(144 * part, 144 * part + 144), slice(None))
        if down
        else (slice(None), slice(256 * part, 256 * part + 256))
    )
    third[here] = whole[here]
    share = measure(third).bands / measure(whole).bands
    assert np.abs(share - 1 / 3).max() < 0.06


def test_colours_are_what_the_definitions_say() -> None:
    picture = scene(size=(768, 432))
    found = measure(picture)
    small = cv2.resize(picture, (256, 144), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2Lab).reshape(-1, 3)
    assert np.abs(found.quantiles - np.quantile(lab, np.linspace(0.02, 0.98, 33), axis=0)).max() < 1.2
    assert np.abs(found.quantiles - np.quantile(lab, np.linspace(0.02, 0.98, 33), axis=0)).mean() < 0.4
    assert found.lightness == pytest.approx(lab[:, 0].mean(), abs=0.4)
    assert found.chroma == pytest.approx(np.hypot(lab[:, 1], lab[:, 2]).mean(), abs=0.6)
    assert found.sample.shape == (2304, 3)
    assert np.abs(found.sample.mean(0) - picture.mean((0, 1)) / 255).max() < 0.01


def test_clipped_counts_channel_values_at_both_ends() -> None:
    picture = np.full((96, 160, 4), 128, np.uint8)
    picture[:, :40, 0] = 255
    picture[:, 80:, 1] = 0
    picture[..., 3] = 255
    assert measure(picture).clipped == pytest.approx((0.25 + 0.5) / 3)


@settings(max_examples=25, deadline=None)
@given(
    colour=st.tuples(*[st.integers(90, 200)] * 3),
    cast=st.tuples(*[st.integers(-40, 40)] * 3),
)
def test_a_cast_is_as_far_as_the_colours_are(colour: tuple[int, int, int], cast: tuple[int, int, int]) -> None:
    before = np.full((40, 60, 3), colour, np.uint8)
    after = before + np.array(cast).astype(np.uint8)
    lab = [cv2.cvtColor(p.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)[0, 0] for p in (before, after)]
    a, b = measure(before), measure(after)
    assert palette_distance(a, b) == pytest.approx(float(np.linalg.norm(lab[1] - lab[0])), abs=1.6)
    assert palette_distance(a, b) == palette_distance(b, a)
    assert palette_distance(a, a) == 0.0


def test_distance_follows_a_drift_of_single_code_values() -> None:
    picture = np.clip(scene(), 20, 200)
    anchor = measure(picture)
    apart = [palette_distance(measure(picture + np.uint8(k)), anchor) for k in range(8)]
    steps = np.diff(apart)
    assert apart[0] == 0.0
    assert (steps > 0.2).all()
    assert (steps < 0.6).all()


@settings(max_examples=20, deadline=None)
@given(seeds=st.tuples(*[st.integers(0, 99)] * 3))
def test_distance_is_a_metric(seeds: tuple[int, int, int]) -> None:
    a, b, c = (measure(scene(seed, (64, 48))) for seed in seeds)
    assert palette_distance(a, c) <= palette_distance(a, b) + palette_distance(b, c) + 1e-6


def test_blur_lowers_detail_and_noise_raises_it() -> None:
    picture = scene(size=(512, 288))
    anchor = measure(picture)
    random = np.random.default_rng(2)
    last = 0.0
    for sigma in (0.5, 1.0, 2.0, 6.0):
        change = detail_change(measure(cv2.GaussianBlur(picture, (0, 0), sigma)), anchor)
        assert change < last - 0.3
        last = change
    last = 0.0
    for amount in (4.0, 12.0, 30.0):
        noisy = np.clip(picture + random.normal(0, amount, picture.shape), 0, 255).astype(np.uint8)
        assert detail_change(measure(noisy), anchor) > last + 0.3
        last = detail_change(measure(noisy), anchor)
        fine, middle, coarse = band_change(measure(noisy), anchor)
        assert fine > middle > coarse - 0.01


def test_bands_tell_scales_apart() -> None:
    y, x = np.mgrid[0:288, 0:512]
    largest = []
    for wavelength in (3.0, 9.0, 36.0):
        wave = 128 + 60 * np.sin((0.8 * x + 0.6 * y) * 2 * np.pi / wavelength)
        found = measure(np.repeat(wave[..., None], 3, 2).astype(np.uint8))
        largest.append(int(np.argmax(found.bands)))
    assert largest == [0, 1, 2]


def test_hues_are_weighted_by_chroma() -> None:
    red, cyan = np.full((20, 20, 3), (200, 60, 60), np.uint8), np.full((20, 20, 3), (60, 200, 200), np.uint8)
    one, two = measure(red), measure(np.hstack((red, cyan)))
    assert one.hues.sum() == pytest.approx(1.0)
    assert one.entropy < 0.3
    assert two.entropy > one.entropy + 0.7
    grey = measure(np.full((20, 20, 3), 99, np.uint8))
    assert (grey.chroma, grey.entropy) == (0.0, 0.0)
    assert not grey.hues.any()
    assert hue_entropy(np.full(36, 1 / 36, np.float32)) == pytest.approx(np.log2(36), abs=1e-4)


def test_alpha_and_number_type_do_not_matter() -> None:
    picture = scene()
    plain = measure(picture)
    with_alpha = measure(np.dstack((picture, np.random.default_rng(0).integers(0, 256, picture.shape[:2], np.uint8))))
    floats = measure(picture.astype(np.float32) / 255)
    for other in (with_alpha, floats):
        assert palette_distance(plain, other) == 0.0
        assert detail_change(plain, other) == 0.0
        assert np.array_equal(plain.bands, other.bands)
        assert plain.clipped == other.clipped


def bad_pictures() -> dict[str, Pixels]:
    random = np.random.default_rng(3)
    broken = random.random((30, 50, 3)).astype(np.float32)
    broken[3:9] = np.nan
    broken[12:15, :, 1] = np.inf
    broken[20] = -np.inf
    wild = (random.standard_normal((30, 50, 3)) * 1e30).astype(np.float32)
    return {
        "1x1": np.full((1, 1, 4), 7, np.uint8),
        "one row": random.integers(0, 256, (1, 200, 3), np.uint8),
        "one column": random.integers(0, 256, (200, 1, 3), np.uint8),
        "2x2": random.integers(0, 256, (2, 2, 3), np.uint8),
        "black": np.zeros((144, 256, 4), np.uint8),
        "white": np.full((144, 256, 3), 255, np.uint8),
        "flat": np.full((37, 41, 3), (10, 200, 90), np.uint8),
        "nothing is a number": np.full((20, 20, 3), np.nan, np.float32),
        "broken": broken,
        "out of range": wild,
        "double": random.random((9, 9, 3)),
        "a part of another": random.integers(0, 256, (90, 90, 4), np.uint8)[::2, 5:60],
        "odd": random.integers(0, 256, (431, 767, 3), np.uint8),
    }


@pytest.mark.parametrize("name", bad_pictures())
def test_bad_pictures_have_statistics(name: str) -> None:
    found = measure(bad_pictures()[name])
    anchor = measure(scene())
    assert finite(found)
    assert finite(pool([found, anchor, found]))
    assert np.trace(found.tint @ found.tint.T) == pytest.approx(1.0, abs=1e-4)
    for a, b in ((found, anchor), (anchor, found)):
        assert np.isfinite(palette_distance(a, b))
        assert abs(detail_change(a, b)) < 25
        assert np.isfinite(band_change(a, b)).all()


def test_what_is_no_number_is_mid_grey() -> None:
    found = measure(np.full((20, 20, 3), np.nan, np.float32))
    assert palette_distance(found, measure(np.full((20, 20, 3), 128, np.uint8))) == 0.0


@pytest.mark.parametrize("shape", [(0, 4, 3), (4, 4), (4, 4, 2)])
def test_what_is_no_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        measure(np.zeros(shape, np.uint8))


def test_flat_pictures_have_no_bands() -> None:
    for colour in ((0, 0, 0), (10, 200, 90), (255, 255, 255)):
        found = measure(np.full((144, 256, 3), colour, np.uint8))
        assert found.detail == 0.0
        assert found.bands.max() < 1e-9


def test_pooled_statistics_lie_between() -> None:
    a, b = measure(scene(1)), measure(scene(2))
    both = pool([a, b])
    assert palette_distance(both, a) == pytest.approx(palette_distance(both, b), rel=1e-3)
    assert both.detail == pytest.approx((a.detail + b.detail) / 2)
    assert both.hues.sum() == pytest.approx(1.0)
    assert len(both.sample) == len(a.sample)
    assert np.array_equal(both.sample[:10], a.sample[:20:2])
    same = pool([a, a, a])
    assert palette_distance(same, a) < 1e-5
    assert np.abs(same.tint - a.tint).max() < 2e-3
    with pytest.raises(ValueError, match="at least one"):
        pool([])


def test_the_same_picture_has_the_same_statistics() -> None:
    a, b = measure(scene()), measure(scene())
    for name in Statistics.__dataclass_fields__:
        assert np.array_equal(getattr(a, name), getattr(b, name))
