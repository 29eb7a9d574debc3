"""Workers that are killed in the middle of a track: it is made again, nothing else is, and the film is the same."""

import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vjengine.errors import BackendError, MissingDependency, UsageError
from vjengine.offline.album.album import AlbumAsk, AlbumIncomplete, Teller, make_album
from vjengine.offline.album.job import Job
from vjengine.offline.album.local import LocalPool
from vjengine.offline.album.setlist import Setlist, read_setlist, with_tags
from vjengine.offline.album.work import Broken, Lost, Made, News, Step, WorkerLost

HEAD = "defaults: {size: 64x36, fps: 20, generator: still, crossfade: 0}\n"


def two_tracks(tone, folder: Path, seconds: int = 1) -> Setlist:
    tone("a.wav", 48000 * seconds)
    path = folder / "set.yaml"
    tone("b.wav", 12000)
    path.write_text(HEAD + "tracks: [a.wav, b.wav]")
    return with_tags(read_setlist(path))


class Killer:
    """Kills, once or always, the process that makes a track, as soon as it draws."""

    def __init__(self, index: int, times: int) -> None:
        self.pool: Any = None
        self.left = times
        self.index = index
        self.lost: list[str] = []
        self.made: list[str] = []

    def __call__(self, news: News) -> None:
        if isinstance(news, Broken):
            self.lost.append(f"{news.error}" + (" again" if news.again else ""))
        elif isinstance(news, Lost):
            self.lost.append(news.why)
        elif isinstance(news, Made):
            self.made.append(news.job.title)
        elif isinstance(news, Step) and news.job.index == self.index and news.doing != "waiting" and self.left:
            self.left -= 1
            os.kill(self.pool.pids()[self.index], signal.SIGKILL)

    def through(self, make: Callable[[int], Any]) -> Callable[[int], Any]:
        def made(jobs: int) -> Any:
            self.pool = make(jobs)
            return self.pool

        return made


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal")
def test_a_killed_worker_costs_its_track_only(tone, tmp_path: Path) -> None:
    tracks = two_tracks(tone, tmp_path)
    killer = Killer(index=1, times=1)
    ask = AlbumAsk(tmp_path / "killed.mp4", retries=1)
    album = make_album(tracks, ask, killer.through(lambda jobs: LocalPool(2, 1)), Teller(news=killer))
    assert [line.startswith("its worker was killed") for line in killer.lost] == [True]
    assert sorted(killer.made) == ["a", "b"]
    assert album.made == 2


def test_a_worker_that_is_lost_again_and_again_is_given_up(tone, grey, tmp_path: Path) -> None:
    class Lossy(type(grey)):
        def start(self, job: Job, folder: str) -> None:
            if job.title == "b":
                self._news.append(Broken(job, WorkerLost("its worker was killed"), True))
                self.given.append("lost")
            else:
                super().start(job, folder)

    tracks, lossy, ask = two_tracks(tone, tmp_path), Lossy(), AlbumAsk(tmp_path / "x.mp4", retries=1)
    with pytest.raises(AlbumIncomplete, match=r"2\. b: its worker was killed.*2 attempts.*1 finished track is kept"):
        make_album(tracks, ask, lambda jobs: lossy)
    assert lossy.given == ["a", "lost", "lost"]
    make_album(tracks, ask, lambda jobs: grey)
    assert grey.given == ["b"]


@pytest.mark.real
@pytest.mark.timeout(300)
def test_ray_makes_the_same_film_and_outlives_a_killed_actor(tone, pool, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'vjengine[ray]'")
    from vjengine.offline.album.ray_pool import RayPool

    tracks = two_tracks(tone, tmp_path, seconds=5)  # long enough to be caught at it
    killer = Killer(index=0, times=1)
    ask = AlbumAsk(tmp_path / "ray.mp4")
    make = killer.through(lambda jobs: RayPool("local", jobs=jobs, workers=1, threads=1, retries=2))
    make_album(tracks, ask, make, Teller(news=killer))
    assert killer.left == 0
    assert sorted(killer.made) == ["a", "b"]
    here = AlbumAsk(tmp_path / "here.mp4")
    make_album(tracks, here, lambda jobs: pool)
    assert ask.output.read_bytes() == here.output.read_bytes()


def test_ray_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from vjengine.offline.album import ray_pool

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependency, match=r"pip install 'vjengine\[ray\]'"):
        ray_pool.RayPool("local", jobs=1)


def test_a_cluster_that_is_not_there_is_noticed_at_once() -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'vjengine[ray]'")
    from vjengine.offline.album.ray_pool import RayPool

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(BackendError, match=r"no Ray cluster at 127.0.0.1.*ray start --head"):
        RayPool(f"127.0.0.1:{port}", jobs=1)
    with pytest.raises(UsageError, match="HOST:PORT"):
        RayPool("somewhere", jobs=1)
