"""Measured cells as one compact mapping, which grid.json holds, and as tables of returns [seed, task]."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from grid_plan import METAS, Family, Job, Setting

__all__ = ["Group", "GroupName", "Measured", "groups_of", "setting_of", "stored"]

DIGITS = 5  # of a stored return
STARTS = ("meta_policy", "meta_policy_drawn")  # what a unit has for each meta-policy


def stored(jobs: Sequence[Job]) -> dict[str, Any]:
    """What grid.json holds of the cells that there are: the families, and the units with their cells."""
    units: dict[tuple[str, str, int | None, int], dict[str, Any]] = {}
    planned: dict[str, int] = {}
    for job in jobs:
        for unit in job.units:
            planned[job.family.name] = planned.get(job.family.name, 0) + len(unit.cells)
            for cell in unit.cells:
                path = job.file(unit, cell)
                if path.is_file():
                    key = (job.family.name, job.quality, unit.episodes, job.seed)
                    _add(units.setdefault(key, {}), json.loads(path.read_text("utf-8")))
    there = {unit["family"] for unit in units.values()}
    used = {job.family.name: job.family for job in jobs if job.family.name in there}
    families = {name: _family(family, planned[name]) for name, family in used.items()}
    return {"families": families, "units": list(units.values())} if units else {}


def _family(family: Family, planned: int) -> dict[str, Any]:
    return {
        "title": family.title,
        "recipe": family.recipe,
        "steps": list(family.steps),
        "planned_cells": planned,
        "usual": _setting(family.usual),
    }


def _setting(setting: Setting) -> dict[str, Any]:
    return {"lambda": setting.lambda_} | ({} if setting.alpha is None else {"alpha": setting.alpha})


def _add(unit: dict[str, Any], cell: Mapping[str, Any]) -> None:
    """Add a cell to its unit; what cells share is stored once, and what is not known is left out."""
    if not unit:
        unit |= {key: cell[key] for key in ("family", "quality", "seed", "data_seed")}
        unit |= {} if cell["episodes"] is None else {"episodes": cell["episodes"]}
        unit |= {"references": {}, "metas": {}, "cells": []}
    for name, values in cell["references"].items():
        into = unit["metas"].setdefault(cell["meta"], {}) if name in STARTS else unit["references"]
        into[name] = _short(values)
    alphas = {step: [_digits(x) for x in (sum(a) / len(a), min(a), max(a))] for step, a in cell["alphas"].items()}
    found = {"meta": cell["meta"], "lambda": cell["lambda"]}
    found |= {} if cell["alpha"] is None else {"alpha": cell["alpha"]}
    found |= {"returns": {step: _short(values) for step, values in cell["returns"].items()}}
    found |= {"drawn": _short(cell["drawn"]), "seconds": _digits(cell["adaptation_seconds"])}
    unit["cells"].append(found | ({"alphas": alphas} if alphas else {}))


def _short(values: Iterable[float]) -> list[float]:
    return [_digits(value) for value in values]


def _digits(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def setting_of(described: Mapping[str, Any]) -> Setting:
    """The setting of a stored cell or family."""
    return Setting(described["lambda"], described.get("alpha"))


class GroupName(NamedTuple):
    """Data, episodes per unseen task and meta-policy."""

    quality: str
    episodes: int | None
    meta: str

    @property
    def label(self) -> str:
        """As in tables."""
        count = "all episodes" if self.episodes is None else f"{self.episodes} episode{'s' * (self.episodes != 1)}"
        return f"{self.quality}, {count}, {self.meta}"

    @property
    def place(self) -> tuple[int, int, float]:
        """The place in tables: the order of the plan, with rising numbers of episodes."""
        qualities = ("random", "medium", "expert", "mixed")
        known = qualities.index(self.quality) if self.quality in qualities else len(qualities)
        return METAS.index(self.meta), known, float("inf") if self.episodes is None else self.episodes


class Measured(NamedTuple):
    """One cell of one seed."""

    returns: dict[int, list[float]]  # steps -> return of each task, by modes
    drawn: list[float]  # of the last policies, with drawn actions
    alphas: dict[int, list[float]]  # steps -> mean, least and greatest α of the tasks


@dataclass(frozen=True)
class Group:
    """Cells with the same data, episodes and meta-policy, by setting and seed, and the policies beside them."""

    cells: dict[Setting, dict[int, Measured]] = field(default_factory=dict)
    references: dict[str, dict[int, list[float]]] = field(default_factory=dict)  # policy -> seed -> return of each task
    data_seeds: dict[int, int] = field(default_factory=dict)  # seed -> that of its data


def groups_of(content: Mapping[str, Any], family: str) -> dict[GroupName, Group]:
    """The groups of a family in the order of tables."""
    found: dict[GroupName, Group] = {}
    for unit in content["units"]:
        if unit["family"] != family:
            continue
        seed = unit["seed"]
        for cell in unit["cells"]:
            group = found.setdefault(GroupName(unit["quality"], unit.get("episodes"), cell["meta"]), Group())
            for name, values in (unit["references"] | unit["metas"][cell["meta"]]).items():
                group.references.setdefault(name, {})[seed] = values
            group.data_seeds[seed] = unit["data_seed"]
            setting = setting_of(cell)
            returns, alphas = (
                {int(step): values for step, values in cell.get(key, {}).items()} for key in ("returns", "alphas")
            )
            group.cells.setdefault(setting, {})[seed] = Measured(returns, cell["drawn"], alphas)
    return {name: _ordered(found[name]) for name in sorted(found, key=lambda name: name.place)}


def _ordered(group: Group) -> Group:
    cells = {setting: group.cells[setting] for setting in sorted(group.cells, key=lambda one: one.place)}
    return Group(cells, group.references, group.data_seeds)
