"""The knobs of data collection (A.2.2): SAC on every task, and which of its checkpoints make which quality."""

from __future__ import annotations

from typing import Literal, Self, TypeAlias

from pydantic import Field, model_validator

from merpo.components.component import Settings

__all__ = ["QUALITIES", "CollectSettings", "PolicyKind"]

QUALITIES = ("random", "medium", "expert", "mixed")
PolicyKind: TypeAlias = Literal["deterministic", "stochastic"]


class CollectSettings(Settings):
    """SAC per task with a buffer that grows, and rollouts of its checkpoints."""

    steps: int = Field(
        5000, ge=1, le=100_000_000, description="Environment steps of SAC per task (FOCAL: point robots)."
    )
    seed_steps: int = Field(500, ge=0, le=100_000_000, description="First steps, taken uniformly at random.")
    checkpoint_every: int = Field(
        200, ge=1, le=100_000_000, description="Environment steps between checkpoints (FOCAL)."
    )
    update_every: int = Field(1, ge=1, le=1_000_000, description="Environment steps per gradient step.")
    batch_size: int = Field(128, ge=2, le=1_000_000, description="Rows per task and gradient step.")
    hidden: tuple[int, ...] = Field(
        (64, 64), min_length=1, max_length=12, description="Hidden widths of both networks."
    )
    learning_rate: float = Field(1e-3, gt=0, le=1, description="Adam rate of critics, policies and temperature.")
    discount: float = Field(0.99, ge=0, lt=1, description="γ of SAC (FOCAL: 0.99).")
    polyak: float = Field(5e-3, gt=0, le=1, description="Step of the target networks towards the critics (SAC).")
    temperature: float = Field(0.1, gt=0, le=1e6, description="First entropy temperature (FOCAL: 0.1).")
    value_scale: float = Field(1.0, gt=0, le=1e6, description="Q is this times the network's output.")
    medium_fraction: float = Field(
        0.5, ge=0, le=1, description="Medium is the first checkpoint this share of the way from random to best."
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of collection; the run's own seed does not change the data.")

    @model_validator(mode="after")
    def _trained_checkpoints(self) -> Self:
        """Refuse settings with which no checkpoint but the untrained policy would be trained."""
        if self.seed_steps >= self.steps:
            raise ValueError(f"seed_steps = {self.seed_steps}, expected less than steps = {self.steps}")
        if self.checkpoint_every > self.steps:
            raise ValueError(f"checkpoint_every = {self.checkpoint_every}, expected at most steps = {self.steps}")
        return self

    def is_checkpoint(self, step: int) -> bool:
        """Whether the policies are kept and measured after `step` environment steps per task."""
        return step % self.checkpoint_every == 0 or step == self.steps

    def learns(self, step: int) -> bool:
        """Whether a gradient step follows environment step `step`, the first being 0."""
        return step + 1 >= self.seed_steps and step % self.update_every == 0

    def checkpoints(self, since: int = 0) -> int:
        """How many checkpoints there are from `since` environment steps on."""
        return len(range(-(-since // self.checkpoint_every), self.steps // self.checkpoint_every + 1)) + bool(
            self.steps % self.checkpoint_every
        )

    def gradient_steps(self, since: int = 0) -> int:
        """How many gradient steps follow the environment steps `since`, …, `steps` − 1."""
        first = max(since, self.seed_steps - 1)
        return len(range(-(-first // self.update_every) * self.update_every, self.steps, self.update_every))
