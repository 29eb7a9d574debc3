"""Loading: every place a model can come from, and a useful word for every way it can be broken."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file  # noqa: E402

from vjengine.errors import GeneratorError, UsageError  # noqa: E402
from vjengine.generate.turbo.catalogue import CATALOGUE  # noqa: E402
from vjengine.generate.turbo.loading import load_parts  # noqa: E402
from vjengine.generate.turbo.lora_names import ldm_name  # noqa: E402
from vjengine.generate.turbo.pieces import read_manner, read_schedule  # noqa: E402
from vjengine.generate.turbo.random_models import save_random_model, scaled_linear_alphas  # noqa: E402
from vjengine.generate.turbo.store import Store  # noqa: E402

UNET = "unet/diffusion_pytorch_model.safetensors"


def same(one: Any, other: Any) -> None:
    """Two networks have the same weights under the same names."""
    first, second = one.state_dict(), other.state_dict()
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with nothing in it, and no network."""
    return Store(tmp_path_factory.mktemp("empty"), offline=True)


@pytest.fixture
def broken(sd_folder: Path, tmp_path: Path) -> Path:
    """A copy of the small model's folder, to break."""
    return Path(shutil.copytree(sd_folder, tmp_path / "broken"))


def test_a_folder_is_loaded_as_it_was_saved_and_in_silence(
    sd_folder: Path, tiny_parts: Any, empty: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    steps: list[tuple[str, float]] = []
    with torch.inference_mode():
        parts = load_parts(str(sd_folder), store=empty, alive=lambda doing, fraction: steps.append((doing, fraction)))
    assert capfd.readouterr() == ("", "")
    assert (parts.kind, parts.sampling, parts.prediction, parts.wants_guidance) == ("sd", "turbo", "epsilon", False)
    assert parts.tiny_vae
    assert parts.source == str(sd_folder)
    for mine, saved in (
        (parts.unet, tiny_parts.unet),
        (parts.vae, tiny_parts.vae),
        (parts.text_encoders[0], tiny_parts.text_encoders[0]),
    ):
        same(mine, saved)
        assert not mine.training
        assert not any(parameter.requires_grad or parameter.is_inference() for parameter in mine.parameters())
    words = "a cat, 2"
    assert parts.tokenizers[0](words)["input_ids"] == tiny_parts.tokenizers[0](words)["input_ids"]
    np.testing.assert_allclose(parts.alphas, scaled_linear_alphas(), rtol=1e-12)
    fractions = [fraction for _, fraction in steps]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_sdxl_brings_two_encoders_and_half_precision_is_half(
    sdxl_folder: Path, tiny_sdxl_parts: Any, empty: Store
) -> None:
    parts = load_parts(str(sdxl_folder), store=empty, precision="bfloat16")
    assert parts.kind == "sdxl"
    assert [type(encoder).__name__ for encoder in parts.text_encoders] == [
        "CLIPTextModel", "CLIPTextModelWithProjection",
    ]  # fmt: skip
    assert len(parts.tokenizers) == 2
    for network in (parts.unet, parts.vae, *parts.text_encoders):
        assert {parameter.dtype for parameter in network.parameters()} == {torch.bfloat16}
    weight = tiny_sdxl_parts.unet.conv_in.weight.to(torch.bfloat16)
    assert torch.equal(parts.unet.conv_in.weight, weight)


def test_fingerprints_name_the_bytes(
    sd_folder: Path, broken: Path, empty: Store, write_lora: Callable[..., Path], tmp_path: Path, tiny_parts: Any
) -> None:
    first = load_parts(str(sd_folder), store=empty).fingerprint
    copied = load_parts(str(broken), store=empty, precision="float16").fingerprint
    assert copied == first  # the place and the precision are no part of it
    lora = write_lora(tmp_path / "a.safetensors", tiny_parts.unet)
    with_lora = load_parts(str(broken), store=empty, loras=[str(lora)])
    assert with_lora.fingerprint != first
    tensors = load_file(broken / UNET)
    tensors["conv_in.bias"] += 1.0
    save_file(tensors, broken / UNET, metadata={"format": "pt"})
    assert load_parts(str(broken), store=empty).fingerprint != first


def test_loras_arrive_with_their_faders_down(
    sd_folder: Path, empty: Store, write_lora: Callable[..., Path], tmp_path: Path, tiny_parts: Any
) -> None:
    paths = [str(write_lora(tmp_path / f"{name}.safetensors", tiny_parts.unet, seed=7)) for name in ("one", "two")]
    with torch.inference_mode():
        parts = load_parts(str(sd_folder), store=empty, loras=paths)
    assert parts.lora is not None
    assert parts.lora.names == ("one", "two")
    assert parts.lora.weights.tolist() == [0.0, 0.0]
    parts.lora.set([0.25, 1.0])
    assert parts.lora.weights.tolist() == [0.25, 1.0]
    with pytest.raises(UsageError, match="not a LoRA"):
        load_parts(str(sd_folder), store=empty, loras=[str(sd_folder)])


def test_random_models_go_by_the_same_door(empty: Store, tiny_parts: Any) -> None:
    parts = load_parts("random:tiny", store=empty)
    same(parts.unet, tiny_parts.unet)
    with pytest.raises(UsageError, match="no random model 'huge'"):
        load_parts("random:huge", store=empty)


@pytest.fixture(scope="module")
def full_folder(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a small LCM model with a full autoencoder, as the hub has them."""
    return save_random_model("tiny-lcm", tmp_path_factory.mktemp("full") / "tiny-lcm", full_vae=True)


def test_the_full_autoencoder_is_the_models_own(full_folder: Path, empty: Store) -> None:
    parts = load_parts(str(full_folder), store=empty, full_vae=True)
    assert not parts.tiny_vae
    assert parts.sampling == "lcm"
    saved = load_file(full_folder / "vae/diffusion_pytorch_model.safetensors")
    assert all(torch.equal(value, saved[name]) for name, value in parts.vae.state_dict().items())
    with pytest.raises(GeneratorError, match=r"needs the small autoencoder .* vjengine models pull taesd"):
        load_parts(str(full_folder), store=empty)


def test_sdxls_full_autoencoder_is_not_run_where_it_overflows(
    sdxl_folder: Path, full_folder: Path, tmp_path: Path, empty: Store
) -> None:
    folder = shutil.copytree(sdxl_folder, tmp_path / "full")
    shutil.rmtree(folder / "vae")
    shutil.copytree(full_folder / "vae", folder / "vae")
    with pytest.raises(GeneratorError, match=r"mended for half precision: .*vjengine models pull sdxl-vae"):
        load_parts(str(folder), store=empty, full_vae=True, precision="float16")
    assert not load_parts(str(folder), store=empty, full_vae=True, precision="bfloat16").tiny_vae


def test_what_is_not_here_is_told_with_its_command(empty: Store) -> None:
    with pytest.raises(GeneratorError, match=r"get it with: vjengine models pull sd-turbo \(2\.6 GB\)"):
        load_parts("sd-turbo", store=empty)
    with pytest.raises(GeneratorError, match="vjengine models pull owner/name"):
        load_parts("owner/name", store=empty)
    with pytest.raises(GeneratorError, match="vjengine models pull lcm-lora-sd15"):
        load_parts("random:tiny", store=empty, loras=["lcm-lora-sd15"])
    with pytest.raises(UsageError, match="precision 'int8'"):
        load_parts("random:tiny", store=empty, precision="int8")


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


BREAKS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "cut short": (lambda f: (f / UNET).write_bytes((f / UNET).read_bytes()[:-1000]), UNET + " is cut short"),
    "not weights": (lambda f: (f / UNET).write_bytes(b"<html>not found</html>"), "is not a safetensors file"),
    "no weights": (lambda f: (f / UNET).unlink(), "unet holds no weights"),
    "a pickle": (lambda f: (f / UNET).rename(f / "unet" / "diffusion_pytorch_model.bin"), ".bin is a pickle"),
    "a layer gone": (
        lambda f: save_file({k: v for k, v in load_file(f / UNET).items() if k != "conv_in.weight"}, f / UNET),
        "lacks conv_in.weight",
    ),
    "another layout": (lambda f: edit(f / "unet/config.json", block_out_channels=[32, 32, 64, 96]), "unet"),
    "no configuration": (lambda f: (f / "unet/config.json").write_text("{"), "config.json is not JSON"),
    "inpainting": (lambda f: edit(f / "unet/config.json", in_channels=9), "wants 9 channels"),
    "another sort": (lambda f: shutil.rmtree(f / "unet"), "without a UNet"),
    "a refiner": (lambda f: shutil.rmtree(f / "text_encoder"), "no text encoder of its own"),
    "no tokenizer": (lambda f: shutil.rmtree(f / "tokenizer"), "holds no tokenizer"),
    "another schedule": (
        lambda f: edit(f / "scheduler/scheduler_config.json", beta_schedule="sigmoid"),
        "neither scaled_linear nor linear",
    ),
    "flow": (lambda f: edit(f / "scheduler/scheduler_config.json", prediction_type="flow"), "prediction 'flow'"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_every_way_to_be_broken_names_the_place(broken: Path, empty: Store, name: str) -> None:
    spoil, answer = BREAKS[name]
    spoil(broken)
    with pytest.raises(GeneratorError, match=re.escape(answer)) as caught:
        load_parts(str(broken), store=empty)
    assert str(broken) in str(caught.value)


def test_a_tokenizer_in_two_files_as_the_hub_has_it(broken: Path, empty: Store) -> None:
    words = json.loads((broken / "tokenizer/tokenizer.json").read_text())["model"]["vocab"]
    words["ca"] = len(words)
    for path in (broken / "tokenizer").iterdir():
        path.unlink()
    (broken / "tokenizer/vocab.json").write_text(json.dumps(words))
    (broken / "tokenizer/merges.txt").write_text("#version: 0.2\nc a\n")
    (broken / "tokenizer/tokenizer_config.json").write_text('{"model_max_length": 77, "pad_token": "!"}')
    tokenizer = load_parts(str(broken), store=empty).tokenizers[0]
    assert tokenizer("cat")["input_ids"][1] == words["ca"]
    assert tokenizer.model_max_length == 77
    (broken / "tokenizer/vocab.json").write_text('{"<|startoftext|>": 0, "<|endoftext|>": 1}')
    (broken / "tokenizer/merges.txt").write_text("#version: 0.2\n")
    with pytest.raises(GeneratorError, match="knows no words"):
        load_parts(str(broken), store=empty)


@pytest.mark.parametrize(
    "config",
    [
        {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
        {"beta_schedule": "linear", "beta_start": 0.0001, "beta_end": 0.02, "prediction_type": "v_prediction"},
        {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "rescale_betas_zero_snr": True},
    ],
)
def test_schedules_are_diffusers_own(config: dict[str, Any]) -> None:
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    alphas, prediction = read_schedule(config, "here")
    assert prediction == config.get("prediction_type", "epsilon")
    np.testing.assert_allclose(alphas, DDIMScheduler(**config).alphas_cumprod.numpy(), rtol=2e-4, atol=1e-7)
    assert alphas.min() > 0.0


def test_how_a_model_wants_to_be_sampled_is_read_from_its_files() -> None:
    assert read_manner({"_class_name": "LCMScheduler"}, "house") == ("lcm", True)
    assert read_manner({}, "DreamShaper8_LCM") == ("lcm", True)
    assert read_manner({"timestep_spacing": "trailing"}, "house") == ("turbo", False)
    assert read_manner({"timestep_spacing": "leading"}, "house") == ("turbo", True)


# ---------------------------------------------------------------- from the hub


@pytest.fixture(scope="module")
def hub() -> Iterator[Any]:
    path = Path(__file__).resolve().parents[2] / "hub_server.py"
    spec = importlib.util.spec_from_file_location("hub_server", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["hub_server"] = module
    spec.loader.exec_module(module)
    hub = module.LocalHub()
    yield hub
    hub.close()


def test_a_name_of_the_catalogue_from_pull_to_parts(
    hub: Any, full_folder: Path, tiny_parts: Any, tmp_path: Path, write_lora: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """SD 1.5 with its LCM-LoRA and its TAESD, small, under the names and commits of the real ones."""
    full = load_parts(str(full_folder), full_vae=True)
    tiny_parts.vae.save_pretrained(tmp_path / "vae")
    (tmp_path / "lora").mkdir()
    lora = write_lora(tmp_path / "lora/pytorch_lora_weights.safetensors", full.unet)
    for name, folder in (("sd15-lcm", full_folder), ("taesd", tmp_path / "vae"), ("lcm-lora-sd15", lora.parent)):
        repo = CATALOGUE[name].model
        files = [path for path in folder.rglob("*") if path.is_file()]
        hub.repos[repo.id] = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
        hub.commits[repo.id] = repo.revision
    store = Store(tmp_path / "store", offline=False, endpoint=hub.url)
    store.pull("sd15-lcm")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    offline = Store(store.folder)
    parts = load_parts("sd15-lcm", store=offline)
    assert (parts.sampling, parts.wants_guidance, parts.tiny_vae) == ("lcm", True, True)
    same(parts.vae, tiny_parts.vae)
    assert parts.lora is None  # it is part of the weights, not a fader
    from vjengine.generate.turbo.lora import fuse_lora

    fuse_lora(full.unet, lora)
    same(parts.unet, full.unet)
    faders = load_parts("sd15-lcm", store=offline, loras=["lcm-lora-sd15"]).lora
    assert faders is not None
    with pytest.raises(UsageError, match="part of models"):
        load_parts("taesd", store=offline)
    with pytest.raises(GeneratorError, match="whole model, not a LoRA"):
        load_parts("random:tiny", store=offline, loras=["sd15-lcm"])


# ---------------------------------------------------------------- one file


def write_single(path: Path, parts: Any) -> Path:
    """Write the UNet and text encoder of an ``sd`` model under the original code's names."""
    tensors = {f"model.diffusion_model.{ldm_name(k, parts.unet)}": v for k, v in parts.unet.state_dict().items()}
    for key, value in parts.text_encoders[0].state_dict().items():
        tensors[f"cond_stage_model.transformer.text_model.{key.removeprefix('text_model.')}"] = value
    tensors["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(77)[None]
    save_file({key: value.contiguous().clone() for key, value in tensors.items()}, path)
    return path


def give(store: Store, name: str, folder: Path) -> None:
    """Put ``folder`` into the store as if it had been pulled as ``name``."""
    from vjengine.generate.turbo.hub import RemoteFile
    from vjengine.generate.turbo.locks import Lock

    paths = [path for path in folder.rglob("*") if path.is_file()]
    files = tuple(RemoteFile(path.relative_to(folder).as_posix(), path.stat().st_size) for path in paths)
    lock = Lock(name, "owner/" + name, "0" * 40, files, complete=True)
    store.locks.write(lock)
    shutil.copytree(folder, store.locks.root(lock))


def test_one_file_with_its_configurations_beside_it(sd_folder: Path, tiny_parts: Any, tmp_path: Path) -> None:
    path = write_single(tmp_path / "house.safetensors", tiny_parts)
    for name in ("unet", "text_encoder"):
        (tmp_path / "house" / name).mkdir(parents=True)
        shutil.copy(sd_folder / name / "config.json", tmp_path / "house" / name)
    store = Store(tmp_path / "store", offline=True)
    with pytest.raises(GeneratorError, match="vjengine models pull clip-tokenizer"):
        load_parts(str(path), store=store)
    give(store, "clip-tokenizer", sd_folder / "tokenizer")
    (store.path("clip-tokenizer") / "vocab.json").write_text("{}")
    with pytest.raises(GeneratorError, match="vjengine models pull taesd"):
        load_parts(str(path), store=store)
    give(store, "taesd", sd_folder / "vae")
    parts = load_parts(str(path), store=store)
    same(parts.unet, tiny_parts.unet)
    same(parts.text_encoders[0], tiny_parts.text_encoders[0])
    assert parts.prediction == "epsilon"
    assert parts.source == str(path)
    # Without the folder beside it nobody can know this layout: no family has it.
    shutil.rmtree(tmp_path / "house")
    with pytest.raises(GeneratorError, match="nor SDXL, the families"):
        load_parts(str(path), store=store)


def write_single_sdxl(path: Path, parts: Any) -> Path:
    """Write an ``sdxl`` model as such files are: its second encoder as OpenCLIP names and packs it."""
    tensors = {f"model.diffusion_model.{ldm_name(k, parts.unet)}": v for k, v in parts.unet.state_dict().items()}
    for key, value in parts.text_encoders[0].state_dict().items():
        tensors[f"conditioner.embedders.0.transformer.text_model.{key.removeprefix('text_model.')}"] = value
    second = {key.removeprefix("text_model."): value for key, value in parts.text_encoders[1].state_dict().items()}
    layers = {key.split(".")[2] for key in second if key.startswith("encoder.layers.")}
    names = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
             "self_attn.out_proj": "attn.out_proj"}  # fmt: skip
    packed = {
        "token_embedding.weight": second["embeddings.token_embedding.weight"],
        "positional_embedding": second["embeddings.position_embedding.weight"],
        "text_projection": second["text_projection.weight"].T,
    }
    for end in ("weight", "bias"):
        packed[f"ln_final.{end}"] = second[f"final_layer_norm.{end}"]
        for layer in layers:
            block, here = f"transformer.resblocks.{layer}", f"encoder.layers.{layer}"
            three = [second[f"{here}.self_attn.{part}_proj.{end}"] for part in "qkv"]
            packed[f"{block}.attn.in_proj_{end}"] = torch.cat(three)
            packed.update({f"{block}.{theirs}.{end}": second[f"{here}.{ours}.{end}"] for ours, theirs in names.items()})
    tensors.update({f"conditioner.embedders.1.model.{key}": value for key, value in packed.items()})
    save_file({key: value.contiguous().clone() for key, value in tensors.items()}, path)
    return path


def test_one_file_of_sdxl_with_its_second_encoder(sdxl_folder: Path, tiny_sdxl_parts: Any, tmp_path: Path) -> None:
    path = write_single_sdxl(tmp_path / "xl.safetensors", tiny_sdxl_parts)
    shutil.copytree(sdxl_folder, tmp_path / "xl")  # configurations, tokenizers and schedule count, weights do not
    for weights in (tmp_path / "xl").rglob("*.safetensors"):
        weights.unlink()
    store = Store(tmp_path / "store", offline=True)
    give(store, "taesdxl", sdxl_folder / "vae")
    parts = load_parts(str(path), store=store)
    assert (parts.kind, parts.wants_guidance) == ("sdxl", False)
    same(parts.unet, tiny_sdxl_parts.unet)
    for mine, saved in zip(parts.text_encoders, tiny_sdxl_parts.text_encoders, strict=True):
        same(mine, saved)


@pytest.mark.parametrize(
    ("family", "millions"),
    [("sd1", (859.5, 83.7, 123.1)), ("sd2", (865.9, 83.7, 340.4)), ("sdxl", (2567.5, 83.7, 123.1, 694.7))],
)
def test_the_configurations_written_down_are_the_published_ones(family: str, millions: tuple[float, ...]) -> None:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    from vjengine.generate.turbo.single_file import _CONFIGS

    configs = _CONFIGS[family]
    with torch.device("meta"):
        networks = [UNet2DConditionModel.from_config(configs["unet"]), AutoencoderKL.from_config(configs["vae"])]
        networks.append(CLIPTextModel(CLIPTextConfig(**configs["text_encoder"])))
        if "text_encoder_2" in configs:
            networks.append(CLIPTextModelWithProjection(CLIPTextConfig(**configs["text_encoder_2"])))
    counts = [sum(parameter.numel() for parameter in network.parameters()) / 1e6 for network in networks]
    assert counts == pytest.approx(millions, abs=0.06)


def test_one_file_that_is_something_else(tmp_path: Path, empty: Store, tiny_parts: Any) -> None:
    path = tmp_path / "lora.safetensors"
    save_file({"lora_unet_x.lora_down.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(GeneratorError, match=r"not a whole model: .*A LoRA is given with --lora"):
        load_parts(str(path), store=empty)
    path.write_bytes(b"\x00" * 40)
    with pytest.raises(GeneratorError, match="is not a safetensors file"):
        load_parts(str(path), store=empty)
