"""One step for a single task, without stacking: RAC, and COMBO with both forms of Eq. (1).

COMBO is RAC without anchors. `modules` and `shared` are as in `inner_step.py`; with the log-sum-exp penalty `modules`
repeats states for their proposals and backpropagates the critics' loss into the policy, as OfflineRL-Kit does, and
there is no `shared`.
"""

from __future__ import annotations

import argparse
from typing import Any

from _check import check
from _options import parse
from _problem import SIZES, Stepper, make_problem, step_flop
from _reference import Reference
from _reference_shared import Shared
from _timing import Variant, interleave, parser, prepare, show, write

CASES: dict[str, dict[str, Any]] = {
    "RAC": {},
    "COMBO, rho": {"anchored": False},
    "COMBO, logsumexp": {"anchored": False, "critic": {"penalty": "logsumexp"}},
}


def main() -> None:
    """Check that results agree, time all variants, print a table and write the results."""
    arguments = _arguments()
    prepare(arguments)
    write(arguments, {"cases": {name: measure(name, arguments) for name in arguments.cases}})


def measure(case: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Time all variants of one case."""
    knobs = CASES[case]
    kinds = {"modules": Reference} if "critic" in knobs else {"modules": Reference, "shared": Shared}
    check(lambda: make_problem(SIZES["tiny"], 1, rows=40, **knobs), kinds.values())
    problem = make_problem(SIZES[arguments.sizes], 1, **knobs)
    variants: dict[str, Variant] = {name: kind(problem, 0).step for name, kind in kinds.items()}
    variants["merpo"] = Stepper(problem).step
    timings = interleave(variants, arguments.rounds)
    return show(f"{case}, {arguments.sizes}, one task", timings, tuple(kinds), step_flop(problem))


def _arguments() -> argparse.Namespace:
    made = parser(__doc__, __file__, rounds=31)
    made.add_argument("--sizes", choices=sorted(SIZES), default="4x256")
    made.add_argument("--cases", nargs="+", choices=sorted(CASES), default=list(CASES))
    return parse(made, rounds=1, sizes="tiny")


if __name__ == "__main__":
    main()
