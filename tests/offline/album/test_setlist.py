"""Setlists: what may stand in one, what is refused and how, and what is said before hours of work."""

from pathlib import Path

import pytest

from vjengine.errors import ConfigError, UnreadableAudio, UsageError
from vjengine.offline.album.job import plan_jobs
from vjengine.offline.album.setlist import CROSSFADE, read_setlist, with_tags


def write(folder: Path, text: str) -> Path:
    path = folder / "set.yaml"
    path.write_text(text)
    return path


def test_a_whole_setlist(tone, tmp_path: Path) -> None:
    tone("one.wav", 4800)
    tone("two.wav", 4800)
    text = """
    title: Night
    artist: Us
    date: "2026"
    defaults: {size: 64x36, fps: 25, seed: 9, look: deepsea, crossfade: 0, artist: Them}
    tracks:
      - one.wav
      - {file: two.wav, title: Second, look: magma, seed: 3, gap: 0.5, start: 0.01, duration: 0.05}
    """
    setlist = with_tags(read_setlist(write(tmp_path, text)))
    assert (setlist.title, setlist.artist, setlist.date) == ("Night", "Us", "2026")
    assert (setlist.size, setlist.fps, setlist.seed) == ((64, 36), 25, 9)
    first, second = setlist.tracks
    assert (first.title, first.artist, first.look, first.crossfade) == ("one", "Them", "deepsea", 0)
    assert (second.title, second.look, second.seed, second.gap) == ("Second", "magma", 3, 0.5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tracks: [{file: a.wav, lok: magma}]", r"tracks\[1\].lok = 'magma'.*did you mean 'look'"),
        ("tracks: [{title: A}]", r"tracks\[1\].*a track with a 'file'"),
        ("tracks: []", "tracks = .*list of 1 to 999 tracks"),
        ("title: A", "tracks = None: expected a list of tracks"),
        ("tracks: [a.wav]\ndefaults: {size: 63x36}", "defaults.size.*even numbers"),
        ("tracks: [a.wav]\ndefaults: {title: A}", "defaults.title.*known key"),
        ("tracks: [{file: a.wav, gap: -1}]", r"tracks\[1\].gap = -1"),
        ("tracks: [a.wav]\ntracks: [b.wav]", "each key once"),
        ("tracks: [", "valid YAML"),
    ],
)
def test_slips_are_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_setlist(write(tmp_path, text))


def test_a_folder_and_a_playlist_will_do(tone, tmp_path: Path) -> None:
    tone("b.wav", 4800)
    tone("A.wav", 4800)
    (tmp_path / "cover.jpg").write_bytes(b"")
    playlist = tmp_path / "set.m3u"
    playlist.write_text("#EXTM3U\n#EXTINF:1,B\nb.wav\n\nA.wav\n")
    assert [entry.file.name for entry in read_setlist(tmp_path).tracks] == ["A.wav", "b.wav"]
    assert [entry.title for entry in with_tags(read_setlist(playlist)).tracks] == ["b", "A"]
    playlist.write_text("http://example.org/a.mp3\n")
    with pytest.raises(UsageError, match="not on this disk"):
        read_setlist(playlist)
    empty = tmp_path / "empty"
    empty.mkdir()
    for path, words in (
        (empty, "no tracks"),
        (tmp_path / "none.yaml", "no such setlist"),
        (tmp_path / "A.wav", "an album is"),
    ):
        with pytest.raises(UsageError, match=words):
            read_setlist(path)


def test_every_bad_track_is_named_at_once(tone, tmp_path: Path) -> None:
    tone("good.wav", 4800)
    tone("empty.wav", 0)
    (tmp_path / "broken.mp3").write_bytes(b"no music at all" * 50)
    (tmp_path / "nothing.flac").write_bytes(b"")
    text = "tracks: [missing.wav, good.wav, empty.wav, broken.mp3, nothing.flac, {file: good.wav, start: 5}]"
    with pytest.raises(UnreadableAudio) as caught:
        with_tags(read_setlist(write(tmp_path, text)))
    for words in ("5 of 6 tracks", "missing.wav", "empty.wav", "broken.mp3", "nothing.flac", "ends before 5 s"):
        assert words in str(caught.value)


def test_titles_that_come_twice_get_a_number(tone, tmp_path: Path) -> None:
    tone("a.wav", 4800)
    setlist = with_tags(read_setlist(write(tmp_path, "tracks: [a.wav, {file: a.wav, seed: 1}]")))
    assert [entry.title for entry in setlist.tracks] == ["a", "a (2)"]
    assert "a (2)" in setlist.warnings[0]


def test_a_crossfade_fits_its_track(tone, tmp_path: Path) -> None:
    tone("long.wav", 48000 * 5)
    tone("short.wav", 48000)
    setlist = with_tags(read_setlist(write(tmp_path, "tracks: [long.wav, short.wav, long.wav]")))
    assert [entry.crossfade for entry in setlist.tracks] == [CROSSFADE, 0.0, CROSSFADE]
    with pytest.raises(UsageError, match="as long as the track"):
        with_tags(read_setlist(write(tmp_path, "tracks: [long.wav, {file: short.wav, crossfade: 1}]")))


class TestKeys:
    def keys(self, tmp_path: Path, text: str) -> dict[str, str]:
        setlist = with_tags(read_setlist(write(tmp_path, "defaults: {size: 64x36, crossfade: 0}\n" + text)))
        return {job.title: job.key for job in plan_jobs(setlist)}

    def test_what_is_changed_changes_only_itself(self, tone, tmp_path: Path) -> None:
        for number, name in enumerate(("a", "b", "c")):
            tone(f"{name}.wav", 4800 + number)
        before = self.keys(tmp_path, "tracks: [a.wav, b.wav, c.wav]")
        assert len(set(before.values())) == 3
        moved = self.keys(tmp_path, "tracks: [c.wav, a.wav, b.wav]")
        assert moved == before
        for change in ("look: magma", "seed: 5", "gap: 1", "start: 0.01", "duration: 0.06", "prompt: x"):
            after = self.keys(tmp_path, f"tracks: [a.wav, {{file: b.wav, {change}}}, c.wav]")
            assert {name for name in after if after[name] != before[name]} == {"b"}, change
        tone("b.wav", 4801, level=0.4)
        after = self.keys(tmp_path, "tracks: [a.wav, b.wav, c.wav]")
        assert {name for name in after if after[name] != before[name]} == {"b"}

    def test_a_look_or_generator_that_is_not_there_is_refused_early(self, tone, tmp_path: Path) -> None:
        tone("a.wav", 4800)
        for wrong in ("look: magna", "generator: nope", "score: none.yaml"):
            with pytest.raises(UsageError, match=r"there is no|unknown|no such"):
                self.keys(tmp_path, f"tracks: [{{file: a.wav, {wrong}}}]")

    def test_a_slip_in_a_score_is_found_before_anything_is_rendered(self, tone, tmp_path: Path) -> None:
        tone("a.wav", 4800)
        for text, words in (
            ("scenes: [{at: drop 1, look: magna}]", "did you mean 'magma'"),
            ("cues: [{at: 1|, macro: BLACKOUTS, for: 1}]", "did you mean 'BLACKOUT'"),
        ):
            (tmp_path / "s.yaml").write_text(text)
            with pytest.raises(ConfigError, match=words):
                self.keys(tmp_path, "tracks: [{file: a.wav, score: s.yaml}]")
