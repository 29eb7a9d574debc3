"""The small picture for the performer's page: right side up, in its colours, only while somebody looks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import Any

import cv2
import numpy as np
import pytest

from vjengine.compose.context import offscreen_context
from vjengine.compose.glance import glance_size
from vjengine.engine.preview import RATE, Preview
from vjengine.errors import DisplayError
from vjengine.resources import resource_dir

SIZE = (640, 360)
PATIENCE = 30.0


@pytest.fixture(scope="module")
def ctx() -> Iterator[Any]:
    try:
        context = offscreen_context()
    except DisplayError as error:
        pytest.skip(f"no offscreen OpenGL here: {error}")
    yield context
    context.release()


@pytest.fixture
def programme(ctx: Any) -> Iterator[Any]:
    """A picture with a red half on top of a blue one, and a fine chequer at the right."""
    pixels = np.zeros((SIZE[1], SIZE[0], 4), np.uint8)
    pixels[:180, :, 0] = pixels[180:, :, 2] = 255
    pixels[::2, 400::2, :3] = pixels[1::2, 401::2, :3] = 255
    pixels[1::2, 400::2, :3] = pixels[::2, 401::2, :3] = 0
    texture = ctx.texture(SIZE, 4, pixels[::-1].tobytes())
    yield texture
    texture.release()


def frames(preview: Preview, programme: Any, until: Callable[[], bool], start: float = 0.0) -> int:
    """Run frames of 1/60 s of session time from ``start`` until it is so; return how many."""
    ending, count = monotonic() + PATIENCE, 0
    while not until() and monotonic() < ending:
        preview.see(programme, start + count / 60)
        count += 1
        sleep(0.002)
    assert until()
    return count


@pytest.mark.parametrize("by_cpu", [False, True])
def test_it_is_the_programme_in_small(ctx: Any, programme: Any, by_cpu: bool) -> None:
    with Preview(ctx, SIZE, resource_dir("shaders"), by_cpu=by_cpu) as preview:
        preview.wanted = True
        frames(preview, programme, lambda: preview.latest() is not None)
        jpeg = preview.latest()
        assert jpeg is not None
        assert jpeg[:2] == b"\xff\xd8"
        assert len(jpeg) < 60_000
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)
    height, width = picture.shape[:2]
    assert width <= 480
    assert abs(width / height - 16 / 9) < 0.02
    for rows, colour in ((slice(10, height // 2 - 10), (255, 0, 0)), (slice(height // 2 + 10, -10), (0, 0, 255))):
        assert np.abs(picture[rows, 10 : width // 2].mean(axis=(0, 1)) - colour).max() < 12


def test_nothing_is_made_while_nobody_looks(ctx: Any, programme: Any) -> None:
    with Preview(ctx, SIZE, resource_dir("shaders")) as preview:
        for index in range(60):
            preview.see(programme, index / 60)
        assert (preview.latest(), preview.made) == (None, 0)
        preview.wanted = True
        frames(preview, programme, lambda: preview.latest() is not None, 1.0)
        preview.wanted = False
        assert preview.latest() is None
        preview.see(programme, 100.0)
        preview.wanted = True
        assert preview.latest() is None, "what was seen long ago is not shown as new"
        frames(preview, programme, lambda: preview.latest() is not None, 101.0)


def test_it_makes_no_more_than_its_rate(ctx: Any, programme: Any) -> None:
    with Preview(ctx, SIZE, resource_dir("shaders")) as preview:
        preview.wanted = True
        ran = frames(preview, programme, lambda: preview.made >= 8)
        assert preview.made <= ran / 60 * RATE + 2


def test_it_ends_with_its_thread(ctx: Any) -> None:
    before = threading.active_count()
    with Preview(ctx, SIZE, resource_dir("shaders")):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    assert ctx.error == "GL_NO_ERROR"


@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080), (720, 1280), (320, 200), (512, 512), (3840, 2160)])
def test_its_size_keeps_the_proportions(size: tuple[int, int]) -> None:
    small = glance_size(size, 480)
    assert max(small) <= 480
    assert small[0] / small[1] == pytest.approx(size[0] / size[1], rel=0.02)
