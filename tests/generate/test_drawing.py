"""The worker's loop in place: one thread, real shared memory, generators that keep the contract in few lines."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from multiprocessing import Pipe

import numpy as np
import pytest

from vjengine.core.clock import LiveClock
from vjengine.core.frame import Frame, Pixels, flow_shape
from vjengine.core.generation import GeneratorParams
from vjengine.errors import GeneratorError
from vjengine.generate.base import Direct, Generator, GeneratorSpec, Ticket
from vjengine.generate.drawing import Easel
from vjengine.generate.host import PipeHost
from vjengine.generate.transport import Link

SIZE = (96, 64)
SPEC = GeneratorSpec("still", SIZE)


class Plain:
    """Draws one grey: the params' sequence."""

    name = "plain"

    def __init__(self, delay: float = 0.0) -> None:
        self._delay = delay
        self._wait = threading.Event()
        self.flowing = True

    def generate(self, params: GeneratorParams) -> Pixels:
        self._wait.wait(self._delay)
        texture = np.random.default_rng(1).integers(0, 255, (64, 96), dtype=np.uint8)
        return np.repeat(np.roll(texture, params.sequence, axis=1)[..., None], 4, axis=2)

    def close(self) -> None:
        pass


class Later:
    """The ticket of a picture that is written when somebody waits for it."""

    def __init__(self, log: list[str], number: int, into: Pixels, fails: bool) -> None:
        self._log, self._number, self._into, self._fails = log, number, into, fails

    def ready(self) -> bool:
        return False

    def wait(self) -> None:
        if self._fails:
            raise GeneratorError("the device failed")
        self._into[...] = self._number
        self._log.append(f"landed {self._number}")


class Ahead(Plain):
    """A direct generator whose device is slow, and fails at one picture."""

    def __init__(self, fails_at: int = 0) -> None:
        super().__init__()
        self._fails_at = fails_at
        self.flowing = False
        self.log: list[str] = []
        self.places: list[int] = []

    def begin(self, params: GeneratorParams, into: Pixels) -> Ticket:
        self.log.append(f"began {params.sequence}")
        self.places.append(into.ctypes.data)
        into[...] = 255  # half-drawn: nobody may see this
        return Later(self.log, params.sequence, into, params.sequence == self._fails_at)


class Room:
    """An easel and what stands around it."""

    def __init__(self) -> None:
        self.link = Link.create(SIZE)
        self.engine, self._worker = Pipe(duplex=True)
        self.clock = LiveClock()
        self.host = PipeHost("still", self.link, self.clock, self._worker)

    def draw(self, generator: Generator, steps: int, pause: float = 0.0, fps_cap: float = 1e6) -> list[Frame]:
        """Submit ``steps`` parameter sets, one whenever the loop looks up; return the frames seen on the way."""
        frames: list[Frame] = []
        seen = sent = idle = 0
        wait = threading.Event()

        def stop(seconds: float) -> bool:
            nonlocal seen, sent, idle
            found = self.link.read_frame(seen, "plain")
            if found is not None:
                seen = found[0]
                frames.append(found[1])
            if sent == steps:
                idle += seconds > 0
                return idle > 1
            sent += 1
            self.link.write_params(GeneratorParams(sequence=sent, time=sent / 10))
            wait.wait(pause)
            return False

        Easel(generator, SPEC, self.link, self.clock, self.host, 1, fps_cap).run(stop)
        return frames

    def close(self) -> None:
        self._worker.close()
        self.engine.close()
        self.link.close(unlink=True)


@pytest.fixture
def room() -> Iterator[Room]:
    made = Room()
    yield made
    made.close()


class TestDirect:
    def test_the_next_picture_is_begun_before_the_last_has_landed(self, room: Room) -> None:
        generator = Ahead()
        assert isinstance(generator, Direct)
        frames = room.draw(generator, 6)
        log = generator.log
        assert log.index("began 2") < log.index("landed 1") < log.index("began 3") < log.index("landed 2")
        assert len(set(generator.places)) == 4
        assert [frame.sequence for frame in frames] == sorted({frame.sequence for frame in frames})
        for frame in frames:
            assert (frame.pixels == frame.params_sequence).all()

    def test_the_last_picture_lands_though_no_parameters_follow(self, room: Room) -> None:
        frames = room.draw(Ahead(), 3)
        assert frames[-1].params_sequence == 3

    def test_a_fault_on_the_way_ends_the_loop(self, room: Room) -> None:
        with pytest.raises(GeneratorError, match="the device failed"):
            room.draw(Ahead(fails_at=13), 20)
        found = room.link.read_frame(0, "plain")
        assert found is not None
        assert (found[1].pixels == 12).all()

    def test_a_picture_that_is_there_at_once_is_published_at_once(self, room: Room) -> None:
        class There(Later):
            def ready(self) -> bool:
                return True

        class AtOnce(Ahead):
            def begin(self, params: GeneratorParams, into: Pixels) -> Ticket:
                return There(self.log, params.sequence, into, False)

        generator = AtOnce()
        frames = room.draw(generator, 3)
        assert [frame.params_sequence for frame in frames] == [1, 2, 3]


class TestMotion:
    def test_slow_frames_carry_the_flow_from_the_one_before(self, room: Room) -> None:
        pytest.importorskip("cv2", reason="no motion without OpenCV")
        frames = room.draw(Plain(), 6, pause=0.04)
        assert frames[0].flow is None
        flows = [frame.flow for frame in frames[1:]]
        for flow in flows:
            assert flow is not None
            assert flow.shape == flow_shape(SIZE)
            assert flow.dtype == np.float16
            assert not flow.flags.writeable

    def test_fast_frames_and_other_generators_carry_none(self, room: Room) -> None:
        assert all(frame.flow is None for frame in room.draw(Plain(), 30)[8:])
        calm = Plain()
        calm.flowing = False
        assert all(frame.flow is None for frame in room.draw(calm, 3, pause=0.04))


def test_a_picture_against_the_contract_ends_the_loop(room: Room) -> None:
    class Wrong(Plain):
        def generate(self, params: GeneratorParams) -> Pixels:
            return np.zeros((4, 4, 4), np.uint8)

    with pytest.raises(GeneratorError, match=r"expected \(64, 96, 4\)"):
        room.draw(Wrong(), 1)


def test_the_cap_holds_for_pictures_that_travel(room: Room) -> None:
    began = room.clock.now()
    generator = Ahead()
    room.draw(generator, 40, pause=0.01, fps_cap=20.0)
    assert len(generator.places) <= 20.0 * (room.clock.now() - began) + 2
