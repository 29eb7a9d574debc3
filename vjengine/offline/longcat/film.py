"""A film made chunk by chunk: asked for, judged, held to its scene, written, and carried on.

Each chunk is a piece of the run folder: its clip, and all that the next one is made of. So a film that was left, by
anyone and at any moment, goes on with the very bytes that it would have had.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from vjengine.engine.keeper import use_one_thread
from vjengine.errors import GeneratorError, RecordError, ResumeError
from vjengine.offline import disk
from vjengine.offline.clips import CARRIED, CLIP, ClipWriter, load_carried, save_carried
from vjengine.offline.continuation import Ask, Carried, Clip, Continuation, Opening, Pixels16
from vjengine.offline.longcat import gates
from vjengine.offline.longcat.behind import Behind
from vjengine.offline.longcat.hold import Holder, Scene
from vjengine.offline.longcat.music import Music
from vjengine.offline.longcat.remember import dump, restore
from vjengine.offline.longcat.seam import blend, joined
from vjengine.offline.longcat.settings import GLIDE, MOST_NOISE, Settings
from vjengine.offline.longcat.tail import best_end
from vjengine.offline.manifest import Piece, RunFolder, derive_seed, plan_hash
from vjengine.offline.memory import extend_or_halve
from vjengine.offline.progress import Interrupt
from vjengine.stabilise.statistics import Statistics

MEMORY, METRICS = "memory.bin", "metrics.jsonl"
_KEPT = 4
"""Last pictures that are carried on at least: what is usual inside is measured on them."""
_MORE_NOISE = 0.02
_FOLLOW = 0.15
"""Share of the last picture that a gliding anchor takes over from each chunk."""


@dataclass(slots=True)
class Standing:
    """Where a film stands; saved with each chunk.

    Attributes:
        done: pictures so far.
        chunk: pictures asked for at a time: fewer once memory ran out.
        wish: number of the prompt in force.
        since: picture from which it is in force.
        scene: what pictures are held to.
        anchor: statistics of the scene's first pictures; None until there are some.
        held: what the stabiliser remembers.
    """

    done: int
    chunk: int
    wish: int
    since: int
    scene: Scene
    anchor: Statistics | None = None
    held: bytes = b""


@dataclass(slots=True)
class Take:
    """One attempt at a chunk, as it would be shown."""

    frames: Pixels16
    clip: Clip
    ask: Ask
    signature: gates.Signature
    verdict: gates.Verdict
    rows: list[dict[str, Any]]
    held: bytes


@dataclass(slots=True)
class Tally:
    """What happened on the way.

    Attributes:
        made: chunks made now; ``reused``: those of an earlier run.
        retried: attempts that were refused.
        kept: chunks that were shown though refused: the best there was.
        words: what is worth telling, newest last.
    """

    made: int = 0
    reused: int = 0
    retried: int = 0
    kept: int = 0
    words: list[str] = field(default_factory=list)


class Film:
    """Makes one film in one run folder.

    Args:
        settings: what it is to be.
        continuation: what makes its pictures; it stays the caller's.
        run: where; opened with ``settings.plan()``.
        opening: what it begins with.
        keeper: asked often whether to go on.
        music: what it moves by; None for none.
        chunk: pictures at a time that fit into memory, if those are fewer than the continuation likes; 0 for as many
            as it likes. A film that goes on keeps to what it began with.
        say: told of what is worth knowing, in one line.
        tell: told the pictures that are safe on the disk, and how many of them were reused: first of all, and after
            each chunk.
        enough: asked before each chunk, with the chunks and pictures so far, those being written among them, whether
            to leave it at that.
    """

    def __init__(
        self,
        settings: Settings,
        continuation: Continuation,
        run: RunFolder,
        opening: Opening,
        keeper: Interrupt,
        *,
        music: Music | None = None,
        chunk: int = 0,
        say: Callable[[str], None] = lambda words: None,
        tell: Callable[[int, int], None] = lambda done, reused: None,
        enough: Callable[[int, int], bool] = lambda chunks, frames: False,
    ) -> None:
        self.settings = settings
        self.tally = Tally()
        self._continuation = continuation
        self._run = run
        self._opening = opening
        self._keeper = keeper
        self._music = music
        self._chunk = settings.chunk or chunk
        self._say = say
        self._tell = tell
        self._enough = enough
        self._store = run.pieces("chunks")
        self._holder = Holder(derive_seed(settings.seed, "hold"), correct=settings.stabilise)

    def make(self) -> list[Piece]:
        """Make what is missing; return all pieces, in order.

        Raises:
            GeneratorError: if the continuation cannot, or only gives back what was there before.
            RecordError: if the disk refuses.
            KeyboardInterrupt: if the work was to stop; what is finished stays.
        """
        # Flow depends on how many threads share the picture; the film must not.
        use_one_thread()
        pieces = self._store.prefix(
            self._key, lambda read, there: self._keeper.alive("checking what is there", read / max(1, there))
        )
        self.tally.reused = len(pieces)
        reused = done = sum(piece.frames for piece in pieces)
        history = gates.History([gates.Signature.from_json(p.meta["signature"]) for p in pieces])

        def written(piece: Piece) -> None:
            nonlocal done
            pieces.append(piece)
            done += piece.frames
            self.tally.made += piece.index > 0  # the first picture is no chunk
            self._tell(done, reused)

        with Behind(self._keeper, written) as behind:
            chunks = len(pieces)
            if pieces:
                standing, carried = self._load(pieces[-1])
                self._tell(done, reused)
            else:
                standing, carried = self._begin(history, behind)
                chunks = 1
            while standing.done < self.settings.frames and not self._enough(chunks, standing.done):
                behind.check()
                carried = self._next(chunks, standing, carried, history, behind)
                chunks += 1
        return pieces

    def _key(self, index: int) -> str:
        return plan_hash({"plan": self._run.plan_hash, "chunk": index})

    def _begin(self, history: gates.History, behind: Behind) -> tuple[Standing, Carried]:
        settings = self.settings
        number, wish = settings.prompts.at(0, settings.fps)
        opening = replace(self._opening, prompt=wish.prompt, negative=wish.negative)
        carried = self._continuation.open(opening, settings.size, behind)
        frames = self._checked(carried.frames)[: settings.frames]
        standing = Standing(len(frames), self._chunk, number, 0, Scene(0, wish.prompt, carried.anchor))
        shown, rows = self._held(frames, standing, 0, settled=True)
        standing.held = self._holder.save()
        carried = replace(carried, frames=shown)
        signature = gates.sign(frames)
        history.add(signature)
        behind.hand(self._writing(0, shown, carried, standing, rows, {"signature": signature.to_json()}))
        return standing, carried

    def _next(
        self, index: int, standing: Standing, carried: Carried, history: gates.History, behind: Behind
    ) -> Carried:
        settings = self.settings
        began = perf_counter()
        number, wish = settings.prompts.at(standing.done, settings.fps)
        if number != standing.wish:
            standing.wish, standing.since, standing.anchor = number, standing.done, None
        settled = number == 0 or standing.done - standing.since >= GLIDE * settings.fps
        if settled and standing.scene.prompt != wish.prompt:
            standing.scene = Scene(standing.scene.number + 1, wish.prompt, carried.frames[-1])
            carried = replace(carried, anchor=carried.frames[-1])
        ask = Ask(
            index=index,
            frames=min(
                standing.chunk or self._continuation.chunk,
                settings.frames - standing.done,
                settings.prompts.left(standing.done, settings.fps),
            ),
            seed=0,
            fps=settings.fps,
            time=float(standing.done / settings.fps),
            prompt=wish.prompt,
            negative=wish.negative,
            guidance=settings.guidance,
        )
        take, attempts = self._best(ask, standing, carried, history, settled, behind)
        self._holder.load(take.held)
        standing.held = take.held
        if take.ask.frames < ask.frames:
            standing.chunk = take.ask.frames
        if settled and standing.anchor is None and settings.drift:
            standing.anchor = gates.look(take.frames)
        standing.done += len(take.frames)
        history.add(take.signature)
        carried = self._carried(carried, take)
        meta = {
            "signature": take.signature.to_json(),
            "attempts": attempts,
            "seed": take.ask.seed,
            "figures": take.verdict.figures,
            "faults": list(take.verdict.faults),
            "notes": _plain(take.clip.notes),
            "seconds": round(perf_counter() - began, 3),
        }
        behind.hand(self._writing(index, take.frames, carried, standing, take.rows, meta))
        return carried

    def _best(
        self, ask: Ask, standing: Standing, carried: Carried, history: gates.History, settled: bool, behind: Behind
    ) -> tuple[Take, int]:
        """Return the first take that passes, or else the one that is least wrong, and how many were made."""
        best: Take | None = None
        attempts = 0
        for attempt in range(self.settings.retries + 1):
            self._holder.load(standing.held)
            take = self._take(self._asked(ask, attempt), standing, carried, history, settled, behind)
            attempts += 1
            ask = replace(ask, frames=take.ask.frames)
            passed = not take.verdict.faults if self.settings.gates else not take.verdict.repeated
            if not take.verdict.repeated and (best is None or passed or take.verdict.excess < best.verdict.excess):
                best = take
            if passed:
                return take, attempts
            self.tally.retried += 1
            self._say(f"chunk {ask.index} refused ({', '.join(take.verdict.faults)})")
        if best is None:
            raise GeneratorError(
                f"{self._continuation.name} gave pictures that were there before, {attempts} times over, whatever the "
                "seed: another --seed, --motion or --noise may help; what is finished stays"
            )
        self.tally.kept += 1
        self._say(f"chunk {ask.index}: the best of {attempts} is kept ({', '.join(best.verdict.faults)})")
        return best, attempts

    def _asked(self, ask: Ask, attempt: int) -> Ask:
        """Return the request of one attempt: its own seed, what the music does, more noise the worse things are."""
        settings = self.settings
        start = round(ask.time * settings.fps)
        motion, pulse = settings.motion, tuple[float, ...]()
        if self._music is not None:
            pulse = self._music.pulses(start, start + ask.frames)
            motion = self._music.motion(start, start + ask.frames) if motion is None else motion
        return replace(
            ask,
            attempt=attempt,
            seed=derive_seed(settings.seed, settings.track, "chunk", ask.index, attempt),
            motion=0.5 if motion is None else motion,
            pulse=pulse,
            noise=min(MOST_NOISE, settings.noise + _MORE_NOISE * (self._holder.alarm + attempt)),
        )

    def _take(
        self, ask: Ask, standing: Standing, carried: Carried, history: gates.History, settled: bool, behind: Behind
    ) -> Take:
        settings = self.settings
        tail = max(1, self._continuation.tail)
        clip, asked = extend_or_halve(
            self._continuation, replace(carried, frames=carried.frames[-tail:]), ask, behind, say=self._say
        )
        made = self._checked(clip.frames)
        signature = gates.sign(made)
        frames = made[: asked.frames]
        if standing.done + len(frames) < settings.frames:
            frames = frames[: best_end(frames, settings.best_of, standing.anchor)]
        frames = blend(carried.frames[-1], frames, settings.seam)
        behind.check()
        shown, rows = self._held(frames, standing, standing.done, settled=settled)
        shown = joined(carried.frames[-_KEPT:], shown, settings.seam)
        limits = settings.limits.looser(ask.attempt)
        verdict = gates.judge(
            shown, carried.frames[-_KEPT:], limits, history, signature, standing.anchor if settled else None
        )
        return Take(shown, clip, asked, signature, verdict, rows, self._holder.save())

    def _held(
        self, frames: Pixels16, standing: Standing, start: int, *, settled: bool
    ) -> tuple[Pixels16, list[dict[str, Any]]]:
        if not (self.settings.stabilise or self.settings.watch):
            return frames, []
        times = [float((start + k) / self.settings.fps) for k in range(len(frames))]
        return self._holder.hold(frames, standing.scene, times, settled=settled)

    def _carried(self, before: Carried, take: Take) -> Carried:
        count = max(self._continuation.tail, _KEPT)
        last = take.frames[-1]
        anchor = before.anchor
        if self.settings.anchor == "none":
            anchor = last
        elif self.settings.anchor == "glide":
            anchor = np.rint(anchor + _FOLLOW * (last.astype(np.float32) - anchor)).astype(np.uint16)
        frames = np.concatenate((before.frames[-count:], take.frames[-count:]))[-count:]
        return Carried(np.ascontiguousarray(frames), anchor, take.clip.state)

    def _writing(
        self,
        index: int,
        frames: Pixels16,
        carried: Carried,
        standing: Standing,
        rows: Sequence[dict[str, Any]],
        meta: dict[str, Any],
    ) -> Callable[[Callable[[], None]], Piece]:
        """Return what writes one piece, of what is so now: the film goes on meanwhile.

        Pictures and what is carried are never changed once made, for a refused chunk is made of them again.
        """
        memory = dump(standing)
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

        def write(still: Callable[[], None]) -> Piece:
            with self._store.begin(index, self._key(index)) as work:
                with ClipWriter(work.folder / CLIP, self.settings.size, self.settings.fps) as writer:
                    for frame in frames:
                        still()
                        writer.write(frame)
                save_carried(work.folder, carried)
                try:
                    (work.folder / MEMORY).write_bytes(memory)
                    if lines:
                        (work.folder / METRICS).write_text(lines, encoding="utf-8", newline="\n")
                except OSError as error:
                    raise disk.failure(work.folder, error) from error
                still()
                return work.commit(len(frames), meta, passing=(CARRIED, MEMORY))

        return write

    def _load(self, piece: Piece) -> tuple[Standing, Carried]:
        try:
            standing = restore((piece.folder / MEMORY).read_bytes())
        except OSError as error:
            raise ResumeError(f"{piece.folder / MEMORY} cannot be read: begin anew with --fresh") from error
        if not isinstance(standing, Standing):
            raise ResumeError(f"{piece.folder / MEMORY} is of something else: begin anew with --fresh")
        self._holder.load(standing.held)
        return standing, load_carried(piece.folder)

    def _checked(self, frames: Pixels16) -> Pixels16:
        """Return pictures as they must be, or say what is wrong with whoever made them."""
        width, height = self.settings.size
        if frames.ndim != 4 or frames.shape[1:] != (height, width, 3) or frames.dtype != np.uint16 or not len(frames):
            raise GeneratorError(
                f"{self._continuation.name} gave {frames.dtype} pictures of shape {frames.shape}; a film of "
                f"{width}x{height} was asked for: take a --size that it can make"
            )
        return frames


def write_metrics(pieces: Sequence[Piece], target: Path, first: dict[str, Any]) -> None:
    """Put the stability logs of all pieces behind one another, as ``vjengine stability`` reads them.

    Raises:
        RecordError: if it cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("w", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(first) + "\n")
            for piece in pieces:
                log = piece.folder / METRICS
                if log.is_file():
                    file.write(log.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordError(f"--metrics {target} cannot be written: {error.strerror or error}") from error


def _plain(notes: Any) -> dict[str, Any]:
    return json.loads(json.dumps(dict(notes), default=str))  # type: ignore[no-any-return]
