"""A few seconds of a film as a GIF or a WebM, to send to somebody."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vjengine.errors import RecordError, UsageError
from vjengine.offline import disk
from vjengine.offline.clipfile import ClipInfo, clip_info, read_clip
from vjengine.offline.preview.drawing import check_folder, load_pillow, whole_file
from vjengine.outputs.codecs import load_av, reason

LONGEST_GIF = 20.0
"""s of a GIF, which holds whole pictures and is held in memory while it is made."""
_GIF_FPS = 25
_THREADS = 2

Pixels = npt.NDArray[np.uint8]


def check_snippet(out: Path, length: float) -> None:
    """Refuse what cannot be made, before a film is rendered for it.

    Raises:
        UsageError: for another kind of file, or a GIF that is too long.
        RecordError: if the folder is not there.
    """
    kind = out.suffix.lower()
    if kind not in (".gif", ".webm"):
        raise UsageError(f"{out}: a snippet's name must end in .gif or .webm")
    if kind == ".gif" and length > LONGEST_GIF:
        raise UsageError(f"a GIF of {length:g} s: at most {LONGEST_GIF:g} s; a .webm may be longer")
    check_folder(out)


def snippet(film: Path, out: Path, at: float = 0.0, length: float = 4.0, *, width: int = 480) -> int:
    """Write ``length`` s of ``film`` from ``at`` s on to ``out``, without sound; return how many pictures it has.

    A snippet that would run past the end begins earlier, and is as long as the film at most. The same film gives the
    same bytes.

    Args:
        film: a film of any kind.
        out: ``.gif`` (at most :data:`LONGEST_GIF` s and 25 pictures a second) or ``.webm`` (VP9).
        at, length: s.
        width: px; never wider than the film.

    Raises:
        UsageError: for another kind of file, or a beginning past the film's end.
        RecordError: if the film cannot be read or the snippet cannot be written.
    """
    check_snippet(out, length)
    info = clip_info(film)
    seconds = float(info.duration)
    if at >= seconds > 0.0:
        raise UsageError(f"{film} lasts {seconds:.1f} s: there is no snippet at {at:g} s")
    count = max(1, min(info.frames, round(length * info.fps)))
    first = max(0, min(round(at * info.fps), info.frames - count))
    pictures = _small(film, info, first, first + count, width)
    gif = out.suffix.lower() == ".gif"
    with whole_file(out) as temporary:
        return _gif(pictures, info.fps, temporary) if gif else _webm(pictures, info.fps, temporary)


def _small(film: Path, info: ClipInfo, start: int, stop: int, width: int) -> Iterator[Pixels]:
    import cv2

    across = min(width, info.size[0]) // 2 * 2
    down = max(2, round(across * info.size[1] / info.size[0] / 2) * 2)
    for pixels in read_clip(film, start, stop):
        yield np.asarray(cv2.resize(pixels, (across, down), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _gif(pictures: Iterator[Pixels], fps: Fraction, out: Path) -> int:
    image = load_pillow()
    every = max(1, round(fps / _GIF_FPS))
    kept = [image.fromarray(pixels) for n, pixels in enumerate(pictures) if n % every == 0]
    # A GIF counts in hundredths of a second: the error is carried on, so that the whole has its length.
    ends = [round(1000 * (n + 1) * every / fps / 10) * 10 for n in range(len(kept))]
    steps = [max(20, end - before) for before, end in zip([0, *ends], ends, strict=False)]
    first = kept[0]
    first.save(out, "GIF", save_all=True, append_images=kept[1:], duration=steps, loop=0, optimize=False)
    return len(kept)


def _webm(pictures: Iterator[Pixels], fps: Fraction, out: Path) -> int:
    av = load_av()
    count = 0
    try:
        with av.open(str(out), "w", format="webm", options={"fflags": "+bitexact"}) as container:
            stream: Any = None
            for pixels in pictures:
                if stream is None:
                    stream = container.add_stream("libvpx-vp9", rate=fps)
                    stream.width, stream.height, stream.pix_fmt = pixels.shape[1], pixels.shape[0], "yuv420p"
                    stream.options = {
                        "crf": "30", "b": "0", "deadline": "good", "cpu-used": "5", "row-mt": "0",
                        "threads": str(_THREADS),
                    }  # fmt: skip
                    stream.codec_context.flags |= 1 << 23  # bit-exact: no version in the file
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = count, 1 / fps
                container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709")))
                count += 1
            if stream is not None:
                container.mux(stream.encode(None))
    except (av.FFmpegError, ValueError) as error:
        if disk.is_full(error):
            raise disk.full(out) from error
        raise RecordError(f"the snippet cannot be written: {reason(error)}; try a .gif") from error
    return count
