"""The knobs of data collection (A.2.2): SAC on every task, and which of its checkpoints make which quality."""

from __future__ import annotations

from pydantic import Field

from merpo.settings import Settings

__all__ = ["CollectSettings"]


class CollectSettings(Settings):
    """SAC per task with a buffer that grows, and rollouts of its checkpoints."""

    steps: int = Field(5000, ge=1, le=100_000_000, description="Environment steps of SAC per task.")
    seed_steps: int = Field(500, ge=0, le=100_000_000, description="First steps, taken uniformly at random.")
    checkpoint_every: int = Field(500, ge=1, le=100_000_000, description="Environment steps between checkpoints.")
    batch_size: int = Field(128, ge=2, le=1_000_000, description="Rows per task and gradient step.")
    update_every: int = Field(1, ge=1, le=1_000_000, description="Environment steps per gradient step.")
    hidden: tuple[int, ...] = Field((64, 64), min_length=1, max_length=12, description="Hidden widths of SAC's policies.")
    learning_rate: float = Field(3e-3, gt=0, le=1, description="Adam rate of critics, policies and temperature.")
    discount: float = Field(0.9, ge=0, lt=1, description="γ of SAC (Table 2's for Point-Robot-Wind).")
    polyak: float = Field(0.01, gt=0, le=1, description="Step of the target networks towards the critics.")
    medium_fraction: float = Field(
        0.5, ge=0, le=1, description="Medium is the first checkpoint that closes this share of the way from random to best."
    )
    episodes_per_checkpoint: int = Field(200, ge=1, le=1_000_000, description="Episodes that mixed data takes in all.")
