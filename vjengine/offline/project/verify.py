"""Whether every byte of a run is still what it was when it was made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vjengine.offline import run_report
from vjengine.offline.disk import file_hash
from vjengine.offline.project.keep import BASE
from vjengine.offline.project.state import STATE, WORK, read_state


def verify_run(run: Path, tell: Callable[[str], None] = lambda words: None) -> list[str]:
    """Read everything in the folder ``run``; return what is wrong, in words. Changes nothing.

    What :mod:`~vjengine.offline.project.clean` may delete is not missed.

    Args:
        run: a project's run.
        tell: told what is being read.
    """
    wrong = run_report.verify(run / WORK, tell) if (run / WORK).is_dir() else []
    state = read_state(run)
    if state is None:
        return [*wrong, f"{run / STATE} cannot be read; the run goes on without it"]
    for name, digest in sorted(state.sums.items()):
        film = run / name
        if name == BASE and not film.exists():
            continue
        tell(name)
        try:
            if file_hash(film) != digest:
                wrong.append(f"{film} is not the film that was made; make it again: vjengine assemble")
        except OSError as error:
            wrong.append(f"{film} cannot be read: {error.strerror or error}; make it again: vjengine assemble")
    return wrong
