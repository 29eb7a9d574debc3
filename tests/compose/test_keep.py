"""Corrections of the trail: what they do to the pixels, when they are carried out, and that nothing else happens."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace

import moderngl
import numpy as np
import pytest

from vjengine.compose.compositor import Compositor
from vjengine.compose.keep import Keep, copy_size, part, sound
from vjengine.compose.keeper import DELAY, LEAST_HALF_LIFE, LEAST_MIX, LOOK_INTERVAL
from vjengine.compose.passes import Target, unbind
from vjengine.compose.shaders import ShaderLibrary
from vjengine.core.correction import MAX_NOISE, NO_CORRECTION, Correction
from vjengine.resources import resource_dir
from vjengine.stabilise.apply import apply_exactly

STRONG = {"feedback.mix": 1.0, "feedback.half_life": 8.0, "feedback.zoom": 0.0, "stabilise.trail": 1.0}
WARM = (0.9, 0.1, 0.0, 0.02, 0.0, 0.95, 0.0, -0.01, 0.05, 0.0, 0.8, 0.03)
BLUE_TINT = (0.2, 0.0, 0.0, 0.0, 0.2, 0.0, 0.3, 0.0, 0.911)
"""Covariance of trace 1; most of it is blue, and what is red is in it too."""
BLACK = (0, 0, 0)


def decode(code):
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def encode(light):
    light = np.clip(light, 0.0, 1.0)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def boxes(values, size):
    """Means over ``size`` × ``size`` px."""
    high, wide = values.shape[0] // size, values.shape[1] // size
    return values[: high * size, : wide * size].reshape(high, size, wide, size).mean(axis=(1, 3))


def exactly(code, correction, anchor=None):
    """The yardstick: what the CPU makes of it."""
    return apply_exactly(code.astype(np.float32), correction, np.random.default_rng(1), anchor)


def picture(size, seed=1):
    """Shapes of every scale and texture, sRGB code ``(H, W, 3)`` 0-1."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0.0 : 1.0 : size[1] * 1j, 0.0 : 1.0 : size[0] * 1j]
    waves = [np.sin(2 * np.pi * (a * x + b * y) + np.arange(3).reshape(3, 1, 1)) for a, b in ((1, 2), (5, 3), (9, 14))]
    shapes = np.moveaxis(0.45 + 0.14 * sum(waves), 0, -1) + ((x - y) > 0.3)[..., None] * 0.15
    return np.clip(shapes + 0.05 * rng.standard_normal((size[1], size[0], 3)), 0.0, 1.0)


class Watch:
    """A watch that says what it is told to, and remembers what it saw."""

    def __init__(self, said=NO_CORRECTION):
        self.said = said
        self.seen = []
        self.left = []

    def leave(self, control):
        self.left.append(control.time.index)

    def look(self, pixels, control):
        assert pixels.dtype == np.uint8
        assert not pixels.flags.writeable
        self.seen.append((pixels, control))

    def correction(self):
        return self.said


class Bench:
    """Keeps one picture, of one size after the other: compiling takes longer than all the tests."""

    def __init__(self, ctx):
        self.ctx = ctx
        self.library = ShaderLibrary(ctx, resource_dir("shaders"), hot_reload=False)
        self.size = (8, 8)
        self.keep = Keep(ctx, self.library, self.size, self.size)
        self.source, self.target = Target(ctx, self.size), Target(ctx, self.size)

    def resize(self, size):
        self.size = size
        self.keep.resize(size, size)
        self.keep.forget()
        self.release_targets()
        self.source, self.target = Target(self.ctx, size), Target(self.ctx, size)
        self.target.framebuffer.clear(0.25, 0.25, 0.25, 0.25)

    def write(self, light, alpha=1.0):
        rgba = np.dstack([light, np.full(light.shape[:2], alpha)]).astype(np.float16)
        self.source.texture.write(np.ascontiguousarray(rgba[::-1]))

    def read(self):
        data = np.frombuffer(self.target.texture.read(), np.float16).reshape(self.size[1], self.size[0], 4)
        return data[::-1].astype(np.float32)

    def __call__(self, code, correction):
        """Return ``code`` (H, W, 3) corrected, sRGB code."""
        self.write(decode(code))
        assert self.keep.draw(self.source, correction, self.target)
        return encode(self.read()[..., :3])

    def release_targets(self):
        unbind(self.ctx)
        self.source.release()
        self.target.release()


@pytest.fixture(scope="module")
def shared_bench(shared_context):
    made = Bench(shared_context)
    yield made
    assert made.library.errors == ()
    made.keep.release()
    made.release_targets()
    made.library.release()


@pytest.fixture
def bench(ctx, shared_bench):
    def make(size=(97, 55)):
        shared_bench.resize(size)
        return shared_bench

    return make


@pytest.fixture
def stage(ctx):
    made = []

    def make(watch=None, size=(96, 54), shaders=None, hot_reload=False):
        folder = shaders or resource_dir("shaders")
        made.append(Compositor(ctx, size, folder, hot_reload=hot_reload, watch=watch))
        made[-1].flash_limit = False
        return made[-1]

    yield make
    for each in made:
        each.release()


@pytest.mark.parametrize("size", [(97, 55), (64, 64), (33, 130), (5, 3), (1, 1)])
@pytest.mark.parametrize(
    "correction",
    [
        Correction(1, colour=WARM),
        Correction(1, gains=(0.7, 1.0, 1.0)),
        Correction(1, gains=(1.0, 0.7, 1.0)),
        Correction(1, gains=(1.0, 1.0, 0.7)),
        Correction(1, ceiling=0.04),
        Correction(1, colour=WARM, gains=(0.8, 0.9, 1.2), ceiling=0.06),
    ],
    ids=["colour", "fine", "middle", "coarse", "ceiling", "all"],
)
def test_it_means_what_the_definition_says(bench, size, correction):
    code = picture(size)
    wanted = exactly(code, correction)
    if min(size) > 5:
        assert np.abs(wanted - code).max() > 4 / 255, "there is something to compare"
    assert np.abs(bench(size)(code, correction) - wanted).max() <= 2 / 255


def test_the_anchor_picture_comes_back_by_its_share(bench):
    keeping, first, later = bench(), picture((97, 55), 1), picture((97, 55), 2)
    assert not keeping.keep.draw(keeping.source, Correction(1, anchor=0.5), keeping.target), "there is none yet"
    keeping.write(decode(first))
    keeping.keep.remember(keeping.source)
    assert np.abs(keeping(later, Correction(1, anchor=0.3)) - (0.7 * later + 0.3 * first)).max() <= 2 / 255
    both = Correction(1, colour=WARM, gains=(0.8, 0.8, 0.8), anchor=0.3)
    assert np.abs(keeping(later, both) - exactly(later, both, first)).max() <= 2 / 255


@pytest.mark.parametrize("band", [0, 1, 2])
def test_noise_is_as_much_as_asked_for_in_the_colours_asked_for(bench, band):
    keeping, grey = bench((255, 145)), np.full((145, 255, 3), 0.5)
    amount = [0.0, 0.0, 0.0]
    amount[band] = 0.1
    added = np.stack([keeping(grey, Correction(n, noise=tuple(amount), tint=BLUE_TINT)) - 0.5 for n in (1, 2, 3)])
    flat = added.reshape(-1, 3)
    assert np.sqrt((flat**2).sum(axis=1).mean()) == pytest.approx(0.1, rel=0.15)
    tint = np.array(BLUE_TINT).reshape(3, 3)
    assert np.abs(np.cov(flat.T) / 0.01 - tint @ tint.T).max() < 0.12
    assert abs(np.corrcoef(added[0].ravel(), added[1].ravel())[0, 1]) < 0.1, "another number, other noise"
    there = exactly(grey, Correction(1, noise=tuple(amount), tint=BLUE_TINT)) - 0.5
    for size in (1, 2, 4, 8):
        ours, theirs = (np.std(boxes(each[..., 2], size)) for each in (added[0], there))
        assert ours == pytest.approx(theirs, rel=0.2), "as much of it at every scale as on the CPU"
    grain = [np.corrcoef(added[0, :, :-d, 2].ravel(), added[0, :, d:, 2].ravel())[0, 1] for d in (1, 3, 8)]
    assert (np.array(grain) > 0.3).sum() == band, "each band has a size of its own"


def test_noise_enlarged_is_as_much_where_it_is_looked_at(bench):
    keeping, grey = bench((768, 432)), np.full((432, 768, 3), 0.5)
    for noise in ((0.1, 0.0, 0.0), (0.0, 0.1, 0.0), (0.0, 0.0, 0.1)):
        shown = keeping(grey, Correction(4, noise=noise))
        small = shown.reshape(144, 3, 256, 3, 3).mean(axis=(1, 3)) - 0.5
        assert np.sqrt((small**2).sum(axis=-1).mean()) == pytest.approx(0.1, rel=0.2)


def test_bands_are_those_of_the_copy(bench):
    """At 768 × 432 a gain of the fine band acts on what is fine in the copy of 256 × 144."""
    keeping = bench((768, 432))
    assert keeping.keep.copy.size == (256, 144) == copy_size((768, 432))
    small = picture((256, 144))
    large = np.repeat(np.repeat(small, 3, axis=0), 3, axis=1)
    kept = keeping(large, Correction(1, gains=(0.7, 0.7, 0.7))).reshape(144, 3, 256, 3, 3).mean(axis=(1, 3))
    wanted = exactly(small, Correction(1, gains=(0.7, 0.7, 0.7)))
    moved, asked = (kept - small).ravel(), (wanted - small).ravel()
    assert np.corrcoef(moved, asked)[0, 1] > 0.85
    assert 0.4 < np.std(moved) / np.std(asked) < 1.1


def test_alpha_and_light_beyond_the_display_stay(bench):
    keeping = bench((24, 16))
    light = np.full((16, 24, 3), 0.2)
    light[:, :12] = (-0.05, 1.3, 0.4)
    keeping.write(light, alpha=0.625)
    unmoved = (1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0.5, 0)
    assert keeping.keep.draw(keeping.source, Correction(1, colour=unmoved), keeping.target)
    kept = keeping.read()
    assert (kept[..., 3] == 0.625).all()
    assert np.abs(kept[..., :2] - light[..., :2]).max() < 2e-3, "what the correction leaves alone is left alone"
    assert (kept[..., 2] < 0.5 * light[..., 2]).all()


def test_bad_light_becomes_black_and_stays_where_it_is(bench):
    keeping, code = bench((48, 32)), picture((48, 32))
    light = decode(code)
    light[10, 10], light[20, 30], light[25, 5] = np.nan, np.inf, -np.inf
    keeping.write(light)
    keeping.keep.remember(keeping.source)
    correction = Correction(1, colour=WARM, gains=(0.7, 0.8, 0.9), noise=(0.01, 0.01, 0.01), anchor=0.2)
    assert keeping.keep.draw(keeping.source, correction, keeping.target)
    kept = keeping.read()
    assert np.isfinite(kept).all()
    clean = np.nan_to_num(light, nan=0.0, posinf=0.0, neginf=0.0)
    wanted = exactly(encode(clean), replace(correction, noise=(0.0, 0.0, 0.0), anchor=0.0)) * 0.8 + 0.2 * encode(clean)
    assert np.abs(encode(kept[..., :3]) - wanted).mean() < 0.02


def test_black_gets_no_more_than_the_noise_asked_for(bench):
    keeping = bench((48, 32))
    black = np.zeros((32, 48, 3))
    assert keeping(black, Correction(1, gains=(0.7, 0.7, 0.7), ceiling=0.01)).max() < 1e-3
    assert keeping(black, Correction(1, noise=(0.03, 0.0, 0.0))).max() < 0.15


def test_numbers_that_are_none_or_out_of_range(bench):
    keeping = bench((24, 16))
    keeping.write(decode(picture((24, 16))))
    for bad in (float("nan"), float("inf")):
        broken = Correction(1, colour=(*WARM[:11], bad), noise=(0.1, 0.1, 0.1))
        assert not keeping.keep.draw(keeping.source, broken, keeping.target)
    wild = sound(Correction(1, gains=(0.0, 9.0, 1.0), ceiling=1e-9, noise=(9.0, -1.0, 0.0), anchor=7.0))
    assert wild.gains == (0.7, 1.25, 1.0)
    assert wild.noise == (MAX_NOISE, 0.0, 0.0)
    assert wild.anchor == 1.0
    assert 0.0 < wild.ceiling < 0.01


def test_a_neutral_correction_draws_nothing(bench):
    keeping = bench((24, 16))
    keeping.write(decode(picture((24, 16))))
    for same in (NO_CORRECTION, Correction(7), Correction(8, anchor=0.5), Correction(9, latents=1.0, strength=0.5)):
        assert not keeping.keep.draw(keeping.source, same, keeping.target)
    assert (keeping.read() == 0.25).all()


def test_the_parts_of_a_correction_come_to_the_whole(bench):
    keeping, code = bench(), picture((97, 55))
    whole = Correction(1, colour=WARM, ceiling=0.1, gains=(0.8, 0.8, 0.8))
    wanted = keeping(code, whole)
    for begun, done in ((0.0, 0.3), (0.3, 0.6), (0.6, 1.0)):
        keeping.write(decode(code))
        assert keeping.keep.draw(keeping.source, whole, keeping.target, begun, done)
        code = encode(keeping.read()[..., :3])
    assert np.abs(code - wanted).mean() < 1 / 255
    assert np.abs(code - wanted).max() < 8 / 255, "bands of bands are not quite bands"
    noisy = Correction(1, noise=(0.1, 0.0, 0.0))
    added = np.full((55, 97, 3), 0.5)
    for begun, done in ((0.0, 0.5), (0.5, 1.0)):
        keeping.write(decode(added))
        assert keeping.keep.draw(keeping.source, noisy, keeping.target, begun, done)
        added = encode(keeping.read()[..., :3])
    assert np.sqrt(((added - 0.5) ** 2).sum(axis=-1).mean()) == pytest.approx(0.1, rel=0.15)
    assert part(whole, 0.0, 1.0) == whole
    inside_out = (-1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
    assert np.isfinite(part(Correction(1, colour=inside_out), 0.5, 0.75).colour).all()


def play(compositor, control, frame, pixels, frames, values=STRONG, start=0, shot=None, said=None, fps=60.0):
    """Show ``shot`` once, then black; ``said`` is called with each index before the frame. Return all pictures."""
    shown = []
    for index in range(start, start + frames):
        if said is not None:
            said(index)
        source = frame(shot, 1) if shot is not None and index == 0 else frame(BLACK, 2)
        shown.append(pixels(compositor.render(control(index, values, fps=fps), source)).copy())
    return shown


@pytest.fixture
def run(control, frame, pixels):
    def call(compositor, frames, **options):
        return play(compositor, control, frame, pixels, frames, **options)

    return call


SHOT = (255 * picture((96, 54))).astype(np.uint8)


def test_a_watch_with_nothing_to_say_changes_no_pixel(stage, run):
    watch = Watch()
    plain, watched = run(stage(), 60, shot=SHOT), run(stage(watch), 60, shot=SHOT)
    assert len(watch.seen) >= 6
    assert all(np.array_equal(a, b) for a, b in zip(plain, watched, strict=True))


def test_looks_are_few_late_by_a_fixed_number_of_frames_and_of_the_right_picture(stage, run):
    watch = Watch()
    shown = run(stage(watch), 121, shot=SHOT)
    looks = [control.time.index for _, control in watch.seen]
    gaps = np.diff([control.time.time for _, control in watch.seen])
    assert looks[0] == 0
    assert (gaps >= LOOK_INTERVAL - 1e-9).all()
    assert (gaps < LOOK_INTERVAL + 2 / 60).all()
    for seen, control in watch.seen:
        assert seen.shape == (54, 96, 4)
        assert np.abs(seen[..., :3].astype(int) - shown[control.time.index][..., :3]).max() <= 1
    # Frame 0 is looked at before frame DELAY is drawn.
    again = Watch()
    run(stage(again), DELAY, shot=SHOT)
    assert not again.seen
    assert DELAY == 2


def test_a_weak_trail_is_not_looked_at(stage, run):
    for values in (
        {**STRONG, "feedback.mix": LEAST_MIX - 0.01},
        {**STRONG, "feedback.half_life": LEAST_HALF_LIFE - 0.01},
        {**STRONG, "stabilise.trail": 0.0},
        {},
    ):
        watch = Watch(Correction(3, colour=WARM, feedback=0.1))
        plain, watched = run(stage(), 30, shot=SHOT, values=values), run(stage(watch), 30, shot=SHOT, values=values)
        assert not watch.seen
        assert all(np.array_equal(a, b) for a, b in zip(plain, watched, strict=True))


def test_a_correction_is_carried_out_once_for_each_number(stage, run):
    half = (0.5, 0, 0, 0, 0, 0.5, 0, 0, 0, 0, 0.5, 0)
    watch = Watch()
    grey = np.full((54, 96, 3), 200, np.uint8)

    def said(index):
        if index in (20, 40):
            watch.said = Correction(index, colour=half)

    levels = [shown[20:30, 40:50, :3].mean() for shown in run(stage(watch), 60, shot=grey, said=said)]
    steps = np.array(levels[1:]) / np.array(levels[:-1])
    assert np.prod(steps[18:30]) == pytest.approx(0.5, abs=0.03)
    assert np.prod(steps[38:50]) == pytest.approx(0.5, abs=0.04)
    assert steps.min() > 0.7, "spread over some frames: no pulse"
    rest = np.delete(steps, [0, *range(18, 28), *range(38, 48)])
    assert (rest > 0.98).all()
    assert (rest < 1.005).all()


def test_the_last_picture_becomes_the_anchor_when_keep_moves(stage, run):
    watch = Watch()

    def said(index):
        if index == 10:
            watch.said = Correction(1, keep=1)
        if index == 200:
            watch.said = Correction(2, keep=1, anchor=1.0)

    shown = run(stage(watch), 205, shot=SHOT, said=said, values={**STRONG, "feedback.half_life": 1.5})
    assert shown[199][..., :3].mean() < 0.6 * shown[9][..., :3].mean()
    before, after = shown[9][..., :3].astype(int), shown[204][..., :3].astype(int)
    inside = np.s_[4:-4, 4:-4]
    assert np.abs(before[inside] - after[inside]).mean() < 3


def test_less_feedback_glides_and_a_fresh_start_forgets(stage, run):
    watch = Watch()
    grey = np.full((54, 96, 3), 200, np.uint8)

    def said(index):
        if index == 10:
            watch.said = Correction(1, feedback=0.25)
        if index == 80:
            watch.said = Correction(2, feedback=1.0, restart=1)

    levels = [s[20:30, 40:50, :3].mean() for s in run(stage(watch), 160, shot=grey, said=said)]
    assert levels[75] < 0.62 * levels[9]
    assert np.diff(levels[8:90]).min() > -6, "no jump"
    assert max(levels[110:]) == 0.0, "nothing of it comes back"


def test_sizes_change_in_the_middle_of_it(stage, control, frame):
    class Busy(Watch):
        def look(self, pixels, control):
            super().look(pixels, control)
            number = len(self.seen)
            self.said = Correction(
                number, colour=WARM, gains=(0.8, 0.9, 1.1), noise=(0.02, 0.02, 0.02), anchor=0.1, keep=number // 2
            )

    watch = Busy()
    compositor = stage(watch)
    sizes = [(97, 55), (64, 64), (300, 40), (1, 1), (320, 180)]
    index = 0
    for size in sizes:
        compositor.resize(size)
        for scale in (1.0, 0.5, 0.85):
            compositor.scale = scale
            for _ in range(12):
                shown = compositor.render(control(index, STRONG), frame((180, 90, 40), index))
                index += 1
            data = np.frombuffer(compositor._canvas.picture.texture.read(), np.float16)
            assert np.isfinite(data).all()
    assert shown.size == (320, 180)
    assert {pixels.shape[:2] for pixels, _ in watch.seen} == {copy_size(size)[::-1] for size in sizes}


def test_the_same_twice(stage, run):
    class Busy(Watch):
        def look(self, pixels, control):
            super().look(pixels, control)
            self.said = Correction(
                len(self.seen), gains=(0.9, 0.9, 0.9), noise=(0.01, 0.02, 0.03), anchor=0.05, keep=len(self.seen) // 3
            )

    once, twice = (b"".join(s.tobytes() for s in run(stage(Busy()), 50, shot=SHOT)) for _ in range(2))
    assert once == twice
    assert len(set(np.frombuffer(once, np.uint8)[-96 * 54 * 4 :])) > 10


@pytest.mark.parametrize("name", ["keep", "keep_small"])
def test_a_broken_shader_keeps_the_show_going(ctx, stage, tmp_path, run, name):
    shutil.copytree(resource_dir("shaders") / "compositor", tmp_path / "compositor")
    (tmp_path / "compositor" / f"{name}.frag.glsl").write_text("not GLSL\n")
    watch = Watch(Correction(5, colour=WARM))
    compositor = stage(watch, shaders=tmp_path)
    assert [error.file for error in compositor.errors] == [f"compositor/{name}.frag.glsl"]
    shown, plain = run(compositor, 30, shot=SHOT), run(stage(), 30, shot=SHOT)
    assert all(np.array_equal(a, b) for a, b in zip(shown, plain, strict=True))


def test_an_edit_that_breaks_it_in_the_show_leaves_the_last_good_one(stage, tmp_path, run):
    shutil.copytree(resource_dir("shaders") / "compositor", tmp_path / "compositor")
    watch = Watch()
    compositor = stage(watch, shaders=tmp_path, hot_reload=True)
    grey = np.full((54, 96, 3), 200, np.uint8)
    before = run(compositor, 10, shot=grey)[-1]
    (tmp_path / "compositor" / "keep.frag.glsl").write_text("not GLSL\n")
    pause = threading.Event()
    for _ in range(500):
        compositor.poll_reload()
        if compositor.errors:
            break
        pause.wait(0.02)
    assert [error.file for error in compositor.errors] == ["compositor/keep.frag.glsl"]
    watch.said = Correction(1, colour=(0.5, 0, 0, 0, 0, 0.5, 0, 0, 0, 0, 0.5, 0))
    after = run(compositor, 12, start=10)[-1]
    assert after[27, 48, 0] == pytest.approx(0.5 * before[27, 48, 0], rel=0.05)


def test_after_a_pause_old_words_do_not_count(stage, run):
    watch = Watch()
    compositor = stage(watch)
    run(compositor, 20, shot=SHOT)
    assert not watch.left
    run(compositor, 20, start=20, values={**STRONG, "feedback.half_life": 0.02})
    assert watch.left == [20], "said once"
    watch.said = Correction(4, colour=(0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1))
    assert run(compositor, 40, start=40)[-1][..., :3].max() < 5


def test_the_textures_of_the_trail_are_let_go(ctx, stage, control, frame):
    assert isinstance(ctx, moderngl.Context)
    watch = Watch()
    compositor = stage(watch)
    for index in range(40):
        watch.said = Correction(index, colour=WARM)
        compositor.scale = (1.0, 0.5)[index // 10 % 2]
        compositor.render(control(index, STRONG), frame((90, 90, 90)))
    canvas, keeper = compositor._canvas, compositor._keeper
    assert len({id(t) for t in (canvas.picture, canvas.last, keeper._spare)}) == 3
    assert {t.size for t in (canvas.picture, canvas.last, keeper._spare)} == {canvas.internal}
