"""The rung ``onnx``: ONNX Runtime, which runs on nearly everything: processors, NVIDIA, Windows and Apple's GPUs."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from vjengine.errors import GeneratorError, MissingDependency
from vjengine.generate.turbo.accel.base import Networks, Say
from vjengine.generate.turbo.accel.cache import EngineCache, EngineKey, library_version
from vjengine.generate.turbo.accel.export import MANIFEST, NETWORKS, export_networks
from vjengine.generate.turbo.accel.runtime_networks import RuntimeNetworks
from vjengine.generate.turbo.parts import TurboParts
from vjengine.generate.turbo.plan import FramePlan, RungName

_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_WITHOUT_CUDA = ("CoreMLExecutionProvider", "DmlExecutionProvider", _CPU)
"""Where torch has no CUDA device, the first that the installed build knows."""
_DISTRIBUTIONS = ("onnxruntime-gpu", "onnxruntime-directml", "onnxruntime")
_REMEDY = "pip install 'vjengine[onnx]'"


class OnnxRung:
    """See :class:`~vjengine.generate.turbo.accel.base.Rung`.

    Args:
        provider: execution provider, as ONNX Runtime calls it; empty is the best that is installed.
    """

    name: RungName = "onnx"
    doc = "ONNX Runtime: two to three times PyTorch on processors; also Windows and Apple graphics"
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
        return EngineCache(folder).has(_key(parts_fingerprint, plan))

    def prepare(self, parts: TurboParts, plan: FramePlan, folder: Path, say: Say) -> None:
        """Export the networks into ``folder``.

        Raises:
            GeneratorError: saying what failed.
            MissingDependency: if ONNX Runtime is not installed.
        """
        _runtime()
        cache = EngineCache(folder)
        with cache.staging() as staging:
            exported = export_networks(parts, plan, staging, say)
            files: dict[str, bytes | Path] = {name: staging / name for name in (*exported.files, MANIFEST)}
            cache.put(_key(parts.fingerprint, plan), files, model=parts.name)

    def load(self, parts: TurboParts, plan: FramePlan, folder: Path) -> Networks:
        """Return the networks, warmed up.

        Raises:
            GeneratorError: if they have not been exported, are broken, or do not run here.
            MissingDependency: if ONNX Runtime is not installed.
        """
        runtime = _runtime()
        cache, key = EngineCache(folder), _key(parts.fingerprint, plan)
        found = cache.find(key)
        if found is None:
            raise GeneratorError(
                f"there are no networks of {parts.name} at {plan.size[0]}x{plan.size[1]} for ONNX Runtime: "
                f"{cache.fault(key)}; build them: vjengine engine build {parts.name}"
            )
        return open_networks(runtime, parts, plan, found, self._choose(runtime, plan))

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
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    # They have no common ancestor but Exception itself.
    faults = tuple(kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception))
    try:
        sessions = {name: _OrtSession(runtime, folder / f"{name}.onnx", plan, provider) for name in NETWORKS}
        return RuntimeNetworks("onnx", parts, plan, sessions, plan.device if provider == _CUDA else "cpu")
    except faults as error:
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

        def run() -> None:
            session.run_with_iobinding(binding)

        return run


def _key(fingerprint: str, plan: FramePlan) -> EngineKey:
    # The files are the same for every device: ONNX Runtime makes of them what suits it when it opens them.
    library = next((name for name in _DISTRIBUTIONS if library_version(name)), _DISTRIBUTIONS[-1])
    return EngineKey.of("onnx", fingerprint, plan, library, library_version(library), "any")


def _runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependency("ONNX Runtime", _REMEDY) from error
    return onnxruntime
