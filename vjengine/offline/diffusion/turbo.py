"""The continuation ``turbo``: the turbo model picture by picture, each dreamt upon the last one moved on.

All that a chunk owes to the one before are its last two pictures, in the 16 bits in which they were fed back, the seed
and the words: so a film that was stopped goes on with the same bytes.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from vjengine.errors import GeneratorError
from vjengine.generate.turbo.catalogue import read_name
from vjengine.generate.turbo.device import chosen_device, chosen_precision
from vjengine.generate.turbo.folder import weight_files
from vjengine.generate.turbo.memory import FACTS, estimate
from vjengine.generate.turbo.options import TurboOptions
from vjengine.generate.turbo.parts import ModelKind
from vjengine.generate.turbo.plan import FramePlan
from vjengine.generate.turbo.quiet import silence_libraries
from vjengine.generate.turbo.store import Store
from vjengine.generate.turbo.weights import fingerprint_file
from vjengine.offline.continuation import Arrays, Ask, Carried, Clip, Need, Opening, Pixels16, Watcher
from vjengine.offline.diffusion.advect import Floats, advected, motion_between
from vjengine.offline.diffusion.drawer import Drawer, Dream
from vjengine.offline.diffusion.faults import told_apart
from vjengine.offline.diffusion.options import TurboFilmOptions
from vjengine.offline.diffusion.pictures import drawn_size, fitted

_CODE = 1
_SEED, _PROMPT = "seed", "prompt"
_GLIDE = 1.5
"""s that a new prompt takes to come in, at most; never longer than its chunk."""
_MIB = 1 << 20
_STRENGTHS = (0.05, 0.95)


class TurboContinuation:
    """See :class:`~vjengine.offline.continuation.Continuation`.

    Args:
        options: what to run, and how.

    Raises:
        UsageError: no model can have that name, or there is no such device.
        GeneratorError: the model is not here, or not whole; the message says what to do.
    """

    name = "turbo"
    tail = 2

    def __init__(self, options: TurboFilmOptions | None = None) -> None:
        silence_libraries()
        self._options = options = options or TurboFilmOptions()
        turbo = TurboOptions(device=options.device, precision=options.precision)
        self._device = chosen_device(turbo)
        self._precision = chosen_precision(turbo, self._device)
        if options.threads:
            torch.set_num_threads(options.threads)
        self._weights = _fingerprint(options.model)
        self._tiled = False
        self._drawer: Drawer | None = None
        self._size = (0, 0)
        self.chunk = options.chunk
        self.deterministic = self._device == "cpu"
        kind = self._device.partition(":")[0]
        self.version = f"turbo {_CODE}: {self._weights} {options} {self._precision} {kind} {torch.__version__}"

    def need(self, size: tuple[int, int], frames: int) -> Need:
        """Estimate the memory of a chunk; it does not grow with ``frames`` but by the pictures themselves."""
        source = read_name(self._options.model)
        kind: ModelKind = (source.row.kind if source.row else None) or ("sdxl" if "xl" in source.name.lower() else "sd")
        plan = FramePlan(drawn_size(size), self._device, self._precision, tiled=self._tiled)
        found = estimate(FACTS[kind], plan, "graph", self._options.vae == "full")
        device, host = found.total / _MIB, frames * size[0] * size[1] * 6 / _MIB + 64.0
        words = f"weights {found.weights / _MIB / 1024:.1f} GiB, drawing {found.activations / _MIB / 1024:.1f} GiB"
        return Need(0.0, host + device, words) if self._device == "cpu" else Need(device, host, words, self._device)

    def open(self, opening: Opening, size: tuple[int, int], watcher: Watcher) -> Carried:
        """Begin with the pictures that there are, or draw one of the text."""
        if opening.pictures is not None:
            frames = fitted(opening.pictures, size)
        elif not opening.prompt.strip():
            raise GeneratorError("a film begins with a text, an image or a video: give one of them")
        else:
            frames = told_apart(
                "the first picture cannot be drawn", self._device, lambda: self._first(opening, size, watcher)
            )
        return Carried(frames, frames[0], _packed(opening.seed, opening.prompt))

    def extend(self, carried: Carried, ask: Ask, watcher: Watcher) -> Clip:
        """Dream the next pictures."""
        return told_apart("a picture cannot be dreamt", self._device, lambda: self._extend(carried, ask, watcher))

    def lighten(self) -> str:
        """Decode in tiles, where there is anything to be gained by it."""
        self.close()
        if self._options.vae == "full" and not self._tiled:
            self._tiled = True
            return "decoding in tiles"
        return ""

    def close(self) -> None:
        """Let go of the model."""
        drawer, self._drawer = self._drawer, None
        if drawer is not None:
            drawer.close()

    def _first(self, opening: Opening, size: tuple[int, int], watcher: Watcher) -> Pixels16:
        drawer = self._loaded(size, watcher)
        drawer.say((opening.prompt, opening.prompt), opening.negative)
        return drawer.draw(None, Dream(1.0, 4, self._options.guidance, (opening.seed, opening.seed)))[None]

    def _extend(self, carried: Carried, ask: Ask, watcher: Watcher) -> Clip:
        began = time.perf_counter()
        options, frames = self._options, max(1, min(ask.frames, self.chunk))
        last = carried.frames[-1]
        before: Pixels16 | None = carried.frames[-2] if len(carried.frames) > 1 else None
        drawer = self._loaded((last.shape[1], last.shape[0]), watcher)
        seed, prompt = _unpacked(carried.state, ask)
        glide = max(1, min(frames, round(_GLIDE * float(ask.fps))))
        made = np.empty((frames, *last.shape), np.uint16)
        for number in range(frames):
            watcher.alive(f"chunk {ask.index + 1}: picture {number + 1} of {frames}", number / frames)
            beat = min(max(ask.pulse[number], 0.0), 1.0) if number < len(ask.pulse) else 0.0
            flow: Floats | None = None if before is None else motion_between(before, last)
            moved = advected(last, flow, options.inertia, self._zoom(ask, beat))
            drawer.say((prompt, ask.prompt), ask.negative, (number + 1) / glide)
            strength = options.strength * (0.9 + 0.35 * beat) + max(ask.noise, 0.0)
            # All the way from the last chunk's noise to this one's: no picture begins with other noise than the last.
            dream = Dream(
                min(max(strength, _STRENGTHS[0]), _STRENGTHS[1]),
                options.steps,
                options.guidance,
                (seed, ask.seed),
                (number + 1) / frames,
            )
            before, last = last, drawer.draw(moved, dream)
            made[number] = last
        notes = {"seed": ask.seed, "steps": options.steps, "seconds": round(time.perf_counter() - began, 3)}
        return Clip(made, _packed(ask.seed, ask.prompt), notes)

    def _zoom(self, ask: Ask, beat: float) -> float:
        """Return the e-folds of zoom that are added in one picture; inertia makes the wanted pace of them."""
        options = self._options
        pace = options.drift * min(max(ask.motion, 0.0), 1.0) + options.kick * beat
        return (1.0 - options.inertia) * pace / max(float(ask.fps), 1.0)

    def _loaded(self, size: tuple[int, int], watcher: Watcher) -> Drawer:
        if self._drawer is not None and self._size != size:
            self.close()
        if self._drawer is None:
            self._drawer = Drawer(
                self._options.model,
                size,
                device=self._device,
                precision=self._precision,
                full_vae=self._options.vae == "full",
                tiled=self._tiled,
                alive=watcher.alive,
            )
            self._size = size
        return self._drawer


def _packed(seed: int, prompt: str) -> dict[str, npt.NDArray[np.generic]]:
    """Return what is carried: a seed in 16-bit words, and the letters of the prompt, as exact float32."""
    words = [(seed >> shift) & 0xFFFF for shift in (0, 16, 32, 48)]
    return {
        _SEED: np.array(words, np.float32),
        _PROMPT: np.array([ord(letter) for letter in prompt], np.float32),
    }


def _unpacked(state: Arrays, ask: Ask) -> tuple[int, str]:
    if _SEED not in state:
        return ask.seed, ask.prompt
    seed = sum(int(word) << shift for word, shift in zip(state[_SEED].tolist(), (0, 16, 32, 48), strict=True))
    return seed, "".join(chr(int(code)) for code in state[_PROMPT].tolist())


def _fingerprint(model: str) -> str:
    """Return what stands for the weights of ``model``, without loading it."""
    source = read_name(model)
    if source.kind == "random":
        return model
    path = Store().path(model)
    files: list[Path] = [path] if path.is_file() else weight_files(path / "unet")
    return " ".join(fingerprint_file(file) for file in files)
