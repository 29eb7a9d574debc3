"""Opens an audio source, reads it and says what comes, one JSON object a line, until standard input closes.

A process of its own, because PortAudio reads the sound server's address once, when it is first used.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

import numpy as np

from vjengine.audio.capture import AudioSource, DeviceSource, FileSource, list_devices
from vjengine.core.clock import LiveClock
from vjengine.core.events import StatusChanged
from vjengine.core.exchange import EventQueue
from vjengine.errors import VJError


def say(**values: Any) -> None:
    print(json.dumps(values), flush=True)


def main() -> None:
    kind, name = sys.argv[1:3]
    clock, events = LiveClock(), EventQueue()
    say(devices=[device.name for device in list_devices()])
    source: AudioSource
    try:
        if kind == "device":
            source = DeviceSource(name or None, clock, events)
        else:
            source = FileSource(name, clock, events, output=sys.argv[3] if len(sys.argv) > 3 else True)
        source.start()
    except VJError as error:
        say(error=str(error), type=type(error).__name__)
        return
    say(started=clock.now(), rate=source.sample_rate, channels=source.channels)
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    times: list[float] = []
    arrivals: list[float] = []
    block: list[np.ndarray[Any, Any]] = []
    while not stop.is_set() and not source.ended:
        hop = source.read(0.05)
        for event in events.drain():
            if isinstance(event, StatusChanged):
                say(status=event.level, message=event.message, at=clock.now())
        if hop is None:
            continue
        times.append(hop.time)
        arrivals.append(clock.now())
        block.append(hop.samples)
        if len(block) == 20:
            samples = np.concatenate(block)
            peak = int(np.abs(samples[:, 0]).argmax())
            say(
                hops=len(times),
                rms=float(np.sqrt(np.mean(samples**2))),
                peak=float(np.abs(samples).max()),
                peak_time=times[-20] + (peak + 1 - len(block[0])) / source.sample_rate,
                time=hop.time,
                at=arrivals[-1],
                crossings=int(np.sum(np.diff(np.signbit(samples[:, 0])))),
            )
            block.clear()
    before = clock.now()
    source.close()
    steps = np.diff(times)
    say(
        closed_in=clock.now() - before,
        hops=len(times),
        ended=source.ended,
        ages=[float(value) for value in np.percentile(np.subtract(arrivals, times), (5, 50, 95))] if times else [],
        step=[float(steps.mean()), float(steps.std()), float(steps.min())] if len(steps) else [],
        settled=[float(steps[200:].std()), float(np.abs(steps[200:]).max())] if len(steps) > 300 else [],
        overruns=getattr(source, "overruns", 0),
        losses=getattr(source, "losses", 0),
    )


main()
