"""The ears of a live show: which source is listened to, and the thread that listens."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from vjengine.audio.capture import AudioSource, DeviceSource, FileSource, Hop, SilentSource
from vjengine.audio.features import Analyser, AnalysisSettings
from vjengine.audio.listener import Listener
from vjengine.core.clock import LiveClock
from vjengine.core.events import StatusChanged
from vjengine.core.exchange import EventQueue, Latest
from vjengine.core.signals import AudioFeatures
from vjengine.engine.options import SHOW_HOP, LiveOptions
from vjengine.errors import AudioError, MissingDependency

AUDIO_ENDINGS = frozenset(
    [".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac", ".aif", ".aiff", ".wma", ".mp4", ".mkv", ".mov", ".webm"]
)  # fmt: skip


def is_file(audio: str) -> bool:
    """True if ``audio`` means a file rather than a device: it exists, or it is written like an audio file's path."""
    path = Path(audio)
    return path.exists() or path.suffix.lower() in AUDIO_ENDINGS or "/" in audio


class Hearing:
    """Opens the source that was asked for and runs its listener.

    A named device or file that is not there is an error: the performer wants to know before the doors open. Without
    ``--audio``, no input at all is only a warning, and the show runs on silence.
    """

    def __init__(
        self,
        options: LiveOptions,
        clock: LiveClock,
        features: Latest[AudioFeatures],
        commands: EventQueue,
        events: EventQueue,
    ) -> None:
        self._clock = clock
        self._events = events
        self.source = self._open(options)
        self.tap: Callable[[Hop], None] | None = None
        settings = AnalysisSettings(sample_rate=self.source.sample_rate, hop=SHOW_HOP)
        self._analyser = Analyser(settings)
        self._features, self._commands = features, commands
        self.listener: Listener | None = None

    @property
    def ended(self) -> bool:
        """True once a file has been played to its end."""
        return self.source.ended

    def start(self) -> None:
        """Begin to listen."""
        self.listener = Listener(
            self.source, self._analyser, self._clock, self._features, self._commands, self._events, self.tap
        )
        self.listener.start()

    def stop(self) -> None:
        """Stop listening and let go of the device."""
        if self.listener is not None:
            self.listener.stop()
        else:
            self.source.close()

    def _open(self, options: LiveOptions) -> AudioSource:
        audio = options.audio
        if audio == "none":
            return SilentSource(self._clock, SHOW_HOP)
        if audio is not None and is_file(audio):
            output: bool | str | None = options.audio_output
            if output == "none":
                output = False
            return FileSource(
                Path(audio),
                self._clock,
                self._events,
                SHOW_HOP,
                start=options.audio_start,
                loop=options.loop,
                output=True if output is None else output,
            )
        try:
            return DeviceSource(audio, self._clock, self._events, SHOW_HOP)
        except (AudioError, MissingDependency) as error:
            if audio is not None:
                raise
            with contextlib.suppress(ValueError):
                self._events.put(
                    StatusChanged(time=self._clock.now(), component="audio", level="error", message=str(error))
                )
            return SilentSource(self._clock, SHOW_HOP)
