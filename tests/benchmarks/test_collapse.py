"""The collapse benchmark: its measures are right, and its loops do collapse."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2]))

from benchmarks.collapse_loops import HARMS, LOOPS, make_loop, start_of, turned
from benchmarks.collapse_measures import carried, ciede2000, distance, lab, look, movement, pooled, slope, slope_error
from benchmarks.collapse_scenes import SCENES, scene
from vjengine.core.generation import GeneratorParams
from vjengine.stabilise.palette import detail_change, palette_distance
from vjengine.stabilise.statistics import measure

cv2.setNumThreads(1)

# G. Sharma, W. Wu, E. N. Dalal, 2005, table 1: two colours in CIELAB and their difference.
PUBLISHED = (
    ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
    ((50.0, 3.1571, -77.2803), (50.0, 0.0, -82.7485), 2.8615),
    ((50.0, 2.8361, -74.0200), (50.0, 0.0, -82.7485), 3.4412),
    ((50.0, -1.3802, -84.2814), (50.0, 0.0, -82.7485), 1.0),
    ((50.0, -1.1848, -84.8006), (50.0, 0.0, -82.7485), 1.0),
    ((50.0, -0.9009, -85.5211), (50.0, 0.0, -82.7485), 1.0),
    ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
    ((50.0, 2.4900, -0.0010), (50.0, -2.4900, 0.0009), 7.1792),
    ((50.0, 2.4900, -0.0010), (50.0, -2.4900, 0.0010), 7.1792),
    ((50.0, 2.4900, -0.0010), (50.0, -2.4900, 0.0011), 7.2195),
    ((50.0, -0.0010, 2.4900), (50.0, 0.0009, -2.4900), 4.8045),
    ((50.0, -0.0010, 2.4900), (50.0, 0.0010, -2.4900), 4.8045),
    ((50.0, -0.0010, 2.4900), (50.0, 0.0011, -2.4900), 4.7461),
    ((50.0, 2.5, 0.0), (50.0, 0.0, -2.5), 4.3065),
    ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
    ((50.0, 2.5, 0.0), (61.0, -5.0, 29.0), 22.8977),
    ((50.0, 2.5, 0.0), (56.0, -27.0, -3.0), 31.9030),
    ((50.0, 2.5, 0.0), (58.0, 24.0, 15.0), 19.4535),
    ((50.0, 2.5, 0.0), (50.0, 3.2592, 0.3350), 1.0),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((63.0109, -31.0961, -5.8663), (62.8187, -29.7946, -4.0864), 1.2630),
    ((35.0831, -44.1164, 3.7933), (35.0232, -40.0716, 1.5901), 1.8645),
    ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
    ((36.4612, 47.8580, 18.3852), (36.2715, 50.5065, 21.2231), 1.4146),
    ((90.8027, -2.0831, 1.4410), (91.1528, -1.6435, 0.0447), 1.4441),
    ((6.7747, -0.2908, -2.4247), (5.8714, -0.0985, -2.2286), 0.6377),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
)


@pytest.mark.parametrize(("one", "other", "wanted"), PUBLISHED)
def test_ciede2000_gives_the_published_differences_both_ways(one, other, wanted):
    assert ciede2000(one, other) == pytest.approx(wanted, abs=1e-4)
    assert ciede2000(other, one) == pytest.approx(wanted, abs=1e-4)


def test_lab_of_known_colours():
    # IEC 61966-2-1 primaries under D65.
    known = lab([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    wanted = [[100, 0, 0], [53.24, 80.09, 67.20], [32.30, 79.19, -107.86], [0, 0, 0]]
    assert np.abs(known - wanted).max() < 0.05


def test_the_plain_measures_agree_with_the_fast_ones():
    first = scene("carnival", (256, 144))
    other = np.clip(cv2.GaussianBlur(first, (0, 0), 1.2) * np.float32((0.9, 1.15, 0.95)) + 0.03, 0.0, 1.0)
    ours = distance(look(other), look(first))
    bytes_of = [np.rint(each * 255.0).astype(np.uint8) for each in (other, first)]
    fast = [measure(each) for each in bytes_of]
    assert ours.w1 == pytest.approx(palette_distance(*fast), rel=0.08, abs=0.15)
    assert ours.w1 > 4.0
    assert ours.detail == pytest.approx(detail_change(*fast), abs=0.25)  # a few rows, of a picture without detail
    assert ours.detail < -1.0
    assert ours.clipped == pytest.approx(fast[0].clipped - fast[1].clipped, abs=0.01)


def test_the_same_picture_is_no_distance_apart_and_mirroring_changes_no_palette():
    first = scene("ocean", (256, 144))
    assert distance(look(first), pooled([look(first)] * 3)).w1 < 1e-6
    for again in range(4):
        found = distance(look(turned(first, again)), look(first))
        assert found.w1 < 1e-6
        assert abs(found.detail) < 1e-6
    assert movement(first, turned(first, 1)) > 5.0


def test_slope_is_of_the_last_two_thirds():
    minutes = np.linspace(0.0, 3.0, 31)
    assert slope(minutes, np.where(minutes < 0.9, 50.0, 2.0 + 0.7 * minutes)) == pytest.approx(0.7, abs=1e-6)
    assert np.isnan(slope([0.0, 1.0], [1.0, 2.0]))


def test_slope_error_tells_a_trend_from_wandering():
    minutes = np.linspace(0.0, 10.0, 600)
    wander = 0.3 * np.sin(5.0 * minutes)
    assert slope_error(minutes, minutes) < 1e-9
    assert abs(slope(minutes, wander)) < 3.0 * slope_error(minutes, wander) < 0.3
    assert np.isnan(slope_error(minutes[:20], wander[:20]))


def test_noise_put_in_is_no_structure_carried_over():
    loop = make_loop("8 bit")
    picture = loop.begin()
    params = GeneratorParams(sequence=1)
    moved = loop.moved(picture, params)
    noise = np.random.default_rng(1).normal(0.5, 0.8, picture.shape).astype(np.float32)
    assert carried(loop.step(picture, params), moved) > 0.999
    assert abs(carried(noise, moved)) < 0.1
    assert np.isnan(carried(np.zeros_like(picture), moved))


def test_scenes_are_what_they_are_called():
    ocean, night, mono = (lab(scene(name, (128, 72))) for name in ("ocean", "night", "mono"))
    assert (ocean[..., 2] < -5.0).mean() > 0.9, "all blue"
    assert night[..., 0].mean() < 35.0, "dark"
    assert np.abs(mono[..., 1:]).mean() < 4.0, "grey"
    assert not np.array_equal(scene("night", (64, 36), 1), scene("night", (64, 36), 2))
    assert np.array_equal(scene("night", (64, 36), 1), scene("night", (64, 36), 1))
    assert {start_of(name) for name in LOOPS} == set(SCENES)


@pytest.mark.parametrize("name", HARMS)
def test_a_loop_stays_whole_at_first_and_collapses_without_help(name):
    loop = make_loop(name)
    picture, first = loop.begin(), []
    for step in range(1, 9):
        picture = loop.step(picture, GeneratorParams(sequence=step))
        first.append(look(picture))
    start = pooled(first)
    assert not distance(first[-1], start).collapsed
    for step in range(9, 401):
        picture = loop.step(picture, GeneratorParams(sequence=step))
        if step % 40 == 0 and distance(look(picture), start).collapsed:
            break
    assert distance(look(picture), start).collapsed
    assert loop.begin(1).shape == picture.shape
