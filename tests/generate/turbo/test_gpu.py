"""What only a CUDA card shows: recorded frames, live changes under replay, memory that runs out, engines that run."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from vjengine.core.generation import GeneratorParams  # noqa: E402
from vjengine.generate.turbo.accel.base import Networks  # noqa: E402
from vjengine.generate.turbo.accel.capture import can_capture  # noqa: E402
from vjengine.generate.turbo.accel.eager import EagerRung  # noqa: E402
from vjengine.generate.turbo.accel.fused import FusedOps, best_ops, difference  # noqa: E402
from vjengine.generate.turbo.accel.graph import GraphNetworks, GraphRung  # noqa: E402
from vjengine.generate.turbo.accel.ops import Ops  # noqa: E402
from vjengine.generate.turbo.accel.tensorrt import TensorRTRung  # noqa: E402
from vjengine.generate.turbo.controls import read_controls  # noqa: E402
from vjengine.generate.turbo.loop import TurboLoop  # noqa: E402
from vjengine.generate.turbo.lora import add_loras  # noqa: E402
from vjengine.generate.turbo.memory import is_out_of_memory, step_down  # noqa: E402
from vjengine.generate.turbo.parts import TurboParts  # noqa: E402
from vjengine.generate.turbo.plan import FramePlan  # noqa: E402
from vjengine.generate.turbo.program import FrameProgram  # noqa: E402
from vjengine.generate.turbo.random_models import random_parts  # noqa: E402
from vjengine.generate.turbo.text import TextEncoder  # noqa: E402

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU: torch.cuda.is_available() is False"),
]
PLAN = FramePlan((256, 128), device="cuda", precision="float16")
NEAR = 0.05
"""Largest difference of a picture 0-1 after a few frames in half precision, of ways that add up differently."""


@pytest.fixture(scope="module")
def parts() -> TurboParts:
    return random_parts("tiny", device="cuda", precision="float16")


class Unrecorded(GraphNetworks):
    """The graph rung as it is where nothing can be recorded."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.capturable = False


def program(networks: Networks, parts: TurboParts, prompt: str = "a lighthouse") -> FrameProgram:
    encoder = TextEncoder(parts, networks.plan)
    networks.set_text(encoder.encode(prompt))
    networks.set_text(encoder.empty, negative=True)
    networks.set_lora([0.5] * networks.plan.loras)
    made = FrameProgram(networks, parts, networks.plan)
    assert made.unrecorded == ""
    return made


def graph(parts: TurboParts, plan: FramePlan = PLAN) -> GraphNetworks:
    networks = GraphRung().load(parts, plan, Path())
    assert isinstance(networks, GraphNetworks)
    return networks


def unrecorded(parts: TurboParts, plan: FramePlan = PLAN) -> Unrecorded:
    return Unrecorded(parts, plan, best_ops(torch.device("cuda"), torch.float16))


def frames(loop: TurboLoop, parts: TurboParts, count: int = 3, start: int = 1, **changes: Any) -> Any:
    for number in range(start, start + count):
        given = read_controls(GeneratorParams(sequence=number, time=number / 60), loras=loop.program.plan.loras)
        loop.step(replace(given, **changes))
    torch.cuda.current_stream().synchronize()
    return loop.program.picture.clone()


def apart(one: Any, other: Any) -> float:
    return float((one.float() - other.float()).abs().max())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_fused_operations_give_what_plain_ones_give(dtype: Any) -> None:
    device = torch.device("cuda")
    if importlib.util.find_spec("triton") is None:
        pytest.skip("Triton is not installed")
    torch.backends.cudnn.allow_tf32 = False
    assert difference(FusedOps(), Ops(), device, dtype) < (1e-3 if dtype == torch.float32 else 0.1)
    assert best_ops(device, dtype).name != Ops.name


@pytest.mark.parametrize("kind", ["tiny", "tiny-lcm", "tiny-sdxl"])
@pytest.mark.parametrize("steps", [1, 3])
def test_a_recorded_frame_is_the_frame(kind: str, steps: int) -> None:
    model = random_parts(kind, device="cuda", precision="float16")
    assert can_capture(graph(model))
    pictures = []
    for networks in (graph(model), unrecorded(model), EagerRung().load(model, PLAN, Path())):
        loop = TurboLoop(program(networks, model), model, 1)
        pictures.append(frames(loop, model, steps=steps))
        loop.program.close()
    assert apart(pictures[0], pictures[1]) < NEAR
    assert apart(pictures[0], pictures[2]) < NEAR
    assert pictures[0].std() > 0.01


def test_live_changes_reach_a_recorded_frame_without_new_memory(
    parts: TurboParts, write_lora: Callable[..., Path], tmp_path: Path
) -> None:
    model = random_parts("tiny", device="cuda", precision="float16")
    model.lora = add_loras(model.unet, [write_lora(tmp_path / "one.safetensors", model.unet)])
    plan = replace(PLAN, loras=1)
    encoder = TextEncoder(model, plan)
    other = encoder.encode("a forest at night")
    seen = []
    for networks in (graph(model, plan), unrecorded(model, plan)):
        loop = TurboLoop(program(networks, model), model, 1)
        steady = frames(loop, model)
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        buffers = {name: tensor.data_ptr() for name, tensor in loop.program.buffers.items()}
        pictures = [steady]
        networks.set_text(other)
        pictures.append(frames(loop, model, start=4))
        pictures.append(frames(loop, model, start=7, strength=0.9))
        pictures.append(frames(loop, model, start=10, seed=5, reseed=1))
        pictures.append(frames(loop, model, start=13, loras=(1.5,)))
        del steady
        torch.cuda.synchronize()
        kept = sum(picture.untyped_storage().nbytes() for picture in pictures[1:])
        assert torch.cuda.memory_allocated() - before <= kept + 4096
        assert {name: tensor.data_ptr() for name, tensor in loop.program.buffers.items()} == buffers
        seen.append(pictures)
        loop.program.close()
    for recorded, played in zip(*seen, strict=True):
        assert apart(recorded, played) < 2 * NEAR
    assert all(apart(one, other) > 0.01 for one, other in zip(seen[0], seen[0][1:], strict=False))


def test_a_second_program_is_recorded_while_the_first_plays_and_takes_over(parts: TurboParts) -> None:
    alone = TurboLoop(program(graph(parts), parts), parts, 1)
    expected = [frames(alone, parts, count=1, start=number) for number in range(1, 60)]
    loop = TurboLoop(program(graph(parts), parts), parts, 1)
    ready: list[FrameProgram] = []
    failed: list[str] = []

    def climb() -> None:
        try:
            ready.append(program(graph(parts, replace(PLAN, size=(256, 192))), parts))
            ready.append(program(graph(parts), parts))
        except (RuntimeError, AssertionError) as error:
            failed.append(str(error))

    thread = threading.Thread(target=climb)
    thread.start()
    for number, picture in enumerate(expected, start=1):
        assert apart(frames(loop, parts, count=1, start=number), picture) < NEAR, f"frame {number} was disturbed"
        if number > 40 and not thread.is_alive():
            break
    thread.join()
    assert failed == []
    last = loop.program.picture.clone()
    for made in ready:
        loop.take(made)
        after = frames(loop, parts, count=1, start=70)
        assert torch.isfinite(after).all()
    assert last.shape == loop.program.picture.shape


def test_memory_that_runs_out_is_known_as_that_and_leaves_a_smaller_way(parts: TurboParts) -> None:
    plan = replace(PLAN, size=(1024, 1024))
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info()
    room = (total - free + 64 * 2**20) / total
    torch.cuda.set_per_process_memory_fraction(min(room, 1.0))
    try:
        with pytest.raises(RuntimeError) as caught:
            [program(graph(parts, plan), parts) for _ in range(64)]
        assert is_out_of_memory(caught.value)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    down = step_down(plan)
    assert down is not None
    smaller, why = down
    assert why
    torch.cuda.empty_cache()
    loop = TurboLoop(program(graph(parts, smaller), parts), parts, 1)
    assert torch.isfinite(frames(loop, parts)).all()


def test_a_tensorrt_engine_runs_and_agrees_with_eager(parts: TurboParts, tmp_path: Path) -> None:
    rung = TensorRTRung()
    if reason := rung.missing(PLAN):
        pytest.skip(reason)
    rung.prepare(parts, PLAN, tmp_path, lambda _doing, _fraction: None)
    assert rung.ready(parts.fingerprint, PLAN, tmp_path)
    pictures = []
    for networks in (rung.load(parts, PLAN, tmp_path), EagerRung().load(parts, PLAN, Path())):
        loop = TurboLoop(program(networks, parts), parts, 1)
        pictures.append(frames(loop, parts))
        loop.program.close()
    assert apart(*pictures) < 2 * NEAR
