"""Where merpo's time goes in the steps whose floors `goals.py` checks: by kind of work.

The time outside matrix products bounds the possible gain of a better engine: `products alone` is the speed-up of a step
with the same products and no other work.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

import torch
from _bodies import KINDS, Bodies
from _kinds import kind
from _options import parse
from _problem import SIZES, Stepper, make_problem
from _timing import interleave, parser, prepare, summary, write
from evaluation import policies, stacked
from meta_model_step import Problem as Models
from rollouts import merpo_rows

from merpo.evaluation.evaluate import evaluate
from merpo.nn.noise import Streams
from merpo.run.profile import PYTHON, operation_seconds

RECORDED = 0.5  # seconds, at least
PRODUCTS = "matrix products"
TINY = ("inner step 3×64, 8 tasks", "rollouts 8 × 260")  # the cases of `--tiny`
Work = Callable[[], object]
STEPS = 5  # in sequence, so that the initial copies of the meta-model count for little


def main() -> None:
    """Profile every case, print a table and write the results."""
    arguments = parse(parser(__doc__, __file__, rounds=9), rounds=1)
    prepare(arguments)
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else every recording prints a line
    makers = cases()
    names = TINY if arguments.tiny else list(makers)
    found = {name: measure(name, makers[name](), arguments.rounds) for name in names}
    table = _table(found)
    sys.stdout.write(table)
    write(arguments, {"cases": found}, markdown=table)


def cases() -> dict[str, Callable[[], Work]]:
    """The cases: name, and a function that prepares the work."""
    soft = {"anchored": False, "critic": {"penalty": "logsumexp"}}
    made: dict[str, Callable[[], Work]] = {
        "inner step 3×64, 8 tasks": lambda: Stepper(make_problem(SIZES["3x64"], 8)).step,
        "inner step 5×300, 8 tasks": lambda: Stepper(make_problem(SIZES["5x300"], 8)).step,
        "RAC 4×256, one task": lambda: Stepper(make_problem(SIZES["4x256"], 1)).step,
        "COMBO, log-sum-exp": lambda: Stepper(make_problem(SIZES["4x256"], 1, **soft)).step,
    }
    for tasks in (20, 1):
        made[f"meta-model, {STEPS} steps {tasks} × 7"] = functools.partial(_meta_model, tasks)
    for tasks, count in ((8, 260), (1, 50_000)):
        made[f"rollouts {tasks} × {count}"] = functools.partial(_rollouts, tasks, count)
    for name in KINDS:
        made[f"evaluation, {name}"] = functools.partial(_evaluation, name)
    return made


def _meta_model(tasks: int) -> Work:
    models = Models(SIZES["5x300"], tasks, 2000, 256)
    return lambda: models.merpo(STEPS)


def _rollouts(tasks: int, count: int) -> Work:
    problem, noise = make_problem(SIZES["4x256"], tasks), Streams.seeded(range(tasks))
    return lambda: merpo_rows(problem, noise, count)


def _evaluation(body: str) -> Work:
    family = Bodies(body=body)
    tasks = family.tasks(8, 0)[0]
    act = stacked(policies(family, [300] * 5, 8))
    return lambda: evaluate(family, tasks, act, 1, 0)


def measure(name: str, work: Work, rounds: int) -> dict[str, Any]:
    """Seconds without a profiler, and the shares of the kinds of work with one."""
    seconds = summary(interleave({name: work}, rounds, warmup=2).seconds[name])
    times = max(3, round(RECORDED / seconds.median))
    with torch.autograd.profiler.profile(use_kineto=True) as recorder:
        for _ in range(times):
            work()
    kinds = _kinds(recorder)
    operations = sum(1 for event in recorder.function_events if event.cpu_parent is None) / times
    kinds[PYTHON] = max(0.0, times * seconds.median - sum(kinds.values()))
    whole = sum(kinds.values())
    shares = {kind: part / whole for kind, part in sorted(kinds.items(), key=lambda item: -item[1])}
    return {"seconds": seconds._asdict(), "operations": operations, "shares": shares}


def _kinds(recorder: Any) -> dict[str, float]:
    found: dict[str, float] = {}
    for operation, seconds in operation_seconds(recorder).items():
        found[kind(operation)] = found.get(kind(operation), 0.0) + seconds
    return found


def _table(found: dict[str, Any]) -> str:
    lines = [
        "# Where the time of a step goes",
        "",
        "Made by `python bench/where.py`: shares of kinds of work, from PyTorch's profiler; operations are those that",
        "Python or autograd calls. *All else free* is how many times as fast a step would be if it were nothing but",
        "its matrix products.",
        "",
        "| what | ms | operations | matrix products | what else takes most | all else free |",
        "|---|---|---|---|---|---|",
    ]
    for name, case in found.items():
        shares = dict(case["shares"])
        products = shares.pop(PRODUCTS, 0.0)
        most = ", ".join(f"{kind} {share:.0%}" for kind, share in list(shares.items())[:3])
        bound = f"{1 / products:.2f}×" if products else "–"
        cells = [
            name,
            f"{1e3 * case['seconds']['median']:.1f}",
            f"{case['operations']:.0f}",
            f"{products:.0%}",
            most,
            bound,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
