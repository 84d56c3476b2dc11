"""Tables on terminals of any width: headings fold, further columns go below, and no number is cut."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from merpo.run.evaluate import Measured, MeasuredTask, print_measured
from merpo.support.tables import frame, print_table


def measured(names: tuple[str, ...] = ("task-002.medium", "task-003.medium")) -> Measured:
    """All columns that there can be."""
    tasks = [
        MeasuredTask(
            name=name, index=i, returns=[-12345.25 - i, 716.5], lengths=[1000, 1000], terminated=[False, True],
            behavior=417.38 + i, meta_policy=-1167.0, oracle=98765.5, reported=572.94,
        )
        for i, name in enumerate(names)
    ]  # fmt: skip
    return Measured(
        source="run", seed=0, episodes=2, stochastic=True, tasks=tasks, mean={"mean": 0, "low": 0, "high": 0}
    )


def printed(what: Measured | Table, width: int, terminal: bool = True) -> list[str]:
    text = io.StringIO()
    console = Console(file=text, width=width, force_terminal=terminal, color_system=None, legacy_windows=False)
    if isinstance(what, Measured):
        print_measured(what, console)
    else:
        print_table(what, console)
    return text.getvalue().splitlines()


NUMBERS = ["-5,814", "6,531", "1000.0", "50%", "417.38", "418.38", "-1,167", "98,766", "572.94"]
HEADINGS = ["return", "std", "length", "terminated", "behaviour", "meta-", "policy", "oracle", "reported"]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
def test_what_is_measured_fits_every_terminal(width: int) -> None:
    lines = printed(measured(), width)
    text = "\n".join(lines)
    assert max(map(len, lines)) <= width
    assert "…" not in text
    for word in [*NUMBERS, "task-002.medium", "task-003.medium"]:
        assert re.search(rf"(?<![\w.,-]){re.escape(word)}(?![\d.,])", text), word
    assert [heading for heading in HEADINGS if heading not in text] == []
    tables = sum(line.split()[:1] == ["task"] for line in lines)
    assert (tables == 1) == (width >= 100)


def test_a_heading_folds_before_columns_go_below() -> None:
    table = Table()
    table.add_column("task")
    for label in ("mean of all returns", "self-normalised"):
        table.add_column(label, justify="right")
    table.add_row("a", "1.25", "-3.50")
    (wide,) = (line for line in printed(table, 60) if "mean" in line)
    assert "mean of all returns" in wide
    narrow = printed(table, 40)
    assert max(map(len, narrow)) <= 40
    assert [line for line in narrow if "1.25" in line] == [line for line in narrow if "-3.50" in line]
    assert "mean of all" not in "\n".join(narrow)


def test_long_names_fold_and_are_whole() -> None:
    names = ("minari-mujoco-halfcheetah-medium-v0-without-the-last-episode", "b")
    lines = printed(measured(names), 80)
    assert max(map(len, lines)) <= 80
    firsts = [line.strip(" |").split(" ")[0] for line in lines]
    assert "minari-mujoco" in "".join(firsts)
    assert names[0] in "".join(piece for piece in firsts if piece and piece in names[0])


@pytest.mark.parametrize("columns", [None, "80"])
def test_in_a_file_a_row_is_a_line_unless_columns_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, columns: str | None
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    lines = printed(measured(), 80, terminal=False)
    (head, *more) = (line for line in lines if line.startswith("| task "))
    assert bool(more) == (columns is not None)
    if columns is None:
        assert head.count("|") == 10
        (row,) = (line for line in lines if "task-002" in line)
        assert [cell.strip() for cell in row.split("|")][2:5] == ["-5,814", "6,531", "1000.0"]


@given(
    width=st.integers(12, 120),
    cells=st.lists(
        st.lists(st.floats(-1e6, 1e6).map("{:,.2f}".format), min_size=4, max_size=4), min_size=1, max_size=3
    ),
    name=st.text("ab-c ", max_size=30),
)
def test_no_digit_is_lost(width: int, cells: list[list[str]], name: str) -> None:
    text = io.StringIO()
    console = Console(file=text, width=width, force_terminal=True, color_system=None, legacy_windows=False)
    table = Table(title="Title", box=frame(console))
    for i, label in enumerate(("name", "one heading", "two", "three-fold", "4")):
        table.add_column(label, justify="left" if i == 0 else "right")
    for row in cells:
        table.add_row(name, *row)
    print_table(table, console)
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    digits = sorted(c for row in cells for cell in row for c in cell if c.isdigit())
    found = sorted(c for line in lines for c in line if c.isdigit())
    assert found == sorted([*digits, "4"])
