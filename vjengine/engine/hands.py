"""The hands of a live show: every input that was asked for, started together and stopped together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from types import TracebackType

from vjengine.config import active_dir
from vjengine.core.clock import LiveClock
from vjengine.core.control import ControlState
from vjengine.core.events import Event, LearnMidi, StatusChanged
from vjengine.core.exchange import EventQueue, Latest
from vjengine.core.osc_subscribers import Subscribers
from vjengine.core.show import Show
from vjengine.engine.options import LiveOptions
from vjengine.engine.setup import macros_dir
from vjengine.errors import InputError
from vjengine.inputs.keys import KeyMap
from vjengine.inputs.macro_files import MacroFiles
from vjengine.inputs.midi import MidiInput
from vjengine.inputs.midi_learn import learnt_file
from vjengine.inputs.midi_rig import MidiRig
from vjengine.inputs.osc import OscInput
from vjengine.inputs.performance import PerformancePlayer, PerformanceWriter, load_performance
from vjengine.outputs.keyboard import KeyStroke

log = logging.getLogger(__name__)
LOCAL_KEYS = frozenset(("tab", "f1", "f11"))
"""Keys that concern this window only and never become events: HUD pages and full screen."""


class Hands:
    """MIDI, OSC, keys, macro files and a recorded performance.

    An input that cannot be opened is reported and left out; a mapping or performance file that is wrong is an error,
    because the performer named it.

    Attributes:
        subscribers: who asked by OSC to be told; for the feed.
    """

    def __init__(
        self,
        options: LiveOptions,
        show: Show,
        control: Latest[ControlState],
        clock: LiveClock,
        events: EventQueue,
        say: Callable[[str], None],
    ) -> None:
        self._stack = ExitStack()
        self._clock, self._events = clock, events
        self._keys = KeyMap(show.macros)
        self._local: list[KeyStroke] = []
        self.subscribers = Subscribers()
        self.player: PerformancePlayer | None = None
        self.writer: PerformanceWriter | None = None
        if options.perform is not None:
            self.player = PerformancePlayer(load_performance(options.perform), events)
        rig = MidiRig.load(show.macros, tuple(show.looks), map_file=options.midi_map, learnt=learnt_file())
        try:
            self._start(options, show, control, rig)
        except BaseException:
            self._stack.close()
            raise
        if options.save_performance is not None:
            self.writer = PerformanceWriter(options.save_performance, events)
            self._stack.callback(self.writer.close)
            say(f"writing what is played to {options.save_performance}")

    def _start(self, options: LiveOptions, show: Show, control: Latest[ControlState], rig: MidiRig) -> None:
        self.files = MacroFiles(
            options.active or active_dir(macros_dir(options.picture)), show.macros, control, self._clock, self._events
        )
        self.files.start()
        self._stack.callback(self.files.stop)
        self.midi: MidiInput | None = None
        if tuple(options.midi) != ("none",):
            self.midi = MidiInput(rig, self._clock, self._events, control, ports=options.midi)
            self.midi.start()
            self._stack.callback(self.midi.stop, 0.3)
        self.osc: OscInput | None = None
        if options.osc_in is not None:
            host, port = options.osc_in
            osc = OscInput(
                host,
                port,
                show.macros,
                self._clock,
                self._events,
                looks=tuple(show.looks),
                control=control,
                subscribers=self.subscribers,
                allow=tuple(options.osc_allow),
            )
            try:
                osc.start()
            except InputError as error:
                self._events.put(
                    StatusChanged(time=self._clock.now(), component="osc in", level="error", message=str(error))
                )
            else:
                self.osc = osc
                self._stack.callback(osc.stop)

    def __enter__(self) -> Hands:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def strokes(self, strokes: Sequence[KeyStroke], now: float, state: ControlState) -> None:
        """Turn key strokes into events; those of :data:`LOCAL_KEYS` wait for :meth:`local_strokes`."""
        for stroke in strokes:
            if stroke.key in LOCAL_KEYS:
                self._local.append(stroke)
                continue
            for event in self._keys.events(stroke.key, stroke.action, now, state.macros):
                self._events.put(event)

    def let_go(self, now: float) -> None:
        """Release held keys: the keyboard has gone to another window, which will see them come up in our place."""
        for event in self._keys.release_all(now):
            self._events.put(event)

    def local_strokes(self) -> list[KeyStroke]:
        """Take the strokes that concern the window."""
        local, self._local = self._local, []
        return local

    def advance(self, elapsed: float, started: float) -> None:
        """Play the recorded performance up to ``elapsed`` s into the show, which ``started`` at that session time."""
        if self.player is not None:
            self.player.advance(elapsed, started)

    def remember(self, events: Iterable[Event], started: float) -> None:
        """Write what the performer did, timed from ``started`` (session s)."""
        if self.writer is not None:
            self.writer.write(events, started)

    def learn(self, event: LearnMidi) -> None:
        """Have the next MIDI control that moves learnt; where there is no MIDI, say so."""
        if self.midi is not None:
            self.midi.learn(event)
        else:
            log.warning("nothing learns %s: this show was started with --midi none", event.target or "any more")

    @property
    def midi_names(self) -> tuple[str, ...]:
        """Names of the connected MIDI inputs."""
        return self.midi.connected if self.midi is not None else ()

    @property
    def osc_address(self) -> str:
        """Where OSC is listened for; empty if nowhere."""
        return f"{self.osc.address[0]}:{self.osc.address[1]}" if self.osc is not None else ""
