"""One test that every registered generator keeps the contract, whatever it draws."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from vjengine.core.generation import GeneratorParams
from vjengine.core.params import PARAMS
from vjengine.errors import DisplayError, GeneratorError, MissingDependency, UsageError
from vjengine.generate import registry
from vjengine.generate.base import Generator, GeneratorSpec, Option, checked_pixels, feeds_back
from vjengine.generate.registry import create_generator, generator_names, parse_generator

SIZES = [(320, 180), (64, 64), (333, 187)]
OPTIONS: dict[str, dict[str, Option]] = {"turbo": {"model": "random:tiny", "rung": "eager", "threads": 1.0}}
"""What a generator needs to run without a download."""


def journey(frames: int) -> list[GeneratorParams]:
    """Parameters that move as a show moves them: travel, kicks, a new seed, a cue."""
    values = PARAMS.defaults()
    return [
        GeneratorParams(
            sequence=n + 1,
            time=n / 30,
            values=values.replaced({"gen.pulse": 0.8 * (n % 4 == 0), "gen.hue": n / 20}),
            travel=n / 30,
            turn=n / 300,
            reseed=n // 3,
            cue=n // 4,
            beats=n / 15,
            beat_running=True,
        )
        for n in range(frames)
    ]


def build(name: str, size: tuple[int, int], seed: int = 1) -> Generator:
    if name == "procedural" and importlib.util.find_spec("vjengine.generate.procedural") is None:
        pytest.skip("the procedural generator is not part of this checkout")
    try:
        return create_generator(GeneratorSpec(name, size, seed, OPTIONS.get(name, {})))
    except (MissingDependency, DisplayError) as error:
        pytest.skip(f"{name} cannot run here: {error}")


def film(name: str, size: tuple[int, int], frames: int) -> list[bytes]:
    generator = build(name, size)
    try:
        return [generator.generate(params).tobytes() for params in journey(frames)]
    finally:
        generator.close()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", generator_names())
class TestEveryGenerator:
    def test_returns_pixels_of_the_asked_size(self, name: str, size: tuple[int, int]) -> None:
        generator = build(name, size)
        try:
            assert generator.name == name
            for params in journey(3):
                pixels = checked_pixels(generator.generate(params), GeneratorSpec(name, size))
                assert int(pixels[..., :3].max()) - int(pixels[..., :3].min()) > 20, "an empty picture"
        finally:
            generator.close()
            generator.close()

    def test_same_spec_and_params_give_the_same_bytes(self, name: str, size: tuple[int, int]) -> None:
        assert film(name, size, 5) == film(name, size, 5)


@pytest.mark.parametrize("name", generator_names())
def test_the_parameters_move_the_picture(name: str) -> None:
    frames = film(name, (64, 64), 5)
    assert len(set(frames)) == len(frames)


def test_first_row_of_the_test_card_is_the_top() -> None:
    pixels = build("still", (320, 180)).generate(GeneratorParams())
    assert (pixels[5:15, 5:15, :3] == 255).all()
    assert not (pixels[-15:-5, 5:15, :3] == 255).all()
    assert (pixels[..., 3] == 255).all()


def test_another_seed_is_another_picture() -> None:
    pictures = [build("still", (64, 64), seed).generate(GeneratorParams()).copy() for seed in (1, 2)]
    assert not np.array_equal(*pictures)


class TestNamesAndOptions:
    def test_unknown_name_lists_the_known(self) -> None:
        with pytest.raises(UsageError, match=r"'plasma'.*procedural, still, turbo"):
            create_generator(GeneratorSpec("plasma", (64, 64)))

    def test_options_are_parsed(self) -> None:
        assert parse_generator("still") == ("still", {})
        assert parse_generator(" still: delay=1.0, fail_after=30 ") == ("still", {"delay": 1.0, "fail_after": 30.0})
        assert parse_generator("procedural:mode=fast") == ("procedural", {"mode": "fast"})

    @pytest.mark.parametrize("text", ["still:delay", "still:=1", "still:delay=", "still:delay=1,delay=2", "", "what"])
    def test_unreadable_text_is_a_usage_error(self, text: str) -> None:
        with pytest.raises(UsageError):
            parse_generator(text)

    @pytest.mark.parametrize("options", [{"dela": 1.0}, {"delay": "soon"}, {"delay": -1.0}, {"delay": float("nan")}])
    def test_wrong_options_are_named(self, options: dict[str, float | str]) -> None:
        with pytest.raises(UsageError, match="dela"):
            create_generator(GeneratorSpec("still", (64, 64), options=options))

    @pytest.mark.parametrize("size", [(0, 10), (10, -1), (10, 100_000), (10.5, 3)])
    def test_impossible_sizes_are_refused(self, size: tuple[int, int]) -> None:
        with pytest.raises(GeneratorError, match="size"):
            GeneratorSpec("still", size)

    def test_wrong_pixels_are_named(self) -> None:
        spec = GeneratorSpec("still", (8, 4))
        for wrong in (np.zeros((4, 8, 3), np.uint8), np.zeros((4, 8, 4), np.float32), np.zeros((8, 4, 4), np.uint8)):
            with pytest.raises(GeneratorError, match=r"expected \(4, 8, 4\) uint8"):
                checked_pixels(wrong, spec)
        with pytest.raises(GeneratorError, match="NoneType"):
            checked_pixels(None, spec)  # type: ignore[arg-type]

    def test_still_fails_when_asked(self) -> None:
        generator = create_generator(GeneratorSpec("still", (8, 8), options={"fail_after": 2.0}))
        generator.generate(GeneratorParams())
        generator.generate(GeneratorParams())
        with pytest.raises(GeneratorError, match="asked to fail"):
            generator.generate(GeneratorParams())


@pytest.mark.parametrize("name", generator_names())
def test_the_registry_knows_who_feeds_on_its_own_pictures(name: str) -> None:
    generator = build(name, (64, 64))
    try:
        assert registry.feeds_back(name) is feeds_back(generator) is (name == "turbo")
    finally:
        generator.close()
    with pytest.raises(UsageError, match="no generator"):
        registry.feeds_back("nobody")
