"""The turbo loop as a continuation: on a small model, and what moves on between two dreams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from vjengine.errors import GeneratorError, OutOfMemory, UsageError  # noqa: E402
from vjengine.offline.continuation import Ask, Carried, Continuation, Opening, Pixels16  # noqa: E402
from vjengine.offline.diffusion import make_turbo  # noqa: E402
from vjengine.offline.diffusion.advect import advected, motion_between  # noqa: E402

ASK = Ask(0, 2, seed=7, fps=Fraction(12), prompt="a lighthouse", pulse=(1.0, 0.0))


def made(**options: object) -> Continuation:
    torch.set_num_threads(1)
    return make_turbo({"model": "random:tiny", **options})


@pytest.fixture(scope="module")
def turbo() -> Continuation:
    return made()


@pytest.fixture(scope="module")
def begun(disc: Callable[..., Pixels16]) -> Carried:
    pictures = np.stack((disc(30.0, 28.0), disc(32.0, 28.0)))
    return Carried(pictures, pictures[0])


def test_two_chunks_are_the_same_bytes_in_one_life_and_in_two(
    turbo: Continuation, begun: Carried, watcher: Any
) -> None:
    first = turbo.extend(begun, ASK, watcher)
    carried = Carried(first.frames[-2:], begun.anchor, first.state)
    following = replace(ASK, index=1, seed=8, prompt="a storm")
    second = turbo.extend(carried, following, watcher)
    again = made().extend(carried, following, watcher)
    assert np.array_equal(second.frames, again.frames)
    assert all(np.array_equal(second.state[key], again.state[key]) for key in second.state)
    assert first.frames.shape == (2, 64, 64, 3)
    assert len(np.unique(first.frames & 0xFF)) > 100  # all 16 bits
    pictures = np.concatenate((first.frames, second.frames)).astype(int)
    assert (np.abs(np.diff(pictures, axis=0)).mean(axis=(1, 2, 3)) > 65).all()  # no picture twice
    assert "picture 2 of 2" in watcher.said[-1]


def test_prompt_seed_and_beat_all_count(turbo: Continuation, begun: Carried, watcher: Any) -> None:
    plain = turbo.extend(begun, ASK, watcher).frames
    for change in ({"seed": 8}, {"prompt": "red rain"}, {"pulse": ()}, {"motion": 1.0}, {"noise": 0.1}):
        other = turbo.extend(begun, replace(ASK, **change), watcher).frames  # type: ignore[arg-type]
        # A prompt and a seed come in slowly: the last picture is the one to look at.
        assert not np.array_equal(other[-1], plain[-1]), change


def test_the_picture_is_dreamt_upon_and_not_replaced(turbo: Continuation, begun: Carried, watcher: Any) -> None:
    dreamer = made(strength=0.05)
    faint = dreamer.extend(begun, ASK, watcher).frames[0].astype(float)
    strong = dreamer.extend(begun, replace(ASK, noise=0.85), watcher).frames[0].astype(float)
    start = begun.frames[-1].astype(float)

    def alike(picture: Any) -> float:
        return float(np.corrcoef(picture.ravel(), start.ravel())[0, 1])

    assert alike(faint) > alike(strong)


def test_a_text_becomes_the_first_picture(turbo: Continuation, watcher: Any) -> None:
    pictures = [
        turbo.open(opening, (70, 50), watcher).frames for opening in (Opening("a tree", seed=1), Opening("fire"))
    ]
    assert pictures[0].shape == (1, 50, 70, 3)
    assert not np.array_equal(*pictures)
    with pytest.raises(GeneratorError, match="text, an image or a video"):
        turbo.open(Opening(), (64, 64), watcher)


def test_short_memory_is_told_from_other_faults(
    turbo: Continuation, begun: Carried, watcher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(error: Exception) -> None:
        def draw(*_: Any) -> Any:
            raise error

        monkeypatch.setattr("vjengine.offline.diffusion.drawer.Drawer.draw", draw)

    fails(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    with pytest.raises(OutOfMemory, match="2 GiB"):
        turbo.extend(begun, ASK, watcher)
    fails(RuntimeError("CUDA error: an illegal memory access was encountered"))
    with pytest.raises(GeneratorError, match="illegal") as caught:
        turbo.extend(begun, ASK, watcher)
    assert not isinstance(caught.value, OutOfMemory)
    assert turbo.lighten() == ""


def test_leaving_is_heard_at_every_picture(turbo: Continuation, begun: Carried, leaving: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        turbo.extend(begun, ASK, leaving(2))


def test_what_cannot_be_is_answered() -> None:
    with pytest.raises(UsageError, match="strength"):
        made(strengths=1)
    with pytest.raises(UsageError, match="1 to 4"):
        made(steps=9)


def test_motion_goes_on(disc: Callable[..., Pixels16]) -> None:
    size = (128, 96)
    pictures = [disc(x, 48.0, size) for x in (50.0, 53.0)]
    flow = motion_between(*pictures)

    # A disc that went to the right goes further; still pictures stay.
    centre = flow[flow.shape[0] // 2, 53 * flow.shape[1] // size[0]]
    assert 0.008 < centre[0] < 0.03
    assert abs(centre[1]) < 0.004
    assert np.abs(motion_between(pictures[0], pictures[0])).max() < 1e-3
    assert np.array_equal(advected(pictures[0], None, 0.8, 0.0), pictures[0])
    moved = advected(pictures[1], flow, 1.0, 0.0)
    wanted, stayed = (np.abs(moved.astype(int) - disc(x, 48.0, size)).mean() for x in (56.0, 53.0))
    assert wanted < stayed


def test_a_beat_pushes_towards_the_viewer(disc: Callable[..., Pixels16]) -> None:
    picture = disc(32.0, 32.0)
    nearer = advected(picture, None, 0.8, 0.2)
    bright = [int((one[..., 2] < 16000).sum()) for one in (picture, nearer)]
    assert bright[1] > 1.2 * bright[0]
    assert nearer.dtype == np.uint16
