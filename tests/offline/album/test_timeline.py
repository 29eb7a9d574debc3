"""Whole numbers all the way: nothing adds up over an album, however odd the rates."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from vjengine.offline.album.timeline import exact_fps, frames_for, lay_out

RATES = st.sampled_from([24.0, 25.0, 29.97, 30.0, 50.0, 59.94, 60.0])


@settings(max_examples=150, deadline=None)
@given(samples=st.lists(st.integers(2000, 48000 * 900), min_size=1, max_size=40), fps=RATES)
def test_every_track_is_on_time_whatever_came_before(samples: list[int], fps: float) -> None:
    rate, exact = 48000, exact_fps(fps)
    slots = lay_out(samples, rate, exact)
    at = 0
    for index, (slot, count) in enumerate(zip(slots, samples, strict=True)):
        assert (slot.sample, slot.samples) == (at, count)
        assert abs(Fraction(slot.frame) / exact - Fraction(at, rate)) <= 1 / (2 * exact)
        assert slot.frames in (frames_for(count, rate, exact), frames_for(count, rate, exact) - 1)
        if index:
            assert slot.frame == slots[index - 1].frame + slots[index - 1].frames
        at += count
    whole = sum(slot.frames for slot in slots)
    assert abs(Fraction(whole) / exact - Fraction(at, rate)) <= 1 / (2 * exact)


def test_ntsc_is_counted_exactly() -> None:
    assert exact_fps(29.97) == Fraction(2997, 100)
    assert exact_fps(30000 / 1001) == Fraction(30000, 1001)
