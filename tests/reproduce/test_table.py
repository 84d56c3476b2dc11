"""Tables of hyper-parameters beside our recipes' values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomli_w
from tiny import write_tiny

from merpo.errors import RecipeError
from merpo.reproduce.files import read_source, recipes_of
from merpo.reproduce.table import Table, TableCell, compared


def cells_of(name: str) -> list[TableCell]:
    source = read_source(name)
    assert isinstance(source.content, Table)
    return compared(source.content, recipes_of(source, source.content))


def test_table_2_has_one_departure_and_it_is_given_a_reason() -> None:
    cells = cells_of("table2")
    assert len(cells) == 28 * 4
    departures = [cell for cell in cells if cell.row.key and not cell.equal]
    assert {cell.row.name for cell in departures} == {"Meta-q lr"}
    assert [(cell.stated, cell.here) for cell in departures] == [("0.001", "0.5")] * 4
    assert all(cell.row.note for cell in departures)
    assert {cell.row.name for cell in cells if not cell.row.key} == {"Outer critic lr", "Optimizer"}


def test_table_1_is_that_of_the_recipes_for_minaris_data() -> None:
    differing = [cell for cell in cells_of("table1") if cell.row.key and not cell.equal]
    assert {cell.recipe for cell in differing} == {"section_5_1/rac_poor", "section_5_1/walker2d/rac_poor"}
    assert {cell.row.name for cell in differing} == {"Critic lr", "Actor lr", "β", "λ"}
    assert all(cell.row.note and cell.here for cell in differing)


def write_table(path: Path, *rows: dict[str, Any], columns: tuple[str, ...] = ("Wind",)) -> str:
    tables = {"id": "t", "title": "T", "columns": list(columns), "recipes": [{"of": "Wind", "recipe": "tiny.toml"}]}
    path.write_text(tomli_w.dumps({**tables, "rows": list(rows)}), "utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("key", "stated", "form", "equal", "here"),
    [
        ("data.train_tasks", 2, "", True, "2"),
        ("data.train_tasks", 2.0, "", True, "2"),
        ("data.train_tasks", 3, "", False, "2"),
        ("data.normalize_observations", False, "", True, "false"),
        ("data.normalize_observations", 0, "", False, "false"),
        ("method.component", "merpo", "", True, "'merpo'"),
        ("data.nothing", 1, "", False, None),
        ("data.train_tasks.deeper", 1, "", False, None),
        ("method.rac.beta_initial", 0, "log", True, "0.0"),
    ],
)
def test_values_are_compared(tmp_path: Path, key: str, stated: Any, form: str, equal: bool, here: str | None) -> None:
    write_tiny(tmp_path / "tiny.toml", {"method": {"rac": {"beta_initial": 1.0}}})
    name = write_table(tmp_path / "t.toml", {"name": "x", "values": [stated], "key": key, "form": form})
    (cell,) = cells_of(name)
    assert (cell.equal, cell.here) == (equal, here)


def test_a_table_is_complete(tmp_path: Path) -> None:
    row = {"name": "x", "values": [1], "key": "data.train_tasks"}
    with pytest.raises(RecipeError, match="rows: 'x' has 1 values, expected 2"):
        read_source(write_table(tmp_path / "t.toml", row, columns=("Wind", "Ant")))
    with pytest.raises(RecipeError, match=r"recipes: got 'Wind' \(did you mean 'Winds'\?\), expected one of: Winds"):
        read_source(write_table(tmp_path / "t.toml", row, columns=("Winds",)))
