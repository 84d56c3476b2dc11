"""The conservative critic of Eq. (1), with clipped double Q."""

from __future__ import annotations

import math
from typing import Literal, final

from pydantic import Field

from merpo import Batch, Critic, HiddenWidths, Params, Probes, Propose, Spec, Streams, critic_values, init_critics
from merpo.lazy import torch

__all__ = ["Conservative"]


@final
class Conservative(Critic):
    """Clipped double Q, pushed down on model rollouts and up on the data: Eq. (1), plain or log-sum-exp."""

    name = "conservative"

    hidden: HiddenWidths = Field((64, 64), description="Hidden widths (A.2.2: 5 x 300).")
    critics: int = Field(2, ge=1, le=16, description="Q-networks whose minimum is the target; 2 is clipped double Q.")
    penalty: Literal["rho", "logsumexp"] = Field(
        "rho",
        description="Minimised term: Eq. (1)'s E_ρ[Q], or CQL's importance-weighted log-sum-exp over proposals.",
    )
    proposals: int = Field(
        10, ge=1, le=256, description="With logsumexp: actions per state from each of π(·|s), π(·|s') and uniform."
    )
    output_scale: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="Factor from the network's output to Q; by default Q is the mean of the data's discounted returns "
        "plus their standard deviation times the output.",
    )
    standardize_actions: bool = Field(True, description="Standardise the actions by the training tasks' data.")

    def init(self, spec: Spec, generator: torch.Generator) -> Params:
        """Independent critics [critic, ...], with the units of the data if `spec` has them."""
        params = init_critics(spec, self.hidden, generator, self.critics)
        if spec.units is not None and self.standardize_actions:
            params["stat.action_mean"] = spec.units.action_mean.cpu()[None].clone()  # [1, A]: shared by rows
            params["stat.action_std"] = spec.units.action_std.cpu()[None].clone()
        if spec.units is not None and self.output_scale is None:
            params["stat.value_mean"] = spec.units.value_mean.cpu().view(1, 1).clone()  # shared by critics and rows
            params["stat.value_std"] = spec.units.value_std.cpu().view(1, 1).clone()
        return params

    def value(self, params: Params, observations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Q_i(s, a) of every critic i: [T, critic, B]."""
        if "stat.action_mean" in params:
            actions = (actions - params["stat.action_mean"]) / params["stat.action_std"]
        values = critic_values(params, observations, actions)
        if "stat.value_mean" in params:
            return torch.addcmul(params["stat.value_mean"], params["stat.value_std"], values)
        return values if self.output_scale in (None, 1) else self.output_scale * values

    def backup(
        self,
        target: Params,
        batch: Batch,
        actions: torch.Tensor,
        log_probs: torch.Tensor,
        temperature: torch.Tensor,
        discount: float,
    ) -> torch.Tensor:
        """B̂Q of Eq. (1): r + γ (1 − end) (min_i Q_i(s', a') − temperature log π(a'|s')), [T, B]."""
        soft = self.value(target, batch.next_observations, actions).amin(1) - temperature[:, None] * log_probs
        return batch.rewards + discount * (1.0 - batch.terminations) * soft

    def bellman_error(self, values: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """½ E_{d_f}[(Q_i − B̂Q)²], mean over critics, [T]."""
        return 0.5 * (values - targets[:, None]).square().mean((-1, -2))

    def probes(self, rho: Batch, propose: Propose, noise: Streams) -> Probes:
        """The pairs at which Q is pushed down: actions of π at states of ρ; with logsumexp also π(·|s') and uniform."""
        if self.penalty == "rho":
            actions, densities = propose.at_rho(1)
            return Probes(rho.observations, actions[:, 0], densities[:, 0])
        n, (t, b, o) = self.proposals, rho.observations.shape
        current, current_density = propose.at_rho(n)
        following, following_density = propose(rho.next_observations, n)  # drawn at s', weighted at s, as in CQL
        uniform = noise.uniform(n, b, current.shape[-1]) * 2.0 - 1.0
        actions = torch.cat([current, following, uniform], dim=1)  # [T, 3 n, B, A]
        uniform_density = torch.full_like(current_density, -current.shape[-1] * math.log(2.0))
        densities = torch.cat([current_density, following_density, uniform_density], dim=1)  # [T, 3 n, B]
        states = rho.observations[:, None].expand(-1, 3 * n, -1, -1)
        return Probes(states.reshape(t, -1, o), actions.flatten(1, 2), densities.flatten(1))

    def gap(self, probes: Probes, probe_values: torch.Tensor, data_values: torch.Tensor) -> torch.Tensor:
        """E_ρ[Q] − E_D[Q], or with logsumexp the soft maximum of Q at states of ρ − E_D[Q]; mean over critics, [T]."""
        high = probe_values.mean(-1) if self.penalty == "rho" else self._soft_maximum(probes, probe_values)
        return (high - data_values.mean(-1)).mean(-1)

    def _soft_maximum(self, probes: Probes, values: torch.Tensor) -> torch.Tensor:
        """log ∫ exp Q(s, a) da by importance sampling, mean over states: [T, critic]."""
        drawn = 3 * self.proposals
        weighted = values - probes.log_densities[:, None]  # [T, critic, 3 n B]
        return (weighted.view(*values.shape[:2], drawn, -1).logsumexp(2) - math.log(drawn)).mean(-1)
