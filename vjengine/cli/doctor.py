"""``vjengine doctor``: what is here, what is missing, what to install, what it costs."""

from __future__ import annotations

import argparse
import json
import sys
from itertools import groupby
from pathlib import Path

from vjengine import __version__
from vjengine.cli.checks import Check, all_checks, as_json
from vjengine.cli.probes import PROBES, ask

DESCRIPTION = """\
Look over this machine: what is here, what is missing, what to install and what that costs. Exit status 0 if `vjengine
live` can run, 1 if not. Nothing is installed or changed.
"""
_MARKS = {"ok": "ok     ", "note": "note   ", "missing": "MISSING", "absent": "-      "}
_TITLES = {"core": "engine", "stage": "stage", "extras": "extras, as you need them"}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("doctor", help="what is here, what is missing, what to install",
                                   description=DESCRIPTION)  # fmt: skip
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Look and tell; return 0 if the live engine can run here, else 1."""
    checks = all_checks(ask(PROBES), Path.cwd())
    missing = [check.part for check in checks if check.state == "missing"]
    if args.json:
        print(json.dumps({"version": __version__, "live": not missing, "checks": as_json(checks)}, indent=2))
    else:
        print(report(checks))
        print(
            f"\nvjengine live cannot run yet: {', '.join(missing)} missing. Do what is said there, then look again."
            if missing
            else "\nvjengine live can run here."
        )
    return 1 if missing else 0


def report(checks: list[Check]) -> str:
    """Return all checks as text."""
    width = max(len(check.part) for check in checks)
    lines = [f"vjengine {__version__} on {sys.platform}"]
    for group, members in groupby(checks, key=lambda check: check.group):
        lines += ["", _TITLES[group]]
        for check in members:
            lines.append(f"  {_MARKS[check.state]}  {check.part:{width}}  {check.found}")
            if check.remedy:
                cost = f"   [{check.cost}]" if check.cost else ""
                lines.append(f"  {'':7}  {'':{width}}  -> {check.remedy}{cost}")
    return "\n".join(lines)
