"""A track with a beat, and a score file from its text."""

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vjengine.offline.score.model import Score
from vjengine.offline.score.reader import load_score

Write = Callable[[str], Path]


@pytest.fixture(scope="session")
def kicks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of kicks at 120 BPM, the first at 0; 8 kHz."""
    rate = 8000
    t = np.arange(rate // 4) / rate
    kick = 0.8 * np.sin(2 * np.pi * 55 * t) * np.exp(-t * 18)
    samples = np.zeros(rate * 4)
    for beat in range(8):
        samples[beat * rate // 2 :][: len(kick)] += kick
    path = tmp_path_factory.mktemp("sound") / "kicks.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str) -> Path:
        path = tmp_path / "score.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


@pytest.fixture
def score(write: Write) -> Callable[[str], Score]:
    return lambda text: load_score(write(text))
