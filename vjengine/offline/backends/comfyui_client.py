"""ComfyUI's HTTP and WebSocket interface: what exists there, put in, watch, fetch, take out again.

The WebSocket tells how far it is; what counts is the server's history, so a socket that breaks costs the progress bar
and nothing else. Routes and messages as ComfyUI's ``server.py`` and ``execution.py`` define them.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
import time
import urllib.parse
import uuid
from collections.abc import Mapping
from typing import Any

from vjengine.errors import BackendError, OutOfMemory
from vjengine.offline.backends.wire import Answer, Http, Silent, back_off, multipart
from vjengine.offline.continuation import Watcher

_LOG = logging.getLogger(__name__)
_MESSAGE_LIMIT = 32 << 20
"""Largest WebSocket message, bytes; previews of pictures come by it."""
_LOOK = 0.2
_OUT_OF_MEMORY = ("outofmemory", "out of memory", "allocation on device", "not enough memory", "hip out of memory")


class Comfy:
    """One ComfyUI server.

    Args:
        address: ``http://host:port``.
        tries: how often a request is made before the server counts as down.
        pause: s before the second try; doubled for each one after it.
        seconds: the most that one job may take.
        patience: s without any word of a job before it counts as stuck.
        poll: s between two questions whether a job is done, beside what the WebSocket says.
    """

    def __init__(
        self,
        address: str,
        *,
        tries: int = 4,
        pause: float = 1.0,
        seconds: float = 3600.0,
        patience: float = 600.0,
        poll: float = 2.0,
    ) -> None:
        self.http = Http(address)
        self.tries, self.pause, self.seconds = tries, pause, seconds
        self.patience, self.poll = patience, poll
        self.client_id = uuid.uuid4().hex

    def ask(self, method: str, path: str, watcher: Watcher, doing: str, **how: Any) -> Answer:
        """Send a request, again if the server is out of reach or has a fault of its own.

        Raises:
            BackendError: it stays so; the message says where to look.
        """
        for attempt in range(self.tries):
            try:
                answer = self.http.ask(method, path, watcher=watcher, doing=doing, **how)
                if answer.status < 500:
                    return answer
                raise BackendError(f"ComfyUI at {self.http.base} has a fault: {_detail(answer)}", retry=True)
            except BackendError as error:
                if not error.retry:
                    raise
                if attempt + 1 == self.tries:
                    raise BackendError(
                        f"{error}. Is ComfyUI running at {self.http.base}? Start it, or set `server:` in settings.yaml",
                        retry=True,
                    ) from error
            back_off(self.pause * 2**attempt, watcher, "ComfyUI does not answer")
        raise AssertionError("not reached")

    def stats(self, watcher: Watcher | None = None) -> Mapping[str, Any]:
        """Return the server's version and devices (``/system_stats``)."""
        answer = self._good(self.ask("GET", "/system_stats", watcher or Silent(), "asking ComfyUI", seconds=10.0))
        if not isinstance(answer, dict) or "system" not in answer:
            raise BackendError(f"{self.http.base} answers, but is no ComfyUI")
        return answer

    def node(self, kind: str, watcher: Watcher) -> Mapping[str, Any] | None:
        """Return what the server knows of nodes of class ``kind``; None if there are none."""
        path = f"/object_info/{urllib.parse.quote(kind, safe='')}"
        answer = self._good(self.ask("GET", path, watcher, "checking the workflow"))
        found = answer.get(kind) if isinstance(answer, dict) else None
        return found if isinstance(found, dict) else None

    def upload(self, name: str, png: bytes, watcher: Watcher) -> str:
        """Put a picture into the server's input folder; return what LoadImage calls it."""
        data, kind = multipart({"overwrite": "true", "type": "input"}, "image", name, "image/png", png)
        answer = self._good(
            self.ask("POST", "/upload/image", watcher, "sending the last picture", data=data, kind=kind, seconds=120.0)
        )
        stored = answer.get("name") if isinstance(answer, dict) else None
        if not isinstance(stored, str) or not stored:
            raise BackendError(f"ComfyUI did not say under which name it keeps {name}", retry=True)
        folder = answer.get("subfolder")
        return f"{folder}/{stored}" if isinstance(folder, str) and folder else stored

    def free(self) -> None:
        """Ask the server to unload models and give memory back."""
        self._good(
            self.ask("POST", "/free", Silent(), "freeing memory", body={"unload_models": True, "free_memory": True})
        )

    def run(self, workflow: Mapping[str, Any], watcher: Watcher) -> Mapping[str, Any]:
        """Queue ``workflow``, follow it, and return its entry of the history.

        Raises:
            BackendError: refused, failed, stuck or lost.
            OutOfMemory: it did not fit.
        """
        with _Ears(self.http.base, self.client_id) as ears:
            # Newer servers take the number from us: asked twice because an answer was lost, it is one job to watch.
            body = {"prompt": workflow, "client_id": self.client_id, "prompt_id": str(uuid.uuid4())}
            answer = self.ask("POST", "/prompt", watcher, "queueing", body=body)
            if answer.status != 200:
                raise BackendError(f"ComfyUI refuses the workflow: {_refusal(answer)}")
            job = answer.json()
            number = job.get("prompt_id") if isinstance(job, dict) else None
            if not isinstance(number, str):
                raise BackendError("ComfyUI did not say which number the job has", retry=True)
            try:
                return self._follow(number, ears, watcher)
            except (KeyboardInterrupt, BackendError, OutOfMemory):
                self.cancel(number)
                raise

    def _follow(self, number: str, ears: _Ears, watcher: Watcher) -> Mapping[str, Any]:
        begun = heard = time.monotonic()
        asked, doing, fraction, missing = begun, "waiting in ComfyUI's queue", -1.0, 0
        while True:
            message = ears.next(_LOOK)
            now = time.monotonic()
            done = False
            if message is not None:
                kind, data = message
                if data.get("prompt_id") in (number, None):
                    heard = now
                    doing, fraction, done = _progress(kind, data, doing, fraction)
            watcher.alive(doing, fraction)
            if done or now - asked > self.poll:
                asked = now
                entry = self._history(number, watcher)
                if entry is not None:
                    return entry
                # Neither done nor waiting nor running: the server was started anew in the meantime. The answer to
                # one question may cross the end of the job, so it takes two.
                state = self.place(number, watcher)
                missing = missing + 1 if state == "" else 0
                if missing >= 2:
                    raise BackendError("ComfyUI has forgotten the job; it was probably started anew", retry=True)
                if state == "waiting":
                    heard, doing = now, "waiting in ComfyUI's queue"
            if now - heard > self.patience:
                raise BackendError(f"ComfyUI said nothing of the job for {self.patience:g} s", retry=True)
            if now - begun > self.seconds:
                raise BackendError(f"the job took more than {self.seconds:g} s (`seconds:` in settings.yaml)")

    def _history(self, number: str, watcher: Watcher) -> Mapping[str, Any] | None:
        answer = self._good(self.ask("GET", f"/history/{number}", watcher, "asking how far it is"))
        entry = answer.get(number) if isinstance(answer, dict) else None
        if not isinstance(entry, dict):
            return None
        status = entry.get("status")
        if isinstance(status, dict):
            for kind, data in _messages(status):
                if kind in ("execution_error", "execution_interrupted"):
                    _raise_failure(kind, data)
            if status.get("status_str") == "error":
                raise BackendError("the workflow failed in ComfyUI, which gives no reason; its console may")
            if status.get("completed") is False:
                return None
        return entry

    def place(self, number: str, watcher: Watcher) -> str:
        """Return ``"running"``, ``"waiting"`` or ``""``: where in the queue a job is."""
        answer = self._good(self.ask("GET", "/queue", watcher, "asking how far it is"))
        if isinstance(answer, dict):
            for key, word in (("queue_running", "running"), ("queue_pending", "waiting")):
                jobs = answer.get(key)
                if isinstance(jobs, list) and any(isinstance(job, list) and number in job[:2] for job in jobs):
                    return word
        return ""

    def cancel(self, number: str) -> None:
        """Take a job out of the queue, or stop it if it runs; another one's job is left alone.

        Asked on the way out, so it takes three seconds at most and never raises.
        """

        def tell() -> None:
            once = Http(self.http.base, timeout=2.0)
            with contextlib.suppress(BackendError):
                once.ask("POST", "/queue", body={"delete": [number]}, seconds=2.0)
                running = once.ask("GET", "/queue", seconds=2.0).json().get("queue_running", [])
                if any(isinstance(job, list) and number in job[:2] for job in running):
                    # Newer servers stop this job only; older ones ignore the body, but then it is ours that runs.
                    once.ask("POST", "/interrupt", body={"prompt_id": number}, seconds=2.0)

        # On a thread, so that a second Ctrl-C need not wait for a server that does not answer.
        teller = threading.Thread(target=tell, name="comfyui cancel", daemon=True)
        teller.start()
        teller.join(3.0)

    def fetch(self, file: Mapping[str, Any], watcher: Watcher, limit: int) -> bytes:
        """Download one output, again if it comes in part only."""
        query = urllib.parse.urlencode({key: str(file.get(key, "")) for key in ("filename", "subfolder", "type")})
        answer = self.ask("GET", f"/view?{query}", watcher, "fetching the pictures", limit=limit, seconds=600.0)
        if answer.status != 200:
            raise BackendError(f"ComfyUI does not give {file.get('filename')}: {_detail(answer)}", retry=True)
        return answer.body

    def _good(self, answer: Answer) -> Any:
        if answer.status >= 400:
            raise BackendError(f"ComfyUI at {self.http.base} refuses: {_detail(answer)}")
        return answer.json() if answer.body.strip() else {}


class _Ears:
    """The WebSocket: messages as they come, and silence where there is none."""

    def __init__(self, base: str, client_id: str) -> None:
        self.address = f"{base.replace('http', 'ws', 1)}/ws?clientId={client_id}"
        self.socket: Any = None
        self.held = contextlib.ExitStack()
        self.tried = 0.0

    def __enter__(self) -> _Ears:
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        # Saying goodbye waits for the server's own; nobody need wait for that.
        threading.Thread(target=self.held.close, name="comfyui close", daemon=True).start()

    def _open(self) -> None:
        from websockets.exceptions import InvalidHandshake, InvalidMessage
        from websockets.sync.client import connect

        self.tried = time.monotonic()
        parts = urllib.parse.urlsplit(self.address)
        port = parts.port or (443 if parts.scheme == "wss" else 80)
        try:
            # A connection made by hand goes to the server and not to a proxy of the environment.
            line = socket.create_connection((parts.hostname or "", port), timeout=5.0)
            opened = connect(
                self.address, sock=line, open_timeout=5.0, close_timeout=1.0, max_size=_MESSAGE_LIMIT, compression=None
            )
            self.socket = self.held.enter_context(opened)
        except (OSError, InvalidHandshake, InvalidMessage, EOFError) as error:
            _LOG.info("no progress from ComfyUI: %s", error)
            self.socket = None

    def next(self, seconds: float) -> tuple[str, Mapping[str, Any]] | None:
        """Return the next message within ``seconds``, if there is one."""
        from websockets.exceptions import ConnectionClosed

        if self.socket is None:
            threading.Event().wait(seconds)
            if time.monotonic() - self.tried > 5.0:
                self._open()
            return None
        try:
            text = self.socket.recv(timeout=seconds)
        except TimeoutError:
            return None
        except (ConnectionClosed, OSError):
            self.socket = None
            return None
        if not isinstance(text, str):
            return "preview", {}
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            return None
        kind, data = (message.get("type"), message.get("data")) if isinstance(message, dict) else (None, None)
        return (kind, data) if isinstance(kind, str) and isinstance(data, dict) else None


def _progress(kind: str, data: Mapping[str, Any], doing: str, fraction: float) -> tuple[str, float, bool]:
    """Return what is being done, how far it is, and whether the history is worth a look."""
    if kind == "progress":
        value, most = data.get("value"), data.get("max")
        if isinstance(value, int | float) and isinstance(most, int | float) and most > 0:
            return "ComfyUI draws", min(max(value / most, 0.0), 1.0), False
    if kind == "executing":
        node = data.get("node")
        if node is None:
            return "ComfyUI is done", 1.0, True
        return f"ComfyUI: node {str(node)[:40]}", -1.0, False
    if kind in ("execution_success", "execution_error", "execution_interrupted"):
        return doing, fraction, True
    return doing, fraction, False


def _messages(status: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    found = status.get("messages")
    if not isinstance(found, list):
        return []
    return [
        (item[0], item[1])
        for item in found
        if isinstance(item, list) and len(item) == 2 and isinstance(item[0], str) and isinstance(item[1], dict)
    ]


def _raise_failure(kind: str, data: Mapping[str, Any]) -> None:
    if kind == "execution_interrupted":
        raise BackendError("the job was stopped at the ComfyUI server")
    message = str(data.get("exception_message", "")).strip()[:300]
    name = str(data.get("exception_type", ""))
    where = f"{data.get('node_type', 'a node')} (node {data.get('node_id', '?')})"
    words = f"{name} {message}".lower()
    if any(sign in words for sign in _OUT_OF_MEMORY):
        raise OutOfMemory(f"ComfyUI ran out of memory in {where}: {message}")
    raise BackendError(f"{where} failed in ComfyUI: {name}: {message}")


def _refusal(answer: Answer) -> str:
    """Return what a refused workflow is refused for, node by node."""
    try:
        body = answer.json()
    except BackendError:
        return _detail(answer)
    faults: list[str] = []
    errors = body.get("node_errors") if isinstance(body, dict) else None
    if isinstance(errors, dict):
        for number, node in errors.items():
            for fault in node.get("errors", []) if isinstance(node, dict) else []:
                if isinstance(fault, dict):
                    words = f"{fault.get('message', '')}: {fault.get('details', '')}".strip(": ")
                    faults.append(f"node {number} ({node.get('class_type', '?')}): {words}")
    return "; ".join(faults)[:600] or _detail(answer)


def _detail(answer: Answer) -> str:
    """Return a status and the first words of what came with it."""
    text = answer.body[:4000].decode("utf-8", "replace").strip()
    with contextlib.suppress(ValueError, RecursionError):
        data = json.loads(answer.body)
        error = data.get("error") if isinstance(data, dict) else None
        text = str(error.get("message", error) if isinstance(error, dict) else error or text)
    if text.lower().startswith(("<!doctype", "<html")):
        text = "a web page"
    return f"status {answer.status}" + (f", {text[:200]}" if text else "")
