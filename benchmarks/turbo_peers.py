"""Peers of the turbo loop in the same run: what a performer would use without it."""

from __future__ import annotations

import importlib.util
from typing import Any

import torch

from benchmarks.common import Report, sample
from benchmarks.turbo_rig import Job, synchronise
from vjengine.generate.turbo.parts import TurboParts
from vjengine.generate.turbo.text import TextEncoder


def diffusers_frames(parts: TurboParts, job: Job, frames: int) -> list[float]:
    """Return ms a frame of diffusers' image-to-image pipeline on the same modules: one step, tensors in and out."""
    from diffusers import (
        EulerDiscreteScheduler,
        StableDiffusionImg2ImgPipeline,
        StableDiffusionXLImg2ImgPipeline,
    )

    plan = job.plan
    scheduler = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="trailing",
        prediction_type=parts.prediction, steps_offset=1,
    )  # fmt: skip
    common: dict[str, Any] = {
        "vae": parts.vae, "unet": parts.unet, "scheduler": scheduler,
        "text_encoder": parts.text_encoders[0], "tokenizer": parts.tokenizers[0],
    }  # fmt: skip
    pipeline: Any
    text = TextEncoder(parts, plan).encode("a lighthouse in a storm, oil on canvas")
    given: dict[str, Any] = {"prompt_embeds": text.embeds}
    if parts.kind == "sdxl":
        pipeline = StableDiffusionXLImg2ImgPipeline(
            **common, text_encoder_2=parts.text_encoders[1], tokenizer_2=parts.tokenizers[1], add_watermarker=False
        )
        given["pooled_prompt_embeds"] = text.pooled
    else:
        pipeline = StableDiffusionImg2ImgPipeline(
            **common, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )
    pipeline.set_progress_bar_config(disable=True)
    picture = torch.rand(plan.picture_shape, device=plan.device).to(getattr(torch, plan.precision))

    def frame() -> None:
        nonlocal picture
        # Two steps of which strength 0.5 leaves one: the usual way to use a turbo model.
        picture = pipeline(
            image=picture, strength=0.5, num_inference_steps=2, guidance_scale=0.0, output_type="pt", **given
        ).images
        synchronise(plan.device)

    return sample(frame, frames, warm_up=2 if plan.device == "cpu" else 10)


def stream_diffusion_frames(parts: TurboParts, job: Job, frames: int, report: Report) -> list[float]:
    """Return ms a frame of StreamDiffusion on the same modules; nothing where it is not installed."""
    if importlib.util.find_spec("streamdiffusion") is None:
        report.note("StreamDiffusion: not installed (pip install streamdiffusion; it asks for an older diffusers)")
        return []
    if parts.kind != "sd" or not job.plan.device.startswith("cuda"):
        report.note(f"StreamDiffusion: does not play {job}")
        return []
    from diffusers import LCMScheduler, StableDiffusionPipeline
    from streamdiffusion import StreamDiffusion  # type: ignore[import-not-found]

    plan = job.plan
    pipeline: Any = StableDiffusionPipeline(
        vae=parts.vae, unet=parts.unet, scheduler=LCMScheduler(prediction_type=parts.prediction),
        text_encoder=parts.text_encoders[0], tokenizer=parts.tokenizers[0],
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    width, height = plan.size
    stream = StreamDiffusion(
        pipeline, t_index_list=[25], torch_dtype=getattr(torch, plan.precision), width=width, height=height,
        cfg_type="none",
    )  # fmt: skip
    stream.prepare(prompt="a lighthouse in a storm, oil on canvas", num_inference_steps=50, guidance_scale=0.0)
    picture = torch.rand(plan.picture_shape, device=plan.device).to(getattr(torch, plan.precision))

    def frame() -> None:
        nonlocal picture
        picture = stream(picture)
        synchronise(plan.device)

    return sample(frame, frames, warm_up=10)
