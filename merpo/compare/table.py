"""The table of `merpo table`: one row per recipe, and the JSON file that keeps the rows."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from merpo.compare.suite_row import Row
from merpo.support.read import FileKind

__all__ = ["Suites", "merged", "read_suites"]


class Suites(BaseModel):
    """The rows of a table, in the order in which their recipes came."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    rows: list[Row]

    def comparable(self) -> list[list[Row]]:
        """Rows in groups that were measured on the same tasks and adapted to the same data, two or more."""
        groups: dict[str, list[Row]] = {}
        for row in self.rows:
            groups.setdefault(json.dumps([row.family, row.data, row.tasks]), []).append(row)
        return [group for group in groups.values() if len(group) > 1]

    def to_json(self) -> str:
        """The text of the file; what `read_suites` reads."""
        return self.model_dump_json(indent=1) + "\n"


def merged(old: Suites, new: Suites) -> Suites:
    """The old rows with those of the same family and name replaced, then the rest of the new ones."""
    replaced = {(row.family, row.name): row for row in (*old.rows, *new.rows)}
    return Suites(rows=list(replaced.values()))


def read_suites(path: Path) -> Suites:
    """A table from its JSON file; `ArtifactError` where it cannot be read or is something else."""
    return FileKind("the JSON of `merpo table`").read_model(path, Suites)
