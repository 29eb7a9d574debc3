"""What the crowd says, and how far it has come into the picture.

One text at a time: it comes in over some seconds, at once or from the next bar on, while the one before goes out. How
much of the prompt is the crowd's is a parameter, so the performer keeps the last word.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from vjengine.core.prompts import Pieces, clean_text

_MOST_GOING = 2
"""Texts that may be on their way out at once; an older one goes at once."""
_GONE = 1e-3


@dataclass(frozen=True, slots=True)
class CrowdVoice:
    """The crowd's part of the prompt.

    Attributes:
        text: the text in force; empty for none.
        author: who sent it, as the HUD shows it.
        amount: how far it has come in, 0-1.
        going: texts that go out, ``(text, amount)``, the newest first.
        waiting: ``(text, author)`` that waits for the bar; None if none does.
        taken: counts the texts that came in.
    """

    text: str = ""
    author: str = ""
    amount: float = 0.0
    going: Pieces = ()
    waiting: tuple[str, str] | None = None
    taken: int = 0


SILENT = CrowdVoice()
"""Nobody said anything yet."""


def submit(voice: CrowdVoice, text: str, author: str) -> CrowdVoice:
    """Return ``voice`` with a text waiting to come in; an empty one takes the present one back."""
    return replace(voice, waiting=(clean_text(text), clean_text(author)))


def step(voice: CrowdVoice, delta: float, blend: float, *, enter: bool, locked: bool) -> CrowdVoice:
    """Return ``voice`` moved on by ``delta`` s.

    Args:
        voice: as it was.
        delta: s.
        blend: s that a text takes to come in, and to go out.
        enter: True if a waiting text may come in now.
        locked: True while the scene is the performer's alone: all texts go out, waiting ones wait.
    """
    if voice.waiting is not None and enter and not locked:
        text, author = voice.waiting
        going = ((voice.text, voice.amount), *voice.going) if voice.amount > _GONE else voice.going
        kept = tuple((old, left) for old, left in going if old != text)
        back = max((left for old, left in going if old == text), default=0.0)
        voice = CrowdVoice(text, author, back, kept[:_MOST_GOING], None, voice.taken + 1)
    if not voice.text and not voice.going:
        return voice
    change = delta / blend if blend > 0.0 else 1.0
    going = tuple((text, left - change) for text, left in voice.going if left - change > _GONE)
    if voice.text and not locked:
        amount = min(1.0, voice.amount + change)
    else:
        amount = max(0.0, voice.amount - change)
    return replace(voice, amount=amount, going=going)


def mixed(own: Pieces, voice: CrowdVoice, share: float) -> Pieces:
    """Return the performer's texts with the crowd's among them.

    Args:
        own: ``(text, weight)`` of the performer or the look.
        voice: the crowd's.
        share: of the whole prompt that is the crowd's while its text is fully in, 0-1.
    """
    said = [(text, amount) for text, amount in ((voice.text, voice.amount), *voice.going) if text and amount > _GONE]
    loud = sum(amount for _, amount in said)
    if not said or share <= 0.0:
        return own
    # Two texts that cross over are together no louder than one.
    crowd = share * min(1.0, loud)
    rest = 1.0 - crowd
    own = own or (("", 1.0),)
    kept = tuple((text, weight * rest) for text, weight in own) if rest > _GONE else ()
    return kept + tuple((text, crowd * amount / loud) for text, amount in said)
