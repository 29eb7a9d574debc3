"""A :class:`~vjengine.core.correction.Correction` carried out on the device, inside the recorded frame.

About fifty small kernels over static buffers. Every number comes from one row of dials, so a recorded frame always
computes the correction and takes it, or the picture as it was, by an exact choice. The noise is not drawn on the host:
a bank of white noise is drawn once, and which of its rows a picture gets, in which order, follows from the number of
the correction.
"""

from __future__ import annotations

import hashlib
import math
from itertools import count

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from vjengine.core.correction import GAIN_RANGE, MAX_NOISE, NO_CORRECTION, Correction
from vjengine.generate.turbo.noise import draw_field

_CELLS = (1, 3, 8)
"""px a side of the noise of the bands fine, middle, coarse: where most of each goes into its own band. Of cells as
large as the band's own, half would end up in the next and in the rest, and the colours of the picture would wander."""
_PARTS = [1, 12, 1, 1, 1, 1, 1, 27, 1, 1, 2]
_LATENTS = sum(_PARTS[:9])
KEEP_DIALS = sum(_PARTS)
"""Numbers of one correction on the device."""

_LEAST_CEILING = 1e-3
"""A ceiling below a quarter of an 8-bit step would only divide by almost nothing."""
_LEAST_SPREAD = 1e-3
"""Latents that spread less are flat; nothing is to be made of the rest."""


class Keep:
    """Corrects pictures and latents of one size, and keeps the anchors of both.

    Args:
        width: px, and
        height: px of the pictures.
        channels: of the latents.
        dials: ``(KEEP_DIALS,)`` float32, static, on the device: :meth:`numbers` as they are to be for this frame.
        seed: of the noise.

    Attributes:
        anchor: ``(1, 3, H, W)`` float32: the anchor picture.
        latents: ``(2, 1, channels, 1, 1)`` float32: spread and mean of each channel of the anchor's latents.
    """

    def __init__(self, width: int, height: int, channels: int, dials: torch.Tensor, seed: int = 1) -> None:
        device = dials.device
        self._width, self._height, self._seed = width, height, seed
        self.anchor = torch.zeros(1, 3, height, width, device=device)
        self.latents = torch.zeros(2, 1, channels, 1, 1, device=device)
        self._one = torch.ones(1, device=device)
        self._grids = [(-(-height // cell), -(-width // cell)) for cell in _CELLS]
        self._amplitudes = [1.0 / math.sqrt(_variance(height, cell) * _variance(width, cell)) for cell in _CELLS]
        rows = [3 * high for high, _ in self._grids]
        # As many rows as a prime number: then every factor and offset is another order of all of them.
        self._rows = _prime(sum(rows) + 1)
        bank = draw_field((seed, 0, 0), -2, (self._rows, width))
        self._bank = torch.from_numpy(bank).to(device)
        self._count = torch.arange(sum(rows)).to(device)
        self._ends = [0, rows[0], rows[0] + rows[1], sum(rows)]
        taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0
        fine = -torch.outer(taps, taps)
        fine[2, 2] += 1.0
        self._taps = fine.expand(3, 1, 5, 5).contiguous().to(device)
        parts = torch.split(dials, _PARTS)
        (
            self._active, colour, self._fine, self._middle, self._quarter, self._sixteenth, self._bend, tints,
            self._share, self._latent_share, self._order,
        ) = parts  # fmt: skip
        self._colour = colour.view(4, 1, 3, 1, 1)
        self._tints = tints.view(3, 3, 1, 3, 1, 1)

    @property
    def buffers(self) -> dict[str, torch.Tensor]:
        """Every static tensor by name."""
        return {name.strip("_"): value for name, value in vars(self).items() if isinstance(value, torch.Tensor)}

    def numbers(self, correction: Correction) -> npt.NDArray[np.float32]:
        """Return the dials of ``correction``: ``(KEEP_DIALS,)`` float32.

        Number 0 leaves the picture as it is, and what is no number leaves all as it is; the rest is brought into its
        range.
        """
        given = correction if _finite(correction) else NO_CORRECTION
        latents = min(max(given.latents, 0.0), 1.0)
        if given.number == 0:
            nothing = np.zeros(KEEP_DIALS, np.float32)
            nothing[_LATENTS] = latents
            return nothing
        fine, middle, coarse = (min(max(gain, GAIN_RANGE[0]), GAIN_RANGE[1]) for gain in given.gains)
        bend = fine / max(given.ceiling, _LEAST_CEILING) if given.ceiling > 0.0 else 0.0
        digest = hashlib.blake2b(repr((self._seed, given.number)).encode(), digest_size=9).digest()
        factor = 1 + int.from_bytes(digest[:8], "little") % (self._rows - 1)
        # Drawn as well, it would come again with the same factor too soon; so, not within as many numbers as rows.
        offset = given.number * max(1, int(0.618 * self._rows)) % self._rows
        # Signs too, so that in the mean over many corrections no place gets more than another.
        signs = [1.0 if digest[8] >> band & 1 else -1.0 for band in range(3)]
        tint = np.array(given.tint).reshape(3, 3).T
        amounts = np.clip(given.noise, 0.0, MAX_NOISE) * np.array(self._amplitudes) * signs
        return np.concatenate(
            (
                (1.0,),
                np.array(given.colour).reshape(3, 4).T.reshape(12),
                (fine, middle, coarse - middle, 1.0 - coarse, bend * bend),
                (amounts[:, None, None] * tint).reshape(27),
                (min(max(given.anchor, 0.0), 1.0), latents),
                (factor, offset),
            ),
            dtype=np.float32,
        )

    @torch.inference_mode()
    def take(self, picture: torch.Tensor, latents: torch.Tensor | None = None) -> None:
        """Make ``picture`` ``(1, 3, any, any)``, 0-1, of any device, the anchor picture.

        Args:
            picture: what to go back to.
            latents: as :attr:`latents`, if they are known.
        """
        # Even a share of none of a number that is none would be none.
        self.anchor.copy_(torch.nan_to_num(resized(picture, tuple(self.anchor.shape)), nan=0.5).clamp_(0.0, 1.0))
        if latents is not None:
            self.latents.copy_(latents)

    @torch.inference_mode()
    def take_latents(self, latents: torch.Tensor) -> None:
        """Make ``latents`` ``(1, C, any, any)`` the anchor's: their statistics, but for those that are no numbers."""
        found = torch.stack(torch.std_mean(latents.to(self.latents.device), dim=(2, 3), correction=0, keepdim=True))
        self.latents.copy_(torch.where(torch.isfinite(found), found, self.latents))

    def correct(self, picture: torch.Tensor, out: torch.Tensor) -> None:
        """Put ``picture`` ``(1, 3, H, W)`` float32 corrected, 0-1, into ``out``; bit for bit if the dials hold none."""
        colour = self._colour
        y = colour[3]
        for channel in range(3):
            y = torch.addcmul(y, picture[:, channel : channel + 1], colour[channel])
        fine = functional.conv2d(functional.pad(y, (2, 2, 2, 2), mode="replicate"), self._taps, groups=3)
        quarter = _means(y)
        sixteenth = _means(quarter)
        white = self._white()
        bent = torch.rsqrt(torch.addcmul(self._one, fine * fine, self._bend))
        # The four bands, sorted by what is at hand.
        found = self._enlarged(quarter * self._quarter, 4) + self._enlarged(sixteenth * self._sixteenth, 16)
        found.addcmul_(y, self._middle).addcmul_(fine, torch.addcmul(-self._middle, bent, self._fine))
        for band in (1, 2):
            cells = white[band]
            tinted = self._noised(cells[:, :1] * self._tints[band, 0], cells, band, (1, 2))
            found.add_(self._enlarged(tinted, _CELLS[band]))
        found = torch.lerp(self._noised(found, white[0], 0, (0, 1, 2)), self.anchor, self._share).clamp_(0.0, 1.0)
        torch.where(self._active > 0.0, found, picture, out=out)

    def steer(self, latents: torch.Tensor) -> torch.Tensor:
        """Return ``latents`` ``(1, C, h, w)`` float32, mean and spread of each channel nearer to the anchor's.

        Adaptive instance normalisation (Huang and Belongie, "Arbitrary style transfer in real-time", 2017), by a share.
        It is done to what is decoded: a model that makes much of its noise forgets what was done to its input. A whole
        gain stays within :data:`~vjengine.core.correction.GAIN_RANGE`: flat latents are not blown up.
        """
        spread, mean = torch.std_mean(latents, dim=(2, 3), correction=0, keepdim=True)
        gain = (self.latents[0] / spread.clamp_min(_LEAST_SPREAD)).clamp_(*GAIN_RANGE)
        # As what is to be added, a share of 0 adds nothing at all.
        change = torch.addcmul(self.latents[1] - mean, latents - mean, gain - 1.0)
        return torch.addcmul(latents, change, self._latent_share)

    def _white(self) -> list[torch.Tensor]:
        """Return white noise for the three bands, ``(1, 3, rows, columns)``, of different rows of the bank."""
        order = self._order.to(torch.int64)
        rows = (self._count * order[0] + order[1]).remainder_(self._rows)
        drawn = []
        for band, (high, wide) in enumerate(self._grids):
            one = self._bank[:, :wide].index_select(0, rows[self._ends[band] : self._ends[band + 1]])
            drawn.append(one.view(1, 3, high, wide))
        return drawn

    def _noised(self, fresh: torch.Tensor, white: torch.Tensor, band: int, channels: tuple[int, ...]) -> torch.Tensor:
        """Add a band's noise of these channels, tinted, to ``fresh``, in place."""
        for channel in channels:
            fresh.addcmul_(white[:, channel : channel + 1], self._tints[band, channel])
        return fresh

    def _enlarged(self, cells: torch.Tensor, cell: int) -> torch.Tensor:
        size = (cells.shape[2] * cell, cells.shape[3] * cell)
        whole = functional.interpolate(cells, size=size, mode="bilinear", align_corners=False)
        return whole[..., : self._height, : self._width]


def resized(tensor: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Return ``tensor`` at the height and width of ``shape``."""
    if tuple(tensor.shape[2:]) == tuple(shape[2:]):
        return tensor
    return functional.interpolate(tensor.float(), size=shape[2:], mode="bilinear", antialias=True)


def _means(picture: torch.Tensor) -> torch.Tensor:
    """Return the means over 4 × 4 px, the last row and column repeated where that does not come out even."""
    below, right = -picture.shape[2] % 4, -picture.shape[3] % 4
    if below or right:
        picture = functional.pad(picture, (0, right, 0, below), mode="replicate")
    return functional.avg_pool2d(picture, 4)


def _variance(pixels: int, cell: int) -> float:
    """Return what is left, along one axis, of white noise's variance when its cells are enlarged linearly."""
    position = np.clip((np.arange(pixels) + 0.5) / cell - 0.5, 0.0, -(-pixels // cell) - 1.0)
    part = position - np.floor(position)
    return float(np.mean(part**2 + (1.0 - part) ** 2))


def _prime(least: int) -> int:
    """Return the first prime from ``least`` on."""
    return next(n for n in count(max(least, 2)) if all(n % d for d in range(2, math.isqrt(n) + 1)))


def _finite(correction: Correction) -> bool:
    """True if all that is done to a picture is numbers."""
    single = (correction.ceiling, correction.anchor, correction.latents)
    numbers = (*correction.colour, *correction.gains, *correction.noise, *correction.tint, *single)
    return all(math.isfinite(number) for number in numbers)
