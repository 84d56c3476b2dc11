"""`merpo run` from recipe to report: what it writes, that it repeats, goes on where it stopped, and refuses by name."""

from __future__ import annotations

import base64
import errno
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command import Answer
from finished import interrupted_meta_policy
from sealed import origin, seal
from single_recipes import TINY_SINGLE
from tiny import tables, tiny_recipe, write_tiny

import merpo
from merpo.artifacts.artifact import load_artifact
from merpo.artifacts.run_folder import RunFolder
from merpo.components.context import Adapted, Context
from merpo.components.interfaces import Method
from merpo.components.task_data import TaskData
from merpo.errors import ArtifactError, MerpoError, TrainingError
from merpo.recipe.recipe import from_tables
from merpo.report.policies import POLICIES, ReportedPolicy
from merpo.report.report import load_report
from merpo.run.run import run_recipe
from merpo.support import stop
from merpo.support.files import sha256_file
from merpo.support.metrics import METRICS_FILE, read_metrics
from merpo.types import Params

STAGES = ["meta-model", "models", "behavior", "meta-policy", "unseen-models", "unseen-behavior"]
WHOLE = ["meta", "best-meta", "adapted", "adapted-way"]  # the artifacts that are no stage's
EVALUATED = {"evaluate": {"during_training": 2}}


Merpo = Callable[..., Answer]


@pytest.fixture(scope="module")
def first(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the tiny recipe, evaluated twice during meta-training; tests only read it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MERPO_DATA", str(store))
        return run_recipe(tiny_recipe(EVALUATED), tmp_path_factory.mktemp("runs") / "first", [0], None, True)


def test_a_recipe_is_enough_and_quiet_prints_nothing(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MERPO_DATA", str(store))
    monkeypatch.chdir(tmp_path)
    recipe = tiny_recipe({"seed": 3})
    folder = run_recipe(recipe, quiet=True)
    assert capfd.readouterr() == ("", "")
    assert folder.parent == Path("runs")
    assert load_report(folder / "report.json").seed == 3
    both = run_recipe(recipe, "both", [3, 4], quiet=True)
    assert capfd.readouterr() == ("", "")
    assert sorted(path.name for path in both.iterdir()) == ["seed-3", "seed-4", "summary.json"]
    assert run_recipe(recipe, folder) == folder
    said = capfd.readouterr()
    assert f"report: {folder}" in said.out
    assert said.err


def content(run: Path) -> dict[str, bytes]:
    """The artifacts of a run, byte by byte."""
    return {path.name: path.read_bytes() for path in sorted((run / "artifacts").iterdir())}


def findings(run: Path) -> dict[str, Any]:
    """`report.json` without what no two runs share."""
    found: dict[str, Any] = json.loads((run / "report.json").read_text("utf-8"))
    assert found.pop("created")
    assert found.pop("timings")
    found.pop("reused")
    return found


def wait_free(run: Path) -> list[tuple[Any, ...]]:
    """The metrics of a run without the time of day."""
    return [(record.stage, record.step, record.metrics) for record in read_metrics(run)]


def test_an_environment_that_cannot_be_made_is_told_before_anything_is_trained(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MERPO_DATA", str(store))
    recipe = tiny_recipe()
    run_recipe(recipe, tmp_path / "a", [0], None, True)

    def lacking(self: object, task: object) -> None:
        raise MerpoError("tasks/point-robot-wind needs a simulator")

    monkeypatch.setattr(type(recipe.tasks), "make", lacking)
    with pytest.raises(MerpoError, match="needs a simulator"):
        run_recipe(recipe, tmp_path / "b", [0], None, True)
    assert not (tmp_path / "b").exists()


def test_a_start_that_was_refused_does_not_hold_its_folder(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MERPO_DATA", str(store))
    meta = {"source": "run", "path": str(tmp_path / "nowhere")}
    with pytest.raises(MerpoError, match="nowhere"):
        run_recipe(tiny_recipe({"method": {**TINY_SINGLE, "meta_policy": meta}}), tmp_path / "a", [0], None, True)
    assert (tmp_path / "a" / "manifest.json").exists()
    corrected = tiny_recipe({"method": {**TINY_SINGLE, "meta_policy": {"source": "random"}}})
    run_recipe(corrected, tmp_path / "a", [0], None, True)
    with pytest.raises(MerpoError, match=r'another recipe.*method\.component \("single" there, "merpo" here\).* more;'):
        run_recipe(tiny_recipe(), tmp_path / "a", [0], None, True)


def test_what_a_run_leaves_behind(first: Path) -> None:
    names = {path.name for path in first.iterdir()}
    assert names == {
        "artifacts", "episodes.csv", "manifest.json", METRICS_FILE, "pictures", "recipe.toml", "report.html",
        "report.json", "timings.json", "training_curve.json",
    }  # fmt: skip
    assert {path.stem for path in (first / "artifacts").iterdir()} == {*STAGES, *WHOLE}
    assert merpo.recipe.recipe.load_recipe(first / "recipe.toml") == tiny_recipe(EVALUATED)
    manifest = json.loads((first / "manifest.json").read_text("utf-8"))
    assert manifest["seed"] == 0
    assert manifest["versions"]["torch"] == torch.__version__
    assert sorted(manifest["datasets"]) == [
        "test task-002.medium", "test task-003.medium", "train task-000.medium", "train task-001.medium",
    ]  # fmt: skip
    for path in (first / "artifacts").iterdir():
        assert manifest["artifacts"][path.stem] == sha256_file(path)
    report = load_report(first / "report.json")
    assert {entry.sha256 for entry in report.datasets} == set(manifest["datasets"].values())


def test_artifacts_carry_the_resolved_recipe(first: Path) -> None:
    for path in (first / "artifacts").iterdir():
        groups, header = load_artifact(path)
        assert from_tables(json.loads(header["recipe"])) == tiny_recipe(EVALUATED)
        assert (header["stage"], header["seed"]) == (path.stem, "0")
        assert json.loads(header["versions"])["merpo"] == merpo.__version__
        assert json.loads(header["groups"]) == sorted(groups)
    groups, _ = load_artifact(first / "artifacts" / "adapted.safetensors")
    assert set(groups) == {"policy", "critic", "models", "scores", "scales"}
    assert all(value.shape[0] == 2 for value in groups["policy"].values())


def test_the_report_tells_what_was_measured(first: Path, monkeypatch: pytest.MonkeyPatch, store: Path) -> None:
    report = load_report(first / "report.json")
    assert [task.index for task in report.tasks] == [2, 3]
    groups, _ = load_artifact(first / "artifacts" / "adapted.safetensors")
    family, params = tiny_recipe().tasks, [task.params for task in report.tasks]
    returns = merpo.evaluate(family, params, lambda s: merpo.act(groups["policy"], s), 1, 0).returns  # type: ignore[arg-type]
    for t, task in enumerate(report.tasks):
        assert task.returns["adapted"] == pytest.approx(float(returns[t, 0]))
        assert set(task.snapshots) == {0, 2, 3}
        assert (task.snapshots[0], task.snapshots[3]) == (task.returns["meta_policy"], task.returns["adapted"])
        assert task.returns.get("oracle") is not None
        assert task.returns["oracle"] > task.returns["adapted"]
        assert set(task.trajectories) == {"behavior", "meta_policy", "adapted", "oracle"}
        assert len(task.trajectories["adapted"]) == 11
    assert [point.step for point in report.training_curve] == [1, 2]
    assert report.training_curve[-1].returns["adapted"] == [task.returns["adapted"] for task in report.tasks]
    assert set(report.duals.training) == {"alpha", "lambda", "beta", "q_gap"} <= set(report.duals.adaptation)
    assert len(report.model.nll_before) == len(report.model.nll_after) == 2
    assert set(report.timings) >= {"meta-model", "models", "behavior", "meta-policy", "adapt", "evaluate"}


def test_the_page_holds_every_picture(first: Path) -> None:
    page = (first / "report.html").read_text("utf-8")
    found = re.findall(r'<img src="data:image/png;base64,([^"]+)" alt="([^"]+)">', page)
    pictures = {path.stem: path.read_bytes() for path in (first / "pictures").iterdir()}
    assert set(pictures) == {
        "per_task_returns", "return_over_training", "adaptation_steps", "trajectories", "duals", "model_error",
    }  # fmt: skip
    assert {base64.b64decode(data) for data, _ in found} == set(pictures.values())
    assert all(data.startswith(b"\x89PNG") for data in pictures.values())
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", page)  # nothing is fetched from elsewhere


def test_the_same_recipe_gives_the_same_bits(first: Path, tmp_path: Path, merpo_cli: Merpo) -> None:
    write_tiny(Path("tiny.toml"), EVALUATED)
    answer = merpo_cli("run", "tiny.toml", "--out", "again")
    assert answer.code == 0
    again = tmp_path / "again"
    assert content(again) == content(first)
    assert findings(again) == findings(first)
    assert wait_free(again) == wait_free(first)
    for name in ("recipe.toml", "training_curve.json"):
        assert (again / name).read_bytes() == (first / name).read_bytes()
    assert origin(again) == origin(first)
    for path in (first / "pictures").iterdir():
        assert (again / "pictures" / path.name).read_bytes() == path.read_bytes()
    for word in ("behaviour", "meta-policy", "adapted", "oracle", "mean", "report: again/report.html"):
        assert word in answer.out


def test_how_often_a_run_reports_changes_nothing(first: Path, tmp_path: Path, merpo_cli: Merpo) -> None:
    write_tiny(Path("tiny.toml"), {"evaluate": {"during_training": 1}, "run": {"log_every": 1}})
    assert merpo_cli("run", "tiny.toml", "--out", "chatty").code == 0
    assert len(wait_free(tmp_path / "chatty")) > len(wait_free(first))
    for name in content(first):
        groups, header = load_artifact(tmp_path / "chatty" / "artifacts" / name)
        theirs, other_header = load_artifact(first / "artifacts" / name)
        assert header["fingerprint"] == other_header["fingerprint"]
        assert groups.keys() == theirs.keys()
        assert all(torch.equal(groups[g][k], theirs[g][k]) for g in theirs for k in theirs[g])


def test_another_seed_gives_other_numbers(first: Path, tmp_path: Path, merpo_cli: Merpo) -> None:
    evaluated = ("--set", "evaluate.during_training=2")
    assert merpo_cli("run", "tiny.toml", "--out", "other", "--seed", "1", *evaluated).code == 0
    other = content(tmp_path / "other")
    for name, mine in content(first).items():
        one, two = (
            load_artifact(first / "artifacts" / name)[0],
            load_artifact(tmp_path / "other" / "artifacts" / name)[0],
        )
        assert one.keys() == two.keys()
        assert mine != other[name]
        assert any(not torch.equal(one[g][k], two[g][k]) for g in one for k in one[g])
    assert load_report(tmp_path / "other" / "report.json").seed == 1


def test_clones_are_measured_at_the_end_and_not_during_meta_training(first: Path) -> None:
    curve = json.loads((first / "training_curve.json").read_text("utf-8"))
    assert {key for point in curve.values() for key in point} == {"adapted", "meta_policy"}
    assert {"clone", "clone_drawn"} <= load_report(first / "report.json").tasks[0].returns.keys()


def test_a_run_tells_its_health(first: Path) -> None:
    report = load_report(first / "report.json")
    assert [check.name for check in report.health] == [
        "episodes", "rewards", "actions", "range of the data", "model", "returns of the model",
        "reach of the policy", "clone", "Q",
        "growth of Q", "pull on the policy", "meta-policy against the clone", "policy against the clone",
    ]  # fmt: skip
    checks = {check.name: check for check in report.health}
    returns = [[task.returns[key] for task in report.tasks] for key in ("adapted", "clone")]
    difference = sum(a - b for a, b in zip(*returns, strict=True)) / len(report.tasks)
    assert checks["policy against the clone"].values["difference"] == pytest.approx(difference)
    assert checks["episodes"].figure == "at least 4 for each unseen task, 4 for each training task"
    assert checks["model"].status == "failure", "a model of three steps knows nothing"
    assert "Health of this run" in (first / "report.html").read_text("utf-8")


def test_a_method_without_figures_has_the_checks_of_its_data(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MERPO_DATA", str(store))
    recipe = tiny_recipe()
    adapt = type(recipe.method).adapt

    def bare(*given: Any) -> Any:
        adapted = adapt(*given)
        meta = {name: policy for name, policy in adapted.references.items() if name == "meta-policy"}
        return adapted._replace(scores={}, references=meta)

    monkeypatch.setattr(type(recipe.method), "adapt", bare)
    report = load_report(run_recipe(recipe, tmp_path / "run", [0], None, True) / "report.json")
    assert [check.name for check in report.health] == ["episodes", "rewards", "actions", "range of the data"]
    assert "clone" not in report.tasks[0].returns


def test_a_second_run_loads_what_the_first_finished(first: Path, tmp_path: Path, merpo_cli: Merpo) -> None:
    shutil.copytree(first, tmp_path / "copy")
    write_tiny(Path("tiny.toml"), EVALUATED)
    answer = merpo_cli("run", "tiny.toml", "--out", "copy")
    assert answer.code == 0
    for stage in [*STAGES[:4], "adapted", "adapted-way"]:
        assert f"{stage}: loaded from copy/artifacts/{stage}.safetensors" in answer.err
    assert "unseen-models" not in answer.err  # adaptation is loaded whole
    assert "meta-policy: 2/2" not in answer.err
    assert "adapt: 3/3" not in answer.err
    assert content(tmp_path / "copy") == content(first)
    assert findings(tmp_path / "copy") == findings(first)


def test_what_is_shown_may_change_what_is_trained_may_not(first: Path, tmp_path: Path, merpo_cli: Merpo) -> None:
    shutil.copytree(first, tmp_path / "copy")
    answer = merpo_cli("run", "tiny.toml", "--out", "copy", "--set", "evaluate.episodes=3", "--set", 'title="New"')
    assert answer.code == 0
    assert "meta-policy: loaded" in answer.err
    assert "adapted: loaded" in answer.err
    assert load_report(tmp_path / "copy" / "report.json").title == "New"
    for change in ("method.rac.discount=0.5", "data.episodes=5", "seed=4"):
        answer = merpo_cli("run", "tiny.toml", "--out", "copy", "--set", change)
        assert answer.code == 2
        assert "copy: holds a run of another recipe, seed or data" in answer.err
        key, value = change.split("=")
        there = {"method.rac.discount": '"auto"', "data.episodes": "4", "seed": "0"}[key]
        assert f"{key} ({there} there, {value} here)" in answer.err
        assert "evaluate" not in answer.err, "what is only shown may differ"
    assert merpo_cli("run", "tiny.toml", "--out", "copy", "--seed", "1").code == 2


@pytest.mark.parametrize(("steps", "loaded"), [([0, 2, 3], True), ([0, 2], False), ([0, 1, 2, 3], False)])
def test_adaptation_is_done_again_for_the_sake_of_other_snapshots(
    first: Path, tmp_path: Path, merpo_cli: Merpo, steps: list[int], loaded: bool
) -> None:
    shutil.copytree(first, tmp_path / "copy")
    write_tiny(Path("tiny.toml"), {"evaluate": {"snapshots": steps, "during_training": 2}})
    for out in ("copy", "fresh"):
        answer = merpo_cli("run", "tiny.toml", "--out", out)
        assert ("adapted: loaded" in answer.err) == (loaded and out == "copy")
    assert findings(tmp_path / "copy") == findings(tmp_path / "fresh")
    assert set(load_report(tmp_path / "copy" / "report.json").tasks[0].snapshots) == {*steps, 3}


def test_adaptation_is_done_again_where_one_of_its_artifacts_was_deleted(
    first: Path, tmp_path: Path, merpo_cli: Merpo
) -> None:
    write_tiny(Path("tiny.toml"), EVALUATED)
    for name in ("unseen-models", "adapted", "adapted-way"):
        shutil.copytree(first, tmp_path / name)
        (tmp_path / name / "artifacts" / f"{name}.safetensors").unlink()
        answer = merpo_cli("run", "tiny.toml", "--out", name)
        assert answer.code == 0
        assert "adapted: loaded" not in answer.err
        assert "adapt: 3/3" in answer.err
        assert content(tmp_path / name) == content(first)
        assert findings(tmp_path / name) == findings(first)


def test_a_place_that_holds_something_else_is_refused_before_anything(tmp_path: Path, merpo_cli: Merpo) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    (tmp_path / "file").write_text("")
    for out, reason in (("full", "is not empty and not a run folder"), ("file", "cannot be a run folder")):
        answer = merpo_cli("run", "tiny.toml", "--out", out, "--set", "data.store='unused'")
        assert (answer.code, answer.out) == (2, "")
        assert f"{out}: {reason}" in answer.err
        assert "collecting" not in answer.err
    answer = merpo_cli("run", "tiny.toml", "--out", "full", "--seeds", "0:2")
    assert answer.code == 2
    assert "full: contains thesis.tex, expected a new folder" in answer.err
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("text", ["{", "[]", '{"seed": 0}', "\xff", '{"fingerprint": 5}'])
def test_a_manifest_that_is_damaged_is_refused(first: Path, tmp_path: Path, merpo_cli: Merpo, text: str) -> None:
    shutil.copytree(first, tmp_path / "copy")
    (tmp_path / "copy" / "manifest.json").write_bytes(text.encode("latin-1"))
    answer = merpo_cli("run", "tiny.toml", "--out", "copy")
    assert answer.code == 2
    assert "give another --out" in answer.err


def test_an_artifact_that_is_damaged_is_refused_and_deleting_it_helps(
    first: Path, tmp_path: Path, merpo_cli: Merpo
) -> None:
    shutil.copytree(first, tmp_path / "copy")
    path = tmp_path / "copy" / "artifacts" / "meta-policy.safetensors"
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    answer = merpo_cli("run", "tiny.toml", "--out", "copy")
    assert answer.code == 2
    assert "meta-policy.safetensors: the content has changed" in answer.err
    assert "delete it" in answer.err
    path.unlink()
    write_tiny(Path("tiny.toml"), EVALUATED)
    assert merpo_cli("run", "tiny.toml", "--out", "copy").code == 0
    assert content(tmp_path / "copy") == content(first)
    assert findings(tmp_path / "copy") == findings(first)


def test_seeds_get_a_folder_each_and_a_summary(tmp_path: Path, merpo_cli: Merpo) -> None:
    answer = merpo_cli("run", "tiny.toml", "--out", "many", "--seeds", "0:2")
    assert answer.code == 0
    many = tmp_path / "many"
    assert sorted(path.name for path in many.iterdir()) == ["seed-0", "seed-1", "summary.json"]
    reports = [load_report(many / f"seed-{seed}" / "report.json") for seed in (0, 1)]
    assert [report.seed for report in reports] == [0, 1]
    summary = json.loads((many / "summary.json").read_text("utf-8"))
    mean = sum(report.summary.returns["adapted"].mean for report in reports) / 2
    assert summary["adapted"]["mean"] == pytest.approx(mean)
    assert summary["seeds"] == 2
    again = merpo_cli("run", "tiny.toml", "--out", "many", "--seeds", "1:2")
    assert again.code == 2  # one seed is a run of its own
    assert "many: is not empty and not a run folder" in again.err


def test_an_interrupted_run_goes_on_as_if_it_never_was(
    first: Path, tmp_path: Path, merpo_cli: Merpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny(Path("tiny.toml"), EVALUATED)
    with interrupted_meta_policy(monkeypatch) as patch:
        patch.setattr(Context, "end_step", lambda self, step, total: True)  # the half of a stage leaves its metrics
        answer = merpo_cli("run", "tiny.toml", "--out", "cut")
        assert answer.code not in (0, 2)
        assert "interrupted; run the same command with --out cut to resume" in answer.err
    cut = tmp_path / "cut"
    assert set(content(cut)) == {f"{name}.safetensors" for name in [*STAGES, "best-meta"] if name != "meta-policy"}
    assert [record.step for record in read_metrics(cut) if record.stage == "meta-policy"] == [1]
    answer = merpo_cli("run", "tiny.toml", "--out", "cut")
    assert answer.code == 0
    assert "meta-model: loaded" in answer.err
    assert "meta-policy: loaded" not in answer.err
    assert content(cut) == content(first)
    mine, theirs = findings(cut), findings(first)
    assert mine.pop("duals")["training"]["alpha"]["steps"] == [1, 2]  # step 1 from before, step 2 once
    theirs.pop("duals")
    assert mine == theirs


def test_numbers_that_are_not_finite_stop_the_run(tmp_path: Path, merpo_cli: Merpo) -> None:
    absurd = {"component": "maml", "inner_lr": 1.0, "outer_lr": 1.0}
    write_tiny(Path("tiny.toml"), {"method": {"meta_learner": absurd}, "run": {"log_every": 1}})
    plain = ("--set", "method.meta_model.iterations=20", "--set", "method.dynamics.beta_nll=0")
    answer = merpo_cli("run", "tiny.toml", "--out", "nan", *plain)
    assert answer.code == 2
    assert re.search(
        r"error: stage 'meta-model', step \d+: metric 'loss' of task \d.* is (nan|inf), expected", answer.err
    )
    assert "; there is no checkpoint yet" in answer.err
    more = ("--set", "run.checkpoint_every=0", "--set", "run.log_every=20")
    answer = merpo_cli("run", "tiny.toml", "--out", "kept", *plain, *more)
    assert answer.code == 2
    (step,) = re.findall(r"error: stage 'meta-model', step (\d+): metric 'loss' of task \d", answer.err)
    last = f"kept/checkpoints/meta-model/ckpt-{int(step) - 1:09d}"
    assert f"the last good checkpoint is {last}" in answer.err
    assert (tmp_path / last / "manifest.json").exists()
    assert not (tmp_path / "nan" / "artifacts").exists()  # nothing that is not finite is kept
    assert not (tmp_path / "nan" / "report.json").exists()


def test_refusals_before_any_training(tmp_path: Path, merpo_cli: Merpo) -> None:
    answer = merpo_cli("run", "tiny.toml", "--out", "x", "--set", "method.rac.batch_size=41")
    assert answer.code == 2
    assert "task-000.medium: 40 transitions, fewer than a batch of 41" in answer.err
    answer = merpo_cli("run", "tiny.toml", "--out", "x", "--no-collect", "--set", "data.store='empty'")
    assert answer.code == 2
    assert "4 of 4 datasets are missing, the first is task-000.medium" in answer.err
    if not torch.cuda.is_available():
        answer = merpo_cli("run", "tiny.toml", "--out", "x", "--device", "cuda")
        assert answer.code == 2
        assert "finds no CUDA device; expected auto or cpu" in answer.err
    assert not (tmp_path / "x").exists()


def test_a_run_without_out_has_a_new_folder(tmp_path: Path, merpo_cli: Merpo) -> None:
    for _ in range(2):
        assert merpo_cli("run", "tiny.toml", "--set", 'title="Tiny / α"').code == 0
    runs = sorted((tmp_path / "runs").iterdir())
    assert len(runs) == 2
    assert all(re.match(r"tiny-\d{8}-\d{6}", run.name) for run in runs)
    assert content(runs[0]) == content(runs[1])


def test_without_a_model_there_is_none(tmp_path: Path, merpo_cli: Merpo) -> None:
    for _ in range(2):  # computed, then loaded
        answer = merpo_cli("run", "tiny.toml", "--out", "cql", "--set", "method.rac.use_model=false")
        assert answer.code == 0
    assert "meta-policy: loaded" in answer.err
    report = load_report(tmp_path / "cql" / "report.json")
    assert report.model.nll_before == []
    assert "model_error" not in {path.stem for path in (tmp_path / "cql" / "pictures").iterdir()}


class Still(Method):
    """Stands still; it has no reference, no curve, no score, and one group of parameters that is empty."""

    name = "still"
    bias: float = 0.0

    def fit(self, tasks: TaskData, context: Context) -> dict[str, Params]:
        return context.stage("still", lambda: {"all": {"bias": torch.tensor(self.bias)}, "nothing": {}})

    def adapt(self, meta: dict[str, Params], tasks: TaskData, context: Context) -> Adapted:
        assert meta["nothing"] == {}
        bias = meta["all"]["bias"].expand(tasks.n_tasks)
        if self.bias > 1:
            bias = bias * torch.nan
        return Adapted(
            {"bias": bias}, {}, {}, {}, {}, {"other": torch.full((tasks.n_tasks,), torch.nan)} if self.bias < 0 else {}
        )

    def act(self, policy: Params, observations: torch.Tensor) -> torch.Tensor:
        return policy["bias"][:, None, None].expand_as(observations).contiguous()


def still(bias: float) -> Any:
    return tiny_recipe().model_copy(update={"method": Still(bias=bias)})


def test_a_method_that_gives_the_least(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MERPO_DATA", str(store))
    reports = []
    for _ in range(2):  # computed, then loaded
        run_recipe(still(0.0), tmp_path / "still", [0], None, True)
        reports.append(findings(tmp_path / "still"))
    assert reports[0] == reports[1]
    task = load_report(tmp_path / "still" / "report.json").tasks[0]
    assert (task.returns.get("meta_policy"), task.snapshots) == (None, {})
    assert "<h1>Tiny</h1>" in (tmp_path / "still" / "report.html").read_text("utf-8")
    assert {path.stem for path in (tmp_path / "still" / "pictures").iterdir()} == {"per_task_returns", "trajectories"}


def test_a_methods_reference_policy_needs_only_an_entry_in_the_reports_table(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Still.adapt

    def adapt(self: Still, meta: dict[str, Params], tasks: TaskData, context: Context) -> Adapted:
        adapted = plain(self, meta, tasks, context)
        return adapted._replace(references={"right-turn": {"bias": adapted.policy["bias"] + 0.5}})

    monkeypatch.setenv("MERPO_DATA", str(store))
    monkeypatch.setattr(Still, "adapt", adapt)
    monkeypatch.setitem(POLICIES, "right_turn", ReportedPolicy("right turn", "policies that turn right"))
    run_recipe(still(0.0), tmp_path / "still", [0], None, True)
    report = load_report(tmp_path / "still" / "report.json")
    for task in report.tasks:
        assert task.episodes["right_turn"].return_mean == pytest.approx(task.returns["right_turn"])
        assert task.returns["right_turn"] != task.returns["adapted"]
    assert "policies that turn right" in (tmp_path / "still" / "report.html").read_text("utf-8")


@pytest.mark.parametrize(("bias", "stage", "metric"), [(2.0, "evaluate", "adapted"), (-1.0, "adapt", "other")])
def test_policies_and_scores_that_are_not_finite_stop_the_run(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch, bias: float, stage: str, metric: str
) -> None:
    monkeypatch.setenv("MERPO_DATA", str(store))
    with pytest.raises(TrainingError, match=f"stage '{stage}'.*metric '{metric}' of task 0"):
        run_recipe(still(bias), tmp_path / "still", [0], None, True)


def test_a_curve_that_is_damaged_is_refused(
    first: Path, tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MERPO_DATA", str(store))
    shutil.copytree(first, tmp_path / "copy")
    (tmp_path / "copy" / "training_curve.json").write_text("{", "utf-8")
    seal(tmp_path / "copy")
    with pytest.raises(ArtifactError, match=r"training_curve\.json: not valid JSON"):
        run_recipe(tiny_recipe(EVALUATED), tmp_path / "copy", [0], None, True)


def test_tensorboard_scalars(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    monkeypatch.setenv("MERPO_DATA", str(store))
    run_recipe(from_tables(tables({"run": {"tensorboard": True}})), tmp_path / "board", [0], None, True)
    assert list((tmp_path / "board" / "tensorboard").glob("events.*"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_refuses_is_a_line_and_exit_code_2(
    merpo_cli: Merpo, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*arguments: object, **_: object) -> None:
        raise OSError(number, os.strerror(number), "some/where")

    monkeypatch.setattr("merpo.run.run.run_recipe", refuse)
    answer = merpo_cli("run", "tiny.toml")
    assert answer.code == 2
    assert f"error: some/where: {os.strerror(number)}" in answer.err


def test_resume_needs_a_folder(tmp_path: Path, merpo_cli: Merpo) -> None:
    for arguments in ((), ("--out", "none")):
        answer = merpo_cli("run", "tiny.toml", "--resume", *arguments)
        assert answer.code == 2
        assert "expected the folder of the run that is to go on" in answer.err
    assert not (tmp_path / "none").exists()


def test_a_missing_folder_is_answered_alike(first: Path, tmp_path: Path, merpo_cli: Merpo) -> None:
    shutil.copytree(first, tmp_path / "runs" / "first")
    missing = tmp_path / "runs" / "frist"
    expected = f"{missing}: no such file or folder (did you mean 'first'?), expected a run's folder"
    for command in (
        ("evaluate", str(missing)),
        ("export", str(missing)),
        ("adapt", str(missing), "--out", "new"),
        ("run", "tiny.toml", "--out", str(missing), "--resume"),
        ("run", "tiny.toml", "--meta", str(missing), "--out", "new"),
    ):
        answer = merpo_cli(*command)
        assert (answer.code, answer.out) == (2, "")
        assert expected in answer.err, command
    with pytest.raises(ArtifactError, match=re.escape(expected)):
        merpo.load_policy(missing)


def test_a_signal_before_there_is_a_run_folder(
    tmp_path: Path, merpo_cli: Merpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert merpo_cli("collect", "tiny.toml").code == 0
    monkeypatch.setattr(stop, "requested", lambda: True)
    answer = merpo_cli("run", "tiny.toml", "--out", "early", "--set", "collect.seed=1")
    assert answer.code == 75
    last = "stopped by a signal after step 1 of 'collect', whose state is saved; "
    last += "to resume, run the same command with --out early\n"
    assert answer.err.endswith(last)
    assert not (tmp_path / "early").exists()
    answer = merpo_cli("run", "tiny.toml", "--out", "early")  # its data is there
    assert answer.code == 75
    assert answer.err.endswith("stopped by a signal; to resume, run the same command with --out early\n")


def test_the_best_meta_artifact_is_that_of_the_best_evaluation(first: Path) -> None:
    groups, header = load_artifact(first / "artifacts" / "best-meta.safetensors")
    curve = json.loads((first / "training_curve.json").read_text("utf-8"))
    scores = {step: sum(point["adapted"]) / len(point["adapted"]) for step, point in curve.items()}
    assert len(scores) == 2
    assert header["step"] == max(scores, key=lambda step: scores[step])
    assert float(header["score"]) == pytest.approx(scores[header["step"]])
    manifest = json.loads((first / "manifest.json").read_text("utf-8"))
    assert manifest["artifacts"]["best-meta"] == sha256_file(first / "artifacts" / "best-meta.safetensors")
    last, _ = load_artifact(first / "artifacts" / "meta.safetensors")
    assert groups.keys() == last.keys()
    assert torch.equal(groups["meta_model"]["w0"], last["meta_model"]["w0"])


def test_which_evaluation_is_the_best(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, tiny_recipe(), 0, {}, lambda text: None)

    def measured(step: int, score: float) -> str:
        folder.keep_best(step, score, {"meta": {"w": torch.tensor([float(step)])}})
        folder.add_to_curve(step, {"adapted": [score - 1, score + 1]})
        return load_artifact(folder.artifact("best-meta"))[1]["step"]

    assert [measured(1, -5.0), measured(2, -3.0), measured(3, -4.0), measured(4, -3.0)] == ["1", "2", "2", "2"]
    assert [measured(1, -5.0), measured(2, -3.0), measured(3, -4.0)] == ["2", "2", "2"], "gone through a second time"
    assert measured(5, -1.0) == "5"
    folder.keep_best(6, -0.5, {"meta": {"w": torch.zeros(1)}})  # cut off before the curve has it
    assert [measured(5, -1.0), measured(6, -0.5)] == ["5", "6"]
