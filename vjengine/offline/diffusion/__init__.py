"""Continuations by diffusion: Stable Video Diffusion, and the turbo loop picture by picture. Torch lives here.

:mod:`.registry` makes them by name and imports nothing heavy before that.
"""

from vjengine.offline.diffusion.registry import make_svd as make_svd
from vjengine.offline.diffusion.registry import make_turbo as make_turbo
