"""An optimised reference: one policy pass per state, no unused gradients, elites only, fused Adam.

Still one task at a time and a module per network: the difference to merpo is stacking and hand-written passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from _networks import MLP, distribution
from _reference import Reference
from _reference_task import descend

from merpo.nn.params import tree_map
from merpo.nn.policy import TanhGaussian
from merpo.types import Batch

__all__ = ["Shared"]


class Shared(Reference):
    """Task `t` of a problem whose critic has the penalty "rho"."""

    fused = True
    all_members = False

    def step(self) -> dict[str, float]:
        """One inner step."""
        self.roll_out()
        real, rho = self.draw()
        states = rho.observations
        if self.anchors is not None:
            states = torch.cat([real.observations, states])
        policy = distribution(self.policy, states)  # unchanged by the critics' step
        on_rho = _rows(policy, slice(-len(rho.rewards), None))
        metrics = self.evaluate_shared(real, rho, on_rho)
        with _frozen(self.critics):
            loss, log_probs = self.sac_loss(on_rho, rho)
        if self.anchors is not None:
            on_data = _rows(policy, slice(len(real.rewards)))
            loss, more = self.regularized(loss, on_rho, on_data, real, rho)
            metrics |= more
        descend(self.policy_adam, loss)
        self.tune_temperature(log_probs.detach())
        return metrics | {"policy_loss": loss.item(), "temperature": self.log_temperature.exp().item()}

    def evaluate_shared(self, real: Batch, rho: Batch, policy: TanhGaussian) -> dict[str, float]:
        """Eq. (1) with one pass of each critic over the rows of both its terms."""
        mixed = tree_map(lambda a, b: torch.cat([a, b]), real, rho)
        targets = self.backup(mixed)
        with torch.no_grad():
            actions, _ = policy.sample(self.normal(1, len(rho.rewards), self.spec.action_dim)[0])
        states = torch.cat([mixed.observations, rho.observations])
        values = torch.stack(self.values(states, torch.cat([mixed.actions, actions])))
        n, rows = len(real.rewards), len(mixed.rewards)
        error = (values[:, :rows] - targets).square().mean()
        gap = (values[:, rows:].mean(-1) - values[:, :n].mean(-1)).mean()
        self.tune_beta(gap.detach())
        loss = self.log_beta.detach().exp() * gap + 0.5 * error
        for optimiser in self.critic_adams:
            optimiser.zero_grad()
        loss.backward()
        for optimiser in self.critic_adams:
            optimiser.step()
        self.follow()
        return {"bellman_error": error.item(), "q_gap": gap.item(), "beta": self.log_beta.exp().item()}


def _rows(policy: TanhGaussian, part: slice) -> TanhGaussian:
    return TanhGaussian(policy.mean[part], policy.log_std[part])


@contextmanager
def _frozen(nets: list[MLP]) -> Iterator[None]:
    """Disable the networks' gradients within the block."""
    for net in nets:
        net.requires_grad_(False)
    try:
        yield
    finally:
        for net in nets:
            net.requires_grad_(True)
