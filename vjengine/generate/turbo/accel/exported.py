"""Exported networks among the built engines: ``onnx`` and ``openvino`` run the same files, and each makes of them what
suits the processor when it opens them.

What a runtime compiles is not kept: opening the full SD-Turbo takes seconds from the graph as well, and the compiled
form would cost three times its size in memory to write, twice the disk, and be stale with every update.
"""

from __future__ import annotations

from pathlib import Path

from vjengine.errors import GeneratorError
from vjengine.generate.turbo.accel.base import Say
from vjengine.generate.turbo.accel.cache import EngineCache, EngineKey, library_version
from vjengine.generate.turbo.parts import TurboParts
from vjengine.generate.turbo.plan import FramePlan


def has_exported(fingerprint: str, plan: FramePlan, folder: Path) -> bool:
    """True if the networks of the model ``fingerprint`` for ``plan`` lie in ``folder``. Quick."""
    return EngineCache(folder).has(_key(fingerprint, plan))


def store_exported(parts: TurboParts, plan: FramePlan, folder: Path, say: Say) -> None:
    """Export the networks of ``parts`` into ``folder``, all or nothing.

    Raises:
        GeneratorError: saying what failed.
        MissingDependency: without the package ``onnx``.
    """
    from vjengine.generate.turbo.accel.export import export_networks

    cache = EngineCache(folder)
    with cache.staging() as staging:
        exported = export_networks(parts, plan, staging, say)
        files: dict[str, bytes | Path] = {name: staging / name for name in exported.files}
        cache.put(_key(parts.fingerprint, plan), files, model=parts.name)


def find_exported(parts: TurboParts, plan: FramePlan, folder: Path) -> Path:
    """Return where the networks of ``parts`` for ``plan`` lie, checked to the last byte.

    Raises:
        GeneratorError: if they are not there, or broken.
    """
    cache, key = EngineCache(folder), _key(parts.fingerprint, plan)
    found = cache.find(key)
    if found is None:
        raise GeneratorError(
            f"the networks of {parts.name} at {plan.size[0]}x{plan.size[1]} are not there to be run: "
            f"{cache.fault(key)}; build them: vjengine engine build {parts.name}"
        )
    return found


def _key(fingerprint: str, plan: FramePlan) -> EngineKey:
    return EngineKey.of("onnx", fingerprint, plan, "torch", library_version("torch"), "any")
