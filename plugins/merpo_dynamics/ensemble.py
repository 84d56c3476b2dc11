"""An ensemble of Gaussian networks over (Δs, r), as in appendix A.2.1."""

from __future__ import annotations

import math
from typing import Literal, final

from pydantic import Field

from merpo import (
    ACTION_STD,
    Batch,
    DynamicsLearner,
    HiddenWidths,
    Params,
    Spec,
    Streams,
    divisor,
    init_mlp,
    mlp,
    take,
    weights,
)
from merpo.lazy import F, torch

__all__ = ["ProbabilisticEnsemble"]

LOG_VAR = (-10.0, 0.5)  # bounds of the log-variance in standardised units, as in PETS and MBPO
SLOWEST = 1e-3  # of an observation's std: the least divisor of its change per step


@final
class ProbabilisticEnsemble(DynamicsLearner):
    """Gaussian networks over (Δs, r): those with the lowest held-out error are kept, and one is drawn per row."""

    name = "ensemble"

    members: int = Field(7, ge=1, le=64, description="Networks per task (A.2.1).")
    elites: int = Field(5, ge=1, le=64, description="Members kept, those with the lowest held-out error (A.2.1).")
    hidden: HiddenWidths = Field((64, 64, 64), description="Hidden widths (A.2.1: 4 x 256).")
    beta_nll: float = Field(
        0.5,
        ge=0,
        le=1,
        description="β of the β-NLL (Seitzer et al., 2022): residuals weigh by their predicted variance to the power "
        "of β, so that noisy regions are learnt, too; 0: the likelihood alone, as in the paper.",
    )
    termination: Literal["auto", "function", "learned"] = Field(
        "auto",
        description="Termination of rollouts: the task family's function (never, if it has none), or a learned one. "
        "auto: learned if the family has no function and the data has terminations.",
    )

    def model_post_init(self, _: object) -> None:
        """Refuse more elites than members."""
        if self.elites > self.members:
            raise ValueError(f"elites = {self.elites}, expected at most members = {self.members}")

    def init(self, spec: Spec, data: Batch, generator: torch.Generator) -> Params:
        """Independent members [member, ...]; inputs and targets are standardised by the rows of `data` [N, ...]."""
        dims = spec.observation_dim + 1  # Δs and r
        outputs = 2 * dims + self._learns_termination(spec)
        params = init_mlp([spec.observation_dim + spec.action_dim, *self.hidden, outputs], generator, (self.members,))
        for key, rows, least in _statistics(data):
            std = divisor(rows.std(0, correction=0), rows.abs().amax(0))
            params[f"stat.{key}_mean"] = rows.mean(0)[None, None]  # [1, 1, D]: shared by members and rows
            params[f"stat.{key}_std"] = torch.maximum(std, least)[None, None]
        return params

    def _learns_termination(self, spec: Spec) -> bool:
        if self.termination == "auto":
            return spec.terminated is None and spec.has_terminations
        return self.termination == "learned"

    def loss(self, params: Params, batch: Batch) -> torch.Tensor:
        """β-NLL (Seitzer et al., 2022): −E_D[Σ_i σ_i^2β log T̂_θ(y_i | s, a)], constant weights, [*lead, member].

        y_i are the dims of (Δs, r) and σ_i their predicted standard deviations, in standardised units.
        """
        return self._loss(params, batch, self.beta_nll)

    def nll(self, params: Params, batch: Batch) -> torch.Tensor:
        """−E_D[log T̂_θ(s', r | s, a)] in data units, [*lead, member]."""
        return self._loss(params, batch, 0.0)

    def _loss(self, params: Params, batch: Batch, beta: float) -> torch.Tensor:
        mean, log_var, logit = self._forward(params, _inputs(batch.observations, batch.actions))
        error = _normalise(params, "target", _targets(batch)) - mean
        scale = params["stat.target_std"].log().sum(-1).squeeze(-1)  # change of variables: [*lead, 1]
        each = error.square() * (-log_var).exp() + log_var + math.log(2 * math.pi)
        if beta > 0:
            each = each * (beta * log_var.detach()).exp()
        nll = 0.5 * each.sum(-1).mean(-1) + scale
        if logit is not None:
            ends = batch.terminations.expand_as(logit)  # [*lead, 1, B] if all members share the rows
            nll = nll + F.binary_cross_entropy_with_logits(logit, ends, reduction="none").mean(-1)
        return nll

    def score(self, params: Params, batch: Batch) -> torch.Tensor:
        """Mean squared error of the predicted means, in standardised units, [*lead, member]."""
        mean, _, _ = self._forward(params, _inputs(batch.observations, batch.actions))
        return (_normalise(params, "target", _targets(batch)) - mean).square().mean((-2, -1))

    def keep_best(self, params: Params, scores: torch.Tensor) -> Params:
        """The `elites` members of each task with the lowest scores [T, member]; statistics are unchanged."""
        best = scores.topk(self.elites, dim=-1, largest=False).indices  # [T, elite]
        rows = torch.arange(len(best), device=best.device)[:, None]
        return {key: value if key.startswith("stat.") else value[rows, best] for key, value in params.items()}

    def step(
        self, params: Params, spec: Spec, observations: torch.Tensor, actions: torch.Tensor, noise: Streams
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Sample s' and r of every row from a uniformly drawn elite of its task, with equally many rows per elite.

        Only that elite is evaluated for a row: rows are assigned to elites in random order, in equal blocks.
        """
        inputs = _inputs(observations, actions)  # [T, B, O + A]
        elites = next(iter(weights(params).values())).shape[1]
        rows, each = inputs.shape[1], -(-inputs.shape[1] // elites)
        order = noise.permutation(each * elites)  # slot -> row; slots with row numbers from B on are padding
        grouped = take(inputs, order.clamp(max=rows - 1)).view(-1, elites, each, inputs.shape[-1])
        outputs = self._network(params, grouped).flatten(1, 2)
        outputs = take(outputs, order.argsort(1)[:, :rows])  # in the order of the rows
        mean, log_var, logit = self._split(params, outputs)
        sample = torch.addcmul(mean, (0.5 * log_var).exp(), noise.normal(*mean.shape[1:]))
        sample = sample * params["stat.target_std"].squeeze(1) + params["stat.target_mean"].squeeze(1)
        next_observations, rewards = observations + sample[..., :-1], sample[..., -1]
        if logit is not None:
            probability = logit.sigmoid()
            return next_observations, rewards, (noise.uniform(probability.shape[-1]) < probability).to(rewards.dtype)
        if spec.terminated is None:
            return next_observations, rewards, torch.zeros_like(rewards)
        return next_observations, rewards, spec.terminated(observations, actions, next_observations)

    def uncertainty(self, params: Params, observations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """MOPO (Yu et al., 2020): u(s, a) = max_i ‖σ_i(s, a)‖, with σ_i the std of (Δs, r) in data units, [T, B]."""
        _, log_var, _ = self._forward(params, _inputs(observations, actions).unsqueeze(-3))
        std = (0.5 * log_var).exp() * params["stat.target_std"]  # [T, elite, B, O + 1]
        return std.square().sum(-1).amax(-2).sqrt()

    def disagreement(self, params: Params, observations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """The standard deviation of the elites' means over elites, root mean square over standardised dims, [T, B]."""
        mean, _, _ = self._forward(params, _inputs(observations, actions).unsqueeze(-3))
        return mean.var(-3, correction=0).mean(-1).sqrt()

    def _forward(self, params: Params, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        return self._split(params, self._network(params, inputs))

    def _network(self, params: Params, inputs: torch.Tensor) -> torch.Tensor:
        return mlp(params, _normalise(params, "input", inputs), "silu")

    def _split(self, params: Params, out: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Mean, bounded log-variance and, if learned, the termination logit."""
        dims = params["stat.target_mean"].shape[-1]
        low, high = LOG_VAR
        log_var = high - F.softplus(high - out[..., dims : 2 * dims])  # soft clamp from above, then from below
        log_var = low + F.softplus(log_var - low)
        return out[..., :dims], log_var, out[..., -1] if out.shape[-1] > 2 * dims else None


def _inputs(observations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
    return torch.cat([observations, actions], dim=-1)


def _targets(batch: Batch) -> torch.Tensor:
    return torch.cat([batch.next_observations - batch.observations, batch.rewards.unsqueeze(-1)], dim=-1)


def _statistics(data: Batch) -> list[tuple[str, torch.Tensor, torch.Tensor]]:
    """Inputs and targets under their keys, with the least divisor of each column."""
    observations = divisor(data.observations.std(0, correction=0), data.observations.abs().amax(0))
    inputs, targets = _inputs(data.observations, data.actions), _targets(data)
    none = observations.new_zeros(1)
    return [
        (
            "input",
            inputs,
            torch.cat([none.expand_as(observations), none.new_full(data.actions.shape[-1:], ACTION_STD)]),
        ),
        ("target", targets, torch.cat([SLOWEST * observations, none])),
    ]


def _normalise(params: Params, which: str, rows: torch.Tensor) -> torch.Tensor:
    return (rows - params[f"stat.{which}_mean"]) / params[f"stat.{which}_std"]
