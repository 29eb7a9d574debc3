"""The HUD's pixels: what is shown where, in which colour, and what is left alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vjengine.compose.hud import PAGES, Hud, HudData
from vjengine.compose.hud_controls import HintLine, MacroPanel, ParamPanel, chip_order, macro_word
from vjengine.compose.hud_crowd import CrowdPanel
from vjengine.compose.hud_layout import HudLayout, Rect
from vjengine.compose.hud_panels import AlertPanel, AudioPanel, OutputPanel, TempoPanel, decibels, duration, shortened
from vjengine.core.clock import FrameTime
from vjengine.core.control import ControlState
from vjengine.core.crowd import CrowdVoice
from vjengine.core.events import StatusChanged
from vjengine.core.looks import Look
from vjengine.core.macros import MacroDef, MacroEffect, MacroState
from vjengine.core.modulation import Modulation
from vjengine.core.params import PARAMS, ParamValues
from vjengine.core.signals import AudioFeatures, BeatClock
from vjengine.errors import ShaderError
from vjengine.resources import resource_dir

SIZE = (640, 360)
GREY = 90
LOCKED = ParamValues.of({"crowd.lock": 1.0})
BOOK = {
    macro.name: macro
    for macro in (
        MacroDef("CHILL", group="energy", priority=1, key="3"),
        MacroDef("AUDIO", kind="toggle", key="a"),
        MacroDef("DROP", group="energy", priority=3, key="1", effects=(MacroEffect("bloom.amount", "add", 1.0),)),
        MacroDef("INTENSITY", kind="level"),
        MacroDef("BUILD", group="energy", priority=2, quantise="bar"),
    )
}


def features(**changes: object) -> AudioFeatures:
    beat = BeatClock(0.0, 60 / 128, 100, 100, 0.9, True)
    return replace(AudioFeatures(silent=False, beat=beat), **changes)


def data(time: float = 20.0, **changes: object) -> HudData:
    """A healthy show; keyword arguments go to the control state or to the data, whichever has the field."""
    states = {name: MacroState() for name in BOOK}
    control = ControlState(
        time=FrameTime(100, time, 1 / 60), features=features(), beat_running=True, bar_phase=0.3, macros=states
    )
    mine = {name: value for name, value in changes.items() if name in ControlState.__slots__ and name != "macros"}
    if "states" in changes:
        mine["macros"] = changes.pop("states")
    rest = {name: value for name, value in changes.items() if name not in mine}
    healthy = HudData(
        control=replace(control, **mine),
        macros=BOOK,
        present_fps=60.0,
        present_p99_ms=17.0,
        generator="procedural",
        generator_state="running",
        audio_name="Interface",
        look_names=("default",),
        hints=(("H", "hud"),),
    )
    return replace(healthy, **rest)


@pytest.fixture(scope="module")
def parking(shared_context):
    """A target to leave bound: moderngl goes back to the one bound last, which must not have been released."""
    return shared_context.simple_framebuffer((1, 1))


@pytest.fixture
def draw(ctx, parking):
    """Draw data over plain grey and return ``(H, W, 3)`` int, top row first; the HUD is ``draw.hud``."""

    class Draw:
        def __init__(self) -> None:
            self.hud = Hud(ctx, SIZE, resource_dir("shaders"))
            self.alpha = 0

        def __call__(self, shown: HudData, size: tuple[int, int] = SIZE) -> np.ndarray:
            texture = ctx.texture(size, 4)
            target = ctx.framebuffer([texture])
            target.clear(GREY / 255, GREY / 255, GREY / 255, 1.0)
            self.hud.draw(target, shown)
            raw = np.frombuffer(target.read(components=4, alignment=1), np.uint8).reshape(size[1], size[0], 4)[::-1]
            parking.use()
            target.release()
            texture.release()
            assert ctx.error == "GL_NO_ERROR"
            self.alpha = int(raw[..., 3].min())
            return raw[..., :3].astype(int)

    made = Draw()
    yield made
    made.hud.release()


def cut(image: np.ndarray, rect: Rect) -> np.ndarray:
    return image[round(rect.y) : round(rect.bottom), round(rect.x) : round(rect.right)]


def panel(hud: Hud, kind: type) -> object:
    return next(slot.panel for slot in hud._slots if isinstance(slot.panel, kind))


def reddish(area: np.ndarray) -> int:
    return int(((area[..., 0] > 200) & (area[..., 1] < 120) & (area[..., 2] < 120)).sum())


def amber(area: np.ndarray) -> int:
    r, g, b = area[..., 0], area[..., 1], area[..., 2]
    return int(((r > 200) & (g > 130) & (g < 210) & (b < 90)).sum())


def accent(area: np.ndarray) -> int:
    return int(((area[..., 1] > 170) & (area[..., 2] > 150) & (area[..., 0] < 120)).sum())


@pytest.mark.parametrize("size", [(640, 360), (1280, 720), (1920, 1080), (720, 1280), (1024, 768)])
def test_the_middle_of_the_picture_stays_free_whatever_happens(draw, size):
    status = {f"part {i}": StatusChanged(component=f"part {i}", level="error", message="w " * 200) for i in range(30)}
    many = {f"MACRO {i}": MacroState(1.0, envelope=1.0) for i in range(60)}
    image = draw(data(status=status, states=many, shader_errors=("a" * 500,) * 9), size)
    assert (cut(image, HudLayout.of(size, 60).centre) == GREY).all()
    assert (image != GREY).any()


def test_it_is_one_draw_call_and_leaves_the_target_opaque(draw):
    draw(data())
    assert draw.hud.draw_calls == 1
    assert draw.alpha == 255


def test_the_pages_go_round_and_off_draws_nothing(draw):
    drawn = {draw.hud.page: draw(data())}
    for _ in PAGES[1:]:
        page = draw.hud.cycle()
        drawn[page] = draw(data())
    assert draw.hud.cycle() == "full"
    covered = {page: int((image != GREY).any(axis=2).sum()) for page, image in drawn.items()}
    assert covered["full"] > covered["show"] > covered["off"] == 0
    assert draw.hud.draw_calls == 0


def test_the_tempo_is_large_and_changes_with_the_clock(draw):
    def tempo(bpm: float, time: float, running: bool = True) -> np.ndarray:
        beat = BeatClock(0.0, 60 / bpm, 0, 0, 0.9, running)
        image = draw(data(time, features=features(beat=beat), beat_running=running))
        rect = panel(draw.hud, TempoPanel).rect
        return cut(image, rect)[: round(0.4 * rect.h)]

    one, two, three = tempo(128.0, 1.0), tempo(174.0, 2.0), tempo(128.0, 3.0)
    assert (one.min(axis=2) > 220).sum() > 100  # large white digits
    assert (one != two).any()
    assert (one == three).all()
    assert (tempo(128.0, 4.0, running=False).min(axis=2) > 220).sum() == 0


def test_the_beat_of_the_bar_is_lit(draw):
    for beat in range(4):
        image = draw(data(beat, bar_phase=(beat + 0.01) / 4))
        area = panel(draw.hud, TempoPanel).beats
        quarters = np.array_split(cut(image, area), 4, axis=1)
        brightness = [quarter.mean() for quarter in quarters]
        assert int(np.argmax(brightness)) == beat
    dark = cut(draw(data(9.0, beat_running=False)), area)
    assert dark.max() < 100


@pytest.mark.parametrize("level", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_a_band_meter_is_as_tall_as_its_band(draw, level):
    bands = (level, 0.0, 0.0, 1.0 - level, 0.0, 0.0)
    image = draw(data(features=features(bands=bands)))
    meters = panel(draw.hud, AudioPanel).meters
    for meter, value in zip(meters, bands, strict=True):
        column = cut(image, meter)[:, round(meter.w / 2)]
        lit = (column[:, 1] > 170) & (column[:, 0] < 120)
        assert abs(int(lit.sum()) - value * meter.h) <= 2.5


def test_slow_tick_and_hit_flash_are_told_apart_from_the_level(draw):
    slow = draw(data(1.0, features=features(bands_slow=(0.5,) * 6)))
    meter = panel(draw.hud, AudioPanel).meters[0]
    column = cut(slow, meter)[:, round(meter.w / 2)].min(axis=1)
    tick = np.nonzero(column > 220)[0]
    assert len(tick) >= 1
    assert abs(tick.mean() - 0.5 * meter.h) <= 2.5
    quiet, hit = draw(data(2.0)), draw(data(3.0, features=features(hits=(1.0, 0, 0, 0, 0, 0))))
    assert cut(hit, meter).mean() > cut(quiet, meter).mean() + 20
    other = panel(draw.hud, AudioPanel).meters[3]
    assert (cut(hit, other) == cut(quiet, other)).all()


def test_meters_move_every_frame_though_words_do_not(draw):
    draw(data(5.0))
    image = draw(data(5.001, features=features(bands=(1.0,) * 6)))
    assert all(accent(cut(image, meter)) > 50 for meter in panel(draw.hud, AudioPanel).meters)


def test_words_are_written_again_within_a_fraction_of_a_second(draw):
    times = [10.0 + index / 60 for index in range(13)]
    first = draw(data(times[0], audio_name="first device"))
    rect = panel(draw.hud, AudioPanel).rect
    head = Rect(rect.x, rect.y, rect.w, 20)
    for time in times[1:]:
        last = draw(data(time, audio_name="another thing"))
    assert (cut(first, head) != cut(last, head)).any()


def test_a_clock_that_jumps_back_writes_at_once(draw):
    first = draw(data(100.0, audio_name="first device"))
    again = draw(data(0.0, audio_name="another thing"))
    rect = panel(draw.hud, AudioPanel).rect
    head = Rect(rect.x, rect.y, rect.w, 20)
    assert (cut(first, head) != cut(again, head)).any()


def test_a_healthy_show_has_neither_amber_nor_red(draw):
    image = draw(data(states={"DROP": MacroState(1.0, envelope=1.0)}, recording="demo.mp4 0:31"))
    assert amber(image) == reddish(image) == 0
    assert accent(image) > 100


def test_warnings_are_amber_errors_red_and_errors_come_first(draw):
    status = {
        "audio": StatusChanged(component="audio", level="warn", message="reconnecting", time=19.0),
        "recorder": StatusChanged(component="recorder", level="error", message="disk full", time=3.0),
        "midi": StatusChanged(component="midi", level="ok", message="back", time=3.0),
    }
    image = draw(data(status=status))
    layout = HudLayout.of(SIZE, len(BOOK))
    line = layout.style.line
    first = cut(image, layout.alerts._replace(h=line))
    second = cut(image, layout.alerts._replace(y=layout.alerts.y + line + layout.style.hair, h=line))
    rest = cut(image, Rect(layout.alerts.x, layout.alerts.y + 2 * (line + 1), layout.alerts.w, 2 * line))
    assert reddish(first) > 20
    assert amber(first) == 0
    assert amber(second) > 20
    assert reddish(second) == 0
    assert (rest == GREY).all()


def test_a_long_alert_takes_two_lines_where_there_is_room(draw):
    words = "colour, grey, burn, texture, blur, dark: the scene's first picture comes back " * 2

    def lines(count):
        status = {
            f"p{i}": StatusChanged(component=f"p{i}", level="warn", message=words, time=19.0) for i in range(count)
        }
        layout = HudLayout.of(SIZE, len(BOOK))
        image, style = draw(data(20.0 + count, status=status)), layout.style
        step = style.line + style.hair
        tops = [layout.alerts.y + i * step for i in range(int((layout.alerts.h + style.hair) // step))]
        return sum(amber(cut(image, layout.alerts._replace(y=top + 3, h=style.line - 6))) > 0 for top in tops), len(
            tops
        )

    shown, room = lines(1)
    assert shown == 2
    assert lines(room) == (room, room), "every alert has a line before any has two"


@pytest.mark.parametrize(
    ("text", "shorter"),
    [
        ("turbo onnx 512x288, at most 3.1 GB", ["turbo onnx 512x288", "turbo onnx", "turbo"]),
        ("procedural", []),
    ],
)
def test_a_generator_loses_the_end_of_its_words_first(text, shorter):
    assert shortened(text) == [text, *shorter]


def test_alerts_carry_their_age_and_the_overflow_is_counted():
    layout = HudLayout.of(SIZE, 0)
    alerts = AlertPanel(layout.style, layout.alerts)
    status = {f"p{i}": StatusChanged(component=f"p{i}", level="warn", message="m", time=20.0 - i) for i in range(9)}
    lines = alerts.lines(data(status=status, shader_errors=("bloom.frag:3: no",)))
    assert [line[1:] for line in lines[:3]] == [
        ("SHADER", "bloom.frag:3: no", ""),
        ("P0", "m", "0 ms"),
        ("P1", "m", "1.0 s"),
    ]
    assert len(lines) == 10
    assert alerts.room < 10


def test_figures_out_of_bounds_turn_amber(draw):
    draw(data())
    area = panel(draw.hud, OutputPanel).rect
    assert amber(cut(draw(data(1.0, present_fps=41.0)), area)) > 20
    assert amber(cut(draw(data(2.0, present_p99_ms=40.0)), area)) > 10
    assert amber(cut(draw(data(3.0, worker_restarts=2)), area)) > 3
    assert amber(cut(draw(data(4.0, dropped_events=7)), area)) > 3


def test_the_graph_shows_each_frame_and_marks_late_ones(draw):
    for index in range(20):
        late = index == 10
        control = data(index / 60).control
        frame = replace(control, time=FrameTime(index, index / 60, 0.05 if late else 1 / 60))
        image = draw(replace(data(), control=frame))
    graph = cut(image, panel(draw.hud, OutputPanel).graph)
    assert 5 < amber(graph) < 80
    right, left = graph[:, -graph.shape[1] // 5 :], graph[:, : graph.shape[1] // 2]
    assert (right[..., 1] > 150).sum() > 20
    assert (left[..., 1] > 150).sum() == 0


def test_a_macro_chip_fills_with_its_envelope(draw):
    widths = []
    for index, envelope in enumerate((0.0, 0.5, 1.0)):
        states = {"AUDIO": MacroState(float(envelope > 0), envelope=envelope)}
        image = draw(data(float(index), states=states))
        chip = panel(draw.hud, MacroPanel)._chips[0].rect
        inside = cut(image, chip.inset(2))[1]  # a row above the words
        widths.append(int((inside[:, 1] > inside[:, 0] + 20).sum()) / inside.shape[0])
    assert widths == pytest.approx([0.0, 0.5, 1.0], abs=0.1)


def test_macros_of_a_group_stand_together_strongest_first():
    assert chip_order(data()) == ["DROP", "BUILD", "CHILL", "AUDIO", "INTENSITY"]
    assert chip_order(data(states={"NEW": MacroState(), "CHILL": MacroState()})) == ["CHILL", "NEW"]


def test_a_chip_says_where_its_macro_stands():
    states = {
        "DROP": MacroState(1.0, envelope=1.0),
        "CHILL": MacroState(1.0, held_down=True),
        "BUILD": MacroState(1.0, armed=True),
        "INTENSITY": MacroState(0.64),
        "AUDIO": MacroState(),
    }
    shown = data(states=states)
    words = {name: macro_word(BOOK[name], state, shown) for name, state in states.items()}
    assert words == {
        "DROP": "on",
        "CHILL": "under DROP",
        "BUILD": "at bar",
        "INTENSITY": "64 %",
        "AUDIO": "toggle",
    }


def test_an_armed_macro_blinks(draw):
    states = {"BUILD": MacroState(1.0, armed=True)}
    edges = []
    for time in (10.0, 10.15):
        image = draw(data(time, states=states))
        edges.append(accent(cut(image, panel(draw.hud, MacroPanel)._chips[0].rect._replace(h=2))))
    assert edges[0] > 20
    assert edges[1] == 0


def test_moved_parameters_hand_first_then_music_and_macros():
    layout = HudLayout.of((1280, 720), 5)
    params = ParamPanel(layout.style, layout.right)
    look = Look("wired", modulations=(Modulation("gen.speed", "bass.level", 1.0),))
    shown = data(look=look, targets={"grade.hue": 0.1}, states={"DROP": MacroState(1.0, envelope=0.5)})
    assert params.moved(shown) == ["grade.hue", "gen.speed", "bloom.amount"]
    shown = data(look=look, targets={"grade.hue": 0.1, "grain.amount": 0.5})
    assert params.moved(shown) == ["grain.amount", "grade.hue", "gen.speed"]
    shown = data(look=look, targets={"grade.hue": 0.2, "grain.amount": 0.5})
    assert params.moved(shown) == ["grade.hue", "grain.amount", "gen.speed"]
    assert params.moved(data()) == []
    dream = data(look=Look("dream", modulations=(Modulation("turbo.strength", "bass.hit", 0.2),)))
    assert params.moved(dream) == []
    assert params.moved(replace(dream, generator="turbo")) == ["turbo.strength"]


def test_a_parameter_meter_runs_from_zero_to_its_value(draw):
    for index, value in enumerate((-4.0, 2.0)):
        values = PARAMS.defaults().replaced({"grade.exposure": value})
        image = draw(data(float(index), values=values, targets={"grade.exposure": value}))
        meter = panel(draw.hud, ParamPanel)._rows[0].meter
        middle = cut(image, meter)[round(meter.h / 2)]
        lit = np.nonzero((middle[:, 1] > 170) & (middle[:, 0] < 120))[0] / meter.w
        left, right = sorted((0.5, 0.5 + value / 8))
        assert lit.min() == pytest.approx(left, abs=0.03)
        assert lit.max() == pytest.approx(right, abs=0.03)


NASTY = "Ünï©ødé 音楽 🎛️ \x00\x1b[31m\n\t" + "long " * 200


@pytest.mark.parametrize("size", [(640, 360), (1280, 720)])
def test_endless_and_foreign_names_fit(draw, size):
    shown = data(
        look=Look(NASTY),
        states={NASTY: MacroState(1.0)},
        status={"x": StatusChanged(component=NASTY, level="error", message=NASTY, time=1.0)},
        audio_name=NASTY,
        generator=NASTY,
        generator_state=NASTY,
        midi=(NASTY, NASTY),
        osc_in=NASTY,
        recording=NASTY,
        shader_errors=(NASTY,),
        look_names=(NASTY,),
        hints=((NASTY, NASTY),),
    )
    shown = replace(shown, macros={NASTY: MacroDef(NASTY, key=NASTY, group=NASTY)})
    image = draw(shown, size)
    layout = HudLayout.of(size, 1)
    # Nothing leaves its panel: the gaps between columns and picture edge, and the middle, stay as they were.
    assert (image[:, : layout.style.margin] == GREY).all()
    assert (image[:, -layout.style.margin :] == GREY).all()
    assert (cut(image, layout.centre) == GREY).all()
    gap = Rect(layout.left.right, layout.left.y, layout.style.gap, layout.left.h)
    assert (cut(image, gap) == GREY).all()


def test_the_prompt_is_read_beside_the_look_and_never_pushes_out_of_its_line(draw):
    without = draw(data())
    line = panel(draw.hud, HintLine)
    plain = cut(without, line.rect)
    for prompt in ("a red fox", "x" * 5000):
        shown = draw(replace(data(time=30.0), prompt=prompt))
        assert (cut(shown, line.rect) != plain).any()
        left = line.rect.x + 0.85 * line.rect.w
        assert (
            cut(shown, Rect(left, line.rect.y, 0.14 * line.rect.w, line.rect.h))
            == cut(without, Rect(left, line.rect.y, 0.14 * line.rect.w, line.rect.h))
        ).all()


@pytest.mark.parametrize("count", [0, 1, 40, 300])
def test_any_number_of_macros(draw, count):
    states = {f"M{i}": MacroState(1.0, envelope=1.0) for i in range(count)}
    image = draw(data(states=states))
    layout = HudLayout.of(SIZE, count)
    assert (cut(image, layout.centre) == GREY).all()
    if count:
        assert len(panel(draw.hud, MacroPanel)._chips) == layout.grid.shown
    else:
        assert not any(isinstance(slot.panel, MacroPanel) for slot in draw.hud._slots)


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (64, 36), (160, 90), (320, 180), (5000, 40)])
def test_tiny_and_odd_pictures_do_not_break_it(draw, size):
    status = {"audio": StatusChanged(component="audio", level="error", message="gone", time=1.0)}
    image = draw(data(status=status), size)
    assert image.shape == (size[1], size[0], 3)
    assert (draw(data(30.0), SIZE) != GREY).any()


def test_one_hud_follows_the_size_of_its_target(draw):
    small, large, again = draw(data(1.0)), draw(data(2.0), (1280, 720)), draw(data(1.0))
    assert (small == again).all()
    assert ((large != GREY).any(axis=2).mean()) == pytest.approx((small != GREY).any(axis=2).mean(), abs=0.12)


def test_values_that_are_not_numbers_do_no_harm(draw):
    nan, inf = float("nan"), float("inf")
    broken = features(bands=(nan,) * 6, bands_slow=(inf,) * 6, hits=(-inf,) * 6, rms=nan, peak=inf, gain_db=nan)
    image = draw(
        data(
            features=broken,
            bar_phase=nan,
            present_fps=nan,
            present_p99_ms=inf,
            target_fps=0.0,
            generator_age_ms=inf,
            audio_to_frame_ms=nan,
            states={"DROP": MacroState(nan, envelope=inf)},
        )
    )
    assert (cut(image, HudLayout.of(SIZE, 1).centre) == GREY).all()


def test_spans_and_gains_read_well():
    assert [duration(s) for s in (0.0, 0.0244, 0.9999, 3.14, 59.99, 150.0, 5400.0, float("nan"))] == [
        "0 ms",
        "24 ms",
        "1.0 s",
        "3.1 s",
        "1 min",
        "2 min",
        "1.5 h",
        "-",
    ]
    assert (decibels(3.21), decibels(-0.04), decibels(float("inf"))) == ("+3.2 dB", "-0.0 dB", "- dB")


def test_missing_or_broken_shaders_are_named(ctx, tmp_path):
    with pytest.raises(ShaderError, match=r"quad\.vert\.glsl.*reinstall"):
        Hud(ctx, SIZE, tmp_path)
    (tmp_path / "hud").mkdir()
    good = (resource_dir("shaders") / "hud" / "quad.vert.glsl").read_text(encoding="utf-8")
    (tmp_path / "hud" / "quad.vert.glsl").write_text(good)
    (tmp_path / "hud" / "quad.frag.glsl").write_text("#version 330 core\nvoid main() { nonsense }\n")
    with pytest.raises(ShaderError, match="syntax error"):
        Hud(ctx, SIZE, tmp_path)
    assert ctx.error == "GL_NO_ERROR"


def test_the_crowds_panel_is_there_while_there_is_a_page(draw):
    crowd = CrowdVoice("jellyfish", "Ana", 1.0)
    draw(data(1.0))
    assert not any(isinstance(slot.panel, CrowdPanel) for slot in draw.hud._slots)
    image = draw(data(2.0, page="10.0.0.7:8600", crowd_waiting=3, crowd=crowd))
    rect = panel(draw.hud, CrowdPanel).rect
    assert (cut(image, rect).min(axis=2) > 200).sum() > 40
    assert amber(cut(image, rect)) == 0
    locked = draw(data(3.0, page="10.0.0.7:8600", crowd_waiting=3, crowd=crowd, values=LOCKED))
    assert amber(cut(locked, rect)) > 10
    draw(data(4.0))
    assert not any(isinstance(slot.panel, CrowdPanel) for slot in draw.hud._slots)


@pytest.mark.parametrize("size", [(640, 360), (1280, 720)])
def test_a_page_without_a_crowd_is_one_line(draw, size):
    alone = draw(data(1.0, page="10.0.0.7:8600"), size)
    rect = panel(draw.hud, CrowdPanel).rect
    free = cut(alone, rect)[-2 * draw.hud._layout.style.line :]
    assert (free == GREY).all()
    assert (cut(alone, rect) != GREY).any()


def test_where_the_crowds_words_stand_is_said_in_a_word():
    def word(voice: CrowdVoice, **changes: object) -> str:
        style = HudLayout.of(SIZE, 0).style
        return CrowdPanel(style, Rect(0, 0, 100, 100)).state(data(1.0, page="p", crowd=voice, **changes))

    assert word(CrowdVoice()) == ""
    assert word(CrowdVoice("a", "b", 0.25)) == "25 %"
    assert word(CrowdVoice("a", "b", 1.0)) == "on"
    assert word(CrowdVoice("a", "b", 1.0, waiting=("c", "d"))) == "at the bar"
    assert word(CrowdVoice("a", "b", 1.0), values=LOCKED) == "locked"


def test_what_is_learnt_is_no_warning(draw):
    learn = {"midi learn": StatusChanged(component="midi learn", level="warn", message="move a fader")}
    rect = HudLayout.of(SIZE, len(BOOK)).alerts
    image = cut(draw(data(1.0, status=learn)), rect)
    assert accent(image) > 10
    assert amber(image) == 0
    wrong = {"midi learn": StatusChanged(component="midi learn", level="error", message="cannot be written")}
    assert reddish(cut(draw(data(2.0, status=wrong)), rect)) > 10
