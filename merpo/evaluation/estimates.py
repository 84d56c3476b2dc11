"""Estimates of policies from logs alone: mean departure from the logged actions, and the critic's values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from merpo.lazy import torch

if TYPE_CHECKING:
    from merpo.components.context import Adapted
    from merpo.components.interfaces import Method
    from merpo.components.task_data import TaskData
    from merpo.types import Params

__all__ = ["Estimates", "estimate"]

ROWS = 4096  # maximum rows of each task's log


class Estimates(BaseModel):
    """Estimates for the policies of unseen tasks without an environment, one number per task."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    departure: list[float] = []  # mean |a − a_log| per action dimension, of the adapted policy
    q_logged: list[float] = []  # mean Q of the logged actions, by the task's own critic
    q_meta_policy: list[float] = []
    q_adapted: list[float] = []

    def columns(self, tasks: int) -> dict[str, list[float]]:
        """The estimates that exist for all `tasks`, by column head."""
        named = {
            "departure": self.departure,
            "Q logged": self.q_logged,
            "Q meta": self.q_meta_policy,
            "Q adapted": self.q_adapted,
        }
        return {head: values for head, values in named.items() if len(values) == tasks}


def estimate(method: Method, adapted: Adapted, data: TaskData) -> Estimates:
    """Means over rows of each task's log of the policy's departure and, if finite, of the critic's values."""
    rows = data.first(ROWS)

    def expected(actions: torch.Tensor) -> list[float]:
        values = method.value(adapted, rows.observations, actions)
        if values is None or not bool(values.isfinite().all()):
            return []
        means: list[float] = values.double().mean(1).tolist()
        return means

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
