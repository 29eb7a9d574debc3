"""Contact sheets of the procedural generator: ``python -m benchmarks.contact_sheet -o out/sheet.png``.

The art is judged by eye: every family against palettes, seeds, moments or the ends of a parameter, drawn through the
real generator with a small synthetic performance.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from vjengine.core.generation import GeneratorParams
from vjengine.core.params import FAMILIES, PALETTES, PARAMS, ParamValues
from vjengine.core.signals import Bands
from vjengine.generate.base import GeneratorSpec
from vjengine.generate.procedural import ProceduralGenerator

FPS = 30.0
TEMPO = 124.0


@dataclass(frozen=True)
class Cell:
    """One picture of the sheet: what to set, when to look, and what to write under it."""

    label: str
    values: dict[str, float]
    time: float
    music: bool = True


def performance(values: dict[str, float], start: float, frames: int, music: bool) -> Iterator[GeneratorParams]:
    """Yield ``frames`` parameters at 30 fps from ``start`` s: a four-on-the-floor with hats, or silence."""
    table = ParamValues.of(values)
    for index in range(frames):
        time = start + index / FPS
        beats = time * TEMPO / 60.0
        kick = math.exp(-6.0 * (beats % 1.0)) if music else 0.0
        hat = math.exp(-9.0 * ((beats + 0.5) % 1.0)) if music else 0.0
        level = 0.35 if music else 0.0
        bands: Bands = (kick, 0.8 * kick, level, level, 0.6 * hat, hat)
        hits: Bands = (kick, kick, 0.0, 0.0, hat, hat)
        yield GeneratorParams(
            sequence=index + 1,
            time=time,
            values=table,
            travel=time * table["gen.speed"],
            turn=time * table["gen.rotate"],
            bands=bands,
            hits=hits,
            rms=level,
            beats=beats,
            bar_phase=beats / 4.0 % 1.0,
            beat_running=music,
        )


def picture(cell: Cell, size: tuple[int, int], frames: int) -> Image.Image:
    """Draw ``cell`` after ``frames`` frames of run-up."""
    generator = ProceduralGenerator(GeneratorSpec("procedural", size, options={"family": _family_of(cell)}))
    try:
        pixels = np.zeros((size[1], size[0], 4), dtype=np.uint8)
        for params in performance(cell.values, cell.time, frames, cell.music):
            pixels = generator.generate(params)
        return Image.fromarray(pixels[..., :3].copy())
    finally:
        generator.close()


def _family_of(cell: Cell) -> str:
    return FAMILIES[int(cell.values.get("gen.family", 0))]


def cells(kind: str, family: str, seed: int, extra: dict[str, float]) -> list[Cell]:
    """Return one row of the sheet: ``family`` along what ``kind`` names (a parameter's name spans its range)."""
    base = {"gen.family": float(FAMILIES.index(family)), "gen.seed": float(seed), **extra}
    match kind:
        case "palettes":
            return [
                Cell(f"{family} {name}", {**base, "gen.palette": float(i)}, 12.0) for i, name in enumerate(PALETTES)
            ]
        case "seeds":
            return [Cell(f"{family} seed {s}", {**base, "gen.seed": float(s)}, 12.0) for s in range(seed, seed + 8)]
        case "times":
            return [Cell(f"{family} {t:g} s", base, t) for t in (0.0, 0.3, 0.6, 1.0, 4.0, 12.0, 40.0, 120.0)]
        case _:
            row = PARAMS[kind]
            steps = [row.from_unit(unit) for unit in (0.0, 0.25, 0.5, 0.75, 1.0)]
            return [Cell(f"{family} {kind} {row.show(v)}", {**base, kind: v}, 12.0) for v in steps]


def sheet(rows: Sequence[Sequence[Cell]], size: tuple[int, int], frames: int) -> Image.Image:
    """Lay the rows out on black, each picture with its label."""
    margin, caption = 4, 14
    width = max(len(row) for row in rows) * (size[0] + margin) + margin
    height = len(rows) * (size[1] + margin + caption) + margin
    paper = Image.new("RGB", (width, height), (18, 18, 18))
    pen = ImageDraw.Draw(paper)
    for down, row in enumerate(rows):
        for across, cell in enumerate(row):
            x, y = margin + across * (size[0] + margin), margin + down * (size[1] + margin + caption)
            paper.paste(picture(cell, size, frames), (x, y))
            pen.text((x + 2, y + size[1] + 1), cell.label, fill=(170, 170, 170))
    return paper


def main() -> None:
    """Parse the command line and write the sheet."""
    parser = argparse.ArgumentParser(description="Contact sheets of the procedural generator.")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/sheet.png"))
    parser.add_argument("--family", action="append", choices=FAMILIES, help="only this family (repeatable)")
    parser.add_argument("--size", default="320x180", help="of each picture, WIDTHxHEIGHT in px")
    parser.add_argument("--by", default="palettes", help="palettes, seeds, times, or a parameter such as gen.warp")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--frames", type=int, default=14, help="frames of run-up before each picture")
    parser.add_argument("--columns", type=int, default=8, help="most pictures in a row")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="set a parameter")
    options = parser.parse_args()
    if options.by not in ("palettes", "seeds", "times") and options.by not in PARAMS:
        parser.error(f"--by {options.by}: expected palettes, seeds, times or a parameter name")
    width, _, height = options.size.partition("x")
    extra = {name: float(value) for name, _, value in (item.partition("=") for item in options.set)}
    rows = []
    for family in options.family or FAMILIES:
        row = cells(options.by, family, options.seed, extra)
        rows += [row[i : i + options.columns] for i in range(0, len(row), options.columns)]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    sheet(rows, (int(width), int(height)), options.frames).save(options.output)
    print(options.output)


if __name__ == "__main__":
    main()
