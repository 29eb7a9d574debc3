"""The TouchDesigner page must be what the engine really sends and obeys."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from vjengine.core.control import ControlState
from vjengine.core.macros import MacroDef, MacroState
from vjengine.core.osc_packet import MAX_PACKET
from vjengine.core.osc_said import Tick, feed_rows
from vjengine.core.osc_subscribers import MAX_SUBSCRIBERS
from vjengine.core.osc_tree import osc_tree
from vjengine.core.osc_write import MAX_DATAGRAM, MAX_TEXT
from vjengine.inputs.osc import DEFAULT_HOST, DEFAULT_PORT, MESSAGE_RATE, PROMPT_RATE, SENDER_RATE
from vjengine.outputs.osc_feed import DEFAULT_TARGET

FOLDER = Path(__file__).parents[2] / "touchdesigner"


@pytest.fixture(scope="module")
def page() -> str:
    return (FOLDER / "README.md").read_text(encoding="utf-8")


def test_the_tables_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(FOLDER / "contract.py"), "--check"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_every_address_is_on_the_page(page: str) -> None:
    listed = set(re.findall(r"^\| `(/[^`]+)` \|", page, flags=re.MULTILINE))
    macros = {"NAME": MacroDef("NAME"), "LEVEL": MacroDef("LEVEL", "level")}
    sent = {row.address for row in feed_rows(["NAME"])}
    obeyed = {row.address for row in osc_tree(macros)}
    assert sent | obeyed | {"/vj/text/look", "/vj/text/prompt", "/vj/text/status/NAME"} == listed


def test_the_figures_on_the_page_are_the_engines(page: str) -> None:
    host, port = DEFAULT_TARGET
    for figure in (
        f"{host}:{port}",
        f"{host}:{port + 1}",
        f"{DEFAULT_HOST}:{DEFAULT_PORT}",
        f"{MAX_DATAGRAM} bytes",
        f"{MAX_TEXT} bytes",
        f"{MAX_PACKET} bytes",
        f"{MESSAGE_RATE:,.0f}",
        f"{SENDER_RATE:,.0f} of one sender",
        f"at most {MAX_SUBSCRIBERS} subscribers".capitalize(),
        f"{PROMPT_RATE:.0f} prompts",
    ):
        assert figure in " ".join(page.split()), figure


def test_every_row_reads_a_number_within_its_range() -> None:
    state = ControlState(macros={"NAME": MacroState()})
    for row in feed_rows(["NAME"]):
        value = float(row.read(Tick(state)))
        low = row.range.split(" ")[0]
        assert low == "any" or value >= float(low), row.address
        if row.range.startswith(("0 to 1", "0 or 1")):
            assert value <= 1.0, row.address
