"""What an album turned out to be, for people (a page) and for programs (JSON)."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from vjengine.offline import disk
from vjengine.offline.album.assemble import Part
from vjengine.offline.album.film import BODY, HEARD
from vjengine.offline.album.hearing import load_heard
from vjengine.offline.album.setlist import Setlist
from vjengine.offline.album.timeline import Slot
from vjengine.offline.preview import contact_sheet, waveform

_COLOURS = {
    "silence": "#2a2f3a", "intro": "#3d5a80", "build": "#b5838d", "drop": "#e85d5d", "breakdown": "#4a8c8c",
    "verse": "#6d597a", "outro": "#355070",
}  # fmt: skip


def describe(
    setlist: Setlist, parts: Sequence[Part], slots: Sequence[Slot], reused: Sequence[bool], film: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the report as plain values: the film as a whole, then each track."""
    tracks = []
    for part, slot, entry, old in zip(parts, slots, setlist.tracks, reused, strict=True):
        meta = part.piece.meta
        tracks.append(
            {
                "title": part.job.title,
                "artist": entry.artist or setlist.artist,
                "file": str(entry.file),
                "start": slot.sample / part.job.rate,
                "seconds": slot.samples / part.job.rate,
                "first_frame": slot.frame,
                "frames": slot.frames,
                "look": entry.look,
                "generator": entry.generator,
                "seed": part.job.options.picture.seed,
                "crossfade_frames": part.job.head,
                "gap": part.job.gap / part.job.rate,
                "rendered_in": meta.get("seconds"),
                "made_now": not old,
                "key": part.job.key,
                **dict(meta.get("heard", {})),
            }
        )
    return {
        "title": setlist.title,
        "artist": setlist.artist,
        "date": setlist.date,
        "size": list(setlist.size),
        "fps": str(parts[0].job.fps),
        "seed": setlist.seed,
        "warnings": list(setlist.warnings),
        **film,
        "tracks": tracks,
    }


def draw_pictures(parts: Sequence[Part], folder: Path, tell: Callable[[str], None]) -> list[tuple[str, str]]:
    """Draw for each track a strip of its pictures and its waveform into ``folder``; return their names, track by track.

    What is there already is kept: names are made of the tracks' keys.

    Raises:
        RecordError: if the disk refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk.failure(folder, error) from error
    names = []
    for part in parts:
        strip, wave = f"{part.job.key[:16]}.jpg", f"{part.job.key[:16]}-sound.png"
        if not (folder / strip).is_file():
            tell(f"drawing {part.job.title}")
            contact_sheet(part.piece.folder / BODY, folder / strip, columns=6, rows=1, width=1400)
        if not (folder / wave).is_file() and (heard := load_heard(part.piece.folder / HEARD)) is not None:
            waveform(heard.analysis, folder / wave, width=1400)
        names.append((strip, wave if (folder / wave).is_file() else ""))
    return names


def write_report(report: Mapping[str, Any], stem: Path, pictures: Sequence[tuple[str, str]] = ()) -> tuple[Path, Path]:
    """Write ``stem``.json and ``stem``.html; return both.

    Args:
        report: as :func:`describe` returns it.
        stem: where, without ending; pictures are in the folder of that name.
        pictures: as :func:`draw_pictures` returns them.

    Raises:
        RecordError: if the disk refuses.
    """
    data, page = stem.with_name(stem.name + ".json"), stem.with_name(stem.name + ".html")
    disk.write_json(data, dict(report))
    try:
        page.write_text(_page(report, stem.name, pictures), encoding="utf-8")
    except OSError as error:
        raise disk.failure(page, error) from error
    return data, page


def clock(seconds: float) -> str:
    """Return ``1:02:03`` or ``2:03``."""
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def _page(report: Mapping[str, Any], folder: str, pictures: Sequence[tuple[str, str]]) -> str:
    head = f"{report['title']}" + (f" – {report['artist']}" if report["artist"] else "")
    facts = (
        f"{len(report['tracks'])} tracks, {clock(report['seconds'])}, {report['frames']} frames, "
        f"{report['size'][0]}×{report['size'][1]} at {report['fps']} fps, seed {report['seed']}"
    )
    shown = pictures or [("", "")] * len(report["tracks"])
    rows = "".join(
        _track(index, track, [f"{quote(folder)}/{name}" for name in names if name])
        for index, (track, names) in enumerate(zip(report["tracks"], shown, strict=True))
    )
    warned = "".join(f"<li>{html.escape(text)}</li>" for text in report["warnings"])
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width,initial-scale=1">'
        f"<title>{html.escape(head)}</title><style>{_STYLE}</style>"
        f"<h1>{html.escape(head)}</h1><p>{html.escape(facts)}</p>"
        + (f"<ul class=warn>{warned}</ul>" if warned else "")
        + f"<main>{rows}</main></html>\n"
    )


def _track(index: int, track: Mapping[str, Any], pictures: Sequence[str]) -> str:
    sections = "".join(
        f'<i style="flex:{max(0.1, s["end"] - s["start"]):.3f};background:{_COLOURS.get(s["label"], "#444")}" '
        f'title="{html.escape(s["label"])} {clock(s["start"])}"></i>'
        for s in track.get("sections", ())
    )
    facts = [
        ("look", track["look"]), ("seed", track["seed"]), ("frames", track["frames"]),
        ("tempo", f"{track['tempo']} BPM" if track.get("tempo") else "none found"),
        ("beats", track.get("beats", "not analysed")), ("sections", len(track.get("sections", ()))),
        ("rendered in", f"{track['rendered_in']:.1f} s" + ("" if track["made_now"] else ", before")),
    ]  # fmt: skip
    listed = "".join(f"<dt>{html.escape(k)}<dd>{html.escape(str(v))}" for k, v in facts)
    artist = f" <small>{html.escape(track['artist'])}</small>" if track["artist"] else ""
    image = "".join(f'<img src="{html.escape(source)}" alt="" loading=lazy>' for source in pictures)
    return (
        f"<section><h2><b>{clock(track['start'])}</b> {index + 1}. {html.escape(track['title'])}{artist}</h2>"
        f"{image}<div class=bar>{sections}</div><dl>{listed}</dl></section>"
    )


_STYLE = (
    "body{background:#0d0f14;color:#d5dae3;font:15px/1.45 system-ui,sans-serif;max-width:1100px;margin:2em auto;"
    "padding:0 1em}h1{font-weight:600}h2{font-size:1.1em;font-weight:600;margin:.2em 0 .6em}"
    "h2 b{color:#62d2a2;font-variant-numeric:tabular-nums;margin-right:.5em}small{color:#8b94a5;font-weight:400}"
    "section{background:#141821;border-radius:10px;padding:1em 1.2em;margin:1em 0}"
    "img{width:100%;border-radius:6px;display:block}.bar{display:flex;height:12px;gap:2px;margin:.7em 0}"
    ".bar i{border-radius:2px}dl{display:flex;flex-wrap:wrap;gap:.2em 1.6em;margin:0}"
    "dt{color:#8b94a5}dd{margin:0 0 0 -1.2em}.warn{color:#f2b84b}"
)
