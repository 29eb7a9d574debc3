"""The device that the turbo loop runs on: which, how precisely, on how many threads, and its faults in words."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import torch

from vjengine.errors import GeneratorError, UsageError
from vjengine.generate.turbo.options import TurboOptions
from vjengine.generate.turbo.plan import Precision

FAULTS = (RuntimeError, MemoryError)
"""What torch raises when a device fails or memory runs out."""


def chosen_device(options: TurboOptions) -> str:
    """Return torch's name of the device that ``options`` ask for; ``auto`` takes a GPU if there is one.

    Raises:
        UsageError: if it is not here, naming what is.
    """
    there: dict[str, Callable[[], bool]] = {
        "cuda": torch.cuda.is_available,
        "mps": torch.backends.mps.is_available,
        "cpu": lambda: True,
    }
    kind, _, number = options.device.partition(":")
    if kind == "auto":
        kind = next(name for name, found in there.items() if found())
    if not there[kind]() or (number and int(number) >= torch.cuda.device_count()):
        found = ", ".join(name for name, check in there.items() if check())
        raise UsageError(f"torch has no device {options.device!r} here; it has: {found}")
    if kind != "cuda":
        return kind
    device = f"cuda:{number or 0}"
    torch.cuda.set_device(device)  # streams and events are made on the current one
    return device


def chosen_precision(options: TurboOptions, device: str) -> Precision:
    """Return the precision that ``options`` ask for: half on a GPU, full on a CPU, where it costs no speed."""
    if options.precision == "auto":
        return "float32" if device == "cpu" else "float16"
    return cast(Precision, options.precision)


def use_threads(options: TurboOptions, device: str, *, live: bool) -> None:
    """Take as many CPU threads as ``options`` say; by default a live show's compositor keeps a core for itself."""
    if options.threads:
        torch.set_num_threads(options.threads)
    elif device == "cpu" and live:
        torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))


def give_memory_back(device: str, *, thoroughly: bool = False) -> None:
    """Return what nobody holds any more to ``device``.

    Args:
        device: torch's name.
        thoroughly: look for cycles too, which holds up every thread for a few frames.
    """
    if thoroughly:
        gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device == "mps":
        torch.mps.empty_cache()


@contextmanager
def faults_in_words(what: str) -> Iterator[None]:
    """Turn a fault of device or library into one line, after which a supervisor starts anew.

    Raises:
        GeneratorError: beginning with ``what``.
    """
    try:
        yield
    except FAULTS as error:
        raise GeneratorError(f"{what}: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """Return the first line of what ``error`` says; torch's own go on for pages."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
