"""The loop over time: carried state, live controls that allocate nothing, a picture that stays alive."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from vjengine.core.generation import GeneratorParams  # noqa: E402
from vjengine.core.params import PARAMS  # noqa: E402
from vjengine.generate.turbo.accel.base import TextState  # noqa: E402
from vjengine.generate.turbo.accel.eager import EagerNetworks  # noqa: E402
from vjengine.generate.turbo.controls import Controls, read_controls  # noqa: E402
from vjengine.generate.turbo.loop import TurboLoop  # noqa: E402
from vjengine.generate.turbo.parts import TurboParts  # noqa: E402
from vjengine.generate.turbo.plan import FramePlan  # noqa: E402
from vjengine.generate.turbo.program import FrameProgram  # noqa: E402
from vjengine.generate.turbo.random_models import random_parts  # noqa: E402

Image = np.ndarray[Any, np.dtype[np.uint8]]
PLAN = FramePlan((64, 64))


@pytest.fixture(scope="module")
def lcm() -> TurboParts:
    """The kind with all the controls: it takes guidance."""
    torch.set_num_threads(1)
    return random_parts("tiny-lcm")


def program(parts: TurboParts, size: tuple[int, int] = PLAN.size) -> FrameProgram:
    plan = replace(PLAN, size=size)
    networks = EagerNetworks(parts, plan)
    for negative in (False, True):
        drawn = torch.Generator().manual_seed(1 + negative)
        networks.set_text(TextState(torch.randn(1, 77, 32, generator=drawn)), negative=negative)
    return FrameProgram(networks, parts, plan)


def controls(n: int = 0, fps: float = 30.0, **rows: float) -> Controls:
    values = PARAMS.defaults().replaced({key.replace("__", "."): value for key, value in rows.items()})
    return read_controls(GeneratorParams(time=n / fps, values=values), wants_guidance=True)


def frame(loop: TurboLoop, given: Controls) -> Image:
    loop.step(given)
    shown: Image = loop.program.output.numpy().copy()
    return shown


def film(parts: TurboParts, frames: int, seed: int = 1, **rows: float) -> list[Image]:
    loop = TurboLoop(program(parts), parts, seed)
    return [frame(loop, controls(n, **rows)) for n in range(frames)]


def test_same_seed_same_bytes_and_another_seed_another_film(tiny_parts: TurboParts) -> None:
    first = film(tiny_parts, 4)
    assert [image.tobytes() for image in first] == [image.tobytes() for image in film(tiny_parts, 4)]
    for other in (film(tiny_parts, 4, seed=2), film(tiny_parts, 4, gen__seed=2)):
        assert np.abs(other[-1].astype(int) - first[-1]).mean() > 2


_MOVES: list[dict[str, float]] = [
    {"turbo__strength": 0.9}, {"turbo__steps": 3}, {"turbo__guidance": 3.0}, {"turbo__feedback": 0.4},
    {"turbo__init": 0.8}, {"turbo__x": 0.8}, {"turbo__y": -0.8}, {"turbo__noise": 1}, {"turbo__noise": 2},
    {"turbo__seed_travel": 20.0}, {"gen__seed": 5}, {"gen__speed": 6.0}, {"gen__rotate": 0.5}, {"gen__drift": -1.0},
    {"gen__pulse": 1.0},
]  # fmt: skip


def test_every_control_moves_the_picture_and_none_allocates(lcm: TurboParts) -> None:
    loop = TurboLoop(program(lcm), lcm, 1)
    loop.program.write_init(np.full((64, 64, 3), 90, np.uint8))
    for n in range(3):
        loop.step(controls(n))
    addresses = {name: tensor.data_ptr() for name, tensor in loop.program.buffers.items()}
    state = loop.carry()
    reference = frame(loop, controls(3))
    for rows in _MOVES:
        again = TurboLoop(loop.program, lcm, 1, state)
        moved = frame(again, controls(3, **rows))
        assert np.abs(moved.astype(int) - reference).mean() > 0.05, rows
    again = TurboLoop(loop.program, lcm, 1, state)
    assert np.array_equal(frame(again, controls(3)), reference), "the state holds everything"
    reseeded = TurboLoop(loop.program, lcm, 1, state)
    assert np.abs(frame(reseeded, replace(controls(3), reseed=1)).astype(int) - reference).mean() > 0.5
    assert addresses == {name: tensor.data_ptr() for name, tensor in loop.program.buffers.items()}


def test_a_fader_that_creeps_does_not_make_the_picture_jump(tiny_parts: TurboParts) -> None:
    still = {"gen__drift": 0.0, "turbo__seed_travel": 0.0}
    loop = TurboLoop(program(tiny_parts), tiny_parts, 1)
    for n in range(6):
        loop.step(controls(n, turbo__strength=0.3, **still))
    state = loop.carry()
    shown = []
    for strength in (0.3, 0.301, 0.5):
        again = TurboLoop(loop.program, tiny_parts, 1, state)
        shown.append(frame(again, controls(6, turbo__strength=strength, **still)).astype(int))
    creep, push = (np.abs(image - shown[0]).mean() for image in shown[1:])
    assert creep < 3.0
    assert push > 5 * creep


def test_two_hundred_frames_stay_alive(tiny_parts: TurboParts) -> None:
    shown = film(tiny_parts, 200, gen__rotate=0.05)
    for image in shown[10::20]:
        assert image[..., :3].std() > 15, "constant"
        assert ((image[..., :3] == 0) | (image[..., :3] == 255)).mean() < 0.9, "saturated"
    steps = [np.abs(b.astype(int) - a).mean() for a, b in itertools.pairwise(shown[10:])]
    assert min(steps[i] for i in range(0, 180, 20)) > 0.1, "stands still"
    assert max(steps) < 30, "jumps"


def test_a_longer_gap_is_more_motion_and_a_clock_set_back_is_none(tiny_parts: TurboParts) -> None:
    moved = {}
    for name, second in (("frame", 1 / 30), ("gap", 0.5), ("long", 1.0), ("longer", 60.0), ("back", -5.0)):
        loop = TurboLoop(program(tiny_parts), tiny_parts, 1)
        loop.step(controls(0))
        loop.step(replace(controls(0, turbo__x=0.05), time=second))
        moved[name] = loop.program.buffers["moved"].clone()
        start = moved.setdefault("start", moved["frame"])
    change = {name: float((picture - start).abs().mean()) for name, picture in moved.items()}
    assert change["frame"] < change["gap"] < change["long"]
    assert torch.equal(moved["long"], moved["longer"]), "a stall is not made up for"
    assert change["back"] < change["gap"]


def test_a_change_of_program_keeps_the_picture_and_the_journey(tiny_parts: TurboParts) -> None:
    loop = TurboLoop(program(tiny_parts), tiny_parts, 1)
    for n in range(5):
        loop.step(controls(n))
    state = loop.carry()
    expected = frame(TurboLoop(program(tiny_parts), tiny_parts, 1, state), controls(5))
    loop.take(program(tiny_parts))
    assert np.array_equal(frame(loop, controls(5)), expected), "same size: the very same film"


def test_a_change_of_size_keeps_the_picture(tiny_parts: TurboParts) -> None:
    loop = TurboLoop(program(tiny_parts, (128, 128)), tiny_parts, 1)
    for n in range(5):
        loop.step(controls(n))
    before = loop.program.picture.clone()
    loop.take(program(tiny_parts))
    assert loop.program.picture.shape == (1, 3, 64, 64)
    smaller = torch.nn.functional.interpolate(before, size=(64, 64), mode="area")
    assert float((loop.program.picture - smaller).abs().mean()) < 0.05
    assert loop.carry().time == pytest.approx(4 / 30)
    assert frame(loop, controls(5))[..., :3].std() > 15
    loop.take(program(tiny_parts, (128, 128)))
    assert loop.program.picture.shape == (1, 3, 128, 128)


def test_resume_goes_on_from_a_given_picture(tiny_parts: TurboParts) -> None:
    card = torch.zeros(1, 3, 64, 64)
    card[..., 32:] = 0.8
    loop = TurboLoop(program(tiny_parts), tiny_parts, 1)
    loop.resume(card)
    resumed = frame(loop, controls(0, turbo__strength=0.05))
    with torch.inference_mode():
        through = loop.program.networks.decode(loop.program.networks.encode(card)).clamp(0, 1)
    kept = np.corrcoef(resumed[..., :3].transpose(2, 0, 1).ravel(), through.numpy().ravel())[0, 1]
    assert kept > 0.8
    fresh = frame(TurboLoop(program(tiny_parts), tiny_parts, 1), controls(0, turbo__strength=0.05))
    assert np.abs(fresh.astype(int) - resumed).mean() > 10


def test_the_first_picture_is_dreamt_whole(tiny_parts: TurboParts) -> None:
    low, full = (
        frame(TurboLoop(program(tiny_parts), tiny_parts, 1), controls(0, turbo__strength=strength))
        for strength in (0.05, 1.0)
    )
    assert np.array_equal(low, full)
