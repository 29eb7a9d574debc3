"""Building engines in a process of its own: minutes of work, gigabytes of memory and a library that may crash.

``python -m vjengine.generate.turbo.accel.build PLAN.json`` builds one :class:`Recipe` at low priority and tells its
progress as JSON lines on standard output. With ``-`` the recipe is the first line of standard input, and the process
ends when that input closes: it never outlives who asked for it, however that one ends.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal

import psutil

from vjengine.errors import GeneratorError, UsageError, VJError
from vjengine.generate.turbo.accel.base import Say
from vjengine.generate.turbo.accel.cache import EngineCache
from vjengine.generate.turbo.plan import FramePlan, RungName

log = logging.getLogger(__name__)

_EVERY = 0.1  # s between two lines of progress
_TAIL = 2000  # characters of a crashed build's last words
_GRACE = 0.5  # s until a killed build is gone


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that another process needs to build the engines of one rung.

    Attributes:
        model: as the performer names it.
        plan: sizes and precision; the device ``auto`` lets the build choose it, and the precision that goes with it.
        rung: for which rung; ``auto`` is the best that is built on the plan's device.
        folder: where the engines go.
        loras: LoRA files or hub ids, in order.
        full_vae: the model's own autoencoder instead of TAESD.
        targets: cards to build for, as ``("sm89",)``; empty is the one that is here.
    """

    model: str
    plan: FramePlan
    rung: RungName | Literal["auto"]
    folder: Path
    loras: tuple[str, ...] = ()
    full_vae: bool = False
    targets: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return it as one line."""
        return json.dumps({**dataclasses.asdict(self), "folder": str(self.folder)})

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Return the recipe in ``text``.

        Raises:
            UsageError: naming what is wrong with it.
        """
        try:
            facts: dict[str, Any] = json.loads(text)
            plan = dict(facts.pop("plan"))
            plan["size"] = tuple(plan["size"])
            facts.update({name: tuple(facts.get(name, ())) for name in ("loras", "targets")})
            facts.update(plan=FramePlan(**plan), folder=Path(facts["folder"]))
            return cls(**facts)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UsageError(f"this is no recipe of an engine ({type(error).__name__}: {error})") from error


def build(recipe: Recipe, say: Say) -> bool:
    """Build ``recipe`` here and now; return False if that had been done before.

    Raises:
        VJError: saying what failed and what to do.
    """
    from vjengine.generate.turbo.accel.attempts import Attempts
    from vjengine.generate.turbo.accel.ladder import rung_named
    from vjengine.generate.turbo.catalogue import read_name
    from vjengine.generate.turbo.loading import load_parts

    read_name(recipe.model)  # a slip of the pen is told before anything heavy is loaded
    recipe = _resolved(recipe)
    rung = rung_named(recipe.rung, recipe.targets)
    missing = rung.missing(recipe.plan)
    if missing:
        raise GeneratorError(missing)
    if not rung.needs_build:
        raise UsageError(f"the rung {rung.name} has nothing to build: it starts at once")
    say("loading the model", -1.0)
    # Into main memory: the card's belongs to the show that may be running.
    parts = load_parts(
        recipe.model, device="cpu", precision=recipe.plan.precision, full_vae=recipe.full_vae, loras=recipe.loras,
        alive=say,
    )  # fmt: skip
    parts.text_encoders = ()  # gigabytes that no engine is made of
    if rung.ready(parts.fingerprint, recipe.plan, recipe.folder):
        return False
    rung.prepare(parts, recipe.plan, recipe.folder, say)
    Attempts(recipe.folder, parts.fingerprint, recipe.plan, rung.name).forget()
    return True


def _resolved(recipe: Recipe) -> Recipe:
    """Return ``recipe`` with a device, a precision and a rung, chosen as a show would choose them here."""
    import torch

    from vjengine.generate.turbo.accel.ladder import RUNGS, fastest_first
    from vjengine.generate.turbo.device import chosen_device, chosen_precision
    from vjengine.generate.turbo.options import TurboOptions

    torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))  # the other half is the show's
    plan = recipe.plan
    if plan.device == "auto":
        options = TurboOptions()
        device = "cuda:0" if recipe.targets else chosen_device(options)
        plan = replace(plan, device=device, precision=chosen_precision(options, device))
    if recipe.rung != "auto":
        return replace(recipe, plan=plan)
    if recipe.targets:
        return replace(recipe, plan=plan, rung="tensorrt")
    reasons = []
    for name in fastest_first(plan.device):
        rung = RUNGS[name]
        if not rung.needs_build:
            continue
        missing = rung.missing(plan)
        if not missing:
            return replace(recipe, plan=plan, rung=name)
        reasons.append(f"{name}: {missing}")
    raise GeneratorError(f"there is nothing to build for {plan.device}: {'; '.join(reasons) or 'no rung needs it'}")


class Build:
    """A build in a process of its own, begun at once.

    Raises:
        GeneratorError: if no process can be started.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._stopped = False
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed in stop()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, "-"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                text=True,
                encoding="utf-8",
            )
        except OSError as error:
            self._stderr.close()
            raise GeneratorError(
                f"no process can be started to build the engine ({error.strerror or error})"
            ) from error
        with contextlib.suppress(OSError):  # it died already: follow() says how
            assert self._process.stdin is not None
            self._process.stdin.write(recipe.to_json() + "\n")
            self._process.stdin.flush()

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._process.pid

    @property
    def stopped(self) -> bool:
        """True after :meth:`stop`."""
        return self._stopped

    def follow(self, say: Say) -> bool:
        """Wait until the engine is built, telling ``say`` of progress. Another thread may :meth:`stop` it meanwhile.

        Returns:
            False if it had been built before.

        Raises:
            GeneratorError: what the build says, or how its process ended.
            UsageError: what was asked for cannot be.
        """
        failure = ""
        done = fresh = usage = False
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError):  # stop() closed the pipe
            for line in self._process.stdout:
                try:
                    news = json.loads(line)
                    if "doing" in news:
                        say(str(news["doing"]), float(news["fraction"]))
                    done = done or bool(news.get("done"))
                    fresh = fresh or bool(news.get("fresh"))
                    usage = usage or bool(news.get("usage"))
                    failure = failure or str(news.get("error", ""))
                except (ValueError, TypeError, KeyError):
                    log.warning("a build said something strange: %.200r", line)
        status = self._process.wait()
        if self._stopped:
            raise GeneratorError("the build was stopped")
        if done and status == 0:
            return fresh
        kind = UsageError if usage else GeneratorError
        raise kind(failure or f"the build {self._how(status)}")

    def stop(self) -> None:
        """End the process now, if it still runs, and sweep away what it left; a second call does nothing."""
        if self._stopped:
            return
        self._stopped = True
        if self._process.poll() is None:
            self._process.kill()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
            self._process.stdout.close()  # of a dead process, so that no reader can hold it
        self._stderr.close()
        EngineCache(self._recipe.folder).sweep()

    def _how(self, status: int) -> str:
        """Return in words how a process ended that said nothing itself, and log its last words."""
        with contextlib.suppress(OSError, ValueError):
            self._stderr.seek(0, os.SEEK_END)
            self._stderr.seek(max(0, self._stderr.tell() - _TAIL))
            words = self._stderr.read().decode(errors="replace").strip()
            if words:
                log.error("the engine build's last words: %s", words)
        if status >= 0:
            return f"ended with status {status}"
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        return f"was killed by {name}" + (", perhaps for want of memory" if name == "SIGKILL" else "")


def main(arguments: list[str]) -> int:
    """Build the recipe that the command line names; return the exit status."""
    told = _private_stdout()
    lock = threading.Lock()
    last = 0.0

    def tell(**news: object) -> None:
        with lock:
            told.write(json.dumps(news) + "\n")
            told.flush()

    def say(doing: str, fraction: float = -1.0) -> None:
        nonlocal last
        now = time.perf_counter()
        if now - last >= _EVERY:
            last = now
            tell(doing=doing, fraction=fraction)

    if len(arguments) != 1:
        tell(error="usage: python -m vjengine.generate.turbo.accel.build PLAN.json")
        return 2
    try:
        recipe = Recipe.from_json(_read_recipe(arguments[0]))
        _be_humble()
        fresh = build(recipe, say)
    except VJError as error:
        tell(error=str(error), usage=isinstance(error, UsageError))
        return 1
    except OSError as error:
        tell(error=f"the build cannot read or write {error.filename or 'a file'} ({error.strerror or error})")
        return 1
    except MemoryError:
        tell(error="there is not enough memory to build this engine; close other programs, or take a smaller model")
        return 1
    except Exception as error:  # the process's outermost guard
        logging.getLogger(__name__).exception("the build failed")
        tell(error=f"the build failed: {type(error).__name__}: {error}")
        return 1
    tell(done=True, fresh=fresh)
    return 0


def _read_recipe(argument: str) -> str:
    if argument != "-":
        return Path(argument).read_text(encoding="utf-8")
    line = sys.stdin.readline()
    # Ctrl-C goes to every process of a terminal; whoever asked for this build decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, name="watch parent", daemon=True).start()
    return line


def _leave_with_parent() -> None:
    """End this process when the other end of standard input closes: it has been closed, or its owner is dead."""
    with contextlib.suppress(OSError, ValueError):
        while os.read(0, 4096):
            pass
    os._exit(1)


def _private_stdout() -> IO[str]:
    """Return standard output for our lines alone; what libraries print goes to standard error."""
    sys.stdout.flush()
    private = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return private


def _be_humble() -> None:
    """Take what the show leaves: this is never urgent."""
    process = psutil.Process()
    with contextlib.suppress(psutil.Error, OSError):
        process.nice(getattr(psutil, "BELOW_NORMAL_PRIORITY_CLASS", 10))
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
