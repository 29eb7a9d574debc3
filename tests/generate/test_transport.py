"""The shared memory between engine and worker: newest wins, nothing torn, nothing left behind."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import fields

import numpy as np
import pytest

from vjengine.core.frame import Frame, flow_shape
from vjengine.core.generation import GeneratorParams
from vjengine.core.params import PARAMS
from vjengine.errors import GeneratorError
from vjengine.generate import transport
from vjengine.generate.transport import IDLE, Link, NewestSlots

# A worker without manners: it writes frames of one colour as fast as it can until it is killed.
HAMMER = """
import sys
import numpy as np
from vjengine.core.generation import GeneratorParams
from vjengine.generate.transport import Link, Segment
name, width, height = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
link = Link.attach(Segment(name, (width, height)))
pixels = np.empty((height, width, 4), np.uint8)
n = 0
while True:
    n += 1
    pixels[...] = n % 251
    link.write_frame(pixels, n, GeneratorParams(sequence=n, time=n / 30), n / 30, 0.0)
"""

# The same with two pictures in hand: the second is half drawn when the first is published.
HAMMER_AHEAD = (
    HAMMER.partition("while True")[0]
    + """
link.work_ahead()
places = [link.place_frame()]
while True:
    n += 1
    places[0][...] = n % 251
    places.append(link.place_frame(ahead=1))
    places[1][: height // 2] = 255
    link.publish_frame(n, GeneratorParams(sequence=n, time=n / 30), n / 30, 0.0)
    del places[0]
"""
)


@pytest.fixture
def link() -> Iterator[Link]:
    made = Link.create((320, 180))
    yield made
    made.close(unlink=True)


@pytest.fixture
def slots() -> NewestSlots:
    return NewestSlots(np.zeros(NewestSlots.size(3, 100), np.uint8), 3, 100)


def write(slots: NewestSlots, text: bytes) -> None:
    slots.begin()[: len(text)] = np.frombuffer(text, np.uint8)
    slots.publish(len(text))


class TestNewestSlots:
    def test_nothing_before_the_first(self, slots: NewestSlots) -> None:
        assert slots.version == 0
        assert slots.read() is None

    def test_the_newest_wins_and_is_news_once(self, slots: NewestSlots) -> None:
        for text in (b"one", b"two", b"three", b"four"):
            write(slots, text)
        found = slots.read()
        assert found is not None
        assert (found[0], found[1].tobytes()) == (4, b"four")
        assert slots.read(after=4) is None

    def test_a_half_written_value_is_never_seen(self, slots: NewestSlots) -> None:
        write(slots, b"whole")
        slots.begin()[:] = 255  # the writer dies here
        found = slots.read()
        assert found is not None
        assert found[1].tobytes() == b"whole"

    def test_a_new_writer_goes_on_after_one_died_half_way(self, slots: NewestSlots) -> None:
        write(slots, b"old")
        slots.begin()[:] = 255
        write(slots, b"new")
        found = slots.read(after=1)
        assert found is not None
        assert found[1].tobytes() == b"new"

    def test_a_reader_lapped_while_it_reads_notices(self, slots: NewestSlots) -> None:
        write(slots, b"mine")
        slots._head[1][0] |= 1  # the writer has come round to the slot the newest word still names
        assert slots.read() is None

    def test_two_are_begun_and_come_out_in_order(self) -> None:
        slots = NewestSlots(np.zeros(NewestSlots.size(4, 100), np.uint8), 4, 100)
        write(slots, b"zero")
        slots.widen()
        found = slots.read()
        assert found is not None, "what was there stays there"
        assert found[1].tobytes() == b"zero"
        for n in range(1, 20):
            first, second = slots.begin(), slots.begin(ahead=1)
            first[:1], second[:1] = n, n + 100
            found = slots.read(after=slots.version - 1)
            assert found is not None, "what is newest can be read while two are being written"
            for value in (n, n + 100):
                slots.publish(1)
                found = slots.read(after=slots.version - 1)
                assert found is not None
                assert found[1].tolist() == [value]

    def test_no_more_are_begun_than_there_is_room_for(self, slots: NewestSlots) -> None:
        slots.begin(ahead=1)
        with pytest.raises(ValueError, match="3 slots cannot be begun at once"):
            slots.begin(ahead=2)

    def test_room_is_made_before_the_work_begins(self, slots: NewestSlots) -> None:
        write(slots, b"one")
        write(slots, b"two")
        with pytest.raises(ValueError, match="before it is used"):
            slots.widen()

    def test_garbage_in_the_length_is_survived(self, slots: NewestSlots) -> None:
        write(slots, b"x")
        slots._head[1][2] = 1 << 60
        assert slots.read() is None


class TestLink:
    def test_params_arrive_whole(self, link: Link) -> None:
        values = PARAMS.defaults().replaced({"gen.zoom": 2.5, "gen.hue": 0.25})
        sent = GeneratorParams(
            7, 1.5, values, 2.0, 0.5, 3, 4, (("a lighthouse", 1.0), ("ü", 0.5)), "fog", (0.1,) * 6, (0.2,) * 6, 0.3,
            9.75, 0.4, True,
        )  # fmt: skip
        link.write_params(GeneratorParams(sequence=6))
        link.write_params(sent)
        worker = Link.attach(link.segment)
        found = worker.read_params(0)
        worker.close()
        assert found is not None
        got = found[1]
        for field in fields(GeneratorParams):
            if field.name != "values":
                assert getattr(got, field.name) == getattr(sent, field.name), field.name
        assert np.array_equal(got.values.array, values.array)
        assert not got.values.array.flags.writeable

    def test_oversized_params_are_refused_and_the_last_stay(self, link: Link) -> None:
        link.write_params(GeneratorParams(sequence=1))
        with pytest.raises(ValueError, match="bytes"):
            link.write_params(GeneratorParams(sequence=2, prompts=(("x" * 100_000, 1.0),)))
        found = link.read_params(0)
        assert found is not None
        assert found[1].sequence == 1

    def test_frames_carry_what_they_were_made_for(self, link: Link) -> None:
        pixels = np.random.default_rng(1).integers(0, 255, (180, 320, 4), dtype=np.uint8)
        link.write_frame(pixels, 41, GeneratorParams(sequence=12, time=3.25), 3.5, 0.125)
        found = link.read_frame(0, "still")
        assert found is not None
        version, frame, seconds = found
        assert np.array_equal(frame.pixels, pixels)
        assert (frame.sequence, frame.params_sequence, frame.made_for, frame.ready) == (41, 12, 3.25, 3.5)
        assert (frame.generator, frame.size, seconds) == ("still", (320, 180), 0.125)
        assert not frame.pixels.flags.writeable
        assert link.read_frame(version, "still") is None

    def test_a_frame_stays_as_it_was_when_newer_ones_come(self, link: Link) -> None:
        link.write_frame(np.full((180, 320, 4), 9, np.uint8), 1, GeneratorParams(), 0.0, 0.0)
        found = link.read_frame(0, "still")
        for n in range(2, 8):
            link.write_frame(np.full((180, 320, 4), n, np.uint8), n, GeneratorParams(), 0.0, 0.0)
        assert found is not None
        assert (found[1].pixels == 9).all()

    def test_a_flow_field_travels_with_its_frame_only(self, link: Link) -> None:
        pixels = np.zeros((180, 320, 4), np.uint8)
        flow = np.random.default_rng(1).normal(size=flow_shape((320, 180))).astype(np.float16)
        got: list[Frame] = []
        for n in range(1, 9):
            link.write_frame(pixels, n, GeneratorParams(), 0.0, 0.0, flow if n % 2 else None)
            found = link.read_frame(0, "turbo")
            assert found is not None
            got.append(found[1])
        for frame in got[::2]:
            assert frame.flow is not None
            assert np.array_equal(frame.flow, flow)
            assert not frame.flow.flags.writeable
        assert all(frame.flow is None for frame in got[1::2])

    def test_the_next_life_finds_the_picture_of_the_last(self, link: Link) -> None:
        pixels = np.random.default_rng(2).integers(0, 255, (180, 320, 4), dtype=np.uint8)
        version = link.leave(Frame(pixels, 41, 12, 3.25, 3.5, "turbo"))
        worker = Link.attach(link.segment)
        found = worker.read_frame(0, "turbo")
        assert found is not None
        assert np.array_equal(found[1].pixels, pixels)
        assert link.read_frame(version, "turbo") is None, "it is no new frame to the engine"
        worker.write_frame(pixels, 42, GeneratorParams(), 0.0, 0.0)
        worker.close()
        new = link.read_frame(version, "turbo")
        assert new is not None
        assert new[1].sequence == 42

    def test_heartbeat_crosses(self, link: Link) -> None:
        worker = Link.attach(link.segment)
        worker.beat(12.5, IDLE)
        worker.close()
        assert link.heartbeat() == (12.5, IDLE)

    def test_closing_leaves_nothing(self, our_segments: Callable[[], set[str]]) -> None:
        before = our_segments()
        link = Link.create((64, 64))
        assert len(our_segments() - before) == 1
        link.close(unlink=True)
        assert our_segments() == before

    def test_no_room_for_the_frames_is_a_clear_error(self, our_segments: Callable[[], set[str]]) -> None:
        before = our_segments()
        with pytest.raises(GeneratorError, match=r"no shared memory .*smaller --size"):
            Link.create((1 << 20, 1 << 20))
        assert our_segments() == before


@pytest.mark.parametrize(("size", "hammering"), [((768, 448), HAMMER), ((65, 33), HAMMER), ((768, 448), HAMMER_AHEAD)])
def test_no_torn_frame_from_a_writer_that_is_killed_at_any_moment(size: tuple[int, int], hammering: str) -> None:
    pause = threading.Event()
    seen = 0
    for _ in range(3):
        link = Link.create(size)
        hammer = subprocess.Popen([sys.executable, "-c", hammering, link.segment.name, str(size[0]), str(size[1])])
        try:
            version = reads = 0
            while reads < 150:
                found = link.read_frame(version, "hammer")
                if found is None:
                    assert hammer.poll() is None
                    pause.wait(0.0005)
                    continue
                version, frame, _ = found
                assert (frame.pixels == frame.sequence % 251).all(), "a torn frame"
                assert frame.params_sequence == frame.sequence
                reads += 1
            hammer.kill()  # most likely in the middle of a write
            hammer.wait()
            found = link.read_frame(0, "hammer")
            assert found is not None, "the last whole frame is still there"
            assert (found[1].pixels == found[1].sequence % 251).all()
            seen += reads
        finally:
            hammer.kill()
            hammer.wait()
            link.close(unlink=True)
    assert seen == 450


def test_a_fence_can_be_called_from_many_threads() -> None:
    threads = [threading.Thread(target=lambda: [transport._fence() for _ in range(1000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
