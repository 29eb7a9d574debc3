"""The turbo generator behind the contract: options, memory, faults, pictures given back after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from vjengine.core.generation import GeneratorParams  # noqa: E402
from vjengine.core.params import PARAMS  # noqa: E402
from vjengine.errors import GeneratorError, UsageError  # noqa: E402
from vjengine.generate.base import NOBODY, Direct, GeneratorSpec, Host, Resumable  # noqa: E402
from vjengine.generate.turbo.accel.eager import EagerNetworks  # noqa: E402
from vjengine.generate.turbo.accel.ladder import Ladder  # noqa: E402
from vjengine.generate.turbo.generator import TurboGenerator  # noqa: E402
from vjengine.generate.turbo.options import read_options  # noqa: E402

Image = np.ndarray[Any, np.dtype[np.uint8]]


class Listener:
    """A host that remembers."""

    live = True

    def __init__(self) -> None:
        self.said: list[tuple[str, str, str]] = []
        self.doing: list[str] = []

    def alive(self, doing: str = "", fraction: float = -1.0) -> None:
        self.doing.append(doing)

    def say(self, component: str, level: Literal["ok", "warn", "error"], message: str = "") -> None:
        self.said.append((component, level, message))


def spec(size: tuple[int, int] = (64, 64), seed: int = 1, **options: float | str) -> GeneratorSpec:
    return GeneratorSpec("turbo", size, seed, {"model": "random:tiny", "rung": "eager", "threads": 1.0, **options})


@contextmanager
def generator(given: GeneratorSpec, host: Host = NOBODY) -> Iterator[TurboGenerator]:
    made = TurboGenerator(given, host)
    try:
        yield made
    finally:
        made.close()


def params(n: int = 0, prompts: tuple[tuple[str, float], ...] = (), **rows: float) -> GeneratorParams:
    values = PARAMS.defaults().replaced({key.replace("__", "."): value for key, value in rows.items()})
    return GeneratorParams(sequence=n + 1, time=n / 30, values=values, prompts=prompts)


def film(given: GeneratorSpec, frames: int = 3) -> list[bytes]:
    with generator(given) as made:
        return [made.generate(params(n, (("a lake", 1.0),))).tobytes() for n in range(frames)]


def test_bytes_follow_from_seed_and_params_on_any_number_of_threads() -> None:
    first = film(spec())
    assert first[:2] == film(spec(threads=2.0), 2)
    assert first[:1] != film(spec(seed=2), 1)


@pytest.mark.parametrize("model", ["tiny-v", "tiny-lcm", "tiny-sdxl"])
def test_every_kind_of_model_with_and_without_a_prompt(model: str) -> None:
    with generator(spec((96, 64), model=f"random:{model}")) as made:
        shown = [
            made.generate(params(0)).copy(),
            made.generate(params(1, (("a lake", 1.0), ("fire", 0.5)), turbo__steps=2)).copy(),
            made.generate(replace(params(2, turbo__guidance=3.0), negative="blur")).copy(),
        ]
    for picture in shown:
        assert picture.shape == (64, 96, 4)
        assert picture[..., :3].std() > 10


def test_a_prompt_changes_the_picture() -> None:
    shown = []
    for text in ("", "a lake at night"):
        with generator(spec()) as made:
            shown.append(made.generate(params(0, ((text, 1.0),) if text else ())).astype(int))
    assert np.abs(shown[0] - shown[1]).mean() > 0.5


def test_a_picture_can_travel_while_the_next_is_begun() -> None:
    with generator(spec()) as made:
        assert isinstance(made, Direct)
        expected = [made.generate(params(n)).copy() for n in range(2)]
    with generator(spec()) as made:
        places = np.zeros((2, 64, 64, 4), np.uint8)
        tickets = [made.begin(params(n), places[n]) for n in range(2)]
        for ticket in tickets:
            ticket.wait()
            assert ticket.ready()
    assert np.array_equal(places, expected)


def test_a_restarted_worker_goes_on_from_the_last_picture() -> None:
    with generator(spec()) as made:
        for n in range(4):
            last = made.generate(params(n)).copy()
        following = made.generate(params(4, turbo__strength=0.1)).astype(int)
    last.flags.writeable = False
    with generator(spec()) as made:
        assert isinstance(made, Resumable)
        made.resume(last)
        resumed = made.generate(params(4, turbo__strength=0.1)).astype(int)
    with generator(spec()) as made:
        fresh = made.generate(params(4, turbo__strength=0.1)).astype(int)
    assert np.abs(resumed - following).mean() < 0.5 * np.abs(fresh - following).mean()


def test_the_init_picture_is_taken_where_there_is_one(tmp_path: Path) -> None:
    from PIL import Image as Files

    Files.fromarray(np.full((40, 40, 3), (250, 10, 10), np.uint8)).save(tmp_path / "red.png")
    shown = {}
    for init in (str(tmp_path / "red.png"), ""):
        host = Listener()
        with generator(spec(**({"init": init} if init else {})), host) as made:
            made.generate(params(0))
            plain = made.generate(params(1, turbo__strength=0.05)).astype(int)
        with generator(spec(**({"init": init} if init else {})), host) as made:
            made.generate(params(0))
            asked = made.generate(params(1, turbo__strength=0.05, turbo__init=1.0)).astype(int)
        shown[bool(init)] = np.abs(asked - plain).mean()
        assert any(component == "init" for component, _, _ in host.said) == (not init)
    assert shown[True] > 3
    assert shown[False] == 0


def test_a_better_rung_takes_over_between_two_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = film(spec(), 5)
    closed = []
    frames = 0

    class Better(EagerNetworks):
        def close(self) -> None:
            closed.append(self)
            super().close()

    def better(self: Any) -> Any:
        nonlocal frames
        frames += 1
        # The same networks as before, so that a trace of the change would show.
        return self._finish(Better(self._parts, self._plan)) if frames in (3, 4) else None

    monkeypatch.setattr(Ladder, "better", better)
    assert film(spec(), 5) == expected
    assert len(closed) == 2, "the second took over from the first, and was closed with the generator"


class Hungry(EagerNetworks):
    """Networks that run out of memory above a size, as a small card does."""

    limit = 0

    def predict(self, latents: Any, timestep: Any, *, negative: bool = False) -> Any:
        if latents.shape[2] * latents.shape[3] * 64 > Hungry.limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has ...")
        return super().predict(latents, timestep, negative=negative)


@pytest.fixture
def hungry(monkeypatch: pytest.MonkeyPatch) -> type[Hungry]:
    monkeypatch.setattr("vjengine.generate.turbo.accel.eager.EagerNetworks", Hungry)
    monkeypatch.setattr(Hungry, "limit", 10**9)
    return Hungry


def test_out_of_memory_steps_down_and_keeps_the_picture(hungry: type[Hungry], monkeypatch: pytest.MonkeyPatch) -> None:
    host = Listener()
    with generator(spec((384, 192)), host) as made:
        for n in range(3):
            before = made.generate(params(n)).astype(int)
        monkeypatch.setattr(hungry, "limit", 320 * 192 - 1)
        after = made.generate(params(3, turbo__strength=0.05)).astype(int)
        assert made.plan.size == (256, 128)
        assert after.shape == (192, 384, 4)
        assert [level for component, level, _ in host.said if component == "memory"] == ["warn", "warn"]
        assert "256x128" in host.said[-1][2]
        assert np.corrcoef(before[..., :3].ravel(), after[..., :3].ravel())[0, 1] > 0.2
        made.generate(params(4))


def test_out_of_memory_with_nothing_smaller_is_an_error_in_words(
    hungry: type[Hungry], monkeypatch: pytest.MonkeyPatch
) -> None:
    with generator(spec()) as made:
        made.generate(params(0))
        monkeypatch.setattr(hungry, "limit", 0)
        with pytest.raises(GeneratorError, match="out of memory even at 64x64"):
            made.generate(params(1))


def test_a_fault_of_the_device_is_an_error_in_one_line(hungry: type[Hungry], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Any, latents: Any) -> Any:
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nCompile with ...")

    with generator(spec()) as made:
        made.generate(params(0))
        monkeypatch.setattr(hungry, "decode", fail)
        with pytest.raises(
            GeneratorError, match=r"^the picture cannot be drawn: CUDA error: an illegal .*encountered$"
        ):
            made.generate(params(1))


def test_closed_is_closed() -> None:
    made = TurboGenerator(spec())
    made.close()
    made.close()
    with pytest.raises(GeneratorError, match="closed"):
        made.generate(params(0))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"modle": "x"}, "modle.*it has: device, folder, init, lora, model, precision, prompts, rung, threads, vae"),
        ({"rung": "warp"}, "rung.*auto, eager, graph"),
        ({"precision": "int4"}, "precision"),
        ({"vae": 3.0}, "vae"),
        ({"device": "tpu"}, "device"),
        ({"device": "cuda:x"}, "device"),
        ({"threads": 1.5}, "threads"),
        ({"threads": float("nan")}, "threads"),
        ({"threads": "many"}, "threads"),
    ],
)
def test_wrong_options_are_refused_with_what_they_may_be(options: dict[str, float | str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        TurboGenerator(GeneratorSpec("turbo", (64, 64), options=options))


def test_options_are_read_as_a_command_line_gives_them() -> None:
    read = read_options(spec(lora="film.safetensors| owner/name ", vae="full", folder="engines", init=7.0))
    assert read.loras == ("film.safetensors", "owner/name")
    assert (read.vae, read.folder, read.init, read.threads) == ("full", Path("engines"), "7", 1)
    assert read_options(GeneratorSpec("turbo", (64, 64))).model == "sd-turbo"


def test_a_device_that_is_not_here_is_told_with_those_that_are() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(UsageError, match=r"no device 'cuda'.*it has: .*cpu"):
        TurboGenerator(spec(device="cuda"))


def test_a_model_that_is_not_here_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises((GeneratorError, UsageError)):
        TurboGenerator(spec(model=str(tmp_path / "nowhere.safetensors")))
