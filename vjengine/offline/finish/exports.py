"""What is handed over besides the film: shorts, a square loop, a thumbnail, what YouTube wants to know."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.audio.track import TrackAnalysis
from vjengine.errors import UnreadableAudio
from vjengine.offline import disk
from vjengine.offline.clips import ClipInfo, add_sound, clip_info, join, read_clip
from vjengine.offline.finish.encoders import Encoder, FilmWriter, choose_encoder
from vjengine.offline.finish.framing import cropped, interest_of
from vjengine.offline.finish.loop import find_seam, looped
from vjengine.offline.finish.made import Made
from vjengine.offline.finish.music import chapters_of, heard, strongest
from vjengine.offline.finish.options import FinishOptions
from vjengine.offline.finish.pictures import fitted
from vjengine.offline.finish.thumbnail import best_picture, quality, save_thumbnail
from vjengine.offline.finish.youtube import metadata
from vjengine.offline.manifest import file_hash
from vjengine.offline.progress import Meter, Progress

Pixels8 = npt.NDArray[np.uint8]

TALL = (1080, 1920)
"""px of a short."""

_VERSION = 2  # of everything here that decides what exports look like
_SHORT, _SHORTS = 30.0, 3  # s of one, and how many
_OPENING, _STARTLING = 0.75, 0.25  # s that may be passed over; difference in light (0-1) that is a flash
_LOOP = (4.0, 10.0)  # s, least and most
_LOOKED_IN = 20.0  # s of film in which a loop is sought
_SQUARE = 1080  # px, most


@dataclass(frozen=True, slots=True)
class ExportSet:
    """What is wanted besides the film, and what it is called.

    Attributes:
        wanted: some of ``"shorts"``, ``"square"``, ``"thumbnail"``, ``"youtube"``.
        title, artist: as people are to read them.
        tags: separated by commas.
        words: the first lines of the description.
        chapters: (s, title); empty takes the music's sections.
        short: most s of a short; ``shorts``: most of them; ``tall``: (width, height) of them, px.
    """

    wanted: tuple[str, ...]
    title: str = ""
    artist: str = ""
    tags: str = ""
    words: str = ""
    chapters: tuple[tuple[float, str], ...] = ()
    short: float = _SHORT
    shorts: int = _SHORTS
    tall: tuple[int, int] = TALL


def export(
    film: Path,
    wanted: ExportSet,
    *,
    audio: Path | None = None,
    audio_start: float = 0.0,
    options: FinishOptions | None = None,
    progress: Callable[[Progress], None] | None = None,
    folder: Path | None = None,
) -> list[Path]:
    """Make what is ``wanted`` of the finished ``film``, beside it: ``FILM-short-1.mp4``, ``FILM-square.mp4`` …

    Each appears whole or not at all; what is there is written over, unless ``folder`` says that it is the same.

    Args:
        film: a finished film.
        wanted: what to make.
        audio: the music; None takes the film's own.
        audio_start: s into the music at which the film begins.
        options: encoder and quality of the clips.
        progress: told how far it is; whatever it raises stops the work.
        folder: where to note what is made, so that the same call after an interruption goes on with the next.

    Returns:
        The files made.

    Raises:
        RecordError: if the film is broken or the disk refuses.
        UnreadableAudio: if the music cannot be read.
    """
    if not set(wanted.wanted) & {"shorts", "square", "thumbnail", "youtube"}:
        return []
    info = clip_info(film)
    sound = audio if audio is not None else (film if info.audio else None)
    offset = audio_start if audio is not None else 0.0
    settings = options or FinishOptions()
    decides = {
        "exports": _VERSION,
        "film": file_hash(film),
        "sound": file_hash(sound) if sound is not None else "",
        "sound_start": offset,
        "wanted": {name: value for name, value in asdict(wanted).items() if name != "wanted"},
        "encoder": [settings.encoder, settings.crf],
    }
    made_before = Made(folder, decides)
    maker = _Exports(film, info, wanted, sound, offset, options, progress, made_before)
    made: list[Path] = []
    for name, make in (
        ("shorts", maker.shorts),
        ("square", maker.square),
        ("thumbnail", maker.thumbnail),
        ("youtube", maker.youtube),
    ):
        if name in wanted.wanted:
            made += make()
    return made


class _Exports:
    def __init__(
        self,
        film: Path,
        info: ClipInfo,
        wanted: ExportSet,
        sound: Path | None,
        sound_start: float,
        options: FinishOptions | None,
        progress: Callable[[Progress], None] | None,
        made: Made,
    ) -> None:
        self._made = made
        self._film, self._info, self._wanted = film, info, wanted
        self._sound, self._sound_start = sound, sound_start
        self._options = replace(options or FinishOptions(), encoder=_for_web(options))
        self._tell = progress or (lambda state: None)
        self._analysis: TrackAnalysis | None = None

    def shorts(self) -> list[Path]:
        """Make tall clips of the strongest sections."""
        length = float(self._info.duration)
        stretches = self._strongest(self._wanted.short, self._wanted.shorts)
        tall = self._wanted.tall
        share = min(1.0, self._info.size[1] * tall[0] / tall[1] / self._info.size[0])
        made = []
        for number, (start, stop) in enumerate(stretches, 1):
            target = self._beside(f"short-{number}.mp4")
            made.append(target)
            if self._made.has(target):
                continue
            first, last = self._range(start, min(stop, length))
            first += self._opening(first, last)
            words = f"short {number} of {len(stretches)}"
            meter = Meter(2 * (last - first))
            seen = self._counted(read_clip(self._film, first, last), meter, 0, words)
            path = interest_of(seen, float(self._info.fps), share)
            shown = (
                fitted(cropped(pixels, float(left), share), tall, "fill")
                for pixels, left in zip(read_clip(self._film, first, last), path, strict=True)
            )
            self._encode(self._counted(shown, meter, last - first, words), tall, target, float(first / self._info.fps))
        return made

    def square(self) -> list[Path]:
        """Make a silent square loop of the strongest place."""
        target = self._beside("square.mp4")
        if self._made.has(target):
            return [target]
        side = min(_SQUARE, self._info.size[1] // 2 * 2, self._info.size[0] // 2 * 2)
        size = (side, side)
        start, _ = self._strongest(_LOOKED_IN, 1)[0]
        start = max(0.0, min(start, float(self._info.duration) - _LOOKED_IN))
        first, last = self._range(start, start + _LOOKED_IN)
        meter = Meter(2 * (last - first))
        seen = (fitted(p, size, "fill") for p in read_clip(self._film, first, last))
        fps = float(self._info.fps)
        seam = find_seam(self._counted(seen, meter, 0, "square loop"), fps, *_LOOP, self._bars())

        def stretch(begin: int, end: int) -> Iterator[Pixels8]:
            return (fitted(p, size, "fill") for p in read_clip(self._film, first + begin, first + end))

        self._encode(self._counted(looped(stretch, seam), meter, last - first, "square loop"), size, target, None)
        return [target]

    def thumbnail(self) -> list[Path]:
        """Choose and write one picture."""
        target = self._beside("thumbnail.jpg")
        if self._made.has(target):
            return [target]
        meter: list[Meter] = []

        def tick(done: int, total: int) -> None:
            if not meter:
                meter.append(Meter(total))
            self._tell(meter[0].at(done, "thumbnail"))

        _, pixels = best_picture(self._film, self._info, tick)
        save_thumbnail(pixels, target)
        self._made.note(target)
        return [target]

    def youtube(self) -> list[Path]:
        """Write title, description, chapters and tags."""
        length = float(self._info.duration)
        chapters = self._wanted.chapters
        if not chapters and self._sound is not None:
            chapters = chapters_of(self._heard().sections, length)
        tags = self._wanted.tags.split(",")
        title = self._wanted.title or self._film.stem
        body = metadata(title, self._wanted.artist, chapters, tags, self._wanted.words, length)
        as_json, as_text = self._beside("youtube.json"), self._beside("description.txt")
        disk.write_json(as_json, body)
        part = as_text.with_name(as_text.name + ".part")
        try:
            part.write_text(f"{body['snippet']['title']}\n\n{body['snippet']['description']}\n", encoding="utf-8")
            part.replace(as_text)
        except OSError as error:
            raise disk.failure(as_text, error) from error
        return [as_json, as_text]

    def _strongest(self, length: float, count: int) -> list[tuple[float, float]]:
        if self._sound is None:
            return [(0.0, min(length, float(self._info.duration)))]
        return strongest(self._heard().sections, length, count) or [(0.0, length)]

    def _heard(self) -> TrackAnalysis:
        if self._analysis is None:
            if self._sound is None:
                raise UnreadableAudio(f"{self._film}: it has no sound")
            self._tell(Progress(0, 1, 0.0, "listening"))
            self._analysis = heard(self._sound, self._sound_start, float(self._info.duration))
        return self._analysis

    def _bars(self) -> list[int]:
        """Return lengths of 2, 4 and 8 bars, in pictures; none without a steady beat."""
        if self._sound is None or not (tempo := self._heard().tempo):
            return []
        bar = 4 * 60.0 / tempo[-1][1]
        return [round(bars * bar * float(self._info.fps)) for bars in (1, 2, 4, 8)]

    def _range(self, start: float, stop: float) -> tuple[int, int]:
        first = min(self._info.frames - 1, max(0, round(start * self._info.fps)))
        return first, min(self._info.frames, max(first + 1, round(stop * self._info.fps)))

    def _opening(self, first: int, last: int) -> int:
        """Return how many pictures to pass over so that the short does not begin with a flash or a flat picture.

        A section begins on a beat, and so do strobes; what is seen first is what people stay for, or do not.
        """
        most = min(last - first, round(_OPENING * self._info.fps))
        worth, light = [], []
        for pixels in read_clip(self._film, first, first + most):
            worth.append(quality(pixels))
            light.append(float(cv2.resize(pixels, (16, 9), interpolation=cv2.INTER_AREA).mean()) / 255.0)
        if not worth or max(worth) <= 0.0:
            return 0
        usual, calm = float(np.median(worth)), float(np.median(light))
        good = (n for n, w in enumerate(worth) if w >= 0.6 * usual and abs(light[n] - calm) <= _STARTLING and w > 0.0)
        return next(good, int(np.argmax(worth)))

    def _beside(self, name: str) -> Path:
        return self._film.with_name(f"{self._film.stem}-{name}")

    def _counted(self, pictures: Iterable[Pixels8], meter: Meter, before: int, words: str) -> Iterator[Pixels8]:
        for number, pixels in enumerate(pictures, 1):
            yield pixels
            self._tell(meter.at(before + number, words))

    def _encode(self, pictures: Iterator[Pixels8], size: tuple[int, int], target: Path, sound_at: float | None) -> None:
        """Write ``pictures`` to ``target``, with the music from ``sound_at`` s of the film on."""
        fps: Fraction = self._info.fps
        encoder: Encoder = choose_encoder(self._options.encoder, size, fps, target)
        folder = target.with_name(target.name + ".parts")
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir()
            with FilmWriter(folder, encoder, size, fps, self._options.crf) as writer:
                for pixels in pictures:
                    writer.write(pixels)
            if sound_at is None or self._sound is None:
                join([writer.path], target, fps)
            else:
                add_sound(writer.path, self._sound, target, start=self._sound_start + sound_at)
        except OSError as error:
            raise disk.failure(target, error) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self._made.note(target)


def _for_web(options: FinishOptions | None) -> str:
    """Return the encoder of clips: what phones play, whatever the film itself is."""
    return options.encoder if options is not None and options.encoder in ("auto", "x264", "nvenc") else "auto"
