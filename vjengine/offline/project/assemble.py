"""The films of a run, from whatever there is: the base film by copying, and the final one made of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from vjengine.errors import RecordError, ResumeError, UsageError
from vjengine.offline.clips import clip_info, join
from vjengine.offline.finish.encoders import ENCODERS
from vjengine.offline.finish.film import finish
from vjengine.offline.lock import FolderLock
from vjengine.offline.manifest import Piece, file_hash, plan_hash, read_record
from vjengine.offline.pieces import read_prefix
from vjengine.offline.progress import Progress
from vjengine.offline.project.bundle import Project
from vjengine.offline.project.keep import BASE
from vjengine.offline.project.state import DONE, FAILED, STOPPED, WORK, State, read_state

Tell = Callable[[Progress], None]


def final_name(project: Project, run: str) -> str:
    """Return the name of the final film; it says of what it is, since it will be copied elsewhere."""
    encoder = ENCODERS.get(project.settings.finish.encoder)
    suffix = encoder.suffixes[0] if encoder else ".mp4"
    return f"{project.folder.resolve().name}-{run}{suffix}"


def assemble(
    project: Project,
    name: str,
    *,
    say: Callable[[str], None] = lambda words: None,
    tell: Tell = lambda progress: None,
    final: bool = True,
) -> State:
    """Put the base film of the run ``name`` together, and the final one; what is up to date already stays.

    Args:
        project: whose run it is; its settings say how the film is finished.
        name: of the run.
        say: told what is worth knowing.
        tell: told how far it is; whatever it raises stops the work, and nothing finished is lost.
        final: make the final film too.

    Raises:
        UsageError: if there is no such run, or nothing in it.
        ResumeError: if a process is at work in it.
        RecordError: if the disk refuses.
    """
    run = project.run_path(name)
    pieces, fps = finished_pieces(run, say)
    state = read_state(run) or State()
    base, target = run / BASE, run / final_name(project, name)
    options = replace(project.settings.finish, title=project.prompt.title or project.folder.resolve().name)
    audio = project.settings.audio
    made_of = plan_hash(
        {"pieces": [piece.digest for piece in pieces], "finish": options, "audio": file_hash(audio) if audio else ""}
    )
    films = [base, target] if final else [base]
    if state.finished == made_of and all(_is_whole(film, state) for film in films):
        return _ended(state, run, target.name if target.is_file() else "", made_of)
    frames = sum(piece.frames for piece in pieces)
    if BASE in state.sums and _is_whole(base, state) and clip_info(base).frames > frames:
        say(f"the base film is longer than what is left to make it of ({frames} pictures), and stays")
        if final and target.name in state.sums and _is_whole(target, state):
            return _ended(state, run, target.name, made_of)
    else:
        words = "putting the base film together"
        join([piece.clip for piece in pieces], base, fps, lambda done: tell(Progress(done, len(pieces), 0.0, words)))
        sums = {**state.sums, BASE: file_hash(base)}
        state = state.write(run, frames=frames, fps=float(fps), cycles=max(0, len(pieces) - 1), finished="", sums=sums)
    if not final:
        return _ended(state, run, state.film, "")
    try:
        finish(base, target, options, audio=audio, progress=tell)
    except ResumeError:
        # What an interrupted run left is of a film that has grown since.
        finish(base, target, options, audio=audio, progress=tell, fresh=True)
    state = replace(state, sums={**state.sums, target.name: file_hash(target)})
    return _ended(state, run, target.name, made_of)


def _is_whole(film: Path, state: State) -> bool:
    """Return whether a film is there, every byte as it was written."""
    try:
        return film.is_file() and state.sums.get(film.name) in (None, file_hash(film))
    except OSError:
        return False


def _ended(state: State, run: Path, film: str, made_of: str) -> State:
    ended = FAILED if state.state == FAILED else DONE if 0 < state.wanted <= state.cycles else STOPPED
    return state.write(run, state=ended, film=film, finished=made_of)


def finished_pieces(run: Path, say: Callable[[str], None]) -> tuple[list[Piece], Fraction]:
    """Return the chunks of ``run`` that can be believed, and the pictures a second of its film.

    Raises:
        UsageError: if there is no such run, or nothing in it.
        ResumeError: if a process is at work in it.
    """
    folder = run / WORK
    record = read_record(folder) if folder.is_dir() else None
    if record is None:
        raise UsageError(
            f"there is no run {run.name} in {run.parent}: see `vjengine status`, or make one: vjengine run"
        )
    with closing(_Held(folder)):
        # Also one that no cycle can be made after is good to look at; what is damaged is left for the run to mend.
        pieces, why = read_prefix(folder / "chunks", continued=False)
    if why:
        say(f"{why}: the film ends before it; vjengine run makes it anew")
    if not pieces:
        raise UsageError(f"the run {run.name} has no finished cycle yet: go on with vjengine run -n {run.name}")
    try:
        fps = Fraction(record["plan"]["settings"]["fps"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise RecordError(f"{folder}: its run.json names no rate: begin anew with --fresh") from error
    return pieces, fps


class _Held:
    def __init__(self, folder: Path) -> None:
        self._lock = FolderLock(folder)

    def close(self) -> None:
        self._lock.release()
