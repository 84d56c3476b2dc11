"""Laws of critics, policy regularizers and α schedulers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from merpo.algorithm.rac import Proposals
from merpo.components.interfaces import AlphaScheduler, Critic, PolicyRegularizer
from merpo.lazy import torch
from merpo.nn.policy import TanhGaussian, distribution, init_policy
from merpo.testing.inputs import ROWS, TASKS, batch, draw, spec, stacked, streams
from merpo.testing.laws import Laws, require, require_gradient, require_slices
from merpo.types import Batch, Params, Propose

__all__ = ["check_alpha", "check_critic", "check_regularizer"]


def check_critic(critic: Critic) -> None:
    """Check the laws of a critic; in particular it bootstraps at truncations and not at terminations."""
    laws, one = Laws(critic), spec()
    first = laws.call("init", lambda: (one, torch.Generator().manual_seed(0)))
    critics = require_slices(first, f"{laws.name}.init", "critic")

    def params(tasks: Sequence[int]) -> Params:
        return stacked("critics", tasks, lambda generator: critic.init(one, generator))

    def value(tasks: Sequence[int]) -> tuple[Any, ...]:
        rows = batch("value", tasks, ROWS)
        return params(tasks), rows.observations, rows.actions

    def backup(tasks: Sequence[int], label: str = "next") -> tuple[Any, ...]:
        rows = batch("backup", tasks, ROWS)._replace(next_observations=draw(label, tasks, ROWS, one.observation_dim))
        actions = draw("next-a", tasks, ROWS, one.action_dim).tanh()
        return params(tasks), rows, actions, draw("log-p", tasks, ROWS), draw("temperature", tasks).exp(), 0.9

    def error(tasks: Sequence[int]) -> tuple[Any, ...]:
        return draw("values", tasks, critics, ROWS), draw("targets", tasks, ROWS)

    def probes(tasks: Sequence[int]) -> tuple[Any, ...]:
        rho = batch("rho", tasks, ROWS)
        return rho, _proposals(tasks, rho), streams("probes", tasks)

    def gap(tasks: Sequence[int]) -> tuple[Any, ...]:
        drawn = critic.probes(*probes(tasks))
        values = draw("probe-values", tasks, critics, drawn.actions.shape[1])
        return drawn, values, draw("values", tasks, critics, ROWS)

    laws.per_task("value", value, (critics, ROWS))
    targets = laws.per_task("backup", backup, (ROWS,))
    ends = batch("backup", TASKS, ROWS).terminations > 0
    changed = critic.backup(*backup(TASKS, "other")) != targets
    require(not bool(changed[ends].any()), f"{laws.name}.backup", "bootstraps where the episode terminated")
    require(bool(changed[~ends].any()), f"{laws.name}.backup", "does not bootstrap where the episode continues")
    errors = laws.per_task("bellman_error", error, ())
    require(bool((errors > 0).all()), f"{laws.name}.bellman_error", "is not positive where Q differs from its target")
    flat = draw("targets", TASKS, ROWS)
    zero_error = critic.bellman_error(flat[:, None].expand(-1, critics, -1), flat)
    require(
        bool((zero_error.abs() < 1e-6).all()), f"{laws.name}.bellman_error", "is not zero where Q equals its target"
    )
    drawn = laws.per_task("probes", probes, None)
    pairs = drawn.actions.shape[1]
    law = f"returns states {tuple(drawn.observations.shape[:2])} and densities {tuple(drawn.log_densities.shape)}"
    alike = drawn.observations.shape[:2] == drawn.actions.shape[:2] == drawn.log_densities.shape
    require(alike and pairs > 0, f"{laws.name}.probes", f"{law} for actions {tuple(drawn.actions.shape)}")
    laws.per_task("gap", gap, ())
    zero = torch.zeros(len(TASKS), ROWS)
    require_gradient(
        f"{laws.name}.value", lambda p: critic.bellman_error(critic.value(p, *value(TASKS)[1:]), zero), params(TASKS)
    )

    def gap_of(p: Params) -> torch.Tensor:
        values = critic.value(p, drawn.observations, drawn.actions)
        rows = batch("value", TASKS, ROWS)
        return critic.gap(drawn, values, critic.value(p, rows.observations, rows.actions))

    # a constant in Q, such as the last bias, cancels in a difference of Qs: its gradient of the gap is zero
    require_gradient(f"{laws.name}.gap", gap_of, params(TASKS), every=False)


def check_regularizer(regularizer: PolicyRegularizer) -> None:
    """Check the laws of a regularizer; in particular divergences are zero between equal policies and differentiable."""
    laws, width = Laws(regularizer), spec().action_dim

    def policy(label: str, tasks: Sequence[int]) -> TanhGaussian:
        return TanhGaussian(draw(f"{label}-mean", tasks, ROWS, width), 0.3 * draw(f"{label}-std", tasks, ROWS, width))

    def to_behavior(tasks: Sequence[int], other: str = "behavior") -> tuple[Any, ...]:
        actions = draw("actions", tasks, ROWS, width).tanh()
        return policy("ours", tasks), policy(other, tasks), actions, streams("noise", tasks)

    def to_meta(tasks: Sequence[int], other: str = "meta") -> tuple[Any, ...]:
        return policy("ours", tasks), policy(other, tasks), streams("noise", tasks)

    for method, make in (("to_behavior", to_behavior), ("to_meta", to_meta)):
        laws.per_task(method, make, ())
        measure: Callable[..., torch.Tensor] = getattr(regularizer, method)
        at_equal = measure(*make(TASKS, "ours"))
        require(bool((at_equal.abs() < 1e-5).all()), f"{laws.name}.{method}", "is not zero between equal policies")
        loss = partial(_of_policy, measure, make(TASKS)[1:-1])
        require_gradient(f"{laws.name}.{method}, in the policy", loss, policy("ours", TASKS)._asdict())
    require_gradient(
        f"{laws.name}.to_meta, in the meta-policy",
        lambda p: regularizer.to_meta(policy("ours", TASKS), TanhGaussian(**p), streams("noise", TASKS)),
        policy("meta", TASKS)._asdict(),
    )
    far = regularizer.to_meta(*to_meta(TASKS))
    require(bool((far >= 0).all()), f"{laws.name}.to_meta", "is negative, expected a divergence")


def check_alpha(alpha: AlphaScheduler) -> None:
    """Check the laws of an α scheduler; in particular α stays in [0, 1] for all divergences."""
    laws = Laws(alpha)
    require(0 <= alpha.initial <= 1, f"{laws.name}.initial", f"is {alpha.initial}, expected a number in [0, 1]")

    def update(tasks: Sequence[int], scale: float = 1.0) -> tuple[Any, ...]:
        start = torch.full((len(tasks),), alpha.initial)
        return start, scale * draw("to-behavior", tasks), scale * draw("to-meta", tasks)

    laws.per_task("update", update, ())
    for scale in (1e6, -1e6):
        new = laws.per_task("update", partial(update, scale=scale), ())
        law = f"returns α = {new.tolist()}, expected numbers in [0, 1]"
        require(bool(((new >= 0) & (new <= 1)).all()), f"{laws.name}.update", law)


def _of_policy(measure: Callable[..., torch.Tensor], others: tuple[Any, ...], params: Params) -> torch.Tensor:
    """A divergence as a function of the policy's parameters."""
    return measure(TanhGaussian(**params), *others, streams("noise", TASKS))


def _proposals(tasks: Sequence[int], rho: Batch) -> Propose:
    """The proposal sampler of a small policy per task, as policy evaluation passes it to a critic."""
    params = stacked("policies", tasks, lambda generator: init_policy(spec(), (4,), generator))
    return Proposals(params, distribution(params, rho.observations), streams("propose", tasks))
