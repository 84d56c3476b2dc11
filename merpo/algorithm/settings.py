"""Settings of the algorithm's stages, which are sections of a recipe."""

from __future__ import annotations

from abc import ABC
from typing import Annotated, Literal

from pydantic import Field

from merpo.components.component import HiddenWidths, Settings

__all__ = [
    "AdaptSettings",
    "BehaviorSettings",
    "GivenPolicySettings",
    "MetaModelSettings",
    "MetaPolicySettings",
    "ModelSettings",
    "RacSettings",
]


class EarlyStoppingSettings(Settings, ABC):
    """Early stopping on held-out rows, for every task, or every member of its model, by itself."""

    patience: int = Field(
        5,
        ge=0,
        le=1_000_000,
        description="Evaluations on held-out rows without an improvement after which training stops; 0: never, all "
        "steps are taken.",
    )
    evaluate_every: int = Field(100, ge=1, le=1_000_000, description="Steps between two such evaluations.")
    holdout: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Share of each task's rows held out to stop training, and to choose a model's best members.",
    )


class MetaModelSettings(EarlyStoppingSettings):
    """Eq. (3) and Eq. (4): settings of the meta-model and of the tasks' models."""

    iterations: int = Field(
        100, ge=0, le=10_000_000, description="Meta-iterations k, at most; 0 leaves the meta-model untrained."
    )
    task_batch: int = Field(8, ge=1, le=100_000, description="Tasks per meta-iteration.")
    inner_steps: int = Field(
        25, ge=1, le=100_000, description="Gradient steps h per task and meta-iteration (Table 2)."
    )
    batch_size: int = Field(128, ge=1, le=1_000_000, description="Rows per member and step.")
    meta_patience: int = Field(
        5,
        ge=0,
        le=1_000_000,
        description="Evaluations on held-out rows without an improvement after which the meta-model stops; 0: never.",
    )
    meta_evaluate_every: int = Field(10, ge=1, le=1_000_000, description="Meta-iterations between two of them.")
    adaptation_steps: int = Field(
        3000, ge=0, le=10_000_000, description="Steps t of Eq. (4) for one task's model, at most (Table 2: 25)."
    )
    adaptation_lr: float | None = Field(
        None, gt=0, le=1, description="Learning rate of Eq. (4); by default the meta-learner's inner rate."
    )


class ModelSettings(EarlyStoppingSettings):
    """A.2.1: settings of a task's model trained on its own data alone."""

    steps: int = Field(10_000, ge=1, le=10_000_000, description="Maximum-likelihood steps per task, at most.")
    batch_size: int = Field(128, ge=1, le=1_000_000, description="Rows per member and step.")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="Adam rate (Table 1: model lr).")


class BehaviorSettings(EarlyStoppingSettings):
    """Settings of the behaviour clone π̂_β, which makes −E_D[log π_n] a divergence."""

    hidden: HiddenWidths = Field((64, 64), description="Hidden widths.")
    steps: int = Field(10_000, ge=1, le=10_000_000, description="Maximum-likelihood steps per task, at most.")
    batch_size: int = Field(128, ge=1, le=1_000_000, description="Rows per step.")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="Adam rate.")


class RacSettings(Settings):
    """Settings of Algorithm 1, within one task."""

    policy_hidden: HiddenWidths = Field((64, 64), description="Hidden widths of policies (A.2.2: 5 x 300).")
    discount: Annotated[float, Field(ge=0, lt=1)] | Literal["auto"] = Field(
        "auto",
        description="γ (Table 2: 0.99; 0.9 for Point-Robot-Wind); auto: 1 − 3 / longest episode of the training tasks' "
        "data, between 0.9 and 0.99.",
    )
    reward_scale: Annotated[float, Field(gt=0, le=1e9)] | Literal["auto"] = Field(
        "auto",
        description="Factor on rewards inside the algorithm; λ, τ and β apply to scaled rewards. auto: such that the "
        "discounted returns in the training tasks' data have a standard deviation of 1 within a task.",
    )
    batch_size: int = Field(128, ge=2, le=1_000_000, description="Rows per task and step (Table 2: 256).")
    real_ratio: float = Field(0.5, gt=0, le=1, description="f, the share of rows from the dataset (Table 2).")
    rho_batch: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Rows of ρ in the expectations of Eq. (1) and Eq. (7): at least, and by default, the model rows of "
        "a batch. The number of model rows in d_f stays the same.",
    )
    use_model: bool = Field(True, description="Roll out the learnt model; without it the method is model-free (CQL).")
    rollout_length: int = Field(3, ge=1, le=1000, description="Model steps per rollout (Table 2: 1).")
    clip_rollouts: bool = Field(
        True, description="Clip the model's predictions to the range of observations and rewards in the training data."
    )
    halt: bool = Field(
        True,
        description="End model rollouts, with the lowest return of the data, where the members of the task's model "
        "disagree more than on 99 % of the task's own rows (MOReL).",
    )
    reward_penalty: float = Field(
        0.0,
        ge=0,
        le=1e6,
        description="Penalty on the model's rewards per unit of its uncertainty (MOPO); 0 for none.",
    )
    rollout_batch: int = Field(64, ge=1, le=1_000_000, description="Rollouts per task and step.")
    model_buffer: int = Field(2048, ge=1, le=10_000_000, description="Most recent rows of D_model kept per task.")
    critic_lr: float = Field(1e-3, ge=0, le=1, description="Inner critic lr (Table 2).")
    actor_lr: float = Field(1e-3, ge=0, le=1, description="Inner actor lr (Table 2).")
    polyak: float = Field(1e-2, gt=0, le=1, description="Step of the target networks towards the critics (SAC: 5e-3).")
    max_entropy: bool = Field(False, description="Entropy term in backup and policy improvement (Table 2: yes).")
    temperature_initial: float = Field(
        0.1, gt=0, le=1e6, description="Initial entropy temperature, in units of reward."
    )
    temperature_lr: float = Field(1e-3, ge=0, le=1, description="Adam rate of the log-temperature; 0 keeps it fixed.")
    target_entropy: float = Field(-1.0, ge=-100, le=100, description="Target entropy per action dimension (SAC).")
    beta_initial: float = Field(0.015, ge=0, le=1e6, description="Initial β of Eq. (1) (Table 2: log β initial 0).")
    beta_tune: bool = Field(False, description="Tune β by dual ascent (Table 2: yes).")
    beta_lr: float = Field(1e-3, ge=0, le=1, description="Adam rate of log β (Table 2).")
    beta_threshold: float = Field(10.0, ge=-1e6, le=1e6, description="τ, the gap above which β grows (Table 2).")
    lambda_initial: float = Field(0.5, ge=0, le=1e6, description="Initial λ of Eq. (7) (Table 2: 5).")
    lambda_tune: bool = Field(False, description="Tune λ by dual descent (Table 2: yes).")
    lambda_relative: bool = Field(
        True,
        description="λ is a multiple of the standard deviation of Q over the behaviour policy's actions, rather than a "
        "number in units of Q: λ then means the same whatever the rewards.",
    )
    lambda_lr: float = Field(1.0, ge=0, le=1e3, description="Rate of λ's plain gradient step (Table 2).")
    lambda_target: float = Field(0.05, ge=-100, le=1e3, description="Target divergence D_target (Table 2).")
    lambda_max: float = Field(1e6, ge=0, le=1e9, description="Upper bound of λ; FOCAL bounds the same dual.")


class MetaPolicySettings(Settings):
    """Algorithm 2, lines 9 to 18: settings of the meta-policy and the meta-Q network."""

    iterations: int = Field(
        400, ge=0, le=10_000_000, description="Meta-iterations k; 0 leaves the meta-policy untrained."
    )
    task_batch: int = Field(8, ge=1, le=100_000, description="Tasks per meta-iteration (Table 2).")
    inner_steps: int = Field(10, ge=1, le=100_000, description="RAC steps J per task and meta-iteration (Table 2).")
    outer_lr: float = Field(1e-3, gt=0, le=1, description="Adam rate of the meta-policy (Table 2: outer actor lr).")
    meta_q_lr: float = Field(0.1, gt=0, le=1, description="Step ξ_q of meta-Q towards the mean critic (Table 2: 1e-3).")
    task_networks: Literal["persistent", "critic-from-meta", "from-meta"] = Field(
        "persistent",
        description="A task's networks each time it is sampled: its own from the last time (Algorithm 2, line 1); "
        "its own policy with meta-Q; or the meta-policy with meta-Q (A.2.2's text).",
    )


class AdaptSettings(Settings):
    """Section 4.3: settings of RAC on an unseen task."""

    steps: int = Field(
        5000, ge=0, le=10_000_000, description="Adaptation steps (Table 2: 100); critic-only steps count too."
    )
    critic_lead: int = Field(
        0, ge=0, le=10_000_000, description="The first of these steps, which train the critic only."
    )
    critic_lr: float | None = Field(None, ge=0, le=1, description="Critic rate; by default the inner critic lr.")
    actor_lr: float | None = Field(None, ge=0, le=1, description="Policy rate; by default the inner actor lr.")
    polyak: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Step of the target networks, which start at meta-Q; by default the inner one.",
    )
    rho_batch: int | None = Field(None, ge=1, le=1_000_000, description="Rows of ρ; by default as in meta-training.")
    alpha: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Fixed α of the unseen tasks; by default the meta-learnt one, updated by the scheduler.",
    )
    candidates: int = Field(
        10,
        ge=0,
        le=1000,
        description="The policies after so many equal parts of the steps are candidates, beside meta-policy and clone; "
        "the meta-policy stays unless the clone, or another, is better in the task's model. 0 keeps the last policy.",
    )
    beta_start: float | None = Field(None, ge=0, le=1e6, description="β at the start; by default the meta-learnt one.")
    lambda_start: float | None = Field(
        None, ge=0, le=1e6, description="λ at the start; by default the meta-learnt one."
    )
    temperature_start: float | None = Field(
        None, gt=0, le=1e6, description="Entropy temperature at the start; by default the meta-learnt one."
    )
    init_policy: bool = Field(True, description="Start the policy from the meta-policy (Fig. 9b: with meta / no init).")
    init_critic: bool = Field(True, description="Start the critics from meta-Q.")


class GivenPolicySettings(Settings):
    """Settings of a given, not learnt, meta-policy (Section 5.1)."""

    source: Literal["none", "random", "run", "policy", "checkpoint"] = Field(
        "random",
        description="None; an untrained network (Section 5.1's poor one); the meta-policy of a finished run; an "
        "adapted or exported policy; or the policy that collected a dataset of the store.",
    )
    path: str = Field(
        "",
        max_length=4096,
        description="A run's folder; a file of `merpo export`, or a run's folder; or COLLECTION/DATASET in the store.",
    )
    task: int | None = Field(
        None, ge=0, le=10_000_000, description="With `policy`: the index of the task, if there are several."
    )
    hidden: HiddenWidths | None = Field(
        None,
        description="With `random`: hidden widths, by default those of the task's policy. The deeper an untrained "
        "network, the nearer its means are to 0 and its stds to 1.",
    )

    def model_post_init(self, _: object) -> None:
        """Refuse a missing or unused path, and an unused task."""
        if bool(self.path) != (self.source in ("run", "policy", "checkpoint")):
            expected = "no path" if self.path else "a path"
            raise ValueError(f"source = {self.source!r} with path = {self.path!r}, expected {expected}")
        if self.task is not None and self.source != "policy":
            raise ValueError(f"source = {self.source!r} with task = {self.task}, expected no task")
