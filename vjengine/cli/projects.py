"""What the commands of project folders share: arguments, the progress bar, and how an interruption goes on."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from vjengine.errors import UsageError

if TYPE_CHECKING:
    from vjengine.offline.progress import Interrupt, Progress
    from vjengine.offline.project.bundle import Project
    from vjengine.offline.project.state import State

DEFAULT_RUN = "main"


def add_project_argument(parser: argparse.ArgumentParser) -> None:
    """Add the project folder; the current one if it is not named."""
    parser.add_argument(
        "project", type=Path, nargs="?", default=Path(), metavar="PROJECT", help="its folder (default: this one)"
    )


def add_name_argument(parser: argparse.ArgumentParser) -> None:
    """Add the run's name."""
    parser.add_argument("-n", "--name", default=DEFAULT_RUN, help=f"name of the run (default: {DEFAULT_RUN})")


def open_project(folder: Path, name: str, *, as_begun: bool = False) -> Project:
    """Read a project and say what strayed into its prompt file.

    Raises:
        UsageError: no project, no good name, or no such run.
        ConfigError: what is wrong in its files.
    """
    from vjengine.offline.project.bundle import CONFIG, read_project
    from vjengine.offline.project.new import RUNS, check_name

    check_name(name)
    begun = folder / RUNS / name if as_begun else None
    if begun is not None and not (begun / CONFIG).is_dir():
        raise UsageError(f"--as-begun: there is no run {name} in {folder}")
    project = read_project(folder, begun)
    for stray in project.prompt.misplaced:
        print(f"vjengine: {stray}", file=sys.stderr)
    return project


class Shown:
    """A progress bar that goes on from one part of the work to the next."""

    def __init__(self, interrupt: Interrupt, update: object) -> None:
        self.keeper = interrupt
        self._update = update
        self._meter: object = None

    def say(self, words: str) -> None:
        """Print a line above the bar."""
        self._update(say=words)  # type: ignore[operator]

    def cycles(self, done: int, wanted: int, reused: int) -> None:
        """Show how many cycles there are."""
        from vjengine.offline.progress import Meter, span

        if not isinstance(self._meter, Meter):
            self._meter = Meter(wanted, reused)
        left = self._meter.at(done).remaining if wanted else None
        words = f"cycle {done}" + (f" of {wanted}" if wanted else "") + (f", {span(left)} left" if left else "")
        self._update(completed=done, total=wanted or None, left=words)  # type: ignore[operator]

    def finishing(self, progress: Progress) -> None:
        """Show how far the film is; stop if it is to stop."""
        from vjengine.offline.progress import span

        self.keeper.check()
        left = progress.remaining
        words = f"{progress.done} of {progress.total}" + (f", {span(left)} left" if left else "")
        self._update(  # type: ignore[operator]
            description=progress.words, completed=progress.done, total=progress.total, left=words
        )


@contextlib.contextmanager
def shown() -> Iterator[Shown]:
    """Show a progress bar, and take Ctrl-C as a wish to stop, naming the command that goes on."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    from vjengine.offline.progress import Interrupt

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[left]}"))
    with Bar(*columns, console=console, transient=not console.is_terminal) as bar:
        task = bar.add_task("getting ready", total=None, left="")

        def update(say: str = "", **fields: object) -> None:
            if say:
                bar.console.print(say, markup=False)
            else:
                bar.update(task, **fields)  # type: ignore[arg-type]

        def doing(words: str, fraction: float) -> None:
            update(description=f"{words} {fraction:4.0%}" if fraction >= 0 else words)

        command = shlex.join(["vjengine", *[word for word in sys.argv[1:] if word != "--fresh"]])
        with Interrupt(command, lambda words: update(say=words), doing) as keeper:
            yield Shown(keeper, update)


def told(state: State, run: Path) -> int:
    """Print how a run stands; return the exit status."""
    print(f"{state.cycles} cycles, {state.frames} pictures, {state.seconds:.2f} s, {state.state}")
    if state.film:
        print(run / state.film)
    if state.standby:
        cycles = ", ".join(str(cycle) for cycle in state.standby[:12]) + (" ..." if len(state.standby) > 12 else "")
        print(f"made by the built-in continuation: cycles {cycles}")
    if state.state == "failed":
        print(f"vjengine: {state.error}; what there is, is kept: {run}", file=sys.stderr)
        return 1
    return 0
