"""A recipe states every choice of a run: components by name, and the core's own sections. It is data, never code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from merpo.components.component import Settings, tuples
from merpo.components.describe import holds
from merpo.components.interfaces import Method, TaskFamily, can_draw
from merpo.recipe.errors import concrete, recipe_error
from merpo.recipe.extends import read_tables
from merpo.recipe.requirements import requirement_problem
from merpo.recipe.sections import CollectSettings, PolicyKind
from merpo.recipe.sources import parse_source
from merpo.recipe.text import apply_overrides

__all__ = [
    "DataSection",
    "EvaluateSection",
    "Quality",
    "Recipe",
    "RunSection",
    "from_tables",
    "load_recipe",
    "recipe_schema",
    "resolved",
    "to_toml",
]

Quality = Literal["random", "medium", "expert", "mixed"]


class DataSection(Settings):
    """Which offline data: the store's or Minari's by name, or how much is collected from which behaviour policies."""

    quality: Quality = Field("medium", description="Behaviour policies of the data (A.2.2).")
    test_quality: Quality | None = Field(None, description="Quality of the unseen tasks' data, if another.")
    train_tasks: int = Field(40, ge=1, le=100_000, description="Tasks for meta-training (Table 2).")
    test_tasks: int = Field(10, ge=1, le=100_000, description="Unseen tasks (Table 2).")
    episodes: int = Field(200, ge=1, le=1_000_000, description="Episodes per task (A.2.2).")
    store: str | None = Field(
        None, pattern="^[a-z0-9][a-z0-9-]{0,63}$", description="A name that keeps this data apart in the store."
    )
    train: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        max_length=100_000,
        description='Data for meta-training by name, such as "store:pumps", "store:pumps/pump-[0-6]" or '
        '"minari:D4RL/door/human-v2"; then nothing is collected, and the fields above are not used.',
    )
    test: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        max_length=100_000,
        description="Data of the unseen tasks by name, with `train`; alone where the method learns from no training "
        "task.",
    )
    normalize_observations: bool = Field(
        False,
        description="Whether everything inside sees observations less their mean, in units of their standard "
        "deviation, both those of the training tasks' data; D4RL's offline methods often do.",
    )

    @field_validator("train", "test")
    @classmethod
    def _sources(cls, texts: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for text in texts or ():
            parse_source(text)
        return texts

    @model_validator(mode="after")
    def _not_train_alone(self) -> Self:
        if self.train is not None and self.test is None:
            raise ValueError("train is given and test is not, expected both or neither")
        return self

    @property
    def named(self) -> bool:
        """Whether data is named, and none collected."""
        return self.test is not None


class EvaluateSection(Settings):
    """How policies are measured in the true environments."""

    episodes: int = Field(1, ge=1, le=100_000, description="Episodes per task and policy.")
    policy: PolicyKind = Field(
        "deterministic", description="A policy's most likely actions, or actions drawn from it, by the run's seed."
    )
    videos: int = Field(
        2,
        ge=0,
        le=10_000,
        description="Unseen tasks of which an episode of every policy is filmed; 0: none. It needs `merpo[video]`.",
    )
    during_training: int = Field(10, ge=0, le=10_000, description="Evaluations on unseen tasks during meta-training.")
    snapshots: tuple[int, ...] = Field(
        (0, 10, 25, 50, 100), max_length=100, description="Adaptation steps after which the adapted policy is measured."
    )

    @field_validator("snapshots")
    @classmethod
    def _rising(cls, steps: tuple[int, ...]) -> tuple[int, ...]:
        if any(step < 0 for step in steps) or list(steps) != sorted(set(steps)):
            raise ValueError(f"got {list(steps)}, expected rising integers >= 0")
        return steps


class RunSection(Settings):
    """How a run is carried out; nothing here changes what is computed, but for rounding with other threads."""

    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes a GPU if there is one.")
    threads: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="PyTorch's threads; its own choice if absent. Small networks need but one.",
    )
    workers: int = Field(
        1,
        ge=1,
        le=1024,
        description="Threads that share out the tasks, each with one thread of PyTorch's; better than several of those "
        "on a machine that others use too.",
    )
    log_every: int = Field(10, ge=1, le=1_000_000, description="Steps between two lines of metrics.")
    checkpoint_every: float = Field(
        60.0,
        ge=0,
        le=1e6,
        description="Seconds between two checkpoints; more, where they would take over 1 % of the time; 0: every step.",
    )
    tensorboard: bool = Field(True, description="Write TensorBoard scalars too, if tensorboard is installed.")


def _section(description: str) -> Any:
    """A field that holds one of the sections above, by default with its defaults."""
    return Field(default={}, description=description)


class Recipe(Settings):
    """Everything that determines a run."""

    title: str = Field(min_length=1, max_length=200, description="One line that says what the recipe is for.")
    description: str = Field("", max_length=10_000, description="More about it.")
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of everything random.")
    requires: tuple[str, ...] = Field((), max_length=100, description='Plugins needed, such as "merpo-foo>=0.2".')
    tasks: TaskFamily = Field(description="The family of tasks.")
    data: DataSection = _section("The offline data.")
    collect: CollectSettings = _section("How that data is made where the store lacks it.")
    method: Method = Field(description="The algorithm.")
    evaluate: EvaluateSection = _section("How policies are measured.")
    run: RunSection = _section("How the run is carried out.")

    @field_validator("requires")
    @classmethod
    def _installed(cls, requirements: tuple[str, ...]) -> tuple[str, ...]:
        problems = [problem for text in requirements if (problem := requirement_problem(text))]
        if problems:
            raise ValueError("; ".join(problems))
        return requirements

    @model_validator(mode="after")
    def _can_draw(self) -> Self:
        """Before anything is trained, not when it is measured."""
        if self.evaluate.policy == "stochastic" and not can_draw(self.method):
            raise ValueError(
                f"evaluate.policy: got 'stochastic', but method {self.method.name!r} has deterministic policies only; "
                "expected 'deterministic'"
            )
        return self

    @model_validator(mode="after")
    def _has_data(self) -> Self:
        """Nothing can be learnt without data, nor collected without an environment."""
        if self.data.named and self.data.train is None and self.method.learns_from_tasks:
            raise ValueError(
                f"data.train: missing, expected names of data as in data.test: method {self.method.name!r} learns from "
                "training tasks"
            )
        if not self.tasks.has_environment and not self.data.named:
            raise ValueError(
                f"data.train: missing, expected names of data such as ['store:pumps'], as {self.tasks.name} has no "
                "environment to collect from"
            )
        return self


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in a TOML file, with `key.path=value` overrides. Raises RecipeError that lists every problem."""
    tables = read_tables(Path(path))
    apply_overrides(tables, overrides)
    return from_tables(tables, str(path))


def from_tables(tables: Mapping[str, Any], place: str = "recipe") -> Recipe:
    """The recipe in plain dicts and lists; `place` begins each line of the RecipeError."""
    filled = tuples(_with_default_components(Recipe, tables))
    try:
        return Recipe.model_validate(filled)
    except ValidationError as error:
        raise recipe_error(error, place, Recipe, filled) from None


def resolved(recipe: Recipe) -> dict[str, Any]:
    """Every value of a recipe as plain dicts and lists. What is absent (None) is left out: TOML lacks a word for it."""
    plain: dict[str, Any] = _plain(recipe.model_dump())
    return plain


def to_toml(recipe: Recipe) -> str:
    """Every value of a recipe as TOML; loading it gives an equal recipe."""
    import tomli_w

    return tomli_w.dumps(resolved(recipe))


def recipe_schema() -> dict[str, Any]:
    """The JSON schema of recipes with the installed components, for editors."""
    schema = Recipe.model_json_schema()
    extends = {
        "type": "string",
        "pattern": r"\.toml$",
        "description": "A recipe of which this one states the differences.",
    }
    schema["properties"]["extends"] = extends
    schema["anyOf"] = [{"required": schema.pop("required")}, {"required": ["extends"]}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "merpo recipe"}


def _with_default_components(model: type[BaseModel], tables: Mapping[str, Any]) -> dict[str, Any]:
    """`tables` in which a section without `component` changes the default one: `[method.alpha] initial = 0.3`."""
    filled = dict(tables)
    for name, field in model.model_fields.items():
        value, held = filled.get(name), holds(field.annotation)
        if held is None or not isinstance(value, Mapping):
            continue
        if isinstance(field.default, Mapping) and "component" in field.default and "component" not in value:
            value = {**field.default, **value}
        below = concrete(held, value)
        filled[name] = _with_default_components(below, value) if below else value
    return filled


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
