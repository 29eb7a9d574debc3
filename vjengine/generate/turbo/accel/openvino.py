"""The rung ``openvino``: Intel's runtime, the fastest on Intel and AMD processors, in bfloat16 where they know it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from vjengine.errors import GeneratorError, MissingDependency
from vjengine.generate.turbo.accel.base import Networks, Say
from vjengine.generate.turbo.accel.export import NETWORKS
from vjengine.generate.turbo.accel.exported import find_exported, has_exported, store_exported
from vjengine.generate.turbo.accel.runtime_networks import RuntimeNetworks
from vjengine.generate.turbo.parts import TurboParts
from vjengine.generate.turbo.plan import FramePlan, RungName

_REMEDY = "pip install 'vjengine[openvino]'"


class OpenVinoRung:
    """See :class:`~vjengine.generate.turbo.accel.base.Rung`.

    Args:
        device: OpenVINO's name: ``"CPU"``; ``"GPU"`` is Intel's graphics, which is only used if asked for.
        precision: that it computes in: ``"f32"``, ``"bf16"``, ``"f16"``; empty is bf16 where the processor has
            instructions for it, else f32 (graphics: f16).
    """

    name: RungName = "openvino"
    doc = "OpenVINO on Intel and AMD processors: the fastest there is without a graphics card"
    needs_build = True

    def __init__(self, device: str = "CPU", precision: str = "") -> None:
        self._device = device
        self._precision = precision

    def missing(self, plan: FramePlan) -> str:
        """Return why OpenVINO cannot run ``plan`` here and what to install; empty if it can."""
        if plan.device != "cpu":
            return f"OpenVINO works on tensors in main memory, and the device is {plan.device!r}; take the device cpu"
        for package in ("openvino", "onnx"):
            if importlib.util.find_spec(package) is None:
                return f"the package {package} is not installed; install it with: {_REMEDY}"
        return ""

    def ready(self, parts_fingerprint: str, plan: FramePlan, folder: Path) -> bool:
        """True if the exported networks lie in ``folder``."""
        return has_exported(parts_fingerprint, plan, folder)

    def prepare(self, parts: TurboParts, plan: FramePlan, folder: Path, say: Say) -> None:
        """Export the networks into ``folder``.

        Raises:
            GeneratorError: saying what failed.
            MissingDependency: if OpenVINO is not installed.
        """
        self._core()
        store_exported(parts, plan, folder, say)

    def load(self, parts: TurboParts, plan: FramePlan, folder: Path) -> Networks:
        """Return the networks, compiled for this processor and warmed up.

        Raises:
            GeneratorError: if they have not been exported, are broken, or do not run here.
            MissingDependency: if OpenVINO is not installed.
        """
        return self.open_networks(parts, plan, find_exported(parts, plan, folder))

    def open_networks(self, parts: TurboParts, plan: FramePlan, folder: Path) -> Networks:
        """Return the exported networks in ``folder``, compiled and warmed up.

        Raises:
            GeneratorError: if they do not run here.
            MissingDependency: if OpenVINO is not installed.
        """
        core = self._core()
        settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": self.precision(core)}
        if self._device.startswith("CPU"):
            # As many as torch, which the generator's option `threads` bounds; and free to move away from cores that
            # the compositor uses.
            settings |= {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "ENABLE_CPU_PINNING": False}
        try:
            sessions = {
                name: _Session(core.compile_model(folder / f"{name}.onnx", self._device, settings)) for name in NETWORKS
            }
            return RuntimeNetworks("openvino", parts, plan, sessions)
        except RuntimeError as error:
            raise GeneratorError(
                f"OpenVINO cannot run {parts.name} on {self._device} ({_reason(error)}); take another rung: "
                "--rung graph"
            ) from error

    def precision(self, core: Any) -> str:
        """Return what it computes in: ``"f32"``, ``"bf16"`` or ``"f16"``."""
        if self._precision:
            return self._precision
        able = core.get_property(self._device, "OPTIMIZATION_CAPABILITIES")
        if self._device.startswith("CPU"):
            return "bf16" if "BF16" in able else "f32"
        return "f16" if "FP16" in able else "f32"

    def _core(self) -> Any:
        try:
            import openvino
        except ImportError as error:
            raise MissingDependency("OpenVINO", _REMEDY) from error
        core = openvino.Core()
        if not any(name.partition(".")[0] == self._device.partition(".")[0] for name in core.available_devices):
            raise GeneratorError(f"OpenVINO sees no {self._device} here; it sees {', '.join(core.available_devices)}")
        return core


class _Session:
    """See :class:`~vjengine.generate.turbo.accel.runtime_networks.Session`."""

    def __init__(self, compiled: Any) -> None:
        self._request = compiled.create_infer_request()
        self._bound: Any = None

    def bind(self, tensors: Mapping[str, torch.Tensor]) -> Callable[[], None]:
        """Return what runs the network once."""
        import openvino

        request = self._request
        shared = {name: openvino.Tensor(tensor.numpy(), shared_memory=True) for name, tensor in tensors.items()}

        def run() -> None:
            if self._bound is not shared:
                for name, tensor in shared.items():
                    request.set_tensor(name, tensor)
                self._bound = shared
            # Not infer(): that makes arrays of the outputs each time.
            request.start_async()
            request.wait()

        return run


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
