"""How often intervals contain the truth, by simulation: nominal 95 %, at least 93 % with 4 to 10 runs.

Values are normal, or gamma(4), whose skewness is 1. What strong skewness costs is told in
`merpo.support.statistics.estimate` and held here, too.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest

from merpo.support.statistics.crossed import crossed, gap_interval
from merpo.support.statistics.estimate import paired, student, unpaired
from merpo.support.statistics.interval import Interval
from merpo.support.statistics.scores import probability_of_improvement

LEAST = 0.93
DRAWS: dict[str, Callable[[np.random.Generator, tuple[int, int]], np.ndarray]] = {  # each with mean 0
    "normal": lambda random, size: random.normal(size=size),
    "skewed": lambda random, size: random.gamma(4.0, size=size) - 4.0,
    "exponential": lambda random, size: random.exponential(size=size) - 1.0,
}


def one_sample(kind: str, n: int, interval: Callable[[np.ndarray], Interval], draws: int = 12_000) -> float:
    samples = DRAWS[kind](np.random.default_rng(n), (draws, n))
    return float(np.mean([not interval(sample).excludes(0.0) for sample in samples]))


def percentile_bootstrap(values: np.ndarray) -> Interval:
    """What must not be put in the place of t."""
    drawn = np.random.default_rng(0).choice(values, (200, len(values))).mean(1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))


@pytest.mark.parametrize("n", [4, 6, 10])
@pytest.mark.parametrize("kind", ["normal", "skewed"])
def test_one_sample(kind: str, n: int) -> None:
    assert LEAST <= one_sample(kind, n, student) <= 0.96


def test_the_threshold_refuses_a_percentile_bootstrap() -> None:
    assert one_sample("normal", 4, percentile_bootstrap, 1000) < 0.86
    assert one_sample("normal", 10, percentile_bootstrap, 1000) < LEAST


def test_strong_skewness_costs_what_is_told() -> None:
    assert one_sample("exponential", 4, student, 4000) == pytest.approx(0.88, abs=0.015)
    assert one_sample("exponential", 10, student, 4000) == pytest.approx(0.90, abs=0.015)


@pytest.mark.parametrize("kind", list(DRAWS))
@pytest.mark.parametrize("n", [4, 10])
def test_pairs(kind: str, n: int) -> None:
    """Both values of a pair have a common part, such as the task, which is larger than the rest."""
    random = np.random.default_rng(n)
    common = 5 * random.normal(size=(2000, n))
    first, second = (common + DRAWS[kind](random, (2000, n)) for _ in range(2))
    found = [not paired(a, b).interval.excludes(0.0) for a, b in zip(first.tolist(), second.tolist(), strict=True)]
    assert np.mean(found) >= LEAST


@pytest.mark.parametrize(
    ("kind", "n", "m"),
    [
        *((kind, n, n) for kind in DRAWS for n in (4, 10)),
        ("normal", 4, 10),
        ("skewed", 4, 10),
    ],
)
def test_welch(kind: str, n: int, m: int) -> None:
    random = np.random.default_rng(100 * n + m)
    first, second = DRAWS[kind](random, (1500, n)), DRAWS[kind](random, (1500, m))
    found = [not unpaired(a, b).interval.excludes(0.0) for a, b in zip(first, second, strict=True)]
    assert np.mean(found) >= LEAST


@pytest.mark.parametrize("spread", [0.5, 5.0])
def test_welch_with_unequal_spreads(spread: float) -> None:
    random = np.random.default_rng(7)
    first, second = random.normal(size=(1500, 4)), random.normal(scale=spread, size=(1500, 6))
    found = [not unpaired(a, b).interval.excludes(0.0) for a, b in zip(first, second, strict=True)]
    assert np.mean(found) >= LEAST


@pytest.mark.parametrize("shape", [(1, 10), (4, 10), (6, 2), (4, 1), (10, 4)])
@pytest.mark.parametrize("seeds", [0.2, 1.0])
def test_new_seeds_and_new_tasks(shape: tuple[int, int], seeds: float) -> None:
    """Seeds and tasks are drawn, and so is what is left of every pair of them."""
    random, (s, t) = np.random.default_rng(3), shape
    tables = seeds * random.normal(size=(1000, s, 1)) * (s > 1) + random.normal(size=(1000, 1, t)) * (t > 1)
    tables = tables + 0.3 * random.normal(size=(1000, s, t))
    assert np.mean([not crossed(table).excludes(0.0) for table in tables]) >= LEAST


@pytest.mark.parametrize("shape", [(1, 10), (4, 10), (4, 1)])
def test_the_gap_closed(shape: tuple[int, int]) -> None:
    """80 % of gaps that differ by task (their skewness is 1), in expectation over seeds and tasks."""
    random, (s, t), found = np.random.default_rng(5), shape, []
    for _ in range(1000):
        gap = np.broadcast_to(random.gamma(4.0, 1.5, (1, t)) if t > 1 else 6.0, (s, t))
        noise = 0.3 * random.normal(size=(s, 1)) * (s > 1) + 0.5 * random.normal(size=(s, t))
        interval = gap_interval(0.8 * gap + noise - 10, np.full((s, t), -10.0), gap - 10)
        assert interval is not None
        found.append(not interval.excludes(0.8))
    assert np.mean(found) >= LEAST


@pytest.mark.parametrize(("n", "m", "tasks"), [(4, 4, 1), (4, 8, 5), (10, 10, 5)])
@pytest.mark.parametrize("shift", [0.0, 0.7, 2.0])
def test_the_probability_of_improvement(n: int, m: int, tasks: int, shift: float) -> None:
    """Runs are good or bad as a whole, too, where there are several tasks."""
    random, spread = np.random.default_rng(n + m), 1.0 if tasks > 1 else 0.0
    truth, found = NormalDist().cdf(shift / 2**0.5), []
    for _ in range(1000):
        x, y = (random.normal(size=(k, tasks)) + spread * random.normal(size=(k, 1)) for k in (n, m))
        interval = probability_of_improvement(x + shift * (1 + spread) ** 0.5, y)
        found.append(not interval.excludes(truth))
    assert np.mean(found) >= LEAST
