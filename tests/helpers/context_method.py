"""A method with a context encoder that uses only merpo's public names, as an external plugin would.

The encoder is the mean over the task's rows of a network of (s, a, r, s'); twin critics and the policy take [s, z].
Encoder and critics minimise the Bellman error, the policy maximises Q: TD3+BC with a context.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, final

from pydantic import Field

import merpo
from merpo import Method, Params
from merpo.lazy import torch

if TYPE_CHECKING:
    from merpo import Adapted, Batch, Context, Spec, TaskData

__all__ = ["ContextTD3BC"]


class State(NamedTuple):
    """The state of meta-training; networks have no task dim."""

    encoder: Params
    policy: Params
    critic: Params  # [critic, ...]
    target: Params
    opts: tuple[merpo.AdamState, merpo.AdamState, merpo.AdamState]


@final
class ContextTD3BC(Method):
    """TD3+BC on [s, z], z the encoded rows of the task."""

    name = "context-td3bc"

    hidden: tuple[int, ...] = Field((16,), strict=False, min_length=1, max_length=12, description="Hidden widths.")
    context_dim: int = Field(3, ge=1, le=100, description="Size of z.")
    context_rows: int = Field(8, ge=1, le=10_000, description="Rows of a task that training encodes.")
    iterations: int = Field(5, ge=1, le=10_000_000, description="Steps of meta-training.")
    batch_size: int = Field(8, ge=2, le=1_000_000, description="Rows per task and step.")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="Adam rate.")
    discount: float = Field(0.9, ge=0, lt=1, description="γ.")
    cloning: float = Field(1.0, ge=0, le=1e6, description="Weight of behaviour cloning.")
    polyak: float = Field(0.05, gt=0, le=1, description="Rate of the target critics.")

    @property
    def min_transitions(self) -> int:
        return self.batch_size

    def fit(self, tasks: TaskData, context: Context) -> dict[str, Params]:
        return context.stage("context", lambda: self._fit(tasks, context))

    def adapt(self, meta: dict[str, Params], tasks: TaskData, context: Context) -> Adapted:
        """Encode all rows of every task as z; nothing is trained."""
        z = self._encode(meta["encoder"], *tasks.all_rows())
        policy = {**merpo.expand(meta["policy"], tasks.n_tasks), "stat.z": z}
        return merpo.Adapted(
            policy=policy, snapshots={}, references={}, curves={}, artifacts={"critic": meta["critic"]}, scores={}
        )

    def act(self, policy: Params, observations: torch.Tensor) -> torch.Tensor:
        weights = {key: leaf for key, leaf in policy.items() if key != "stat.z"}
        return merpo.act(weights, observations, context=policy["stat.z"])

    def _fit(self, tasks: TaskData, context: Context) -> dict[str, Params]:
        state = self._init(tasks.spec, context.generator("context"))
        noise = context.streams("context", tasks.n_tasks)
        first, (state, noise) = context.resume("context", (state, noise))
        for step in range(first + 1, self.iterations + 1):
            rows = tasks.context(noise, self.context_rows)
            metrics = self._step(state, rows, tasks.sample(noise, self.batch_size))
            context.check("context", step, metrics)
            if context.end_step(step, self.iterations):
                context.log("context", step, self.iterations, metrics)
            if context.evaluates(step, self.iterations):
                context.evaluate_meta(step, self._groups(state))
            context.save_state("context", step, lambda: (state, noise))
        return self._groups(state)

    def _init(self, spec: Spec, generator: torch.Generator) -> State:
        width = 2 * spec.observation_dim + spec.action_dim + 1
        encoder = merpo.fast_layout(merpo.init_mlp([width, *self.hidden, self.context_dim], generator))
        policy = merpo.fast_layout(merpo.init_policy(spec, self.hidden, generator, context_dim=self.context_dim))
        critic = merpo.fast_layout(merpo.init_critics(spec, self.hidden, generator, context_dim=self.context_dim))
        opts = merpo.adam_init(encoder, 0), merpo.adam_init(policy, 0), merpo.adam_init(critic, 1)
        return State(encoder, policy, critic, merpo.clone(critic), opts)

    def _step(self, state: State, rows: Batch, batch: Batch) -> dict[str, torch.Tensor]:
        """One gradient step of encoder, critics and policy, in place."""
        targets = self._targets(state, self._encode(state.encoder, rows), batch)

        def bellman(encoder: Params, critic: Params) -> torch.Tensor:
            z = self._encode(encoder, rows)
            values = merpo.critic_values(critic, batch.observations, batch.actions, z)
            return (values - targets[:, None]).square().mean(-1).sum(-1)

        losses, slope = merpo.gradient(lambda p: bellman(p, state.critic), state.encoder)
        _, critic_slope = merpo.gradient(lambda p: bellman(state.encoder, p), state.critic)
        z = self._encode(state.encoder, rows)

        def improvement(policy: Params) -> torch.Tensor:
            actions = merpo.act(policy, batch.observations, context=z)
            value = merpo.critic_values(state.critic, batch.observations, actions, z).amin(1).mean(-1)
            return self.cloning * (actions - batch.actions).square().mean((1, 2)) - value

        policy_losses, policy_slope = merpo.gradient(improvement, state.policy)
        for params, grads, opt in zip(
            (state.encoder, state.policy, state.critic), (slope, policy_slope, critic_slope), state.opts, strict=True
        ):
            merpo.adam_(params, grads, opt, self.learning_rate)
        merpo.lerp_(state.target, state.critic, self.polyak)
        return {"bellman_error": losses, "policy_loss": policy_losses}

    def _targets(self, state: State, z: torch.Tensor, batch: Batch) -> torch.Tensor:
        with torch.no_grad():
            actions = merpo.act(state.policy, batch.next_observations, context=z)
            values = merpo.critic_values(state.target, batch.next_observations, actions, z).amin(1)
            return batch.rewards + self.discount * (1 - batch.terminations) * values

    def _encode(self, encoder: Params, rows: Batch, mask: torch.Tensor | None = None) -> torch.Tensor:
        """z [T, Z]: the mean of the encoded rows [T, N, ...]."""
        parts = [rows.observations, rows.actions, rows.rewards[..., None], rows.next_observations]
        codes = merpo.mlp(encoder, torch.cat(parts, dim=-1))
        if mask is None:
            return codes.mean(1)
        return (codes * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)

    def _groups(self, state: State) -> dict[str, Any]:
        return {"encoder": state.encoder, "policy": state.policy, "critic": state.critic}
