"""The numbers of a frame, held against the schedulers of diffusers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

from vjengine.generate.turbo.parts import Prediction, Sampling  # noqa: E402
from vjengine.generate.turbo.random_models import scaled_linear_alphas  # noqa: E402
from vjengine.generate.turbo.schedule import COLUMNS, MAX_STEPS, Schedule  # noqa: E402

ALPHAS = scaled_linear_alphas()
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
PREDICTIONS: tuple[Prediction, ...] = ("epsilon", "v_prediction", "sample")
RNG = np.random.default_rng(4)
LATENTS, NOISE = (torch.from_numpy(RNG.standard_normal((1, 4, 8, 8))) for _ in range(2))


def unet(x: Any, t: float) -> Any:
    """Any function of the noisy latents and the timestep will do: both sides call the same one."""
    return torch.tanh(0.7 * x + 0.1 * x.roll(1, -1)) * (0.5 + t / 2000.0)


def ours(sampling: Sampling, prediction: Prediction, strength: float, steps: int, noises: list[Any]) -> Any:
    rows = Schedule(ALPHAS, sampling, prediction).rows(strength, steps).astype(np.float64)
    x = rows[0, 1] * LATENTS + rows[0, 2] * NOISE
    for (t, _, _, keep, take, go_x, go_x0, go_n), noise in zip(rows[:steps], noises, strict=True):
        x0 = keep * x + take * unet(x, t)
        x = go_x * x + go_x0 * x0 + go_n * noise
    return x


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers' own
@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize(("strength", "steps"), [(1.0, 1), (1.0, 4), (0.5, 1), (0.25, 2)])
def test_turbo_agrees_with_an_euler_scheduler(prediction: Prediction, strength: float, steps: int) -> None:
    # As the image-to-image pipeline runs it: of steps/strength timesteps, the last ones.
    scheduler = diffusers.EulerDiscreteScheduler(**BETAS, prediction_type=prediction, timestep_spacing="trailing")
    total = round(steps / strength)
    scheduler.set_timesteps(total)
    times = scheduler.timesteps[total - steps :]
    scheduler.set_begin_index(total - steps)
    x = scheduler.add_noise(LATENTS, NOISE, times[:1])
    for t in times:
        x = scheduler.step(unet(scheduler.scale_model_input(x, t), float(t)), t, x).prev_sample
    torch.testing.assert_close(ours("turbo", prediction, strength, steps, [NOISE] * steps), x, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize(("strength", "steps"), [(1.0, 1), (0.5, 1), (1.0, 2)])
def test_lcm_agrees_with_the_lcm_scheduler(prediction: Prediction, strength: float, steps: int) -> None:
    scheduler = diffusers.LCMScheduler(**BETAS, prediction_type=prediction)
    scheduler.set_timesteps(steps, strength=strength)
    times = scheduler.timesteps
    drawn = torch.Generator().manual_seed(9)
    noises = [torch.randn(NOISE.shape, generator=drawn, dtype=torch.float64) for _ in range(steps)]
    drawn.manual_seed(9)
    x = scheduler.add_noise(LATENTS, NOISE, times[:1])
    for t in times:
        x = scheduler.step(unet(x, float(t)), t, x, generator=drawn).prev_sample
    torch.testing.assert_close(ours("lcm", prediction, strength, steps, noises), x, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("sampling", ["turbo", "lcm"])
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_a_moving_fader_never_jumps(sampling: Sampling, prediction: Prediction) -> None:
    schedule = Schedule(ALPHAS, sampling, prediction)
    for steps in range(1, MAX_STEPS + 1):
        rows = np.stack([schedule.rows(s, steps) for s in np.linspace(0.05, 1.0, 1901)])[:, :steps]
        assert np.abs(np.diff(rows[..., 0], axis=0)).max() <= 1, "the timestep moves one by one"
        scale = np.abs(rows[..., 1:]).max(axis=0) + 1e-9
        assert (np.abs(np.diff(rows[..., 1:], axis=0)) / scale).max() < 0.04


@pytest.mark.parametrize("strength", [-1.0, 0.0, 1e-6, 0.05, 1.0, 3.0])
def test_timesteps_stay_in_the_table_and_fall(strength: float) -> None:
    for steps in (0, 1, 2, 3, 4, 9):
        rows = Schedule(ALPHAS, "turbo", "epsilon").rows(strength, steps)
        used = rows[rows[:, COLUMNS.index("signal")] > 0]
        assert rows.shape == (MAX_STEPS, len(COLUMNS))
        assert len(used) == min(max(steps, 1), MAX_STEPS)
        assert used[:, 0].min() >= 1
        assert used[:, 0].max() <= 999
        assert (np.diff(used[:, 0]) <= 0).all()
        assert np.isfinite(rows).all()
        np.testing.assert_allclose(used[:, 1] ** 2 + used[:, 2] ** 2, 1.0, atol=1e-6)


def test_strength_says_how_much_noise_there_is() -> None:
    schedule = Schedule(ALPHAS, "turbo", "epsilon")
    spread: npt.NDArray[np.float32] = np.array([schedule.rows(s, 1)[0, 2] for s in np.linspace(0.05, 1, 20)])
    assert (np.diff(spread) > 0).all()
    assert spread[0] < 0.3
    assert spread[-1] > 0.99


def test_a_model_trained_down_to_pure_noise_keeps_finite_numbers() -> None:
    alphas = ALPHAS.copy()
    alphas[-1] = 0.0
    assert np.isfinite(Schedule(alphas, "turbo", "v_prediction").rows(1.0, 4)).all()
