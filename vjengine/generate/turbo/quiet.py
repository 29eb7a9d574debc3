"""Libraries that talk are silenced here, in the process that loads models: a performer's terminal is not theirs."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

LIBRARIES = ("diffusers", "transformers", "huggingface_hub", "peft", "accelerate")


def silence_libraries() -> None:
    """Ask the libraries to be quiet, before they are imported: they look at these once, and advise while importing."""
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@contextmanager
def quietly() -> Iterator[None]:
    """Keep bars, warnings and advice of the libraries to themselves while they import and load."""
    silence_libraries()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from diffusers.utils import logging as diffusers_logging
        from transformers.utils import logging as transformers_logging

        diffusers_logging.disable_progress_bar()
        transformers_logging.disable_progress_bar()
        levels = {name: logging.getLogger(name).level for name in LIBRARIES}
        for name in LIBRARIES:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
