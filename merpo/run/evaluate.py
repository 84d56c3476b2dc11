"""`merpo evaluate`: saved policies evaluated in their environments again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, computed_field

from merpo.artifacts.run_folder import REPORT
from merpo.components.interfaces import TaskFamily, can_draw
from merpo.data.named import check_environment
from merpo.data.reference_scores import ReferenceScores
from merpo.errors import MerpoError
from merpo.evaluation.evaluate import Actor, Evaluation, actor, evaluate, oracle_evaluation, starts
from merpo.lazy import torch
from merpo.nn.noise import Streams, derive_seed
from merpo.nn.params import to_device
from merpo.nn.policy import act
from merpo.policies.references import behavior_clones, behavior_policies, meta_policy, references
from merpo.policies.saved import SavedPolicies, read_policies
from merpo.recipe.sections import PolicyKind
from merpo.report.policies import POLICIES, PerPolicy, from_flat, to_flat
from merpo.report.report import TaskReport, report_of, scores
from merpo.report.text import scores_line
from merpo.support.format import number, share
from merpo.support.machine import chosen_device, machine
from merpo.support.statistics.estimate import student
from merpo.support.statistics.interval import Interval
from merpo.support.tables import frame, print_table
from merpo.types import Params

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Measured", "MeasuredTask", "evaluate_saved", "print_measured"]


def evaluate_saved(
    path: Path,
    episodes: int | None = None,
    stochastic: bool | None = None,
    seed: int | None = None,
    device: str | None = None,
    trust: bool = False,
) -> Measured:
    """Run the policies in `path` (a run, a folder of `merpo adapt`, or an artifact) in their environments.

    Beside them the behaviour policies, their clones, the meta-policy and the oracle are measured, as far as they are
    known.
    Episodes, seed, whether actions are drawn (`stochastic`) and device (auto, cpu or cuda) are those of the run unless
    given. With `trust`, files are read that are not those of the run's manifest.
    Raises `MerpoError` where the environments are not known, or the method's policies are deterministic only.
    """
    saved = read_policies(path, trust)
    if saved.recipe is None:
        raise MerpoError(f"{path}: an exported policy knows no environment; give the run it came from")
    if not saved.recipe.tasks.has_environment:
        raise MerpoError(f"{path}: tasks of the family {saved.recipe.tasks.name} have no environment")
    for task in saved.tasks:
        check_environment(saved.recipe.tasks, task.name, task.params)
    count, first = episodes or saved.recipe.evaluate.episodes, saved.seed if seed is None else seed
    drawn = saved.recipe.evaluate.policy == "stochastic" if stochastic is None else stochastic
    where = chosen_device(device or saved.recipe.run.device)
    with machine(saved.recipe.run.threads):
        behavior = behavior_policies(saved)
        found, others = _measure(saved, saved.recipe.tasks, behavior.policies, count, first, drawn, where)
    reported, stored = _reported(path, trust), references(saved)
    rows = [
        MeasuredTask(
            name=task.name,
            index=task.index,
            returns=found.returns[t].tolist(),
            lengths=found.lengths[t].int().tolist(),
            terminated=found.terminations[t].bool().tolist(),
            reported=None if (report := reported.get(task.index)) is None else report.returns.get("adapted"),
            reference=(report.reference if report is not None else None) or stored[t],
            others={key: float(one.returns[t].double().mean()) for key, one in others.items()},
        )
        for t, task in enumerate(saved.tasks)
    ]
    mean = student([task.mean for task in rows], ("tasks",))
    why = behavior.damaged or behavior.missing
    return Measured(
        source=str(path),
        seed=first,
        episodes=count,
        stochastic=drawn,
        tasks=rows,
        mean=mean,
        notes=[f"the behaviour policies were not measured: {why}"] if why else [],
        damaged=bool(behavior.damaged),
    )


def _measure(
    saved: SavedPolicies,
    family: TaskFamily,
    behavior: Params | None,
    episodes: int,
    seed: int,
    stochastic: bool,
    device: str,
) -> tuple[Evaluation, dict[str, Evaluation]]:
    """Evaluations of the adapted policies, and of the other policies that are known, by key."""
    tasks = [task.params for task in saved.tasks]

    def play(act: Actor) -> Evaluation:
        return evaluate(family, tasks, act, episodes, starts(seed), device)

    def policies(given: SavedPolicies, drawn: bool = stochastic) -> Evaluation:
        there = given._replace(
            policy=to_device(given.policy, device), normalization=to_device(given.normalization, device)
        )
        return play(_player(there, drawn, seed, device))

    found, others = policies(saved), {}
    if behavior is not None:
        noise = Streams.seeded((derive_seed(seed, "evaluate-behavior", task.index) for task in saved.tasks), device)
        behavior = to_device(behavior, device)
        others["behavior"] = play(_collecting(behavior, noise, episodes, saved.action_dim))
        if not stochastic:
            others["behavior_mode"] = play(lambda observations: act(behavior, observations))
    if (clones := behavior_clones(saved)) is not None:
        others["clone"] = policies(clones, drawn=False)
        if can_draw(saved.method):
            others["clone_drawn"] = policies(clones, drawn=True)
    if (meta := meta_policy(saved)) is not None:
        others["meta_policy"] = policies(meta)
    if (oracle := oracle_evaluation(family, tasks, episodes, starts(seed))) is not None:
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


def _reported(path: Path, trust: bool) -> dict[int, TaskReport]:
    """The tasks of the run's report by index; empty where there is no report beside the policies."""
    folder = path if path.is_dir() else path.resolve().parent.parent
    return {task.index: task for task in report_of(folder, trust).tasks} if (folder / REPORT).exists() else {}


OTHERS = PerPolicy(has=lambda key: key != "adapted")


class MeasuredTask(BaseModel):
    """One task's episodes, the returns of other policies on it, and the return in the run's own report."""

    model_config = ConfigDict(frozen=True)

    name: str
    index: int
    returns: list[float]  # one per episode
    lengths: list[int]
    terminated: list[bool]  # whether an episode truly ended, or time cut it
    others: Annotated[dict[str, float], OTHERS]  # mean returns of the policies beside the adapted one
    reported: float | None = None
    reference: ReferenceScores | None = None  # where the task's data comes with such

    _from_flat, _to_flat = from_flat, to_flat

    @property
    def mean(self) -> float:
        """The mean return."""
        return sum(self.returns) / len(self.returns)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def normalized(self) -> dict[str, float]:
        """The normalised scores of the policies that have one; none without reference scores."""
        return scores(self.reference, {**self.others, "adapted": self.mean})

    @property
    def mean_length(self) -> float:
        """Steps per episode."""
        return sum(self.lengths) / len(self.lengths)

    @property
    def termination_rate(self) -> float:
        """The share of episodes that truly ended."""
        return sum(self.terminated) / len(self.terminated)


class Measured(BaseModel):
    """The evaluation of all tasks of one artifact, and its settings."""

    model_config = ConfigDict(frozen=True)

    source: str
    seed: int
    episodes: int
    stochastic: bool
    tasks: list[MeasuredTask]
    mean: Interval  # over tasks
    notes: list[str] = []  # which policies were not measured, and why
    damaged: bool = Field(False, exclude=True)  # whether one of them is there, but cannot be read


def print_measured(measured: Measured, console: Console) -> None:
    """Every task, and the mean over tasks with its interval."""
    from rich.table import Table

    kind = "stochastic" if measured.stochastic else "deterministic"
    many = "" if measured.episodes == 1 else "s"
    console.print(f"{kind} policies, {measured.episodes} episode{many} per task, seed {measured.seed}", highlight=False)
    table = Table(box=frame(console))
    scored = any(task.normalized for task in measured.tasks)
    columns = ["return", *(["normalised"] if scored else []), *(["std"] if measured.episodes > 1 else [])]
    columns += ["length", "terminated"]
    columns += [key for key in POLICIES if any(key in task.others for task in measured.tasks)]
    columns += ["reported"] if any(task.reported is not None for task in measured.tasks) else []
    for label in ("task", *columns):
        table.add_column(
            POLICIES[label].label if label in POLICIES else label,
            justify="left" if label == "task" else "right",
            no_wrap=True,
        )
    for task in measured.tasks:
        spread = float(torch.tensor(task.returns).double().std(correction=0))
        found = {
            "return": task.mean,
            "normalised": task.normalized.get("adapted"),
            "std": spread,
            **{key: task.others.get(key) for key in POLICIES},
            "reported": task.reported,
        }
        cells = {name: number(value) for name, value in found.items()}
        cells |= {"length": f"{task.mean_length:.1f}", "terminated": share(task.termination_rate)}
        table.add_row(task.name, *(cells[name] for name in columns))
    print_table(table, console)
    text = f"mean return {number(measured.mean.mean)}"
    if len(measured.tasks) > 1:
        text += f", 95 % interval for new tasks {number(measured.mean.low)} to {number(measured.mean.high)}"
    console.print(text, highlight=False)
    for note in measured.notes:
        console.print(f"note: {note}", markup=False, highlight=False, soft_wrap=not console.is_terminal)
    if scores := scores_line(measured.tasks):
        console.print(scores, markup=False, highlight=False, soft_wrap=not console.is_terminal)
