"""How far a long work is, when it will be done, and how it is left so that it can go on."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

PATIENCE = 0.7
"""s that whatever is at work gets to notice that it is to stop, before it is stopped where it stands."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a work is.

    Attributes:
        done: pictures there are, those of an earlier run among them.
        total: pictures there will be.
        elapsed: s of wall time of this run.
        words: what is being done.
        reused: pictures of an earlier run; they cost no time now.
        rate: pictures a second lately; 0 leaves it to ``elapsed``.
    """

    done: int
    total: int
    elapsed: float
    words: str = ""
    reused: int = 0
    rate: float = 0.0

    @property
    def fraction(self) -> float:
        """Share done, 0-1."""
        return min(1.0, self.done / self.total) if self.total > 0 else 1.0

    @property
    def remaining(self) -> float | None:
        """Estimate of the s still to go, from what was really made in this run; None before anything was."""
        left = max(0, self.total - self.done)
        if not left:
            return 0.0
        if self.rate > 0.0:
            return left / self.rate
        made = self.done - self.reused
        return self.elapsed / made * left if made > 0 else None

    def __str__(self) -> str:
        left = self.remaining
        eta = "" if left is None else f", {span(left)} left"
        words = f"{self.words}: " if self.words else ""
        return f"{words}{self.done} of {self.total} ({self.fraction:.0%}){eta}"


class Meter:
    """Measures a work that tells it how far it is.

    What was reused counts as done, and not as fast. Lately counts: a machine that got slower an hour ago is slow.

    Args:
        total: pictures there will be.
        reused: pictures that an earlier run left.
        window: s that count as lately, at the least; never less than the last two tellings.
    """

    def __init__(
        self, total: int, reused: int = 0, *, window: float = 60.0, now: Callable[[], float] = time.perf_counter
    ) -> None:
        self.total = total
        self.reused = reused
        self._now = now
        self._window = window
        self._began = now()
        self._marks: deque[tuple[float, int]] = deque([(self._began, reused)])

    def at(self, done: int, words: str = "") -> Progress:
        """Return the progress with ``done`` of the pictures there."""
        now = self._now()
        if done != self._marks[-1][1]:
            self._marks.append((now, done))
        while len(self._marks) > 2 and self._marks[1][0] < now - self._window:
            self._marks.popleft()
        since, before = self._marks[0]
        rate = (done - before) / (now - since) if done > before and now > since else 0.0
        return Progress(done, self.total, now - self._began, words, self.reused, rate)


def span(seconds: float) -> str:
    """Return a length of time as one says it: ``"40 s"``, ``"12 min"``, ``"3 h 05 min"``."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"


class Interrupt:
    """Turns Ctrl-C (and a polite kill) into an orderly end, while ``with`` it.

    The first one says that the work can go on later, and how, and asks it to stop: :meth:`check` and :meth:`alive`
    raise :class:`KeyboardInterrupt`. A work that does not ask in time is stopped where it stands, but never inside
    :meth:`finishing`. The second one leaves at once.

    Args:
        go_on: the command that goes on.
        say: told what happens, in one line.
        doing: told what is being done and how far it is (0-1, or -1); so this is a
            :class:`~vjengine.offline.continuation.Watcher`.
    """

    def __init__(
        self,
        go_on: str,
        say: Callable[[str], None],
        doing: Callable[[str, float], None] = lambda words, fraction: None,
    ) -> None:
        self.go_on = go_on
        self._say = say
        self._doing = doing
        self._asked = threading.Event()
        self._late = False
        self._finishing = 0
        self._before: dict[int, Any] = {}
        self._left = threading.Event()
        self._nagging: threading.Thread | None = None

    @property
    def asked(self) -> bool:
        """The work is to stop."""
        return self._asked.is_set()

    def ask(self) -> None:
        """Ask the work to stop, as Ctrl-C does, but only where it checks."""
        self._asked.set()

    def check(self) -> None:
        """Raise KeyboardInterrupt if the work is to stop."""
        if self._asked.is_set():
            raise KeyboardInterrupt

    def alive(self, doing: str, fraction: float = -1.0) -> None:
        """Show what is being done, and stop it if it is to stop.

        Raises:
            KeyboardInterrupt: if the work is to stop.
        """
        self.check()
        self._doing(doing, fraction)

    def wait(self, seconds: float) -> None:
        """Wait, unless the work is to stop.

        Raises:
            KeyboardInterrupt: if it is.
        """
        self._asked.wait(seconds)
        self.check()

    @contextlib.contextmanager
    def finishing(self) -> Iterator[None]:
        """Let a short write come to its end first; the work stops right behind it."""
        self._finishing += 1
        try:
            yield
        finally:
            self._finishing -= 1
        if not self._finishing:
            self.check()

    def __enter__(self) -> Interrupt:
        self._left.clear()
        if threading.current_thread() is threading.main_thread():  # elsewhere signals cannot be taken
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        if self._nagging is not None:
            self._nagging.join()
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before.clear()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._late:  # our own timer: whoever is at work did not ask
            self._late = False
            if self._finishing:
                return
            raise KeyboardInterrupt
        if self._asked.is_set():
            raise KeyboardInterrupt
        self._asked.set()
        # Not from here: the work may be in the middle of a print, which cannot be begun a second time.
        self._nagging = threading.Thread(target=self._nag, name="leaving", daemon=True)
        self._nagging.start()

    def _nag(self) -> None:
        self._say(f"stopping; what is finished stays. To go on: {self.go_on}")
        if self._left.wait(PATIENCE):
            return
        self._late = True
        if hasattr(signal, "pthread_kill"):  # wakes the main thread also out of a wait
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        else:
            signal.raise_signal(signal.SIGINT)
