"""Questions to the machine, each asked in a process of its own.

Drivers crash, hang and print; a child process keeps all three away from the answer. :func:`ask` runs several at once
and returns within its time limit, whatever they do.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import IO, Any

from vjengine.errors import VJError


@dataclass(frozen=True, slots=True)
class Answer:
    """What a probe found, or why it found nothing; exactly one of the two is set."""

    data: Any = None
    problem: str = ""


# ---------------------------------------------------------------- in the child


def _audio() -> Any:
    from vjengine.audio.devices import list_devices

    return [dataclasses.asdict(device) for device in list_devices()]


def _midi() -> Any:
    from vjengine.inputs.midi import list_midi_inputs

    return list(list_midi_inputs())


def _monitors() -> Any:
    from vjengine.outputs.monitors import list_monitors

    return [dataclasses.asdict(monitor) for monitor in list_monitors()]


def _gl() -> Any:
    from vjengine.compose.context import offscreen_context

    ctx = offscreen_context()
    info = {"renderer": ctx.info["GL_RENDERER"], "version": ctx.info["GL_VERSION"], "vendor": ctx.info["GL_VENDOR"]}
    # One real triangle: a driver that makes a context and cannot draw is no use.
    program = ctx.program(
        vertex_shader="#version 330\nvoid main() { vec2 p = vec2(gl_VertexID & 1, gl_VertexID >> 1);"
        " gl_Position = vec4(p * 4.0 - 1.0, 0.0, 1.0); }",
        fragment_shader="#version 330\nout vec4 colour; void main() { colour = vec4(1.0, 0.5, 0.25, 1.0); }",
    )
    target = ctx.simple_framebuffer((4, 4))
    target.use()
    ctx.vertex_array(program, []).render(vertices=3)
    info["draws"] = target.read(components=4)[:4] == bytes((255, 128, 64, 255))
    words = ("llvmpipe", "softpipe", "swrast", "software", "swiftshader", "basic render")
    info["software"] = any(word in info["renderer"].lower() for word in words)
    return info


def _video() -> Any:
    from vjengine.outputs.codecs import choose_codec

    return {"codec": choose_codec("auto", (1280, 720), Fraction(60))}


PROBES: Mapping[str, Callable[[], Any]] = {
    "audio": _audio,
    "midi": _midi,
    "monitors": _monitors,
    "gl": _gl,
    "video": _video,
}
"""All probes by name."""


def main(name: str) -> int:
    """Answer one question on standard output, as a line of JSON."""
    try:
        answer = Answer(data=PROBES[name]())
    except (VJError, ImportError, OSError) as error:
        answer = Answer(problem=str(error) or type(error).__name__)
    sys.stdout.write("\n" + json.dumps(dataclasses.asdict(answer)) + "\n")
    sys.stdout.flush()
    return 0


# ---------------------------------------------------------------- in the parent


def ask(names: Iterable[str], timeout: float = 20.0) -> dict[str, Answer]:
    """Ask the probes ``names`` at the same time; return each one's answer.

    Args:
        names: keys of :data:`PROBES`.
        timeout: s after which what has not answered is given up and ended.
    """
    children: dict[str, tuple[subprocess.Popen[bytes], IO[bytes]]] = {}
    for name in names:
        # A file, not a pipe: nobody has to read along, and a grandchild that keeps it open holds nobody up.
        output = tempfile.TemporaryFile()  # noqa: SIM115  closed in _collect
        command = [sys.executable, "-m", "vjengine.cli.probes", name]
        children[name] = (
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.DEVNULL),
            output,
        )
    deadline = time.monotonic() + timeout
    return {name: _collect(*child, deadline) for name, child in children.items()}


def _collect(child: subprocess.Popen[bytes], output: IO[bytes], deadline: float) -> Answer:
    with output:
        try:
            status = child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            return Answer(problem="does not answer: a driver or a server hangs")
        output.seek(0)
        lines = output.read(1_000_000).decode("utf-8", "replace").splitlines()
    try:
        return Answer(**json.loads(lines[-1]))
    except (ValueError, IndexError, TypeError):
        return Answer(problem=f"the driver crashed (exit status {status})")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
