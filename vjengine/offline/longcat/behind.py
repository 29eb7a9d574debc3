"""Writing behind the painting: a chunk is encoded, hashed and made safe by a thread of its own, while the next is made.

One chunk at a time: whoever hands over the next waits for the one before. So chunks appear on the disk in their order,
and memory is that of one chunk more, whatever the length. Encoder, hashes and disk work outside of Python's lock, so
they really run beside the painting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from vjengine.offline.pieces import Piece
from vjengine.offline.progress import Interrupt

_POLL = 0.05
"""s between two looks at whether the work is to stop: not every system wakes a waiting thread for Ctrl-C."""


class Behind:
    """One piece being written, at most. A context manager: it is left with everything written, or with why not.

    It is also a :class:`~vjengine.offline.continuation.Watcher`, so that the painting learns of a full disk at once and
    not when it is done.

    Args:
        keeper: asked whether to go on.
        written: told of each piece once it is safe, in order, by the thread that hands over.
    """

    def __init__(self, keeper: Interrupt, written: Callable[[Piece], None]) -> None:
        self._keeper = keeper
        self._written = written
        self._thread = ThreadPoolExecutor(1, "film writer")
        self._writing: Future[Piece] | None = None
        self._leave = threading.Event()

    def check(self) -> None:
        """Raise what went wrong with the writing, or KeyboardInterrupt if the work is to stop."""
        if self._writing is not None and self._writing.done() and self._writing.exception() is not None:
            self._collect()
        self._keeper.check()

    def alive(self, doing: str, fraction: float = -1.0) -> None:
        """As :meth:`check`, and show what is being done and how far it is (0-1, or -1)."""
        self.check()
        self._keeper.alive(doing, fraction)

    def hand(self, write: Callable[[Callable[[], None]], Piece]) -> None:
        """Let ``write`` be called beside what follows; waits for what was handed over before.

        Args:
            write: writes a piece and returns it. What it is given is to be called often: it raises KeyboardInterrupt
                if the writing is to be given up half way. Nothing that it reads may change from here on.

        Raises:
            RecordError: if the writing before this failed; ``write`` is not called then.
            KeyboardInterrupt: if the work is to stop; likewise.
        """
        self.finish()
        self._keeper.check()
        self._writing = self._thread.submit(write, self._still)

    def finish(self) -> None:
        """Wait until everything that was handed over is safe.

        Raises:
            RecordError: if it cannot be.
            KeyboardInterrupt: if the work is to stop.
        """
        while self._writing is not None and not wait((self._writing,), _POLL).done:
            self._keeper.check()
        self._collect()

    def __enter__(self) -> Behind:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            try:
                # However the painting ended, what it handed over before is finished work.
                with self._keeper.finishing():
                    while self._writing is not None and not wait((self._writing,), _POLL).done:
                        pass
                    self._collect()
            finally:
                # After a second Ctrl-C there is no more patience; but nobody may write on in a folder that is let go.
                self._leave.set()
                self._thread.shutdown()

    def _collect(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            self._written(writing.result())

    def _still(self) -> None:
        if self._leave.is_set():
            raise KeyboardInterrupt
