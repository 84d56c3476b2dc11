"""The recipe: every setting of a run as validated data, with components by name and the core's own sections."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from merpo.components.component import Settings, tuples
from merpo.components.describe import nested_model
from merpo.components.interfaces import Method, TaskFamily, can_draw
from merpo.recipe.errors import concrete, recipe_error
from merpo.recipe.extends import read_tables
from merpo.recipe.sections import CollectSettings, DataSection, EvaluateSection, RunSection
from merpo.recipe.text import apply_overrides

__all__ = ["Recipe", "from_tables", "load_recipe", "recipe_schema", "requirement_problem", "resolved", "to_toml"]


def _section(description: str) -> Any:
    """A field for one of the recipe's sections, with the section's defaults as its default."""
    return Field(default={}, description=description)


class Recipe(Settings):
    """All settings that determine a run."""

    title: str = Field(min_length=1, max_length=200, description="The recipe's purpose in one line.")
    description: str = Field("", max_length=10_000, description="A longer description.")
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of all random numbers.")
    requires: tuple[str, ...] = Field((), max_length=100, description='Required plugins, such as "merpo-foo>=0.2".')
    tasks: TaskFamily = Field(description="The task family.")
    data: DataSection = _section("The offline data.")
    collect: CollectSettings = _section("How data that the store lacks is collected.")
    method: Method = Field(description="The algorithm.")
    evaluate: EvaluateSection = _section("How policies are evaluated.")
    run: RunSection = _section("How the run is executed.")

    @field_validator("title")
    @classmethod
    def _in_one_line(cls, title: str) -> str:
        """Refuse a title with line breaks, of which one could look like another line of a command's output."""
        if title.splitlines() != [title]:
            raise ValueError(f"got {title[:80]!r}, expected one line")
        return title

    @field_validator("requires")
    @classmethod
    def _installed(cls, requirements: tuple[str, ...]) -> tuple[str, ...]:
        problems = [problem for text in requirements if (problem := requirement_problem(text))]
        if problems:
            raise ValueError("; ".join(problems))
        return requirements

    @model_validator(mode="after")
    def _can_draw(self) -> Self:
        """Refuse `evaluate.policy = "stochastic"` before training if the method cannot sample actions."""
        if self.evaluate.policy == "stochastic" and not can_draw(self.method):
            raise ValueError(
                f"evaluate.policy: got 'stochastic', but method {self.method.name!r} has deterministic policies only; "
                "expected 'deterministic'"
            )
        return self

    @model_validator(mode="after")
    def _has_data(self) -> Self:
        """Require named data if the method needs training tasks without them, or the tasks have no environment."""
        if self.data.named and self.data.train is None and self.method.learns_from_tasks:
            raise ValueError(
                f"data.train: missing, expected names of datasets as in data.test: method {self.method.name!r} learns "
                "from training tasks"
            )
        if not self.tasks.has_environment and not self.data.named:
            raise ValueError(
                f"data.train: missing, expected names of datasets such as ['store:pumps'], as {self.tasks.name} has no "
                "environment to collect from"
            )
        return self


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in a TOML file, with `key.path=value` overrides; raises `RecipeError` that lists every problem."""
    tables = read_tables(Path(path))
    apply_overrides(tables, overrides)
    return from_tables(tables, str(path))


def from_tables(tables: Mapping[str, Any], place: str = "recipe") -> Recipe:
    """The recipe from plain dicts and lists; each line of a `RecipeError` begins with `place`."""
    filled = tuples(_with_default_components(Recipe, tables))
    try:
        return Recipe.model_validate(filled)
    except ValidationError as error:
        raise recipe_error(error, place, Recipe, filled) from None


def resolved(recipe: Recipe) -> dict[str, Any]:
    """Every value of a recipe as plain dicts and lists; None is left out, as TOML has no null."""
    plain: dict[str, Any] = _plain(recipe.model_dump())
    return plain


def to_toml(recipe: Recipe) -> str:
    """Every value of a recipe as TOML text, from which an equal recipe can be loaded."""
    import tomli_w

    return tomli_w.dumps(resolved(recipe))


def recipe_schema() -> dict[str, Any]:
    """The JSON schema of recipes with the installed components, for editors."""
    schema = Recipe.model_json_schema()
    extends = {
        "type": "string",
        "pattern": r"\.toml$|^[a-z0-9_/]+$",
        "description": "The base recipe, by its path, or by its name if it ships with merpo; this one states only the "
        "values that differ.",
    }
    schema["properties"]["extends"] = extends
    schema["anyOf"] = [{"required": schema.pop("required")}, {"required": ["extends"]}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "merpo recipe"}


def _with_default_components(model: type[BaseModel], tables: Mapping[str, Any]) -> dict[str, Any]:
    """`tables` with default components filled in where a section names none, e.g. `[method.alpha] initial = 0.3`."""
    filled = dict(tables)
    for name, field in model.model_fields.items():
        value, held = filled.get(name), nested_model(field.annotation)
        if held is None or not isinstance(value, Mapping):
            continue
        if isinstance(field.default, Mapping) and "component" in field.default and "component" not in value:
            value = {**field.default, **value}
        section = concrete(held, value)
        filled[name] = _with_default_components(section, value) if section else value
    return filled


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def requirement_problem(text: str) -> str:
    """The reason why the installed distributions do not meet a requirement, empty if they do."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.version import InvalidVersion

    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return f"{text[:80]!r} is not a requirement, expected one such as 'merpo-foo>=0.2'"
    if requirement.url or requirement.extras:
        return f"{text[:80]!r} has a URL or extras, expected a name and versions such as 'merpo-foo>=0.2'"
    if requirement.marker is not None and not requirement.marker.evaluate():
        return ""
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return f"{requirement.name} is not installed, expected {text[:80]!r}"
    try:
        met = requirement.specifier.contains(version, prereleases=True)
    except InvalidVersion:
        met = False
    return "" if met else f"{requirement.name} {version} is installed, expected {text[:80]!r}"
