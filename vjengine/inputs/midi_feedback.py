"""Sends controllers what their lights and motors should show: through the MIDI process, in small portions."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from vjengine.core.control import ControlState
from vjengine.core.exchange import Latest
from vjengine.inputs.midi_lights import LightBoard
from vjengine.inputs.midi_map import Control, Target
from vjengine.inputs.midi_names import partner
from vjengine.inputs.midi_process import Speaker
from vjengine.inputs.midi_reader import MidiReader
from vjengine.inputs.midi_rig import PortSetup

PORTION = 32
"""Messages to one controller at once, at most; with 30 portions a second that is what a DIN cable carries."""
BLINKS = 3.0
"""Blinks a second of lights that do not blink by themselves."""
LAST_WORDS = 0.25
"""s for which the end of a show waits for lights to go out."""
SETTLING = 0.15
"""s between opening an output and the first message to it: JACK drops what comes before a connection is complete."""
AGAIN = 1.5
"""s after which a controller that came is shown everything once more: some are deaf while they start up."""


@dataclass(slots=True)
class _Line:
    """The way to one controller's lights.

    Attributes:
        output: name of its output.
        board: its lights.
        greeted: True once it was put into the right mode.
        since: session time (s) at which its output was opened; ``None`` before.
        repeated: True once it was shown everything a second time.
        bank: number of the bank it shows.
    """

    output: str
    board: LightBoard
    greeted: bool = False
    since: float | None = None
    repeated: bool = False
    bank: int = 0


class Feedback:
    """The lights of all connected controllers that have any.

    Args:
        control: what the show is at; ``None`` leaves all lights alone.

    Attributes:
        sent: messages so far.
    """

    def __init__(self, control: Latest[ControlState] | None) -> None:
        self._control = control
        self._speaker: Speaker | None = None
        self._lines: dict[str, _Line] = {}
        self._lock = threading.Lock()
        self.sent = 0

    def begin(self, speaker: Speaker | None) -> None:
        """Talk through a new MIDI process; ``None`` leaves the lights off."""
        with self._lock:
            self._speaker = speaker if self._control is not None else None
            self._lines.clear()

    def connect(self, setups: Mapping[str, PortSetup], outputs: list[str]) -> None:
        """Take up the lights of the connected ports; one that is new, or came back, is shown everything again."""
        with self._lock:
            for port in [port for port in self._lines if port not in setups or self._lines[port].output not in outputs]:
                del self._lines[port]
            taken = {line.output for line in self._lines.values()}
            for port, setup in setups.items():
                profile = setup.profile
                if port in self._lines or profile is None or not (profile.lit or profile.hello):
                    continue
                free = [name for name in outputs if name not in taken]
                output = partner(port, free, (*profile.outputs, *profile.ports))
                if output is not None:
                    taken.add(output)
                    self._lines[port] = _Line(output, LightBoard(profile))

    def tick(self, now: float, readers: Mapping[str, MidiReader], learning: Target | None) -> None:
        """Send what changed, as much as there is room for; the rest follows with the next call."""
        control = self._control
        if control is None or self._speaker is None or not self._lines:
            return
        state = control.read()
        with self._lock:
            for port, line in self._lines.items():
                reader = readers.get(port)
                if line.since is None:
                    line.since = now if self._speaker.say(_order(line.output, [])) else None
                if reader is None or line.since is None or now - line.since < SETTLING:
                    continue
                if not line.greeted:
                    hello = list(line.board.profile.hello)
                    line.greeted = not hello or self._speaker.say(_order(line.output, hello))
                    continue
                self._renew(line, reader.bank, now - line.since)
                changes = line.board.changes(
                    reader.view,
                    state,
                    bank=reader.bank,
                    now=now,
                    dark_phase=now * BLINKS % 1.0 >= 0.5,
                    learning=learning,
                    touched=dict(reader.touched),
                )
                self._send(line, changes)

    @staticmethod
    def _renew(line: _Line, bank: int, age: float) -> None:
        """Forget what was sent, so that all is sent again, in a new bank and some time after the controller came."""
        repeat = not line.repeated and age >= AGAIN
        if bank != line.bank or repeat:
            line.board.forget()
            line.bank = bank
            line.repeated |= repeat

    def _send(self, line: _Line, changes: Mapping[Control, bytes]) -> None:
        portion = dict(list(changes.items())[:PORTION])
        if portion and self._speaker is not None and self._speaker.say(_order(line.output, list(portion.values()))):
            line.board.sent(portion)
            self.sent += len(portion)

    def put_out(self) -> None:
        """Put all lights out, at the end of a show; waits LAST_WORDS s for a slow MIDI process, no longer."""
        with self._lock:
            speaker = self._speaker
            waiting = [
                _order(line.output, messages[i : i + PORTION])
                for line in self._lines.values()
                if (messages := line.board.darkness())
                for i in range(0, len(messages), PORTION)
            ]
            self._lines.clear()
            self._speaker = None
        pause, left = threading.Event(), LAST_WORDS
        while waiting and speaker is not None and left > 0.0:
            if speaker.say(waiting[0]):
                del waiting[0]
            else:
                pause.wait(0.01)
                left -= 0.01


def _order(output: str, messages: list[bytes]) -> list[object]:
    return ["to", output, [message.hex() for message in messages]]
