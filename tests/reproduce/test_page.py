"""The page of what reproduces is what the command makes of the stored verdicts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from blocks import ROOT

from merpo.errors import ArtifactError
from merpo.reproduce.files import sources
from merpo.reproduce.page import figure_section, page
from merpo.reproduce.verdicts import ArmResult, Checked, Compared, Found, Reproduced, quoted, read_reproduced
from merpo.support.statistics.interval import Interval

STORED = ROOT / "bench" / "results" / "reproduction.json"


def found(**changes: Any) -> Found:
    compared = [
        Compared(
            first="MerPO", second=other, difference=Interval(1.0, 0.5, 1.5), p=0.01, runs=(5, 4), paired=False,
            data_sets=1, verdict=verdict,
        )
        for other, verdict in (("COMBO", "holds"), ("Eq. (5)", "cannot be told"))
    ]  # fmt: skip
    claim = Checked(
        id="best", quote="“It” is best.", source="Section 5", measure="return", comparison="greater", note="A note.",
        verdict="cannot be told", compared=tuple(compared),
    )  # fmt: skip
    return Found(**{
        "figure": "fig7", "title": "Figure 7", "family": "winds", "family_title": "Winds", "size": "small",
        "seeds": (0, 1), "own_data": False, "covers": "new seeds of training", "minutes": 2.0,
        "arms": (ArmResult(id="a", label="MerPO", runs=5, adapted=Interval(1.0)),), "claims": (claim,), **changes,
    })  # fmt: skip


def test_the_page_is_what_the_command_makes_of_the_stored_verdicts() -> None:
    stored = read_reproduced(STORED)
    assert stored.to_json() == STORED.read_text("utf-8")
    assert not any(one.size == "tiny" for one in stored.found), "these only try the command"
    assert (ROOT / "docs" / "reproduction.md").read_text("utf-8") == page(sources(), stored)


def test_a_figure_without_runs_is_not_run_yet() -> None:
    text = page(sources(), Reproduced())
    assert text.count("Not run yet: `merpo reproduce fig") == 7
    assert text.count("Not yet: ") == 4
    assert "**holds**" not in text
    assert "4 of 104" not in text
    assert "100 of 104 values are those of the table" in text


def test_verdicts_take_the_place_of_not_run_yet() -> None:
    text = page(sources(), Reproduced(found=(found(),)))
    assert "Not run yet: `merpo reproduce fig7`" not in text
    assert "| Figure 7: ablations of MerPO | Winds, small | 0 | 1 | 0 | 0 |" in text
    assert "## Figure 7: Winds, size small" in text


def test_a_claim_of_several_differences_has_a_line_for_each() -> None:
    lines = figure_section(found()).splitlines()
    first, second = (line for line in lines if line.startswith(("| “‘It’", "|  |")))
    assert (
        "| MerPO > COMBO | return | 1.00 [0.50, 1.50] | – | 0.01 | 5, 4 | 1 | **cannot be told** (this one: holds) |"
        in first
    )
    assert "| MerPO > Eq. (5) |" in second
    assert second.endswith("| cannot be told |")
    assert "- best: A note." in lines
    assert "Seeds 0 to 1; intervals are for new seeds of training; 2 min 00 s a run." in lines


def test_hostile_text_stays_in_its_cell() -> None:
    hostile = "a | b <script>\n# c [x](y)"
    arms = (ArmResult(id="a", label=hostile, runs=0),)
    text = figure_section(found(title=hostile, note=hostile, caption=hostile, arms=arms))
    assert "<script>" not in text
    assert not re.search(r"^# c", text, re.MULTILINE)
    assert "a \\| b" in text


def test_quotation_marks_nest() -> None:
    assert quoted("With “meta”.") == "“With ‘meta’.”"


def test_results_replace_those_of_the_same_figure_family_and_size() -> None:
    old = Reproduced(found=(found(), found(family="ants")))
    merged = old.merged(Reproduced(found=(found(seeds=(7,)), found(size="paper"))))
    assert [(one.family, one.size, one.seeds) for one in merged.found] == [
        ("winds", "small", (7,)), ("ants", "small", (0, 1)), ("winds", "paper", (0, 1)),
    ]  # fmt: skip


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"found": [{"figure": 3}]}')
    with pytest.raises(ArtifactError, match=r"x\.json: found\.0\.figure"):
        read_reproduced(path)
