# mypy: disallow-untyped-decorators=False, disallow-untyped-defs=False, disallow-incomplete-defs=False
# mypy: disallow-untyped-calls=False, check-untyped-defs=False
"""Triton kernels: one for what PyTorch does in three to six. Import only where Triton is installed.

Features are rows of channels: ``(H*W, C)``, which is what channels-last layout is in memory. Sums are in float32.
"""

from __future__ import annotations

import triton  # type: ignore[import-not-found,import-untyped,unused-ignore]
import triton.language as tl  # type: ignore[import-not-found,import-untyped,unused-ignore]


@triton.jit
def group_norm_whole(
    x, shift, weight, bias, out, rows, channels, eps,
    GROUP: tl.constexpr, SHIFTED: tl.constexpr, SILU: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr,
):  # fmt: skip
    """Group norm of small features: a program holds one whole group, ``rows <= ROWS``, ``GROUP <= COLS``."""
    row = tl.arange(0, ROWS)[:, None]
    col = tl.arange(0, COLS)[None, :]
    inside = (row < rows) & (col < GROUP)
    channel = tl.program_id(0) * GROUP + col
    value = tl.load(x + row * channels + channel, mask=inside, other=0.0).to(tl.float32)
    if SHIFTED:
        value += tl.load(shift + channel, mask=col < GROUP, other=0.0).to(tl.float32)
    count = rows * GROUP
    mean = tl.sum(tl.sum(tl.where(inside, value, 0.0), 0), 0) / count
    value = tl.where(inside, value - mean, 0.0)
    variance = tl.sum(tl.sum(value * value, 0), 0) / count
    scale = tl.load(weight + channel, mask=col < GROUP, other=0.0).to(tl.float32)
    offset = tl.load(bias + channel, mask=col < GROUP, other=0.0).to(tl.float32)
    value = value * tl.rsqrt(variance + eps) * scale + offset
    if SILU:
        value = value * tl.sigmoid(value)
    tl.store(out + row * channels + channel, value.to(out.dtype.element_ty), mask=inside)


@triton.jit
def group_norm_sums(
    x, shift, means, squares, rows, channels, SHIFTED: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr
):  # fmt: skip
    """Group norm of large features, first: mean and squared deviations of each channel over a block of rows.

    ``means`` and ``squares`` are ``(blocks, C)``.
    """
    block = tl.program_id(0)
    row = block * ROWS + tl.arange(0, ROWS)[:, None]
    channel = tl.program_id(1) * COLS + tl.arange(0, COLS)
    mine = channel < channels
    inside = (row < rows) & mine[None, :]
    value = tl.load(x + row * channels + channel[None, :], mask=inside, other=0.0).to(tl.float32)
    if SHIFTED:
        value += tl.load(shift + channel, mask=mine, other=0.0).to(tl.float32)[None, :]
    count = tl.minimum(rows - block * ROWS, ROWS).to(tl.float32)
    mean = tl.sum(tl.where(inside, value, 0.0), 0) / count
    away = tl.where(inside, value - mean[None, :], 0.0)
    tl.store(means + block * channels + channel, mean, mask=mine)
    tl.store(squares + block * channels + channel, tl.sum(away * away, 0), mask=mine)


@triton.jit
def group_norm_join(
    shift, weight, bias, means, squares, factors, offsets, rows, channels, blocks, eps,
    GROUP: tl.constexpr, SHIFTED: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr, BLOCKS: tl.constexpr,
):  # fmt: skip
    """Then: join a group's sums (Chan et al.) to what the norm does to each channel, ``x * factor + offset``."""
    col = tl.arange(0, COLS)[None, :]
    channel = tl.program_id(0) * GROUP + col
    mine = col < GROUP
    block = tl.arange(0, BLOCKS)[:, None]
    known = (block < blocks) & mine
    count = tl.where(block < blocks, tl.minimum(rows - block * ROWS, ROWS), 0).to(tl.float32)
    mean = tl.load(means + block * channels + channel, mask=known, other=0.0)
    square = tl.load(squares + block * channels + channel, mask=known, other=0.0)
    size = rows * GROUP
    group_mean = tl.sum(tl.sum(mean * count, 0), 0) / size
    away = tl.where(known, mean - group_mean, 0.0)
    variance = tl.sum(tl.sum(square + count * away * away, 0), 0) / size
    scale = tl.load(weight + channel, mask=mine, other=0.0).to(tl.float32)
    factor = tl.rsqrt(variance + eps) * scale
    offset = tl.load(bias + channel, mask=mine, other=0.0).to(tl.float32) - group_mean * factor
    if SHIFTED:
        offset += tl.load(shift + channel, mask=mine, other=0.0).to(tl.float32) * factor
    tl.store(factors + channel, factor, mask=mine)
    tl.store(offsets + channel, offset, mask=mine)


@triton.jit
def group_norm_apply(
    x, factors, offsets, out, rows, channels, SILU: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr
):  # fmt: skip
    """Last: apply it."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    channel = tl.program_id(1) * COLS + tl.arange(0, COLS)[None, :]
    mine = channel < channels
    inside = (row < rows) & mine
    place = row * channels + channel
    value = tl.load(x + place, mask=inside, other=0.0).to(tl.float32)
    value = value * tl.load(factors + channel, mask=mine, other=0.0) + tl.load(offsets + channel, mask=mine, other=0.0)
    if SILU:
        value = value * tl.sigmoid(value)
    tl.store(out + place, value.to(out.dtype.element_ty), mask=inside)


@triton.jit
def add_bias(x, bias, residual, size, channels: tl.constexpr, SIZE: tl.constexpr):
    """``x += bias + residual``, in place."""
    place = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    inside = place < size
    value = tl.load(x + place, mask=inside).to(tl.float32) + tl.load(residual + place, mask=inside).to(tl.float32)
    value += tl.load(bias + place % channels, mask=inside).to(tl.float32)
    tl.store(x + place, value.to(x.dtype.element_ty), mask=inside)


@triton.jit
def add_layer_norm(
    x, residual, weight, bias, total, out, eps,
    width: tl.constexpr, COLS: tl.constexpr,
):  # fmt: skip
    """``total = x + residual`` and its layer norm; a program takes a token."""
    col = tl.arange(0, COLS)
    inside = col < width
    place = tl.program_id(0) * width + col
    value = tl.load(x + place, mask=inside, other=0.0).to(tl.float32)
    value += tl.load(residual + place, mask=inside, other=0.0).to(tl.float32)
    tl.store(total + place, value.to(total.dtype.element_ty), mask=inside)
    mean = tl.sum(value, 0) / width
    value = tl.where(inside, value - mean, 0.0)
    value = value * tl.rsqrt(tl.sum(value * value, 0) / width + eps)
    value = value * tl.load(weight + col, mask=inside, other=0.0) + tl.load(bias + col, mask=inside, other=0.0)
    tl.store(out + place, value.to(out.dtype.element_ty), mask=inside)


@triton.jit
def geglu(x, out, width: tl.constexpr, COLS: tl.constexpr):
    """``out = x[:, :width] * gelu(x[:, width:])``, the exact GELU."""
    row = tl.program_id(0)
    col = tl.program_id(1) * COLS + tl.arange(0, COLS)
    inside = col < width
    value = tl.load(x + row * 2 * width + col, mask=inside, other=0.0).to(tl.float32)
    gate = tl.load(x + row * 2 * width + width + col, mask=inside, other=0.0).to(tl.float32)
    gate = 0.5 * gate * (1.0 + tl.erf(gate * 0.7071067811865476))
    tl.store(out + row * width + col, (value * gate).to(out.dtype.element_ty), mask=inside)
