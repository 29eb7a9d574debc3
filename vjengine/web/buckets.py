"""Token buckets by kind and address, bounded in number: ten thousand addresses cost no more than a megabyte or two."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MOST_BUCKETS = 10_000


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something may happen: ``burst`` times at once, then ``each_second`` on average."""

    each_second: float
    burst: float


class Buckets:
    """Counts what addresses do.

    Where there are more addresses than buckets, the one not seen for longest is forgotten; it comes back with a full
    bucket, which is what the wait would have given it anyway, give or take.

    Args:
        rates: by kind.
        most: buckets kept.
        now: seconds that only grow.
    """

    def __init__(
        self, rates: Mapping[str, Rate], most: int = MOST_BUCKETS, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._rates = dict(rates)
        self._most = most
        self._now = now
        self._levels: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._levels)

    def allow(self, kind: str, who: str) -> bool:
        """Take one from the bucket of ``kind`` and ``who``; return False if it is empty.

        Raises:
            KeyError: there is no rate for ``kind``.
        """
        rate = self._rates[kind]
        level, now = self._level(kind, who, rate)
        allowed = level >= 1.0
        self._levels[kind, who] = (level - 1.0 if allowed else level, now)
        self._levels.move_to_end((kind, who))
        if len(self._levels) > self._most:
            self._levels.popitem(last=False)
        return allowed

    def wait(self, kind: str, who: str) -> float:
        """Return after how many seconds :meth:`allow` says yes again."""
        rate = self._rates[kind]
        return max(0.0, (1.0 - self._level(kind, who, rate)[0]) / rate.each_second)

    def _level(self, kind: str, who: str, rate: Rate) -> tuple[float, float]:
        now = self._now()
        level, then = self._levels.get((kind, who), (rate.burst, now))
        return min(rate.burst, level + (now - then) * rate.each_second), now
