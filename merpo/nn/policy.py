"""The stochastic policy π(a|s): a diagonal Gaussian squashed by tanh, so that actions lie in (-1, 1)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from merpo.lazy import F, torch
from merpo.nn.nets import init_mlp, mlp, with_context
from merpo.types import Params, Spec

__all__ = ["TanhGaussian", "act", "distribution", "init_policy", "policy_dims"]

LOG_STD = (-5.0, 2.0)  # bounds as in SAC's public implementations
_EDGE = 1.0 - 1e-6  # arctanh is infinite for actions on the edge of the box


class TanhGaussian(NamedTuple):
    """a = tanh(u), u ~ N(mean, exp(log_std)²); both [..., B, A]."""

    mean: torch.Tensor
    log_std: torch.Tensor

    def mode(self) -> torch.Tensor:
        """The deterministic action tanh(mean) [..., B, A]."""
        return self.mean.tanh()

    def sample(self, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Reparametrized actions [..., B, A] and their log-densities [..., B] from standard normal `noise`."""
        raw = self._raw(noise)
        return raw.tanh(), self._log_density(raw, noise)

    def draw(self, noise: torch.Tensor) -> torch.Tensor:
        """The actions of `sample` alone."""
        return self._raw(noise).tanh()

    def log_prob(self, actions: torch.Tensor) -> torch.Tensor:
        """log π(a|s) [..., B] of given actions [..., B, A]; actions on the edge of the box are moved inside by 1e-6."""
        raw = before_tanh(actions)
        return self._log_density(raw, self._standardised(raw))

    def log_ratio(self, other: TanhGaussian, actions: torch.Tensor) -> torch.Tensor:
        """log π(a|s) − log π'(a|s) [..., B]; the density corrections for tanh are equal and cancel."""
        raw = before_tanh(actions)
        z, z_other = self._standardised(raw), other._standardised(raw)
        return (0.5 * (z_other.square() - z.square()) + other.log_std - self.log_std).sum(-1)

    def _raw(self, noise: torch.Tensor) -> torch.Tensor:
        return torch.addcmul(self.mean, self.log_std.exp(), noise)

    def _standardised(self, raw: torch.Tensor) -> torch.Tensor:
        return (raw - self.mean) * (-self.log_std).exp()

    def _log_density(self, raw: torch.Tensor, standardised: torch.Tensor) -> torch.Tensor:
        """log N(u; mean, std²) − log(1 − tanh²u) with u = `raw`, in as few passes over the numbers as possible."""
        # log(1 - tanh²u) = 2 (log 2 + u - softplus(2u)), stable for large |u|; softplus with β = 2 is half of that
        squash = torch.add(raw, F.softplus(raw, beta=2.0), alpha=-2.0)
        terms = torch.addcmul(torch.add(self.log_std, squash, alpha=2.0), standardised, standardised, value=0.5)
        return -raw.shape[-1] * (0.5 * math.log(2.0 * math.pi) + 2.0 * math.log(2.0)) - terms.sum(-1)


def before_tanh(actions: torch.Tensor) -> torch.Tensor:
    """u with tanh u = a; actions on the edge of the box, where u is infinite, are moved inside by 1e-6."""
    return actions.clamp(-_EDGE, _EDGE).atanh()


def init_policy(
    spec: Spec, hidden: Sequence[int], generator: torch.Generator, lead: Sequence[int] = (), context_dim: int = 0
) -> Params:
    """Parameters of π(a|s), or π(a|s, z) with a context z of `context_dim`: an MLP to mean and log-std."""
    return init_mlp([spec.observation_dim + context_dim, *hidden, 2 * spec.action_dim], generator, lead)


def policy_dims(params: Params) -> tuple[int, int] | None:
    """(observation, action) dims of one policy of any widths; None if `params` are not a squashed Gaussian policy."""
    depth = sum(1 for key in params if re.fullmatch(r"w\d+", key))
    names = {f"{kind}{i}" for kind in "wb" for i in range(depth)}
    if depth == 0 or set(params) != names or any(params[f"w{i}"].dim() != 2 for i in range(depth)):
        return None
    return params["w0"].shape[0], params[f"w{depth - 1}"].shape[1] // 2


def distribution(params: Params, observations: torch.Tensor, context: torch.Tensor | None = None) -> TanhGaussian:
    """π(·|s) at `observations` [..., B, O], or π(·|s, z) with a context z [..., Z]; log-std is clamped to [-5, 2]."""
    mean, log_std = mlp(params, with_context(observations, context)).chunk(2, dim=-1)
    return TanhGaussian(mean, log_std.clamp(*LOG_STD))


def act(
    params: Params,
    observations: torch.Tensor,
    noise: torch.Tensor | None = None,
    context: torch.Tensor | None = None,
) -> torch.Tensor:
    """Actions [..., B, A] at observations [..., B, O] and a context z [..., Z]: the mode, or a sample from `noise`."""
    policy = distribution(params, observations, context)
    return policy.mode() if noise is None else policy.draw(noise)
