"""vjengine: a real-time VJ performance engine.

Importing this package loads nothing heavy: rooms (``vjengine.audio``, ``vjengine.compose`` …) are imported by
whoever needs them. ARCHITECTURE.md is the map.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
