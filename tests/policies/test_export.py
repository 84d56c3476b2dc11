"""Exported policies act as the original does, whatever the format, and say so where they do not."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from command import Answer
from finished import finished_run

import merpo
from merpo import load_policy
from merpo.artifacts.artifact import load_artifact, save_artifact
from merpo.artifacts.finished_run import find_runs, open_run
from merpo.errors import ArtifactError, MerpoError, RecipeError
from merpo.policies import export
from merpo.policies import onnx as onnx_policy
from merpo.policies.export import export_policies

FORMS = ["safetensors", "onnx"]


@pytest.fixture(scope="module")
def run(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(store, tmp_path_factory.mktemp("runs") / "a")


def rows(count: int = 5) -> torch.Tensor:
    return torch.randn(count, 2, generator=torch.Generator().manual_seed(3))


def by_hand(run: Path, task: int) -> np.ndarray:
    """The actions of one task's adapted policy, from the artifact with the library's own function."""
    groups, _ = load_artifact(run / "artifacts" / "adapted.safetensors")
    actions: np.ndarray = merpo.act({k: v[task] for k, v in groups["policy"].items()}, rows()).numpy()
    return actions


@pytest.mark.parametrize("form", FORMS)
def test_an_export_acts_as_the_original(run: Path, tmp_path: Path, form: str) -> None:
    done = export_policies(run, tmp_path, form)
    assert [(e.task, e.path.suffix) for e in done] == [(f"task-00{i}.medium", f".{form}") for i in (2, 3)]
    for t, exported in enumerate(done):
        policy = load_policy(exported.path)
        assert (policy.task.index, policy.observation_dim, policy.action_dim) == (t + 2, 2, 2)
        assert "wind" in policy.task.params
        np.testing.assert_allclose(policy(rows()), by_hand(run, t), atol=1e-6)
        np.testing.assert_allclose(policy(rows()[0]), by_hand(run, t)[0], atol=1e-6)
        assert exported.difference <= 1e-6
        assert exported.size == exported.path.stat().st_size
    assert not np.allclose(by_hand(run, 0), by_hand(run, 1), atol=1e-6), "the tasks' policies differ"


def test_a_run_and_its_artifact_are_loaded_by_task(run: Path) -> None:
    for place in (run, run / "artifacts" / "adapted.safetensors"):
        np.testing.assert_allclose(load_policy(place, task=3)(rows()), by_hand(run, 1), rtol=0, atol=1e-6)
        assert not np.allclose(load_policy(place, task=3)(rows()), by_hand(run, 0), atol=1e-3)
        with pytest.raises(MerpoError, match="policies for the tasks 2, 3; give one"):
            load_policy(place)
        with pytest.raises(MerpoError, match="no policy for task 7; there are policies for the tasks 2, 3"):
            load_policy(place, task=7)


@pytest.mark.parametrize("per_task", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_a_normalisation_is_applied(run: Path, tmp_path: Path, form: str, per_task: bool) -> None:
    groups, header = load_artifact(run / "artifacts" / "adapted.safetensors")
    mean, std = torch.tensor([[1.0, -2.0], [0.5, 3.0]]), torch.tensor([[2.0, 0.5], [1.5, 4.0]])
    norm = {"mean": mean if per_task else mean[1], "std": std if per_task else std[1]}
    path = tmp_path / "normalized.safetensors"
    save_artifact(path, {**groups, "normalization": norm}, {k: v for k, v in header.items() if k != "format_version"})
    done = export_policies(path, tmp_path / "out", form)
    expected = merpo.act({k: v[1] for k, v in groups["policy"].items()}, (rows() - mean[1]) / std[1])
    np.testing.assert_allclose(load_policy(done[1].path)(rows()), expected.numpy(), atol=1e-6)
    assert not np.allclose(load_policy(done[1].path)(rows()), by_hand(run, 1), atol=1e-3)
    assert done[0].difference <= 1e-5


@pytest.mark.parametrize("bad", [{"mean": torch.zeros(2)}, {"mean": torch.zeros(3), "std": torch.ones(3)},
                                 {"mean": torch.zeros(2), "std": torch.tensor([1.0, torch.nan])}])  # fmt: skip
def test_a_normalisation_that_does_not_fit_is_refused(run: Path, tmp_path: Path, bad: dict[str, torch.Tensor]) -> None:
    groups, header = load_artifact(run / "artifacts" / "adapted.safetensors")
    path = tmp_path / "x.safetensors"
    save_artifact(path, {**groups, "normalization": bad}, {k: v for k, v in header.items() if k != "format_version"})
    with pytest.raises(ArtifactError, match=r"normalization.*expected"):
        load_policy(path, task=2)


def test_a_policy_refuses_other_shapes(run: Path) -> None:
    policy = load_policy(run, task=2)
    assert policy([0.0, 1.0]).shape == (2,)
    for bad in (np.zeros(3), np.zeros((2, 2, 2)), 1.0):
        with pytest.raises(MerpoError, match=r"expected \[2\] or \[B, 2\]"):
            policy(bad)


def test_the_page_keeps_what_was_exported_before(run: Path, tmp_path: Path) -> None:
    export_policies(run, tmp_path, "safetensors")
    export_policies(run, tmp_path, "onnx", [3])
    page = tmp_path / "README.md"
    lines = [line.split(" | ")[0] for line in page.read_text().splitlines() if line.startswith("| task-")]
    names = ["| task-002.medium.safetensors", "| task-003.medium.onnx", "| task-003.medium.safetensors"]
    assert lines == names
    before = page.read_text()
    export_policies(run, tmp_path, "onnx", [3])
    assert page.read_text() == before


def test_a_page_of_somebody_else_is_left_alone(run: Path, tmp_path: Path) -> None:
    for content in (b"# My project\n", b"", b"\xff\xfe", b"x" * 100):
        (tmp_path / "README.md").write_bytes(content)
        export_policies(run, tmp_path, "safetensors", [2])
        assert (tmp_path / "README.md").read_bytes() == content


def test_a_changed_file_is_refused_whatever_its_format(run: Path, tmp_path: Path) -> None:
    for form in FORMS:
        (done,) = export_policies(run, tmp_path, form, [2])
        whole = done.path.read_bytes()
        for place in (len(whole) // 3, len(whole) // 2, len(whole) - 2):
            content = bytearray(whole)
            content[place] ^= 4
            done.path.write_bytes(content)
            with pytest.raises(ArtifactError, match=r"checksum|damaged|header"):
                load_policy(done.path)
        done.path.write_bytes(whole)
        load_policy(done.path)


def test_a_difference_above_the_tolerance_is_an_error(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, merpo_cli: Callable[..., Answer]
) -> None:
    write = export._write_safetensors
    monkeypatch.setattr(
        export, "_write_safetensors",
        lambda one, path: write(one._replace(policy={k: v * 1.01 for k, v in one.policy.items()}), path),
    )  # fmt: skip
    answer = merpo_cli("export", str(run), "--out", str(tmp_path / "o"))
    assert (answer.code, answer.out) == (2, "")
    assert "differs from the original's by" in answer.err
    assert merpo_cli("export", str(run), "--out", str(tmp_path / "o"), "--tolerance", "1").code == 0


def test_the_command_prints_the_difference(run: Path, tmp_path: Path, merpo_cli: Callable[..., Answer]) -> None:
    answer = merpo_cli("export", str(run), "--out", str(tmp_path / "o"), "--task", "3")
    assert answer.code == 0
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == ["README.md", "task-003.medium.safetensors"]
    assert "1 policies exported and compared; largest difference 0.0e+00 (tolerance 1e-05)" in answer.out
    assert "did you mean 'onnx'" in merpo_cli("export", str(run), "--format", "onx").err
    assert "is not a run folder" in merpo_cli("export", str(tmp_path)).err


def test_without_onnx_the_extra_is_named(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_policy, "_installed", lambda package: False)
    with pytest.raises(MerpoError, match=r"onnx, onnxscript; install them with: pip install 'merpo\[export\]'"):
        export_policies(run, tmp_path, "onnx")


def test_the_reference_implementation_agrees(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_policy, "engine", lambda: "onnx.reference")
    (done,) = export_policies(run, tmp_path, "onnx", [2])
    assert done.difference <= 1e-6


def test_damaged_files_are_refused_by_name(run: Path, tmp_path: Path) -> None:
    for form in FORMS:
        (done,) = export_policies(run, tmp_path, form, [2])
        whole = done.path.read_bytes()
        bad = tmp_path / f"bad.{form}"
        for content in (b"", whole[:100], whole[: len(whole) // 2], b"\x00" * 64, b"{}"):
            bad.write_bytes(content)
            with pytest.raises(ArtifactError, match=r"bad\."):
                load_policy(bad)
        with pytest.raises(MerpoError, match=r"expected task 5|no policy for task 5"):
            load_policy(done.path, task=5)
        with pytest.raises(ArtifactError, match="cannot read"):
            load_policy(tmp_path / f"none.{form}")


def test_what_holds_no_policies_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"of stage 'meta', expected adapted"):
        load_policy(run / "artifacts" / "meta.safetensors")
    path = tmp_path / "x.safetensors"
    one = {"policy": {"w0": torch.zeros(1, 2, 4), "b0": torch.zeros(1, 4)}}
    good = {"method": '{"component": "merpo"}', "observation_dim": "2", "action_dim": "2",
            "tasks": '[{"name": "x", "index": 0, "params": {}}]'}  # fmt: skip
    save_artifact(path, one, good)
    assert load_policy(path)(np.zeros(2)).shape == (2,)
    for key, value, error, text in (
        ("method", '{"component": "merp"}', RecipeError, "did you mean 'merpo'"),
        ("method", "[]", ArtifactError, "method: Input should be"),
        ("tasks", "{}", ArtifactError, "tasks: Input should be"),
        ("tasks", "[]", ArtifactError, "policies of 0 tasks"),
        ("observation_dim", "x", ArtifactError, "expected integers"),
    ):
        save_artifact(path, one, {**good, key: value})
        with pytest.raises(error, match=text):
            load_policy(path)


def test_a_changed_artifact_of_a_run_is_noticed(run: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        shutil.copytree(run, tmp_path / "runs" / f"seed-{seed}")
    run = tmp_path / "runs"
    assert find_runs([run, run / "seed-1"]) == [run / "seed-0", run / "seed-1"]
    with pytest.raises(ArtifactError, match=r"runs in subfolders, give one of them: .*seed-0"):
        open_run(run)
    one = open_run(run / "seed-1")
    assert one.seed == 0
    assert set(one.groups("meta")) == {"meta_policy", "meta_q", "duals", "meta_model", "scales"}
    with pytest.raises(ArtifactError, match="did you mean 'meta'"):
        one.groups("metta")
    path = run / "seed-1" / "artifacts" / "adapted.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="content has changed"):
        load_policy(run / "seed-1", task=2)
    manifest = run / "seed-0" / "manifest.json"
    for text in ("", "[]", json.dumps({"seed": "0", "artifacts": {}}), json.dumps({"seed": 0, "artifacts": {"a": 1}})):
        manifest.write_text(text)
        with pytest.raises(ArtifactError, match=r"manifest\.json"):
            open_run(run / "seed-0")
    with pytest.raises(ArtifactError, match="none: no such file or folder, expected a run's folder"):
        find_runs([tmp_path / "none"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtifactError, match="has no finished run"):
        find_runs([tmp_path / "empty"])


def test_a_run_from_before_tasks_were_named_is_read_by_its_recipe(run: Path, tmp_path: Path) -> None:
    groups, header = load_artifact(run / "artifacts" / "adapted.safetensors")
    old = {key: value for key, value in header.items() if key not in ("format_version", "tasks")}
    save_artifact(tmp_path / "old.safetensors", groups, old)
    found, expected = load_policy(tmp_path / "old.safetensors", task=3), load_policy(run, task=3)
    assert found.task == dataclasses.replace(expected.task, units=None)
    with pytest.raises(MerpoError, match="does not have the bounds of the data's actions"):
        found.action_in_units(rows())
    np.testing.assert_array_equal(found(rows()), expected(rows()))
