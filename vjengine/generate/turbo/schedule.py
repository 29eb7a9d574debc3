"""From strength and steps to the numbers of a frame: timesteps, and what each step does to the latents.

Everything a step does is linear in three tensors, so eight numbers a step say it all and the frame can be recorded
once. With ``x`` the noisy latents, ``y`` the UNet's output and ``n`` the noise::

    x  = signal * latents + spread * n        before the first step
    x0 = keep * x + take * y                  what the step believes the picture to be
    x  = go_x * x + go_x0 * x0 + go_n * n     where it goes from there; the last step ends at x0

``turbo`` goes on as the deterministic Euler step does (k-diffusion; Karras et al., 2022): the noise that the step found
is scaled down. ``lcm`` (Luo et al., 2023) trusts x0, with the consistency model's boundary scalings, and noises anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from vjengine.generate.turbo.parts import Prediction, Sampling

MAX_STEPS = 4
COLUMNS = ("timestep", "signal", "spread", "keep", "take", "go_x", "go_x0", "go_n")
"""Names of the numbers of a step, in order."""

_LCM_SIGMA = 0.5  # standard deviation of the data, and
_LCM_SCALE = 10.0  # factor of the timestep, in the published boundary condition


@dataclass(frozen=True, slots=True)
class Schedule:
    """The noise schedule of one model.

    Attributes:
        alphas: ``(T,)`` float64, cumulated product of alphas by timestep, falling.
        sampling: see :data:`~vjengine.generate.turbo.parts.Sampling`.
        prediction: what the UNet's output is.
    """

    alphas: npt.NDArray[np.float64]
    sampling: Sampling
    prediction: Prediction
    _ratio: npt.NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        alphas = np.clip(self.alphas, 1e-8, 1.0 - 1e-8)
        object.__setattr__(self, "_ratio", np.log(alphas / (1.0 - alphas)))

    def times(self, strength: float, steps: int) -> npt.NDArray[np.float64]:
        """Return the ``(steps,)`` noise levels as timesteps, falling, whole and between whole ones.

        They are spaced evenly below ``strength`` of all timesteps ("trailing"): at strength 1 the first is the last
        timestep of all, and they move continuously with ``strength``. None is below 1.
        """
        count = len(self.alphas)
        part = np.arange(steps, 0, -1, dtype=np.float64) / steps
        times: npt.NDArray[np.float64] = np.clip(strength * count * part - 1.0, 1.0, count - 1.0)
        return times

    def level(self, times: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the shares (signal, spread) of latents and noise at ``times``; their squares add up to 1.

        Between two timesteps the logarithm of the signal-to-noise ratio is interpolated.
        """
        ratio = np.interp(times, np.arange(len(self._ratio)), self._ratio)
        share = 1.0 / (1.0 + np.exp(-ratio))
        return np.sqrt(share), np.sqrt(1.0 - share)

    def rows(self, strength: float, steps: int) -> npt.NDArray[np.float32]:
        """Return ``(MAX_STEPS, len(COLUMNS))`` float32: one row a step, zeros after the last.

        The noise level is continuous in ``strength``; the timestep that the UNet is told is the nearest whole one, for
        it is one of a table.

        Args:
            strength: 0-1, how much of the latents is replaced by noise at first.
            steps: 1 to :data:`MAX_STEPS`.
        """
        steps = min(max(int(steps), 1), MAX_STEPS)
        times = self.times(min(max(float(strength), 0.0), 1.0), steps)
        signal, spread = self.level(times)
        keep, take = self._believed(signal, spread)
        if self.sampling == "lcm":
            scaled = times * _LCM_SCALE
            skip = _LCM_SIGMA**2 / (scaled**2 + _LCM_SIGMA**2)
            out = scaled / np.sqrt(scaled**2 + _LCM_SIGMA**2)
            keep, take = out * keep + skip, out * take
        rows = np.zeros((MAX_STEPS, len(COLUMNS)), dtype=np.float32)
        rows[:steps, 0] = np.rint(times)
        rows[:steps, 1:5] = np.stack((signal, spread, keep, take), axis=1)
        rows[: steps - 1, 5:] = self._onwards(signal, spread)
        rows[steps - 1, 5:] = 0.0, 1.0, 0.0
        return rows

    def _believed(
        self, signal: npt.NDArray[np.float64], spread: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        if self.prediction == "epsilon":
            return 1.0 / signal, -spread / signal
        if self.prediction == "v_prediction":
            return signal, -spread
        return np.zeros_like(signal), np.ones_like(signal)

    def _onwards(self, signal: npt.NDArray[np.float64], spread: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return ``(steps - 1, 3)``: how to get from each step's level to the next one's."""
        if self.sampling == "lcm":
            return np.stack((np.zeros(len(signal) - 1), signal[1:], spread[1:]), axis=1)
        shrink = spread[1:] / spread[:-1]
        return np.stack((shrink, signal[1:] - shrink * signal[:-1], np.zeros(len(shrink))), axis=1)
