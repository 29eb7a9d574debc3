"""Generators called in place: when a picture is due, and what is known of its motion."""

from __future__ import annotations

import numpy as np
import pytest

from vjengine.core.frame import flow_shape
from vjengine.core.generation import GeneratorParams
from vjengine.engine.session import InlineFrames
from vjengine.generate.noise import noise_tile


class Drifting:
    """Draws a texture that goes 3 px to the right each time, always into the same memory."""

    name = "drifting"

    def __init__(self, flowing: bool) -> None:
        self.flowing = flowing
        self._at = 0
        self._pixels = np.full((96, 128, 4), 255, np.uint8)
        self._texture = np.clip(128 + 110 * noise_tile(4, 6)[..., :3].astype(np.float32), 0, 255)

    def generate(self, params: GeneratorParams) -> np.ndarray:
        self._at += 3
        self._pixels[..., :3] = np.roll(self._texture, self._at, axis=1)[:96, :128]
        return self._pixels

    def close(self) -> None:
        pass


def played(flowing: bool, every: int, steps: int = 9):
    frames = InlineFrames(Drifting(flowing), every)
    seen = []
    for number in range(steps):
        frames.submit(GeneratorParams(sequence=number, time=number / 60))
        seen.append(frames.latest())
    return seen


def test_a_slow_generator_that_flows_is_measured_and_repeats_to_the_byte():
    pytest.importorskip("cv2")
    seen = played(flowing=True, every=3)
    assert [frame.sequence for frame in seen] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert seen[0].flow is None
    for frame in (seen[3], seen[6]):
        assert frame.flow.shape == flow_shape((128, 96))
        assert np.median(frame.flow[2:-2, 2:-2, 0].astype(float)) * 128 == pytest.approx(3, abs=0.3)
    again = played(flowing=True, every=3)
    assert [frame.flow.tobytes() for frame in seen[3:]] == [frame.flow.tobytes() for frame in again[3:]]


@pytest.mark.parametrize(("flowing", "every"), [(True, 1), (False, 3)])
def test_nothing_is_measured_where_nothing_lies_between_or_nothing_flows(flowing, every):
    seen = played(flowing, every)
    assert all(frame.flow is None for frame in seen)
    assert not np.array_equal(seen[0].pixels, seen[-1].pixels), "each picture keeps its own memory"
