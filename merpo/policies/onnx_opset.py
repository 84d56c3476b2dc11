"""Conversion of a policy's graph to another opset, and to the oldest format version that has it."""

from __future__ import annotations

from typing import Any

from merpo.errors import MerpoError
from merpo.lazy import np
from merpo.policies.onnx_names import OLDEST, newest_opset

__all__ = ["NATIVE", "check_opset", "converted"]

NATIVE = 18  # in which PyTorch writes graphs
CONVERTED = 14  # the oldest one that the converter makes; of 13 its common operators differ in types of numbers only


def check_opset(opset: int) -> None:
    """Raise `MerpoError` for an opset in which no policy can be written here."""
    if not OLDEST <= opset <= newest_opset():
        raise MerpoError(
            f"opset: got {opset}, expected {OLDEST} (the oldest that works) to {newest_opset()} (the newest that the "
            "installed package onnx knows)"
        )


def converted(model: Any, opset: int) -> Any:
    """The graph in another opset, checked; raises `MerpoError` if an operator of it does not exist there."""
    import onnx

    older = _prepared(model) if opset < NATIVE else model
    problem = ""
    for convert in (_by_converter, _by_number):
        try:
            found = convert(older, opset)
            # the oldest format that has this opset, as a server refuses formats that are newer than itself
            found.ir_version = onnx.helper.find_min_ir_version_for(found.opset_import)
            onnx.checker.check_model(found, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
            problem = problem or str(error).strip().partition("\n")[0]
        else:
            return found
    raise MerpoError(
        f"opset: {opset} cannot express this method's policies ({problem:.200}), expected another one, such as {NATIVE}"
    )


def _by_converter(model: Any, opset: int) -> Any:
    """The graph converted by the package onnx, which does not convert common operators to opset 13."""
    from onnx.version_converter import convert_version

    return model if opset == NATIVE else _by_number(convert_version(model, max(opset, CONVERTED)), opset)


def _by_number(model: Any, opset: int) -> Any:
    """The same graph as one of another opset, where the converter does not know an operator of it.

    Most operators only took more types of numbers in newer opsets. Where one changed, the checker refuses the graph, or
    its actions differ from the original's, which every export is compared with.
    """
    found = type(model)()
    found.CopyFrom(model)
    found.opset_import[0].version = opset
    return found


def _prepared(model: Any) -> Any:
    """The graph without what the converter cannot convert from opset 18: every `Split` as slices, a default written."""
    from onnx.helper import make_node
    from onnx.numpy_helper import from_array

    changed = type(model)()
    changed.CopyFrom(model)
    nodes = []
    for node in changed.graph.node:
        if node.op_type != "Split":
            _drop_default(node, "noop_with_empty_axes")
            nodes.append(node)
            continue
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
        start = 0
        for output, size in zip(node.output, _sizes(model, node, axis), strict=True):
            bounds = {"start": start, "end": start + size, "axis": axis}
            names = {key: f"{output}_{key}" for key in bounds}
            changed.graph.initializer.extend(from_array(np.array([bounds[k]], np.int64), n) for k, n in names.items())
            nodes.append(make_node("Slice", [node.input[0], *names.values()], [output]))
            start += size
    del changed.graph.node[:]
    changed.graph.node.extend(nodes)
    return changed


def _drop_default(node: Any, name: str) -> None:
    """Remove an attribute that is 0, its default: older operators do not have it."""
    kept = [attribute for attribute in node.attribute if attribute.name != name or attribute.i]
    del node.attribute[:]
    node.attribute.extend(kept)


def _sizes(model: Any, node: Any, axis: int) -> list[int]:
    """The sizes of the parts of a `Split`; raises `ValueError` where they are not known."""
    from onnx.numpy_helper import to_array
    from onnx.shape_inference import infer_shapes

    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    if len(node.input) > 1 and node.input[1] in weights:
        return [int(size) for size in to_array(weights[node.input[1]])]
    known = {value.name: value.type.tensor_type.shape.dim for value in infer_shapes(model).graph.value_info}
    whole, parts = known[node.input[0]][axis].dim_value if node.input[0] in known else 0, len(node.output)
    if whole < parts or len(node.input) > 1:
        raise ValueError("the sizes of a Split are not known")
    size = -(-whole // parts)  # the last part may be smaller
    return [size] * (parts - 1) + [whole - size * (parts - 1)]
