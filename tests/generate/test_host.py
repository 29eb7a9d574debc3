"""What a worker says: it reaches the engine, newest first, and cannot flood it."""

from __future__ import annotations

import logging
import pickle
import threading
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import pytest

from vjengine.core.clock import LiveClock
from vjengine.generate.host import NEWS, Failure, HostLog, LogLine, PipeHost, Remark
from vjengine.generate.transport import GENERATING, LOADING, Link


class Wire:
    """A host, and the engine's end of its pipe."""

    def __init__(self, link: Link, engine: Connection, worker: Connection) -> None:
        self.link = link
        self.engine = engine
        self.worker = worker
        self.host = PipeHost("turbo", link, LiveClock(), worker)
        self.batches = 0

    def hear(self, quiet: float = 0.4) -> list[object]:
        """Return all that was said until it has been quiet for so many s."""
        said: list[object] = []
        while self.engine.poll(quiet):
            blob = self.engine.recv_bytes()
            if blob == NEWS:
                said.append(NEWS)
                continue
            value = pickle.loads(blob)
            self.batches += 1
            said += [value] if isinstance(value, Failure) else list(value)
        return said


@pytest.fixture
def wire() -> Iterator[Wire]:
    link = Link.create((16, 16))
    engine, worker = Pipe(duplex=True)
    yield Wire(link, engine, worker)
    worker.close()
    engine.close()
    link.close(unlink=True)


def test_a_change_of_state_arrives_and_ok_takes_it_back(wire: Wire) -> None:
    wire.host.say("engine", "warn", "building tensorrt 43 %")
    assert wire.hear() == [Remark("engine", "warn", "building tensorrt 43 %")]
    wire.host.say("engine", "ok")
    assert wire.hear() == [Remark("engine", "ok", "")]


def test_the_same_again_and_ok_without_trouble_are_no_news(wire: Wire) -> None:
    wire.host.say("memory", "ok")
    wire.host.say("engine", "warn", "slow")
    wire.hear()
    wire.host.say("engine", "warn", "slow")
    assert wire.hear() == []


def test_a_flood_is_thinned_to_a_few_messages_and_its_last_word_arrives(wire: Wire) -> None:
    for n in range(5000):
        wire.host.say("engine", "warn", f"step {n}")
    said = wire.hear()
    assert said[-1] == Remark("engine", "warn", "step 4999")
    assert wire.batches <= 4


def test_words_are_bounded_in_size_number_and_lines(wire: Wire) -> None:
    for n in range(100):
        wire.host.say(f"a component with a name that goes on {n}", "error", "long\nstory " * 1000)
        wire.host.say(f"part {n}", "error", "x")
    said = wire.hear()
    assert 0 < len(said) <= 16
    for remark in said:
        assert isinstance(remark, Remark)
        assert len(remark.message) <= 200
        assert "\n" not in remark.message
        assert len(remark.component) <= 24


def test_the_supervisors_own_lines_cannot_be_overwritten(wire: Wire) -> None:
    wire.host.say("generator", "error", "mine")
    assert wire.hear() == [Remark("turbo", "error", "mine")]


class TestAlive:
    def test_beats_and_shows_progress_until_a_picture_is_out(self, wire: Wire) -> None:
        wire.host.alive("loading unet", 0.43)
        assert wire.link.heartbeat()[0] > 0
        assert wire.hear() == [Remark("loading", "warn", "loading unet 43%")]
        wire.host.alive(fraction=0.5)
        assert wire.hear() == [Remark("loading", "warn", "loading unet 50%")]
        wire.host.loaded()
        wire.host.drew()
        assert wire.hear() == [Remark("loading", "ok", "")]

    def test_another_thread_counts_while_loading_and_not_later(self, wire: Wire) -> None:
        def from_elsewhere() -> None:
            thread = threading.Thread(target=wire.host.alive, args=("building",))
            thread.start()
            thread.join()

        from_elsewhere()
        assert wire.link.heartbeat()[0] > 0
        assert wire.hear() == [Remark("loading", "warn", "building")]
        wire.host.loaded()
        wire.link.beat(1.0, GENERATING)
        from_elsewhere()
        assert wire.link.heartbeat() == (1.0, GENERATING)
        wire.host.alive()  # the thread that draws: slow work inside a frame
        assert wire.link.heartbeat()[1] == LOADING


class TestLastWords:
    def test_come_after_everything_said_before(self, wire: Wire) -> None:
        wire.host.say("memory", "warn", "tight")
        wire.host.fail(Failure("out of memory", "trace", False))
        said = wire.hear()
        assert said == [Remark("memory", "warn", "tight"), Failure("out of memory", "trace", False)]

    def test_to_nobody_are_no_error(self, wire: Wire) -> None:
        wire.engine.close()
        wire.host.say("memory", "warn", "tight")
        wire.host.fail(Failure("out of memory", "trace", False))


class TestLog:
    def test_lines_cross_with_their_level_and_logger(self, wire: Wire) -> None:
        logger = logging.getLogger("vjengine.generate.turbo.trial")
        logger.propagate = False
        logger.setLevel(logging.DEBUG)
        handler = HostLog(wire.host)
        logger.addHandler(handler)
        logger.warning("the %s engine is stale", "old")
        logger.debug("not worth crossing for")
        logger.removeHandler(handler)
        assert wire.hear() == [LogLine(logging.WARNING, logger.name, "the old engine is stale")]

    def test_a_flood_is_counted_instead(self, wire: Wire) -> None:
        for n in range(1000):
            wire.host.log(LogLine(logging.WARNING, "library", f"{n} " + "x" * 5000))
        said = wire.hear()
        assert len(said) <= 30
        assert any("were too many" in line.text for line in said if isinstance(line, LogLine))
        assert all(len(line.text) <= 500 for line in said if isinstance(line, LogLine))


def test_many_threads_speak_at_once_and_every_message_is_whole(wire: Wire) -> None:
    def speak(name: str) -> None:
        for n in range(200):
            wire.host.say(name, "warn", f"{n}")
            wire.host.news()

    heard: list[object] = []
    threads = [threading.Thread(target=speak, args=(f"part {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        heard += wire.hear(0.01)
    heard += wire.hear()
    assert heard.count(NEWS) == 800
    last = {word.component: word.message for word in heard if isinstance(word, Remark)}
    assert last == {f"part {n}": "199" for n in range(4)}
