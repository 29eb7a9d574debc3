"""``vjengine osc``: every address of the OSC tree, and a monitor that says what arrives and what is wrong with it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from vjengine.config import load_looks, load_macros
from vjengine.core.clock import LiveClock
from vjengine.core.macros import MacroDef
from vjengine.core.osc_packet import (
    IMMEDIATELY,
    MAX_PACKET,
    Argument,
    MalformedPacket,
    OscMessage,
    decode_packet,
)
from vjengine.core.osc_said import TEXT_ROWS, feed_rows
from vjengine.core.osc_tree import Span, osc_tree
from vjengine.errors import UsageError
from vjengine.resources import resource_dir

DESCRIPTION = """\
Look at the OSC side of the engine.

  vjengine osc map                   every address that is obeyed and sent
  vjengine osc map --markdown        the same as tables; --json for programs
  vjengine osc monitor --port 9000   print what arrives, decoded, and what is wrong with it

The monitor takes the place of the engine on its port: end the engine first, or point the sender at another port.
Addresses are told by OSCQuery too: vjengine live --oscquery.
"""
_TICK = 0.1


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "osc",
        help="list every OSC address, or watch what arrives",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    shown = actions.add_parser("map", help="every address, with types, ranges and meaning")
    form = shown.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="as Markdown tables")
    form.add_argument("--json", action="store_true", help="as JSON")
    shown.set_defaults(func=run_map)
    watch = actions.add_parser("monitor", help="print what arrives, and what is wrong with it")
    watch.add_argument("--port", type=int, default=9000, metavar="N", help="UDP port (default: 9000)")
    watch.add_argument("--host", default="127.0.0.1", metavar="HOST",
                       help="address to listen on; 0.0.0.0 for every network (default: 127.0.0.1)")  # fmt: skip
    watch.add_argument("--only", default="", metavar="PREFIX", help="addresses that begin so, like /param/bloom")
    watch.add_argument("--count", type=int, metavar="N", help="end after so many lines")
    watch.set_defaults(func=run_monitor)
    for one in (shown, watch):
        one.add_argument("--macros", type=Path, metavar="DIR", help="folder of macros (default: the bundled ones)")
        one.add_argument("--presets", type=Path, metavar="DIR", help="folder of looks (default: the bundled ones)")


def _show(args: argparse.Namespace) -> tuple[Mapping[str, MacroDef], tuple[str, ...]]:
    macros = load_macros(args.macros or resource_dir("macros"))
    looks, faults = load_looks(args.presets or resource_dir("presets"), macros)
    for fault in faults:
        print(f"vjengine: left out: {fault}", file=sys.stderr)
    return macros, tuple(looks)


# ---------------------------------------------------------------- map


def run_map(args: argparse.Namespace) -> int:
    """Print the tree.

    Raises:
        ConfigError: a macro is wrong.
    """
    macros, looks = _show(args)
    obeyed = [
        {"address": row.address, "types": row.tags, "arguments": row.arguments, "doc": row.doc,
         "readable": row.readable, "spans": [_span(span) for span in row.spans]}
        for row in osc_tree(macros, looks)
    ]  # fmt: skip
    sent: list[dict[str, Any]] = [
        {"address": row.address, "types": "f", "unit": row.unit, "range": row.range, "when": row.when, "doc": row.doc}
        for row in feed_rows(macros)
    ]
    sent += [
        {"address": row.address, "types": "ss" if "two" in row.arguments else "s", "unit": "", "range": row.arguments,
         "when": "on change and every second", "doc": row.doc}
        for row in TEXT_ROWS
    ]  # fmt: skip
    if args.json:
        print(json.dumps({"obeyed": obeyed, "sent": sent}, indent=2, ensure_ascii=False))
        return 0
    heads = (("obeyed", ("address", "types", "arguments", "doc"), obeyed),
             ("sent", ("address", "types", "range", "doc"), sent))  # fmt: skip
    for title, columns, rows in heads:
        cells = [tuple(str(row[column]) for column in columns) for row in rows]
        print("\n".join(_markdown(title, columns, cells) if args.markdown else _plain(title, cells)))
    return 0


def _span(span: Span) -> dict[str, Any]:
    return {"type": span.tag, "low": span.low, "high": span.high, "unit": span.unit, "choices": list(span.choices)}


def _markdown(title: str, columns: tuple[str, ...], cells: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [columns, tuple("---" for _ in columns), *cells]
    table = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    return [f"## Addresses {title}", "", *table, ""]


def _plain(title: str, cells: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(line[column]) for line in cells) for column in range(2)]
    lines = [f"{line[0]:{widths[0]}}  {line[1]:{widths[1]}}  {line[3]} ({line[2]})" for line in cells]
    return [f"addresses {title}:", *lines, ""]


# ---------------------------------------------------------------- monitor


def run_monitor(args: argparse.Namespace) -> int:
    """Print what arrives until Ctrl-C.

    Raises:
        UsageError: the port is none.
        InputError: the port cannot be opened.
        ConfigError: a macro is wrong.
    """
    from vjengine.inputs.osc_gate import open_udp

    if not 0 <= args.port <= 65535:
        raise UsageError(f"--port {args.port}: ports are 0 to 65535")
    judge = Judge(*_show(args))
    clock = LiveClock()
    sock = open_udp(args.host, args.port, "--port N")
    lines = 0
    try:
        sock.settimeout(_TICK)
        print(f"listening on {args.host}:{sock.getsockname()[1]}; Ctrl-C ends", flush=True)
        while args.count is None or lines < args.count:
            try:
                data, sender = sock.recvfrom(MAX_PACKET + 1)
            except (TimeoutError, ConnectionResetError):
                continue
            for line in judge.lines(data, args.only):
                lines += 1
                print(f"{clock.now():9.3f}  {sender[0]}:{sender[1]}  {line}", flush=True)
    except KeyboardInterrupt:
        print(f"\n{judge.good} well, {judge.wrong} wrong")
    finally:
        sock.close()
    return 0


class Judge:
    """Decodes packets and says what the engine would do with them.

    Args:
        macros: of the show.
        looks: that ``/look`` accepts.

    Attributes:
        good, wrong: messages so far.
    """

    def __init__(self, macros: Mapping[str, MacroDef], looks: tuple[str, ...]) -> None:
        from vjengine.inputs.osc_addresses import Make, osc_address_map

        self._makers: Mapping[str, Make] = {row.address.lower(): row.make for row in osc_address_map(macros, looks)}
        self._tree = {row.address.lower(): row for row in osc_tree(macros, looks)}
        self._sent = {row.address.lower() for row in feed_rows(macros)} | {row.address for row in TEXT_ROWS}
        self.good = 0
        self.wrong = 0

    def lines(self, data: bytes, only: str = "") -> list[str]:
        """Return a line for every message whose address begins with ``only``, or one for a packet that is broken."""
        try:
            messages = decode_packet(data)
        except MalformedPacket as error:
            self.wrong += 1
            return [f"WRONG  not OSC: {ascii(str(error))[1:-1]} ({len(data)} bytes, {data[:24]!r})"]
        found = []
        for message in messages:
            reason = self._reason(message)
            self.good += not reason
            self.wrong += bool(reason)
            if message.address.lower().startswith(only.lower()):
                said = f"{message.address}  {_typed(message)}"
                found.append(f"WRONG  {said}  {reason}" if reason else f"ok     {said}")
        return found

    def _reason(self, message: OscMessage) -> str:
        """Return what is wrong with a message; empty if nothing is."""
        address = message.address.lower()
        asked = address.removesuffix("/?")
        if asked in self._tree and (address != asked or message.arguments == ("?",)):
            return "" if self._tree[asked].readable else "it has no value to ask for"
        if address in self._sent or address.startswith("/vj/text/status/"):
            return ""
        if address not in self._tree:
            from vjengine.strict_yaml import suggest

            near = suggest(message.address, [row.address for row in self._tree.values()])
            return f"no such address; {near if near.startswith('did') else 'see vjengine osc map'}"
        maker: Callable[..., object] | None = self._makers.get(address)
        if maker is None:
            return ""
        try:
            maker(message.arguments, 0.0)
        except ValueError as error:
            return f"it takes {error}"
        return ""


def _typed(message: OscMessage) -> str:
    """Return types and arguments, printable whatever they hold."""
    tags = "".join(tag if tag.isascii() and tag.isprintable() else "?" for tag in message.tags)
    later = "" if message.timetag == IMMEDIATELY else f"  time tag {message.timetag:#018x}"
    return f"[{tags}] {' '.join(map(_shown, message.arguments))}{later}".strip()


def _shown(argument: Argument) -> str:
    if isinstance(argument, bytes):
        return f"{len(argument)} bytes"
    return f"{argument:g}" if isinstance(argument, float) else ascii(argument) if argument is not None else "nil"
