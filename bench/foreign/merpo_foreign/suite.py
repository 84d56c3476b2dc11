"""The suite: which families, how many tasks, and the logs of each family and quality, the same on every call."""

from __future__ import annotations

from collections.abc import Sequence

from merpo.data.dataset import TaskDataset
from merpo_foreign.arm import Arm
from merpo_foreign.battery import Battery
from merpo_foreign.cart import Cart
from merpo_foreign.heating import Heating
from merpo_foreign.inventory import Inventory
from merpo_foreign.logs import log
from merpo_foreign.reservoir import Reservoir
from merpo_foreign.simulated import Simulated
from merpo_foreign.stage import Stage
from merpo_foreign.vehicle import Vehicle

__all__ = ["DEVELOPMENT", "FAMILIES", "QUALITIES", "REPORTING", "TEST", "TRAIN", "family", "suite_logs"]

DEVELOPMENT: tuple[type[Simulated], ...] = (Heating, Cart, Stage, Battery)  # merpo's constants are chosen on these
REPORTING: tuple[type[Simulated], ...] = (Reservoir, Arm, Vehicle, Inventory)  # no constant is chosen on these
FAMILIES = (*DEVELOPMENT, *REPORTING)
QUALITIES = ("medium", "poor", "good")
TRAIN, TEST = 12, 4  # tasks
SHARES = (0.25, 0.5, 0.75, 1.0)  # of the episodes of a training task, of the unseen tasks
FEWEST, MOST = 5, 40  # episodes of an unseen task


def family(name: str) -> Simulated:
    """A family of the suite by its name, with or without `foreign-`."""
    return next(cls() for cls in FAMILIES if cls.name.removeprefix("foreign-") == name.removeprefix("foreign-"))


def suite_logs(
    family: Simulated, quality: str, train: int = TRAIN, test: int = TEST
) -> tuple[list[TaskDataset], list[TaskDataset]]:
    """The logs of the training tasks and of the unseen tasks, of which some have few episodes."""
    seen, unseen = family.tasks(train, test)
    fewer = [max(FEWEST, round(min(MOST, family.episodes) * SHARES[i % len(SHARES)])) for i in range(test)]
    return (
        _logs(family, quality, seen, [family.episodes] * train, "train"),
        _logs(family, quality, unseen, fewer, "test"),
    )


def _logs(
    family: Simulated, quality: str, tasks: Sequence[dict[str, object]], episodes: Sequence[int], part: str
) -> list[TaskDataset]:
    first = [family.seed, sorted(family.controllers).index(quality), int(part == "test")]
    return [
        log(family, task, family.controllers[quality], count, [*first, i], f"{part}-{i:02d}")
        for i, (task, count) in enumerate(zip(tasks, episodes, strict=True))
    ]
