"""Stable Video Diffusion as a continuation, on a small model of the real classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from vjengine.errors import GeneratorError, OutOfMemory, UsageError  # noqa: E402
from vjengine.offline.continuation import Ask, Carried, Opening, Pixels16  # noqa: E402
from vjengine.offline.diffusion.decode import decode  # noqa: E402
from vjengine.offline.diffusion.registry import make  # noqa: E402
from vjengine.offline.diffusion.svd import SvdContinuation  # noqa: E402

ASK = Ask(0, 6, seed=7, fps=Fraction(7), guidance=(1.0, 2.0))


def made(folder: Path, **options: object) -> SvdContinuation:
    continuation = make("svd", {"model": str(folder), "steps": 2, "picture_model": "random:tiny", **options})
    assert isinstance(continuation, SvdContinuation)
    return continuation


@pytest.fixture(scope="module")
def svd(svd_folder: Path) -> SvdContinuation:
    return made(svd_folder)


@pytest.fixture(scope="module")
def begun(disc: Callable[..., Pixels16]) -> Carried:
    picture = disc(32.0, 28.0)
    return Carried(picture[None], picture)


@pytest.fixture(scope="module")
def plain(svd: SvdContinuation, begun: Carried) -> Pixels16:
    """A chunk as it is asked for."""

    class Nobody:
        def alive(self, doing: str, fraction: float = -1.0) -> None:
            pass

    return svd.extend(begun, ASK, Nobody()).frames


def apart(a: Pixels16, b: Pixels16) -> float:
    """Mean difference, 0-1."""
    return float(np.abs(a.astype(np.float64) - b).mean() / 65535.0)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_it_draws_what_the_pipeline_draws(svd_folder: Path, begun: Carried, plain: Pixels16) -> None:
    from diffusers import EulerDiscreteScheduler, StableVideoDiffusionPipeline
    from PIL import Image

    from vjengine.generate.turbo.folder import load_component

    parts = {
        name: load_component(kind, svd_folder / name, torch.float32).eval()
        for name, kind in (
            ("unet", "UNetSpatioTemporalConditionModel"),
            ("vae", "AutoencoderKLTemporalDecoder"),
            ("image_encoder", "CLIPVisionModelWithProjection"),
        )
    }
    mean, deviation = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)

    class Normalised:
        """What the pipeline's own feature extractor does when it is told to scale and crop nothing."""

        def __call__(self, images: Any, **_: object) -> Any:
            shift, spread = (torch.tensor(value)[:, None, None] for value in (mean, deviation))
            return type("Features", (), {"pixel_values": (images - shift) / spread})

    scheduler = EulerDiscreteScheduler.from_pretrained(svd_folder / "scheduler")
    pipeline = StableVideoDiffusionPipeline(feature_extractor=Normalised(), scheduler=scheduler, **parts)
    pipeline.set_progress_bar_config(disable=True)
    picture = Image.fromarray((begun.frames[0] // 257).astype(np.uint8))
    with torch.inference_mode():
        wanted = pipeline(
            picture, 64, 64, num_frames=7, num_inference_steps=2, min_guidance_scale=1.0, max_guidance_scale=2.0, fps=7,
            motion_bucket_id=110, noise_aug_strength=0.02, generator=torch.Generator("cpu").manual_seed(ASK.seed),
            output_type="np",
        ).frames[0]  # fmt: skip
    # Frame 0 is the model's own idea of the picture that it was given: it is no part of the film.
    assert np.abs(plain / 65535.0 - wanted[1:]).max() < 2e-3
    assert plain.std() > 1000


def test_tail_anchor_seed_motion_and_guidance_all_count(
    svd_folder: Path, begun: Carried, disc: Callable[..., Pixels16], watcher: Any
) -> None:
    quick, ask = made(svd_folder, steps=1), replace(ASK, guidance=(1.0, 1.0))
    plain = quick.extend(begun, ask, watcher).frames
    other = disc(12.0, 50.0, hue=0.4)
    changed = {
        "tail": (replace(begun, frames=other[None]), ask),
        "anchor": (replace(begun, anchor=other), ask),
        "seed": (begun, replace(ask, seed=8)),
        "motion": (begun, replace(ask, motion=1.0)),
        "guidance": (begun, ASK),
    }
    for what, (carried, asked) in changed.items():
        assert apart(quick.extend(carried, asked, watcher).frames, plain) > 1e-4, what


def test_the_same_again_is_the_same_bytes_even_in_another_life(
    svd_folder: Path, begun: Carried, plain: Pixels16, watcher: Any
) -> None:
    another = made(svd_folder)
    clip = another.extend(begun, ASK, watcher)
    assert np.array_equal(clip.frames, plain)
    assert clip.frames.dtype == np.uint16
    assert len(np.unique(clip.frames & 0xFF)) > 100  # all 16 bits
    assert clip.notes["seed"] == 7
    assert any("step 2 of 2" in said for said in watcher.said)
    assert any("decoding" in said for said in watcher.said)


def test_handed_over_as_latents_until_somebody_touches_the_picture(
    svd_folder: Path, begun: Carried, watcher: Any
) -> None:
    latent = made(svd_folder, handover="latent", guided=0.0, steps=1)
    clip = latent.extend(begun, ASK, watcher)
    assert clip.state["latents"].shape == (4, 8, 8)
    carried = Carried(clip.frames[-1:], begun.anchor, clip.state)
    as_latents = latent.extend(carried, ASK, watcher).frames
    encoded = latent.extend(replace(carried, state={}), ASK, watcher).frames
    touched = carried.frames.copy()
    touched[0, 0, 0, 0] ^= 1
    after_touch = latent.extend(replace(carried, frames=touched), ASK, watcher).frames
    assert apart(as_latents, encoded) > 1e-4
    assert apart(after_touch, encoded) < 1e-4


def test_a_film_of_any_size_is_cropped_not_scaled(
    svd: SvdContinuation, disc: Callable[..., Pixels16], watcher: Any
) -> None:
    picture = disc(30.0, 20.0, (62, 40))
    carried = svd.open(Opening(pictures=picture[None]), (62, 40), watcher)
    assert np.array_equal(carried.frames[0], picture)
    clip = svd.extend(carried, replace(ASK, guidance=(1.0, 1.0)), watcher)
    assert clip.frames.shape == (6, 40, 62, 3)


def test_few_steps_of_a_distilled_model(svd_folder: Path, begun: Carried, plain: Pixels16, watcher: Any) -> None:
    few = made(svd_folder, sampler="consistency", steps=1)
    frames = few.extend(begun, replace(ASK, guidance=(1.0, 1.0)), watcher).frames
    assert frames.shape == plain.shape
    assert apart(frames, plain) > 1e-4
    assert "consistency 1" in few.version


def test_a_text_becomes_the_first_picture(svd: SvdContinuation, watcher: Any) -> None:
    texts = [Opening("a lighthouse", seed=1), Opening("red rain", seed=2)]
    pictures = [svd.open(opening, (64, 64), watcher).frames for opening in texts]
    assert pictures[0].shape == (1, 64, 64, 3)
    assert pictures[0].std() > 2000
    assert not np.array_equal(pictures[0], pictures[1])
    with pytest.raises(GeneratorError, match="text, an image or a video"):
        svd.open(Opening(), (64, 64), watcher)


def test_short_memory_is_told_in_words_and_given_way_to(
    svd_folder: Path, begun: Carried, watcher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder

    tight = made(svd_folder, guided=0.0, steps=1)
    real = AutoencoderKLTemporalDecoder.decode

    def short(self: Any, z: Any, num_frames: int, **options: Any) -> Any:
        # The one thing that cannot be had here: a device that is too small.
        if len(z) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return real(self, z, num_frames, **options)

    monkeypatch.setattr(AutoencoderKLTemporalDecoder, "decode", short)
    before = tight.need((1024, 576), 6)
    words, said = [], []
    while True:
        try:
            clip = tight.extend(begun, replace(ASK, frames=6), watcher)
            break
        except OutOfMemory as error:
            said.append(str(error))
            words.append(tight.lighten())
    assert words == ["decoding 4 pictures at a time", "decoding 2 pictures at a time"]
    assert "7 pictures" in said[0]
    assert len(clip.frames) == 6
    after = tight.need((1024, 576), 6)
    assert after.host < 0.7 * before.host
    # A film goes on as it was made, in whatever life.
    resumed = made(svd_folder, guided=0.0, steps=1)
    carried = Carried(clip.frames[-1:], begun.anchor, clip.state)
    resumed.extend(carried, ASK, watcher)
    assert resumed.need((1024, 576), 6) == after


def test_it_gives_way_step_by_step_down_to_a_floor(svd_folder: Path) -> None:
    svd = made(svd_folder, frames=25, together="yes")
    words = []
    while said := svd.lighten():
        words.append(said)
    assert words[0] == "guidance in two passes"
    assert words[-1] == "5 new pictures at a time"
    assert "decoding in tiles" in words
    assert svd.chunk == 5


def test_leaving_is_heard_within_a_step(svd: SvdContinuation, begun: Carried, leaving: Any) -> None:
    watcher = leaving(3)
    with pytest.raises(KeyboardInterrupt):
        svd.extend(begun, ASK, watcher)
    assert not any("step 2" in said for said in watcher.said)


def test_tiles_fade_into_each_other() -> None:
    class Flat:
        """A decoder that shows each latent as 8x8 px: what tiles must not change."""

        config = type("Config", (), {"scaling_factor": 1.0})

        def parameters(self) -> Any:
            return iter([torch.zeros(1)])

        def decode(self, z: Any, num_frames: int) -> Any:
            return type("Decoded", (), {"sample": torch.nn.functional.interpolate(z[:, :3], scale_factor=8.0)})

    latents = torch.randn(3, 4, 56, 120, generator=torch.Generator().manual_seed(1)).clamp(-0.9, 0.9)
    told: list[tuple[int, int]] = []
    given = {"first": 1, "at_once": 1, "tell": lambda done, total: told.append((done, total))}
    whole = decode(Flat(), latents, (960, 448), tiled=False, **given)
    tiled = decode(Flat(), latents, (960, 448), tiled=True, **given)
    assert whole.shape == (2, 448, 960, 3)
    assert np.abs(whole.astype(int) - tiled).max() <= 1
    assert told[:2] == [(0, 2), (1, 2)]


def test_memory_is_known_from_the_configuration_alone() -> None:
    svd = make("svd", {"model": "random:svd-xt", "device": "cpu", "precision": "float16"})
    need = svd.need((1024, 576), 24)
    assert 4.5 < (need.host - 512) / 1024 < 40.0
    assert "weights 4.4 GiB" in need.words
    assert svd.chunk == 24
    tiled = make("svd", {"model": "random:svd-xt", "device": "cpu", "precision": "float16", "tiled": "yes"})
    assert tiled.need((1024, 576), 24).host < need.host


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"model": "svd-xtt"}, "svd-xt"),
        ({"model": "sd-turbo"}, "not films"),
        ({"stepz": 3}, "steps"),
        ({"steps": "many"}, "expected a number"),
        ({"anchor": 2}, "0 to 1"),
        ({"sampler": "magic"}, "euler"),
        ({"model": "random:none"}, "tiny-svd"),
    ],
)
def test_what_cannot_be_is_answered(options: dict[str, object], answer: str) -> None:
    with pytest.raises(UsageError, match=answer):
        make("svd", options)


def test_a_model_that_is_not_here_or_broken(tmp_path: Path, svd_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VJENGINE_MODELS", str(tmp_path))
    with pytest.raises(GeneratorError, match="vjengine models pull svd-xt"):
        make("svd", {})
    cut = tmp_path / "cut"
    for path in svd_folder.rglob("*"):
        if path.is_file():
            target = cut / path.relative_to(svd_folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            data = path.read_bytes()
            target.write_bytes(data[: len(data) // 2] if "unet" in path.parts and path.suffix != ".json" else data)
    with pytest.raises(GeneratorError, match="cut short"):
        make("svd", {"model": str(cut)})
    (cut / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    with pytest.raises(GeneratorError, match="StableVideoDiffusionPipeline"):
        make("svd", {"model": str(cut)})


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU: torch.cuda.is_available() is False")
def test_a_card_draws_what_the_processor_draws(svd_folder: Path, begun: Carried, plain: Pixels16, watcher: Any) -> None:
    with_card = made(svd_folder, device="cuda", precision="float32")
    assert with_card.need((64, 64), 6).on.startswith("cuda")
    frames = with_card.extend(begun, ASK, watcher).frames
    # Noise is drawn on the processor for every device; what differs is the order in which a card adds up.
    assert apart(frames, plain) < 0.01
    with_card.close()
