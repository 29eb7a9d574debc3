from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from vjengine.offline.finish.between import Between

SIZE = (192, 108)


@pytest.mark.parametrize(("kind", "gain"), [("slide", 10.0), ("turn", 6.0), ("grow", 6.0), ("pass", 4.0)])
def test_what_was_left_out_is_found_again(scenes: SimpleNamespace, kind: str, gain: float) -> None:
    first, truth, last = (scenes.moment(t, SIZE, kind) for t in (0.0, 0.1, 0.2))
    between = Between(SIZE)
    assert between.look(first, last)
    faded = np.asarray(cv2.addWeighted(first, 0.5, last, 0.5, 0), np.uint8)
    assert scenes.psnr(between.at(0.5), truth) > scenes.psnr(faded, truth) + gain


def test_near_an_end_it_is_nearly_that_end(scenes: SimpleNamespace) -> None:
    first, last = scenes.moment(0.0, SIZE), scenes.moment(0.2, SIZE)
    between = Between(SIZE)
    between.look(first, last)
    assert scenes.psnr(between.at(0.01), first) > 30
    assert scenes.psnr(between.at(0.99), last) > 30


def test_a_cut_is_known_and_motion_is_none(scenes: SimpleNamespace) -> None:
    between = Between(SIZE)
    assert not between.look(scenes.moment(0.0, SIZE, seed=1), scenes.moment(0.0, SIZE, seed=5))
    assert between.look(scenes.moment(0.0, SIZE), scenes.moment(0.3, SIZE))


def test_a_flash_is_no_cut(scenes: SimpleNamespace) -> None:
    first, last = scenes.moment(0.0, SIZE), scenes.moment(0.1, SIZE)
    assert Between(SIZE).look(np.asarray(cv2.convertScaleAbs(first, alpha=0.35), np.uint8), last)


def test_nothing_between_two_that_are_the_same(scenes: SimpleNamespace) -> None:
    picture = scenes.moment(0.0, SIZE)
    assert not Between(SIZE).look(picture, picture.copy())


@pytest.mark.parametrize("size", [(16, 16), (64, 36), (36, 200), (130, 74)])
def test_any_size(scenes: SimpleNamespace, size: tuple[int, int]) -> None:
    between = Between(size)
    between.look(scenes.moment(0.0, size), scenes.moment(0.05, size))
    assert between.at(0.5).shape == (size[1], size[0], 3)


def test_the_same_bytes_every_time(scenes: SimpleNamespace) -> None:
    first, last = scenes.moment(0.0, SIZE), scenes.moment(0.2, SIZE)
    made = []
    for _ in range(2):
        between = Between(SIZE)
        between.look(last, first)  # what it saw before must not matter
        between.look(first, last)
        made.append(between.at(0.3).tobytes())
    assert made[0] == made[1]
