"""grid.md: where each regularizer pays and where it costs, on every family of the grid; all sentences from numbers."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from grid_compare import Answer, Moved, Question, answers, moves, questions, sources, worse
from grid_plan import Setting
from grid_stored import Group, GroupName, groups_of, setting_of

from merpo.report.policies import POLICIES
from merpo.support.format import interval_text, number, share
from merpo.support.statistics.crossed import crossed
from merpo.support.statistics.interval import Verdict, covered
from merpo.support.statistics.scores import iqm, worst_decile
from merpo.support.tables import markdown_table

__all__ = ["page"]

PAYS: dict[Verdict, str] = {"holds": "pays", "does not hold": "costs", "cannot be told": "cannot be told"}
MOVES: dict[Verdict, str] = {"holds": "rises", "does not hold": "falls", "cannot be told": "cannot be told"}

HEAD = """# Where each regularizer pays

Made by `python bench/grid/run_grid.py`. A meta-policy is trained on the training tasks, then adapted to the unseen
tasks with more or less of their data, with other weights λ of the regularizers and other shares α of the behaviour
policy in them (α = 0: the meta-policy alone, α = 1: the behaviour policy alone, adaptive: MerPO-Adp, relative: a
schedule that moves further). Nothing else differs between the settings of a table, not even the random numbers: every
adaptation begins with the meta-policy and with meta-Q. A mirrored meta-policy is the trained one turned around, so that
it goes to goals on the other half of the circle; an untrained one is a new network; meta-Q is the trained one in each
case. The goals and winds of the point robots are none that the settings were chosen on.

Returns are undiscounted and by the modes of the policies, where nothing else is said; *drawn* is after the last step,
with drawn actions. J_β is the mean return of a task's data, whose actions were drawn, J_c that of the meta-policy as it
is. Brackets are 95 % intervals by Student's t. Verdicts are about the last step, by p corrected for all rows of their
table (Holm), on these unseen tasks; all other intervals are exploratory: they are not corrected for how many there are.
"""


def page(content: Mapping[str, Any]) -> str:
    """The Markdown of all families."""
    parts = [HEAD]
    for name, family in content["families"].items():
        groups, steps = groups_of(content, name), family["steps"]
        parts += [f"## {family['title']}\n", _extent(content, name, family, groups)]
        usual = setting_of(family["usual"])
        settings = sorted({one for group in groups.values() for one in group.cells}, key=lambda one: one.place)
        for question in questions(usual, settings):
            parts.append(_question(question, answers(question, groups, steps), steps))
        parts.append(_moves(moves(groups, [usual, Setting(0.0)], steps), steps))
        parts += [f"### {group_name.label}\n\n{_group(group, steps)}" for group_name, group in groups.items()]
        parts.append(_alphas(groups, steps))
    return "\n".join(part for part in parts if part)


def _extent(content: Mapping[str, Any], name: str, family: Mapping[str, Any], groups: Mapping[GroupName, Group]) -> str:
    """How much of the plan there is, and what seeds and intervals are about."""
    units = [unit for unit in content["units"] if unit["family"] == name]
    cells = sum(len(unit["cells"]) for unit in units)
    seeds = {unit["seed"] for unit in units}
    data = len({unit["data_seed"] for unit in units})
    tasks = len(units[0]["references"]["behavior"])
    counts = sorted({len(cell) for group in groups.values() for cell in group.cells.values()})
    each = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    parts = [
        f"`recipes/{family['recipe']}.toml`, {tasks} unseen tasks. Measured: {cells} of {family['planned_cells']}",
        f"adaptations, with {each} seed{'s' * (counts[-1] != 1)} for each row of a table. A seed decides meta-training",
        f"and adaptation, and which episodes of the unseen tasks are used; {_data(data, len(seeds))}.",
    ]
    if counts[-1] == 1:
        parts.append("With one seed there are no intervals for new seeds, so that no question can be told.")
    else:
        parts.append(f"Verdicts and their intervals are for {covered(sources(next(iter(groups.values()))))}.")
    return _wrapped(" ".join(parts)) + "\n"


def _data(sets: int, seeds: int) -> str:
    if sets == 1:
        return "all seeds share one collection of data" if seeds > 1 else "there is one collection of data"
    if sets == seeds:
        return "each seed has a collection of data of its own"
    return f"the seeds have {sets} collections of data in turn, too few for an interval that covers new ones"


def _question(question: Question, found: Sequence[Answer], steps: Sequence[int]) -> str:
    """A table of differences, with a sentence for each verdict."""
    head = ["data, episodes per unseen task, meta-policy", "verdict", "seeds", "p"]
    head += [f"after {step}" for step in steps] + [f"after {steps[-1]}, for new tasks, too"]
    rows = [
        [
            one.group.label,
            PAYS[one.verdict],
            str(len(one.seeds)),
            "–" if one.p is None else f"{one.p:.2g}",
            *(interval_text(one.differences[step]) for step in steps),
            interval_text(one.crossed),
        ]
        for one in found
    ]
    text = f"Return with {question.first.label} minus that with {question.second.label}."
    said = [line for verdict in PAYS if (line := _sentence(question.subject, found, verdict, steps[-1]))]
    title = f"### {question.text[0].upper()}{question.text[1:]}?\n"
    return "\n".join([title, text, "", *said, "", markdown_table(head, rows, 2)])


def _sentence(subject: str, found: Sequence[Answer], verdict: Verdict, step: int) -> str:
    """`- The regularizer **pays** after 2000 steps on 2 of 15: …`; empty where nothing has this verdict."""
    own = [one for one in found if one.verdict == verdict]
    if not own:
        return ""
    count = f"{len(own)} of {len(found)}"
    if verdict == "cannot be told":
        which = "; ".join(one.group.label for one in own)
        return _wrapped(f"- Whether it pays **cannot be told** after {step} steps on {count}: {which}.")
    which = "; ".join(f"{one.group.label} ({interval_text(one.differences[step])})" for one in own)
    return _wrapped(f"- {subject} **{PAYS[verdict]}** after {step} steps on {count}: {which}.")


def _moves(found: Sequence[Moved], steps: Sequence[int]) -> str:
    """The share of tasks made worse, over the steps."""
    head = ["data, episodes per unseen task, meta-policy", "setting", "verdict", "seeds"]
    head += [f"after {step}" for step in steps] + ["drawn", f"change from {steps[0]} to {steps[-1]}", "p"]
    rows = [
        [
            one.group.label,
            one.setting.label,
            MOVES[one.verdict],
            str(len(one.seeds)),
            *(share(one.shares[step]) for step in steps),
            share(one.drawn),
            interval_text(one.change),
            "–" if one.p is None else f"{one.p:.2g}",
        ]
        for one in found
    ]
    counts = {word: sum(MOVES[one.verdict] == word for one in found) for word in MOVES.values()}
    said = ", ".join(f"{word} on {n}" for word, n in counts.items() if n)
    text = (
        "The share of tasks, over all seeds, on which the adapted policy earns less than max(J_β, J_c); with drawn "
        f"actions J_c is of drawn actions, too. From {steps[0]} to {steps[-1]} steps it {said} of {len(found)}."
    )
    title = "### Which share of the tasks is made worse?\n"
    return "\n".join([title, _wrapped(text), "", markdown_table(head, rows, 3)])


def _group(group: Group, steps: Sequence[int]) -> str:
    """The returns of every setting, and of the policies beside them."""
    covers, last = sources(group), steps[-1]
    there = [(key, policy.label) for key, policy in POLICIES.items() if key in group.references]
    beside = ", ".join(f"{label} {interval_text(_both(group.references[key], covers))}" for key, label in there)
    head = ["setting", "seeds", *(f"after {step}" for step in steps), "drawn"]
    head += [f"interquartile mean, {last}", f"worst decile, {last}", "worse than max(J_β, J_c), " + _slashes(steps)]
    rows = []
    for setting, cells in group.cells.items():
        seeds = sorted(cells)
        final = [cells[seed].returns[last] for seed in seeds]
        shares = [share(_mean(worse(group, setting, step))) for step in steps]
        rows.append(
            [
                setting.label,
                str(len(seeds)),
                *(interval_text(crossed([cells[seed].returns[step] for seed in seeds], covers)) for step in steps),
                interval_text(crossed([cells[seed].drawn for seed in seeds], covers)),
                interval_text(iqm(final, covers)),
                interval_text(worst_decile(final, covers)),
                _slashes(shares),
            ]
        )
    return _wrapped(f"Beside them: {beside}.") + f"\n\n{markdown_table(head, rows, 1)}"


def _wrapped(text: str) -> str:
    """A paragraph, or an item of a list, in lines of the usual width."""
    later = "  " if text.startswith("- ") else ""
    return textwrap.fill(text, 120, subsequent_indent=later, break_long_words=False, break_on_hyphens=False)


def _slashes(parts: Iterable[object]) -> str:
    return " / ".join(map(str, parts))


def _mean(rows: Mapping[int, Sequence[float]]) -> float:
    """Over tasks and seeds."""
    values = [value for row in rows.values() for value in row]
    return sum(values) / len(values)


def _both(rows: Mapping[int, Sequence[float]], covers: Any) -> Any:
    return crossed([rows[seed] for seed in sorted(rows)], covers)


def _alphas(groups: Mapping[GroupName, Group], steps: Sequence[int]) -> str:
    """How far α moved; empty where no scheduler was measured."""
    rows = [row for name, group in groups.items() for row in _alpha_rows(name, group, steps)]
    if not rows:
        return ""
    head = ["data, episodes per unseen task, meta-policy", "setting", "seeds"]
    head += ["α at first", *(f"after {step}" for step in steps), f"least and greatest, {steps[-1]}"]
    text = (
        "### How far does α move?\n\nThe mean over tasks and seeds; at the right, the least and greatest of a task.\n"
    )
    return "\n".join([text, markdown_table(head, rows, 2)])


def _alpha_rows(name: GroupName, group: Group, steps: Sequence[int]) -> Iterator[list[str]]:
    for setting, cells in group.cells.items():
        found = [cell.alphas for cell in cells.values()]
        if all(found):
            means = [sum(one[step][0] for one in found) / len(found) for step in (1, *steps)]
            ends = min(one[steps[-1]][1] for one in found), max(one[steps[-1]][2] for one in found)
            spans = f"{number(ends[0])} to {number(ends[1])}"
            yield [name.label, setting.label, str(len(found)), *(f"{mean:.4f}" for mean in means), spans]
