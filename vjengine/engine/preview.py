"""The programme as a small JPEG for the performer's page, made only while somebody looks.

The present loop shrinks the picture and fetches it in the frames after; what takes time, the compression, is another
thread's.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from vjengine.compose.glance import Glance
from vjengine.core.frame import Pixels
from vjengine.engine.keeper import use_one_thread

if TYPE_CHECKING:
    import moderngl

log = logging.getLogger(__name__)

RATE, RATE_BY_CPU = 12.0, 8.0
"""Pictures a second at most; fewer where a CPU draws them."""
WIDEST, WIDEST_BY_CPU = 480, 320
"""px: longer side of a picture, likewise."""
TAPS, TAPS_BY_CPU = 6, 2
"""Pixels across that one of the picture is the mean of, at most; likewise."""
QUALITY = 70
"""Of the JPEG, 0-100: some 10 to 20 kB a picture."""


class Preview:
    """Makes the pictures. Use it as a context manager, on the thread of ``ctx``.

    Args:
        ctx: the context the programme is drawn in.
        size: (width, height) of the programme in px.
        shaders: the folder that holds ``compositor/``.
        by_cpu: a CPU draws: make do with less.

    Attributes:
        wanted: somebody looks; any thread may set it. While False, :meth:`see` does nothing.
        made: pictures so far.
    """

    def __init__(self, ctx: moderngl.Context, size: tuple[int, int], shaders: Path, *, by_cpu: bool = False) -> None:
        # Before any process is started, see there.
        use_one_thread()
        self.wanted = False
        self.made = 0
        self._every = 1.0 / (RATE_BY_CPU if by_cpu else RATE)
        self._due = 0.0
        widest, taps = (WIDEST_BY_CPU, TAPS_BY_CPU) if by_cpu else (WIDEST, TAPS)
        self._glance = Glance(ctx, size, widest, shaders, taps)
        self._jpeg: bytes | None = None
        self._next: tuple[int, Pixels] | None = None
        self._looking = False
        self._looks = 0
        self._news = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._run, name="preview", daemon=True)

    def __enter__(self) -> Preview:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        self._news.set()
        self._thread.join(2.0)
        self._glance.release()

    def see(self, programme: moderngl.Texture, now: float) -> None:
        """Take a picture of ``programme`` if one is due at session time ``now`` (s).

        Call it once a frame, between drawing and waiting for it.
        """
        if not self.wanted:
            if self._looking:
                self._looking, self._jpeg = False, None
                self._glance.drop()
            return
        if not self._looking:
            # What was seen for an earlier look is not shown to this one.
            self._looking, self._looks = True, self._looks + 1
        pixels = self._glance.step()
        if pixels is not None:
            # One that the other thread had no time for is replaced.
            self._next = self._looks, pixels
            self._news.set()
        if now >= self._due:
            self._due = max(self._due + self._every, now)
            self._glance.start(programme)

    def latest(self) -> bytes | None:
        """Return the newest picture as a JPEG, the same object until there is a newer one; None while none is wanted.

        Any thread may call it.
        """
        return self._jpeg if self.wanted else None

    def _run(self) -> None:
        try:
            while True:
                self._news.wait()
                self._news.clear()
                if self._over:
                    return
                taken, self._next = self._next, None
                if taken is not None:
                    self._compress(*taken)
        except Exception:
            log.exception("the preview has ended; the show goes on")

    def _compress(self, look: int, pixels: Pixels) -> None:
        import cv2

        done, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGR), (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
        if done and self._looking and look == self._looks:
            self.made += 1
            self._jpeg = data.tobytes()
