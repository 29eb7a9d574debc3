"""Record a whole frame into one CUDA graph, so that the host's share of a frame is a single launch.

A recorded graph reads and writes fixed addresses: whatever changes between frames is written in place into tensors
that ``body`` uses, and nothing in ``body`` may wait for the device or decide anything on the host.

Recording may happen on a background thread while another graph plays on the main thread (a rung swap). What keeps that
safe, and what the player must keep to meanwhile:

* the capture is ``thread_local``: other threads may allocate, copy and launch as usual;
* nobody may synchronise the *whole device* (``torch.cuda.synchronize``) during a capture, CUDA forbids it: wait for
  events or streams instead;
* every :class:`~.base.Networks` has its own memory pool and stream. Graphs of the same networks (one, two, four steps)
  share them, for they never run at once; graphs of different networks share nothing, so one may play while the other
  warms up;
* no full garbage collection is forced: with the libraries loaded it would hold up every thread for a frame or more.
"""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch

from vjengine.errors import GeneratorError
from vjengine.generate.turbo.accel.base import Networks

WARM_UPS = 3
"""Times the body runs for real before it is recorded: libraries load kernels, choose algorithms, take workspaces."""

_one_at_a_time = threading.Lock()
_places: weakref.WeakKeyDictionary[Networks, tuple[Any, torch.cuda.Stream]] = weakref.WeakKeyDictionary()


def can_capture(networks: Networks) -> bool:
    """True if :func:`capture` would record a graph of ``networks`` here."""
    return networks.capturable and networks.plan.device.partition(":")[0] == "cuda" and torch.cuda.is_available()


def capture(body: Callable[[], None], networks: Networks) -> Callable[[], None]:
    """Return what does the same as ``body``: the replay of a recorded CUDA graph, or ``body`` where none can be.

    ``body`` runs :data:`WARM_UPS` times for real first, so what it carries from frame to frame moves on: put that back
    afterwards. Nothing else may run these ``networks`` meanwhile.

    Args:
        body: one whole frame, from static tensors to static tensors.
        networks: the networks that ``body`` runs.

    Returns:
        A function that enqueues the frame on the current stream and returns at once. The graph's memory is given back
        when it is dropped.

    Raises:
        GeneratorError: if the frame cannot be recorded; ``body`` itself can still be called.
        torch.OutOfMemoryError: if the device has no room for it.
    """
    if not can_capture(networks):
        return body
    device = torch.device(networks.plan.device)
    with _one_at_a_time, torch.cuda.device(device), torch.inference_mode():
        if networks not in _places:
            _places[networks] = torch.cuda.graph_pool_handle(), torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        pool, stream = _places[networks]
        player = torch.cuda.current_stream(device)
        stream.wait_stream(player)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.stream(stream):
                for _ in range(WARM_UPS):
                    body()
                stream.synchronize()
                # The graph gets memory of its own: give back what the warm-ups took, or a small card holds both.
                torch.cuda.empty_cache()
                _record(graph, body, pool)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            reason = str(error).strip().partition("\n")[0]
            raise GeneratorError(
                f"the {networks.rung} frame cannot be recorded as a CUDA graph ({reason}); "
                "it plays unrecorded, which is slower"
            ) from error
        player.wait_stream(stream)
    return graph.replay


def _record(graph: torch.cuda.CUDAGraph, body: Callable[[], None], pool: Any) -> None:
    """Record ``body`` into ``graph`` on the current stream; a recording that fails is ended before it is reported."""
    with _no_collection():
        graph.capture_begin(pool=pool, capture_error_mode="thread_local")
        try:
            body()
        except BaseException:
            # The body's error says more than the one that ending its broken recording raises.
            with suppress(RuntimeError):
                graph.capture_end()
            raise
        graph.capture_end()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the cycle collector from destroying CUDA objects, which is not allowed while a thread records."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
