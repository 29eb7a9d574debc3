"""The QR code over the programme: a real decoder reads it, and nothing else of the picture knows of it."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
import segno

from vjengine.compose.compositor import Compositor
from vjengine.compose.qr import FADE, LEAST_MODULE, MOST, QUIET, RISES_APART, Fade, Plate
from vjengine.resources import resource_dir

URL = "http://192.168.1.20:8600/?t=kT3nX9qLwZ0aYb7c"
WORDS = "scan · type · see it here\n192.168.1.20:8600"
SIZE = (320, 180)
SHOWN = {"qr.mix": 1.0, "qr.size": 0.5}
NUMBERS = itertools.count(1)
"""Of the frames: a compositor takes each number once."""


def modules(text: str = URL) -> np.ndarray:
    return np.array(segno.make(text, error="m", micro=False).matrix, dtype=np.uint8) != 0


def read_by_phone(picture: np.ndarray) -> str:
    """Return what a camera that exposes for the picture makes out; empty for nothing."""
    picture = picture * (255.0 / max(1, picture.max()))
    return cv2.QRCodeDetector().detectAndDecode(np.ascontiguousarray(picture[..., ::-1].astype(np.uint8)))[0]


@pytest.fixture(scope="module")
def shared(shared_context):
    """Two compositors for all tests, as making one takes longer than most of these: with a code, and without."""
    made = [Compositor(shared_context, SIZE, resource_dir("shaders"), hot_reload=False) for _ in range(2)]
    yield made
    for each in made:
        assert each.errors == ()
        each.release()


@pytest.fixture
def compositor(ctx, shared, control):
    """A compositor with a code that is not shown yet."""
    return fresh(shared[0], control)


@pytest.fixture
def bare(ctx, shared, control):
    """The same without a code."""
    return fresh(shared[1], control, code=False)


def fresh(each, control, code=True):
    each.flash_limit, each.scale = False, 1.0
    each.resize((64, 36))
    each.resize(SIZE)
    each.set_qr(modules() if code else None, WORDS)
    for index in range(4):
        each.render(control(index, {}, fps=10), None)
    return each


@pytest.fixture
def play(control, pixels):
    """Show ``picture(index)`` for ``frames`` of 0.1 s, by default until a fade is over; return the last, (H, W, 3)."""

    def run(compositor, picture, values=SHOWN, frames=5, start=0, fps=10):
        for index in range(start + 1, start + 1 + frames):
            shown = compositor.render(control(index, values, fps=fps), picture(index))
        return pixels(shown)[..., :3].astype(int)

    return run


@pytest.fixture
def plain(frame):
    return lambda colour: lambda index: frame(colour, next(NUMBERS))


@pytest.fixture
def noise(frame):
    rng = np.random.default_rng(3)
    pictures = [rng.integers(0, 256, (90, 160, 3)).astype(np.uint8) for _ in range(4)]
    return lambda index: frame(pictures[index % 4], next(NUMBERS))


def plate_of(compositor, share=0.5):
    return Plate.fitted(len(modules()), tuple(WORDS.splitlines()), compositor.size, share)


def corner(plate):
    """Return (left, top) of the plate, px."""
    low = (SIZE[1] - plate.size[1]) // 2
    return (SIZE[0] - plate.size[0]) // 2, SIZE[1] - low - plate.size[1]


def outside(compositor, shown, share=0.5):
    """Return the pixels that neither plate nor rim can reach, (n, 3)."""
    plate = plate_of(compositor, share)
    far = np.ones(shown.shape[:2], bool)
    reach, (width, height) = 3 * plate.module, plate.size
    top, left = (shown.shape[0] - height) // 2, (shown.shape[1] - width) // 2
    far[max(0, top - reach) : top + height + reach, max(0, left - reach) : left + width + reach] = False
    return shown[far]


@pytest.mark.parametrize(
    ("size", "share", "scale"),
    [
        ((640, 360), 0.5, 1.0),
        ((640, 360), 0.15, 0.4),
        ((1280, 720), 0.5, 0.4),
        ((360, 640), 0.95, 1.0),
        ((1920, 1080), 0.3, 0.4),
    ],
)
def test_a_phone_reads_it_at_every_size_over_noise(compositor, play, noise, size, share, scale):
    compositor.resize(size)
    compositor.scale = scale
    assert read_by_phone(play(compositor, noise, {"qr.mix": 1.0, "qr.size": share})) == URL


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (120, 120, 120)])
def test_a_phone_reads_it_on_every_ground_nearly_faded_in(compositor, play, plain, colour):
    assert read_by_phone(play(compositor, plain(colour), {**SHOWN, "qr.mix": 0.9})) == URL


@pytest.mark.parametrize(
    "values",
    [
        {"strobe.amount": 1.0, "strobe.rate": 12.0},
        {"out.flash": 1.0},
        {"grade.invert": 1.0, "kaleido.mix": 1.0, "chroma.shift": 0.02},
        {"feedback.mix": 0.95, "feedback.zoom": 1.0, "bloom.amount": 2.0, "grain.amount": 1.0},
        {"out.level": 0.3},
    ],
)
def test_a_phone_reads_it_through_everything_that_acts_on_the_picture(compositor, play, noise, values):
    play(compositor, noise, {**SHOWN, **values})
    for start in (5, 6, 7):
        assert read_by_phone(play(compositor, noise, {**SHOWN, **values}, frames=1, start=start)) == URL


def test_a_phone_reads_it_while_the_limiter_calms_the_picture(compositor, play, frame):
    compositor.flash_limit = True

    def flashing(index):
        return frame((255, 255, 255) if index // 2 % 2 else (0, 0, 0), next(NUMBERS))

    shown = play(compositor, flashing, frames=45, fps=30)
    assert compositor.flash_amount > 0.5
    assert read_by_phone(shown) == URL


def test_modules_are_whole_pixels_of_two_colours(compositor, play, plain):
    shown = play(compositor, plain((200, 30, 90)))
    plate, code = plate_of(compositor), modules()
    left, top = corner(plate)
    side = (len(code) + 2 * QUIET) * plate.module
    drawn = shown[top : top + side, left : left + side]
    paper = np.kron(np.pad(~code, QUIET, constant_values=True), np.ones((plate.module, plate.module), int)) > 0
    inner = slice(plate.radius, side - plate.radius)  # within the rounded corners
    assert drawn[inner, inner][~paper[inner, inner]].max() <= 4
    assert drawn[inner, inner][paper[inner, inner]].min() >= 254


def test_the_words_stand_below_the_quiet_zone(compositor, play, plain):
    with_words = play(compositor, plain((0, 0, 0)))
    plate = plate_of(compositor)
    left, top = corner(plate)
    side = (len(modules()) + 2 * QUIET) * plate.module
    below = with_words[top + side : top + plate.size[1], left + 8 : left + plate.size[0] - 8].mean(axis=2)
    assert 0.02 < (below < 128).mean() < 0.3
    quiet = with_words[top + side - 3 * plate.module : top + side, left + 8 : left + plate.size[0] - 8]
    assert quiet.min() >= 254
    compositor.set_qr(modules(), "")
    assert Plate.of(len(modules()), (), plate.module).size == (side, side)
    assert read_by_phone(play(compositor, plain((0, 0, 0)), start=5)) == URL


def test_nothing_is_drawn_without_a_code_or_a_wish(compositor, bare, play, plain):
    ground = plain((40, 90, 160))
    without = play(bare, ground)
    assert (play(compositor, ground, {"qr.mix": 0.0}) == without).all()
    compositor.set_qr(None)
    assert (play(compositor, ground) == without).all()


def test_it_comes_and_goes_with_its_fader_and_leaves_no_trace(compositor, bare, play, plain):
    trail = {"feedback.mix": 0.9, "feedback.half_life": 20.0, "feedback.zoom": 0.5, "bloom.amount": 1.5}
    ground = plain((60, 60, 60))
    shown, other = (play(each, ground, {**SHOWN, **trail}) for each in (compositor, bare))
    assert (outside(compositor, shown) == outside(compositor, other)).all(), "no glow, no trail"
    half = play(compositor, ground, {**trail, "qr.mix": 0.5}, start=5)
    assert shown.max() - 20 > half.max() > other.max() + 20
    gone = play(compositor, ground, trail, start=10)
    play(bare, ground, trail, start=5)
    assert (gone == play(bare, ground, trail, start=10)).all()


def test_blackout_and_level_have_the_last_word(compositor, play, plain):
    ground = plain((200, 200, 200))
    assert 120 <= play(compositor, plain((0, 0, 0)), {**SHOWN, "out.level": 0.5}).max() <= 130
    assert play(compositor, ground, {**SHOWN, "out.black": 1.0}, start=5).max() == 0
    assert play(compositor, ground, {**SHOWN, "out.level": 0.0}, start=10).max() == 0


def test_it_shows_over_a_frozen_picture_and_goes_again(compositor, play, noise):
    held = play(compositor, noise, {}, frames=3)
    frozen = {"out.freeze": 1.0}
    assert (play(compositor, noise, frozen, frames=2, start=3) == held).all()
    shown = play(compositor, noise, {**frozen, **SHOWN}, start=5)
    assert read_by_phone(shown) == URL
    assert (outside(compositor, shown) == outside(compositor, held)).all()
    assert play(compositor, noise, {**frozen, **SHOWN, "out.black": 1.0}, frames=1, start=10).max() == 0
    assert (play(compositor, noise, frozen, start=11) == held).all()


def test_another_address_takes_over(compositor, play, plain):
    play(compositor, plain((9, 9, 9)))
    compositor.set_qr(modules("http://10.0.0.7:8600/"), WORDS)
    assert read_by_phone(play(compositor, plain((9, 9, 9)), frames=2, start=5)) == "http://10.0.0.7:8600/"


@pytest.mark.parametrize("bad", [np.zeros((3, 4), bool), np.zeros((0, 0), bool), np.zeros(9, bool)])
def test_what_is_no_code_is_refused(compositor, bad):
    with pytest.raises(ValueError, match="square"):
        compositor.set_qr(bad)


@pytest.mark.parametrize("screen", [(640, 360), (1920, 1080), (360, 640), (320, 180), (96, 54)])
@pytest.mark.parametrize("share", [0.15, 0.5, 0.95])
def test_the_plate_fits_the_screen(screen, share):
    for count in (25, 33, 57):
        plate = Plate.fitted(count, ("scan", "192.168.1.20:8600"), screen, share)
        if plate.module > 1:
            assert plate.size[0] <= MOST * screen[0]
            assert plate.size[1] <= MOST * screen[1]
        asked = share * screen[1] / (count + 2 * QUIET)
        assert plate.module <= max(LEAST_MODULE, asked + 0.5)


def test_no_fader_makes_it_flash():
    fade = Fade()
    steps = np.diff([fade.step(float(index // 3 % 2), 1 / 60) for index in range(600)])
    assert np.abs(steps).max() <= 1 / 60 / FADE + 1e-9
    began = [n for n in range(1, len(steps)) if steps[n] > 0 >= steps[n - 1]]
    assert len(began) > 5
    assert np.diff(began).min() >= RISES_APART * 60 - 1
    steady = Fade()
    assert [round(steady.step(1.0, 0.1), 3) for _ in range(4)] == [0.333, 0.667, 1.0, 1.0]
