"""Policies of others as ONNX graphs: they end, take little memory and read no other file, or are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from finished import finished_run
from hostile import DIGITS, NAMES, tasks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from merpo import load_policy
from merpo.errors import ArtifactError
from merpo.policies.export import export_policies
from merpo.support.checksum import PLACE, with_checksum

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def exported(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ONNX file of one task."""
    run = finished_run(store, tmp_path_factory.mktemp("runs") / "a")
    (done,) = export_policies(run, tmp_path_factory.mktemp("export"), "onnx", [2])
    return done.path


Change = Callable[[Any], None]


def rewritten(exported: Path, path: Path, change: Change, **header: str) -> Path:
    """The exported graph after a change, with a header of these entries and a right checksum."""
    model = onnx.load(str(exported))
    entry = next(entry for entry in model.metadata_props if entry.key == "merpo")
    entry.value = json.dumps({**json.loads(entry.value), **header, "checksum": PLACE})
    change(model)
    path.write_bytes(with_checksum(model.SerializeToString()))
    return path


def test_the_graph_itself_is_read(exported: Path, tmp_path: Path) -> None:
    same = rewritten(exported, tmp_path / "same.onnx", lambda model: None)
    seen = np.random.default_rng(0).normal(size=(5, 2))
    np.testing.assert_array_equal(load_policy(same)(seen), load_policy(exported)(seen))


def first_output(model: Any, operator: str, shape: list[int], inputs: list[str] | None = None, **more: Any) -> None:
    """Add a node whose result is added to the action."""
    number = len(model.graph.initializer)
    name = f"extra{number}"
    model.graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), name))
    given = [name] if inputs is None else [*inputs, name]
    add(model, helper.make_node(operator, given, [f"big{number}"], **more))
    add(model, helper.make_node("ReduceMax", [f"big{number}"], [f"max{number}"], keepdims=0))
    into_action(model, f"max{number}")


def add(model: Any, node: Any) -> None:
    model.graph.node.append(node)


def into_action(model: Any, name: str) -> None:
    """The action plus a tensor, in place of the action; other nodes keep reading the old one."""
    for node in model.graph.node:
        for i, output in enumerate(node.output):
            if output == "action":
                node.output[i] = "old_action"
        for i, used in enumerate(node.input):
            if used == "action":
                node.input[i] = "old_action"
    add(model, helper.make_node("Add", ["old_action", name], ["action"]))


def body(name: str, inputs: list[Any], outputs: list[Any], nodes: list[Any], initial: list[Any] | None = None) -> Any:
    return helper.make_graph(nodes, name, inputs, outputs, initial or [])


def endless(model: Any) -> None:
    """A loop whose condition stays true."""
    value = helper.make_tensor_value_info
    graph = body(
        "body",
        [value("i", TensorProto.INT64, []), value("go", TensorProto.BOOL, []), value("x", TensorProto.FLOAT, [])],
        [value("go_on", TensorProto.BOOL, []), value("y", TensorProto.FLOAT, [])],
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Identity", ["x"], ["y"])],
    )
    model.graph.initializer.extend(
        [numpy_helper.from_array(np.array(True), "true"), numpy_helper.from_array(np.float32(0), "zero")]
    )
    add(model, helper.make_node("Loop", ["", "true", "zero"], ["looped"], body=graph))
    into_action(model, "looped")


def branching(model: Any) -> None:
    value = helper.make_tensor_value_info("out", TensorProto.FLOAT, [])
    graph = body("then", [], [value], [], [numpy_helper.from_array(np.float32(0), "out")])
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "true"))
    add(model, helper.make_node("If", ["true"], ["chosen"], then_branch=graph, else_branch=graph))
    into_action(model, "chosen")


def calling(model: Any) -> None:
    """A function that calls itself."""
    node = helper.make_node("f", ["x"], ["y"], domain="own")
    function = helper.make_function("own", "f", ["x"], ["y"], [node], [helper.make_opsetid("", 17)])
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("own", 1))


def opset(version: int, domain: str = "") -> Change:
    def change(model: Any) -> None:
        if domain:
            model.opset_import.append(helper.make_opsetid(domain, version))
        else:
            model.opset_import[0].version = version

    return change


def interface(kind: str, *changes: tuple[str, Any]) -> Change:
    """Another name, type or shape of the first input or output."""

    def change(model: Any) -> None:
        value = getattr(model.graph, kind)[0]
        for what, to in changes:
            match what:
                case "name":
                    value.name = to
                case "type":
                    value.type.tensor_type.elem_type = to
                case "dim":
                    value.type.tensor_type.shape.dim[to[0]].Clear()
                    if to[1] is not None:
                        value.type.tensor_type.shape.dim[to[0]].dim_value = to[1]

    return change


def external(model: Any) -> None:
    tensor = next(tensor for tensor in model.graph.initializer if tensor.dims)
    shape, name = list(tensor.dims), tensor.name
    tensor.Clear()
    tensor.name, tensor.data_type, tensor.data_location = name, TensorProto.FLOAT, TensorProto.EXTERNAL
    tensor.dims.extend(shape)
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../secret"


def weights(number: float) -> Change:
    def change(model: Any) -> None:
        tensor = next(tensor for tensor in model.graph.initializer if len(tensor.dims) > 1)
        array = numpy_helper.to_array(tensor).copy()
        array.flat[0] = number
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))

    return change


def huge(model: Any) -> None:
    next(tensor for tensor in model.graph.initializer if len(tensor.dims) > 1).dims[0] = 1 << 40


def more_inputs(model: Any) -> None:
    model.graph.input.append(helper.make_tensor_value_info("second", TensorProto.FLOAT, ["batch", 2]))


def depending(model: Any) -> None:
    """A tensor whose size is computed from the observation."""
    for node in (
        helper.make_node("Cast", ["observation"], ["whole"], to=TensorProto.INT64),
        helper.make_node("ReduceMax", ["whole"], ["size"], keepdims=0),
        helper.make_node("ConstantOfShape", ["flat_size"], ["big"]),
        helper.make_node("ReduceMax", ["big"], ["max"], keepdims=0),
    ):
        add(model, node)
    model.graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "one_dim"))
    nodes = list(model.graph.node)
    nodes.insert(-2, helper.make_node("Reshape", ["size", "one_dim"], ["flat_size"]))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    into_action(model, "max")


def two_rows_only(model: Any) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((2, 1), np.float32), "two"))
    into_action(model, "two")


def many_nodes(model: Any) -> None:
    for i in range(10_001):
        add(model, helper.make_node("Identity", ["observation" if i == 0 else f"copy{i - 1}"], [f"copy{i}"]))


def no_source(model: Any) -> None:
    del model.graph.node[0]


HOSTILE: dict[str, tuple[Change, str]] = {
    "endless loop": (endless, "'Loop' with a graph of its own, expected no loops"),
    "branch": (branching, "'If' with a graph of its own"),
    "recursive function": (calling, "needs operators of|has functions"),
    "opset 999": (opset(999), "has opset 999, expected 7 to"),
    "opset 0": (opset(0), "has opset 0"),
    "opset below zero": (opset(-1), "has opset -1"),
    "other operators": (opset(1, "com.microsoft"), r"needs operators of \['com.microsoft'\]"),
    "other operator": (lambda model: setattr(model.graph.node[0], "domain", "com.microsoft"), "operator 'com.mi"),
    "unknown operator": (lambda model: setattr(model.graph.node[0], "op_type", "Evil"), "no valid graph"),
    "other input": (interface("input", ("name", "obs")), "has the inputs .*obs"),
    "input of doubles": (interface("input", ("type", TensorProto.DOUBLE)), "has the inputs .*DOUBLE"),
    "input of text": (interface("input", ("type", TensorProto.STRING)), "has the inputs .*STRING"),
    "input of 3 dims": (interface("input", ("dim", (1, 3))), "has the inputs"),
    "input of unknown dims": (interface("input", ("dim", (1, None))), "has the inputs"),
    "input of one row": (interface("input", ("dim", (0, 1))), "has the inputs"),
    "two inputs": (more_inputs, "has the inputs .*second"),
    "other output": (interface("output", ("name", "act")), "has the outputs .*act"),
    "output of integers": (interface("output", ("type", TensorProto.INT64)), "has the outputs .*INT64"),
    "output of 3 dims": (interface("output", ("dim", (1, 3))), "has the outputs"),
    "no output": (lambda model: model.graph.ClearField("output"), r"has the outputs \[\]"),
    "weights in another file": (external, "are in another file"),
    "weights that are NaN": (weights(float("nan")), "are not finite"),
    "weights that are infinite": (weights(float("inf")), "are not finite"),
    "weights of a terabyte": (huge, "declare more numbers than there are"),
    "much memory": (
        lambda model: first_output(model, "ConstantOfShape", [1 << 20, 1 << 20]), "computes 1099511.* numbers"),
    "more memory, expanded": (
        lambda model: first_output(model, "Expand", [1 << 30, 2], ["observation"]), "computes .* numbers"),
    "unknown memory": (depending, "is not known before it is computed|no valid graph"),
    "many nodes": (many_nodes, "nodes, expected at most 10000"),
    "a lost node": (no_source, "no valid graph"),
    "two rows only": (two_rows_only, "cannot compute this graph|at zeros is|no valid graph|outputs"),
    "no nodes": (lambda model: model.graph.ClearField("node"), "no valid graph|cannot compute"),
    "no graph": (lambda model: model.ClearField("graph"), "has the inputs"),
    "no opset": (lambda model: model.ClearField("opset_import"), "needs operators of no version"),
    "a training graph": (lambda model: model.training_info.add(), "has functions, training graphs"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_graph_is_refused(
    exported: Path, tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    change, found = HOSTILE[name]
    path = rewritten(exported, tmp_path / "bad.onnx", change)
    with pytest.raises(ArtifactError, match=rf"bad\.onnx: .*({found})"):
        load_policy(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "header",
    [*({"observation_dim": text} for text in DIGITS), {"action_dim": "9" * 5000}, {"observation_dim": "3"},
     *({"tasks": tasks(name=name)} for name in NAMES), {"tasks": "[]"}, {"tasks": "{}"}, {"tasks": "[" * 5000},
     {"tasks": json.dumps([{"name": n, "index": i, "params": {}} for i, n in enumerate("xy")])},
     {"format_version": "3"}, {"format_version": ""}],
    ids=lambda header: ascii(header)[:50],
)  # fmt: skip
def test_a_header_with_odd_entries_is_refused(exported: Path, tmp_path: Path, header: dict[str, str]) -> None:
    path = rewritten(exported, tmp_path / "bad.onnx", lambda model: None, **header)
    with pytest.raises(ArtifactError, match=r"bad\.onnx"):
        load_policy(path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_changed_byte_of_a_graph_is_refused(exported: Path, tmp_path: Path, data: st.DataObject) -> None:
    whole = exported.read_bytes()
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    if content == whole:
        load_policy(path)
        return
    with pytest.raises(ArtifactError, match=r"bad\.onnx"):
        load_policy(path)
