"""Handing pictures over: whole, in order, into shared memory, and without holding up the next one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from vjengine.core.generation import GeneratorParams
from vjengine.errors import GeneratorError
from vjengine.generate.transport import Link
from vjengine.generate.turbo.transfer import Outbox

SIZE = (128, 64)
DEVICES = [
    "cpu",
    pytest.param(
        "cuda:0",
        marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")],
    ),
]


@pytest.fixture
def link() -> Iterator[Link]:
    made = Link.create(SIZE)
    yield made
    made.close(unlink=True)


def picture(n: int, device: str) -> torch.Tensor:
    return torch.full((64, 128, 4), n, dtype=torch.uint8, device=device)


@pytest.mark.parametrize("device", DEVICES)
class TestSending:
    def test_pictures_arrive_whole_though_their_buffer_is_written_over_at_once(self, device: str, link: Link) -> None:
        outbox = Outbox(SIZE, device)
        buffer = picture(0, device)
        link.work_ahead()
        ticket = None
        for n in range(1, 12):
            place = link.place_frame(ahead=int(ticket is not None))
            buffer.fill_(n)
            coming = outbox.send(buffer, place)
            buffer.fill_(255)  # the next frame is drawn already
            if ticket is not None:
                ticket.wait()
                assert ticket.ready()
                link.publish_frame(n - 1, GeneratorParams(), 0.0, 0.0)
                found = link.read_frame(n - 2, "turbo")
                assert found is not None
                assert (found[1].pixels == n - 1).all()
            ticket = coming
            del place, coming
        del ticket
        outbox.close()
        outbox.close()

    def test_ordinary_memory_will_do(self, device: str, link: Link) -> None:
        outbox = Outbox(SIZE, device)
        places = [np.zeros((64, 128, 4), np.uint8) for _ in range(20)]
        for n, place in enumerate(places):
            outbox.send(picture(n, device), place).wait()
        assert all((place == n).all() for n, place in enumerate(places))
        outbox.close()

    @pytest.mark.parametrize(
        ("shape", "dtype"), [((128, 64, 4), torch.uint8), ((64, 128, 3), torch.uint8), ((64, 128, 4), torch.float32)]
    )
    def test_another_picture_or_place_is_refused(
        self, device: str, link: Link, shape: tuple[int, ...], dtype: torch.dtype
    ) -> None:
        outbox = Outbox(SIZE, device)
        with pytest.raises(GeneratorError, match=r"expected \(64, 128, 4\) uint8"):
            outbox.send(torch.zeros(shape, dtype=dtype, device=device), np.zeros((64, 128, 4), np.uint8))
        wrong = np.zeros(shape, np.float32 if dtype == torch.float32 else np.uint8)
        with pytest.raises(GeneratorError, match="place"):
            outbox.send(picture(1, device), wrong)
        outbox.close()

    def test_works_inside_and_outside_inference_mode(self, device: str, link: Link) -> None:
        outbox = Outbox(SIZE, device)
        place = link.place_frame()
        outbox.send(picture(1, device), place).wait()
        with torch.inference_mode():
            made = picture(2, device)
        outbox.send(made, place).wait()
        assert (place == 2).all()
        outbox.close()
        del place


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_host_does_not_wait_for_the_device(link: Link) -> None:
    outbox = Outbox(SIZE, "cuda:0")
    place = link.place_frame()
    outbox.send(picture(1, "cuda:0"), place).wait()
    heavy = torch.randn(8192, 8192, device="cuda:0")
    for _ in range(4):
        heavy = heavy @ heavy
    ticket = outbox.send(picture(2, "cuda:0"), place)
    assert not ticket.ready()
    ticket.wait()
    assert (place == 2).all()
    outbox.close()
    del place
