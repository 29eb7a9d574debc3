"""Drawing at a smaller size than the programme's: the same look, no break when it changes."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from vjengine.compose.canvas import internal_size
from vjengine.compose.compositor import Compositor
from vjengine.resources import resource_dir

SIZE = (320, 180)
LOOK = {
    "feedback.mix": 0.6,
    "feedback.zoom": 0.4,
    "feedback.rotate": 0.1,
    "feedback.half_life": 1.0,
    "bloom.amount": 1.0,
    "vignette.amount": 0.5,
}


@pytest.fixture
def make(ctx):
    made = []

    def compositor(size=SIZE, scale=1.0):
        made.append(Compositor(ctx, size, resource_dir("shaders"), hot_reload=False))
        made[-1].flash_limit = False
        made[-1].scale = scale
        return made[-1]

    yield compositor
    for each in made:
        assert each.errors == ()
        each.release()


@pytest.fixture
def play(control, frame, pixels):
    """Show a wandering light for ``frames``; return the last picture as (H, W, 3) int."""

    def run(compositor, frames, values=None, start=0):
        y, x = np.mgrid[0.0:1.0:180j, 0.0:1.0:320j]
        for index in range(start, start + frames):
            at = 0.5 + 0.3 * np.cos(index / 15), 0.5 + 0.3 * np.sin(index / 15)
            light = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / 0.04)[..., None] * (255, 140, 60)
            shown = compositor.render(control(index, values or LOOK), frame(light.astype(np.uint8), index + 1))
        return pixels(shown)[..., :3].astype(int)

    return run


def test_internal_size_is_even_bounded_and_exact_at_one():
    assert internal_size((641, 359), 1.0) == (641, 359)
    assert internal_size((640, 360), 0.5) == (320, 180)
    assert internal_size((641, 359), 0.7) == (448, 252)
    assert internal_size((40, 20), 0.25) == (18, 18)
    assert internal_size((640, 360), 0.4) == (258, 144), "no power of two, for which shaders are compiled anew"
    assert internal_size((9, 3), 0.25) == (9, 3)


def test_scale_is_bounded(make):
    compositor = make()
    for wanted, taken in [(0.0, 0.25), (3.0, 1.0), (float("nan"), 1.0), (0.6, 0.6)]:
        compositor.scale = wanted
        assert compositor.scale == taken


@pytest.mark.parametrize("scale", [0.85, 0.5, 0.3])
def test_the_look_is_the_same_at_any_scale(make, play, scale):
    whole, small = make(), make(scale=scale)
    wanted, shown = play(whole, 30), play(small, 30)
    assert small.internal_size == internal_size(SIZE, scale)
    assert small.programme.size == SIZE
    assert wanted.mean() > 15, "there is something to compare"
    assert np.abs(shown - wanted).mean() < 2.5
    assert abs(shown.mean() - wanted.mean()) < 1.5


def test_a_change_of_scale_keeps_the_picture_and_the_trail(make, play, control, frame, pixels):
    compositor = make()
    before = play(compositor, 20)
    for index, scale in enumerate((0.5, 1.0, 0.3, 0.85), start=20):
        compositor.scale = scale
        black = {**LOOK, "feedback.zoom": 0.0, "feedback.rotate": 0.0}
        shown = pixels(compositor.render(control(index, black), frame((0, 0, 0), 100)))[..., :3].astype(int)
        assert compositor.internal_size == internal_size(SIZE, scale)
        assert compositor.programme.size == SIZE
        assert shown.mean() > 0.3 * before.mean(), "only the trail is left of the light"
        assert np.corrcoef(shown.ravel(), before.ravel())[0, 1] > 0.8, "and it is where it was"


def test_a_change_of_scale_is_no_flash(make, play):
    compositor = make()
    last = play(compositor, 20)
    for index, scale in enumerate((0.5, 0.85, 0.3, 1.0), start=20):
        compositor.scale = scale
        shown = play(compositor, 1, start=index)
        assert abs(shown.mean() - last.mean()) < 3
        assert np.abs(shown - last).mean() < 6
        last = shown


def test_a_frozen_picture_stays_exact_whatever_the_scale(make, play, control, frame, pixels):
    compositor = make(scale=0.5)
    held = play(compositor, 10)
    for index, scale in enumerate((0.3, 1.0, 0.6), start=10):
        compositor.scale = scale
        for black in (1.0, 0.0):
            values = {**LOOK, "out.freeze": 1.0, "out.black": black}
            shown = pixels(compositor.render(control(index, values), frame((255, 0, 0), 50 + index)))
        assert np.array_equal(shown[..., :3], held)
    play(compositor, 1, start=13)
    assert compositor.internal_size == internal_size(SIZE, 0.6), "thawed, it follows"


def test_resize_keeps_the_scale(make, play):
    compositor = make(scale=0.5)
    play(compositor, 2)
    compositor.resize((200, 100))
    shown = play(compositor, 3, start=2)
    assert shown.shape == (100, 200, 3)
    assert compositor.internal_size == (100, 50)
    assert shown.max() > 150


def test_the_limiter_works_at_a_small_scale(make, control, frame):
    compositor = make(scale=0.5)
    compositor.flash_limit = True
    values = {"strobe.amount": 1.0, "strobe.rate": 10.0}
    for index in range(90):
        compositor.render(control(index, values), frame((200, 200, 200)))
        compositor.scale = 0.5 if index % 20 < 10 else 0.7
    assert compositor.flash_amount == 1.0


def test_changing_scale_leaves_no_gl_object_behind(ctx, make, control, frame):
    def alive():
        return sum(
            1
            for each in gc.get_objects()
            if type(each).__module__ == "moderngl"
            and type(each).__name__ in ("Texture", "Buffer", "Framebuffer", "VertexArray")
            and type(each.mglo).__name__ != "InvalidObject"
        )

    compositor = make((64, 36))
    shot = frame((90, 90, 90))
    counts = []
    gc.collect()
    ctx.gc_mode = "context_gc"  # What is dropped without being released is kept here, to be counted.
    for index in range(200):
        compositor.scale = (0.5, 0.7, 1.0, 0.85)[index % 4]
        compositor.render(control(index, LOOK), shot)
        if index in (3, 199):
            gc.collect()
            counts.append(alive())
    dropped = [each for each in ctx.objects if type(each).__name__ != "InvalidObject"]
    ctx.objects.clear()
    ctx.gc_mode = None
    assert counts[0] == counts[1]
    assert dropped == []
