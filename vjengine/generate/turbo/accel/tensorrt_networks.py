"""Three TensorRT engines at work: buffers whose addresses never move, one scratch memory, torch's current stream."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from vjengine.errors import GeneratorError
from vjengine.generate.turbo.accel.base import TextState
from vjengine.generate.turbo.accel.cache import keep_aside
from vjengine.generate.turbo.accel.tensorrt_library import Library, logger
from vjengine.generate.turbo.parts import TurboParts
from vjengine.generate.turbo.plan import FramePlan, RungName

KERNELS = "kernels.cache"
"""File in an engine's folder: what ``tensorrt-rtx`` finished on the card, so that the next start is quick."""


def deserialise(library: Library, file: Path) -> tuple[Any, Any]:
    """Return (runtime, engine) of the engine ``file``.

    Raises:
        GeneratorError: if the engine does not run here: no card, another card, another version.
    """
    told = logger(library)
    told.last = ""
    runtime = library.module.Runtime(told)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise GeneratorError(f"the engine {file} cannot be read ({error.strerror or error})") from error
    engine = runtime.deserialize_cuda_engine(data) if runtime is not None else None
    if engine is None:
        raise GeneratorError(
            f"{library.distribution} {library.version} cannot use {file.name} here: {told.last or 'no reason given'}. "
            "Update the NVIDIA driver, or build the engine anew: vjengine engine build MODEL"
        )
    return runtime, engine


class _Engine:
    """One engine with its context and its buffers.

    Attributes:
        tensors: inputs and outputs by name, on the card; the engine reads and writes exactly these.
        output: the one that it writes.
    """

    def __init__(self, library: Library, file: Path, device: str) -> None:
        self._trt = library.module
        self._log = logger(library)
        self._name = file.stem
        self._device = torch.device(device)
        self._runtime, self.engine = deserialise(library, file)
        self._context: Any = None
        self.tensors: dict[str, torch.Tensor] = {}
        types = _types(self._trt)
        for index in range(self.engine.num_io_tensors):
            name = self.engine.get_tensor_name(index)
            kind = self.engine.get_tensor_dtype(name)
            if kind not in types:
                raise GeneratorError(f"the engine {self._name} wants {kind} for {name}, which torch cannot give it")
            shape = tuple(self.engine.get_tensor_shape(name))
            self.tensors[name] = torch.zeros(shape, dtype=types[kind], device=self._device)
        outputs = [name for name in self.tensors if not self._is_input(name)]
        if len(outputs) != 1:
            raise GeneratorError(f"the engine {self._name} has {len(outputs)} outputs, not one; build it anew")
        self.output = self.tensors[outputs[0]]

    @property
    def scratch_bytes(self) -> int:
        """Bytes of scratch memory that it needs while it runs."""
        size = getattr(self.engine, "device_memory_size_v2", None)
        return int(self.engine.device_memory_size if size is None else size)

    def start(self, scratch: torch.Tensor | None, kernels: Any) -> None:
        """Make the context and bind the buffers.

        Args:
            scratch: memory to work in; None lets the library allocate its own.
            kernels: the ``IRuntimeCache`` of ``tensorrt-rtx``, or None.
        """
        self._context = self._make_context(scratch, kernels)
        if self._context is None:
            raise GeneratorError(
                f"TensorRT cannot start {self._name}: {self._log.last or 'no reason given'}; if the card's memory is "
                "full, take a smaller size"
            )
        for name, tensor in self.tensors.items():
            if self._is_input(name):
                self._context.set_input_shape(name, tuple(tensor.shape))
            self.bind(name, tensor)

    def _make_context(self, scratch: torch.Tensor | None, kernels: Any) -> Any:
        strategies = self._trt.ExecutionContextAllocationStrategy
        strategy = strategies.STATIC if scratch is None else strategies.USER_MANAGED
        if kernels is None:
            context = self.engine.create_execution_context(strategy)
        else:
            config = self.engine.create_runtime_config()
            config.set_execution_context_allocation_strategy(strategy)
            config.set_runtime_cache(kernels)
            context = self.engine.create_execution_context(config)
        if context is not None and scratch is not None:
            context.set_device_memory(scratch.data_ptr(), scratch.numel())
        return context

    def bind(self, name: str, tensor: torch.Tensor) -> None:
        """Let the engine find ``name`` in ``tensor`` from now on: an address changes, no data moves."""
        if not self._context.set_tensor_address(name, tensor.data_ptr()):
            raise GeneratorError(f"TensorRT does not take the buffer {name} of {self._name}: {self._log.last}")

    def run(self) -> torch.Tensor:
        """Queue the engine on torch's current stream and return its output.

        Raises:
            GeneratorError: if the library refuses.
        """
        if not self._context.execute_async_v3(torch.cuda.current_stream(self._device).cuda_stream):
            raise GeneratorError(f"TensorRT could not run {self._name}: {self._log.last or 'no reason given'}")
        return self.output

    def capturable(self, stream: Any) -> bool:
        """True if :meth:`run` may be recorded into a CUDA graph."""
        ask = getattr(self._context, "is_stream_capturable", None)
        return ask is None or bool(ask(stream.cuda_stream))

    def close(self) -> None:
        """Let go of the context before the engine, and of the engine before its runtime."""
        self._context = None
        self.engine = None
        self._runtime = None
        self.tensors.clear()

    def _is_input(self, name: str) -> bool:
        return bool(self.engine.get_tensor_mode(name) == self._trt.TensorIOMode.INPUT)


class TensorRTNetworks:
    """See :class:`~vjengine.generate.turbo.accel.base.Networks`.

    The engines run one after another on one stream, so they share their scratch memory.

    Args:
        library: the one that built the engines.
        folder: with ``encoder.engine``, ``unet.engine`` and ``decoder.engine``.
        parts: the model.
        plan: what the engines were built for.

    Raises:
        GeneratorError: if an engine does not run here or takes other inputs than this model has.
    """

    rung: RungName = "tensorrt"

    def __init__(self, library: Library, folder: Path, parts: TurboParts, plan: FramePlan) -> None:
        self.plan = plan
        self.capturable = False
        self._device = torch.device(plan.device)
        self._engines: list[_Engine] = []
        self._texts: dict[bool, dict[str, torch.Tensor]] = {}
        self._selected: bool | None = None
        self._scratch: torch.Tensor | None = None
        # Plain tensors, whatever mode the caller is in: they are written to in and out of inference mode.
        with contextlib.ExitStack() as undo, self._on_device(), torch.inference_mode(False), torch.no_grad():
            undo.callback(self.close)
            for name in ("encoder", "unet", "decoder"):
                self._engines.append(_Engine(library, folder / f"{name}.engine", plan.device))
            self._encoder, self._unet, self._decoder = self._engines
            self._check(parts)
            self.dtype: torch.dtype = self._decoder.output.dtype
            texts = [name for name in ("text", "pooled", "size_ids") if name in self._unet.tensors]
            for negative in (False, True):
                self._texts[negative] = {name: torch.zeros_like(self._unet.tensors[name]) for name in texts}
            kernels = _read_kernels(library, self._encoder.engine, folder / KERNELS)
            self._scratch = _scratch(library, self._engines, self._device)
            for engine in self._engines:
                engine.start(self._scratch, kernels)
            self._select(negative=False)
            self._warm_up()
            undo.pop_all()
        if kernels is not None:
            _keep_kernels(kernels, folder / KERNELS)

    def encode(self, picture: torch.Tensor) -> torch.Tensor:
        """Return the scaled latents of ``picture``, in the engine's own buffer."""
        with self._on_device():
            self._encoder.tensors["picture"].copy_(picture)
            return self._encoder.run()

    def predict(self, latents: torch.Tensor, timestep: torch.Tensor, *, negative: bool = False) -> torch.Tensor:
        """Return the UNet's output, in the engine's own buffer."""
        with self._on_device():
            if negative is not self._selected:
                self._select(negative=negative)
            self._unet.tensors["latents"].copy_(latents)
            self._unet.tensors["timestep"].copy_(timestep)
            return self._unet.run()

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the picture of ``latents``, in the engine's own buffer."""
        with self._on_device():
            self._decoder.tensors["latents"].copy_(latents)
            return self._decoder.run()

    def set_text(self, text: TextState, *, negative: bool = False) -> None:
        """Copy ``text`` into place."""
        place = self._texts[negative]
        place["text"].copy_(text.embeds)
        if "pooled" in place and text.pooled is not None and text.size_ids is not None:
            place["pooled"].copy_(text.pooled)
            place["size_ids"].copy_(text.size_ids)

    def set_lora(self, weights: Sequence[float]) -> None:
        """Write the LoRA weights, each as a constant of a fill: nothing is copied from the host, nobody waits."""
        place = self._unet.tensors.get("lora")
        if place is not None:
            for index, weight in enumerate(weights[: place.numel()]):
                place[index].fill_(float(weight))

    def close(self) -> None:
        """Give back engines and buffers."""
        for engine in self._engines:
            engine.close()
        self._engines = []
        self._texts.clear()
        self._scratch = None

    def _on_device(self) -> contextlib.AbstractContextManager[Any]:
        """CUDA's current device is each thread's own: networks are loaded in one thread and run in another."""
        return torch.cuda.device(self._device)

    def _check(self, parts: TurboParts) -> None:
        """Compare what the engines take with what model and plan have, before anything runs."""
        needed = {"latents", "timestep", "text"}
        needed |= {"pooled", "size_ids"} if parts.kind == "sdxl" else set()
        needed |= {"lora"} if self.plan.loras else set()
        absent = sorted(needed - set(self._unet.tensors))
        shapes = {
            "picture": (tuple(self._decoder.output.shape), self.plan.picture_shape),
            "latents": (tuple(self._encoder.output.shape), self.plan.latent_shape),
        }
        wrong = [f"{what} {there}, not {wanted}" for what, (there, wanted) in shapes.items() if there != wanted]
        if absent or wrong:
            raise GeneratorError(
                f"the engines of {parts.name} are not of this model ({', '.join(wrong + absent)}); build them anew: "
                f"vjengine engine build {parts.name}"
            )

    def _warm_up(self) -> None:
        """Run everything twice, on a stream of its own so that a rung that is playing does not wait.

        ``tensorrt-rtx`` finishes its kernels on the card at the first run, and only then may a graph record them.
        """
        stream: Any = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(stream):
            for _ in range(2):
                for engine in self._engines:
                    engine.run()
        stream.synchronize()
        self.capturable = all(engine.capturable(stream) for engine in self._engines)

    def _select(self, *, negative: bool) -> None:
        """Let the UNet read that text."""
        for name, tensor in self._texts[negative].items():
            self._unet.bind(name, tensor)
        self._selected = negative


def _types(trt: Any) -> dict[Any, torch.dtype]:
    pairs = {
        "HALF": torch.float16, "FLOAT": torch.float32, "BF16": torch.bfloat16, "INT64": torch.int64,
        "INT32": torch.int32,
    }  # fmt: skip
    return {getattr(trt.DataType, name): dtype for name, dtype in pairs.items() if hasattr(trt.DataType, name)}


def _scratch(library: Library, engines: Sequence[_Engine], device: torch.device) -> torch.Tensor | None:
    """Return memory for the hungriest of ``engines``; None where the library does not let us share it."""
    if not hasattr(library.module.IExecutionContext, "set_device_memory"):
        return None
    return torch.empty(max(256, *(engine.scratch_bytes for engine in engines)), dtype=torch.uint8, device=device)


def _read_kernels(library: Library, engine: Any, file: Path) -> Any:
    """Return the library's cache of finished kernels, filled from ``file`` if it fits; None where there is none."""
    if not library.rtx or not hasattr(library.module, "IRuntimeCache"):
        return None
    kernels = engine.create_runtime_config().create_runtime_cache()
    if kernels is not None and file.is_file():
        with contextlib.suppress(OSError):
            kernels.deserialize(file.read_bytes())  # of another card or driver: it says no and stays empty
    return kernels


def _keep_kernels(kernels: Any, file: Path) -> None:
    data = kernels.serialize()
    if data is not None and (not file.is_file() or file.stat().st_size != len(bytes(data))):
        keep_aside(file, bytes(data))
