"""What an import did with a log: what is left out, and everything that a user should know of the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from merpo.support.format import number

__all__ = ["KEY", "Account", "Left", "left_out_line", "stored_account"]

KEY = "read"  # of the account among the settings in a dataset's manifest


class Left(NamedTuple):
    """Rows of a log that are not in the dataset, as nothing follows them, and their rewards."""

    rows: int
    reward: float
    logged_rows: int


class Account(BaseModel):
    """The account of one dataset, as its manifest stores it."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    logged_rows: int  # with an action
    left_out_rows: int  # without a next observation
    left_out_reward: float
    logged_return_mean: float  # over the log's episodes
    logged_return_std: float
    unused: tuple[str, ...] = ()  # columns or arrays of the file
    used: Mapping[str, str] = {}  # key of `--columns` -> the file's names, where these are not the default ones
    notes: tuple[str, ...] = ()
    subtracted: tuple[float, ...] = ()  # from each observation

    def lines(self) -> list[str]:
        """Everything that a user should know, a line each; empty if the dataset is the log as it is."""
        found = [self.left_out()] if self.left_out_rows else []
        if self.used:
            found.append("read as " + ", ".join(f"{key}: {names}" for key, names in self.used.items()))
        if self.unused:
            found.append(f"not used: {', '.join(self.unused)}")
        return [*found, *self.notes]

    def left_out(self) -> str:
        """The rows and the reward that are left out."""
        return left_out_line([Left(self.left_out_rows, self.left_out_reward, self.logged_rows)])


def left_out_line(left: Sequence[Left]) -> str:
    """A line on the rows of several datasets that are left out; empty if there is none."""
    rows, reward, logged = (sum(each) for each in zip(*left, strict=True)) if left else (0, 0.0, 0)
    if not rows:
        return ""
    advice = "; rows at which the task ended are kept if terminations are given, all if next_observations are"
    return (
        f"left out: {rows:,} of {logged:,} rows, after which the log has no observation, with a reward of "
        f"{number(reward)} in total{advice if reward else ''}"
    )


def stored_account(settings: Mapping[str, Any]) -> Account | None:
    """The account among the settings in a manifest, None where there is none."""
    try:
        return Account.model_validate(settings[KEY])
    except (KeyError, ValidationError):
        return None
