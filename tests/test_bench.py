"""The scripts under bench/: each runs at its smallest size, and none writes results with gaps."""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "bench"
RESULTS = BENCH / "results"
SCRIPTS = sorted(BENCH.glob("[!_]*.py"))
NAMES = [script.stem for script in SCRIPTS]
FILES = {  # the other scripts write <name>.json
    "goals": {"goals.md"},
    "headline": {"headline.json", "headline.md"},
    "results": {"point_robot_wind.json", "point_robot_wind.md"},
    "where": {"where.json", "where.md"},
}
OPTIONAL = ("oracle", "set")  # keys of committed results that may be empty
GOOD = {"machine": {"load": None}, "arguments": {"set": []}, "sizes": {"3x64": {"rounds": [0.1, 0.2]}}}
TABLE = "# Title\n\n| arm | return |\n|---|---|\n| a | 1.0 |\n"


@pytest.fixture(autouse=True)
def _bench_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH))


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`call(work, *arguments)` does `work` as a script with these command-line arguments does."""

    def call(work: Callable[[], Any], *arguments: object) -> Any:
        monkeypatch.setattr(sys, "argv", ["script.py", *map(str, arguments)])
        return work()

    return call


def cannot_run(name: str) -> str | None:
    """Why a script has to skip its work on this machine."""
    if name == "cuda" and not torch.cuda.is_available():
        return "PyTorch finds no CUDA device"
    if name in {"collection", "sac_parity"} and importlib.util.find_spec("stable_baselines3") is None:
        return "stable_baselines3 is not installed"
    return None


def digests() -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in RESULTS.iterdir()}


def test_the_page_of_point_robot_wind_is_made_of_the_stored_returns(tmp_path: Path, call: Callable[..., Any]) -> None:
    import results

    call(results.main, "--stored", "--out", tmp_path)
    assert (tmp_path / "point_robot_wind.md").read_text("utf-8") == (RESULTS / "point_robot_wind.md").read_text("utf-8")


def test_the_page_of_the_foreign_suite_is_made_of_the_stored_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH / "foreign"))
    import table

    stored = json.loads((RESULTS / "foreign.json").read_text("utf-8"))
    page = "\n".join(table.markdown(stored["rows"], stored.get("d3rlpy", {}))) + "\n"
    assert page == (RESULTS / "foreign.md").read_text("utf-8")


def test_claims_that_stand_in_the_text_are_those_of_the_page() -> None:
    """Every difference with an interval in the list of what reproduces stands in the tables of Point-Robot-Wind."""
    page = (RESULTS / "point_robot_wind.md").read_text("utf-8")
    text = (ROOT / "docs" / "departures.md").read_text("utf-8").partition("## What reproduces")[2]
    text = " ".join(text.replace("−", "-").split())
    given = re.findall(r"(-?\d+\.\d\d) \[(-?\d+\.\d\d), (-?\d+\.\d\d)\]", text)
    assert len(given) > 15
    for mean, low, high in given:
        turned = [f"{-float(x):.2f}" for x in (mean, high, low)]  # "better by" and "worse by" are one number
        forms = [f"{a} [{b}, {c}]" for a, b, c in ((mean, low, high), turned)]
        assert any(form in page for form in forms), forms


def test_a_controller_that_is_blind_to_the_wind_earns_what_departures_say() -> None:
    """clip(18 (goal − s)) on the unseen winds of the ablations, beside the oracle."""
    from _headline_references import controlled

    from merpo.evaluation.evaluate import oracle_evaluation
    from merpo.recipe.recipe import load_recipe

    recipe = load_recipe(ROOT / "recipes" / "ablations" / "one_goal.toml", ["tasks.seed=2026"])
    tasks = recipe.tasks.tasks(40, 10)[1]
    earned, oracle = controlled(recipe, tasks, 1.0, 0.0, 18.0), oracle_evaluation(recipe.tasks, tasks, 1, 0)
    assert oracle is not None
    numbers = (
        f"earns −{-sum(earned) / 10:.2f} on these unseen winds, where the oracle earns −{-oracle.returns.mean():.2f}"
    )
    assert numbers in " ".join((ROOT / "docs" / "departures.md").read_text("utf-8").split())


def test_the_page_of_the_headline_tells_what_is_better_from_what_cannot_be_told() -> None:
    from _headline_page import page

    own = [[-5.0, -6.0], [-5.2, -6.1], [-5.1, -5.9]]
    worse = [[x - 4 for x in row] for row in own]
    cells = {
        "behavior": worse, "behavior_mode": [[-4.0, -9.0]] * 3, "meta_policy": worse, "better": [[-1.0, -1.0]] * 3,
        "equal": [[-5.1, -6.0], [-5.1, -6.0], [-5.1, -6.0]], "MerPO-Adp, 5 steps": own, "oracle": [[-0.5, -0.5]] * 3,
    }  # fmt: skip
    text = page({"medium": cells})
    verdicts = {row.split(" | ")[0].removeprefix("| "): row.split(" | ")[1] for row in text.splitlines() if "| " in row}
    assert verdicts["behaviour policies, drawn (the data)"] == "holds"
    assert verdicts["better"] == "does not hold"
    assert verdicts["equal"] == "cannot be told"
    said = " ".join(text.split())
    assert "worse than the data in 0 of 6 pairs" in said
    assert "whichever is better there, in 3." in said, "the mode of the first task is better"


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_a_script_runs_at_its_smallest_size(script: Path, tmp_path: Path) -> None:
    from _results import json_problems, markdown_problems

    before, out, reason = digests(), tmp_path / "out", cannot_run(script.stem)
    done = subprocess.run(
        [sys.executable, str(script), "--tiny", "--out", str(out)],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert digests() == before
    if reason is not None:
        assert done.stdout.startswith(f"skipped: {reason}")
        assert not out.exists()
        return
    assert "skipped" not in done.stdout
    written = {path for path in out.iterdir() if path.is_file()}
    assert {path.name for path in written} == FILES.get(script.stem, {f"{script.stem}.json"})
    for path in written:
        text = path.read_text("utf-8")
        assert (markdown_problems(text) if path.suffix == ".md" else json_problems(json.loads(text), OPTIONAL)) == []


def test_complete_results_are_written(tmp_path: Path) -> None:
    from _results import write_results

    json_path, markdown = tmp_path / "new" / "x.json", tmp_path / "new" / "x.md"
    write_results("x", {json_path: GOOD, markdown: TABLE})
    assert json.loads(json_path.read_text("utf-8")) == GOOD
    assert markdown.read_text("utf-8") == TABLE
    assert len(list(json_path.parent.iterdir())) == 2


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"sizes": {}}, "sizes: empty"),
        ({"sizes": {"3x64": {"rounds": []}}}, "sizes / 3x64 / rounds: empty"),
        ({"sizes": {"3x64": {"rounds": [0.1, math.nan]}}}, "sizes / 3x64 / rounds / 1: nan instead of a finite number"),
        ({"sizes": {"3x64": {"rounds": [-math.inf]}}}, "sizes / 3x64 / rounds / 0: -inf instead of a finite number"),
        ({"sizes": {"3x64": None}}, "sizes / 3x64: no value"),
        ({"oracle": None}, "oracle: no value"),
        ({"machine": {"load": math.nan}}, "machine / load: nan instead of a finite number"),
    ],
)
def test_incomplete_json_is_refused(changed: dict[str, Any], problem: str, tmp_path: Path) -> None:
    from _results import IncompleteResultsError, write_results

    path = tmp_path / "x.json"
    path.write_text("before")
    with pytest.raises(IncompleteResultsError) as caught:
        write_results("x", {path: GOOD | changed})
    assert str(caught.value) == f"bench/x.py: no file was written\n{path}: incomplete\n  {problem}"
    assert [each.name for each in tmp_path.iterdir()] == ["x.json"]
    assert path.read_text() == "before"


def test_circumstances_alone_are_no_results() -> None:
    from _results import json_problems

    assert json_problems({key: GOOD[key] for key in ("machine", "arguments")}) == ["no results"]
    assert json_problems({**GOOD, "oracle": None}, optional=("oracle",)) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("# Title\n", "no table"),
        ("| arm |\n|---|\n\n" + TABLE, "no rows in the table | arm |"),
        (TABLE + "| b | nan [nan, 1.0] |\n", "not a number in the row | b | nan [nan, 1.0] |"),
        (TABLE + "| b | -inf |\n", "not a number in the row | b | -inf |"),
    ],
)
def test_incomplete_tables_are_found(text: str, problem: str) -> None:
    from _results import markdown_problems

    assert markdown_problems(text) == [problem]
    assert markdown_problems(TABLE + "| finance | – |\n") == []


def test_an_incomplete_file_keeps_its_neighbours_from_being_written(tmp_path: Path) -> None:
    from _results import IncompleteResultsError, write_results

    with pytest.raises(IncompleteResultsError, match=r"x\.md: complete, but belongs to an incomplete one"):
        write_results("x", {tmp_path / "x.json": {}, tmp_path / "x.md": TABLE})
    with pytest.raises(IncompleteResultsError, match="arm MerPO-Adp"):
        write_results("x", {tmp_path / "x.json": GOOD}, missing=["arm MerPO-Adp"])
    assert list(tmp_path.iterdir()) == []


def test_a_long_list_of_problems_is_cut(tmp_path: Path) -> None:
    from _results import IncompleteResultsError, write_results

    with pytest.raises(IncompleteResultsError, match=r"rounds / 9: nan.*\n  and 90 more$"):
        write_results("x", {tmp_path / "x.json": {"rounds": [math.nan] * 100}})


def test_tables_of_runs_that_are_not_there_are_not_written(tmp_path: Path, call: Callable[..., Any]) -> None:
    import results
    from _results import IncompleteResultsError

    for name in FILES["results"]:
        (tmp_path / name).write_text("before")
    with pytest.raises(IncompleteResultsError) as caught:
        call(results.main, "--tables", "--runs", tmp_path / "runs", "--out", tmp_path)
    assert str(caught.value).startswith("bench/results.py: no file was written\n")
    for part in (*FILES["results"], "runs/ablations-one_goal"):
        assert str(tmp_path / part) in str(caught.value)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(FILES["results"], "before")


def test_the_tables_of_the_committed_returns_are_the_committed_ones() -> None:
    import results

    found = json.loads((RESULTS / "point_robot_wind.json").read_text("utf-8"))
    text = "\n".join(results.tables(found["arms"], found["ablations"])) + "\n"
    assert text == (RESULTS / "point_robot_wind.md").read_text("utf-8")


def test_goals_are_not_written_without_every_figure(tmp_path: Path, call: Callable[..., Any]) -> None:
    import goals
    from _results import IncompleteResultsError

    (tmp_path / "memory.json").write_text("{}")
    with pytest.raises(IncompleteResultsError, match=r"bench/goals\.py: no file was written") as caught:
        call(goals.main, "--results", tmp_path, "--out", tmp_path)
    assert f"share of sgemm: no {tmp_path / 'inner_step.json'}" in str(caught.value)
    assert not (tmp_path / "goals.md").exists()
    call(goals.main, "--out", tmp_path)
    assert (tmp_path / "goals.md").read_bytes() == (RESULTS / "goals.md").read_bytes()


def test_committed_results_are_complete() -> None:
    from _results import json_problems, markdown_problems

    for path in RESULTS.iterdir():
        text = path.read_text("utf-8")
        if path.suffix == ".md":
            assert markdown_problems(text) == [], path
        elif path.name not in ("suites.json", "reproduction.json"):  # of `merpo`, where a run may lack a policy
            assert json_problems(json.loads(text), OPTIONAL) == [], path


def test_tiny_replaces_defaults_and_keeps_committed_results(
    tmp_path: Path, call: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    from _options import options, parse, recorded

    def read(**tiny: int) -> argparse.Namespace:
        made = options("A script.", "bench/x.py")
        made.add_argument("--rounds", type=int, default=9)
        made.add_argument("--tasks", type=int, default=8)
        return parse(made, **tiny)

    with pytest.raises(SystemExit):
        call(lambda: read(rounds=1), "--tiny")
    assert "--tiny: expected --out FOLDER too" in capsys.readouterr().err
    plain = call(lambda: read(rounds=1))
    assert (plain.out, plain.script, recorded(plain)) == (RESULTS, "x", {"rounds": 9, "tasks": 8})
    tiny = call(lambda: read(rounds=1, tasks=2), "--tiny", "--out", tmp_path, "--tasks", 3)
    assert (tiny.out, recorded(tiny)) == (tmp_path, {"tiny": True, "rounds": 1, "tasks": 3})


def test_a_command_that_does_nothing_is_an_error(tmp_path: Path) -> None:
    from _command import merpo

    with pytest.raises(RuntimeError, match="`merpo --version` returned 0 without writing"):
        merpo("--version", makes=tmp_path / "report.json", quiet=True)


def test_no_file_runs_a_module_inside_of_merpo() -> None:
    folders = (BENCH, ROOT / "docs", ROOT / "merpo", ROOT / "plugins", ROOT / "tests")
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in {".py", ".md"}]
    files += [ROOT / "noxfile.py", ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    found = [path for path in files if re.search(r"""-m["', ]+merpo\.""", path.read_text("utf-8"))]
    assert found == []  # `python -m merpo` is the one that stays


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("aten::baddbmm", "matrix products"),
        ("_fused_adam_", "optimiser"),
        ("aten::randint", "random numbers"),
        ("aten::_to_copy", "data movement"),
        ("detach", "views and allocation"),
        ("aten::linalg_vector_norm", "reductions"),
        ("autograd::engine::evaluate_function: MulBackward0", "autograd"),
        ("StackedMLPBackward", "autograd"),
        ("aten::softplus_backward", "elementwise"),
    ],
)
def test_kinds_of_work(operation: str, expected: str) -> None:
    assert importlib.import_module("_kinds").kind(operation) == expected
