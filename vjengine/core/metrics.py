"""Figures about the running engine: percentiles over a ring of samples, and heartbeats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Percentiles:
    """A summary of samples, in the samples' own unit; all 0 when there are none."""

    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    max: float = 0.0
    n: int = 0

    def as_dict(self, digits: int = 3) -> dict[str, float]:
        """Return the four figures, rounded, for JSON."""
        return {name: round(getattr(self, name), digits) for name in ("p50", "p95", "p99", "max")}


class Ring:
    """The last ``capacity`` samples of a figure. ``add`` allocates nothing."""

    def __init__(self, capacity: int = 4096) -> None:
        self._samples = np.zeros(capacity, dtype=np.float64)
        self.count = 0

    def add(self, value: float) -> None:
        """Record one sample."""
        self._samples[self.count % len(self._samples)] = value
        self.count += 1

    def values(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Return the kept samples, in no particular order."""
        return self._samples[: min(self.count, len(self._samples))].copy()

    def percentiles(self) -> Percentiles:
        """Summarise the kept samples."""
        return _summary(self.values())

    def recent(self, n: int) -> Percentiles:
        """Summarise the newest ``n`` samples."""
        newest = np.arange(max(0, self.count - min(n, len(self._samples))), self.count) % len(self._samples)
        return _summary(self._samples[newest])


def _summary(samples: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Percentiles:
    if not len(samples):
        return Percentiles()
    p50, p95, p99 = np.percentile(samples, (50, 95, 99))
    return Percentiles(float(p50), float(p95), float(p99), float(samples.max()), len(samples))


class Rate:
    """Events a second, over a sliding window of ``window`` events."""

    def __init__(self, window: int = 60) -> None:
        self._times = np.zeros(window, dtype=np.float64)
        self.count = 0

    def tick(self, now: float) -> None:
        """Record an event at session time ``now`` (s)."""
        self._times[self.count % len(self._times)] = now
        self.count += 1

    def per_second(self, now: float) -> float:
        """Return the rate, judged at ``now``: it falls towards 0 when events stop coming."""
        kept = min(self.count, len(self._times))
        if kept < 2:
            return 0.0
        oldest = self._times[self.count % len(self._times)] if self.count > len(self._times) else self._times[0]
        newest = self._times[(self.count - 1) % len(self._times)]
        mean = (newest - oldest) / (kept - 1)
        # Silence longer than a few intervals counts as part of the window.
        span = newest - oldest + max(0.0, (now - newest) - 3.0 * mean)
        return float((kept - 1) / span) if span > 0 else 0.0
