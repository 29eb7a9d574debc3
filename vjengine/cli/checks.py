"""What a show needs of a machine: one function or table row a part, each saying how to get it and what that costs."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vjengine.cli.probes import Answer

State = Literal["ok", "note", "missing", "absent"]


@dataclass(frozen=True, slots=True)
class Check:
    """One part of the machine.

    Attributes:
        group: heading it is listed under.
        part: its name.
        state: ``ok``; ``note``, works, with something to know; ``missing``, ``live`` cannot run without it;
            ``absent``, a matter of choice and not here.
        found: what is here, or what its absence means.
        remedy: the command or deed that helps; empty if nothing needs to be done.
        cost: what that takes: megabytes to download, mostly.
    """

    group: str
    part: str
    state: State
    found: str
    remedy: str = ""
    cost: str = ""


@dataclass(frozen=True, slots=True)
class Library:
    """A Python library: its import name and distribution, what it is for, and what getting it takes."""

    module: str
    package: str
    purpose: str
    cost: str
    needed: bool = False
    install: str = ""


LIBRARIES: tuple[Library, ...] = (
    Library("numpy", "numpy", "arithmetic", "17 MB", True),
    Library("yaml", "PyYAML", "looks and macros", "1 MB", True),
    Library("moderngl", "moderngl", "OpenGL", "1 MB", True),
    Library("sounddevice", "sounddevice", "sound in and out", "1 MB", True),
    Library("aubio", "aubio-ledfx", "onsets", "5 MB", True),
    Library("av", "av", "audio files and recording", "40 MB", True),
    Library("PIL", "Pillow", "the HUD's letters", "7 MB", True),
    Library("psutil", "psutil", "processes", "1 MB", True),
    Library("glfw", "glfw", "windows and keys; without it, only --headless", "1 MB"),
    Library("mido", "mido", "MIDI", "1 MB"),
    Library("rtmidi", "python-rtmidi", "MIDI devices (wheels for Python 3.11 and 3.12)", "1 MB"),
    Library("watchdog", "watchdog", "macro files at once; without it, 20 looks a second", "1 MB"),
)
"""Libraries that a plain installation brings."""

EXTRAS: tuple[Library, ...] = (
    Library("torch", "torch", "diffusion (--generator turbo)", "about 3 GB with CUDA; the makers' CPU build has 200 MB",
            install="pip install torch"),
    Library("diffusers", "diffusers", "diffusion models, beside torch", "60 MB",
            install="pip install 'vjengine[turbo]'"),
    Library("cv2", "opencv-python-headless", "motion between two pictures of a slow generator", "55 MB",
            install="pip install 'vjengine[turbo]'"),
    Library("openvino", "openvino", "fast diffusion on processors: some five times PyTorch", "45 MB",
            install="pip install 'vjengine[openvino]'"),
    Library("onnxruntime", "onnxruntime", "diffusion wherever ONNX Runtime runs", "20 MB",
            install="pip install 'vjengine[onnx]'"),
    Library("tensorrt_rtx", "tensorrt-rtx", "fast diffusion on GeForce RTX cards", "95 MB",
            install="pip install 'vjengine[tensorrt-rtx]'"),
    Library("tensorrt", "tensorrt", "fast diffusion on data-centre cards", "about 4 GB"),
    Library("aalink", "aalink", "tempo shared over Ableton Link", "1 MB"),
    Library("cyndilib", "cyndilib", "video over NDI (proprietary runtime)", "16 MB"),
    Library("matplotlib", "matplotlib", "plots of `analyze`", "10 MB"),
)  # fmt: skip
"""Libraries that are a matter of choice."""

_REMEDIES: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "gl": {
        "linux": ("apt-get install --no-install-recommends libegl1 libgl1 libgl1-mesa-dri", "31 MB"),
        "darwin": ("use a Mac of 2012 or later with macOS 10.14 or later", ""),
        "win32": (
            "install the driver of the graphics card's maker (winget search nvidia, amd or intel)",
            "about 800 MB",
        ),
    },
    "portaudio": {
        "linux": ("apt-get install --no-install-recommends libportaudio2", "1 MB"),
        "darwin": ("brew install portaudio", "1 MB"),
        "win32": ("pip install --force-reinstall sounddevice", "1 MB"),
    },
    "sound": {
        "linux": (
            "apt-get install --no-install-recommends pulseaudio libasound2-plugins, or plug in an interface",
            "5 MB",
        ),
        "darwin": ("plug in an interface; allow the terminal to use the microphone in System Settings", ""),
        "win32": ("plug in an interface, and enable it in Settings, Sound", ""),
    },
    "midi": {
        "linux": ("modprobe snd-seq, or apt-get install --no-install-recommends jackd2 and start it", "1 MB"),
        "darwin": ("start Audio MIDI Setup once", ""),
        "win32": ("restart Windows: its MIDI service does not answer", ""),
    },
}
"""Parts of the system -> platform -> (what to do, what it costs)."""


def remedy(part: str) -> tuple[str, str]:
    """Return what to do for a part of the system on this platform, and what it costs."""
    deed, cost = _REMEDIES[part].get(sys.platform, _REMEDIES[part]["linux"])
    root = not hasattr(os, "geteuid") or os.geteuid() == 0
    if not root and deed.startswith(("apt-get", "modprobe")):
        deed = "sudo " + deed.replace("or apt-get", "or sudo apt-get")
    return deed, cost


def python() -> Check:
    """Check the interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Check("core", "Python", "ok", version)
    return Check("core", "Python", "missing", f"{version} is not supported", "install Python 3.12", "30 MB")


def library(row: Library, group: str) -> Check:
    """Check one library without importing it."""
    try:
        here = importlib.util.find_spec(row.module) is not None
        version = importlib.metadata.version(row.package) if here else ""
    except (importlib.metadata.PackageNotFoundError, ValueError, ImportError):
        version = ""  # another distribution brings the module, as aubio's own does
    if here:
        return Check(group, row.module, "ok", f"{version} {_card(row)}".strip() or "here")
    state: State = "missing" if row.needed else "absent"
    return Check(group, row.module, state, f"for {row.purpose}", row.install or f"pip install {row.package}", row.cost)


def _card(row: Library) -> str:
    if row.module != "torch":
        return ""
    return "with an NVIDIA driver" if shutil.which("nvidia-smi") else "and no NVIDIA driver: it runs on the CPU, slowly"


def graphics(answer: Answer) -> Check:
    """Check that OpenGL draws offscreen."""
    deed, cost = remedy("gl")
    if answer.problem or not answer.data["draws"]:
        return Check("core", "OpenGL", "missing", answer.problem or "the driver draws a wrong picture", deed, cost)
    shown = f"{answer.data['renderer']}, {answer.data['version']}"
    if answer.data["software"]:
        advice = "a graphics card and its driver; without one keep to --size 640x360"
        return Check("core", "OpenGL", "note", f"{shown}: drawn by the CPU", advice)
    return Check("core", "OpenGL", "ok", shown)


def display(answer: Answer) -> Check:
    """Check for monitors."""
    if answer.problem:
        return Check("stage", "display", "note", "none: live runs offscreen", "start inside a desktop session")
    found = ", ".join("{} {}x{}".format(m["name"], *m["size"]) for m in answer.data)
    return Check("stage", "display", "ok" if answer.data else "note", found or "no monitor is connected")


def sound(answer: Answer) -> Iterator[Check]:
    """Check PortAudio and its devices."""
    if answer.problem:
        yield Check("stage", "PortAudio", "missing", answer.problem, *remedy("portaudio"))
        return
    yield Check("stage", "PortAudio", "ok", "here")
    for title, channels, without in (
        ("sound in", "inputs", "live needs a file: --audio track.flac"),
        ("sound out", "outputs", "a file is played in silence"),
    ):
        names = [device["name"] for device in answer.data if device[channels]]
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            yield Check("stage", title, "ok", ", ".join(names[:3]) + more)
        else:
            yield Check("stage", title, "note", f"no device: {without}", *remedy("sound"))


def midi(answer: Answer) -> Check:
    """Check the MIDI system and its inputs."""
    if answer.problem:
        return Check("stage", "MIDI", "note", answer.problem, *remedy("midi"))
    return Check("stage", "MIDI", "ok", ", ".join(answer.data) or "ready; no input is plugged in")


def video(answer: Answer) -> Check:
    """Check the encoder of recordings."""
    if answer.problem:
        return Check("stage", "recording", "note", answer.problem, "pip install --force-reinstall av", "40 MB")
    by = {"h264_nvenc": "on the graphics card (NVENC)", "libx264": "on the CPU (x264); no NVENC here"}
    return Check("stage", "recording", "ok", by.get(answer.data["codec"], answer.data["codec"]))


def machine(folder: Path) -> Iterator[Check]:
    """Check processor and disk."""
    cores = os.cpu_count() or 1
    yield Check("core", "processor", "ok" if cores >= 4 else "note", f"{cores} cores",
                "" if cores >= 4 else "four cores or more for 1280x720")  # fmt: skip
    free = shutil.disk_usage(folder).free / 1e9
    if free >= 5.0:
        yield Check("core", "disk", "ok", f"{free:.0f} GB free here")
    else:
        advice = "make room before recording: an hour of 1280x720 takes about 4 GB"
        yield Check("core", "disk", "note", f"{free:.1f} GB free here", advice)


def all_checks(answers: Mapping[str, Answer], folder: Path) -> list[Check]:
    """Return every check, given the probes' answers."""
    checks = [python(), *(library(row, "core") for row in LIBRARIES), graphics(answers["gl"]), *machine(folder)]
    checks += [display(answers["monitors"]), *sound(answers["audio"]), midi(answers["midi"]), video(answers["video"])]
    return checks + [library(row, "extras") for row in EXTRAS]


def as_json(checks: list[Check]) -> list[dict[str, Any]]:
    """Return checks as plain values."""
    return [
        {"group": c.group, "part": c.part, "state": c.state, "found": c.found, "remedy": c.remedy, "cost": c.cost}
        for c in checks
    ]
