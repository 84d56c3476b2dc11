"""Questions to the grid: differences of two settings paired by seed, and shares of tasks made worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from grid_plan import Setting
from grid_stored import Group, GroupName

from merpo.support.statistics.crossed import crossed
from merpo.support.statistics.estimate import Estimate, paired
from merpo.support.statistics.holm import holm
from merpo.support.statistics.interval import Interval, Source, Verdict, judged

__all__ = ["Answer", "Moved", "Question", "answers", "moves", "questions", "sources", "worse"]

Rows: TypeAlias = "dict[int, list[float]]"  # seed -> number of each task


class Question(NamedTuple):
    """Whether one setting earns more than another: what the first one has more of."""

    subject: str  # of a sentence: "The regularizer pays"
    text: str
    first: Setting
    second: Setting


class Answer(NamedTuple):
    """The difference of a question on one group, after every number of steps, over the seeds that both settings have.

    The verdict is about the last step, by the p-value that is corrected for all groups of the question.
    """

    group: GroupName
    seeds: list[int]
    differences: dict[int, Interval]  # steps -> on these tasks, for new seeds
    crossed: Interval  # after the last step, for new seeds and new tasks
    p: float | None  # corrected
    verdict: Verdict


class Moved(NamedTuple):
    """The share of tasks worse than the better of behaviour and meta-policy, and its change over the steps."""

    group: GroupName
    setting: Setting
    seeds: list[int]
    shares: dict[int, float]  # steps -> over tasks and seeds
    drawn: float  # after the last step, with drawn actions, in which the meta-policy is drawn, too
    change: Interval  # of the share from the first to the last of the steps
    p: float | None  # corrected
    verdict: Verdict  # about the change being above 0


def questions(usual: Setting, settings: Sequence[Setting]) -> list[Question]:
    """What a family's settings can tell, in the order of the page."""
    zero, lambda_ = Setting(0.0), usual.lambda_
    found = [
        Question("The regularizer", "does the regularizer pay", usual, zero),
        Question("The meta-policy in the regularizer", "does the meta-policy pay", usual, Setting(lambda_, 1.0)),
        Question(
            "The behaviour policy in the regularizer", "does the behaviour policy pay", usual, Setting(lambda_, 0.0)
        ),
    ]
    others = (one for one in settings if one.alpha == usual.alpha and one.lambda_ not in (0.0, lambda_))
    found += [
        Question(f"A regularizer with λ = {one.lambda_:g}", f"does λ = {one.lambda_:g} pay", one, zero)
        for one in others
    ]
    adaptive, relative = Setting(lambda_, "adaptive"), Setting(lambda_, "relative")
    found += [
        Question(
            "The adaptive α (MerPO-Adp)", "does the adaptive α pay over the fixed one", adaptive, Setting(lambda_, 0.4)
        ),
        Question("The relative α", "does the relative α pay over the adaptive one", relative, adaptive),
    ]
    return [one for one in found if one.first in settings and one.second in settings and one.first != one.second]


def sources(group: Group) -> tuple[Source, ...]:
    """What the seeds of a group decide; the data only if no two seeds have the same."""
    own: tuple[Source, ...] = ("data",) if 1 < len(set(group.data_seeds.values())) == len(group.data_seeds) else ()
    return (*own, "meta-training", "adaptation")


def answers(question: Question, groups: Mapping[GroupName, Group], steps: Sequence[int]) -> list[Answer]:
    """The question's answers on all groups that have both settings."""
    made = []
    for name, group in groups.items():
        first, second = group.cells.get(question.first, {}), group.cells.get(question.second, {})
        if seeds := sorted(first.keys() & second.keys()):
            covers = sources(group)
            rows = {step: [(first[s].returns[step], second[s].returns[step]) for s in seeds] for step in steps}
            estimates = {step: _by_seed(pairs, covers) for step, pairs in rows.items()}
            both = crossed([[x - y for x, y in zip(a, b, strict=True)] for a, b in rows[steps[-1]]], covers)
            made.append((name, seeds, estimates, both))
    corrected = holm([estimates[steps[-1]].p_value() for _, _, estimates, _ in made])
    found = []
    for (name, seeds, estimates, both), p in zip(made, corrected, strict=True):
        intervals = {step: estimate.interval for step, estimate in estimates.items()}
        found.append(Answer(name, seeds, intervals, both, p, judged(intervals[steps[-1]], corrected=p)))
    return found


def worse(group: Group, setting: Setting, step: int | None) -> Rows:
    """1 for each task and seed worse than max(J_β, J_c), else 0; after `step` steps, or with drawn actions (None).

    J_β is the mean return of the task's data, whose actions were drawn; J_c is that of the meta-policy as it is, by
    its mode, or drawn where the adapted policy's actions are, too.
    """
    start = group.references["meta_policy_drawn" if step is None else "meta_policy"]
    found = {}
    for seed, cell in group.cells[setting].items():
        values = cell.drawn if step is None else cell.returns[step]
        floor = map(max, group.references["behavior"][seed], start[seed])
        found[seed] = [float(value < least) for value, least in zip(values, floor, strict=True)]
    return found


def moves(groups: Mapping[GroupName, Group], settings: Sequence[Setting], steps: Sequence[int]) -> list[Moved]:
    """How the share of tasks made worse moves with the steps, on all groups that have one of the settings."""
    made = []
    for name, group in groups.items():
        for setting in (one for one in settings if one in group.cells):
            rows = {step: worse(group, setting, step) for step in steps}
            drawn = worse(group, setting, None)
            seeds = sorted(drawn)
            change = _by_seed([(rows[steps[-1]][s], rows[steps[0]][s]) for s in seeds], sources(group))
            shares = {step: _mean([_mean(row) for row in found.values()]) for step, found in rows.items()}
            made.append((name, setting, seeds, shares, _mean([_mean(row) for row in drawn.values()]), change))
    corrected = holm([change.p_value() for *_, change in made])
    return [
        Moved(name, setting, seeds, shares, drawn, change.interval, p, judged(change.interval, corrected=p))
        for (name, setting, seeds, shares, drawn, change), p in zip(made, corrected, strict=True)
    ]


def _by_seed(pairs: Sequence[tuple[Sequence[float], Sequence[float]]], covers: tuple[Source, ...]) -> Estimate:
    """The difference of means over tasks, paired by seed."""
    return paired([_mean(a) for a, _ in pairs], [_mean(b) for _, b in pairs], covers)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
