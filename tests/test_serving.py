"""The example of docs/serving.md: the policy by ONNX Runtime alone, and the service with a stand-in for FastAPI."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime
import pytest
from logs import machine_run

from merpo import load_policy
from merpo.policies.export import export_policies

EXAMPLE = Path(__file__).resolve().parent.parent / "docs" / "example_serving"
LOW, HIGH = np.array([0.0, -5.0]), np.array([100.0, 1e6])
REFUSED = (
    ([[float("nan"), 0.0]], r"observation 0: number 0 is nan, expected a finite number"),
    ([[0.0, 0.0], [0.0, float("-inf")]], r"observation 1: number 1 is -inf"),
    ([[0.0, 1e39]], r"observation 0: number 1 is inf"),
    ([[0.0]], r"got observations of shape \(1, 1\), expected \(rows, 2\)"),
    ([[0.0, 0.0, 0.0]], r"expected \(rows, 2\)"),
    ([0.0, 0.0], r"expected \(rows, 2\)"),
    ([[0.0, 0.0], [0.0]], "expected a list of observations"),
    ([["a", "b"]], "expected a list of observations"),
    ([[[0.0, 0.0]]], r"expected \(rows, 2\)"),
)


@pytest.fixture(scope="module")
def exported(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ONNX file of a policy for a machine."""
    folder = tmp_path_factory.mktemp("pumps")
    (done,) = export_policies(machine_run(store, folder), folder / "policies", "onnx", [1])
    return done.path


def loaded(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of the example, as it is imported in its folder."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def policy(exported: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    return loaded("served_policy", monkeypatch).ServedPolicy(str(exported))


def test_the_served_actions_are_the_policys_in_the_machines_units(policy: Any, exported: Path) -> None:
    seen = np.random.default_rng(0).normal(scale=5, size=(7, 2))
    for rows in (seen[:1], seen[:3], seen):
        found = np.array(policy.actions(rows.tolist()))
        np.testing.assert_allclose(found, load_policy(exported).action_in_units(rows), rtol=1e-5, atol=0.2)
        assert ((found >= LOW) & (found <= HIGH)).all()
    assert np.ptp(policy.actions(seen.tolist()), axis=0).min() > 0


def test_it_tells_what_goes_in_and_what_comes_out(policy: Any) -> None:
    about = policy.about()
    assert (about["action_low"], about["action_high"]) == (LOW.tolist(), HIGH.tolist())
    assert about["task"] == {"index": 1, "name": "pumps/b", "params": {"load": 2}}
    assert '["level", "flow <b>"]' in about["observation"]
    assert '["valve", "heater"]' in about["action_in_units"]
    json.dumps(about)


@pytest.mark.parametrize(("observations", "message"), REFUSED)
def test_what_is_no_observation_gets_no_action(policy: Any, observations: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        policy.actions(observations)


def test_a_file_without_bounds_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    old = Path(__file__).parent / "policies" / "format_1.onnx"
    with pytest.raises(ValueError, match="has no action_in_units"):
        loaded("served_policy", monkeypatch).ServedPolicy(str(old))


def test_the_policy_needs_neither_merpo_nor_torch(exported: Path) -> None:
    code = (
        "import sys; sys.modules['merpo'] = sys.modules['torch'] = None; sys.path.insert(0, sys.argv[1]);"
        "from served_policy import ServedPolicy; print(ServedPolicy(sys.argv[2]).actions([[0.0, 0.0]]))"
    )
    command = [sys.executable, "-c", code, str(EXAMPLE), str(exported)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    assert len(json.loads(done.stdout)[0]) == 2


class HTTPException(Exception):
    def __init__(self, status_code: int, detail: str) -> None:
        self.status_code, self.detail = status_code, detail


class Routes:
    """A stand-in for FastAPI that keeps the functions of its routes."""

    def __init__(self, **about: Any) -> None:
        self.routes: dict[tuple[str, str], Callable[..., Any]] = {}

    def get(self, path: str) -> Callable[..., Any]:
        return self._add("GET", path)

    def post(self, path: str) -> Callable[..., Any]:
        return self._add("POST", path)

    def _add(self, method: str, path: str) -> Callable[..., Any]:
        def add(function: Callable[..., Any]) -> Callable[..., Any]:
            self.routes[method, path] = function
            return function

        return add


def test_the_service_answers(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fastapi = ModuleType("fastapi")
    fastapi.FastAPI, fastapi.HTTPException = Routes, HTTPException  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fastapi", fastapi)
    monkeypatch.setenv("POLICY", str(exported))
    policy = loaded("served_policy", monkeypatch).ServedPolicy(str(exported))
    server = loaded("server", monkeypatch)
    service = server.app()
    assert set(service.routes) == {("GET", "/policy"), ("POST", "/act")}
    assert service.routes["GET", "/policy"]() == policy.about()
    question = server.Question.model_validate_json('{"observations": [[0.5, -1], [2, 3]]}')
    expected = policy.actions([[0.5, -1.0], [2.0, 3.0]])
    assert service.routes["POST", "/act"](question) == {"actions": expected}
    with pytest.raises(HTTPException) as refused:
        service.routes["POST", "/act"](server.Question(observations=[[float("nan"), 0.0]]))
    assert refused.value.status_code == 422
    assert "is nan, expected a finite number" in refused.value.detail
    for text in (
        '{"observations": []}',
        '{"observations": [["a"]]}',
        "{}",
        json.dumps({"observations": [[0, 0]] * 1001}),
    ):
        with pytest.raises(ValueError, match="observations"):
            server.Question.model_validate_json(text)


@pytest.mark.filterwarnings("ignore")  # of the test client about its own packages
def test_the_service_answers_over_http(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("httpx")
    from fastapi.testclient import TestClient

    monkeypatch.setenv("POLICY", str(exported))
    policy = loaded("served_policy", monkeypatch).ServedPolicy(str(exported))
    client = TestClient(loaded("server", monkeypatch).app())
    assert client.get("/policy").json() == policy.about()
    answer = client.post("/act", json={"observations": [[0.5, -1.0]]})
    assert (answer.status_code, answer.json()) == (200, {"actions": policy.actions([[0.5, -1.0]])})
    for text in (
        '{"observations": [[NaN, 0]]}',
        '{"observations": [[1e999, 0]]}',
        '{"observations": [[0]]}',
        "{}",
        "x",
    ):
        answer = client.post("/act", content=text, headers={"content-type": "application/json"})
        assert answer.status_code == 422, text
        assert "actions" not in answer.json()


def test_the_session_is_the_runtimes(policy: Any) -> None:
    assert isinstance(policy.session, onnxruntime.InferenceSession)
