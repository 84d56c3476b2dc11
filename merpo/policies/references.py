"""Baselines for a run's adapted policies: its meta-policy, clones, the behaviour policies and reference scores."""

from __future__ import annotations

from merpo.artifacts.run_folder import ADAPTED_WAY, META, REFERENCE, FinishedRun, open_run
from merpo.data.catalog import DatasetEntry, collections, entries
from merpo.data.reference_scores import ReferenceScores, stored_reference
from merpo.errors import DatasetError
from merpo.nn.params import expand, stack_alike
from merpo.nn.policy import policy_dims
from merpo.policies.saved import SavedPolicies, TaskName, run_of
from merpo.types import Params

__all__ = ["behavior_clones", "behavior_policies", "meta_policy", "references"]

META_POLICY = "meta_policy"  # a group of the meta-artifact
CLONE = f"{REFERENCE}clone"  # a group beside the adapted policies
PARTS = ("test ", "adapt ")  # prefixes of dataset names in a manifest


def meta_policy(saved: SavedPolicies) -> SavedPolicies | None:
    """The run's meta-policy for every task, or None if its meta-artifact has none with compatible parameters.

    A given one (`method.meta_policy`) may have other widths than the adapted policies.
    """
    run = _run(saved)
    if run is None or META not in run.manifest["artifacts"]:
        return None
    found = run.groups(META).get(META_POLICY, {})
    adapted = {key: value[0] for key, value in saved.policy.items()}
    if not _alike(found, adapted):
        return None
    return saved._replace(policy=expand(found, len(saved.tasks)))


def behavior_clones(saved: SavedPolicies) -> SavedPolicies | None:
    """The tasks' behaviour clones, or None if the method made none or an older merpo did not save them."""
    run = _run(saved)
    if run is None or ADAPTED_WAY not in run.manifest["artifacts"]:
        return None
    found = run.groups(ADAPTED_WAY).get(CLONE)
    return saved._replace(policy=found) if found else None


def behavior_policies(saved: SavedPolicies) -> Params | None:
    """The tasks' behaviour policies [T, ...], or None if the store does not have all of them.

    Raises `DatasetError` for a damaged one.
    """
    run = _run(saved)
    if run is None:
        return None
    digests = run.manifest.get("datasets", {})
    return stack_alike([_behavior(task, digests) for task in saved.tasks])


def references(saved: SavedPolicies) -> list[ReferenceScores | None]:
    """The returns for normalised scores 0 and 100 on each task; None if its dataset or reference scores are missing."""
    run = _run(saved)
    digests = {} if run is None else run.manifest.get("datasets", {})
    found = [_dataset(task, digests) for task in saved.tasks]
    return [None if entry is None else stored_reference(entry.manifest().settings) for entry in found]


def _alike(found: Params, adapted: Params) -> bool:
    """Whether two policies have the same shapes, or are both squashed Gaussians of the same dims."""
    shapes = [{key: value.shape for key, value in policy.items()} for policy in (found, adapted)]
    return shapes[0] == shapes[1] or policy_dims(found) == policy_dims(adapted) is not None


def _run(saved: SavedPolicies) -> FinishedRun | None:
    """The policies' run, if they are still in its folder."""
    folder = run_of(saved.place)
    return None if folder is None else open_run(folder, saved.trust)


def _behavior(task: TaskName, digests: dict[str, str]) -> Params | None:
    """A task's behaviour policy, if the store has the identical dataset and a single policy collected it."""
    entry = _dataset(task, digests)
    return None if entry is None else entry.policy()


def _dataset(task: TaskName, digests: dict[str, str]) -> DatasetEntry | None:
    """A task's data, if the store has the very dataset."""
    digest = next((digests[part + task.name] for part in PARTS if part + task.name in digests), None)
    every = (entry for collection in collections() for entry in entries(collection))
    named = [entry for entry in every if task.name in (entry.name, str(entry))]  # collected or named data
    return next((entry for entry in named if _is(entry, digest)), None)


def _is(entry: DatasetEntry, digest: str | None) -> bool:
    try:
        return entry.manifest().sha256 == digest
    except DatasetError:  # another dataset of the same name
        return False
