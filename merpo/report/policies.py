"""The policies that reports compare, as keys of one table; whatever shows or stores them iterates over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, SerializerFunctionWrapHandler, model_serializer, model_validator

from merpo.recipe.sections import PolicyKind

__all__ = [
    "POLICIES",
    "PerPolicy",
    "ReportedPolicy",
    "from_flat",
    "in_order",
    "key_of",
    "stored_fields",
    "to_flat",
    "variants",
]

T = TypeVar("T")


class ReportedPolicy(NamedTuple):
    """A policy of reports: how it is named and drawn, and what else than its mean return is reported."""

    label: str  # in column heads and legends
    row: str  # in tables of means
    baseline: str = ""  # its name in "adaptation gains 1.00 over …"; empty: the adapted policies are not compared to it
    counted: str = ""  # its name in "worse than the … on 2 tasks"; empty: these tasks are not counted
    gap: str = ""  # its name in "gap closed by the …"; empty: its share of the gap to the oracle is not reported
    scored: bool = False  # whether its normalised scores are reported
    in_training: bool = False  # whether it is measured during meta-training, too
    level: bool = True  # whether its mean return is a horizontal line in figures of returns over steps
    path: bool = True  # whether videos and a figure of the plane show its way
    acts: PolicyKind | None = None  # how it always acts; None: as the recipe says of all policies
    color: str = "#000000"
    marker: str = "D"


# Key in reports -> the policy, in the order of every table and legend. Colours are Okabe and Ito's.
POLICIES: dict[str, ReportedPolicy] = {
    "behavior": ReportedPolicy(  # the data's episodes, in which actions were drawn
        "behaviour",
        "behaviour policies",
        baseline="the behaviour policies",
        counted="behaviour policy",
        scored=True,
        color="#8a8a8a",
        marker="s",
    ),
    "behavior_mode": ReportedPolicy(  # the same policies by their modes, where the adapted ones are measured so, too
        "behaviour's mode",
        "behaviour policies by their modes",
        baseline="their modes",
        level=False,
        path=False,
        color="#555555",
    ),
    "clone": ReportedPolicy(  # what can be had from a task's data without any reward: wherever a method made one
        "clone",
        "behaviour clones by their modes",
        baseline="the behaviour clones",
        level=False,
        path=False,
        acts="deterministic",
        color="#56b4e9",
        marker="v",
    ),
    "clone_drawn": ReportedPolicy(
        "clone, drawn",
        "behaviour clones, actions drawn",
        level=False,
        path=False,
        acts="stochastic",
        color="#56b4e9",
        marker="<",
    ),
    "meta_policy": ReportedPolicy(
        "meta-policy",
        "meta-policy as it is",
        baseline="the meta-policy",
        counted="meta-policy",
        gap="meta-policy",
        scored=True,
        in_training=True,
        color="#e69f00",
        marker="^",
    ),
    "meta_policy_drawn": ReportedPolicy(
        "meta-policy, drawn",
        "meta-policy as it is, actions drawn",
        level=False,
        path=False,
        acts="stochastic",
        color="#e69f00",
        marker=">",
    ),
    "adapted": ReportedPolicy(
        "adapted",
        "adapted policies",
        gap="adapted policies",
        scored=True,
        in_training=True,
        level=False,
        color="#0072b2",
        marker="o",
    ),
    "adapted_drawn": ReportedPolicy(  # beside the data's return: actions are drawn in both
        "adapted, drawn",
        "adapted policies, actions drawn",
        level=False,
        path=False,
        acts="stochastic",
        color="#0072b2",
        marker="h",
    ),
    "oracle": ReportedPolicy("oracle", "oracle", color="#009e73", marker="*"),
}

FILE_ORDER = ("behavior", "behavior_mode", "adapted", "meta_policy", "oracle")  # of report.json; later ones follow


def in_order(values: Mapping[str, T]) -> Iterator[tuple[str, T]]:
    """The values of known policies in the order of `POLICIES`."""
    return ((key, values[key]) for key in POLICIES if key in values)


def key_of(name: str) -> str:
    """The key in `POLICIES` of a reference policy that a method calls `name`, such as `meta-policy`."""
    return name.replace("-", "_")


def variants(name: str, kind: PolicyKind) -> dict[str, PolicyKind]:
    """The keys under which a method's policy is measured, and how it acts there, where policies act by `kind`.

    `clone` is measured as `clone`, by its mode, and as `clone_drawn`; `adapted` likewise, unless all policies draw.
    """
    key = key_of(name)
    keys = (key, *(other for other in POLICIES if other == f"{key}_drawn"))
    found = {one: (POLICIES[one].acts if one in POLICIES else None) or kind for one in keys}
    return {one: how for one, how in found.items() if one == key or how != found[key]}


@dataclass(frozen=True)
class PerPolicy:
    """Marks a field {key of a policy: value} that is stored flat: as one JSON field per policy.

    There is one for each policy that `has` it, called `name(key)`, those in `order` first; `missing` if there is no
    value.
    """

    name: Callable[[str], str] = str
    has: Callable[[str], object] = lambda key: True
    missing: object = None
    order: tuple[str, ...] = FILE_ORDER

    def names(self) -> dict[str, str]:
        """Key of a policy -> its JSON field."""
        keys = dict.fromkeys((*self.order, *POLICIES))
        return {key: self.name(key) for key in keys if self.has(key)}


def _marked(model: type[BaseModel]) -> dict[str, PerPolicy]:
    """The fields of `model` that are stored flat."""
    marks = ((name, mark) for name, field in model.model_fields.items() for mark in field.metadata)
    return {name: mark for name, mark in marks if isinstance(mark, PerPolicy)}


def stored_fields(model: type[BaseModel]) -> list[str]:
    """The names of the JSON fields of `model`."""
    marked = _marked(model)
    names = ([*marked[field].names().values()] if field in marked else [field] for field in model.model_fields)
    return [name for group in names for name in group]


def _gather(model: type[BaseModel], data: Any) -> Any:
    """Collect the flat fields into dicts; a policy without a value is absent."""
    if not isinstance(data, dict):
        return data
    data = dict(data)
    for field, mark in _marked(model).items():
        found = {key: data.pop(name) for key, name in mark.names().items() if name in data}
        data.setdefault(field, {key: value for key, value in found.items() if value != mark.missing})
    return data


def _spread(self: BaseModel, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
    """Lay the dicts out flat, in the place of their fields."""
    marked = _marked(type(self))
    stored: dict[str, Any] = {}
    for field, value in handler(self).items():
        if field in marked:
            stored |= {name: value.get(key, marked[field].missing) for key, name in marked[field].names().items()}
        else:
            stored[field] = value
    return stored


# A model with fields marked `PerPolicy` has these two among its attributes.
from_flat = model_validator(mode="before")(classmethod(_gather))  # type: ignore[arg-type]
to_flat = model_serializer(mode="wrap")(_spread)
