"""The rung ``onnx``: ONNX Runtime, which runs on nearly everything: processors, NVIDIA, Windows and Apple's GPUs."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from vjengine.errors import GeneratorError, MissingDependency
from vjengine.generate.turbo.accel.base import Networks, Say
from vjengine.generate.turbo.accel.cache import library_version
from vjengine.generate.turbo.accel.export import NETWORKS
from vjengine.generate.turbo.accel.exported import find_exported, has_exported, store_exported
from vjengine.generate.turbo.accel.runtime_networks import RuntimeNetworks
from vjengine.generate.turbo.parts import TurboParts
from vjengine.generate.turbo.plan import FramePlan, RungName

_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_WITHOUT_CUDA = ("CoreMLExecutionProvider", "DmlExecutionProvider", _CPU)
"""Where torch has no CUDA device, the first that the installed build knows."""
_REMEDY = "pip install 'vjengine[onnx]'"


class OnnxRung:
    """See :class:`~vjengine.generate.turbo.accel.base.Rung`.

    Args:
        provider: execution provider, as ONNX Runtime calls it; empty is the best that is installed.
    """

    name: RungName = "onnx"
    doc = "ONNX Runtime: about twice as fast as PyTorch on processors; also Windows and Apple graphics"
    needs_build = True

    def __init__(self, provider: str = "") -> None:
        self._provider = provider

    def missing(self, plan: FramePlan) -> str:
        """Return why ONNX Runtime cannot run ``plan`` here and what to install; empty if it can."""
        for package in ("onnxruntime", "onnx"):
            if importlib.util.find_spec(package) is None:
                return f"the package {package} is not installed; install it with: {_REMEDY}"
        if plan.device.startswith("cuda"):
            if not torch.cuda.is_available():
                return f"torch sees no {plan.device!r} here; check `nvidia-smi`, or take the device cpu"
            if not library_version("onnxruntime-gpu"):
                return "this ONNX Runtime knows no CUDA; install it with: pip install onnxruntime-gpu"
        elif plan.precision == "float16":
            return "ONNX Runtime has no fast float16 away from CUDA; take float32"
        return ""

    def ready(self, parts_fingerprint: str, plan: FramePlan, folder: Path) -> bool:
        """True if the exported networks lie in ``folder``."""
        return has_exported(parts_fingerprint, plan, folder)

    def prepare(self, parts: TurboParts, plan: FramePlan, folder: Path, say: Say) -> None:
        """Export the networks into ``folder``.

        Raises:
            GeneratorError: saying what failed.
            MissingDependency: if ONNX Runtime is not installed.
        """
        _runtime()
        store_exported(parts, plan, folder, say)

    def load(self, parts: TurboParts, plan: FramePlan, folder: Path) -> Networks:
        """Return the networks, warmed up.

        Raises:
            GeneratorError: if they have not been exported, are broken, or do not run here.
            MissingDependency: if ONNX Runtime is not installed.
        """
        runtime = _runtime()
        provider = self._choose(runtime, plan)
        return open_networks(runtime, parts, plan, find_exported(parts, plan, folder), provider)

    def _choose(self, runtime: Any, plan: FramePlan) -> str:
        known = runtime.get_available_providers()
        if self._provider:
            if self._provider not in known:
                raise GeneratorError(f"this ONNX Runtime has no {self._provider}; it has {', '.join(known)}")
            return self._provider
        wanted = (_CUDA,) if plan.device.startswith("cuda") else _WITHOUT_CUDA
        chosen = next((provider for provider in wanted if provider in known), "")
        if not chosen:
            raise GeneratorError("this ONNX Runtime knows no CUDA; install it with: pip install onnxruntime-gpu")
        return chosen


def open_networks(runtime: Any, parts: TurboParts, plan: FramePlan, folder: Path, provider: str = _CPU) -> Networks:
    """Return the exported networks in ``folder``, warmed up.

    Raises:
        GeneratorError: if they do not run here.
    """
    try:
        sessions = {name: _OrtSession(runtime, folder / f"{name}.onnx", plan, provider) for name in NETWORKS}
        return RuntimeNetworks("onnx", parts, plan, sessions, plan.device if provider == _CUDA else "cpu")
    except _faults() as error:
        reason = str(error).strip().partition("\n")[0]
        raise GeneratorError(
            f"ONNX Runtime cannot run {parts.name} on {provider} ({reason}); take another rung: --rung graph"
        ) from error


class _OrtSession:
    """See :class:`~vjengine.generate.turbo.accel.runtime_networks.Session`."""

    def __init__(self, runtime: Any, file: Path, plan: FramePlan, provider: str) -> None:
        self._device = torch.device(plan.device if provider == _CUDA else "cpu")
        options = runtime.SessionOptions()
        options.log_severity_level = 3  # errors; what it says of providers and folding is not for performers
        # As many as torch, which the generator's option `threads` bounds. Between two networks they must sleep: the
        # three sessions have threads of their own, and the compositor wants the processor too.
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.force_spinning_stop", "1")
        providers: list[Any] = [provider, _CPU] if provider != _CPU else [_CPU]
        if provider == _CUDA:
            stream = torch.cuda.current_stream(self._device).cuda_stream
            settings = {"device_id": str(self._device.index or 0), "user_compute_stream": str(stream)}
            providers[0] = (_CUDA, {**settings, "cudnn_conv_algo_search": "EXHAUSTIVE"})
        elif provider == "CoreMLExecutionProvider":
            providers[0] = (provider, {"ModelFormat": "MLProgram", "RequireStaticInputShapes": "1"})
        elif provider == "DmlExecutionProvider":
            options.enable_mem_pattern = False  # which it cannot
        self._session = runtime.InferenceSession(file, options, providers=providers)
        self._inputs = {port.name for port in self._session.get_inputs()}

    def bind(self, tensors: Mapping[str, torch.Tensor]) -> Callable[[], None]:
        """Return what runs the network once."""
        session, binding = self._session, self._session.io_binding()
        for name, tensor in tensors.items():
            put = binding.bind_input if name in self._inputs else binding.bind_output
            dtype = torch.empty((), dtype=tensor.dtype).numpy().dtype.type
            place = self._device.type, self._device.index or 0
            put(name, *place, dtype, tuple(tensor.shape), tensor.data_ptr())

        faults = _faults()

        def run() -> None:
            try:
                session.run_with_iobinding(binding)
            except faults as error:
                raise GeneratorError(f"ONNX Runtime failed ({error}); take another rung: --rung graph") from error

        return run


def _faults() -> tuple[type[Exception], ...]:
    """Return what ONNX Runtime raises: kinds that have no ancestor in common but Exception itself."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return tuple(kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception))


def _runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependency("ONNX Runtime", _REMEDY) from error
    return onnxruntime
