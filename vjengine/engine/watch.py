"""The stabiliser in a show: sees every frame of the generator, and sends it corrections with its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from vjengine.core.exchange import EventQueue
from vjengine.core.frame import Frame
from vjengine.core.generation import GeneratorParams
from vjengine.engine.aside import Aside, InPlace, OnThread
from vjengine.engine.keeper import Keeper, Make, make_stabiliser
from vjengine.engine.metrics_log import GENERATOR, MetricsLog, SourceLog, header
from vjengine.generate.base import GeneratorSpec
from vjengine.generate.registry import feeds_back

REMEMBERED = 256
"""Parameters kept until their frame comes: four seconds' at 60 a second."""


class ParamsMemory:
    """The last parameters submitted, to be found by their sequence number. One writer, one reader in another thread."""

    def __init__(self, size: int = REMEMBERED) -> None:
        self._slots: list[GeneratorParams | None] = [None] * size
        self._newest = 0

    def keep(self, params: GeneratorParams) -> None:
        """Remember ``params``."""
        self._slots[params.sequence % len(self._slots)] = params
        self._newest = params.sequence

    def find(self, sequence: int) -> GeneratorParams | None:
        """Return the parameters of that number; of a frame that took too long, the oldest there are.

        None if there are none yet, or they were never submitted.
        """
        size = len(self._slots)
        newest = self._newest
        if not 0 < sequence <= newest:
            return None
        found = self._slots[sequence % size]
        if found is not None and found.sequence == sequence:
            return found
        # The writer may be about to replace the very oldest.
        return self._slots[max(sequence, newest - size + 2) % size]


class Watch:
    """Looks at the frames of a generator, live on a thread of its own, offline in place.

    Whoever has the frames gives each to :meth:`see`; the session puts what came of it on the parameters that it
    submits. A generator that does not feed on its own pictures is only watched, and only if there is a log of it. One
    that does is watched at any ``stabilise.amount``: who turns it up in need must find the scene's own anchor there.

    Frames of another generator (the supervisor fell back to the built-in one) start anew. Those of the same one in a
    new process go on, with the scene's anchor; only its picture is gone with the old process, so the next picture that
    is well becomes the one to come back to.

    Args:
        events: where its words go.
        metrics: where its verdicts go; it stays the caller's.
        live: on a thread of its own.
        loops: tells by name whether a generator feeds on its own pictures.
        lives: tells how often the generator's process was started anew; asked on the thread that calls :meth:`see`.
        make: makes what judges the pictures.

    Attributes:
        keeper: what came of it.
        metrics: the log, for others who have something to tell; None if there is none.
    """

    def __init__(
        self,
        events: EventQueue,
        *,
        metrics: MetricsLog | None = None,
        live: bool,
        loops: Callable[[str], bool] = feeds_back,
        lives: Callable[[], int] = lambda: 0,
        make: Make = make_stabiliser,
    ) -> None:
        self.metrics = metrics
        self._source = SourceLog(metrics, GENERATOR) if metrics is not None else None
        self.keeper = Keeper("stabiliser", events, metrics=self._source, make=make)
        self._loops = loops
        self._lives = lives
        self._memory = ParamsMemory()
        self._generator = ""
        self._last = 0
        self._life = 0
        self._watched = False
        self._aside: Aside[tuple[Frame, int]] = OnThread(self._look, "stabiliser") if live else InPlace(self._look)

    def attach(self, params: GeneratorParams) -> GeneratorParams:
        """Return ``params`` with the newest correction, and remember them. The session's thread calls this."""
        params = replace(params, correction=self.keeper.correction.read())
        self._memory.keep(params)
        return params

    def see(self, frame: Frame) -> None:
        """Take note of a new frame. Live this returns at once, and of several that wait the newest is looked at."""
        self._aside.hand((frame, self._lives()))

    def stop(self) -> None:
        """Look at nothing more."""
        self._aside.stop()

    def summary(self) -> dict[str, Any]:
        """Return the figures that ``--stats`` writes."""
        skipped = self._aside.skipped if isinstance(self._aside, OnThread) else 0
        return {**self.keeper.summary(), "skipped": skipped}

    @property
    def dropped(self) -> dict[str, int]:
        """Lines of the log that were lost to a slow disk, if there is a log."""
        return {"metrics_lines": self.metrics.lost} if self.metrics is not None else {}

    def _look(self, seen: tuple[Frame, int]) -> None:
        frame, life = seen
        if life != self._life:
            self._life = life
            self.keeper.renew()
        if frame.generator != self._generator:
            self._change(frame)
        if not self._watched or frame.sequence <= self._last:
            return
        params = self._memory.find(frame.params_sequence)
        if params is None:
            return
        self._last = frame.sequence
        self.keeper.look(frame.pixels, params, frame.sequence)

    def _change(self, frame: Frame) -> None:
        loops = self._loops(frame.generator)
        if self._generator and self._source is not None:
            self._source.note("generator", time=round(frame.made_for, 4), generator=frame.generator)
        self._generator, self._last = frame.generator, 0
        self._watched = loops or self._source is not None
        if self._watched:
            self.keeper.begin(correct=loops, time=frame.made_for)
        else:
            self.keeper.end(frame.made_for)


@contextmanager
def watching(
    spec: GeneratorSpec,
    events: EventQueue,
    metrics: Path | None,
    *,
    live: bool,
    lives: Callable[[], int] = lambda: 0,
) -> Iterator[Watch | None]:
    """Make the watch that the generator of ``spec`` needs, None if it needs none; end it and its log at the end.

    Args:
        spec: the generator.
        events: where words for the HUD go.
        metrics: file for the log; None for no log.
        live: on a thread of its own; False looks in place.
        lives: see :class:`Watch`.

    Raises:
        RecordError: if the log cannot be written.
    """
    if metrics is None and not feeds_back(spec.name):
        yield None
        return
    log = None
    if metrics is not None:
        log = MetricsLog(metrics, header(spec.name, spec.seed, spec.size), events, live=live)
    try:
        watch = Watch(events, metrics=log, live=live, lives=lives)
        try:
            yield watch
        finally:
            watch.stop()
    finally:
        if log is not None:
            log.close()
