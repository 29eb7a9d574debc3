"""A model hub on this machine: speaks the few endpoints that pulling needs, over real HTTP, and misbehaves on demand.

Loaded by file path from the tests that need it, since tests are no package.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class LocalHub:
    """Repositories by id, each a dictionary of files; files over 1 kB are told as large ones, by their SHA-256.

    Attributes:
        repos: what there is.
        commits: commits to tell instead of those that follow from the content.
        sizes: sizes to tell instead of the true ones, by path.
        cut: break the connection after so many bytes of a large file, as often as ``cuts`` says.
        ranges: False sends a file from its beginning whatever part was asked for, as some proxies do.
        stall_after: send so many bytes of a large file and then nothing more.
        spoil: paths that are sent with a byte changed, as often as ``spoils`` says.
        asked: every request: method, path, Range header.
    """

    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    commits: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    cut: int = 0
    cuts: int = 0
    stall_after: int = 0
    ranges: bool = True
    spoil: str = ""
    spoils: int = 0
    gated: set[str] = field(default_factory=set)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    moves: bool = True

    def __post_init__(self) -> None:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                hub.answer(self)

            def do_HEAD(self) -> None:
                hub.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def commit(self, repo: str) -> str:
        """The commit that a repository is at: it follows from its content."""
        if repo in self.commits:
            return self.commits[repo]
        digest = hashlib.sha1(usedforsecurity=False)
        for path, data in sorted(self.repos[repo].items()):
            digest.update(path.encode() + data)
        return digest.hexdigest()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = unquote(urlsplit(request.path).path)
        self.asked.append((request.command, path, request.headers.get("Range", "")))
        if info := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            self._info(request, info[1], info[2])
        elif file := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            data = self.repos.get(file[1], {}).get(file[3])
            if data is None:
                self._error(request, 404, "EntryNotFound")
            elif len(data) > 1000 and self.moves:
                # Large files lie on another host.
                self._send(request, 302, b"", {"Location": f"{self.url}/cdn/{file[1]}/{file[3]}"})
            else:
                self._file(request, file[3], data)
        elif file := re.fullmatch(r"/cdn/([^/]+/[^/]+)/(.+)", path):
            self._file(request, file[2], self.repos[file[1]][file[2]])
        else:
            self._error(request, 404, "RepoNotFound")

    def _info(self, request: BaseHTTPRequestHandler, repo: str, revision: str | None) -> None:
        if repo in self.gated:
            self._error(request, 403, "GatedRepo")
            return
        if repo not in self.repos:
            self._error(request, 404, "RepoNotFound")
            return
        if revision not in (None, "main", self.commit(repo)):
            self._error(request, 404, "RevisionNotFound")
            return
        files = []
        for path, data in self.repos[repo].items():
            size = self.sizes.get(path, len(data))
            entry: dict[str, object] = {"rfilename": path, "size": size, "blobId": _git(data)}
            if len(data) > 1000:
                entry["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": size, "pointerSize": 130}
            files.append(entry)
        body = {"_id": "1", "id": repo, "modelId": repo, "sha": self.commit(repo), "private": False, "siblings": files,
                "downloads": 0, "likes": 0, "tags": []}  # fmt: skip
        self._send(request, 200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _file(self, request: BaseHTTPRequestHandler, path: str, data: bytes) -> None:
        if path == self.spoil and self.spoils > 0:
            self.spoils -= 1
            data = data[:-1] + bytes([data[-1] ^ 1])
        status, headers = 200, {}
        wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        if wanted and self.ranges:
            start = int(wanted[1])
            headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
            status, data = 206, data[start:]
        if len(data) > self.stall_after > 0:
            request.send_response(status)
            request.send_header("Content-Length", str(len(data)))
            request.end_headers()
            request.wfile.write(data[: self.stall_after])
            request.wfile.flush()
            request.connection.settimeout(30)
            request.close_connection = True
            with contextlib.suppress(OSError):
                request.connection.recv(1)  # until the other side has had enough
            return
        if self.cuts > 0 and len(data) > self.cut > 0:
            self.cuts -= 1
            request.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                request.send_header(name, value)
            request.end_headers()
            request.wfile.write(data[: self.cut])
            request.wfile.flush()
            request.close_connection = True
            request.connection.shutdown(2)
            return
        self._send(request, status, data, headers)

    def _error(self, request: BaseHTTPRequestHandler, status: int, code: str) -> None:
        self._send(request, status, b"{}", {"X-Error-Code": code, "X-Error-Message": code})

    def _send(self, request: BaseHTTPRequestHandler, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            request.send_header(name, value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)


def _git(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


PART_FILES = {"config.json": b"{}", "diffusion_pytorch_model.safetensors": b"tiny" * 500}
"""Files of a model that is one component."""


def pipeline_files(size: int = 20_000, sdxl: bool = False) -> dict[str, bytes]:
    """Files of a repository as the hub holds pipelines: safe and unsafe formats, half and full precision, extras."""
    weights = bytes(range(256)) * (size // 256)
    files = {
        "model_index.json": b'{"_class_name": "StableDiffusionPipeline"}',
        "README.md": b"read me",
        "sd_turbo.safetensors": weights,
        "unet/config.json": b"{}",
        "unet/diffusion_pytorch_model.safetensors": weights * 2,
        "unet/diffusion_pytorch_model.fp16.safetensors": weights,
        "unet/diffusion_pytorch_model.bin": weights,
        "vae/config.json": b"{}",
        "vae/diffusion_pytorch_model.safetensors": weights[:5000],
        "text_encoder/config.json": b"{}",
        "text_encoder/model.fp16.safetensors": weights[:3000],
        "text_encoder/pytorch_model.bin": weights,
        "text_encoder/model.onnx": weights,
        "tokenizer/vocab.json": b"{}",
        "tokenizer/merges.txt": b"#version: 0.2\n",
        "scheduler/scheduler_config.json": b"{}",
        "safety_checker/model.safetensors": weights,
    }
    if sdxl:
        files["text_encoder_2/config.json"] = b"{}"
        files["text_encoder_2/model.safetensors"] = weights[:4000]
    return files
