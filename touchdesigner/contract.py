"""Write the address tables of README.md anew from the engine's own tables: ``python touchdesigner/contract.py``.

``--check`` changes nothing and fails if the README is not what the engine sends and obeys.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from vjengine.core.macros import MacroDef
from vjengine.core.osc_said import TEXT_ROWS, feed_rows
from vjengine.core.osc_tree import osc_tree

README = Path(__file__).with_name("README.md")
START, END = "<!-- tables: written by contract.py -->", "<!-- end of tables -->"
EXAMPLES = {
    "NAME": MacroDef("NAME", summary="a momentary or toggle macro"),
    "LEVEL": MacroDef("LEVEL", "level", "a level"),
}


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def tables() -> str:
    """Return all tables, ``NAME`` standing for a macro."""
    lines = ["", "### Numbers sent", ""]
    lines += table(
        ("address", "type", "unit", "range", "sent", "what it is"),
        [(f"`{row.address}`", "f", row.unit, row.range, row.when, row.doc) for row in feed_rows(["NAME"])],
    )
    lines += ["", "### Text sent, on the port after", ""]
    lines += table(
        ("address", "arguments", "what it is"), [(f"`{row.address}`", row.arguments, row.doc) for row in TEXT_ROWS]
    )
    lines += ["", "### Addresses obeyed, on port 9000", ""]
    lines += table(
        ("address", "type", "answers ?", "arguments", "what it does"),
        [
            (f"`{row.address}`", row.tags, "yes" if row.readable else "", row.arguments, row.doc)
            for row in osc_tree(EXAMPLES)
        ],
    )
    return "\n".join([*lines, ""])


def main() -> None:
    """Write or check the README."""
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    wanted = f"{before}{START}\n{tables()}\n{END}{after}"
    if "--check" not in sys.argv:
        README.write_text(wanted, encoding="utf-8")
    elif wanted != text:
        sys.exit("touchdesigner/README.md is not what the engine sends; run: python touchdesigner/contract.py")


if __name__ == "__main__":
    main()
