"""A model-free method that is not in the paper: advantage-weighted cloning, meta-trained by Reptile."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, final

from pydantic import Field

import merpo
from merpo import HiddenWidths, Method, Params
from merpo.lazy import torch

if TYPE_CHECKING:
    from merpo import Adapted, Batch, Context, Spec, Streams, TaskData

__all__ = ["ReptileAWR"]


class Learner(NamedTuple):
    """A policy and a value function per task, with their Adam states."""

    policy: Params  # [T, ...]
    value: Params  # [T, ...]
    moments: tuple[merpo.AdamState, merpo.AdamState]


@final
class ReptileAWR(Method):
    """Advantage-weighted cloning per task, from an initialisation learnt by Reptile.

    V is fitted to r + γ V(s') by expectile regression, which favours the better outcomes in the data (the V of IQL,
    Kostrikov et al., 2022, without Q). The policy clones each action with the weight exp(advantage / temperature).
    Meta-training moves the initialisation towards the mean of the tasks' parameters (Reptile, Nichol et al., 2018).
    """

    name = "reptile-awr"

    hidden: HiddenWidths = Field((64, 64), description="Hidden widths.")
    discount: float = Field(0.9, ge=0, lt=1, description="Discount γ.")
    expectile: float = Field(0.7, gt=0, lt=1, description="Expectile of V; 0.5 is the mean of the data.")
    temperature: float = Field(
        0.1, gt=0, le=1000, description="Advantage at which the weight is e, in units of reward."
    )
    max_weight: float = Field(20.0, ge=1, le=1e6, description="Upper bound of the weights.")
    iterations: int = Field(100, ge=1, le=10_000_000, description="Meta-iterations.")
    inner_steps: int = Field(10, ge=1, le=100_000, description="Steps per task and meta-iteration.")
    outer_rate: float = Field(0.5, gt=0, le=1, description="Step size towards the mean of the tasks.")
    steps: int = Field(100, ge=0, le=10_000_000, description="Adaptation steps on an unseen task.")
    batch_size: int = Field(256, ge=2, le=1_000_000, description="Rows per task and step.")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="Adam rate of both networks.")

    @property
    def min_transitions(self) -> int:
        """The rows of one batch."""
        return self.batch_size

    def fit(self, tasks: TaskData, context: Context) -> dict[str, Params]:
        """The initialisation of policy and value, without task dim: groups `policy` and `value`."""
        return context.stage("reptile", lambda: self._reptile(tasks, context))

    def adapt(self, meta: dict[str, Params], tasks: TaskData, context: Context) -> Adapted:
        """Train every task's policy on its own data for `steps` steps, from the meta-artifact."""
        noise = context.streams("adapt", tasks.n_tasks)
        learner = self._start(meta, tasks.n_tasks)
        snapshots: dict[int, Params] = {}
        weights = []
        for step in range(self.steps):
            if step in context.snapshots:
                snapshots[step] = learner.policy
            learner, measured = self._step(learner, tasks.sample(noise, self.batch_size))
            weights.append(measured["weight"])
            if context.end_step(step + 1, self.steps):
                context.log("adapt", step + 1, self.steps, measured)
        snapshots[self.steps] = learner.policy
        return merpo.Adapted(
            policy=learner.policy,
            snapshots=snapshots,
            references={"meta-policy": merpo.expand(meta["policy"], tasks.n_tasks)},
            curves={"weight": torch.stack(weights)} if weights else {},
            artifacts={"value": learner.value},
            scores={},
        )

    def act(self, policy: Params, observations: torch.Tensor) -> torch.Tensor:
        """The deterministic action: the mode of the squashed Gaussian."""
        return merpo.act(policy, observations)

    def _reptile(self, tasks: TaskData, context: Context) -> dict[str, Params]:
        meta = self._init(tasks.spec, context.generator("reptile"))
        noise = context.streams("reptile", tasks.n_tasks)
        for k in range(1, self.iterations + 1):
            learner, measured = self._inner(meta, tasks, noise)
            meta = {
                "policy": self._outer(meta["policy"], learner.policy),
                "value": self._outer(meta["value"], learner.value),
            }
            if context.end_step(k, self.iterations):
                context.log("reptile", k, self.iterations, measured)
            if context.evaluates(k, self.iterations):
                context.evaluate_meta(k, meta)
        return meta

    def _inner(
        self, meta: dict[str, Params], tasks: TaskData, noise: Streams
    ) -> tuple[Learner, dict[str, torch.Tensor]]:
        """The inner steps of every task from the common initialisation."""
        learner = self._start(meta, tasks.n_tasks)
        for _ in range(self.inner_steps):
            learner, measured = self._step(learner, tasks.sample(noise, self.batch_size))
        return learner, measured

    def _outer(self, start: Params, learnt: Params) -> Params:
        """Reptile's outer step: `start` moved towards the mean of the tasks' parameters."""
        return {key: torch.lerp(leaf, learnt[key].mean(0), self.outer_rate) for key, leaf in start.items()}

    def _init(self, spec: Spec, generator: torch.Generator) -> dict[str, Params]:
        sizes = [spec.observation_dim, *self.hidden, 1]
        return {"policy": merpo.init_policy(spec, self.hidden, generator), "value": merpo.init_mlp(sizes, generator)}

    def _start(self, meta: dict[str, Params], n: int) -> Learner:
        policy, value = merpo.expand(meta["policy"], n), merpo.expand(meta["value"], n)
        return Learner(policy, value, (merpo.adam_init(policy, dims=1), merpo.adam_init(value, dims=1)))

    def _step(self, learner: Learner, batch: Batch) -> tuple[Learner, dict[str, torch.Tensor]]:
        """One Adam step of V and of π on a batch [T, B, ...], independent per task."""
        advantage = self._targets(learner.value, batch) - _value(learner.value, batch.observations)  # [T, B]
        weight = (advantage / self.temperature).exp().clamp(max=self.max_weight)
        value_loss, value_grads = merpo.gradient(lambda v: self._expectile_loss(v, learner.value, batch), learner.value)
        policy_loss, policy_grads = merpo.gradient(lambda p: _cloning_loss(p, batch, weight), learner.policy)
        policy, policy_moments = merpo.adam(learner.policy, policy_grads, learner.moments[0], self.learning_rate)
        value, value_moments = merpo.adam(learner.value, value_grads, learner.moments[1], self.learning_rate)
        measured = {"value_loss": value_loss, "policy_loss": policy_loss, "weight": weight.mean(-1)}
        return Learner(policy, value, (policy_moments, value_moments)), measured

    def _targets(self, value: Params, batch: Batch) -> torch.Tensor:
        """r + γ V(s') [T, B], without V(s') at terminations."""
        continues = 1 - batch.terminations
        return batch.rewards + self.discount * continues * _value(value, batch.next_observations)

    def _expectile_loss(self, value: Params, target: Params, batch: Batch) -> torch.Tensor:
        """The expectile loss of V [T]; `target` gives the fixed targets."""
        error = self._targets(target, batch) - _value(value, batch.observations)
        return (torch.where(error > 0, self.expectile, 1 - self.expectile) * error.square()).mean(-1)


def _value(params: Params, observations: torch.Tensor) -> torch.Tensor:
    """V(s) [T, B] at observations [T, B, O]."""
    return merpo.mlp(params, observations).squeeze(-1)


def _cloning_loss(policy: Params, batch: Batch, weight: torch.Tensor) -> torch.Tensor:
    """−E[w log π(a|s)], [T], with weights w [T, B]."""
    return -(weight * merpo.distribution(policy, batch.observations).log_prob(batch.actions)).mean(-1)
