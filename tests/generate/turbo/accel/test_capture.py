"""Recording a frame: elsewhere than on CUDA the frame is what it was, and recordings tell their troubles in words."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from vjengine.errors import GeneratorError  # noqa: E402
from vjengine.generate.turbo.accel.capture import can_capture, capture  # noqa: E402
from vjengine.generate.turbo.accel.eager import EagerRung  # noqa: E402
from vjengine.generate.turbo.accel.graph import GraphRung  # noqa: E402
from vjengine.generate.turbo.plan import FramePlan  # noqa: E402

PLAN = FramePlan((64, 64))


@pytest.mark.parametrize("rung", [EagerRung(), GraphRung()], ids=lambda rung: rung.name)
def test_without_cuda_the_frame_stays_as_it_is_and_is_not_run(tiny_parts: Any, rung: Any) -> None:
    networks = rung.load(tiny_parts, PLAN, Path())
    runs: list[int] = []

    def body() -> None:
        runs.append(1)

    assert not can_capture(networks)
    assert capture(body, networks) is body
    assert runs == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU: torch.cuda.is_available() is False")
def test_a_frame_that_asks_the_device_is_refused_in_words(tiny_parts: Any) -> None:
    from vjengine.generate.turbo.random_models import random_parts

    networks = GraphRung().load(random_parts("tiny", device="cuda"), FramePlan((64, 64), device="cuda"), Path())
    value = torch.zeros(1, device="cuda")

    def asks() -> None:
        if value.item() > 1.0:
            value.zero_()

    enabled = gc.isenabled()
    with pytest.raises(GeneratorError, match="cannot be recorded"):
        capture(asks, networks)
    assert gc.isenabled() == enabled
    # The device still works, and the next recording too.
    replay = capture(lambda: value.add_(1.0), networks)
    value.zero_()
    replay()
    assert value.item() == 1.0
