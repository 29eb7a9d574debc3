"""The photosensitive limiter: judged by counting flashes in what is shown."""

from __future__ import annotations

import numpy as np
import pytest

from vjengine.compose.compositor import Compositor
from vjengine.compose.flash import GRID, FlashState, luminance, observe, unsafe
from vjengine.resources import resource_dir

SIZE = (64, 36)


def judge(pictures, fps=60.0):
    """Run luminance pictures through the judge; return its states."""
    state, states = FlashState(), []
    for index, picture in enumerate(pictures):
        state = observe(state, picture, index / fps, 1.0 / fps)
        states.append(state)
    return states


def flat(level):
    return np.full((GRID[1], GRID[0]), level, np.float32)


def square(rate, seconds, low=0.0, high=1.0, fps=60):
    return [flat(high if (i * rate / fps) % 1.0 < 0.5 else low) for i in range(int(seconds * fps))]


def test_luminance_is_relative_and_linear():
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[0] = (255, 255, 255, 255)
    pixels[1, 0] = (0, 255, 0, 255)
    seen = luminance(pixels)
    assert seen[0] == pytest.approx(1.0, abs=1e-5)
    assert seen[1, 0] == pytest.approx(0.7152, abs=1e-5)
    assert luminance(pixels, 0.5)[0] == pytest.approx(0.214, abs=0.004)


@pytest.mark.parametrize("rate", [3.5, 5.0, 8.0, 12.0])
def test_fast_strobe_is_calmed_within_its_fourth_flash(rate):
    states = judge(square(rate, 2.0))
    engaged = next(i for i, state in enumerate(states) if state.amount >= 1.0) / 60
    assert engaged <= 4.0 / rate + 0.05
    assert states[-1].amount == 1.0


@pytest.mark.parametrize("rate", [1.0, 2.0, 2.9])
def test_flashes_on_the_beat_are_left_alone(rate):
    """2.9 Hz is a flash on every beat of drum and bass."""
    assert max(state.amount for state in judge(square(rate, 4.0))) == 0.0


def test_short_pulses_on_the_beat_are_left_alone():
    pulses = [flat(0.9 if (i * 2.5 / 60) % 1.0 < 0.15 else 0.05) for i in range(240)]
    assert max(state.amount for state in judge(pulses)) == 0.0


def test_small_changes_bright_changes_and_small_areas_are_no_flashes():
    assert judge(square(10, 2.0, 0.30, 0.38))[-1].flashes == 0
    assert judge(square(10, 2.0, 0.85, 1.0))[-1].flashes == 0
    small = []
    for picture in square(10, 2.0):
        part = flat(0.2)
        part[:, :12] = picture[:, :12]
        small.append(part)
    assert judge(small)[-1].flashes == 0
    part_states = []
    for picture in square(10, 2.0):
        part = flat(0.2)
        part[:, :20] = picture[:, :20]
        part_states.append(part)
    assert judge(part_states)[-1].amount == 1.0


def test_noise_without_common_direction_is_no_flash():
    rng = np.random.default_rng(0)
    phase, speed = rng.random((GRID[1], GRID[0])), rng.uniform(0.5, 1.5, (GRID[1], GRID[0]))
    twinkle = [(0.5 + 0.5 * np.sin(6.28 * (phase + speed * i / 60))).astype(np.float32) for i in range(240)]
    assert max(state.amount for state in judge(twinkle)) == 0.0


def test_limiter_lets_go_when_the_flashing_stops():
    states = judge(square(10, 1.0) + [flat(0.5)] * 130)
    assert max(state.amount for state in states) == 1.0
    assert states[-1].amount == 0.0


def test_rule_of_the_judge():
    assert not unsafe(tuple(i / 6 for i in range(6)))
    assert unsafe(tuple(i / 7.5 for i in range(7)))
    assert unsafe(tuple(i / 20 for i in range(5)))


@pytest.fixture
def run(ctx, control, frame, pixels):
    """Return the programme's mean luminance over time under ``values``, as a function of limiter on or off."""

    def make(values, on, seconds=3.0, fps=60):
        compositor = Compositor(ctx, SIZE, resource_dir("shaders"), hot_reload=False)
        compositor.flash_limit = on
        rows = np.mgrid[0:36, 0:64][1]
        shot = frame(np.dstack([120 + 100 * ((rows // 2) % 2)] * 3).astype(np.uint8))
        seen = []
        for index in range(int(seconds * fps)):
            state = values(index / fps) if callable(values) else values
            seen.append(pixels(compositor.render(control(index, state, fps=fps), shot)).copy())
        amount = compositor.flash_amount
        compositor.release()
        return seen, amount

    return make


def flashes_in(pictures, fps=60):
    """Count general flashes in the worst second, without the compositor's own judge."""
    levels = np.array([luminance(picture).mean() for picture in pictures])
    changes, anchor, rising = [], levels[0], None
    for index, level in enumerate(levels):
        if rising is not False and anchor - level >= 0.1 and level < 0.8:
            changes.append(index / fps)
            anchor, rising = level, False
        elif rising is not True and level - anchor >= 0.1 and anchor < 0.8:
            changes.append(index / fps)
            anchor, rising = level, True
        elif rising is not None:
            anchor = max(anchor, level) if rising else min(anchor, level)
    worst = max((sum(1 for other in changes if 0 <= other - moment < 1.0) for moment in changes), default=0)
    return worst / 2


def test_strobe_at_ten_hertz_is_made_safe_and_only_when_limited(run):
    values = {"strobe.amount": 1.0, "strobe.rate": 10.0}
    wild, _ = run(values, on=False)
    tame, amount = run(values, on=True)
    assert flashes_in(wild) > 5
    assert flashes_in(tame) <= 3.5, "the fourth flash may have begun when it is judged"
    assert flashes_in(tame[60:]) <= 1
    assert amount == 1.0


def test_fine_structure_stays_while_limited(run):
    tame, _ = run({"strobe.amount": 1.0, "strobe.rate": 10.0}, on=True)
    sharp = [np.abs(np.diff(picture[18, :, 1].astype(int))).max() for picture in tame[-12:]]
    assert max(sharp) > 40


def test_white_flashes_and_hammered_blackouts_are_calmed(run):
    def hammer(name):
        return lambda time: {name: 1.0 if (time * 8) % 1.0 < 0.5 else 0.0}

    for name in ("out.flash", "out.black"):
        tame, _ = run(hammer(name), on=True)
        assert flashes_in(tame[60:]) <= 1.5, name


def test_blackout_is_total_even_while_limiting(run):
    def show(time):
        return {"strobe.amount": 1.0, "strobe.rate": 10.0, "out.black": 1.0 if time > 2.0 else 0.0}

    tame, _ = run(show, on=True)
    assert tame[125][..., :3].max() <= 1


def test_calm_pictures_are_not_touched(ctx, control, frame, pixels):
    shown = []
    for on in (True, False):
        compositor = Compositor(ctx, SIZE, resource_dir("shaders"), hot_reload=False)
        compositor.flash_limit = on
        for index in range(30):
            values = {"feedback.mix": 0.5, "out.flash": 0.5 if index == 10 else 0.0}
            picture = compositor.render(control(index, values), frame((index * 3, 90, 200), index + 1))
            shown.append(pixels(picture).copy())
        compositor.release()
    assert all(np.array_equal(a, b) for a, b in zip(shown[:30], shown[30:], strict=True))
