"""``vjengine models``: get models before the show, see what is here, make sure that it is whole."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from vjengine.errors import GeneratorError

if TYPE_CHECKING:
    from vjengine.generate.turbo.store import Progress, PullPlan, Store, Tell

DESCRIPTION = """\
Get diffusion models before the show, see what is here, make sure that it is whole.

  vjengine models list                     what there is, what is here, how large, under which licence
  vjengine models pull                     the default model, with all its parts
  vjengine models pull sdxl-turbo          another one of the list
  vjengine models pull owner/name          any Stable Diffusion pipeline or LoRA of the model hub
  vjengine models pull owner/name@1a2b3c4  the same, at one commit
  vjengine models pull owner/name/ink.safetensors
                                           one file of it
  vjengine models pull sd-turbo --dry-run  how much it is and whether it fits, and no more
  vjengine models verify                   read every byte of everything that is here
  vjengine models path sd-turbo            where it is

A pull can be stopped at any time: the same command goes on from there. What was pulled stays at the same commit until
`--update`. Only safetensors, JSON and text are ever fetched: nothing that can run code.
Models live in $VJENGINE_MODELS, else in the user's cache; the folder can be copied to another machine.
A folder in diffusers' layout or a .safetensors file needs no pull: give its path where a model is asked for.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "models",
        help="get diffusion models and look after them",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--models", type=Path, metavar="DIR", help="where models live (default: $VJENGINE_MODELS)")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    shown = actions.add_parser("list", parents=[common], help="what there is and what is here")
    shown.add_argument("--json", action="store_true", help="as JSON")
    shown.set_defaults(func=run_list)
    pull = actions.add_parser("pull", parents=[common], help="get models, whole and checked, going on where it stopped")
    pull.add_argument("names", nargs="*", metavar="NAME", help="of the list or of the hub (default: sd-turbo)")
    pull.add_argument("--offline", action="store_true", help="ask nobody; fail if something is not here")
    pull.add_argument("--update", action="store_true", help="ask the hub for the newest commit of what has no pin")
    pull.add_argument("--dry-run", action="store_true", help="only say how much it is and whether it fits")
    pull.set_defaults(func=run_pull)
    where = actions.add_parser("path", parents=[common], help="where a model is")
    where.add_argument("name", metavar="NAME", help="of the list or of the hub")
    where.set_defaults(func=run_path)
    verify = actions.add_parser("verify", parents=[common], help="read every byte and compare")
    verify.add_argument("names", nargs="*", metavar="NAME", help="which (default: everything that is here)")
    verify.set_defaults(func=run_verify)


def run_list(args: argparse.Namespace) -> int:
    """Show the catalogue and everything that was pulled."""
    from vjengine.generate.turbo.store import size_words

    store = _store(args)
    rows = store.models()
    if args.json:
        shown = [
            {"name": row.name, "state": row.state, "size": row.size, "present": row.present, "commit": row.commit,
             "part": row.part, "licence": row.licence, "about": row.doc}
            for row in rows
        ]  # fmt: skip
        print(json.dumps({"folder": str(store.folder), "models": shown}, indent=2))
        return 0
    for title, part in (("models", False), ("parts of models, pulled with them", True)):
        table = Table("name", "here", "size", "about", "licence", title=title, title_justify="left", box=None)
        for row in rows:
            if row.part is part:
                share = f"{row.present / max(1, row.size):.0%} here"
                state = {"complete": "yes", "missing": "-", "partial": share}[row.state]
                table.add_row(row.name, state, size_words(row.size), row.doc, row.licence)
        Console().print(table)
    print(f"\nfolder: {store.folder}\nget one with: vjengine models pull NAME")
    return 0


def run_pull(args: argparse.Namespace) -> int:
    """Get models.

    Raises:
        UsageError: a name that cannot be pulled.
        GeneratorError: offline, no room, no such model, or the transfer stopped: what to do.
        MissingDependency: without huggingface_hub.
    """
    from vjengine.generate.turbo.catalogue import DEFAULT_MODEL

    store = _store(args, offline=args.offline)
    for name in args.names or [DEFAULT_MODEL]:
        if args.dry_run:
            _tell(name, store.plan(name, update=args.update))
            continue
        try:
            with _bars() as progress:
                path = store.pull(name, progress, told=partial(_tell, name), update=args.update)
        except KeyboardInterrupt:
            print(
                f"vjengine: stopped. What has arrived is kept; `vjengine models pull {name}` goes on from there",
                file=sys.stderr,
            )
            return 130
        print(f"{name} is here, whole: {path}")
    return 0


def run_path(args: argparse.Namespace) -> int:
    """Print where a model is.

    Raises:
        GeneratorError: it is not here, or not whole.
    """
    print(_store(args).path(args.name))
    return 0


def run_verify(args: argparse.Namespace) -> int:
    """Read every byte of models.

    Raises:
        GeneratorError: something is wrong, after telling what.
    """
    store = _store(args)
    names = args.names or [row.name for row in store.models() if row.state != "missing"]
    if not names:
        print(f"nothing is here yet, in {store.folder}: vjengine models pull")
        return 0
    bad = []
    for name in names:
        with _bars() as progress:
            wrong = store.verify(name, progress)
        print(f"{name}: {'whole' if not wrong else f'{len(wrong)} wrong'}")
        for line in wrong:
            print(f"  {line}")
        if wrong:
            bad.append(name)
    if bad:
        raise GeneratorError(f"mend with: vjengine models pull {' '.join(bad)}")
    return 0


def _store(args: argparse.Namespace, *, offline: bool = False) -> Store:
    from vjengine.generate.turbo.store import Store, models_folder, told_offline

    return Store(args.models or models_folder(), offline=offline or told_offline())


def _tell(name: str, plan: PullPlan) -> None:
    """Say what a pull takes, before it begins."""
    from vjengine.generate.turbo.catalogue import CATALOGUE
    from vjengine.generate.turbo.store import size_words

    if not plan.needed:
        print(f"{name}: all {size_words(plan.total)} are here", file=sys.stderr)
        return
    rest = "" if plan.needed == plan.total else f" of {size_words(plan.total)}"
    print(
        f"{name}: {size_words(plan.needed)}{rest} to get, {size_words(plan.free)} free in {plan.folder}",
        file=sys.stderr,
    )
    if name in CATALOGUE:
        print(f"licence: {CATALOGUE[name].licence}", file=sys.stderr)


@contextmanager
def _bars() -> Iterator[Tell]:
    """Show a bar for each stage; yield who to tell."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
               TimeRemainingColumn())  # fmt: skip
    words = {"download": "getting", "check": "checking"}
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        stages = {}

        def tell(step: Progress) -> None:
            if step.stage not in stages:
                # What an earlier pull left counts as done, not as speed.
                stages[step.stage] = bar.add_task(words[step.stage], total=step.total, completed=step.done)
            about = f"{words[step.stage]} {step.file}"
            bar.update(stages[step.stage], completed=step.done, total=step.total, description=about)

        yield tell
