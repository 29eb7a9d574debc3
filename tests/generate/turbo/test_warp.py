"""The last picture moves as far as it is told, at any frame rate, and stays sharp."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from vjengine.core.generation import GeneratorParams  # noqa: E402
from vjengine.generate.turbo.controls import Controls, read_controls  # noqa: E402
from vjengine.generate.turbo.warp import Affine, Warp, after, identity, motion  # noqa: E402

HEIGHT, WIDTH = 64, 96
ASPECT = WIDTH / HEIGHT
WARP = Warp(HEIGHT, WIDTH, torch.device("cpu"))
STILL = replace(read_controls(GeneratorParams()), zoom=0.0, spin=0.0, x=0.0, y=0.0)


def moving(**rates: float) -> Controls:
    return replace(STILL, **rates)  # type: ignore[arg-type]


def affine(matrix: Affine) -> torch.Tensor:
    return torch.from_numpy(matrix.reshape(6).astype(np.float32))


def dots(*places: tuple[int, int]) -> torch.Tensor:
    """Soft dots of 5 px at (row, column)."""
    rows, columns = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    picture = torch.zeros(HEIGHT, WIDTH)
    for row, column in places:
        picture += torch.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 6.0)
    return picture.expand(1, 3, -1, -1).contiguous()


def centre(picture: torch.Tensor) -> tuple[float, float]:
    """(row, column) of the centre of light."""
    light = picture[0, 0].double()
    total = light.sum()
    return (
        float((light.sum(1) * torch.arange(HEIGHT)).sum() / total),
        float((light.sum(0) * torch.arange(WIDTH)).sum() / total),
    )


@pytest.mark.parametrize(
    ("rates", "dt", "expected"),
    [
        ({"x": 0.125}, 1.0, (20, 42)),  # 1/8 of 96 px to the right
        ({"x": -0.25}, 0.5, (20, 18)),
        ({"y": 0.125}, 1.0, (12, 30)),  # upwards: to smaller rows
        ({"y": -0.25}, 1.0, (36, 30)),
        # Twice as far from the middle (31.5, 47.5).
        ({"zoom": np.log(2.0)}, 1.0, (31.5 + 2 * -11.5, 47.5 + 2 * -17.5)),
        # Clockwise by a quarter: what was up left is now up right; px stay square.
        ({"spin": 0.25}, 1.0, (31.5 - 17.5, 47.5 + 11.5)),
    ],
)
def test_moves_by_the_right_number_of_pixels(rates: dict[str, float], dt: float, expected: tuple[float, float]) -> None:
    moved = WARP.sharp(dots((20, 30)), affine(motion(moving(**rates), dt, ASPECT)))
    assert centre(moved) == pytest.approx(expected, abs=0.25)


def test_same_motion_at_any_frame_rate() -> None:
    rates = moving(zoom=0.3, spin=-0.1, x=0.2, y=0.15)
    whole = motion(rates, 1.0, ASPECT)
    for frames in (2, 7, 60):
        parts = identity()
        for _ in range(frames):
            parts = after(parts, motion(rates, 1.0 / frames, ASPECT))
        np.testing.assert_allclose(parts, whole, atol=1e-12)


def test_standing_still_changes_nothing() -> None:
    picture = torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(3))
    assert np.array_equal(motion(STILL, 0.5, ASPECT), identity())
    moved = picture
    for _ in range(20):
        moved = WARP.sharp(moved, affine(identity()))
    torch.testing.assert_close(moved, picture, atol=1e-3, rtol=0)


def test_edges_are_mirrored() -> None:
    moved = WARP.sharp(dots((32, 4)), affine(motion(moving(x=0.125), 1.0, ASPECT)))
    light = moved[0, 0, 32]
    assert float(light[16]) == pytest.approx(1.0, abs=0.02)  # itself, 12 px further
    assert float(light[7]) == pytest.approx(1.0, abs=0.02)  # and its mirror image about the edge


def texture() -> torch.Tensor:
    """Noise with the spectrum of natural pictures (amplitude ~ 1/f)."""
    white = torch.randn(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(5))
    frequency = torch.hypot(torch.fft.fftfreq(HEIGHT)[:, None], torch.fft.rfftfreq(WIDTH)[None])
    natural = torch.fft.irfft2(torch.fft.rfft2(white) / (frequency + 1.0 / WIDTH), s=(HEIGHT, WIDTH))
    return (0.5 + 0.15 * natural / natural.std())[None].clamp(0, 1)


def detail(picture: torch.Tensor) -> float:
    inner = picture[..., 1:-1, 1:-1]
    around = picture[..., 2:, 1:-1] + picture[..., :-2, 1:-1] + picture[..., 1:-1, 2:] + picture[..., 1:-1, :-2]
    return float((around - 4.0 * inner).var())


@pytest.mark.parametrize(
    "rates", [{"spin": 0.01}, {"zoom": 0.1}, {"x": 0.03, "y": 0.01}], ids=["turning", "zooming", "drifting"]
)
def test_a_hundred_slow_frames_keep_detail_and_contrast(rates: dict[str, float]) -> None:
    start = sharp = plain = texture()
    step = affine(motion(moving(**rates), 1 / 30, ASPECT))
    for _ in range(100):
        sharp = WARP.sharp(sharp, step).clamp(0, 1)
        plain = WARP.plain(plain, WARP.grid(step))
    assert detail(plain) < 0.07 * detail(start), "plain interpolation is a blur by now"
    assert 0.15 * detail(start) < detail(sharp) < 1.1 * detail(start)
    assert detail(sharp) > 8 * detail(plain)
    assert 0.8 < float(sharp.std() / start.std()) < 1.1, "contrast neither fades nor builds up"
