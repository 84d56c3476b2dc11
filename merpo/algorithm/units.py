"""Units of the algorithm, from the training tasks' data: discount, scale of rewards, statistics, ranges."""

from __future__ import annotations

from typing import Literal, NamedTuple

from merpo.components.task_data import TaskData
from merpo.lazy import torch
from merpo.nn.scale import ACTION_STD
from merpo.types import Params, Units

__all__ = ["Scales", "discount_of", "fit_scales", "returns_to_go"]

SPAN = 3.0  # time constants of the discount within an episode: the horizon's end counts for exp(-3), 5 %
DISCOUNTS = (0.9, 0.99)
CONSTANT = 1e-6  # of the largest |return|: a smaller standard deviation is rounding error
MARGIN = 0.1  # of the range of an observation: unseen tasks may go a little further


class Scales(NamedTuple):
    """Discount, factor on rewards, and the units of actions and values."""

    discount: float
    reward_scale: float
    units: Units | None

    def group(self) -> Params:
        """The numbers as a group of an artifact, in float64: they are settings, too."""
        kind = torch.float64
        numbers = {"discount": torch.tensor(self.discount, dtype=kind)}
        numbers["reward_scale"] = torch.tensor(self.reward_scale, dtype=kind)
        return numbers if self.units is None else {**numbers, **self.units._asdict()}

    @staticmethod
    def from_group(group: Params) -> Scales:
        """The inverse of `group`."""
        units = Units(*(group[key] for key in Units._fields)) if set(Units._fields) <= set(group) else None
        return Scales(float(group["discount"]), float(group["reward_scale"]), units)

    def applied(self, data: TaskData) -> TaskData:
        """The same rows, with the units in the spec, from which networks take them."""
        return data._replace(spec=data.spec._replace(units=self.units))


def discount_of(horizon: int) -> float:
    """γ = 1 − 3 / horizon, between 0.9 and 0.99: three time constants in an episode."""
    low, high = DISCOUNTS
    return min(high, max(low, 1.0 - SPAN / horizon))


def returns_to_go(
    rewards: torch.Tensor, terminations: torch.Tensor, offsets: torch.Tensor, discount: float
) -> torch.Tensor:
    """The discounted return from every row to the end of its episode, [N] in time order.

    After an episode that a time limit ended, the mean reward goes on for ever, as the critics bootstrap there, too.
    """
    tail = rewards.mean() / (1.0 - discount)
    lengths = offsets.diff()
    episodes, longest = len(lengths), int(lengths.max())
    steps = torch.arange(longest, device=rewards.device)
    inside = steps < lengths[:, None]  # [E, L]
    index = (offsets[:-1, None] + steps).clamp(max=len(rewards) - 1)
    ends = terminations[offsets[1:] - 1]
    value, table = tail * (1.0 - ends), rewards.new_zeros(episodes, longest)
    for step in range(longest - 1, -1, -1):
        value = torch.where(inside[:, step], rewards[index[:, step]] + discount * value, value)
        table[:, step] = value
    return table[inside]


def fit_scales(data: TaskData, discount: float | Literal["auto"], reward_scale: float | Literal["auto"]) -> Scales:
    """The scales from all rows of `data`: of returns within tasks, of actions over all tasks.

    Values are scaled by returns, as in Schaul et al. (2021), and not shifted: where episodes terminate, a shift of the
    rewards would change what is optimal.

    Without the order of rows in time there are no units, and `discount` and `reward_scale` must be numbers.
    """
    if data.episodes is None and discount != "auto" and reward_scale != "auto":
        return Scales(discount, reward_scale, None)
    ordered = [data.in_order(task) for task in range(data.n_tasks)]
    if discount == "auto":
        discount = discount_of(max(int(offsets.diff().max()) for _, offsets in ordered))
    returns = [
        returns_to_go(rows.rewards.double(), rows.terminations.double(), offsets, discount) for rows, offsets in ordered
    ]
    means, spread = torch.stack([r.mean() for r in returns]), _spread(returns)
    if reward_scale == "auto":
        reward_scale = 1.0 / float(spread)
    actions = torch.cat([rows.actions for rows, _ in ordered]).double()
    visited = torch.cat([torch.cat([rows.observations, rows.next_observations]) for rows, _ in ordered]).double()
    low, high = visited.amin(0), visited.amax(0)
    margin = MARGIN * (high - low)
    rewards = torch.cat([rows.rewards for rows, _ in ordered]).double()
    numbers = (
        actions.mean(0),
        actions.std(0, correction=0).clamp(min=ACTION_STD),
        means.mean() * reward_scale,
        spread * reward_scale,
        low - margin,
        high + margin,
        rewards.amin(),
        rewards.amax(),
    )
    return Scales(discount, reward_scale, Units(*(number.to(data.rows.dtype) for number in numbers)))


def _spread(returns: list[torch.Tensor]) -> torch.Tensor:
    """The standard deviation of returns within a task: root mean variance over the tasks in which they vary.

    With sparse rewards that is where there are any. If they vary in no task, the largest |return|, or 1 if all are 0.
    """
    largest = torch.stack([r.abs().amax() for r in returns])
    variances = torch.stack([r.var(correction=0) for r in returns])
    varies = variances.sqrt() > CONSTANT * largest
    if bool(varies.any()):
        return variances[varies].mean().sqrt()
    return largest.amax() if bool(largest.amax() > 0) else torch.ones((), dtype=largest.dtype)
