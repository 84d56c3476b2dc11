"""The tables of headline.py, from the returns of every policy."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from merpo.support.format import interval_text
from merpo.support.statistics.crossed import crossed, gap_interval
from merpo.support.statistics.estimate import paired
from merpo.support.statistics.holm import holm
from merpo.support.statistics.interval import Source, judged
from merpo.support.tables import markdown_table

__all__ = ["Cells", "page"]

DASH = "–"

Returns = list[list[float]]  # [seed][task]
Cells = dict[str, Returns]  # policy -> returns

SEEDS: tuple[Source, ...] = ("data", "meta-training", "adaptation")  # what the seed of a run decides
LABELS = {
    "behavior": "behaviour policies, drawn (the data)",
    "behavior_mode": "behaviour policies' modes",
    "clone": "clones",
    "clone_drawn": "clones, drawn",
    "meta_policy": "meta-policy",
    "meta_policy_drawn": "meta-policy, drawn",
}


def page(qualities: Mapping[str, Cells]) -> str:
    """Markdown with a table for every quality of the data."""
    lines = [
        "# Goals on the semicircle, unseen tasks",
        "",
        "Made by `python bench/headline.py` on Point-Robot-Wind: neither the goal nor the wind is observed, and no",
        "recipe was tuned on these tasks. Every seed has data of its own. Policies act by their modes unless",
        "*drawn* is said. *Gap closed* is (J − data)/(oracle − data) with Fieller's 95 % interval. Differences are",
        "MerPO-Adp after its last step, by mode, minus another policy: brackets are 95 % intervals by Student's t",
        "for new seeds of data, meta-training and adaptation on these tasks, paired by seed, and p is corrected for",
        "all rows of the table (Holm); by both of them it holds, cannot be told, or does not hold that MerPO-Adp is",
        "better. The last column is for new seeds and new tasks together.",
        "",
    ]
    for quality, cells in qualities.items():
        first = next(iter(cells.values()))
        seeds = f"{len(first)} seed{'s' if len(first) > 1 else ''}"
        lines += [f"## {quality} data, {seeds}, {len(first[0])} tasks", "", _table(cells), _harm(cells)]
    return "\n".join(lines)


def _table(cells: Cells) -> str:
    head = ["policy", "MerPO-Adp is better", "p", "return", "gap closed", "MerPO-Adp − it", "on new tasks, too"]
    own = cells[_ours(cells)]
    others = {name: rows for name, rows in cells.items() if name not in (_ours(cells), "oracle")}
    found = {name: paired(_means(own), _means(rows), SEEDS) for name, rows in others.items()}
    corrected = dict(zip(found, holm([one.p_value() for one in found.values()]), strict=True))
    lines = []
    for name, rows in cells.items():
        gap = gap_interval(rows, cells["behavior"], cells["oracle"], SEEDS)
        earned = [interval_text(crossed(rows, SEEDS)), DASH if gap is None else interval_text(gap)]
        line = [LABELS.get(name, name), DASH, DASH, *earned, DASH, DASH]
        if name in found:
            difference, p = found[name].interval, corrected[name]
            both = crossed([[a - b for a, b in zip(x, y, strict=True)] for x, y in zip(own, rows, strict=True)], SEEDS)
            verdict = [judged(difference, corrected=p), DASH if p is None else f"{p:.2g}"]
            line = [line[0], *verdict, *earned, interval_text(difference), interval_text(both)]
        lines.append(line)
    return markdown_table(head, lines, 2)


def _harm(cells: Cells) -> str:
    own, modes = cells[_ours(cells)], cells["behavior_mode"]
    pairs = len(own) * len(own[0])
    floor = [[max(b, c) for b, c in zip(*rows, strict=True)] for rows in zip(modes, cells["meta_policy"], strict=True)]
    text = (
        f"MerPO-Adp is worse than the data in {_below(own, cells['behavior'])} of {pairs} pairs of seed and task, and "
        "worse than the behaviour policy's mode or the meta-policy, whichever is better there, in "
        f"{_below(own, floor)}."
    )
    return textwrap.fill(text, 120) + "\n"


def _ours(cells: Cells) -> str:
    """The name of MerPO-Adp's policies after its last step."""
    return [name for name in cells if name.startswith("MerPO-Adp") and not name.endswith("drawn")][-1]


def _below(first: Returns, second: Returns) -> int:
    """Pairs of seed and task in which the first return is lower."""
    return sum(a < b for rows in zip(first, second, strict=True) for a, b in zip(*rows, strict=True))


def _means(rows: Sequence[Sequence[float]]) -> list[float]:
    return [sum(row) / len(row) for row in rows]
