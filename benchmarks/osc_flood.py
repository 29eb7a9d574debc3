"""What OSC in withstands: a stream without loss, malformed packets by the million, a fader in the middle of it.

``python -m benchmarks.osc_flood [--full] [--json]``. Everything goes over loopback, from processes of their own. Quick
takes half a minute, ``--full`` three and a half: 60 s of stream and 1,000,000 malformed packets.
"""

from __future__ import annotations

import argparse
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from benchmarks.common import Report
from vjengine.core import events as ev
from vjengine.core.clock import LiveClock
from vjengine.core.exchange import EventQueue
from vjengine.core.macros import MacroDef
from vjengine.core.osc_packet import MalformedPacket, decode_packet
from vjengine.core.osc_tree import osc_tree
from vjengine.core.osc_write import bundles, element, message
from vjengine.inputs.osc import OscInput

STREAM_RATE = 10_000
FUZZ_RATE = 12_000
"""Below what one sender may send, so that every packet is really decoded."""
POOL = 20_000
SEED = 7

SENDER = """
import socket, sys, time
port, rate, count, path = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
packets = [bytes.fromhex(line) for line in open(path)]
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect(("127.0.0.1", port))
start, sent = time.perf_counter(), 0
while sent < count:
    due = count if rate <= 0 else min(count, int((time.perf_counter() - start) * rate) + 1)
    while sent < due:
        try:
            sock.send(packets[sent % len(packets)])
        except OSError:
            time.sleep(0.0005)
            continue
        sent += 1
    time.sleep(0.001 if rate > 0 else 0)
"""


class Probe:
    """A fader moved again and again from another socket, and how long each move took to become an event."""

    def __init__(self, osc: OscInput, events: EventQueue) -> None:
        self._osc, self._events = osc, events
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._number = 0
        self.taps = 0
        self.waited: list[float] = []
        self.lost = 0

    def drain(self) -> list[float]:
        """Take what waits; return the values of the fader."""
        found = []
        for event in self._events.drain():
            if isinstance(event, ev.Tap):
                self.taps += 1
            elif isinstance(event, ev.ParamSet) and event.param == "out.level":
                found.append(event.value)
        return found

    def move(self, patience: float = 2.0) -> None:
        """Move the fader once and wait for it."""
        self._number = self._number % 999 + 1
        value = self._number / 1000
        start = time.perf_counter()
        self._sock.sendto(message("/param/out/level", value), self._osc.address)
        while time.perf_counter() - start < patience:
            if any(abs(seen - value) < 1e-6 for seen in self.drain()):
                self.waited.append((time.perf_counter() - start) * 1e3)
                return
            time.sleep(0.0003)
        self.lost += 1

    def during(self, process: subprocess.Popen[bytes] | None, seconds: float = 0.0) -> list[float]:
        """Move it thirty times a second until ``process`` ends, or for ``seconds``; return what each move took, ms."""
        self.waited, self.lost = [], 0
        end = time.perf_counter() + seconds
        while (process.poll() is None) if process is not None else time.perf_counter() < end:
            self.move()
            time.sleep(0.03)
        return self.waited

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


def fuzzed(count: int, seed: int) -> list[bytes]:
    """Return ``count`` packets that are no OSC, each made of a valid one by a few changes."""
    rng = random.Random(seed)
    rows = osc_tree({"DROP": MacroDef("DROP"), "ENERGY": MacroDef("ENERGY", "level")})
    valid = [message(row.address, 0.5) for row in rows] + [message(row.address, "text", 3, 1.0) for row in rows]
    valid += [bundles(element(packet) for packet in rng.sample(valid, rng.randint(1, 8)))[0] for _ in range(200)]
    found: list[bytes] = []
    while len(found) < count:
        packet = bytearray(rng.choice(valid))
        for _ in range(rng.randint(1, 6)):
            kind, at = rng.randrange(5), rng.randrange(len(packet) or 1)
            if kind == 0 and packet:
                packet[at] ^= 1 << rng.randrange(8)
            elif kind == 1:
                del packet[at:]
            elif kind == 2:
                packet[at:at] = rng.randbytes(rng.randint(1, 16))
            elif kind == 3 and len(packet) >= 4:
                packet[at : at + 4] = rng.choice((b"\xff\xff\xff\xfc", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\x80\0\0\0"))
            else:
                packet += packet[: rng.randint(0, 64)]
        try:
            decode_packet(bytes(packet))
        except MalformedPacket:
            found.append(bytes(packet[:16_000]))
    return found


def send(folder: Path, port: int, rate: float, count: int, packets: list[bytes]) -> subprocess.Popen[bytes]:
    """Start a process that sends ``count`` packets, ``rate`` a second; 0 is as fast as it can."""
    path = folder / "packets.txt"
    path.write_text("\n".join(packet.hex() for packet in packets))
    return subprocess.Popen([sys.executable, "-c", SENDER, str(port), str(rate), str(count), str(path)])


def kernel_drops(port: int) -> int:
    """Return the packets for ``port`` that the system dropped because we were not run in time (Linux; else 0)."""
    table = Path("/proc/net/udp")
    lines = table.read_text().splitlines()[1:] if table.is_file() else []
    return sum(int(line.split()[-1]) for line in lines if int(line.split()[1].rpartition(":")[2], 16) == port)


def settle(osc: OscInput) -> None:
    """Wait until nothing more is read."""
    seen = -1
    while seen != (now := osc.received + osc.malformed + osc.dropped + osc.unknown):
        seen = now
        time.sleep(0.5)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--full", action="store_true", help="60 s of stream, 1,000,000 malformed packets")
    parser.add_argument("--json", action="store_true", help="JSON Lines")
    args = parser.parse_args()
    seconds, malformed = (60, 1_000_000) if args.full else (5, 50_000)
    report = Report("osc_flood", as_json=args.json)
    events = EventQueue()
    osc = OscInput("127.0.0.1", 0, {"DROP": MacroDef("DROP")}, LiveClock(), events)
    osc.start()
    thread = next(one for one in threading.enumerate() if one.name == "osc-in")
    probe, memory = Probe(osc, events), psutil.Process()
    with tempfile.TemporaryDirectory(prefix="vjengine-bench-") as name:
        folder = Path(name)
        report.add("fader to event, quiet", "ms", probe.during(None, 2.0))

        stream = [message("/tempo/tap")] + [message("/param/feedback/mix", i / 9) for i in range(9)]
        before, probe.taps = osc.received, 0
        waited = probe.during(send(folder, osc.address[1], STREAM_RATE, seconds * STREAM_RATE, stream))
        settle(osc)
        probe.drain()
        sent = seconds * STREAM_RATE
        missed = kernel_drops(osc.address[1])
        got = osc.received - before - len(waited) - probe.lost
        report.add(f"lost of {sent:,} messages at {STREAM_RATE:,}/s", "messages", sent - got, goal="0")
        report.add("of these dropped by the system, we not being run", "messages", missed)
        report.add("lost of their beats, which never merge", "events", sent / 10 - probe.taps, goal="0")
        report.add("fader to event meanwhile", "ms", waited)

        packets = fuzzed(POOL, SEED)
        send(folder, osc.address[1], FUZZ_RATE, POOL, packets).wait()
        settle(osc)
        missed = kernel_drops(osc.address[1])
        resting, wrong = memory.memory_info().rss, osc.malformed
        waited = probe.during(send(folder, osc.address[1], FUZZ_RATE, malformed, packets))
        settle(osc)
        missed = kernel_drops(osc.address[1]) - missed
        grown = (memory.memory_info().rss - resting) / 2**20
        report.add(
            f"of {malformed:,} malformed packets, refused", "packets", osc.malformed - wrong, goal=f"{malformed}"
        )
        report.add("of these dropped by the system, we not being run", "packets", missed)
        report.add("memory grown by them", "MiB", grown, goal="< 5")
        report.add("fader to event meanwhile", "ms", waited)
        report.add("fader moves lost meanwhile", "moves", probe.lost, goal="0")

        dropped = osc.dropped
        waited = probe.during(send(folder, osc.address[1], 0, malformed, packets))
        settle(osc)
        report.add(f"of {malformed:,} as fast as can be, dropped unread", "packets", osc.dropped - dropped)
        report.add("fader to event meanwhile", "ms", waited)
        report.add("fader moves lost meanwhile", "moves", probe.lost)
    if not thread.is_alive():
        raise SystemExit("OSC in has died")
    probe.close()
    osc.stop()


if __name__ == "__main__":
    main()
