"""The small operations in few kernels, on CUDA: Triton's for norms, cuDNN's own for convolution with ReLU.

Each is tried against plain PyTorch on the card before it is used; where one fails, plain PyTorch stays.
"""

from __future__ import annotations

import importlib.util
import logging
import subprocess
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F

from vjengine.generate.turbo.accel.ops import Ops

log = logging.getLogger(__name__)

_WHOLE = 16384
"""Numbers of a group that one program holds at once."""
_ROWS, _COLS = 128, 64
"""Rows and channels that a program takes of large features."""


class FusedOps(Ops):
    """Triton and cuDNN. Features are made channels-last if they are not."""

    name = "fused"

    def __init__(self) -> None:
        from vjengine.generate.turbo.accel import kernels

        self._kernels: Any = kernels

    def group_norm(self, x: torch.Tensor, norm: Any, *, silu: bool) -> torch.Tensor:
        """See :meth:`Ops.group_norm`."""
        return self._norm(x, None, norm, silu)

    def conv_norm(self, x: torch.Tensor, weight: torch.Tensor, shift: torch.Tensor, norm: Any) -> torch.Tensor:
        """See :meth:`Ops.conv_norm`."""
        return self._norm(F.conv2d(x, weight, None, padding=1), shift, norm, True)

    def conv_add(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, residual: torch.Tensor
    ) -> torch.Tensor:
        """See :meth:`Ops.conv_add`."""
        y = _rows(F.conv2d(x, weight, None, padding=1))
        if bias is None:
            return y.add_(residual)
        size = y.numel()
        self._kernels.add_bias[(-(-size // 2048),)](y, bias, _rows(residual), size, y.shape[1], SIZE=2048)
        return y

    def add_norm(self, x: torch.Tensor, residual: torch.Tensor, norm: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """See :meth:`Ops.add_norm`."""
        x, residual = x.contiguous(), residual.contiguous()
        total, out = torch.empty_like(x), torch.empty_like(x)
        width = x.shape[-1]
        self._kernels.add_layer_norm[(x.numel() // width,)](
            x, residual, norm.weight, norm.bias, total, out, norm.eps, width, COLS=_power(width)
        )
        return total, out

    def geglu(self, x: torch.Tensor) -> torch.Tensor:
        """See :meth:`Ops.geglu`."""
        x = x.contiguous()
        width = x.shape[-1] // 2
        out = x.new_empty(*x.shape[:-1], width)
        self._kernels.geglu[(out.numel() // width, -(-width // 1024))](x, out, width, COLS=1024)
        return out

    def _norm(self, x: torch.Tensor, shift: torch.Tensor | None, norm: Any, silu: bool) -> torch.Tensor:
        x = _rows(x)
        out = torch.empty_like(x)
        channels, rows = x.shape[1], x.shape[2] * x.shape[3]
        group = channels // norm.num_groups
        shifted = shift is not None
        given = norm.weight if shift is None else shift  # a kernel wants a pointer, if only to leave it alone
        if _power(rows) * _power(group) <= _WHOLE:
            self._kernels.group_norm_whole[(norm.num_groups,)](
                x, given, norm.weight, norm.bias, out, rows, channels, norm.eps,
                GROUP=group, SHIFTED=shifted, SILU=silu, ROWS=_power(rows), COLS=_power(group), num_warps=8,
            )  # fmt: skip
            return out
        blocks = -(-rows // _ROWS)
        grid = blocks, -(-channels // _COLS)
        sums = torch.empty(2, blocks, channels, device=x.device, dtype=torch.float32)
        line = torch.empty(2, channels, device=x.device, dtype=torch.float32)
        self._kernels.group_norm_sums[grid](
            x, given, sums[0], sums[1], rows, channels, SHIFTED=shifted, ROWS=_ROWS, COLS=_COLS, num_warps=8
        )
        self._kernels.group_norm_join[(norm.num_groups,)](
            given, norm.weight, norm.bias, sums[0], sums[1], line[0], line[1], rows, channels, blocks, norm.eps,
            GROUP=group, SHIFTED=shifted, ROWS=_ROWS, COLS=_power(group), BLOCKS=_power(blocks),
        )  # fmt: skip
        self._kernels.group_norm_apply[grid](
            x, line[0], line[1], out, rows, channels, SILU=silu, ROWS=_ROWS, COLS=_COLS, num_warps=8
        )
        return out


class CudnnOps(FusedOps):
    """The same, with cuDNN's convolutions that end in a ReLU."""

    name = "fused, cuDNN"

    def conv_relu(self, x: torch.Tensor, conv: Any) -> torch.Tensor:
        """See :meth:`Ops.conv_relu`."""
        if conv.weight.shape[0] % 8 or conv.weight.shape[1] % 8:
            return super().conv_relu(x, conv)  # cuDNN joins the two for whole vectors of channels only
        return torch.cudnn_convolution_relu(
            x, conv.weight, conv.bias, conv.stride, conv.padding, conv.dilation, conv.groups
        )

    def conv_add_relu(self, x: torch.Tensor, conv: Any, residual: torch.Tensor) -> torch.Tensor:
        """See :meth:`Ops.conv_add_relu`."""
        if conv.weight.shape[0] % 8 or conv.weight.shape[1] % 8:
            return super().conv_add_relu(x, conv, residual)
        return torch.cudnn_convolution_add_relu(
            x, conv.weight, residual, 1.0, conv.bias, conv.stride, conv.padding, conv.dilation, conv.groups
        )


def best_ops(device: torch.device, dtype: torch.dtype) -> Ops:
    """Return the quickest operations that give right results on ``device``."""
    if device.type != "cuda":
        return Ops()
    if importlib.util.find_spec("triton") is None:
        log.info("Triton is not installed: the graph rung uses more kernels than it need")
        return Ops()
    from triton.errors import TritonError  # type: ignore[import-not-found,import-untyped,unused-ignore]

    troubles = (
        RuntimeError, ImportError, OSError, AttributeError, TypeError, subprocess.CalledProcessError, TritonError,
    )  # fmt: skip
    for kind in (CudnnOps, FusedOps):
        try:
            made = kind()
            worst = difference(made, Ops(), device, dtype)
        except troubles as error:
            # No compiler, an old card, a library of another version: each says so in its own type.
            log.info("%s operations do not run here: %s", kind.name, str(error).strip().partition("\n")[0])
            continue
        if worst < (1e-3 if dtype == torch.float32 else 0.1):
            return made
        log.warning("%s operations are wrong here by %.3g and are not used", kind.name, worst)
    return Ops()


@torch.no_grad()
def difference(one: Ops, other: Ops, device: torch.device, dtype: torch.dtype) -> float:
    """Return the largest difference between two kinds of operations, over shapes that take every way through them."""
    numbers = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=numbers).to(device, dtype)

    def norm(channels: int, groups: int) -> Any:
        return SimpleNamespace(num_groups=groups, weight=draw(channels), bias=draw(channels), eps=1e-5)

    worst = 0.0
    for channels, groups, height, width in ((64, 32, 8, 8), (320, 32, 40, 24), (2560, 32, 20, 16)):
        x = (draw(1, channels, height, width) * 3.0 + 1.0).contiguous(memory_format=torch.channels_last)
        weight = draw(channels, channels, 3, 3) / (3.0 * channels**0.5) if channels < 2560 else None
        for silu in (False, True):
            first = norm(channels, groups)
            worst = max(worst, _apart(*(ops.group_norm(x, first, silu=silu) for ops in (one, other))))
        if weight is not None:
            weight = weight.contiguous(memory_format=torch.channels_last)
            shift, bias, after = draw(channels), draw(channels), norm(channels, groups)
            conv = SimpleNamespace(weight=weight, bias=bias, stride=(1, 1), padding=(1, 1), dilation=(1, 1), groups=1)
            worst = max(
                worst,
                _apart(*(ops.conv_norm(x, weight, shift, after) for ops in (one, other))),
                _apart(*(ops.conv_add(x, weight, bias, x) for ops in (one, other))),
                _apart(*(ops.conv_relu(x, conv) for ops in (one, other))),
                _apart(*(ops.conv_add_relu(x, conv, x) for ops in (one, other))),
            )  # fmt: skip
    tokens, residual = draw(1, 96, 320), draw(1, 96, 320)
    layer = SimpleNamespace(normalized_shape=(320,), weight=draw(320), bias=draw(320), eps=1e-5)
    for mine, theirs in zip(*(ops.add_norm(tokens, residual, layer) for ops in (one, other)), strict=True):
        worst = max(worst, _apart(mine, theirs))
    wide = draw(1, 96, 2560) * 2.0
    return max(worst, _apart(one.geglu(wide), other.geglu(wide)))


def _apart(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one.float() - other.float()).abs().max())


def _rows(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _power(number: int) -> int:
    """Return the smallest power of two that is not below ``number``."""
    return 1 << (number - 1).bit_length()
