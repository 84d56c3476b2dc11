"""State of a reference implementation for one task: modules, optimisers, buffers, and sampling of rows."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import numpy as np
import torch
from _networks import MLP, EnsembleMLP, Fields, Ring, Scales, distribution, soft_clamp
from _problem import Problem
from torch import nn

from merpo.types import Batch, Params

__all__ = ["OneTask", "descend"]


def adam(parameters: Iterable[nn.Parameter], lr: float, fused: bool = False) -> torch.optim.Adam:
    """PyTorch's Adam, with its defaults or fused."""
    return torch.optim.Adam(parameters, lr, fused=fused or None)


class OneTask:
    """Task `t` of a problem, ready to be trained."""

    fused = False
    all_members = True  # compute every member for every row, then choose an elite

    def __init__(self, problem: Problem, t: int, seed: int = 0) -> None:
        def mine(params: Params) -> Params:
            return {key: value[t] for key, value in params.items()}

        state, spec = problem.state, problem.data.spec
        self.settings, self.knobs, self.spec = problem.rac.settings, problem.rac.critic, spec
        self.generator = torch.Generator().manual_seed(seed + t)
        self.policy = MLP(mine(state.policy))
        self.critics = [MLP(_one(mine(state.critic), i)) for i in range(self.knobs.critics)]
        self.targets = copy.deepcopy(self.critics)
        self.policy_adam = adam(self.policy.parameters(), self.settings.actor_lr, self.fused)
        self.critic_adams = [adam(net.parameters(), self.settings.critic_lr, self.fused) for net in self.critics]
        self.log_beta = nn.Parameter(state.duals.log_beta[t].clone())
        self.beta_adam = adam([self.log_beta], self.settings.beta_lr)
        self.log_temperature = nn.Parameter(state.duals.log_temperature[t].clone())
        self.temperature_adam = adam([self.log_temperature], self.settings.temperature_lr)
        self.lambda_, self.alpha = float(state.duals.lambda_[t]), float(state.duals.alpha[t])
        models = mine(problem.members if self.all_members else problem.models)
        self.model, self.scales = EnsembleMLP(models), Scales.of(models)
        self.elites = problem.elites[t] if self.all_members else torch.arange(problem.elites.shape[1])
        self.anchors = None
        if problem.anchors is not None:
            self.anchors = MLP(mine(problem.anchors.behavior)), MLP(problem.anchors.meta)
        data = problem.data
        self.data = Fields(data.rows[data.starts[t] : data.starts[t] + data.sizes[t]], spec)
        self.buffer = Ring(self.settings.model_buffer, spec)

    def normal(self, *shape: int) -> torch.Tensor:
        """Standard normal numbers."""
        return torch.randn(shape, generator=self.generator)

    @torch.no_grad()
    def roll_out(self) -> None:
        """One model step from states of the data, into the buffer."""
        count = self.settings.rollout_batch
        start = self.data.sample(self._index(count)).observations
        actions, _ = distribution(self.policy, start).sample(self.normal(count, self.spec.action_dim))
        mean, log_var = soft_clamp(self.model(self.scales.normalised(start, actions)))
        each = -(-count // len(self.elites))  # elites are dealt equally many rows, in random order
        slot = torch.randperm(each * len(self.elites), generator=self.generator).argsort()[:count]
        member, row = self.elites[slot // each], torch.arange(count)
        mean, std = mean[member, row], (0.5 * log_var[member, row]).exp()
        drawn = (mean + std * self.normal(*mean.shape)) * self.scales.target_std + self.scales.target_mean
        following, rewards = start + drawn[:, :-1], drawn[:, -1]
        fields = (start, actions, rewards, following, torch.zeros_like(rewards))
        self.buffer.append([field.numpy() for field in fields])

    def draw(self) -> tuple[Batch, Batch]:
        """Rows of the data and of the model."""
        n_real = round(self.settings.batch_size * self.settings.real_ratio)
        filled = min(self.buffer.written, len(self.buffer))
        uniform = torch.rand(self.settings.batch_size - n_real, generator=self.generator)
        rho = self.buffer.sample((uniform * filled).long().numpy())
        real = self.data.sample(self._index(n_real))
        scale = self.settings.reward_scale
        return real._replace(rewards=real.rewards * scale), rho._replace(rewards=rho.rewards * scale)

    def values(
        self, observations: torch.Tensor, actions: torch.Tensor, critics: list[MLP] | None = None
    ) -> list[torch.Tensor]:
        """Q_i(s, a) of every critic."""
        inputs = torch.cat([observations, actions], dim=-1)
        return [self.knobs.output_scale * net(inputs).squeeze(-1) for net in critics or self.critics]

    def export(self) -> dict[str, torch.Tensor]:
        """All learnt parameters, under the names of merpo's in `_check.py`."""
        named = {f"policy.{key}": value for key, value in self.policy.export().items()}
        for group, nets in (("critic", self.critics), ("target", self.targets)):
            parts = [net.export() for net in nets]
            named |= {f"{group}.{key}": torch.stack([part[key] for part in parts]) for key in parts[0]}
        scalars = {"log_beta": self.log_beta.detach(), "log_temperature": self.log_temperature.detach()}
        return named | scalars | {"lambda_": torch.tensor(self.lambda_)}

    def _index(self, count: int) -> np.ndarray:
        return torch.randint(len(self.data), (count,), generator=self.generator).numpy()


def _one(params: Params, i: int) -> Params:
    return {key: value[i] for key, value in params.items()}


def descend(optimiser: torch.optim.Adam, loss: torch.Tensor) -> None:
    """One step down `loss`."""
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
