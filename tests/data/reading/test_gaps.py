"""Missing values, whatever stands for them: refused by name, their episode left out, or the last value held."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from conventions import Log, logs
from hypothesis import given
from hypothesis import strategies as st

from merpo.data.columns import Columns, changed
from merpo.data.csv_table import CsvTable
from merpo.data.from_arrays import from_arrays
from merpo.errors import DatasetError

ROWS: dict[str, Any] = {
    "observations": np.arange(12.0).reshape(6, 2), "actions": np.zeros((6, 1)), "rewards": np.arange(6.0),
}  # fmt: skip
EPISODES = [1, 1, 1, 2, 2, 2]


class NAType:
    """What pandas has for a missing value: it equals nothing, and has no truth value."""

    def __eq__(self, other: object) -> Any:
        return self

    def __bool__(self) -> bool:
        raise TypeError("boolean value of NA is ambiguous")

    def __hash__(self) -> int:
        return 0


def masked(array: np.ndarray) -> Any:
    """The array with -9999 under a mask for NaN."""
    return np.ma.masked_array(np.nan_to_num(array, nan=-9999.0), np.isnan(array))


def as_objects(missing: object) -> Callable[[np.ndarray], Any]:
    return lambda array: np.where(np.isnan(array), np.array(missing, dtype=object), array.astype(object))


def as_table(array: np.ndarray) -> Any:
    return pa.table({str(i): pa.array(column, from_pandas=True) for i, column in enumerate(array.T)})


FORMS: dict[str, Callable[[np.ndarray], Any]] = {
    "nan": lambda array: array, "torch": torch.as_tensor, "masked": masked, "rows": lambda array: list(masked(array)),
    "None": as_objects(None), "NA": as_objects(NAType()), "lists": lambda array: as_objects(None)(array).tolist(),
    "arrow": as_table, "float32": lambda array: array.astype(np.float32),
}  # fmt: skip


def observations(row: int, column: int) -> np.ndarray:
    array = ROWS["observations"].copy()
    array[row, column] = np.nan
    return array


@pytest.mark.parametrize("form", FORMS)
def test_a_missing_value_is_refused_with_its_place_in_whatever_form(form: str) -> None:
    with pytest.raises(
        DatasetError, match=r"is nan at row 3, column 1, .* a missing value; gaps = .*row 4 of the arrays"
    ):
        from_arrays(**{**ROWS, "observations": FORMS[form](observations(4, 1))}, episodes=EPISODES, gaps="refuse")
    with pytest.raises(DatasetError, match="observations is nan at row 0, column 0"):
        from_arrays(**{**ROWS, "observations": FORMS[form](observations(0, 0))}, episodes=EPISODES)


@pytest.mark.parametrize("form", FORMS)
def test_a_missing_value_is_held_in_whatever_form(form: str) -> None:
    said: list[str] = []
    held = {**ROWS, "observations": FORMS[form](observations(4, 1))}
    data = from_arrays(**held, episodes=EPISODES, gaps="hold", note=said.append)
    assert data.observations.tolist() == [[0, 1], [2, 3], [6, 7], [8, 7]]
    assert data.next_observations[2:].tolist() == [[8, 7], [10, 11]]
    assert any("gaps: the value before was held 1 of " in line for line in said)


@pytest.mark.parametrize("form", FORMS)
def test_the_episode_of_a_missing_value_is_left_out_in_whatever_form(form: str) -> None:
    said: list[str] = []
    dropped = {**ROWS, "observations": FORMS[form](observations(4, 1))}
    data = from_arrays(**dropped, episodes=EPISODES, gaps="drop", note=said.append)
    assert data.observations.tolist() == [[0, 1], [2, 3]]
    assert any("1 of 2 episodes have missing values and are left out, 3 rows with a reward of 12" in s for s in said)


@given(log=logs(least=3), data=st.data())
def test_held_values_are_those_before_in_the_episode(log: Log, data: st.DataObject) -> None:
    """An oracle in loops; with next observations as well as without."""
    labels = np.repeat(np.arange(len(log.lengths)), log.lengths)
    seen, after = log.before().astype(float), log.after().astype(float)
    rows = [row for row in range(len(labels)) if row > 0 and labels[row] == labels[row - 1]]
    gaps = data.draw(st.sets(st.tuples(st.sampled_from(rows), st.integers(0, 1)), max_size=6))
    holes, expected = seen.copy(), seen.copy()
    for row, column in sorted(gaps):
        holes[row, column] = np.nan
        expected[row, column] = expected[row - 1, column]
    arrays = {"actions": log.joined("actions"), "rewards": log.joined("rewards"), "episodes": labels, "gaps": "hold"}
    found = from_arrays(holes, **arrays, note=lambda _: None)
    kept = ~log.last()
    np.testing.assert_allclose(found.observations, expected[kept], rtol=1e-6)
    following = after.copy()
    following[data.draw(st.integers(0, len(after) - 1)), 0] = np.nan
    filled = np.where(np.isnan(following), expected, following)
    found = from_arrays(holes, **{**arrays, "next_observations": following}, note=lambda _: None)
    np.testing.assert_allclose(found.next_observations, filled, rtol=1e-6)


@given(log=logs(), data=st.data())
def test_dropping_leaves_the_other_episodes_as_they_are(log: Log, data: st.DataObject) -> None:
    labels = np.repeat(np.arange(len(log.lengths)), log.lengths)
    row = data.draw(st.integers(0, len(labels) - 1))
    key = data.draw(st.sampled_from(["observations", "actions", "rewards", "next_observations"]))
    arrays = {
        "observations": log.before(), "actions": log.joined("actions"), "rewards": log.joined("rewards"),
        "next_observations": log.after(),
    }  # fmt: skip
    holes = {**arrays, key: arrays[key].copy()}
    holes[key].reshape(len(labels), -1)[row, -1] = np.nan
    others = labels != labels[row]
    if not others.any():
        with pytest.raises(DatasetError, match="each of the 1 episodes has a missing value"):
            from_arrays(**holes, episodes=labels, gaps="drop", note=lambda _: None)
        return
    found = from_arrays(**holes, episodes=labels, gaps="drop", note=lambda _: None)
    for name, array in arrays.items():
        np.testing.assert_array_equal(getattr(found, name), array[others])


def test_a_row_that_is_left_out_may_have_gaps() -> None:
    rewards = np.array([0, 1, np.nan, 3, 4, np.nan])
    for gaps in ("refuse", "drop", "hold"):
        data = from_arrays(**{**ROWS, "rewards": rewards}, episodes=EPISODES, gaps=gaps, note=lambda _: None)
        assert data.rewards.tolist() == [0, 1, 3, 4]


def test_nothing_is_held_from_another_episode() -> None:
    with pytest.raises(DatasetError, match="missing at row 3, column 0, the beginning of an episode"):
        from_arrays(**{**ROWS, "observations": observations(3, 0)}, episodes=EPISODES, gaps="hold")


@pytest.mark.parametrize("missing", [None, NAType(), float("nan"), np.ma.masked])
def test_flags_and_labels_have_no_gaps(missing: object) -> None:
    flags = np.array([0, 0, 1, 0, missing, 1], dtype=object)
    for gaps in ("refuse", "drop", "hold"):
        with pytest.raises(DatasetError, match=r"terminations is nan at row 4, expected 0.0 or 1.0"):
            from_arrays(**ROWS, terminations=flags, gaps=gaps)
        with pytest.raises(DatasetError, match="episodes has no label in row 4"):
            from_arrays(**ROWS, episodes=flags, gaps=gaps)


def test_masked_labels_are_missing_ones() -> None:
    with pytest.raises(DatasetError, match="episodes has no label in row 2"):
        from_arrays(**ROWS, episodes=np.ma.masked_array([1, 1, 1, 2, 2, 2], [0, 0, 1, 0, 0, 0]))


def test_infinity_is_no_gap() -> None:
    rewards = np.array([0, np.inf, 2, 3, 4, 5])
    with pytest.raises(DatasetError, match=r"rewards is inf at row 1, expected a finite number; 1 of 5 rows affected$"):
        from_arrays(**{**ROWS, "rewards": rewards}, gaps="hold")


def csv_table(tmp_path: Path, names: list[str], rows: list[list[str]]) -> CsvTable:
    (tmp_path / "log.csv").write_text("\n".join(",".join(row) for row in [names, *rows]) + "\n")
    return CsvTable(tmp_path / "log.csv")


@pytest.mark.parametrize("blank", ["", " ", "NA", "n/a", "NaN", "null", "None", "-"])
def test_blank_cells_of_a_csv_file_are_gaps(blank: str, tmp_path: Path) -> None:
    names = ["s", "a", "r", "day"]
    rows = [[str(i), "0", "1", str(i // 3)] for i in range(6)]
    rows[4][0] = blank
    table = csv_table(tmp_path, names, rows)
    mapping = {"observations": ("s",), "actions": ("a",), "rewards": "r", "episodes": "day"}
    with pytest.raises(DatasetError, match=r"line 6") as caught:
        changed(Columns(), "c", mapping).dataset(table, "log.csv", {}, "log")
    assert 'gaps = "hold"' in str(caught.value)
    data = changed(Columns(), "c", {**mapping, "gaps": "hold"}).dataset(table, "log.csv", {}, "log")
    assert data.observations[:, 0].tolist() == [0, 1, 3, 3]
    rows[4][0] = "x"
    table = csv_table(tmp_path, names, rows)
    with pytest.raises(DatasetError, match=r"s is 'x' in line 6, expected a number$"):
        changed(Columns(), "c", {**mapping, "gaps": "hold"}).dataset(table, "log.csv", {}, "log")


def test_frames_of_pandas_are_read_or_refused_by_the_names_of_their_columns() -> None:
    pandas = pytest.importorskip("pandas")
    numbers = pandas.array([0, 1, 2, 3, None, 5], dtype="Int64")
    frame = pandas.DataFrame({"level": numbers, "on": [True, False] * 3, "day": pandas.array(list("xxxyyy"))})
    arrays = {"actions": np.zeros(6), "rewards": frame["on"], "episodes": frame["day"], "note": lambda _: None}
    with pytest.raises(
        DatasetError, match=r"is nan at row 3, column 0, .*; that is the column level; .*row 4 of the arr"
    ):
        from_arrays(frame[["level", "on"]], **arrays)
    data = from_arrays(frame[["level", "on"]], **arrays, gaps="hold")
    assert data.observations.tolist() == [[0, 1], [1, 0], [3, 0], [3, 1]]
    with pytest.raises(DatasetError, match=r"observations, column 1 \(day\) is 'x' at row 0"):
        from_arrays(frame[["level", "day"]], **arrays)
    with pytest.raises(DatasetError, match="episodes has no label in row 4"):
        from_arrays(frame[["on"]], **{**arrays, "episodes": frame["level"]})


class Frame:
    """A frame as pandas has it, for where pandas is not installed."""

    class Columns:
        def __init__(self, columns: list[Any]) -> None:
            self.columns = columns

        def __getitem__(self, place: tuple[slice, int]) -> Any:
            return self.columns[place[1]]

    def __init__(self, **columns: Any) -> None:
        self.columns, self.iloc, self.ndim = list(columns), Frame.Columns(list(columns.values())), 2


def test_each_column_of_a_frame_has_a_type_of_its_own() -> None:
    frame = Frame(level=np.array([0, 1, NAType(), 3], dtype=object), on=np.array([True, False, True, True]))
    arrays = {"actions": np.zeros(4), "rewards": np.zeros(4), "note": lambda _: None}
    with pytest.raises(DatasetError, match=r"is nan at row 2, column 0, .*; that is the column level"):
        from_arrays(frame, **arrays)
    assert from_arrays(frame, **arrays, gaps="hold").observations.tolist() == [[0, 1], [1, 0], [1, 1]]
    with pytest.raises(DatasetError, match=r"observations, column 0 \(when\) is an array of datetime64\[s\], expected"):
        from_arrays(Frame(when=np.array(["2024-01-01T00:00:00"] * 4, dtype="datetime64[s]")), **arrays)


def test_another_word_for_gaps_is_refused() -> None:
    with pytest.raises(DatasetError, match="gaps is 'fill', expected one of refuse, drop, hold"):
        from_arrays(**ROWS, gaps="fill")  # type: ignore[arg-type]


@given(log=logs(), data=st.data())
def test_numbers_that_stand_for_missing_values_are_missing(log: Log, data: st.DataObject) -> None:
    """As NaN, whichever of the choices is made; as in files whose masks were lost."""
    labels = np.repeat(np.arange(len(log.lengths)), log.lengths)
    arrays = {
        "observations": log.before().astype(float), "actions": log.joined("actions").astype(float),
        "rewards": log.joined("rewards").astype(float), "next_observations": log.after().astype(float),
    }  # fmt: skip
    key, row = data.draw(st.sampled_from(list(arrays))), data.draw(st.integers(0, len(labels) - 1))
    gaps = data.draw(st.sampled_from(["refuse", "drop", "hold"]))
    outcomes = []
    for value, missing in ((np.nan, ()), (-9999.0, (-9999.0, 1e5)), (-9999, (-9999,))):
        changed_arrays = {**arrays, key: arrays[key].copy()}
        changed_arrays[key].reshape(len(labels), -1)[row, 0] = value
        try:
            found = from_arrays(**changed_arrays, episodes=labels, gaps=gaps, missing=missing, note=lambda _: None)
            outcomes.append(found.observations.tolist() + found.rewards.tolist() + found.next_observations.tolist())
        except DatasetError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_the_extreme_value_of_a_lost_mask_says_how_to_name_it() -> None:
    said: list[str] = []
    seen = np.random.default_rng(0).normal(size=50)
    seen[7] = -9999
    from_arrays(seen, np.zeros(50), np.zeros(50), seen, note=said.append)
    assert any("is -9999 at row 7" in line and "missing = [-9999]" in line for line in said)
    from_arrays(seen, np.zeros(50), np.zeros(50), missing=[-9999], gaps="hold", note=said.append)
    assert sum("extreme" in line for line in said) == 1


@given(st.floats(1e5, 1e17), st.booleans())
def test_the_number_that_is_named_is_the_one_that_was_meant(value: float, negative: bool) -> None:
    said: list[str] = []
    seen = np.random.default_rng(0).normal(size=50)
    seen[7] = -value if negative else value
    from_arrays(seen, np.zeros(50), np.zeros(50), seen, note=said.append)
    named = float(next(line for line in said if "missing = [" in line).split("missing = [")[1].split("]")[0])
    from_arrays(seen, np.zeros(50), np.zeros(50), seen, missing=[named], gaps="hold", note=said.append)
    assert sum("extreme" in line for line in said) == 1


def test_a_number_for_gaps_is_found_in_single_precision() -> None:
    """As it would be stored, also where a file has it so."""
    observations = np.array([[1.0], [-9999.1], [2.0], [3.0]], np.float32)
    data = from_arrays(
        observations, np.zeros((4, 1)), np.zeros(4), missing=(-9999.1,), gaps="hold", note=lambda _: None
    )
    assert data.observations.tolist() == [[1], [1], [2]]
