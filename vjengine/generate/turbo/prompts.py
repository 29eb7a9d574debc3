"""From the prompts in the parameters to the conditions of this frame: encoding, mixing, gliding.

In frames: a prompt that was encoded before begins to come in with the picture it is first told for; a new one
:attr:`TextEncoder.slices <vjengine.generate.turbo.text.TextEncoder>` pictures later (4 on a processor, 8 on a device),
whatever else happens. No picture waits, and the same parameters give the same numbers, live and offline.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vjengine.core.generation import GeneratorParams
from vjengine.core.params import GLIDES, PARAMS
from vjengine.core.prompts import bounded_weight, clean_text, parse_prompt, shares
from vjengine.generate.base import NOBODY, Host
from vjengine.generate.turbo.accel.base import TextState
from vjengine.generate.turbo.parts import TurboParts
from vjengine.generate.turbo.plan import FramePlan
from vjengine.generate.turbo.side_queue import SideQueue
from vjengine.generate.turbo.text import Encoding, TextEncoder
from vjengine.generate.turbo.text_bank import TEXTS, Mixture, TextBank

MAX_TEXTS = 16
"""Most texts in force at once: the prompt's own and what macros add; the rest is left out."""
USUAL_BEATS = 2.0
"""Beats a second while no beat is known: 120 BPM."""
FASTEST_BEATS = 8.0
"""Beats a second beyond which a step of the beat position is a new alignment, not music."""
BEATS_IN_BAR = 4.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted.

    Attributes:
        cue: number of the look or prompt change.
        texts: texts and weights, none twice; the first is the prompt's, others may be words that macros add.
    """

    cue: int
    texts: dict[str, float]

    @property
    def prompt(self) -> tuple[int, str]:
        """What makes it another prompt. Other weights and other words of macros do not: they move by themselves."""
        return self.cue, next(iter(self.texts))


class TextDesk:
    """The conditions of every frame, in buffers that stay where they are.

    Attributes:
        positive: conditions of the prompts.
        negative: conditions of the negative prompt; of the empty text for models that take no guidance.
        changed: whether the last :meth:`step` changed a number of ``positive``.
        negative_changed: the same for ``negative``.
    """

    def __init__(self, parts: TurboParts, plan: FramePlan, host: Host = NOBODY) -> None:
        self._host = host
        self._encoder = TextEncoder(parts, plan)
        self._bank = TextBank(self._encoder.empty, plan)
        self._guided = parts.wants_guidance
        self._lines = (_Line(self._bank, 0), _Line(self._bank, 1))
        self._work: Encoding | None = None
        self._later: list[str] = []
        self._cut: dict[str, str] = {}
        self._said = ""
        self._before: GeneratorParams | None = None
        self._beside = SideQueue(plan)
        self.changed = False
        self.negative_changed = False
        self._take("", self._encoder.empty)

    @property
    def positive(self) -> TextState:
        """See the class."""
        return self._lines[0].mixture.state

    @property
    def negative(self) -> TextState:
        """See the class."""
        return self._lines[1].mixture.state

    def prepare(self, texts: Iterable[str]) -> None:
        """Encode ``texts`` (prompts as they are typed) while nothing else is to be encoded, so that they come at once.

        Beyond what the bank keeps, later ones are encoded when they are needed.
        """
        known = [text for typed in texts for text, _ in parse_prompt(typed)]
        self._later = list(dict.fromkeys(known))[: MAX_TEXTS * 2]

    def step(self, params: GeneratorParams) -> None:
        """Move on to the frame of ``params``. The first call encodes all it is told at once, later ones a slice."""
        self._settle()
        wishes = self._wishes(params)
        if self._before is None:
            self._encode_now(text for wish in wishes for text in wish.texts)
        glide = _glide_progress(self._before, params)
        self._before = params
        for line, wish in zip(self._lines, wishes, strict=True):
            line.step(wish, glide)
        self.changed, self.negative_changed = (line.mixture.changed for line in self._lines)
        self._speak()
        self._encode_slice()

    def _wishes(self, params: GeneratorParams) -> tuple[Wish, Wish]:
        negative = shares(parse_prompt(params.negative)) if self._guided else ()
        return _wish(params.cue, params.prompts), _wish(params.cue, negative)

    def _encode_now(self, texts: Iterable[str]) -> None:
        for text in texts:
            if self._bank.row(text) is None:
                self._host.alive("reading the prompt")
                self._take(text, self._encoder.encode(text))

    def _encode_slice(self) -> None:
        """Run one slice of what is waited for most. It ends up in the bank after this frame, before the next."""
        # Taken out while it runs: after running out of memory it is begun anew, not gone on with.
        work, self._work = self._work, None
        if work is None:
            text = self._wanted()
            if text is None:
                return
            work = self._encoder.start(text)
        with self._beside.queued():
            state = work.step()
            if state is not None:
                self._beside.follow()
                self._bank.put(work.text, state)
        if state is None:
            self._work = work

    def _wanted(self) -> str | None:
        for line in self._lines:
            for text in line.missing():
                return text
        while self._later:
            text = self._later.pop(0)
            if self._bank.row(text) is None:
                return text
        return None

    def _take(self, text: str, state: TextState) -> None:
        with self._beside.queued():
            self._beside.follow()
            self._bank.put(text, state)
        self._settle()

    def _settle(self) -> None:
        """Take over what was encoded at the end of the last frame."""
        self._beside.wait()
        settled = self._bank.settle()
        if settled is None:
            return
        text, fit = settled
        if not fit:
            self._host.say("prompt", "error", f"the text encoder makes no sense of {text[:40]!r}: it is read as empty")
        seen = self._encoder.seen(text)
        if seen:
            self._cut[text] = seen
            if len(self._cut) > TEXTS:
                del self._cut[next(iter(self._cut))]

    def _speak(self) -> None:
        """Tell the performer, once, if a text in force is longer than what the model reads of it."""
        cut = next((self._cut[text] for line in self._lines for text in line.texts if text in self._cut), "")
        if cut != self._said:
            self._said = cut
            message = f"too long for the model, which reads it up to '…{cut}'" if cut else ""
            self._host.say("prompt", "warn" if cut else "ok", message)


class _Line:
    """One of the two conditions: the wish in force, the one being encoded, and the newest one after it."""

    def __init__(self, bank: TextBank, number: int) -> None:
        self.mixture = Mixture(bank, number)
        self._bank = bank
        self._force: Wish | None = None
        self._coming: Wish | None = None
        self._waiting: Wish | None = None
        self._progress = 1.0

    @property
    def texts(self) -> Iterable[str]:
        """Texts in force."""
        return () if self._force is None else self._force.texts

    def missing(self) -> Iterable[str]:
        """Yield the texts that are to be encoded, the most wanted first."""
        for wish in (self._coming, self._force):
            yield from (text for text in (wish.texts if wish else ()) if self._bank.row(text) is None)

    def step(self, wish: Wish, glide: float) -> None:
        """Take ``wish`` in and show what is due, ``glide`` of a whole glide later."""
        if self._force is None:
            self._force = wish
        elif wish.prompt == self._force.prompt:
            self._force, self._coming, self._waiting = wish, None, None
        elif self._ready(wish):
            self._engage(wish)
            self._coming = self._waiting = None
        elif self._coming is None or wish.prompt == self._coming.prompt:
            self._coming, self._waiting = wish, None
        else:
            # What is being encoded is shown even so: else prompts that come fast would never show at all.
            self._waiting = wish
        if self._coming is not None and self._ready(self._coming):
            self._engage(self._coming)
            self._coming, self._waiting = self._waiting, None
        self._progress = min(1.0, self._progress + glide)
        self.mixture.show(self._weights(), self._progress)

    def _ready(self, wish: Wish) -> bool:
        rows = [self._bank.row(text) for text in wish.texts]
        return None not in rows

    def _engage(self, wish: Wish) -> None:
        """Let ``wish`` come in from wherever the picture is."""
        if self._force is None or wish.texts != self._force.texts:
            self.mixture.hold()
            self._progress = 0.0
        self._force = wish

    def _weights(self) -> dict[int, float]:
        """Return the share of every row; words that are not encoded yet have none."""
        texts = self._force.texts if self._force is not None else {"": 1.0}
        rows = {row: weight for text, weight in texts.items() if (row := self._bank.row(text)) is not None}
        total = sum(rows.values())
        if total <= 0.0:
            return {next(iter(rows)): 1.0}
        return {row: weight / total for row, weight in rows.items() if weight > 0.0}


def _wish(cue: int, prompts: Iterable[tuple[str, float]]) -> Wish:
    """Return ``prompts`` as a bounded wish; no prompt is the empty text."""
    texts: dict[str, float] = {}
    for text, weight in prompts:
        text = clean_text(text)
        if text in texts or len(texts) < MAX_TEXTS:
            texts[text] = texts.get(text, 0.0) + bounded_weight(weight)
    return Wish(cue, texts or {"": 1.0})


def _glide_progress(before: GeneratorParams | None, params: GeneratorParams) -> float:
    """Return how much of a whole glide passed between the two, by the length and the unit in force now."""
    length = params.values["turbo.glide"]
    if before is None or length <= 0.0:
        return 1.0
    seconds = max(0.0, params.time - before.time)
    unit = PARAMS["turbo.glide_in"].choices[int(params.values["turbo.glide_in"])]
    if unit == GLIDES[0]:
        return seconds / length
    if before.beat_running and params.beat_running:
        beats = min(max(0.0, params.beats - before.beats), FASTEST_BEATS * seconds)
    else:
        beats = USUAL_BEATS * seconds
    return beats / (length * (BEATS_IN_BAR if unit == "bars" else 1.0))
