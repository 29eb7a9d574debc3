"""Pictures on their way from the device that made them into shared memory, while the next one is drawn.

On CUDA a picture is first copied aside on the device, which takes microseconds, so that the loop's static output may
be overwritten at once; then a stream of its own carries it over the bus. Where the driver allows it, the shared memory
itself is page-locked and the card writes straight into the slot; elsewhere a page-locked buffer lies in between.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from vjengine.core.frame import Pixels
from vjengine.errors import GeneratorError
from vjengine.generate.base import Ticket

log = logging.getLogger(__name__)

_IN_HAND = 2  # pictures that may travel at a time
_VIEWS = 8  # places remembered: an exchange has four
_cuda: Any = torch.cuda  # its streams, events and runtime calls are not typed


class _Done:
    """The ticket of a picture that is there already."""

    def ready(self) -> bool:
        """True."""
        return True

    def wait(self) -> None:
        """There is nothing to wait for."""


class _Travelling:
    """The ticket of a picture on the bus; ``bounce`` is where it lands first, if not at its place ``into``."""

    def __init__(self, done: Any, into: Pixels, bounce: Pixels | None) -> None:
        self._done = done
        self._into = into
        self._bounce = bounce
        self._there = False

    def ready(self) -> bool:
        """True once the picture is there whole."""
        if not self._there:
            with _fault_in_words():
                if not self._done.query():
                    return False
            self._arrive()
        return True

    def wait(self) -> None:
        """Wait until the picture is there whole.

        Raises:
            GeneratorError: if the device failed.
        """
        if not self._there:
            with _fault_in_words():
                self._done.synchronize()
            self._arrive()

    def _arrive(self) -> None:
        if self._bounce is not None:
            np.copyto(self._into, self._bounce)
        self._there = True


class Outbox:
    """Hands pictures over, at most two at a time.

    Args:
        size: (width, height) of the pictures in px.
        device: torch's name of the device they are made on.

    Raises:
        GeneratorError: if the device has no memory for it.
    """

    @torch.inference_mode()
    def __init__(self, size: tuple[int, int], device: str) -> None:
        self._shape = (size[1], size[0], 4)
        self._device = torch.device(device)
        self._turn = 0
        self._views: dict[int, torch.Tensor] = {}
        self._locked: dict[int, bool] = {}  # address of a mapping -> page-locked by us
        self._bounce: list[torch.Tensor] = []
        if self._device.type != "cuda":
            return
        with _fault_in_words():
            self._side = _cuda.Stream(self._device)
            self._aside = [torch.empty(self._shape, dtype=torch.uint8, device=self._device) for _ in range(_IN_HAND)]
            self._drawn = [_cuda.Event() for _ in range(_IN_HAND)]
            # Blocking: a waiting thread sleeps instead of taking a core from the compositor.
            self._done = [_cuda.Event(blocking=True) for _ in range(_IN_HAND)]

    @torch.inference_mode()
    def send(self, picture: torch.Tensor, into: Pixels) -> Ticket:
        """Start carrying ``picture`` to ``into``; ``picture`` may be written over by work that is queued after this.

        Args:
            picture: ``(H, W, 4)`` uint8 on the device.
            into: ``(H, W, 4)`` uint8, its place; written until the ticket is ready.

        Raises:
            GeneratorError: if either is of another shape or type, or the device failed.
        """
        for what, shape, right in (
            ("picture", tuple(picture.shape), picture.dtype == torch.uint8),
            ("place", into.shape, into.dtype == np.uint8),
        ):
            if shape != self._shape or not right:
                raise GeneratorError(f"a {what} of {shape} cannot be handed over; expected {self._shape} uint8")
        view = self._view(into)
        with _fault_in_words():
            if self._device.type != "cuda":
                view.copy_(picture)
                return _Done()
            return self._send_over_the_bus(picture, into, view)

    def _send_over_the_bus(self, picture: torch.Tensor, into: Pixels, view: torch.Tensor) -> Ticket:
        turn, self._turn = self._turn, (self._turn + 1) % _IN_HAND
        locked = self._lock_pages(into)
        if not locked and not self._bounce:
            self._bounce = [torch.empty(self._shape, dtype=torch.uint8, pin_memory=True) for _ in range(_IN_HAND)]
        target = view if locked else self._bounce[turn]
        current = _cuda.current_stream(self._device)
        current.wait_event(self._done[turn])  # the last picture that was put aside here has left
        self._aside[turn].copy_(picture, non_blocking=True)
        self._drawn[turn].record(current)
        with _cuda.stream(self._side):
            self._side.wait_event(self._drawn[turn])
            target.copy_(self._aside[turn], non_blocking=True)
            self._done[turn].record(self._side)
        return _Travelling(self._done[turn], into, None if locked else target.numpy())

    def close(self) -> None:
        """Wait for what travels and let go of the shared memory; a second call does nothing."""
        locked, self._locked = self._locked, {}
        self._views.clear()
        if self._device.type != "cuda":
            return
        with contextlib.suppress(RuntimeError):  # a device that failed: nothing travels any more
            self._side.synchronize()
        for address, ours in locked.items():
            if ours:
                _cuda.cudart().cudaHostUnregister(address)

    def _view(self, into: Pixels) -> torch.Tensor:
        """Return ``into`` as a tensor; there are few places, and they come round again."""
        address = into.ctypes.data
        view = self._views.get(address)
        if view is None:
            if len(self._views) == _VIEWS:  # someone hands over to ever new arrays: do not keep them all alive
                self._views.clear()
            view = self._views[address] = torch.from_numpy(into)
        return view

    def _lock_pages(self, into: Pixels) -> bool:
        """Page-lock the shared memory ``into`` lies in, once; False if it is none or the driver does not allow it.

        Places share pages with each other, so they cannot be locked one by one.
        """
        mapping: Pixels = into
        while isinstance(mapping.base, np.ndarray):
            mapping = mapping.base
        if mapping.flags.owndata:
            return False  # ordinary memory: not here to stay
        address = mapping.ctypes.data
        if address not in self._locked:
            code = int(_cuda.cudart().cudaHostRegister(address, mapping.nbytes, 0))
            self._locked[address] = code == 0
            if code:
                log.info("shared memory cannot be page-locked (CUDA error %d): pictures take a detour", code)
                # The runtime keeps the error for whoever launches next: let that be us.
                with contextlib.suppress(RuntimeError):
                    self._aside[0].fill_(0)
        return self._locked[address]


@contextlib.contextmanager
def _fault_in_words() -> Iterator[None]:
    """Turn a fault of the device into one line for the performer; memory that ran out stays what it is."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        first = str(error).strip().partition("\n")[0]
        raise GeneratorError(f"the device failed while it handed a picture over: {first}") from error
