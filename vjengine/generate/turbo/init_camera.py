"""A camera as init pictures: its newest picture, and a supervised life. A camera that goes is waited for."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vjengine.core.generation import GeneratorParams
from vjengine.errors import MissingDependency
from vjengine.generate.base import Host
from vjengine.generate.turbo.cover import Rgb, covered

log = logging.getLogger(__name__)

FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0
"""s between attempts to open a camera: doubled from one to the other."""
SILENT = 3.0
"""s without a picture after which a camera counts as lost, whatever its driver says."""
OPEN_WITHIN, READ_WITHIN = 10.0, 5.0
"""s until FFmpeg gives up, where its drivers heed that."""


@dataclass(frozen=True, slots=True)
class Device:
    """How to open a device with FFmpeg.

    Attributes:
        shown: its name in messages.
        format: FFmpeg's name of the way in.
        find: returns what to open now, or raises LookupError saying what there is: devices change numbers.
        options: sets of options, the most wanted first.
    """

    shown: str
    format: str
    find: Callable[[], str]
    options: tuple[dict[str, str], ...] = ({},)


def camera(name: str = "") -> Device:
    """Return the camera whose name contains ``name``, or the first one.

    Raises:
        MissingDependency: if the installed PyAV has no access to cameras.
    """
    shown = f"camera {name!r}" if name else "the camera"
    if sys.platform == "darwin":
        # FFmpeg knows names here; its default rate is one that hardly any camera has.
        known = ({"framerate": "30"}, {"framerate": "30", "pixel_format": "uyvy422"}, {})
        return _checked(Device(shown, "avfoundation", lambda: f"{name or 0}:none", known))
    if sys.platform == "win32":
        return _checked(Device(shown, "dshow", lambda: f"video={_chosen(name, _listed('dshow'), shown)}"))
    return _checked(Device(shown, "v4l2", lambda: _chosen(name, _video4linux(), shown)))


def test_picture(size: tuple[int, int]) -> Device:
    """Return FFmpeg's moving test picture, which arrives like a camera's.

    Raises:
        MissingDependency: if the installed PyAV has none.
    """
    graph = f"testsrc=size={size[0]}x{size[1]}:rate=30,realtime"
    return _checked(Device("the test picture", "lavfi", lambda: graph))


def _checked(device: Device) -> Device:
    import av

    if not any(device.format in names.split(",") for names in av.formats_available):
        raise MissingDependency(f"{device.format} (FFmpeg's way to {device.shown})", "pip install --upgrade av")
    return device


def _chosen(name: str, found: Iterator[tuple[str, str]], shown: str) -> str:
    """Return what to open for the first of ``found`` (what to open, name) that ``name`` is part of."""
    there = list(found)
    for place, title in there:
        if name.lower() in f"{title} {place}".lower():
            return place
    cameras = ", ".join(title for _, title in there)
    raise LookupError(f"{shown} is not there" + (f"; there are: {cameras}" if cameras else "; no camera is"))


def _video4linux() -> Iterator[tuple[str, str]]:
    """Yield (path, name) of Linux's video devices in the order of their numbers."""
    folder = Path("/sys/class/video4linux")
    if folder.is_dir():
        for entry in sorted(folder.iterdir(), key=lambda e: (len(e.name), e.name)):
            # A camera's second node carries its metadata, no pictures.
            if _line(entry / "index") in ("", "0"):
                yield f"/dev/{entry.name}", _line(entry / "name") or entry.name


def _line(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _listed(form: str) -> Iterator[tuple[str, str]]:
    """Yield (name, name) of the cameras that FFmpeg lists."""
    import av

    if not hasattr(av, "enumerate_input_devices"):
        raise LookupError("this PyAV cannot list cameras; pip install --upgrade av")
    for device in av.enumerate_input_devices(form):
        if "video" in device.media_types or not device.media_types:
            yield device.description, device.description


class CameraInit:
    """See :class:`~vjengine.generate.turbo.init_source.InitSource`. A thread reads; only the newest picture is kept."""

    def __init__(self, device: Device, size: tuple[int, int], host: Host) -> None:
        self._device, self._size, self._host = device, size, host
        self._newest: Rgb | None = None
        self._seen = time.perf_counter()
        self._lost = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="init camera", daemon=True)
        self._thread.start()

    def read(self, params: GeneratorParams) -> Rgb | None:
        """Return the newest picture."""
        if time.perf_counter() - self._seen > SILENT:
            self._say_lost("sends no pictures")
        return self._newest

    def close(self) -> None:
        """Stop; a driver that hangs is left behind."""
        self._stop.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        import av

        wait = FIRST_WAIT
        while not self._stop.is_set():
            before = self._newest
            try:
                self._watch()
                reason = "ended"
            except (LookupError, OSError, ValueError, av.error.FFmpegError) as error:
                reason = str(error)
            except Exception as error:  # the thread's outermost guard: the show goes on without a camera
                if not self._lost:
                    log.exception("reading %s", self._device.shown)
                reason = str(error)
            if self._stop.is_set():
                return
            self._say_lost(reason)
            wait = FIRST_WAIT if self._newest is not before else min(LONGEST_WAIT, wait * 2.0)
            self._stop.wait(wait)

    def _watch(self) -> None:
        """Show the camera until it goes."""
        with self._opened() as container:
            stream = container.streams.video[0]
            stream.thread_type = "SLICE"  # frame threads would hold pictures back
            for frame in container.decode(stream):
                if self._stop.is_set():
                    return
                self._newest = covered(frame, self._size)
                self._seen = time.perf_counter()
                if self._lost:
                    self._lost = False
                    self._host.say("init", "ok")

    def _opened(self) -> Any:
        import av

        place = self._device.find()
        *others, last = self._device.options
        for options in others:
            try:
                return self._open(place, options)
            except av.error.FFmpegError as error:
                log.debug("%s with %s: %s", place, options, error)
        return self._open(place, last)

    def _open(self, place: str, options: dict[str, str]) -> Any:
        import av

        limits = (OPEN_WITHIN, READ_WITHIN)
        return av.open(place, format=self._device.format, options=options, timeout=limits)

    def _say_lost(self, reason: str) -> None:
        if not self._lost:
            self._lost = True
            kept = "its last picture stays" if self._newest is not None else "it is waited for"
            self._host.say("init", "warn", f"{self._device.shown}: {reason}; {kept}")
