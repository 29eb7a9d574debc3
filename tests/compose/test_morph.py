"""Between two generator frames that know their motion: things are where they should be at that moment, once."""

from __future__ import annotations

import gc
import math

import numpy as np
import pytest

from vjengine.compose.compositor import Compositor
from vjengine.core.frame import Frame, flow_shape
from vjengine.generate.flow import FlowMeter
from vjengine.generate.noise import noise_tile
from vjengine.resources import resource_dir

SIZE = (256, 256)
EVERY = 12
"""Pictures shown from one generator frame to the next."""
MORPH = {"mix.crossfade": 1.0, "mix.morph": 1.0}
FADE = {"mix.crossfade": 1.0, "mix.morph": 0.0}

cv2 = pytest.importorskip("cv2", reason="motion is measured by OpenCV: pip install 'vjengine[turbo]'")


class Stage:
    """Shows generator frames, one every ``EVERY`` pictures, on a compositor of its own, and hands back what is seen."""

    def __init__(self, ctx, control, frame, pixels) -> None:
        self.size = SIZE
        self.ctx, self.control, self.make, self.read = ctx, control, frame, pixels
        self.compositor: Compositor | None = None

    def begin(self) -> None:
        """Begin anew, at time 0."""
        self.release()
        self.compositor = Compositor(self.ctx, self.size, resource_dir("shaders"), hot_reload=False)
        self.compositor.flash_limit = False
        self.index = 0

    def show(self, shot: Frame, values: dict[str, float], cut: int = 0) -> np.ndarray:
        state = self.control(self.index, values, cut=cut)
        self.index += 1
        return self.read(self.compositor.render(state, shot))[..., :3].astype(int)

    def frame(self, picture, sequence, flow=None, generator="test", ready=0.0) -> Frame:
        return Frame(self.make(picture).pixels, sequence, sequence, 0.0, ready, generator, flow=flow)

    def run(self, pictures, values, flows=None, start=1):
        """Return all that is shown, ``EVERY`` pictures for each of ``pictures``; motion is measured unless given."""
        meter, seen = FlowMeter(pictures[0].shape[1::-1]), []
        for number, picture in enumerate(pictures):
            measured = meter.measure(picture)
            shot = self.frame(picture, start + number, measured if flows is None else flows[number])
            seen += [self.show(shot, values) for _ in range(EVERY)]
        return seen

    def between(self, first, second, values, moment=0.5, flow=None):
        """Return what is shown ``moment`` of the way from ``first`` to ``second``."""
        self.begin()
        meter = FlowMeter(first.shape[1::-1])
        # The first two do not move: they tell the pace.
        for number, picture in enumerate((first, first, second)):
            measured = meter.measure(picture)
            shot = self.frame(picture, number + 1, measured if flow is None else flow)
            self.index = number * EVERY
            self.show(shot, values)
        self.index += round(moment * EVERY) - 2
        return self.show(shot, values)

    def release(self) -> None:
        if self.compositor is not None:
            assert self.compositor.errors == ()
            self.compositor.release()


@pytest.fixture
def stage(ctx, control, frame, pixels):
    made = Stage(ctx, control, frame, pixels)
    made.begin()
    yield made
    made.release()


def disc(x: int, y: int = 128, radius: int = 16, size: tuple[int, int] = SIZE) -> np.ndarray:
    picture = np.full((*size[::-1], 4), (20, 20, 40, 255), np.uint8)
    return cv2.circle(picture, (x, y), radius, (255, 240, 200, 255), -1, cv2.LINE_AA)


def scene(degrees: float = 0.0, zoom: float = 1.0, salt: int = 0) -> np.ndarray:
    """Return a coloured texture turned about the middle."""
    tile = np.tile(noise_tile(4, 6).astype(np.float32), (2, 2, 1))
    colours = np.clip(128 + 110 * np.roll(tile, salt, axis=2)[..., :3], 0, 255).astype(np.uint8)
    turn = cv2.getRotationMatrix2D((255.5, 255.5), degrees, zoom)
    turned = cv2.warpAffine(colours, turn, (512, 512), flags=cv2.INTER_CUBIC)[128:384, 128:384]
    return np.dstack([turned, np.full(SIZE[::-1], 255, np.uint8)])


def psnr(shown: np.ndarray, wanted: np.ndarray) -> float:
    """Return dB over the middle of the picture: what turns in at the border was on neither frame."""
    inset = np.s_[24:-24, 24:-24, :3]
    return 10 * math.log10(255**2 / max(1e-3, float(((shown[inset] - wanted[inset].astype(int)) ** 2).mean())))


def places(shown: np.ndarray) -> list[tuple[float, float]]:
    """Return (x, y) of each thing that stands out from the ground."""
    count, _, _, centres = cv2.connectedComponentsWithStats((shown[..., 0] > 70).astype(np.uint8))
    return [tuple(centre) for centre in centres[1:count]]


def test_half_way_there_is_one_disc_in_the_middle_where_a_fade_shows_two(stage):
    stage.size = (512, 512)
    first, second, truth = (disc(x, 256, 18, stage.size) for x in (230, 270, 250))
    faded = stage.between(first, second, FADE)
    morphed = stage.between(first, second, MORPH)
    assert len(places(faded)) == 2
    assert faded.max() < 200, "both are half there"
    [(x, y)] = places(morphed)
    assert (x, y) == (pytest.approx(250, abs=1.0), pytest.approx(256, abs=1.0))
    assert morphed[256, 250].min() > 190, "and it is all there"
    assert psnr(morphed, truth) > psnr(faded, truth) + 12


@pytest.mark.parametrize("moment", [0.25, 0.5, 0.75])
def test_a_turning_scene_is_far_nearer_to_the_truth_than_a_fade(stage, moment):
    first, second, truth = scene(0.0), scene(6.0, 1.03), scene(6.0 * moment, 1.03**moment)
    faded = psnr(stage.between(first, second, FADE, moment), truth)
    morphed = psnr(stage.between(first, second, MORPH, moment), truth)
    assert morphed > faded + 8, f"{morphed:.1f} dB against {faded:.1f} dB"


def test_motion_goes_the_right_way_under_a_turned_zoomed_and_shaken_camera(stage):
    camera = {"camera.zoom": 0.8, "camera.rotate": 0.15, "camera.shake": 0.5}
    morphed = stage.between(scene(0.0), scene(8.0), MORPH | camera)
    stage.begin()
    stage.index = 2 * EVERY + EVERY // 2 - 1  # the camera shakes by the time
    truth = stage.show(stage.frame(scene(4.0), 1), {"mix.crossfade": 0.0} | camera)
    assert psnr(morphed, truth) > 28


def test_frames_of_another_shape_than_the_screen_move_as_well(stage):
    first, second = (disc(x, 64, 14, (384, 128)) for x in (180, 204))
    [(left, _)] = places(stage.between(first, first, MORPH))
    [(right, _)] = places(stage.between(second, second, MORPH))
    [(x, _)] = places(stage.between(first, second, MORPH))
    assert right - left == pytest.approx(48, abs=1)
    assert x == pytest.approx((left + right) / 2, abs=1.5)


def test_without_motion_and_with_morphing_off_frames_fade_as_ever(stage):
    pictures = [scene(3.0 * step) for step in range(4)]

    def shown(values, flows):
        stage.begin()
        return stage.run(pictures, values, flows)

    unknown = [None] * 4
    plain = shown(FADE, unknown)
    assert np.array_equal(plain, shown(FADE, None)), "motion that is not asked for changes nothing"
    assert np.array_equal(plain, shown(MORPH, unknown)), "no motion, no morphing"
    half = plain[3 * EVERY + EVERY // 2 - 1]
    ends = ((pictures[2][..., :3] / 255.0) ** 2.2 + (pictures[3][..., :3] / 255.0) ** 2.2) / 2
    assert np.abs(half - 255 * ends ** (1 / 2.2)).mean() < 1.5, "half the light of each"
    assert not np.array_equal(plain, shown(MORPH, None))


def test_a_little_morph_moves_a_little(stage):
    flow = np.zeros(flow_shape(SIZE), np.float16)
    flow[..., 0] = 32 / 256
    # The newest is black, so that only the previous is seen moving on.
    black = np.full((*SIZE[::-1], 4), (0, 0, 0, 255), np.uint8)
    found = []
    for amount in (0.25, 0.5, 1.0):
        shown = stage.between(disc(100), black, MORPH | {"mix.morph": amount}, flow=flow)
        found.append(places(shown)[0][0] - 100)
    assert found == pytest.approx([4, 8, 16], abs=0.7)


@pytest.mark.parametrize("why", ["cut", "a frame is missing", "another generator", "another size"])
def test_what_does_not_follow_is_not_morphed(stage, why):
    flow = np.full(flow_shape(SIZE), 40 / 256, np.float16)
    sequence, generator, picture, cut = 2, "test", disc(140), 0
    if why == "cut":
        cut = 1
    elif why == "a frame is missing":
        sequence = 3
    elif why == "another generator":
        generator = "other"
    else:
        picture, flow = picture[:128], flow[:16]

    def shown(known):
        stage.begin()
        for _ in range(3):
            stage.show(stage.frame(disc(100), 1), MORPH)
        return stage.show(stage.frame(picture, sequence, known, generator), MORPH, cut)

    assert np.array_equal(shown(flow), shown(None))


@pytest.mark.parametrize(
    "flow",
    [
        np.zeros((5, 5, 2), np.float16),
        np.zeros((32, 32), np.float16),
        np.full((32, 32, 2), np.nan, np.float16),
        np.full((32, 32, 2), 3.0, np.float16),
    ],
    ids=["size", "kind", "nan", "far"],
)
def test_motion_that_cannot_be_believed_is_faded(stage, flow, caplog):
    faded = stage.between(disc(100), disc(140), FADE)
    assert np.array_equal(faded, stage.between(disc(100), disc(140), MORPH, flow=flow))
    assert caplog.text.count("motion") == 1, "said once"


def test_an_even_generator_moves_evenly_though_it_is_out_of_step_with_the_display(stage):
    # A frame every 4.6 pictures: they arrive after 4 or 5. The disc goes 23 px a frame, so 5 px a picture.
    meter, frames = FlowMeter(SIZE), []
    for number in range(8):
        picture = disc(24 + 23 * number)
        ready = 1.0 + number * 4.6 / 60
        frames.append(stage.frame(picture, number + 1, meter.measure(picture), ready=ready))
    seen = [places(stage.show(frames[int(index / 4.6)], MORPH))[0][0] for index in range(36)]
    steps = np.diff(seen)[10:]
    assert steps.mean() == pytest.approx(5.0, abs=0.1)
    assert steps.min() > 4.3
    assert steps.max() < 5.7


def test_a_short_fade_is_over_while_the_picture_still_moves(stage):
    flow = np.full(flow_shape(SIZE), 0, np.float16)
    flow[..., 0] = 40 / 256
    shown = stage.between(disc(100), disc(140), {"mix.crossfade": 0.25}, 0.5, flow=flow)
    [(x, _)] = places(shown)
    assert x == pytest.approx(120, abs=1.0)
    assert shown[128, 120].min() > 195, "nothing but the newest frame, on its way"


def test_the_picture_goes_on_under_trails(stage):
    values = MORPH | {"feedback.mix": 0.6, "feedback.hue": 0.1, "feedback.displace": 0.3}
    shown = stage.between(disc(100), disc(140), values)
    assert shown[128, 120].min() > 190
    assert shown[128, 88].max() > 25, "with its trail behind it"


def test_morphing_makes_no_opengl_object_while_it_runs(stage):
    def alive():
        gc.collect()
        return {id(each): each for each in gc.get_objects() if type(each).__module__ == "moderngl"}

    pictures = [scene(4.0 * step) for step in range(3)]
    stage.run(pictures, MORPH)
    before = alive()
    seen = stage.run(pictures, MORPH, start=10)
    assert set(alive()) == set(before)
    assert not np.array_equal(seen[-2], seen[-3])
