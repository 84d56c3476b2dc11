"""Columns that are not used are named, and those that may tell where episodes end are refused."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from conventions import FOLLOWED, Log, d4rl, logs, make_log
from hypothesis import assume, given
from hypothesis import strategies as st

from merpo.data.columns import Columns, changed
from merpo.data.reading.names import NAMES
from merpo.data.reading.transitions import Read
from merpo.data.reading.unused import truths
from merpo.errors import DatasetError

KNOWN = {name.lower() for names in NAMES.values() for name in names}
PLAIN = st.text("abcdefghijklmnopqrstuvwxyz_äß", min_size=1, max_size=12).filter(lambda name: name not in KNOWN)


def read(arrays: dict[str, Any], **changes: Any) -> Read:
    return changed(Columns(), "here", changes).read(arrays, "log", {}, "log")


def bare(log: Log) -> dict[str, Any]:
    return {"observations": log.before(), "actions": log.joined("actions"), "rewards": log.joined("rewards")}


@given(log=logs(), name=PLAIN, as_text=st.booleans(), inverted=st.booleans())
def test_a_flag_under_any_name_is_refused_until_it_is_said_to_be_none(
    log: Log, name: str, as_text: bool, inverted: bool
) -> None:
    flag = log.last() ^ inverted
    arrays = {**bare(log), name: [str(one) for one in flag] if as_text else flag.astype(float)}
    with pytest.raises(DatasetError, match=rf"^log: not used, .*'{name}' holds zeros and ones") as caught:
        read(arrays)
    assert f'ignore = ["{name}"]' in str(caught.value)
    account = read(arrays, ignore=(name,)).account
    assert account.unused == (name,)
    assert f"not used: {name}" in account.lines()
    ends = read(arrays, ends=name).data if not inverted else None
    assert ends is None or ends.episode_offsets.diff().tolist() == log.lengths


@given(log=logs(), name=PLAIN)
def test_what_repeats_a_flag_that_is_used_is_only_named(log: Log, name: str) -> None:
    for convention in FOLLOWED.values():
        arrays = convention(log)
        flag = next(arrays[key] for key in ("terminals", "terminated", "dones", "is_last") if key in arrays)
        for again in (flag, 1 - np.asarray(flag, dtype=float)):
            assert name in read({**arrays, name: again}).account.unused


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("step_type", [0, 1, 2, 0, 1, 2], "has the name of a flag"),
        ("episode_ends_at", [3, 3, 3, 6, 6, 6], "has the name of a flag"),
        ("traj_lengths", [3, 3], "has the name of a flag"),
        ("t", [0, 1, 2, 0, 1, 2], "counts up and starts again"),
        ("time_step", [0.5, 1.0, 1.5, 0.5, 1.0, 1.5], "counts up and starts again"),
        ("Frame", ["7", "8", "9", "7", "8", "9"], "counts up and starts again"),
    ],
)
def test_other_signs_of_episodes_are_refused_where_nothing_tells_them(name: str, value: Any, reason: str) -> None:
    log = make_log([3, 3], [True, True])
    column = value if isinstance(value[0], str) else np.asarray(value)
    with pytest.raises(DatasetError, match=f"'{name}' {reason}"):
        read({**bare(log), name: column})
    assert name in read({**bare(log), name: column, "day": [0, 0, 0, 1, 1, 1]}, episodes="day").account.unused


FORMS: dict[str, tuple[Any, Any]] = {  # of an end, and of no end
    "1 and 2": (2, 1),
    "-1 and 1": (1, -1),
    "0 and 255": (255, 0),
    "fractions": (0.5, 1.5),
    "a gap": (1.0, np.nan),
    "words": ("yes", "no"),
    "others": ("end", ""),
    "bytes": (b"T", b"F"),
}


@given(log=logs(), name=PLAIN, form=st.sampled_from(sorted(FORMS)), as_list=st.booleans())
def test_a_flag_of_any_two_values_is_refused(log: Log, name: str, form: str, as_list: bool) -> None:
    end, other = FORMS[form]
    column = np.where(log.last(), end, other)
    value = column.tolist() if as_list and isinstance(end, str) else column
    refused = rf"'{name}' (?:has two values|holds zeros and ones|has the name of a flag)"
    with pytest.raises(DatasetError, match=refused):
        read({**bare(log), name: value})
    assert read({**bare(log), name: value}, ignore=(name,)).account.unused == (name,)
    if form != "words" and any(log.ended):  # where flags are used, others than zeros and ones are only named
        assert read({**d4rl(log), name: value}).account.unused == (name,)


@given(
    lengths=st.lists(st.integers(4, 6), min_size=3, max_size=5),
    name=PLAIN,
    form=st.sampled_from(["numbers", "texts", "dates"]),
)
def test_labels_and_kinds_of_steps_under_any_name_are_refused(lengths: list[int], name: str, form: str) -> None:
    log = make_log(lengths, [True] * len(lengths))
    numbers = np.repeat(np.arange(len(log.lengths)) * 7 % 1009, log.lengths)
    forms = {"texts": [f"run {i}" for i in numbers], "dates": np.array([f"2024-05-01 {i}" for i in numbers])}
    with pytest.raises(DatasetError, match=f"'{name}' (?:has one value in each block of rows|has the name of a flag)"):
        read({**bare(log), name: forms.get(form, numbers)})
    kinds = np.where(log.last(), 2, np.where(np.roll(log.last(), 1), 0, 1))
    with pytest.raises(DatasetError, match=f"'{name}' (?:goes through the same three values|has the name of a flag)"):
        read({**bare(log), name: kinds})


@pytest.mark.parametrize(
    ("value", "reason"),
    [([3, 4, 5], "adds up to the number of rows"), ([3, 7, 12], "counts rows"), ([0, 3, 7], "counts rows")],
)
def test_lengths_and_ends_of_episodes_are_refused(value: list[int], reason: str) -> None:
    with pytest.raises(DatasetError, match=f"'some' {reason}"):
        read({**bare(make_log([3, 4, 5], [True] * 3)), "some": np.array(value)})


@pytest.mark.parametrize("value", [np.repeat([0.5, 0.7, 0.9], 4), np.arange(12), [0.1, 0.9, 4.0] * 4, list("abcb") * 3])
def test_measured_and_other_values_are_named_only(value: Any) -> None:
    column = value if isinstance(value, list) and isinstance(value[0], str) else np.asarray(value)
    arrays = {**bare(make_log([3, 4, 5], [True] * 3)), "extra": column}
    if isinstance(column, np.ndarray) and column[0] == 0.1:
        arrays["extra"] = column + np.arange(12) * 1e-3
    assert read(arrays).account.unused == ("extra",)


def test_another_counter_is_told() -> None:
    notes = read({**bare(make_log([3, 3], [True, True])), "hour": np.array([1, 2, 3, 1, 2, 3])}).account.notes
    assert any("'hour' counts up and starts again" in note for note in notes)


@pytest.mark.parametrize(
    "value", [np.zeros(6), np.ones(6), np.arange(6), np.linspace(0, 1, 6), list("abacbc"), np.eye(6), np.array(1), []]
)
def test_columns_that_tell_nothing_are_named_only(value: Any) -> None:
    assert read({**bare(make_log([6], [True])), "extra": value}).account.unused == ("extra",)


def test_rlds_discounts_are_not_flags_beside_terminations() -> None:
    log = make_log([3, 3], [True, False])
    assert "discount" in read(FOLLOWED["rlds"](log)).account.unused
    arrays = {**d4rl(log), "discount": 1.0 - log.terminal()}
    del arrays["terminals"]
    with pytest.raises(DatasetError, match="'discount' holds zeros and ones"):
        read(arrays)


@given(st.lists(st.sampled_from([0, 1]), min_size=2, max_size=6))
def test_truth_has_many_forms(bits: list[int]) -> None:
    assume(len(set(bits)) == 2)
    words = [("false", "true"), ("FALSE", "TRUE"), ("0", "1"), ("0.0", "1.0"), (" no", "yes ")]
    forms = [np.array(bits), np.array(bits, bool), np.array(bits, float)[:, None]]
    for form in [*forms, *([pair[bit] for bit in bits] for pair in words)]:
        found = truths(form)
        assert found is not None
        assert found.tolist() == [bool(bit) for bit in bits]
    assert truths([*map(str, bits), "maybe"]) is None
    assert truths(np.array([*bits, 0.5])) is None


def test_a_message_with_many_columns_is_short() -> None:
    log = make_log([3, 3], [True, True])
    flags = {f"bit {i}": np.array([0, 0, 1, 0, 0, 1]) for i in range(50)}
    with pytest.raises(DatasetError) as caught:
        read({**bare(log), **flags})
    assert len(re.findall("holds zeros and ones", str(caught.value))) == 10


def test_a_column_that_is_taken_for_something_else_can_be_ignored() -> None:
    log = make_log([3, 3], [True, True])
    arrays = {**FOLLOWED["gymnasium"](log), "episode": np.array([1, 2, 1, 2, 1, 2])}
    with pytest.raises(
        DatasetError, match=r"not contiguous.*; episodes is 'episode' there; .*ignore = \[\"episode\"\]"
    ):
        read(arrays)
    assert read(arrays, ignore=("episode",)).data.episode_offsets.tolist() == [0, 3, 6]
    arrays = {**bare(log), "timeout": np.full(6, 30.0)}
    with pytest.raises(DatasetError, match=r"truncations is 30.0 .*'timeout' there; .*ignore = \[\"timeout\"\]"):
        read(arrays)
    with pytest.raises(DatasetError, match=r"truncations is 30.0 .*'timeout' there$"):
        read(arrays, truncations="timeout")


def test_many_names_do_not_fill_the_manifest() -> None:
    log = make_log([3, 3], [True, True])
    extra = {f"{'x' * 300}{i}": np.linspace(0, 2, 6) for i in range(9000)}
    account = read({**FOLLOWED["gymnasium"](log), **extra}).account
    assert len(account.unused) == 51
    assert account.unused[-1] == "and 8950 more"
    assert len(account.model_dump_json()) < 10_000
