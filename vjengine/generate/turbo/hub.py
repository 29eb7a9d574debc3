"""The model hub: what a repository holds, which of it is wanted, and downloads that go on where they stopped.

The hub's own client starts every interrupted file anew; a VJ on hotel wi-fi cannot. So listing and transfer are the
client's, and the partial file is ours.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from vjengine.errors import GeneratorError, MissingDependency
from vjengine.generate.turbo.catalogue import WEIGHTS

HUB = "https://huggingface.co"
SAFE = (WEIGHTS, ".json", ".txt")
"""What is ever fetched: nothing that can run code when it is read."""
CHUNK = 1 << 18
"""Bytes that are read and kept at a time."""
PART = ".part"
"""Ending of a file that is still on its way."""

_COMPONENTS = ("unet", "vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler")
_FILM_COMPONENTS = ("unet", "vae", "image_encoder", "feature_extractor", "scheduler")
"""Of a video model, which is told by pictures and reads no text."""
_STEMS = ("diffusion_pytorch_model", "model")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a repository: its path there, its size in bytes, and what its bytes must hash to, where known."""

    path: str
    size: int
    sha256: str = ""
    git_sha1: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a repository at one commit."""

    repo: str
    commit: str
    files: tuple[RemoteFile, ...]


class Hub:
    """A hub at ``endpoint`` (default: ``$HF_ENDPOINT``, else Hugging Face).

    Raises:
        MissingDependency: without huggingface_hub.
    """

    def __init__(self, endpoint: str | None = None) -> None:
        try:
            from huggingface_hub import constants
            from huggingface_hub.utils import disable_progress_bars, logging
        except ImportError as error:
            raise MissingDependency("huggingface_hub", "pip install 'vjengine[turbo]'") from error
        self.endpoint = (endpoint or os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")
        # Its bars and warnings would be drawn over ours.
        disable_progress_bars()
        logging.set_verbosity_error()
        # Its own 10 MB are minutes on a bad network: progress that stands still, and lost when the connection breaks.
        constants.DOWNLOAD_CHUNK_SIZE = CHUNK

    def listing(self, repo: str, revision: str | None) -> Listing:
        """Return what ``repo`` holds at ``revision`` (default: now), with sizes.

        Raises:
            GeneratorError: no such repository or revision, no permission, no network.
        """
        from huggingface_hub import HfApi

        with _told(repo, revision):
            info = HfApi(endpoint=self.endpoint).model_info(repo, revision=revision, files_metadata=True, timeout=20)
        files = [
            RemoteFile(
                entry.rfilename,
                int(entry.size or 0),
                getattr(entry.lfs, "sha256", "") or "",
                "" if entry.lfs else entry.blob_id or "",
            )
            for entry in info.siblings or ()
            if is_safe(entry.rfilename)
        ]
        return Listing(repo, str(info.sha), tuple(files))

    def download(self, repo: str, commit: str, file: RemoteFile, target: Path, progress: Callable[[int], None]) -> None:
        """Bring ``file`` to ``target``, going on where an earlier attempt stopped.

        An interruption of any kind leaves the part that has arrived beside ``target``, for the next call.

        Args:
            repo, commit: where it is.
            file: what to fetch.
            target: where to; appears only when it is whole.
            progress: told how many bytes of it are here.

        Raises:
            GeneratorError: saying what failed; calling again goes on.
        """
        from huggingface_hub import hf_hub_url
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers

        part = target.with_name(target.name + PART)
        target.parent.mkdir(parents=True, exist_ok=True)
        if part.is_file() and part.stat().st_size > file.size:
            part.unlink()
        url = hf_hub_url(repo, file.path, revision=commit, endpoint=self.endpoint)
        # "identity": a length that is told is the length of the file.
        headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
        with _told(repo, commit), part.open("ab") as opened:
            here = opened.tell()
            progress(here)
            http_get(url, _Counted(opened, progress), resume_size=here, headers=headers, expected_size=file.size)  # type: ignore[arg-type,unused-ignore]
            opened.flush()
            os.fsync(opened.fileno())
        part.replace(target)


class _Counted:
    """A file that tells how far it has been written: progress that needs nothing of the client's own bars."""

    def __init__(self, file: BinaryIO, progress: Callable[[int], None]) -> None:
        self._file = file
        self._progress = progress

    def write(self, data: bytes) -> int:
        written = self._file.write(data)
        self._progress(self._file.tell())
        return written

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def truncate(self, size: int | None = None) -> int:
        return self._file.truncate(size)

    def tell(self) -> int:
        return self._file.tell()


@contextmanager
def _told(repo: str, revision: str | None) -> Iterator[None]:
    """Turn what the client raises into one line that says what to do."""
    from huggingface_hub import errors

    # Whatever library carries the client, its base class is what the hub's own error derives from.
    transport: Any = errors.HfHubHTTPError.__mro__[1]
    try:
        yield
    except errors.GatedRepoError as error:
        raise GeneratorError(
            f"{repo} asks for consent: accept its licence on {HUB}/{repo}, make a token there, then: hf auth login"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise GeneratorError(f"{repo} has no revision {revision!r}; leave it out for the newest") from error
    except errors.RepositoryNotFoundError as error:
        raise GeneratorError(
            f"the hub has no model {repo}, or it is private: check the spelling; for a private one: hf auth login"
        ) from error
    except errors.HFValidationError as error:
        raise GeneratorError(f"{repo} is not a hub id: expected owner/name") from error
    except (transport, OSError) as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise GeneratorError(
            f"the transfer from {repo} stopped: {reason}. What has arrived is kept; the same command goes on from there"
        ) from error


def is_safe(path: str) -> bool:
    """True for a path inside the folder, of a kind that cannot run code."""
    pure = PurePosixPath(path)
    inside = not pure.is_absolute() and ".." not in pure.parts and not any(mark in path for mark in '\\:*?"<>|\0')
    return inside and pure.suffix in SAFE


def choose_files(repo: str, names: Collection[str], skip: Collection[str] = ()) -> tuple[str, ...]:
    """Return which of the files ``names`` of a repository are needed to run it.

    Of a diffusers pipeline: the parts that draw, in half precision where there is one, never its safety checker,
    ONNX or flax copies. Of anything else: its one ``.safetensors`` file.

    Args:
        repo: for the message.
        names: paths in the repository.
        skip: components whose weights are not wanted.

    Raises:
        GeneratorError: if it holds no weights that can be read safely, or several and no telling which.
    """
    safe = sorted(name for name in names if is_safe(name))
    if "model_index.json" not in safe:
        return _lone_file(repo, names, safe)
    chosen = ["model_index.json"]
    film = "image_encoder/config.json" in safe and not any(name.startswith("text_encoder/") for name in safe)
    for component in _FILM_COMPONENTS if film else _COMPONENTS:
        inside = [name for name in safe if PurePosixPath(name).parent.as_posix() == component]
        if component in skip:
            continue
        weights = _weights(inside)
        if component == "unet" and not weights:
            raise GeneratorError(f"{repo} has no unet in {WEIGHTS}: vjengine reads no pickles, and needs a UNet")
        chosen += weights
        chosen += [name for name in inside if not name.endswith(WEIGHTS) and f"{WEIGHTS}.index" not in name]
    return tuple(chosen)


def _weights(inside: Collection[str]) -> list[str]:
    """Return the weight files of one component: in half precision if there are, whole or in shards."""
    for variant in (".fp16", ""):
        for stem in _STEMS:
            whole = [name for name in inside if PurePosixPath(name).name == f"{stem}{variant}{WEIGHTS}"]
            if whole:
                return whole
            shards = [
                name
                for name in inside
                if PurePosixPath(name).name.startswith(f"{stem}{variant}-0") and name.endswith(WEIGHTS)
            ]
            index = [name for name in inside if PurePosixPath(name).name == f"{stem}{WEIGHTS}.index{variant}.json"]
            if shards and index:
                return [*shards, *index]
    return []


def _lone_file(repo: str, names: Collection[str], safe: Collection[str]) -> tuple[str, ...]:
    weights = [name for name in safe if name.endswith(WEIGHTS)]
    known = [name for name in weights if name == "pytorch_lora_weights.safetensors"]
    if known or len(weights) == 1:
        return tuple(known or weights)
    if weights:
        raise GeneratorError(f"{repo} holds several models: say which, as {repo}/FILE with one of {', '.join(weights)}")
    raise GeneratorError(f"{repo} holds nothing in {WEIGHTS}: vjengine reads no pickles (it has {len(names)} files)")
