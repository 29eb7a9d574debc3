"""The text desk, a frame at a time: when prompts come, how they mix and glide, and what it never does."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Literal

import pytest

torch = pytest.importorskip("torch")

from dataclasses import replace  # noqa: E402

from vjengine.core.generation import GeneratorParams  # noqa: E402
from vjengine.core.params import GLIDES, PARAMS, ParamValues  # noqa: E402
from vjengine.generate.turbo import text_bank  # noqa: E402
from vjengine.generate.turbo.parts import TurboParts  # noqa: E402
from vjengine.generate.turbo.plan import FramePlan  # noqa: E402
from vjengine.generate.turbo.prompts import MAX_TEXTS, TextDesk  # noqa: E402
from vjengine.generate.turbo.random_models import random_parts  # noqa: E402
from vjengine.generate.turbo.text import TextEncoder  # noqa: E402

PLAN = FramePlan((128, 64))
FPS = 10
NEW = 4
"""Frames a text takes to encode on a processor."""


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small are slower on several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=["tiny", "tiny-sdxl"])
def each(request: pytest.FixtureRequest) -> TurboParts:
    return random_parts(request.param)


@pytest.fixture(scope="module")
def parts() -> TurboParts:
    return random_parts("tiny")


@pytest.fixture(scope="module")
def truth(parts: TurboParts) -> TextEncoder:
    return TextEncoder(parts, PLAN)


class Ear:
    """A host that remembers."""

    live = True

    def __init__(self) -> None:
        self.said: list[tuple[str, str, str]] = []

    def alive(self, doing: str = "", fraction: float = -1.0) -> None: ...

    def say(self, component: str, level: Literal["ok", "warn", "error"], message: str = "") -> None:
        self.said.append((component, level, message))


class Show:
    """Steps a desk at a steady rate."""

    def __init__(self, parts: TurboParts, host: Any = None, **values: float | str) -> None:
        self.desk = TextDesk(parts, PLAN, host or Ear())
        self.frame = 0
        self.cue = 0
        self.values = values
        self.prompts: tuple[tuple[str, float], ...] = ()
        self.more: dict[str, Any] = {}

    def tell(self, *prompts: tuple[str, float], **values: float | str) -> None:
        """Change the prompt, as the control step does."""
        self.cue += 1
        self.prompts = prompts
        self.values |= values

    def step(self, n: int = 1) -> torch.Tensor:
        for _ in range(n):
            table = {name: _number(name, value) for name, value in self.values.items()}
            params = GeneratorParams(
                sequence=self.frame + 1, time=self.frame / FPS, values=ParamValues.of(table), cue=self.cue,
                prompts=self.prompts, **self.more,
            )  # fmt: skip
            self.desk.step(params)
            self.frame += 1
        return self.desk.positive.embeds.clone()


def _number(name: str, value: float | str) -> float:
    return value if not isinstance(value, str) else float(PARAMS[name].choices.index(value))


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool(torch.allclose(a, b, atol=1e-4, rtol=1e-4))


def tokens(embeds: torch.Tensor) -> torch.Tensor:
    """Return all but the start token, as one vector."""
    return embeds[0, 1:].flatten().double()


def angle(a: torch.Tensor, b: torch.Tensor) -> float:
    a, b = tokens(a), tokens(b)
    return math.acos(min(1.0, float(a @ b / (a.norm() * b.norm()))))


def test_the_first_prompt_is_there_in_the_first_frame(each: TurboParts) -> None:
    show = Show(each)
    show.tell(("a red fox", 1.0))
    first = show.step()
    state = TextEncoder(each, PLAN).encode("a red fox")
    assert torch.equal(first, state.embeds)
    if state.pooled is not None:
        assert torch.equal(show.desk.positive.pooled, state.pooled)
        assert torch.equal(show.desk.positive.size_ids, state.size_ids)
    assert show.desk.changed
    assert show.desk.negative_changed
    show.step()
    assert not show.desk.changed
    assert not show.desk.negative_changed


def test_a_new_prompt_comes_in_after_its_slices_and_a_known_one_at_once(parts: TurboParts, truth: TextEncoder) -> None:
    show = Show(parts, **{"turbo.glide": 0.0})
    show.tell(("a red fox", 1.0))
    fox = show.step()
    show.tell(("neon city", 1.0))
    for _ in range(NEW):
        assert torch.equal(show.step(), fox)
        assert not show.desk.changed
    assert same(show.step(), truth.encode("neon city").embeds)
    assert show.desk.changed
    show.tell(("a red fox", 1.0))
    assert same(show.step(), fox)


def test_a_glide_takes_its_seconds_at_even_speed_on_an_arc(each: TurboParts) -> None:
    truth = TextEncoder(each, PLAN)
    show = Show(each, **{"turbo.glide": 2.0})
    show.tell(("a red fox", 1.0))
    fox = show.step()
    show.tell(("neon city", 1.0))
    show.step(NEW)
    way = [fox] + [show.step() for _ in range(2 * FPS)]
    city = truth.encode("neon city").embeds
    assert same(way[-1], city)
    whole = angle(fox, city)
    for n, point in enumerate(way):
        assert angle(fox, point) == pytest.approx(whole * n / (2 * FPS), abs=2e-3)
        length = tokens(point).norm()
        mean = tokens(fox).norm() * (1 - n / 20) + tokens(city).norm() * n / 20
        assert float(length) == pytest.approx(float(mean), rel=1e-4)
        # The token that carries the size keeps it.
        assert same(point[:, 0], fox[:, 0])
    show.step()
    assert not show.desk.changed


@pytest.mark.parametrize(
    ("unit", "running", "seconds"), [("beats", True, 2.0), ("beats", False, 2.0), ("bars", True, 8.0)]
)
def test_a_glide_counts_beats_and_bars(
    parts: TurboParts, truth: TextEncoder, unit: str, running: bool, seconds: float
) -> None:
    assert unit in GLIDES
    show = Show(parts, **{"turbo.glide": 4.0, "turbo.glide_in": unit})
    show.tell(("a red fox", 1.0))
    show.step()
    show.tell(("neon city", 1.0))
    frames = 0
    city = truth.encode("neon city").embeds
    embeds = None
    while embeds is None or not same(embeds, city):
        # 120 BPM, until the tracker finds another alignment far away: not a moment to jump.
        show.more = {"beats": frames * 2.0 / FPS + (1000.0 if frames > 10 else 0.0), "beat_running": running}
        embeds = show.step()
        frames += 1
        assert frames < 200
    assert frames - NEW == pytest.approx(seconds * FPS, abs=7 if running else 1)


def test_an_interrupted_glide_goes_on_from_where_it_is(parts: TurboParts, truth: TextEncoder) -> None:
    show = Show(parts, **{"turbo.glide": 2.0})
    show.tell(("a red fox", 1.0))
    points = [show.step()]
    for prompt in ("neon city", "gold", "sea"):
        show.tell((prompt, 1.0))
        points += [show.step() for _ in range(NEW + 7)]
    points += [show.step() for _ in range(2 * FPS)]
    texts = [truth.encode(text).embeds for text in ("a red fox", "neon city", "gold", "sea")]
    longest = max(angle(a, b) for a in texts for b in texts)
    steps = [angle(a, b) for a, b in pairwise(points)]
    assert max(steps) < 1.2 * longest / (2 * FPS)
    assert same(points[-1], texts[-1])


def test_prompts_that_come_faster_than_they_are_read_keep_moving_and_end_with_the_newest(
    parts: TurboParts, truth: TextEncoder
) -> None:
    show = Show(parts, **{"turbo.glide": 0.0})
    show.tell(("a red fox", 1.0))
    seen = [show.step()]
    for n in range(40):
        show.tell((f"prompt {n}", 1.0))
        seen.append(show.step())
    changes = sum(not torch.equal(a, b) for a, b in pairwise(seen))
    assert 40 // NEW - 2 <= changes <= 40 // NEW
    # One on its way, one waiting, no queue of forty.
    show.step(2 * NEW)
    assert same(show.step(), truth.encode("prompt 39").embeds)


def test_weights_are_shares_and_a_mixture_keeps_its_length(parts: TurboParts, truth: TextEncoder) -> None:
    show = Show(parts)
    show.tell(("a red fox", 6.0), ("neon city", 2.0))
    mixed = show.step()
    fox, city = truth.encode("a red fox").embeds, truth.encode("neon city").embeds
    plain = 0.75 * tokens(fox) + 0.25 * tokens(city)
    mean = 0.75 * tokens(fox).norm() + 0.25 * tokens(city).norm()
    assert torch.allclose(tokens(mixed), plain * mean / plain.norm(), atol=1e-4)
    assert same(mixed[:, 0], fox[:, 0])


def test_words_of_macros_follow_their_weight_without_a_glide_and_without_reading_anew(
    parts: TurboParts, truth: TextEncoder
) -> None:
    gold, fox = truth.encode("gold").embeds, truth.encode("a red fox").embeds
    show = Show(parts, **{"turbo.glide": 30.0})
    show.tell(("a red fox", 1.0))
    show.step()
    show.prompts = (("a red fox", 1.0), ("gold", 0.001))
    show.step(NEW + 1)
    runs: list[int] = []
    layers = (module for path, module in parts.text_encoders[0].named_modules() if path.endswith("layers.0"))
    handle = next(layers).register_forward_hook(lambda *_: runs.append(1))
    angles = []
    for n in range(1, 11):
        show.prompts = (("a red fox", 1.0), ("gold", n / 10))
        angles.append(angle(show.step(), gold))
        assert show.desk.changed
    handle.remove()
    assert runs == []
    assert angles == sorted(angles, reverse=True)
    assert angles[-1] == pytest.approx(angle(fox, gold) / 2, abs=0.1)
    show.prompts = (("a red fox", 1.0),)
    assert same(show.step(), truth.encode("a red fox").embeds)


def test_another_prompt_glides_even_if_nobody_counted_a_cue(parts: TurboParts) -> None:
    show = Show(parts, **{"turbo.glide": 2.0})
    show.prompts = (("a red fox", 1.0),)
    fox = show.step()
    show.prompts = (("neon city", 1.0),)
    show.step(NEW)
    assert 0.0 < angle(fox, show.step()) < 0.2


def test_nothing_is_allocated_in_a_glide(parts: TurboParts) -> None:
    show = Show(parts, **{"turbo.glide": 30.0})
    show.tell(("a red fox", 1.0))
    show.step()
    addresses = show.desk.positive.embeds.data_ptr(), show.desk.negative.embeds.data_ptr()
    show.tell(("neon city", 1.0), ("gold", 0.5))
    show.step(2 * NEW + 2)
    with torch.profiler.profile(profile_memory=True) as profile:
        show.desk.step(GeneratorParams(time=50.0, cue=show.cue, prompts=show.prompts))
    assert show.desk.changed
    big = [event for event in profile.events() if event.cpu_memory_usage > 256]
    assert not big, [(event.name, event.cpu_memory_usage) for event in big]
    assert addresses == (show.desk.positive.embeds.data_ptr(), show.desk.negative.embeds.data_ptr())


def test_the_same_parameters_give_the_same_bytes(each: TurboParts) -> None:
    def run() -> list[torch.Tensor]:
        show = Show(each, **{"turbo.glide": 1.0})
        show.tell(("a red fox", 1.0))
        points = [show.step()]
        for text in ("neon city", "gold::1", "a red fox", "sea"):
            show.tell((text, 1.0), ("rain", 0.3))
            points += [show.step() for _ in range(6)]
        return points

    assert all(torch.equal(a, b) for a, b in zip(run(), run(), strict=True))


def test_more_texts_than_the_bank_keeps(parts: TurboParts, truth: TextEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_bank, "TEXTS", 6)
    show = Show(parts, **{"turbo.glide": 0.0})
    for n in range(14):
        show.tell((f"p {n}", 1.0))
        show.step(NEW + 1)
    assert same(show.step(), truth.encode("p 13").embeds)
    show.tell(("p 0", 1.0))  # long gone: read anew
    show.step(NEW)
    assert same(show.step(), truth.encode("p 0").embeds)


def test_bad_prompts_are_bounded(parts: TurboParts, truth: TextEncoder) -> None:
    show = Show(parts, **{"turbo.glide": 0.0})
    show.tell(*((f"t{n}", 1.0) for n in range(100)))
    show.step()
    assert len(show.desk._lines[0]._force.texts) == MAX_TEXTS
    for prompts in (
        (("x" * 10_000, 1.0),),
        (("\x00\ud800🔥", math.nan), ("b", math.inf), ("c", -1.0), ("d", -math.inf)),
        (("no say", 0.0), ("nor this", 0.0)),
        ((" \n ", 1.0),),
    ):
        show.tell(*prompts)
        assert torch.isfinite(show.step(NEW * 4 + 1)).all()
    assert same(show.step(), truth.encode("").embeds)


def test_a_text_too_long_is_said_once_and_taken_back(parts: TurboParts) -> None:
    ear = Ear()
    show = Show(parts, ear)
    show.tell(("a" * 76, 1.0))
    show.step(3)
    assert [(component, level) for component, level, _ in ear.said] == [("prompt", "warn")]
    assert "aaaa" in ear.said[0][2]
    show.tell(("short", 1.0))
    show.step(NEW + 2)
    assert ear.said[1:] == [("prompt", "ok", "")]


def test_the_negative_prompt_is_read_by_models_that_take_guidance(parts: TurboParts, truth: TextEncoder) -> None:
    for guided in (False, True):
        show = Show(replace(parts, wants_guidance=guided))
        show.more = {"negative": "blurry::2 | text"}
        show.tell(("a red fox", 1.0))
        show.step()
        assert same(show.desk.negative.embeds, truth.encode("").embeds) is not guided
        show.more = {"negative": ""}
        show.tell(("a red fox", 1.0), **{"turbo.glide": 0.0})
        show.step()
        assert show.desk.negative_changed is guided
        assert same(show.desk.negative.embeds, truth.encode("").embeds)


def test_a_text_encoder_that_gives_no_numbers_does_not_poison_the_picture(
    parts: TurboParts, truth: TextEncoder
) -> None:
    ear = Ear()
    show = Show(parts, ear, **{"turbo.glide": 0.0})
    show.tell(("a red fox", 1.0))
    show.step()
    layer = show.desk._encoder._towers[0]._layers[-1]
    handle = layer.register_forward_hook(lambda module, inputs, output: output * math.nan)
    show.tell(("neon city", 1.0))
    embeds = show.step(NEW + 1)
    handle.remove()
    assert same(embeds, truth.encode("").embeds)
    assert [level for _, level, _ in ear.said] == ["error"]


def test_prepared_texts_come_at_once(parts: TurboParts, truth: TextEncoder) -> None:
    show = Show(parts, **{"turbo.glide": 0.0})
    show.tell(("a red fox", 1.0))
    show.desk.prepare(["molten gold::2 | honey", "a red fox"])
    show.step(2 * NEW + 1)
    show.tell(("honey", 1.0))
    assert same(show.step(), truth.encode("honey").embeds)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_on_a_gpu_the_numbers_are_those_of_the_processor() -> None:
    plan = FramePlan((128, 64), device="cuda:0")
    desk = TextDesk(random_parts("tiny-sdxl", device="cuda:0"), plan)
    truth = TextEncoder(random_parts("tiny-sdxl"), PLAN)
    glide = ParamValues.of({"turbo.glide": 0.0})
    for frame in range(12):
        text = "a red fox" if frame == 0 else "neon city"
        desk.step(GeneratorParams(time=frame / 10, cue=int(frame > 0), prompts=((text, 1.0),), values=glide))
        came = desk.changed
        assert came is (frame in (0, 9))
    torch.testing.assert_close(desk.positive.embeds.cpu(), truth.encode("neon city").embeds, atol=1e-3, rtol=1e-3)
