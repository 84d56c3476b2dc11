"""The grid as data: families, and which cells are measured on which data with how many episodes per unseen task.

A *job* is a run (a family, a quality of data and a seed) with its units; a *unit* has the run's unseen tasks with some
of their episodes; a *cell* is a unit, a meta-policy and a setting of the regularizers.

The whole product of the axes would be 1,440 adaptations of one family and seed; there are 98. What is left out:

- λ 0.3 and 30 are measured with α 0.4 alone: how the two terms are balanced matters most at their usual weight.
- A mirrored or an untrained meta-policy is measured with little and with all data of medium quality: between them is a
  matter of degree, and other data changes what the behaviour policy is worth, not the meta-policy.
- Other data is measured with the trained meta-policy, with little and with all data, and with those settings that tell
  apart what each of the two terms is worth.
- Families other than the main one ask whether what is found there holds elsewhere: little and all data, four settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "FAMILIES",
    "FOREIGN",
    "METAS",
    "TASKS",
    "Block",
    "Cell",
    "Family",
    "Job",
    "Setting",
    "Unit",
    "jobs",
    "tiny",
]

TASKS = 2026  # seed of the tasks: goals and winds other than those that the recipes were tuned on (1337, 11)
METAS = ("trained", "mirrored", "untrained")
ALPHAS = ("adaptive", "relative")  # schedulers of α; they begin with the meta-learnt α, about 0.4


class Setting(NamedTuple):
    """λ, and α as a number or by a scheduler's name; without λ there is no α."""

    lambda_: float
    alpha: float | str | None = None

    @property
    def label(self) -> str:
        """As in tables."""
        if self.alpha is None:
            return f"λ = {self.lambda_:g}"
        return f"λ = {self.lambda_:g}, α {self.alpha if isinstance(self.alpha, str) else f'= {self.alpha:g}'}"

    @property
    def key(self) -> str:
        """As in files and their names."""
        if self.alpha is None:
            return f"lambda-{self.lambda_:g}"
        return f"lambda-{self.lambda_:g}-alpha-{self.alpha if isinstance(self.alpha, str) else f'{self.alpha:g}'}"

    @property
    def overrides(self) -> tuple[str, ...]:
        """Of the recipe, KEY=VALUE."""
        lambda_ = f"method.rac.lambda_initial={self.lambda_!r}"
        if self.alpha is None:
            return (lambda_,)
        if isinstance(self.alpha, str):
            return (lambda_, f'method.alpha={{component="{self.alpha}"}}')
        return (lambda_, f"method.adaptation.alpha={self.alpha!r}")

    @property
    def place(self) -> tuple[float, float]:
        """The place in tables: by λ, then by α, with the schedulers between 0.4, where they begin, and 0.6."""
        if isinstance(self.alpha, str):
            return self.lambda_, 0.41 + 0.01 * ALPHAS.index(self.alpha)
        return self.lambda_, -1.0 if self.alpha is None else self.alpha


class Cell(NamedTuple):
    """A meta-policy and a setting, on a unit."""

    meta: str
    setting: Setting

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.meta}-{self.setting.key}"


class Block(NamedTuple):
    """Cells: every quality × number of episodes × meta-policy × setting of it."""

    qualities: tuple[str, ...]
    metas: tuple[str, ...]
    episodes: tuple[int | None, ...]  # per unseen task; None: all
    settings: tuple[Setting, ...]


@dataclass(frozen=True)
class Family:
    """A family of tasks: its recipe, the steps after which policies are measured, and its blocks of cells."""

    name: str
    title: str
    recipe: str
    settings: tuple[str, ...]  # of the recipe, KEY=VALUE
    steps: tuple[int, ...]  # the last is the recipe's adaptation.steps
    usual: Setting  # which the others are compared with
    blocks: tuple[Block, ...]
    mirror: tuple[int, int] = (1, 1)  # the dims of observation and action that a mirrored policy turns around
    collected: bool = True  # or the data is there once, whatever the seed

    @property
    def qualities(self) -> list[str]:
        """All of them, each once."""
        return list(dict.fromkeys(quality for block in self.blocks for quality in block.qualities))

    def units(self, quality: str) -> list[Unit]:
        """The units of a run on data of a quality, in the order in which they are measured."""
        cells: dict[int | None, dict[Cell, None]] = {}
        for block in self.blocks:
            if quality in block.qualities:
                for episodes in block.episodes:
                    own = (Cell(meta, setting) for meta, setting in product(block.metas, block.settings))
                    cells.setdefault(episodes, {}).update(dict.fromkeys(own))
        return [Unit(episodes, tuple(own)) for episodes, own in cells.items()]


class Unit(NamedTuple):
    """Cells that share the unseen tasks' data: some episodes of each task, or all (None)."""

    episodes: int | None
    cells: tuple[Cell, ...]

    @property
    def name(self) -> str:
        """Of its folder."""
        return "episodes-all" if self.episodes is None else f"episodes-{self.episodes}"


class Job(NamedTuple):
    """A run, and the cells that are measured with its meta-artifact."""

    family: Family
    quality: str
    seed: int  # of meta-training and adaptation
    data_seed: int  # of collection
    folder: Path  # of all runs
    overrides: tuple[str, ...] = ()  # of every recipe

    @property
    def name(self) -> str:
        """In messages."""
        return f"{self.family.name} {self.quality}, seed {self.seed}"

    @property
    def run(self) -> Path:
        """The run's folder."""
        return self.folder / f"{self.family.name}-{self.quality}" / f"seed-{self.seed}"

    @property
    def units(self) -> list[Unit]:
        """The units of this run."""
        return self.family.units(self.quality)

    @property
    def settings(self) -> tuple[str, ...]:
        """Of the run's recipe, KEY=VALUE."""
        data = (f"data.quality={self.quality}", f"collect.seed={self.data_seed}") if self.family.collected else ()
        return (*data, *self.family.settings, *self.overrides)

    def place(self, unit: Unit) -> Path:
        """The folder of a unit."""
        return self.run.with_name(f"{self.run.name}-cells") / unit.name

    def file(self, unit: Unit, cell: Cell) -> Path:
        """The file of a cell."""
        return self.place(unit) / f"{cell.name}.json"

    def missing(self) -> list[tuple[Unit, Cell]]:
        """The cells without a file."""
        every = ((unit, cell) for unit in self.units for cell in unit.cells)
        return [(unit, cell) for unit, cell in every if not self.file(unit, cell).is_file()]


def _settings(lambda_: float, *alphas: float | str) -> tuple[Setting, ...]:
    return tuple(Setting(lambda_, alpha) for alpha in alphas)


ZERO = (Setting(0.0),)  # no regularizer
FEW = (*ZERO, *_settings(3.0, 0.0, 0.4, 1.0))

WIND = Family(
    "point-robot-wind",
    "Point-Robot-Wind, goals on the semicircle",
    "merpo_adp",
    (f"tasks.seed={TASKS}",),
    (100, 300, 1000, 2000),
    Setting(3.0, 0.4),
    (
        Block(
            ("medium",),
            ("trained",),
            (2, 200, 1, 5, 20),
            (
                *ZERO,
                *_settings(3.0, 0.4, 0.0, 1.0, "adaptive", "relative", 0.2, 0.6),
                *_settings(0.3, 0.4),
                *_settings(30.0, 0.4),
            ),
        ),
        Block(
            ("medium",),
            ("mirrored", "untrained"),
            (2, 200),
            (*ZERO, *_settings(3.0, 0.4, 0.0, 1.0, "adaptive"), *_settings(30.0, 0.4)),
        ),
        Block(("random", "expert", "mixed"), ("trained",), (2, 200), FEW),
    ),
)
SPARSE = Family(
    "sparse-point-robot",
    "Sparse-Point-Robot",
    "sparse_point_robot",
    (f"tasks.seed={TASKS}", "data.test_tasks=20"),
    (60, 75, 100),  # the first 50 steps train the critic alone
    Setting(3.0, 0.4),
    (Block(("medium",), ("trained",), (2, 200), FEW),),
)


def _foreign(name: str, title: str) -> Family:
    """A family of bench/foreign with its medium logs; λ is relative, 0.5 the default."""
    logs = f"store:foreign-{name}-medium"
    settings = (
        f'tasks={{component="foreign-{name}"}}',
        f'data={{train=["{logs}/train-*"], test=["{logs}/test-*"]}}',
        "evaluate.episodes=20",
    )
    cells = (*ZERO, *_settings(0.5, "adaptive", 0.0, 1.0))
    blocks = (Block(("medium",), ("trained",), (2, None), cells),)
    usual = Setting(0.5, "adaptive")
    steps = (100, 300, 1000, 2000, 5000)
    return Family(name, title, "your_data", settings, steps, usual, blocks, collected=False)


FOREIGN = ("heating", "cart")  # which need `pip install -e bench/foreign`
FAMILIES = {
    family.name: family
    for family in (
        WIND,
        SPARSE,
        _foreign("heating", "Heated buildings (logs of bench/foreign)"),
        _foreign("cart", "Carts with a pole (logs of bench/foreign)"),
    )
}


def tiny(family: Family) -> Family:
    """The same family with the fewest units and steps, for a trial run."""
    block = family.blocks[0]
    first = replace(family, steps=(1, 2, 3), blocks=(block._replace(episodes=(1, 4)), *family.blocks[1:2]))
    return replace(first, blocks=(first.blocks[0], *(other._replace(episodes=(1,)) for other in first.blocks[1:])))


def jobs(
    families: Sequence[Family], seeds: int, data_seeds: int, folder: Path, overrides: Sequence[str] = ()
) -> Iterator[Job]:
    """Every run, in an order of which each beginning is useful: all of a seed before the next seed."""
    for seed in range(seeds):
        for family in families:
            for quality in family.qualities:
                data = seed % data_seeds if family.collected else 0
                yield Job(family, quality, seed, data, folder, tuple(overrides))
