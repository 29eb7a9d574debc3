"""From torch modules to ONNX graphs without weights: traced once with nothing in them, so it costs little memory.

The weights go in as inputs of zero stride (one number, seen everywhere); :mod:`.onnx_graph` puts the real ones beside
the finished graph, one at a time. So a model twice as large as the memory can be exported, in any precision.

The TorchScript exporter does the tracing: for these networks it is ten times as fast as the one on ``torch.export``,
and its graphs are as good.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.nn import functional

from vjengine.errors import GeneratorError, MissingDependency

OPSET = 20
"""ONNX operator set: the newest that the exporter writes; all runtimes we name read it."""


class _Bare(torch.nn.Module):
    """A module whose weights are arguments."""

    def __init__(self, module: torch.nn.Module, inputs: int, weights: tuple[str, ...]) -> None:
        super().__init__()
        # Behind torch's back: the exporter must not find weights of its own in here.
        object.__setattr__(self, "_module", module)
        self._inputs = inputs
        self._weights = weights

    def forward(self, *arguments: torch.Tensor) -> torch.Tensor:
        """Call the module."""
        given, weights = arguments[: self._inputs], arguments[self._inputs :]
        module: torch.nn.Module = object.__getattribute__(self, "_module")
        with _holding(module, dict(zip(self._weights, weights, strict=True))):
            output: torch.Tensor = module(*given)
        return output


@contextlib.contextmanager
def _holding(module: torch.nn.Module, weights: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Let ``module`` hold ``weights`` instead of its own. (``torch.func.functional_call`` refuses to be traced.)"""
    kept = []
    try:
        for name, tensor in weights.items():
            path, _, leaf = name.rpartition(".")
            owner = module.get_submodule(path)
            held: dict[str, Any] = owner._parameters if leaf in owner._parameters else owner._buffers
            kept.append((held, leaf, held[leaf]))
            held[leaf] = tensor
        yield
    finally:
        for held, leaf, tensor in kept:
            held[leaf] = tensor


def weights_of(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return all that a module holds, parameters and buffers, by name."""
    found: dict[str, torch.Tensor] = dict(module.named_parameters(remove_duplicate=False))
    found.update(module.named_buffers(remove_duplicate=False))
    return found


def trace(module: torch.nn.Module, inputs: Mapping[str, torch.Tensor], output: str) -> Any:
    """Return the ONNX graph of ``module`` in float32: its inputs are ``inputs`` and then the weights, by their names.

    Nobody else may run ``module`` meanwhile: for as long as it takes, it holds no weights.

    Args:
        module: takes ``inputs`` in their order.
        inputs: by name; shapes become fixed, values do not matter. They lie where the trace is to run.
        output: name of what the module returns.

    Raises:
        GeneratorError: if something in the module cannot be said in ONNX.
        MissingDependency: without the package ``onnx``.
    """
    onnx = import_onnx()
    device = next(iter(inputs.values())).device
    weights = {
        name: torch.zeros((), dtype=torch.float32 if tensor.is_floating_point() else tensor.dtype, device=device)
        .expand(tensor.shape)
        for name, tensor in weights_of(module).items()
    }  # fmt: skip
    file: Any = io.BytesIO()  # which it takes, if not by its signature
    try:
        with torch.inference_mode(False), torch.no_grad(), _quiet(), _plain_attention():
            torch.onnx.export(
                _Bare(module, len(inputs), tuple(weights)).eval(),
                (*inputs.values(), *weights.values()),
                file,
                input_names=[*inputs, *weights],
                output_names=[output],
                opset_version=OPSET,
                dynamo=False,
            )
    except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise GeneratorError(
            f"this model cannot be exported to ONNX ({reason}); play it on the rung graph or eager"
        ) from error
    return onnx.load_from_string(file.getvalue())


def import_onnx() -> Any:
    """Return the package ``onnx``.

    Raises:
        MissingDependency: if it is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingDependency("ONNX", "pip install 'vjengine[onnx]'") from error
    return onnx


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks (deprecations, sizes that become fixed: meant so) off the terminal."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


@contextlib.contextmanager
def _plain_attention() -> Iterator[None]:
    """Write attention as ``softmax(q k^T s) v``, the form in which every runtime finds its own fused kernel."""
    own = functional.scaled_dot_product_attention
    functional.scaled_dot_product_attention = _attention
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = own


def _attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> torch.Tensor:  # fmt: skip
    """Stand in for torch's. Queries are scaled, not products: those overflow in half precision."""
    if attn_mask is not None or is_causal or enable_gqa:
        raise GeneratorError("this model masks its attention, which no export here knows; play it on the rung graph")
    factor = int(query.shape[-1]) ** -0.5 if scale is None else scale
    return torch.softmax((query * factor) @ key.transpose(-1, -2), dim=-1) @ value
