"""Builder, contract and engine agree, and the checker notices when they do not."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "touchdesigner"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"td_test_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHECK = load("check")


@pytest.fixture
def builder() -> ModuleType:
    return load("build_vjengine")


def test_contract_builder_and_engine_agree(builder: ModuleType) -> None:
    assert CHECK.check(builder) == []


def change(builder: ModuleType, name: str, **fields: Any) -> None:
    builder.OPERATORS = [row._replace(**fields) if row.name == name else row for row in builder.OPERATORS]


def row(builder: ModuleType, name: str) -> Any:
    return next(one for one in builder.OPERATORS if one.name == name)


@pytest.mark.parametrize(
    ("name", "fields", "noticed"),
    [
        ("osc_numbers", {"pars": {"port": 7777}}, "port 7777"),
        ("audio", {"pars": {"channames": "vj/sound/*"}}, "does not send"),
        ("audio", {"pars": {"channames": "vj/audio/s*"}}, "reaches no output"),
        ("accent", {"exprs": {"brightness1": "op('macros')['vj/macro/NO'] or 0"}}, "vj/macro/NO"),
        ("accent", {"exprs": {"brightness1": "op('beat')['vj/audio/rms'] or 0"}}, "lets only vj/beat/*"),
        ("accent", {"exprs": {"brightness1": "op('nobody')['x']"}}, "'nobody'"),
        ("accent", {"exprs": {"brightness1": "parent().par.Nothing"}}, "par.Nothing"),
        ("accent", {"exprs": {"glitter": "1"}}, "no parameter 'glitter'"),
        ("accent", {"type": "glitterTOP"}, "no operator type"),
        ("mixed", {"pars": {"operand": "glitter"}}, "no item 'glitter'"),
        ("picture", {"inputs": ("hud", "audio")}, "families differ"),
        ("trail", {"pars": {"top": "nobody"}}, "'nobody'"),
        ("hud_text", {"exprs": {"text": "op('texts')['/vj/text/mood', 1]"}}, "/vj/text/mood"),
        ("source", {"inputs": ("in_ndi", "in_spout", "in_shared")}, "menu of sources"),
        ("play", {"text": "def macro(*a): op('engine_send').sendOSC('/makro', [1])\n"
                          "param = value = look = prompt = tap = lambda *a: None"}, "/makro"),
    ],
)  # fmt: skip
def test_a_fault_is_noticed(builder: ModuleType, name: str, fields: dict[str, Any], noticed: str) -> None:
    change(builder, name, **fields)
    assert any(noticed in line for line in CHECK.check(builder)), CHECK.check(builder)


def test_addresses_are_compared_both_ways(builder: ModuleType) -> None:
    builder.SENT = {**builder.SENT, "dance": "/dance"}
    del builder.SENT["prompt"]
    found = "\n".join(CHECK.check(builder))
    assert "/dance" in found
    assert "the engine obeys /prompt" in found


class Table:
    """What the callback needs of a Table DAT."""

    def __init__(self) -> None:
        self.rows: dict[str, list[str]] = {}

    def row(self, name: str) -> list[str] | None:
        return self.rows.get(name)

    def appendRow(self, cells: list[str]) -> None:
        self.rows[cells[0]] = list(cells)

    def __setitem__(self, key: tuple[str, int], cell: str) -> None:
        self.rows[key[0]][key[1]] = cell


def test_texts_are_kept_by_address(builder: ModuleType) -> None:
    table = Table()
    callbacks: dict[str, Any] = {"op": {"texts": table}.get}
    exec(builder.TEXT_CALLBACKS, callbacks)
    for address, args in (
        ("/vj/text/look", ["neon"]),
        ("/vj/text/look", ["gold"]),
        ("/vj/text/status/midi", ["warn", "gone"]),
    ):
        callbacks["onReceiveOSC"](None, 0, "", b"", 0.0, address, args, None)
    assert table.rows == {
        "/vj/text/look": ["/vj/text/look", "gold", ""],
        "/vj/text/status/midi": ["/vj/text/status/midi", "warn", "gone"],
    }


def test_expressions_give_something_before_anything_has_come(builder: ModuleType) -> None:
    """Run with channels and cells that are not there yet, and with some that are."""

    class Missing:
        def __getitem__(self, key: object) -> None:
            return None

    class Present:
        def __getitem__(self, key: object) -> Any:
            return "neon" if isinstance(key, tuple) else 0.5

    class Parent:
        par = type("par", (), {"Feedback": 0.6, "Displace": 0.05, "Hud": 1, "Source": type("s", (), {"menuIndex": 1})})

    clock = type("absTime", (), {"seconds": 1.0})
    for found in (Missing(), Present()):
        names = {"op": lambda name, found=found: found, "parent": Parent, "absTime": clock}
        for one in builder.OPERATORS:
            for expression in one.exprs.values():
                assert eval(expression, dict(names)) is not None
    assert "silent" in eval(row(builder, "hud_text").exprs["text"], {"op": lambda name: Missing()})


def test_the_command_says_what_was_and_was_not_proved(capsys: pytest.CaptureFixture[str]) -> None:
    assert CHECK.main() == 0
    assert "nothing was run in TouchDesigner" in capsys.readouterr().out
