"""One task's policy as a function from observations to actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, final

from merpo.errors import MerpoError
from merpo.lazy import np
from merpo.policies.task_name import TaskName

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Policy"]


@final
class Policy:
    """One task's policy: `policy(observation)` returns its deterministic action, in [-1, 1].

    `policy.action_in_units(observation)` returns the same action between the bounds of the data. `task` is the task's
    name, index, parameters and units; `observation_dim` and `action_dim` are O and A. An observation is one from which
    `subtracted` was subtracted, in double precision, as from those of the data.
    """

    def __init__(
        self,
        task: TaskName,
        observation_dim: int,
        action_dim: int,
        rows: Callable[[NDArray[np.float32]], NDArray[np.float32]],
        allow_non_finite: bool = False,
    ) -> None:
        self.task, self.observation_dim, self.action_dim = task, observation_dim, action_dim
        self._rows, self._allow_non_finite = rows, allow_non_finite

    def __call__(self, observation: ArrayLike) -> NDArray[np.float32]:
        """The action [A] at one observation [O], or actions [B, A] at several [B, O], of any array type.

        Raises `MerpoError` for another shape, and for numbers that are not finite unless they are let through.
        """
        given = self._numbers(observation)
        if given.ndim not in (1, 2) or given.shape[-1] != self.observation_dim:
            expected = f"[{self.observation_dim}] or [B, {self.observation_dim}]"
            raise MerpoError(
                f"policy of {self.task.name}: got an observation of shape {given.shape}, expected {expected}"
            )
        rows = np.atleast_2d(given)
        self._check_finite("observation", rows)
        actions = self._rows(rows)
        self._check_finite("action", actions)
        return actions[0] if given.ndim == 1 else actions

    def action_in_units(self, observation: ArrayLike) -> NDArray[np.float64]:
        """The action [A] or [B, A] in the units of the data, between the bounds that its actions had.

        Raises `MerpoError` as the call does, and where the bounds are not known.
        """
        units = self.task.units
        if units is None:
            raise MerpoError(
                f"policy of {self.task.name}: its file does not have the bounds of the data's actions, as an older "
                "merpo wrote it; scale the action from [-1, 1] yourself, or adapt the run again"
            )
        low, high = np.asarray(units.action_low), np.asarray(units.action_high)
        scaled: NDArray[np.float64] = np.clip((low + high) / 2 + (high - low) / 2 * self(observation), low, high)
        return scaled

    @property
    def subtracted(self) -> NDArray[np.float64]:
        """The numbers [O] that were subtracted from the observations of the data, 0 where none was."""
        units = self.task.units
        known = units.subtracted if units is not None else ()
        return np.asarray(known or [0.0] * self.observation_dim, dtype=np.float64)

    def _numbers(self, observation: ArrayLike) -> NDArray[np.float32]:
        """The observation as float32; masked numbers, and those too large for float32, become NaN and infinity."""
        try:
            with np.errstate(over="ignore"):
                if np.ma.isMaskedArray(observation):
                    return np.ma.filled(np.ma.asarray(observation).astype(np.float32), np.nan)
                return np.asarray(observation, dtype=np.float32)
        except (TypeError, ValueError, RuntimeError) as error:
            raise MerpoError(f"policy of {self.task.name}: the observation is no array ({error!s:.120})") from None

    def _check_finite(self, what: str, rows: NDArray[np.float32]) -> None:
        bad = ~np.isfinite(rows)
        if self._allow_non_finite or not bad.any():
            return
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise MerpoError(
            f"policy of {self.task.name}: {what} [{row}, {column}] is {rows[row, column]}, expected a finite number; "
            "load_policy(…, allow_non_finite=True) lets it through"
        )

    def __repr__(self) -> str:
        return f"Policy({self.task.name!r}, {self.observation_dim} observations -> {self.action_dim} actions)"
