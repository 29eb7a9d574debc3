"""An album as a whole: exact sound and picture, chapters, what is rendered again and what is not."""

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from vjengine.errors import RecordError, ResumeError, UnreadableAudio
from vjengine.offline.album import assemble
from vjengine.offline.album.album import Album, AlbumAsk, AlbumIncomplete, Teller, make_album
from vjengine.offline.album.assemble import Part, blend
from vjengine.offline.album.film import TrackSink
from vjengine.offline.album.hearing import hear, load_heard
from vjengine.offline.album.job import Job, plan_jobs
from vjengine.offline.album.setlist import read_setlist, with_tags
from vjengine.offline.album.timeline import frames_for
from vjengine.offline.clips import join
from vjengine.offline.disk import file_hash
from vjengine.offline.manifest import RunFolder

HEAD = "title: Night\nartist: Us\ndefaults: {size: 64x36, fps: 20, generator: still, seed: 4, crossfade: 0}\n"


def setlist(folder: Path, tracks: str, head: str = HEAD):
    path = folder / "set.yaml"
    path.write_text(head + tracks)
    return with_tags(read_setlist(path))


def sound_of(film: Path) -> np.ndarray:
    with av.open(str(film)) as opened:
        return np.concatenate([f.to_ndarray().reshape(-1, 2) for f in opened.decode(audio=0)])


def test_an_album_and_its_second_life(tone, pool, grey, tmp_path: Path) -> None:
    """Rendered once; then nothing, then only what was changed, then only what was damaged."""
    tone("a.wav", 24011)
    tone("b.wav", 22050 // 2, rate=22050)
    tracks = "tracks: [{file: a.wav, gap: 0.1}, {file: b.wav, crossfade: 0.2}]"
    ask = AlbumAsk(tmp_path / "night.mkv", sound="flac")

    def make(tracks: str, by: Any = pool) -> tuple[Album, list[str]]:
        by.given.clear()
        return make_album(setlist(tmp_path, tracks), ask, lambda jobs: by), list(by.given)

    album, rendered = make(tracks)
    assert rendered == ["a", "b"]
    total = 24011 + 4800 + 24000
    assert album.samples == total
    with av.open(str(ask.output)) as film:
        frames = sum(1 for _ in film.decode(video=0))
        chapters = [(float(c["start"] * c["time_base"]), c["metadata"]["title"]) for c in film.chapters()]
        tags = {key.lower(): value for key, value in film.metadata.items()}
    assert frames == album.frames == round(Fraction(total * 20, 48000))
    assert [title for _, title in chapters] == ["a", "b"]
    assert [at for at, _ in chapters] == pytest.approx([0, 28811 / 48000], abs=2e-3)
    assert (tags["title"], tags["artist"]) == ("Night", "Us")
    report = json.loads(album.data.read_text())
    assert [t["frames"] for t in report["tracks"]] == [12, 10]
    assert report["tracks"][1]["crossfade_frames"] == 4
    assert {"tempo", "beats", "sections", "seed", "rendered_in"} <= report["tracks"][0].keys()
    page = album.page.read_text()
    assert "Night – Us" in page
    pictures = [part.split('"')[0] for part in page.split('src="')[1:]]
    assert len(pictures) == 4
    assert all((tmp_path / name).is_file() for name in pictures)

    first = ask.output.read_bytes()
    again, rendered = make(tracks)
    assert (rendered, again.made, again.reused) == ([], 0, 2)
    bodies = list(ask.run_folder.glob("track-*/000000/body.mkv"))
    ask.output.unlink()
    assert make(tracks)[1] == []
    assert ask.output.read_bytes() == first

    _, rendered = make(tracks.replace("b.wav", "b.wav, seed: 8"), grey)
    assert rendered == ["b"]
    back, rendered = make(tracks)
    assert rendered == []
    assert back.unused > 0
    assert ask.output.read_bytes() == first

    bodies[0].write_bytes(bodies[0].read_bytes()[:-100])
    ask.output.unlink()
    assert len(make(tracks)[1]) == 1
    assert ask.output.read_bytes() == first


def test_the_sound_is_joined_to_the_sample(tone, grey, tmp_path: Path) -> None:
    """Not one sample of silence between two tracks, and none lost, beside what AAC and rounding make of it."""
    whole = tone("whole.wav", 48000)
    tracks = (
        "tracks: [{file: whole.wav, duration: 0.31234}, {file: whole.wav, start: 0.31234, duration: 0.4},"
        " {file: whole.wav, start: 0.71234}]"
    )
    for sound, tolerance in (("flac", 2e-7), ("aac", 0.02)):
        ask = AlbumAsk(tmp_path / f"{sound}.mp4", folder=tmp_path / "run", sound=sound)
        make_album(setlist(tmp_path, tracks), ask, lambda jobs: grey)
        with av.open(str(ask.output)) as film:
            parts = [
                f.to_ndarray().T if f.format.is_planar else f.to_ndarray().reshape(-1, 2) for f in film.decode(audio=0)
            ]
        heard = np.concatenate(parts)
        heard = heard / 2**31 if heard.dtype == np.int32 else heard
        with av.open(str(whole)) as source:
            original = np.concatenate([f.to_ndarray().reshape(-1) for f in source.decode(audio=0)]) / 32768
        assert abs(len(heard) - 48000) <= 1024
        assert np.abs(heard[:48000, 0] - original).max() < tolerance
    assert grey.given == ["whole", "whole (2)", "whole (3)"]


def _coded(level: int) -> np.ndarray:
    return np.full((36, 64, 4), level, np.uint8)


def _part(run: RunFolder, job: Job, samples: int, base: int) -> Part:
    """A track whose every picture is of another grey."""
    frames = frames_for(samples, job.rate, job.fps)
    store = run.pieces(f"track-{job.key[:20]}")
    with store.begin(0, job.key) as work:
        sink = TrackSink(work.folder, (64, 36), job.fps, frames=frames, head=job.head, tail=job.tail)
        for n in range(frames + job.tail):
            sink.write_frame(_coded(base + 4 * n), n / 20)
        assert sink.close().frames == frames + job.tail
        piece = work.commit(frames)
    return Part(job, piece, samples, frames)


@pytest.mark.parametrize("first", [24000, 23000])
def test_a_crossfade_takes_up_where_the_track_before_is(tone, tmp_path: Path, first: int) -> None:
    """Also where the film has one place fewer than the track has pictures."""
    tone("a.wav", first)
    tone("b.wav", 24000)
    jobs = plan_jobs(setlist(tmp_path, "tracks: [a.wav, {file: b.wav, crossfade: 0.2}]"))
    assert (jobs[0].tail, jobs[1].head) == (4, 4)
    with RunFolder.open(tmp_path / "run", {}) as run:
        parts = [_part(run, jobs[0], first, 0), _part(run, jobs[1], 24000, 120)]
        slots = assemble.place(parts)
        clips = assemble.clip_list(run, parts, slots, lambda words: None)
        join(clips, tmp_path / "film.mkv", 20)
        assert clips == assemble.clip_list(run, parts, slots, lambda words: None)
    with av.open(str(tmp_path / "film.mkv")) as film:
        seen = [float(frame.to_ndarray(format="rgb24").mean()) for frame in film.decode(video=0)]
    old = slots[0].frames
    assert len(seen) == sum(slot.frames for slot in slots)
    assert seen[:old] == pytest.approx([4 * n for n in range(old)], abs=2.5)
    after = [120 + 4 * n for n in range(slots[1].frames)]
    assert seen[old + 4 :] == pytest.approx(after[4:], abs=2.5)
    for n in range(4):
        mixed = blend(_coded(4 * (old + n))[..., :3], _coded(120 + 4 * n)[..., :3], (n + 1) / 5)
        assert seen[old + n] == pytest.approx(float(mixed.mean()), abs=2.5)


def test_blending_is_of_light_and_exact_at_its_ends() -> None:
    codes = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    black = np.zeros_like(codes)
    assert np.array_equal(blend(codes, black, 0.0), codes)
    assert np.array_equal(blend(black, codes, 1.0), codes)
    assert np.array_equal(blend(codes, codes, 0.3), codes)
    white = np.full_like(codes, 255)
    assert abs(int(blend(black, white, 0.5)[0, 0, 0]) - 188) <= 1  # half the light, not half the code


def test_what_cannot_be_made_costs_only_itself(tone, grey, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        tone(f"{name}.wav", 9600)
    made = setlist(tmp_path, "tracks: [a.wav, b.wav, c.wav]")
    jobs = plan_jobs(made)
    assert len({job.key for job in jobs}) == 1  # three copies of one track are one film
    made = setlist(tmp_path, "tracks: [a.wav, {file: b.wav, seed: 1}, {file: c.wav, seed: 2}]")

    class Spoiled(type(grey)):
        def start(self, job: Job, folder: str) -> None:
            if job.index == 1:
                job.options.track.write_bytes(b"gone bad")
            super().start(job, folder)

    spoiled = Spoiled()
    ask = AlbumAsk(tmp_path / "x.mp4")
    with pytest.raises(AlbumIncomplete, match=r"2\. b: .*b\.wav.*2 finished tracks are kept") as caught:
        make_album(made, ask, lambda jobs: spoiled)
    assert [failure.job.title for failure in caught.value.failures] == ["b"]
    assert spoiled.given == ["a", "b", "c"]  # a broken track is not tried again, and holds up nobody
    assert not ask.output.exists()
    tone("b.wav", 9600)
    make_album(made, ask, lambda jobs: grey)
    assert grey.given == ["b"]


def test_a_stop_keeps_what_is_finished(tone, grey, tmp_path: Path) -> None:
    tone("a.wav", 9600)
    tracks = "tracks: [a.wav, {file: a.wav, seed: 1}, {file: a.wav, seed: 2}]"
    ask = AlbumAsk(tmp_path / "x.mp4")
    teller = Teller(stopped=lambda: len(grey.given) == 2)
    with pytest.raises(KeyboardInterrupt):
        make_album(setlist(tmp_path, tracks), ask, lambda jobs: grey, teller)
    assert not list(ask.run_folder.glob("*/*.part"))
    grey.given.clear()
    album = make_album(setlist(tmp_path, tracks), ask, lambda jobs: grey)
    assert album.made + album.reused == 3
    assert album.reused >= 1
    assert len(grey.given) == album.made


def test_a_folder_of_something_else_is_left_alone(tone, grey, tmp_path: Path) -> None:
    tone("a.wav", 9600)
    with RunFolder.open(tmp_path / "x.album", {"kind": "longcat"}):
        pass
    with pytest.raises(ResumeError, match=r"longcat.*album"):
        make_album(setlist(tmp_path, "tracks: [a.wav]"), AlbumAsk(tmp_path / "x.mp4"), lambda jobs: grey)


def test_a_track_that_became_shorter_is_not_padded(tone, tmp_path: Path) -> None:
    tone("a.wav", 9600)
    jobs = plan_jobs(setlist(tmp_path, "tracks: [a.wav]"))
    with RunFolder.open(tmp_path / "run", {}) as run:
        part = _part(run, jobs[0], 9600, 0)
        tone("a.wav", 4800)
        with pytest.raises(RecordError, match="4800 samples shorter"):
            assemble.write_sound([part], tmp_path / "sound.wav", lambda share: None)


class TestHearing:
    def test_what_was_heard_is_kept_by_bytes_and_settings(self, tone, tmp_path: Path) -> None:
        from vjengine.audio.features import AnalysisSettings

        track, cache = tone("a.wav", 30000), tmp_path / "heard"
        first = hear(track, file_hash(track), cache=cache)
        assert first.samples == 30000
        (kept,) = cache.iterdir()
        again = load_heard(kept)
        assert again is not None
        assert again.summary(48000) == first.summary(48000)
        assert np.array_equal(again.analysis.envelope, first.analysis.envelope)
        hear(track, file_hash(track), cache=cache)
        assert len(list(cache.iterdir())) == 1
        hear(track, file_hash(track), cache=cache, duration=0.25)
        hear(track, file_hash(track), cache=cache, settings=AnalysisSettings(tempo_low=100.0))
        hear(track, "other bytes", cache=cache)
        assert len(list(cache.iterdir())) == 4

    def test_damage_is_heard_anew(self, tone, tmp_path: Path) -> None:
        track, cache = tone("a.wav", 12000), tmp_path / "heard"
        first = hear(track, "sum", cache=cache)
        (kept,) = cache.iterdir()
        kept.write_bytes(kept.read_bytes()[:200])
        assert hear(track, "sum", cache=cache).summary(48000) == first.summary(48000)
        assert load_heard(kept) is not None
        with pytest.raises(UnreadableAudio):
            hear(tmp_path / "none.wav", "another sum", cache=cache)


@pytest.fixture(autouse=True)
def _no_leftovers(tmp_path: Path) -> Iterator[None]:
    yield
    assert not list(tmp_path.rglob("*.part"))
    assert not list(tmp_path.rglob("*.partial*"))
