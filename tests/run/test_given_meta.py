"""merpo run --meta and merpo adapt --set: adaptation again, without meta-training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from finished import finished_run
from tiny import tiny_recipe

from merpo.artifacts.artifact import load_artifact
from merpo.artifacts.finished_run import open_run
from merpo.errors import RecipeError
from merpo.recipe.recipe import from_tables, resolved
from merpo.recipe.text import apply_overrides
from merpo.run.adapt import adapt_new, readapted
from merpo.run.run import run_recipe


@pytest.fixture(scope="module")
def first(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, which tests only read."""
    return finished_run(store, tmp_path_factory.mktemp("runs") / "first")


def policies(folder: Path) -> dict[str, torch.Tensor]:
    """The adapted policies in a folder."""
    return load_artifact(folder / "artifacts" / "adapted.safetensors")[0]["policy"]


def test_without_settings_the_runs_own_tasks_get_their_policies(
    first: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MERPO_DATA", str(store))
    summary = adapt_new(first, (), tmp_path / "again")
    assert len(summary.tasks) == 2
    for key, value in policies(first).items():
        assert torch.equal(value, policies(tmp_path / "again")[key])


@pytest.mark.parametrize(
    "override",
    ["method.adaptation.actor_lr=0.01", "method.rac.lambda_initial=50.0", "method.rac.beta_initial=5.0"],
)
def test_a_setting_of_adaptation_takes_effect(
    first: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, override: str
) -> None:
    monkeypatch.setenv("MERPO_DATA", str(store))
    adapt_new(first, (), tmp_path / "other", overrides=[override])
    assert any(not torch.equal(value, policies(tmp_path / "other")[key]) for key, value in policies(first).items())
    tables = resolved(open_run(first).recipe)
    apply_overrides(tables, [override])
    assert open_run(tmp_path / "other").recipe == from_tables(tables)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("method.meta_policy.iterations=3", "expected a key of adaptation, alpha, behavior, rac, regularizer"),
        ("method.rac.discount=0.5", "cannot change after meta-training"),
        ("method.dynamics.members=9", "cannot change after meta-training"),
        ("data.episodes=9", r"expected method\.\* or run\.\*"),
    ],
)
def test_what_meta_training_depends_on_is_refused(first: Path, override: str, expected: str) -> None:
    with pytest.raises(RecipeError, match=expected):
        readapted(open_run(first).recipe, [override])


def test_a_tuned_dual_has_a_start_of_its_own() -> None:
    recipe = tiny_recipe({"method": {"rac": {"lambda_tune": True}}})
    with pytest.raises(RecipeError, match=r"set method\.adaptation\.lambda_start"):
        readapted(recipe, ["method.rac.lambda_initial=2.0"])
    method: Any = readapted(recipe, ["method.adaptation.lambda_start=2.0"]).method
    assert method.adaptation.lambda_start == 2.0


def test_a_run_begins_with_the_meta_artifact_of_another(
    first: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MERPO_DATA", str(store))
    fits: list[object] = []
    cls = type(tiny_recipe().method)
    monkeypatch.setattr(cls, "fit", lambda *arguments: fits.append(arguments))
    run_recipe(tiny_recipe(), tmp_path / "second", meta=first, quiet=True)
    assert fits == []
    for key, value in policies(first).items():
        assert torch.equal(value, policies(tmp_path / "second")[key])
    adapt_new(tmp_path / "second", (), tmp_path / "third")  # it has a complete meta-artifact itself
    assert open_run(tmp_path / "second").manifest["datasets"]["given meta-artifact"]


def test_another_way_of_meta_training_is_named(
    first: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MERPO_DATA", str(store))
    other = tiny_recipe({"method": {"rac": {"discount": 0.5}, "adaptation": {"steps": 2}}})
    with pytest.raises(RecipeError, match=r"other settings: method\.rac\.discount \(\"auto\" there, 0\.5 here\)$"):
        run_recipe(other, tmp_path / "second", meta=first, quiet=True)
    assert not (tmp_path / "second").exists()
