"""Interfaces of the kinds of component: hyper-parameters and pure methods, without parameters, optimisers or counters.

A concrete component subclasses one kind, sets `name`, declares its hyper-parameters as pydantic fields with a bound
and a description, and is never subclassed itself. Its recipe section *is* the component.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from merpo.components.component import Component, dump_component
from merpo.components.grid import EnvGrid
from merpo.components.registry import resolve
from merpo.components.schema import kind_schema
from merpo.errors import MerpoError
from merpo.nn.params import squared_distance, weights
from merpo.types import Batch, Grid, Params, Probes, Propose, Spec, Task

if TYPE_CHECKING:
    import gymnasium
    import numpy as np
    import torch

    from merpo.components.context import Adapted, Context, TaskData
    from merpo.nn.noise import Streams
    from merpo.nn.policy import TanhGaussian

__all__ = [
    "KINDS",
    "AlphaScheduler",
    "Critic",
    "DynamicsLearner",
    "Kind",
    "MetaLearner",
    "Method",
    "PolicyRegularizer",
    "TaskFamily",
    "can_draw",
]


class Kind(Component, ABC):
    """Base class of the kinds of component; a recipe section refers to a component by its kind and name."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """A field typed as a kind accepts `{component = "name", ...}`, one typed as a component that one's fields."""
        if cls.name:
            return handler(source)

        def validate(value: Any) -> Component:
            return value if isinstance(value, cls) else resolve(cls, value)

        def dump(value: Component) -> dict[str, Any]:
            return dump_component(value)

        return core_schema.no_info_plain_validator_function(
            validate,
            serialization=core_schema.plain_serializer_function_ser_schema(dump, when_used="always"),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        if cls.name:
            return handler(schema)
        return kind_schema(cls)


class DynamicsLearner(Kind):
    """T̂_θ(s', r | s, a) as an ensemble of M members, adapted from a meta-model. Parameters are [*lead, member, ...]."""

    kind = "dynamics"

    @abstractmethod
    def init(self, spec: Spec, data: Batch, generator: torch.Generator) -> Params:
        """Parameters of one ensemble [member, ...], with the normalisation of `data` [N, ...], all training rows."""

    @abstractmethod
    def loss(self, params: Params, batch: Batch) -> torch.Tensor:
        """What training minimises on `batch` [*lead, member, B, ...], one number per member: [*lead, member]."""

    def nll(self, params: Params, batch: Batch) -> torch.Tensor:
        """The negative log-likelihood, which ends training where it is least on held-out rows: [*lead, member].

        By default it is the loss.
        """
        return self.loss(params, batch)

    @abstractmethod
    def score(self, params: Params, batch: Batch) -> torch.Tensor:
        """The held-out error for choosing the best members, lower is better: [*lead, member]."""

    @abstractmethod
    def keep_best(self, params: Params, scores: torch.Tensor) -> Params:
        """The parameters [T, elite, ...] of the members with the lowest `scores` [T, member]."""

    @abstractmethod
    def step(
        self, params: Params, spec: Spec, observations: torch.Tensor, actions: torch.Tensor, noise: Streams
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """One model step of B rows, each by an elite drawn at random: s' [T, B, O], r [T, B], terminations [T, B]."""

    def uncertainty(self, params: Params, observations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """The elites' uncertainty u(s, a) about s' and r at B rows, at least 0: [T, B], without random draws.

        Used only if `rac.reward_penalty` is above 0. Raises `MerpoError` for dynamics without such an estimate.
        """
        raise MerpoError(f"dynamics {self.name!r} has no uncertainty estimate; set rac.reward_penalty = 0")

    def disagreement(self, params: Params, observations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor | None:
        """How far the elites' predictions of B rows are apart, at least 0: [T, B], without random draws.

        Rollouts end where it is larger than in the task's data. None, the default, for dynamics without an ensemble.
        """
        return None


class MetaLearner(Kind):
    """Training of the meta-model φ_m from the tasks' models: the inner penalty and the outer step."""

    kind = "meta_learner"

    inner_optimizer: ClassVar[Literal["adam", "sgd"]] = "adam"
    outer_optimizer: ClassVar[Literal["adam", "sgd"]] = "sgd"

    inner_lr: float
    outer_lr: float

    @property
    def proximal_weight(self) -> float:
        """η of the penalty η‖θ − φ‖² of the inner problem, by default 0."""
        return 0.0

    def penalty(self, theta: Params, phi: Params) -> torch.Tensor:
        """The penalty of the inner problem on each member's loss: η‖θ − φ‖², [T, member].

        A meta-learner with another penalty overrides this; its gradient is then computed by autograd.
        """
        if self.proximal_weight == 0:
            first = next(iter(weights(theta).values()))
            return first.new_zeros(first.shape[:2])
        return self.proximal_weight * squared_distance(theta, phi, dims=2)

    @abstractmethod
    def direction(
        self, phi: Params, adapt: Callable[[Params, bool], Params], query: Callable[[Params], torch.Tensor]
    ) -> Params:
        """The direction d of the outer step φ ← φ − ξ₁ d (or Adam on d), for the trainable part of φ.

        `adapt(phi, differentiable)` runs the inner steps on a batch of tasks and gives θ [T, member, ...];
        `query(theta)` is the loss on other rows of the same tasks [T, member].
        """


class Critic(Kind):
    """Q(s, a) and the two terms of Eq. (1). Parameters are [*lead, critic, ...]."""

    kind = "critic"

    @abstractmethod
    def init(self, spec: Spec, generator: torch.Generator) -> Params:
        """Parameters of one task's critics [critic, ...]."""

    @abstractmethod
    def value(self, params: Params, observations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Q of every critic: observations [T, B, O], actions [T, B, A] -> [T, critic, B]."""

    @abstractmethod
    def backup(
        self,
        target: Params,
        batch: Batch,
        actions: torch.Tensor,
        log_probs: torch.Tensor,
        temperature: torch.Tensor,
        discount: float,
    ) -> torch.Tensor:
        """The Bellman target of each row [T, B] with a' ~ π(·|s') [T, B, A], log π(a'|s') [T, B], temperature [T]."""

    @abstractmethod
    def bellman_error(self, values: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """½ E_{d_f}[(Q − B̂Q)²] of Eq. (1), averaged over critics: values [T, critic, B], targets [T, B] -> [T]."""

    @abstractmethod
    def probes(self, rho: Batch, propose: Propose, noise: Streams) -> Probes:
        """State-action pairs at which Q is penalised, from rows `rho` of model rollouts.

        `propose` draws the current policy's actions. `value` is computed at the probes and at the rows of the Bellman
        error in one pass through the networks.
        """

    @abstractmethod
    def gap(self, probes: Probes, probe_values: torch.Tensor, data_values: torch.Tensor) -> torch.Tensor:
        """The difference in the first term of Eq. (1), E_ρ[Q] − E_D[Q], averaged over critics: [T].

        `probe_values` [T, critic, P] is Q at the probes, `data_values` [T, critic, B] at rows of the dataset.
        """


class PolicyRegularizer(Kind):
    """D(π_n, π_β,n) and D(π_n, π_c) of Eq. (7)."""

    kind = "regularizer"

    @abstractmethod
    def to_behavior(
        self, policy: TanhGaussian, behavior: TanhGaussian, actions: torch.Tensor, noise: Streams
    ) -> torch.Tensor:
        """Divergence [T] from the behaviour policy, of which `behavior` is a clone, at the data's rows [T, B, ...]."""

    @abstractmethod
    def to_meta(self, policy: TanhGaussian, meta: TanhGaussian, noise: Streams) -> torch.Tensor:
        """Divergence from the meta-policy [T], at states of ρ_n."""


class AlphaScheduler(Kind):
    """Schedule of α_n, the balance between the behaviour policy (1) and the meta-policy (0)."""

    kind = "alpha"

    initial: float

    @abstractmethod
    def update(self, alpha: torch.Tensor, to_behavior: torch.Tensor, to_meta: torch.Tensor) -> torch.Tensor:
        """The next α [T] from this one [T] and the two divergences [T]."""


class TaskFamily(Kind):
    """A distribution of tasks with the same spaces. Actions are in [-1, 1]."""

    kind = "tasks"

    has_environment: ClassVar[bool] = True  # if False, no data is collected and no returns are measured

    horizon: int

    @abstractmethod
    def spec(self) -> Spec:
        """Dimensions and the termination function of every task."""

    @abstractmethod
    def tasks(self, train: int, test: int) -> tuple[list[Task], list[Task]]:
        """The parameters of the training tasks and of the unseen tasks; the same on every call."""

    @abstractmethod
    def make(self, task: Task) -> gymnasium.Env[Any, Any]:
        """The Gymnasium environment of one task, action box [-1, 1], truncated after `horizon` steps."""

    def oracle(self, task: Task) -> Callable[[np.ndarray], np.ndarray] | None:
        """The optimal policy of one task (observation [O] -> action [A]); None, the default, if it is not known."""
        return None

    def grid(self, tasks: Sequence[Task], episodes: int, seed: int, restart: bool) -> Grid:
        """`episodes` environments of each task; environment e starts like `make`'s after a reset with `seed + e`.

        By default these environments are stepped one after the other. An override may step them together, with the
        same results.
        """
        return EnvGrid(self.make, tasks, episodes, seed, restart)


class Method(Kind):
    """A complete algorithm: meta-training on the training tasks, then adaptation to a new task from its data alone."""

    kind = "method"

    learns_from_tasks: ClassVar[bool] = True  # if False, observations are normalised by the data passed to `adapt`

    @property
    def min_transitions(self) -> int:
        """The number of rows of the largest batch; a dataset with fewer is refused before training."""
        return 2

    def fixed_after_fit(self, key: str) -> str:
        """Why a setting such as `adaptation.steps` cannot change once `fit` is done; empty if it can.

        A method whose `adapt` has settings of its own overrides this, for `merpo adapt --set`.
        """
        return f"method {self.name!r} has no setting that may change after meta-training"

    @abstractmethod
    def fit(self, tasks: TaskData, context: Context) -> dict[str, Params]:
        """The meta-artifact: named groups of parameters, which are saved. Calls `context.evaluate_meta` if due."""

    @abstractmethod
    def adapt(self, meta: dict[str, Params], tasks: TaskData, context: Context) -> Adapted:
        """A policy for every task of `tasks`, from its own data and the meta-artifact."""

    @abstractmethod
    def act(self, policy: Params, observations: torch.Tensor) -> torch.Tensor:
        """Deterministic actions [T, B, A] of adapted policies (or of a meta-policy, without the task dim)."""

    def sample(self, policy: Params, observations: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Stochastic actions [T, B, A] from standard normal `noise` [T, B, A].

        Raises `MerpoError` here, for methods whose policies are deterministic only.
        """
        raise MerpoError(f"method {self.name!r} has deterministic policies only")

    def value(self, adapted: Adapted, observations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor | None:
        """The discounted return of actions [T, B, A] estimated by the adapted critics, in units of reward: [T, B].

        None if the method has no critic.
        """
        return None


KINDS: dict[str, type[Component]] = {
    kind.kind: kind
    for kind in (DynamicsLearner, MetaLearner, Critic, PolicyRegularizer, AlphaScheduler, TaskFamily, Method)
}


def can_draw(method: Method) -> bool:
    """Whether a method's policies are stochastic, that is, whether it overrides `sample`."""
    return type(method).sample is not Method.sample
