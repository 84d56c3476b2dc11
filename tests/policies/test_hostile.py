"""Policy files of others: whatever is odd in their header or weights, they are refused, or harmless."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile import DIGITS, NAMES, tasks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from merpo import load_policy
from merpo.artifacts.artifact import save_artifact
from merpo.errors import ArtifactError, MerpoError
from merpo.policies.export import export_policies
from merpo.testing.runner import MerpoRunner

pytestmark = pytest.mark.timeout(60)
GOOD = {
    "method": '{"component": "merpo"}', "observation_dim": "2", "action_dim": "2", "seed": "0",
    "tasks": '[{"name": "x", "index": 0, "params": {}}]',
}  # fmt: skip


def layers(*sizes: int) -> dict[str, torch.Tensor]:
    """The policy of one task, with weights of 0.1."""
    pairs = list(pairwise(sizes))
    weights = {f"w{i}": torch.full((1, a, b), 0.1) for i, (a, b) in enumerate(pairs)}
    return weights | {f"b{i}": torch.zeros(1, b) for i, (_, b) in enumerate(pairs)}


POLICY = layers(2, 8, 4)


def saved(path: Path, policy: dict[str, torch.Tensor] | None = None, **header: str) -> Path:
    """A policy's file, whole and with a right checksum."""
    save_artifact(path, {"policy": POLICY if policy is None else policy}, {**GOOD, **header})
    return path


def test_a_plain_policy_is_read(tmp_path: Path) -> None:
    assert load_policy(saved(tmp_path / "x.safetensors"))(np.zeros(2)).shape == (2,)
    named = saved(tmp_path / "y.safetensors", tasks=tasks(name="minari-D4RL-door/human-v2"))
    assert load_policy(named).task.name == "minari-D4RL-door/human-v2"


@pytest.mark.parametrize("text", DIGITS, ids=lambda text: ascii(text)[:20])
@pytest.mark.parametrize("key", ["observation_dim", "action_dim", "seed"])
def test_numbers_in_the_header_are_plain_digits(tmp_path: Path, key: str, text: str) -> None:
    path = saved(tmp_path / "x.safetensors", **{key: text})
    if key == "seed" and text in ("0", "1000001"):
        load_policy(path)
        return
    with pytest.raises(ArtifactError, match=r"x\.safetensors: .*expected .*integer"):
        load_policy(path)


@pytest.mark.parametrize("name", NAMES, ids=ascii)
@pytest.mark.parametrize("form", ["safetensors", "onnx"])
def test_an_export_writes_nowhere_but_into_its_folder(tmp_path: Path, name: str, form: str) -> None:
    path = saved(tmp_path / "x.safetensors", tasks=tasks(name=name))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ArtifactError, match=r"x\.safetensors: tasks: 0\.name: Value error, expected the name of a"):
        export_policies(path, tmp_path / "a" / "b" / "out", form)
    answer = MerpoRunner(tmp_path)("export", path, "--out", tmp_path / "a" / "b" / "out", "--format", form)
    assert (answer.code, answer.out) == (2, "")
    assert sorted(tmp_path.rglob("*")) == before


def test_an_export_follows_no_link_out_of_its_folder(tmp_path: Path) -> None:
    path = saved(tmp_path / "run" / "x.safetensors", tasks=tasks(name="pumps/a"))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run" / "export").symlink_to(tmp_path / "elsewhere")
    answer = MerpoRunner(tmp_path)("export", path)
    assert answer.code == 2
    assert "is a link to a folder outside of" in answer.err
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "pumps").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArtifactError, match="is a link to a folder outside of"):
        export_policies(path, tmp_path / "out", "safetensors")
    assert not list((tmp_path / "elsewhere").iterdir())
    (done,) = export_policies(path, tmp_path / "new", "safetensors")
    assert done.path == tmp_path / "new" / "pumps" / "a.safetensors"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (tasks(index=-1), "index"), (tasks(index=10**9), "index"), (tasks(index="0x1"), "index"),
        (tasks(index=1.5), "index"),
        (tasks(params=[]), "params"), (tasks(params=None), "params"), ('[{"name": "x", "index": 0}]', "params"),
        ('[{"name": "x", "index": 0, "params": {"a": NaN}}]', "params"), (tasks(name=1), "name"), ("[]", "0 tasks"),
        (f'[{{"name": "x", "index": {"9" * 5000}, "params": {{}}}}]', "tasks"), ("[" * 5000, "tasks"), ("", "tasks"),
        (tasks(units={"action_low": [0], "action_high": [1]}), "action bounds"),
        (tasks(units={"action_low": [0, 1], "action_high": [1, 1]}), "action bounds"),
        (tasks(units={"action_low": [0, 0], "action_high": [1, 1e31]}), "action_high"),
        (tasks(units={"action_low": [float("nan"), 0], "action_high": [1, 1]}), "action_low"),
        (tasks(units={"action_low": "00", "action_high": "11"}), "action_low"), (tasks(units=[]), "units"),
    ],
)  # fmt: skip
def test_odd_tasks_are_refused(tmp_path: Path, text: str, found: str) -> None:
    with pytest.raises(ArtifactError, match=f"x\\.safetensors.*{found}"):
        load_policy(saved(tmp_path / "x.safetensors", tasks=text))


def test_two_tasks_of_one_index_are_refused(tmp_path: Path) -> None:
    two = {key: torch.cat([value, value]) for key, value in POLICY.items()}
    text = json.dumps([{"name": name, "index": 0, "params": {}} for name in "xy"])
    with pytest.raises(ArtifactError, match="two have the same index"):
        load_policy(saved(tmp_path / "x.safetensors", two, tasks=text))


def without(*names: str) -> dict[str, torch.Tensor]:
    return {key: value for key, value in POLICY.items() if key not in names}


@pytest.mark.parametrize(
    ("policy", "found"),
    [
        (without("b1"), "KeyError"), (without("w0", "b0"), "KeyError"), (without("w1", "b1"), "its actions are"),
        ({**without("w1"), "w²": POLICY["w1"]}, "its weights are no policy"),
        (layers(3, 8, 4), "its weights are no policy"),
        (layers(2, 8, 6), "its actions are"), (layers(2, 8, 8), "its actions are"),
        ({"w0": torch.zeros(1)}, "no policy"),
        ({**POLICY, "w1": POLICY["w1"].double()}, "are torch.float64, expected torch.float32"),
        ({**POLICY, "w1": POLICY["w1"].half()}, "are torch.float16"),
        ({**POLICY, "w1": POLICY["w1"].bfloat16()}, "are torch.bfloat16"),
        ({**POLICY, "w1": POLICY["w1"].long()}, "no policy"), ({**POLICY, "w1": POLICY["w1"].bool()}, "no policy"),
        ({**POLICY, "w1": POLICY["w1"].to(torch.complex64)}, "no policy|its actions"),
        ({**POLICY, "w0": torch.full((1, 2, 8), torch.nan)}, "16 of 16 numbers of the weights 'w0' are not finite"),
        ({**POLICY, "b1": torch.tensor([[0, 0, 0, torch.inf]])}, "1 of 4 numbers of the weights 'b1' are not finite"),
        ({**POLICY, "w0": torch.zeros(1, 0, 8)}, "no policy"),
        ({**POLICY, "w0": torch.zeros(0, 2, 8)}, "1 tasks expected"),
        ({**POLICY, "w0": torch.tensor(1.0)}, "1 tasks expected"), (layers(2, 8, 8, 0), "its actions are"),
    ],
)  # fmt: skip
def test_weights_that_are_no_policy_are_refused(tmp_path: Path, policy: dict[str, torch.Tensor], found: str) -> None:
    with pytest.raises(ArtifactError, match=rf"x\.safetensors.*({found})"):
        load_policy(saved(tmp_path / "x.safetensors", policy))


@pytest.mark.parametrize("dims", [("1000000", "2"), ("2", "1000000")])
def test_dims_of_another_size_take_no_memory(tmp_path: Path, dims: tuple[str, str]) -> None:
    with pytest.raises(ArtifactError, match=r"no policy|its actions are"):
        load_policy(saved(tmp_path / "x.safetensors", observation_dim=dims[0], action_dim=dims[1]))


HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "method": st.one_of(st.text(), st.sampled_from(["{}", "[]", '{"component": []}', '{"component": "single"}'])),
        "observation_dim": st.text(st.characters(categories=["Nd", "No", "Nl"]), max_size=4),
        "action_dim": st.text("0123456789", max_size=8),
        "seed": st.one_of(st.text(max_size=5), st.text("0123456789", max_size=30)),
        "tasks": st.one_of(st.text(), st.builds(lambda name: tasks(name=name), st.text(max_size=5))),
        "stage": st.text(),
        "recipe": st.one_of(st.text(), st.sampled_from(["{}", "[]", "null", '{"title": 1}'])),
    },
)
TENSORS = st.builds(
    lambda shape, value, kind: torch.full(shape, value).to(kind),
    st.lists(st.integers(0, 9), max_size=4),
    st.floats(width=32, allow_nan=True, allow_infinity=True),
    st.sampled_from([torch.float32, torch.float64, torch.int64, torch.bool, torch.float16]),
)
WEIGHTS = st.one_of(
    st.just(POLICY),
    st.builds(
        lambda name, value: {**POLICY, name: value}, st.sampled_from(["w0", "b0", "w1", "b1", "w2", "x"]), TENSORS
    ),
    st.dictionaries(st.text("wb012x", min_size=1, max_size=2), TENSORS, min_size=1, max_size=4),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(header=HEADERS, policy=WEIGHTS)
def test_a_file_gives_finite_actions_or_is_refused(
    tmp_path: Path, header: dict[str, str], policy: dict[str, torch.Tensor]
) -> None:
    path = tmp_path / "x.safetensors"
    save_artifact(path, {"policy": policy}, {**GOOD, **header})
    try:
        found = load_policy(path)
    except MerpoError as error:
        assert "x.safetensors" in str(error)
        return
    assert np.isfinite(found(np.zeros(found.observation_dim))).all()
