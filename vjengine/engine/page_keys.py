"""What opens the pages: a secret for the performer and a token for the crowd, the same from night to night.

A flyer with last week's QR code must still work, and so must the bookmark on the performer's phone.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from vjengine.engine.options import Address, PageOptions
from vjengine.errors import ConfigError, InputError
from vjengine.web.settings import WebSettings

FILE = "keys.json"
_KEY = re.compile(r"[A-Za-z0-9_-]{6,64}")


def pages_folder() -> Path:
    """Return where keys and the crowd's queue are kept: ``VJENGINE_PAGES``, or the user's data folder."""
    import platformdirs

    given = os.environ.get("VJENGINE_PAGES")
    return Path(given) if given else Path(platformdirs.user_data_dir("vjengine", appauthor=False)) / "pages"


def web_settings(options: PageOptions, osc: Address | None, folder: Path | None = None) -> WebSettings:
    """Return what the web process is told.

    Args:
        options: what was asked for.
        osc: where OSC is listened for; None if nowhere.
        folder: for keys and queue; None takes :func:`pages_folder`.

    Raises:
        InputError, ConfigError: see :func:`kept_keys`.
    """
    folder = folder if folder is not None else pages_folder()
    keys = kept_keys(folder)
    return WebSettings(
        pages=options.pages,
        oscquery=options.oscquery,
        stage_secret=options.secret or keys["stage"],
        crowd=options.crowd,
        crowd_token="" if options.crowd_open else keys["crowd"],
        public_url=options.url,
        folder=folder,
        osc=osc,
    )


def kept_keys(folder: Path) -> Mapping[str, str]:
    """Return the keys ``stage`` and ``crowd`` of ``folder``; the first time they are made.

    Raises:
        InputError: the folder cannot be written or the file not read.
        ConfigError: the file holds something else.
    """
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            made = {"stage": secrets.token_urlsafe(12), "crowd": secrets.token_urlsafe(6)}
            part = path.with_suffix(".part")
            # Nobody else on this machine is to read it; where there is no such notion the mode does nothing.
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                json.dump(made, file)
            part.replace(path)
        keys = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        why = error.strerror or str(error)
        raise InputError(
            f"the pages' keys: {path}: {why}; set VJENGINE_PAGES to a folder that can be written"
        ) from None
    except ValueError:
        keys = None
    if not isinstance(keys, dict) or not all(_is_key(keys.get(name)) for name in ("stage", "crowd")):
        raise ConfigError(path, "stage, crowd", "…", "the two keys that were written there; delete it for new ones")
    return keys


def _is_key(value: object) -> bool:
    return isinstance(value, str) and _KEY.fullmatch(value) is not None
