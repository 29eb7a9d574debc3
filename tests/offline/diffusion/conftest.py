"""A small video model of the real classes, saved once a session, and somebody who watches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vjengine.generate.turbo.quiet import silence_libraries
from vjengine.offline.continuation import Pixels16

silence_libraries()


class Watching:
    """Keeps what it is told; leaves once it has been told ``until`` times."""

    def __init__(self, until: int = 1_000_000) -> None:
        self.said: list[str] = []
        self.until = until
        self.count = 0

    def alive(self, doing: str, fraction: float = -1.0) -> None:
        assert fraction <= 1.0
        self.count += 1
        if doing:
            self.said.append(doing)
        if self.count >= self.until:
            raise KeyboardInterrupt


@pytest.fixture
def watcher() -> Watching:
    return Watching()


@pytest.fixture
def leaving() -> Callable[[int], Watching]:
    """Make a watcher that leaves once it has been told something so many times."""
    return Watching


@pytest.fixture(scope="session")
def svd_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder with the video model ``tiny-svd``."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("diffusers")
    torch.set_num_threads(1)
    from vjengine.offline.diffusion.random_svd import save_random_svd

    return save_random_svd("tiny-svd", tmp_path_factory.mktemp("video") / "tiny")


@pytest.fixture(scope="session")
def disc() -> Callable[..., Pixels16]:
    """Draw ``(H, W, 3)``: a disc on a slope of colours, in whole 8-bit codes."""
    return _disc


def _disc(x: float, y: float, size: tuple[int, int] = (64, 64), hue: float = 0.0) -> Pixels16:
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
    picture = np.stack((columns / size[0], rows / size[1], np.full_like(rows, 0.3 + hue)), axis=-1)
    picture[np.hypot(columns - x, rows - y) < size[1] / 5] = (0.9, 0.7 - hue, 0.2)
    return (np.rint(picture * 255.0).astype(np.uint16) * 257).clip(0, 65535)
