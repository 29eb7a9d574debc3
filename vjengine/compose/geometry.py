"""Where a pixel of the screen reads from: plane maps as 3×3 matrices, column by column as OpenGL takes them.

Screen and texture coordinates are uv, 0–1 with the origin at the lower left; turns are counter-clockwise.
"""

from __future__ import annotations

import math

from vjengine.core.modulation import waveform

Matrix = tuple[float, float, float, float, float, float, float, float, float]
IDENTITY: Matrix = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def camera(
    screen_aspect: float,
    frame_aspect: float,
    *,
    zoom: float = 1.0,
    turns: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Matrix:
    """Return the map from screen uv to the uv of an uploaded frame, whose rows stand upside down.

    The frame covers the screen: what does not fit is cut off, evenly on both sides.

    Args:
        screen_aspect: width / height of the screen.
        frame_aspect: width / height of the frame.
        zoom: magnification.
        turns: by how much the picture is turned.
        shift: by how much the picture is moved, in screen heights, right and up.
    """
    height = max(1.0, screen_aspect / frame_aspect) * zoom
    cos, sin = math.cos(math.tau * turns), math.sin(math.tau * turns)
    wide, tall = 1.0 / (height * frame_aspect), 1.0 / height
    # p = ((u - 1/2) aspect, v - 1/2) - shift; turned back by the angle; then divided by the frame's shown size.
    ux, uy = cos * screen_aspect * wide, sin * screen_aspect * tall
    vx, vy = sin * wide, -cos * tall
    x = 0.5 - 0.5 * (ux + vx) - (cos * shift[0] + sin * shift[1]) * wide
    y = 0.5 - 0.5 * (uy + vy) - (sin * shift[0] - cos * shift[1]) * tall
    return ux, uy, 0.0, vx, vy, 0.0, x, y, 1.0


def trail_motion(aspect: float, zoom: float, turns: float, shift: tuple[float, float]) -> Matrix:
    """Return the map from a screen uv to where the trail there was before it moved.

    Args:
        aspect: width / height of the screen.
        zoom: magnification of this step.
        turns: rotation of this step.
        shift: movement of this step right and up, in screen widths and heights.
    """
    cos, sin = math.cos(math.tau * turns) / zoom, math.sin(math.tau * turns) / zoom
    ux, uy = cos, -sin * aspect
    vx, vy = sin / aspect, cos
    x = 0.5 - ux * (0.5 + shift[0]) - vx * (0.5 + shift[1])
    y = 0.5 - uy * (0.5 + shift[0]) - vy * (0.5 + shift[1])
    return ux, uy, 0.0, vx, vy, 0.0, x, y, 1.0


def shake(amount: float, time: float) -> tuple[tuple[float, float], float]:
    """Return (shift in screen heights, turns) of a hand-held camera at ``time`` (s); the same for the same time."""
    if amount <= 0.0:
        return (0.0, 0.0), 0.0
    shift = tuple(
        0.035 * amount * (waveform("wander", time * 9.0, salt) + 0.5 * waveform("wander", time * 21.0, salt + 0.5))
        for salt in (1.0, 2.0)
    )
    return (shift[0], shift[1]), 0.006 * amount * waveform("wander", time * 7.0, 3.0)
