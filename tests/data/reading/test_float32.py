"""What float32 cannot hold apart is found by column; an offset is subtracted in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merpo.data.columns import Columns, changed
from merpo.data.from_arrays import from_arrays
from merpo.data.reading import in_place
from merpo.data.reading.float32 import _figures, to_float32
from merpo.errors import DatasetError

N = 200
RANDOM = np.random.default_rng(0)
STEPS = np.arange(N)


def read(column: Any, rewards: Any = None, **choices: Any) -> tuple[Any, list[str]]:
    said: list[str] = []
    observations = np.column_stack([np.linspace(-1, 1, N), column]) if not choices.pop("alone", False) else column
    rewards = np.zeros(N) if rewards is None else rewards
    following = np.roll(observations, -1, 0)
    return from_arrays(observations, np.zeros((N, 1)), rewards, following, **choices, note=said.append), said


OFFSETS: dict[str, Any] = {
    "seconds since 1970": 1.7e9 + STEPS,
    "minutes in a year": 1.7e9 + 60 * STEPS,
    "fractions of seconds": 1.7e9 + 0.1 * STEPS,
    "a million and noise": 1e6 + RANDOM.normal(size=N),
    "minus a million": -1e6 - 0.01 * STEPS,
    "a slow drift": 101325 + 0.001 * STEPS,
    "counts above 2**24": 2.0**24 + STEPS,
    "large and slow": 1e12 + 100 * STEPS,
}


@pytest.mark.parametrize("name", OFFSETS)
def test_offsets_are_refused_with_the_column_and_what_to_subtract(name: str) -> None:
    with pytest.raises(
        DatasetError, match=r"observations\[1\]: 200 distinct values become [\d,]+ in float32"
    ) as caught:
        read(OFFSETS[name])
    (told,) = [part for part in str(caught.value).split("'") if part.startswith("observations[1]=")]
    offset = float(told.partition("=")[2])
    data, said = read(OFFSETS[name], subtract=[0.0, offset])
    np.testing.assert_allclose(data.observations[:, 1].double(), OFFSETS[name] - offset, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(data.next_observations[:-1, 1], data.observations[1:, 1])
    assert not any("float32" in line for line in said)


@pytest.mark.parametrize("kind", [np.int64, np.uint32])
def test_integers_are_no_exception(kind: type) -> None:
    column = (1_700_000_000 + STEPS).astype(kind)[:, None]
    with pytest.raises(DatasetError, match="observations: 200 distinct values become"):
        read(column, alone=True)
    assert read(column, alone=True, subtract=1.7e9)[0].observations[:, 0].tolist() == STEPS.tolist()


def test_nanoseconds_are_subtracted_exactly() -> None:
    column = (1_700_000_000_000_000_000 + STEPS)[:, None]
    assert read(column, alone=True, subtract=1.7e18)[0].observations[:, 0].tolist() == STEPS.tolist()


FINE: dict[str, Any] = {
    "noise": RANDOM.normal(size=N),
    "a temperature": 300 + RANDOM.normal(size=N),
    "a pressure": 101325 + 100 * RANDOM.normal(size=N),
    "heavy tails": RANDOM.standard_cauchy(size=N) ** 3,
    "a constant": np.full(N, 1.7e9 + 0.3),
    "two large values": np.where(STEPS % 2, 1.7e9, 0.3),
    "counts": STEPS + 1e5,
    "integers": STEPS * 1000,
    "float32 already": (1.7e9 + STEPS).astype(np.float32),
    "truth": STEPS % 3 == 0,
}


@pytest.mark.parametrize("name", FINE)
def test_other_columns_are_read_without_a_word(name: str) -> None:
    column = FINE[name][:, None]
    data, said = read(column, alone=True)
    np.testing.assert_array_equal(data.observations[:, 0], FINE[name].astype(np.float32))
    assert not any("distinct" in line for line in said)


@pytest.mark.parametrize("column", [1 + 1e-9 * STEPS, 5000 + 1e-11 * STEPS, 0.3 + 1e-12 * RANDOM.normal(size=N)])
def test_what_is_lost_of_small_values_and_rounding_errors_is_told(column: np.ndarray) -> None:
    _, said = read(column)
    assert any("observations[1]: " in line and "distinct values become" in line for line in said)


def test_rewards_are_refused_without_advice_to_subtract() -> None:
    with pytest.raises(DatasetError, match="rewards: 200 distinct values become") as caught:
        read(np.zeros(N), rewards=1e9 + STEPS)
    assert "subtract" not in str(caught.value)


@given(st.integers(-(2**40), 2**40), st.integers(2, 60), st.floats(0.01, 1000.0))
def test_no_log_of_regular_steps_loses_values_without_a_word(offset: int, rows: int, step: float) -> None:
    """Either all values stay apart, or the import says that they do not."""
    column = offset + step * np.arange(rows)
    said: list[str] = []
    try:
        data = from_arrays(column, np.zeros(rows), np.zeros(rows), column, note=said.append)
    except DatasetError as error:
        assert "distinct values become" in str(error)
        return
    kept = len(set(data.observations[:, 0].tolist()))
    assert kept >= 0.99 * len(set(column.tolist())) or any("distinct" in line for line in said)


@pytest.mark.parametrize(
    ("subtract", "message"),
    [
        ("x", "subtract is 'x', expected a number, or 2 of them"),
        ([1.0], r"subtract is \[1.0\], expected a finite number, or 2"),
        ([1.0, float("nan")], "expected a finite number"),
    ],
)
def test_what_cannot_be_subtracted(subtract: Any, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read(np.zeros(N), subtract=subtract)


def test_columns_of_files_are_named_in_what_is_subtracted() -> None:
    table = {"clock": 1.7e9 + STEPS, "level": STEPS * 1.0, "valve": np.zeros(N), "profit": np.zeros(N)}
    names = {"observations": ("level", "clock"), "actions": ("valve",), "rewards": "profit"}
    with pytest.raises(DatasetError, match=r"^a.csv: clock: 200 .* subtract = \{ 'clock' = 1700000000.0 \}"):
        changed(Columns(), "c", names).read(table, "a.csv", {}, "a")
    data, account = changed(Columns(), "c", {**names, "subtract": {"clock": 1.7e9}}).read(table, "a.csv", {}, "a")
    assert account.subtracted == (0.0, 1.7e9)
    assert data.observations[:3, 1].tolist() == [0, 1, 2]
    with pytest.raises(DatasetError, match=r"subtract: no observation 'clok' \(did you mean 'clock'\?\)"):
        changed(Columns(), "c", {**names, "subtract": {"clok": 1.0}}).read(table, "a.csv", {}, "a")


def test_matrices_are_named_with_numbers() -> None:
    table = {"obs": np.column_stack([STEPS, 1.7e9 + STEPS]), "action": np.zeros(N), "reward": np.zeros(N)}
    for key in ("obs[1]", "observations[1]"):
        data = changed(Columns(), "c", {"subtract": {key: 1.7e9}}).read(table, "a", {}, "a").data
        assert data.observations[:3, 1].tolist() == [0, 1, 2]
    data = changed(Columns(), "c", {"subtract": {"obs": 2.0, "obs[1]": 1.7e9}}).read(table, "a", {}, "a").data
    assert data.observations[:2].tolist() == [[-2, 0], [-1, 1]]


def test_the_conversion_copies() -> None:
    array = np.zeros((2, 2), np.float32)
    assert not np.shares_memory(to_float32(array), array)


@given(st.integers(1, 500), st.sampled_from([1, 7, 64]), st.booleans())
def test_figures_of_blocks_are_those_of_whole_columns(rows: int, block: int, gaps: bool) -> None:
    random = np.random.default_rng(rows)
    table = random.normal(size=(rows, 2)) * [1.0, 1e-3] + [0.0, 1e6]
    if gaps:
        table[random.random((rows, 2)) < 0.3] = np.nan
        table[0, 0] = np.inf
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_place, "BLOCK", block)
        wrong, largest, spread = _figures(table, np.array([0.0, 5.0]))
    for column, offset in enumerate((0.0, 5.0)):
        known = table[:, column][np.isfinite(table[:, column])] - offset
        if known.size:
            assert wrong[column] == np.abs(known.astype(np.float32) - known).max()
            assert largest[column] == np.abs(known).max()
            np.testing.assert_allclose(spread[column], known.std(), rtol=1e-6, atol=1e-9)
        else:
            assert wrong[column] == largest[column] == spread[column] == 0
