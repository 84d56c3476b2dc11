"""`merpo.load_policy`: a saved policy as a function from observations to actions."""

from __future__ import annotations

from pathlib import Path

from merpo.errors import MerpoError
from merpo.policies.acting import Policy
from merpo.policies.saved import from_saved, read_policies

__all__ = ["load_policy"]


def load_policy(
    path: str | Path, task: int | None = None, *, allow_non_finite: bool = False, trust: bool = False
) -> Policy:
    """The policy in a file of `merpo export` (safetensors or ONNX), a run folder, or a folder of `merpo adapt`.

    `task` is the index of the task, needed if there are several. A normalisation saved with the policy is applied;
    numbers that an import subtracted from the observations are not subtracted, as float32 cannot hold such observations
    (`policy.subtracted`).
    The file's checksum is verified. The policy refuses observations that are not finite, unless `allow_non_finite`.
    With `trust` a run's policy is read although it is not the one in the run's manifest.
    Raises `MerpoError` if there is no such policy.
    """
    place = Path(path)
    if place.suffix == ".onnx":
        from merpo.policies.onnx import load_onnx

        return _only(load_onnx(place, allow_non_finite), task)
    found = read_policies(place, trust)
    if task is None:
        if len(found.tasks) > 1:
            known = ", ".join(str(one.index) for one in found.tasks)
            raise MerpoError(
                f"{place}: holds policies for the tasks {known}; give one of them: load_policy(path, task=…)"
            )
        task = found.tasks[0].index
    return from_saved(found.one(task), allow_non_finite)


def _only(policy: Policy, task: int | None) -> Policy:
    if task is not None and task != policy.task.index:
        raise MerpoError(f"{policy!r} is that of task {policy.task.index}, expected task {task}")
    return policy
