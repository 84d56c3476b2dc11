"""merpo.algorithm.calibration: the model's error about returns against plain numbers."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import mean, stdev

import pytest
import torch
from small import SPEC, streams
from strategies import make_dataset
from walking import MODEL, policies

from merpo.algorithm.calibration import calibration
from merpo.algorithm.model_returns import model_returns
from merpo.data.dataset import stack_tasks


def test_it_compares_the_drawn_clone_with_the_returns_of_the_data() -> None:
    made = [make_dataset([n] * k, [False] * k, 3, 2, seed=n) for n, k in ((4, 3), (6, 1))]
    data, models, clones = stack_tasks(made, SPEC), {"theta": torch.tensor([0.1, 0.2])}, policies(0.3, 0.1)
    found = calibration(MODEL, models, clones, data, streams(2))
    drawn = model_returns(MODEL, models, clones, data, streams(2), drawn=True).plain.mean(1).tolist()
    returns = [made[0].rewards[4 * i : 4 * i + 4].sum().item() for i in range(3)]
    assert found.model.tolist() == pytest.approx(drawn)
    assert found.data.tolist() == pytest.approx([mean(returns), made[1].rewards.sum().item()], rel=1e-5)
    assert found.spread.tolist() == pytest.approx([stdev(returns), 0.0], rel=1e-5)
    difference = [drawn[0] - mean(returns), drawn[1] - made[1].rewards.sum().item()]
    error = [math.hypot(difference[0], stdev(returns) / math.sqrt(3)), abs(difference[1])]
    assert found.error.tolist() == pytest.approx(error, rel=1e-4)
    assert found.gap.tolist() == pytest.approx([difference[0] / stdev(returns), 0.0], rel=1e-4)


def test_a_gap_over_returns_that_never_vary_is_cut() -> None:
    made = make_dataset([4] * 3, [False] * 3, 3, 2, seed=1)
    data = stack_tasks([replace(made, rewards=torch.full_like(made.rewards, -1.0))], SPEC)
    found = calibration(MODEL, {"theta": torch.tensor([1.0])}, policies(0.3), data, streams(1))
    assert found.gap.tolist() == [100.0]
