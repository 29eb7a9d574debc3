from pathlib import Path

import numpy as np
import pytest

from vjengine.errors import ConfigError, UsageError
from vjengine.offline.finish.grade import Grade, Grader, parse_grade, read_cube


def _ramp() -> np.ndarray:
    colours = np.random.default_rng(3).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    colours[0] = np.linspace(0, 255, 40).astype(np.uint8)[:, None]
    return colours


def test_nothing_asked_changes_hardly_a_bit() -> None:
    colours = _ramp()
    assert np.abs(Grader(Grade()).apply(colours).astype(int) - colours).max() <= 1


def test_each_knob_does_what_it_says() -> None:
    colours = _ramp()
    assert Grader(parse_grade("exposure=1")).apply(colours).mean() > colours.mean() + 15
    grey = Grader(parse_grade("saturation=0")).apply(colours).astype(int)
    assert np.ptp(grey, axis=-1).max() <= 2
    flat = Grader(parse_grade("contrast=0.5")).apply(colours)
    assert flat.std() < 0.6 * colours.std()


def test_a_lut_is_looked_up(tmp_path: Path) -> None:
    path = tmp_path / "swap.cube"
    rows = [f"{b} {g} {r}" for b in (0, 1) for g in (0, 1) for r in (0, 1)]  # red and blue change places
    path.write_text('# a remark\nTITLE "swap"\nLUT_3D_SIZE 2\n' + "\n".join(rows) + "\n", encoding="utf-8")
    colours = _ramp()
    swapped = Grader(parse_grade(f"lut={path}")).apply(colours)
    assert np.abs(swapped.astype(int) - colours[..., ::-1]).max() <= 2


def test_curves_are_looked_up(tmp_path: Path) -> None:
    path = tmp_path / "negative.cube"
    path.write_text("LUT_1D_SIZE 2\n1 1 1\n0 0 0\n", encoding="utf-8")
    colours = _ramp()
    negative = Grader(Grade(lut=path)).apply(colours)
    assert np.abs(negative.astype(int) - (255 - colours.astype(int))).max() <= 2


@pytest.mark.parametrize(
    "text",
    ["", "LUT_3D_SIZE 2\n0 0 0\n", "LUT_3D_SIZE x\n", "LUT_3D_SIZE 999\n", "LUT_1D_SIZE 2\n0 0\n0 0 0\n", "\x00\x01"],
)
def test_what_is_no_lut_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.cube"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"broken\.cube"):
        read_cube(path)


@pytest.mark.parametrize("text", ["exposure=a", "brightness=1", "contrast=9", "saturation"])
def test_a_slip_on_the_command_line_is_named(text: str) -> None:
    with pytest.raises(UsageError, match="grade"):
        parse_grade(text)
