"""What is left out of a log, and what is kept: rows, rewards, returns, and what is said of them."""

from __future__ import annotations

import numpy as np
import pytest
from conventions import Log, logs, make_log
from hypothesis import given
from hypothesis import strategies as st

from merpo.data.from_arrays import from_arrays
from merpo.data.reading.choices import Choices
from merpo.data.reading.transitions import read_arrays


@given(log=logs(), flags=st.booleans())
def test_every_row_and_reward_is_stored_or_accounted_for(log: Log, flags: bool) -> None:
    arrays = {"observations": log.before(), "actions": log.joined("actions"), "rewards": log.joined("rewards")}
    labels = np.repeat(np.arange(len(log.lengths)), log.lengths)
    given_ = {**arrays, "terminations": log.terminal()} if flags else arrays
    data, account = read_arrays(given_, Choices(), episodes=labels)
    assert len(data) + account.left_out_rows == account.logged_rows == len(labels)
    total = float(data.rewards.double().sum()) + account.left_out_reward
    assert total == pytest.approx(float(arrays["rewards"].astype(float).sum()), abs=1e-4)
    kept = [n - (not (flags and ended)) for n, ended in zip(log.lengths, log.ended, strict=True)]
    assert data.episode_offsets.diff().tolist() == kept
    assert data.truncations[data.episode_offsets[1:] - 1].tolist() == [float(not (flags and e)) for e in log.ended]


def test_a_log_that_pays_on_success_keeps_its_reward_where_the_task_ended() -> None:
    rows = {"observations": np.arange(6.0), "actions": np.zeros(6), "rewards": np.array([0, 0, 1, 0, 0, 1.0])}
    said: list[str] = []
    data = from_arrays(**rows, terminations=[0, 0, 1, 0, 0, 1], note=said.append)
    assert data.episode_returns().tolist() == [1.0, 1.0]
    assert "2 of 2 episodes terminate; their last observation stands in the place" in said[0]
    data = from_arrays(**rows, episodes=[1, 1, 1, 2, 2, 2], name="pump", note=said.append)
    assert data.episode_returns().tolist() == [0.0, 0.0]
    assert said[1].startswith(
        "pump: left out: 2 of 6 rows, after which the log has no observation, with a reward of 2.00"
    )
    assert "rows at which the task ended are kept if terminations are given" in said[1]


def test_an_episode_of_one_row_is_kept_if_the_task_ended_there() -> None:
    data = from_arrays(np.arange(3.0), np.zeros(3), np.ones(3), terminations=[1, 0, 1], note=lambda _: None)
    assert data.episode_offsets.tolist() == [0, 1, 3]


def test_nothing_is_said_of_a_log_that_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    log = make_log([4, 3], [True, False])
    from_arrays(log.before(), log.joined("actions"), log.joined("rewards"), log.after(), log.terminal(), log.timeout())
    from_arrays(log.observations, log.actions, log.rewards)
    assert capsys.readouterr().out == ""
    from_arrays(log.before(), log.joined("actions"), log.joined("rewards"))
    assert capsys.readouterr().out.startswith("dataset: left out: 1 of 7 rows")


@given(log=logs(), data=st.data())
def test_breaks_between_rows_are_counted(log: Log, data: st.DataObject) -> None:
    inside = np.flatnonzero(~log.last()).tolist()
    broken = sorted(data.draw(st.sets(st.sampled_from(inside), max_size=4))) if inside else []
    after = log.after()
    after[broken] += 0.5
    said: list[str] = []
    arrays = (log.before(), log.joined("actions"), log.joined("rewards"), after, log.terminal(), log.timeout())
    from_arrays(*arrays, note=said.append)
    told = [line for line in said if "do not continue in the next row" in line]
    assert len(told) == bool(broken)
    if broken:
        assert f"at {len(broken)} of {len(inside)} rows within episodes, the first is row {broken[0]}:" in told[0]


def test_rounding_is_no_break() -> None:
    log = make_log([30], [False])
    said: list[str] = []
    from_arrays(log.before(), log.joined("actions"), log.joined("rewards"), log.after() * (1 + 1e-6), note=said.append)
    assert said == []


def test_the_row_of_the_given_arrays_is_told() -> None:
    rewards = np.array([0, 0, 0, 0, np.inf, 0])
    with pytest.raises(Exception, match=r"rewards is inf at row 3, .*; that is row 4 of the arrays") as caught:
        from_arrays(np.arange(6.0), np.zeros(6), rewards, episodes=[1, 1, 1, 2, 2, 2])
    assert caught.value.at == ("rewards", 4)  # type: ignore[attr-defined]
