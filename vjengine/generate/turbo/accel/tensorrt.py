"""The top rung for NVIDIA cards: three engines of fixed shape, in buffers whose addresses never move.

Prompt, timestep and LoRA weights are inputs, so nothing a performer does asks for another engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vjengine.errors import GeneratorError
from vjengine.generate.turbo.accel.base import Networks, Say
from vjengine.generate.turbo.accel.cache import TIMING, EngineCache, EngineKey, keep_aside
from vjengine.generate.turbo.accel.tensorrt_build import build_engine
from vjengine.generate.turbo.accel.tensorrt_library import (
    Library,
    card_target,
    check_targets,
    library_for,
    missing_for,
)
from vjengine.generate.turbo.parts import TurboParts
from vjengine.generate.turbo.plan import FramePlan, RungName

NETWORKS = ("encoder", "unet", "decoder")
"""As :mod:`.export` names its files, without ``.onnx``."""
_SHARE = {"encoder": 0.05, "decoder": 0.05, "unet": 0.7}  # of the time a build takes; the rest is the export


class TensorRTRung:
    """See :class:`~vjengine.generate.turbo.accel.base.Rung`.

    Args:
        targets: the cards to build for, as ``("sm89", "sm120")``; empty is the card that is here.
    """

    name: RungName = "tensorrt"
    doc = "TensorRT on NVIDIA cards: the fastest; built once a model and size, half a minute to minutes"
    needs_build = True

    def __init__(self, targets: tuple[str, ...] = ()) -> None:
        self.targets = targets

    def missing(self, plan: FramePlan) -> str:
        """Return why TensorRT cannot run ``plan`` here, or build for :attr:`targets`, and what to install."""
        if self.targets:
            return next(filter(None, map(missing_for, self.targets)), "")
        target = card_target(plan.device)
        if not target:
            return (
                f"TensorRT needs an NVIDIA card, and the device is {plan.device!r}; take another rung (--rung auto)"
                if not plan.device.startswith("cuda")
                else f"TensorRT needs an NVIDIA card, and there is no {plan.device!r} here; check `nvidia-smi` and "
                "that torch is installed with CUDA"
            )
        return missing_for(target)

    def ready(self, parts_fingerprint: str, plan: FramePlan, folder: Path) -> bool:
        """True if whole engines for this card, or for all of :attr:`targets`, lie in ``folder``."""
        present = card_target(plan.device)
        targets = self.targets or ((present,) if present else ())
        if not targets or missing_for(targets[0]):
            return False
        key = _key(library_for(targets[0]), parts_fingerprint, plan, targets)
        return _stored(EngineCache(folder), key) is not None

    def prepare(self, parts: TurboParts, plan: FramePlan, folder: Path, say: Say) -> None:
        """Export the networks and build their engines into ``folder``.

        Raises:
            GeneratorError: saying what failed.
            MissingDependency: if the library for the card is not installed.
        """
        from vjengine.generate.turbo.accel.export import export_networks

        present = card_target(plan.device)
        targets = self.targets or ((present,) if present else ())
        if not targets:
            raise GeneratorError(
                f"there is no NVIDIA card {plan.device!r} here to build for; name the card of the show: "
                "vjengine engine build MODEL --for sm89"
            )
        library = library_for(targets[0])
        check_targets(library, targets, present)
        cache = EngineCache(folder)
        with cache.staging() as staging:
            exported = 1.0 - sum(_SHARE.values())
            export_networks(parts, plan, staging, lambda doing, part: say(doing, exported * max(0.0, part)))
            done = exported
            timing_file = folder / f"{TIMING}{library.distribution}-{library.version}-{present or 'none'}.cache"
            timing = timing_file.read_bytes() if timing_file.is_file() else b""
            for network in NETWORKS:
                begun, share = done, _SHARE[network]
                timing = build_engine(
                    library, staging / f"{network}.onnx", staging / f"{network}.engine", targets,
                    lambda doing, part, begun=begun, share=share: say(doing, begun + share * part),  # type: ignore[misc]
                    timing=timing,
                )  # fmt: skip
                done += share
            say("storing the engines", min(1.0, done))
            engines: dict[str, bytes | Path] = {f"{name}.engine": staging / f"{name}.engine" for name in NETWORKS}
            cache.put(_key(library, parts.fingerprint, plan, targets), engines, model=parts.name)
            if timing:
                keep_aside(timing_file, timing)

    def load(self, parts: TurboParts, plan: FramePlan, folder: Path) -> Networks:
        """Return the networks, warmed up.

        Raises:
            GeneratorError: if there is no whole engine for this card, or it does not run here.
            MissingDependency: if the library is not installed.
        """
        target = card_target(plan.device)
        if not target:
            raise GeneratorError(self.missing(plan))
        library = library_for(target)
        cache = EngineCache(folder)
        wanted = _key(library, parts.fingerprint, plan, (target,))
        stored = _stored(cache, wanted)
        found = cache.find(stored) if stored is not None else None
        if found is None:
            raise GeneratorError(
                f"there is no engine for {parts.name} at {plan.size[0]}x{plan.size[1]} on {target}: "
                f"{cache.fault(stored or wanted)}; build it: vjengine engine build {parts.name}"
            )
        from vjengine.generate.turbo.accel.tensorrt_networks import TensorRTNetworks

        return TensorRTNetworks(library, found, parts, plan)


def _key(library: Library, fingerprint: str, plan: FramePlan, targets: Sequence[str]) -> EngineKey:
    return EngineKey.of("tensorrt", fingerprint, plan, library.distribution, library.version, "+".join(targets))


def _stored(cache: EngineCache, key: EngineKey) -> EngineKey | None:
    """Return the key of an engine for all cards of ``key``: its own, or one for more cards; None without one."""
    if cache.has(key):
        return key
    wanted = set(key.target.split("+"))
    for entry in cache.list():
        if entry.key is None or entry.fault or not wanted <= set(entry.key.target.split("+")):
            continue
        if replace(entry.key, target=key.target) == key:
            return entry.key
    return None
