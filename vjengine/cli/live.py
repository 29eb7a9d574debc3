"""``vjengine live``: the show."""

from __future__ import annotations

import argparse
import ipaddress
import re
import sys
from pathlib import Path

from vjengine.cli.arguments import add_metrics_argument, add_picture_arguments, number, picture_options
from vjengine.engine.options import LiveOptions, PageOptions, parse_address
from vjengine.errors import UsageError

WEB_PORT, OSCQUERY_PORT = 8600, 8610

DESCRIPTION = """\
Play a show: listen to the music, draw, and obey MIDI, OSC, keys and macro files.

The keys work in the window: D, B and C hold DROP, BUILD and CHILL; space taps the tempo, Return sets the 1; left and
right change the look; Tab turns HUD pages, F11 fills the screen, Escape twice ends the show. `vjengine macro list`
shows all macros with their keys and notes.
"""
EXAMPLES = """\
examples:
  vjengine live                                              default input, a window with HUD
  vjengine live --audio set.flac --preset cathedral          a file, heard and seen
  vjengine live --audio "Scarlett" --display HDMI-1 --fullscreen
  vjengine live --audio set.flac --headless --record out.mp4 --duration 30
  vjengine live --web 0.0.0.0:8600 --crowd                   pages for your phone and for the crowd's
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "live",
        help="play a show",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sound = parser.add_argument_group("sound")
    sound.add_argument(
        "--audio",
        metavar="SOURCE",
        help="input device by part of its name, a file to play, or none (default: default input)",
    )
    sound.add_argument("--start", default="0", metavar="S", help="start this many seconds into the file")
    sound.add_argument("--loop", action="store_true", help="start the file again when it ends")
    sound.add_argument("--audio-out", metavar="DEVICE", help="output a file is heard through, or none")
    add_picture_arguments(parser, size="1280x720", fps="60", generator_fps="30, or 20 where the CPU draws")
    stage = parser.add_argument_group("stage")
    stage.add_argument("--display", metavar="NAME", help="monitor by name or number (see `vjengine devices`)")
    stage.add_argument("--fullscreen", action="store_true", help="fill that monitor; the HUD stays on the preview")
    stage.add_argument("--headless", action="store_true", help="no window: draw offscreen")
    stage.add_argument("--vsync", action="store_true", help="let the display pace the frames")
    stage.add_argument("--no-hud", action="store_true", help="no HUD on the preview")
    stage.add_argument("--record", type=Path, metavar="FILE", help="record programme and sound to an MP4")
    stage.add_argument("--record-hud", action="store_true", help="record the preview, HUD and all")
    stage.add_argument("--duration", metavar="S", help="end after so many seconds")
    stage.add_argument("--stats", type=Path, metavar="FILE", help="write figures of the run as JSON")
    add_metrics_argument(stage)
    hands = parser.add_argument_group("hands")
    hands.add_argument(
        "--midi",
        action="append",
        default=[],
        metavar="NAME",
        help="MIDI input by (part of its) name; repeatable; none for none (default: all)",
    )
    hands.add_argument(
        "--midi-map", type=Path, metavar="FILE", help="mapping file (default: presets/midi/default.yaml)"
    )
    hands.add_argument(
        "--osc-in",
        default="127.0.0.1:9000",
        metavar="HOST:PORT",
        help="listen for OSC here, or none (default: 127.0.0.1:9000)",
    )
    hands.add_argument(
        "--osc-out",
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="send the OSC feed here; repeatable; none for none (default: 127.0.0.1:7000)",
    )
    hands.add_argument(
        "--osc-allow",
        action="append",
        default=[],
        metavar="IP",
        help="answer questions and subscriptions of this address too; repeatable (default: this machine only)",
    )
    hands.add_argument("--active", type=Path, metavar="DIR", help="live macro folder (default: macros/active)")
    hands.add_argument("--perform", type=Path, metavar="FILE", help="play back a recorded performance")
    hands.add_argument("--save-performance", type=Path, metavar="FILE", help="write what is played to this file")
    pages = parser.add_argument_group(
        "pages", "served by a process of its own; without these nothing listens. Links are printed at the start."
    )
    pages.add_argument(
        "--web",
        nargs="?",
        const=f"127.0.0.1:{WEB_PORT}",
        metavar="HOST:PORT",
        help=f"the performer's page (127.0.0.1:{WEB_PORT}; 0.0.0.0:{WEB_PORT} for phones on the same network)",
    )
    pages.add_argument("--crowd", action="store_true", help="the audience's page too; the QR macro shows the way to it")
    pages.add_argument("--crowd-open", action="store_true", help="let the audience in without the QR code's token")
    pages.add_argument("--web-url", default="", metavar="URL", help="how phones reach the pages, if not directly")
    pages.add_argument(
        "--web-secret", default="", metavar="TEXT", help="opens the performer's page (default: one that is kept)"
    )
    pages.add_argument(
        "--oscquery",
        nargs="?",
        const=f"127.0.0.1:{OSCQUERY_PORT}",
        metavar="HOST:PORT",
        help=f"let OSC programs discover every address (127.0.0.1:{OSCQUERY_PORT})",
    )
    parser.set_defaults(func=run)


def live_options(args: argparse.Namespace) -> LiveOptions:
    """Return the options that ``args`` ask for.

    Raises:
        UsageError: if a value makes no sense.
    """
    if args.osc_out == ["none"]:
        osc_out = []
    else:
        osc_out = [parse_address(text) for text in args.osc_out or ["127.0.0.1:7000"]]
    if args.record is not None and args.record.suffix.lower() not in (".mp4", ".mkv", ".mov"):
        raise UsageError(f"--record {args.record}: the name must end in .mp4, .mov or .mkv")
    if args.display is not None and args.headless:
        raise UsageError("--display and --headless exclude each other")
    for address in args.osc_allow:
        if not is_ip(address):
            raise UsageError(f"--osc-allow {address}: it must be an IP address like 192.168.1.20")
    return LiveOptions(
        picture=picture_options(args),
        audio=args.audio,
        audio_start=number("--start", args.start, 0, 1e6),
        audio_output=args.audio_out,
        loop=args.loop,
        display=args.display,
        fullscreen=args.fullscreen,
        headless=args.headless,
        vsync=args.vsync,
        hud=not args.no_hud,
        record=args.record,
        record_hud=args.record_hud,
        duration=number("--duration", args.duration, 0.05, 1e7) if args.duration is not None else None,
        stats=args.stats,
        metrics=args.metrics,
        osc_in=None if args.osc_in == "none" else parse_address(args.osc_in),
        osc_out=osc_out,
        osc_allow=tuple(args.osc_allow),
        web=page_options(args),
        midi=tuple(args.midi),
        midi_map=args.midi_map,
        active=args.active,
        perform=args.perform,
        save_performance=args.save_performance,
    )


def page_options(args: argparse.Namespace) -> PageOptions | None:
    """Return what ``args`` ask to be served; None for nothing.

    Raises:
        UsageError: if a value makes no sense.
    """
    if args.web is None:
        for flag in ("crowd", "crowd_open", "web_url", "web_secret"):
            if getattr(args, flag):
                raise UsageError(f"--{flag.replace('_', '-')} needs the pages: add --web, or --web 0.0.0.0:{WEB_PORT}")
        if args.oscquery is None:
            return None
    if args.web_url and not re.fullmatch(r"https?://[^\s/]+(/[^\s?#]*)?", args.web_url):
        raise UsageError(
            f"--web-url {args.web_url}: it must begin with http:// or https://, like http://192.168.1.20:8600"
        )
    if args.web_secret and not re.fullmatch(r"[\w-]{8,64}", args.web_secret, re.ASCII):
        raise UsageError("--web-secret: take 8 to 64 letters, digits, - and _")
    return PageOptions(
        pages=parse_address(args.web) if args.web is not None else None,
        crowd=args.crowd or args.crowd_open,
        crowd_open=args.crowd_open,
        secret=args.web_secret,
        url=args.web_url,
        oscquery=parse_address(args.oscquery) if args.oscquery is not None else None,
    )


def is_ip(text: str) -> bool:
    """Return True if ``text`` is an IP address, not a name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def run(args: argparse.Namespace) -> int:
    """Play the show."""
    options = live_options(args)
    from vjengine.engine.live import LiveEngine

    engine = LiveEngine(options, say=lambda text: print(text, file=sys.stderr, flush=True))
    engine.run()
    summary = engine.stats
    interval = summary.interval.percentiles()
    print(
        f"{summary.frames} frames in {summary.ended - summary.started:.1f} s, "
        f"interval p50 {interval.p50:.1f} ms, p99 {interval.p99:.1f} ms, {summary.beats} beats",
        file=sys.stderr,
    )
    return 130 if engine.interrupted else 0
