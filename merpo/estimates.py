"""What can be said of a policy from logs alone: how far it departs from them, and what its own critic expects."""

from __future__ import annotations

from merpo.context import Adapted
from merpo.dataset import TaskData
from merpo.interfaces import Method
from merpo.lazy import torch
from merpo.report import Estimates
from merpo.types import Params

__all__ = ["estimate"]

ROWS = 4096  # of each task's log


def estimate(method: Method, adapted: Adapted, data: TaskData) -> Estimates:
    """Means over rows of each task's log of the policies' departures and of the critic's values."""
    rows = data.first(ROWS)

    def expected(actions: torch.Tensor) -> list[float]:
        values = method.value(adapted, rows.observations, actions)
        return [] if values is None else values.double().mean(1).tolist()

    def actions(policy: Params) -> torch.Tensor:
        return method.act(policy, rows.observations)

    with torch.no_grad():
        chosen = actions(adapted.policy)
        meta = adapted.references.get("meta-policy")
        return Estimates(
            departure=(chosen - rows.actions).abs().double().mean((1, 2)).tolist(),
            q_logged=expected(rows.actions),
            q_meta_policy=[] if meta is None else expected(actions(meta)),
            q_adapted=expected(chosen),
        )
