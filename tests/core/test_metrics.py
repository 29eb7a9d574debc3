import pytest

from vjengine.core.metrics import Percentiles, Rate, Ring


def test_ring_keeps_the_newest() -> None:
    ring = Ring(10)
    for value in range(100):
        ring.add(float(value))
    assert sorted(ring.values()) == [float(v) for v in range(90, 100)]
    assert ring.recent(2).max == 99.0
    assert ring.recent(2).p50 == 98.5
    assert ring.percentiles().n == 10


def test_nothing_measured_is_zero_and_not_an_error() -> None:
    assert Ring().percentiles() == Percentiles()
    assert Rate().per_second(1.0) == 0.0


def test_rate_falls_when_events_stop() -> None:
    rate = Rate(30)
    for i in range(100):
        rate.tick(i / 60)
    assert rate.per_second(99 / 60) == pytest.approx(60.0)
    assert rate.per_second(99 / 60 + 5.0) < 10.0
