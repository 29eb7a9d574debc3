"""Noise: the same bytes by seed, unit variance wherever the journey stands, moving along when it is told to."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from vjengine.generate.turbo.controls import NoiseKind  # noqa: E402
from vjengine.generate.turbo.noise import (  # noqa: E402
    SLOTS,
    Field,
    NoiseFields,
    NoiseState,
    draw_field,
    mixed_noise,
    pink_field,
    slerp_weights,
    start_picture,
)
from vjengine.generate.turbo.warp import Affine, Warp, identity  # noqa: E402

SHAPE = (4, 32, 48)
KEY = (1, 1, 0)


class Desk:
    """Fields in a tensor, as a program keeps them."""

    def __init__(self) -> None:
        self.tensor = torch.zeros(SLOTS, *SHAPE)
        self.written: list[int] = []
        self.fields = NoiseFields(SHAPE, self.write)
        self.warp = Warp(*SHAPE[1:], torch.device("cpu"))

    def write(self, slot: int, field: Field) -> None:
        self.tensor[slot] = torch.from_numpy(field)
        self.written.append(slot)

    def noise(self, state: NoiseState, kind: NoiseKind = "white", key: tuple[int, int, int] = KEY) -> torch.Tensor:
        mix = self.fields.mix(key, state, kind)
        return mixed_noise(
            self.tensor, self.warp, *(torch.from_numpy(part) for part in (mix.weights, mix.maps, mix.layers))
        )


def drift(x: float = 0.0, zoom: float = 1.0) -> Affine:
    return np.array([[1.0 / zoom, 0.0, x], [0.0, 1.0 / zoom, 0.0]])


def alike(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0))


def test_a_seed_is_a_field() -> None:
    assert np.array_equal(draw_field(KEY, 3, SHAPE), draw_field(KEY, 3, SHAPE))
    others = [
        draw_field(key, number, SHAPE) for key, number in (((2, 1, 0), 3), ((1, 2, 0), 3), ((1, 1, 1), 3), (KEY, 4))
    ]
    for other in others:
        assert abs(np.corrcoef(draw_field(KEY, 3, SHAPE).ravel(), other.ravel())[0, 1]) < 0.1


def test_pink_is_coarse_and_of_unit_variance() -> None:
    white = draw_field(KEY, 0, SHAPE)
    pink = pink_field(white)
    assert pink.dtype == np.float32
    np.testing.assert_allclose(pink.std(axis=(1, 2)), 1.0, atol=1e-3)
    np.testing.assert_allclose(pink.mean(axis=(1, 2)), 0.0, atol=1e-3)
    neighbours = np.corrcoef(pink[:, :, 1:].ravel(), pink[:, :, :-1].ravel())[0, 1]
    assert neighbours > 0.15 > abs(np.corrcoef(white[:, :, 1:].ravel(), white[:, :, :-1].ravel())[0, 1])


@pytest.mark.parametrize("kind", ["white", "pink", "carried"])
@pytest.mark.parametrize("position", [0.0, 0.37, 0.5, 12.999, 40.25])
def test_variance_is_one_wherever_the_journey_stands(kind: NoiseKind, position: float) -> None:
    noise = Desk().noise(NoiseState(position), kind)
    assert float(noise.std()) == pytest.approx(1.0, abs=0.06)
    assert abs(float(noise.mean())) < 0.06


def test_the_journey_has_no_jumps_and_passes_through_each_seed() -> None:
    desk = Desk()
    steps = [desk.noise(NoiseState(position)) for position in np.linspace(0.0, 3.0, 61)]
    assert min(alike(a, b) for a, b in itertools.pairwise(steps)) > 0.99
    for seed in range(3):
        torch.testing.assert_close(
            steps[20 * seed][0], torch.from_numpy(draw_field(KEY, seed, SHAPE)), atol=1e-3, rtol=0
        )
    assert alike(steps[0], steps[20]) < 0.1


def test_slerp_of_a_field_with_itself_is_itself() -> None:
    field = draw_field(KEY, 0, SHAPE)
    assert sum(slerp_weights(field, field, 0.3)) == pytest.approx(1.0)


def test_one_field_is_drawn_ahead_and_no_frame_draws_more_than_one_on_the_way() -> None:
    desk = Desk()
    desk.noise(NoiseState(0.0))
    desk.noise(NoiseState(0.1))
    assert len(desk.written) == 3  # the two it needs, then the one ahead
    for position in np.arange(0.2, 9.0, 0.1):
        before = len(desk.written)
        desk.noise(NoiseState(float(position)))
        assert len(desk.written) - before <= 1
    assert len(desk.written) == 11  # seeds 0 to 10


def test_reseed_and_kind_start_elsewhere_and_come_back_the_same() -> None:
    desk, state = Desk(), NoiseState(2.4)
    first = desk.noise(state)
    assert alike(first, desk.noise(state, key=(1, 1, 1))) < 0.1
    assert alike(first, desk.noise(state, key=(1, 9, 0))) < 0.1
    assert alike(first, desk.noise(state, "pink")) < 0.9
    torch.testing.assert_close(desk.noise(state), first)


def test_carried_noise_moves_with_the_picture() -> None:
    desk, state = Desk(), NoiseState()
    start = desk.noise(state, "carried")
    cell = 2.0 / SHAPE[2]
    for _ in range(10):  # half a cell to the right each
        state = state.travelled(0.0, drift(x=-0.5 * cell))
    moved = desk.noise(state, "carried")
    assert alike(moved[..., 5:], start[..., :-5]) > 0.99
    assert alike(moved, start) < 0.2


def test_carried_noise_stays_noise_at_any_zoom() -> None:
    desk, state, before = Desk(), NoiseState(), None
    for _ in range(120):  # 6 e-folds inwards: 9 octaves
        state = state.travelled(0.0, drift(zoom=float(np.exp(0.05))))
        noise = desk.noise(state, "carried")
        assert float(noise.std()) == pytest.approx(1.0, abs=0.15)
        assert abs(alike(noise[..., 1:], noise[..., :-1])) < 0.75, "enlarged to blobs"
        if before is not None:
            assert alike(before, noise) > 0.2, "a jump"
        before = noise
    for _ in range(150):
        state = state.travelled(0.0, drift(zoom=float(np.exp(-0.1)), x=0.1))
    assert float(desk.noise(state, "carried").std()) == pytest.approx(1.0, abs=0.15)
    assert np.abs(state.moved).max() <= 4.0


def test_states_add_up_the_same_in_any_steps() -> None:
    fine = NoiseState()
    for _ in range(4):
        fine = fine.travelled(0.25, drift(x=0.01))
    whole = NoiseState().travelled(1.0, drift(x=0.04))
    assert fine.position == whole.position
    np.testing.assert_allclose(fine.moved, whole.moved, atol=1e-12)
    assert np.array_equal(NoiseState().travelled(0.0, identity()).moved, identity())


def test_the_picture_to_start_from_is_soft_and_coloured() -> None:
    picture = start_picture(KEY, (128, 64))
    assert picture.shape == (1, 3, 64, 128)
    assert picture.min() >= 0.0
    assert picture.max() <= 1.0
    assert picture.std() > 0.08
    assert np.abs(np.diff(picture, axis=3)).mean() < 0.05
    assert not np.array_equal(picture, start_picture((2, 1, 0), (128, 64)))
