"""What is done to an ONNX graph between tracing and running: weights beside it, and half precision throughout."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vjengine.errors import GeneratorError
from vjengine.generate.turbo.accel.tracing import import_onnx

_ALIGN = 4096  # bytes: a runtime can map what begins on a page
_NEVER_FLOAT = {"Shape", "Size", "Equal", "Less", "Greater", "And", "Or", "Not", "NonZero", "ArgMax"}
_STAYS_FULL = {("Resize", 1), ("Resize", 2)}  # inputs that the standard wants in float32: region and scales


def attach_weights(model: Any, weights: Mapping[str, torch.Tensor], data: Path) -> str:
    """Write the weights of ``model`` to the file ``data``, one after the other; return the file's SHA-256.

    Inputs of the graph that are named as weights become initialisers; the others stay inputs. Matrices that are only
    ever used transposed are written transposed, so that no runtime needs both.

    Args:
        model: graph as :func:`~.tracing.trace` returns it, changed in place.
        weights: by name, in whatever precision; they are written in that of the graph.
        data: beside where the graph will lie.
    """
    onnx = import_onnx()
    graph = model.graph
    used = {name for node in graph.node for name in node.input}
    inputs = list(graph.input)
    del graph.input[:]
    flipped = _take_transposes(graph, weights)
    digest, offset = hashlib.sha256(), 0
    with data.open("wb") as file:
        for value in inputs:
            if value.name not in weights:
                graph.input.append(value)
                continue
            if value.name not in used:
                continue
            kind = value.type.tensor_type.elem_type
            tensor = weights[value.name].detach()
            if value.name in flipped:
                tensor = tensor.T
            array = _numbers(tensor, onnx.helper.tensor_dtype_to_np_dtype(kind))
            padding = bytes(-offset % _ALIGN)
            initialiser = graph.initializer.add(name=value.name, data_type=kind, dims=array.shape)
            initialiser.data_location = onnx.TensorProto.EXTERNAL
            offset += len(padding)
            for key, fact in (("location", data.name), ("offset", offset), ("length", array.nbytes)):
                initialiser.external_data.add(key=key, value=str(fact))
            for part in (padding, memoryview(array.reshape(-1)).cast("B")):
                file.write(part)
                digest.update(part)
            offset += array.nbytes
    return digest.hexdigest()


def _numbers(tensor: torch.Tensor, dtype: Any) -> Any:
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()  # numpy does not know it
    return np.ascontiguousarray(tensor.cpu().numpy().astype(dtype, copy=False))


def _take_transposes(graph: Any, weights: Mapping[str, torch.Tensor]) -> set[str]:
    """Take out the transposes of weights that are used in no other way; return those weights' names."""
    uses = Counter(name for node in graph.node for name in node.input)
    flips = {
        node.input[0]: node
        for node in graph.node
        if node.op_type == "Transpose" and node.input[0] in weights and uses[node.input[0]] == 1
        and weights[node.input[0]].ndim == 2
    }  # fmt: skip
    renamed = {node.output[0]: name for name, node in flips.items()}
    gone = set(renamed)
    kept = [node for node in graph.node if node.output[0] not in gone]
    for node in kept:
        for index, name in enumerate(node.input):
            if name in renamed:
                node.input[index] = renamed[name]
    del graph.node[:]
    graph.node.extend(kept)
    return set(flips)


def to_half(model: Any, *, widened: Collection[str] = ()) -> None:
    """Turn a float32 graph into one of float16, strongly typed: what TensorRT builds as it stands. In place.

    Inputs and weights become float16, and so does all that is computed from them. What comes from whole numbers alone
    (the timestep's sines) stays float32 until it meets a half, where it is cast.

    Args:
        model: the graph.
        widened: float16 inputs that are cast to float32 before anything else, as numbers whose sines are taken.

    Raises:
        GeneratorError: if it holds a constant too large for float16.
    """
    _Halver(model).run(widened)


class _Halver:
    """Walks along a graph once; every value is ``half``, ``full``, a ``constant`` that can be both, or no float."""

    def __init__(self, model: Any) -> None:
        self._onnx = import_onnx()
        self._graph = model.graph
        self._full = self._onnx.TensorProto.FLOAT
        self._half = self._onnx.TensorProto.FLOAT16
        self._state: dict[str, str] = {}
        self._constants: dict[str, Any] = {}
        self._made: dict[str, str] = {}
        self._nodes: list[Any] = []

    def run(self, widened: Collection[str]) -> None:
        """Change the graph."""
        del self._graph.value_info[:]
        wide = {}
        for value in self._graph.input:
            if value.type.tensor_type.elem_type == self._full:
                value.type.tensor_type.elem_type = self._half
                self._state[value.name] = "half"
                if value.name in widened:
                    wide[value.name] = name = f"{value.name}/wide"
                    self._nodes.append(self._onnx.helper.make_node("Cast", [value.name], [name], to=self._full))
                    self._state[name] = "full"
        for node in self._graph.node:
            for index, name in enumerate(node.input):
                node.input[index] = wide.get(name, name)
        for node in list(self._graph.node):
            self._visit(node)
        for output in self._graph.output:
            if self._state.get(output.name) == "half":
                output.type.tensor_type.elem_type = self._half
        del self._graph.node[:]
        self._graph.node.extend(self._nodes)

    def _visit(self, node: Any) -> None:
        states = [self._state.get(name, "") for name in node.input]
        state = ""
        if node.op_type == "Constant":
            tensor = next((a.t for a in node.attribute if a.name == "value"), None)
            if tensor is not None and tensor.data_type == self._full:
                state = "constant"
                self._constants[node.output[0]] = tensor
        elif node.op_type == "Cast":
            to = next(a.i for a in node.attribute if a.name == "to")
            state = {self._full: "full", self._half: "half"}.get(to, "")
        elif node.op_type == "ConstantOfShape":
            value = next((a.t for a in node.attribute if a.name == "value"), None)
            state = "full" if value is None or value.data_type == self._full else ""
        elif node.op_type in _NEVER_FLOAT:
            state = ""
        elif "half" in states:
            state = "half"
            for index, name in enumerate(node.input):
                if states[index] in ("full", "constant") and (node.op_type, index) not in _STAYS_FULL:
                    node.input[index] = self._halved(name, states[index])
        elif any(states):
            state = "full"
        self._nodes.append(node)
        for name in node.output:
            self._state[name] = state

    def _halved(self, name: str, state: str) -> str:
        """Return the name of the float16 form of ``name``."""
        if name not in self._made:
            made = f"{name}/half"
            if state == "constant":
                numbers = self._onnx.numpy_helper.to_array(self._constants[name])
                try:
                    with np.errstate(over="raise"):
                        numbers = numbers.astype(np.float16)
                except FloatingPointError as error:
                    raise GeneratorError(
                        "this model uses numbers too large for half precision; play it in float32"
                    ) from error
                tensor = self._onnx.numpy_helper.from_array(numbers)
                self._nodes.append(self._onnx.helper.make_node("Constant", [], [made], value=tensor))
            else:
                self._nodes.append(self._onnx.helper.make_node("Cast", [name], [made], to=self._half))
            self._made[name] = made
        return self._made[name]
