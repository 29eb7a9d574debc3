"""Replicate's HTTP interface: predictions, files, and a token that goes to nobody else.

https://replicate.com/docs/reference/http
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vjengine.errors import BackendError, OutOfMemory
from vjengine.offline.backends.wire import Answer, Http, Silent, back_off, multipart
from vjengine.offline.continuation import Watcher

API = "https://api.replicate.com"
TOKEN_VARIABLE = "REPLICATE_API_TOKEN"
_RUNNING = ("starting", "processing", "queued")
_LONGEST_WAIT = 60.0
_MODEL = re.compile(r"([\w.-]+)/([\w.-]+?)(?::([0-9a-f]{8,64}))?")


def find_token(file: Path | None = None) -> str:
    """Return the token of the environment or of ``file``; empty if there is none.

    Raises:
        BackendError: the file cannot be read, or holds no token.
    """
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if token or file is None:
        return token
    try:
        with file.expanduser().open(encoding="utf-8") as text:
            token = text.read(1000).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BackendError(f"{file}: the token cannot be read: {error}") from error
    if not token or not token.isprintable() or " " in token:
        raise BackendError(f"{file}: expected a token and nothing else")
    return token


class Replicate:
    """The service, as one who holds a token sees it.

    Args:
        token: sent to ``api`` only; it appears in no message, record or ``repr``.
        api: where the service is.
        tries: how often a request is made before it counts as failed.
        pause: s before the second try; doubled for each one after it, unless the service names a time.
        seconds: the most that one prediction may take.
        poll: s between two questions whether it is done.
    """

    def __init__(
        self,
        token: str,
        *,
        api: str = API,
        tries: int = 6,
        pause: float = 1.0,
        seconds: float = 3600.0,
        poll: float = 2.0,
    ) -> None:
        if not token:
            raise BackendError(f"Replicate needs a token: set {TOKEN_VARIABLE}, or `token_file:` in settings.yaml")
        self.http = Http(api, {"Authorization": f"Bearer {token}"})
        self.tries, self.pause, self.seconds, self.poll = tries, pause, seconds, poll

    def ask(self, method: str, path: str, watcher: Watcher, doing: str, *, costs: bool = False, **how: Any) -> Answer:
        """Send a request; wait and try again if the service is out of reach, at fault, or asks us to slow down.

        Args:
            method, path, watcher, doing, how: as in :meth:`~vjengine.offline.backends.wire.Http.ask`.
            costs: it costs money to be understood twice, so it is not sent again after an answer that was lost.

        Raises:
            BackendError: it stays so, or it is refused.
        """
        for attempt in range(self.tries):
            wait = self.pause * 2**attempt
            words = "Replicate does not answer"
            try:
                answer = self.http.ask(method, path, watcher=watcher, doing=doing, **how)
                if answer.status < 400:
                    return answer
                if answer.status == 429:
                    wait, words = max(wait, _slow_down(answer)), "Replicate asks us to slow down"
                fault = _refused(answer)
            except BackendError as error:
                if costs:
                    raise
                fault = error
            if not fault.retry or attempt + 1 == self.tries:
                raise fault
            back_off(min(wait, _LONGEST_WAIT), watcher, words)
        raise AssertionError("not reached")

    def account(self) -> str:
        """Return whose token it is; the quickest question that needs one."""
        answer = self.ask("GET", "/v1/account", Silent(), "asking Replicate", seconds=10.0).json()
        return str(answer.get("username", "")) if isinstance(answer, dict) else ""

    def upload(self, name: str, png: bytes, watcher: Watcher) -> tuple[str, str]:
        """Store a picture for a model to read; return its number and its address."""
        data, kind = multipart({}, "content", name, "image/png", png)
        answer = self.ask("POST", "/v1/files", watcher, "sending the last picture", data=data, kind=kind, seconds=300.0)
        file = answer.json()
        address = file.get("urls", {}).get("get") if isinstance(file, dict) else None
        if not isinstance(address, str):
            raise BackendError("Replicate did not say where it keeps the picture", retry=True)
        return str(file.get("id", "")), address

    def forget(self, number: str) -> None:
        """Delete a stored picture; it expires by itself if that fails."""
        with contextlib.suppress(BackendError):
            self.http.ask("DELETE", f"/v1/files/{number}", seconds=5.0)

    def run(self, model: str, values: Mapping[str, Any], watcher: Watcher) -> Any:
        """Make a prediction, follow it, and return its output.

        Args:
            model: ``owner/name`` or ``owner/name:version``.
            values: the model's own input.
            watcher: told how far it is; may raise to leave, which cancels.

        Raises:
            BackendError: refused, failed, cancelled or too slow.
            OutOfMemory: it did not fit.
        """
        owner, name, version = split_model(model)
        if version:
            path, body = "/v1/predictions", {"version": version, "input": values}
        else:
            path, body = f"/v1/models/{owner}/{name}/predictions", {"input": values}
        job = self.ask("POST", path, watcher, "asking Replicate", costs=True, body=body).json()
        number = job.get("id") if isinstance(job, dict) else None
        if not isinstance(number, str) or not re.fullmatch(r"[\w-]{1,100}", number):
            raise BackendError("Replicate did not say which number the prediction has", retry=True)
        try:
            return self._follow(number, job, watcher)
        except (KeyboardInterrupt, BackendError):
            self.cancel(number)
            raise

    def _follow(self, number: str, job: Any, watcher: Watcher) -> Any:
        begun = time.monotonic()
        while True:
            status = job.get("status") if isinstance(job, dict) else None
            if status == "succeeded":
                return job.get("output")
            if status in ("failed", "canceled", "cancelled", "aborted"):
                _raise_failure(str(status), str(job.get("error") or "")[:300])
            if status not in _RUNNING:
                raise BackendError(f"Replicate reports the state {str(status)[:40]!r}, which is unknown here")
            if time.monotonic() - begun > self.seconds:
                raise BackendError(f"the prediction took more than {self.seconds:g} s (`seconds:` in settings.yaml)")
            back_off_quietly(self.poll, watcher, "Replicate starts" if status == "starting" else "Replicate draws")
            job = self.ask("GET", f"/v1/predictions/{number}", watcher, "Replicate draws").json()

    def cancel(self, number: str) -> None:
        """Cancel a prediction, so that it costs nothing more. Takes three seconds at most and never raises."""

        def tell() -> None:
            with contextlib.suppress(BackendError):
                self.http.ask("POST", f"/v1/predictions/{number}/cancel", seconds=5.0)

        teller = threading.Thread(target=tell, name="replicate cancel", daemon=True)
        teller.start()
        teller.join(3.0)

    def fetch(self, address: str, watcher: Watcher, limit: int) -> bytes:
        """Download one output. It lies elsewhere, so the token is not sent along."""
        if not address.startswith("https://") and not address.startswith(f"{self.http.base}/"):
            raise BackendError(f"Replicate's output is at {address[:80]!r}, which is no https address")
        return self.ask("GET", address, watcher, "fetching the pictures", limit=limit, seconds=600.0).body


def split_model(model: str) -> tuple[str, str, str]:
    """Return (owner, name, version) of ``owner/name`` or ``owner/name:version``.

    Raises:
        BackendError: if it is neither.
    """
    match = _MODEL.fullmatch(model)
    if not match:
        raise BackendError(f"{model!r} is no model of Replicate: expected owner/name or owner/name:version")
    return match[1], match[2], match[3] or ""


def back_off_quietly(wait: float, watcher: Watcher, doing: str) -> None:
    """Wait ``wait`` s, telling ``watcher`` only what is being done."""
    pause, end = threading.Event(), time.monotonic() + wait
    while (left := end - time.monotonic()) > 0:
        watcher.alive(doing)
        pause.wait(min(0.2, left))


def _slow_down(answer: Answer) -> float:
    """Return the s after which the service wants to be asked again."""
    after = answer.headers.get("retry-after", "")
    if after.isdigit():
        return float(after)
    match = re.search(rb"resets in ~?(\d{1,4})", answer.body)
    return float(match[1]) if match else 1.0


def _refused(answer: Answer) -> BackendError:
    if answer.status in (401, 403):
        return BackendError(f"Replicate does not take the token (status {answer.status}); is it whole and still valid?")
    if answer.status == 402:
        return BackendError("Replicate wants to be paid first: see replicate.com/account/billing")
    detail = ""
    with contextlib.suppress(BackendError):
        body = answer.json()
        detail = str(body.get("detail", ""))[:300] if isinstance(body, dict) else ""
    retry = answer.status == 429 or answer.status >= 500
    return BackendError(
        f"Replicate answers with status {answer.status}" + (f": {detail}" if detail else ""), retry=retry
    )


def _raise_failure(status: str, message: str) -> None:
    if "out of memory" in message.lower():
        raise OutOfMemory(f"the model ran out of memory at Replicate: {message}")
    if status == "failed":
        raise BackendError(f"the prediction failed at Replicate: {message or 'no reason given'}", retry=True)
    raise BackendError("the prediction was cancelled at Replicate")
