"""`merpo adapt` and `merpo evaluate`: a further task from its data alone, and policies measured anew."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command import Answer
from finished import finished_run
from tiny import tiny_recipe

from merpo import load_policy
from merpo.artifacts.artifact import load_artifact
from merpo.artifacts.keeper import Keeper
from merpo.components.interfaces import Method
from merpo.data.manifest import read_manifest, write_manifest
from merpo.data.named import find_datasets
from merpo.data.needed import collection_folder
from merpo.data.store import read_policy
from merpo.errors import DatasetError, MerpoError
from merpo.evaluation import evaluate as evaluation
from merpo.nn.policy import act
from merpo.report.report import load_report
from merpo.report.text import verdict
from merpo.run import evaluate as reevaluate
from merpo.run.adapt import adapt_new
from merpo.run.evaluate import evaluate_saved
from merpo.support import stop
from merpo.support.files import sha256_file
from merpo.support.lock import folder_lock

Merpo = Callable[..., Answer]
LONG = "x" * 300


@pytest.fixture(scope="module")
def run(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(store, tmp_path_factory.mktemp("runs") / "a")


@pytest.fixture
def collection(run: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the tiny recipe's data, which the run has made."""
    monkeypatch.setenv("MERPO_DATA", str(store))
    return collection_folder(tiny_recipe())


def test_a_task_adapted_alone_gets_the_policy_that_it_got_in_the_run(
    run: Path, collection: Path, tmp_path: Path, merpo_cli: Merpo
) -> None:
    out = tmp_path / "new"
    answer = merpo_cli("adapt", str(run), "--data", f"{collection.name}/task-003.medium", "--out", str(out))
    assert answer.code == 0, answer.err
    assert "task-003.medium" in answer.out
    assert "meta-trained on this very" not in answer.out
    rows = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    found, expected = load_policy(out)(rows), load_policy(run, task=3)(rows)
    assert abs(found - expected).max() < 1e-5
    assert abs(load_policy(run, task=2)(rows) - expected).max() > 1e-4, "the tasks' policies differ"
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    (task,) = summary["tasks"]
    assert (task["name"], task["index"], task["trained_on"], summary["seed"]) == ("task-003.medium", 3, False, 0)
    nll = load_report(run / "report.json").model.nll_after[1]
    assert task["scores"]["nll_after"] == pytest.approx(nll, abs=1e-4)
    assert set(task["last"]) == {"alpha", "lambda", "beta", "to_behavior", "to_meta"}


def test_a_folder_that_another_process_writes_is_refused(run: Path, collection: Path, tmp_path: Path) -> None:
    out = tmp_path / "busy"
    with folder_lock(out / "run.lock"), pytest.raises(MerpoError, match="is writing here"):
        adapt_new(run, [f"{collection.name}/task-003.medium"], out)
    assert not list(out.iterdir())


def test_a_folder_of_datasets_and_what_was_trained_on_is_told(
    run: Path, collection: Path, tmp_path: Path, merpo_cli: Merpo
) -> None:
    answer = merpo_cli("adapt", str(run), "--data", str(collection), "--out", str(tmp_path / "all"))
    assert answer.code == 0, answer.err
    assert answer.out.count("meta-trained on this very dataset") == 2
    again = merpo_cli("adapt", str(run), "--data", str(collection), "--out", str(tmp_path / "all"))
    assert again.code == 0
    assert "adapted: loaded from" in again.err
    assert "adapt: " not in again.err, "what is finished is not computed again"
    assert again.out == answer.out
    other = merpo_cli("adapt", str(run), "--data", f"{collection}/task-003.medium.json", "--out", str(tmp_path / "all"))
    assert other.code == 2
    assert "another recipe, seed or data" in other.err
    twice = merpo_cli("adapt", str(tmp_path / "all"), "--data", str(collection), "--out", str(tmp_path / "x"))
    assert (twice.code, "was itself made by `merpo adapt`" in twice.err) == (2, True)


def test_adaptation_may_begin_with_the_best_meta_artifact(
    run: Path, store: Path, collection: Path, tmp_path: Path, merpo_cli: Merpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, out = f"{collection.name}/task-003.medium", tmp_path / "new"
    none = merpo_cli("adapt", str(run), "--data", name, "--out", str(out), "--meta", "best")
    assert (none.code, "(here 0)" in none.err, out.exists()) == (2, True, False)
    wrong = merpo_cli("adapt", str(run), "--data", name, "--out", str(out), "--meta", "bst")
    assert (wrong.code, "did you mean 'best'" in wrong.err) == (2, True)
    changes = {"evaluate": {"during_training": 1}, "method": {"meta_policy": {"iterations": 3}}}
    measured = finished_run(store, tmp_path / "measured", changes)
    at = "artifacts/best-meta.safetensors"
    for first, step in (("best", 3.0), ("last", 3.0)):
        answer = merpo_cli("adapt", str(measured), "--data", name, "--out", str(tmp_path / first), "--meta", first)
        assert answer.code == 0, answer.err
        assert ("chosen by returns on this very task" in answer.out) == (first == "best")
        assert float(load_artifact(measured / at)[1]["step"]) == step
        begun = json.loads((tmp_path / first / "manifest.json").read_text("utf-8"))["datasets"]["meta-artifact"]
        assert begun == sha256_file(measured / "artifacts" / f"{'best-' * (first == 'best')}meta.safetensors")
    shutil.copytree(collection, tmp_path / "data" / collection.name)
    monkeypatch.setenv("MERPO_DATA", str(tmp_path / "data"))
    assert merpo_cli("collect", "tiny.toml", "--set", "data.quality=random").code == 0
    for task, chosen in (("task-003.random", True), ("task-001.random", False)):
        data = ("--data", f"{collection.name}/{task}", "--out", str(tmp_path / task))
        answer = merpo_cli("adapt", str(measured), *data, "--meta", "best")
        assert answer.code == 0, answer.err
        assert ("chosen by returns on this very task" in answer.out) == chosen, "other data of the same task"
    refused = merpo_cli("evaluate", str(measured / at))
    assert (refused.code, "expected adapted policies" in refused.err) == (2, True)


def test_names_of_data(collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [(collection, "task-003.medium")]
    assert find_datasets(f"{collection.name}/task-003.medium") == expected
    assert find_datasets(str(collection / "task-003.medium.json")) == expected
    assert find_datasets(f"store:{collection.name}/task-00[3].medium") == expected
    assert find_datasets(collection.name) == [(collection, f"task-00{i}.medium") for i in range(4)]
    for text, hint in (
        (f"{collection.name}/task-03.medium", "did you mean 'task-003.medium'"),
        (collection.name[:-2], f"did you mean '{collection.name}'"),
        (str(tmp_path), "holds no dataset"),
        ("store:../x", "expected 'store:COLLECTION'"),
        ("minari:nowhere/at-all-v0", "at-all-v0"),
        (str(collection / "task-003.medium.safetensors"), "ends in .json"),
    ):
        with pytest.raises(DatasetError, match=hint):
            find_datasets(text)


def test_a_folder_without_data_does_not_hide_a_collection_of_its_name(
    collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / collection.name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_datasets(collection.name) == [(collection, f"task-00{i}.medium") for i in range(4)]


def test_tasks_of_named_data_have_the_numbers_that_the_run_gave_them(
    collection: Path, store: Path, tmp_path: Path
) -> None:
    names = [f"store:{collection.name}/task-00{i}.medium" for i in (3, 2, 1)]
    whole = finished_run(store, tmp_path / "run", {"data": {"train": names[:1], "test": names[1:]}})
    (whole / "report.json").unlink()  # a run that was cut after meta-training has none yet
    summary = adapt_new(whole, [names[2], f"{collection.name}/task-000.medium", names[0]], tmp_path / "new")
    assert [(task.index, task.trained_on) for task in summary.tasks] == [(2, False), (3, False), (0, True)]
    rows = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    found, expected = (load_policy(path, task=2)(rows) for path in (tmp_path / "new", whole))
    assert abs(found - expected).max() < 1e-5


def stopped_keep(patch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`Keeper.save_state`, and a signal comes just before it is called for the first time."""
    keep = Keeper.save_state

    def stopping(*arguments: Any) -> None:
        patch.setattr(stop, "requested", lambda: True)
        keep(*arguments)

    return stopping


def test_an_adaptation_that_was_stopped_goes_on(
    run: Path, collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, merpo_cli: Merpo
) -> None:
    command = ("adapt", str(run), "--data", f"{collection.name}/task-003.medium", "--out")
    assert merpo_cli(*command, str(tmp_path / "whole")).code == 0
    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "save_state", stopped_keep(patch))
        stopped = merpo_cli(*command, str(tmp_path / "cut"))
    assert stopped.code == 75, stopped.err
    assert re.search(r"stopped by a signal after step 1 of .*; run the same command to resume", stopped.err)
    assert list((tmp_path / "cut" / "checkpoints").iterdir())
    answer = merpo_cli(*command, str(tmp_path / "cut"))
    assert answer.code == 0, answer.err
    assert "resuming after step 1" in answer.out + answer.err
    first, second = (sha256_file(tmp_path / name / "artifacts" / "adapted.safetensors") for name in ("whole", "cut"))
    assert first == second
    assert not (tmp_path / "cut" / "checkpoints").exists()


def test_what_cannot_be_written_is_told_after_what_was_measured(
    run: Path, tmp_path: Path, merpo_cli: Merpo, collection: Path
) -> None:
    for out, reason in ((".", "is a folder"), (LONG, "File name too long"), (str(tmp_path), "cannot be written")):
        answer = merpo_cli("evaluate", str(run), "--out", out)
        assert (answer.code, reason in answer.err) == (2, True), answer.err
        assert "return" in answer.out


@pytest.mark.parametrize(
    "command",
    [
        ("evaluate", LONG),
        ("compare", LONG),
        ("adapt", LONG, "--data", "y", "--out", "z"),
        ("adapt", "RUN", "--data", LONG, "--out", "z"),
    ],
)
def test_a_path_that_is_too_long_is_refused(run: Path, merpo_cli: Merpo, command: tuple[str, ...]) -> None:
    answer = merpo_cli(*(str(run) if word == "RUN" else word for word in command))
    assert (answer.code, "File name too long" in answer.err) == (2, True), answer.err


def test_data_that_does_not_fit_the_run_is_refused(run: Path, collection: Path, tmp_path: Path) -> None:
    for path in collection.glob("task-003.*"):
        shutil.copy(path, tmp_path / path.name)
        shutil.copy(path, tmp_path / path.name.replace("medium", "again"))
    with pytest.raises(DatasetError, match=r"is of task 3, as is task-003\.again"):
        adapt_new(run, [str(tmp_path)], tmp_path / "x")
    manifest = tmp_path / "task-003.medium.json"
    content = read_manifest(manifest).model_dump()
    write_manifest(manifest, {**content, "family": "other"})
    with pytest.raises(DatasetError, match=r"task-003\.medium: is of family 'other'.*'point-robot-wind'"):
        adapt_new(run, [str(manifest)], tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("artifact", ["", "artifacts/adapted.safetensors"])
def test_a_deterministic_evaluation_repeats_the_report(run: Path, artifact: str) -> None:
    measured = evaluate_saved(run / artifact)
    report = load_report(run / "report.json")
    assert [task.index for task in measured.tasks] == [task.index for task in report.tasks]
    for task, told in zip(measured.tasks, report.tasks, strict=True):
        assert task.mean == pytest.approx(told.returns["adapted"], abs=1e-5)
        assert task.others["oracle"] == pytest.approx(told.returns["oracle"], abs=1e-5)
        assert (task.reported, task.lengths) == (told.returns["adapted"], [10])


def test_data_by_name_has_the_same_behaviour_policy(
    run: Path, collection: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"train": ["task-000", "task-001"], "test": ["task-002", "task-003"]}
    data = {part: [f"store:{collection.name}/{name}.medium" for name in found] for part, found in names.items()}
    named = finished_run(store, tmp_path / "named", {"data": data})
    expected = [task.others["behavior"] for task in evaluate_saved(run).tasks]
    assert None not in expected
    assert [task.others["behavior"] for task in evaluate_saved(named).tasks] == pytest.approx(expected)
    monkeypatch.chdir(run / "artifacts")
    assert [task.others["behavior"] for task in evaluate_saved(Path("adapted.safetensors")).tasks] == pytest.approx(
        expected
    )
    assert None not in [task.reported for task in evaluate_saved(Path("adapted.safetensors")).tasks]


def test_behaviour_and_meta_policy_are_measured_where_they_were_kept(
    run: Path, collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, merpo_cli: Merpo
) -> None:
    report = load_report(run / "report.json")
    measured = evaluate_saved(run)
    assert [task.others["meta_policy"] for task in measured.tasks] == pytest.approx(
        [t.returns["meta_policy"] for t in report.tasks]
    )
    many = evaluate_saved(run, episodes=200)
    for task, told in zip(many.tasks, report.tasks, strict=True):
        manifest = read_manifest(collection / f"{task.name}.json")
        spread = 5 * manifest.behavior.return_std / manifest.episodes**0.5
        assert task.others["behavior"] == pytest.approx(told.returns["behavior"], abs=spread + 1e-3), (
            "the data is of this very policy"
        )
    answer = merpo_cli("evaluate", str(run))
    assert re.search(
        r"return \| length \| terminated \| behaviour \| behaviour's mode \| clone \| clone, drawn \| meta-policy "
        r"\| meta-policy, drawn \| adapted, drawn \| oracle \| reported",
        answer.out,
    ), answer.out
    adapt_new(run, [f"{collection.name}/task-003.medium"], tmp_path / "new")
    (alone,) = evaluate_saved(tmp_path / "new").tasks
    assert (alone.others.get("meta_policy"), alone.others.get("behavior")) == (
        None,
        pytest.approx(measured.tasks[1].others["behavior"]),
    )
    monkeypatch.setenv("MERPO_DATA", str(tmp_path / "no store"))
    assert [task.others.get("behavior") for task in evaluate_saved(run).tasks] == [None, None]
    monkeypatch.setenv("MERPO_DATA", str(tmp_path / "other"))
    shutil.copytree(collection, tmp_path / "other" / collection.name)
    manifest_path = tmp_path / "other" / collection.name / "task-003.medium.json"
    write_manifest(manifest_path, {**read_manifest(manifest_path).model_dump(), "sha256": "0" * 64})
    assert [task.others.get("behavior") for task in evaluate_saved(run).tasks] == [None, None], (
        "other data of that name"
    )


def test_the_behaviour_policys_mode_is_measured_as_the_adapted_policies_are(run: Path, collection: Path) -> None:
    """Else leaving out the noise of the data would seem an improvement."""
    report, recipe = load_report(run / "report.json"), tiny_recipe()
    measured = evaluate_saved(run)
    for task, told in zip(measured.tasks, report.tasks, strict=True):
        policy = {key: value[None] for key, value in read_policy(collection, task.name).items()}
        expected = evaluation.evaluate(recipe.tasks, [told.params], lambda s, p=policy: act(p, s), 1, 0).returns[0, 0]  # type: ignore[misc]
        assert told.returns["behavior_mode"] == pytest.approx(float(expected), abs=1e-5)
        assert task.others["behavior_mode"] == pytest.approx(float(expected), abs=1e-5)
    assert "behavior_mode" in report.summary.adapted_minus
    assert " their modes" in verdict(report.summary)
    assert [task.others.get("behavior_mode") for task in evaluate_saved(run, stochastic=True).tasks] == [None, None]


def test_the_clones_are_measured_by_mode_and_drawn_and_measured_again(
    run: Path, collection: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, recipe = load_report(run / "report.json"), tiny_recipe()
    clones = load_artifact(run / "artifacts" / "unseen-behavior.safetensors")[0]["behavior"]
    measured, drawn = evaluate_saved(run), evaluate_saved(run, stochastic=True)
    for t, (task, told) in enumerate(zip(measured.tasks, report.tasks, strict=True)):
        policy = {key: value[t : t + 1] for key, value in clones.items()}
        expected = evaluation.evaluate(recipe.tasks, [told.params], lambda s, p=policy: act(p, s), 1, 0).returns[0, 0]  # type: ignore[misc]
        assert told.returns["clone"] == pytest.approx(float(expected), abs=1e-5)
        assert task.others["clone"] == pytest.approx(told.returns["clone"], abs=1e-5)
        assert task.others["clone_drawn"] == pytest.approx(told.returns["clone_drawn"], abs=1e-5)
        assert abs(told.returns["clone"] - told.returns["clone_drawn"]) > 1e-3
    assert [one.others["clone"] for one in drawn.tasks] == [one.others["clone"] for one in measured.tasks], (
        "whatever the other policies do, the clone's column is of its mode"
    )
    assert "the behaviour clones" in verdict(report.summary)
    adapt_new(run, [f"{collection.name}/task-003.medium"], tmp_path / "new")
    (alone,) = evaluate_saved(tmp_path / "new").tasks
    assert alone.others["clone"] == pytest.approx(measured.tasks[1].others["clone"], abs=1e-4)
    monkeypatch.setattr(type(recipe.method), "sample", Method.sample)
    assert not {"clone_drawn", "adapted_drawn"} & evaluate_saved(run).tasks[0].others.keys()
    run_again = load_report(finished_run(store, tmp_path / "mode", {"evaluate": {"videos": 0}}) / "report.json")
    assert run_again.tasks[0].returns.keys() == {key for key in report.tasks[0].returns if not key.endswith("_drawn")}


def test_policies_are_measured_by_mode_and_drawn(run: Path) -> None:
    told = load_report(run / "report.json").tasks
    measured, drawn = evaluate_saved(run), evaluate_saved(run, stochastic=True)
    for report, by_mode, by_draw in zip(told, measured.tasks, drawn.tasks, strict=True):
        assert report.returns["adapted_drawn"] == pytest.approx(by_mode.others["adapted_drawn"], abs=1e-5)
        assert by_mode.others["adapted_drawn"] == pytest.approx(by_draw.mean, abs=1e-5)
        assert by_mode.others["meta_policy_drawn"] == pytest.approx(by_draw.others["meta_policy"], abs=1e-5)
        assert abs(report.returns["adapted"] - report.returns["adapted_drawn"]) > 1e-3
        assert not {"adapted_drawn", "meta_policy_drawn"} & by_draw.others.keys(), "they would be the same again"


def test_a_stochastic_evaluation_draws_each_tasks_own_actions(run: Path, collection: Path, tmp_path: Path) -> None:
    both = evaluate_saved(run, episodes=4, stochastic=True)
    assert all(len(set(task.returns)) == 4 for task in both.tasks), "every episode has actions of its own"
    assert evaluate_saved(run, episodes=4, stochastic=True) == both
    assert evaluate_saved(run, episodes=4, stochastic=True, seed=5).tasks != both.tasks
    assert all(len(set(task.returns)) == 1 for task in evaluate_saved(run, episodes=4).tasks)
    adapt_new(run, [f"{collection.name}/task-003.medium"], tmp_path / "new")
    (alone,) = evaluate_saved(tmp_path / "new", episodes=4, stochastic=True).tasks
    assert alone.returns == pytest.approx(both.tasks[1].returns, abs=1e-3)
    assert alone.reported is None


def test_evaluate_on_the_command_line(run: Path, tmp_path: Path, merpo_cli: Merpo) -> None:
    answer = merpo_cli("evaluate", str(run), "--episodes", "2", "--stochastic", "--out", "e.json")
    assert answer.code == 0, answer.err
    assert "stochastic policies, 2 episodes per task, seed 0" in answer.out
    assert "reported" in answer.out
    written = json.loads(Path("e.json").read_text("utf-8"))
    assert [len(task["returns"]) for task in written["tasks"]] == [2, 2]
    assert written["mean"]["low"] <= written["mean"]["mean"] <= written["mean"]["high"]
    merpo_cli("export", str(run), "--out", str(tmp_path), "--task", "3")
    answer = merpo_cli("evaluate", str(tmp_path / "task-003.medium.safetensors"))
    assert (answer.code, "knows no environment" in answer.err) == (2, True)


def test_a_device_is_chosen_as_for_a_run(
    run: Path, collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, merpo_cli: Merpo
) -> None:
    commands = (
        ("adapt", str(run), "--data", f"{collection.name}/task-003.medium", "--out", "x"),
        ("evaluate", str(run)),
    )
    for command in commands:
        wrong = merpo_cli(*command, "--device", "gpu")
        assert (wrong.code, "device: got 'gpu' (did you mean 'cpu'?), expected auto, cpu, cuda" in wrong.err) == (
            2,
            True,
        ), wrong.err
        assert merpo_cli(*command, "--device", "cpu").code == 0
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        lacking = merpo_cli(*command, "--device", "cuda")
        assert (lacking.code, "finds no CUDA device; expected auto or cpu" in lacking.err) == (2, True)
    seen: list[str] = []
    monkeypatch.setattr(reevaluate, "evaluate", lambda *given: seen.append(given[-1]) or evaluation.evaluate(*given))
    evaluate_saved(run, device="auto")
    assert seen == ["cpu"] * 8


def test_a_method_without_stochastic_policies_says_so(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(tiny_recipe().method), "sample", Method.sample)
    with pytest.raises(MerpoError, match="method 'merpo' has deterministic policies only"):
        evaluate_saved(run, stochastic=True)


def test_the_meta_artifact_is_what_fit_gave(run: Path) -> None:
    groups, _ = load_artifact(run / "artifacts" / "meta.safetensors")
    policy, _ = load_artifact(run / "artifacts" / "meta-policy.safetensors")
    assert all(torch.equal(groups["meta_policy"][key], value) for key, value in policy["meta_policy"].items())
