"""Play on the fastest rung there is now, build a better one meanwhile, and hand it over between two frames."""

from __future__ import annotations

import contextlib
import importlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from vjengine.errors import GeneratorError, UsageError, VJError
from vjengine.generate.base import Host
from vjengine.generate.turbo.accel.attempts import Attempts
from vjengine.generate.turbo.accel.base import Networks, Rung
from vjengine.generate.turbo.accel.build import Build, Recipe
from vjengine.generate.turbo.parts import TurboParts
from vjengine.generate.turbo.plan import FramePlan, RungName

T = TypeVar("T")

log = logging.getLogger(__name__)

_WHERE: dict[RungName, tuple[str, str]] = {
    "eager": ("eager", "EagerRung"),
    "graph": ("graph", "GraphRung"),
    "onnx": ("onnx", "OnnxRung"),
    "openvino": ("openvino", "OpenVinoRung"),
    "tensorrt": ("tensorrt", "TensorRTRung"),
}
_FASTEST_FIRST: dict[str, tuple[RungName, ...]] = {
    "cuda": ("tensorrt", "graph", "eager"),
    "cpu": ("openvino", "onnx", "graph", "eager"),
}
_ELSEWHERE: tuple[RungName, ...] = ("graph", "eager")

_TROUBLE = (VJError, RuntimeError, OSError, ImportError, ValueError)
"""What a rung may fail with: its own words, and torch's for a card that is full or broken."""
_NEWS_EVERY = 0.5  # s between two lines of progress
_JOIN = 0.4  # s to wait for the background thread
_PATIENCE = 180.0  # s that loading may take before silence means what it means
_BUILD_PATIENCE = 3600.0  # s that a build may take which the show waits for
_PULSE = 0.5  # s


class _Rungs(Mapping[RungName, Rung]):
    """All rungs by name; a module is imported when its rung is asked for."""

    def __getitem__(self, name: RungName) -> Rung:
        module, kind = _WHERE[name]
        made: Rung = getattr(importlib.import_module(f"vjengine.generate.turbo.accel.{module}"), kind)()
        return made

    def __iter__(self) -> Iterator[RungName]:
        return iter(_WHERE)

    def __len__(self) -> int:
        return len(_WHERE)


RUNGS: Mapping[RungName, Rung] = _Rungs()
"""All rungs by name."""


def rung_named(name: str, targets: Sequence[str] = ()) -> Rung:
    """Return the rung ``name``.

    Args:
        name: one of :data:`RUNGS`.
        targets: other cards than this machine's to build for; only ``tensorrt`` can.

    Raises:
        UsageError: listing the names there are.
    """
    for known in RUNGS:
        if known == name:
            if not targets:
                return RUNGS[known]
            if known == "tensorrt":
                from vjengine.generate.turbo.accel.tensorrt import TensorRTRung

                return TensorRTRung(tuple(targets))
            raise UsageError(f"the rung {name} builds only for the machine it is on; leave --for away")
    raise UsageError(f"there is no rung {name!r}; there are: {', '.join(RUNGS)}, and auto for the best of them")


def fastest_first(device: str) -> tuple[RungName, ...]:
    """Return the rungs that make sense on ``device``, the fastest first."""
    return _FASTEST_FIRST.get(device.partition(":")[0], _ELSEWHERE)


class Ladder(Generic[T]):
    """Chooses the rung of one model and plan, and climbs while the show plays.

    Args:
        parts: the model.
        plan: what its networks are for.
        folder: of built engines.
        host: told what goes on.
        wanted: the name of a rung, which is then the only one, built first if need be; ``auto`` for the best.
        finish: makes what is handed over out of networks; called in the caller's thread by :meth:`first`, in the
            background thread for :meth:`better`. If its result has ``close()``, that is called when nobody takes it.
        loras: the LoRAs of ``parts`` as they were asked for; a build loads them again.
        build: False keeps to what can run now, so that no timing decides which rung draws a picture.

    Raises:
        UsageError: if there is no rung of the wanted name.
    """

    def __init__(
        self,
        parts: TurboParts,
        plan: FramePlan,
        folder: Path,
        host: Host,
        *,
        wanted: str = "auto",
        finish: Callable[[Networks], T],
        loras: Sequence[str] = (),
        build: bool = True,
    ) -> None:
        if wanted != "auto":
            rung_named(wanted)
        self._parts, self._plan, self._folder, self._host = parts, plan, folder, host
        self._wanted = wanted
        self._finish = finish
        self._loras = tuple(loras)
        self._may_build = build
        self._unbuilt: list[RungName] = []
        self._handover: deque[T] = deque(maxlen=1)
        self._closed = threading.Event()
        self._build: Build | None = None
        self._thread: threading.Thread | None = None

    def first(self) -> T:
        """Return what runs on the fastest rung that can run now; start to build a better one.

        Raises:
            GeneratorError: if the wanted rung cannot run: why and what to install. With ``auto``: the trouble of the
                last rung.
        """
        if self._wanted != "auto":
            return self._only(rung_named(self._wanted))
        trouble: BaseException | None = None
        for name in fastest_first(self._plan.device):
            try:
                rung = RUNGS[name]
                missing = rung.missing(self._plan)
                ready = not missing and rung.ready(self._parts.fingerprint, self._plan, self._folder)
            except _TROUBLE as error:  # a library that is half installed, say
                missing = _line(error)
            if missing:
                log.info("the rung %s is left out: %s", name, missing)
                continue
            if not ready:
                self._unbuilt.append(name)
                continue
            try:
                made = self._load(rung, pulse=True)
            except _TROUBLE as error:
                trouble = error
                self._complain(name, error)
                if rung.needs_build and not rung.ready(self._parts.fingerprint, self._plan, self._folder):
                    self._unbuilt.append(name)  # what was built has turned out to be broken
                continue
            if self._unbuilt and self._may_build:
                self._thread = threading.Thread(target=self._climb, name="rung ladder", daemon=True)
                self._thread.start()
            return made
        if trouble is not None:
            raise trouble
        raise GeneratorError(f"no rung runs on {self._plan.device!r}; `vjengine doctor` says what is missing")

    def better(self) -> T | None:
        """Return what runs on a better rung, once, when there is one; None otherwise. Never waits."""
        try:
            return self._handover.popleft()
        except IndexError:
            return None

    def close(self) -> None:
        """End the building within a second; a second call does nothing."""
        self._closed.set()
        if self._build is not None:
            self._build.stop()
        if self._thread is not None:
            self._thread.join(_JOIN)
        self._discard()

    def _only(self, rung: Rung) -> T:
        missing = rung.missing(self._plan)
        if missing:
            raise GeneratorError(f"the rung {rung.name} cannot run here: {missing}")
        if not rung.ready(self._parts.fingerprint, self._plan, self._folder):
            with self._pulse(f"building {rung.name}", _BUILD_PATIENCE):
                self._make(rung, self._host.alive)
        return self._load(rung, pulse=True)

    def _climb(self) -> None:
        """Build and load the best rung that can be had. Runs in the background thread."""
        try:
            for name in self._unbuilt:
                if self._closed.is_set() or self._try(RUNGS[name]):
                    return
        except Exception:  # the thread's outermost guard
            log.exception("looking for a better rung has failed")
            self._host.say("engine", "error", "looking for a better rung has failed; the log says more")

    def _try(self, rung: Rung) -> bool:
        """Return whether ``rung`` is ready to be handed over."""
        try:
            self._make(rung, self._news(rung.name))
            if self._closed.is_set():
                return False
            self._host.say("engine", "warn", f"loading {rung.name}")
            made = self._load(rung, pulse=False)
        except _TROUBLE as error:
            if not self._closed.is_set():
                self._complain(rung.name, error)
            return False
        self._handover.append(made)
        self._host.say("engine", "ok")
        if self._closed.is_set():
            self._discard()
        return True

    def _make(self, rung: Rung, say: Callable[[str, float], None]) -> None:
        """Build ``rung`` in a process of its own, and wait for it."""
        attempts = Attempts(self._folder, self._parts.fingerprint, self._plan, rung.name)
        refusal = attempts.refusal()
        if refusal:
            raise GeneratorError(f"{refusal}. To try again: vjengine engine build {self._parts.name}")
        attempts.begin()
        self._build = Build(self._recipe(rung.name))
        if self._closed.is_set():  # before close() could know of it
            self._build.stop()
        try:
            self._build.follow(say)
            if not rung.ready(self._parts.fingerprint, self._plan, self._folder):
                raise GeneratorError("the build made engines of something else; has the model changed meanwhile?")
        except VJError as error:
            if self._build.stopped:
                attempts.forget()
            else:
                attempts.failed(str(error))
            raise
        finally:
            self._build.stop()
        attempts.forget()

    def _recipe(self, rung: RungName) -> Recipe:
        return Recipe(
            self._parts.name, self._plan, rung, self._folder, loras=self._loras, full_vae=not self._parts.tiny_vae
        )

    def _load(self, rung: Rung, *, pulse: bool) -> T:
        with self._pulse(f"loading {rung.name}", _PATIENCE) if pulse else contextlib.nullcontext():
            networks = rung.load(self._parts, self._plan, self._folder)
            try:
                return self._finish(networks)
            except BaseException:
                networks.close()
                raise

    @contextlib.contextmanager
    def _pulse(self, doing: str, patience: float) -> Iterator[None]:
        """Say that work goes on, for as long as it soundly can (s): libraries do not say it themselves."""
        done = threading.Event()

        def beat() -> None:
            until = time.perf_counter() + patience
            while not done.wait(_PULSE) and time.perf_counter() < until:
                self._host.alive()

        self._host.alive(doing)
        thread = threading.Thread(target=beat, name="loading", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _news(self, name: RungName) -> Callable[[str, float], None]:
        """Return a receiver of progress that speaks to the performer, not too often and never twice the same."""
        told: tuple[float, str] = (-_NEWS_EVERY, "")

        def say(doing: str, fraction: float) -> None:
            nonlocal told
            text = f"building {name} {fraction * 100:.0f} %" if fraction >= 0 else f"building {name}: {doing}"
            now = time.perf_counter()
            if text != told[1] and now - told[0] >= _NEWS_EVERY:
                told = (now, text)
                self._host.say("engine", "warn", text)

        return say

    def _complain(self, name: RungName, error: BaseException) -> None:
        log.warning("the rung %s does not run: %s", name, error, exc_info=None if isinstance(error, VJError) else error)
        self._host.say("engine", "warn", f"{name} does not run: {_line(error)}")

    def _discard(self) -> None:
        """Close what nobody took."""
        left: Any = self.better()
        if left is not None and hasattr(left, "close"):
            left.close()


def _line(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0]
    return text if isinstance(error, VJError) else f"{type(error).__name__}: {text}"
