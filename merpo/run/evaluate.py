"""`merpo evaluate`: saved policies measured anew in the true environments."""

from __future__ import annotations

from pathlib import Path

from merpo.artifacts.finished_run import REPORT
from merpo.components.interfaces import TaskFamily
from merpo.data.named import check_environment
from merpo.errors import MerpoError
from merpo.evaluation.actors import Actor, actor
from merpo.evaluation.evaluate import Evaluation, evaluate, oracle_evaluation, starts
from merpo.nn.noise import Streams, derive_seed
from merpo.nn.params import to_device
from merpo.nn.policy import act
from merpo.policies.references import behavior_policies, meta_policy, references
from merpo.policies.saved import SavedPolicies, read_policies
from merpo.recipe.sections import PolicyKind
from merpo.report.report import TaskReport, load_report
from merpo.report.statistics import bootstrap
from merpo.run.measured import Measured, MeasuredTask
from merpo.support.machine import chosen_device, machine
from merpo.types import Params

__all__ = ["evaluate_saved"]


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
    if not saved.recipe.tasks.has_environment:
        raise MerpoError(f"{path}: tasks of the family {saved.recipe.tasks.name} have no environment")
    for task in saved.tasks:
        check_environment(saved.recipe.tasks, task.name, task.params)
    count, first = episodes or saved.recipe.evaluate.episodes, saved.seed if seed is None else seed
    drawn = saved.recipe.evaluate.policy == "stochastic" if stochastic is None else stochastic
    where = chosen_device(device or saved.recipe.run.device)
    with machine(saved.recipe.run.threads):
        found, others = _measure(saved, saved.recipe.tasks, count, first, drawn, where)
    reported, stored = _reported(path), references(saved)
    rows = [
        MeasuredTask(
            name=task.name,
            index=task.index,
            returns=found.returns[t].tolist(),
            lengths=found.lengths[t].int().tolist(),
            terminated=found.terminations[t].bool().tolist(),
            reported=None if (told := reported.get(task.index)) is None else told.adapted,
            reference=(told.reference if told is not None else None) or stored[t],
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
        return evaluate(family, tasks, act, episodes, starts(seed), device)

    def policies(given: SavedPolicies) -> Evaluation:
        there = given._replace(
            policy=to_device(given.policy, device), normalization=to_device(given.normalization, device)
        )
        return play(_player(there, stochastic, seed, device))

    found, others = policies(saved), {}
    if (behavior := behavior_policies(saved)) is not None:
        noise = Streams.seeded((derive_seed(seed, "evaluate-behavior", task.index) for task in saved.tasks), device)
        behavior = to_device(behavior, device)
        others["behavior"] = play(_collecting(behavior, noise, episodes, saved.action_dim))
        if not stochastic:
            others["behavior_mode"] = play(lambda observations: act(behavior, observations))
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


def _reported(path: Path) -> dict[int, TaskReport]:
    """What the run's report says, by task; nothing where there is no report beside the policies."""
    folder = path if path.is_dir() else path.resolve().parent.parent
    report = folder / REPORT
    return {task.index: task for task in load_report(report).tasks} if report.is_file() else {}
