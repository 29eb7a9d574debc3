"""Motion between two pictures: its direction and size, and when there is none to be had."""

from __future__ import annotations

import logging
import sys

import numpy as np
import pytest

from vjengine.core.frame import flow_shape
from vjengine.generate.flow import FlowMeter
from vjengine.generate.noise import noise_tile

SIZE = (256, 144)


def scene(dx: int = 0, dy: int = 0, salt: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return a texture that stands ``dx`` px to the right and ``dy`` px down of where it was."""
    tile = noise_tile(4, 6)[..., salt].astype(np.float32)
    tile = np.roll(np.tile(tile, (-(-size[1] // 256), -(-size[0] // 256))), (dy, dx), (0, 1))[: size[1], : size[0]]
    grey = np.clip(128 + 110 * tile, 0, 255).astype(np.uint8)
    return np.dstack([grey, grey, grey, np.full_like(grey, 255)])


@pytest.fixture(autouse=True)
def opencv():
    return pytest.importorskip("cv2")


def inner(flow: np.ndarray) -> np.ndarray:
    """Return the vectors away from the border in px, (n, 2): what came in there was never seen before."""
    rows, columns, _ = flow.shape
    middle = flow[rows // 4 : -(rows // 4), columns // 4 : -(columns // 4)].reshape(-1, 2)
    return middle.astype(np.float64) * SIZE


@pytest.mark.parametrize(("dx", "dy"), [(9, 0), (-9, 0), (0, 6), (0, -6), (12, -5), (0, 0)])
def test_vectors_say_how_far_right_and_down_things_went(dx, dy):
    meter = FlowMeter(SIZE)
    assert meter.measure(scene()) is None, "nothing came before the first picture"
    flow = meter.measure(scene(dx, dy))
    assert flow.dtype == np.float16
    assert flow.shape == flow_shape(SIZE)
    assert not flow.flags.writeable
    assert np.abs(np.median(inner(flow), axis=0) - (dx, dy)).max() < 0.6
    assert np.quantile(np.abs(inner(flow) - (dx, dy)).max(axis=1), 0.9) < 1.5


def test_a_small_thing_is_seen_moving_half_way_between_its_places(opencv):
    def disc(x: int) -> np.ndarray:
        picture = np.full((*SIZE[::-1], 4), (40, 30, 70, 255), np.uint8)
        return opencv.circle(picture, (x, 72), 8, (250, 220, 90, 255), -1, opencv.LINE_AA)

    meter = FlowMeter(SIZE)
    meter.measure(disc(100))
    flow = meter.measure(disc(118))
    assert flow[9, 109 // 8, 0] * SIZE[0] == pytest.approx(18, abs=1.5), "neither of the two discs is here"


def test_each_picture_is_measured_against_the_one_before():
    meter = FlowMeter(SIZE)
    for step, dx in enumerate((0, 8, 3, 13)):
        flow = meter.measure(scene(dx))
        if step:
            went = np.median(inner(flow), axis=0)[0]
            assert went == pytest.approx((8, -5, 10)[step - 1], abs=0.6)


@pytest.mark.parametrize("after", [scene(salt=1), scene()[::-1], 0 * scene(), 255 - scene()])
def test_a_cut_moves_nothing_and_the_picture_after_it_moves_again(after):
    meter = FlowMeter(SIZE)
    meter.measure(scene())
    assert meter.measure(after) is None
    meter.measure(scene())
    assert meter.measure(scene(5)) is not None


def test_pictures_that_are_partly_dreamt_anew_still_move():
    def dreamt(dx: int, seed: int) -> np.ndarray:
        grain = np.random.default_rng(seed).normal(0, 14, (SIZE[1] // 4, SIZE[0] // 4)).repeat(4, 0).repeat(4, 1)
        return np.clip(scene(dx) + grain[..., None], 0, 255).astype(np.uint8)

    meter = FlowMeter(SIZE)
    meter.measure(dreamt(0, 1))
    assert np.abs(np.median(inner(meter.measure(dreamt(8, 2))), axis=0) - (8, 0)).max() < 1.5


def test_the_same_pictures_give_the_same_bytes_on_any_number_of_threads(opencv):
    pictures = [scene(dx, -dx) for dx in (0, 7, 11)]

    def run() -> list[bytes]:
        meter = FlowMeter(SIZE)
        return [flow.tobytes() for picture in pictures if (flow := meter.measure(picture)) is not None]

    before = opencv.getNumThreads()
    try:
        found = []
        for threads in (1, 2, 7):
            opencv.setNumThreads(threads)
            found.append(run())
    finally:
        opencv.setNumThreads(before)
    assert len(found[0]) == 2
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (37, 91), (2000, 5), (64, 64), (768, 448)])
def test_any_size_is_measured(size):
    meter = FlowMeter(size)
    assert meter.measure(scene(0, 0, size=size)) is None
    flow = meter.measure(scene(1, 0, size=size))
    assert flow is None or (flow.shape == flow_shape(size) and np.isfinite(flow).all())
    if size == (768, 448):
        assert np.median(flow[..., 0].astype(float)) * 768 == pytest.approx(1, abs=0.5)


def test_another_size_is_refused_by_name():
    with pytest.raises(ValueError, match=r"\(144, 256, 4\) uint8, not \(64, 64, 4\) uint8"):
        FlowMeter(SIZE).measure(scene(size=(64, 64)))


def test_without_opencv_pictures_have_no_motion_and_the_log_says_what_to_install(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with caplog.at_level(logging.INFO):
        meter = FlowMeter(SIZE)
    assert "pip install 'vjengine[turbo]'" in caplog.text
    assert [meter.measure(scene(dx)) for dx in (0, 4)] == [None, None]
