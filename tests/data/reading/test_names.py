"""Logs of other libraries: whatever names and layout they have, the episodes are those of the log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conventions import FOLLOWED, UNFOLLOWED, Log, logs, make_log, stable_baselines_2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from merpo.data.columns import Columns, changed
from merpo.data.file_formats import read_file
from merpo.data.reading.names import NAMES, with_whole_arrays
from merpo.data.reading.transitions import Read
from merpo.errors import DatasetError, MerpoError


def read(arrays: dict[str, Any], **changes: Any) -> Read:
    return changed(Columns(), "here", changes).read(with_whole_arrays(arrays), "log", {}, "log")


@pytest.mark.parametrize("convention", FOLLOWED)
@given(log=logs(least=1))
def test_with_next_observations_the_rows_are_those_of_the_log(convention: str, log: Log) -> None:
    data, account = read(FOLLOWED[convention](log))
    np.testing.assert_array_equal(data.observations, log.before())
    np.testing.assert_array_equal(data.next_observations, log.after())
    np.testing.assert_array_equal(data.actions, log.joined("actions"))
    np.testing.assert_array_equal(data.rewards, log.joined("rewards"))
    np.testing.assert_array_equal(data.terminations, log.terminal())
    np.testing.assert_array_equal(data.truncations, log.timeout())
    assert data.episode_offsets.diff().tolist() == log.lengths
    assert account.left_out_rows == 0


@pytest.mark.parametrize("convention", UNFOLLOWED)
@given(log=logs())
def test_without_them_only_the_ends_by_a_time_limit_are_left_out(convention: str, log: Log) -> None:
    data, account = read(UNFOLLOWED[convention](log))
    kept = ~log.timeout()
    np.testing.assert_array_equal(data.observations, log.before()[kept])
    np.testing.assert_array_equal(data.rewards, log.joined("rewards")[kept])
    np.testing.assert_array_equal(data.terminations, log.terminal()[kept])
    inside = ~data.terminations.bool().numpy()
    np.testing.assert_array_equal(data.next_observations[inside], log.after()[kept][inside])
    np.testing.assert_array_equal(data.next_observations[~inside], data.observations[~inside])
    left = ~kept
    assert account.left_out_rows == left.sum()
    assert account.left_out_reward == pytest.approx(float(log.joined("rewards")[left].sum()), abs=1e-5)
    assert account.logged_return_mean == pytest.approx(float(np.mean([r.sum() for r in log.rewards])), abs=1e-5)


@given(log=logs())
def test_starts_of_episodes_do_not_tell_how_they_ended(log: Log) -> None:
    data, account = read(stable_baselines_2(log))
    assert data.episode_offsets.diff().tolist() == [n - 1 for n in log.lengths]
    assert not data.terminations.any()
    assert account.unused == ("episode_returns",)


@given(log=logs())
def test_dones_alone_are_terminations_and_that_is_told(log: Log) -> None:
    arrays = {"obs": log.before(), "acts": log.joined("actions"), "rews": log.joined("rewards"), "done": log.last()}
    data, account = read(arrays)
    assert data.episode_offsets.diff().tolist() == log.lengths
    np.testing.assert_array_equal(data.terminations, log.last())
    (told,) = [note for note in account.notes if "done alone does not tell a time limit" in note]
    equal = len(log.lengths) > 2 and len(set(log.lengths)) == 1
    assert ("although every episode has" in told) is equal
    assert read(arrays, truncations="done").data.terminations.any() == np.False_


def test_several_environments_of_a_replay_buffer_are_taken_apart() -> None:
    first, second = make_log([3, 4], [True, False], 1), make_log([5, 2], [False, True], 2)
    buffers = [FOLLOWED["stable_baselines"](log) for log in (first, second)]
    data = read({key: np.concatenate([buffer[key] for buffer in buffers], axis=1) for key in buffers[0]}).data
    assert data.episode_offsets.diff().tolist() == [3, 4, 5, 2]
    np.testing.assert_array_equal(data.observations, np.concatenate([first.before(), second.before()]))
    np.testing.assert_array_equal(data.terminations, np.concatenate([first.terminal(), second.terminal()]))


def test_blocks_by_episode_stay_blocks_by_episode() -> None:
    log = make_log([4, 4, 4], [True, False, True])
    arrays = {key: np.stack(getattr(log, key)) for key in ("observations", "actions", "rewards")}
    flags = {"terminations": log.terminal().reshape(3, 4), "truncations": log.timeout().reshape(3, 4)}
    data = read({**arrays, **flags}).data
    np.testing.assert_array_equal(data.next_observations, log.after())
    np.testing.assert_array_equal(data.terminations, log.terminal())
    block = read({**flags, "actions": arrays["actions"], "rewards": arrays["rewards"],
                  "observations": arrays["observations"][:, :-1],
                  "next_observations": arrays["observations"][:, 1:]}).data  # fmt: skip
    np.testing.assert_array_equal(block.observations, log.before())


def test_one_observation_more_is_the_one_after_the_last_row() -> None:
    log = make_log([5], [True])
    arrays = {"observations": log.observations[0], "actions": log.actions[0], "rewards": log.rewards[0]}
    data, account = read({**arrays, "terminated": log.terminal()})
    np.testing.assert_array_equal(data.next_observations, log.after())
    assert data.terminations.tolist() == [0, 0, 0, 0, 1]
    assert "read as the observation after the last row" in account.notes[0]


def test_names_that_were_recognised_are_told() -> None:
    account = read(FOLLOWED["gymnasium"](make_log([3], [True]))).account
    assert account.used == {
        "observations": "obs", "actions": "action", "rewards": "reward", "next_observations": "next_obs",
        "terminations": "terminated", "truncations": "truncated",
    }  # fmt: skip
    assert "read as observations: obs, actions: action" in account.lines()[0]


def test_what_the_mapping_assigns_is_not_recognised_as_something_else() -> None:
    log = make_log([3, 3], [True, False])
    arrays = {**FOLLOWED["gymnasium"](log), "state": np.ones(6)}
    named = {"observations": ("state",), "next_observations": ("state",), "truncations": "terminated"}
    data = read(arrays, **named, ignore=("truncated",)).data
    assert data.observations.shape == (6, 1)
    assert not data.terminations.any()
    assert data.truncations.tolist() == [0, 0, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["obs_0", "obs_1", "action", "reward"], ("obs_0", "obs_1")),
        (["observation.1", "observation.2", "actions", "rewards"], ("observation.1", "observation.2")),
        (["obs[0]", "obs[1]", "obs[2]", "action_0", "reward"], ("obs[0]", "obs[1]", "obs[2]")),
        (["Observations", "Actions", "Rewards"], ("Observations",)),
    ],
)
def test_columns_of_one_array_are_found_by_their_numbers(names: list[str], expected: tuple[str, ...]) -> None:
    table = {name: np.linspace(-1, 1, 5) for name in names}
    assert Columns().names(table)["observations"] == expected
    assert read(table).data.observations.shape[1] == len(expected)


def test_numbers_with_a_gap_are_no_array() -> None:
    with pytest.raises(DatasetError, match="no column 'observations'"):
        read({name: np.zeros(4) for name in ("obs_0", "obs_2", "action", "reward")})


def test_labels_of_another_length_are_no_labels() -> None:
    log = make_log([3], [True])
    account = read({**FOLLOWED["gymnasium"](log), "episode": np.array(100)}).account
    assert account.unused == ("episode",)


@pytest.mark.parametrize("convention", [*FOLLOWED, *UNFOLLOWED])
@pytest.mark.parametrize("kind", ["npz", "hdf5", "h5"])
def test_files_hold_what_arrays_do(convention: str, kind: str, tmp_path: Path) -> None:
    import h5py

    made = {**FOLLOWED, **UNFOLLOWED}[convention](make_log([3, 5, 2], [True, False, True]))
    path = tmp_path / f"log.{kind}"
    if kind == "npz":
        np.savez(path, **made)
    else:
        with h5py.File(path, "w") as file:
            for key, value in made.items():
                file[key] = value
            file["metadata/algorithm"] = "SAC"
    data, account = Columns().read(read_file(path), "log", {}, "log")
    direct = read(made).data
    assert data.observations.equal(direct.observations)
    assert data.episode_offsets.equal(direct.episode_offsets)
    assert ("metadata/algorithm" in account.unused) is (kind != "npz")


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(log=logs(), data=st.data(), convention=st.sampled_from(list({**FOLLOWED, **UNFOLLOWED})))
def test_flags_that_contradict_each_other_are_refused_or_repeat_what_is_known(
    log: Log, data: st.DataObject, convention: str
) -> None:
    """One bit of one flag changes: the episodes differ from the log's, or the file is refused; never a traceback."""
    arrays = {**FOLLOWED, **UNFOLLOWED}[convention](log)
    flags = [key for key, value in arrays.items() if set(np.unique(value)) <= {0, 1} and value.size == len(log.last())]
    if not flags:
        return
    flag = data.draw(st.sampled_from(flags))
    changed_flag = arrays[flag].copy().ravel()
    row = data.draw(st.integers(0, len(changed_flag) - 1))
    changed_flag[row] = 1 - changed_flag[row]
    try:
        found = read({**arrays, flag: changed_flag.reshape(arrays[flag].shape)}).data
    except DatasetError as error:
        assert str(error).startswith("log: ")
        return
    same = read(arrays).data
    differs = not found.episode_offsets.equal(same.episode_offsets) or not found.terminations.equal(same.terminations)
    same_meaning = flag in ("timeouts", "truncated", "dones")  # a time limit is an end or is none, by the library
    first_or_last = row in (0, len(changed_flag) - 1)  # episodes begin and end there, whatever is said
    assert differs or first_or_last or same_meaning or not found.truncations.equal(same.truncations)


ARRAYS = st.one_of(
    st.tuples(
        st.sampled_from(
            [(), (0,), (1,), (4,), (5,), (4, 1), (4, 2), (5, 2), (1, 4, 2), (4, 1, 2), (2, 3, 2), (2, 2, 2, 2)]
        ),
        st.sampled_from([bool, np.int8, np.uint8, np.int64, np.uint64, np.float16, np.float32, np.float64, "U3", "S2"]),
        st.sampled_from([0, 1, 2, 1e5, 1e19, np.nan, np.inf, -1]),
        st.booleans(),
    ),
    st.lists(st.sampled_from(["", "0", "1", "2.5", "True", "False", "x", "nan", "NA", "ä"]), min_size=4, max_size=4),
)


def as_array(drawn: Any) -> Any:
    """A column of a csv file, or an array of one value with another one in its middle."""
    if isinstance(drawn, list):
        return drawn
    shape, dtype, value, mixed = drawn
    with np.errstate(all="ignore"):
        array = np.full(shape, value).astype(dtype)
    if mixed and array.size:
        array.ravel()[array.size // 2] = 0
    return array


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
@given(
    table=st.dictionaries(
        st.sampled_from([*(name for names in NAMES.values() for name in names[:3]), "t", "extra", "observations_0"]),
        ARRAYS,
        max_size=8,
    ),
    gaps=st.sampled_from(["refuse", "drop", "hold"]),
    flatten=st.booleans(),
    clip=st.booleans(),
)
def test_no_table_lets_another_error_escape(table: Any, gaps: str, flatten: bool, clip: bool) -> None:
    arrays = {name: as_array(drawn) for name, drawn in table.items()}
    rows: dict[str, Any] = {"observations": np.zeros((4, 2)), "actions": np.zeros((4, 1)), "rewards": np.zeros(4)}
    for whole in (arrays, {**rows, **arrays}):
        try:
            data = read(whole, gaps=gaps, flatten=flatten, clip_actions=clip, missing=(2.0,)).data
        except MerpoError:
            continue
        assert len(data) >= 1
