"""Controller profiles: what a maker's controls send, which of them light up and how, and a layout to start from."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from vjengine.core.macros import MacroDef
from vjengine.errors import ConfigError
from vjengine.inputs.midi_map import (
    ANY_CHANNEL,
    BANKS,
    Control,
    Encoding,
    Kind,
    Layer,
    LookTarget,
    MacroTarget,
    Pickup,
    Row,
)
from vjengine.inputs.midi_rows import row_reader, switch
from vjengine.strict_yaml import Place, Reader, one_of, read_fields, read_yaml, text, whole

log = logging.getLogger(__name__)

LightKind = Literal["note", "control", "bend"]
SYSEX_LIMIT = 64
"""Longest SysEx a profile may send, bytes."""
CONTROLS = 512
"""Most controls of a profile."""
_SERIES = re.compile(r"([0-9]+)\.\.([0-9]+)")
_KINDS: tuple[Kind, ...] = ("note", "control", "program", "bend", "pressure", "touch")


@dataclass(frozen=True, slots=True)
class Light:
    """How one control lights up, or where its motor or ring goes.

    Attributes:
        led: the message that sets it, with a real channel.
        off: value for dark. ``idle``: for a control that does something which is off now.
        on: value for on.
        blink: value that makes the controller itself blink; ``None`` if we have to.
        blink_channel: channel of the message that blinks, where the channel says so; 0 for the same.
        level: True for motor faders and rings: the message carries the position.
        colours: values of ``on`` by the name of a colour.
    """

    led: Control
    off: int = 0
    idle: int = 0
    on: int = 127
    blink: int | None = None
    blink_channel: int = 0
    level: bool = False
    colours: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """One control of a controller by its name.

    Attributes:
        name: as printed on it, or as its place is counted: ``fader 1``, ``pad 1/1`` (row from the top, column).
        control: what it sends; :data:`ANY_CHANNEL` where the channel is the performer's to set.
        fine: controller number of the low seven bits of a 14-bit pair.
        encoder: how an endless encoder writes its steps.
        light: how it lights up; ``None`` if it does not.
    """

    name: str
    control: Control
    fine: int | None = None
    encoder: Encoding | None = None
    light: Light | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of controller.

    Attributes:
        name: maker and model.
        file: file name without ending; also its name in map files.
        ports: parts of port names, any case, by which it is known. ``outputs``: the same for its output, where that
            has another name than its input.
        source: where the numbers come from, and what was not checked.
        parts: its controls by name.
        layer: the layout it starts with.
        hello, goodbye: SysEx messages that put it into the right mode, and back.
    """

    name: str
    file: str = ""
    ports: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    source: str = ""
    parts: Mapping[str, Part] = field(default_factory=dict)
    layer: Layer = field(default_factory=Layer)
    hello: tuple[bytes, ...] = ()
    goodbye: tuple[bytes, ...] = ()

    def part_of(self, control: Control) -> Part | None:
        """Return the part that sends ``control``, which has a real channel."""
        for part in self.parts.values():
            if part.control in (control, control.anywhere):
                return part
        return None

    @property
    def lit(self) -> bool:
        """True if anything of it lights up or moves."""
        return any(part.light is not None for part in self.parts.values())


def load_profiles(
    folder: Path, macros: Mapping[str, MacroDef], looks: Sequence[str] = ()
) -> tuple[dict[str, Profile], list[ConfigError]]:
    """Return the profiles in ``folder`` by file name, and what is wrong with those left out.

    Rows of a layout that name a macro or a look this show does not have are left out without a word.
    """
    profiles: dict[str, Profile] = {}
    faults: list[ConfigError] = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            profiles[path.stem] = read_profile(path, macros, looks)
        except ConfigError as error:
            faults.append(error)
    return profiles, faults


def choose_profile(profiles: Mapping[str, Profile], port: str) -> Profile | None:
    """Return the profile whose longest pattern is in the name of ``port``, ``None`` if none is."""
    low = port.lower()
    best: tuple[int, Profile] | None = None
    for profile in profiles.values():
        fit = max((len(pattern) for pattern in profile.ports if pattern.lower() in low), default=0)
        if fit and (best is None or fit > best[0]):
            best = fit, profile
    return None if best is None else best[1]


def read_profile(path: Path, macros: Mapping[str, MacroDef], looks: Sequence[str] = ()) -> Profile:
    """Return the profile in the file ``path``.

    Raises:
        ConfigError: naming file, key, value and what was expected.
    """
    place = Place(path)
    raw = read_yaml(path)
    head: dict[str, Reader] = {
        "name": text(60),
        "ports": _words,
        "outputs": _words,
        "source": text(2000),
        "channel": whole(1, 16),
        "pickup": one_of(*get_args(Pickup)),
        "defaults": switch,
        "hello": _sysex,
        "goodbye": _sysex,
        "lights": _as_it_is,
        "controls": _as_it_is,
        "layout": _as_it_is,
        "banks": _as_it_is,
    }
    given = read_fields(place, raw, head)
    if not given.get("name"):
        place.at("name").refuse(given.get("name"), "the controller's name")
    channel = given.get("channel", ANY_CHANNEL)
    parts = _read_parts(place, given.get("controls", {}), given.get("lights", {}), channel)
    read_row = row_reader(macros, looks, stray_names=True)

    def read_layout(here: Place, value: Any) -> dict[Control, Row | None]:
        if not isinstance(value, dict):
            here.refuse(value, "a mapping like {fader 1: {param: feedback.mix}}")
        rows: dict[Control, Row | None] = {}
        for name, entry in value.items():
            at = here.at(name)
            if name not in parts:
                at.refuse(name, "the name of a control of this file")
            part = parts[name]
            row = read_row(at, _with_kind_of(part, entry), part.control.kind)
            if _known(row, macros, looks):
                rows[part.control] = row
        return rows

    banks = given.get("banks", {})
    if not isinstance(banks, dict):
        place.at("banks").refuse(banks, "a mapping like {1: {pad 1/1: …}, 2: {…}}")
    read_banks: dict[int, Mapping[Control, Row | None]] = {}
    for number, value in banks.items():
        here = place.at("banks").at(number)
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= BANKS:
            here.refuse(number, f"a bank from 1 to {BANKS} as key")
        read_banks[number] = read_layout(here, value)
    layer = Layer(
        rows=read_layout(place.at("layout"), given.get("layout", {})),
        banks=read_banks,
        pickup=given.get("pickup"),
        defaults=given.get("defaults", False),
    )
    return Profile(
        name=given["name"],
        file=path.stem,
        ports=given.get("ports", ()),
        outputs=given.get("outputs", ()),
        source=given.get("source", ""),
        parts=parts,
        layer=layer,
        hello=given.get("hello", ()),
        goodbye=given.get("goodbye", ()),
    )


def _known(row: Row, macros: Mapping[str, MacroDef], looks: Sequence[str]) -> bool:
    """Return True if this show has what ``row`` names."""
    if isinstance(row.target, MacroTarget):
        return row.target.macro in macros
    return not (isinstance(row.target, LookTarget) and row.target.look and looks and row.target.look not in looks)


def _with_kind_of(part: Part, entry: Any) -> Any:
    """Return a layout's entry with what the control's own nature says: a 14-bit pair, an endless encoder."""
    if not isinstance(entry, dict):
        return entry
    own: dict[str, Any] = {}
    if part.fine is not None and "mode" not in entry:
        own["fine"] = part.fine
    if part.encoder is not None:
        own["encoder"] = part.encoder
    return {**own, **entry}


# ---------------------------------------------------------------- the controls


def _read_parts(place: Place, data: Any, lights: Any, channel: int) -> dict[str, Part]:
    read_lights = _read_lights(place.at("lights"), lights)
    here = place.at("controls")
    if not isinstance(data, dict):
        here.refuse(data, "a mapping like {fader 1..8: {control: 0..7}}")
    table: dict[str, Reader] = dict.fromkeys(_KINDS, _as_it_is)
    table.update(
        {
            "channel": whole(1, 16),
            "fine": _as_it_is,
            "encoder": one_of(*get_args(Encoding)),
            "light": text(40),
            "light_number": _as_it_is,
        }
    )
    parts: dict[str, Part] = {}
    for key, value in data.items():
        at = here.at(key)
        given = read_fields(at, value, table)
        kinds = [kind for kind in _KINDS if kind in given]
        if len(kinds) != 1:
            at.refuse(value, "exactly one of " + ", ".join(_KINDS))
        names = _names(at, key)
        count = len(names)
        numbers = _numbers(at.at(kinds[0]), given[kinds[0]], count)
        fines = _numbers(at.at("fine"), given["fine"], count) if "fine" in given else [None] * count
        leds = _numbers(at.at("light_number"), given["light_number"], count) if "light_number" in given else numbers
        light = given.get("light")
        if light is not None and light not in read_lights:
            at.at("light").refuse(light, "the name of an entry of 'lights'")
        for name, number, fine, led in zip(names, numbers, fines, leds, strict=True):
            if name in parts or len(parts) >= CONTROLS:
                at.refuse(name, f"each name once, and at most {CONTROLS} of them")
            control = Control(kinds[0], given.get("channel", channel), number)
            made = None if light is None else _light(read_lights[light], control, led)
            parts[name] = Part(name, control, fine, given.get("encoder"), made)
    return parts


def _names(place: Place, key: Any) -> list[str]:
    """Spell ``fader 1..8`` out."""
    name = str(key)
    found = _SERIES.search(name)
    if found is None:
        return [name]
    first, last = int(found[1]), int(found[2])
    if not 0 <= first < last < 1000:
        place.refuse(key, "a series like 'fader 1..8'")
    return [f"{name[: found.start()]}{i}{name[found.end() :]}" for i in range(first, last + 1)]


def _numbers(place: Place, value: Any, count: int) -> list[int]:
    """Read ``48``, ``48..55`` or ``[89, 79, 69]``: as many numbers as there are names."""
    found = _SERIES.fullmatch(value) if isinstance(value, str) else None
    listed = list(range(int(found[1]), int(found[2]) + 1)) if found else value if isinstance(value, list) else [value]
    if len(listed) != count or any(type(n) is not int or not 0 <= n <= 127 for n in listed):
        place.refuse(value, f"{count} number{'s' if count > 1 else ''} from 0 to 127, as 48, 48..55 or [48, 50]")
    return listed


def _read_lights(place: Place, data: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(data, dict):
        place.refuse(data, "a mapping like {pad: {on: 1, blink: 2}}")
    value = whole(0, 127)

    def colours(here: Place, raw: Any) -> dict[str, int]:
        if not isinstance(raw, dict) or not all(isinstance(name, str) for name in raw):
            here.refuse(raw, "a mapping like {red: 5, green: 21}")
        return {name: value(here.at(name), number) for name, number in raw.items()}

    table: dict[str, Reader] = {
        "off": value,
        "idle": value,
        "on": value,
        "blink": value,
        "channel": whole(1, 16),
        "blink_channel": whole(1, 16),
        "level": switch,
        "send": one_of(*get_args(LightKind)),
        "colours": colours,
    }
    return {
        str(name): read_fields(place.at(name), _with_words(entry) if isinstance(entry, dict) else entry, table)
        for name, entry in data.items()
    }


def _with_words(entry: dict[Any, Any]) -> dict[Any, Any]:
    """Return ``entry`` with the names that YAML takes for truth values put back: an unquoted on, an unquoted off."""
    words = {True: "on", False: "off"}
    return {words[key] if isinstance(key, bool) else key: value for key, value in entry.items()}


def _light(given: Mapping[str, Any], control: Control, number: int) -> Light:
    kind: Kind = given.get("send", control.kind)
    options = {key: given[key] for key in ("idle", "on", "blink", "blink_channel", "level", "colours") if key in given}
    return Light(
        led=Control(kind, given.get("channel", control.channel or 1), 0 if kind == "bend" else number),
        off=given.get("off", 0),
        **{"idle": given.get("off", 0), **options},
    )


def _as_it_is(place: Place, value: Any) -> Any:
    return value


def _words(place: Place, value: Any) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    if any(not isinstance(word, str) or not 2 <= len(word) <= 60 for word in listed):
        place.refuse(value, "a list of parts of port names, each in quotes")
    return tuple(listed)


def _sysex(place: Place, value: Any) -> tuple[bytes, ...]:
    """Read SysEx messages in hexadecimal, without or with F0 and F7 at their ends."""
    messages = []
    for raw in value if isinstance(value, list) else [value]:
        try:
            body = bytes.fromhex(str(raw)).removeprefix(b"\xf0").removesuffix(b"\xf7")
        except ValueError:
            place.refuse(raw, "bytes in hexadecimal, as 'F0 00 20 29 02 0D 0E 01 F7'")
        if not body or len(body) > SYSEX_LIMIT or max(body) > 127:
            place.refuse(raw, f"1 to {SYSEX_LIMIT} data bytes below 80h")
        messages.append(b"\xf0" + body + b"\xf7")
    return tuple(messages)
