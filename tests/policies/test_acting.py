"""A policy acts at observations of finite numbers, and refuses others unless it is told to take them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from finished import finished_run

from merpo import load_policy
from merpo.errors import MerpoError
from merpo.policies.export import FORMATS, export_policies


@pytest.fixture(scope="module")
def run(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(store, tmp_path_factory.mktemp("runs") / "a")


ODD = (np.nan, np.inf, -np.inf, 1e39, None)  # 1e39 is infinite in float32


@pytest.mark.parametrize("form", FORMATS)
def test_observations_that_are_not_finite_are_refused_or_let_through(run: Path, tmp_path: Path, form: str) -> None:
    (done,) = export_policies(run, tmp_path, form, [2])
    policy, lenient = load_policy(done.path), load_policy(done.path, allow_non_finite=True)
    whole = [[0.0, 1.0], [2.0, 3.0]]
    for number in ODD:
        for given, place in (([number, 0.0], r"\[0, 0\]"), ([[0.0, 0.0], [0.0, number]], r"\[1, 1\]")):
            with pytest.raises(
                MerpoError, match=rf"task-002\.medium: observation {place} is .*expected a finite number"
            ):
                policy(given)
            with pytest.raises(MerpoError, match="expected a finite number"):
                policy.action_in_units(given)
            assert lenient(given).shape == (*np.shape(given)[:-1], 2)
    masked = np.ma.masked_array(whole, mask=[[False, False], [True, False]])
    with pytest.raises(MerpoError, match=r"observation \[1, 0\] is nan"):
        policy(masked)
    np.testing.assert_array_equal(policy(np.ma.masked_array(whole)), policy(whole))
    for given in ("text", [["a", "b"]], object(), [[1.0], [1.0, 2.0]]):
        with pytest.raises(MerpoError, match=r"the observation is no array|expected \["):
            policy(given)


def test_an_action_that_is_not_finite_is_no_action(run: Path) -> None:
    policy = load_policy(run, task=2)
    policy._rows = lambda rows: np.full((len(rows), 2), np.nan, np.float32)
    with pytest.raises(MerpoError, match=r"action \[0, 0\] is nan, expected a finite number"):
        policy([0.0, 0.0])


def test_nothing_was_subtracted_from_the_observations_of_an_environment(run: Path) -> None:
    assert load_policy(run, task=2).subtracted.tolist() == [0.0, 0.0]
