"""The names under which logs of other libraries hold the arrays that a dataset needs.

They are those of D4RL, Gymnasium and Minari, Stable-Baselines3, d3rlpy, RLDS, and of their older versions.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from typing import Any

from merpo.data.table_files import dims
from merpo.lazy import np

__all__ = ["NAMES", "recognised", "with_whole_arrays"]

# Key of `--columns` -> names, the usual ones first.
NAMES: dict[str, tuple[str, ...]] = {
    "observations": ("observations", "observation", "obs", "states", "state"),
    "actions": ("actions", "action", "acts", "act"),
    "rewards": ("rewards", "reward", "rews", "rew"),
    "next_observations": (
        "next_observations", "next_observation", "next_obs", "new_obs", "observations_next", "obs_next",
        "next_states", "next_state",
    ),
    "terminations": (
        "terminations", "termination", "terminals", "terminal", "terminated", "terminateds", "is_terminal",
    ),
    "truncations": (
        "truncations", "truncation", "timeouts", "timeout", "truncated", "truncateds", "TimeLimit.truncated",
        "infos/TimeLimit.truncated",
    ),
    "ends": ("ends", "dones", "done", "episode_terminals", "episode_ends", "is_done"),
    "starts": ("starts", "is_first", "episode_starts", "episode_start"),
    "finals": ("finals", "is_last"),
    "episodes": (
        "episodes", "episode", "episode_id", "episode_ids", "episode_index", "eps_id", "ep_id", "traj_id", "traj_ids",
        "trajectory_id", "trajectory_ids",
    ),
}  # fmt: skip
MATRICES = ("observations", "actions", "next_observations")


def recognised(key: str, table: Mapping[str, Any], taken: Container[str]) -> tuple[str, ...]:
    """The names in `table` of the array for a key, empty if there is none; `taken` are those of other keys.

    A matrix may have a column for each dimension, such as `obs_0`, `obs_1`.
    """
    lower = {name.lower(): name for name in table if name not in taken}
    for name in NAMES[key]:
        if name in table and name not in taken:
            return (name,)
        if name.lower() in lower:
            return (lower[name.lower()],)
    if key in MATRICES:
        for name in NAMES[key]:
            if numbered := _numbered(name, lower):
                return numbered
    return ()


def _numbered(name: str, lower: Mapping[str, str]) -> tuple[str, ...]:
    """The names of columns `name` with the numbers from 0 or from 1 on, in their order."""
    found = {}
    for column, original in lower.items():
        match = re.fullmatch(rf"{re.escape(name.lower())}[_.\[ ]?(\d{{1,4}})\]?", column)
        if match:
            found[int(match[1])] = original
    first = min(found, default=0)
    if not found or first > 1 or sorted(found) != list(range(first, first + len(found))):
        return ()
    return tuple(found[i] for i in sorted(found))


def with_whole_arrays(table: Mapping[str, Any]) -> Mapping[str, Any]:
    """A table with an array per episode, `observations_0`, `observations_1`, ..., as d3rlpy stores them, joined.

    Other tables are returned as they are.
    """
    groups = {key: _numbered(key, {name: name for name in table}) for key in ("observations", "actions", "rewards")}
    counts = {len(names) for names in groups.values()}
    if counts == {0} or len(counts) > 1 or any(dims(table, name) < 2 for name in groups["observations"]):
        return table  # a column for each dimension of one array, not an array for each episode
    ended = [f"terminated_{i}" for i in range(len(groups["rewards"]))]
    flags = all(name in table for name in ended)
    joined: dict[str, Any] = {key: np.concatenate([table[name] for name in names]) for key, names in groups.items()}
    lengths = [len(table[name]) for name in groups["rewards"]]
    joined["episodes"] = np.repeat(np.arange(len(lengths)), lengths)
    if flags:
        joined["terminations"] = np.zeros(sum(lengths), dtype=np.bool_)
        joined["terminations"][np.cumsum(lengths) - 1] = [bool(np.asarray(table[name]).any()) for name in ended]
    used = {name for names in groups.values() for name in names} | set(ended if flags else ())
    return {**joined, **{name: table[name] for name in table if name not in used}}
