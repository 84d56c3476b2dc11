"""What `merpo data import` prints of the datasets that it read, and `merpo data show` of those in the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from merpo.data.coverage import column_names
from merpo.data.dataset import TaskDataset
from merpo.data.reading.account import Left, left_out_line, stored_account
from merpo.data.reading.extremes import range_lines
from merpo.support.format import number
from merpo.support.terminal import printable

__all__ = ["account_rows", "summary_lines"]

MOST = 5  # datasets whose own notes are printed


def summary_lines(imported: Sequence[tuple[TaskDataset, Mapping[str, Any]]]) -> list[str]:
    """What was left out and not used of datasets of equal dims with these settings, what looks wrong, and the ranges.

    A note that holds for all datasets is printed once. Empty for datasets that were not read from logs.
    """
    known = [(data, account) for data, settings in imported if (account := stored_account(settings)) is not None]
    if not known:
        return []
    accounts = [account for _, account in known]
    lines = []
    if left := left_out_line([Left(a.left_out_rows, a.left_out_reward, a.logged_rows) for a in accounts]):
        lines.append(left)
    logged = sum(account.logged_return_mean for account in accounts) / len(known)
    stored = sum(float(data.episode_returns().mean()) for data, _ in known) / len(known)
    if number(logged) != number(stored):
        lines.append(f"mean return: {number(logged)} in the log, {number(stored)} stored")
    notes = [(data.name, [note for note in account.lines() if note != account.left_out()]) for data, account in known]
    lines += _merged(notes)
    data, settings = imported[0]
    names = column_names(settings, data.observations.shape[1], data.actions.shape[1])
    return [printable(line) for line in (*lines, *range_lines([data for data, _ in known], names))]


def _merged(notes: Sequence[tuple[str, list[str]]]) -> Iterator[str]:
    """The notes that all datasets have, and then those of single ones, with their names."""
    common = [note for note in notes[0][1] if all(note in own for _, own in notes)]
    yield from common
    some = [(name, [note for note in own if note not in common]) for name, own in notes]
    some = [(name, own) for name, own in some if own]
    for name, own in some[:MOST]:
        yield from (f"{name}: {note}" for note in own)
    if len(some) > MOST:
        yield f"and notes on {len(some) - MOST} datasets more, which merpo data show prints"


def account_rows(settings: Mapping[str, Any]) -> dict[str, str]:
    """The account of an imported dataset as the lines of `merpo data show`, under their names."""
    account = stored_account(settings)
    if account is None:
        return {}
    mean, std = number(account.logged_return_mean), number(account.logged_return_std)
    lines = account.lines()
    return {
        "return in the log": f"{mean} ± {std} (mean ± std over episodes, with the rows left out)",
        **{"reading" if i == 0 else f"reading {i + 1}": line for i, line in enumerate(lines)},
    }
