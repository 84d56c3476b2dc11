"""What was found about a figure's claims, as plain data: pages and the terminal are made from it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from merpo.support.read import FileKind
from merpo.support.statistics.interval import Interval, Verdict

__all__ = ["ArmResult", "Checked", "Compared", "Found", "Reproduced", "quoted", "read_reproduced"]

Status: TypeAlias = Verdict | Literal["not run", "not yet"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False, extra="forbid")


class Compared(_Model):
    """One difference: of two arms, of an arm and a policy of the same runs, or of an arm and a number."""

    first: str
    second: str
    difference: Interval
    margin: float = 0.0
    p: float | None = None  # after Holm's correction, the largest of its tests
    runs: tuple[int, int]  # of the first and of the second
    paired: bool
    data_sets: int
    verdict: Verdict


class Checked(_Model):
    """A claim with all of its differences."""

    id: str
    quote: str
    source: str
    measure: str  # as text
    comparison: str
    note: str = ""
    verdict: Status
    compared: tuple[Compared, ...] = ()


class ArmResult(_Model):
    """An arm's mean return of the adapted policies."""

    id: str
    label: str
    runs: int
    adapted: Interval | None = None


class Found(_Model):
    """A figure on one family at one size."""

    figure: str
    title: str
    caption: str = ""
    source: str = ""
    note: str = ""
    family: str
    family_title: str
    size: str
    seeds: tuple[int, ...]
    own_data: bool  # whether every seed has data of its own
    covers: str  # what the intervals are for
    merpo: str = ""
    processor: str = ""
    minutes: float | None = None  # of a run, on average
    arms: tuple[ArmResult, ...]
    claims: tuple[Checked, ...]

    @property
    def key(self) -> tuple[str, str, str]:
        """What a later result of the same kind replaces."""
        return self.figure, self.family, self.size


class Reproduced(_Model):
    """All results, in the order in which they were added."""

    found: tuple[Found, ...] = ()

    def merged(self, new: Reproduced) -> Reproduced:
        """These results with those of the same figure, family and size replaced, then the other new ones."""
        return Reproduced(found=tuple({one.key: one for one in (*self.found, *new.found)}.values()))

    def to_json(self) -> str:
        """The text of the file that `read_reproduced` reads."""
        return self.model_dump_json(indent=1) + "\n"


def quoted(text: str) -> str:
    """A sentence in quotation marks, single ones within."""
    return f"“{text.replace('“', '‘').replace('”', '’')}”"


def read_reproduced(path: Path) -> Reproduced:
    """The results in a JSON file; raises `ArtifactError` where it cannot be read or has another format."""
    return FileKind("a file of `merpo reproduce --json`").read_model(path, Reproduced)
