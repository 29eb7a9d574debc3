"""Feedback in numbers: motion, decay, bounds; and the pure maps behind the passes."""

from __future__ import annotations

import numpy as np
import pytest

from vjengine.compose import colour, geometry
from vjengine.compose.compositor import Compositor
from vjengine.compose.readback import Readback
from vjengine.resources import resource_dir

SIZE = (160, 90)


@pytest.fixture
def compositor(ctx):
    made = Compositor(ctx, SIZE, resource_dir("shaders"), hot_reload=False)
    made.flash_limit = False
    yield made
    made.release()


def spot(x, y, radius=5.0, tint=(255, 255, 255)):
    rows, columns = np.mgrid[0.5 : SIZE[1] : 1, 0.5 : SIZE[0] : 1]
    return (np.exp(-(((columns - x) ** 2 + (rows - y) ** 2) / radius**2))[..., None] * tint).astype(np.uint8)


def trail_after(compositor, control, frame, pixels, values, seconds=1.0, fps=60, picture=None):
    """Show a spot in one frame, black from then on; return the picture ``seconds`` later as linear light."""
    values = {"feedback.mix": 1.0, "feedback.half_life": 8.0, "feedback.zoom": 0.0, **values}
    shot = frame(spot(110, 45) if picture is None else picture, 1)
    compositor.render(control(0, values, fps=fps), shot)
    for index in range(1, round(seconds * fps) + 1):
        shown = compositor.render(control(index, values, fps=fps), frame((0, 0, 0), 2))
    code = pixels(shown)[..., :3] / 255.0
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def centre(light):
    weight = light.sum(axis=2)
    rows, columns = np.mgrid[0.5 : SIZE[1] : 1, 0.5 : SIZE[0] : 1]
    return (columns * weight).sum() / weight.sum(), (rows * weight).sum() / weight.sum()


def test_half_life_halves_the_light(compositor, control, frame, pixels):
    light = trail_after(compositor, control, frame, pixels, {"feedback.half_life": 0.5}, seconds=1.0)
    assert light.max() == pytest.approx(0.25, abs=0.025)


def test_trail_is_seen_by_its_mix(compositor, control, frame, pixels):
    full = trail_after(compositor, control, frame, pixels, {}, seconds=0.1).max()
    compositor.render(control(0, clear=1), frame((0, 0, 0), 9))
    half = trail_after(compositor, control, frame, pixels, {"feedback.mix": 0.5}, seconds=0.1)
    assert half.max() == pytest.approx(0.5 * full, rel=0.1)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({"feedback.zoom": 0.4}, (80 + 30 * np.exp(0.4), 45)),
        ({"feedback.zoom": -0.7}, (80 + 30 * np.exp(-0.7), 45)),
        ({"feedback.rotate": 0.25}, (80, 15)),
        ({"feedback.rotate": -0.125}, (80 + 30 * np.sqrt(0.5), 45 + 30 * np.sqrt(0.5))),
        ({"feedback.x": -0.25}, (70, 45)),
        ({"feedback.y": 0.2}, (110, 27)),
    ],
    ids=["zoom in", "zoom out", "turn", "turn back", "left", "up"],
)
def test_trail_moves_as_its_rates_say(compositor, control, frame, pixels, values, wanted):
    assert centre(trail_after(compositor, control, frame, pixels, values)) == pytest.approx(wanted, abs=1.2)


def test_trail_hue_turns_red_to_green_in_a_third_of_a_turn(compositor, control, frame, pixels):
    red = spot(110, 45, tint=(255, 0, 0))
    light = trail_after(compositor, control, frame, pixels, {"feedback.hue": 1 / 3}, picture=red)
    peak = light.reshape(-1, 3)[light.sum(axis=2).argmax()]
    assert peak[1] > 0.5
    assert peak[0] < 0.05
    assert peak[2] < 0.05


def test_displacement_moves_the_trail_by_its_own_light(compositor, control, frame, pixels):
    still = trail_after(compositor, control, frame, pixels, {}, seconds=0.5)
    compositor.render(control(0, clear=1), frame((0, 0, 0), 9))
    moved = trail_after(compositor, control, frame, pixels, {"feedback.displace": 1.0}, seconds=0.5)
    assert np.abs(still - moved).max() > 0.1
    assert moved.max() <= 1.0


@pytest.mark.parametrize("fps", [30, 144])
def test_motion_is_the_same_at_any_frame_rate(compositor, control, frame, pixels, fps):
    values = {"feedback.half_life": 0.8, "feedback.zoom": 0.3, "feedback.rotate": 0.15, "feedback.x": 0.05}
    reference = trail_after(compositor, control, frame, pixels, values, fps=60)
    compositor.render(control(0, clear=1), frame((0, 0, 0), 9))
    other = trail_after(compositor, control, frame, pixels, values, fps=fps)
    assert centre(other) == pytest.approx(centre(reference), abs=0.8)
    assert other.sum() == pytest.approx(reference.sum(), rel=0.12)


def test_feedback_stays_bounded_and_coloured_over_two_thousand_frames(compositor, control, frame, pixels):
    values = {
        "feedback.mix": 1.0,
        "feedback.half_life": 8.0,
        "feedback.zoom": 0.2,
        "feedback.rotate": 0.03,
        "feedback.hue": 0.1,
        "feedback.displace": 0.3,
    }
    shown = []
    for index in range(2000):
        angle = index / 30
        picture = None
        if index % 4 == 0:
            at = (80 + 40 * np.cos(angle), 45 + 25 * np.sin(1.3 * angle))
            picture = frame(spot(*at, tint=(255, 90, 20)), 1 + index // 4)
        texture = compositor.render(control(index, values), picture)
        if index % 500 == 499:
            shown.append(pixels(texture)[..., :3].astype(float))
    for picture in shown:
        saturation = (picture.max(axis=2) - picture.min(axis=2)).mean() / max(picture.max(axis=2).mean(), 1.0)
        assert saturation > 0.3, "greyed out"
        assert (picture.min(axis=2) > 200).mean() < 0.02, "burnt out"
        assert picture.mean() < 170
        assert picture.mean() > 5
    assert shown[-1].mean() == pytest.approx(shown[1].mean(), rel=0.6), "a steady state, not a slow drift"


def test_poisoned_feedback_heals_in_one_frame(ctx, compositor, control, frame, pixels):
    values = {"feedback.mix": 1.0, "feedback.half_life": 8.0, "feedback.displace": 0.5, "bloom.amount": 1.0}
    compositor.render(control(0, values), frame((90, 90, 90)))
    poison = np.full((SIZE[1], SIZE[0], 4), np.nan, np.float16)
    poison[:40] = np.inf
    compositor._canvas.picture.texture.write(poison.tobytes())
    compositor.render(control(1, values), frame((90, 90, 90)))
    assert np.isfinite(np.frombuffer(compositor._canvas.picture.texture.read(), np.float16)).all()
    shown = pixels(compositor.render(control(2, values), frame((90, 90, 90))))
    assert abs(shown[45, 80, :3].astype(int) - 90).max() < 40


def test_clear_wipes_the_trail(compositor, control, frame, pixels):
    values = {"feedback.mix": 1.0, "feedback.half_life": 8.0}
    compositor.render(control(0, values), frame(spot(80, 45), 1))
    kept = pixels(compositor.render(control(1, values), frame((0, 0, 0), 2)))
    wiped = pixels(compositor.render(control(2, values, clear=1), frame((0, 0, 0), 2)))
    assert kept[..., :3].max() > 200
    assert wiped[..., :3].max() <= 1


def test_visibility_of_the_trail_does_not_shorten_its_life(compositor, control, frame, pixels):
    values = {"feedback.mix": 0.3, "feedback.half_life": 8.0}
    compositor.render(control(0, values), frame(spot(80, 45), 1))
    for index in range(1, 30):
        compositor.render(control(index, values), frame((0, 0, 0), 2))
    brought_up = pixels(compositor.render(control(30, {**values, "feedback.mix": 1.0}), frame((0, 0, 0), 2)))
    assert brought_up[..., :3].max() > 200


def test_a_still_picture_is_not_changed_by_its_own_trail(compositor, control, frame, pixels):
    picture = np.random.default_rng(5).integers(0, 256, (SIZE[1], SIZE[0], 3)).astype(np.uint8)
    for mix in (0.2, 0.7, 1.0):
        for index in range(20):
            shown = compositor.render(
                control(index, {"feedback.mix": mix, "feedback.zoom": 0.0, "feedback.half_life": 8.0}), frame(picture)
            )
        assert np.abs(pixels(shown)[..., :3].astype(int) - picture).max() <= 2


def apply(matrix, u, v):
    a, b, _, c, d, _, e, f, _ = matrix
    return a * u + c * v + e, b * u + d * v + f


def test_camera_map_is_the_identity_upside_down_when_sizes_agree():
    for u, v in [(0, 0), (1, 0), (0.3, 0.8)]:
        assert apply(geometry.camera(1.6, 1.6), u, v) == pytest.approx((u, 1 - v))


def test_camera_covers_and_centres():
    for screen, shot in [(16 / 9, 1.0), (1.0, 16 / 9), (0.5, 2.0)]:
        matrix = geometry.camera(screen, shot)
        corners = [apply(matrix, u, v) for u in (0, 1) for v in (0, 1)]
        assert all(-1e-9 <= x <= 1 + 1e-9 for corner in corners for x in corner)
        assert apply(matrix, 0.5, 0.5) == pytest.approx((0.5, 0.5))
        assert max(max(c) for c in corners) == pytest.approx(1.0)


def test_camera_shift_moves_the_picture_right_and_up():
    x, y = apply(geometry.camera(2.0, 2.0, shift=(0.1, 0.0)), 0.5, 0.5)
    assert x < 0.5
    assert y == pytest.approx(0.5)
    x, y = apply(geometry.camera(2.0, 2.0, shift=(0.0, 0.1)), 0.5, 0.5)
    assert y > 0.5, "rows count downwards: what is shown in the middle lay below it"


def test_shake_is_repeatable_and_still_at_zero():
    assert geometry.shake(0.0, 3.0) == ((0.0, 0.0), 0.0)
    assert geometry.shake(0.5, 3.21) == geometry.shake(0.5, 3.21)


def test_colour_matrices():
    assert np.allclose(colour.hue_rotation(1 / 3) @ [1, 0, 0], [0, 1, 0])
    assert np.allclose(np.linalg.matrix_power(colour.hue_rotation(0.01), 100), np.eye(3))
    assert np.allclose(colour.saturation(0.3) @ [1, 1, 1], [1, 1, 1])
    assert np.allclose(colour.LUMA @ colour.temperature(0.8), 1.0)


def test_readback_ring_loses_nothing_and_keeps_order(ctx):
    ring = Readback(ctx, (4, 3), depth=2)
    target = ctx.simple_framebuffer((4, 3))
    seen = []
    for index in range(6):
        done = ring.finish()
        if done is not None:
            seen.append(done)
        target.clear(index / 255, 0, 0, 1)
        ring.start(target, index)
    assert [tag for tag, _ in seen] == [0, 1, 2, 3]
    seen += ring.flush()
    assert [tag for tag, _ in seen] == [0, 1, 2, 3, 4, 5]
    for tag, picture in seen:
        assert picture.shape == (3, 4, 4)
        assert (picture[..., 0] == tag).all()
        assert not picture.flags.writeable
    assert ring.finish() is None
    ring.release()
    target.release()


def test_readback_puts_the_top_row_first_and_takes_textures(ctx):
    rows = np.zeros((3, 4, 4), np.uint8)
    rows[2] = 200
    texture = ctx.texture((4, 3), 4, rows.tobytes())
    ring = Readback(ctx, (4, 3), depth=1)
    ring.start(texture, "top")
    tag, picture = ring.finish()
    assert tag == "top"
    assert (picture[0] == 200).all()
    assert (picture[1:] == 0).all()
    ring.release()
    texture.release()


def test_readback_refuses_misuse(ctx):
    ring = Readback(ctx, (4, 3), depth=1)
    small, right = ctx.simple_framebuffer((2, 2)), ctx.simple_framebuffer((4, 3))
    with pytest.raises(ValueError, match="expected 4×3"):
        ring.start(small, 0)
    ring.start(right, 0)
    with pytest.raises(RuntimeError, match="finish"):
        ring.start(right, 1)
    ring.release()
    small.release()
    right.release()
