"""The whole frame over static buffers: alive, steered in place, healed, the same bytes for the same numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from vjengine.errors import GeneratorError  # noqa: E402
from vjengine.generate.turbo.accel.base import TextState  # noqa: E402
from vjengine.generate.turbo.accel.eager import EagerNetworks  # noqa: E402
from vjengine.generate.turbo.controls import MAX_FEEDBACK  # noqa: E402
from vjengine.generate.turbo.noise import NoiseMix, draw_field  # noqa: E402
from vjengine.generate.turbo.parts import TurboParts  # noqa: E402
from vjengine.generate.turbo.plan import FramePlan, RungName  # noqa: E402
from vjengine.generate.turbo.program import Dials, FrameProgram  # noqa: E402
from vjengine.generate.turbo.random_models import random_parts  # noqa: E402
from vjengine.generate.turbo.schedule import Schedule  # noqa: E402
from vjengine.generate.turbo.warp import identity  # noqa: E402

PLAN = FramePlan((128, 64))
KINDS = ("tiny", "tiny-v", "tiny-lcm", "tiny-sdxl")
STILL = np.tile(identity().reshape(6).astype(np.float32), (2, 1))


@pytest.fixture(scope="module")
def models() -> dict[str, TurboParts]:
    torch.set_num_threads(1)
    return {name: random_parts(name) for name in KINDS}


def text(parts: TurboParts, seed: int = 1) -> TextState:
    drawn = torch.Generator().manual_seed(seed)
    width = parts.unet.config.cross_attention_dim
    embeds = torch.randn(1, 77, width, generator=drawn)
    if parts.kind == "sd":
        return TextState(embeds)
    sizes = torch.tensor([[64.0, 128.0, 0.0, 0.0, 64.0, 128.0]])
    return TextState(embeds, torch.randn(1, parts.text_encoders[1].config.projection_dim, generator=drawn), sizes)


def program(parts: TurboParts, **options: Any) -> FrameProgram:
    networks = EagerNetworks(parts, PLAN)
    networks.set_text(text(parts))
    networks.set_text(text(parts, 2), negative=True)
    made = FrameProgram(networks, parts, PLAN, **options)
    made.write_field(0, draw_field((1, 1, 0), 0, PLAN.latent_shape[1:]))
    return made


def dials(parts: TurboParts, strength: float = 0.5, steps: int = 1, **others: Any) -> Dials:
    weights = np.array([1.0, 0.0, 0.0], np.float32)
    rows = Schedule(parts.alphas, parts.sampling, parts.prediction).rows(strength, steps)
    return Dials(identity(), NoiseMix(weights, STILL, np.array([1.0, 0.0], np.float32)), rows, **others)


def pixels(made: FrameProgram, given: Dials, steps: int = 1, guided: bool = False) -> np.ndarray[Any, Any]:
    made.write_dials(given)
    made.run(steps, guided)
    shown: np.ndarray[Any, Any] = made.output.numpy().copy()
    return shown


def alike(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack((a.flatten(), b.flatten())))[0, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_draws_in_one_to_four_steps(models: dict[str, TurboParts], kind: str) -> None:
    parts = models[kind]
    made = program(parts)
    shown = [pixels(made, dials(parts, steps=steps), steps) for steps in (1, 2, 3, 4)]
    for picture in shown:
        assert picture.shape == (64, 128, 4)
        assert picture[..., :3].std() > 10
        assert (picture[..., 3] == 255).all()
    assert len({picture.tobytes() for picture in shown}) == 4
    assert made.faults == (0, 0)


def test_low_strength_keeps_the_latents_and_full_strength_forgets_them(models: dict[str, TurboParts]) -> None:
    parts = models["tiny"]
    made = program(parts)
    with torch.inference_mode():
        before = made.networks.encode(made.picture).clone()
    pixels(made, dials(parts, 0.05))
    assert alike(made.latents, before) > 0.9
    made.restart()
    pixels(made, dials(parts, 1.0))
    assert abs(alike(made.latents, before)) < 0.3


def test_feedback_keeps_the_last_latents_and_is_limited_here_too(models: dict[str, TurboParts]) -> None:
    parts = models["tiny"]
    kept = []
    for feedback in (0.0, 0.2, MAX_FEEDBACK, 5.0):
        made = program(parts)
        pixels(made, dials(parts))
        before = made.latents.clone()
        pixels(made, dials(parts, 0.05, feedback=feedback))
        kept.append(alike(made.latents, before))
    assert kept[0] < kept[1] < kept[2]
    assert kept[3] == kept[2]


def test_the_init_picture_comes_in_by_its_amount(models: dict[str, TurboParts]) -> None:
    parts = models["tiny"]
    made = program(parts)
    card = np.zeros((64, 128, 3), np.uint8)
    card[:, :64] = 200
    made.write_init(card)
    expected = made.buffers["init"]
    assert float(expected[0, :, :, :64].mean()) == pytest.approx(200 / 255, abs=1e-4)
    assert float(expected[0, :, :, 64:].max()) == 0.0
    pixels(made, dials(parts, init=1.0))
    torch.testing.assert_close(made.buffers["moved"], expected)
    with pytest.raises(GeneratorError, match="init picture"):
        made.write_init(np.zeros((10, 10, 3), np.uint8))


def test_guidance_pulls_away_from_the_negative_text(models: dict[str, TurboParts]) -> None:
    parts = models["tiny-lcm"]
    plain, one, three = (
        pixels(program(parts), dials(parts, guidance=guidance), guided=guided)
        for guidance, guided in ((1.0, False), (1.0, True), (3.0, True))
    )
    assert np.abs(plain.astype(int) - one).max() <= 1
    assert np.abs(plain.astype(int) - three).mean() > 1
    # A model that takes no guidance draws as if it had not been asked.
    turbo = models["tiny"]
    assert np.array_equal(
        pixels(program(turbo), dials(turbo)), pixels(program(turbo), dials(turbo, guidance=3.0), guided=True)
    )


@pytest.mark.parametrize("size", [(128, 64), (96, 54), (333, 187)])
def test_any_output_size(models: dict[str, TurboParts], size: tuple[int, int]) -> None:
    parts = models["tiny"]
    shown = pixels(program(parts, size=size), dials(parts))
    assert shown.shape == (size[1], size[0], 4)
    full = pixels(program(parts), dials(parts))
    assert shown[..., :3].mean() == pytest.approx(full[..., :3].mean(), abs=3)


class Breaking(EagerNetworks):
    """Networks whose decoder overflows where told to, as a half-precision one does."""

    rung: RungName = "eager"
    broken: Sequence[slice] = ()

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        picture = super().decode(latents).clone()
        for rows in self.broken:
            picture[:, :, rows] = float("nan")
        return picture


def breaking(parts: TurboParts) -> tuple[FrameProgram, Breaking]:
    networks = Breaking(parts, PLAN)
    networks.set_text(text(parts))
    made = FrameProgram(networks, parts, PLAN)
    made.write_field(0, draw_field((1, 1, 0), 0, PLAN.latent_shape[1:]))
    return made, networks


def test_numbers_that_are_none_are_replaced_and_counted(models: dict[str, TurboParts]) -> None:
    parts = models["tiny"]
    made, networks = breaking(parts)
    networks.broken = (slice(3, 7),)
    assert pixels(made, dials(parts))[..., :3].std() > 10
    assert made.faults == (1, 0)
    # What the broken rows show is the moved picture.
    torch.testing.assert_close(made.picture[:, :, 3:7], made.buffers["moved"][:, :, 3:7])
    networks.broken = ()
    pixels(made, dials(parts))
    assert made.faults == (1, 0)
    assert torch.isfinite(made.picture).all()


def test_a_picture_that_is_all_broken_starts_again(models: dict[str, TurboParts]) -> None:
    parts = models["tiny"]
    made, networks = breaking(parts)
    origin = made.picture.clone()
    pixels(made, dials(parts))
    networks.broken = (slice(None),)
    pixels(made, dials(parts))
    assert made.faults == (1, 1)
    torch.testing.assert_close(made.picture, origin)
    assert not made.latents.any()


def test_a_poisoned_carry_heals_within_a_frame(models: dict[str, TurboParts]) -> None:
    parts = models["tiny"]
    made = program(parts)
    made.picture.fill_(float("nan"))
    made.latents.fill_(float("inf"))
    pixels(made, dials(parts, feedback=0.3))
    assert torch.isfinite(made.picture).all()
    assert torch.isfinite(made.latents).all()
    assert pixels(made, dials(parts, feedback=0.3))[..., :3].std() > 10


def test_restart_takes_pictures_of_any_size(models: dict[str, TurboParts]) -> None:
    made = program(models["tiny"])
    wide = torch.linspace(0, 1, 512).expand(1, 3, 256, 512)
    made.restart(wide, torch.ones(1, 4, 32, 64))
    torch.testing.assert_close(made.picture[0, 0, 5], torch.linspace(0, 1, 128), atol=0.01, rtol=0)
    torch.testing.assert_close(made.latents, torch.ones(1, 4, 8, 16))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device: graphs cannot be recorded")
def test_a_recorded_frame_is_the_unrecorded_one() -> None:
    from vjengine.generate.turbo.accel.graph import GraphRung

    plan = FramePlan((128, 64), device="cuda:0")
    parts = random_parts("tiny", device="cuda:0")
    shown = []
    for recorded in (False, True):
        networks: Any = GraphRung().load(parts, plan, None) if recorded else EagerNetworks(parts, plan)  # type: ignore[arg-type]
        state = text(parts)
        networks.set_text(TextState(state.embeds.cuda()))
        made = FrameProgram(networks, parts, plan)
        assert made.unrecorded == ""
        made.write_field(0, draw_field((1, 1, 0), 0, plan.latent_shape[1:]))
        made.write_dials(dials(parts))
        made.run(1)
        shown.append(made.output.cpu().numpy().astype(int))
        made.close()
    assert np.abs(shown[0] - shown[1]).mean() < 1.0
