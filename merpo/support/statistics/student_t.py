"""Student's t distribution: tail and quantile for any number of degrees of freedom from 1 on."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

from merpo.errors import MerpoError
from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["quantile", "tail"]

NODES = 64  # of Gauss and Legendre's rule: an error below 1e-10 of the tail
REACH = 9.1  # standard deviations beyond which the rest of a tail is below 1e-18 of it
STEPS = 200  # of Newton's method; tails of 1e-15 with one degree of freedom need about 60


def tail(t: float, freedom: float) -> float:
    """P(T > t) with `freedom` degrees of freedom.

    With t = √ν cot φ the density becomes sin(φ)^(ν − 1), which is integrated from 0 to φ.
    """
    _check(freedom)
    if t < 0:
        return 1.0 - tail(-t, freedom)
    end = math.atan2(math.sqrt(freedom), t)
    start = max(0.0, end - REACH / math.sqrt(freedom - 1)) if freedom > 1 else 0.0
    nodes, weights = _rule()
    angles = start + (end - start) * nodes**2  # squared: smooth at φ = 0 where ν is not whole
    values = np.exp((freedom - 1) * np.log(np.sin(angles)))
    return _scale(freedom) * float((weights * 2 * nodes * values).sum()) * (end - start)


@lru_cache(maxsize=4096)
def quantile(p: float, freedom: float) -> float:
    """The t with P(T ≤ t) = `p`; raises `MerpoError` unless 0 < p < 1 and there is a degree of freedom."""
    _check(freedom)
    if not 0 < p < 1:
        raise MerpoError(f"statistics: the probability of a quantile is {p}, expected between 0 and 1")
    if p < 0.5:
        return -quantile(1 - p, freedom)
    t = 0.0
    for _ in range(STEPS):  # the tail is convex for t > 0, so that Newton's steps from 0 never pass the quantile
        density = _scale(freedom) / math.sqrt(freedom) * (1 + t * t / freedom) ** (-(freedom + 1) / 2)
        step = (tail(t, freedom) - (1 - p)) / density
        t += step
        if abs(step) <= 1e-12 * max(1.0, t):
            break
    return t


def _scale(freedom: float) -> float:
    """Γ((ν + 1)/2) / (√π Γ(ν/2))."""
    return math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)


@lru_cache(maxsize=1)
def _rule() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return (nodes + 1) / 2, weights / 2


def _check(freedom: float) -> None:
    if not 1 <= freedom < math.inf:
        raise MerpoError(f"statistics: got {freedom} degrees of freedom, expected at least one")
