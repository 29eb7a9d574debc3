"""The one exception tree. Every message names what went wrong and what to do next.

::

    VJError
    ├── UsageError            the command line asks for something impossible (exit status 2)
    ├── ConfigError           a preset, macro or mapping file is wrong: file, key, value, what was expected
    ├── MissingDependency     an optional library or system part is absent: what to install
    ├── AudioError
    │   ├── DeviceNotFound    no audio device of that name
    │   └── UnreadableAudio   a file that cannot be decoded
    ├── InputError            a MIDI port, an OSC socket or a watched folder cannot be opened
    ├── GeneratorError        a generator cannot start or cannot make a frame
    │   ├── OutOfMemory       it does not fit; something smaller may
    │   └── BackendError      a server that makes pictures for us is down, slow or wrong
    ├── ShaderError           a shader does not compile: file, line, the compiler's words
    ├── DisplayError          no window or no GL context can be made
    ├── RecordError           a recording cannot be started or written
    └── ResumeError           what is on the disk does not belong to what is asked: what differs
"""

from __future__ import annotations

from pathlib import Path


class VJError(Exception):
    """Root of everything this package raises on purpose; its text is fit to show to a performer."""


class UsageError(VJError):
    """The command line or call asks for something that cannot be; the CLI exits with status 2."""


class ConfigError(VJError):
    """A configuration file is wrong.

    The message reads ``FILE: KEY = VALUE: expected EXPECTED``, so that it can be mended without a manual.
    """

    def __init__(self, file: Path | str, key: str, value: object, expected: str) -> None:
        self.file = str(file)
        self.key = key
        self.value = value
        self.expected = expected
        shown = repr(value)
        if len(shown) > 80:
            shown = shown[:77] + "..."
        super().__init__(f"{self.file}: {key} = {shown}: expected {expected}")


class MissingDependency(VJError):
    """An optional part is not installed; the message names the part and the command that installs it."""

    def __init__(self, part: str, remedy: str) -> None:
        self.part = part
        self.remedy = remedy
        super().__init__(f"{part} is not available. Install it with: {remedy}")


class AudioError(VJError):
    """Audio cannot be captured, decoded or played."""


class DeviceNotFound(AudioError):
    """No audio device carries the asked-for name; the message lists those that are there."""


class UnreadableAudio(AudioError):
    """A file is not audio that can be decoded."""


class InputError(VJError):
    """A MIDI port, OSC socket or watched folder cannot be opened."""


class GeneratorError(VJError):
    """A generator cannot start or cannot make a frame."""


class OutOfMemory(GeneratorError):
    """Pictures do not fit into memory; whoever asked may ask for less and try again."""


class BackendError(GeneratorError):
    """A server that makes pictures for us does not answer, refuses, or answers with something else.

    ``retry`` says that the same may work a little later.
    """

    def __init__(self, message: str, *, retry: bool = False) -> None:
        self.retry = retry
        super().__init__(message)


class ShaderError(VJError):
    """A shader does not compile or link.

    ``file`` and ``line`` name the author's own line, after includes are undone; ``line`` is 0 where the
    compiler named none.
    """

    def __init__(self, file: Path | str, line: int, detail: str) -> None:
        self.file = str(file)
        self.line = line
        self.detail = detail
        where = f"{self.file}:{line}" if line else self.file
        super().__init__(f"{where}: {detail}")


class DisplayError(VJError):
    """No window, monitor or OpenGL context can be had."""


class RecordError(VJError):
    """A recording cannot be started, written or finalised."""


class ResumeError(VJError):
    """A run cannot go on from what is on the disk; the message names what differs and how to go on."""
