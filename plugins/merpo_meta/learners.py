"""Meta-learners of the meta-model: proximal (the paper's), Reptile, MAML."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, final

from pydantic import Field

from merpo import MetaLearner, Params, gradient, weights
from merpo.lazy import torch

__all__ = ["MAML", "Proximal", "Reptile"]


@final
class Proximal(MetaLearner):
    """Eq. (3): task models with the penalty η‖θ − φ‖², and a meta-model that moves towards their mean."""

    name = "proximal"

    inner_lr: float = Field(1e-3, gt=0, le=1, description="Adam rate of a task's model (Table 2: 1e-4).")
    outer_lr: float = Field(0.5, gt=0, le=1, description="Step size ξ₁ towards the mean of the models (Table 2: 5e-2).")
    eta: float = Field(1e-3, ge=0, le=1e6, description="Weight η of the proximal term; the paper does not state it.")

    @property
    def proximal_weight(self) -> float:
        """η."""
        return self.eta

    def direction(
        self, phi: Params, adapt: Callable[[Params, bool], Params], query: Callable[[Params], torch.Tensor]
    ) -> Params:
        """φ_m − (1/N) Σ_n θ_n, line 6 of Algorithm 2."""
        return _towards_mean(phi, adapt)


@final
class Reptile(MetaLearner):
    """Reptile: task models without a penalty, and a meta-model that moves towards their mean."""

    name = "reptile"

    inner_lr: float = Field(1e-3, gt=0, le=1, description="Adam rate of a task's model.")
    outer_lr: float = Field(
        0.5, gt=0, le=1, description="Step size towards the mean of the models (Nichol et al., 2018)."
    )

    def direction(
        self, phi: Params, adapt: Callable[[Params, bool], Params], query: Callable[[Params], torch.Tensor]
    ) -> Params:
        """φ_m − (1/N) Σ_n θ_n (Nichol et al., 2018)."""
        return _towards_mean(phi, adapt)


@final
class MAML(MetaLearner):
    """MAML: the meta-model descends the loss of the tasks' models after their inner gradient steps."""

    name = "maml"

    inner_optimizer = "sgd"
    outer_optimizer = "adam"

    inner_lr: float = Field(1e-2, gt=0, le=1, description="SGD learning rate of a task's model.")
    outer_lr: float = Field(1e-3, gt=0, le=1, description="Adam rate of the meta-model.")
    order: Literal["first", "second"] = Field(
        "first",
        description="Second order differentiates through the inner steps; first order does not (Finn et al., 2017).",
    )

    def direction(
        self, phi: Params, adapt: Callable[[Params, bool], Params], query: Callable[[Params], torch.Tensor]
    ) -> Params:
        """∇_φ of the mean over tasks of the loss at θ_n(φ); in first order, the gradient with respect to θ_n."""
        if self.order == "second":
            _, grads = gradient(lambda p: query(adapt(p, True)).mean(0), phi)
            return grads
        theta = adapt(phi, False)
        _, grads = gradient(query, theta)
        return {key: grad.mean(0) for key, grad in grads.items()}


def _towards_mean(phi: Params, adapt: Callable[[Params, bool], Params]) -> Params:
    theta = adapt(phi, False)
    return {key: value - theta[key].mean(0) for key, value in weights(phi).items()}
