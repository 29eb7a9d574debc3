"""``vjengine macro``: switch macros from a shell, through the live folder and nothing else.

A running engine follows within a millisecond; without one, toggles and levels wait for the next start.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from vjengine.config import active_dir, scan_macros
from vjengine.core.macros import MacroDef
from vjengine.errors import InputError, UsageError
from vjengine.inputs.engine_mark import live_engine
from vjengine.inputs.macro_folder import MacroFolder, show_level
from vjengine.resources import resource_dir
from vjengine.strict_yaml import suggest

ACTIONS = ("list", "on", "off", "toggle", "set", "clear")
DESCRIPTION = """\
Switch macros of a running show, or look at them.

  vjengine macro list             what there is, and what is on
  vjengine macro on DROP          on, until it is switched off
  vjengine macro off DROP
  vjengine macro toggle FREEZE
  vjengine macro set ENERGY 0.8   a level, 0 to 1
  vjengine macro clear            everything off

The same by hand: a file in the live folder means its macro is on, its content is a level's value.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "macro",
        help="switch macros of a running show",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", choices=ACTIONS, help="what to do")
    parser.add_argument("name", nargs="?", metavar="NAME", help="which macro")
    parser.add_argument("value", nargs="?", metavar="VALUE", help="a level, 0 to 1")
    parser.add_argument("--macros", type=Path, metavar="DIR", help="folder of macros (default: the bundled ones)")
    parser.add_argument("--active", type=Path, metavar="DIR",
                        help="live folder (default: $VJENGINE_ACTIVE, else active/ beside the macros)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="with list: as JSON")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Do one action on the live folder.

    Raises:
        UsageError: no such macro, or an argument too many or too few.
        ConfigError: the folder of macros cannot be read.
        InputError: the live folder cannot be used.
    """
    definitions = args.macros or resource_dir("macros")
    if not definitions.is_dir():
        raise UsageError(f"--macros {definitions}: there is no such folder")
    macros, faults = scan_macros(definitions)
    for fault in faults:
        print(f"vjengine: left out: {fault}", file=sys.stderr)
    path = args.active or active_dir(definitions)
    folder = MacroFolder(path, macros)
    try:
        if args.action == "list":
            _refuse_extra(args.name, "list takes no macro")
            _list(folder, macros, as_json=args.json)
        elif args.action == "clear":
            _refuse_extra(args.name, "clear takes no macro; to switch one off, use: vjengine macro off NAME")
            _clear(folder, macros)
        else:
            _switch(folder, macros, args.action, args.name, args.value)
    except BrokenPipeError:
        raise  # nothing is wrong with the folder: whoever reads what is printed went away
    except OSError as error:
        raise InputError(f"the live folder {path} cannot be used: {error.strerror or error}") from error
    return 0


def _refuse_extra(argument: str | None, reason: str) -> None:
    if argument is not None:
        raise UsageError(f"{reason} (got {argument!r})")


def _find(macros: Mapping[str, MacroDef], name: str | None) -> MacroDef:
    if name is None:
        raise UsageError("which macro? `vjengine macro list` shows them")
    if name.upper() not in macros:
        raise UsageError(f"there is no macro {name!r}; {suggest(name, macros)}")
    return macros[name.upper()]


def _switch(
    folder: MacroFolder, macros: Mapping[str, MacroDef], action: str, name: str | None, value: str | None
) -> None:
    macro = _find(macros, name)
    if action != "set":
        _refuse_extra(value, f"{action} takes no value; use: vjengine macro set {macro.name} VALUE")
    _scan(folder)
    if action == "toggle":
        wanted = 0.0 if _value(folder, macro) > 0.0 else 1.0
    elif action == "set":
        wanted = _level(macro, value)
    else:
        wanted = 1.0 if action == "on" else 0.0
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.write(macro.name, wanted)
    print(f"{macro.name} {_shown(macro, wanted)}{_whether_heard(folder.path)}")


def _level(macro: MacroDef, text: str | None) -> float:
    if text is None:
        raise UsageError(f"what value? For example: vjengine macro set {macro.name} 0.5")
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise UsageError(f"{text!r}: expected a number from 0 to 1")
    return value if macro.kind == "level" else float(value > 0.0)


def _clear(folder: MacroFolder, macros: Mapping[str, MacroDef]) -> None:
    _scan(folder)
    cleared = [name for name, macro in macros.items() if _value(folder, macro) > 0.0]
    for name in macros:
        folder.remove(name)
    print(f"off: {', '.join(cleared) or 'nothing was on'}{_whether_heard(folder.path)}")


def _list(folder: MacroFolder, macros: Mapping[str, MacroDef], *, as_json: bool) -> None:
    _scan(folder)
    engine = live_engine(folder.path)
    if as_json:
        rows = [
            {"name": macro.name, "kind": macro.kind, "value": _value(folder, macro), "summary": macro.summary,
             "group": macro.group, "priority": macro.priority, "note": macro.note, "cc": macro.cc, "key": macro.key,
             "address": macro.address}
            for macro in macros.values()
        ]  # fmt: skip
        print(json.dumps({"folder": str(folder.path), "engine": engine, "macros": rows}, indent=2))
        return
    width = max((len(name) for name in macros), default=4)
    print(f"{'macro':{width}}  {'kind':9}  {'now':6}  {'midi':6}  {'key':3}  what it does")
    for macro in macros.values():
        midi = f"note{macro.note}" if macro.note is not None else f"cc{macro.cc}" if macro.cc is not None else ""
        now = _shown(macro, _value(folder, macro))
        print(f"{macro.name:{width}}  {macro.kind:9}  {now:6}  {midi:6}  {macro.key:3}  {macro.summary}")
    running = f"an engine is running (process {engine})" if engine is not None else "no engine is running"
    print(f"\nlive folder: {folder.path}; {running}")


def _scan(folder: MacroFolder) -> None:
    """Learn the spellings that are in use; a folder that is not there yet is an empty one."""
    try:
        folder.scan()
    except FileNotFoundError:
        return


def _value(folder: MacroFolder, macro: MacroDef) -> float:
    """Return what the folder says, 0 for what it does not say clearly."""
    return folder.read(macro.name).value or 0.0


def _shown(macro: MacroDef, value: float) -> str:
    if macro.kind == "level":
        return show_level(value)
    return "on" if value > 0.0 else "off"


def _whether_heard(path: Path) -> str:
    return "" if live_engine(path) is not None else f" (no engine is running on {path})"
