"""Pictures on their way to a server and back: 16-bit PNG out; PNG, JPEG, WebP or a video in, each one checked."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from vjengine.errors import BackendError, VJError
from vjengine.offline.clips import read_clip16, to16
from vjengine.offline.continuation import Pixels16

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
VIDEOS = (".mp4", ".webm", ".mkv", ".mov", ".gif")
MAX_PIXELS = 64_000_000
"""Largest picture that is decoded: a small file can claim to be huge."""
MAX_FRAMES = 1024
"""Most pictures taken from one answer."""


def to_png16(picture: Pixels16) -> bytes:
    """Return ``picture`` ``(H, W, 3)`` as a PNG of 16 bits a channel."""
    done, data = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not done:
        raise BackendError("a picture cannot be written as PNG")
    return bytes(data)


def from_bytes(data: bytes, name: str, size: tuple[int, int]) -> Pixels16:
    """Return the picture in ``data`` as ``(1, H, W, 3)``.

    Args:
        data: the file as downloaded.
        name: how to call it in a message.
        size: (width, height) that it must have.

    Raises:
        BackendError: not a picture, broken, or of another size.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as head:
                here = head.size
                if here[0] * here[1] <= MAX_PIXELS:
                    # OpenCV makes a grey rest of what is missing; this one refuses.
                    head.load()
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BackendError(f"{name} is not a whole picture ({_looks_like(data)})", retry=True) from error
    if here[0] * here[1] > MAX_PIXELS:
        raise BackendError(f"{name} is {here[0]}x{here[1]}: too large")
    check_size(here, size, name)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error:
        pixels = None
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        raise BackendError(f"{name} is a broken picture ({len(data):,} bytes)", retry=True)
    pixels = np.ascontiguousarray(pixels[None, ..., ::-1])
    return pixels if pixels.dtype == np.uint16 else to16(pixels)


def from_video(path: Path, name: str, size: tuple[int, int]) -> Pixels16:
    """Return the pictures of the video ``path`` as ``(n, H, W, 3)``.

    Raises:
        BackendError: not a video, broken, empty, too long or of another size.
    """
    frames: list[Pixels16] = []
    try:
        for pixels in read_clip16(path):
            check_size((pixels.shape[1], pixels.shape[0]), size, name)
            frames.append(pixels)
            if len(frames) > MAX_FRAMES:
                raise BackendError(f"{name} has more than {MAX_FRAMES} pictures")
    except BackendError:
        raise
    except VJError as error:
        raise BackendError(f"{name} is not a video that can be read: {error}", retry=True) from error
    if not frames:
        raise BackendError(f"{name} holds no picture", retry=True)
    return np.stack(frames)


def check_size(here: tuple[int, int], size: tuple[int, int], name: str) -> None:
    """Refuse a picture that is not the film's size.

    Raises:
        BackendError: it is not.
    """
    if here != size:
        raise BackendError(
            f"{name} is {here[0]}x{here[1]}, the film {size[0]}x{size[1]}: use {{{{width}}}} and {{{{height}}}} in the "
            "template, or set the film's `size:` to what the model makes"
        )


def _looks_like(data: bytes) -> str:
    head = data[:64].lstrip().lower()
    if head.startswith((b"<!doctype", b"<html")):
        return "a web page"
    if head.startswith((b"{", b"[")):
        return "JSON"
    return f"{len(data):,} bytes of something else" if data else "nothing"
