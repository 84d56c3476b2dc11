"""`merpo evaluate`: saved policies measured anew in the true environments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from merpo.actors import Actor, PolicyKind, actor
from merpo.errors import MerpoError
from merpo.evaluation import Evaluation, evaluate, oracle_evaluation
from merpo.finished_run import REPORT
from merpo.interfaces import TaskFamily
from merpo.lazy import torch
from merpo.machine import chosen_device, machine
from merpo.noise import Streams, derive_seed
from merpo.params import to_device
from merpo.policy import act
from merpo.report import load_report
from merpo.run_references import behavior_policies, meta_policy
from merpo.saved_policies import SavedPolicies, read_policies
from merpo.statistics import Interval, bootstrap
from merpo.types import Params

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Measured", "MeasuredTask", "evaluate_saved", "print_measured"]


OTHERS = {"behavior": "behaviour", "meta_policy": "meta-policy", "oracle": "oracle", "reported": "reported"}


class MeasuredTask(BaseModel):
    """One task's episodes, and what the run's own report says."""

    model_config = ConfigDict(frozen=True)

    name: str
    index: int
    returns: list[float]  # one per episode
    lengths: list[int]
    terminated: list[bool]  # whether an episode truly ended, or time cut it
    behavior: float | None = None  # of the policy that collected the task's data, drawn as it was then
    meta_policy: float | None = None
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
    path: Path,
    episodes: int | None = None,
    stochastic: bool | None = None,
    seed: int | None = None,
    device: str | None = None,
) -> Measured:
    """Run the policies in `path` (a run, a folder of `merpo adapt`, or an artifact) in their environments.

    Beside them the behaviour policies, the meta-policy and the oracle are measured, as far as they are known.
    Episodes, seed, whether actions are drawn (`stochastic`) and device (auto, cpu or cuda) are those of the run unless
    given.
    Raises `MerpoError` where the environments are not known, or the method's policies are deterministic only.
    """
    saved = read_policies(path)
    if saved.recipe is None:
        raise MerpoError(f"{path}: an exported policy knows no environment; give the run it came from")
    unknown = [task.name for task in saved.tasks if not task.params]
    if unknown:
        raise MerpoError(f"{path}: the tasks {', '.join(unknown[:5])} have no parameters, so there is no environment")
    count, first = episodes or saved.recipe.evaluate.episodes, saved.seed if seed is None else seed
    drawn = saved.recipe.evaluate.policy == "stochastic" if stochastic is None else stochastic
    where = chosen_device(device or saved.recipe.run.device)
    with machine(saved.recipe.run.threads):
        found, others = _measure(saved, saved.recipe.tasks, count, first, drawn, where)
    reported = _reported(path)
    rows = [
        MeasuredTask(
            name=task.name,
            index=task.index,
            returns=found.returns[t].tolist(),
            lengths=found.lengths[t].int().tolist(),
            terminated=found.terminations[t].bool().tolist(),
            reported=reported.get(task.index),
            **{name: float(one.returns[t].double().mean()) for name, one in others.items()},
        )
        for t, task in enumerate(saved.tasks)
    ]
    mean = bootstrap([task.mean for task in rows])
    return Measured(source=str(path), seed=first, episodes=count, stochastic=drawn, tasks=rows, mean=mean)


def _measure(
    saved: SavedPolicies, family: TaskFamily, episodes: int, seed: int, stochastic: bool, device: str
) -> tuple[Evaluation, dict[str, Evaluation]]:
    """The adapted policies, and whatever else is known of their tasks."""
    tasks = [task.params for task in saved.tasks]

    def play(act: Actor) -> Evaluation:
        return evaluate(family, tasks, act, episodes, seed, device)

    def policies(given: SavedPolicies) -> Evaluation:
        there = given._replace(
            policy=to_device(given.policy, device), normalization=to_device(given.normalization, device)
        )
        return play(_player(there, stochastic, seed, device))

    found, others = policies(saved), {}
    if (behavior := behavior_policies(saved)) is not None:
        noise = Streams.seeded((derive_seed(seed, "evaluate-behavior", task.index) for task in saved.tasks), device)
        others["behavior"] = play(_collecting(to_device(behavior, device), noise, episodes, saved.action_dim))
    if (meta := meta_policy(saved)) is not None:
        others["meta_policy"] = policies(meta)
    if (oracle := oracle_evaluation(family, tasks, episodes, seed)) is not None:
        others["oracle"] = oracle
    return found, others


def _player(saved: SavedPolicies, drawn: bool, seed: int, device: str) -> Actor:
    """The policies at observations as the environments give them."""
    kind: PolicyKind = "stochastic" if drawn else "deterministic"
    act = actor(saved.method, saved.policy, kind, saved.action_dim, seed, [task.index for task in saved.tasks], device)
    return lambda observations: act(saved.normalized(observations))


def _collecting(policies: Params, noise: Streams, episodes: int, action_dim: int) -> Actor:
    """Actions drawn from the behaviour policies [T, ...], as when they collected the data."""
    return lambda observations: act(policies, observations, noise.normal(episodes, action_dim))


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
    columns += [name for name in OTHERS if any(getattr(t, name) is not None for t in measured.tasks)]
    for label in ("task", *columns):
        table.add_column(OTHERS.get(label, label), justify="left" if label == "task" else "right", no_wrap=True)
    for task in measured.tasks:
        spread = float(torch.tensor(task.returns).double().std(correction=0))
        found = {"return": task.mean, "std": spread, **{name: getattr(task, name) for name in OTHERS}}
        cells = {name: number(value) for name, value in found.items()}
        cells |= {"length": f"{task.mean_length:.1f}", "terminated": f"{task.termination_rate:.0%}"}
        table.add_row(task.name, *(cells[name] for name in columns))
    console.print(table)
    text = f"mean return {number(measured.mean.mean)}"
    if len(measured.tasks) > 1:
        text += f", 95 % interval over tasks {number(measured.mean.low)} to {number(measured.mean.high)}"
    console.print(text, highlight=False)
