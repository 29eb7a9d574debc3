"""The parameter table: one row a parameter. HUD, MIDI, OSC, presets and modulation all derive from these rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Curve = Literal["linear", "exponential", "integer", "choice", "switch"]


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """One parameter.

    Attributes:
        name: dotted name, ``room.what``; its OSC address is ``/param/room/what``.
        unit: unit shown to the performer; empty for a bare number.
        low, high: range, inclusive.
        default: value without any look.
        curve: how 0–1 of a fader maps to the range; ``exponential`` needs ``low > 0``.
        smoothing: time constant in s with which the value follows a fader; 0 jumps.
        doc: one line for ``--help``, the HUD and the OSC map.
        choices: names of the values of a ``choice``.
        kept: True if a performer's setting outlives a change of look: calibration and master levels.
    """

    name: str
    unit: str
    low: float
    high: float
    default: float
    curve: Curve
    smoothing: float
    doc: str
    choices: tuple[str, ...] = ()
    kept: bool = False

    @property
    def discrete(self) -> bool:
        """True if values between two steps mean nothing."""
        return self.curve in ("integer", "choice", "switch")

    def clamp(self, value: float) -> float:
        """Return ``value`` within the range and, if discrete, on a step; NaN becomes the default."""
        if math.isnan(value):
            return self.default
        value = min(self.high, max(self.low, value))
        return float(round(value)) if self.discrete else value

    def from_unit(self, position: float) -> float:
        """Map a fader position 0–1 to a value."""
        position = min(1.0, max(0.0, position)) if not math.isnan(position) else self.to_unit(self.default)
        if self.curve == "exponential":
            return float(self.low * (self.high / self.low) ** position)
        return self.clamp(self.low + position * (self.high - self.low))

    def to_unit(self, value: float) -> float:
        """Map a value to its fader position 0–1; the inverse of :meth:`from_unit`."""
        value = self.clamp(value)
        if self.curve == "exponential":
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def show(self, value: float) -> str:
        """Return ``value`` as a performer reads it, with its unit."""
        if self.choices:
            return self.choices[int(self.clamp(value))]
        if self.curve == "switch":
            return "on" if value >= 0.5 else "off"
        # A value on its way to 0 never quite arrives.
        near = abs(value) < 1e-4 * (self.high - self.low)
        text = f"{value:.0f}" if self.discrete else "0" if near else f"{value:.3g}"
        return f"{text} {self.unit}".strip()

    @property
    def expected(self) -> str:
        """The range in words, for error messages."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.curve == "switch":
            return "on or off"
        kind = "a whole number" if self.curve == "integer" else "a number"
        return f"{kind} from {self.low:g} to {self.high:g}" + (f" {self.unit}" if self.unit else "")


FAMILIES = ("fields", "cppn", "orbits", "reaction", "tunnel", "ribbons", "lattice", "particles")
PALETTES = ("neon", "ember", "aurora", "ice", "acid", "dusk", "mono", "gold")
NOISES = ("white", "pink", "carried")
"""Noise the turbo generator dreams from: even, coarse, or one that moves along with the picture."""
GLIDES = ("seconds", "beats", "bars")
ENTRIES = ("now", "bar")
LORAS = 4
"""LoRA weights that can be moved live."""


def _row(
    name: str,
    default: float,
    low: float,
    high: float,
    doc: str,
    *,
    unit: str = "",
    curve: Curve = "linear",
    smoothing: float = 0.04,
    choices: tuple[str, ...] = (),
    kept: bool = False,
) -> ParamSpec:
    return ParamSpec(name, unit, low, high, default, curve, smoothing, doc, choices, kept)


def _choice(name: str, choices: tuple[str, ...], doc: str, *, kept: bool = False) -> ParamSpec:
    return ParamSpec(name, "", 0, len(choices) - 1, 0, "choice", 0.0, doc, choices, kept)


ROWS: tuple[ParamSpec, ...] = (
    # What the generator draws.
    _choice("gen.family", FAMILIES, "family of moving image of the procedural generator"),
    _choice("gen.palette", PALETTES, "colour palette"),
    _row("gen.seed", 1, 0, 9999, "variation: another number, another picture", curve="integer", smoothing=0),
    _row("gen.speed", 1.0, 0.0, 6.0, "how fast it moves; 1 is the family's own pace", unit="x", smoothing=0.15),
    _row("gen.zoom", 1.0, 0.25, 4.0, "magnification", unit="x", curve="exponential", smoothing=0.08),
    _row("gen.rotate", 0.0, -0.5, 0.5, "rotation", unit="turns/s", smoothing=0.15),
    _row("gen.warp", 0.5, 0.0, 1.0, "how strongly space is bent"),
    _row("gen.detail", 0.5, 0.0, 1.0, "fine structure"),
    _row("gen.morph", 0.5, 0.0, 1.0, "position between the family's shapes", smoothing=0.1),
    _row("gen.symmetry", 1, 1, 12, "fold the plane into this many sectors", curve="integer", smoothing=0),
    _row("gen.glow", 0.5, 0.0, 1.0, "brightness of lines and edges"),
    _row("gen.pulse", 0.0, 0.0, 1.0, "a kick: swells and brightens the drawing", smoothing=0.0),
    _row("gen.hue", 0.0, 0.0, 1.0, "shift along the palette", unit="turns", smoothing=0.1),
    _row("gen.spread", 0.5, 0.0, 1.0, "how much of the palette is in the picture at once", smoothing=0.1),
    _row("gen.contrast", 0.5, 0.0, 1.0, "from soft to stark"),
    _row("gen.feedback", 0.5, 0.0, 0.97, "how much of its last picture the generator draws over"),
    _row("gen.drift", 0.1, -1.0, 1.0, "zoom of that last picture", unit="e-folds/s", smoothing=0.1),
    # Diffusion on its own last picture (the turbo generator). It also reads gen.seed, gen.speed, gen.rotate, gen.drift
    # and gen.pulse, so that the macros move it too.
    _row("turbo.strength", 0.5, 0.05, 1.0, "how much of every picture is dreamt anew", smoothing=0.05),
    _row("turbo.steps", 1, 1, 4, "denoising steps a picture", curve="integer", smoothing=0),
    _row("turbo.guidance", 1.0, 1.0, 4.0, "pull of the prompt, for models that take guidance", unit="x"),
    # Above 0.4 latent feedback destroys the picture.
    _row("turbo.feedback", 0.15, 0.0, 0.4, "how much of the last latents stays"),
    _row("turbo.x", 0.0, -1.0, 1.0, "drift of the last picture to the right", unit="widths/s", smoothing=0.1),
    _row("turbo.y", 0.0, -1.0, 1.0, "drift of the last picture upwards", unit="heights/s", smoothing=0.1),
    _row("turbo.init", 0.0, 0.0, 1.0, "how much camera, video or image is in every picture", smoothing=0.1),
    _choice("turbo.noise", NOISES, "what the picture is dreamt from"),
    _row("turbo.seed_travel", 0.25, 0.0, 30.0, "travel from one seed's noise to the next", unit="seeds/s"),
    _row("turbo.glide", 4.0, 0.0, 32.0, "time a new prompt takes to come in, see turbo.glide_in", smoothing=0.0),
    _choice("turbo.glide_in", GLIDES, "unit of turbo.glide"),
    *(
        _row(f"turbo.lora{i}", 1.0, -1.0, 2.0, f"weight of LoRA number {i}", unit="x", smoothing=0.1)
        for i in range(1, LORAS + 1)
    ),
    # Against the collapse of pictures fed on themselves.
    _row("stabilise.amount", 1.0, 0.0, 1.0, "keep fed-back pictures from collapsing; 0 lets them go", smoothing=0.0),
    _row("stabilise.colour", 0.25, 0.0, 1.0, "share of a drift in colour taken back a picture", smoothing=0.0),
    _row("stabilise.detail", 0.4, 0.0, 1.0, "share of multiplied texture taken back a picture", smoothing=0.0),
    _row("stabilise.noise", 0.3, 0.0, 1.0, "share of lost texture given back as noise a picture", smoothing=0.0),
    _row("stabilise.latents", 0.5, 0.0, 1.0, "share of a drift of the latents taken back a picture", smoothing=0.0),
    _row("stabilise.anchor", 0.12, 0.0, 0.5, "most of a scene's first picture brought back in need", smoothing=0.0),
    # A trail is meant to fade: it is kept from smearing only if that is asked for.
    _row("stabilise.trail", 0.0, 0.0, 1.0, "keep a long trail in its colours and detail too", smoothing=0.0),
    _row("stabilise.glide", 4.0, 0.0, 60.0, "time in which an intended change of colour is taken over", unit="s"),
    # How frames enter the compositor.
    _row("mix.crossfade", 1.0, 0.0, 1.0, "share of the generator's frame interval spent cross-fading"),
    _row("mix.morph", 1.0, 0.0, 1.0, "between two frames, move along with their motion; generators that know it"),
    _row("camera.zoom", 1.0, 0.5, 3.0, "zoom into the source", unit="x", curve="exponential", smoothing=0.0),
    _row("camera.rotate", 0.0, -0.5, 0.5, "turn the source", unit="turns", smoothing=0.0),
    _row("camera.shake", 0.0, 0.0, 1.0, "shake the source", smoothing=0.0),
    # Feedback: the last picture, moved and dimmed, under the new one.
    _row("feedback.mix", 0.35, 0.0, 1.0, "how much of the trail is seen"),
    _row("feedback.half_life", 0.35, 0.02, 8.0, "time in which the trail halves", unit="s", curve="exponential"),
    _row("feedback.zoom", 0.15, -2.0, 2.0, "zoom of the trail", unit="e-folds/s"),
    _row("feedback.rotate", 0.0, -1.0, 1.0, "rotation of the trail", unit="turns/s"),
    _row("feedback.x", 0.0, -1.0, 1.0, "drift of the trail to the right", unit="widths/s"),
    _row("feedback.y", 0.0, -1.0, 1.0, "drift of the trail upwards", unit="heights/s"),
    _row("feedback.displace", 0.0, 0.0, 1.0, "the picture's own light pushes the trail"),
    _row("feedback.hue", 0.0, -1.0, 1.0, "hue rotation of the trail", unit="turns/s"),
    # Shape and colour of the programme.
    _row("kaleido.segments", 6, 2, 16, "mirror sectors of the kaleidoscope", curve="integer", smoothing=0),
    _row("kaleido.mix", 0.0, 0.0, 1.0, "fade the kaleidoscope in"),
    _row("kaleido.rotate", 0.0, -0.5, 0.5, "rotation of the kaleidoscope", unit="turns/s"),
    _row(
        "chroma.shift", 0.0, 0.0, 0.05, "red and blue part from green towards the edges", unit="widths", smoothing=0.0
    ),
    _row("bloom.amount", 0.5, 0.0, 2.0, "light spilling over bright edges", smoothing=0.02),
    _row("bloom.threshold", 0.6, 0.0, 1.0, "brightness from which light spills"),
    _row("bloom.radius", 0.6, 0.0, 1.0, "how far light spills"),
    _row("grade.exposure", 0.0, -4.0, 4.0, "exposure", unit="stops", smoothing=0.02),
    _row("grade.contrast", 1.0, 0.0, 2.0, "contrast around middle grey", unit="x"),
    _row("grade.saturation", 1.0, 0.0, 2.0, "saturation", unit="x"),
    _row("grade.hue", 0.0, -0.5, 0.5, "hue rotation", unit="turns"),
    _row("grade.temperature", 0.0, -1.0, 1.0, "from cold to warm"),
    _row("grade.gamma", 1.0, 0.4, 2.5, "gamma", curve="exponential"),
    _row("grade.invert", 0.0, 0.0, 1.0, "fade to the negative", smoothing=0.0),
    _row("grain.amount", 0.08, 0.0, 1.0, "film grain"),
    _row("vignette.amount", 0.3, 0.0, 1.0, "darker corners"),
    # The audience.
    _row("crowd.share", 0.6, 0.0, 1.0, "how much of the prompt is the crowd's", smoothing=0.0, kept=True),
    _row("crowd.blend", 4.0, 0.0, 30.0, "time a crowd prompt takes to come in", unit="s", smoothing=0.0, kept=True),
    _choice("crowd.entry", ENTRIES, "when a crowd prompt begins to come in", kept=True),
    _row("crowd.turn", 20.0, 2.0, 300.0, "time a crowd prompt has before the next", unit="s", smoothing=0.0, kept=True),
    _row("crowd.lock", 0, 0, 1, "the scene is the performer's alone", curve="switch", smoothing=0.0, kept=True),
    _row("qr.mix", 0.0, 0.0, 1.0, "show the crowd page's QR code", smoothing=0.1),
    _row("qr.size", 0.5, 0.15, 0.95, "side of the QR code, share of the picture's height", smoothing=0.1, kept=True),
    # Light switches.
    _row("strobe.amount", 0.0, 0.0, 1.0, "depth of the strobe", smoothing=0.0),
    _row("strobe.rate", 3.0, 0.5, 12.0, "flashes; above 3 Hz can trigger seizures", unit="Hz", smoothing=0.0),
    _row("out.flash", 0.0, 0.0, 1.0, "fade to white", smoothing=0.0),
    _row("out.black", 0.0, 0.0, 1.0, "fade to black", smoothing=0.0),
    _row("out.freeze", 0, 0, 1, "hold the picture", curve="switch", smoothing=0.0),
    _row("out.level", 1.0, 0.0, 1.0, "master brightness", kept=True),
    # How the music acts.
    _row("audio.follow", 0.0, 0.0, 1.0, "whether the picture follows the music; the AUDIO macro raises it"),
    _row("audio.amount", 1.0, 0.0, 2.0, "how strongly it follows", unit="x", smoothing=0.1, kept=True),
    _row("beat.offset", 0.0, -250.0, 250.0, "draw beats later (+) or earlier (-)", unit="ms", smoothing=0.0, kept=True),
)


class ParamTable:
    """The rows by name and by position."""

    def __init__(self, rows: Iterable[ParamSpec]) -> None:
        self.rows = tuple(rows)
        self.index: Mapping[str, int] = {row.name: i for i, row in enumerate(self.rows)}
        if len(self.index) != len(self.rows):
            raise ValueError("two parameter rows share a name")

    def __getitem__(self, name: str) -> ParamSpec:
        return self.rows[self.index[name]]

    def __contains__(self, name: object) -> bool:
        return name in self.index

    def __iter__(self) -> Iterator[ParamSpec]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def defaults(self) -> ParamValues:
        """Return every row's default."""
        return ParamValues.of({})


class ParamValues(Mapping[str, float]):
    """A frozen value for every row of :data:`PARAMS`, in the rows' units.

    Behaves as a mapping from name to float; ``array`` is the same values, float64, read-only, in row order.
    """

    __slots__ = ("array",)

    def __init__(self, array: npt.NDArray[np.float64]) -> None:
        if array.shape != (len(PARAMS),):
            raise ValueError(f"expected {len(PARAMS)} parameter values, got {array.shape}")
        frozen = np.array(array, dtype=np.float64)
        frozen.flags.writeable = False
        self.array = frozen

    @classmethod
    def of(cls, values: Mapping[str, float]) -> ParamValues:
        """Build from a mapping; rows not named keep their default, values are clamped to their rows."""
        array = np.array([row.default for row in PARAMS.rows], dtype=np.float64)
        for name, value in values.items():
            array[PARAMS.index[name]] = PARAMS[name].clamp(value)
        return cls(array)

    def __getitem__(self, name: str) -> float:
        return float(self.array[PARAMS.index[name]])

    def __iter__(self) -> Iterator[str]:
        return iter(PARAMS.index)

    def __len__(self) -> int:
        return len(self.array)

    def __reduce__(self) -> tuple[type[ParamValues], tuple[npt.NDArray[np.float64]]]:
        return ParamValues, (np.array(self.array),)

    def replaced(self, values: Mapping[str, float]) -> ParamValues:
        """Return a copy with some rows changed, clamped."""
        array = np.array(self.array)
        for name, value in values.items():
            array[PARAMS.index[name]] = PARAMS[name].clamp(value)
        return ParamValues(array)

    def choice(self, name: str) -> str:
        """Return the name of a choice row's value."""
        return PARAMS[name].choices[int(self[name])]


PARAMS = ParamTable(ROWS)
"""The one table of all parameters."""
