"""settings.yaml: how a project's film is made. Strict: a key that is not known is refused, with the nearest that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from vjengine.errors import UsageError
from vjengine.offline.backends.options import COMFYUI, REPLICATE
from vjengine.offline.finish.encoders import ENCODERS
from vjengine.offline.finish.grade import parse_grade
from vjengine.offline.finish.options import METHODS, UPSCALERS, FinishOptions, named_size
from vjengine.offline.longcat.settings import ANCHORS
from vjengine.strict_yaml import Place, Reader, number, one_of, read_fields, read_yaml, text, whole

CONTINUATIONS = {
    "builtin": "builtin",
    "diffusers": "svd",
    "turbo": "turbo",
    "comfyui": "comfyui",
    "replicate": "replicate",
}
"""Backends as a project calls them, and the continuation that each of them is."""

ON_FAILURE = ("stop", "builtin")


@dataclass(frozen=True, slots=True)
class ProjectSettings:
    """How a film is made.

    Attributes:
        size: (width, height), px.
        fps: pictures a second as made; None leaves it to the backend.
        seed: of everything random.
        cycles: chunks that a run makes if the command line names no number.
        frames: new pictures a cycle; 0 leaves it to the backend.
        retries: times that a refused chunk is made again.
        tries: times that a cycle is begun again after a fault of the backend that may pass.
        on_failure: ``stop``, or ``builtin``: the built-in continuation makes the rest.
        stabilise: None leaves it to the backend.
        motion: 0-1; None takes it from the music.
        noise: on the conditioning picture, 0-0.1.
        anchor: as in :class:`~vjengine.offline.longcat.settings.Settings`.
        guidance: (first, last) of a chunk.
        picture, video, audio: inputs, as found; None for none.
        finish: the final film.
        backends: settings of each backend, by its name here.
    """

    size: tuple[int, int] = (1024, 576)
    fps: Fraction | None = None
    seed: int = 1
    cycles: int = 10
    frames: int = 0
    retries: int = 3
    tries: int = 3
    on_failure: str = "stop"
    stabilise: bool | None = None
    motion: float | None = 0.5
    noise: float = 0.02
    anchor: str = "fixed"
    guidance: tuple[float, float] = (1.0, 2.0)
    picture: Path | None = None
    video: Path | None = None
    audio: Path | None = None
    finish: FinishOptions = field(default_factory=lambda: FinishOptions(fps=Fraction(60)))
    backends: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def read_settings(path: Path) -> ProjectSettings:
    """Read ``path``; files that it names are looked for beside it.

    Raises:
        ConfigError: names file, key, value and what was expected.
    """
    folder = path.resolve().parent

    def beside(place: Place, value: Any) -> Path:
        file = folder / Path(text(1000)(place, value)).expanduser()
        if not file.is_file():
            place.refuse(value, f"a file: there is no {file}")
        return file

    table: Mapping[str, Reader] = {
        "film": lambda place, value: read_fields(place, value, _FILM),
        "inputs": lambda place, value: read_fields(place, value, dict.fromkeys(("picture", "video", "audio"), beside)),
        "finish": lambda place, value: _finish(read_fields(place, value, {**_FINISH, "lut": beside})),
        "builtin": _free,
        "diffusers": _free,
        "turbo": _free,
        "comfyui": lambda place, value: read_fields(place, value, {**COMFYUI, "workflow": beside, "first": beside}),
        "replicate": lambda place, value: read_fields(place, value, REPLICATE),
    }
    fields = read_fields(Place(path), read_yaml(path), table)
    backends = {name: fields[name] for name in CONTINUATIONS if name in fields}
    finish = {"finish": fields["finish"]} if "finish" in fields else {}
    return ProjectSettings(**fields.get("film", {}), **fields.get("inputs", {}), **finish, backends=backends)


def _size(place: Place, value: Any) -> tuple[int, int]:
    try:
        width, height = named_size(str(value))
    except UsageError:
        place.refuse(value, "a size like 1024x576 or 720p")
    if width % 2 or height % 2:
        place.refuse(value, "a size with even sides")
    return width, height


def _fps(place: Place, value: Any) -> Fraction:
    return Fraction(number(1, 240, "pictures a second")(place, value)).limit_denominator(1001)


def _switch(place: Place, value: Any) -> bool | None:
    if value != "auto" and not isinstance(value, bool):
        place.refuse(value, "auto, true or false")
    return None if value == "auto" else value


def _motion(place: Place, value: Any) -> float | None:
    return None if value == "music" else number(0, 1)(place, value)


def _guidance(place: Place, value: Any) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        place.refuse(value, "two numbers, like [1, 2]")
    first, last = (number(0, 20)(place.item(index), item) for index, item in enumerate(value))
    return first, last


def _free(place: Place, value: Any) -> dict[str, Any]:
    """Read settings that the backend itself checks."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        place.refuse(value, "a mapping of the backend's own settings")
    return dict(value)


def _title(place: Place, value: Any) -> str:
    return text(200)(place, value)  # type: ignore[no-any-return]


def _grade(place: Place, value: Any) -> str:
    try:
        parse_grade(str(value))
    except UsageError as error:
        place.refuse(value, str(error).partition(": ")[2])
    return str(value)


def _finish(fields: dict[str, Any]) -> FinishOptions:
    grade = parse_grade(",".join(filter(None, (fields.pop("grade", ""), _lut(fields)))))
    return FinishOptions(**{"fps": Fraction(60), **fields}, grade=grade)


def _lut(fields: dict[str, Any]) -> str:
    file = fields.pop("lut", None)
    return f"lut={file}" if file else ""


_FILM: dict[str, Reader] = {
    "size": _size,
    "fps": _fps,
    "seed": whole(0, 2**63 - 1),
    "cycles": whole(1, 100_000),
    "frames": whole(0, 2000),
    "retries": whole(0, 20),
    "tries": whole(1, 20),
    "on_failure": one_of(*ON_FAILURE),
    "stabilise": _switch,
    "motion": _motion,
    "noise": number(0, 0.1),
    "anchor": one_of(*ANCHORS),
    "guidance": _guidance,
}

_FINISH: dict[str, Reader] = {
    "fps": _fps,
    "size": _size,
    "interpolate": one_of(*METHODS),
    "upscale": one_of(*UPSCALERS),
    "fit": one_of("fill", "pad"),
    "encoder": one_of("auto", *ENCODERS),
    "crf": whole(0, 63),
    "grade": _grade,
    "artist": _title,
}
