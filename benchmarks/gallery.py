"""Draw the README's picture: every look on the bundled track, seconds into the drop, on one contact sheet.

    python -m benchmarks.gallery -o presets/gallery

The pictures come from the session that live and render share, on a virtual clock.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vjengine.audio.features import AnalysisSettings
from vjengine.cli.demo import TRACK
from vjengine.compose.context import offscreen_context
from vjengine.compose.readback import Readback
from vjengine.core import events as ev
from vjengine.core.clock import FrameClock
from vjengine.engine.offline import TrackEars
from vjengine.engine.options import PictureOptions
from vjengine.engine.session import InlineFrames, Session
from vjengine.engine.setup import build_compositor, generator_spec, load_show
from vjengine.generate.registry import create_generator

AT = 36.4
"""Where in the track: on a kick of the first drop."""
LEAD = 6.0


def picture(look: str, size: tuple[int, int], fps: int, macros: tuple[str, ...]) -> Image.Image:
    """Return the frame of ``look`` at :data:`AT`, after :data:`LEAD` s of show."""
    options = PictureOptions(size=size, fps=fps, look=look, generator_size=size)
    ctx = offscreen_context()
    show = load_show(options)
    compositor = build_compositor(ctx, options, hot_reload=False)
    generator = create_generator(generator_spec(options, show))
    session = Session(show, look, InlineFrames(generator), compositor)
    ears = TrackEars(TRACK, AT - LEAD, AnalysisSettings())
    clock = FrameClock(fps)
    readback: Readback[int] = Readback(ctx, size, depth=1)
    happened: list[ev.Event] = [ev.MacroSet(macro=name) for name in macros]
    for _ in range(round(LEAD * fps)):
        for _hop in ears.hear(clock.now()):
            pass
        session.advance(happened, ears.features, clock.frame())
        happened = []
        clock.advance()
    readback.start(compositor.programme, 0)
    ((_, pixels),) = readback.flush()
    image = Image.fromarray(np.ascontiguousarray(pixels[:, :, :3]))
    readback.release()
    compositor.release()
    generator.close()
    ctx.release()
    return image


def main() -> int:
    """Draw them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("presets/gallery"), help="folder")
    parser.add_argument("--look", action="append", help="this look only; repeatable")
    parser.add_argument("--size", default="960x540")
    parser.add_argument("--fps", type=int, default=20)
    parser.add_argument("--macro", action="append", default=[], help="macro held all the time; repeatable")
    args = parser.parse_args()
    width, _, height = args.size.partition("x")
    size = int(width), int(height)
    args.output.mkdir(parents=True, exist_ok=True)
    thumbs = []
    looks = args.look or list(load_show(PictureOptions()).looks)
    for number, look in enumerate(looks, 1):
        print(f"{number}/{len(looks)} {look}", file=sys.stderr, flush=True)
        image = picture(look, size, args.fps, tuple(args.macro))
        thumb = image.resize((384, 216), Image.Resampling.LANCZOS)
        ImageDraw.Draw(thumb).text((10, 192), look, fill=(235, 235, 235), font=ImageFont.load_default(16))
        thumbs.append(thumb)
    columns = min(5, len(thumbs))
    rows = -(-len(thumbs) // columns)
    sheet = Image.new("RGB", (384 * columns, 216 * rows))
    for index, thumb in enumerate(thumbs):
        sheet.paste(thumb, (384 * (index % columns), 216 * (index // columns)))
    sheet.save(args.output / "looks.jpg", quality=85)
    return 0


if __name__ == "__main__":
    sys.exit(main())
