"""The three networks as ONNX files: static shapes, one file of weights each, whole or not there at all."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vjengine.errors import GeneratorError
from vjengine.generate.turbo.accel.autoencoder import DiffusersAutoencoder
from vjengine.generate.turbo.accel.base import Say
from vjengine.generate.turbo.accel.onnx_graph import attach_weights, to_half
from vjengine.generate.turbo.accel.tracing import trace, weights_of
from vjengine.generate.turbo.parts import TurboParts
from vjengine.generate.turbo.plan import TEXT_TOKENS, FramePlan

FORMAT = 1
"""Version of the manifest and of what the graphs take and return."""
MANIFEST = "export.json"
TIMESTEPS = 1000
"""Timesteps are whole numbers below this."""
NETWORKS = ("encoder", "unet", "decoder")
"""In the order of a frame; a network's graph is the file ``NAME.onnx``, its weights lie in ``NAME.weights``."""
_SHARES = {"encoder": (0.0, 0.05), "unet": (0.05, 0.95), "decoder": (0.95, 1.0)}


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a network.

    Attributes:
        name: as in the graph.
        shape: all sides, fixed.
        dtype: torch's name: ``"float32"``, ``"float16"``, ``"int64"``.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class Network:
    """What a network takes and returns.

    Attributes:
        inputs: of ``unet``: ``latents``, ``timestep`` (1,) int64, 0-999, ``text`` (1, 77, D); of SDXL also ``pooled``
            and ``size_ids``; with LoRAs ``lora`` (n,).
        output: one tensor.
    """

    inputs: tuple[Port, ...]
    output: Port


@dataclass(frozen=True, slots=True)
class Exported:
    """Networks on disk.

    Attributes:
        folder: where they lie.
        fingerprint: of the model.
        networks: by name, see :data:`NETWORKS`.
        files: all their files, without the manifest.
    """

    folder: Path
    fingerprint: str
    networks: Mapping[str, Network]
    files: tuple[str, ...]

    def path(self, network: str) -> Path:
        """Return the file of the graph ``network``."""
        return self.folder / f"{network}.onnx"


class _Encoder(torch.nn.Module):
    """Picture 0-1 to scaled latents."""

    def __init__(self, parts: TurboParts, plan: FramePlan) -> None:
        super().__init__()
        self.vae = parts.vae  # so that its weights are found
        self._run = DiffusersAutoencoder(parts, plan).encode

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        return self._run(picture)


class _Decoder(torch.nn.Module):
    """Scaled latents to picture 0-1."""

    def __init__(self, parts: TurboParts, plan: FramePlan) -> None:
        super().__init__()
        self.vae = parts.vae
        self._run = DiffusersAutoencoder(parts, plan).decode

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return self._run(latents)


class _Times(torch.nn.Module):
    """Sines of the timestep from a table: a runtime that computes in bfloat16 would first make 1000 of 999."""

    table: torch.Tensor

    def __init__(self, sines: Any, device: torch.device) -> None:
        super().__init__()
        with torch.inference_mode(False), torch.no_grad():
            table = sines(torch.arange(TIMESTEPS, device=device)).float()
        self.register_buffer("table", table, persistent=False)

    def forward(self, timesteps: torch.Tensor) -> torch.Tensor:
        return self.table[timesteps]


class _UNet(torch.nn.Module):
    """The UNet with everything that a performer moves as an input."""

    def __init__(self, parts: TurboParts, names: tuple[str, ...]) -> None:
        super().__init__()
        # A second face of the same weights; the model itself is left as it is.
        self.unet = copy.copy(parts.unet)
        times = _Times(parts.unet.time_proj, next(parts.unet.parameters()).device)
        self.unet._modules = {**parts.unet._modules, "time_proj": times}
        self._stack: Any = parts.lora
        self._names = names

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        given = dict(zip(self._names, tensors, strict=True))
        added = {"text_embeds": given["pooled"], "time_ids": given["size_ids"]} if "pooled" in given else None
        with self._faders(given.get("lora")):
            output: torch.Tensor = self.unet(
                given["latents"], given["timestep"], encoder_hidden_states=given["text"], added_cond_kwargs=added,
                return_dict=False,
            )[0]  # fmt: skip
        return output

    @contextlib.contextmanager
    def _faders(self, weights: torch.Tensor | None) -> Iterator[None]:
        """Let LoRA layers read ``weights`` instead of the stack's own."""
        if weights is None:
            yield
            return
        own = self._stack.weights
        self._stack.weights = weights
        try:
            yield
        finally:
            self._stack.weights = own


def ports_of(parts: TurboParts, plan: FramePlan) -> dict[str, Network]:
    """Return what the networks of ``parts`` take and return for ``plan``, by name."""
    real = "float16" if plan.precision == "float16" else "float32"
    picture, latents = Port("picture", plan.picture_shape, real), Port("latents", plan.latent_shape, real)
    config = parts.unet.config
    inputs = [latents, Port("timestep", (1,), "int64")]
    inputs.append(Port("text", (1, TEXT_TOKENS, config.cross_attention_dim), real))
    if parts.kind == "sdxl":
        pooled = parts.unet.add_embedding.linear_1.in_features - 6 * config.addition_time_embed_dim
        inputs += [Port("pooled", (1, pooled), real), Port("size_ids", (1, 6), real)]
    if parts.lora is not None:
        inputs.append(Port("lora", (len(parts.lora.names),), real))
    return {
        "encoder": Network((picture,), latents),
        "unet": Network(tuple(inputs), Port("prediction", plan.latent_shape, real)),
        "decoder": Network((latents,), picture),
    }


def export_networks(parts: TurboParts, plan: FramePlan, folder: Path, say: Say) -> Exported:
    """Write encoder, UNet and decoder of ``parts`` for ``plan`` into ``folder``.

    Weights and values are float16 if that is the plan's precision, else float32, whatever the parts are in. Nothing
    is left in ``folder`` if this fails, and a manifest is written last: see :func:`open_exported`.

    Raises:
        GeneratorError: if a network cannot be exported or the folder cannot be written.
        MissingDependency: without the package ``onnx``.
    """
    networks = ports_of(parts, plan)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".export-", dir=folder))
        try:
            facts = {}
            for name in NETWORKS:
                begin, end = _SHARES[name]
                say(f"exporting {name}", begin)
                facts.update(_export(name, parts, plan, networks[name], staging))
                say(f"exporting {name}", end)
            described = {name: dataclasses.asdict(network) for name, network in networks.items()}
            manifest = {"format": FORMAT, "fingerprint": parts.fingerprint, "networks": described, "files": facts}
            (staging / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
            (folder / MANIFEST).unlink(missing_ok=True)
            for file in (*facts, MANIFEST):
                (staging / file).replace(folder / file)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise GeneratorError(
            f"the networks cannot be written to {folder} ({error.strerror or error}); make room there"
        ) from error
    return Exported(folder, parts.fingerprint, networks, tuple(facts))


def _export(name: str, parts: TurboParts, plan: FramePlan, network: Network, folder: Path) -> dict[str, Any]:
    """Write one network into ``folder``; return length and SHA-256 of its files."""
    module: torch.nn.Module
    if name == "unet":
        module = _UNet(parts, tuple(port.name for port in network.inputs))
    else:
        module = (_Encoder if name == "encoder" else _Decoder)(parts, plan)
    weights = weights_of(module)
    device = next(iter(weights.values())).device
    inputs = {
        port.name: torch.zeros(port.shape, dtype=torch.int64 if port.dtype == "int64" else torch.float32, device=device)
        for port in network.inputs
    }
    model = trace(module, inputs, network.output.name)
    if network.output.dtype == "float16":
        to_half(model, widened=("size_ids",))
    data = folder / f"{name}.weights"
    digest = attach_weights(model, weights, data)
    graph = model.SerializeToString()
    (folder / f"{name}.onnx").write_bytes(graph)
    return {
        f"{name}.onnx": {"bytes": len(graph), "sha256": hashlib.sha256(graph).hexdigest()},
        data.name: {"bytes": data.stat().st_size, "sha256": digest},
    }


def open_exported(folder: Path) -> Exported:
    """Return the networks in ``folder``, checked to the last byte.

    Raises:
        GeneratorError: if there are none, a file is missing, truncated or changed, or they are of another version.
    """

    def unfit(why: str) -> GeneratorError:
        return GeneratorError(f"the networks in {folder} cannot be used: {why}; export them again")

    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise unfit(f"they are of format {manifest['format']}, and this program reads {FORMAT}")
        networks = {
            name: Network(tuple(_port(port) for port in facts["inputs"]), _port(facts["output"]))
            for name, facts in manifest["networks"].items()
        }
        files = {str(name): (int(facts["bytes"]), str(facts["sha256"])) for name, facts in manifest["files"].items()}
        fingerprint = str(manifest["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise unfit(f"{MANIFEST} cannot be read ({type(error).__name__})") from error
    if set(networks) != set(NETWORKS) or not {f"{name}.onnx" for name in NETWORKS} <= set(files):
        raise unfit("a network is missing")
    for name, (length, digest) in files.items():
        if Path(name).name != name:
            raise unfit(f"{name!r} is not the name of a file")
        try:
            found = (folder / name).stat().st_size
            if found != length:
                raise unfit(f"{name} has {found} bytes and should have {length}")
            with (folder / name).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                    raise unfit(f"{name} is not what was written")
        except OSError as error:
            raise unfit(f"{name} cannot be read ({error.strerror or error})") from error
    return Exported(folder, fingerprint, networks, tuple(files))


def _port(facts: Mapping[str, Any]) -> Port:
    return Port(str(facts["name"]), tuple(int(side) for side in facts["shape"]), str(facts["dtype"]))
