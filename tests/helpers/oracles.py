"""Reference implementations of the paper's equations in plain Python loops, independent of the library."""

from __future__ import annotations

import math
from collections.abc import Sequence

Vector = Sequence[float]
Matrix = Sequence[Vector]


def mean(values: Sequence[float]) -> float:
    """The mean over samples."""
    return math.fsum(values) / len(values)


def mlp(weights: Sequence[Matrix], biases: Sequence[Vector], inputs: Vector, activation: str) -> list[float]:
    """The output of one network for one input."""
    hidden = list(inputs)
    for depth, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        hidden = [bias[j] + math.fsum(hidden[i] * weight[i][j] for i in range(len(hidden))) for j in range(len(bias))]
        if depth < len(weights) - 1:
            if activation == "relu":
                hidden = [max(x, 0.0) for x in hidden]
            else:
                hidden = [x / (1.0 + math.exp(-x)) for x in hidden]
    return hidden


def adam(
    param: float, grads: Sequence[float], lr: float, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8
) -> float:
    """Adam (Kingma and Ba, algorithm 1) on one number after a sequence of gradients."""
    m = v = 0.0
    for t, grad in enumerate(grads, 1):
        m = b1 * m + (1 - b1) * grad
        v = b2 * v + (1 - b2) * grad * grad
        param -= lr * (m / (1 - b1**t)) / (math.sqrt(v / (1 - b2**t)) + eps)
    return param


def normal_log_density(x: float, mu: float, sigma: float) -> float:
    """log N(x; mu, sigma²)."""
    return -0.5 * ((x - mu) / sigma) ** 2 - math.log(sigma) - 0.5 * math.log(2.0 * math.pi)


def tanh_gaussian_log_density(action: Vector, mu: Vector, log_std: Vector) -> float:
    """log π(a|s) of a = tanh(u), by the change of variables."""
    total = 0.0
    for a, m, s in zip(action, mu, log_std, strict=True):
        total += normal_log_density(math.atanh(a), m, math.exp(s)) - math.log(1.0 - a * a)
    return total


def ensemble_nll(mus: Matrix, stds: Matrix, targets: Matrix) -> float:
    """−E_D[log T̂(s', r | s, a)] of Eq. (4) for one member: Gaussians over (Δs, r) in data units."""
    rows = [
        math.fsum(normal_log_density(y, m, s) for y, m, s in zip(target, mu, std, strict=True))
        for mu, std, target in zip(mus, stds, targets, strict=True)
    ]
    return -mean(rows)


def soft_bounds(x: float, low: float, high: float) -> float:
    """PETS' soft clamp of a log-variance."""
    softplus = lambda z: math.log1p(math.exp(-abs(z))) + max(z, 0.0)  # noqa: E731
    x = high - softplus(high - x)
    return low + softplus(x - low)


def squared_distance(theta: Vector, phi: Vector) -> float:
    """‖θ − φ‖² of Eq. (3) and Eq. (4)."""
    return math.fsum((a - b) ** 2 for a, b in zip(theta, phi, strict=True))


def outer_step(phi: float, thetas: Vector, rate: float) -> float:
    """Line 6 of Algorithm 2, and the meta-Q step of A.2.2, for one parameter."""
    return phi - rate * (phi - mean(thetas))


def backup(
    reward: float, ended: bool, next_values: Vector, log_prob: float, temperature: float, discount: float
) -> float:
    """B̂Q at one row: clipped double Q with SAC's entropy term; only the reward at a termination."""
    if ended:
        return reward
    return reward + discount * (min(next_values) - temperature * log_prob)


def conservative(beta: float, rho_values: Matrix, data_values: Matrix, f_values: Matrix, targets: Vector) -> float:
    """Eq. (1) for one task; matrices have a row per critic. Means over critics are not in the paper."""
    critics = range(len(f_values))
    gap = mean([mean(rho_values[i]) - mean(data_values[i]) for i in critics])
    error = mean([0.5 * mean([(q - y) ** 2 for q, y in zip(f_values[i], targets, strict=True)]) for i in critics])
    return beta * gap + error


def soft_maximum(values: Vector, log_densities: Vector) -> float:
    """CQL's log (1/N) Σ exp(Q(s, a_i)) / q(a_i) at one state."""
    return math.log(mean([math.exp(v) / math.exp(d) for v, d in zip(values, log_densities, strict=True)]))


def gaussian_kl(p_mean: Vector, p_log_std: Vector, q_mean: Vector, q_log_std: Vector) -> float:
    """KL(p‖q) of diagonal Gaussians at one state."""
    total = 0.0
    for m1, s1, m2, s2 in zip(p_mean, p_log_std, q_mean, q_log_std, strict=True):
        v1, v2 = math.exp(2 * s1), math.exp(2 * s2)
        total += s2 - s1 + (v1 + (m1 - m2) ** 2) / (2 * v2) - 0.5
    return total


def regularized_objective(
    values: Vector, log_probs_of_data: Vector, kls_to_meta: Vector, lambda_: float, alpha: float
) -> float:
    """The objective that Eq. (9) maximises, for one task."""
    return mean(values) + lambda_ * alpha * mean(log_probs_of_data) - lambda_ * (1 - alpha) * mean(kls_to_meta)


def alpha_objective(alpha: float, to_behavior: float, to_meta: float) -> float:
    """The objective that Eq. (11) minimises."""
    return (1.0 - alpha) * (to_behavior - to_meta)


def penalised_backup(backup: float, beta: float, rho: float, d: float, f: float) -> float:
    """Eq. (8) at one (s, a), with COMBO's d_f = f d + (1 − f) ρ."""
    return backup - beta * (rho - d) / (f * d + (1.0 - f) * rho)


def largest_std(stds: Matrix) -> float:
    """MOPO (Yu et al., 2020): max over members of the norm of a member's standard deviations."""
    largest = 0.0
    for member in stds:
        total = 0.0
        for std in member:
            total += std * std
        largest = max(largest, math.sqrt(total))
    return largest
