"""Policies as ONNX graphs: what a server gets from them, by their own metadata, in the machine's units."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from command import Answer
from finished import finished_run
from logs import machine_run

import merpo
from merpo import load_policy
from merpo.errors import ArtifactError, MerpoError
from merpo.policies import onnx as onnx_policy
from merpo.policies.export import BATCHES, FORMATS, export_policies
from merpo.policies.onnx_names import OLDEST, OPSET, newest_opset


@pytest.fixture(scope="module")
def run(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(store, tmp_path_factory.mktemp("runs") / "a")


def graph_outputs(path: Path, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The outputs of a graph as a server computes them, by ONNX Runtime alone."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"observation": rows.astype(np.float32)}), strict=True))


@pytest.mark.parametrize("lenient", [False, True])
def test_a_graph_answers_nan_where_an_observation_is_not_finite(run: Path, tmp_path: Path, lenient: bool) -> None:
    (done,) = export_policies(run, tmp_path, "onnx", [2], allow_non_finite=lenient)
    seen = np.array([[0.0, 1.0], [np.nan, 1.0], [0.0, np.inf], [-np.inf, 0.0], [1.0, 1.0]])
    for name, actions in graph_outputs(done.path, seen).items():
        assert np.isfinite(actions[[0, 4]]).all(), name
        assert np.isnan(actions[1:4]).all() or lenient, name
    assert ("every action is NaN" in (tmp_path / "README.md").read_text()) is not lenient


@pytest.fixture(scope="module")
def pumps(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on logs whose actions are those of a machine: a valve from 0 to 100, a heater from -5 to 1e6."""
    folder = tmp_path_factory.mktemp("pumps")
    return machine_run(store, folder)


def test_the_machines_units_are_in_the_file(pumps: Path, tmp_path: Path) -> None:
    seen = 10 * torch.randn(50, 2, generator=torch.Generator().manual_seed(1)).numpy()
    low, high = np.array([0.0, -5.0]), np.array([100.0, 1e6])
    run = load_policy(pumps, task=1)
    assert run.task.units is not None
    assert run.task.units.observations == ("level", "flow <b>")
    expected = low + (run(seen) + 1) / 2 * (high - low)
    np.testing.assert_allclose(run.action_in_units(seen), expected, rtol=1e-6)
    for form in FORMATS:
        (done,) = export_policies(pumps, tmp_path, form, [1])
        assert done.in_units
        policy = load_policy(done.path)
        assert policy.task == run.task
        np.testing.assert_allclose(policy.action_in_units(seen), expected, rtol=1e-5, atol=1e-5)
    served = graph_outputs(done.path, seen)
    np.testing.assert_allclose(served["action_in_units"], expected, rtol=1e-5, atol=0.2)
    edge = graph_outputs(done.path, 1e30 * np.sign(seen))["action_in_units"]
    assert ((edge >= low) & (edge <= high)).all(), "never beyond the machine's range"
    metadata = onnxruntime.InferenceSession(str(done.path)).get_modelmeta().custom_metadata_map
    assert [json.loads(metadata[f"action_{end}"]) for end in ("low", "high")] == [low.tolist(), high.tolist()]
    assert metadata["observation"].startswith("float32 [batch, 2]: the environment's own observations, in the order ")
    assert '"flow <b>"' in metadata["observation"]
    assert metadata["action"] == "float32 [batch, 2]: the deterministic actions, in [-1, 1]"
    assert metadata["action_in_units"].startswith(
        "float32 [batch, 2]: the same actions in the units of the data, from "
    )
    assert json.loads(metadata["task"]) == {"index": 1, "name": "pumps/b", "params": {"load": 2}}
    text = (tmp_path / "README.md").read_text("utf-8")
    assert "| pumps/b.onnx | 1 |" in text
    assert "| pumps/b.safetensors | 1 |" in text
    assert "&lt;b>" in text
    assert "<b>" not in text


def test_collected_actions_are_in_units_of_their_own(run: Path) -> None:
    policy, seen = load_policy(run, task=2), np.random.default_rng(0).normal(size=(5, 2))
    np.testing.assert_allclose(policy.action_in_units(seen), policy(seen), atol=1e-7)


@pytest.mark.parametrize("name", ["format_1.safetensors", "format_1.onnx"])
def test_files_from_before_there_were_checksums_are_read(name: str) -> None:
    policy = load_policy(Path(__file__).parent / name)
    expected = [[-0.13248494, -0.3276259], [-0.9999709, -0.6073235]]
    np.testing.assert_allclose(policy([[0.5, -1.0], [2.0, 3.0]]), expected, atol=1e-6)
    assert policy.task.units is None
    with pytest.raises(MerpoError, match="does not have the bounds"):
        policy.action_in_units([0.5, -1.0])


def test_a_file_without_bounds_is_exported_without_units(tmp_path: Path, merpo_cli: Callable[..., Answer]) -> None:
    old = Path(__file__).parent / "format_1.safetensors"
    answer = merpo_cli("export", str(old), "--format", "onnx", "--out", str(tmp_path / "o"))
    assert answer.code == 0
    assert "task-002.medium: the run did not record the bounds of the data's actions: in [-1, 1] only" in answer.out
    assert set(graph_outputs(tmp_path / "o" / "task-002.medium.onnx", np.zeros((1, 2)))) == {"action"}
    assert "action_in_units: float32" not in (tmp_path / "o" / "README.md").read_text()


OPSETS = [OLDEST, OPSET, *(pytest.param(opset, marks=pytest.mark.slow) for opset in (14, 15, 16, 18, 19, 20, 21, 22))]


@pytest.mark.parametrize("opset", OPSETS)
def test_every_opset_gives_the_same_actions(run: Path, tmp_path: Path, opset: int) -> None:
    (done,) = export_policies(run, tmp_path, "onnx", [2], opset=opset)
    model = onnx.load(str(done.path))
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", opset)]
    assert model.ir_version == onnx.helper.find_min_ir_version_for(model.opset_import)
    seen = np.random.default_rng(0).normal(size=(5, 2))
    np.testing.assert_allclose(graph_outputs(done.path, seen)["action"], load_policy(run, 2)(seen), atol=1e-6)
    assert done.difference <= 1e-6


def test_the_default_opset_and_its_limits(run: Path, tmp_path: Path, merpo_cli: Callable[..., Answer]) -> None:
    (done,) = export_policies(run, tmp_path, "onnx", [2])
    assert onnx.load(str(done.path)).opset_import[0].version == OPSET == 17
    for opset in (OLDEST - 1, 0, -1, 999, newest_opset() + 1):
        answer = merpo_cli("export", str(run), "--format", "onnx", "--opset", str(opset), "--out", str(tmp_path / "o"))
        assert (answer.code, answer.out) == (2, "")
        assert f"opset: got {opset}, expected 13 (the oldest that works) to {newest_opset()}" in answer.err
    assert not (tmp_path / "o").exists()
    for more in (["--opset", "17"], ["--allow-non-finite"]):
        assert "expected --format onnx with them" in merpo_cli("export", str(run), *more).err


def test_nothing_of_this_machine_is_in_a_graph(run: Path, tmp_path: Path) -> None:
    (done,) = export_policies(run, tmp_path, "onnx", [2])
    content = done.path.read_bytes()
    for text in (str(Path(merpo.__file__).parent), str(tmp_path), "site-packages", "forward", ".py"):
        assert text.encode() not in content, text


@pytest.mark.parametrize("size", BATCHES)
def test_a_graph_that_is_wrong_for_one_size_of_batch_is_noticed(
    run: Path, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from merpo.policies.onnx import read_onnx

    def wrong(path: Path) -> onnx_policy.OnnxPolicy:
        found = read_onnx(path)
        of_size = {key: value + 1.0 for key, value in found.run(np.zeros((size, 2), np.float32)).items()}
        return found._replace(run=lambda rows: of_size if len(rows) == size else found.run(rows))

    monkeypatch.setattr(onnx_policy, "read_onnx", wrong)
    with pytest.raises(ArtifactError, match="differs from the original's by"):
        export_policies(run, tmp_path, "onnx", [2])


def test_what_a_server_would_get_is_compared(pumps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from merpo.policies.onnx import read_onnx

    changes = {"action_in_units": lambda value: value * 1.001, "action": lambda value: np.full_like(value, np.nan)}
    for output, change in changes.items():

        def wrong(path: Path, output: str = output, change: Callable[..., Any] = change) -> onnx_policy.OnnxPolicy:
            found = read_onnx(path)
            return found._replace(
                run=lambda rows: {k: change(v) if k == output else v for k, v in found.run(rows).items()}
            )

        monkeypatch.setattr(onnx_policy, "read_onnx", wrong)
        with pytest.raises(ArtifactError, match="differs from the original's by"):
            export_policies(pumps, tmp_path, "onnx", [1])
