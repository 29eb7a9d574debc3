"""The contract of a rung: three networks with fixed shapes. Everything around them is the loop's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from vjengine.generate.turbo.parts import TurboParts
from vjengine.generate.turbo.plan import FramePlan, RungName

if TYPE_CHECKING:
    import torch


@dataclass(slots=True)
class TextState:
    """What the prompt has become: conditions for the UNet, on the plan's device and in its precision.

    Attributes:
        embeds: ``(1, 77, D)`` hidden states.
        pooled: ``(1, P)`` pooled text; None but for ``sdxl``.
        size_ids: ``(1, 6)`` picture size conditions; None but for ``sdxl``.
    """

    embeds: torch.Tensor
    pooled: torch.Tensor | None = None
    size_ids: torch.Tensor | None = None


class Networks(Protocol):
    """Encoder, UNet and decoder on one rung, for one :class:`~vjengine.generate.turbo.plan.FramePlan`.

    Tensors live on ``plan.device``. What a method returns may be the rung's own buffer, overwritten by its next call.
    No method allocates device memory that outlives it, and none waits for the device: a rung marked ``capturable`` can
    be recorded into a CUDA graph.

    Attributes:
        rung: its name.
        plan: what it was built for.
        dtype: of pictures and latents in and out.
        capturable: True if a CUDA graph can hold these networks.
    """

    rung: RungName
    plan: FramePlan
    dtype: torch.dtype
    capturable: bool

    def encode(self, picture: torch.Tensor) -> torch.Tensor:
        """Return scaled latents ``plan.latent_shape`` of ``picture``, ``plan.picture_shape`` in 0-1."""
        ...

    def predict(self, latents: torch.Tensor, timestep: torch.Tensor, *, negative: bool = False) -> torch.Tensor:
        """Return the UNet's output for ``latents`` at ``timestep``.

        Args:
            latents: ``plan.latent_shape``.
            timestep: ``(1,)`` int64, 0-999.
            negative: use the negative text.
        """
        ...

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the picture of scaled ``latents``: ``plan.picture_shape``, about 0-1, not clamped."""
        ...

    def set_text(self, text: TextState, *, negative: bool = False) -> None:
        """Copy ``text`` into place; the next :meth:`predict` uses it."""
        ...

    def set_lora(self, weights: Sequence[float]) -> None:
        """Write the LoRA weights into place, one a LoRA of the plan."""
        ...

    def close(self) -> None:
        """Give back engines and buffers; a second call does nothing."""
        ...


Say = Callable[[str, float], None]
"""Told of progress: what is being done, and how far 0-1 (negative: unknown)."""


class Rung(Protocol):
    """One way to run the networks. A module in this package; :mod:`.ladder` knows all of them.

    Attributes:
        name: its name.
        doc: one line for ``--help`` and the HUD.
        needs_build: True if :meth:`prepare` takes long and leaves files.
    """

    name: RungName
    doc: str
    needs_build: bool

    def missing(self, plan: FramePlan) -> str:
        """Return why this rung cannot run ``plan`` on this machine and what to install; empty if it can.

        Imports nothing heavy and never raises.
        """
        ...

    def ready(self, parts_fingerprint: str, plan: FramePlan, folder: Path) -> bool:
        """True if :meth:`load` needs no build: nothing to build, or whole engines of these keys lie in ``folder``."""
        ...

    def prepare(self, parts: TurboParts, plan: FramePlan, folder: Path, say: Say) -> None:
        """Export and build what :meth:`load` will need, into ``folder``. Slow; runs in a process of its own.

        Raises:
            GeneratorError: saying what failed and what to do.
        """
        ...

    def load(self, parts: TurboParts, plan: FramePlan, folder: Path) -> Networks:
        """Return the networks, warmed up.

        Raises:
            GeneratorError: if an engine is missing, truncated, stale or does not run here.
        """
        ...
