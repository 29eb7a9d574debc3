"""Contact sheets, snippets and waveforms of a film whose every picture is known."""

import errno
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from vjengine.audio.sections import Section
from vjengine.audio.track import TrackAnalysis
from vjengine.errors import RecordError, UsageError
from vjengine.offline.clipfile import ClipWriter, clip_info, read_clip
from vjengine.offline.preview import Mark, Span, contact_sheet, snippet, waveform
from vjengine.offline.preview.drawing import clock, whole_file

FPS = 10


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pictures, from black to white."""
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    writer = ClipWriter(path, (64, 36), Fraction(FPS))
    for n in range(40):
        writer.write(np.full((36, 64, 3), 6 * n, dtype=np.uint8))
    writer.close()
    return path


def test_a_sheet_shows_the_film_in_equal_steps(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    told: list[tuple[int, int]] = []
    contact_sheet(film, out, 4, 2, width=406, tell=lambda done, total: told.append((done, total)))
    sheet = np.asarray(Image.open(out).convert("L"))
    assert sheet.shape[1] == 406
    assert told[-1] == (8, 8)
    # The middle of each place is the middle of its eighth of the film: pictures 2, 7, 12 …
    places = [(6 + row * (53 + 24) + 26, 6 + column * 100 + 47) for row in range(2) for column in range(4)]
    assert [int(sheet[place]) for place in places] == pytest.approx([6 * (5 * n + 2) for n in range(8)], abs=4)


def test_a_short_film_is_on_its_sheet_once(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.jpg"
    told: list[tuple[int, int]] = []
    contact_sheet(film, out, 10, 10, width=800, title="film", tell=lambda done, total: told.append((done, total)))
    assert told[-1] == (40, 40)


def test_a_gif_has_the_pictures_and_the_length_asked_for(film: Path, tmp_path: Path) -> None:
    out, again = tmp_path / "a.gif", tmp_path / "b.gif"
    assert snippet(film, out, at=1.0, length=2.0, width=32) == 20
    snippet(film, again, at=1.0, length=2.0, width=32)
    assert out.read_bytes() == again.read_bytes()
    with Image.open(out) as gif:
        light = [int(np.asarray(frame.convert("L")).mean()) for frame in ImageSequence.Iterator(gif)]
        gif.seek(0)
        total = sum(frame.info["duration"] for frame in ImageSequence.Iterator(gif))
        assert gif.size == (32, 18)
    assert light == pytest.approx([6 * n for n in range(10, 30)], abs=5)
    assert total == 2000


def test_a_webm_has_them_too_and_the_same_bytes_twice(film: Path, tmp_path: Path) -> None:
    out, again = tmp_path / "a.webm", tmp_path / "b.webm"
    # What would run past the end begins earlier.
    assert snippet(film, out, at=3.5, length=1.0) == 10
    snippet(film, again, at=3.5, length=1.0)
    assert out.read_bytes() == again.read_bytes()
    info = clip_info(out)
    assert (info.frames, info.size, info.audio) == (10, (64, 36), False)
    light = [float(picture.mean()) for picture in read_clip(out)]
    assert light == pytest.approx([6 * n for n in range(30, 40)], abs=6)


def test_previews_of_what_is_no_film_are_refused_and_leave_nothing(film: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"nothing" * 99)
    for make in (lambda: contact_sheet(broken, tmp_path / "x.png"), lambda: snippet(broken, tmp_path / "x.gif")):
        with pytest.raises(RecordError, match=r"broken\.mp4"):
            make()
    with pytest.raises(UsageError, match=r"lasts 4\.0 s"):
        snippet(film, tmp_path / "x.gif", at=9.0)
    with pytest.raises(UsageError, match="from 1 to 40"):
        contact_sheet(film, tmp_path / "x.png", 0, 5)
    with pytest.raises(RecordError, match="make it first"):
        contact_sheet(film, tmp_path / "no" / "x.png")
    assert [path.name for path in tmp_path.iterdir()] == ["broken.mp4"]


def test_a_full_disk_is_named_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    def write() -> None:
        with whole_file(tmp_path / "x.png") as temporary:
            temporary.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(RecordError, match=r"the disk of .*x\.png is full"):
        write()
    assert not list(tmp_path.iterdir())


def track(seconds: float) -> TrackAnalysis:
    count = max(1, int(seconds * 20))
    envelope = np.stack([-np.linspace(0, 1, count), np.linspace(0, 1, count)], axis=1)
    sections = [Section(0, seconds / 2, 0.4, "intro"), Section(seconds / 2, seconds, 1.0, "drop")]
    return TrackAnalysis(seconds, sections=sections, envelope=envelope, loudness=np.linspace(0, 1, count))


def test_a_waveform_shows_sections_scenes_and_cues_where_they_are(tmp_path: Path) -> None:
    plain, full = tmp_path / "plain.png", tmp_path / "full.png"
    waveform(track(60.0), plain, width=688)
    lanes = {"scenes": [Span(0, 30, "one", "#ff0000"), Span(30, 90, "two", "#00ff00")]}
    waveform(track(60.0), full, lanes=lanes, marks=[Mark(15.0, "DROP on"), Mark(99.0, "never")], width=688)
    bare, picture = (np.asarray(Image.open(path).convert("RGB")).astype(int) for path in (plain, full))
    assert picture.shape[0] > bare.shape[0]
    # 600 px for a minute, from 74 px on.
    assert bare[35, 74 + 280].tolist() != bare[35, 74 + 320].tolist()
    red, green = (picture[..., 0] == 255) & (picture[..., 1] == 0), (picture[..., 1] == 255) & (picture[..., 0] == 0)
    assert np.flatnonzero(red.any(axis=0)).max() == 74 + 299
    assert np.flatnonzero(green.any(axis=0)).min() == 74 + 300
    mark = np.flatnonzero((picture == (0xF2, 0x6B, 0x5B)).all(axis=2).any(axis=0))
    assert mark.tolist() == [74 + 150]
    # Loud where it is loud.
    wave = (bare[60:240] == (0x5B, 0x8D, 0xEF)).all(axis=2).sum(axis=0)
    assert wave[74 + 550] > 3 * wave[74 + 100]


@pytest.mark.parametrize("seconds", [0.0, 0.01, 36_000.0])
def test_a_waveform_of_any_length_can_be_drawn(tmp_path: Path, seconds: float) -> None:
    waveform(track(seconds), tmp_path / "x.png", marks=[Mark(0.0, "x")], width=500)
    assert (tmp_path / "x.png").stat().st_size > 500


def test_times_read_as_people_write_them() -> None:
    assert [clock(5), clock(65.5, tenths=True), clock(3725), clock(59.96, tenths=True)] == [
        "0:05", "1:05.5", "1:02:05", "1:00.0",
    ]  # fmt: skip
