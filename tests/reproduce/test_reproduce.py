"""`merpo reproduce` from start to end, at the smallest size, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import Answer
from figure_files import figure_tables, write_figure

from merpo.reproduce import reproduce as module
from merpo.reproduce.verdicts import read_reproduced

Merpo = Callable[..., Answer]
PNG = b"\x89PNG"


def test_the_list_has_every_figure_and_table(merpo_cli: Merpo) -> None:
    answer = merpo_cli("reproduce")
    assert answer.code == 0
    for name in ("fig3", "fig10", "table2", "theorem1"):
        assert f"| {name} " in answer.out
    assert "not yet: needs FOCAL" in answer.out
    assert "not measured" in answer.out
    assert "on one core (estimate: Intel Xeon" in answer.out


def test_a_table_is_compared_at_once(merpo_cli: Merpo) -> None:
    answer = merpo_cli("reproduce", "table2")
    assert answer.code == 0
    assert "4 departures, 100 values as in the table; without a key: Outer critic lr, Optimizer" in answer.out
    assert answer.out.count("Meta-q lr") == 4


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("fig55",), r"did you mean 'fig5'"),
        (("fig1",), "fig1: cannot be run yet: needs FOCAL as a baseline"),
        (("fig7", "--family", "walker"), "--family: fig7 has no 'walker' (did you mean 'walker-2d-params'?)"),
        (
            ("fig7", "--size", "huge"),
            "--size: family point-robot-wind has no 'huge', expected one of: small, paper, tiny",
        ),
        (("fig7", "--seeds", "5"), "--seeds: got '5', expected A:B"),
        (("fig7", "--page", "p.md"), "--page: got no --json"),
        (("--json", "x.json"), "--json: got neither a figure nor --page"),
        (("--json", "x.json", "--page", "p.md"), "x.json: no such file"),
        (("fig7", "--size", "tiny", "--json", "x.json"), "--json: size tiny only tries the command"),
        (("nowhere.toml",), "nowhere.toml: no such file"),
    ],
)
def test_bad_input_ends_with_2(merpo_cli: Merpo, arguments: tuple[str, ...], expected: str) -> None:
    answer = merpo_cli("reproduce", *arguments)
    assert answer.code == 2
    assert expected in answer.err


def test_nothing_is_run_for_a_list_or_a_report(merpo_cli: Merpo) -> None:
    write_figure(Path("mine.toml"))
    dry = merpo_cli("reproduce", "mine.toml", "--dry-run")
    assert (dry.code, dry.out.count("to run")) == (0, 4)
    assert not Path("runs").exists()
    report = merpo_cli("reproduce", "mine.toml", "--report-only", "--json", "x.json", "--page", "p.md")
    assert report.code == 0
    assert "not run: “It is better.” (Section 1)" in report.out
    assert not list(Path("runs/reproduce").glob("tiny-*"))
    assert read_reproduced(Path("x.json")).found == (), "what was not run is not stored"
    assert "Not run yet" in Path("p.md").read_text("utf-8")


def test_from_start_to_end(merpo_cli: Merpo) -> None:
    """One arm cannot be trained on so little data; the others are, and none is begun again."""
    few = {"id": "few", "label": "too few rows", "set": ["method.rac.batch_size=4096"]}
    tables = figure_tables()
    claims = [*tables["claims"], {"id": "few", "quote": "x", "source": "y", "first": ["few"], "second": ["low"]}]
    write_figure(Path("mine.toml"), arms=[*tables["arms"], few], claims=claims)
    command = ("reproduce", "mine.toml", "--jobs", "2", "--seeds", "0:2", "--out", "out")
    answer = merpo_cli(*command, "--json", "stored.json")
    assert answer.code == 1, answer.out + answer.err
    assert answer.err.count("failed: too few rows seed") == 2
    (one,) = read_reproduced(Path("stored.json")).found
    better, not_run = one.claims
    assert (better.verdict, not_run.verdict) != ("not run", "not run")
    assert not_run.verdict == "not run"
    (compared,) = better.compared
    assert (compared.runs, compared.paired, compared.data_sets) == ((2, 2), True, 1)
    assert [(arm.id, arm.runs) for arm in one.arms] == [("low", 2), ("high", 2), ("few", 0)]
    assert one.covers == "new seeds of meta-training and adaptation"
    folder = Path("out/mine-winds-small")
    assert (folder / "figure.png").read_bytes().startswith(PNG)
    assert "It is better." in (folder / "page.md").read_text("utf-8")
    assert read_reproduced(folder / "verdicts.json").found == (one,)
    reports = {path: path.stat().st_mtime_ns for path in Path("out").rglob("report.json")}
    assert len(reports) == 4
    again = merpo_cli(*command, "--report-only")
    assert again.code == 0
    assert {path: path.stat().st_mtime_ns for path in Path("out").rglob("report.json")} == reports
    assert f"{better.verdict}: “It is better.” (Section 1)" in again.out
    dry = merpo_cli(*command, "--dry-run")
    assert (dry.out.count(": finished"), dry.out.count(": to run")) == (4, 2)


def test_an_interruption_ends_with_75(merpo_cli: Merpo, monkeypatch: pytest.MonkeyPatch) -> None:
    write_figure(Path("mine.toml"))

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "carry_out", interrupted)
    answer = merpo_cli("reproduce", "mine.toml")
    assert answer.code == 75
    assert "mine-winds-small: interrupted with 0 of 4 runs finished; run the same command to resume" in answer.err


def test_a_need_that_cannot_be_collected_fails_the_runs(merpo_cli: Merpo, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").write_text("")
    monkeypatch.setenv("MERPO_DATA", "file")
    tables = figure_tables()
    needs = [{"name": "logs", "recipe": "tiny.toml", "qualities": ["expert"]}]
    write_figure(Path("mine.toml"), families=[{**tables["families"][0], "needs": needs}])
    answer = merpo_cli("reproduce", "mine.toml", "--out", "out")
    assert answer.code == 1
    assert answer.err.count("collecting its data failed") == 4
    assert not list(Path("out").glob("tiny-*"))


def test_arms_wait_for_the_run_that_they_begin_with(merpo_cli: Merpo) -> None:
    tables = figure_tables()
    tables["arms"][0]["set"].append("method.rac.batch_size=4096")
    write_figure(Path("mine.toml"), **tables)
    answer = merpo_cli("reproduce", "mine.toml", "--seeds", "0:1", "--out", "out")
    assert answer.code == 1
    assert "with whose meta-artifact it begins, failed" in answer.err
    assert "not run: “It is better.”" in answer.out
