"""`merpo compare` and `merpo report`: runs sorted into arms, their numbers in every form, pages built anew."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Answer
from placed import moved, place
from reports import Page, bare, synthetic, with_returns

from merpo.compare.arms import numbered, read_arms
from merpo.compare.comparison import Comparison, compare_runs
from merpo.compare.comparison_files import _better, write_comparison
from merpo.errors import ArtifactError, MerpoError
from merpo.report.html import write_report
from merpo.support.statistics.estimate import unpaired

Merpo = Callable[..., Answer]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Three seeds of a better arm, two of a worse one."""
    for alpha, shift, seeds in ((0.1, 0.5, 3), (0.4, -0.5, 2)):
        for seed in range(seeds):
            place(tmp_path / "study" / f"alpha-{alpha}" / f"seed-{seed}", moved(alpha, seed, shift))
    return tmp_path / "study"


def test_runs_are_sorted_into_arms(study: Path) -> None:
    arms = read_arms([study])
    assert [(arm.label, arm.seeds) for arm in arms] == [("alpha.initial=0.1", (0, 1, 2)), ("alpha.initial=0.4", (0, 1))]
    assert arms[1].paths == (study / "alpha-0.4" / "seed-0", study / "alpha-0.4" / "seed-1")
    place(study / "other", moved(0.4, 2, 0.0, title="Another"))
    arms = read_arms([study])
    assert [arm.seeds for arm in arms] == [(0, 1, 2), (0, 1, 2)], "the title is not what makes an arm"
    place(study / "more", moved(0.7, 2, 0.0, title="Another"))
    labels = [arm.label for arm in read_arms([study])]
    assert labels == ["A study: alpha.initial=0.1", "A study: alpha.initial=0.4", "Another"]


def test_fields_of_another_component_are_not_part_of_a_name(tmp_path: Path) -> None:
    recipes = ({"alpha": {"component": "fixed", "initial": 0.4}},
               {"alpha": {"component": "adaptive", "initial": 0.4, "rate": 0.1}})  # fmt: skip
    for i, method in enumerate(recipes):
        place(tmp_path / str(i), moved(0.1, 0, 0.0, recipe={"method": method}))
    assert [a.label for a in read_arms([tmp_path])] == ["alpha.component=fixed", "alpha.component=adaptive"]


def arm_of(folder: Path, **method: Any) -> None:
    """A run whose recipe has these fields."""
    place(folder / str(len(list(folder.glob("*")))), moved(0.1, 0, 0.0, recipe={"method": method}))


def test_a_name_has_no_more_than_tells_arms_apart_and_the_rest_is_told(tmp_path: Path) -> None:
    for i in range(3):
        arm_of(tmp_path, alpha={"initial": i / 10}, critic={"width": 64 * (i > 1)}, rac={"batch_size": 2**i})
    arms = read_arms([tmp_path])
    assert [arm.label for arm in arms] == ["alpha.initial=0.0", "alpha.initial=0.1", "alpha.initial=0.2"]
    assert arms[2].full_label == "alpha.initial=0.2, critic.width=64, rac.batch_size=4"
    assert (
        "alpha.initial=0.2 is short for: alpha.initial=0.2, critic.width=64, rac.batch_size=4."
        in compare_runs([tmp_path]).notes
    )


def test_what_the_method_has_other_comes_first(tmp_path: Path) -> None:
    for i in range(2):
        recipe = {"evaluate": {"episodes": i}, "method": {"rac": {"discount": i}}}
        place(tmp_path / str(i), moved(0.1, 0, 0.0, recipe=recipe))
    arms = read_arms([tmp_path])
    assert [arm.label for arm in arms] == ["rac.discount=0", "rac.discount=1"]
    assert arms[0].full_label == "evaluate.episodes=0, rac.discount=0"


def test_a_grid_needs_all_its_keys(tmp_path: Path) -> None:
    for a in (1, 2):
        for b in (1, 2):
            arm_of(tmp_path, a=a, b=b)
    arms = read_arms([tmp_path])
    assert [arm.label for arm in arms] == ["a=1, b=1", "a=1, b=2", "a=2, b=1", "a=2, b=2"]
    assert {arm.full_label for arm in arms} == {""}


def test_names_of_long_values_and_many_keys_stay_apart(tmp_path: Path) -> None:
    for i in range(2):
        arm_of(tmp_path / "long", path="x" * 60 + str(i))
    first, second = read_arms([tmp_path / "long"])
    assert first.label != second.label
    assert len(first.label) < 60
    assert second.full_label == f"path={'x' * 60}1"
    for i in range(32):
        arm_of(tmp_path / "many", **{key: i >> at & 1 for at, key in enumerate("abcde")})
    arms = read_arms([tmp_path / "many"])
    assert len({arm.label for arm in arms}) == 32
    assert max(len(arm.label) for arm in arms) < 40
    assert arms[31].full_label == "a=1, b=1, c=1, d=1, e=1"


def test_the_numbers_of_a_comparison(study: Path) -> None:
    found = compare_runs([study])
    assert (found.score, found.tasks) == ("gap", [40, 41, 42, 43, 44, 45])
    better, worse = found.arms
    expected = [task.gap_closed for task in moved(0.1, 2, 0.5).tasks]
    assert better.scores[2] == expected
    assert better.iqm.mean > worse.iqm.mean
    (pair,) = found.pairs
    assert (pair.first, pair.second, pair.probability.mean) == ("alpha.initial=0.1", "alpha.initial=0.4", 1.0)
    assert pair.difference.mean == pytest.approx(better.mean.mean - worse.mean.mean)
    assert (pair.p, pair.p_holm, pair.verdict) == (pair.p_holm, pair.p, "holds")
    assert pair.p == pytest.approx(unpaired(*(np.mean(arm.scores, 1) for arm in found.arms)).p_value())
    assert better.worst_decile.mean == pytest.approx(np.mean([min(row) for row in better.scores]))
    assert found.covers == "new seeds of training"
    assert found.notes == [
        "The arms were run with different seeds.",
        "All runs share one data set: no interval covers other data.",
    ]
    returns = compare_runs([study], "return")
    assert returns.arms[0].scores == returns.arms[0].returns == better.returns
    assert Comparison.model_validate_json(found.model_dump_json()) == found


def test_without_an_oracle_the_score_is_the_return(study: Path) -> None:
    report = moved(0.9, 0, 0.0)
    tasks = [with_returns(task, oracle=None) for task in report.tasks]
    path = place(study / "no-oracle", report.model_copy(update={"tasks": tasks}))
    assert compare_runs([study]).score == "return"
    with pytest.raises(MerpoError, match=re.escape(f"task 40 of {path} has no oracle better")):
        compare_runs([study], "gap")
    with pytest.raises(MerpoError, match="did you mean 'gap'"):
        compare_runs([study], "gapp")


def test_what_cannot_be_compared_is_refused_by_name(study: Path, tmp_path: Path) -> None:
    place(study / "copy", moved(0.1, 1, 0.0))
    with pytest.raises(MerpoError, match="same recipe and seed 1"):
        read_arms([study])
    three = synthetic(3)
    with pytest.raises(MerpoError, match=r"has the unseen tasks \[40, 41, 42\]"):
        compare_runs([study / "alpha-0.1", place(tmp_path / "three", three)])
    other = moved(0.3, 0, 0.0)
    tasks = [task.model_copy(update={"params": {"wind": [0.0, 0.0]}}) for task in other.tasks]
    with pytest.raises(MerpoError, match="other parameters of its tasks"):
        compare_runs([study / "alpha-0.1", place(tmp_path / "wind", other.model_copy(update={"tasks": tasks}))])
    bodies = []
    for seed, body in enumerate(("hopper", "walker2d")):
        report = moved(0.1, seed, 0.0)
        tables = {**report.recipe, "tasks": {"component": "locomotion", "seed": seed, "body": body}}
        bodies.append(place(tmp_path / body, report.model_copy(update={"recipe": tables})))
    with pytest.raises(MerpoError, match=r"tasks\.body is 'walker2d', that of .*hopper is 'hopper'"):
        compare_runs(bodies)
    assert len(read_arms(bodies)) == 2, "a table has room for both"
    (study / "alpha-0.1" / "seed-0" / "report.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"seed-0/report\.json"):
        read_arms([study / "alpha-0.1"])
    with pytest.raises(ArtifactError, match="nothing: no such file or folder, expected a run's folder"):
        read_arms([tmp_path / "nothing"])


def test_a_reader_is_told_of_single_seeds_and_other_data(tmp_path: Path) -> None:
    place(tmp_path / "a", moved(0.1, 0, 0.0))
    data = [entry.model_copy(update={"sha256": "f" * 64}) for entry in synthetic(6).datasets]
    place(tmp_path / "b", moved(0.2, 0, 0.0, datasets=data))
    assert compare_runs([tmp_path]).notes == [
        "One seed only, hence no interval: alpha.initial=0.1, alpha.initial=0.2.",
        "The arms were trained on different data.",
    ]


def test_a_reader_is_told_of_seeds_of_one_arm_on_other_data(tmp_path: Path) -> None:
    place(tmp_path / "a" / "seed-0", moved(0.1, 0, 0.0))
    data = [entry.model_copy(update={"sha256": "f" * 64}) for entry in synthetic(6).datasets]
    place(tmp_path / "a" / "seed-1", moved(0.1, 1, 0.0, datasets=data))
    (arm,) = read_arms([tmp_path / "a"])
    assert compare_runs([tmp_path]).notes == [f"The seeds of {arm.label} were trained on different data."]


def test_a_reader_is_told_of_other_ways_of_measuring(tmp_path: Path) -> None:
    for name, alpha, episodes in (("a", 0.1, 1), ("b", 0.2, 50)):
        report = moved(alpha, 0, 0.0)
        recipe = {**report.recipe, "evaluate": {"episodes": episodes, "policy": "deterministic"}}
        place(tmp_path / name, report.model_copy(update={"recipe": recipe}))
    assert "The arms were measured with different numbers of episodes." in compare_runs([tmp_path]).notes
    assert not any("kinds of actions" in note for note in compare_runs([tmp_path]).notes)


def test_a_number_makes_no_name_that_is_there() -> None:
    assert numbered(["a", "b", "a"]) == ["a #1", "b", "a #3"]
    assert len(set(numbered(["a", "a", "a #1"]))) == 3


def test_every_policy_of_the_runs_is_compared(study: Path, tmp_path: Path, merpo_cli: Merpo) -> None:
    """The clones of one arm, which the other has not."""
    report = moved(0.7, 0, 0.0)
    tasks = [with_returns(task, clone=-7.25 - task.index, clone_drawn=-9.5) for task in report.tasks]
    place(study / "cloned" / "seed-0", report.model_copy(update={"tasks": tasks}))
    found = compare_runs([study])
    assert [arm.others.get("clone") is not None for arm in found.arms] == [False, False, True]
    assert found.arms[2].others["clone"].mean == pytest.approx(-7.25 - sum(range(40, 46)) / 6)
    text = Page(write_comparison(found, tmp_path / "out").read_text("utf-8")).text
    for shown in (text, merpo_cli("compare", str(study), "--out", str(tmp_path / "out")).out):
        assert "mean return of every policy" in shown.lower()
        assert "clone, drawn" in shown
        assert "-49.75" in shown
    arms = list(csv.DictReader((tmp_path / "out" / "arms.csv").read_text("utf-8").splitlines()))
    assert [arm["mean_return_of_clone"] for arm in arms] == ["", "", "-49.75"]
    stored = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [arm["mean_return_of_clone_drawn"] is None for arm in stored["arms"]] == [True, True, False]
    assert Comparison.model_validate(stored) == found


def test_the_files_of_a_comparison(study: Path, tmp_path: Path) -> None:
    found = compare_runs([study])
    page = Page(write_comparison(found, tmp_path / "out").read_text("utf-8"))
    assert not page.open
    assert len(list(page.images())) == 3
    assert {path.name for path in (tmp_path / "out" / "pictures").iterdir()} == {
        "aggregates.png", "performance_profiles.png", "probability_of_improvement.png",
    }  # fmt: skip
    rows = list(csv.DictReader((tmp_path / "out" / "runs.csv").read_text("utf-8").splitlines()))
    assert len(rows) == (3 + 2) * 6
    assert [float(row["score"]) for row in rows[:6]] == found.arms[0].scores[0]
    arms = list(csv.DictReader((tmp_path / "out" / "arms.csv").read_text("utf-8").splitlines()))
    assert [float(arm["iqm_low"]) for arm in arms] == [arm.iqm.low for arm in found.arms]
    assert [float(arm["optimality_gap"]) for arm in arms] == [
        arm.optimality_gap.mean for arm in found.arms if arm.optimality_gap
    ]
    stored = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert stored["score"] == "gap"
    aggregate = found.arms[0].iqm
    numbers = {"value": aggregate.mean, "low": aggregate.low, "high": aggregate.high}
    assert stored["arms"][0]["iqm"] == {**numbers, "covers": ["training"]}
    (pair,) = csv.DictReader((tmp_path / "out" / "pairs.csv").read_text("utf-8").splitlines())
    assert (pair["verdict"], float(pair["difference_low"])) == ("holds", found.pairs[0].difference.low)
    assert "interquartile mean" in page.text
    assert "worst decile" in page.text
    first, second = found.arms
    better = found.pairs[0].probability
    assert _better(found, first, second) == f"1.00 [{better.low:.2f}, 1.00]"
    assert _better(found, second, first) == f"0.00 [0.00, {1 - (better.low or 0):.2f}]"
    assert _better(found, first, first) == "-"


def test_the_optimality_gap_is_told_where_every_task_has_an_oracle(
    study: Path, tmp_path: Path, merpo_cli: Merpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for score in ("gap", "return"):
        better, worse = compare_runs([study], score).arms
        assert better.optimality_gap
        assert worse.optimality_gap
        short = [max(0.0, 1 - (t.gap_closed or 0)) for seed in (0, 1) for t in moved(0.4, seed, -0.5).tasks]
        assert worse.optimality_gap.mean == pytest.approx(sum(short) / 12)
        assert better.optimality_gap.mean < worse.optimality_gap.mean
    answer = merpo_cli("compare", str(study), "--out", str(tmp_path / "with"))
    assert "opt. gap" in answer.out
    assert "alpha.in" in answer.out, "there is room for the arms"
    assert "falls short of 1" in (tmp_path / "with" / "comparison.html").read_text("utf-8")
    report = moved(0.9, 0, 0.0)
    tasks = [with_returns(task, oracle=None) for task in report.tasks]
    place(study / "no-oracle", report.model_copy(update={"tasks": tasks}))
    answer = merpo_cli("compare", str(study), "--out", str(tmp_path / "without"))
    assert "opt. gap" not in answer.out
    assert "optimality" not in (tmp_path / "without" / "arms.csv").read_text("utf-8")


def test_hostile_names_stay_text(study: Path, tmp_path: Path, merpo_cli: Merpo) -> None:
    place(study / "x", moved(0.9, 0, 0.0, title="<script>alert(1)</script> [bold]x[/bold]"))
    answer = merpo_cli("compare", str(study), "--out", str(tmp_path / "out"))
    assert answer.code == 0
    assert "[bold]" in answer.out
    text = (tmp_path / "out" / "comparison.html").read_text("utf-8")
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_one_arm_has_no_pairs(study: Path, tmp_path: Path, merpo_cli: Merpo) -> None:
    answer = merpo_cli("compare", str(study / "alpha-0.1"), "--out", str(tmp_path / "out"))
    assert answer.code == 0
    assert "probability" not in answer.out
    assert not (tmp_path / "out" / "pictures" / "probability_of_improvement.png").exists()


def test_many_arms_are_compared_with_the_first(tmp_path: Path, merpo_cli: Merpo) -> None:
    for i in range(9):
        place(tmp_path / "runs" / str(i), moved(i / 10, 0, 0.1 * i))
    answer = merpo_cli("compare", str(tmp_path / "runs"), "--out", str(tmp_path / "out"))
    assert answer.code == 0
    assert len([line for line in answer.out.splitlines() if "alpha.initial" in line and line.startswith("|")]) == 9
    assert (tmp_path / "out" / "pictures" / "probability_of_improvement.png").exists()


def test_reports_are_built_anew(tmp_path: Path, merpo_cli: Merpo) -> None:
    base = tmp_path / "runs"
    pages = [write_report(bare(seed=seed), place(base / f"seed-{seed}", bare(seed=seed))) for seed in (0, 1)]
    before = [page.read_bytes() for page in pages]
    for page in pages:
        page.unlink()
    answer = merpo_cli("report", str(base / "seed-0"))
    assert (answer.code, answer.out) == (0, f"report: {pages[0]}\n")
    assert not Path("comparison").exists()
    answer = merpo_cli("report", str(base), "--out", "both")
    assert answer.code == 0
    assert [page.read_bytes() for page in pages] == before, "the same report gives the same page"
    assert "comparison: both/comparison.html" in answer.out
    answer = merpo_cli("report", "nothing")
    assert (answer.code, "no such file or folder" in answer.err) == (2, True)
