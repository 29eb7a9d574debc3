"""What the picture is dreamt from: noise by seed, journeys between seeds, noise that moves along with the picture.

Fields are drawn on the CPU, so they have the same bytes whatever the device. Which seed the journey stands at, and how
far the picture has moved, are a few numbers (:class:`NoiseState`); how the fields are mixed follows from those
(:class:`NoiseMix`) and is worked out on the device from static buffers.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

from vjengine.generate.turbo.controls import NoiseKind
from vjengine.generate.turbo.warp import Affine, Warp, after, identity

SLOTS = 3
"""Seeds at hand: the journey's last and next, and the one after, drawn before it is needed."""

_PINK = 0.8  # amplitude falls with this power of the frequency
_GOLDEN = (0.754877666, 0.569840291)  # offsets that never meet (the plane's golden ratio)

Field = npt.NDArray[np.float32]
SeedKey = tuple[int, int, int]
"""(the spec's seed, the performer's ``gen.seed``, reseeds so far)."""
SlotWriter = Callable[[int, Field], None]


def draw_field(key: SeedKey, number: int, shape: tuple[int, ...]) -> Field:
    """Return the white noise of seed ``number`` of the journey that ``key`` starts: unit variance, float32."""
    digest = hashlib.blake2b(repr((*key, number)).encode(), digest_size=8).digest()
    generator = torch.Generator("cpu").manual_seed(int.from_bytes(digest, "little") >> 1)
    drawn: Field = torch.randn(shape, generator=generator, dtype=torch.float32, device="cpu").numpy()
    return drawn


def pink_field(white: Field) -> Field:
    """Return ``white`` ``(…, h, w)`` made coarser: amplitude falls with frequency; zero mean, unit variance."""
    height, width = white.shape[-2:]
    coarse = np.fft.irfft2(np.fft.rfft2(white) * _pink_filter(height, width), s=(height, width))
    coarse /= coarse.std(axis=(-2, -1), keepdims=True) + 1e-12
    return coarse.astype(np.float32)


@lru_cache(maxsize=8)
def _pink_filter(height: int, width: int) -> Field:
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = np.inf
    shares: Field = (frequency**-_PINK).astype(np.float32)
    return shares


def slerp_weights(a: Field, b: Field, position: float) -> tuple[float, float]:
    """Return the weights of ``a`` and ``b`` at ``position`` 0-1 on the great circle between them.

    Shoemake, "Animating rotation with quaternion curves", 1985: the length, and so the variance, is kept.
    """
    cosine = float(np.vdot(a, b)) / math.sqrt(float(np.vdot(a, a)) * float(np.vdot(b, b)) + 1e-30)
    angle = math.acos(min(1.0, max(-1.0, cosine)))
    if math.sin(angle) < 1e-4:
        return 1.0 - position, position
    return math.sin((1.0 - position) * angle) / math.sin(angle), math.sin(position * angle) / math.sin(angle)


@dataclass(frozen=True, slots=True)
class NoiseState:
    """Where the noise stands; carried from frame to frame and from one program to the next.

    Attributes:
        position: seeds travelled so far.
        moved: map from the picture to where its noise was drawn; its scale is kept within one octave.
        octave: octaves of zoom that were taken out of ``moved``.
    """

    position: float = 0.0
    moved: Affine = field(default_factory=identity)
    octave: int = 0

    def travelled(self, seeds: float, motion: Affine) -> NoiseState:
        """Return the state after so many more seeds and one more motion of the picture."""
        moved = after(self.moved, motion)
        octave = self.octave
        scale = _scale(moved)
        while scale <= 0.5:
            moved, scale, octave = moved * 2.0, scale * 2.0, octave + 1
        while scale > 1.0:
            moved, scale, octave = moved * 0.5, scale * 0.5, octave - 1
        # Mirrored sampling repeats every 4: far from home, float32 would get coarse.
        moved[:, 2] = np.remainder(moved[:, 2], 4.0)
        return NoiseState(self.position + seeds, moved, octave)


@dataclass(frozen=True, slots=True)
class NoiseMix:
    """How the frame's noise is made of the fields; all float32.

    Attributes:
        weights: ``(SLOTS,)`` of the fields.
        maps: ``(2, 6)``: where two layers of the mixed field are sampled.
        layers: ``(2,)``: weights of the layers; their squares add up to 1.
    """

    weights: npt.NDArray[np.float32]
    maps: npt.NDArray[np.float32]
    layers: npt.NDArray[np.float32]


class NoiseFields:
    """Keeps the fields of the seeds around the journey's position in one static device tensor.

    Args:
        shape: (channels, rows, columns) of the latents.
        write: copies a field of that shape into slot number 0 to ``SLOTS - 1`` on the device, without waiting for it.
    """

    def __init__(self, shape: tuple[int, int, int], write: SlotWriter) -> None:
        self._shape = shape
        self._write = write
        self._held: list[tuple[SeedKey, int, bool] | None] = [None] * SLOTS
        self._fields: list[Field] = [np.zeros(shape, np.float32)] * SLOTS

    def mix(self, key: SeedKey, state: NoiseState, kind: NoiseKind) -> NoiseMix:
        """Return the mix for ``state``, with the fields it needs in place.

        On the way from seed to seed one field is drawn ahead, in a frame that needs no other; other seeds (a reseed)
        or another kind draw two.
        """
        number = math.floor(state.position)
        pink = kind == "pink"
        drawn = [self._hold(key, number + step, pink) for step in (0, 1)]
        if not any(drawn):
            self._hold(key, number + 2, pink)
        near, far = number % SLOTS, (number + 1) % SLOTS
        weights = np.zeros(SLOTS, dtype=np.float32)
        weights[near], weights[far] = slerp_weights(self._fields[near], self._fields[far], state.position - number)
        if kind != "carried":
            still = identity().reshape(6)
            return NoiseMix(weights, np.array([still, still], np.float32), np.array([1.0, 0.0], np.float32))
        return NoiseMix(weights, *_layers(state))

    def _hold(self, key: SeedKey, number: int, pink: bool) -> bool:
        """Make sure that a field is in its slot; return True if it had to be drawn."""
        slot = number % SLOTS
        if self._held[slot] == (key, number, pink):
            return False
        drawn = draw_field(key, number, self._shape)
        drawn = pink_field(drawn) if pink else drawn
        self._write(slot, drawn)
        self._fields[slot], self._held[slot] = drawn, (key, number, pink)
        return True


def _layers(state: NoiseState) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return maps and weights of two layers, an octave apart, that hand over to each other as the picture zooms.

    One field enlarged for ever would end as a single blob: the finer layer comes in as the coarser one goes, at equal
    variance, so that there is noise of every cell at any zoom.
    """
    scale = _scale(state.moved)
    fade = 0.5 * math.pi * min(1.0, max(0.0, -math.log2(max(scale, 1e-9))))
    maps = np.empty((2, 6), dtype=np.float32)
    for layer in range(2):
        moved = state.moved * float(1 << layer)
        moved[:, 2] = np.remainder(moved[:, 2] + np.array(_GOLDEN) * (state.octave + layer), 4.0)
        maps[layer] = moved.reshape(6)
    return maps, np.array([math.cos(fade), math.sin(fade)], dtype=np.float32)


def _scale(moved: Affine) -> float:
    """Return how many units of the noise one unit of the picture covers."""
    (a, b, _), (c, d, _) = moved.tolist()
    return math.sqrt(abs(a * d - b * c))


def mixed_noise(
    fields: torch.Tensor, warp: Warp, weights: torch.Tensor, maps: torch.Tensor, layers: torch.Tensor
) -> torch.Tensor:
    """Return ``(1, C, h, w)`` float32 noise of unit variance: a :class:`NoiseMix` carried out on the device.

    Sampling between cells averages them; what that takes from the variance is known for every cell, and given back.
    Nothing is sampled twice: noise carried for an hour is as white as at its start.

    Args:
        fields: ``(SLOTS, C, h, w)`` float32.
        warp: of the latents' size.
        weights, maps, layers: as in :class:`NoiseMix`, on the device.
    """
    mixed = (weights[:, None, None, None] * fields).sum(dim=0, keepdim=True)
    total = torch.zeros_like(mixed)
    for layer in range(2):
        grid = warp.grid(maps[layer])
        kept = 1.0 - 2.0 * warp.between(grid)
        total = total + layers[layer] * (warp.plain(mixed, grid) * torch.rsqrt(kept[:, :1] * kept[:, 1:]))
    return total


def start_picture(key: SeedKey, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Return a soft coloured picture to start from: ``(1, 3, H, W)`` float32 in 0-1, for ``size`` (width, height)."""
    width, height = size
    coarse = pink_field(pink_field(draw_field(key, -1, (1, 3, max(height // 8, 2), max(width // 8, 2)))))
    smooth = torch.nn.functional.interpolate(
        torch.from_numpy(coarse), size=(height, width), mode="bicubic", align_corners=False
    )
    picture: Field = (0.5 + 0.18 * smooth).clamp(0.0, 1.0).numpy()
    return picture
