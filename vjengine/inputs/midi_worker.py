"""The MIDI process: owns every native MIDI object, writes what it hears to standard output, one JSON list a line.

It is a process of its own because a MIDI system can take its clients down with it. Seen with JACK: closing a port after
its server died and another client was opened ends in a segmentation fault, and opening one while the server is frozen
never returns and never gives the interpreter lock back. Here that costs a process which the parent starts again.

Lines written::

    ["midi", stamp, port, [bytes…]]      a message; stamp is the machine's monotonic counter, s
    ["ports", [open…], [all…], [outputs…]]   the set of ports changed
    ["took", bytes]                      so much of what was written to standard input has been sent on
    ["none", reason]                     no MIDI system yet; it is looked for again and again
    ["lost", reason]                     the MIDI server is gone; the process ends after this line
    ["missing", reason]                  python-rtmidi cannot be loaded; the process ends after this line
    ["fault", traceback]                 a bug; the process ends after this line
    ["alive"]                            heartbeat

Lines read, for controllers with lights and motors::

    ["to", output, ["904001", …]]        messages in hexadecimal for an output

It ends when its standard input closes, so it never outlives its parent; what was read before is still sent.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import traceback
from typing import Any

from vjengine.inputs.midi_ports import NoMidiSystem, Orders, Ports, Send, ServerLost, pick_api

LOOK_AGAIN = 2.0
"""s between two looks for a MIDI system where there is none."""
GRACE = 0.5
"""s the ports get to close once the parent has hung up."""


class Outbox:
    """Writes lines to standard output on a thread of its own, so that no MIDI callback ever waits for the parent."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[list[Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="midi-outbox", daemon=True)
        self._thread.start()

    def put(self, line: list[Any]) -> None:
        """Queue one line; never blocks."""
        self._lines.put(line)

    def finish(self) -> None:
        """Write what is queued and return, after GRACE s at the latest."""
        self._lines.put(None)
        self._thread.join(GRACE)

    def _write(self) -> None:
        out = sys.stdout.buffer
        while True:
            line = self._lines.get()
            if line is None:
                return
            try:
                out.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
                if self._lines.empty():
                    out.flush()
            except OSError:
                os._exit(0)  # the parent is gone


def _read(orders: Orders, stop: threading.Event) -> None:
    """Take orders until the parent closes our standard input, then see to it that this process ends."""
    for line in sys.stdin.buffer:
        orders.put(line)
    stop.set()
    orders.put(None)
    threading.Event().wait(GRACE)
    os._exit(0)


def _serve(options: dict[str, Any], send: Send, orders: Orders, stop: threading.Event) -> None:
    import rtmidi

    ports: Ports | None = None
    said = ""
    send(["alive"])
    while not stop.is_set():
        try:
            if ports is None:
                ports = Ports(rtmidi, pick_api(rtmidi, options["api"]), options["ports"], send, orders)
            ports.poll()
        except NoMidiSystem as error:
            if str(error) != said:
                said = str(error)
                send(["none", said])
        send(["alive"])
        if ports is None:
            stop.wait(LOOK_AGAIN)
        else:
            ports.listen(options["poll"], stop)
    if ports is not None:
        ports.close()


def main() -> None:
    """Run until standard input closes. The one argument is JSON: ``{"ports": […], "api": "", "poll": s}``."""
    # Ctrl-C reaches the whole process group; the parent decides when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.setswitchinterval(0.0005)
    outbox = Outbox()
    send = outbox.put
    stop = threading.Event()
    orders: Orders = queue.SimpleQueue()
    threading.Thread(target=_read, args=(orders, stop), name="midi-orders", daemon=True).start()
    try:
        _serve(json.loads(sys.argv[1]), send, orders, stop)
    except ImportError as error:
        send(["missing", str(error)])
    except ServerLost as error:
        send(["lost", str(error)])
    except Exception:  # noqa: BLE001 - the process's outermost guard: it reports and ends
        send(["fault", traceback.format_exc()])
    outbox.finish()
    # Objects of a dead server must not even be garbage-collected, so leave without tidying up.
    os._exit(0)


if __name__ == "__main__":
    main()
