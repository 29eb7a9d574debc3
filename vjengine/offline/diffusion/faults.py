"""What goes wrong on a device, as this package's own errors: short memory apart from everything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from vjengine.errors import GeneratorError, OutOfMemory
from vjengine.generate.turbo.device import FAULTS, first_line, give_memory_back
from vjengine.generate.turbo.memory import is_out_of_memory

Result = TypeVar("Result")


def told_apart(what: str, device: str, work: Callable[[], Result]) -> Result:
    """Return what ``work`` returns.

    Args:
        what: was being done, for the message.
        device: torch's name; its memory is given back when it ran out.
        work: to do.

    Raises:
        OutOfMemory: memory ran out; nothing of the failed work is held any more.
        GeneratorError: the device or a library failed otherwise.
    """
    try:
        return work()
    except FAULTS as error:
        if not is_out_of_memory(error):
            raise GeneratorError(f"{what}: {first_line(error)}") from error
        words = first_line(error)
    # Out here nothing holds on to the tensors of what failed.
    give_memory_back(device, thoroughly=True)
    raise OutOfMemory(f"{what}: {words}")
