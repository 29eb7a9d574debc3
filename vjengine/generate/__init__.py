"""Imagination: generators, their contract, and the supervised process they run in."""
