"""Writer of policies as ONNX graphs: normalisation and units are part of the graph, and its metadata explain it."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from merpo.errors import MerpoError
from merpo.lazy import np, torch
from merpo.policies.describe import described
from merpo.policies.onnx import need
from merpo.policies.onnx_names import ACTION, FORMAT_VERSION, IN_UNITS, KEY, OBSERVATION
from merpo.policies.onnx_opset import NATIVE, check_opset, converted
from merpo.policies.saved import SavedPolicies
from merpo.support.checksum import PLACE, with_checksum
from merpo.support.files import atomic_write_bytes
from merpo.support.terminal import printable
from merpo.types import Params
from merpo.version import __version__

if TYPE_CHECKING:
    from merpo.data.data_units import DataUnits

__all__ = ["onnx_writer"]

Graph = tuple[list[str], Any]  # the names of its weights, and the graph


def onnx_writer(opset: int, allow_non_finite: bool) -> Callable[[SavedPolicies, Path], None]:
    """A function that writes the policy of one task to a file.

    The method's `act` is traced once; the tasks' graphs differ only in their weights. Raises `MerpoError` for an opset
    that no policy can be written in.
    """
    need("onnx", "onnxscript")
    check_opset(opset)
    traced: dict[bool, Graph] = {}  # by whether the units are known

    def write(one: SavedPolicies, path: Path) -> None:
        with_units = one.tasks[0].units is not None
        if with_units not in traced:
            traced[with_units] = _trace(one, allow_non_finite)
        model = converted(_with_weights(traced[with_units], one), opset)
        _explain(model, one, allow_non_finite)
        atomic_write_bytes(path, with_checksum(model.SerializeToString(deterministic=True)))

    return write


def _with_weights(graph: Graph, one: SavedPolicies) -> Any:
    """A graph with one task's weights, simplified."""
    from onnx.numpy_helper import from_array
    from onnxscript.optimizer import optimize

    names, traced = graph
    model = type(traced)()
    model.CopyFrom(traced)
    tensors = dict(zip(names, _tensors(one).values(), strict=True))
    for initializer in model.graph.initializer:
        if initializer.name in tensors:
            array = tensors[initializer.name].detach().cpu().contiguous().numpy()
            initializer.CopyFrom(from_array(array, initializer.name))
    with _quiet():
        return optimize(model)


def _explain(model: Any, one: SavedPolicies, allow_non_finite: bool) -> None:
    """Set the metadata: merpo's header, and what goes in and comes out; nothing of this machine is left in them."""
    for part in (*model.graph.node, *model.graph.initializer, *model.graph.value_info, model.graph, model):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    lines = described(one, allow_non_finite)
    task = one.tasks[0]
    model.producer_name, model.producer_version = "merpo", __version__
    model.graph.name = task.name
    model.doc_string = "\n".join(f"{key}: {text}" for key, text in lines.items())
    for value in (*model.graph.input, *model.graph.output):
        value.doc_string = lines[value.name]
    header = {**one.header(), "format_version": FORMAT_VERSION, "checksum": PLACE}
    header["non_finite"] = "allowed" if allow_non_finite else "refused"
    more = {"task": json.dumps({"name": task.name, "index": task.index, "params": task.params}, sort_keys=True)}
    if task.units is not None:
        more |= {"action_low": json.dumps(task.units.action_low), "action_high": json.dumps(task.units.action_high)}
    for key, text in {KEY: json.dumps(header, sort_keys=True), **lines, **more}.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, text


def _tensors(one: SavedPolicies) -> Params:
    """All tensors of one task's graph, in the same order for all tasks."""
    tensors = {**one.policy, **{f"normalization/{key}": value for key, value in one.normalization.items()}}
    units = one.tasks[0].units
    return tensors if units is None else {**tensors, **_unit_tensors(units, one.place)}


def _unit_tensors(units: DataUnits, place: Path) -> Params:
    """The bounds of actions, their middle and half of their range, [A] each."""
    low, high = np.asarray(units.action_low), np.asarray(units.action_high)
    numbers = {"low": low, "high": high, "middle": (low + high) / 2, "half": (high - low) / 2}
    tensors = {f"units/{key}": torch.from_numpy(value.astype(np.float32)) for key, value in numbers.items()}
    if not bool((tensors["units/low"] < tensors["units/high"]).all()):
        raise MerpoError(f"{place}: action bounds {low.tolist()} and {high.tolist()} are the same in float32")
    return tensors


def _cause(error: BaseException) -> str:
    """The first line of what is at the bottom of an exporter's error."""
    while error.__cause__ is not None:
        error = error.__cause__
    return printable(next(iter(str(error).splitlines()), type(error).__name__))[:300]


def _trace(one: SavedPolicies, allow_non_finite: bool) -> Graph:
    """The graph of one task's policy."""
    tensors = _tensors(one)
    names = [f"p{i}" for i in range(len(tensors))]

    class Traced(torch.nn.Module):  # defined here, because torch is imported lazily
        def __init__(self) -> None:
            super().__init__()
            for name, value in zip(names, tensors.values(), strict=True):
                self.register_buffer(name, value.detach().clone())

        def forward(self, observation: torch.Tensor) -> tuple[torch.Tensor, ...]:
            buffers = {key: getattr(self, name) for key, name in zip(tensors, names, strict=True)}
            policy = {key: buffers[key] for key in one.policy}
            normalization = {key: buffers[f"normalization/{key}"] for key in one.normalization}
            action = one._replace(policy=policy, normalization=normalization).act(observation[None])[0]
            if not allow_non_finite:
                action = action + _nan_at_others(observation)
            if "units/low" not in buffers:
                return (action,)
            low, high, middle, half = (buffers[f"units/{key}"] for key in ("low", "high", "middle", "half"))
            return action, torch.minimum(torch.maximum(middle + half * action, low), high)

    outputs = [ACTION, IN_UNITS] if "units/low" in tensors else [ACTION]
    try:
        with _quiet():
            program = torch.onnx.export(
                Traced().eval(),
                (torch.zeros(2, one.observation_dim),),
                dynamo=True,
                opset_version=NATIVE,
                input_names=[OBSERVATION],
                output_names=outputs,
                dynamic_shapes={OBSERVATION: {0: torch.export.Dim("batch")}},
                optimize=False,  # done later for each task, because it folds weights together
                external_data=False,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:  # an operator that ONNX lacks, or a choice that depends on numbers
        raise MerpoError(
            f"{one.place}: ONNX cannot express the policies of method {one.method.name!r} ({_cause(error)}); "
            "export them with --format safetensors"
        ) from error
    if program is None:
        raise MerpoError(f"{one.place}: torch.onnx returned no graph")
    return names, program.model_proto


def _nan_at_others(observation: torch.Tensor) -> torch.Tensor:
    """0 for an observation [B, O] of finite numbers, else NaN: [B, 1]. A product, as reductions differ among opsets."""
    marks = torch.where(torch.isfinite(observation), 0.0, torch.nan)
    return marks @ torch.ones(observation.shape[-1], 1)


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporter's warnings: deprecations, and advice on packages that policies do not use."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
