"""What moves, what stands, what flickers."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from vjengine.stabilise.copies import make_copies
from vjengine.stabilise.motion import Moved, Movement

Bytes = npt.NDArray[np.uint8]


def texture(width: int, height: int, seed: int = 1) -> Bytes:
    """Return soft blobs, ``(H, W, 3)``."""
    random = np.random.default_rng(seed)
    noise = random.random((height // 24 + 1, width // 24 + 1, 3)).astype(np.float32)
    return (cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1) * 255).astype(np.uint8)


def test_the_median_flow_is_how_far_it_went() -> None:
    wide = texture(600, 300)
    movement = Movement()
    found = [movement.step(wide[k : k + 288, 3 * k : 3 * k + 512]) for k in range(4)]
    assert found[0] == Moved()
    # (3, 1) px of 512 × 288 are (1.5, 0.5) px of 256 × 144.
    for moved in found[1:]:
        assert moved.motion == pytest.approx(np.hypot(1.5, 0.5), rel=0.15)
        assert moved.difference > 1.0
        assert moved.flicker == 0.0


@pytest.mark.parametrize(("right", "down"), [(1, 0), (6, 2), (24, 8)])
def test_slow_and_fast_are_told_apart(right: int, down: int) -> None:
    wide = texture(900, 500)
    movement = Movement()
    found = [movement.step(wide[down * k : down * k + 432, right * k : right * k + 768]).motion for k in range(4)]
    assert found[1:] == pytest.approx([np.hypot(right, down) / 3] * 3, rel=0.2)


def test_what_stands_still_does_not_move() -> None:
    movement = Movement()
    picture = texture(300, 200)
    assert [movement.step(picture) for _ in range(3)] == [Moved()] * 3


def test_difference_is_in_code_values() -> None:
    movement = Movement()
    movement.step(np.full((90, 160, 3), 100, np.uint8))
    assert movement.step(np.full((90, 160, 3), 103, np.uint8)).difference == pytest.approx(3.0)


def test_two_pictures_in_turns_flicker() -> None:
    movement = Movement()
    turns = [texture(256, 144, 1), texture(256, 144, 2)]
    found = [movement.step(turns[k % 2]).flicker for k in range(6)]
    assert found[:2] == [0.0, 0.0]
    assert found[2:] == [1.0] * 4


def test_neither_a_cut_nor_noise_flickers() -> None:
    movement = Movement()
    random = np.random.default_rng(5)
    noise = [movement.step(random.integers(0, 256, (144, 256, 3), np.uint8)).flicker for _ in range(5)]
    assert max(noise) < 0.05
    movement.reset()
    cut = [texture(256, 144, 1)] * 3 + [texture(256, 144, 2)] * 3
    assert [movement.step(picture).flicker for picture in cut] == [0.0] * 6


def test_another_size_begins_anew() -> None:
    movement = Movement()
    for shape in ((90, 160, 3), (91, 160, 4), (1, 1, 3), (2, 300, 3)):
        assert movement.step(np.full(shape, shape[0], np.uint8)) == Moved()


@pytest.mark.parametrize("kind", ["nan", "black", "1x1", "alpha"])
def test_bad_pictures_are_numbers(kind: str) -> None:
    movement = Movement()
    random = np.random.default_rng(1)
    for k in range(4):
        picture = random.random((40, 60, 4 if kind == "alpha" else 3)).astype(np.float32)
        if kind == "nan":
            picture[k : k + 9] = np.nan
        elif kind == "black":
            picture[:] = 0.0
        elif kind == "1x1":
            picture = picture[:1, :1]
        moved = movement.step(picture)
        assert np.isfinite((moved.motion, moved.difference, moved.flicker)).all()
        assert 0.0 <= moved.flicker <= 1.0


def test_copies_made_before_tell_the_same() -> None:
    a, b = Movement(), Movement()
    for seed in (1, 2, 3):
        picture = texture(320, 180, seed)
        assert a.step(picture) == b.step(make_copies(picture))
