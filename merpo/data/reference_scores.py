"""Reference scores: returns of a random and an expert policy, by which returns are normalised (D4RL)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from merpo.types import Task

__all__ = ["KEY", "ReferenceScores", "minari_reference", "normalized_scores", "sources", "stored_reference"]

KEY = "reference_scores"  # in the settings of a stored dataset

MOST = 1e300  # largest reference score; an integer in JSON may be too large for a float

# D4RL's published (random, expert) scores, the same in all its versions, by Gymnasium's environment name.
D4RL = {"HalfCheetah": (-280.178953, 12135.0), "Hopper": (-20.272305, 3234.3), "Walker2d": (1.629008, 4592.3)}


class ReferenceScores(BaseModel):
    """The returns that score 0 and 100, and their source."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    random: float
    expert: float
    source: Annotated[str, Field(max_length=200)]

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.expert <= self.random:
            raise ValueError(f"expert is {self.expert}, expected above random, {self.random}")
        return self

    def normalized(self, value: float) -> float:
        """The normalised score 100 (J − random) / (expert − random) of a return J."""
        return 100.0 * (value - self.random) / (self.expert - self.random)


def normalized_scores(reference: ReferenceScores | None, returns: Mapping[str, float | None]) -> dict[str, float]:
    """The normalised scores of the returns that are not None; empty without reference scores."""
    if reference is None:
        return {}
    return {name: reference.normalized(value) for name, value in returns.items() if value is not None}


def minari_reference(
    metadata: Mapping[str, Any], task: Task, dataset_id: str, note: Callable[[str], None]
) -> ReferenceScores | None:
    """The reference scores in a dataset's metadata, by default D4RL's if its environment is one of D4RL's.

    Invalid metadata gives None; `note` receives the reason.
    """
    found = [metadata.get(key) for key in ("ref_min_score", "ref_max_score")]
    if found == [None, None]:
        return _of_d4rl(str(task.get("environment", "")))
    if all(isinstance(x, int | float) and not isinstance(x, bool) and abs(x) <= MOST for x in found):
        try:
            return ReferenceScores(random=found[0], expert=found[1], source=f"metadata of {dataset_id}")  # type: ignore[arg-type]
        except ValidationError:
            pass
    note(
        f"minari:{dataset_id}: ref_min_score and ref_max_score are {found!s:.80}, expected two increasing "
        "numbers; normalised scores are omitted"
    )
    return None


def stored_reference(settings: Mapping[str, Any]) -> ReferenceScores | None:
    """The reference scores among a stored dataset's settings, if it has any."""
    try:
        return ReferenceScores.model_validate(settings[KEY])
    except (KeyError, ValidationError):
        return None


def _of_d4rl(environment: str) -> ReferenceScores | None:
    """D4RL's reference scores of an environment such as `Hopper-v5`; they were measured in version 2."""
    match = re.fullmatch(r"(\w+)-v\d+", environment)
    if match is None or match[1] not in D4RL:
        return None
    low, high = D4RL[match[1]]
    return ReferenceScores(random=low, expert=high, source="D4RL")


def sources(references: Sequence[ReferenceScores | None]) -> str:
    """The distinct sources of the reference scores, joined by `and`."""
    return " and ".join(dict.fromkeys(reference.source for reference in references if reference is not None))
