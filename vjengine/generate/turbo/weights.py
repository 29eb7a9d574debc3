"""Files of weights: whether they are whole, what is in them, and a name for their content."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

from vjengine.errors import GeneratorError

_BLOCKS, _BLOCK = 256, 1 << 14
_HEADER_LIMIT = 100_000_000


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Return the header of a ``.safetensors`` file and where its data begin, after checking that all of it is there.

    Raises:
        GeneratorError: naming the file and what is wrong with it.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
            if not 2 <= length <= min(size, _HEADER_LIMIT):
                raise GeneratorError(f"{path} is not a safetensors file: get it again")
            header = json.loads(file.read(length))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        wanted = 8 + length + max(ends, default=0)
    except OSError as error:
        raise GeneratorError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise GeneratorError(f"{path} is not a safetensors file: get it again") from error
    if size < wanted:
        raise GeneratorError(f"{path} is cut short: it has {size} of {wanted} bytes; get it again")
    return header, 8 + length


def read_tensors(path: Path, device: str = "cpu") -> tuple[dict[str, Any], dict[str, str]]:
    """Return all tensors of a ``.safetensors`` file, and the words in its header.

    Raises:
        GeneratorError: naming the file and what is wrong with it.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    header, _ = read_header(path)
    try:
        tensors = load_file(path, device=device)
    except SafetensorError as error:
        raise GeneratorError(f"{path} is broken ({error}): get it again") from error
    words = header.get("__metadata__")
    return tensors, {str(key): str(value) for key, value in words.items()} if isinstance(words, dict) else {}


def fingerprint_file(path: Path) -> str:
    """Return a hex digest that stands for the content of ``path``: 20 characters.

    It is read in samples: size, the first megabyte (a header with every tensor's name, type and shape lies there) and
    256 blocks of 16 kB spread over the rest; all of it up to 5 MB. Any retrained or merged file differs everywhere and
    gets another name in milliseconds; one flipped bit may not, and that is what ``vjengine models verify`` is for.

    Raises:
        GeneratorError: if it cannot be read.
    """
    try:
        size = path.stat().st_size
        digest = hashlib.blake2b(str(size).encode(), digest_size=10)
        with path.open("rb") as file:
            digest.update(file.read(1 << 20))
            rest = size - (1 << 20)
            if rest <= _BLOCKS * _BLOCK:
                digest.update(file.read())
            else:
                for index in range(_BLOCKS):
                    file.seek((1 << 20) + index * (rest - _BLOCK) // (_BLOCKS - 1))
                    digest.update(file.read(_BLOCK))
    except OSError as error:
        raise GeneratorError(f"{path} cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()
