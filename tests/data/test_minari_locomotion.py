"""Recipes that name Minari's HalfCheetah, Hopper and Walker2d data, on small datasets that Minari wrote."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import minari
import numpy as np
import pytest
from minari_locomotion import ENVIRONMENTS, write_locomotion
from single_recipes import TINY_SINGLE
from tiny import tables

from merpo import load_policy
from merpo.collect.collect import ensure_data
from merpo.components.context import Context
from merpo.data.catalog import DatasetEntry
from merpo.data.import_logs import Imported, store_imported
from merpo.data.needed import load_data
from merpo.errors import DatasetError, MerpoError, RecipeError
from merpo.recipe.extends import merge, read_tables
from merpo.recipe.recipe import Recipe, from_tables, load_recipe, resolved
from merpo.report.report import load_report
from merpo.run.adapt import adapt_new
from merpo.run.evaluate import evaluate_saved
from merpo.run.run import run_recipe

pytest.importorskip("mujoco.batch", reason="MuJoCo is not installed, or older than merpo's extra `mujoco` asks for")

ROOT = Path(__file__).resolve().parents[2]
EACH = pytest.mark.parametrize("body", ENVIRONMENTS)


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Minari's folder, empty, and nothing that answers outside."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    monkeypatch.setattr("merpo.data.minari.imports._online", lambda: False)
    monkeypatch.setattr("merpo.report.html.pictures", lambda report: [])  # they take long, and have tests of their own
    return tmp_path / "minari"


def recipe(body: str, changes: dict[str, Any] | None = None, kind: str = "") -> Recipe:
    """The recipe that ships with merpo, with networks of eight units, a few steps and short episodes."""
    small = {
        "tasks": {"horizon": 20},
        "method": TINY_SINGLE,
        "evaluate": {"episodes": 2, "snapshots": [0, 3]},
        "run": tables()["run"],
    }
    path = ROOT / "recipes" / "single" / "d4rl" / f"{kind}{body}.toml"
    return from_tables(merge(merge(read_tables(path), small), changes or {}), str(path))


def ready(body: str, changes: dict[str, Any] | None = None) -> Recipe:
    """The same with its data in the store."""
    made = recipe(body, changes)
    ensure_data(made, Context(), lambda text: None)
    return made


@EACH
def test_what_is_trained_on_is_what_minari_wrote(body: str) -> None:
    write_locomotion(body)
    train, ((data, manifest),) = load_data(ready(body), 1)
    assert train == []
    rows = 0
    for episode in minari.load_dataset(f"mujoco/{body}/medium-v0").iterate_episodes():
        here = slice(rows, rows + len(episode.rewards))
        seen = episode.observations.astype(np.float32)
        np.testing.assert_array_equal(data.observations[here], seen[:-1])
        np.testing.assert_array_equal(data.next_observations[here], seen[1:])
        np.testing.assert_allclose(data.actions[here], episode.actions, atol=1e-6)
        np.testing.assert_array_equal(data.terminations[here], episode.terminations)
        rows += len(episode.rewards)
    assert rows == len(data)
    assert data.task == {"minari": f"mujoco/{body}/medium-v0", "environment": ENVIRONMENTS[body]}
    assert manifest.family == "logs", "imported for nobody: the family recognises the environment"


@pytest.mark.parametrize(("body", "normalized"), [("halfcheetah", False), ("hopper", True), ("walker2d", True)])
def test_a_run_trains_and_is_measured_in_the_environment(body: str, normalized: bool, tmp_path: Path) -> None:
    write_locomotion(body, episodes=2, steps=25)
    made = recipe(body, {"data": {"normalize_observations": normalized}})
    out = run_recipe(made, tmp_path / "run", [0], None, True)
    report = load_report(out / "report.json")
    (task,) = report.tasks
    assert task.returns.get("adapted") is not None
    assert task.returns.get("meta_policy") is not None
    assert not task.trajectories, "two of many dims are no plane"
    (measured,) = evaluate_saved(out).tasks
    assert measured.mean == pytest.approx(task.returns["adapted"], abs=1e-4)
    assert measured.reference == task.reference
    assert measured.normalized["adapted"] == pytest.approx(task.normalized["adapted"], abs=1e-4)
    assert max(measured.lengths) <= 20
    policy = load_policy(out)
    assert policy.observation_dim == {"hopper": 11}.get(body, 17)
    write_locomotion(body, "expert", episodes=1, steps=40)
    name = f"minari:mujoco/{body}/expert-v0"
    adapt_new(out, [name], tmp_path / "new")
    (alone,) = evaluate_saved(tmp_path / "new").tasks
    assert (alone.name, alone.reference) == ("expert-v0", task.reference), "from the store, as there is no report"


@EACH
def test_combo_of_public_settings_runs_too(body: str, tmp_path: Path) -> None:
    write_locomotion(body, episodes=2, steps=25)
    made = recipe(body, kind="combo_")
    assert made.method.model_dump()["critic"]["penalty"] == "logsumexp"
    (task,) = load_report(run_recipe(made, tmp_path / "run", [0], None, True) / "report.json").tasks
    assert task.returns.get("adapted") is not None
    assert task.returns.get("meta_policy") is None


def numbers(name: str) -> dict[str, Any]:
    """The settings of a recipe as it ships."""
    found: dict[str, Any] = resolved(load_recipe(ROOT / "recipes" / "single" / f"{name}.toml"))["method"]
    return found


@pytest.mark.parametrize(
    ("body", "length", "critic_lr", "actor_lr", "beta"),
    [("halfcheetah", 5, 3e-4, 1e-4, 1.0), ("hopper", 5, 3e-4, 1e-4, 1.0), ("walker2d", 1, 1e-4, 1e-5, 10.0)],
)
def test_the_columns_of_table_1(body: str, length: int, critic_lr: float, actor_lr: float, beta: float) -> None:
    method = numbers(f"d4rl/{body}")
    rac = method["rac"]
    assert (rac["discount"], rac["batch_size"], rac["real_ratio"]) == (0.99, 256, 0.5)
    assert (rac["rollout_length"], rac["critic_lr"], rac["actor_lr"]) == (length, critic_lr, actor_lr)
    assert (rac["beta_initial"], rac["lambda_initial"], rac["max_entropy"]) == (beta, 1.0, True)
    assert (rac["beta_tune"], rac["lambda_tune"]) == (False, False)
    assert method["model"]["learning_rate"] == 1e-3
    assert (method["dynamics"]["members"], method["dynamics"]["elites"]) == (7, 5)
    assert {*method["dynamics"]["hidden"], *method["critic"]["hidden"], *rac["policy_hidden"]} == {256}
    assert rac["model_buffer"] == 5 * 1000 * rac["rollout_batch"] * length, "five rollouts, each of 1000 steps' worth"


@pytest.mark.parametrize(
    ("body", "weight", "length"), [("halfcheetah", 0.5, 5), ("hopper", 5.0, 5), ("walker2d", 5.0, 1)]
)
def test_the_public_settings_of_combo(body: str, weight: float, length: int) -> None:
    """OfflineRL-Kit's for medium data; that our β is half of its weight, tests of the critic show."""
    method = numbers(f"d4rl/combo_{body}")
    rac, critic = method["rac"], method["critic"]
    assert (rac["beta_initial"], rac["beta_tune"], rac["lambda_initial"]) == (weight / 2, False, 0.0)
    assert (rac["critic_lr"], rac["actor_lr"], rac["temperature_lr"]) == (3e-4, 1e-4, 1e-4)
    assert (critic["penalty"], critic["proposals"], critic["hidden"]) == ("logsumexp", 10, [256, 256, 256])
    assert (rac["policy_hidden"], method["dynamics"]["hidden"]) == ([256, 256, 256], [200, 200, 200, 200])
    assert (rac["rollout_length"], rac["model_buffer"]) == (length, 250_000 * length)
    assert numbers("combo_logsumexp")["rac"]["beta_initial"] == 0.25


def test_a_run_on_a_body_whose_task_has_no_parameters_is_measured_again(tmp_path: Path) -> None:
    """As on data that merpo collected itself: a body has one task, {}."""
    write_locomotion("hopper", episodes=2, steps=25)
    _, ((data, _),) = load_data(ready("hopper"), 1)
    store_imported("mine", [Imported(replace(data, name="task-000", task={}), {})], "locomotion", lambda text: None)
    out = run_recipe(recipe("hopper", {"data": {"test": ["store:mine/task-000"]}}), tmp_path / "run", [0], None, True)
    (measured,), (task,) = evaluate_saved(out).tasks, load_report(out / "report.json").tasks
    assert task.returns.get("adapted") is not None
    assert measured.mean == pytest.approx(task.returns["adapted"], abs=1e-4)


def test_without_a_network_one_line_says_so(root: Path) -> None:
    with pytest.raises(DatasetError) as told:
        ready("hopper")
    assert str(told.value) == (
        "minari:mujoco/hopper/medium-v0: not on this machine, and there is no network to download it"
    )


def test_data_of_another_body_is_refused_before_training() -> None:
    write_locomotion("halfcheetah", episodes=1)
    made = ready("walker2d", {"data": {"test": ["minari:mujoco/halfcheetah/medium-v0"]}})
    with pytest.raises(MerpoError, match=r"data of HalfCheetah-v5, expected Walker2d-v5.*tasks\.body = 'halfcheetah'"):
        load_data(made, 1)
    single = ready("hopper", {"data": {"test": ["minari:mujoco/halfcheetah/medium-v0"]}})
    with pytest.raises(DatasetError, match=r"dims are \(17, 6\), expected those of the tasks, \(11, 3\)"):
        load_data(single, 1)


def test_a_family_that_does_not_know_the_environment_refuses_it() -> None:
    write_locomotion("halfcheetah", episodes=1)
    changes = {"data": {"test": ["minari:mujoco/halfcheetah/medium-v0"], "train": ["minari:mujoco/halfcheetah/b-v0"]}}
    write_locomotion("halfcheetah", "b", episodes=1)
    tables_of = merge(tables(), {"tasks": {"component": "ant-fwd-back"}, **changes})
    made = from_tables(tables_of)
    ensure_data(made, Context(), lambda text: None)
    with pytest.raises(DatasetError, match="dims are"):
        load_data(made, 1)
    from merpo.data.named import check_environment

    (entry,) = [DatasetEntry("minari-mujoco-halfcheetah", "medium-v0")]
    data = load_data(ready("halfcheetah"), 1)[1][0][0]
    assert data.name == str(entry)
    with pytest.raises(DatasetError, match="ant-fwd-back cannot make an environment with the parameters"):
        check_environment(made.tasks, data.name, data.task)


def test_a_method_that_learns_from_training_tasks_needs_some() -> None:
    made = tables({"tasks": {"component": "locomotion"}, "data": {"test": ["minari:mujoco/hopper/medium-v0"]}})
    with pytest.raises(
        RecipeError, match=r"data\.train: missing, expected names of datasets .* method 'merpo' learns from"
    ):
        from_tables(made)


@pytest.mark.parametrize("env_spec", [None, json.dumps({"id": "a b"}), json.dumps({"id": 3}), json.dumps([1]), "{"])
def test_a_dataset_that_names_no_environment_has_but_its_id(env_spec: str | None, root: Path) -> None:
    path = write_locomotion("hopper", episodes=1) / "metadata.json"
    metadata = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**metadata, "env_spec": env_spec}), "utf-8")
    from merpo.data.minari.imports import import_minari

    import_minari(["mujoco/hopper/medium-v0"], ignore_env_spec=True, note=lambda text: None)
    manifest = DatasetEntry("minari-mujoco-hopper", "medium-v0").manifest()
    assert manifest.task == {"minari": "mujoco/hopper/medium-v0"}
    with pytest.raises(DatasetError, match="holds data of the family 'logs', expected 'locomotion'"):
        load_data(ready("hopper"), 1)
