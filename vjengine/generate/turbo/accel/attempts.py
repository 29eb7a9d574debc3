"""A note on disk of builds that failed, so that a show that starts again does not crash over the same one again."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from pathlib import Path

from vjengine.generate.turbo.accel.cache import ATTEMPT, FORMAT, keep_aside, library_version
from vjengine.generate.turbo.plan import FramePlan, RungName

MOST = 2
"""Builds that may end without a word (with the whole show, say) before no other is begun by itself."""
_BUILDERS = ("tensorrt-rtx", "tensorrt", "openvino", "onnxruntime", "torch")


class Attempts:
    """What became of earlier builds of the same thing with the same libraries.

    Args:
        folder: of the engines.
        fingerprint: of the model.
        plan: what for.
        rung: which.
    """

    def __init__(self, folder: Path, fingerprint: str, plan: FramePlan, rung: RungName) -> None:
        facts = (fingerprint, dataclasses.astuple(plan), rung, FORMAT, [library_version(name) for name in _BUILDERS])
        digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
        self._file = folder / f"{ATTEMPT}{digest}.json"

    def refusal(self) -> str:
        """Return why no further build should begin by itself; empty if one may."""
        begun, error = self._read()
        if error:
            return f"an earlier build failed: {error}"
        if begun >= MOST:
            return f"{begun} earlier builds ended without a word"
        return ""

    def begin(self) -> None:
        """Note that a build begins."""
        self._write(self._read()[0] + 1, "")

    def failed(self, why: str) -> None:
        """Note that it failed by itself."""
        self._write(self._read()[0], why or "no reason given")

    def forget(self) -> None:
        """It worked, or was stopped on purpose: what was is forgotten."""
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)

    def _read(self) -> tuple[int, str]:
        try:
            note = json.loads(self._file.read_text(encoding="utf-8"))
            return int(note["begun"]), str(note["error"])
        except (OSError, ValueError, TypeError, KeyError):
            return 0, ""

    def _write(self, begun: int, error: str) -> None:
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
        keep_aside(self._file, json.dumps({"begun": begun, "error": error}).encode())
