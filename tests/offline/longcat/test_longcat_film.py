"""The loop: what is carried on, what is refused, what is made again, and how a film goes on."""

from __future__ import annotations

import errno
import json
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from vjengine.errors import GeneratorError, OutOfMemory, RecordError, ResumeError
from vjengine.offline.clips import ClipWriter, join, load_carried, read_clip
from vjengine.offline.continuation import Ask, Carried, Clip, Need, Opening, Pixels16, Watcher
from vjengine.offline.longcat.behind import Behind
from vjengine.offline.longcat.collapsing import Drifting
from vjengine.offline.longcat.film import Film
from vjengine.offline.longcat.prompts import Prompts, Wish
from vjengine.offline.longcat.settings import Settings
from vjengine.offline.manifest import Piece, RunFolder
from vjengine.offline.progress import Interrupt

SIZE = (64, 36)
CLOUDS = np.random.default_rng(3).integers(8000, 56000, (9, 16, 3)).astype(np.uint16)
SCENE = cv2.resize(np.tile(CLOUDS, (1, 3, 1)), (192, 36), interpolation=cv2.INTER_CUBIC)[:, 64:128].copy()


@dataclass
class Sliding:
    """The last picture, moved on by some px to the right a picture; another seed, another pace."""

    spoil: Callable[[Ask, Pixels16], Pixels16] = lambda ask, frames: frames
    fits: int = 1000
    name: str = "sliding"
    version: str = "1"
    deterministic: bool = True
    chunk: int = 6
    tail: int = 1
    asked: list[Ask] = field(default_factory=list)
    given: list[Carried] = field(default_factory=list)

    def need(self, size: tuple[int, int], frames: int) -> Need:
        return Need(0.0, 1.0)

    def open(self, opening: Opening, size: tuple[int, int], watcher: Watcher) -> Carried:
        frames = SCENE[None] if opening.pictures is None else opening.pictures
        return Carried(frames, frames[0])

    def extend(self, carried: Carried, ask: Ask, watcher: Watcher) -> Clip:
        if ask.frames > self.fits:
            raise OutOfMemory(f"{ask.frames} pictures do not fit")
        self.asked.append(ask)
        self.given.append(carried)
        frames = np.stack([np.roll(carried.frames[-1], k + 1, axis=1) for k in range(ask.frames)])
        # What a seed decides: here a mark, so that takes can be told apart.
        frames[:, 0, 0] = ask.seed % 65536
        return Clip(self.spoil(ask, frames))

    def lighten(self) -> str:
        return ""

    def close(self) -> None:
        pass


def settings_for(**changes: object) -> Settings:
    plain = Settings(SIZE, Fraction(12), 19, stabilise=False, watch=False, drift=False, seam=0)
    return replace(plain, **changes)  # type: ignore[arg-type]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def make(tmp_path: Path, said: list[str]) -> Callable[..., list[Piece]]:
    def film(
        continuation: object, settings: Settings, name: str = "run", keeper: Interrupt | None = None
    ) -> list[Piece]:
        plan = settings.plan(continuation, None)  # type: ignore[arg-type]
        with RunFolder.open(tmp_path / name, plan) as run:
            made = Film(
                settings,
                continuation,  # type: ignore[arg-type]
                run,
                Opening(seed=4),
                keeper or Interrupt("again", said.append),
                say=said.append,
            )
            return made.make()

    return film


def test_a_film_is_as_long_as_asked_to_the_picture(make: Callable[..., list[Piece]]) -> None:
    pieces = make(Sliding(), settings_for())
    assert [piece.frames for piece in pieces] == [1, 6, 6, 6]
    assert sum(piece.frames for piece in make(Sliding(), settings_for(frames=3), "short")) == 3


def test_every_chunk_is_made_of_the_last_one_with_a_seed_of_its_own(make: Callable[..., list[Piece]]) -> None:
    sliding = Sliding()
    make(sliding, settings_for())
    assert len({ask.seed for ask in sliding.asked}) == 3
    assert [ask.time for ask in sliding.asked] == pytest.approx([1 / 12, 7 / 12, 13 / 12])
    for before, after in zip(sliding.asked, sliding.given[1:], strict=False):
        expected = np.roll(SCENE, 6 * (before.index), axis=1)[1:]
        assert np.array_equal(after.frames[-1][1:], expected), "carried on in 16 bit, bit for bit"


def test_a_clip_that_was_there_is_never_shown_again(make: Callable[..., list[Piece]], said: list[str]) -> None:
    """The fault: one clip returned four times over. Here a model gives the same clip unless its seed is a third one."""
    first: list[Pixels16] = []

    def again(ask: Ask, frames: Pixels16) -> Pixels16:
        first.append(frames)
        return first[0] if ask.attempt < 2 else frames

    pieces = make(Sliding(again), settings_for(gates=False))
    digests = [piece.meta["signature"]["digest"] for piece in pieces]
    assert len(set(digests)) == len(digests)
    assert any("the same as a chunk before" in words for words in said)


def test_a_model_that_only_repeats_itself_is_an_error_and_costs_nothing(
    make: Callable[..., list[Piece]], tmp_path: Path
) -> None:
    stuck: list[Pixels16] = []

    def same(ask: Ask, frames: Pixels16) -> Pixels16:
        stuck.append(frames)
        return stuck[0]

    with pytest.raises(GeneratorError, match=r"there before.*another --seed"):
        make(Sliding(same), settings_for())
    assert len(list((tmp_path / "run" / "chunks").glob("00*"))) == 2


def test_what_was_corrected_is_what_is_carried_on(make: Callable[..., list[Piece]]) -> None:
    """The fault: corrected pictures that were never used. The film's last picture is what the next chunk gets."""
    given: list[Pixels16] = []

    class Seen(Drifting):
        def extend(self, carried: Carried, ask: Ask, watcher: Watcher) -> Clip:
            given.append(carried.frames[-1])
            return super().extend(carried, ask, watcher)

    held = make(Seen(Sliding(), "magenta", 6.0, chunk=9), settings_for(frames=46, stabilise=True, gates=False))
    free = make(Drifting(Sliding(), "magenta", 6.0, chunk=9), settings_for(frames=46, gates=False), "free")
    shown = [list(read_clip(piece.clip))[-1] for piece in held]
    for picture, carried in zip(shown, given, strict=False):
        assert picture.mean(axis=(0, 1)) == pytest.approx(carried.mean(axis=(0, 1)) / 257.0, abs=3.0)
    begin, end, lost = (
        float(picture[..., [0, 2]].mean() - picture[..., 1].mean())
        for picture in (shown[0], shown[-1], list(read_clip(free[-1].clip))[-1])
    )
    assert lost - begin > 30.0, "left alone it turns magenta"
    assert abs(end - begin) < 0.35 * (lost - begin), "held, it does not: corrections build on those before"


def test_out_of_memory_is_answered_with_shorter_chunks(make: Callable[..., list[Piece]], said: list[str]) -> None:
    sliding = Sliding(fits=3)
    pieces = make(sliding, settings_for())
    assert sum(piece.frames for piece in pieces) == 19
    assert max(piece.frames for piece in pieces) == 3
    assert len([words for words in said if "out of memory" in words]) == 1, "it keeps to what fits"


def test_a_refused_chunk_is_made_again_and_the_best_is_kept(make: Callable[..., list[Piece]], said: list[str]) -> None:
    def worse(ask: Ask, frames: Pixels16) -> Pixels16:
        if ask.index != 2:
            return frames
        jump = (30000, 9000, 20000)[ask.attempt]
        return np.clip(frames.astype(int) + jump, 0, 65535).astype(np.uint16)

    sliding = Sliding(worse)
    pieces = make(sliding, settings_for(retries=2))
    assert [ask.attempt for ask in sliding.asked if ask.index == 2] == [0, 1, 2]
    assert pieces[2].meta["seed"] == next(ask.seed for ask in sliding.asked if ask.index == 2 and ask.attempt == 1)
    assert any("best of 3 is kept" in words for words in said)


def test_a_frozen_chunk_is_refused(make: Callable[..., list[Piece]]) -> None:
    def frozen(ask: Ask, frames: Pixels16) -> Pixels16:
        return np.repeat(frames[:1], len(frames), axis=0) if ask.attempt == 0 else frames

    sliding = Sliding(frozen)
    pieces = make(sliding, settings_for())
    assert all(piece.meta["attempts"] == 2 for piece in pieces[1:])


def test_left_and_gone_on_is_byte_for_byte_the_same(make: Callable[..., list[Piece]], tmp_path: Path) -> None:
    settings = settings_for(frames=25, stabilise=True, drift=True)

    def drifting() -> Drifting:
        return Drifting(Sliding(), "green", 2.0, chunk=6)

    whole = make(drifting(), settings, "whole")
    keeper = Interrupt("again", lambda words: None)
    leaving = drifting()

    class Leaving(Drifting):
        def extend(self, carried: Carried, ask: Ask, watcher: Watcher) -> Clip:
            if ask.index == 3:
                keeper.ask()
            return super().extend(carried, ask, watcher)

    with pytest.raises(KeyboardInterrupt):
        make(Leaving(leaving.inner, "green", 2.0, chunk=6), settings, "cut", keeper)
    assert len(list((tmp_path / "cut" / "chunks").glob("00*"))) == 3
    # What a power cut leaves: a chunk whose last bytes are missing.
    clip = tmp_path / "cut" / "chunks" / "000002" / "clip.mkv"
    clip.write_bytes(clip.read_bytes()[:-100])
    gone_on = make(drifting(), settings, "cut")
    films = []
    for name, pieces in (("whole", whole), ("cut", gone_on)):
        join([piece.clip for piece in pieces], tmp_path / f"{name}.mp4", settings.fps)
        films.append((tmp_path / f"{name}.mp4").read_bytes())
        assert (pieces[-1].folder / "metrics.jsonl").is_file()
    assert films[0] == films[1]
    for one, other in zip(whole, gone_on, strict=True):
        assert (one.folder / "metrics.jsonl").read_bytes() == (other.folder / "metrics.jsonl").read_bytes()
    assert np.array_equal(load_carried(whole[-1].folder).frames, load_carried(gone_on[-1].folder).frames)


def test_the_next_chunk_is_painted_while_one_is_written(
    make: Callable[..., list[Piece]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits for the other, so one after the other would never end; and none is two ahead."""
    painting, written = threading.Event(), 0
    write = ClipWriter.write

    def waiting(self: ClipWriter, pixels: Pixels16) -> None:
        assert painting.wait(30.0), "the next chunk is begun before this one is written"
        write(self, pixels)

    def seen(ask: Ask, frames: Pixels16) -> Pixels16:
        nonlocal written
        written = len(list((tmp_path / "run" / "chunks").glob("*[0-9]")))
        assert written >= ask.index - 1, "at most one chunk is behind"
        painting.set()
        return frames

    monkeypatch.setattr(ClipWriter, "write", waiting)
    assert [piece.index for piece in make(Sliding(seen), settings_for())] == [0, 1, 2, 3]
    assert written >= 2


def test_a_full_disk_is_told_while_the_next_chunk_is_painted(
    make: Callable[..., list[Piece]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Painting may take minutes: whoever tells how far it is learns of it there. What was safe stays and goes on."""
    failed, told = threading.Event(), []
    write = ClipWriter.write

    def full(self: ClipWriter, pixels: Pixels16) -> None:
        if self.path.parent.name.startswith("000001"):
            failed.set()
            raise OSError(errno.ENOSPC, "no space")
        write(self, pixels)

    class Long(Sliding):
        def extend(self, carried: Carried, ask: Ask, watcher: Watcher) -> Clip:
            if ask.index == 2:
                assert failed.wait(30.0)
                for turn in range(3000):
                    told.append(turn)
                    watcher.alive("painting")
                    time.sleep(0.01)
            return super().extend(carried, ask, watcher)

    monkeypatch.setattr(ClipWriter, "write", full)
    with pytest.raises(RecordError, match=r"is full.*goes on"):
        make(Long(), settings_for())
    assert len(told) < 3000
    assert [path.name for path in sorted((tmp_path / "run" / "chunks").iterdir())] == ["000000"]
    monkeypatch.undo()
    pieces = make(Sliding(), settings_for())
    assert [piece.digest for piece in pieces] == [piece.digest for piece in make(Sliding(), settings_for(), "other")]


@pytest.mark.parametrize("twice", [False, True])
def test_the_write_in_hand_is_finished_unless_it_is_asked_twice(tmp_path: Path, twice: bool) -> None:
    keeper, begun = Interrupt("again", lambda words: None), threading.Event()
    pieces, done = list[Piece](), list[int]()

    def write(still: Callable[[], None]) -> Piece:
        begun.set()
        for turn in range(3000 if twice else 30):
            still()
            time.sleep(0.01)
            done.append(turn)
        return Piece(0, tmp_path, 1)

    def again() -> None:
        time.sleep(0.1)
        signal.raise_signal(signal.SIGINT)

    def leave() -> None:
        with keeper, Behind(keeper, pieces.append) as behind:
            behind.hand(write)
            assert begun.wait(30.0)
            keeper.ask()
            if twice:
                threading.Thread(target=again).start()
            behind.finish()

    with pytest.raises(KeyboardInterrupt):
        leave()
    assert len(pieces) == (0 if twice else 1)
    there = len(done)
    assert there < 3000
    time.sleep(0.05)
    assert len(done) == there, "nobody writes on behind its back"


def test_other_settings_are_told_from_the_old_ones(make: Callable[..., list[Piece]]) -> None:
    make(Sliding(), settings_for(frames=2))
    with pytest.raises(ResumeError, match=r"seed: 1 -> 2.*--fresh"):
        make(Sliding(), settings_for(frames=2, seed=2))


def test_a_memory_that_was_tampered_with_runs_no_code(make: Callable[..., list[Piece]], tmp_path: Path) -> None:
    from vjengine.offline.longcat.remember import restore

    evil = tmp_path / "evil"
    with pytest.raises(ResumeError, match="--fresh"):
        restore(b"cos\nsystem\n(S'touch " + str(evil).encode() + b"'\ntR.")
    assert not evil.exists()


def test_prompts_change_on_their_picture(make: Callable[..., list[Piece]]) -> None:
    sliding = Sliding()
    prompts = Prompts((Wish(0.0, "sea"), Wish(0.75, "fire", "people")))
    make(sliding, settings_for(prompts=prompts))
    assert [(ask.prompt, ask.negative, ask.frames) for ask in sliding.asked] == [
        ("sea", "", 6), ("sea", "", 2), ("fire", "people", 6), ("fire", "people", 4),
    ]  # fmt: skip


def test_the_tail_can_be_the_best_of_the_last(make: Callable[..., list[Piece]]) -> None:
    def blurred(ask: Ask, frames: Pixels16) -> Pixels16:
        frames[-2:] = frames[-2:].mean(axis=(1, 2), keepdims=True).astype(np.uint16)
        return frames

    pieces = make(Sliding(blurred), settings_for(frames=11, best_of=4, gates=False))
    assert all(piece.frames <= 4 for piece in pieces[1:3]), "the two without detail are thrown away"


def test_pictures_of_another_size_are_refused_in_words(make: Callable[..., list[Piece]]) -> None:
    with pytest.raises(GeneratorError, match=r"sliding gave uint16 pictures of shape \(6, 36, 32, 3\).*--size"):
        make(Sliding(lambda ask, frames: frames[:, :, :32]), settings_for())


def test_the_log_is_one_that_stability_reads(make: Callable[..., list[Piece]], tmp_path: Path) -> None:
    from vjengine.engine.metrics_file import read_metrics
    from vjengine.engine.metrics_log import header
    from vjengine.offline.longcat.film import write_metrics

    pieces = make(Sliding(), settings_for(watch=True))
    write_metrics(pieces, tmp_path / "log.json", header("sliding", 1, SIZE))
    run = read_metrics(tmp_path / "log.json", lambda share: None)
    assert run.frames == 19
    assert run.bad == 0
    assert not run.cut
    shutil.rmtree(tmp_path / "run")
    assert json.loads((tmp_path / "log.json").read_text().splitlines()[0])["generator"] == "sliding"
