"""``vjengine osc``: the map is the tree, the monitor says what is wrong and ends at once."""

from __future__ import annotations

import argparse
import json
import signal
import socket
import subprocess
import sys
import time

import pytest

from vjengine.cli import osc
from vjengine.config import load_macros
from vjengine.core.osc_said import feed_rows
from vjengine.core.osc_tree import osc_tree
from vjengine.core.osc_write import message
from vjengine.errors import InputError, UsageError
from vjengine.resources import resource_dir

MACROS = load_macros(resource_dir("macros"))


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    osc.add_parser(parser.add_subparsers())
    args = parser.parse_args(["osc", *words])
    return int(args.func(args))


def test_the_map_is_the_tree(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("map", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["address"] for row in told["obeyed"]] == [row.address for row in osc_tree(MACROS)]
    assert {row.address for row in feed_rows(MACROS)} <= {row["address"] for row in told["sent"]}
    for form in ([], ["--markdown"]):
        run("map", *form)
        lines = capsys.readouterr().out
        assert all(row.address in lines for row in osc_tree(MACROS))


@pytest.mark.parametrize(
    ("packet", "wanted"),
    [
        (message("/param/bloom/amount", 0.5), "ok     /param/bloom/amount  [f] 0.5"),
        (message("/macro/DROP", 1), "ok     /macro/DROP  [i] 1"),
        (message("/look", "?"), "ok     /look  [s] '?'"),
        (message("/vj/audio/rms", 0.25), "ok     /vj/audio/rms  [f] 0.25"),
        (message("/prompt", "a\x1b[31m"), "WRONG  /prompt  [s] 'a\\x1b[31m'  it takes text without control characters"),
        (message("/macro/DROP", "on"), "WRONG  /macro/DROP  [s] 'on'  it takes a finite number"),
        (message("/tempo/tap", "?"), "WRONG  /tempo/tap  [s] '?'  it has no value to ask for"),
        (message("/param/blom/amount", 0.5), "WRONG  /param/blom/amount  [f] 0.5  no such address; "),
        (b"hello", "WRONG  not OSC: "),
    ],
)
def test_the_monitor_says_what_is_wrong(packet: bytes, wanted: str) -> None:
    (line,) = osc.Judge(MACROS, ()).lines(packet)
    assert line.startswith(wanted)
    assert line.isprintable()


def test_a_port_that_is_taken_names_the_monitors_own_option() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        with pytest.raises(InputError, match="--port N"):
            run("monitor", "--port", str(sock.getsockname()[1]))
    with pytest.raises(UsageError):
        run("monitor", "--port", "70000")


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process")
def test_the_monitor_prints_what_arrives_and_ends_with_ctrl_c() -> None:
    process = subprocess.Popen([sys.executable, "-c", ENTRY], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        first = process.stdout.readline()
        port = int(first.split(";")[0].rsplit(":", 1)[1])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(message("/param/out/level", 1.0), ("127.0.0.1", port))
            assert "ok     /param/out/level  [f] 1" in process.stdout.readline()
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(30) == 0
        assert time.monotonic() - start < 10.0
        assert "1 well, 0 wrong" in rest
    finally:
        process.kill()
        process.communicate()


ENTRY = """
import argparse
from vjengine.cli import osc
parser = argparse.ArgumentParser()
osc.add_parser(parser.add_subparsers())
args = parser.parse_args(["osc", "monitor", "--port", "0"])
raise SystemExit(args.func(args))
"""
