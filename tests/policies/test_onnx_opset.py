"""merpo.policies.onnx_opset: whatever a method's `act` is made of, it is the same in another opset, or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from merpo.components.registry import get
from merpo.data.data_units import DataUnits
from merpo.errors import MerpoError
from merpo.policies.export import _difference
from merpo.policies.onnx_export import onnx_writer
from merpo.policies.onnx_names import OLDEST, OPSET
from merpo.policies.saved import SavedPolicies
from merpo.policies.task_name import TaskName

Act = Callable[[torch.Tensor], torch.Tensor]
ACTS: dict[str, Act] = {  # of what comes out of one layer [1, B, 4], to actions [1, B, 2]
    "parts": lambda x: x.chunk(2, -1)[1].tanh(),
    "unequal parts": lambda x: x.split([1, 2, 1], -1)[1].tanh(),
    "reductions": lambda x: (x - x.mean(-1, keepdim=True) - x.amax(-1, keepdim=True)).tanh()[..., :2],
    "probabilities": lambda x: x.softmax(-1)[..., :2] - x.logsumexp(-1, keepdim=True).tanh(),
    "other activations": lambda x: (functional.silu(x) + functional.elu(x) + functional.gelu(x)).tanh()[..., :2],
    "cases": lambda x: torch.where(x > 0, x.clamp(max=1), x.tanh())[..., 1:3],
}


def policy(act: Act, monkeypatch: pytest.MonkeyPatch, bounds: tuple[float, float] = (0.0, 100.0)) -> SavedPolicies:
    method = get("method", "merpo")()
    monkeypatch.setattr(type(method), "act", lambda self, policy, observations: act(observations @ policy["w"]))
    weights = {"w": torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(0))}
    units = DataUnits((bounds[0], -1.0), (bounds[1], 1.0))
    return SavedPolicies(Path("x"), method, weights, {}, (TaskName("t", 0, {}, units),), 3, 2, None, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("opset", [OLDEST, OPSET])
@pytest.mark.parametrize("name", ACTS)
def test_another_opset_gives_the_same_actions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, opset: int
) -> None:
    one = policy(ACTS[name], monkeypatch)
    onnx_writer(opset, allow_non_finite=False)(one, tmp_path / "x.onnx")
    assert _difference(one, tmp_path / "x.onnx", guarded=True) < 2e-6


def test_what_an_opset_does_not_have_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = policy(lambda x: functional.layer_norm(x, (4,)).tanh()[..., :2], monkeypatch)
    with pytest.raises(MerpoError, match=r"opset: 13 cannot express this method's policies .*such as 18"):
        onnx_writer(13, allow_non_finite=False)(one, tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()


BEYOND: dict[str, Act] = {  # operators that ONNX lacks, choices by numbers, and sizes that are computed
    "median": lambda x: (x - x.median(-1, keepdim=True)[0])[..., :2].tanh(),
    "inverse": lambda x: (x @ torch.linalg.inv(torch.eye(4) + 0 * x.mean()))[..., :2].tanh(),
    "choice": lambda x: (x if x.sum() > 0 else -x)[..., :2].tanh(),
}


@pytest.mark.parametrize("opset", [OLDEST, OPSET])
@pytest.mark.parametrize("name", BEYOND)
def test_what_onnx_does_not_have_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, opset: int
) -> None:
    one = policy(BEYOND[name], monkeypatch)
    with pytest.raises(MerpoError, match=r"x: ONNX cannot express the policies of method 'merpo' \(.*--format safeten"):
        onnx_writer(opset, allow_non_finite=False)(one, tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()


def test_a_size_that_is_computed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = policy(lambda x: x.sort(-1)[0][..., :2].tanh(), monkeypatch)
    onnx_writer(OPSET, allow_non_finite=False)(one, tmp_path / "x.onnx")
    with pytest.raises(MerpoError, match="is not known before it is computed"):
        _difference(one, tmp_path / "x.onnx", guarded=True)


def test_bounds_that_float32_does_not_tell_apart_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = policy(ACTS["parts"], monkeypatch, (1e9, 1e9 + 1))
    with pytest.raises(MerpoError, match="are the same in float32"):
        onnx_writer(OPSET, allow_non_finite=False)(one, tmp_path / "x.onnx")
