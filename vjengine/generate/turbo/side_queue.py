"""A second queue of the device, for work that may run beside the picture instead of before it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from vjengine.generate.turbo.plan import FramePlan


class SideQueue:
    """A CUDA stream of its own; elsewhere work is simply done in its turn.

    What is made on the stream stays there: memory that other streams read or write must outlive both, like the rows of
    a :class:`~vjengine.generate.turbo.text_bank.TextBank`, and is written between :meth:`follow` and :meth:`wait`.
    """

    def __init__(self, plan: FramePlan) -> None:
        self._stream = torch.cuda.Stream(plan.device) if plan.device.startswith("cuda") else None  # type: ignore[no-untyped-call]
        self._done = torch.cuda.Event() if self._stream is not None else None  # type: ignore[no-untyped-call]
        self._outside: torch.cuda.Stream | None = None
        self._followed = False

    @contextmanager
    def queued(self) -> Iterator[None]:
        """Work of the device that is started inside goes into this queue."""
        if self._stream is None or self._done is None:
            yield
            return
        self._outside = torch.cuda.current_stream(self._stream.device)
        with torch.cuda.stream(self._stream):
            yield
            if self._followed:
                self._done.record(self._stream)

    def follow(self) -> None:
        """Inside :meth:`queued`: let what comes now run after all that is queued outside and may still be reading."""
        if self._stream is not None and self._outside is not None:
            self._stream.wait_stream(self._outside)
            self._followed = True

    def wait(self) -> None:
        """Wait for what came after :meth:`follow`, if anything did. A frame later it is long done."""
        if self._done is not None and self._followed:
            self._followed = False
            self._done.synchronize()
