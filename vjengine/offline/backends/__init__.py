"""Servers that make pictures for us: ComfyUI in the house, Replicate outside it.

Each is a :class:`~vjengine.offline.continuation.Continuation`. Whatever a server answers is bounded in size and time,
every wait can be interrupted within a second, and what goes wrong becomes a
:class:`~vjengine.errors.BackendError` that says what to do and whether trying again may help.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vjengine.offline.continuation import Continuation


def make_comfyui(options: Mapping[str, object]) -> Continuation:
    """Make ComfyUI's continuation; see :func:`vjengine.offline.backends.options.make_comfyui`."""
    from vjengine.offline.backends.options import make_comfyui as make

    return make(options)


def make_replicate(options: Mapping[str, object]) -> Continuation:
    """Make Replicate's continuation; see :func:`vjengine.offline.backends.options.make_replicate`."""
    from vjengine.offline.backends.options import make_replicate as make

    return make(options)
