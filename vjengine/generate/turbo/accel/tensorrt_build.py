"""From an ONNX file to a TensorRT engine: strongly typed, for fixed shapes, for one card or several."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vjengine.errors import GeneratorError
from vjengine.generate.turbo.accel.base import Say
from vjengine.generate.turbo.accel.tensorrt_library import Library, logger

WORKSPACE = 2 << 30
"""Bytes of scratch memory that a kernel may ask for: a build runs beside a show on the same card."""

Shapes = Mapping[str, tuple[int, ...]]


def build_engine(
    library: Library,
    onnx: Path,
    engine: Path,
    targets: Sequence[str],
    say: Say,
    *,
    shapes: Shapes | None = None,
    timing: bytes = b"",
) -> bytes:
    """Build ``onnx`` into the file ``engine``; return the timing cache for the next build, empty if there is none.

    Args:
        library: which TensorRT.
        onnx: the network, already in the precision that it shall run in. Weights may lie in files beside it.
        engine: written to.
        targets: the cards it shall run on. ``tensorrt-rtx`` puts several into one engine at next to no cost, because
            it finishes its kernels on the card; ``tensorrt`` builds for the card that is here, whatever this says.
        say: told of progress.
        shapes: of the inputs, by name, where the network leaves them open.
        timing: what an earlier call returned: the same kernels are then not timed again.

    Raises:
        GeneratorError: with the library's own words.
    """
    trt = library.module
    log = logger(library)
    log.last = ""
    builder = trt.Builder(log)
    flags = 0
    if hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED"):
        # Types are the file's: there is no precision to choose here, and 11 and RTX know no other way.
        flags |= 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(onnx)) or not network.num_outputs:
        reasons = "; ".join(str(parser.get_error(index)) for index in range(min(parser.num_errors, 3)))
        raise GeneratorError(
            f"{library.distribution} {library.version} does not understand {onnx.name}: {reasons or log.last}; take "
            "another rung: --rung graph"
        )
    config = _configure(library, builder, network, targets, shapes or {})
    cache = _attach_timing(library, config, timing)
    if hasattr(trt, "IProgressMonitor"):
        config.progress_monitor = _monitor(library, say, f"building {engine.stem}")
    serialised = builder.build_serialized_network(network, config)
    if serialised is None:
        raise GeneratorError(
            f"{library.distribution} {library.version} could not build {onnx.name} for {', '.join(targets)}: "
            f"{log.last or 'it does not say why'}; take another rung: --rung graph"
        )
    try:
        with engine.open("wb") as file:
            file.write(serialised)
    except OSError as error:
        raise GeneratorError(
            f"{engine} cannot be written ({error.strerror or error}); make room on that disk"
        ) from error
    return bytes(cache.serialize()) if cache is not None else b""


def _configure(library: Library, builder: Any, network: Any, targets: Sequence[str], shapes: Shapes) -> Any:
    trt = library.module
    config = builder.create_builder_config()
    if library.rtx:
        config.num_compute_capabilities = len(targets)
        for index, target in enumerate(targets):
            config.set_compute_capability(getattr(trt.ComputeCapability, target.upper()), index)
    elif hasattr(config, "set_memory_pool_limit"):
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE)
    profile = None
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        if all(side >= 0 for side in tensor.shape):
            continue
        if tensor.name not in shapes:
            raise GeneratorError(f"the network leaves the shape of {tensor.name!r} open and nobody fixes it")
        profile = profile or builder.create_optimization_profile()
        profile.set_shape(tensor.name, *(shapes[tensor.name],) * 3)  # smallest, usual, largest: one and the same
    if profile is not None:
        config.add_optimization_profile(profile)
    return config


def _attach_timing(library: Library, config: Any, timing: bytes) -> Any:
    """Let the builder remember its timings; None for RTX, which times nothing while it builds."""
    if library.rtx or not hasattr(config, "create_timing_cache"):
        return None
    cache = config.create_timing_cache(timing)
    if cache is None:  # not a timing cache of this version
        cache = config.create_timing_cache(b"")
    if cache is None or not config.set_timing_cache(cache, False):
        return None
    return cache


def _monitor(library: Library, say: Say, doing: str) -> Any:
    """Return a progress monitor that turns the library's nested phases into one fraction."""

    base: Any = library.module.IProgressMonitor

    class Monitor(base):  # type: ignore[misc]  # known only when it is imported
        """Called by the library, from several threads of it."""

        def __init__(self) -> None:
            super().__init__()
            self._lock = threading.Lock()
            self._phases: dict[str, tuple[str, int, int]] = {}
            self._top = 0.0

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            with self._lock:
                self._phases[phase_name] = (parent_phase or "", 0, max(1, num_steps))

        def phase_finish(self, phase_name: str) -> None:
            with self._lock:
                self._phases.pop(phase_name, None)

        def step_complete(self, phase_name: str, step: int) -> bool:
            with self._lock:
                known = self._phases.get(phase_name)
                if known is not None:
                    self._phases[phase_name] = (known[0], step + 1, known[2])
                self._top = max(self._top, self._fraction(phase_name))
                top = self._top
            say(doing, top)
            return True

        def _fraction(self, phase: str) -> float:
            """Return how far all is, seen from ``phase``: each phase is within one step of its parent."""
            done = 0.0
            for _ in range(16):
                if phase not in self._phases:
                    break
                phase, step, steps = self._phases[phase]
                done = min(1.0, (step + done) / steps)
            return done

    return Monitor()
