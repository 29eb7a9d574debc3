"""Which map and which profile each controller gets: the macros' own keys, its profile, map files, what was learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vjengine.core.macros import MacroDef
from vjengine.errors import ConfigError
from vjengine.inputs.midi_map import Control, MidiMap
from vjengine.inputs.midi_map_file import MapFile, read_map
from vjengine.inputs.midi_profile import Profile, choose_profile, load_profiles
from vjengine.resources import resource_dir
from vjengine.strict_yaml import suggest

NO_PROFILE = "none"
"""Name in a map file for no profile at all."""


@dataclass(frozen=True, slots=True)
class PortSetup:
    """What one port plays: its map, and its profile if its kind is known."""

    mapping: MidiMap
    profile: Profile | None = None

    def name_of(self, control: Control) -> str:
        """Return what a performer calls ``control`` (with a real channel)."""
        part = self.profile.part_of(control) if self.profile is not None else None
        return part.name if part is not None else str(control)


@dataclass(frozen=True, slots=True)
class MidiRig:
    """Everything that decides what controllers do.

    A controller whose kind is known starts from its profile's layout, any other from the macros' own keys and the
    bundled ``default.yaml``. On top come the performer's map file and, last, what was learnt.

    Attributes:
        base: the macros' own keys.
        default: the bundled map of controllers without a profile.
        profiles: by file name.
        files: the performer's map files, the strongest last.
        macros, looks: what they may name.
        learnt_path: file that learning writes; ``None`` if nothing can be learnt.
    """

    base: MidiMap = field(default_factory=MidiMap)
    default: MapFile = field(default_factory=MapFile)
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    files: Sequence[MapFile] = ()
    macros: Mapping[str, MacroDef] = field(default_factory=dict)
    looks: Sequence[str] = ()
    learnt_path: Path | None = None

    @classmethod
    def load(
        cls,
        macros: Mapping[str, MacroDef],
        looks: Sequence[str] = (),
        *,
        map_file: Path | None = None,
        learnt: Path | None = None,
        faults: list[ConfigError] | None = None,
    ) -> MidiRig:
        """Read the bundled profiles and maps and the performer's.

        Args:
            macros, looks: what they may name.
            map_file: the performer's map; it takes the place of the bundled ``default.yaml``.
            learnt: file of what was learnt; see :func:`vjengine.inputs.midi_learn.learnt_file`.
            faults: takes what is wrong with files that nobody named; those are left out.

        Raises:
            ConfigError: ``map_file`` is wrong.
        """
        folder = resource_dir("presets") / "midi"
        profiles, wrong = load_profiles(folder / "profiles", macros, looks)
        files = [read_map(map_file, macros, looks)] if map_file is not None else []
        for file in files:
            _refuse_unknown_profiles(map_file, file, profiles)
        default = read_map(folder / "default.yaml", macros, looks) if map_file is None else MapFile()
        if faults is not None:
            faults.extend(wrong)
        return cls(MidiMap.from_macros(macros), default, profiles, files, macros, tuple(looks), learnt)

    def for_port(self, port: str, learnt: MapFile | None = None) -> PortSetup:
        """Return what ``port`` plays, ``learnt`` being what was learnt so far."""
        files = [*self.files, *([learnt] if learnt is not None else [])]
        layers = [layer for file in files for layer in file.for_port(port)]
        named = [layer.profile for layer in layers if layer.profile]
        profile = self.profiles.get(named[-1]) if named else choose_profile(self.profiles, port)
        mapping = self.base
        if profile is None or profile.layer.defaults:
            for layer in self.default.for_port(port):
                mapping = mapping.with_layer(layer)
        if profile is not None:
            mapping = mapping.with_layer(profile.layer)
        for layer in layers:
            mapping = mapping.with_layer(layer)
        return PortSetup(mapping, profile)


def _refuse_unknown_profiles(path: Path | None, file: MapFile, profiles: Mapping[str, Profile]) -> None:
    for port, layer in file.ports.items():
        if layer.profile and layer.profile != NO_PROFILE and layer.profile not in profiles:
            expected = f"{NO_PROFILE} or a profile: {suggest(layer.profile, profiles)}"
            raise ConfigError(path or "", f"ports.{port}.profile", layer.profile, expected)
