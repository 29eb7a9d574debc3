"""Which video encoder there is on this machine, and how each is set up."""

from __future__ import annotations

import os
from fractions import Fraction
from functools import cache
from typing import Any

from vjengine.errors import MissingDependency, RecordError

_AVX512_SKX = 256
"""OpenCV's number, which its Python does not name, for the AVX-512 of Skylake servers: the one that x264 uses."""


def load_av() -> Any:
    """Return the ``av`` module, imported when the first recording starts.

    Raises:
        MissingDependency: if it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise MissingDependency("PyAV (video encoding)", "pip install av") from error
    return av


def configure_video(context: Any, size: tuple[int, int], fps: Fraction) -> None:
    """Set what does not depend on the encoder: size, rate, colours; no reordering, a key frame every 2 s."""
    context.width, context.height = size
    context.pix_fmt = "yuv420p"
    context.framerate = fps
    context.time_base = 1 / fps
    context.gop_size = max(1, round(2 * fps))
    context.max_b_frames = 0  # nothing is reordered, so no player can get the start of the picture wrong
    # AVCOL_*_BT709 and AVCOL_RANGE_MPEG
    context.color_range = context.colorspace = context.color_primaries = context.color_trc = 1


def video_options(codec: str, crf: int, preset: str) -> dict[str, str]:
    """Return an encoder's own options for constant quality ``crf``."""
    if codec == "libx264":
        return {"crf": str(crf), "preset": preset, **x264_params()}
    if codec == "h264_nvenc":
        return {"rc": "vbr", "cq": str(crf), "b": "0", "preset": "p4"}
    return {}


def x264_params(*wanted: str) -> dict[str, str]:
    """Return the option of libx264 that holds its own parameters ``wanted``, and what the same bytes every time take.

    On processors with AVX-512 the block tree of x264's rate control now and then gives another result for the same
    pictures: one in a hundred of our small clips, one in three where pictures are reordered. With AVX2 it never does,
    and is no slower.
    """
    params = [*wanted, "asm=AVX2"] if _has_avx512() else list(wanted)
    return {"x264-params": ":".join(params)} if params else {}


@cache
def _has_avx512() -> bool:
    import cv2  # not needed by a show that records nothing

    return bool(cv2.checkHardwareSupport(_AVX512_SKX))


def choose_codec(codec: str, size: tuple[int, int], fps: Fraction) -> str:
    """Return the encoder to use; ``"auto"`` tries the graphics card by really opening it, then x264.

    Data-centre cards have the driver but no encoder, so being listed means nothing.

    Raises:
        RecordError: if the named encoder cannot be opened here.
    """
    av = load_av()
    if codec == "auto":
        return "h264_nvenc" if _opens(av, "h264_nvenc", size, fps) is None else "libx264"
    fault = _opens(av, codec, size, fps)
    if fault is not None:
        raise RecordError(f"the encoder {codec!r} does not open for {size[0]}x{size[1]}: {fault}; use codec 'auto'")
    return codec


def _opens(av: Any, codec: str, size: tuple[int, int], fps: Fraction) -> str | None:
    """Return None if the encoder opens, else why not."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.PANIC)  # a missing card is no news
    try:
        context = av.CodecContext.create(codec, "w")
        configure_video(context, size, fps)
        context.options = video_options(codec, 18, "veryfast")
        context.open()
    except (av.FFmpegError, OSError, ValueError) as error:
        return reason(error)
    finally:
        av.logging.set_level(level)
    return None


def reason(error: BaseException) -> str:
    """Return an operating-system or codec error in a few words."""
    number = getattr(error, "errno", None)
    if isinstance(error, OSError) and isinstance(number, int) and 0 < number < 1000:
        return os.strerror(number)
    return " ".join(str(error).split())[:200] or type(error).__name__
