"""Memory in numbers: the gate before, the retries, the peak after."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from vjengine.errors import GeneratorError, OutOfMemory
from vjengine.offline.continuation import Ask, Carried, Clip, Need, Opening, Watcher
from vjengine.offline.memory import RESERVE, Have, Peak, available, extend_or_halve, fitting, gate, host_used

SIZE = (64, 36)
BLACK = Carried(np.zeros((1, 36, 64, 3), np.uint16), np.zeros((36, 64, 3), np.uint16))


@dataclass
class Hungry:
    """A continuation that fits only so many pictures: fewer before it was made lighter."""

    fits: int
    lighter: list[tuple[str, int]] = field(default_factory=list)
    name: str = "hungry"
    version: str = "1"
    deterministic: bool = True
    chunk: int = 16
    tail: int = 1
    asked: list[int] = field(default_factory=list)

    def need(self, size: tuple[int, int], frames: int) -> Need:
        return Need(100.0 * frames, 10.0 * frames, f"{frames} pictures of {size[0]}x{size[1]}")

    def open(self, opening: Opening, size: tuple[int, int], watcher: Watcher) -> Carried:
        return BLACK

    def extend(self, carried: Carried, ask: Ask, watcher: Watcher) -> Clip:
        self.asked.append(ask.frames)
        if ask.frames > self.fits:
            raise OutOfMemory(f"{ask.frames} pictures do not fit")
        return Clip(np.full((ask.frames, 36, 64, 3), ask.seed, np.uint16))

    def lighten(self) -> str:
        if not self.lighter:
            return ""
        words, self.fits = self.lighter.pop(0)
        return words

    def close(self) -> None:
        pass


class Nobody:
    def alive(self, doing: str, fraction: float = -1.0) -> None:
        pass


class TestTheGate:
    def test_says_what_is_short_and_by_how_much(self) -> None:
        need = Need(8000.0, 3000.0, "SVD-XT, 25 frames")
        assert gate(need, Have(9000.0, 4000.0)) == ""
        said = gate(need, Have(6500.0, 4000.0))
        assert "8000 MiB on the device, where 6500 MiB are free" in said
        assert "SVD-XT, 25 frames" in said
        assert "MiB of memory" not in said
        said = gate(need, Have(9000.0, 3000.0))
        assert f"3000 MiB of memory, of which {3000 - RESERVE:.0f} MiB are free" in said
        assert gate(need, Have()) == "", "where nobody knows, nothing is refused"

    def test_knows_this_machine(self) -> None:
        have = available("cpu")
        assert have.device == -1.0
        assert have.host > 0.0
        assert gate(Need(0.0, 1e12)) != ""
        assert gate(Need(1e12, 0.0)) == "", "no device is known"

    def test_the_chunk_is_halved_before_anything_is_loaded(self) -> None:
        frames, words = fitting(Hungry(99), SIZE, Have(500.0, 1e6))
        assert frames == 4
        assert words.startswith("chunks of 4 pictures instead of 16: ")
        assert fitting(Hungry(99), SIZE, Have(1e6, 1e6)) == (16, "")
        frames, words = fitting(Hungry(99), SIZE, Have(150.0, 1e6))
        assert frames == 0
        assert "200 MiB on the device" in words
        assert "2 pictures of 64x36" in words

    def test_what_can_be_made_lighter_is_before_the_chunk_gets_shorter(self) -> None:
        class Tiling(Hungry):
            def need(self, size: tuple[int, int], frames: int) -> Need:
                return Need((50.0 if not self.lighter else 100.0) * frames, 10.0)

        frames, words = fitting(Tiling(99, [("decoding in tiles", 99)]), SIZE, Have(900.0, 1e6))
        assert frames == 16
        assert words.startswith("decoding in tiles: ")


class TestRetrying:
    def test_what_fits_is_left_alone(self) -> None:
        hungry = Hungry(16)
        clip, ask = extend_or_halve(hungry, BLACK, Ask(0, 16, seed=7), Nobody())
        assert (len(clip.frames), ask.frames, hungry.asked) == (16, 16, [16])

    def test_lighter_first_and_then_shorter(self) -> None:
        hungry = Hungry(1, lighter=[("decoding in tiles", 2), ("one picture at a time", 5)])
        said: list[str] = []
        wanted = Ask(3, 16, seed=7, pulse=tuple(n / 16 for n in range(16)))
        clip, ask = extend_or_halve(hungry, BLACK, wanted, Nobody(), say=said.append)
        assert hungry.asked == [16, 16, 16, 8, 4]
        assert len(clip.frames) == ask.frames == len(ask.pulse) == 4
        assert (ask.index, ask.seed) == (3, 7)
        assert [words.partition(": ")[2] for words in said] == [
            "decoding in tiles",
            "one picture at a time",
            "going on with 8",
            "going on with 4",
        ]

    @pytest.mark.parametrize(("frames", "floor", "asked"), [(16, 3, [16, 8, 4, 3]), (2, 4, [2])])
    def test_down_to_a_floor(self, frames: int, floor: int, asked: list[int]) -> None:
        hungry = Hungry(0)
        with pytest.raises(OutOfMemory, match=rf"even with {asked[-1]} pictures .*MiB .* smaller --size"):
            extend_or_halve(hungry, BLACK, Ask(0, frames, seed=1), Nobody(), floor=floor)
        assert hungry.asked == asked

    def test_other_faults_are_not_tried_again(self) -> None:
        class Broken(Hungry):
            def extend(self, carried: Carried, ask: Ask, watcher: Watcher) -> Clip:
                self.asked.append(ask.frames)
                raise GeneratorError("the weights are of another model")

        broken = Broken(16)
        with pytest.raises(GeneratorError, match="another model"):
            extend_or_halve(broken, BLACK, Ask(0, 16, seed=1), Nobody())
        assert broken.asked == [16]


class TestThePeak:
    def test_sees_what_was_given_back_before_the_end(self) -> None:
        with Peak() as peak:
            ballast = np.ones(100 * 1024 * 1024, np.uint8)
            end = time.monotonic() + 30.0
            while peak.grown < 90.0 and time.monotonic() < end:
                time.sleep(0.005)
            del ballast
        assert peak.grown > 90.0
        assert peak.host > host_used() + 50.0
        assert peak.device == -1.0

    def test_in_words_beside_the_estimate(self) -> None:
        with Peak(device=lambda: 812.4) as peak:
            pass
        assert "device: 812 MiB taken, 800 MiB expected" in peak.report(Need(800.0, 50.0))
        assert "50 MiB expected" in peak.report(Need(800.0, 50.0))
