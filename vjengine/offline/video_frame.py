"""From pixels to the frame that an encoder takes: BT.709 over the video range, colour at half the size.

FFmpeg's own conversion of a large picture takes a quarter of the time of a fast encoder. For the format of most films
it is three sums a pixel, so OpenCV does them in less than half of that; other formats are left to FFmpeg. So are
pictures that are to be enlarged on the way: it converts the few pixels there are, and its Lanczos filter makes one and
a half planes of them instead of three, ten times as fast as OpenCV's.
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


class FrameMaker:
    """Makes frames of one size and pixel format, in BT.709 over the video range.

    Args:
        av: the module.
        size: (width, height) of the frames, px; both even where colour is kept at half the size.
        layout: FFmpeg's name of the pixel format, ``"yuv420p"``, ``"yuv422p10le"`` …
    """

    def __init__(self, av: Any, size: tuple[int, int], layout: str) -> None:
        self._av = av
        self._size = size
        self._layout = layout
        self._sums = layout == "yuv420p" and not (size[0] % 2 or size[1] % 2)
        # Kept: the filter's tables are worked out once a film.
        self._converter = av.video.reformatter.VideoReformatter()

    def frame(self, pixels: Pixels8) -> Any:
        """Return a picture ``(H, W, 3)`` uint8 sRGB as a frame; of another size, it is filtered to the frames' own."""
        width, height = self._size
        if not self._sums or pixels.shape[:2] != (height, width):
            frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            return self._converter.reformat(
                frame,
                width=width,
                height=height,
                format=self._layout,
                dst_colorspace="ITU709",
                dst_color_range="MPEG",
                interpolation="BILINEAR" if pixels.shape[:2] == (height, width) else "LANCZOS",
            )
        frame = self._av.VideoFrame(width, height, self._layout)
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
