"""Normalised observations: fitted on data alone, kept with the artifacts, applied everywhere the same way."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from finished import finished_run
from hypothesis import given
from hypothesis import strategies as st
from sealed import seal
from single_recipes import TINY_SINGLE
from small import dynamics, generator, streams
from strategies import SEEDS, make_dataset, task_collections
from tiny import tiny_recipe

import merpo
from merpo.algorithm.rollout import roll_out
from merpo.algorithm.settings import GivenPolicySettings
from merpo.artifacts.artifact import load_artifact
from merpo.components.component import from_table
from merpo.components.context import Context
from merpo.components.registry import get
from merpo.components.task_data import from_rows
from merpo.data.catalog import collections, entries
from merpo.data.dataset import TaskDataset, stack_tasks
from merpo.data.needed import collection_folder, load_data
from merpo.data.normalize import fit_normalization, normalize_tasks, split_normalization, with_normalization
from merpo.data.store import read_policy
from merpo.errors import ArtifactError, PluginError
from merpo.nn.policy import init_policy
from merpo.policies.export import export_policies
from merpo.policies.given import given_policy
from merpo.report.report import load_report
from merpo.run.adapt import adapt_new
from merpo.run.evaluate import evaluate_saved
from merpo.run.run import run_recipe
from merpo.types import Normalization, Spec

KNOB: dict[str, Any] = {"data": {"normalize_observations": True}}
EVALUATED: dict[str, Any] = {"evaluate": {"during_training": 1}}
MIXED: dict[str, Any] = {"data": {**KNOB["data"], "test_quality": "random"}}


@pytest.fixture(scope="module")
def run(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with the knob, whose unseen tasks have data of another quality; tests only read it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("merpo.report.html.pictures", lambda report: [])
        return finished_run(store, tmp_path_factory.mktemp("runs") / "normalized", {**MIXED, **EVALUATED})


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take long, and have tests of their own."""
    monkeypatch.setattr("merpo.report.html.pictures", lambda report: [])


@pytest.fixture
def data(store: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[TaskDataset], list[TaskDataset]]:
    """The datasets of that run's training tasks and of its unseen ones."""
    monkeypatch.setenv("MERPO_DATA", str(store))
    train, test = load_data(tiny_recipe(MIXED), 1)
    return [one for one, _ in train], [one for one, _ in test]


def stored(run: Path, name: str) -> Normalization:
    """The normalisation in an artifact of a run."""
    groups, _ = load_artifact(run / "artifacts" / f"{name}.safetensors")
    return Normalization(**groups["normalization"])


@given(collection=task_collections(min_rows=2))
def test_the_statistics_are_those_of_all_rows(collection: tuple[list[TaskDataset], Spec]) -> None:
    datasets, _ = collection
    rows = torch.cat([one.observations for one in datasets]).double()
    mean, std = fit_normalization(datasets)
    torch.testing.assert_close(mean.double(), rows.mean(0), rtol=1e-5, atol=1e-6 * float(rows.abs().max()))
    spread = rows.std(0, correction=0)
    for found, expected in zip(std.tolist(), spread.tolist(), strict=True):
        assert found == pytest.approx(expected, rel=1e-5) or expected < 0.011 * found


@given(seed=SEEDS, rows=st.integers(2, 30), per_task=st.booleans(), scale=st.sampled_from([1e-3, 1.0, 1e4]))
def test_undo_is_the_inverse(seed: int, rows: int, per_task: bool, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    shape = (2, 3) if per_task else (3,)
    mean, std = scale * torch.randn(shape, generator=generator), scale * (0.1 + torch.rand(shape, generator=generator))
    normalization = Normalization(mean, std)
    observations = mean.mean() + scale * torch.randn(2, rows, 3, generator=generator)
    seen = normalization.apply(observations)
    torch.testing.assert_close(normalization.undo(seen), observations, rtol=1e-5, atol=1e-5 * scale)
    assert bool(normalization.apply(normalization.undo(torch.zeros(2, 1, 3))).abs().max() < 1e-3)


def test_a_dim_that_hardly_varies_is_not_scaled_up() -> None:
    """By its own size, if it varies by less than float32 can tell; at least by a hundredth of its size."""
    one = make_dataset([5, 5], [True, False], 4, 1)
    columns = one.observations.clone()
    columns[:, 0] = 1e4 + 0.01 * torch.rand(10)
    columns[:, 1], columns[:, 3] = 0.1, 0.0
    columns[:, 2] = 5.0 + 1e-4 * torch.linspace(-1, 1, 10)
    constant = replace(one, observations=columns)
    normalization = fit_normalization([constant])
    torch.testing.assert_close(normalization.std, torch.tensor([1e4, 0.1, 0.05, 1.0]), rtol=1e-3, atol=0.0)
    seen = normalize_tasks(normalization, stack_tasks([constant], Spec(4, 1))).rows
    assert float(seen[:, 1].abs().max()) < 1e-6
    assert float(seen[:, 2].abs().max()) < 0.01


def test_rows_keep_their_actions_rewards_and_ends() -> None:
    one = make_dataset([6, 4], [True, False], 3, 2, scale=4.0)
    spec, normalization = Spec(3, 2), fit_normalization([one])
    raw = stack_tasks([one], spec)
    before = raw.rows.clone()
    seen = normalize_tasks(normalization, raw)
    assert torch.equal(raw.rows, before), "what was given is not changed"
    ours, theirs = from_rows(seen.rows, seen.spec), from_rows(raw.rows, spec)
    for name in ("actions", "rewards", "terminations"):
        assert torch.equal(getattr(ours, name), getattr(theirs, name))
    for name in ("observations", "next_observations"):
        assert torch.equal(getattr(ours, name), normalization.apply(getattr(theirs, name)))
    assert seen.spec.terminated is None
    assert seen.spec.normalization == normalization


def test_walkers_fall_in_the_model_where_they_would_without() -> None:
    family = from_table(get("tasks", "walker-2d-params"), {})
    spec = family.spec()
    noise = generator("walkers")
    standing = torch.tensor([1.25, 0.0, *[0.0] * 15])
    rows = standing + torch.randn(400, spec.observation_dim, generator=noise) * torch.tensor([0.4, 0.8, *[3.0] * 15])
    offsets, flat = torch.arange(0, 401, 40), torch.zeros(400)
    actions = torch.rand(400, spec.action_dim, generator=noise) * 2 - 1
    data = TaskDataset(rows, actions, flat, rows.roll(-1, 0), flat, flat, offsets, {}, "walkers")
    normalization = fit_normalization([data])
    seen = normalize_tasks(normalization, stack_tasks([data], spec))
    batch = from_rows(seen.rows, seen.spec)
    assert spec.terminated is not None
    assert seen.spec.terminated is not None
    raw = from_rows(stack_tasks([data], spec).rows, spec)
    expected = spec.terminated(raw.observations, raw.actions, raw.next_observations)
    found = seen.spec.terminated(batch.observations, batch.actions, batch.next_observations)
    assert torch.equal(found, expected)
    assert 0 < float(expected.sum()) < 400
    model = dynamics()
    models = {k: v[None] for k, v in model.init(seen.spec, batch, noise).items()}
    models = model.keep_best(models, torch.zeros(1, 3))
    policy = {k: v[None] for k, v in init_policy(seen.spec, (8,), noise).items()}
    made = from_rows(roll_out(model, models, policy, seen, streams(1, "roll"), 200, 3), seen.spec)
    theirs = normalization.undo(made.next_observations)
    again = spec.terminated(normalization.undo(made.observations), made.actions, theirs)
    assert torch.equal(made.terminations, again)
    assert 0 < float(again.sum()) < again.numel()
    wrong = spec.terminated(made.observations, made.actions, made.next_observations)
    assert not torch.equal(wrong, again), "an end told by normalised observations would be another one"


def test_only_training_tasks_are_looked_at(
    run: Path, data: tuple[list[TaskDataset], list[TaskDataset]], tmp_path: Path
) -> None:
    train, test = data
    expected = fit_normalization(train)
    for name in ("normalization", "meta", "adapted"):
        for found, number in zip(stored(run, name), expected, strict=True):
            assert torch.equal(found, number), name
    assert not torch.allclose(fit_normalization(test).mean, expected.mean, atol=1e-3)
    other = run_recipe(tiny_recipe(KNOB), tmp_path / "other", [0], None, True)  # other data of the unseen tasks
    assert all(torch.equal(a, b) for a, b in zip(stored(other, "meta"), expected, strict=True))


def test_a_method_that_learns_from_no_training_task_sees_the_others(
    data: tuple[list[TaskDataset], list[TaskDataset]], tmp_path: Path
) -> None:
    path = run_recipe(tiny_recipe({**MIXED, "method": TINY_SINGLE}), tmp_path / "single", [0], None, True)
    expected = fit_normalization(data[1])
    assert all(torch.equal(a, b) for a, b in zip(stored(path, "meta"), expected, strict=True))


def test_saved_policies_act_as_the_run_did(run: Path, data: Any, tmp_path: Path) -> None:
    mean, std = stored(run, "meta")
    groups, _ = load_artifact(run / "artifacts" / "adapted.safetensors")
    rows = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    for t, exported in enumerate(export_policies(run, tmp_path, "safetensors")):  # for ONNX see test_export
        own = {key: value[t] for key, value in groups["policy"].items()}
        expected = merpo.act(own, (rows - mean) / std).numpy()
        np.testing.assert_allclose(merpo.load_policy(exported.path)(rows), expected, atol=1e-5)
        np.testing.assert_allclose(merpo.load_policy(run, task=2 + t)(rows), expected, atol=1e-6)
        assert np.abs(merpo.act(own, rows).numpy() - expected).max() > 1e-3
    report = load_report(run / "report.json")
    for task, told in zip(evaluate_saved(run).tasks, report.tasks, strict=True):
        assert task.mean == pytest.approx(told.returns["adapted"], abs=1e-5)
        assert told.snapshots[3] == told.returns["adapted"]
        assert told.returns.get("oracle") is not None
        assert max(abs(x) for point in told.trajectories["adapted"] for x in point) < 5, "pictures are of the raw plane"
    assert report.training_curve, "it was evaluated along the way"


def test_a_task_adapted_alone_gets_the_policy_that_it_got_in_the_run(run: Path, data: Any, tmp_path: Path) -> None:
    folder = collection_folder(tiny_recipe(MIXED))
    adapt_new(run, [f"{folder.name}/task-003.random"], tmp_path / "new")
    rows = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    found, expected = merpo.load_policy(tmp_path / "new")(rows), merpo.load_policy(run, task=3)(rows)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(stored(tmp_path / "new", "adapted"), stored(run, "meta"), strict=True))


def test_a_run_goes_on_with_what_it_had_fitted(
    run: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MERPO_DATA", str(store))
    half = tmp_path / "half"
    shutil.copytree(run, half)
    undone = ("meta-policy", "unseen-models", "unseen-behavior", "meta", "adapted")
    for name in undone:
        (half / "artifacts" / f"{name}.safetensors").unlink()
    seal(half, forget=undone)
    monkeypatch.setattr("merpo.run.runner.fit_normalization", lambda datasets: pytest.fail("fitted again"))
    run_recipe(tiny_recipe({**MIXED, **EVALUATED}), half, [0], None, True)
    for path in (run / "artifacts").iterdir():
        assert (half / "artifacts" / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_given_policy_acts_the_same_in_whatever_units(run: Path, data: Any) -> None:
    spec = tiny_recipe().tasks.spec()
    ours = Normalization(torch.tensor([3.0, -1.0]), torch.tensor([0.5, 4.0]))
    rows = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    theirs = stored(run, "meta")
    groups, _ = load_artifact(run / "artifacts" / "meta.safetensors")
    adapted, _ = load_artifact(run / "artifacts" / "adapted.safetensors")
    entry = entries(collections()[0])[0]
    for source, path, policy, seen in (
        ("run", str(run), groups["meta_policy"], theirs.apply(rows)),
        ("policy", str(run), {k: v[1] for k, v in adapted["policy"].items()}, theirs.apply(rows)),
        ("checkpoint", str(entry), read_policy(entry.folder, entry.name), rows),
    ):
        settings = GivenPolicySettings(source=source, path=path, task=3 if source == "policy" else None)  # type: ignore[arg-type]
        expected = merpo.act(policy, seen)
        for normalization in (None, ours):
            found = given_policy(settings, spec._replace(normalization=normalization), (8,), Context())
            assert found is not None
            at = rows if normalization is None else normalization.apply(rows)
            torch.testing.assert_close(merpo.act(found, at), expected, rtol=1e-4, atol=1e-5)


def test_groups_of_that_name() -> None:
    one, two = Normalization(torch.zeros(2), torch.ones(2)), {"policy": {"w0": torch.zeros(1)}}
    both = with_normalization(two, one)
    assert split_normalization(both, True, "x") == (two, one)
    assert split_normalization(both, False, "x") == (both, None), "a method's own group is the method's"
    assert with_normalization(two, None) == two
    with pytest.raises(PluginError, match="artifacts already have a group 'normalization'"):
        with_normalization(both, one)
    with pytest.raises(ArtifactError, match=r"^x: normalization holds \[\], expected mean and std"):
        split_normalization(two, True, "x")
