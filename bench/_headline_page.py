"""The tables of headline.py, from the returns of every policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from merpo.support.statistics.crossed import crossed, gap_interval
from merpo.support.statistics.estimate import paired
from merpo.support.statistics.holm import holm
from merpo.support.statistics.interval import Interval, Source, judged

__all__ = ["Cells", "Returns", "ours", "page", "worse_than_both"]

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
        lines += [f"## {quality} data, {seeds}, {len(first[0])} tasks", "", *_table(cells), "", *_harm(cells), ""]
    return "\n".join(lines[:-1]) + "\n"


def ours(cells: Cells) -> str:
    """The name of MerPO-Adp's policies after its last step."""
    return [name for name in cells if name.startswith("MerPO-Adp") and not name.endswith("drawn")][-1]


def worse_than_both(cells: Cells) -> int:
    """Pairs of seed and task in which MerPO-Adp is worse than its task's behaviour mode or the meta-policy."""
    rows = zip(cells[ours(cells)], cells["behavior_mode"], cells["meta_policy"], strict=True)
    return sum(j < max(b, c) for row in rows for j, b, c in zip(*row, strict=True))


def _table(cells: Cells) -> Iterator[str]:
    head = ["policy", "return", "gap closed", "MerPO-Adp − it", "p", "MerPO-Adp is better", "on new tasks, too"]
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    own = cells[ours(cells)]
    others = {name: rows for name, rows in cells.items() if name not in (ours(cells), "oracle")}
    found = {name: paired(_means(own), _means(rows), SEEDS) for name, rows in others.items()}
    corrected = dict(zip(found, holm([one.p_value() for one in found.values()]), strict=True))
    for name, rows in cells.items():
        gap = gap_interval(rows, cells["behavior"], cells["oracle"], SEEDS)
        line = [LABELS.get(name, name), _i(crossed(rows, SEEDS)), "–" if gap is None else _i(gap)]
        if name in found:
            difference, p = found[name].interval, corrected[name]
            both = crossed([[a - b for a, b in zip(x, y, strict=True)] for x, y in zip(own, rows, strict=True)], SEEDS)
            line += [_i(difference), "–" if p is None else f"{p:.2g}", judged(difference, corrected=p), _ends(both)]
        else:
            line += ["–"] * 4
        yield f"| {' | '.join(line)} |"


def _harm(cells: Cells) -> Iterator[str]:
    own = cells[ours(cells)]
    pairs = len(own) * len(own[0])
    worse = sum(j < b for row in zip(own, cells["behavior"], strict=True) for j, b in zip(*row, strict=True))
    yield (
        f"MerPO-Adp is worse than the data in {worse} of {pairs} pairs of seed and task, and worse than the behaviour\n"
        f"policy's mode or the meta-policy, whichever is better there, in {worse_than_both(cells)}."
    )


def _means(rows: Sequence[Sequence[float]]) -> list[float]:
    return [sum(row) / len(row) for row in rows]


def _i(interval: Interval) -> str:
    return f"{interval.mean:.2f}" if interval.low is None else f"{interval.mean:.2f} {_ends(interval)}"


def _ends(interval: Interval) -> str:
    return "–" if interval.low is None else f"[{interval.low:.2f}, {interval.high:.2f}]"
