"""Run folders: what a film in the making survives, and what it refuses to go on from."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vjengine.errors import RecordError, ResumeError
from vjengine.offline import disk
from vjengine.offline.clips import CARRIED, CLIP, ClipWriter, load_carried, save_carried
from vjengine.offline.continuation import Carried
from vjengine.offline.manifest import PieceStore, RunFolder, derive_seed, plan_hash, read_made
from vjengine.offline.pieces import RECORD, read_prefix
from vjengine.offline.run_report import report, require_whole, timings, verify

SIZE = (64, 36)
PLAN = {"size": SIZE, "fps": Fraction(12), "seed": 7, "continuation": {"name": "test", "strength": 0.5}}


def carried(index: int) -> Carried:
    frames = np.random.default_rng(index).integers(0, 65536, (2, 36, 64, 3), dtype=np.uint16)
    return Carried(frames, frames[0], {"position": np.array([index], np.float32)})


def make(store: PieceStore, index: int, frames: int = 3, claimed: int | None = None) -> None:
    with store.begin(index, f"key {index}") as work:
        with ClipWriter(work.folder / CLIP, SIZE, 12) as clip:
            for n in range(frames):
                clip.write(np.full((36, 64, 3), 20 * index + n, np.uint8))
        save_carried(work.folder, carried(index))
        work.commit(frames if claimed is None else claimed, {"index": index})


def give_up(store: PieceStore, index: int) -> None:
    with store.begin(index, "key") as work:
        (work.folder / "half").write_text("x")
        raise KeyboardInterrupt


def overfill(store: PieceStore, index: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    with (
        store.begin(index, "key") as work,
        ClipWriter(work.folder / CLIP, (640, 360), 12, quality="lossless") as clip,
    ):
        for _ in range(60):
            clip.write(noise)


def begun(folder: Path, count: int) -> list[str]:
    """Make a run of ``count`` pieces; return their digests."""
    with RunFolder.open(folder, PLAN) as run:
        store = run.pieces()
        for index in range(count):
            make(store, index)
        return [piece.digest for piece in store.known()]


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("three") / "run"
    begun(folder, 3)
    return folder


@pytest.fixture
def run_of_three(three: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(three, tmp_path / "run"))


class TestThePlan:
    def test_hash_knows_values_and_not_spelling(self) -> None:
        other = {"continuation": {"strength": 0.5, "name": "test"}, "seed": 7, "fps": "12/1", "size": [64, 36]}
        assert plan_hash(PLAN) == plan_hash(other)
        assert plan_hash(PLAN) != plan_hash({**PLAN, "seed": 8})
        with pytest.raises(TypeError, match="object"):
            plan_hash({"model": object()})
        with pytest.raises(ValueError):
            plan_hash({"strength": float("nan")})

    def test_seeds_differ_by_use_and_never_by_run(self) -> None:
        seeds = {derive_seed(7, "chunk", index, attempt) for index in range(50) for attempt in range(4)}
        assert len(seeds) == 200
        assert all(0 <= seed < 2**63 for seed in seeds)
        assert derive_seed(7, "chunk", 3, 0) == 6934977256028627096, "another number would change every old film"

    def test_what_changed_is_said(self, run_of_three: Path) -> None:
        plan = {**PLAN, "fps": Fraction(24), "continuation": {"name": "test", "strength": 0.7}, "prompt": "moss"}
        with pytest.raises(ResumeError) as caught:
            RunFolder.open(run_of_three, plan)
        said = str(caught.value)
        assert 'fps: "12/1" -> "24/1"' in said
        assert "continuation.strength: 0.5 -> 0.7" in said
        assert 'prompt: not set -> "moss"' in said
        assert "--fresh" in said
        assert "size" not in said.partition("(")[2].partition(")")[0]
        with RunFolder.open(run_of_three, PLAN) as run:  # a refusal harms nothing
            assert len(run.pieces().prefix()) == 3

    def test_fresh_throws_away_the_run_and_nothing_else(self, run_of_three: Path) -> None:
        (run_of_three / "notes").mkdir()
        (run_of_three / "notes" / "mine.txt").write_text("keep")
        (run_of_three / "song.wav").write_text("keep")
        with RunFolder.open(run_of_three, {**PLAN, "seed": 8}, fresh=True) as run:
            assert not run.resumed
            assert run.pieces().prefix() == []
            assert run.made() == []
        assert (run_of_three / "notes" / "mine.txt").exists()
        assert (run_of_three / "song.wav").exists()

    @pytest.mark.parametrize("harm", ["", '{"format": 1}', '{"format": 99, "plan": {}}'])
    def test_a_broken_record_is_no_mystery(self, run_of_three: Path, harm: str) -> None:
        (run_of_three / "run.json").write_text(harm)
        with pytest.raises(ResumeError, match=r"run\.json cannot be used .*--fresh"):
            RunFolder.open(run_of_three, PLAN)
        RunFolder.open(run_of_three, PLAN, fresh=True).close()

    def test_an_edited_plan_in_the_record_is_noticed(self, run_of_three: Path) -> None:
        record = json.loads((run_of_three / "run.json").read_text())
        record["plan"]["seed"] = 8
        (run_of_three / "run.json").write_text(json.dumps(record))
        with pytest.raises(ResumeError, match="edited by hand"):
            RunFolder.open(run_of_three, {**PLAN, "seed": 8})

    def test_notes_stay(self, tmp_path: Path) -> None:
        with RunFolder.open(tmp_path / "run", PLAN) as run:
            run.note("seconds", {"chunks": 1.5})
            with pytest.raises(ValueError, match="plan"):
                run.note("plan", {})
        record = json.loads((tmp_path / "run" / "run.json").read_text())
        assert record["seed"] == 7
        assert record["versions"]["vjengine"]
        with RunFolder.open(tmp_path / "run", PLAN) as run:
            assert run.resumed
            assert run.noted("seconds") == {"chunks": 1.5}

    def test_other_versions_are_a_warning(self, run_of_three: Path) -> None:
        record = json.loads((run_of_three / "run.json").read_text())
        record["versions"]["numpy"] = "1.0"
        (run_of_three / "run.json").write_text(json.dumps(record))
        said: list[str] = []
        with RunFolder.open(run_of_three, PLAN, say=said.append):
            assert len(said) == 1
            assert "numpy 1.0 -> " in said[0]

    def test_a_file_is_no_folder(self, tmp_path: Path) -> None:
        (tmp_path / "film.mp4").write_text("")
        with pytest.raises(RecordError, match="choose another output"):
            RunFolder.open(tmp_path / "film.mp4", PLAN)


class TestPieces:
    def test_come_back_as_they_were(self, run_of_three: Path) -> None:
        with RunFolder.open(run_of_three, PLAN) as run:
            pieces = run.pieces().prefix(key=lambda index: f"key {index}")
        assert [(piece.index, piece.frames, piece.meta) for piece in pieces] == [(n, 3, {"index": n}) for n in range(3)]
        kept = load_carried(pieces[-1].folder)
        assert np.array_equal(kept.frames, carried(2).frames)
        assert kept.state["position"] == np.float32(2)

    def test_two_runs_agree_byte_by_byte(self, run_of_three: Path, tmp_path: Path) -> None:
        digests = begun(tmp_path / "again", 3)
        with RunFolder.open(run_of_three, PLAN) as run:
            assert [piece.digest for piece in run.pieces().prefix()] == digests
        assert (run_of_three / "chunks/000001" / CLIP).read_bytes() == (
            tmp_path / "again/chunks/000001" / CLIP
        ).read_bytes()

    @pytest.mark.parametrize(
        ("harm", "left", "words"),
        [
            (lambda folder: os.truncate(folder / "000001" / CLIP, 300), 1, "chunks 1 is damaged .*bytes instead of"),
            (lambda folder: _flip(folder / "000001" / CLIP), 1, "chunks 1 is damaged .*was changed"),
            (lambda folder: (folder / "000001" / CLIP).unlink(), 1, "is missing"),
            (lambda folder: (folder / "000000" / RECORD).unlink(), 0, "chunks 0 is damaged"),
            (lambda folder: (folder / "000000" / RECORD).write_text("{"), 0, "chunks 0 is damaged"),
            (lambda folder: _edit(folder / "000002" / RECORD, frames=4), 2, "chunks 2 .*was changed"),
            (lambda folder: _edit(folder / "000001" / RECORD, meta={"index": 5}), 1, "chunks 1 .*was changed"),
            (lambda folder: shutil.rmtree(folder / "000001"), 1, "chunks 1 is missing"),
            (lambda folder: _flip(folder / "000002" / CARRIED), 2, "chunks 2 cannot be continued"),
        ],
    )
    def test_damage_costs_the_piece_and_what_was_made_of_it(
        self, run_of_three: Path, harm: Callable[[Path], object], left: int, words: str
    ) -> None:
        harm(run_of_three / "chunks")
        said: list[str] = []
        with RunFolder.open(run_of_three, PLAN, say=said.append) as run:
            store = run.pieces()
            assert len(store.prefix()) == left
            assert len(store.prefix()) == left
            assert len(said) == 1, "it is said once"
            assert re.search(words, said[0]), said
            for index in range(left, 3):
                make(store, index)
            assert len(store.prefix()) == 3
        assert verify(run_of_three) == []

    def test_looking_changes_nothing_and_can_be_left(self, run_of_three: Path) -> None:
        _flip(run_of_three / "chunks" / "000001" / CLIP)
        told: list[tuple[int, int]] = []
        pieces, why = read_prefix(run_of_three / "chunks", tell=lambda done, there: told.append((done, there)))
        assert (len(pieces), told) == (1, [(0, 3), (1, 3)])
        assert "chunks 1 is damaged" in why
        assert len(read_prefix(run_of_three / "chunks", thorough=False)[0]) == 3, "a glance goes by sizes"

        def leave(done: int, there: int) -> None:
            raise KeyboardInterrupt

        with RunFolder.open(run_of_three, PLAN) as run, pytest.raises(KeyboardInterrupt):
            run.pieces().prefix(tell=leave)
        assert sorted(path.name for path in (run_of_three / "chunks").iterdir()) == ["000000", "000001", "000002"]

    def test_other_settings_count_as_damage(self, run_of_three: Path) -> None:
        with RunFolder.open(run_of_three, PLAN, say=lambda words: None) as run:
            assert len(run.pieces().prefix(key=lambda index: "key 0")) == 1

    def test_a_piece_made_after_another_one_is_not_believed(self, run_of_three: Path, tmp_path: Path) -> None:
        with RunFolder.open(tmp_path / "other", PLAN) as run:
            store = run.pieces()
            make(store, 0, frames=5)
            make(store, 1)
        shutil.rmtree(run_of_three / "chunks" / "000000")
        shutil.copytree(tmp_path / "other/chunks/000000", run_of_three / "chunks" / "000000")
        said: list[str] = []
        with RunFolder.open(run_of_three, PLAN, say=said.append) as run:
            assert [piece.frames for piece in run.pieces().prefix()] == [5]
        assert "made after another piece" in said[0]

    def test_wrong_number_of_pictures_never_becomes_a_piece(self, tmp_path: Path) -> None:
        with RunFolder.open(tmp_path / "run", PLAN) as run:
            store = run.pieces()
            with pytest.raises(RecordError, match="holds 2 pictures instead of 3"):
                make(store, 0, frames=2, claimed=3)
            assert store.prefix() == []
            assert list(store.folder.iterdir()) == []

    def test_without_commit_nothing_stays(self, tmp_path: Path) -> None:
        with RunFolder.open(tmp_path / "run", PLAN) as run:
            store = run.pieces()
            with pytest.raises(KeyboardInterrupt):
                give_up(store, 0)
            assert list(store.folder.iterdir()) == []
            assert [line["event"] for line in run.made()] == ["begun"]

    def test_only_what_may_be_needed_stays_carried(self, tmp_path: Path) -> None:
        with RunFolder.open(tmp_path / "run", PLAN, say=lambda words: None) as run:
            store = run.pieces()
            for index in range(20):
                with store.begin(index, "key") as work:
                    (work.folder / CARRIED).write_bytes(bytes([index]) * 100)
                    work.commit(1)
            kept = [piece.index for piece in store.prefix() if (piece.folder / CARRIED).exists()]
            assert kept == [0, 16, 18, 19]
            for index in (18, 19):
                (store.folder / f"{index:06d}" / CARRIED).unlink()
            assert len(store.prefix()) == 17, "it goes on from the last checkpoint"

    def test_the_log_survives_half_a_line(self, run_of_three: Path) -> None:
        with (run_of_three / "made.jsonl").open("ab") as file:
            file.write(b'{"event":"beg')
        with RunFolder.open(run_of_three, PLAN) as run:
            store = run.pieces()
            store.prefix()
            make(store, 3)
        events = [(line["event"], line["index"]) for line in read_made(run_of_three)]
        assert events == [(event, index) for index in range(4) for event in ("begun", "made")]


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


class TestOneAtATime:
    def test_a_second_one_is_told_who_is_there(self, tmp_path: Path) -> None:
        with (
            RunFolder.open(tmp_path, PLAN),
            pytest.raises(ResumeError, match=f"process {os.getpid()} is at work in"),
        ):
            RunFolder.open(tmp_path, PLAN)
        RunFolder.open(tmp_path, PLAN).close()

    def test_killed_in_the_middle_of_a_piece(self, run_of_three: Path) -> None:
        """SIGKILL leaves a lock file and half a piece; the next one takes over and makes that piece only."""
        child = """
            import sys
            from pathlib import Path
            from vjengine.offline.manifest import RunFolder, read_record
            folder = Path(sys.argv[1])
            run = RunFolder.open(folder, read_record(folder)["plan"])
            store = run.pieces()
            count = len(store.prefix())
            with store.begin(count, "key") as work:
                (work.folder / "clip.mkv").write_bytes(b"half")
                print("here", flush=True)
                sys.stdin.read()
        """
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(child), str(run_of_three)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            assert process.stdout.readline() == "here\n"
            with pytest.raises(ResumeError, match=f"process {process.pid} is at work"):
                RunFolder.open(run_of_three, PLAN)
        finally:
            process.kill()
            process.wait(30)
            process.stdin.close()
            process.stdout.close()
        assert (run_of_three / "chunks" / "000003.part").exists()
        with RunFolder.open(run_of_three, PLAN) as run:
            store = run.pieces()
            assert not (run_of_three / "chunks" / "000003.part").exists()
            assert len(store.prefix()) == 3
            make(store, 3)
            assert timings(run.path)["chunks"]["begun"] == 5
        assert verify(run_of_three) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 12 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "none", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be mounted here (needs root)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


class TestAFullDisk:
    def test_what_is_left_and_what_is_needed_make_sense_together(self, tmp_path: Path) -> None:
        """An estimate below what is left was wrong, or the disk is not what is full."""
        plenty = disk.free_bytes(tmp_path)
        assert "are needed for the next piece" in str(disk.full(tmp_path, 2 * plenty))
        for needed in (0, 1000):
            words = str(disk.full(tmp_path, needed))
            assert "quota" in words
            assert "for the next piece" not in words

    def test_in_the_middle_of_a_piece(self, small_disk: Path) -> None:
        run_folder = small_disk / "run"
        with RunFolder.open(run_folder, PLAN) as run:
            store = run.pieces()
            make(store, 0)
            with pytest.raises(RecordError, match=r"is full: .* MB are left.*Nothing that was finished is lost"):
                overfill(store, 1)
            assert [path.name for path in store.folder.iterdir()] == ["000000"]
            make(store, 1)  # there is room for a small one
            (small_disk / "ballast").write_bytes(bytes(6_000_000))
            with pytest.raises(RecordError, match="MB are needed for the next piece"), store.begin(2, "key"):
                raise AssertionError("it is to say so before the work")
        assert verify(run_folder) == []

    @pytest.mark.skipif(sys.platform == "win32", reason="no such limits")
    def test_a_record_that_cannot_be_written_leaves_the_old_one(self, tmp_path: Path) -> None:
        """The system's own limit of a file's size stands for the disk: it fails in the same calls."""
        import resource

        with RunFolder.open(tmp_path / "run", PLAN) as run:
            run.note("small", 1)
            before = (tmp_path / "run" / "run.json").read_bytes()
            limits = resource.getrlimit(resource.RLIMIT_FSIZE)
            handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
            try:
                with pytest.raises(RecordError, match="is full") as caught:
                    run.note("large", "x" * 10_000)
                store = run.pieces()
                with pytest.raises(RecordError, match="is full"):
                    make(store, 0)
                assert list(store.folder.iterdir()) == []
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
                signal.signal(signal.SIGXFSZ, handler)
            assert isinstance(caught.value.__cause__, OSError)
            assert caught.value.__cause__.errno == errno.EFBIG
            assert (tmp_path / "run" / "run.json").read_bytes() == before
            make(store, 0)
        with RunFolder.open(tmp_path / "run", PLAN) as run:
            assert len(run.pieces().prefix()) == 1
            assert run.noted("small") == 1
            assert run.noted("large") is None


class TestTheReport:
    def test_says_what_was_made_and_notices_what_was_changed(self, run_of_three: Path) -> None:
        film = run_of_three / "film.mkv"
        shutil.copy(run_of_three / "chunks/000000" / CLIP, film)
        with RunFolder.open(run_of_three, PLAN) as run:
            found = report(run, film, configuration={"size": "64x36"})
        assert found["film"]["frames"] == 3
        assert found["film"]["path"] == "film.mkv"
        assert found["timings"]["chunks"]["made"] == 3
        record = json.loads((run_of_three / "run.json").read_text())
        assert record["configuration"] == {"size": "64x36"}
        assert record["film"]["sha256"] == found["film"]["sha256"]
        assert verify(run_of_three) == []
        _flip(film)
        _flip(run_of_three / "chunks/000002" / CLIP)
        wrong = verify(run_of_three)
        assert len(wrong) == 2
        assert "chunks 2 is damaged" in wrong[0]
        assert "its bytes were changed" in wrong[1]
        with pytest.raises(RecordError, match="and 1 more"):
            require_whole(run_of_three)

    def test_elsewhere(self, tmp_path: Path) -> None:
        assert verify(tmp_path) == [f"{tmp_path} is not a run folder: there is no run.json"]
