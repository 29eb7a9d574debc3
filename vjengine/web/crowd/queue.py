"""The queue of the audience's prompts: who may add to it, in what order it plays. No clock, no network: values only."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from vjengine.web.crowd.folding import key
from vjengine.web.crowd.refusal import GONE, NOT_NOW, TOO_MUCH, Refused

Mode = Literal["auto", "ask", "vote"]
State = Literal["asked", "ready", "pinned"]

DEPTH = 50
"""Prompts that wait, at most."""
EACH_ADDRESS = 15
"""Prompts that wait, and votes for one prompt, from one address: a hall whose network hides its guests behind one
address still takes part, and one phone that clears its cookies cannot fill the queue."""
COOL_DOWN = 15.0
"""s between two prompts of one guest, and of one name."""
EXPIRY = 1800.0
"""s after which a prompt that never got its turn is dropped."""
VOICES = 2
"""Votes that a prompt needs in mode "vote", its sender's own among them."""
MOST_VOTES = 300
_MOST_REMEMBERED = 10_000
_MOST_BANS = 1000


@dataclass(slots=True)
class Wish:
    """A prompt that waits.

    Attributes:
        number: its id; never used twice.
        text: as checked by :class:`vjengine.web.crowd.filter.Filter`.
        author: the name given, empty for none.
        guest: who sent it, as a salted hash.
        address: where from, as a salted hash.
        born: s, when it came.
        state: waits for the performer, for its turn, or goes next.
        votes: guests who want it, by their hash, with their address's.
        since: counts up with each pin, so that pinned ones play in that order.
    """

    number: int
    text: str
    author: str
    guest: str
    address: str
    born: float
    state: State
    votes: dict[str, str] = field(default_factory=dict)
    since: int = 0


class CrowdQueue:
    """Prompts that wait; bounded in every direction.

    Args:
        mode: auto: what comes in plays; ask: the performer lets in; vote: what a second guest wants plays. In each,
            the most wanted goes next, of these the oldest.
        depth: prompts that may wait.
    """

    def __init__(self, mode: Mode = "auto", depth: int = DEPTH) -> None:
        self.mode: Mode = mode
        self._depth = depth
        self._wishes: dict[int, Wish] = {}
        self._next = 1
        self._pins = 0
        # The time of the last prompt, by guest and by name.
        self._last: OrderedDict[str, float] = OrderedDict()
        self._banned: OrderedDict[str, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._wishes)

    def get(self, number: int) -> Wish:
        """Return a prompt that waits.

        Raises:
            Refused: there is none of this number.
        """
        wish = self._wishes.get(number)
        if wish is None:
            raise Refused("gone", "That one is not in the queue any more.", GONE)
        return wish

    def of(self, guest: str) -> Wish | None:
        """Return the prompt that this guest has waiting."""
        return next((wish for wish in self._wishes.values() if wish.guest == guest), None)

    def order(self) -> list[Wish]:
        """Return all prompts: first those that play, in that order, then those that still need leave or voices."""
        return sorted(
            self._wishes.values(),
            key=lambda wish: (
                wish.state != "pinned",
                not self.plays(wish),
                wish.since,
                -len(wish.votes),
                wish.born,
                wish.number,
            ),
        )

    def plays(self, wish: Wish) -> bool:
        """Return True if the prompt may have its turn."""
        if wish.state == "pinned":
            return True
        return wish.state == "ready" and (self.mode != "vote" or len(wish.votes) >= VOICES)

    def submit(self, text: str, author: str, guest: str, address: str, now: float) -> tuple[Wish, bool]:
        """Add a prompt; the same text twice becomes a vote. Return the prompt and True if it is new.

        Raises:
            Refused: too many, too soon, or the guest is banned.
        """
        if guest in self._banned or address in self._banned:
            raise Refused("banned", "You cannot add ideas tonight.", 403)
        same = next((wish for wish in self._wishes.values() if key(wish.text) == key(text)), None)
        if same is not None:
            if guest not in same.votes:
                self.vote(same.number, guest, address)
            return same, False
        if self.of(guest) is not None:
            raise Refused("one", "You already have an idea in the queue. Take it back to send another.", NOT_NOW)
        name = f"name {key(author)}" if author else ""
        if name and any(key(wish.author) == key(author) for wish in self._wishes.values() if wish.author):
            raise Refused("name", "Somebody with that name is already in the queue. Choose another name.", NOT_NOW)
        for who in filter(None, (guest, name)):
            wait = self._last.get(who, now - COOL_DOWN) + COOL_DOWN - now
            if wait > 0.0:
                raise Refused("soon", "That was quick. Wait a moment before the next idea.", TOO_MUCH, wait)
        if sum(wish.address == address for wish in self._wishes.values()) >= EACH_ADDRESS:
            raise Refused("address", "Too many ideas from your network wait already. Try again later.", TOO_MUCH, 30.0)
        if len(self._wishes) >= self._depth:
            raise Refused("full", "The queue is full. Vote for an idea you like, or try again later.", TOO_MUCH, 30.0)
        wish = Wish(self._next, text, author, guest, address, now, "asked" if self.mode == "ask" else "ready")
        wish.votes[guest] = address
        self._wishes[wish.number] = wish
        self._next += 1
        for who in filter(None, (guest, name)):
            self._last.pop(who, None)
            self._last[who] = now
            if len(self._last) > _MOST_REMEMBERED:
                self._last.popitem(last=False)
        return wish, True

    def vote(self, number: int, guest: str, address: str, *, wanted: bool = True) -> Wish:
        """Give or take back a guest's one vote for a prompt; return the prompt.

        Raises:
            Refused: it is gone, it is the guest's own, or there are too many votes.
        """
        wish = self.get(number)
        if guest in self._banned or address in self._banned:
            raise Refused("banned", "You cannot vote tonight.", 403)
        if wish.guest == guest:
            raise Refused("own", "That is your own idea: it has your vote already.", NOT_NOW)
        if not wanted:
            wish.votes.pop(guest, None)
        elif guest not in wish.votes:
            if len(wish.votes) >= MOST_VOTES or sum(a == address for a in wish.votes.values()) >= EACH_ADDRESS:
                raise Refused("votes", "There are enough votes from your network for this one.", TOO_MUCH, 30.0)
            wish.votes[guest] = address
        return wish

    def withdraw(self, guest: str) -> Wish:
        """Take a guest's own prompt back; return it.

        Raises:
            Refused: there is none.
        """
        wish = self.of(guest)
        if wish is None:
            raise Refused("gone", "You have nothing in the queue.", GONE)
        return self._wishes.pop(wish.number)

    def approve(self, number: int) -> None:
        """Let a prompt in (:class:`Refused` if it is gone)."""
        wish = self.get(number)
        if wish.state == "asked":
            wish.state = "ready"

    def pin(self, number: int) -> None:
        """Let a prompt in, ahead of all but those pinned before it (:class:`Refused` if it is gone)."""
        wish = self.get(number)
        if wish.state != "pinned":
            self._pins += 1
            wish.state, wish.since = "pinned", self._pins

    def reject(self, number: int) -> Wish:
        """Take a prompt out and return it (:class:`Refused` if it is gone)."""
        wish = self.get(number)
        del self._wishes[number]
        return wish

    def ban(self, wish: Wish) -> None:
        """Take out everything of whoever sent ``wish``, and let them send nothing more.

        A new cookie does not help them, unless other guests come from the same address.
        """
        name = wish.author or f"guest {wish.number}"
        self._banned[wish.guest] = name
        others = {guest for one in self._wishes.values() for guest, where in one.votes.items() if where == wish.address}
        if others <= {wish.guest}:
            self._banned[wish.address] = name
        while len(self._banned) > _MOST_BANS:
            self._banned.popitem(last=False)
        for number in [one.number for one in self._wishes.values() if one.guest == wish.guest]:
            del self._wishes[number]
        for one in self._wishes.values():
            one.votes.pop(wish.guest, None)

    def unban(self, name: str) -> bool:
        """Take the bans of this name back; return False if there is none."""
        found = [guest for guest, banned in self._banned.items() if banned == name]
        for guest in found:
            del self._banned[guest]
        return bool(found)

    @property
    def banned(self) -> list[str]:
        """Names of those banned."""
        return list(dict.fromkeys(self._banned.values()))

    def take_next(self) -> Wish | None:
        """Take out the prompt whose turn it is; None if none may play."""
        first = next(iter(self.order()), None)
        return self._wishes.pop(first.number) if first is not None and self.plays(first) else None

    def expire(self, now: float) -> bool:
        """Drop what has waited too long; return True if something was."""
        old = [wish.number for wish in self._wishes.values() if now - wish.born > EXPIRY and wish.state != "pinned"]
        for number in old:
            del self._wishes[number]
        return bool(old)

    def clear(self) -> None:
        """Drop all prompts; bans and waits stay."""
        self._wishes.clear()

    # ------------------------------------------------------------ over a restart

    def to_json(self, now: float) -> dict[str, Any]:
        """Return everything that outlives a restart, with ages instead of times."""
        wishes = [{**asdict(wish), "born": round(now - wish.born, 1)} for wish in self._wishes.values()]
        last = {who: round(now - then, 1) for who, then in self._last.items() if now - then < COOL_DOWN}
        return {"mode": self.mode, "next": self._next, "wishes": wishes, "last": last, "banned": dict(self._banned)}

    def restore(self, given: Mapping[str, Any], now: float, elapsed: float) -> None:
        """Take over what :meth:`to_json` wrote ``elapsed`` s ago.

        Raises:
            ValueError, KeyError, TypeError: it is none of that.
        """
        if given["mode"] not in get_args(Mode):
            raise ValueError("no such mode")
        wishes = _wishes(given["wishes"], now - elapsed)[: self._depth]
        last = {str(who): now - elapsed - float(age) for who, age in given["last"].items()}
        banned = {str(guest): str(name) for guest, name in given["banned"].items()}
        self.mode = given["mode"]
        self._next = max([int(given["next"]), *(wish.number + 1 for wish in wishes)])
        self._pins = max((wish.since for wish in wishes), default=0)
        self._wishes = {wish.number: wish for wish in wishes}
        self._last = OrderedDict(last)
        self._banned = OrderedDict(banned)
        self.expire(now)


def _wishes(rows: Iterable[Mapping[str, Any]], then: float) -> list[Wish]:
    wishes = []
    for row in rows:
        if row["state"] not in get_args(State):
            raise ValueError("no such state")
        wish = Wish(
            number=int(row["number"]),
            text=str(row["text"]),
            author=str(row["author"]),
            guest=str(row["guest"]),
            address=str(row["address"]),
            born=then - float(row["born"]),
            state=row["state"],
            votes={str(guest): str(address) for guest, address in row["votes"].items()},
            since=int(row["since"]),
        )
        wishes.append(wish)
    return wishes
