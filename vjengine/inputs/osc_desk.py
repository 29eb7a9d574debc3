"""Questions and subscriptions by OSC: who may ask, what is answered, where feedback may be sent.

Whoever sends a packet may lie about where it comes from, so only this machine and named addresses are answered, an
answer is hardly longer than its question, and feedback goes to nobody but this machine and who asked for it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any, Literal

from vjengine.core.control import ControlState
from vjengine.core.exchange import Latest
from vjengine.core.osc_packet import OscMessage
from vjengine.core.osc_subscribers import LEASE, MAX_SUBSCRIBERS, Subscribers, Wanted
from vjengine.core.osc_tree import OscAddress, present
from vjengine.core.osc_write import message as packed
from vjengine.errors import InputError
from vjengine.inputs.osc_addresses import WrongArguments

Sender = Any
"""What a socket calls an address: a tuple that begins with host and port."""
LOWEST_PORT = 1024
"""Feedback goes to no port below: those belong to the system's services."""
_TIMES = 3
"""An answer to another machine is at most this many times as long as its question."""


class Refused(Exception):
    """A question or subscription that is not for this sender, or finds no place; the text says why."""


class Desk:
    """Answers ``ADDRESS ?`` and keeps the list of subscribers.

    Args:
        tree: what can be asked for.
        control: where present values are read; without it nothing is answered.
        subscribers: the list; without it nobody can subscribe.
        allow: IP addresses that may ask and subscribe, beside this machine.

    Raises:
        InputError: one of ``allow`` is no IP address.

    Attributes:
        own_port: port that OSC is listened for on: feedback to ourselves would go round for ever.
    """

    def __init__(
        self,
        tree: Sequence[OscAddress],
        control: Latest[ControlState] | None,
        subscribers: Subscribers | None,
        allow: Sequence[str],
    ) -> None:
        self._rows = {row.address.lower(): row for row in tree}
        self._control = control
        self._subscribers = subscribers
        self._allowed = frozenset(_ip(host) for host in allow)
        self.own_port = 0

    def concerns(self, message: OscMessage) -> bool:
        """True if a message is a question or about a subscription."""
        address = message.address.lower()
        if message.arguments == ("?",) or address.endswith("/?"):
            return address.removesuffix("/?") in self._rows
        return address in ("/subscribe", "/unsubscribe")

    def answer(self, message: OscMessage, sender: Sender, now: float) -> bytes | None:
        """Return the answer to a message that concerns us; None if there is nothing to say.

        Args:
            message: what was asked; one that :meth:`concerns` us.
            sender: where it came from.
            now: session time, s.

        Raises:
            Refused: the sender may not ask, or the list is full.
            WrongArguments: it is not what the address takes.
        """
        local = _loopback(str(sender[0]))
        if not local and _canonical(str(sender[0])) not in self._allowed:
            raise Refused(f"a question from {sender[0]}, which is not allowed to ask; allow it with --osc-allow")
        row = self._rows[message.address.lower().removesuffix("/?")]
        if row.kind in ("subscribe", "unsubscribe"):
            return self._subscription(row.kind, message, sender, now)
        value = present(row, self._control.read()) if self._control is not None else None
        if value is None:
            raise WrongArguments("no question: it has no value")
        answer = packed(row.address, value)
        longest = _TIMES * (len(message.address) + 8)
        if local or len(answer) <= longest or not isinstance(value, str):
            return answer
        return packed(row.address, value.encode()[: max(0, longest - len(row.address) - 12)].decode("utf-8", "ignore"))

    def _subscription(
        self, kind: Literal["subscribe", "unsubscribe"], message: OscMessage, sender: Sender, now: float
    ) -> bytes:
        if self._subscribers is None:
            raise Refused("nothing is sent to subscribers here")
        host, port, wanted = self._target(list(message.arguments), sender)
        if kind == "unsubscribe":
            self._subscribers.remove(host, port)
            return packed("/unsubscribed", port)
        if not self._subscribers.add(host, port, wanted, now):
            raise Refused(f"there are {MAX_SUBSCRIBERS} subscribers already; one of them must leave first")
        return packed("/subscribed", port, wanted, int(LEASE))

    def _target(self, arguments: list[object], sender: Sender) -> tuple[str, int, Wanted]:
        wanted: Wanted = "faders"
        if arguments and arguments[-1] in ("faders", "feed"):
            wanted = "feed" if arguments.pop() == "feed" else "faders"
        host, port = str(sender[0]), int(sender[1])
        if len(arguments) == 2:
            host = str(arguments.pop(0))
        if arguments:
            given = arguments.pop()
            if (
                isinstance(given, bool)
                or not isinstance(given, int | float)
                or not float(given).is_integer()
                or arguments
            ):
                raise WrongArguments("nothing, or a port, or a host and a port; then faders or feed")
            port = int(given)
        if not LOWEST_PORT <= port <= 65535:
            raise WrongArguments(f"a port from {LOWEST_PORT} to 65535")
        host = "127.0.0.1" if host.lower() == "localhost" else _canonical(host)
        if not host:
            raise WrongArguments("an IP address as its host")
        if _loopback(host) and not _loopback(str(sender[0])):
            raise Refused(f"{sender[0]} asked for feedback to this machine")
        if not _loopback(str(sender[0])) and host != _canonical(str(sender[0])):
            raise Refused(f"{sender[0]} asked for feedback to {host}; others may subscribe only themselves")
        if not _loopback(host) and host not in self._allowed:
            raise Refused(f"feedback to {host} was asked for; allow it with --osc-allow {host}")
        if _loopback(host) and port == self.own_port:
            raise Refused("feedback to the port we listen on would go round for ever")
        return host, port, wanted


def _canonical(host: str) -> str:
    """Return an IP address in its one spelling, IPv4 inside IPv6 as IPv4; empty for what is no address."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _loopback(host: str) -> bool:
    found = _canonical(host)
    return bool(found) and ipaddress.ip_address(found).is_loopback


def _ip(host: str) -> str:
    found = _canonical(host)
    if not found:
        raise InputError(f"--osc-allow {host!r} is no IP address; try one like 192.168.1.20")
    return found
