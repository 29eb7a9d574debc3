"""Benchmarks: ``python -m benchmarks.NAME [--json] [--full]``."""
