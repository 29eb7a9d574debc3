"""A score in a film: on the right frames, the same bytes twice; the plan before and the previews after; bad tracks."""

import wave
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from vjengine.audio.files import probe, track_duration
from vjengine.audio.track import TrackListener, analyse_track
from vjengine.cli.main import main
from vjengine.offline.clipfile import clip_info, read_clip
from vjengine.offline.score import rehearsal
from vjengine.offline.score.staging import listen

SMALL = ["--size", "64x36", "--fps", "10"]
SCORE = """
seed: 5
scenes:
  - {at: 0, look: default}
  - {at: 2|, look: silk, transition: cut}
cues:
  - {at: 1, macro: BLACKOUT, for: 1}
parameters: {bloom.amount: 0.3 + 0.5*low}
tempo: 120
"""


@pytest.fixture(autouse=True)
def heard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What is heard is kept here, and not in the user's cache."""
    monkeypatch.setenv("VJENGINE_HEARD", str(tmp_path / "heard"))
    return tmp_path / "heard"


def test_a_scored_film_does_what_the_score_says_and_is_the_same_bytes_twice(
    kicks: Path, write: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    score = write(SCORE)
    previews = tmp_path / "previews"
    wanted = [["--preview", str(previews), "--for", "1"], ["--seed", "5"]]
    for film, more in zip(films, wanted, strict=True):
        command = ["render", str(kicks), "-o", str(film), "--score", str(score), "--duration", "2.5", *SMALL, *more]
        assert main(command) == 0, capsys.readouterr().err
    assert films[0].read_bytes() == films[1].read_bytes()
    light = [float(picture.mean()) for picture in read_clip(films[0])]
    assert len(light) == 25
    assert max(light[12:19]) < 3.0
    assert min(light[5:9]) > 3.0
    assert light[23] > 3.0
    assert sorted(path.name for path in previews.iterdir()) == ["sheet.jpg", "snippet.webm", "waveform.png"]
    assert clip_info(previews / "snippet.webm").frames == 10


def test_the_plan_says_all_there_is_and_writes_no_film(
    kicks: Path, write: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], heard: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(rehearsal, "PATIENCE", 0.2)
    score = write(SCORE + "prompts: [{at: 9:00, prompt: late}]\n")
    film = tmp_path / "film.mp4"
    command = [
        "render",
        str(kicks),
        "-o",
        str(film),
        "--score",
        str(score),
        "--dry-run",
        "--size",
        "64x36",
        "--fps",
        "4",
    ]
    assert main(command) == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    for words in ("16 frames", "seed 5", "120.00 BPM", "0:04.0     2.00|  scene 2 (silk, cut)", "BLACKOUT on",
                  "bloom.amount = 0.3 + 0.5*low", "warning", "prompts[1].at", "frames a second", "MiB",
                  "disk"):  # fmt: skip
        assert words in out
    assert not film.exists()
    assert not list(tmp_path.glob("*.partial*"))
    assert not heard.exists()  # nothing in this score asks for it


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ((), 2, "-o is missing"),
        (("-o", "x.mp4", "--score", "none.yaml"), 1, "none.yaml"),
        (("-o", "x.mp4", "--snippet", "x.mpg"), 2, ".gif or .webm"),
        (("-o", "x.mp4", "--snippet", "x.gif", "--for", "60"), 2, "at most 20 s"),
        (("-o", "x.mp4", "--sheet", "x.tiff"), 1, ".png"),
        (("-o", "x.mp4", "--sheet", "no/such/folder/x.png"), 1, "make it first"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_rendered(
    kicks: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    arguments: tuple[str, ...], status: int, words: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["render", str(kicks), *arguments]) == status
    assert words in capsys.readouterr().err
    assert not list(tmp_path.glob("x*"))


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "empty"), (b"RIFFnothing at all" * 9, "cannot be read"), (None, "0")]
)
def test_a_track_that_is_none_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, words: str
) -> None:
    track = tmp_path / "track.wav"
    if content is None:
        with wave.open(str(track), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
    else:
        track.write_bytes(content)
    assert main(["render", str(track), "-o", str(tmp_path / "x.mp4"), *SMALL]) in (1, 2)
    assert words in capsys.readouterr().err
    assert not (tmp_path / "x.mp4").exists()


def test_a_track_whose_header_tells_no_length_is_measured(kicks: Path, tmp_path: Path) -> None:
    track = tmp_path / "stream.flac"
    with av.open(str(kicks)) as source, av.open(str(track), "w") as target:
        stream = target.add_stream("flac", rate=8000, layout="mono")
        for frame in source.decode(audio=0):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    whole = bytearray(track.read_bytes())
    whole[21] &= 0xF0  # STREAMINFO's number of samples, as an encoder that writes to a pipe leaves it
    whole[22:26] = bytes(4)
    track.write_bytes(whole)
    assert probe(track).duration == 0.0
    assert track_duration(track) == pytest.approx(4.0, abs=0.01)


def test_a_track_is_heard_in_pieces_as_it_is_as_a_whole_and_kept(kicks: Path, heard: Path) -> None:
    rng = np.random.default_rng(1)
    samples = (0.3 * rng.standard_normal((48000, 2))).astype(np.float32)
    listener = TrackListener()
    for begin, end in ((0, 1), (1, 700), (700, 701), (701, 30011), (30011, 48000)):
        listener.hear(samples[begin:end])
    pieces, whole = listener.finish(), analyse_track(samples)
    assert pieces.to_json() == whole.to_json()
    assert np.array_equal(pieces.envelope, whole.envelope)

    first = listen(kicks, cache=heard)
    assert len(list(heard.iterdir())) == 1
    assert listen(kicks, cache=heard).to_json() == first.to_json()
    assert len(first.beats) > 3
