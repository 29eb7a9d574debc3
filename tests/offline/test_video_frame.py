"""Pixels as an encoder takes them, against the standard's own sums and against FFmpeg's conversion."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from vjengine.offline.video_frame import FrameMaker

av = pytest.importorskip("av", reason="PyAV is not installed")


def clouds(width: int, height: int) -> npt.NDArray[np.uint8]:
    few = np.random.default_rng(5).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(few, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def planes(frame: Any) -> list[npt.NDArray[np.int64]]:
    flat, pixels = frame.to_ndarray().reshape(-1).astype(np.int64), frame.width * frame.height
    luma, u, v = np.split(flat, [pixels, pixels * 5 // 4])
    shape = frame.height // 2, frame.width // 2
    return [luma.reshape(frame.height, frame.width), u.reshape(shape), v.reshape(shape)]


# By hand from ITU-R BT.709-6: Y' = 0.2126 R' + 0.7152 G' + 0.0722 B', 16-235; colour 16-240 around 128.
@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ((0, 0, 0), (16, 128, 128)),
        ((255, 255, 255), (235, 128, 128)),
        ((255, 0, 0), (63, 102, 240)),
        ((0, 255, 0), (173, 42, 26)),
        ((0, 0, 255), (32, 240, 118)),
    ],
)
def test_pure_colours_are_those_of_the_standard(colour: tuple[int, int, int], expected: tuple[int, int, int]) -> None:
    frame = FrameMaker(av, (34, 18), "yuv420p").frame(np.full((18, 34, 3), colour, np.uint8))
    assert [set(np.unique(plane)) for plane in planes(frame)] == [{value} for value in expected]
    assert (int(frame.colorspace), int(frame.color_range)) == (1, 1), "and it says so"


@pytest.mark.parametrize("size", [(320, 180), (98, 54), (1280, 722)])  # also where a row is longer than its pixels
def test_ours_is_what_ffmpeg_makes(size: tuple[int, int]) -> None:
    """Rows padded or not: no sheared picture; colour in the same place; nothing off by more than rounding."""
    pixels = clouds(*size)
    ours = planes(FrameMaker(av, size, "yuv420p").frame(pixels))
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    theirs = planes(frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG", threads=1))
    for plane, other in zip(ours, theirs, strict=True):
        apart = np.abs(plane - other)
        assert apart[:, 2:-2].max() <= 3
        assert apart.mean() < 0.5
    assert not np.array_equal(ours[1], ours[1][:, ::-1])


def test_other_layouts_keep_their_depth() -> None:
    frame = FrameMaker(av, (64, 36), "yuv422p10le").frame(clouds(64, 36))
    assert (frame.format.name, frame.width, frame.height) == ("yuv422p10le", 64, 36)
    assert 600 < frame.to_ndarray(format="gray10le").max() <= 940, "ten bits, in the video range"


def test_a_view_of_a_larger_picture_will_do() -> None:
    pixels = clouds(128, 72)
    maker = FrameMaker(av, (64, 36), "yuv420p")
    part, whole = maker.frame(pixels[10:46, 20:84]), maker.frame(pixels[10:46, 20:84].copy())
    assert all(np.array_equal(a, b) for a, b in zip(planes(part), planes(whole), strict=True))


def test_a_small_picture_is_enlarged_in_place() -> None:
    """As well as by OpenCV's Lanczos filter, from which it is told by rounding only, and nothing has moved."""
    small = clouds(160, 90)
    large = np.asarray(cv2.resize(small, (320, 180), interpolation=cv2.INTER_LANCZOS4), np.uint8)
    maker = FrameMaker(av, (320, 180), "yuv420p")
    for made, other in zip(planes(maker.frame(small)), planes(maker.frame(large)), strict=True):
        assert np.abs(made - other).mean() < 0.5
        assert np.abs(made - other).max() <= 6
