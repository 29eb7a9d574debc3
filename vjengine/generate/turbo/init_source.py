"""Pictures from outside for the loop: an image, a video or a camera, always in the size that is drawn."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vjengine.core.generation import GeneratorParams
from vjengine.errors import GeneratorError
from vjengine.generate.base import NOBODY, Host
from vjengine.generate.turbo.cover import Rgb, covering, frozen

ACCEPTED = "an image or video file, 'camera', 'camera:NAME', or 'test' (a moving test picture)"


class InitSource(Protocol):
    """Where pictures come from."""

    def read(self, params: GeneratorParams) -> Rgb | None:
        """Return the picture for ``params``, or None while there is none. Never raises.

        Returns:
            ``(H, W, 3)`` uint8, sRGB, read-only, top row first: the same object until there is another picture.
        """
        ...

    def close(self) -> None:
        """Let go of file or device; a second call does nothing."""
        ...


def open_init(text: str, size: tuple[int, int], host: Host = NOBODY, *, patience: float | None = None) -> InitSource:
    """Open what ``text`` names.

    Args:
        text: see :data:`ACCEPTED`.
        size: (width, height) of the pictures wanted, px; they are scaled to cover it and cut to its middle.
        host: told, under the component ``"init"``, what goes wrong during the show.
        patience: how long (s) a video may be waited for if it decodes too slowly. By default a generator that nobody
            watches waits, so that every picture is the right one, and a live one never does.

    Raises:
        GeneratorError: if there is no such file, or no picture can be read from it. A camera that is not there raises
            nothing: it is waited for.
        MissingDependency: if the installed PyAV has no access to cameras.
    """
    from vjengine.generate.turbo.init_camera import CameraInit, camera, test_picture
    from vjengine.generate.turbo.init_video import VideoInit

    text = text.strip()
    kind, _, name = text.partition(":")
    if kind == "camera":
        return CameraInit(camera(name.strip()), size, host)
    if text == "test":
        return CameraInit(test_picture(size), size, host)
    path = Path(text).expanduser()
    if not text or not path.is_file():
        problem = "that is a folder" if text and path.is_dir() else "there is no such file"
        raise GeneratorError(f"cannot read init pictures from {text!r}: {problem}; give {ACCEPTED}")
    picture = _image(path, size)
    if picture is not None:
        return StillInit(picture)
    return VideoInit(path, size, host, patience=patience)


class StillInit:
    """One picture; see :class:`InitSource`."""

    def __init__(self, picture: Rgb) -> None:
        self._picture = picture

    def read(self, params: GeneratorParams) -> Rgb | None:
        """Return it."""
        return self._picture

    def close(self) -> None:
        """Nothing is open."""


def _image(path: Path, size: tuple[int, int]) -> Rgb | None:
    """Return the picture in ``path``; None if that is no image, or one that moves.

    Raises:
        GeneratorError: if it is a broken or an enormous image.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if getattr(image, "n_frames", 1) > 1 and image.format == "GIF":
                    return None
                # Lets a JPEG be decoded at about the size that is needed.
                image.draft("RGB", (size[0] * 2, size[1] * 2))
                return _fitted(image, size)
    except UnidentifiedImageError:
        return None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        limit = (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise GeneratorError(f"the image {path} is over {limit} megapixels; scale it down first") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise GeneratorError(f"the image {path} is broken ({error}); open and export it anew") from error


def _fitted(image: Any, size: tuple[int, int]) -> Rgb:
    """Return the upright middle of ``image`` over black, as large as ``size``."""
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    image = image.convert("RGB")
    width, height = covering(image.size, size)
    left, top = (width - size[0]) / 2, (height - size[1]) / 2
    scale = image.width / width, image.height / height
    box = (left * scale[0], top * scale[1], (left + size[0]) * scale[0], (top + size[1]) * scale[1])
    return frozen(np.array(image.resize(size, Image.Resampling.LANCZOS, box=box)))
