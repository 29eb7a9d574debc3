"""The command line as a whole: what every command shares."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break otherwise there")
@pytest.mark.parametrize(
    "words",
    [["macro", "list"], ["engine", "list"], ["live", "--help"], ["--version"]],
    ids=" ".join,
)
def test_a_reader_that_goes_away_ends_every_command_quietly(words, tmp_path):
    environment = {**os.environ, "VJENGINE_ACTIVE": str(tmp_path), "HOME": str(tmp_path)}
    # As in a shell, where the words stay in a buffer until the end.
    environment.pop("PYTHONUNBUFFERED", None)
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "vjengine.cli.main", *words],
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            env=environment,
        )
    finally:
        os.close(write)
    assert done.stderr == ""
    assert done.returncode == 1


def test_commands_report_what_is_wrong_in_one_line_and_their_status(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "vjengine.cli.main", "macro", "on", "DORP"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "VJENGINE_ACTIVE": str(tmp_path)},
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("vjengine: ")
    assert "DROP" in done.stderr
    assert done.stderr.count("\n") == 1
