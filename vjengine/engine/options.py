"""What a run is asked to do; the command line fills these in and drivers read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vjengine.errors import UsageError

Address = tuple[str, int]

SHOW_HOP = 512
"""Samples a hop, live and in ``render``: 94 hops a second at 48 kHz, for half of what hops of 256 cost.

``vjengine analyze`` has all the time it wants and listens in hops of 256.
"""


def parse_size(text: str) -> tuple[int, int]:
    """Return (width, height) from ``1280x720``.

    Raises:
        UsageError: if it is not two even numbers from 16 to 8192. Video codecs need even sizes.
    """
    width, _, height = text.lower().partition("x")
    try:
        size = int(width), int(height)
    except ValueError:
        raise UsageError(f"size {text!r} is not WIDTHxHEIGHT; try 1280x720") from None
    if not all(16 <= side <= 8192 and side % 2 == 0 for side in size):
        raise UsageError(f"size {text!r}: each side must be an even number from 16 to 8192; try 1280x720")
    return size


def parse_address(text: str) -> Address:
    """Return (host, port) from ``HOST:PORT`` or ``PORT``, which means this machine.

    Raises:
        UsageError: if the port is not a number from 0 to 65535.
    """
    host, colon, port = text.rpartition(":")
    try:
        number = int(port)
    except ValueError:
        number = -1
    if not 0 <= number <= 65535 or (colon and not host):
        raise UsageError(f"address {text!r} is not HOST:PORT; try 127.0.0.1:7000")
    return host.strip("[]") or "127.0.0.1", number


@dataclass(frozen=True, slots=True)
class DiffusionOptions:
    """What the turbo generator is asked for; ``None`` and empty leave it to the generator.

    Attributes:
        model: model by name, folder, file or hub id.
        loras: LoRA files or hub ids, the first one moved by ``turbo.lora1``.
        init: camera, video or image that ``turbo.init`` brings in.
        rung: how the networks run: eager, graph, onnx, openvino or tensorrt.
        full_vae: the model's own autoencoder instead of a tiny one.
    """

    model: str | None = None
    loras: tuple[str, ...] = ()
    init: str | None = None
    rung: str | None = None
    full_vae: bool = False

    def settings(self) -> dict[str, float | str]:
        """Return them as the generator's options."""
        named = {"model": self.model, "lora": "|".join(self.loras), "init": self.init, "rung": self.rung}
        named["vae"] = "full" if self.full_vae else None
        return {name: value for name, value in named.items() if value}


@dataclass(frozen=True, slots=True)
class PictureOptions:
    """Size, pace and look of the picture.

    Attributes:
        size: programme size, px.
        fps: frames a second.
        look: name of the first look.
        generator: generator and its options, as ``NAME`` or ``NAME:KEY=VALUE,…``.
        generator_size: size of the generator's frames, px; ``None`` chooses one for the programme.
        generator_fps: most frames a second the generator is asked for; ``None`` leaves it to the driver.
        seed: seed of everything random.
        prompt: prompt to start with, instead of the look's; a change of look ends it.
        negative: negative prompt, instead of every look's; ``None`` keeps theirs.
        qr: address that the QR macro shows where no page is served, as in a render.
        diffusion: what only the turbo generator knows.
        presets, macros, shaders: folders; ``None`` means the bundled ones.
    """

    size: tuple[int, int] = (1280, 720)
    fps: float = 60.0
    look: str = "default"
    generator: str = "procedural"
    generator_size: tuple[int, int] | None = None
    generator_fps: float | None = None
    seed: int = 1
    prompt: str = ""
    negative: str | None = None
    qr: str = ""
    diffusion: DiffusionOptions = field(default_factory=DiffusionOptions)
    presets: Path | None = None
    macros: Path | None = None
    shaders: Path | None = None

    def frames_size(self, widest: int = 1024) -> tuple[int, int]:
        """Size of the generator's frames: as asked, else at most ``widest`` px wide in the programme's shape."""
        if self.generator_size is not None:
            return self.generator_size
        width, height = self.size
        scale = min(1.0, widest / width)
        return max(16, round(width * scale / 2) * 2), max(16, round(height * scale / 2) * 2)


@dataclass(frozen=True, slots=True)
class PageOptions:
    """What is served to browsers.

    Attributes:
        pages: address of the performer's and the crowd's page; ``None`` serves none.
        crowd: serve the crowd's page too.
        crowd_open: let guests in without the QR code's token.
        secret: what opens the performer's page; empty takes one that is kept from night to night.
        url: how phones reach the pages, where they cannot be asked directly.
        oscquery: address of OSCQuery; ``None`` serves none.
    """

    pages: Address | None = None
    crowd: bool = False
    crowd_open: bool = False
    secret: str = ""
    url: str = ""
    oscquery: Address | None = None


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """Everything ``vjengine live`` can be asked.

    Attributes:
        picture: size, pace and look.
        audio: name of an input device, path of a file, ``"none"``, or ``None`` for the default input.
        audio_start: s into the file to start at.
        audio_output: name of the output device a file is heard through; ``"none"`` for silence.
        loop: play the file again from its start when it ends; without it the show ends with the file.
        display: monitor, by name or number.
        fullscreen: fill that monitor.
        headless: draw offscreen even where there is a display.
        vsync: let the display pace the frames.
        hud: show the HUD on the preview.
        record: file to record to.
        record_hud: record the preview, HUD and all, instead of the programme.
        duration: s after which the show ends.
        stats: JSON file for figures at the end.
        metrics: file for the stability of every generator frame, and of the trail, as JSON Lines.
        osc_in: address to listen on; ``None`` listens nowhere.
        osc_out: addresses the feed goes to.
        osc_allow: IP addresses beside this machine whose questions are answered and that may subscribe.
        web: what is served to browsers; ``None`` starts no web process.
        midi: names of MIDI inputs; empty for all; ``("none",)`` for none.
        midi_map: mapping file.
        active: live macro folder; ``None`` for the default one.
        perform: recorded performance to play back.
        save_performance: file that the performer's actions are written to.
    """

    picture: PictureOptions = field(default_factory=PictureOptions)
    audio: str | None = None
    audio_start: float = 0.0
    audio_output: str | None = None
    loop: bool = False
    display: str | None = None
    fullscreen: bool = False
    headless: bool = False
    vsync: bool = False
    hud: bool = True
    record: Path | None = None
    record_hud: bool = False
    duration: float | None = None
    stats: Path | None = None
    metrics: Path | None = None
    osc_in: Address | None = ("127.0.0.1", 9000)
    osc_out: Sequence[Address] = (("127.0.0.1", 7000),)
    osc_allow: Sequence[str] = ()
    web: PageOptions | None = None
    midi: Sequence[str] = ()
    midi_map: Path | None = None
    active: Path | None = None
    perform: Path | None = None
    save_performance: Path | None = None


WARM_UP = 2.0
"""s a show runs before a film of it begins: trails and feedback begin at nothing, and would show it."""


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """Everything ``vjengine render`` can be asked.

    Attributes:
        picture: size, pace and look.
        track: audio file.
        output: video file.
        start: s into the track.
        duration: s to render; ``None`` for the rest.
        frames: pictures to make, also past the end of the sound; ``None`` follows ``duration``.
        warm_up: s the show has been running when the film begins.
        prompts: known to be wanted, in order of time; a generator that reads words reads them ahead.
        perform: recorded performance, timed from the start of the film.
        generator_every: one generator frame every so many film frames; 0 follows ``generator_fps``.
        stats: JSON file for figures at the end.
        metrics: file for the stability of every generator frame, and of the trail, as JSON Lines.
    """

    track: Path
    output: Path
    picture: PictureOptions = field(default_factory=PictureOptions)
    start: float = 0.0
    duration: float | None = None
    frames: int | None = None
    warm_up: float = WARM_UP
    prompts: tuple[str, ...] = ()
    perform: Path | None = None
    generator_every: int = 0
    stats: Path | None = None
    metrics: Path | None = None
