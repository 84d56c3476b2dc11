"""A figure of a paper as data: its arms on families of tasks, at several sizes, and what is claimed of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, Self, TypeAlias, TypeVar

from pydantic import Field, model_validator

from merpo.components.component import Settings
from merpo.errors import RecipeError, nearest
from merpo.recipe.sections import Quality
from merpo.reproduce.claim import ID, Claim

__all__ = ["Arm", "Family", "FamilyArm", "Figure", "Need", "Panel", "Size"]

Axis: TypeAlias = Literal["arms", "adaptation", "training"]
Overrides: TypeAlias = tuple[str, ...]
T = TypeVar("T")


def _overrides(what: str) -> Any:
    return Field((), max_length=200, description=f"KEY=VALUE {what}.")


class Size(Settings):
    """How large the runs of a family are."""

    name: str = Field(pattern=ID, description="Such as small or paper.")
    recipe: str = Field("", description="Instead of the family's recipe, for arms without one of their own.")
    set: Overrides = _overrides("of every arm")
    collect: Overrides = _overrides("of every need")
    minutes: float | None = Field(None, gt=0, le=1e7, description="An estimate: minutes of a run on one core.")
    machine: str = Field("", max_length=200, description="The machine of the estimate.")


class Need(Settings):
    """Data that is collected before anything runs; `{name}` in an override is its collection in the store."""

    name: str = Field(pattern=ID, description="Its name in overrides.")
    recipe: str = Field(min_length=1, description="The recipe whose data is collected.")
    set: Overrides = _overrides("of that recipe")
    qualities: tuple[Quality, ...] = Field(min_length=1, description="Qualities of the data.")


class FamilyArm(Settings):
    """What an arm has of its own on one family."""

    id: str = Field(pattern=ID, description="The arm's id.")
    recipe: str = Field("", description="Instead of the arm's recipe.")
    set: Overrides = _overrides("after the arm's")


class Family(Settings):
    """A family of tasks with the recipe from which its arms differ."""

    name: str = Field(pattern=ID, description="Its name for --family.")
    title: str = Field(min_length=1, max_length=100, description="Its name on pages.")
    recipe: str = Field(min_length=1, description="Recipe of every arm without one of its own.")
    set: Overrides = _overrides("of every arm")
    needs: tuple[Need, ...] = Field((), description="Data that is collected first.")
    arms: tuple[FamilyArm, ...] = Field((), description="What single arms have of their own here.")
    sizes: tuple[Size, ...] = Field(min_length=1, description="The sizes.")
    note: str = Field("", max_length=2000, description="What differs here, for readers of the page.")
    optional: bool = Field(False, description="Run only if it is asked for by --family.")

    def size(self, name: str) -> Size:
        """The size of a name; raises `RecipeError` for an unknown one."""
        return _found(self.sizes, name, f"--size: family {self.name} has", [size.name for size in self.sizes])


class Arm(Settings):
    """One recipe of a figure."""

    id: str = Field(pattern=ID, description="Its name in claims.")
    label: str = Field(min_length=1, max_length=80, description="Its name on pages and in legends.")
    recipe: str = Field("", description="Instead of the family's recipe.")
    set: Overrides = _overrides("of this arm")
    meta: str = Field("", description="The arm with whose meta-artifact, of the same seed, it begins.")
    families: tuple[str, ...] = Field((), description="The families that have it; all by default.")

    def of(self, family: str) -> bool:
        """Whether a family has this arm."""
        return not self.families or family in self.families


class Panel(Settings):
    """One panel of the picture."""

    title: str = Field(max_length=80, description="Its title.")
    arms: tuple[str, ...] = Field(min_length=1, description="Ids of the arms in it.")


class Figure(Settings):
    """A figure: arms, families, and the claims about it."""

    id: str = Field(pattern=ID, description="Its name, such as fig5.")
    title: str = Field(min_length=1, max_length=200, description="What it is about.")
    caption: str = Field("", max_length=2000, description="The paper's caption, word by word.")
    source: str = Field("", max_length=200, description="Where it stands.")
    note: str = Field("", max_length=2000, description="What differs here, for readers of the page.")
    not_yet: str = Field("", max_length=200, description="Why it cannot be run yet, such as: needs FOCAL.")
    seeds: tuple[int, int] = Field((0, 5), description="Seeds A to B - 1.")
    x: Axis = Field("arms", description="What the picture has on its horizontal axis.")
    panels: tuple[Panel, ...] = Field((), description="The picture's panels; one with all arms by default.")
    families: tuple[Family, ...] = Field((), description="The families.")
    arms: tuple[Arm, ...] = Field((), description="The arms.")
    claims: tuple[Claim, ...] = Field((), description="What the paper says.")

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        """Refuse names that nothing has, and names that two have."""
        families, arms = ([one.name for one in self.families], [one.id for one in self.arms])
        _unique("families", families)
        _unique("arms", arms)
        _unique("claims", [claim.id for claim in self.claims])
        for family in self.families:
            _unique(f"families.{family.name}.sizes", [size.name for size in family.sizes])
            _unique(f"families.{family.name}.needs", [need.name for need in family.needs])
            _known(f"families.{family.name}.arms", [one.id for one in family.arms], arms)
        for arm in self.arms:
            _known(f"arms.{arm.id}.families", arm.families, families)
        for panel in self.panels:
            _known(f"panels.{panel.title}.arms", panel.arms, arms)
        return self

    @model_validator(mode="after")
    def _known_in_claims(self) -> Self:
        """Refuse a claim that compares what a family does not have."""
        for claim in self.claims:
            place = f"claims.{claim.id}"
            _known(f"{place}.families", claim.families, [one.name for one in self.families])
            for family in (one.name for one in self.families if claim.of(one.name)):
                there = [arm.id for arm in self.arms if arm.of(family)]
                _known(f"{place} on {family}", (*claim.first, *claim.second), there)
                if isinstance(claim.margin, dict) and family not in claim.margin:
                    raise ValueError(f"{place}.margin: none for family {family!r}, expected one for each family")
        return self

    @model_validator(mode="after")
    def _meta_arms_stand_alone(self) -> Self:
        """Refuse an arm that begins with the meta-artifact of one that has none of its own on that family."""
        for arm in self.arms:
            for family in (one.name for one in self.families if arm.meta and arm.of(one.name)):
                there = [other.id for other in self.arms if other.of(family) and not other.meta]
                _known(f"arms.{arm.id}.meta on {family}", [arm.meta], there)
        if bool(self.not_yet) == bool(self.arms and self.families):
            raise ValueError("expected arms and families, or not_yet with the reason why there are none")
        if not self.seeds[0] < self.seeds[1]:
            raise ValueError(f"seeds: got {list(self.seeds)}, expected the first and one more than the last")
        return self

    def family(self, name: str) -> Family:
        """The family of a name; raises `RecipeError` for an unknown one."""
        return _found(self.families, name, f"--family: {self.id} has", [family.name for family in self.families])

    def arms_of(self, family: str) -> list[Arm]:
        """The arms that a family has."""
        return [arm for arm in self.arms if arm.of(family)]

    def claims_of(self, family: str) -> list[Claim]:
        """The claims that are checked on a family."""
        return [claim for claim in self.claims if claim.of(family)]


def _found(values: Sequence[T], name: str, place: str, names: Sequence[str]) -> T:
    if name in names:
        return values[names.index(name)]
    raise RecipeError(f"{place} no {name!r:.60}{nearest(name[:60], names)}, expected one of: {', '.join(names)}")


def _unique(place: str, names: Sequence[str]) -> None:
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"{place}: {twice[0]!r} is there twice, expected different names")


def _known(place: str, names: Iterable[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(
                f"{place}: got {name!r:.60}{nearest(name[:60], known)}, expected one of: {', '.join(known)}"
            )
