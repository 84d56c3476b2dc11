"""Given meta-policies: untrained, of a finished run, adapted, exported, or a dataset's behaviour policy."""

from __future__ import annotations

from pathlib import Path

from merpo.algorithm.settings import GivenPolicySettings
from merpo.artifacts.finished_run import open_run
from merpo.components.context import Context
from merpo.data.catalog import find
from merpo.data.normalize import split_normalization
from merpo.data.store import read_policy
from merpo.errors import ArtifactError, DatasetError
from merpo.lazy import torch
from merpo.nn.params import to_device
from merpo.nn.policy import init_policy, policy_dims
from merpo.policies.saved import read_policies
from merpo.types import Normalization, Params, Spec

__all__ = ["given_policy"]


def given_policy(settings: GivenPolicySettings, spec: Spec, hidden: tuple[int, ...], context: Context) -> Params | None:
    """One stochastic policy for all tasks, or None for source `none`.

    `hidden` are the default widths of an untrained policy.
    Raises `MerpoError` for a policy that is missing, damaged, of other dimensions, or not a squashed Gaussian.
    """
    if settings.source == "none":
        return None
    if settings.source == "random":
        found = init_policy(spec, settings.hidden or hidden, context.generator("given-policy"))
    else:
        read = {"run": _of_run, "policy": _saved, "checkpoint": _checkpoint}[settings.source]
        policy, own = read(settings)
        found = _renormalized(_checked(policy, spec, settings), own, spec.normalization)
    return to_device(found, context.device)


def _of_run(settings: GivenPolicySettings) -> tuple[Params, Normalization | None]:
    """The meta-policy of a run folder, and its normalisation of observations."""
    run = open_run(Path(settings.path))
    groups, own = split_normalization(run.groups("meta"), run.recipe.data.normalize_observations, settings.path)
    if not groups.get("meta_policy"):
        present = ", ".join(name for name, group in groups.items() if group) or "nothing"
        raise ArtifactError(
            f"{settings.path}: the run has no meta-policy, its meta-artifact holds {present}; expected a run of method "
            "'merpo', or source = 'policy' for an adapted policy"
        )
    return groups["meta_policy"], own


def _saved(settings: GivenPolicySettings) -> tuple[Params, Normalization | None]:
    """One task's adapted policy, and its normalisation of observations."""
    saved = read_policies(Path(settings.path))
    if settings.task is not None:
        saved = saved.one(settings.task)
    if len(saved.tasks) > 1:
        known = ", ".join(str(task.index) for task in saved.tasks)
        raise ArtifactError(f"{settings.path}: holds policies for the tasks {known}; give one of them: task = …")
    own = {key: value.reshape(-1) for key, value in saved.normalization.items()}
    return {key: value[0] for key, value in saved.policy.items()}, Normalization(**own) if own else None


def _checkpoint(settings: GivenPolicySettings) -> tuple[Params, None]:
    """The behaviour policy of a dataset of the store; its observations are not normalised."""
    found = find(settings.path.removeprefix("store:"))
    if len(found) != 1:
        names = ", ".join(str(entry) for entry in found[:4])
        raise DatasetError(f"{settings.path}: names {len(found)} datasets, expected one, such as {names}")
    return read_policy(found[0].folder, found[0].name), None


def _checked(policy: Params, spec: Spec, settings: GivenPolicySettings) -> Params:
    """The policy, checked to be a squashed Gaussian with the tasks' dimensions."""
    dims = policy_dims(policy)
    if dims is None:
        raise ArtifactError(f"{settings.path}: holds {sorted(policy)!s:.200}, expected a squashed Gaussian's layers")
    expected = spec.observation_dim, spec.action_dim
    if dims != expected:
        what = "(observation, action) dims"
        raise ArtifactError(f"{settings.path}: a policy with {what} {dims}, expected {expected} as the tasks have")
    return policy


def _renormalized(policy: Params, source: Normalization | None, target: Normalization | None) -> Params:
    """An equivalent policy for observations normalised by `target` instead of `source`.

    The normalisations and the first layer are affine, so that only w0 and b0 change.
    """
    if source is None and target is None:
        return policy
    weight, bias = policy["w0"].double(), policy["b0"].double()
    (mean, std), (to_mean, to_std) = (_columns(which, weight) for which in (source, target))
    first = {"w0": weight * (to_std / std)[:, None], "b0": bias + ((to_mean - mean) / std) @ weight}
    return {**policy, **{key: value.to(policy[key].dtype) for key, value in first.items()}}


def _columns(normalization: Normalization | None, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and std [O] on the CPU in double precision, 0 and 1 without normalisation."""
    if normalization is None:
        return weight.new_zeros(len(weight)), weight.new_ones(len(weight))
    return normalization.mean.cpu().double(), normalization.scale.cpu().double()
