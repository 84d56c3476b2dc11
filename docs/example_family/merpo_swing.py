"""A task family for merpo: pendulums under different gravity."""

from pydantic import Field

from merpo import Spec, TaskFamily, hookimpl
from merpo.lazy import gymnasium, np


class Swing(TaskFamily):
    """A pendulum is swung up; tasks differ in gravity, which is not observed."""

    name = "swing"

    least: float = Field(6.0, ge=1, le=30, description="Least gravity in m/s².")
    most: float = Field(14.0, ge=1, le=30, description="Greatest gravity in m/s².")
    horizon: int = Field(200, ge=1, le=10_000, description="Steps per episode.")
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of the gravities.")

    def spec(self):
        """Observations: cosine and sine of the angle, velocity; action: torque; episodes end by the time limit only."""
        return Spec(observation_dim=3, action_dim=1)

    def tasks(self, train, test):
        """`train` + `test` gravities, the same on every call; the last `test` are unseen."""
        drawn = np.random.default_rng(self.seed).uniform(self.least, self.most, train + test)
        tasks = [{"gravity": float(gravity)} for gravity in drawn]
        return tasks[:train], tasks[train:]

    def make(self, task):
        """One task's environment, its actions rescaled to [-1, 1], truncated after `horizon` steps."""
        env = gymnasium.make("Pendulum-v1", max_episode_steps=self.horizon, g=task["gravity"])
        return gymnasium.wrappers.RescaleAction(env, np.float32(-1.0), np.float32(1.0))


MERPO_API = 2  # the version of merpo's interfaces


@hookimpl
def merpo_components():
    return [Swing]
