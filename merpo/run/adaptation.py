"""The two artifacts of adaptation: the unseen tasks' policies, and snapshots, curves and scores for the report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from merpo.artifacts.run_folder import ADAPTED, ADAPTED_WAY, REFERENCE, RunFolder
from merpo.components.context import Adapted
from merpo.data.normalize import with_normalization
from merpo.nn.params import ordinary
from merpo.types import Normalization, Params

__all__ = ["finished_adaptation", "plain_adaptation", "save_adaptation"]

POLICY, CURVES, SCORES = "policy", "curves", "scores"
STEP = "step-"  # prefix of the groups of snapshots


def plain_adaptation(adapted: Adapted) -> Adapted:
    """The adaptation with its parameters as plain dicts, as when loaded."""
    return Adapted(
        policy=dict(adapted.policy.items()),
        snapshots=ordinary(adapted.snapshots),
        references=ordinary(adapted.references),
        curves=dict(adapted.curves),
        artifacts=ordinary(adapted.artifacts),
        scores=dict(adapted.scores),
    )


def save_adaptation(
    folder: RunFolder,
    adapted: Adapted,
    meta: dict[str, Params],
    snapshots: Iterable[int],
    normalization: Normalization | None,
    tasks: str,
) -> None:
    """Save the two artifacts; the one with the policies includes their normalisation and tasks (`task_header`).

    Adaptation started from `meta`, and `snapshots` are the steps after which copies were requested.
    """
    way = {CURVES: adapted.curves, SCORES: adapted.scores}
    way |= {f"{STEP}{step}": policy for step, policy in adapted.snapshots.items()}
    way |= {f"{REFERENCE}{name}": policy for name, policy in adapted.references.items()}
    policies = with_normalization({POLICY: adapted.policy, **adapted.artifacts}, normalization)
    folder.save(ADAPTED_WAY, way, {"asked": json.dumps(sorted(snapshots)), "meta": _digest(meta)})
    folder.save(ADAPTED, policies, {"tasks": tasks})


def finished_adaptation(folder: RunFolder, meta: dict[str, Params], snapshots: Iterable[int]) -> Adapted | None:
    """The adaptation that an earlier process saved, from the same `meta`; None if other snapshots are requested.

    Raises `ArtifactError` for a file that this run did not write.
    """
    if not (folder.finished(ADAPTED) and folder.finished(ADAPTED_WAY)):
        return None
    way, header = folder.load(ADAPTED_WAY)
    if header.get("meta") != _digest(meta) or header.get("asked") != json.dumps(sorted(snapshots)):
        return None
    policies, _ = folder.load(ADAPTED)
    return Adapted(
        policy=policies[POLICY],
        snapshots={int(step): policy for step, policy in _named(way, STEP).items()},
        references=_named(way, REFERENCE),
        curves=way[CURVES],
        artifacts=policies,
        scores=way[SCORES],
    )


def _digest(groups: dict[str, Params]) -> str:
    from safetensors.torch import save

    flat = {f"{group}/{key}": x.detach().contiguous() for group, params in groups.items() for key, x in params.items()}
    return hashlib.sha256(save(flat)).hexdigest()


def _named(groups: dict[str, Params], prefix: str) -> dict[str, Params]:
    return {name.removeprefix(prefix): params for name, params in groups.items() if name.startswith(prefix)}
