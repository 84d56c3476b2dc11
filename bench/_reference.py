"""RAC for one task in the usual style: modules, a `torch.optim.Adam` for each, a forward pass for each use, `.item()`.

Tasks are trained one after the other. Random numbers are drawn as in `merpo.algorithm.rac.rac_step`, so that the
parameters must be equal; `_check.py` checks this.
"""

from __future__ import annotations

import torch
from _networks import distribution
from _reference_task import OneTask, descend

from merpo.algorithm.duals import LOG_BETA_MAX
from merpo.nn.params import tree_map
from merpo.nn.policy import TanhGaussian
from merpo.types import Batch
from merpo_regularizers.kl import gaussian_kl

__all__ = ["Reference"]


class Reference(OneTask):
    """Training of task `t` of a problem in the usual style."""

    def step(self) -> dict[str, float]:
        """One inner step."""
        self.roll_out()
        real, rho = self.draw()
        return self.evaluate(real, rho) | self.improve(real, rho)

    def evaluate(self, real: Batch, rho: Batch) -> dict[str, float]:
        """A step of the critics on Eq. (1)."""
        mixed = tree_map(lambda a, b: torch.cat([a, b]), real, rho)
        targets = self.backup(mixed)
        error = torch.stack([(q - targets).square().mean() for q in self.values(mixed.observations, mixed.actions)])
        pushed = self.soft_maximum(rho) if self.knobs.penalty == "logsumexp" else self.expected(rho)
        data_values = self.values(real.observations, real.actions)
        gap = torch.stack([high - low.mean() for high, low in zip(pushed, data_values, strict=True)]).mean()
        self.tune_beta(gap.detach())
        loss = self.log_beta.detach().exp() * gap + 0.5 * error.mean()
        for optimiser in self.critic_adams:
            optimiser.zero_grad()
        loss.backward()
        for optimiser in self.critic_adams:
            optimiser.step()
        self.follow()
        return {"bellman_error": error.mean().item(), "q_gap": gap.item(), "beta": self.log_beta.exp().item()}

    @torch.no_grad()
    def backup(self, batch: Batch) -> torch.Tensor:
        """B̂Q [B]."""
        noise = self.normal(len(batch.rewards), self.spec.action_dim)
        actions, log_probs = distribution(self.policy, batch.next_observations).sample(noise)
        least = torch.stack(self.values(batch.next_observations, actions, self.targets)).amin(0)
        soft = least - self.log_temperature.exp() * log_probs
        return batch.rewards + self.settings.discount * (1.0 - batch.terminations) * soft

    def expected(self, rho: Batch) -> list[torch.Tensor]:
        """E_ρ[Q] of every critic."""
        with torch.no_grad():
            noise = self.normal(1, len(rho.rewards), self.spec.action_dim)[0]
            actions, _ = distribution(self.policy, rho.observations).sample(noise)
        return [q.mean() for q in self.values(rho.observations, actions)]

    def soft_maximum(self, rho: Batch) -> list[torch.Tensor]:
        """log ∫ exp Q of every critic, by proposals from three places.

        As in OfflineRL-Kit, states are repeated for each proposal before the policy's forward pass, and actions keep
        their graph, so that the critics' loss also computes unused gradients of the policy.
        """
        n, b, a = self.knobs.proposals, len(rho.rewards), self.spec.action_dim
        states, parts = rho.observations.repeat(n, 1), []
        for where in (rho.observations, rho.next_observations):
            noise = self.normal(n, b, a).view(n * b, a)
            actions, density = distribution(self.policy, where.repeat(n, 1)).sample(noise)
            parts.append([q - density.detach() for q in self.values(states, actions)])
        anywhere = torch.rand(n * b, a, generator=self.generator) * 2.0 - 1.0
        density = -a * torch.log(torch.tensor(2.0))
        parts.append([q - density for q in self.values(states, anywhere)])
        total = torch.log(torch.tensor(3.0 * n))
        return [(torch.cat(qs).view(3 * n, b).logsumexp(0) - total).mean() for qs in zip(*parts, strict=True)]

    def tune_beta(self, gap: torch.Tensor) -> None:
        """Dual ascent in log β."""
        if self.settings.beta_tune:
            loss = -self.log_beta.exp() * (gap - self.settings.beta_threshold)
            descend(self.beta_adam, loss)
            with torch.no_grad():
                self.log_beta.clamp_(max=LOG_BETA_MAX)

    @torch.no_grad()
    def follow(self) -> None:
        """The targets' Polyak step."""
        for net, target in zip(self.critics, self.targets, strict=True):
            for new, old in zip(net.parameters(), target.parameters(), strict=True):
                old.copy_(old * (1.0 - self.settings.polyak) + new * self.settings.polyak)

    def improve(self, real: Batch, rho: Batch) -> dict[str, float]:
        """A step of the policy on Eq. (7); the critics' gradients are computed but unused."""
        policy = distribution(self.policy, rho.observations)
        loss, log_probs = self.sac_loss(policy, rho)
        metrics = {}
        if self.anchors is not None:
            loss, metrics = self.regularized(loss, policy, distribution(self.policy, real.observations), real, rho)
        descend(self.policy_adam, loss)
        self.tune_temperature(log_probs.detach())
        return metrics | {"policy_loss": loss.item(), "temperature": self.log_temperature.exp().item()}

    def sac_loss(self, policy: TanhGaussian, rho: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """−E[min Q − temperature log π], and log π."""
        actions, log_probs = policy.sample(self.normal(len(rho.rewards), self.spec.action_dim))
        least = torch.stack(self.values(rho.observations, actions)).amin(0)
        return -(least - self.log_temperature.detach().exp() * log_probs).mean(), log_probs

    def regularized(
        self, loss: torch.Tensor, on_rho: TanhGaussian, on_data: TanhGaussian, real: Batch, rho: Batch
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """The loss with both divergences, with λ tuned beforehand."""
        clone, meta = self.anchors
        with torch.no_grad():
            behavior = distribution(clone, real.observations).log_prob(real.actions)
            near = distribution(meta, rho.observations)
        to_behavior = (behavior - on_data.log_prob(real.actions)).mean()
        to_meta = gaussian_kl(on_rho, near).mean()
        found = {"to_behavior": to_behavior.item(), "to_meta": to_meta.item()}
        settings, alpha = self.settings, self.alpha
        if settings.lambda_tune:
            excess = alpha * found["to_behavior"] + (1.0 - alpha) * found["to_meta"] - settings.lambda_target
            self.lambda_ = min(max(self.lambda_ + settings.lambda_lr * excess, 0.0), settings.lambda_max)
        return loss + self.lambda_ * (alpha * to_behavior + (1.0 - alpha) * to_meta), found

    def tune_temperature(self, log_probs: torch.Tensor) -> None:
        """A step on SAC's entropy temperature."""
        if self.settings.temperature_lr > 0:
            target = self.settings.target_entropy * self.spec.action_dim
            descend(self.temperature_adam, -self.log_temperature * (log_probs.mean() + target))
