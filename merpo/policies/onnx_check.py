"""Checks of an ONNX graph of others before it is computed: it ends, takes little memory, and reads no other file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from merpo.errors import ArtifactError
from merpo.lazy import np
from merpo.policies.onnx_names import ACTION, IN_UNITS, OBSERVATION, newest_opset

__all__ = ["check_graph"]

MAX_NODES = 10_000
MAX_NUMBERS = 1 << 24  # in all tensors that are computed for one observation
OLDEST_READ = 7  # opset
OWN_DOMAINS = ("", "ai.onnx")


def check_graph(model: Any, dims: tuple[int, int], path: Path) -> None:
    """Raise `ArtifactError` unless a graph is one of a policy with these (observation, action) dims.

    Loops, branches and functions are refused, so that every node is computed once; so are tensors whose sizes are not
    known before, operators of others, and weights that are in other files or not finite.
    """
    import onnx

    _check_opsets(model, path)
    _check_nodes(model, path)
    for tensor in _tensors(model.graph):
        _check_tensor(tensor, path)
    _check_interface(model.graph, dims, path)
    try:
        onnx.checker.check_model(model)
        _check_sizes(model, path)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
        _refuse(path, f"no valid graph ({str(error).strip().partition(chr(10))[0]:.200})")


def _refuse(path: Path, what: str, expected: str = "a graph of `merpo export`") -> NoReturn:
    raise ArtifactError(f"{path}: {what}, expected {expected}")


def _check_opsets(model: Any, path: Path) -> None:
    found = {entry.domain: int(entry.version) for entry in model.opset_import}
    others = sorted(set(found) - set(OWN_DOMAINS))
    if others or len(found) != 1:
        _refuse(path, f"needs operators of {others or 'no version'!s:.80}", "those of ONNX alone")
    (version,) = found.values()
    if not OLDEST_READ <= version <= newest_opset():
        _refuse(path, f"has opset {version}", f"{OLDEST_READ} to {newest_opset()}, which the package onnx here knows")


def _check_nodes(model: Any, path: Path) -> None:
    if model.functions or model.training_info or model.graph.sparse_initializer:
        _refuse(path, "has functions, training graphs or sparse weights")
    if len(model.graph.node) > MAX_NODES:
        _refuse(path, f"has {len(model.graph.node)} nodes", f"at most {MAX_NODES}")
    for node in model.graph.node:
        if node.domain not in OWN_DOMAINS:
            _refuse(path, f"has the operator {node.domain!r:.40} {node.op_type!r:.40}", "operators of ONNX alone")
        if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
            _refuse(path, f"has the operator {node.op_type!r:.40} with a graph of its own", "no loops and branches")


def _tensors(graph: Any) -> Iterator[Any]:
    """Every tensor that a graph holds."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _check_tensor(tensor: Any, path: Path) -> None:
    from onnx import TensorProto
    from onnx.numpy_helper import to_array

    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        _refuse(path, f"the weights {tensor.name!r:.80} are in another file", "them in this one")
    if (
        any(length < 0 for length in tensor.dims) or math.prod(tensor.dims) > 8 * tensor.ByteSize()
    ):  # at least a bit each
        _refuse(path, f"the weights {tensor.name!r:.80} declare more numbers than there are")
    try:
        values = to_array(tensor)
    except (ValueError, TypeError, KeyError, RuntimeError, OverflowError, MemoryError) as error:
        _refuse(path, f"the weights {tensor.name!r:.80} cannot be read ({error!s:.120})")
    # one number without dims may be NaN: it is what a guarded graph answers with
    if values.ndim and values.dtype.kind in "fc" and not np.isfinite(values).all():
        _refuse(path, f"the weights {tensor.name!r:.80} are not finite", "finite numbers")


def _check_interface(graph: Any, dims: tuple[int, int], path: Path) -> None:
    own = {tensor.name for tensor in graph.initializer}
    found = [_kind(value) for value in graph.input if value.name not in own]
    if found != [(OBSERVATION, "FLOAT", ("batch", dims[0]))]:
        _refuse(path, f"has the inputs {found!s:.200}", f"{OBSERVATION}, floats [batch, {dims[0]}]")
    outputs = [_kind(value) for value in graph.output]
    if [name for name, *_ in outputs] not in ([ACTION], [ACTION, IN_UNITS]) or any(
        (kind, shape[-1:]) != ("FLOAT", (dims[1],)) for _, kind, shape in outputs
    ):
        _refuse(path, f"has the outputs {outputs!s:.200}", f"{ACTION} and {IN_UNITS}, floats [batch, {dims[1]}]")


def _kind(value: Any) -> tuple[str, str, tuple[object, ...]]:
    """Name, type of numbers and shape of an input or output; a first dim without a fixed length is `batch`."""
    from onnx import TensorProto

    kind = value.type.tensor_type
    known = {number: name for name, number in TensorProto.DataType.items()}
    shape: list[object] = [dim.dim_value if dim.HasField("dim_value") else "?" for dim in kind.shape.dim]
    if shape[:1] == ["?"]:
        shape[0] = "batch"
    return str(value.name)[:80], known.get(kind.elem_type, "none"), tuple(shape)


def _check_sizes(model: Any, path: Path) -> None:
    """Raise an error if the tensors computed for one observation are too large, or of sizes that depend on it."""
    from onnx.shape_inference import infer_shapes

    one = type(model)()
    one.CopyFrom(model)
    del one.graph.value_info[:]  # hints of whoever wrote the file
    for value in (*one.graph.input, *one.graph.output):
        for i, dim in enumerate(value.type.tensor_type.shape.dim):
            if i == 0 and not dim.HasField("dim_value"):
                dim.Clear()
                if value.name == OBSERVATION:
                    dim.dim_value = 1
    inferred = infer_shapes(one, check_type=True, strict_mode=True, data_prop=True).graph
    shapes = {value.name: _kind(value)[2] for value in (*inferred.value_info, *inferred.output)}
    numbers = 0
    for name in (name for node in one.graph.node for name in node.output if name):
        shape = shapes.get(name, ("?",))
        if any(not isinstance(length, int) for length in shape):
            _refuse(path, f"the size of {name!r:.80} is not known before it is computed", "sizes that are")
        numbers += math.prod(length for length in shape if isinstance(length, int))
    if numbers > MAX_NUMBERS:
        _refuse(path, f"computes {numbers} numbers for one observation", f"at most {MAX_NUMBERS}")
