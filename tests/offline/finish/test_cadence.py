from fractions import Fraction

import pytest

from vjengine.offline.finish.cadence import Cadence, parse_rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("60", Fraction(60)),
        ("59.94", Fraction(60000, 1001)),
        ("23.976", Fraction(24000, 1001)),
        ("29.97", Fraction(30000, 1001)),
        ("30000/1001", Fraction(30000, 1001)),
        ("12.5", Fraction(25, 2)),
        ("23.98", Fraction(24000, 1001)),
    ],
)
def test_rates_are_read_exactly(text: str, rate: Fraction) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["fast", "0", "-1", "1/0", "1000", "nan"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"rate|expected"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("base", "fps"),
    [(Fraction(7), Fraction(60)), (Fraction(12), Fraction(60)), (Fraction(24000, 1001), Fraction(60000, 1001))],
)
def test_an_hour_does_not_drift(base: Fraction, fps: Fraction) -> None:
    cadence = Cadence(base, fps, int(3600 * base))
    assert abs(cadence.count / fps - cadence.frames / base) <= 1 / (2 * fps)
    for k in range(0, cadence.count, 997):
        index, share = cadence.place(k)
        if index < cadence.frames - 1:
            assert (index + share) / base == k / fps


def test_the_last_picture_is_held_to_the_end() -> None:
    cadence = Cadence(Fraction(12), Fraction(60), 3)
    assert cadence.count == 15
    assert [cadence.place(k)[0] for k in (0, 5, 9, 10, 14)] == [0, 1, 1, 2, 2]
    assert all(cadence.place(k) == (2, 0) for k in range(10, 15))


def test_segments_cover_all_and_need_only_what_is_around() -> None:
    cadence = Cadence(Fraction(7), Fraction(60), 20)
    segments = list(cadence.segments(40))
    assert [a for a, _ in segments] == list(range(0, cadence.count, 40))
    assert segments[-1][1] == cadence.count
    for start, stop in segments:
        first, end = cadence.needs(start, stop)
        assert 0 <= first < end <= cadence.frames
        assert first == cadence.place(start)[0]


def test_fewer_pictures_than_before() -> None:
    cadence = Cadence(Fraction(60), Fraction(12), 61)
    assert cadence.count == 12
    assert cadence.place(11) == (55, 0)
