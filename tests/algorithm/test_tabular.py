"""A random tabular MDP, in which the minimiser of Eq. (1) is known: Eq. (8), exactly."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import penalised_backup
from small import critic
from strategies import SEEDS

from merpo.algorithm.rac import conservative_loss
from merpo.nn.optim import gradient
from merpo.types import Batch, Params, Probes, Spec

S, A, DISCOUNT = 4, 3, 0.9


class MDP(NamedTuple):
    """Distributions over (s, a), flat: ρ of the policy in the model, d of the data; and the policy, rewards, moves."""

    rho: torch.Tensor
    data: torch.Tensor
    policy: torch.Tensor  # [S, A]
    rewards: torch.Tensor  # [S · A]
    moves: torch.Tensor  # [S · A, S]
    ends: torch.Tensor  # [S · A], 1.0 where the episode ends


def random_mdp(seed: int, counts: int = 60) -> tuple[MDP, torch.Tensor, torch.Tensor]:
    """The MDP, and `counts` rows (s, a) each of d and of ρ: every expectation is then a plain mean over rows."""
    g = torch.Generator().manual_seed(seed)

    def rows() -> torch.Tensor:
        every = torch.arange(S * A)  # each (s, a) at least once, so that d_f > 0
        return torch.cat([every, torch.randint(0, S * A, (counts - S * A,), generator=g)])

    data, rho = rows(), rows()
    share = lambda index: torch.bincount(index, minlength=S * A).double() / counts  # noqa: E731
    policy = torch.rand(S, A, generator=g, dtype=torch.float64)
    moves = torch.rand(S * A, S, generator=g, dtype=torch.float64)
    rewards = torch.randn(S * A, generator=g, dtype=torch.float64)
    ends = (torch.rand(S * A, generator=g) < 0.25).double()
    mdp = MDP(
        share(rho), share(data), policy / policy.sum(1, keepdim=True), rewards, moves / moves.sum(1, keepdim=True), ends
    )
    return mdp, data, rho


def exact_backup(mdp: MDP, q: torch.Tensor) -> torch.Tensor:
    """B̂Q by enumeration over next states and actions."""
    values = [sum(float(mdp.policy[s, a] * q[s * A + a]) for a in range(A)) for s in range(S)]
    following = [sum(float(mdp.moves[i, s]) * values[s] for s in range(S)) for i in range(S * A)]
    ends = mdp.ends.tolist()
    rows = [float(mdp.rewards[i]) + DISCOUNT * (1 - ends[i]) * following[i] for i in range(S * A)]
    return torch.tensor(rows, dtype=torch.float64)


def loss_of(
    q: torch.Tensor,
    mdp: MDP,
    data: torch.Tensor,
    rho: torch.Tensor,
    f: float,
    beta: float,
    target: torch.Tensor,
    critics: int = 2,
) -> torch.Tensor:
    """Eq. (1) by the shipped functions, for one task and critics that are all the table [S · A]."""
    n = len(data)
    real, made = round(f * n), round((1 - f) * n)
    assert real + made == n
    mixed = torch.cat([data.repeat(real), rho.repeat(made)])  # d_f = f d + (1 − f) ρ
    component = critic(critics=critics)
    at_mixed, at_rho, at_data = (q[rows].expand(1, critics, -1) for rows in (mixed, rho, data))
    nothing = torch.zeros(1, len(rho), 1)
    gap = component.gap(Probes(nothing, nothing, nothing[..., 0]), at_rho, at_data)
    error = component.bellman_error(at_mixed, target[mixed].view(1, -1))
    return conservative_loss(torch.tensor([beta], dtype=torch.float64), gap, error)


def minimise(
    mdp: MDP, data: torch.Tensor, rho: torch.Tensor, f: float, beta: float, target: torch.Tensor, critics: int = 2
) -> torch.Tensor:
    """The loss is quadratic: one Newton step from anywhere is exact."""
    start = torch.zeros(S * A, dtype=torch.float64, requires_grad=True)
    whole = lambda q: loss_of(q, mdp, data, rho, f, beta, target, critics).sum()  # noqa: E731
    slope = torch.autograd.grad(whole(start), start)[0]
    curvature = torch.autograd.functional.hessian(whole, start.detach())
    return start.detach() - torch.linalg.solve(curvature, slope)


@settings(max_examples=20)
@given(seed=SEEDS, beta=st.floats(0, 20), f=st.sampled_from([0.2, 0.5, 0.8]), critics=st.integers(1, 4))
def test_the_minimiser_of_equation_1_is_equation_8(seed: int, beta: float, f: float, critics: int) -> None:
    """Whatever the number of critics: β is the paper's for each of them."""
    mdp, data, rho = random_mdp(seed)
    q = torch.randn(S * A, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    target = exact_backup(mdp, q)
    found = minimise(mdp, data, rho, f, beta, target, critics)
    for i in range(S * A):
        expected = penalised_backup(float(target[i]), beta, float(mdp.rho[i]), float(mdp.data[i]), f)
        assert float(found[i]) == pytest.approx(expected, abs=1e-6)


@settings(max_examples=10)
@given(seed=SEEDS, beta=st.floats(0.1, 5))
def test_evaluation_to_the_end_is_the_fixed_point_of_equation_8(seed: int, beta: float) -> None:
    """Eq. (8) iterated stops where minimising Eq. (1) changes nothing; its mean penalty ν(ρ, f) is not negative."""
    mdp, data, rho = random_mdp(seed)
    penalty = beta * (mdp.rho - mdp.data) / (0.5 * mdp.data + 0.5 * mdp.rho)
    q = torch.zeros(S * A, dtype=torch.float64)
    for _ in range(200):
        q = exact_backup(mdp, q) - penalty
    torch.testing.assert_close(minimise(mdp, data, rho, 0.5, beta, exact_backup(mdp, q)), q, atol=1e-6, rtol=0)
    assert float((mdp.rho * penalty).sum()) >= -1e-12


def test_the_shipped_backup_is_the_enumerated_one() -> None:
    """Rows (s, a, s', a') weighed by their probabilities: the critic's backup averages to B̂Q, and stops at ends."""
    mdp, _, _ = random_mdp(0)
    component = critic(critics=2, hidden=(6,))
    params = {
        key: value[None].double() for key, value in component.init(Spec(S, A), torch.Generator().manual_seed(1)).items()
    }
    states, actions = torch.eye(S).double(), torch.eye(A).double()
    table = torch.stack([
        component.value(params, states[s].view(1, 1, S), actions[a].view(1, 1, A))[0, :, 0].amin(0)
        for s in range(S) for a in range(A)
    ])  # fmt: skip
    expected = exact_backup(mdp, table)
    for i in range(S * A):
        weights = (mdp.moves[i][:, None] * mdp.policy).flatten()
        rows = Batch(
            states[i // A].expand(1, S * A, S), actions[i % A].expand(1, S * A, A), mdp.rewards[i].expand(1, S * A),
            states.repeat_interleave(A, 0)[None], mdp.ends[i].expand(1, S * A),
        )  # fmt: skip
        zero = torch.zeros(1, S * A).double()
        found = component.backup(params, rows, actions.repeat(S, 1)[None], zero, torch.zeros(1).double(), DISCOUNT)
        assert float((found[0] * weights).sum()) == pytest.approx(float(expected[i]), abs=1e-9)


def test_gradient_descent_on_the_shipped_loss_finds_the_same_table() -> None:
    mdp, data, rho = random_mdp(3)
    target = exact_backup(mdp, torch.zeros(S * A).double())
    exact = minimise(mdp, data, rho, 0.5, 2.0, target)
    params: Params = {"q": torch.zeros(S * A).double()}
    for _ in range(2000):
        _, grads = gradient(lambda p: loss_of(p["q"], mdp, data, rho, 0.5, 2.0, target), params)
        params = {"q": params["q"] - 3.0 * grads["q"]}
    torch.testing.assert_close(params["q"], exact, atol=1e-6, rtol=0)
