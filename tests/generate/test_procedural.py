"""The procedural generator, judged by its pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest

from vjengine.core.frame import Pixels
from vjengine.core.generation import GeneratorParams
from vjengine.core.params import FAMILIES, PALETTES, ParamValues
from vjengine.errors import GeneratorError, UsageError
from vjengine.generate.base import GeneratorSpec, checked_pixels
from vjengine.generate.procedural import ProceduralGenerator
from vjengine.generate.procedural_gl import open_context

SIZE = (128, 72)
KICK = (1.0, 1.0, 0.0, 0.0, 0.0, 0.0)

Draw = Callable[..., Pixels]


@pytest.fixture(scope="module")
def generator() -> Iterator[ProceduralGenerator]:
    made = ProceduralGenerator(GeneratorSpec("procedural", SIZE))
    yield made
    made.close()


def params(family: str, time: float = 5.0, **changes: float | int | bool | tuple[float, ...]) -> GeneratorParams:
    """Parameters with ``gen_warp=…`` for ``gen.warp``, and the other fields by their own names."""
    values = {
        name.replace("_", ".", 1): value for name, value in changes.items() if name.startswith(("gen_", "audio_"))
    }
    fields = {name: value for name, value in changes.items() if not name.startswith(("gen_", "audio_"))}
    fields.setdefault("travel", time)
    table = ParamValues.of({"gen.family": FAMILIES.index(family), "gen.feedback": 0.0, "gen.drift": 0.0, **values})
    return GeneratorParams(time=time, values=table, **fields)


@pytest.fixture
def draw(generator: ProceduralGenerator) -> Draw:
    """Draw one picture on its own, after any dissolve from what was there before."""
    moment = iter(range(1000))
    generator.reset()

    def drawn(family: str, **changes: float | int | bool | tuple[float, ...]) -> Pixels:
        changes.setdefault("travel", 5.0)
        now = 100.0 * next(moment)
        generator.generate(params(family, now, **changes))
        return generator.generate(params(family, now + 50.0, **changes)).copy()

    return drawn


def difference(a: Pixels, b: Pixels) -> float:
    return float(np.abs(a[..., :3].astype(float) - b[..., :3]).mean())


def light(picture: Pixels) -> float:
    return float(picture[..., :3].mean())


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_in_every_palette_is_a_picture(draw: Draw, family: str) -> None:
    colours = []
    for palette in range(len(PALETTES)):
        picture = draw(family, gen_palette=palette)
        checked_pixels(picture, GeneratorSpec("procedural", SIZE))
        tone = picture[..., :3].max(axis=2)
        name = f"{family} in {PALETTES[palette]}"
        assert (picture[..., 3] == 255).all(), name
        assert tone.std() > 12, f"{name} is flat"
        assert (picture[..., :3].min(axis=2) > 250).mean() < 0.05, f"{name} is burnt out"
        assert (tone < 40).mean() > 0.04, f"{name} leaves no dark space"
        assert (tone > 120).mean() > 0.005, f"{name} has no light"
        colours.append(picture[..., :3].reshape(-1, 3).mean(axis=0))
    assert all(np.abs(a - b).max() > 1.0 for a, b in pairwise(colours)), "palettes look the same"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("end", [0.0, 1.0])
def test_the_ends_of_all_faders_still_make_a_picture(draw: Draw, family: str, end: float) -> None:
    faders = ("warp", "detail", "morph", "glow", "hue", "spread", "contrast")
    changes = {f"gen_{name}": end for name in faders}
    loud = {"bands": (1.0,) * 6, "hits": (1.0,) * 6, "gen_pulse": 1.0} if end else {}
    for zoom in (0.25, 4.0):
        picture = draw(family, **changes, **loud, gen_zoom=zoom, beats=3.2, beat_running=True)
        tone = picture[..., :3]
        assert tone.max() > 60, f"{family} at zoom {zoom} is black"
        assert (tone.min(axis=2) > 250).mean() < 0.25, f"{family} at zoom {zoom} is white"


def test_families_and_seeds_differ(draw: Draw) -> None:
    pictures = [draw(family, gen_seed=seed) for family in FAMILIES for seed in (1, 2)]
    for a, first in enumerate(pictures):
        for second in pictures[a + 1 :]:
            assert difference(first, second) > 2.0


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gen_zoom", 2.0),
        ("gen_warp", 1.0),
        ("gen_detail", 1.0),
        ("gen_morph", 1.0),
        ("gen_symmetry", 6),
        ("gen_glow", 1.0),
        ("gen_hue", 0.4),
        ("gen_contrast", 1.0),
        ("turn", 0.2),
        ("reseed", 3),
    ],
)
def test_every_parameter_shows_in_every_family(draw: Draw, family: str, name: str, value: float) -> None:
    assert difference(draw(family), draw(family, **{name: value})) > 1.0


@pytest.mark.parametrize("family", FAMILIES)
def test_spread_widens_the_range_of_hues(draw: Draw, family: str) -> None:
    def hues(picture: Pixels) -> float:
        rgb = picture[..., :3].astype(float) + 1.0
        angle = np.arctan2(rgb[..., 1] - rgb[..., 2], rgb[..., 0] - rgb[..., 1])
        weight = rgb.max(axis=2) - rgb.min(axis=2)
        return 1.0 - float(abs((weight * np.exp(1j * angle)).sum()) / weight.sum())

    assert hues(draw(family, gen_spread=1.0)) > hues(draw(family, gen_spread=0.0))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_kick_brightens_without_flooding_the_frame(draw: Draw, family: str) -> None:
    calm, pulsed, heard = draw(family), draw(family, gen_pulse=1.0), draw(family, hits=KICK, bands=KICK)
    assert light(pulsed) > 1.08 * light(calm)
    assert light(heard) > 1.04 * light(calm)
    dark = calm[..., :3].max(axis=2) < 24
    assert pulsed[dark][..., :3].mean() < 70, "a kick lights the dark space: that is a strobe"


@pytest.mark.parametrize("family", FAMILIES)
def test_it_moves_with_travel_alone(generator: ProceduralGenerator, family: str) -> None:
    generator.reset()
    first = generator.generate(params(family, 1.0, travel=1.0)).copy()
    held = generator.generate(params(family, 1.5, travel=1.0)).copy()
    moved = generator.generate(params(family, 2.0, travel=1.5)).copy()
    assert np.array_equal(first, held)
    assert difference(held, moved) > 0.5


@pytest.mark.parametrize("family", FAMILIES)
def test_motion_is_smooth(generator: ProceduralGenerator, family: str) -> None:
    """A step of a 60th changes the picture far less than a second does."""
    generator.reset()
    start = generator.generate(params(family, 3.0)).copy()
    step = generator.generate(params(family, 3.0 + 1 / 60)).copy()
    later = generator.generate(params(family, 4.0)).copy()
    assert difference(start, step) < 0.5 * difference(start, later)


def test_the_same_params_give_the_same_bytes() -> None:
    def film(seed: int) -> list[bytes]:
        made = ProceduralGenerator(GeneratorSpec("procedural", (64, 36), seed=seed))
        frames = []
        for index in range(len(FAMILIES) * 3):
            now = index / 10
            changed = params(FAMILIES[index // 3], now, gen_feedback=0.6, gen_drift=0.4, hits=KICK, reseed=index // 5)
            frames.append(made.generate(changed).tobytes())
        made.close()
        return frames

    first = film(1)
    assert film(1) == first
    assert film(2) != first
    assert len(set(first)) == len(first)


def test_feedback_leaves_a_trail_that_drift_carries_outwards(generator: ProceduralGenerator) -> None:
    def after(feedback: float, drift: float) -> Pixels:
        generator.reset()
        for index in range(10):
            held = {"gen_feedback": feedback, "gen_drift": drift, "travel": 2.0, "gen_warp": 0.0}
            picture = generator.generate(params("particles", index / 20, **held)).copy()
        return picture

    plain, still, outwards = after(0.0, 0.0), after(0.9, 0.0), after(0.9, 1.0)
    assert difference(plain, still) < 0.6, "a still picture gathers light"
    assert light(outwards) > 1.1 * light(plain)


def test_feedback_does_not_depend_on_the_frame_rate(generator: ProceduralGenerator) -> None:
    def after(fps: int) -> float:
        generator.reset()
        generator.generate(params("ribbons", 0.0, travel=1.0))
        for index in range(1, fps // 4 + 1):
            trail = generator.generate(params("ribbons", index / fps, travel=1.0, gen_feedback=0.7, gen_zoom=4.0))
        return light(trail)

    assert after(80) == pytest.approx(after(20), rel=0.03)


@pytest.mark.parametrize("change", [{"gen_seed": 7}, {"reseed": 1}, {"family": "tunnel"}, {"gen_palette": 2}])
def test_a_new_scene_dissolves_in(generator: ProceduralGenerator, change: dict[str, float | str]) -> None:
    generator.reset()
    old = generator.generate(params("fields", 1.0, travel=1.0)).copy()
    family = str(change.pop("family", "fields"))
    steps = [generator.generate(params(family, 1.0 + i / 30, travel=1.0, **change)).copy() for i in range(1, 40)]
    assert difference(steps[0], old) < 0.25 * difference(steps[-1], old)
    assert np.array_equal(steps[-1], steps[-2]), "the dissolve never ends"
    # Judged as light, not as bytes: their curve makes the middle of any cross-fade look brighter than its ends.
    shine = [float(((picture[..., :3] / 255.0) ** 2.2).mean()) for picture in (old, *steps)]
    assert max(shine) < 1.02 * max(shine[0], shine[-1]) + 0.001, "the dissolve flashes"


def test_a_scene_that_comes_with_a_cut_is_there_at_once(generator: ProceduralGenerator) -> None:
    generator.reset()
    before = generator.generate(params("tunnel", 5.0)).copy()
    after = generator.generate(params("cppn", 5.02, cue=1, cut=1)).copy()
    generator.reset()
    generator.generate(params("cppn", 5.0, cue=1))
    alone = generator.generate(params("cppn", 5.02, cue=1)).copy()
    assert difference(after, alone) < 0.1 * difference(before, alone)


@pytest.mark.parametrize("size", [(1, 1), (17, 91), (333, 35), (70, 130)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    made = ProceduralGenerator(GeneratorSpec("procedural", size))
    for family in FAMILIES:
        checked_pixels(made.generate(params(family)), GeneratorSpec("procedural", size))
    made.close()


def test_the_first_row_is_the_top(draw: Draw) -> None:
    """Curtains hang their rays upwards from the hem: the light above a hem reaches further than below."""
    picture = (
        draw("ribbons", gen_morph=1.0, gen_detail=0.0, gen_warp=0.0, gen_glow=0.0)[..., :3].max(axis=2).astype(float)
    )
    rows = picture.mean(axis=1)
    assert rows[:8].mean() > 1.5 * rows[-8:].mean()


def test_it_leaves_the_callers_context_current() -> None:
    """Made, used and closed while another context is current, it displaces neither that one nor its own kind."""
    ours = open_context()
    mark = ours.simple_framebuffer((4, 4))
    made, other = (ProceduralGenerator(GeneratorSpec("procedural", (32, 18))) for _ in range(2))
    for blue in (0.0, 1.0):
        first, second = (each.generate(params("fields")).copy() for each in (made, other))
        mark.clear(1.0, 0.0, blue)
        assert np.array_equal(first, second)
        assert mark.read(components=3) == bytes((255, 0, round(255 * blue))) * 16
    made.close()
    mark.clear(0.0, 1.0, 0.0)
    assert mark.read(components=3) == b"\x00\xff\x00" * 16
    assert np.array_equal(other.generate(params("fields")), first)
    assert ours.error == "GL_NO_ERROR"
    other.close()
    ours.release()


def test_a_long_night_keeps_moving(generator: ProceduralGenerator) -> None:
    """After hours of travel a 60th of a second is still a step."""
    generator.reset()
    first = generator.generate(params("fields", 40_000.0)).copy()
    second = generator.generate(params("fields", 40_000.0 + 1 / 60)).copy()
    later = generator.generate(params("fields", 40_000.0 + 1 / 2)).copy()
    assert 0.0 < difference(first, second) < difference(first, later)


def test_misuse_is_named() -> None:
    with pytest.raises(UsageError, match="options are"):
        ProceduralGenerator(GeneratorSpec("procedural", SIZE, options={"colour": "blue"}))
    with pytest.raises(UsageError, match="family"):
        ProceduralGenerator(GeneratorSpec("procedural", SIZE, options={"family": "clouds"}))
    with pytest.raises(UsageError, match="threads"):
        ProceduralGenerator(GeneratorSpec("procedural", SIZE, options={"threads": "many"}))
    made = ProceduralGenerator(GeneratorSpec("procedural", (8, 8), options={"threads": 1}))
    made.close()
    made.close()
    with pytest.raises(GeneratorError, match="closed"):
        made.generate(params("fields"))
