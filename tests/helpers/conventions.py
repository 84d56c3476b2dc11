"""One log under the names and in the layouts of the libraries of offline reinforcement learning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st


class Log(NamedTuple):
    """Episodes of L actions with L + 1 observations each, and whether each was ended by the task."""

    observations: list[np.ndarray]
    actions: list[np.ndarray]
    rewards: list[np.ndarray]
    ended: list[bool]

    @property
    def lengths(self) -> list[int]:
        return [len(each) for each in self.rewards]

    def joined(self, key: str) -> np.ndarray:
        return np.concatenate(getattr(self, key))

    def before(self) -> np.ndarray:
        return np.concatenate([each[:-1] for each in self.observations])

    def after(self) -> np.ndarray:
        return np.concatenate([each[1:] for each in self.observations])

    def last(self) -> np.ndarray:
        """1 at the last action of every episode."""
        flags = np.zeros(sum(self.lengths), dtype=bool)
        flags[np.cumsum(self.lengths) - 1] = True
        return flags

    def terminal(self) -> np.ndarray:
        """1 at the last action of the episodes that the task ended."""
        flags = self.last()
        flags[flags] = self.ended
        return flags

    def timeout(self) -> np.ndarray:
        return self.last() & ~self.terminal()

    def first(self) -> np.ndarray:
        return np.roll(self.last(), 1)


def make_log(lengths: list[int], ended: list[bool], seed: int = 0) -> Log:
    """A log with random numbers."""
    random = np.random.default_rng(seed)
    return Log(
        [random.normal(size=(n + 1, 2)).astype(np.float32) for n in lengths],
        [random.uniform(-1, 1, (n, 1)).astype(np.float32) for n in lengths],
        [random.normal(size=n).astype(np.float32) for n in lengths],
        ended,
    )


@st.composite
def logs(draw: st.DrawFn, least: int = 2) -> Log:
    """Logs of one to four episodes."""
    lengths = draw(st.lists(st.integers(least, 6), min_size=1, max_size=4))
    ended = draw(st.lists(st.booleans(), min_size=len(lengths), max_size=len(lengths)))
    return make_log(lengths, ended, draw(st.integers(0, 2**31 - 1)))


def d4rl(log: Log) -> dict[str, Any]:
    """As in D4RL's HDF5 files: without next observations."""
    return {
        "observations": log.before(), "actions": log.joined("actions"), "rewards": log.joined("rewards"),
        "terminals": log.terminal(), "timeouts": log.timeout(),
    }  # fmt: skip


def d4rl_q_learning(log: Log) -> dict[str, Any]:
    return {**d4rl(log), "next_observations": log.after()}


def gymnasium(log: Log) -> dict[str, Any]:
    return {
        "obs": log.before(), "action": log.joined("actions"), "reward": log.joined("rewards"), "next_obs": log.after(),
        "terminated": log.terminal(), "truncated": log.timeout(),
    }  # fmt: skip


def stable_baselines(log: Log) -> dict[str, Any]:
    """As in the replay buffer of Stable-Baselines3, with one environment: its dones include time limits."""
    arrays = {
        "observations": log.before(), "next_observations": log.after(), "actions": log.joined("actions"),
        "rewards": log.joined("rewards"), "dones": log.last(), "timeouts": log.timeout(),
    }  # fmt: skip
    return {key: array[:, None].astype(np.float32) for key, array in arrays.items()}


def stable_baselines_2(log: Log) -> dict[str, Any]:
    """As in the expert datasets of Stable-Baselines2; how an episode ended is not known."""
    return {
        "obs": log.before(), "actions": log.joined("actions"), "rewards": log.joined("rewards")[:, None],
        "episode_starts": log.first(), "episode_returns": np.array([each.sum() for each in log.rewards]),
    }  # fmt: skip


def d3rlpy_1(log: Log) -> dict[str, Any]:
    """As in the HDF5 files of d3rlpy 1."""
    return {
        "observations": log.before(), "actions": log.joined("actions"), "rewards": log.joined("rewards"),
        "terminals": log.terminal().astype(np.float32), "episode_terminals": log.last().astype(np.float32),
        "discrete_action": np.array(False), "version": np.array(1.0),
    }  # fmt: skip


def d3rlpy_2(log: Log) -> dict[str, Any]:
    """As in the HDF5 files of d3rlpy 2: arrays for each episode."""
    found: dict[str, Any] = {"total_size": np.array(len(log.lengths))}
    for e in range(len(log.lengths)):
        found |= {
            f"observations_{e}": log.observations[e][:-1], f"actions_{e}": log.actions[e],
            f"rewards_{e}": log.rewards[e][:, None], f"terminated_{e}": np.array(log.ended[e]),
        }  # fmt: skip
    return found


def rlds(log: Log) -> dict[str, Any]:
    """As RLDS has its steps: the last one of an episode has an observation only."""
    lengths = [n + 1 for n in log.lengths]
    last = np.zeros(sum(lengths), dtype=bool)
    last[np.cumsum(lengths) - 1] = True
    terminal = last.copy()
    terminal[last] = log.ended
    return {
        "observation": log.joined("observations"),
        "action": np.concatenate([np.concatenate([each, np.zeros((1, 1), np.float32)]) for each in log.actions]),
        "reward": np.concatenate([np.append(each, np.float32(0)) for each in log.rewards]),
        "discount": 1.0 - terminal, "is_first": np.roll(last, 1), "is_last": last, "is_terminal": terminal,
    }  # fmt: skip


FOLLOWED: dict[str, Callable[[Log], dict[str, Any]]] = {
    "d4rl_q_learning": d4rl_q_learning, "gymnasium": gymnasium, "stable_baselines": stable_baselines, "rlds": rlds,
}  # fmt: skip
UNFOLLOWED: dict[str, Callable[[Log], dict[str, Any]]] = {"d4rl": d4rl, "d3rlpy_1": d3rlpy_1, "d3rlpy_2": d3rlpy_2}
