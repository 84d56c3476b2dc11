"""Columns of Parquet files of every type: numbers, matrices and labels, or a refusal that names column and type."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from merpo.data.columns import Columns, changed
from merpo.data.parquet_table import ParquetTable
from merpo.data.table_files import MAX_BYTES, numbers, read_table
from merpo.errors import DatasetError

NAN = float("nan")
LIST, FIXED = pa.list_(pa.float32()), pa.list_(pa.int16(), 2)
DAY = 86_400.0


def written(tmp_path: Path, columns: dict[str, Any], **options: Any) -> Path:
    path = tmp_path / "pump.parquet"
    pyarrow.parquet.write_table(pa.table(columns), path, **options)
    return path


NUMERIC: dict[str, tuple[Any, list[Any]]] = {
    "bool": (pa.array([True, False, None]), [1, 0, NAN]),
    **{f"{sign}int{bits}": (pa.array([1, None, 3], getattr(pa, f"{sign}int{bits}")()), [1, NAN, 3])
       for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "float16": (pa.array(np.float16([1.5, 2, 3])), [1.5, 2, 3]),
    "float32": (pa.array([1.5, None, 3], pa.float32()), [1.5, NAN, 3]),
    "decimal128": (pa.array([Decimal("1.50"), None, Decimal("-3.25")]), [1.5, NAN, -3.25]),
    "decimal256": (pa.array([Decimal("1.5")] * 3, pa.decimal256(50, 2)), [1.5] * 3),
    "dictionary": (pa.array([7, 9, None]).dictionary_encode(), [7, 9, NAN]),
    "text": (pa.array(["1.5", "2", "TRUE"])[:2].cast(pa.string()), [1.5, 2]),
    "large text": (pa.array(["1", "2", "3"], pa.large_string()), [1, 2, 3]),
    "texts of truths": (pa.array(["TRUE", "False", "true"]), [1, 0, 1]),
    "coded text": (pa.array(["1", "2", "1"]).dictionary_encode(), [1, 2, 1]),
    "null": (pa.nulls(3), [NAN] * 3),
    "timestamp": (pa.array([dt.datetime(1970, 1, 2, 0, 0, 1, 500_000), None]), [DAY + 1.5, NAN]),
    **{f"timestamp {unit}": (pa.array([0, 1, None], pa.timestamp(unit, tz="Europe/Berlin")), [0, scale, NAN])
       for unit, scale in {"s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}.items()},
    "date32": (pa.array([dt.date(1970, 1, 3), None, dt.date(1969, 12, 31)]), [2 * DAY, NAN, -DAY]),
    "date64": (pa.array([dt.date(1970, 1, 3)] * 3, pa.date64()), [2 * DAY] * 3),
    "time": (pa.array([dt.time(1, 0, 2), None, dt.time(0)]), [3602, NAN, 0]),
    "time32": (pa.array([dt.time(0, 1)] * 3, pa.time32("ms")), [60] * 3),
    "duration": (pa.array([dt.timedelta(seconds=2.5), None, dt.timedelta(0)]), [2.5, NAN, 0]),
    "list": (pa.array([[1, 2], [3, None], None], LIST), [[1, 2], [3, NAN], [NAN, NAN]]),
    "large list": (pa.array([[1], [2], [3]], pa.large_list(pa.int8())), [[1], [2], [3]]),
    "fixed-size list": (pa.array([[1, 2], None, [5, 6]], FIXED), [[1, 2], [NAN, NAN], [5, 6]]),
    "lists of lists": (pa.array([[[1, 2], [3, 4]]] * 3), [[[1, 2], [3, 4]]] * 3),
    "tensors": (pa.FixedShapeTensorArray.from_numpy_ndarray(np.arange(12).reshape(3, 2, 2)),
                np.arange(12).reshape(3, 2, 2).tolist()),
    "lists of decimals": (pa.array([[Decimal("0.5")]] * 3), [[0.5]] * 3),
    "lists of dates": (pa.array([[dt.date(1970, 1, 2)]] * 3), [[DAY]] * 3),
    "fixed-shape tensor": (
        pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.int16(), [2]), pa.array([[1, 2]] * 3, FIXED)),
        [[1, 2]] * 3,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NUMERIC)
@pytest.mark.parametrize("group", [1, 100])
def test_every_column_of_numbers_is_read(name: str, group: int, tmp_path: Path) -> None:
    column, values = NUMERIC[name]
    table = read_table(written(tmp_path, {name: column}, row_group_size=group))
    assert name in table
    found = numbers(table, name, "x")
    np.testing.assert_allclose(np.asarray(found, dtype=np.float64), values, rtol=1e-12, atol=1e-12)
    assert table.dims(name) == np.ndim(values)


def test_batches_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("merpo.data.parquet_table.BATCH", 3)
    path = written(tmp_path, {"a": list(range(10)), "b": [[i, i] for i in range(10)], "day": ["x", "y"] * 5})
    table = ParquetTable(path, MAX_BYTES)
    assert table["a"].tolist() == list(range(10))
    assert table["b"].shape == (10, 2)
    assert table.labels("day").texts == ["x", "y"]
    assert table.labels("day").codes.tolist() == [0, 1] * 5


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([b"x"] * 3), "obs holds binary, expected numbers or lists of numbers"),
        (pa.array([[("a", 1)]] * 3, pa.map_(pa.string(), pa.int8())), "obs holds map<string, int8"),
        (pa.array([{"at": 1.0, "speed": [2.0]}] * 3), "obs is a struct, .*: name obs.at, obs.speed"),
        (pa.array([["a"]] * 3), "obs holds string, expected numbers"),
        (pa.array(["1", "x", "2"]), "obs is 'x' in row 1, expected a number"),
        (pa.array(["1", None, "2"]), "obs is '' in row 1, expected a number"),
        (pa.array([[1.0, 2.0], [1.0, 2.0], [3.0]]), r"obs holds lists of shape \(1,\) in row 2, expected \(2,\)"),
        (pa.array([[1.0], None, [3.0, 4.0]]), "obs has no list in row 1, and lists of unequal lengths"),
        (pa.array([[[1.0], [1.0, 2.0]]] * 3), "obs has lists of unequal lengths within row 0"),
    ],
)
def test_a_column_that_is_there_is_never_said_to_be_missing(column: Any, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, {"obs": column, "actions": [0.0] * 3, "rewards": [0.0] * 3})
    with pytest.raises(DatasetError, match=message) as caught:
        Columns(observations=("obs",)).dataset(read_table(path), str(path), {}, "pump")
    assert "no column" not in str(caught.value)


def test_fields_of_structs_are_columns(tmp_path: Path) -> None:
    rows = [{"at": [1.0, 2.0], "speed": {"x": 3.0}}, {"at": [4.0, 5.0], "speed": {"x": 6.0}}, None]
    path = written(tmp_path, {"obs": pa.array(rows), "obs.z": [7.0, 8.0, 9.0]})
    table = read_table(path)
    assert list(table) == ["obs.at", "obs.speed.x", "obs.z"]
    assert table["obs.speed.x"].tolist()[:2] == [3.0, 6.0]
    assert np.isnan(table["obs.speed.x"][2])
    assert table["obs.at"].tolist()[1] == [4.0, 5.0]
    assert table["obs.z"].tolist() == [7.0, 8.0, 9.0]


def test_columns_and_matrices_are_joined(tmp_path: Path) -> None:
    seen = pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], pa.list_(pa.float64(), 2))
    path = written(tmp_path, {"obs": seen, "t": [0.5, 1.5, 2.5], "a": [[0.0]] * 3, "r": pa.array([Decimal(1)] * 3)})
    columns = Columns(observations=("obs", "t"), actions=("a",), rewards="r")
    data = columns.dataset(columns.table(path), "x", {}, "pump")
    assert data.observations.tolist() == [[1, 2, 0.5], [3, 4, 1.5]]
    assert data.next_observations.tolist() == [[3, 4, 1.5], [5, 6, 2.5]]
    assert data.rewards.tolist() == [1, 1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.integers(1, 4), min_size=1, max_size=4), vectors=st.booleans())
def test_rows_that_are_episodes_are_read_as_such(lengths: list[int], vectors: bool, tmp_path: Path) -> None:
    """As sets of trajectories have them: a row for each episode, with a list of observations."""
    random = np.random.default_rng(0)
    seen = [random.normal(size=(n + 1, 2) if vectors else n + 1) for n in lengths]
    rows = {
        "observations": pa.array([one.tolist() for one in seen]),
        "actions": pa.array([[[0.5]] * n for n in lengths]),
        "rewards": pa.array([[1.0] * n for n in lengths]),
    }
    data = Columns().dataset(ParquetTable(written(tmp_path, rows), MAX_BYTES), "x", {}, "pump")
    assert data.episode_offsets.tolist() == np.cumsum([0, *lengths]).tolist()
    expected = np.concatenate([one[:-1].reshape(len(one) - 1, -1) for one in seen])
    np.testing.assert_allclose(data.observations, expected, rtol=1e-6)


def test_episodes_without_a_last_observation_are_read_as_flat_ones_are(tmp_path: Path) -> None:
    """As sets of trajectories for decision transformers: as many observations as actions, and dones."""
    lengths, random = [4, 3], np.random.default_rng(0)
    rows = {
        "observations": pa.array([random.normal(size=(n, 2)).tolist() for n in lengths]),
        "actions": pa.array([random.uniform(-1, 1, (n, 1)).tolist() for n in lengths]),
        "rewards": pa.array([[1.0] * n for n in lengths]),
        "terminations": pa.array([[False] * 3 + [True], [False] * 3]),
    }
    table = ParquetTable(written(tmp_path, rows), MAX_BYTES)
    data, account = Columns().read(table, "x", {}, "pump")
    assert data.episode_offsets.tolist() == [0, 4, 6]
    assert data.terminations.tolist() == [0, 0, 0, 1, 0, 0]
    assert account.left_out_rows == 1
    assert Columns().dataset(table, "x", {}, "pump", ["1"]).episode_offsets.tolist() == [0, 4]
    rows["rewards"] = pa.array([[1.0] * n for n in (4, 2)])
    with pytest.raises(DatasetError, match="episode 0"):
        Columns().dataset(ParquetTable(written(tmp_path, rows), MAX_BYTES), "x", {}, "pump")


LABELLED = {
    "text": (pa.array(["a", None, "b", "a"]), ["a", "", "b", "a"]),
    "dictionary": (pa.array(["a", None, "b", "a"]).dictionary_encode(), ["a", "", "b", "a"]),
    "integers": (pa.array([3, None, 4, 3]), ["3", "", "4", "3"]),
    "floats": (pa.array([3.0, NAN, 4.5, 3.0]), ["3", "", "4.5", "3"]),
    "dates": (pa.array([dt.date(2024, 5, 1), None, dt.date(2024, 5, 2)]), ["2024-05-01", "", "2024-05-02"]),
    "decimals": (pa.array([Decimal("1.50")] * 4), ["1.50"] * 4),
    "truths": (pa.array([True, False, None, True]), ["True", "False", "", "True"]),
}  # fmt: skip


@pytest.mark.parametrize("name", LABELLED)
def test_labels_are_what_the_user_would_write(name: str, tmp_path: Path) -> None:
    column, texts = LABELLED[name]
    found = ParquetTable(written(tmp_path, {"day": column}), MAX_BYTES).labels("day")
    assert ["" if code < 0 else found.texts[code] for code in found.codes] == texts


def test_lists_are_no_labels(tmp_path: Path) -> None:
    table = ParquetTable(written(tmp_path, {"day": [[1], [2]]}), MAX_BYTES)
    with pytest.raises(DatasetError, match=r"day holds list<.*, expected a label per row"):
        table.labels("day")


def test_a_column_that_declares_more_than_the_limit_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, {"a": [1.0] * 1000, "b": [[1.0] * 10] * 1000})
    with pytest.raises(DatasetError, match="declares 1000 rows"):
        ParquetTable(path, 7_000)
    table = ParquetTable(path, 70_000)
    assert len(table["a"]) == 1000
    with pytest.raises(DatasetError, match="b declares 80000 bytes, expected at most 70000"):
        table["b"]


def test_unused_columns_of_any_type_do_not_matter(tmp_path: Path) -> None:
    log = {"observations": [1.0, 2.0, 3.0], "actions": [0.0] * 3, "rewards": [0.0] * 3}
    others = {"raw": [b"x"] * 3, "info": [{"a": 1}] * 3, "tags": [["x"], [], None]}
    path = written(tmp_path, {**others, **log})
    assert len(Columns().dataset(read_table(path), "x", {}, "pump")) == 2


def test_an_image_in_a_tensor_is_one(tmp_path: Path) -> None:
    images = pa.FixedShapeTensorArray.from_numpy_ndarray(np.zeros((6, 4, 4, 3), np.uint8))
    path = tmp_path / "a.parquet"
    plain = {"action": [[0.5]] * 6, "reward": [1.0] * 6}
    pa.parquet.write_table(pa.table({"observation": images, **plain}), path)
    with pytest.raises(DatasetError, match=r"images of 4 x 4 x 3 uint8, for which merpo has no encoder"):
        Columns().dataset(Columns().table(path), "a", {}, "a")
    flat = changed(Columns(), "here", {"flatten": True})
    assert flat.dataset(flat.table(path), "a", {}, "a").observations.shape == (5, 48)


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_batches_of_other_types_and_shapes_are_one_column(
    batch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("merpo.data.parquet_table.BATCH", batch)
    even, odd = [[1, 2], [3, 4], None, [5, 6]], [[1.0], [2.0], [3.0, 4.0], [5.0]]
    path = written(tmp_path, {"gaps": [1, 2, None, 4], "even": even, "odd": odd, "text": ["a", None, "b", "c"]})
    table = ParquetTable(path, MAX_BYTES)
    np.testing.assert_array_equal(table["gaps"], [1, 2, np.nan, 4])
    assert [np.asarray(row).tolist() for row in table["odd"]] == odd
    assert table["text"] == ["a", "", "b", "c"]
    assert table.width("odd") == 1
    assert table.width("odd", within=True) == 1
    if batch > 1:  # a batch with missing lists only has no shape
        np.testing.assert_array_equal(table["even"], [[1, 2], [3, 4], [np.nan] * 2, [5, 6]])
        assert table.width("even") == 2


def test_wide_rows_are_read_fewer_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many as take a block of bytes, but not one by one."""
    monkeypatch.setattr("merpo.data.parquet_table.BLOCK", 1000)
    monkeypatch.setattr("merpo.data.parquet_table.LEAST", 3)
    path = written(tmp_path, {"wide": [[float(i)] * 100 for i in range(10)], "narrow": list(range(10))})
    table = ParquetTable(path, MAX_BYTES)
    assert [len(array) for array in table._arrays("wide")] == [3, 3, 3, 1]
    assert [len(array) for array in table._arrays("narrow")] == [10]
    assert table["wide"].shape == (10, 100)
