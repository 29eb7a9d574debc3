"""The turbo generator's own options, as written after its name: read and checked before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vjengine.errors import UsageError
from vjengine.generate.base import GeneratorSpec, Option

_CHOICES: dict[str, tuple[str, ...]] = {
    "rung": ("auto", "eager", "graph", "onnx", "openvino", "tensorrt"),
    "precision": ("auto", "float32", "bfloat16", "float16"),
    "vae": ("tiny", "full"),
}
_DEVICES = ("auto", "cpu", "cuda", "mps")
MAX_THREADS = 256


@dataclass(frozen=True, slots=True)
class TurboOptions:
    """What can be said after ``turbo:``.

    Attributes:
        model: a name of the catalogue, a diffusers folder, a hub id, a ``.safetensors`` file, ``random:NAME``.
        rung: a rung's name, or ``auto`` for the fastest.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        precision: of weights and activations; ``auto`` is half precision on a GPU, full on a CPU.
        vae: ``tiny`` (TAESD) or ``full``.
        loras: LoRA files or hub ids, in the order of the faders.
        init: where init pictures come from; empty for nowhere.
        threads: of the CPU; 0 leaves one core to the compositor.
        folder: of built engines; None for the usual one.
        prompts: texts to read before they are asked for, so that they come in at once; one a line in the option.
    """

    model: str = "sd-turbo"
    rung: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    vae: str = "tiny"
    loras: tuple[str, ...] = ()
    init: str = ""
    threads: int = 0
    folder: Path | None = None
    prompts: tuple[str, ...] = ()


def read_options(spec: GeneratorSpec) -> TurboOptions:
    """Return the options of ``spec``.

    Raises:
        UsageError: naming an option that is unknown or wrong, and what it may be.
    """
    given = dict(spec.options)
    known = ("device", "folder", "init", "lora", "model", "precision", "prompts", "rung", "threads", "vae")
    for key in given:
        if key not in known:
            raise UsageError(f"generator {spec.name!r} has no option {key!r}; it has: {', '.join(known)}")
    for key, choices in _CHOICES.items():
        if key in given and given[key] not in choices:
            raise UsageError(f"generator option {key} = {given[key]!r}: expected one of {', '.join(choices)}")
    device = _text(given, "device", "auto")
    kind, _, number = device.partition(":")
    if kind not in _DEVICES or (number and not (kind == "cuda" and number.isdecimal())):
        raise UsageError(f"generator option device = {device!r}: expected one of {', '.join(_DEVICES)}, cuda:1 ...")
    folder = _text(given, "folder", "")
    return TurboOptions(
        model=_text(given, "model", "sd-turbo"),
        rung=_text(given, "rung", "auto"),
        device=device,
        precision=_text(given, "precision", "auto"),
        vae=_text(given, "vae", "tiny"),
        loras=tuple(filter(None, (name.strip() for name in _text(given, "lora", "").split("|")))),
        init=_text(given, "init", ""),
        threads=_threads(given.get("threads", 0.0)),
        folder=Path(folder).expanduser() if folder else None,
        prompts=tuple(filter(None, _text(given, "prompts", "").splitlines())),
    )


def _text(given: dict[str, Option], key: str, default: str) -> str:
    """Return an option that is text; a command line has made ``lora=7`` a number."""
    value = given.get(key, default)
    text = f"{value:g}" if isinstance(value, (int, float)) else str(value)
    return text.strip() or default


def _threads(value: Option) -> int:
    if not isinstance(value, (int, float)) or not 0 <= value <= MAX_THREADS or value != int(value):
        raise UsageError(f"generator option threads = {value!r}: expected a whole number from 1 to {MAX_THREADS}")
    return int(value)
