"""Which of NVIDIA's two inference libraries serves a card, and what to install where it is missing.

``tensorrt-rtx`` is made for the RTX cards that performers own: complete on PyPI, and it builds engines for any of them
without a card at hand. ``tensorrt`` serves every card, data-centre ones among them, and builds only on the card itself.
Their interfaces are nearly one; where they differ, ask the module (``hasattr``), never the version.
"""

from __future__ import annotations

import importlib
import logging
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from vjengine.errors import GeneratorError, MissingDependency, UsageError
from vjengine.generate.turbo.accel.cache import library_version

log = logging.getLogger(__name__)

RTX = "tensorrt-rtx"
RTX_TARGETS = ("sm80", "sm86", "sm89", "sm120", "sm121")
"""Compute capabilities that ``tensorrt-rtx`` builds for: RTX 30, 40 and 50, and the workstation cards beside them."""
INSTALL_RTX = "pip install 'vjengine[tensorrt-rtx]'"
INSTALL_FULL = "pip install tensorrt"
_FULL_NAMES = ("tensorrt", "tensorrt-cu13", "tensorrt-cu12")  # the first is a stub that fetches one of the others
_PREFERS_FULL = ("sm80",)  # A100 above all


@dataclass(frozen=True, slots=True)
class Library:
    """One of the two libraries, imported.

    Attributes:
        distribution: its name on PyPI.
        version: of that distribution.
        module: what to call.
    """

    distribution: str
    version: str
    module: Any

    @property
    def rtx(self) -> bool:
        """True for ``tensorrt-rtx``."""
        return self.distribution == RTX


def checked_targets(text: str) -> tuple[str, ...]:
    """Return the compute capabilities in ``text``, as in ``"sm89,sm120"``, sorted by number.

    Raises:
        UsageError: saying how they are written.
    """
    targets = [word.strip().lower() for word in text.split(",") if word.strip()]
    wrong = [target for target in targets if not re.fullmatch(r"sm\d{2,3}", target)]
    if wrong or not targets:
        raise UsageError(
            f"cards are named by compute capability, not {', '.join(wrong) or 'nothing'}: sm86 is RTX 30, sm89 is "
            "RTX 40, sm120 is RTX 50; several with commas between"
        )
    return tuple(sorted(set(targets), key=lambda target: int(target[2:])))


def card_target(device: str) -> str:
    """Return the compute capability of the card ``device``, as ``"sm89"``; empty if there is no such card here.

    Args:
        device: torch's name, ``"cuda:0"``.
    """
    import torch

    if not device.startswith("cuda") or not torch.cuda.is_available():
        return ""
    try:
        major, minor = torch.cuda.get_device_capability(device)
    except (RuntimeError, AssertionError):
        return ""
    return f"sm{major}{minor}"


def library_for(target: str) -> Library:
    """Return the library for the card ``target``, the better one if both are here.

    Raises:
        MissingDependency: if none is here that serves this card: what to install.
    """
    rtx_serves = target in RTX_TARGETS
    order = ["full", "rtx"] if target in _PREFERS_FULL else ["rtx", "full"]
    troubles = []
    for kind in order if rtx_serves else ["full"]:
        found = _import_rtx() if kind == "rtx" else _import_full()
        if isinstance(found, Library):
            return found
        troubles.append(found)
    if not rtx_serves and library_version(RTX):
        troubles.append(f"{RTX} is here, but does not serve it")
    detail = "".join(f"; {trouble}" for trouble in troubles if trouble)
    own = rtx_serves and target not in _PREFERS_FULL
    raise MissingDependency(
        f"TensorRT for this card ({target}{detail})", INSTALL_RTX if own else f"{INSTALL_FULL}, from NVIDIA"
    )


def missing_for(target: str) -> str:
    """Return why no library here serves the card ``target`` and what to install; empty if one does."""
    try:
        library_for(target)
    except MissingDependency as error:
        return str(error)
    return ""


def check_targets(library: Library, targets: tuple[str, ...], present: str) -> None:
    """Check that ``library`` can build for all ``targets`` here.

    Args:
        library: the builder.
        targets: for which cards.
        present: the card in this machine, empty if there is none.

    Raises:
        GeneratorError: naming the card that it cannot build for.
    """
    if not library.rtx:
        if targets != (present,):
            raise GeneratorError(
                f"{library.distribution} builds only for the card it runs on ({present or 'there is none'}), not for "
                f"{', '.join(targets)}; build there, or for RTX cards install {RTX}: {INSTALL_RTX}"
            )
        return
    unknown = [target for target in targets if not hasattr(library.module.ComputeCapability, target.upper())]
    if unknown or any(target not in RTX_TARGETS for target in targets):
        raise GeneratorError(
            f"{RTX} {library.version} cannot build for {', '.join(unknown or targets)}; it knows "
            f"{', '.join(RTX_TARGETS)}. Other cards take: {INSTALL_FULL}, from NVIDIA, on the machine with the card"
        )


@cache
def logger(library: Library) -> Any:
    """Return the library's logger: one for the whole process, as it asks; it writes to ours.

    ``last`` of it is the last error that the library told.
    """
    base: Any = library.module.ILogger
    severity = base.Severity

    class Logger(base):  # type: ignore[misc]  # known only when it is imported
        """Hands the library's messages on."""

        def __init__(self) -> None:
            super().__init__()
            self.last = ""

        def log(self, level: Any, message: str) -> None:
            """Take one message. The library calls this from its own threads."""
            if level in (severity.ERROR, severity.INTERNAL_ERROR):
                self.last = message.strip()
                log.error("%s: %s", library.distribution, self.last)
            elif level == severity.WARNING:
                log.info("%s: %s", library.distribution, message.strip())

    return Logger()


def _import_rtx() -> Library | str:
    return _import("tensorrt_rtx", (RTX,))


def _import_full() -> Library | str:
    return _import("tensorrt", _FULL_NAMES)


def _import(module: str, distributions: tuple[str, ...]) -> Library | str:
    """Return the library, or why it does not load; empty if it simply is not installed."""
    installed = [(name, library_version(name)) for name in distributions if library_version(name)]
    try:
        found = importlib.import_module(module)
        if not hasattr(found, "Builder"):
            return f"{module} is installed without its libraries"
    except ModuleNotFoundError as error:
        # A stub whose own libraries did not come along names the module that it misses.
        return f"{module} does not load: {error}" if installed and error.name != module else ""
    except (ImportError, OSError) as error:
        return f"{module} does not load: {error}"
    name, version = installed[0] if installed else (distributions[0], str(getattr(found, "__version__", "")))
    return Library(name, version, found)
