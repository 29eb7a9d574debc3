"""Draw the README's picture of the pages: the performer's on a tablet and a phone, the crowd's on another phone.

    python -m benchmarks.gallery_pages -o presets/gallery/pages.jpg

A real show plays the bundled track, a real browser (playwright with Debian's Chromium) looks at it.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from vjengine.cli.demo import TRACK

CHROMIUM = "/usr/bin/chromium"
HEIGHT, GAP = 640, 16
GUESTS = (
    ("Ann", "a cathedral of coral at dawn"),
    ("Jo", "neon koi in black water"),
    ("Mika", "paper birds, gold light"),
)


def links(show: subprocess.Popen[str]) -> dict[str, str]:
    """Return the addresses that a starting show prints: ``stage`` and ``crowd``."""
    found: dict[str, str] = {}
    assert show.stderr is not None
    for line in show.stderr:
        match = re.search(r"http://\S+", line)
        if match:
            found["crowd" if line.startswith("crowd") else "stage"] = match[0]
        if len(found) == 2:
            return found
    raise SystemExit("the show ended before it had pages")


def shot(page: Any) -> Image.Image:
    """Return what ``page`` shows, :data:`HEIGHT` px high."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    return picture.resize((round(picture.width * HEIGHT / picture.height), HEIGHT), Image.Resampling.LANCZOS)


def visit(url: dict[str, str]) -> list[Image.Image]:
    """Have guests send prompts and the performer look; return the pictures."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        phone: Any = {"viewport": {"width": 390, "height": 780}, "device_scale_factor": 2, "has_touch": True}
        guests = []
        for name, text in GUESTS:
            guest = browser.new_context(**phone).new_page()
            guest.goto(url["crowd"])
            guest.fill("#author", name)
            guest.fill("#text", text)
            guest.click("#send")
            guest.wait_for_timeout(600)
            guests.append(guest)
        tablet = browser.new_context(viewport={"width": 1180, "height": 820}).new_page()
        tablet.goto(url["stage"])
        tablet.wait_for_timeout(2500)
        tablet.keyboard.press("q")
        tablet.wait_for_timeout(4000)
        hand = browser.new_context(**phone).new_page()
        hand.goto(url["stage"])
        hand.wait_for_timeout(3000)
        found = [shot(tablet), shot(hand), shot(guests[-1])]
        browser.close()
    return found


def main() -> int:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("presets/gallery/pages.jpg"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--headless", "--size", "640x360", "--fps", "30", "--audio", str(TRACK), "--audio-out", "none"]
        flags += ["--start", "32", "--loop", "--preset", "nightdrive", "--midi", "none", "--osc-in", "none"]
        flags += ["--osc-out", "none", "--active", folder, "--web", "127.0.0.1:0", "--crowd", "--duration", "90"]
        command = [sys.executable, "-m", "vjengine.cli.main", "live", *flags]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as show:
            try:
                pictures = visit(links(show))
            finally:
                show.terminate()
    width = sum(picture.width for picture in pictures) + GAP * (len(pictures) + 1)
    paper = Image.new("RGB", (width, HEIGHT + 2 * GAP), (24, 24, 28))
    x = GAP
    for picture in pictures:
        paper.paste(picture, (x, GAP))
        x += picture.width + GAP
    paper.save(args.output, quality=88)
    return 0


if __name__ == "__main__":
    sys.exit(main())
