"""Corrections on the device: what core/correction.py says, written out in numpy here, and what the loop makes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from vjengine.core.correction import MAX_NOISE, NO_CORRECTION, Correction  # noqa: E402
from vjengine.core.generation import GeneratorParams  # noqa: E402
from vjengine.core.params import PARAMS  # noqa: E402
from vjengine.generate.turbo.accel.base import TextState  # noqa: E402
from vjengine.generate.turbo.accel.eager import EagerNetworks  # noqa: E402
from vjengine.generate.turbo.controls import read_controls  # noqa: E402
from vjengine.generate.turbo.keep import KEEP_DIALS, Keep  # noqa: E402
from vjengine.generate.turbo.loop import TurboLoop  # noqa: E402
from vjengine.generate.turbo.parts import TurboParts  # noqa: E402
from vjengine.generate.turbo.plan import FramePlan  # noqa: E402
from vjengine.generate.turbo.program import FrameProgram  # noqa: E402
from vjengine.generate.turbo.random_models import random_parts  # noqa: E402

Image = npt.NDArray[np.float64]
SIZES = [(64, 64), (61, 47), (17, 33), (5, 3), (1, 1)]
TINT = (0.6, 0.0, 0.0, 0.2, 0.5, 0.0, -0.3, 0.1, 0.5)
WARM = (0.9, 0.05, 0.0, 0.02, 0.0, 0.8, 0.1, 0.05, 0.1, 0.0, 1.1, -0.08)


def picture(size: tuple[int, int], seed: int = 1) -> Image:
    """Return (H, W, 3) with something in every band, within 0.2-0.8 so that nothing is clipped."""
    drawn = np.random.default_rng(seed)
    width, height = size
    y, x = np.mgrid[:height, :width]
    waves = sum(np.sin((x * np.cos(k) + y * np.sin(k)) / cell + k) for k, cell in enumerate((1.0, 3.0, 9.0, 30.0)))
    shades = waves[..., None] * (1.0, 0.7, -0.6) / 4.0
    drawn_picture: Image = np.clip(0.5 + 0.2 * shades + 0.04 * drawn.standard_normal((height, width, 3)), 0.2, 0.8)
    return drawn_picture


def mean4(x: Image) -> Image:
    padded = np.pad(x, ((0, -x.shape[0] % 4), (0, -x.shape[1] % 4), (0, 0)), mode="edge")
    height, width = padded.shape[:2]
    means: Image = padded.reshape(height // 4, 4, width // 4, 4, 3).mean(axis=(1, 3))
    return means


def enlarged(x: Image, cell: int, shape: tuple[int, ...]) -> Image:
    """Cell i covers px i·cell up to (i + 1)·cell; in between linearly, at the edge the last one."""
    for axis in (0, 1):
        position = np.clip((np.arange(shape[axis]) + 0.5) / cell - 0.5, 0, x.shape[axis] - 1)
        low = np.floor(position).astype(int)
        high = np.minimum(low + 1, x.shape[axis] - 1)
        part = np.expand_dims(position - low, (1, 2) if axis == 0 else (0, 2))
        x = np.take(x, low, axis) * (1 - part) + np.take(x, high, axis) * part
    return x


def bands(x: Image) -> tuple[Image, Image, Image, Image]:
    taps, padded = np.array([1, 4, 6, 4, 1]) / 16, np.pad(x, ((2, 2), (2, 2), (0, 0)), mode="edge")
    height, width = x.shape[:2]
    blur = sum(taps[i] * taps[j] * padded[i : i + height, j : j + width] for i in range(5) for j in range(5))
    quarter, sixteenth = mean4(x), mean4(mean4(x))
    quarter, sixteenth = enlarged(quarter, 4, x.shape), enlarged(sixteenth, 16, x.shape)
    return x - blur, blur - quarter, quarter - sixteenth, sixteenth


def expected(x: Image, given: Correction, anchor: Image) -> Image:
    """Steps 1, 2, 3 and 5 of core/correction.py."""
    matrix = np.array(given.colour).reshape(3, 4)
    fine, middle, coarse, rest = bands(x @ matrix[:, :3].T + matrix[:, 3])
    fine = given.gains[0] * fine
    if given.ceiling > 0:
        fine = fine / np.sqrt(1 + (fine / given.ceiling) ** 2)
    found = fine + given.gains[1] * middle + given.gains[2] * coarse + rest
    return np.clip(found + given.anchor * (anchor - found), 0, 1)


class Bench:
    """A keep of one size with its dials."""

    def __init__(self, size: tuple[int, int], seed: int = 1, device: str = "cpu") -> None:
        self.dials = torch.zeros(KEEP_DIALS, device=device)
        self.keep = Keep(*size, 4, self.dials, seed)

    def set(self, given: Correction) -> None:
        self.dials.copy_(torch.from_numpy(self.keep.numbers(given)))

    def correct(self, x: Image, given: Correction) -> Image:
        self.set(given)
        found = torch.empty_like(self.keep.anchor)
        with torch.inference_mode():
            self.keep.correct(tensor(x).to(found.device), found)
        shown: Image = found[0].permute(1, 2, 0).double().cpu().numpy()
        return shown

    def noise(self, given: Correction) -> Image:
        """Return what the correction adds to a flat grey."""
        grey = np.full((self.keep.anchor.shape[2], self.keep.anchor.shape[3], 3), 0.5)
        return self.correct(grey, given) - 0.5


def tensor(x: Image) -> torch.Tensor:
    return torch.from_numpy(x.astype(np.float32).copy()).permute(2, 0, 1)[None].contiguous()


EACH: dict[str, dict[str, Any]] = {
    "nothing": {},
    "colour": {"colour": WARM},
    "fine": {"gains": (0.7, 1.0, 1.0)},
    "middle": {"gains": (1.0, 0.8, 1.0)},
    "coarse": {"gains": (1.0, 1.0, 0.75)},
    "more": {"gains": (1.2, 1.1, 1.25)},
    "ceiling": {"ceiling": 0.03},
    "anchor": {"anchor": 0.3},
    "all": {"colour": WARM, "gains": (0.9, 0.8, 1.1), "ceiling": 0.05, "anchor": 0.1},
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("what", EACH)
def test_it_does_what_a_correction_says(what: str, size: tuple[int, int]) -> None:
    x, anchor = picture(size), picture(size, 2)[::-1, ::-1]
    given = Correction(number=3, **EACH[what])
    bench = Bench(size)
    bench.keep.take(tensor(anchor))
    found, wanted = bench.correct(x, given), expected(x, given, anchor)
    np.testing.assert_allclose(found, wanted, atol=2e-6)
    if what != "nothing" and min(size) > 40:
        assert np.abs(wanted - x).mean() > 1e-3, "the reference does something"


def test_a_correction_without_a_number_leaves_every_bit_of_picture_and_latents() -> None:
    bench = Bench((61, 47))
    bench.set(Correction(number=0, colour=WARM, gains=(0.7, 0.7, 0.7), noise=(0.1, 0.1, 0.1), anchor=0.5))
    x, latents = tensor(picture((61, 47))), torch.randn(1, 4, 6, 8)
    found = torch.empty_like(x)
    bench.keep.correct(x, found)
    assert torch.equal(found, x)
    assert torch.equal(bench.keep.steer(latents), latents)


@pytest.mark.parametrize("band", [0, 1, 2])
@pytest.mark.parametrize("size", [(256, 256), (203, 301)])
def test_noise_has_the_variance_the_colours_and_the_size_asked_for(band: int, size: tuple[int, int]) -> None:
    amounts = (0.05 * (band == 0), 0.05 * (band == 1), 0.05 * (band == 2))
    bench = Bench(size)
    drawn = np.stack([bench.noise(Correction(number=n, noise=amounts, tint=TINT)) for n in range(1, 9)])
    tint = np.array(TINT).reshape(3, 3)
    covariance = np.cov(drawn.reshape(-1, 3).T) / 0.05**2
    trace = np.trace(tint @ tint.T)
    assert np.sqrt(np.trace(covariance) / trace) == pytest.approx(1.0, abs=0.15 if band == 2 else 0.05)
    assert np.abs(covariance / np.trace(covariance) - tint @ tint.T / trace).max() < (0.08 if band == 2 else 0.03)
    # Neighbours are strangers in fine noise, alike within a cell, strangers beyond two.
    for distance, alike in ((1, (0.0, 0.5, 0.8)[band]), ((2, 6, 16)[band], 0.0)):
        a, b = drawn[:, :, :-distance].ravel(), drawn[:, :, distance:].ravel()
        near = np.corrcoef(a, b)[0, 1]
        assert near > alike if alike else abs(near) < 0.15
    shares = [float(np.mean([part.var() for part in parts])) for parts in zip(*map(bands, drawn), strict=True)]
    assert int(np.argmax(shares)) == (0, 2, 2)[band]
    assert shares[3] < 0.25 * float(drawn.var()), "the colours of the whole do not wander"


def test_noise_is_another_one_for_each_number_and_favours_no_place() -> None:
    bench = Bench((128, 96))
    given = Correction(number=1, noise=(0.05, 0.05, 0.05))
    drawn = [bench.noise(replace(given, number=n)) for n in range(1, 65)]
    assert np.array_equal(drawn[0], Bench((128, 96)).noise(given)), "the same in another run"
    assert not np.array_equal(drawn[0], Bench((128, 96), seed=2).noise(given))
    alike = np.corrcoef([image.ravel() for image in drawn]) - np.eye(64)
    assert np.abs(alike).max() < 0.6, "none comes again"
    assert np.sqrt((alike**2).mean()) < 0.12
    # Independent ones would leave 1/8 of their RMS in the mean of 64.
    assert np.mean(drawn, axis=0).std() < 0.2 * drawn[0].std()


def test_numbers_that_are_none_or_too_large_do_no_harm() -> None:
    bench = Bench((32, 32))
    x = picture((32, 32))
    for bad in (float("nan"), float("inf")):
        assert np.array_equal(bench.correct(x, Correction(number=1, ceiling=bad)), bench.correct(x, NO_CORRECTION))
        assert np.array_equal(
            bench.correct(x, Correction(number=1, noise=(bad, 0, 0))), bench.correct(x, NO_CORRECTION)
        )
    wild = Correction(number=1, gains=(90.0, -5.0, 9.0), noise=(7.0, 0.0, 0.0), anchor=-3.0, ceiling=-1.0)
    tame = Correction(number=1, gains=(1.25, 0.7, 1.25), noise=(MAX_NOISE, 0.0, 0.0))
    assert np.array_equal(bench.correct(x, wild), bench.correct(x, tame))
    np.testing.assert_allclose(
        bench.correct(np.full((32, 32, 3), 0.5), Correction(number=1, gains=(1.25,) * 3)), 0.5, atol=1e-6
    )


def test_latents_go_to_the_statistics_that_were_kept() -> None:
    bench = Bench((64, 64))
    anchor = torch.randn(1, 4, 8, 8) * torch.tensor([1.0, 0.9, 1.1, 1.0]).view(1, 4, 1, 1) + 0.5
    assert torch.equal(bench.keep.steer(anchor), anchor)
    bench.keep.take_latents(anchor)
    bench.set(Correction(latents=1.0))
    drifted = anchor.flip(3) * 1.2 - 0.8
    there = bench.keep.steer(drifted)
    torch.testing.assert_close(there.mean(dim=(2, 3)), anchor.mean(dim=(2, 3)), atol=1e-5, rtol=0)
    torch.testing.assert_close(there.std(dim=(2, 3)), anchor.std(dim=(2, 3)), atol=1e-5, rtol=0)
    bench.set(Correction(number=2, latents=0.25))
    part = bench.keep.steer(drifted)
    torch.testing.assert_close(part.mean(), torch.lerp(drifted.mean(), anchor.mean(), 0.25), atol=1e-5, rtol=0)
    bench.set(Correction(number=3, latents=1.0))
    flat = torch.full((1, 4, 8, 8), -1.0) + 1e-5 * torch.randn(1, 4, 8, 8)
    assert float(bench.keep.steer(flat).std(dim=(2, 3)).max()) < 1e-4, "what is flat is not blown up"
    bench.keep.take_latents(torch.full((1, 4, 8, 8), float("nan")))
    assert torch.isfinite(bench.keep.latents).all(), "nothing broken is kept"


# The loop. -----------------------------------------------------------------------------------------------------------


PLAN = FramePlan((64, 64))
STILL = {"gen.drift": 0.0, "turbo.seed_travel": 0.0, "turbo.strength": 0.3, "turbo.feedback": 0.0}
BROWN = (0.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.3, 0.0, 0.0, 0.0, 0.1)


def program(parts: TurboParts, size: tuple[int, int] = PLAN.size) -> FrameProgram:
    networks = EagerNetworks(parts, replace(PLAN, size=size))
    networks.set_text(TextState(torch.randn(1, 77, 32, generator=torch.Generator().manual_seed(1))))
    return FrameProgram(networks, parts, replace(PLAN, size=size))


def loop(parts: TurboParts, size: tuple[int, int] = PLAN.size) -> TurboLoop:
    return TurboLoop(program(parts, size), parts, 1)


def play(made: TurboLoop, n: int, correction: Correction = NO_CORRECTION, **rows: float) -> npt.NDArray[np.uint8]:
    values = PARAMS.defaults().replaced({**STILL, **{key.replace("__", "."): value for key, value in rows.items()}})
    made.step(read_controls(GeneratorParams(sequence=n + 1, time=n / 30, values=values, correction=correction)))
    shown: npt.NDArray[np.uint8] = made.program.output.numpy().copy()
    return shown


def moved(made: TurboLoop) -> Image:
    found: Image = made.program.buffers["moved"][0].permute(1, 2, 0).double().numpy().copy()
    return found


def test_a_correction_is_carried_out_once_on_the_picture_that_is_fed_back(tiny_parts: TurboParts) -> None:
    made = loop(tiny_parts)
    for n in range(3):
        play(made, n)
    brown = Correction(number=7, colour=BROWN)
    before = made.carry()
    play(made, 3)
    plain = moved(made)
    made = TurboLoop(made.program, tiny_parts, 1, before)
    play(made, 3, brown)
    np.testing.assert_allclose(moved(made), np.broadcast_to((0.5, 0.3, 0.1), (64, 64, 3)), atol=1e-6)
    after = made.carry()
    repeated = play(made, 4, brown)
    assert moved(made).std(axis=(0, 1)).max() > 0.01, "the second time it is left alone"
    assert np.array_equal(repeated, play(TurboLoop(made.program, tiny_parts, 1, after), 4))
    play(made, 5, replace(brown, number=8))
    np.testing.assert_allclose(moved(made), np.broadcast_to((0.5, 0.3, 0.1), (64, 64, 3)), atol=1e-6)
    assert plain.std() > 0.05


def test_strength_feedback_and_seed_stay_in_force(tiny_parts: TurboParts) -> None:
    standing = Correction(number=0, strength=0.4, feedback=0.5, reseed=2)
    values = PARAMS.defaults().replaced({"turbo.strength": 0.3, "turbo.feedback": 0.2})
    given = read_controls(GeneratorParams(values=values, reseed=3, correction=standing))
    assert (given.strength, given.feedback, given.reseed) == pytest.approx((0.7, 0.1, 5))
    most = read_controls(GeneratorParams(values=values, correction=replace(standing, strength=1.0, feedback=4.0)))
    assert (most.strength, most.feedback) == pytest.approx((1.0, 0.2))
    assert given.seed_travel == PARAMS["turbo.seed_travel"].default
    moving = read_controls(GeneratorParams(values=values, correction=replace(standing, travel=0.5)))
    assert moving.seed_travel == given.seed_travel + 0.5
    bad = replace(standing, strength=float("nan"), feedback=float("nan"), travel=float("nan"))
    assert read_controls(GeneratorParams(values=values, correction=bad)).seed_travel == given.seed_travel
    assert read_controls(GeneratorParams(values=values, correction=bad)).strength == pytest.approx(0.3)
    assert read_controls(GeneratorParams(values=values, correction=bad)).feedback == pytest.approx(0.2)


def test_the_anchor_is_the_last_picture_and_survives_swaps_and_sizes(tiny_parts: TurboParts) -> None:
    made = loop(tiny_parts, (128, 128))
    play(made, 0)
    play(made, 1, Correction(number=1, anchor=1.0))
    assert moved(made).std() > 0.02, "no anchor, nothing to go back to"
    last = made.program.picture.clone()
    play(made, 2, Correction(number=2, keep=1))
    assert torch.equal(made.program.kept.anchor, last)
    assert float(made.program.kept.latents[0].min()) > 0.0
    for n in range(3, 6):
        play(made, n, Correction(number=n, keep=1))
    latents = made.program.kept.latents.clone()
    made.take(program(tiny_parts))
    smaller = torch.nn.functional.interpolate(last, size=(64, 64), mode="bilinear", antialias=True)
    torch.testing.assert_close(made.program.kept.anchor, smaller)
    assert torch.equal(made.program.kept.latents, latents)
    play(made, 6, Correction(number=6, keep=1, anchor=1.0))
    np.testing.assert_allclose(moved(made), smaller[0].permute(1, 2, 0).numpy(), atol=1e-6)
    assert torch.equal(made.program.kept.anchor, smaller), "the counter came along too"
    state = made.carry("cpu")
    play(made, 7, Correction(number=7, keep=2))
    assert not torch.equal(made.program.kept.anchor, smaller)
    again = TurboLoop(program(tiny_parts), tiny_parts, 1, state)
    play(again, 7, Correction(number=6, keep=1, anchor=1.0))
    assert np.abs(moved(again) - smaller[0].permute(1, 2, 0).numpy()).mean() > 0.01, "6 had been carried out"


def test_the_first_counts_seen_ask_for_nothing(tiny_parts: TurboParts) -> None:
    made, plain = loop(tiny_parts), loop(tiny_parts)
    late = Correction(number=0, keep=4, restart=2)
    for n in range(3):
        assert np.array_equal(play(made, n, late), play(plain, n)), "a worker that came back does not begin again"
    assert not made.program.kept.anchor.any()
    assert np.array_equal(play(made, 3), play(plain, 3)), "switched off"
    assert np.array_equal(play(made, 4, late), play(plain, 4)), "and on"


def test_restart_begins_as_the_first_frame_did(tiny_parts: TurboParts) -> None:
    made = loop(tiny_parts)
    first = play(made, 0)
    for n in range(1, 4):
        assert not np.array_equal(play(made, n, Correction(number=n)), first)
    anew = Correction(number=4, colour=BROWN, anchor=0.5, latents=1.0, restart=1)
    assert np.array_equal(play(made, 4, anew), first), "dreamt whole, from the origin, uncorrected"
    assert not np.array_equal(play(made, 5, anew), first), "once"
    reseeded = play(made, 6, replace(anew, restart=2, reseed=1))
    assert np.abs(reseeded.astype(int) - first).mean() > 2


def test_latents_are_steered_in_the_frame(tiny_parts: TurboParts) -> None:
    made = loop(tiny_parts)
    for n in range(3):
        play(made, n, turbo__strength=0.05)
    play(made, 3, Correction(number=1, keep=1), turbo__strength=0.05)
    grey = (0.2, 0, 0, 0.5, 0, 0.2, 0, 0.4, 0, 0, 0.2, 0.3)
    state, off = made.carry(), []
    for share in (0.0, 0.5, 1.0):
        again = TurboLoop(made.program, tiny_parts, 1, state)
        play(again, 4, Correction(number=2, keep=1, colour=grey, latents=share), turbo__strength=0.05)
        off.append(
            float((again.program.latents.mean(dim=(2, 3)) - made.program.kept.latents[1, :, :, 0, 0]).abs().mean())
        )
    assert off[0] > 1.5 * off[1] > 3.0 * off[2], "whatever the dream made of them"


def test_a_broken_picture_is_healed_before_it_is_corrected(tiny_parts: TurboParts) -> None:
    made = loop(tiny_parts)
    play(made, 0)
    made.program.picture[:, :, 30, 30] = float("nan")
    made.program.picture[:, :, 10:20] = float("inf")
    play(made, 1, Correction(number=1, gains=(0.8, 0.8, 0.8), noise=(0.02, 0.02, 0.02), latents=0.1, keep=1))
    assert np.isfinite(moved(made)).all()
    assert torch.isfinite(made.program.picture).all()
    assert play(made, 2, Correction(number=2, keep=1, gains=(0.8, 0.8, 0.8)))[..., :3].std() > 5


def test_nothing_moves_in_memory_and_the_film_is_the_same_again(tiny_parts: TurboParts) -> None:
    films = []
    for _ in range(2):
        made = loop(tiny_parts)
        addresses = {name: value.data_ptr() for name, value in made.program.buffers.items()}
        assert len(addresses) > 15
        shown = [
            play(made, n, Correction(
                number=n, keep=n // 3, restart=n // 5, reseed=n // 4, noise=(0.03, 0.02, 0.01), latents=0.1, anchor=0.1
            )).tobytes()
            for n in range(9)
        ]  # fmt: skip
        assert addresses == {name: value.data_ptr() for name, value in made.program.buffers.items()}
        films.append(shown)
    assert films[0] == films[1]
    assert len(set(films[0])) == 9


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("what", EACH)
def test_a_card_does_what_a_correction_says(what: str) -> None:
    x, anchor = picture((61, 47)), picture((61, 47), 2)
    bench, given = Bench((61, 47), device="cuda"), Correction(number=3, **EACH[what])
    bench.keep.take(tensor(anchor))
    # Far within what shortened floats would lose.
    np.testing.assert_allclose(bench.correct(x, given), expected(x, given, anchor), atol=1e-5)
    noise = Correction(number=3, noise=(0.05, 0.05, 0.05), tint=TINT)
    np.testing.assert_allclose(bench.noise(noise), Bench((61, 47)).noise(noise), atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device: graphs cannot be recorded")
def test_a_recorded_frame_corrects_as_an_unrecorded_one() -> None:
    from vjengine.generate.turbo.accel.graph import GraphRung

    plan = FramePlan((128, 64), device="cuda:0")
    parts = random_parts("tiny", device="cuda:0")
    films = []
    for recorded in (False, True):
        networks: Any = GraphRung().load(parts, plan, None) if recorded else EagerNetworks(parts, plan)  # type: ignore[arg-type]
        networks.set_text(TextState(torch.randn(1, 77, 32, generator=torch.Generator().manual_seed(1)).cuda()))
        made = TurboLoop(FrameProgram(networks, parts, plan), parts, 1)
        assert made.program.unrecorded == ""
        shown = []
        for n in range(4):
            given = Correction(number=n, keep=n // 2, colour=WARM, gains=(0.9, 0.9, 0.9), noise=(0.05, 0.05, 0.05))
            values = PARAMS.defaults().replaced(STILL)
            made.step(read_controls(GeneratorParams(time=n / 30, values=values, correction=given)))
            shown.append(made.program.buffers["moved"].cpu())
        films.append(shown)
        made.program.close()
    # Up to what the networks of the two make differently of the frame before.
    for one, other in zip(*films, strict=True):
        assert float((one - other).abs().mean()) < 0.01
