"""SAC is RAC with β = λ = 0, no model, and a buffer that grows."""

from __future__ import annotations

from merpo.algorithm.duals import init_duals
from merpo.algorithm.rac import RAC, TaskState, fresh_state
from merpo.algorithm.rollout import empty_buffer
from merpo.algorithm.settings import RacSettings
from merpo.artifacts.trees import flatten
from merpo.components.interfaces import Critic
from merpo.lazy import torch
from merpo.nn.noise import Streams
from merpo.nn.params import expand
from merpo.nn.policy import init_policy
from merpo.recipe.sections import CollectSettings
from merpo.types import Spec

__all__ = ["sac_state", "state_bytes"]


def sac_state(
    settings: CollectSettings, critic: Critic, spec: Spec, n: int, generator: torch.Generator
) -> tuple[RAC, TaskState]:
    """SAC, and its state for `n` tasks before the first step."""
    rac = RAC(_sac_settings(settings), critic, None, None)
    policy = expand(init_policy(spec, rac.settings.policy_hidden, generator), n)
    networks = expand(rac.critic.init(spec, generator), n)
    state = fresh_state(policy, networks, init_duals(rac.settings, 0.0, n, "cpu"), empty_buffer(spec, n, 1, "cpu"))
    return rac, state


def state_bytes(settings: CollectSettings, critic: Critic, spec: Spec) -> int:
    """How much of one task is kept on the disk while it trains, besides its rows and its checkpoints."""
    generator = torch.Generator()
    state = {"state": sac_state(settings, critic, spec, 1, generator)[1], "noise": Streams([generator])}
    return sum(leaf.numel() * leaf.element_size() for leaf in flatten(state).values())


def _sac_settings(settings: CollectSettings) -> RacSettings:
    return RacSettings(
        policy_hidden=settings.hidden,
        discount=settings.discount,
        batch_size=settings.batch_size,
        real_ratio=1.0,
        use_model=False,
        critic_lr=settings.learning_rate,
        actor_lr=settings.learning_rate,
        polyak=settings.polyak,
        temperature_lr=settings.learning_rate,
        temperature_initial=settings.temperature,
        beta_initial=0.0,
        beta_tune=False,
        lambda_initial=0.0,
        lambda_tune=False,
    )
