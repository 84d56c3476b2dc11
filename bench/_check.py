"""Check that the reference implementations and merpo have equal parameters after some steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from _problem import Problem, Stepper
from _reference import Reference

__all__ = ["check"]


def check(
    make: Callable[[], Problem], kinds: Iterable[type[Reference]], steps: int = 3, tolerance: float = 1e-9
) -> None:
    """Check that merpo and the references agree in float64 after a few steps of a small problem; exit if not."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        problem = make()
        ours = Stepper(problem)
        for _ in range(steps):
            ours.step()
        for kind in kinds:
            worst = max(_difference(ours, kind(problem, t), t, steps) for t in range(problem.tasks))
            if not worst < tolerance:
                raise AssertionError(f"{kind.__name__}: differs from merpo by {worst:.1e} after {steps} steps")
            print(f"{kind.__name__} equals merpo within {worst:.1e} after {steps} small steps, tasks: {problem.tasks}")
    finally:
        torch.set_default_dtype(before)


def _difference(ours: Stepper, theirs: Reference, t: int, steps: int) -> float:
    """The largest difference of a learnt number of task t."""
    for _ in range(steps):
        theirs.step()
    state, named = ours.state, {}
    for group in ("policy", "critic", "target"):
        named |= {f"{group}.{key}": value[t] for key, value in getattr(state, group).items()}
    named |= {key: getattr(state.duals, key)[t] for key in ("log_beta", "log_temperature", "lambda_")}
    found = theirs.export()
    if named.keys() != found.keys():
        raise AssertionError(f"merpo has {sorted(named)}, {type(theirs).__name__} has {sorted(found)}")
    return max(float((value - found[key]).abs().max()) for key, value in named.items())
