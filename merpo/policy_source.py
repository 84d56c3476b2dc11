"""A meta-policy that is given: untrained, of a finished run, adapted or exported, or one that collected a dataset."""

from __future__ import annotations

import re
from pathlib import Path

from merpo.catalog import find
from merpo.context import Context
from merpo.errors import ArtifactError, DatasetError
from merpo.finished_run import open_run
from merpo.params import to_device
from merpo.policy import init_policy
from merpo.saved_policies import read_policies
from merpo.settings import GivenPolicySettings
from merpo.store import read_policy
from merpo.types import Params, Spec

__all__ = ["given_policy"]


def given_policy(settings: GivenPolicySettings, spec: Spec, hidden: tuple[int, ...], context: Context) -> Params | None:
    """One stochastic policy for all tasks, or None for source `none`; `hidden` are the widths of an untrained one.

    Raises `MerpoError` for a policy that is missing, damaged, of other dimensions, or not a squashed Gaussian.
    """
    if settings.source == "none":
        return None
    if settings.source == "random":
        found = init_policy(spec, hidden, context.generator("given-policy"))
    else:
        read = {"run": _of_run, "policy": _saved, "checkpoint": _checkpoint}[settings.source]
        found = _checked(read(settings), spec, settings)
    return to_device(found, context.device)


def _of_run(settings: GivenPolicySettings) -> Params:
    """The meta-policy of a run's folder."""
    groups = open_run(Path(settings.path)).groups("meta")
    if not groups.get("meta_policy"):
        held = ", ".join(name for name, group in groups.items() if group) or "nothing"
        raise ArtifactError(
            f"{settings.path}: the run has no meta-policy, its meta-artifact holds {held}; expected a run of method "
            "'merpo', or source = 'policy' for an adapted policy"
        )
    return groups["meta_policy"]


def _saved(settings: GivenPolicySettings) -> Params:
    """One task's adapted policy."""
    saved = read_policies(Path(settings.path))
    if settings.task is not None:
        saved = saved.one(settings.task)
    if len(saved.tasks) > 1:
        known = ", ".join(str(task.index) for task in saved.tasks)
        raise ArtifactError(f"{settings.path}: holds policies for the tasks {known}; give one of them: task = …")
    if saved.normalization:
        raise ArtifactError(f"{settings.path}: normalises observations, expected a policy that takes them as they are")
    return {key: value[0] for key, value in saved.policy.items()}


def _checkpoint(settings: GivenPolicySettings) -> Params:
    """The policy that collected a dataset of the store."""
    found = find(settings.path.removeprefix("store:"))
    if len(found) != 1:
        names = ", ".join(str(entry) for entry in found[:4])
        raise DatasetError(f"{settings.path}: names {len(found)} datasets, expected one, such as {names}")
    return read_policy(found[0].folder, found[0].name)


def _checked(policy: Params, spec: Spec, settings: GivenPolicySettings) -> Params:
    """The policy, if it is a squashed Gaussian with the tasks' dimensions."""
    depth = sum(1 for key in policy if re.fullmatch(r"w\d+", key))
    names = {f"{kind}{i}" for kind in "wb" for i in range(depth)}
    if depth == 0 or set(policy) != names or any(policy[f"w{i}"].dim() != 2 for i in range(depth)):
        raise ArtifactError(f"{settings.path}: holds {sorted(policy)!s:.200}, expected a squashed Gaussian's layers")
    dims = policy["w0"].shape[0], policy[f"w{depth - 1}"].shape[1] // 2
    expected = spec.observation_dim, spec.action_dim
    if dims != expected:
        what = "(observation, action) dims"
        raise ArtifactError(f"{settings.path}: a policy with {what} {dims}, expected {expected} as the tasks have")
    return policy
