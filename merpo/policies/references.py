"""Baselines for a run's adapted policies: its meta-policy, clones, the behaviour policies and reference scores."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from merpo.artifacts.finished_run import FinishedRun, open_run
from merpo.artifacts.run_folder import ADAPTED_WAY, META, REFERENCE
from merpo.data.catalog import DatasetEntry, collections, entries
from merpo.data.reference_scores import ReferenceScores, stored_reference
from merpo.errors import DatasetError
from merpo.nn.params import expand, stack_alike
from merpo.nn.policy import policy_dims
from merpo.policies.saved import SavedPolicies, run_of
from merpo.policies.task_name import TaskName
from merpo.types import Params

__all__ = ["BehaviorPolicies", "behavior_clones", "behavior_policies", "meta_policy", "references"]

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


class BehaviorPolicies(NamedTuple):
    """The tasks' behaviour policies [T, ...], or None and why: what is missing or damaged."""

    policies: Params | None
    missing: str = ""  # the store does not have them
    damaged: str = ""  # the store has them, but they cannot be read


def behavior_policies(saved: SavedPolicies) -> BehaviorPolicies:
    """The behaviour policies of the tasks' data, as far as the store has the very data with the policies."""
    run = _run(saved)
    if run is None:
        return BehaviorPolicies(None, "the policies are no longer in their run's folder, which names their data")
    found: list[Params | None] = []
    for task in saved.tasks:
        try:
            entry = _dataset(task, run.manifest["datasets"])
            if entry is None:
                return BehaviorPolicies(None, f"the store does not have the data of {task.name}")
            found.append(entry.policy())
        except DatasetError as error:
            return BehaviorPolicies(None, damaged=str(error))
        if found[-1] is None:
            return BehaviorPolicies(None, f"none was kept with the data of {task.name}")
    together = stack_alike(found)
    return BehaviorPolicies(together, "" if together is not None else "their networks differ in shape")


def references(saved: SavedPolicies) -> list[ReferenceScores | None]:
    """The returns for normalised scores 0 and 100 on each task; None if its dataset or reference scores are missing."""
    run = _run(saved)
    return [_reference(task, {} if run is None else run.manifest["datasets"]) for task in saved.tasks]


def _reference(task: TaskName, digests: Mapping[str, str]) -> ReferenceScores | None:
    with suppress(DatasetError):  # of which the behaviour policy tells
        entry = _dataset(task, digests)
        return None if entry is None else stored_reference(entry.manifest().settings)
    return None


def _alike(found: Params, adapted: Params) -> bool:
    """Whether two policies have the same shapes, or are both squashed Gaussians of the same dims."""
    shapes = [{key: value.shape for key, value in policy.items()} for policy in (found, adapted)]
    return shapes[0] == shapes[1] or policy_dims(found) == policy_dims(adapted) is not None


def _run(saved: SavedPolicies) -> FinishedRun | None:
    """The policies' run, if they are still in its folder."""
    folder = run_of(saved.place)
    return None if folder is None else open_run(folder, saved.trust)


def _dataset(task: TaskName, digests: Mapping[str, str]) -> DatasetEntry | None:
    """A task's data, if the store has the very dataset; raises `DatasetError` if only a damaged one has its name."""
    digest = next((digests[part + task.name] for part in PARTS if part + task.name in digests), None)
    every = (entry for collection in collections() for entry in entries(collection))
    damaged: DatasetError | None = None
    for entry in every:
        if task.name not in (entry.name, str(entry)):  # collected or named data
            continue
        try:
            if entry.manifest().sha256 == digest:
                return entry
        except DatasetError as error:  # perhaps another dataset of the same name
            damaged = error
    if damaged is not None:
        raise damaged
    return None
