"""The programme as a whole: frames in, pictures out, and what each parameter row promises."""

from __future__ import annotations

import gc
import itertools

import numpy as np
import pytest

from vjengine.compose.compositor import Compositor
from vjengine.core.frame import Frame
from vjengine.resources import resource_dir

SIZE = (96, 54)


@pytest.fixture
def compositor(ctx):
    made = Compositor(ctx, SIZE, resource_dir("shaders"), hot_reload=False)
    made.flash_limit = False  # These pictures jump about; the limiter has tests of its own.
    yield made
    assert made.errors == ()
    made.release()


@pytest.fixture
def show(compositor, control, pixels):
    """Render once and read: ``show(frame, values, index=0)`` as (H, W, 3) int."""

    def run(frame, values=None, index=0, **fields):
        return pixels(compositor.render(control(index, values, **fields), frame))[..., :3].astype(int)

    return run


@pytest.fixture
def chart(frame):
    """Every shade of each primary, of grey and of noise, at the size of the programme: no resampling anywhere."""
    ramp = np.linspace(0, 255, SIZE[0]).astype(np.uint8)
    picture = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    for band in range(3):
        picture[band * 9 : band * 9 + 9, :, band] = ramp
    picture[27:36] = ramp[:, None]
    picture[36:] = np.random.default_rng(1).integers(0, 256, (18, SIZE[0], 3))
    return frame(picture)


def close(shown, wanted, tolerance=2):
    return np.abs(shown - np.asarray(wanted)).max() <= tolerance


def middle(shown):
    return shown[SIZE[1] // 2, SIZE[0] // 2]


def test_identity_passes_the_source_through(show, chart):
    assert close(show(chart), chart.pixels[..., :3].astype(int))


def test_top_row_stays_on_top_and_left_stays_left(show, frame):
    picture = np.zeros((54, 96, 3), np.uint8)
    picture[:27, :48] = (255, 0, 0)
    shown = show(frame(picture))
    assert close(shown[5, 5], (255, 0, 0))
    assert close(shown[50, 90], (0, 0, 0))


def test_before_the_first_frame_a_dim_picture_moves(show):
    first, later = show(None, index=0), show(None, index=600)
    assert 3 < first.mean() < 90
    assert first.std() > 2
    assert np.abs(first - later).max() >= 3


def test_a_repeated_sequence_is_not_uploaded_again(show, frame):
    show(frame((10, 20, 30), 1))
    assert close(show(frame((200, 0, 0), 1), index=1), (10, 20, 30))
    assert close(show(frame((200, 0, 0), 2), index=2), (200, 0, 0))


def test_crossfade_half_way_is_the_average_light(show, frame):
    values = {"mix.crossfade": 1.0}
    dark, bright = frame((0, 0, 0), 1), frame((255, 255, 255), 2)
    # Frames come every 40 pictures, so that the estimate is 40/60 s; the second white stands for any later one.
    show(dark, values, index=0)
    show(bright, values, index=40)
    show(frame((0, 0, 0), 3), values, index=80)
    show(bright := frame((255, 255, 255), 4), values, index=120)
    half = show(bright, values, index=120 + 19)
    assert close(half, 188, 3), "half the light is sRGB 188"
    assert close(show(bright, values, index=161), 255)


def test_crossfade_off_and_cut_show_the_new_frame_at_once(show, frame):
    show(frame((0, 0, 0), 1), {"mix.crossfade": 1.0}, index=0)
    show(frame((0, 0, 0), 2), {"mix.crossfade": 1.0}, index=40)
    assert close(show(frame((255, 255, 255), 3), {"mix.crossfade": 1.0}, index=80, cut=1), 255)
    assert show(frame((0, 0, 0), 4), {"mix.crossfade": 1.0}, index=120, cut=1).min() > 200
    assert close(show(frame((80, 80, 80), 5), {"mix.crossfade": 0.0}, index=160, cut=1), 80)


def test_frames_of_other_sizes_cover_the_screen(show, frame):
    for sequence, size in enumerate([(64, 36), (10, 100), (300, 20), (1, 1), (128, 128)], start=1):
        colour = (sequence * 40, 255 - sequence * 40, 90)
        assert close(show(frame(colour, sequence, size=size), index=sequence), colour)
    square = np.zeros((64, 64, 3), np.uint8)
    square[:8] = 255
    assert close(show(frame(square, 9), index=9), 0), "the top of a square is outside a 16:9 screen"


def test_malformed_frame_is_refused_and_the_last_stays(show, frame):
    show(frame((50, 60, 70), 1))
    for sequence, bad in enumerate([np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 4), np.float32)], start=2):
        assert close(show(Frame(bad, sequence, 0, 0.0, 0.0, "test"), index=sequence), (50, 60, 70))
    assert close(show(frame((1, 99, 1), 5), index=5), (1, 99, 1))


def test_camera_zoom_turn_and_shake(show, frame):
    picture = np.zeros((54, 96, 3), np.uint8)
    picture[22:32, 43:53] = 255
    shot = frame(picture)
    assert (show(shot, {"camera.zoom": 2.0}) > 128).sum() == pytest.approx(4 * (show(shot) > 128).sum(), rel=0.15)
    picture = np.zeros((54, 96, 3), np.uint8)
    picture[:, 46:50] = 255
    turned = show(frame(picture, 2), {"camera.rotate": 0.25}) > 128
    assert turned[27, :].all()
    assert not turned[5, :40].any()
    still, shaken = show(shot), show(shot, {"camera.shake": 1.0}, index=7)
    assert np.abs(still - shaken).mean() > 1
    assert np.array_equal(shaken, show(shot, {"camera.shake": 1.0}, index=7)), "the same time shakes the same way"


def test_camera_turns_counter_clockwise(show, frame):
    picture = np.zeros((54, 96, 3), np.uint8)
    picture[20:34, 60:70] = 255
    turned = show(frame(picture), {"camera.rotate": 0.25})
    assert turned[:20].sum() > 0
    assert turned[34:].sum() == 0


def test_kaleidoscope_is_symmetric(show, frame):
    picture = np.random.default_rng(3).integers(0, 255, (54, 96, 3)).astype(np.uint8)
    smooth = np.repeat(np.repeat(picture[::9, ::9], 9, 0), 9, 1)[:54, :96]
    shown = show(frame(smooth), {"kaleido.mix": 1.0, "kaleido.segments": 4})
    assert np.abs(shown - shown[::-1]).mean() < 12
    assert np.abs(shown - shown[:, ::-1]).mean() < 12
    plain = show(frame(smooth, 2))
    assert np.abs(plain - plain[::-1]).mean() > 30


def test_kaleidoscope_turns_with_time(show, chart):
    values = {"kaleido.mix": 1.0, "kaleido.rotate": 0.2}
    first = show(chart, values, index=0)
    for index in range(1, 20):
        later = show(chart, values, index=index)
    assert np.abs(first - later).mean() > 3


def test_chroma_parts_red_from_blue_at_the_edge_only(show, frame):
    picture = np.zeros((54, 96, 3), np.uint8)
    picture[:, 46:50] = 255
    picture[:, 80:84] = 255
    shown = show(frame(picture), {"chroma.shift": 0.05})
    red, green, blue = (shown[27, 60:, c].argmax() for c in range(3))
    assert red > green > blue, "red outwards, blue inwards"
    assert close(shown[27, 47:49], 255, 3)


def test_bloom_spills_light_from_bright_places_only(show, frame):
    picture = np.zeros((54, 96, 3), np.uint8)
    picture[22:32, 43:53] = 255
    values = {"bloom.amount": 1.5, "bloom.threshold": 0.5, "bloom.radius": 0.8}
    assert show(frame(picture))[27, 36].max() <= 1
    assert show(frame(picture), values)[27, 36].min() > 20
    dim = frame((picture // 5).astype(np.uint8), 2)
    assert show(dim, values, index=1)[27, 36].max() <= 2


def test_bloom_radius_reaches_further(show, frame):
    picture = np.zeros((54, 96, 3), np.uint8)
    picture[24:30, 45:51] = 255
    far = [show(frame(picture), {"bloom.amount": 2.0, "bloom.radius": radius})[27, 30].mean() for radius in (0.0, 1.0)]
    assert far[1] > far[0] + 2


def test_grade_exposure_saturation_hue_temperature_gamma_contrast_invert(show, frame):
    shot = frame((200, 60, 40))
    assert middle(show(shot, {"grade.exposure": 1.0}))[1] > 70
    assert middle(show(shot, {"grade.exposure": -2.0})).max() < 115
    assert np.ptp(middle(show(shot, {"grade.saturation": 0.0}))) <= 2
    assert np.ptp(middle(show(shot, {"grade.saturation": 1.5}))) > 165
    third = frame((255, 0, 0), 2)
    assert close(middle(show(third, {"grade.hue": 1 / 3})), (0, 255, 0))
    assert close(middle(show(third, {"grade.hue": -1 / 3})), (0, 0, 255))
    grey = frame((128, 128, 128), 3)
    warm, cold = middle(show(grey, {"grade.temperature": 1.0})), middle(show(grey, {"grade.temperature": -1.0}))
    assert warm[0] > warm[2] + 30
    assert cold[2] > cold[0] + 30
    assert middle(show(grey, {"grade.gamma": 2.0})).min() > 170
    assert middle(show(grey, {"grade.gamma": 0.5})).max() < 75
    assert close(middle(show(frame((230, 230, 230), 4), {"grade.contrast": 0.0})), 128)
    assert middle(show(frame((60, 60, 60), 5), {"grade.contrast": 2.0})).max() < 50
    assert close(middle(show(frame((255, 30, 0), 6), {"grade.invert": 1.0})), (0, 225, 255))


def test_shoulder_never_makes_brighter_light_darker(show, chart):
    previous = show(chart)[27:36].mean(axis=0)
    for stops in (0.25, 0.5, 1.0, 2.0, 4.0):
        shown = show(chart, {"grade.exposure": stops})[27:36].mean(axis=0)
        assert (shown - previous).min() >= -1.5
        previous = shown


def test_vignette_darkens_corners_not_the_middle(show, frame):
    shown = show(frame((200, 200, 200)), {"vignette.amount": 1.0})
    assert close(middle(shown), 200)
    assert shown[0, 0].max() < 40


def test_grain_is_zero_mean_repeats_in_time_and_spares_black(show, frame):
    grey = frame((120, 120, 120))
    shown = show(grey, {"grain.amount": 1.0}, index=10)
    assert abs(shown.mean() - 120) < 4
    assert shown.std() > 10
    assert np.array_equal(shown, show(grey, {"grain.amount": 1.0}, index=10))
    assert np.abs(shown - show(grey, {"grain.amount": 1.0}, index=40)).mean() > 5
    black = show(frame((0, 0, 0), 2), {"grain.amount": 0.3}, index=10)
    assert black.mean() < 2


def test_strobe_flashes_at_its_rate_from_the_first_frame(show, frame):
    values = {"strobe.amount": 1.0, "strobe.rate": 3.0}
    shot = frame((180, 180, 180))
    lit = [show(shot, values, index=i).mean() > 100 for i in range(60)]
    assert lit[0]
    assert sum(a != b for a, b in itertools.pairwise(lit)) in (5, 6)
    assert 0.4 < np.mean(lit) < 0.6


def test_flash_black_and_level(show, frame):
    shot = frame((100, 50, 20))
    assert close(show(shot, {"out.flash": 1.0}), 255)
    assert close(show(shot, {"out.black": 1.0}, index=1), 0, 1)
    assert close(show(shot, {"out.black": 1.0, "out.flash": 1.0}, index=2), 0, 1), "black has the last word"
    assert close(show(shot, {"out.level": 0.5}, index=3), (50, 25, 10))


def test_freeze_holds_exactly_and_thaws(show, chart, frame):
    values = {"feedback.mix": 1.0, "feedback.zoom": 1.0, "grain.amount": 0.5, "bloom.amount": 0.5, "strobe.amount": 0.3}
    for index in range(10):
        show(chart, values, index=index)
    held = show(chart, values, index=10)
    frozen = {**values, "out.freeze": 1.0, "camera.zoom": 2.0, "grade.hue": 0.3}
    for index in range(11, 40):
        assert np.array_equal(held, show(frame((255, 0, 0), 100 + index), frozen, index=index))
    black = show(chart, {**frozen, "out.black": 1.0}, index=41)
    assert black.max() <= 1
    assert np.array_equal(held, show(chart, frozen, index=42)), "a blackout over the freeze leaves no trace"
    assert np.abs(held - show(frame((255, 0, 0), 200), values, index=43)).max() > 30


def test_freeze_on_the_very_first_frame_shows_something(show, frame):
    assert close(show(frame((90, 90, 90)), {"out.freeze": 1.0}), 90)


def test_size_change_mid_run(ctx, compositor, control, frame, pixels):
    values = {"feedback.mix": 0.5, "bloom.amount": 0.5}
    for index, size in enumerate([(96, 54), (200, 40), (33, 77), (1, 1), (96, 54)]):
        compositor.resize(size)
        shown = pixels(compositor.render(control(index, values), frame((120, 120, 120), index + 1)))
        assert shown.shape == (size[1], size[0], 4)
        assert compositor.programme.size == size
        assert shown[..., :3].min() > 100


def test_same_run_twice_gives_the_same_bytes(ctx, control, frame):
    def run():
        made = Compositor(ctx, SIZE, resource_dir("shaders"), hot_reload=False)
        values = {
            "feedback.mix": 0.8,
            "feedback.rotate": 0.2,
            "grain.amount": 0.4,
            "camera.shake": 1.0,
            "strobe.amount": 1.0,
            "strobe.rate": 9.0,
            "bloom.amount": 1.0,
            "kaleido.mix": 0.5,
        }
        rng = np.random.default_rng(2)
        seen = []
        for index in range(40):
            noise = rng.integers(0, 255, (36, 64, 3)).astype(np.uint8)
            seen.append(made.render(control(index, values), frame(noise, 1 + index // 3)).read())
        made.release()
        return seen

    assert run() == run()


def test_making_and_releasing_leaves_no_gl_object_behind(ctx, control, frame):
    def alive():
        return sum(
            1
            for each in gc.get_objects()
            if type(each).__module__ == "moderngl"
            and type(each).__name__ in ("Texture", "Buffer", "Framebuffer", "Program", "VertexArray")
            and type(each.mglo).__name__ != "InvalidObject"
        )

    gc.collect()
    before = alive()
    ctx.gc_mode = "context_gc"  # What is dropped without being released is kept here, to be counted.
    made = Compositor(ctx, (32, 18), resource_dir("shaders"))
    made.render(control(0, {"feedback.mix": 0.5, "bloom.amount": 1.0}), frame((9, 9, 9)))
    assert alive() > before + 20
    made.resize((48, 20))
    made.render(control(1, {"feedback.mix": 0.5, "bloom.amount": 1.0}), frame((9, 9, 9), 2, size=(10, 10)))
    made.release()
    gc.collect()
    dropped = [each for each in ctx.objects if type(each).__name__ != "InvalidObject"]
    ctx.objects.clear()
    ctx.gc_mode = None
    assert alive() == before
    assert dropped == []
