"""merpo.algorithm.choice: the candidate with the highest return in each task's model."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import SPEC, streams, task_data
from strategies import make_dataset
from walking import MODEL, policies

from merpo.algorithm.calibration import calibration
from merpo.algorithm.choice import CLONE, choose
from merpo.algorithm.halting import THRESHOLD
from merpo.components.task_data import TaskData
from merpo.data.dataset import stack_tasks


def test_each_task_keeps_its_own_best() -> None:
    """θ of opposite signs: what is best for one task is worst for the other."""
    data, models = task_data(2), {"theta": torch.tensor([1.0, -1.0])}
    candidates = {0: policies(-0.1, -0.1), 10: policies(0.3, 0.3), 20: policies(0.1, 0.1)}
    found = choose(MODEL, models, candidates, data, streams(2))
    assert found.candidates == (0, 10, 20)
    assert found.position.tolist() == [1, 0]
    for key, value in found.policy.items():
        assert torch.equal(value[0], candidates[10][key][0])
        assert torch.equal(value[1], candidates[0][key][1])
    assert torch.equal(found.returns.plain.argmax(0), found.position)


def test_the_first_stays_unless_both_returns_are_higher() -> None:
    """Large actions pay more where the model is trusted everywhere, and lead to where it is not to be trusted."""
    data = task_data(1)
    candidates = {0: policies(0.05), 10: policies(2.0)}
    far = {"theta": torch.tensor([1.0]), THRESHOLD: torch.tensor([[1e9]])}
    assert choose(MODEL, far, candidates, data, streams(1)).position.tolist() == [1]
    rows = data.rows.clone()
    rows[:, 1] = rows[:, 1].clamp(-0.5, 0.5)  # all starts are known
    rows[:, 5] = -10.0  # the logs earn little, and so does what is unknown
    near = {**far, THRESHOLD: torch.tensor([[0.9]])}
    found = choose(MODEL, near, candidates, data._replace(rows=rows), streams(1))
    assert bool(found.returns.plain[1] > found.returns.plain[0])
    assert bool(found.returns.cautious[1] < found.returns.cautious[0])
    assert found.position.tolist() == [0]


def test_a_policy_that_leaves_what_the_model_knows_is_no_candidate() -> None:
    """Both returns are higher, as the logs' worst is near 0; but a fifth of the steps or more are not known."""
    data = task_data(1)
    rows = data.rows.clone()
    rows[:, :2] = rows[:, :2].clamp(-0.1, 0.1)
    rows[:, 5] = -1e-3
    data, models = data._replace(rows=rows), {"theta": torch.tensor([1.0]), THRESHOLD: torch.tensor([[0.9]])}
    for first, position in ((0.05, 0), (0.277, 1)):  # the second first policy leaves it as often
        found = choose(MODEL, models, {0: policies(first), 10: policies(0.28)}, data, streams(1))
        assert bool(found.returns.plain[1] > found.returns.plain[0])
        assert bool(found.returns.cautious[1] > found.returns.cautious[0])
        assert 0.2 <= float(found.returns.unknown[1]) <= 0.4
        assert found.position.tolist() == [position]


def earning(returns: float, spread: float) -> TaskData:
    """Nine episodes of five steps whose returns have this mean and about this standard deviation."""
    rewards = [(returns + spread * x) / 5.0 for x in (-1.22, 0.0, 1.22) * 3]
    made = make_dataset([5] * 9, [False] * 9, 3, 2, seed=1)
    rows = [made.rewards.new_full((5,), reward) for reward in rewards]
    return stack_tasks([replace(made, rewards=torch.cat(rows))], SPEC)


@settings(max_examples=40)
@given(
    actions=st.lists(st.floats(-1.0, 1.0), min_size=4, max_size=4),
    returns=st.floats(-5.0, 5.0),
    spread=st.floats(0.1, 3.0),
)
def test_the_choice_is_that_of_the_rule_in_words(actions: list[float], returns: float, spread: float) -> None:
    """Without a threshold both returns are five times the action, and nothing is unknown."""
    data, models = earning(returns, spread), {"theta": torch.tensor([1.0])}
    candidates = {name: policies(action) for name, action in zip((0, CLONE, 10, 20), actions, strict=True)}
    found = choose(MODEL, models, candidates, data, streams(1))
    first, clone, *others = found.returns.plain[:, 0].tolist()
    error = float(calibration(MODEL, models, candidates[CLONE], data, streams(1)).error)
    if first > clone + 0.5 * error:
        kept = [first, clone, *others]
        expected = max(range(4), key=kept.__getitem__)
    else:
        expected = 1
        for i, value in ((2, others[0]), (3, others[1])):
            best = clone + 0.5 * error if expected == 1 else others[expected - 2]
            expected = i if value > best else expected
    assert found.position.tolist() == [expected]


def test_a_model_that_errs_about_the_data_leaves_the_clone() -> None:
    """The same policies and model: the data earned what the clone is promised, or much less."""
    models = {"theta": torch.tensor([1.0])}
    candidates = {0: policies(0.3), CLONE: policies(0.2), 10: policies(0.4)}
    promised = float(calibration(MODEL, models, candidates[CLONE], earning(0.0, 1.0), streams(1)).model)
    for returns, chosen in ((promised, 10), (promised - 5.0, CLONE)):
        found = choose(MODEL, models, candidates, earning(returns, 0.1), streams(1))
        assert found.candidates[int(found.position)] == chosen
