"""The core's sections of a recipe: data, collect, evaluate and run."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, field_validator, model_validator

from merpo.components.component import HiddenWidths, Settings
from merpo.recipe.sources import parse_source

__all__ = ["QUALITIES", "CollectSettings", "DataSection", "EvaluateSection", "PolicyKind", "Quality", "RunSection"]

QUALITIES = ("random", "medium", "expert", "mixed")
PolicyKind: TypeAlias = Literal["deterministic", "stochastic"]

Quality = Literal["random", "medium", "expert", "mixed"]


class CollectSettings(Settings):
    """Settings of collection: online SAC per task, then rollouts of its checkpoints."""

    steps: int = Field(
        5000, ge=1, le=100_000_000, description="Environment steps of SAC per task (FOCAL: point robots)."
    )
    seed_steps: int = Field(500, ge=0, le=100_000_000, description="First steps, taken uniformly at random.")
    checkpoint_every: int = Field(
        200, ge=1, le=100_000_000, description="Environment steps between checkpoints (FOCAL)."
    )
    update_every: int = Field(1, ge=1, le=1_000_000, description="Environment steps per gradient step.")
    batch_size: int = Field(128, ge=2, le=1_000_000, description="Rows per task and gradient step.")
    hidden: HiddenWidths = Field((64, 64), description="Hidden widths of policy and critics.")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="Adam rate of critics, policies and temperature.")
    discount: float = Field(0.99, ge=0, lt=1, description="γ of SAC (FOCAL: 0.99).")
    polyak: float = Field(5e-3, gt=0, le=1, description="Step of the target networks towards the critics (SAC).")
    temperature: float = Field(0.1, gt=0, le=1e6, description="Initial entropy temperature (FOCAL: 0.1).")
    value_scale: float = Field(1.0, gt=0, le=1e6, description="Factor from the critic network's output to Q.")
    medium_fraction: float = Field(
        0.5, ge=0, le=1, description="Medium is the first checkpoint at this fraction of the way from random to best."
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of collection; the run's own seed does not change the data.")

    @model_validator(mode="after")
    def _trained_checkpoints(self) -> Self:
        """Refuse settings whose only checkpoint would be the untrained policy."""
        if self.seed_steps >= self.steps:
            raise ValueError(f"seed_steps = {self.seed_steps}, expected less than steps = {self.steps}")
        if self.checkpoint_every > self.steps:
            raise ValueError(f"checkpoint_every = {self.checkpoint_every}, expected at most steps = {self.steps}")
        return self

    def keeps_policy(self, step: int) -> bool:
        """Whether the policies are checkpointed and evaluated after `step` environment steps per task."""
        return step % self.checkpoint_every == 0 or step == self.steps

    def learns(self, step: int) -> bool:
        """Whether a gradient step follows environment step `step`, counted from 0."""
        return step + 1 >= self.seed_steps and step % self.update_every == 0

    def kept_policies(self, since: int = 0) -> int:
        """The number of checkpoints from `since` environment steps on."""
        return len(range(-(-since // self.checkpoint_every), self.steps // self.checkpoint_every + 1)) + bool(
            self.steps % self.checkpoint_every
        )

    def gradient_steps(self, since: int = 0) -> int:
        """The number of gradient steps after the environment steps `since`, …, `steps` − 1."""
        first = max(since, self.seed_steps - 1)
        return len(range(-(-first // self.update_every) * self.update_every, self.steps, self.update_every))


class DataSection(Settings):
    """The offline data: datasets of the store or Minari by name, or what to collect with which behaviour policies."""

    quality: Quality = Field("medium", description="Behaviour policies of the data (A.2.2).")
    test_quality: Quality | None = Field(None, description="Quality of the unseen tasks' data, if different.")
    train_tasks: int = Field(40, ge=1, le=100_000, description="Tasks for meta-training (Table 2).")
    test_tasks: int = Field(10, ge=1, le=100_000, description="Unseen tasks (Table 2).")
    episodes: int = Field(200, ge=1, le=1_000_000, description="Episodes per task (A.2.2).")
    store: str | None = Field(
        None, pattern="^[a-z0-9][a-z0-9-]{0,63}$", description="A name under which this data is stored separately."
    )
    train: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        max_length=100_000,
        description='Datasets for meta-training by name, such as "store:pumps", "store:pumps/pump-[0-6]" or '
        '"minari:D4RL/door/human-v2"; then nothing is collected and the fields above are ignored.',
    )
    test: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        max_length=100_000,
        description="Datasets of the unseen tasks by name, required with `train`; given alone only if the method does "
        "not learn from training tasks.",
    )
    normalize_observations: bool = Field(
        True,
        description="Normalise observations by mean and standard deviation of the training tasks' data, as is common "
        "in offline RL on D4RL.",
    )
    largest_action: float = Field(
        0.99,
        gt=0,
        le=1,
        description="Actions of the data are clipped to ± this for training: policies are squashed Gaussians, whose "
        "likelihood of actions at the bounds, -1 and 1, would outweigh that of all others.",
    )

    @field_validator("train", "test")
    @classmethod
    def _sources(cls, texts: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for text in texts or ():
            parse_source(text)
        return texts

    @model_validator(mode="after")
    def _not_train_alone(self) -> Self:
        if self.train is not None and self.test is None:
            raise ValueError("train is given and test is not, expected both or neither")
        return self

    @property
    def named(self) -> bool:
        """Whether datasets are given by name rather than collected."""
        return self.test is not None


class EvaluateSection(Settings):
    """Settings of the evaluation of policies in the true environments."""

    episodes: int = Field(10, ge=1, le=100_000, description="Episodes per task and policy.")
    policy: PolicyKind = Field(
        "deterministic", description="Evaluate a policy's most likely actions, or actions sampled with the run's seed."
    )
    videos: int = Field(
        2,
        ge=0,
        le=10_000,
        description="Number of unseen tasks with a video of an episode of every policy; needs `merpo[video]`.",
    )
    during_training: int = Field(10, ge=0, le=10_000, description="Evaluations on unseen tasks during meta-training.")
    snapshots: tuple[Annotated[int, Field(ge=0, le=10_000_000)], ...] = Field(
        (0, 10, 25, 50, 100),
        max_length=100,
        description="Adaptation steps after which the adapted policy is evaluated.",
    )

    @field_validator("snapshots")
    @classmethod
    def _rising(cls, steps: tuple[int, ...]) -> tuple[int, ...]:
        if list(steps) != sorted(set(steps)):
            raise ValueError(f"got {list(steps)}, expected rising integers >= 0")
        return steps


class RunSection(Settings):
    """Settings of execution; they do not change results, apart from rounding with other numbers of threads."""

    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto uses a GPU if there is one.")
    threads: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="PyTorch's threads, by default its own choice; one is enough for small networks.",
    )
    workers: int = Field(
        1,
        ge=1,
        le=1024,
        description="Threads among which the tasks are divided, each with one PyTorch thread; on a shared machine "
        "faster than several PyTorch threads.",
    )
    log_every: int = Field(10, ge=1, le=1_000_000, description="Steps between two lines of metrics.")
    checkpoint_every: float = Field(
        60.0,
        ge=0,
        le=1e6,
        description="Least seconds between checkpoints, more if they would take over 1 % of the time; 0: every step.",
    )
    tensorboard: bool = Field(True, description="Write TensorBoard scalars too, if tensorboard is installed.")
