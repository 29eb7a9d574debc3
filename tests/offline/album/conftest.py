"""Short tracks, and a pool without processes: the same work, in place."""

import wave
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from vjengine.errors import VJError
from vjengine.offline.album.film import Tell, TrackSink
from vjengine.offline.album.hearing import hear
from vjengine.offline.album.job import Job, TrackFilm
from vjengine.offline.album.timeline import frames_for
from vjengine.offline.album.work import Fault, Made, News, Step
from vjengine.offline.album.worker import attempt

Tone = Callable[..., Path]


@pytest.fixture
def tone(tmp_path: Path) -> Tone:
    """Make a WAV of ``samples`` at ``rate``, whose every sample says where it is."""

    def make(name: str, samples: int, rate: int = 48000, level: float = 0.5) -> Path:
        t = np.arange(samples)
        sound = level * np.sin(2 * np.pi * 220 * t / rate) * (1 - 0.9 * t / max(1, samples))
        path = tmp_path / name
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes((sound * 32767).astype("<i2").tobytes())
        return path

    return make


class HerePool:
    """Does each job at once, in this process; remembers what it was given."""

    size = 1

    def __init__(self) -> None:
        self.given: list[str] = []
        self._news: list[News] = []
        self._busy = False

    def idle(self) -> int:
        return 0 if self._busy else 1

    def start(self, job: Job, folder: str) -> None:
        self._busy = True
        self.given.append(job.title)

        def tell(doing: str, done: int, total: int) -> None:
            self._news.append(Step(job, doing, done, total))

        result = self.make(job, Path(folder), tell)
        self._news.append(result.news(job) if isinstance(result, Fault) else Made(job, result))

    def make(self, job: Job, folder: Path, tell: Tell) -> TrackFilm | Fault:
        return attempt(job, folder, tell)[1]

    def news(self, timeout: float) -> Iterable[News]:
        found, self._news, self._busy = self._news, [], False
        return found

    def close(self) -> None:
        self._news = []


class GreyPool(HerePool):
    """Listens and writes as the real one does, and draws nothing: every picture is of another grey."""

    def make(self, job: Job, folder: Path, tell: Tell) -> TrackFilm | Fault:
        try:
            heard = hear(job.options.track, "", start=job.options.start, duration=job.options.duration)
        except VJError as error:
            return Fault.of(error)
        samples = heard.samples + job.gap
        frames = frames_for(samples, job.rate, job.fps)
        sink = TrackSink(folder, (64, 36), job.fps, frames=frames, head=job.head, tail=job.tail)
        for n in range(frames + job.tail):
            sink.write_frame(np.full((36, 64, 4), 4 * n % 256, np.uint8), n / 20)
        sink.close()
        return TrackFilm(samples, frames, 0.0, heard.summary(job.rate))


@pytest.fixture
def grey() -> HerePool:
    return GreyPool()


@pytest.fixture
def pool() -> HerePool:
    return HerePool()
