"""From pixels to the frame that an encoder takes: BT.709 over the video range, colour at half the size.

FFmpeg's own conversion takes as long as a fast encoder's fifth of the work. For the format of most films it is the same
three sums a pixel, so it is done here with OpenCV in less than half the time; all other formats are left to FFmpeg.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Pixels8 = npt.NDArray[np.uint8]

_RED, _BLUE = 0.2126, 0.0722  # ITU-R BT.709-6, 3.2: what each adds to the luma; green is the rest
_LUMA, _CHROMA = 219 / 255, 224 / 255  # of the 8-bit range, section 4.6
_GREEN = 1.0 - _RED - _BLUE
_U, _V = _CHROMA / (2.0 - 2.0 * _BLUE), _CHROMA / (2.0 - 2.0 * _RED)
_YUV = np.array(
    [
        (_LUMA * _RED, _LUMA * _GREEN, _LUMA * _BLUE, 16.0),
        (-_U * _RED, -_U * _GREEN, _U * (1.0 - _BLUE), 128.0),
        (_V * (1.0 - _RED), -_V * _GREEN, -_V * _BLUE, 128.0),
    ],
    np.float32,
)


def video_frame(av: Any, pixels: Pixels8, layout: str) -> Any:
    """Return a picture as a frame of FFmpeg's pixel format ``layout``, in BT.709 over the video range.

    Args:
        av: the module.
        pixels: ``(H, W, 3)`` uint8 sRGB; both sides even where colour is kept at half the size.
        layout: ``"yuv420p"``, ``"yuv422p10le"`` …
    """
    height, width = pixels.shape[:2]
    if layout != "yuv420p" or height % 2 or width % 2:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        return frame.reformat(format=layout, dst_colorspace="ITU709", dst_color_range="MPEG")
    frame = av.VideoFrame(width, height, layout)
    frame.colorspace = frame.color_range = 1  # AVCOL_SPC_BT709, AVCOL_RANGE_MPEG
    yuv = cv2.transform(np.ascontiguousarray(pixels), _YUV)
    cv2.extractChannel(yuv, 0, _plane(frame, 0))
    # The mean of four, so colour sits in the middle of them, as FFmpeg has it.
    half = cv2.resize(yuv, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    for k in (1, 2):
        cv2.extractChannel(half, k, _plane(frame, k))
    return frame


def _plane(frame: Any, k: int) -> Pixels8:
    """Return plane ``k`` of a frame to be written into, ``(H, W)`` or half of it."""
    plane = frame.planes[k]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]
