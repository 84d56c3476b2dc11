"""Recipes that name their data, and runs without any environment: everything but returns by rollout."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command import Answer
from logs import write_machines
from logs_recipes import DATA, logs_tables
from rich.console import Console
from tiny import tiny_recipe

from merpo.artifacts.artifact import load_artifact
from merpo.collect.collect import ensure_data
from merpo.components import registry
from merpo.components.context import Context
from merpo.data.columns import read_columns
from merpo.data.import_logs import import_logs
from merpo.data.needed import load_data
from merpo.data.store import read_dataset
from merpo.errors import DatasetError, MerpoError, RecipeError
from merpo.recipe.recipe import Recipe, from_tables, resolved
from merpo.report.html import build_report_html
from merpo.report.report import Report, load_report
from merpo.report.text import combine, print_summary, verdict
from merpo.run.run import run_recipe
from merpo.types import Normalization, Spec

Cli = Callable[..., Answer]


@pytest.fixture(scope="module")
def pumps(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two collections of logs."""
    here = tmp_path_factory.mktemp("logs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MERPO_DATA", str(store))
        for name, gains in (("pumps", [0.1, 0.2, 0.3, 0.4]), ("new", [0.15, 0.35])):
            folder = write_machines(here / name, gains)
            import_logs([folder], None, read_columns(here / "columns.toml"), {}, note=lambda _: None)
    return store


@pytest.fixture(scope="module")
def folder(pumps: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on logs, for two seeds."""
    out = tmp_path_factory.mktemp("run") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MERPO_DATA", str(pumps))
        run_recipe(from_tables(logs_tables()), out, [0, 1], None, collect=False)
    return out


@pytest.fixture
def report(folder: Path) -> Report:
    return load_report(folder / "seed-0" / "report.json")


@pytest.fixture(autouse=True)
def _store(pumps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MERPO_DATA", str(pumps))


def test_a_run_on_logs_adapts_policies_and_measures_no_return(folder: Path, report: Report, pumps: Path) -> None:
    groups, _ = load_artifact(folder / "seed-0" / "artifacts" / "adapted.safetensors")
    assert next(iter(groups["policy"].values())).shape[0] == 2
    assert [task.returns.get("adapted") for task in report.tasks] == [None, None]
    assert [task.returns.get("meta_policy") for task in report.tasks] == [None, None]
    assert [task.params for task in report.tasks] == [{"name": "new/pump-0"}, {"name": "new/pump-1"}]
    assert report.notes == []
    assert [task.index for task in report.tasks] == [4, 5]
    for i, task in enumerate(report.tasks):
        data, _ = read_dataset(pumps / "new", f"pump-{i}")
        assert task.returns["behavior"] == pytest.approx(float(data.episode_returns().mean()))
    assert report.training_curve == []
    assert len(report.model.error_after) == 2
    assert set(report.duals.adaptation) >= {"alpha", "lambda"}
    assert {entry.quality for entry in report.datasets} == {"imported"}


def test_the_estimates_are_the_critics_own(folder: Path, report: Report, pumps: Path) -> None:
    """Q and departures again, row by row from the saved networks."""
    groups, _ = load_artifact(folder / "seed-0" / "artifacts" / "adapted.safetensors")
    normalization, factor = Normalization(**groups["normalization"]), groups["scales"]["reward_scale"]
    recipe = from_tables(logs_tables())
    for t in range(2):
        data, _ = read_dataset(pumps / "new", f"pump-{t}")
        policy = {key: value[t : t + 1] for key, value in groups["policy"].items()}
        critic = {key: value[t : t + 1] for key, value in groups["critic"].items()}
        with torch.no_grad():
            logged = data.actions.clamp(-0.99, 0.99)  # as training sees them
            seen = normalization.apply(data.observations)[None]
            chosen = recipe.method.act(policy, seen)
            q = [recipe.method.critic.value(critic, seen, a).mean() / factor for a in (chosen, logged[None])]  # type: ignore[attr-defined]
        assert report.estimates.q_adapted[t] == pytest.approx(float(q[0]), rel=1e-4)
        assert report.estimates.q_logged[t] == pytest.approx(float(q[1]), rel=1e-4)
        assert report.estimates.departure[t] == pytest.approx(float((chosen[0] - logged).abs().mean()), rel=1e-4)


def test_a_critic_that_is_lost_says_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cls = registry.get("method", "merpo")
    monkeypatch.setattr(cls, "value", lambda self, adapted, seen, actions: actions[..., 0] * float("nan"))
    run_recipe(from_tables(logs_tables()), tmp_path / "out", [0], None, collect=False)
    lost = load_report(tmp_path / "out" / "report.json")
    assert lost.estimates.q_adapted == []
    assert len(lost.estimates.departure) == 2
    assert "Q" not in lost.estimates.columns(2)


def test_the_report_says_that_nothing_was_tried_out(folder: Path, report: Report) -> None:
    page = (folder / "seed-0" / "report.html").read_text("utf-8")
    assert "The return of the new policies is unknown: there is no environment in which to try them out." in page
    assert "Diagnostics from the logs, not returns" in page
    assert "mean return of the adapted policies" not in page
    pictures = {path.stem for path in (folder / "seed-0" / "pictures").iterdir()}
    assert pictures == {"critic_estimates", "duals", "model_error"}
    assert verdict(report.summary).endswith("Only the returns of the logs are measured.")
    reports = [load_report(folder / f"seed-{seed}" / "report.json") for seed in (0, 1)]
    both = combine(reports)
    assert (both.seeds, both.tasks, both.returns.get("adapted")) == (2, 2, None)
    assert verdict(both) == verdict(report.summary)
    assert json.loads((folder / "summary.json").read_text())["adapted"] is None


def test_the_health_of_a_run_on_logs_names_columns_and_claims_nothing(folder: Path, report: Report) -> None:
    checks = {check.name: check for check in report.health}
    assert checks["policy against the clone"].figure == "unknown without an environment"
    assert "meta-policy against the clone" not in checks
    assert re.search(r"worst dimension (level|flow|reward) with", checks["model"].figure)
    assert re.search(r"\((level|flow|valve|reward) of task [45]\)", checks["range of the data"].figure)
    assert "unknown without an environment" in (folder / "seed-0" / "report.html").read_text("utf-8")


def test_a_higher_q_is_nowhere_a_gain(folder: Path, report: Report) -> None:
    """However much the critics expect of the new policies, nothing is claimed."""
    expected = {"q_logged": [1.0, 1.0], "q_adapted": [1e6, 1e6]}
    hopeful = report.model_copy(update={"estimates": report.estimates.model_copy(update=expected)})
    page, text = build_report_html(hopeful), io.StringIO()
    print_summary(hopeful, Console(file=text, width=200))
    for shown in (page, text.getvalue(), verdict(hopeful.summary)):
        assert "unknown" in shown
        assert not re.search(r"\bgains|gained|improves|999,?999", shown)
        assert shown.replace("against", "").count("gain") == shown.count("no gain")
    assert "gain" not in json.dumps(json.loads(hopeful.to_json())["summary"]) + (folder / "summary.json").read_text()


def test_the_command_line_runs_it(merpo_cli: Cli, tmp_path: Path) -> None:
    import tomli_w

    Path("logs.toml").write_text(tomli_w.dumps(logs_tables()))
    assert merpo_cli("check", "logs.toml").code == 0
    done = merpo_cli("run", "logs.toml", "--out", "out", "--no-collect")
    assert done.code == 0, done.err
    assert "data: 4 + 2 datasets found by name" in done.err + done.out
    assert re.search(r"task .*log's return .*departure .*Q logged .*Q meta .*Q adapted", done.out)
    assert re.search(r"mean( +\|? *-?[0-9.]+){5}", done.out)
    assert "diagnostics, not returns: " in done.out
    assert "The return of the new policies is unknown" in done.out
    assert merpo_cli("collect", "logs.toml").code == 0
    again = merpo_cli("run", "logs.toml", "--out", "out")
    assert "meta-policy: loaded from" in again.out + again.err
    assert "store:pumps" in Path("out/recipe.toml").read_text()


def test_what_comes_after_a_run_on_logs(merpo_cli: Cli, folder: Path) -> None:
    """A further log is adapted to, and policies leave the run; what needs an environment says that there is none."""
    done = merpo_cli("adapt", str(folder / "seed-0"), "--data", "new/pump-1", "--out", "more")
    assert done.code == 0, done.err
    assert merpo_cli("export", "more").code == 0
    assert merpo_cli("report", str(folder / "seed-0")).code == 0
    for command, words in (
        ("compare", "adapted policies were not measured, as there is no environment"),
        ("evaluate", "no environment"),
    ):
        answer = merpo_cli(command, str(folder / "seed-0"))
        assert answer.code == 2
        assert re.search(words, answer.err), answer.err


def test_a_sweep_on_logs(folder: Path) -> None:
    """Its table has no returns, and says so with a dash."""
    import io

    from rich.console import Console

    from merpo.sweep.plan import Job
    from merpo.sweep.summary import print_sweep, summarize_sweep
    from merpo.sweep.sweep import Outcome

    jobs = [
        Job(Path("a.toml"), "a", (), seed, folder / f"seed-{seed}", from_tables(logs_tables()), "a") for seed in (0, 1)
    ]
    summary = summarize_sweep(Path("logs.toml"), [Outcome(job, "done") for job in jobs])
    text = io.StringIO()
    print_sweep(summary, Console(file=text, width=80))
    assert re.search(r"a +.* 2 .* - .* -", text.getvalue())


def test_names_in_a_recipe_find_patterns_in_order() -> None:
    recipe = from_tables(logs_tables({"data": {"train": ["store:pumps/pump-[13]", "store:pumps/pump-0"]}}))
    train, test = load_data(recipe, 2)
    assert [data.name for data, _ in train] == ["pumps/pump-1", "pumps/pump-3", "pumps/pump-0"]
    assert [manifest.task_index for _, manifest in train + test] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"train": ["pumps"]}, r"data.train: got 'pumps', expected 'store:COLLECTION'"),
        ({"train": ["stor:pumps"]}, r"did you mean 'store'"),
        ({"train": ["store:../pumps"]}, "expected 'store:COLLECTION'"),
        ({"train": ["store:pumps/../../x"]}, "expected 'store:COLLECTION'"),
        ({"train": ["minari:../x-v0"]}, "expected .*'minari:NAMESPACE/NAME-v0'"),
        ({"train": []}, "expected a list of at least 1"),
        ({"test": None}, "train is given and test is not, expected both or neither"),
        ({"train": None, "test": None}, "data.train: missing, expected names of datasets .* logs has no environment"),
    ],
)
def test_a_recipe_with_wrong_names_is_refused(data: dict[str, Any], message: str) -> None:
    made = logs_tables({"data": data})
    made["data"] = {key: value for key, value in made["data"].items() if value is not None}
    with pytest.raises(RecipeError, match=message):
        from_tables(made)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"train": ["store:pumps", "store:pumps/pump-1"]}}, "data.train: pumps/pump-1 is also in data.train"),
        ({"data": {"test": ["store:pumps/pump-1"]}}, "data.test: pumps/pump-1 is also in data.train"),
        ({"data": {"train": ["store:pump"]}}, r"no such collection \(did you mean 'pumps'\?\)"),
        ({"data": {"train": ["store:pumps/pump-9"]}}, r"no such dataset in pumps \(did you mean 'pump-"),
        (
            {"data": {"train": ["minari:test/none-v0"]}},
            "minari:test/none-v0 is not in the store; run: merpo data import",
        ),
    ],
)
def test_data_that_is_not_there_is_refused_before_training(changes: dict[str, Any], message: str) -> None:
    recipe = from_tables(logs_tables(changes))
    with pytest.raises(DatasetError, match=message):
        ensure_data(recipe, Context(), lambda _: None, collect=False)


def test_dims_that_differ_name_the_keys_to_set() -> None:
    made = logs_tables()
    made["tasks"]["observation_dim"] = 3
    with pytest.raises(
        DatasetError, match=r"dims are \(2, 1\), .* set tasks.observation_dim = 2, tasks.action_dim = 1"
    ):
        load_data(from_tables(made), 2)


def test_logs_are_not_played_in_an_environment_they_are_not_of() -> None:
    recipe = tiny_recipe({"data": DATA})
    with pytest.raises(DatasetError, match="holds data of the family 'logs', expected 'point-robot-wind'"):
        load_data(recipe, 2)


def test_imported_logs_with_parameters_are_played_in_their_familys_environment(tmp_path: Path) -> None:
    """The tasks of Point-Robot-Wind, their data imported as if from elsewhere: returns are measured again."""
    collected = tiny_recipe()
    ensure_data(collected, Context(seed=collected.collect.seed), lambda _: None)
    train, test = load_data(collected, 2)
    import numpy as np

    lines = []
    for part, loaded in (("train", train), ("test", test)):
        for data, manifest in loaded:
            name = f"{part}-{manifest.task_index}"
            arrays = {
                key: getattr(data, key).numpy()
                for key in ("observations", "actions", "rewards", "next_observations", "truncations")
            }
            (tmp_path / "files").mkdir(exist_ok=True)
            np.savez(tmp_path / "files" / f"{name}.npz", **arrays)
            wind, goal = data.task["wind"], data.task["goal"]
            lines.append(f"[{name}]\nwind = {wind}\ngoal = {goal}\n")
    (tmp_path / "tasks.toml").write_text("".join(lines))
    from merpo.data.import_any import import_any

    options: dict[str, Any] = {"task_params": tmp_path / "tasks.toml", "family": "point-robot-wind"}
    import_any([str(tmp_path / "files")], "elsewhere", **options)
    named = {"data": {"train": ["store:elsewhere/train-*"], "test": ["store:elsewhere/test-*"]}}
    run_recipe(tiny_recipe(), tmp_path / "own", [0], None, collect=False)
    run_recipe(tiny_recipe(named), tmp_path / "named", [0], None, collect=False)
    own, other = (load_report(tmp_path / name / "report.json") for name in ("own", "named"))
    assert [task.returns["adapted"] for task in own.tasks] == [task.returns["adapted"] for task in other.tasks]
    assert [task.returns["oracle"] for task in own.tasks] == [task.returns["oracle"] for task in other.tasks]


def test_parameters_that_make_no_environment_are_refused_before_training(tmp_path: Path) -> None:
    from merpo.data.import_any import import_any

    arrays = tmp_path / "odd"
    write = {"observations": [[0.0, 0.0]] * 20, "actions": [[0.0, 0.0]] * 20, "rewards": [0.0] * 20}
    import numpy as np

    arrays.mkdir()
    for name in "ab":
        np.savez(arrays / f"{name}.npz", **write)
    import_any([str(arrays)], "odd", family="point-robot-wind")
    recipe = tiny_recipe({"data": {"train": ["store:odd/a"], "test": ["store:odd/b"]}})
    with pytest.raises(
        DatasetError, match=r"odd/b: point-robot-wind cannot make an environment .*KeyError.*--task-params"
    ):
        load_data(recipe, 2)


def test_recipes_that_name_nothing_are_as_they_were() -> None:
    assert not {"train", "test"} & set(resolved(tiny_recipe())["data"])
    assert isinstance(tiny_recipe(), Recipe)


def test_the_family_of_logs_has_no_environment() -> None:
    family = registry.get("tasks", "logs")()
    assert not family.has_environment  # type: ignore[attr-defined]
    assert family.spec() == Spec(1, 1)  # type: ignore[attr-defined]
    with pytest.raises(MerpoError, match="tasks/logs has no environment"):
        family.make({})  # type: ignore[attr-defined]
