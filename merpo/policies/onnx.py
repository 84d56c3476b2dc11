"""Policies as ONNX graphs: `observation` [batch, O] in, `action` [batch, A] out, normalisation inside."""

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
from merpo.support.read import FileKind

if TYPE_CHECKING:
    from merpo.policies.saved import Policy

__all__ = ["engine", "load_onnx", "onnx_writer"]

INPUT, OUTPUT, KEY = "observation", "action", "merpo"


def onnx_writer(saved: SavedPolicies) -> Callable[[SavedPolicies, Path], None]:
    """What writes the policy of one task of `saved` to a file.

    The method's `act` is traced once: tasks share the graph and differ in its weights alone.
    """
    need("onnx", "onnxscript")
    names, graph = _trace(saved.one(saved.tasks[0].index))

    def write(one: SavedPolicies, path: Path) -> None:
        from onnx.numpy_helper import from_array
        from onnxscript.optimizer import optimize

        model = type(graph)()
        model.CopyFrom(graph)
        held = dict(zip(names, _tensors(one).values(), strict=True))
        for initializer in model.graph.initializer:
            if initializer.name in held:
                own = held[initializer.name].detach().cpu().contiguous().numpy()
                initializer.CopyFrom(from_array(own, initializer.name))
        with _quiet():
            model = optimize(model)
        entry = model.metadata_props.add()
        entry.key, entry.value = KEY, json.dumps(one.header(), sort_keys=True)
        atomic_write_bytes(path, model.SerializeToString(deterministic=True))

    return write


def load_onnx(path: Path) -> Policy:
    """The policy in an ONNX file of `merpo export`; `ArtifactError` where it is not one."""
    from merpo.policies.saved import Policy

    need("onnx")
    import onnx
    from google.protobuf.message import DecodeError

    try:
        content = path.read_bytes()
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
    """What computes ONNX graphs here: ONNX Runtime, or the slow reference implementation that comes with onnx."""
    return "onnxruntime" if _installed("onnxruntime") else "onnx.reference"


def need(*packages: str) -> None:
    """Raise `MerpoError` unless what ONNX needs is installed."""
    lacking = [package for package in packages if not _installed(package)]
    if lacking:
        raise MerpoError(
            f"ONNX needs the packages {', '.join(lacking)}; install them with: pip install 'merpo[export]'"
        )


def _installed(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def _session(content: bytes) -> Callable[[Any], Any]:
    """The function that a graph is."""
    if engine() == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # one row at a time gains nothing from more
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    else:
        from onnx.reference import ReferenceEvaluator

        session = ReferenceEvaluator(content)
    return lambda rows: session.run(None, {INPUT: rows})[0]


def _tensors(one: SavedPolicies) -> dict[str, torch.Tensor]:
    """All numbers of one task's policy, in an order that all tasks share."""
    return {**one.policy, **{f"normalization/{key}": value for key, value in one.normalization.items()}}


def _trace(one: SavedPolicies) -> tuple[list[str], Any]:
    """The names of the weights in the graph, and the graph of one task's policy."""
    held = _tensors(one)
    names = [f"p{i}" for i in range(len(held))]

    class Graph(torch.nn.Module):  # defined here, as torch is imported here
        def __init__(self) -> None:
            super().__init__()
            for name, value in zip(names, held.values(), strict=True):
                self.register_buffer(name, value.detach().clone())

        def forward(self, observation: torch.Tensor) -> torch.Tensor:
            own = {key: getattr(self, name) for key, name in zip(held, names, strict=True)}
            policy = {key: own[key] for key in one.policy}
            normalization = {key: own[f"normalization/{key}"] for key in one.normalization}
            return one._replace(policy=policy, normalization=normalization).act(observation[None])[0]

    with _quiet():
        program = torch.onnx.export(
            Graph().eval(),
            (torch.zeros(2, one.observation_dim),),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes={INPUT: {0: torch.export.Dim("batch")}},
            optimize=False,  # afterwards, task by task: it folds weights into others
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise MerpoError(f"{one.place}: torch.onnx gave no graph")
    return names, program.model_proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's deprecations and its advice on packages that policies do not use."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
