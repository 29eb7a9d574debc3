"""Fixtures of the compositor's tests: one offscreen context, checked for errors around every test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pytest

from vjengine.compose.context import offscreen_context
from vjengine.core.clock import FrameTime
from vjengine.core.control import ControlState
from vjengine.core.frame import Frame, frozen_pixels
from vjengine.core.params import PARAMS, ParamValues
from vjengine.errors import DisplayError

NEUTRAL: Mapping[str, float] = {
    "mix.crossfade": 0.0,
    "feedback.mix": 0.0,
    "bloom.amount": 0.0,
    "grain.amount": 0.0,
    "vignette.amount": 0.0,
}
"""Parameters under which the programme is the source, unchanged; rows not named do nothing by default."""


@pytest.fixture(scope="session")
def shared_context() -> Iterator[object]:
    try:
        context = offscreen_context()
    except DisplayError as error:
        pytest.skip(f"no offscreen OpenGL here: {error}")
    yield context
    context.release()


@pytest.fixture
def ctx(shared_context):
    """The session's offscreen context; fails a test that leaves an OpenGL error behind."""
    assert shared_context.error == "GL_NO_ERROR", "an earlier test left an OpenGL error"
    yield shared_context
    assert shared_context.error == "GL_NO_ERROR"


@pytest.fixture
def neutral() -> Mapping[str, float]:
    return NEUTRAL


@pytest.fixture
def control() -> Callable[..., ControlState]:
    """Make a control state: ``control(index, values, fps=60, **fields)``; values start from the neutral ones."""

    def make(
        index: int = 0, values: Mapping[str, float] | None = None, *, fps: float = 60.0, **fields: object
    ) -> ControlState:
        unknown = set(values or {}) - set(PARAMS.index)
        assert not unknown, f"no such parameters: {unknown}"
        time = FrameTime(index, index / fps, 0.0 if index == 0 else 1.0 / fps)
        return ControlState(time=time, values=ParamValues.of({**NEUTRAL, **(values or {})}), **fields)

    return make


@pytest.fixture
def frame() -> Callable[..., Frame]:
    """Make a frame of pixels ``(H, W, 3 or 4)`` uint8 or of one colour: ``frame((255, 0, 0), size=(64, 36))``."""

    def make(
        what: npt.NDArray[np.uint8] | tuple[int, int, int], sequence: int = 1, *, size: tuple[int, int] = (64, 36)
    ) -> Frame:
        if isinstance(what, tuple):
            pixels = np.empty((size[1], size[0], 3), np.uint8)
            pixels[:] = what
        else:
            pixels = what
        if pixels.shape[2] == 3:
            pixels = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
        return Frame(frozen_pixels(np.ascontiguousarray(pixels)), sequence, sequence, 0.0, 0.0, "test")

    return make


@pytest.fixture
def pixels() -> Callable[[object], npt.NDArray[np.uint8]]:
    """Read a texture or framebuffer of RGBA8 as ``(H, W, 4)``, top row first."""

    def read(source: object) -> npt.NDArray[np.uint8]:
        width, height = source.size
        data = source.read(components=4) if hasattr(source, "color_attachments") else source.read()
        return np.frombuffer(data, np.uint8).reshape(height, width, 4)[::-1]

    return read
