"""Draw the README's pictures of films: the built-in continuation for four prompts, and the example score.

    python -m benchmarks.gallery_film -o presets/gallery

Both are made by the commands themselves; what is shown is cut from their films.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from PIL import Image

from benchmarks.harness import scratch
from vjengine.cli.demo import TRACK
from vjengine.cli.main import main as vjengine
from vjengine.offline.preview import contact_sheet
from vjengine.resources import resource_dir

PROMPTS = ("a neon jellyfish in deep water", "coral reef", "desert at noon", "snow on cedar trees")
SECONDS = "36"


def longcat(folder: Path, out: Path) -> None:
    """Write six moments of a film of each prompt to ``out``."""
    strips = []
    for number, prompt in enumerate(PROMPTS):
        film, strip = folder / f"{number}.mp4", folder / f"{number}.png"
        words = ["longcat", prompt, "-o", str(film), "--seconds", SECONDS, "--fps", "12", "--size", "640x360"]
        if vjengine(words):
            raise SystemExit(f"no film of {prompt!r}")
        contact_sheet(film, strip, 6, 1, title=prompt)
        strips.append(Image.open(strip).convert("RGB"))
    whole = Image.new("RGB", (strips[0].width, sum(strip.height for strip in strips)))
    top = 0
    for picture in strips:
        whole.paste(picture, (0, top))
        top += picture.height
    whole.save(out, quality=86)


def score(folder: Path, out: Path) -> None:
    """Write twelve moments of the bundled track, rendered by the example score, to ``out``."""
    film = folder / "score.mp4"
    path = resource_dir("presets") / "scores" / "example.yaml"
    words = ["render", str(TRACK), "-o", str(film), "--score", str(path), "--size", "480x270", "--fps", "10"]
    if vjengine(words):
        raise SystemExit("no film of the example score")
    contact_sheet(film, out, 6, 3)


def main() -> int:
    """Draw both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    with scratch() as folder:
        longcat(folder, args.output / "longcat.jpg")
        score(folder, args.output / "score.jpg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
