"""Servers that make pictures for us: ComfyUI in the house, Replicate outside it.

Each is a :class:`~vjengine.offline.continuation.Continuation`. Whatever a server answers is bounded in size and time,
every wait can be interrupted within a second, and what goes wrong becomes a
:class:`~vjengine.errors.BackendError` that says what to do and whether trying again may help.
"""
