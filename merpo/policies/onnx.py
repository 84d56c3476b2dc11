"""Policies as ONNX graphs: input `observation` [batch, O], output `action` [batch, A], with normalisation included."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from merpo.errors import ArtifactError, MerpoError
from merpo.lazy import np, torch
from merpo.policies.saved import SavedPolicies, TaskName
from merpo.support.files import atomic_write_bytes
from merpo.support.read import FileKind, read_regular

if TYPE_CHECKING:
    from merpo.policies.saved import Policy

__all__ = ["engine", "load_onnx", "onnx_writer"]

INPUT, OUTPUT, KEY = "observation", "action", "merpo"
MAX_BYTES = 2 << 30  # of a file, as in the format


def onnx_writer(saved: SavedPolicies) -> Callable[[SavedPolicies, Path], None]:
    """A function that writes the policy of one task of `saved` to a file.

    The method's `act` is traced once; the tasks' graphs differ only in their weights.
    """
    need("onnx", "onnxscript")
    names, graph = _trace(saved.one(saved.tasks[0].index))

    def write(one: SavedPolicies, path: Path) -> None:
        from onnx.numpy_helper import from_array
        from onnxscript.optimizer import optimize

        model = type(graph)()
        model.CopyFrom(graph)
        tensors = dict(zip(names, _tensors(one).values(), strict=True))
        for initializer in model.graph.initializer:
            if initializer.name in tensors:
                array = tensors[initializer.name].detach().cpu().contiguous().numpy()
                initializer.CopyFrom(from_array(array, initializer.name))
        with _quiet():
            model = optimize(model)
        entry = model.metadata_props.add()
        entry.key, entry.value = KEY, json.dumps(one.header(), sort_keys=True)
        atomic_write_bytes(path, model.SerializeToString(deterministic=True))

    return write


def load_onnx(path: Path) -> Policy:
    """The policy in an ONNX file of `merpo export`; raises `ArtifactError` for any other file."""
    from merpo.policies.saved import Policy

    need("onnx")
    import onnx
    from google.protobuf.message import DecodeError

    try:
        content = read_regular(path, MAX_BYTES)
        model = onnx.load_model_from_string(content)
        onnx.checker.check_model(model)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot read this policy ({error.strerror or error})") from None
    except (DecodeError, ValueError, onnx.checker.ValidationError) as error:
        raise ArtifactError(f"{path}: damaged, or not an ONNX file ({str(error).splitlines()[0][:200]})") from None
    text = next((entry.value for entry in model.metadata_props if entry.key == KEY), "")
    kind = FileKind("the header of an exported policy")
    try:
        header = kind.parse_model(text, path, dict[str, str])
        (task,) = kind.parse_model(header["tasks"], path, list[TaskName])
        dims = int(header["observation_dim"]), int(header["action_dim"])
    except (ArtifactError, ValueError, KeyError):
        raise ArtifactError(f"{path}: an ONNX file, but not one of `merpo export`") from None
    play = _session(content)
    return Policy(task, *dims, lambda rows: play(np.ascontiguousarray(rows)))


def engine() -> str:
    """The backend for ONNX graphs: ONNX Runtime, or else the slow reference implementation of the package onnx."""
    return "onnxruntime" if _installed("onnxruntime") else "onnx.reference"


def need(*packages: str) -> None:
    """Raise `MerpoError` if one of the packages is not installed."""
    missing = [package for package in packages if not _installed(package)]
    if missing:
        raise MerpoError(
            f"ONNX needs the packages {', '.join(missing)}; install them with: pip install 'merpo[export]'"
        )


def _installed(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def _session(content: bytes) -> Callable[[Any], Any]:
    """The function that evaluates a graph."""
    if engine() == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # more threads do not speed up single rows
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    else:
        from onnx.reference import ReferenceEvaluator

        session = ReferenceEvaluator(content)
    return lambda rows: session.run(None, {INPUT: rows})[0]


def _tensors(one: SavedPolicies) -> dict[str, torch.Tensor]:
    """All tensors of one task's policy, in the same order for all tasks."""
    return {**one.policy, **{f"normalization/{key}": value for key, value in one.normalization.items()}}


def _trace(one: SavedPolicies) -> tuple[list[str], Any]:
    """The names of the weights in the graph, and the graph of one task's policy."""
    tensors = _tensors(one)
    names = [f"p{i}" for i in range(len(tensors))]

    class Graph(torch.nn.Module):  # defined here, because torch is imported lazily
        def __init__(self) -> None:
            super().__init__()
            for name, value in zip(names, tensors.values(), strict=True):
                self.register_buffer(name, value.detach().clone())

        def forward(self, observation: torch.Tensor) -> torch.Tensor:
            buffers = {key: getattr(self, name) for key, name in zip(tensors, names, strict=True)}
            policy = {key: buffers[key] for key in one.policy}
            normalization = {key: buffers[f"normalization/{key}"] for key in one.normalization}
            return one._replace(policy=policy, normalization=normalization).act(observation[None])[0]

    with _quiet():
        program = torch.onnx.export(
            Graph().eval(),
            (torch.zeros(2, one.observation_dim),),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes={INPUT: {0: torch.export.Dim("batch")}},
            optimize=False,  # done later for each task, because it folds weights together
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise MerpoError(f"{one.place}: torch.onnx returned no graph")
    return names, program.model_proto


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
