"""Reader of policies as ONNX graphs, which is data from others: checked before anything of it is computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from merpo.errors import ArtifactError, MerpoError
from merpo.lazy import np
from merpo.policies.acting import Policy
from merpo.policies.checks import header_dims
from merpo.policies.onnx_check import check_graph
from merpo.policies.onnx_names import ACTION, FORMAT_VERSION, IN_UNITS, KEY, OBSERVATION
from merpo.policies.task_name import TaskName, check_units, parse_tasks
from merpo.support.checksum import checksum_problem
from merpo.support.read import FileKind, read_regular

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["OnnxPolicy", "engine", "load_onnx", "need", "read_onnx"]

MAX_BYTES = 2 << 30  # of a file, as in the format
BATCHES = 1, 3  # of the zeros at which a graph is tried out

Run = Callable[["NDArray[np.float32]"], "dict[str, NDArray[Any]]"]


class OnnxPolicy(NamedTuple):
    """A checked graph: its task, dims, and the function that computes all of its outputs, by name."""

    task: TaskName
    observation_dim: int
    action_dim: int
    run: Run


def load_onnx(path: Path, allow_non_finite: bool = False) -> Policy:
    """The policy in an ONNX file of `merpo export`; raises `ArtifactError` for any other file."""
    found = read_onnx(path)
    dims = found.observation_dim, found.action_dim
    return Policy(found.task, *dims, lambda rows: found.run(np.ascontiguousarray(rows))[ACTION], allow_non_finite)


def read_onnx(path: Path) -> OnnxPolicy:
    """The graph in an ONNX file of `merpo export`, checked and tried out; raises `ArtifactError` for any other file."""
    need("onnx")
    content = _content(path)
    model = _parsed(path, content)
    header = _header(path, model)
    if header.get("format_version", "1") != "1" and (problem := _problem(content, header)):
        raise ArtifactError(f"{path}: {problem}")
    tasks = parse_tasks(header["tasks"], f"{path}: tasks")
    if len(tasks) != 1:
        raise ArtifactError(f"{path}: holds policies of {len(tasks)} tasks, expected one")
    dims = header_dims(path, header)
    check_units(tasks, dims[1], f"{path}: tasks")
    check_graph(model, dims, path)
    run = _session(content, path)
    _try_out(run, dims, path)
    return OnnxPolicy(tasks[0], *dims, run)


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


def _content(path: Path) -> bytes:
    try:
        return read_regular(path, MAX_BYTES)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot read this policy ({error.strerror or error})") from None
    except MemoryError:
        raise ArtifactError(f"{path}: does not fit into memory") from None


def _parsed(path: Path, content: bytes) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        return onnx.load_model_from_string(content)
    except (DecodeError, ValueError, RecursionError, MemoryError) as error:
        raise ArtifactError(f"{path}: damaged, or not an ONNX file ({str(error).partition(chr(10))[0]:.200})") from None


def _header(path: Path, model: Any) -> dict[str, str]:
    """The header that `merpo export` wrote into the metadata."""
    texts = [entry.value for entry in model.metadata_props if entry.key == KEY]
    try:
        (text,) = texts
        header = FileKind("the header of an exported policy").parse_model(text, path, dict[str, str])
    except (ArtifactError, ValueError):
        header = {}
    if not {"tasks", "observation_dim", "action_dim"} <= header.keys():
        raise ArtifactError(f"{path}: an ONNX file, but not one of `merpo export`")
    return header


def _problem(content: bytes, header: dict[str, str]) -> str:
    """What is wrong with the version or the checksum of a file, or an empty string."""
    if header["format_version"] != FORMAT_VERSION:
        return f"format version {header['format_version']!r:.40}, expected '1' or {FORMAT_VERSION!r}"
    return checksum_problem(content, header.get("checksum"))


def _session(content: bytes, path: Path) -> Run:
    """The function that evaluates a graph."""
    try:
        session = _backend(content)
    except Exception as error:  # noqa: BLE001 - the engines raise exceptions of their own for what they do not support
        raise ArtifactError(f"{path}: {engine()} cannot compute this graph ({_first_line(error)})") from None
    outputs = session.get_outputs() if hasattr(session, "get_outputs") else ()
    names = [output.name for output in outputs] or list(session.output_names)
    return lambda rows: dict(zip(names, session.run(names, {OBSERVATION: rows}), strict=True))


def _backend(content: bytes) -> Any:
    if engine() == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what is wrong is raised
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # more threads do not speed up single rows
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(content)


def _try_out(run: Run, dims: tuple[int, int], path: Path) -> None:
    """Raise `ArtifactError` unless the graph has finite actions at zeros, in batches of two sizes."""
    for rows in BATCHES:
        try:
            found = run(np.zeros((rows, dims[0]), np.float32))
        except Exception as error:  # noqa: BLE001 - as above
            raise ArtifactError(f"{path}: {engine()} cannot compute this graph ({_first_line(error)})") from None
        for name in found.keys() & {ACTION, IN_UNITS}:
            kind, expected = (found[name].shape, found[name].dtype.name), ((rows, dims[1]), "float32")
            if kind != expected or not np.isfinite(found[name]).all():
                raise ArtifactError(f"{path}: {name} at zeros is {kind}, expected finite numbers as {expected}")


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]:.200}"
