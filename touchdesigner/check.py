"""Proves that contract, builder and engine agree: ``python touchdesigner/check.py``.

The builder is run against a recorder (``td_recorder.py``) of TouchDesigner's documented Python API. That proves names,
wiring, channels, addresses, types and ports. It does not prove how any of it looks or behaves inside TouchDesigner,
where nothing of this has been run.
"""

from __future__ import annotations

import ast
import fnmatch
import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from vjengine.core.macros import MacroDef

FOLDER = Path(__file__).parent


def load(name: str) -> ModuleType:
    """Return a module of this folder."""
    spec = importlib.util.spec_from_file_location(f"touchdesigner_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check(builder: ModuleType) -> list[str]:
    """Return everything in which builder, contract and engine disagree; empty if they agree."""
    return [
        *_contract(),
        *_hosts(),
        *_ports(builder),
        *_network(builder),
        *_channels(builder),
        *_texts(builder),
        *_sent(builder),
    ]


@cache
def _macros() -> Mapping[str, MacroDef]:
    from vjengine.config import load_macros
    from vjengine.resources import resource_dir

    return load_macros(resource_dir("macros"))


def _hosts() -> Iterator[str]:
    """Compare the addresses that the page of other hosts names."""
    from vjengine.core.osc_said import feed_rows
    from vjengine.core.osc_tree import osc_tree

    known = {row.address for row in (*osc_tree(_macros()), *feed_rows(_macros()))}
    text = (FOLDER / "hosts.md").read_text(encoding="utf-8")
    for address in re.findall(r"(?<![\w.…])(/(?:vj|param|macro|look|tempo|subscribe)\b[\w/]*)(?![\w/…])", text):
        stands_for_others = address.endswith(("NAME", "LEVEL", "/"))
        if not stands_for_others and address not in known:
            yield f"hosts.md names {address}, which the engine does not know"


def _contract() -> Iterator[str]:
    contract = load("contract")
    text = contract.README.read_text(encoding="utf-8")
    if contract.tables() not in text:
        yield "README.md: the tables are not the engine's; run python touchdesigner/contract.py"


def _ports(builder: ModuleType) -> Iterator[str]:
    from vjengine.inputs.osc import DEFAULT_HOST, DEFAULT_PORT
    from vjengine.outputs.osc_feed import DEFAULT_TARGET

    _, port = DEFAULT_TARGET
    expected = {"NUMBERS_PORT": port, "TEXTS_PORT": port + 1, "ENGINE_PORT": DEFAULT_PORT, "HOST": DEFAULT_HOST}
    for name, value in expected.items():
        if getattr(builder, name) != value:
            yield f"{name} is {getattr(builder, name)!r}; the engine's is {value!r}"
    wired = {"osc_numbers": builder.NUMBERS_PORT, "osc_texts": builder.TEXTS_PORT, "engine_send": builder.ENGINE_PORT}
    for row in builder.OPERATORS:
        if row.name in wired and row.pars.get("port") != wired[row.name]:
            yield f"{row.name} has port {row.pars.get('port')}, not {wired[row.name]}"


def record(builder: ModuleType) -> Any:
    """Return the component that the builder makes with the recorder. Raises Undocumented."""
    recorder = load("td_recorder")
    root = recorder.Node("baseCOMP", "project1")
    builder.build(root)
    return builder.build(root)  # twice: it replaces what is there


def _network(builder: ModuleType) -> Iterator[str]:
    try:
        base = record(builder)
    except Exception as error:  # noqa: BLE001 - whatever the builder does wrong is a finding
        yield f"the builder fails: {error!r}"
        return
    rows = {row.name: row for row in builder.OPERATORS}
    if set(base.children) != set(rows):
        yield "the builder makes other operators than its table says"
    for row in builder.OPERATORS:
        wired = [wire.source.name for wire in base.children[row.name].inputConnectors if wire.source is not None]
        if wired != list(row.inputs):
            yield f"{row.name} is wired to {wired}, not to {list(row.inputs)}"
        for name in (*_referred(row), row.pars.get("top"), row.pars.get("callbacks")):
            if name is not None and name not in rows:
                yield f"{row.name} refers to {name!r}, which is not there"
        for control in re.findall(r"parent\(\)\.par\.(\w+)", " ".join(row.exprs.values())):
            if control not in {name for _, name, _, _ in builder.CONTROLS}:
                yield f"{row.name} reads parent().par.{control}, which is not there"
    reached = _upstream(rows, [row.name for row in builder.OPERATORS if row.type.startswith("out")])
    for row in builder.OPERATORS:
        if row.name not in reached and row.type not in ("oscinDAT", "oscoutDAT", "textDAT"):
            yield f"{row.name} leads nowhere"
    if len(rows["source"].inputs) != len(builder.SOURCES):
        yield "the menu of sources is not what is wired to the switch"


def _upstream(rows: dict[str, Any], ends: list[str]) -> set[str]:
    seen: set[str] = set()
    todo = list(ends)
    while todo:
        name = todo.pop()
        if name not in seen and name in rows:
            seen.add(name)
            todo += [*rows[name].inputs, *_referred(rows[name]), *filter(None, [rows[name].pars.get("top")])]
    return seen


def _calls(row: Any) -> Iterator[ast.AST]:
    """Yield the nodes of a row's expressions and of its Python."""
    for expression in row.exprs.values():
        yield from ast.walk(ast.parse(expression, mode="eval"))
    if row.text:
        yield from ast.walk(ast.parse(row.text))


def _name_of_op(node: ast.AST) -> str | None:
    """Return NAME if ``node`` is ``op('NAME')``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "op":
        return str(ast.literal_eval(node.args[0]))
    return None


def _referred(row: Any) -> list[str]:
    return [name for node in _calls(row) if (name := _name_of_op(node)) is not None]


def _looked_up(row: Any) -> Iterator[tuple[str, Any]]:
    """Yield (operator, key) for every ``op('NAME')[key]`` with a constant key."""
    for node in _calls(row):
        if isinstance(node, ast.Subscript) and (name := _name_of_op(node.value)) is not None:
            try:
                yield name, ast.literal_eval(node.slice)
            except ValueError:
                continue


def _pattern(rows: dict[str, Any], name: str) -> str:
    """Return the channels that a CHOP lets through: the pattern of the nearest Select upstream."""
    row = rows[name]
    if row.type == "selectCHOP":
        return str(row.pars["channames"])
    return _pattern(rows, row.inputs[0]) if row.inputs else "*"


def _channels(builder: ModuleType) -> Iterator[str]:
    from vjengine.core.osc_said import feed_rows

    rows = {row.name: row for row in builder.OPERATORS}
    sent = {row.address.removeprefix("/") for row in feed_rows(_macros())}
    for row in builder.OPERATORS:
        for name, key in _looked_up(row):
            if name not in rows or not rows[name].type.endswith("CHOP"):
                continue
            if key not in sent:
                yield f"{row.name} reads the channel {key!r}, which the engine does not send"
            elif not fnmatch.fnmatchcase(key, _pattern(rows, name)):
                yield f"{row.name} reads {key!r} of {name}, which lets only {_pattern(rows, name)} through"
        pattern = row.pars.get("channames")
        if pattern is not None and not fnmatch.filter(sent, pattern):
            yield f"{row.name} selects {pattern!r}, which the engine does not send"
    given = [_pattern(rows, row.inputs[0]) for row in builder.OPERATORS if row.type == "outCHOP"]
    for channel in sorted(sent):
        if not any(fnmatch.fnmatchcase(channel, pattern) for pattern in given):
            yield f"the engine sends {channel}, which reaches no output"


def _texts(builder: ModuleType) -> Iterator[str]:
    from vjengine.core.osc_said import TEXT_ROWS

    known = [row.address.replace("NAME", "*") for row in TEXT_ROWS]
    for row in builder.OPERATORS:
        for name, key in _looked_up(row):
            if name == "texts" and not any(fnmatch.fnmatchcase(key[0], pattern) for pattern in known):
                yield f"{row.name} reads the text {key[0]!r}, which the engine does not send"


def _sent(builder: ModuleType) -> Iterator[str]:
    from vjengine.core.osc_tree import osc_tree

    tree = {row.address: row for row in osc_tree(_macros())}
    patterns = {what: re.compile(re.sub(r"\\{name\\}", ".+", re.escape(to))) for what, to in builder.SENT.items()}
    for what, pattern in patterns.items():
        if not any(pattern.fullmatch(address) for address in tree):
            yield f"{what} sends to {builder.SENT[what]}, which the engine does not obey"
    for address in tree:
        if not any(pattern.fullmatch(address) for pattern in patterns.values()):
            yield f"the engine obeys {address}, to which nothing sends"
    yield from _played(builder, tree)


def _played(builder: ModuleType, tree: dict[str, Any]) -> Iterator[str]:
    """Run the functions of ``play`` and have the engine's own table judge what they send."""
    from vjengine.inputs.osc_addresses import WrongArguments, osc_address_map

    makers = {row.address: row.make for row in osc_address_map(_macros())}
    sent: list[tuple[str, list[Any]]] = []

    class Sender:
        def sendOSC(self, address: str, arguments: list[Any]) -> None:
            sent.append((address, arguments))

    play: dict[str, Any] = {"op": lambda name: Sender()}
    exec(compile(next(row.text for row in builder.OPERATORS if row.name == "play"), "play", "exec"), play)
    play["macro"]("DROP")
    play["param"]("bloom.amount", 0.5)
    play["value"]("gen.palette", "ice")
    play["value"]("bloom.amount", 1)
    play["look"]("default")
    play["prompt"]("neon")
    play["tap"]()
    for address, arguments in sent:
        try:
            makers[address](tuple(arguments), 0.0)
        except (KeyError, WrongArguments) as error:
            yield f"play sends {arguments} to {address}: {error!r}"


def main() -> int:
    """Print what disagrees; return 1 if anything does."""
    builder = load("build_vjengine")
    found = check(builder)
    made = len(builder.OPERATORS)
    agreed = f"{made} operators: contract, builder and engine agree (nothing was run in TouchDesigner)"
    sys.stdout.write("\n".join(found or [agreed]) + "\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
