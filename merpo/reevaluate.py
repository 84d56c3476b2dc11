"""`merpo evaluate`: saved policies measured anew in the true environments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from merpo.actors import Actor, PolicyKind, actor
from merpo.errors import MerpoError
from merpo.evaluation import evaluate, oracle_evaluation
from merpo.finished_run import REPORT
from merpo.lazy import torch
from merpo.machine import machine
from merpo.report import load_report
from merpo.saved_policies import SavedPolicies, read_policies
from merpo.statistics import Interval, bootstrap

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Measured", "MeasuredTask", "evaluate_saved", "print_measured"]


class MeasuredTask(BaseModel):
    """One task's episodes, and what the run's own report says."""

    model_config = ConfigDict(frozen=True)

    name: str
    index: int
    returns: list[float]  # one per episode
    lengths: list[int]
    terminated: list[bool]  # whether an episode truly ended, or time cut it
    oracle: float | None = None
    reported: float | None = None

    @property
    def mean(self) -> float:
        """The mean return."""
        return sum(self.returns) / len(self.returns)

    @property
    def mean_length(self) -> float:
        """Steps per episode."""
        return sum(self.lengths) / len(self.lengths)

    @property
    def termination_rate(self) -> float:
        """The share of episodes that truly ended."""
        return sum(self.terminated) / len(self.terminated)


class Measured(BaseModel):
    """All tasks of one artifact, and how they were measured."""

    model_config = ConfigDict(frozen=True)

    source: str
    seed: int
    episodes: int
    stochastic: bool
    tasks: list[MeasuredTask]
    mean: Interval  # over tasks


def evaluate_saved(
    path: Path, episodes: int | None = None, stochastic: bool | None = None, seed: int | None = None
) -> Measured:
    """Run the policies in `path` (a run, a folder of `merpo adapt`, or an artifact) in their environments.

    Episodes, seed and whether actions are drawn (`stochastic`) are as in the run unless given.
    Raises `MerpoError` where the environments are not known, or the method's policies are deterministic only.
    """
    saved = read_policies(path)
    if saved.recipe is None:
        raise MerpoError(f"{path}: an exported policy knows no environment; give the run it came from")
    unknown = [task.name for task in saved.tasks if not task.params]
    if unknown:
        raise MerpoError(f"{path}: the tasks {', '.join(unknown[:5])} have no parameters, so there is no environment")
    family, count = saved.recipe.tasks, episodes or saved.recipe.evaluate.episodes
    first = saved.seed if seed is None else seed
    drawn = saved.recipe.evaluate.policy == "stochastic" if stochastic is None else stochastic
    tasks = [task.params for task in saved.tasks]
    with machine(saved.recipe.run.threads):
        found = evaluate(family, tasks, _player(saved, drawn, first), count, first)
        oracle = oracle_evaluation(family, tasks, count, first)
    reported = _reported(path)
    rows = [
        MeasuredTask(
            name=task.name,
            index=task.index,
            returns=found.returns[t].tolist(),
            lengths=found.lengths[t].int().tolist(),
            terminated=found.terminations[t].bool().tolist(),
            oracle=None if oracle is None else float(oracle.returns[t].double().mean()),
            reported=reported.get(task.index),
        )
        for t, task in enumerate(saved.tasks)
    ]
    mean = bootstrap([task.mean for task in rows])
    return Measured(source=str(path), seed=first, episodes=count, stochastic=drawn, tasks=rows, mean=mean)


def _player(saved: SavedPolicies, drawn: bool, seed: int) -> Actor:
    """The policies at observations as the environments give them."""
    kind: PolicyKind = "stochastic" if drawn else "deterministic"
    act = actor(
        saved.method, saved.policy, kind, saved.action_dim, seed, [task.index for task in saved.tasks], device="cpu"
    )
    return lambda observations: act(saved.normalized(observations))


def _reported(path: Path) -> dict[int, float]:
    """The adapted policies' returns in the run's report, by task; none where there is no report beside them."""
    folder = path if path.is_dir() else path.parent.parent
    report = folder / REPORT
    tasks = load_report(report).tasks if report.is_file() else []
    return {task.index: task.adapted for task in tasks if task.adapted is not None}


def print_measured(measured: Measured, console: Console) -> None:
    """Every task, and the mean over tasks with its interval."""
    from rich.table import Table

    from merpo.report_text import frame, number

    kind = "stochastic" if measured.stochastic else "deterministic"
    many = "" if measured.episodes == 1 else "s"
    console.print(f"{kind} policies, {measured.episodes} episode{many} per task, seed {measured.seed}", highlight=False)
    table = Table(box=frame(console))
    columns = ["return", *(["std"] if measured.episodes > 1 else []), "length", "terminated"]
    columns += [name for name in ("oracle", "reported") if any(getattr(t, name) is not None for t in measured.tasks)]
    for label in ("task", *columns):
        table.add_column(label, justify="left" if label == "task" else "right", no_wrap=True)
    for task in measured.tasks:
        spread = float(torch.tensor(task.returns).double().std(correction=0))
        found = {"return": task.mean, "std": spread, "oracle": task.oracle, "reported": task.reported}
        cells = {name: number(value) for name, value in found.items()}
        cells |= {"length": f"{task.mean_length:.1f}", "terminated": f"{task.termination_rate:.0%}"}
        table.add_row(task.name, *(cells[name] for name in columns))
    console.print(table)
    text = f"mean return {number(measured.mean.mean)}"
    if len(measured.tasks) > 1:
        text += f", 95 % interval over tasks {number(measured.mean.low)} to {number(measured.mean.high)}"
    console.print(text, highlight=False)
