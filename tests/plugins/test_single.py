"""method/single: RAC on a task's own data, the sources of its meta-policy, and MOPO's penalty."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import oracles
import pytest
import torch
from finished import finished_run
from hypothesis import given, settings
from hypothesis import strategies as st
from single_recipes import TINY_SINGLE
from small import SINGLE, SPEC, dynamics, generator, make, normal, task_data
from tiny import tiny_recipe

from merpo.algorithm.rollout import penalised_reward
from merpo.algorithm.settings import GivenPolicySettings, ModelSettings
from merpo.algorithm.task_model import fit_models
from merpo.components.context import Context
from merpo.components.interfaces import DynamicsLearner
from merpo.components.task_data import from_rows
from merpo.data.catalog import collections, entries
from merpo.data.store import read_policy
from merpo.errors import MerpoError, RecipeError
from merpo.nn.policy import act, distribution
from merpo.policies.given import given_policy
from merpo.policies.saved import read_policies
from merpo.report.report import load_report
from merpo.run.evaluate import evaluate_saved
from merpo.run.run import run_recipe

PLANE = tiny_recipe().tasks.spec()


@pytest.fixture(scope="module")
def meta_run(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of MerPO, which tests only read."""
    return finished_run(store, tmp_path_factory.mktemp("runs") / "meta")


def test_models_are_their_own_tasks_alone_and_get_better() -> None:
    data, one = task_data(2, rows=200), ModelSettings(steps=100, batch_size=32, learning_rate=1e-2)
    together = fit_models(dynamics(), data, one, Context(labels=("a", "b")), "models")
    alone = fit_models(dynamics(), data.select([1]), one, Context(labels=("b",)), "models")
    for key, value in together.models.items():
        torch.testing.assert_close(value[1:], alone.models[key], rtol=1e-3, atol=1e-4)
    means = together.models["stat.input_mean"]
    assert not torch.equal(means[0], means[1])
    assert bool((together.nll_after < together.nll_before).all())


def test_the_meta_policy_of_a_run_and_a_policy_of_it_are_those_of_the_run(meta_run: Path) -> None:
    of_run = given_policy(GivenPolicySettings(source="run", path=str(meta_run)), PLANE, (8,), Context())
    saved = read_policies(meta_run)
    second = GivenPolicySettings(source="policy", path=str(meta_run), task=saved.tasks[1].index)
    policy = given_policy(second, PLANE, (8,), Context())
    assert of_run is not None
    assert policy is not None
    assert all(torch.equal(policy[key], value[1]) for key, value in saved.policy.items())
    assert not all(torch.equal(policy[key], of_run[key]) for key in policy)
    with pytest.raises(MerpoError, match="give one of them: task"):
        given_policy(GivenPolicySettings(source="policy", path=str(meta_run)), PLANE, (8,), Context())
    with pytest.raises(MerpoError, match=r"dims \(2, 2\), expected \(3, 2\)"):
        given_policy(GivenPolicySettings(source="run", path=str(meta_run)), SPEC, (8,), Context())


def test_the_policy_that_collected_a_dataset(meta_run: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MERPO_DATA", str(store))
    entry = entries(collections()[0])[0]
    found = given_policy(GivenPolicySettings(source="checkpoint", path=str(entry)), PLANE, (8,), Context())
    assert found is not None
    kept = read_policy(entry.folder, entry.name)
    assert all(torch.equal(found[key], kept[key]) for key in kept)
    with pytest.raises(
        MerpoError, match=f"no such collection; collections: {entry.collection}; create one with merpo collect"
    ):
        given_policy(GivenPolicySettings(source="checkpoint", path="nothing/at-all"), PLANE, (8,), Context())
    monkeypatch.setenv("MERPO_DATA", str(store / "nowhere"))
    with pytest.raises(MerpoError, match="no such collection; the store is empty; create one with merpo collect"):
        given_policy(GivenPolicySettings(source="checkpoint", path="nothing/at-all"), PLANE, (8,), Context())


@pytest.mark.parametrize(
    "fields",
    [{"source": "run"}, {"source": "none", "path": "x"}, {"source": "random", "task": 1}],
)
def test_a_source_that_does_not_fit_its_path_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        GivenPolicySettings(**fields)


def test_an_untrained_meta_policy_of_widths_of_its_own() -> None:
    """A deep one, as A.2.1's, is nearly N(0, 1) before tanh, also where observations are large."""
    observations = 10.0 * torch.randn(500, PLANE.observation_dim, generator=torch.Generator().manual_seed(0))
    means, stds = {}, {}
    for hidden in ((8,), (64, 64, 64, 64)):
        policy = given_policy(GivenPolicySettings(hidden=hidden), PLANE, (16,), Context())
        assert policy is not None
        assert [policy[f"b{i}"].shape[0] for i in range(len(hidden))] == list(hidden)
        drawn = distribution(policy, observations)
        means[hidden], stds[hidden] = float(drawn.mean.abs().mean()), float(drawn.log_std.abs().mean())
    deep, shallow = (64, 64, 64, 64), (8,)
    assert means[deep] < 0.3 < means[shallow]
    assert stds[deep] < 0.3 < stds[shallow]


def test_a_weight_on_no_meta_policy_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"expected 1, or rac\.lambda_initial = 0"):
        tiny_recipe({"method": {**TINY_SINGLE, "meta_policy": {"source": "none"}}})


def test_the_meta_policy_matters_exactly_if_it_has_a_weight() -> None:
    data = task_data(2)
    other = {"meta_policy": {key: value + 1.0 for key, value in _fitted(0.4, data)["meta_policy"].items()}}
    for alpha, same in ((1.0, True), (0.4, False), (0.0, False)):
        method = _method(alpha)
        meta = method.fit(data, Context())
        one, two = (method.adapt(m, data, Context()).policy for m in (meta, other))
        assert all(torch.equal(one[key], two[key]) for key in one) is same


def test_the_clone_is_a_reference_exactly_where_one_was_trained() -> None:
    data = task_data(2)
    free = make("method", "single", **{**SINGLE, "rac": {**SINGLE["rac"], "lambda_initial": 0.0, "lambda_tune": False}})
    for method, names in ((_method(0.4), {"meta-policy", "clone"}), (free, {"meta-policy"})):
        adapted = method.adapt(method.fit(data, Context()), data, Context())
        assert set(adapted.references) == names
        assert {value.shape[0] for policy in adapted.references.values() for value in policy.values()} == {2}


def _method(alpha: float) -> Any:
    return make("method", "single", **{**SINGLE, "alpha": {"component": "fixed", "initial": alpha}})


def _fitted(alpha: float, data: Any) -> Any:
    return _method(alpha).fit(data, Context())


@pytest.mark.parametrize("source", ["random", "none"])
def test_a_run_reports_the_given_meta_policy(
    source: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MERPO_DATA", str(store))
    rac = {**TINY_SINGLE["rac"], "lambda_initial": 0.0 if source == "none" else 1.0, "lambda_tune": False}
    method = {**TINY_SINGLE, "rac": rac, "meta_policy": {"source": source}}
    path = run_recipe(tiny_recipe({"method": method}), tmp_path / "run", [0], None, True)
    report = load_report(path / "report.json")
    assert all((task.returns.get("meta_policy") is None) == (source == "none") for task in report.tasks)
    source_of_it = GivenPolicySettings(source="run", path=str(path))
    if source == "none":
        with pytest.raises(MerpoError, match="holds nothing; expected a run of method 'merpo'"):
            given_policy(source_of_it, PLANE, (8,), Context())
    else:
        assert given_policy(source_of_it, PLANE, (8,), Context()) is not None
    assert all(
        task.returns.get("adapted") is not None and math.isfinite(task.returns.get("adapted")) for task in report.tasks
    )


def test_a_given_meta_policy_of_other_widths_is_measured_again(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MERPO_DATA", str(store))
    entry = entries(collections()[0])[0]
    method = {**TINY_SINGLE, "meta_policy": {"source": "checkpoint", "path": str(entry)}}
    method["rac"] = {**TINY_SINGLE["rac"], "policy_hidden": [5]}
    path = run_recipe(tiny_recipe({"method": method}), tmp_path / "run", [0], None, True)
    told = [task.returns["meta_policy"] for task in load_report(path / "report.json").tasks]
    assert read_policies(path).policy["w0"].shape[-1] == 5 != read_policy(entry.folder, entry.name)["w0"].shape[-1]
    assert None not in told
    assert [task.others["meta_policy"] for task in evaluate_saved(path).tasks] == pytest.approx(told)


@pytest.mark.parametrize("learns", [False, True])
def test_only_a_method_that_learns_from_tasks_is_told_that_a_test_task_is_one_of_them(
    learns: bool, meta_run: Path, store: Path, tmp_path: Path
) -> None:
    shutil.copytree(store, tmp_path / "data")
    (name,) = {path.name for path in store.iterdir() if path.is_dir()}
    shutil.copytree(store / name, tmp_path / "data" / "other")
    data = {"train": ["store:other/task-003.medium"], "test": [f"store:{name}/task-003.medium"]}
    path = finished_run(
        tmp_path / "data", tmp_path / "run", {"data": data} | ({} if learns else {"method": TINY_SINGLE})
    )
    assert load_report(path / "report.json").notes == (
        ["1 of the 1 test tasks are also training tasks (with data of their own)."] if learns else []
    )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_uncertainty_is_the_largest_norm_of_a_members_std(seed: int) -> None:
    data = task_data(2, seed=seed)
    model, draws = dynamics(), generator("unsure", seed)
    made = [model.init(SPEC, from_rows(data.rows, SPEC), draws) for _ in range(2)]
    params = {key: torch.stack([one[key] for one in made]).double() for key in made[0]}
    states, actions = normal(2, 4, 3, label=(seed, "s")), normal(2, 4, 2, label=(seed, "a")).tanh()
    found = model.uncertainty(params, states, actions)
    _, log_var, _ = model._forward(params, torch.cat([states, actions], -1)[:, None])
    stds = ((0.5 * log_var).exp() * params["stat.target_std"]).tolist()
    for t in range(2):
        for row in range(4):
            expected = oracles.largest_std([stds[t][member][row] for member in range(3)])
            assert float(found[t, row]) == pytest.approx(expected)
            less = penalised_reward(torch.tensor([[1.0]]), found[t, row].float(), 2.0)
            assert float(less) == pytest.approx(1.0 - 2.0 * expected, abs=1e-5)


def test_models_without_an_uncertainty_estimate_are_refused() -> None:
    with pytest.raises(MerpoError, match=r"has no uncertainty estimate; set rac\.reward_penalty = 0"):
        DynamicsLearner.uncertainty(dynamics(), {}, torch.zeros(1), torch.zeros(1))


def test_a_random_policy_acts_in_the_box() -> None:
    policy = given_policy(GivenPolicySettings(), PLANE, (8,), Context(seed=3))
    assert policy is not None
    assert float(act(policy, torch.zeros(1, 2)).abs().max()) < 1
