"""Where the files a performer edits are found: shaders, presets and macros."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource_dir(kind: str) -> Path:
    """Return the folder of ``kind`` (``"shaders"``, ``"presets"`` or ``"macros"``).

    In a checkout that is the top-level folder; in an installed wheel, the copy inside the package.

    Raises:
        FileNotFoundError: if neither is there, which means a broken installation.
    """
    for candidate in (_PACKAGE.parent / kind, _PACKAGE / "_data" / kind):
        # A stray top-level folder of site-packages must not be taken for ours: the checkout has a pyproject.
        if candidate.is_dir() and (
            candidate.parent == _PACKAGE / "_data" or (_PACKAGE.parent / "pyproject.toml").is_file()
        ):
            return candidate
    raise FileNotFoundError(f"the folder {kind!r} is missing from this installation; reinstall vjengine")
