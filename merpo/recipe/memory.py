"""The memory that a recipe needs at least, from the sizes that it states: told before anything is allocated.

It counts what is certain: parameters and Adam's two moments of every task's networks, rows of data and buffers, batches
and the outputs of layers. Sizes are found by the names of fields, as in tables of results: `hidden` and `policy_hidden`
are widths, `members` and `critics` numbers of networks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from merpo.errors import MerpoError
from merpo.recipe.recipe import Recipe
from merpo.support.format import bytes_text
from merpo.support.machine import available_memory
from merpo.types import Spec

__all__ = ["Needed", "check_memory", "lacking_memory", "needed_memory"]

FLOAT = 4  # bytes
TRAINED = 3  # a network that is trained has its parameters and Adam's two moments
ENVIRONMENT = 1000  # bytes of one environment, at least
SHOWN = 3  # of the largest parts


class Needed(NamedTuple):
    """Bytes by what needs them: keys of the recipe."""

    parts: dict[str, int]

    @property
    def total(self) -> int:
        """Bytes of all parts."""
        return sum(self.parts.values())

    def __str__(self) -> str:
        largest = sorted(self.parts, key=lambda key: -self.parts[key])[:SHOWN]
        named = ", ".join(f"{key} {bytes_text(self.parts[key])}" for key in largest if self.parts[key] > 0)
        return f"at least {bytes_text(self.total)} of memory ({named})"


def needed_memory(recipe: Recipe, train: int, unseen: int, rows: int = 0, collects: bool = False) -> Needed:
    """The memory of the stage that needs most, for so many training and unseen tasks with so many `rows` of data."""
    stages = [_adaptation(recipe, unseen), _evaluation(recipe, unseen)]
    if recipe.method.learns_from_tasks and train:
        stages.append(_meta_training(recipe, train))
    if collects:
        stages.append(_collection(recipe, train + unseen))
    most = max(stages, key=lambda parts: sum(parts.values()))
    return Needed({**most, "data": rows * _row(recipe)})


def lacking_memory(recipe: Recipe) -> str:
    """What a recipe needs that this machine does not have; empty if it has it, or if sizes depend on named data."""
    named = recipe.data.named
    sizes = (len(recipe.data.train or ()), len(recipe.data.test or ())) if named else _sizes(recipe)
    try:
        check_memory(needed_memory(recipe, *sizes, collects=not named), available_memory())
    except MerpoError as error:
        return str(error)
    return ""


def _sizes(recipe: Recipe) -> tuple[int, int]:
    return recipe.data.train_tasks, recipe.data.test_tasks


def check_memory(needed: Needed, available: int | None) -> None:
    """Raise `MerpoError` if a machine with so many bytes does not have what is needed."""
    if available is not None and needed.total > available:
        raise MerpoError(f"the recipe needs {needed}, {bytes_text(available)} are available; reduce these sizes")


def _meta_training(recipe: Recipe, tasks: int) -> dict[str, int]:
    """Every task's networks and buffer, if they persist, else those of a batch of tasks."""
    policy = _section(recipe.method.model_dump(), "meta_policy")
    batch = min(tasks, int(policy.get("task_batch", 1)))
    return _learning(recipe, tasks if policy.get("task_networks") == "persistent" else batch, batch)


def _adaptation(recipe: Recipe, tasks: int) -> dict[str, int]:
    """All unseen tasks are adapted to at once."""
    return _learning(recipe, tasks, tasks)


def _learning(recipe: Recipe, held: int, batch: int) -> dict[str, int]:
    """The networks of `held` tasks, and batches of rows for `batch` of them."""
    method = recipe.method.model_dump()
    rac = _section(method, "rac")
    model = _section(method, "dynamics") if rac.get("use_model", True) else {}
    parts = {"method": TRAINED * _network(recipe, method, "hidden")}
    for name, section, key in (
        ("method.critic", _section(method, "critic"), "hidden"),
        ("method.dynamics", model, "hidden"),
        ("method.behavior", _section(method, "behavior"), "hidden"),
        ("method.rac.policy_hidden", rac, "policy_hidden"),
    ):
        rows = _rows_of(name, method)
        outputs = rows * _copies(section) * sum(_widths(section, key)) * FLOAT
        parts[name] = held * TRAINED * _network(recipe, section, key) + batch * outputs
    if model:
        parts["method.rac.model_buffer"] = held * int(rac.get("model_buffer", 0)) * _row(recipe)
        parts["method.rac.rollout_batch"] = batch * int(rac.get("rollout_batch", 0)) * _row(recipe)
    parts["method.rac.batch_size"] = batch * int(rac.get("batch_size", 0)) * _row(recipe)
    return parts


def _rows_of(name: str, method: Mapping[str, Any]) -> int:
    """The rows of a task's batch that go through a network."""
    source = {"method.behavior": "behavior", "method.dynamics": "model" if "model" in method else "meta_model"}
    return int(_section(method, source.get(name, "rac")).get("batch_size", 0))


def _collection(recipe: Recipe, tasks: int) -> dict[str, int]:
    """SAC of all tasks at once, whose policies are kept, and the episodes of one quality."""
    settings = recipe.collect
    widths = {"hidden": settings.hidden}
    policy, critic = (_network(recipe, {**widths, "critics": n}, "hidden") for n in (1, 2))
    episodes = recipe.data.episodes * (0 if _spec(recipe).terminated else recipe.tasks.horizon)
    return {
        "collect.steps": tasks * settings.steps * _row(recipe),
        "collect.hidden": tasks * TRAINED * (policy + critic),
        "collect.checkpoint_every": tasks * settings.kept_policies() * policy,
        "collect.batch_size": tasks * settings.batch_size * (_row(recipe) + sum(settings.hidden) * FLOAT),
        "data.episodes": tasks * (episodes * _row(recipe) + recipe.data.episodes * ENVIRONMENT),
    }


def _evaluation(recipe: Recipe, tasks: int) -> dict[str, int]:
    return {"evaluate.episodes": tasks * recipe.evaluate.episodes * ENVIRONMENT * recipe.tasks.has_environment}


def _spec(recipe: Recipe) -> Spec:
    """The tasks' spec; the smallest there is where a family cannot tell before a run."""
    try:
        return recipe.tasks.spec()
    except Exception:  # noqa: BLE001 - whatever a plugin raises, a run will say it
        return Spec(1, 1)


def _row(recipe: Recipe) -> int:
    """Bytes of one transition."""
    spec = _spec(recipe)
    return FLOAT * (2 * spec.observation_dim + spec.action_dim + 2)


def _network(recipe: Recipe, section: Mapping[str, Any], key: str) -> int:
    """Bytes of a section's networks, from observations to a number; 0 if it states no widths."""
    widths = list(_widths(section, key))
    if not widths:
        return 0
    sizes = [_spec(recipe).observation_dim, *widths, 1]
    return FLOAT * _copies(section) * sum((one + 1) * other for one, other in pairwise(sizes))


def _copies(section: Mapping[str, Any]) -> int:
    """The number of networks of one task."""
    return int(section.get("members", 1)) * int(section.get("critics", 1))


def _widths(section: Mapping[str, Any], key: str) -> Iterator[int]:
    found = section.get(key)
    return (int(width) for width in (found if isinstance(found, Sequence) else ()))


def _section(tables: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = tables.get(key)
    return found if isinstance(found, Mapping) else {}
