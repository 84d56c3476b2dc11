"""An environment's reset and step, as Gymnasium has them; environments with the API of old Gym are refused by name."""

from __future__ import annotations

from typing import Any

from merpo.errors import PluginError

__all__ = ["EXPECTED", "is_of_old_gym", "reset", "step"]

EXPECTED = (
    "expected Gymnasium's API: reset(seed=…) returns (observation, info), and step returns (observation, reward, "
    "terminated, truncated, info)"
)
KEYWORDS = "unexpected keyword argument"  # of a reset that takes no seed
UNPACKED = "expected 5, got 4"  # of a wrapper around an environment of old Gym
NO_ENVIRONMENT = "Expected env to be a `gymnasium.Env`"  # of a wrapper that is given one


def reset(env: Any, seed: int | None = None) -> Any:
    """The first observation of an episode; raises `PluginError` for the API of old Gym."""
    try:
        found = env.reset() if seed is None else env.reset(seed=seed)
    except TypeError as error:
        if KEYWORDS not in str(error):
            raise
        raise _old(env, f"its reset takes no seed ({error})") from error
    if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], dict)):
        raise _old(env, "its reset returns an observation alone")
    return found[0]


def step(env: Any, action: Any) -> tuple[Any, float, bool, bool]:
    """Observation, reward, termination and truncation after an action; raises `PluginError` for the API of old Gym."""
    try:
        found = env.step(action)
    except ValueError as error:
        if UNPACKED not in str(error):
            raise
        raise _old(env, "its step returns 4 values") from error
    if len(found) != 5:
        raise _old(env, f"its step returns {len(found)} values")
    observation, reward, terminated, truncated, _ = found
    return observation, reward, terminated, truncated


def is_of_old_gym(error: BaseException) -> bool:
    """Whether an exception of a family's `make` is Gymnasium's refusal of an environment of old Gym."""
    return NO_ENVIRONMENT in str(error)


def _old(env: Any, why: str) -> PluginError:
    inner = getattr(env, "unwrapped", env)
    return PluginError(f"environment {type(inner).__name__}: has the API of old Gym, as {why}; {EXPECTED}")
