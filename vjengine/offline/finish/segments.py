"""A finished film in segments: each is made by itself, by this process or by others, and is the same either way."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2

from vjengine.errors import RecordError, VJError
from vjengine.offline.finish.encoders import Encoder, FilmWriter
from vjengine.offline.finish.pictures import Recipe, pictures
from vjengine.offline.manifest import PieceStore

_LOOK = 0.2  # s between two looks at how far the others are


@dataclass(frozen=True, slots=True)
class Job:
    """One segment to make: pictures ``start`` to ``stop`` of ``recipe``, encoded into ``folder``."""

    recipe: Recipe
    encoder: Encoder
    crf: int | None
    fps: Fraction
    start: int
    stop: int
    folder: Path


class _Stopped(Exception):
    """The segment is not wanted any more."""


def make_segment(job: Job, tick: Callable[[], None]) -> int:
    """Make one segment; return its pictures. ``tick`` is called after each, and may raise to leave.

    Raises:
        VJError: if the film is broken, a part is missing or the disk refuses.
    """
    with FilmWriter(job.folder, job.encoder, job.recipe.size, job.fps, job.crf) as writer:
        for picture in pictures(job.recipe, job.start, job.stop, sized=False):
            writer.write(picture)
            tick()
    return writer.frames


def make_all(
    store: PieceStore,
    jobs: Sequence[tuple[int, Recipe, int, int]],
    encoder: Encoder,
    crf: int | None,
    key: Callable[[int], str],
    processes: int,
    tell: Callable[[int], None],
) -> None:
    """Make the segments ``jobs`` (index, recipe, start, stop) and keep them in ``store``, in order.

    Args:
        store: where they go.
        jobs: what is missing, in order.
        encoder, crf: how they are encoded.
        key: what a segment's piece is kept under.
        processes: how many are made at a time; with one, all is done in this process.
        tell: told, often, how many pictures were made; may raise to leave.

    Raises:
        VJError: as :func:`make_segment`; what was finished stays.
    """
    if processes <= 1 or len(jobs) <= 1:
        done = 0

        def tick() -> None:
            nonlocal done
            done += 1
            tell(done)

        for index, recipe, start, stop in jobs:
            with store.begin(index, key(index)) as work:
                fps = recipe.cadence.fps
                work.commit(make_segment(Job(recipe, encoder, crf, fps, start, stop, work.folder), tick))
        return
    _spread(store, jobs, encoder, crf, key, processes, tell)


def _spread(
    store: PieceStore,
    jobs: Sequence[tuple[int, Recipe, int, int]],
    encoder: Encoder,
    crf: int | None,
    key: Callable[[int], str],
    processes: int,
    tell: Callable[[int], None],
) -> None:
    context = multiprocessing.get_context("spawn")
    made, stop_flag = context.Value("q", 0), context.Event()
    with contextlib.ExitStack() as stack:
        pool = ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(made, stop_flag))
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        stack.callback(stop_flag.set)
        todo: Iterator[tuple[int, Recipe, int, int]] = iter(jobs)
        running: dict[int, tuple[Future[int], Any, contextlib.ExitStack]] = {}
        oldest = jobs[0][0]
        while True:
            while len(running) < 2 * processes and (job := next(todo, None)) is not None:
                index, recipe, start, stop = job
                own = stack.enter_context(contextlib.ExitStack())
                work = own.enter_context(store.begin(index, key(index)))
                wanted = Job(recipe, encoder, crf, recipe.cadence.fps, start, stop, work.folder)
                running[index] = pool.submit(_make, wanted), work, own
            if not running:
                return
            # In order: what is kept is a beginning of the film at any moment, and the same whoever was quicker.
            future, work, own = running[oldest]
            wait([future], timeout=_LOOK, return_when=FIRST_COMPLETED)
            tell(made.value)
            if not future.done():
                continue
            try:
                work.commit(future.result())
            except BrokenProcessPool as error:
                raise RecordError(
                    "a process that made a part of the film was ended from outside, perhaps for want of memory. "
                    "Nothing that was finished is lost: give the same command again, or make do with --jobs 1"
                ) from error
            own.close()
            del running[oldest]
            oldest += 1


_made: Any = None
_stop: Any = None


def _begin(made: Any, stop: Any) -> None:
    """Set up a process of the pool: it leaves with its parent, and Ctrl-C is the parent's affair."""
    global _made, _stop
    _made, _stop = made, stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)  # as many segments as processors; more threads only get in each other's way
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_leave_with, args=(parent,), daemon=True, name="leave").start()


def _leave_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _make(job: Job) -> int:
    def tick() -> None:
        with _made.get_lock():
            _made.value += 1
        if _stop.is_set():
            raise _Stopped

    try:
        return make_segment(job, tick)
    except VJError as error:
        # Errors with parts of their own do not travel between processes.
        raise RecordError(str(error)) from None
