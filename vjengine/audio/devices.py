"""Audio devices by name, and the few things about PortAudio that concern the whole process.

PortAudio lists the devices once; a refresh kills every open stream. So streams are counted here, and a refresh happens
only while none of ours is open.
"""

from __future__ import annotations

import atexit
import threading
from dataclasses import dataclass
from typing import Any, Literal

from vjengine.errors import AudioError, DeviceNotFound, MissingDependency

Direction = Literal["input", "output"]


@dataclass(frozen=True, slots=True)
class AudioDevice:
    """One device as the system lists it.

    Attributes:
        name: the device's name; devices are remembered by it, because indices change with every plug.
        host_api: the driver family, ``"ALSA"``, ``"Core Audio"``, ``"Windows WASAPI"`` …
        inputs: input channels.
        outputs: output channels.
        sample_rate: default rate, Hz.
        default_input: True for the system's default input.
        default_output: True for the system's default output.
        index: PortAudio's number, valid only until the next refresh.
    """

    name: str
    host_api: str
    inputs: int
    outputs: int
    sample_rate: int
    default_input: bool = False
    default_output: bool = False
    index: int = -1

    def channels(self, direction: Direction) -> int:
        """Return the number of channels in ``direction``."""
        return self.inputs if direction == "input" else self.outputs

    def is_default(self, direction: Direction) -> bool:
        """Return True if this is the system's default in ``direction``."""
        return self.default_input if direction == "input" else self.default_output


def portaudio() -> Any:
    """Return the ``sounddevice`` module.

    Raises:
        MissingDependency: if it or the PortAudio library is not installed.
    """
    try:
        import sounddevice
    except ImportError as error:
        raise MissingDependency("sounddevice", "pip install sounddevice") from error
    except OSError as error:
        remedy = "apt-get install libportaudio2 (elsewhere: pip install --force-reinstall sounddevice)"
        raise MissingDependency("PortAudio", remedy) from error
    return sounddevice


class _Streams:
    """Counts the streams this process has open, so that nobody refreshes the list under one."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.open = 0

    def opened(self) -> None:
        with self.lock:
            self.open += 1

    def closed(self) -> None:
        with self.lock:
            self.open -= 1


STREAMS = _Streams()
"""PortAudio is one to a process; so is this."""


def refresh_devices(patience: float = 1.0) -> bool:
    """Read the list of devices anew, unless a stream of ours is open or another refresh hangs.

    Blocks for as long as the sound server takes to answer, so only supervising threads call it.

    Returns:
        True if the list is fresh.
    """
    sd = portaudio()
    if not STREAMS.lock.acquire(timeout=patience):
        return False
    try:
        if STREAMS.open:
            return False
        # The pair is sounddevice's own way to rescan; PortAudio offers no other.
        sd._terminate()
        sd._initialize()
    except sd.PortAudioError as error:
        raise AudioError(f"the audio system cannot be started: {error}") from error
    finally:
        STREAMS.lock.release()
    return True


def leave_streams_to_the_system() -> None:
    """Give up a tidy end: a stream hangs in a frozen driver, and PortAudio's exit handler would hang with it."""
    atexit.unregister(portaudio()._exit_handler)


def list_devices(refresh: bool = False) -> list[AudioDevice]:
    """Return all audio devices, in the system's order; an empty list where there are none.

    Args:
        refresh: look again, if no stream is open, instead of returning what was there at the first look.

    Raises:
        MissingDependency: if PortAudio is not installed.
        AudioError: if the audio system cannot be asked.
    """
    sd = portaudio()
    if refresh:
        refresh_devices()
    try:
        apis = sd.query_hostapis()
        default_in, default_out = _defaults(sd, apis)
        return [
            AudioDevice(
                name=str(row["name"]),
                host_api=str(apis[row["hostapi"]]["name"]),
                inputs=int(row["max_input_channels"]),
                outputs=int(row["max_output_channels"]),
                sample_rate=round(row["default_samplerate"]),
                default_input=index == default_in,
                default_output=index == default_out,
                index=index,
            )
            for index, row in enumerate(sd.query_devices())
        ]
    except sd.PortAudioError as error:
        raise AudioError(f"the audio devices cannot be listed: {error}") from error


def _defaults(sd: Any, apis: tuple[dict[str, Any], ...]) -> tuple[int, int]:
    """Return the indices of the default input and output, -1 for none."""
    found = [int(index) for index in sd.default.device]
    if found == [-1, -1] and apis:
        # PortAudio itself looks at the first driver family only.
        for position, key in enumerate(("default_input_device", "default_output_device")):
            found[position] = next((int(api[key]) for api in apis if api[key] >= 0), -1)
    return found[0], found[1]


def find_device(name: str | None, direction: Direction) -> AudioDevice:
    """Return the device called ``name``, or the default one if ``name`` is None.

    A whole name wins over a part of one; case does not matter; ``"name, host api"`` chooses between driver families.

    Raises:
        DeviceNotFound: with the devices that are there.
        MissingDependency: if PortAudio is not installed.
    """
    able = [device for device in list_devices() if device.channels(direction) > 0]
    if name is None:
        for device in able:
            if device.is_default(direction):
                return device
        if able:
            return able[0]
        raise DeviceNotFound(f"there is no audio {direction} device; plug one in or play a file")
    wanted = name.strip().casefold()
    exact = [d for d in able if wanted in (d.name.casefold(), f"{d.name}, {d.host_api}".casefold())]
    partly = [d for d in able if wanted and wanted in f"{d.name}, {d.host_api}".casefold()]
    for group in (exact, partly):
        if group:
            return group[0]
    there = "; ".join(repr(d.name) for d in able) or "none at all"
    raise DeviceNotFound(f"no audio {direction} device is called {name!r}. There are: {there}")
