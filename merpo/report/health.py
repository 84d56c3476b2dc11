"""Health of a run: checks of figures that say whether its parts work, each with a status and what to do about it.

Every check is a pure function of figures. Thresholds stand here alone, with their reasons; `docs/tuning.md` explains
every check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from pydantic import BaseModel, ConfigDict

from merpo.data.coverage import Coverage
from merpo.support.format import number, share
from merpo.support.statistics.estimate import paired
from merpo.support.statistics.interval import Interval, judged

__all__ = ["Check", "Figures", "Status", "judge"]

Status: TypeAlias = Literal["pass", "warning", "failure"]

# Where a check begins to warn, and where it fails.
EPISODES = (5, 2)  # fewer: the data's mean return is known to half of its spread over episodes; a spread needs two
OUTSIDE = (0.10, 0.50)  # of a task's rows, of which 0.002 are expected: one in ten; most of what the policy will see
MODEL = (0.50, 0.90)  # of the error of predicting the mean: half is explained; next to nothing is
WORST_DIM = 0.90  # warns only: a dim may be noise, which no model predicts
UNKNOWN = (0.10, 0.50)  # of the policy's steps, of which 0.01 are expected of the data's: ten times that; most
RETURNS = (1.0, 3.0)  # standard deviations of the data's returns between promise and data: one episode's luck; never
SURE = 3.0  # standard errors: a smaller difference may be chance
CLONE_GAIN = (0.02, 0.10)  # nats per action dim from a tenth more steps: actions' errors 2 % smaller; 10 %
Q_OUTSIDE = 0.05  # share of rows: more than the tail of a sound Q; it fails where Q's mean over a task is outside
Q_GROWTH = (0.10, 0.50)  # of what rewards allow, in the second half of adaptation: no longer converging; diverging
PULL = (0.05, 0.005)  # share of a term in the policy's gradient: hardly, and not at all, heard beside the others
AT_BOUNDS = 0.50  # share of a task's actions: where most are on the edge, a density inside says little of them
SATURATED = 0.25  # by how much more of the policy's actions than of the logged ones are there


class Check(BaseModel):
    """One check: its status, the figures behind it, and one line of advice unless it passed."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    name: str
    status: Status
    figure: str
    advice: str = ""
    values: dict[str, float] = {}


class Figures(NamedTuple):
    """What is known of a run; a check whose figures are missing is left out."""

    tasks: Sequence[int] = ()  # indices of the unseen tasks
    columns: Sequence[str] = ()  # names of observations, actions and the reward
    observations: int = 0  # how many of the columns are observations
    coverage: Coverage | None = None
    scores: Mapping[str, Sequence[float]] = {}  # `Adapted.scores`, one number per unseen task
    returns: Mapping[str, Sequence[float]] = {}  # policy -> its return on every unseen task
    has_environment: bool = True
    stochastic: bool = False  # whether policies were measured by drawn actions


def judge(figures: Figures) -> list[Check]:
    """Every check with figures, from the data to the policies: an earlier one often explains a later one."""
    checks = (_episodes, _rewards, _actions, _range, _model, _returns, _unknown, _clone, _values, _growth, _pull)
    found = [check for function in checks if (check := function(figures)) is not None]
    return found + list(_against_the_clone(figures))


def _episodes(figures: Figures) -> Check | None:
    data = figures.coverage
    if data is None:
        return None
    unseen, training = min(data.episodes), min(data.training_episodes, default=None)
    least = unseen if training is None else min(unseen, training)
    text = f"at least {unseen} for each unseen task"
    text += "" if training is None else f", {training} for each training task"
    values = {"unseen": float(unseen)} | ({} if training is None else {"training": float(training)})
    status: Status = "failure" if least < EPISODES[1] else "warning" if least < EPISODES[0] else "pass"
    advice = "collect more episodes: so few do not show what actions lead to, nor what the logs earn"
    return _check("episodes", status, text, advice, values)


def _rewards(figures: Figures) -> Check | None:
    if figures.coverage is None:
        return None
    vary = figures.coverage.vary
    count, varying = len(vary), sum(vary)
    values = {"tasks": float(count), "varying": float(varying)}
    if varying == count:
        return _check("rewards", "pass", f"vary in all {count} tasks", "", values)
    text = f"vary in {varying} of {count} tasks"
    if varying == 0:
        advice = "by these rewards no action is better than another: check the reward's column, or use the clone"
        return _check("rewards", "failure", text, advice, values)
    advice = "in the other tasks nothing says which action is better: collect episodes that reach rewards there"
    return _check("rewards", "failure" if varying == 1 else "warning", text, advice, values)


def _actions(figures: Figures) -> Check | None:
    if figures.coverage is None:
        return None
    logged = figures.coverage.at_bounds
    policy = figures.scores.get("at_bounds")
    worst = _place(logged)
    text = f"up to {share(logged[worst])} of the logged ones at their bounds{_of(figures, worst)}"
    values = {"logged": logged[worst]}
    status: Status = "warning" if logged[worst] > AT_BOUNDS else "pass"
    advice = "check action_low and action_high of the import: bounds that are too tight cut actions off"
    if policy is not None:
        high = _place(policy)
        more = _place([a - b for a, b in zip(policy, logged, strict=True)])
        text += f", up to {share(policy[high])} of the policy's{_of(figures, high)}"
        values["policy"] = policy[high]
        if policy[more] > AT_BOUNDS and policy[more] > logged[more] + SATURATED:
            status = "warning"
            advice = "the policy saturates where the logs do not: raise λ (method.rac.lambda_initial), or train it less"
    return _check("actions", status, text, advice, values)


def _range(figures: Figures) -> Check | None:
    if figures.coverage is None or not figures.coverage.outside:
        return None
    shares = [part for _, part in figures.coverage.outside]
    worst = _place(shares)
    column = figures.columns[figures.coverage.outside[worst][0]]
    text = f"up to {share(shares[worst], 1)} of a task's rows outside of the training tasks' range ({column}"
    text += f" of task {figures.tasks[worst]})"
    advice = f"the meta-policy never met such {column}: add training tasks like task {figures.tasks[worst]}, or train "
    advice += "on that task alone (method single)"
    return _check("range of the data", _above(shares[worst], OUTSIDE), text, advice, {"share": shares[worst]})


def _model(figures: Figures) -> Check | None:
    errors, worsts, dims = (figures.scores.get(f"model_{key}") for key in ("error", "error_worst", "worst_dim"))
    if errors is None or worsts is None or dims is None:
        return None
    task, place = _place(errors), _place(worsts)
    dim = int(dims[place])
    named = figures.columns[dim] if dim < figures.observations else "reward"
    text = f"held-out error up to {errors[task]:.2g} times that of predicting the mean{_of(figures, task)}"
    text += f"; worst dimension {named} with {worsts[place]:.2g}{_of(figures, place)}"
    status = _above(errors[task], MODEL)
    if status == "pass" and worsts[place] > WORST_DIM:
        status = "warning"
    advice = "an error near 1 knows nothing: train the models longer (meta_model.iterations and adaptation_steps, or "
    advice += "model.steps)"
    if dim < figures.observations:
        advice += f"; if {named} is noise, leave it out of the data"
    values = {"error": errors[task], "worst": worsts[place]}
    return _check("model", status, text + _kept(figures, "model"), advice, values)


def _returns(figures: Figures) -> Check | None:
    gaps, errors = figures.scores.get("return_gap"), figures.scores.get("return_gap_error")
    if gaps is None or errors is None:
        return None
    sure = [abs(gap) if abs(gap) > SURE * error else 0.0 for gap, error in zip(gaps, errors, strict=True)]
    worst = _place(sure if max(sure) > 0 else [abs(gap) for gap in gaps])
    gap = gaps[worst]
    text = f"promises the clone {abs(gap):.2g} standard deviations {'more' if gap > 0 else 'less'} than the data's "
    text += f"mean return{_of(figures, worst)}"
    advice = (
        "what it promises other policies is off by as much, at least: train the models longer, or collect episodes "
    )
    advice += "with more varied actions; until then prefer the clone"
    return _check("returns of the model", _above(sure[worst], RETURNS), text, advice, {"gap": gap})


def _unknown(figures: Figures) -> Check | None:
    shares = figures.scores.get("unknown")
    if shares is None:
        return None
    worst = _place(shares)
    text = f"up to {share(shares[worst], 1)} of the policy's steps lead to where the members of its model disagree "
    text += f"more than on 99 % of the data{_of(figures, worst)}"
    advice = "no data says what happens there: method.rac.halt should be true; else raise λ "
    advice += "(method.rac.lambda_initial), or collect episodes that reach there"
    return _check("reach of the policy", _above(shares[worst], UNKNOWN), text, advice, {"share": shares[worst]})


def _clone(figures: Figures) -> Check | None:
    gains = figures.scores.get("clone_gain")
    if gains is None:
        return None
    worst = _place(gains)
    text = "a tenth more steps change the log-likelihood of held-out actions by up to "
    text += f"{gains[worst]:+.2g} per dimension"
    advice = "the clone had not learned the data's actions when it stopped: raise method.behavior.steps"
    status = _above(gains[worst], CLONE_GAIN)
    return _check("clone", status, text + _of(figures, worst) + _kept(figures, "clone"), advice, {"gain": gains[worst]})


def _values(figures: Figures) -> Check | None:
    names = ("q_mean", "q_floor", "q_ceiling", "q_outside")
    means, floors, ceilings, outside = (figures.scores.get(name) for name in names)
    if means is None or floors is None or ceilings is None or outside is None:
        return None
    beyond = [max(m - c, f - m) for m, f, c in zip(means, floors, ceilings, strict=True)]
    impossible = max(beyond) > 0
    worst = _place(beyond if impossible else outside)
    mean, floor, ceiling = (values[worst] for values in (means, floors, ceilings))
    text = f"{number(mean)} on the mean, where rewards allow {number(floor)} to {number(ceiling)}; "
    text += f"{share(outside[worst])} of rows outside{_of(figures, worst)}"
    status: Status = "failure" if impossible else "warning" if outside[worst] > Q_OUTSIDE else "pass"
    advice = "no policy earns that: "
    if mean > (floor + ceiling) / 2:
        advice += "if Q is still near 0, where it begins, train it longer; else raise β (method.rac.beta_initial), "
        advice += "shorten method.rac.rollout_length, or check the ends of episodes"
    else:
        advice += "lower β (method.rac.beta_initial), or the threshold that raises it is too low (beta_threshold)"
    values = {"mean": mean, "floor": floor, "ceiling": ceiling, "outside": outside[worst]}
    return _check("Q", status, text, advice, values)


def _growth(figures: Figures) -> Check | None:
    rises = figures.scores.get("q_growth")
    if rises is None:
        return None
    worst = _place(rises)
    text = f"in the second half of adaptation up to {share(rises[worst], 1)} of what rewards allow{_of(figures, worst)}"
    advice = "Q runs away, and the policy follows it: lower critic_lr or polyak of method.adaptation, or raise β"
    return _check("growth of Q", _above(rises[worst], Q_GROWTH), text, advice, {"share": rises[worst]})


def _pull(figures: Figures) -> Check | None:
    parts = {key: figures.scores.get(f"pull_{key}") for key in ("q", "clone", "meta")}
    means = {key: sum(values) / len(values) for key, values in parts.items() if values}
    if len(means) < len(parts):
        return None
    told = {key: share(value, 1) for key, value in means.items()}
    text = f"{told['q']} from Q, {told['clone']} from the clone, {told['meta']} from the meta-policy"
    held = means["clone"] + means["meta"]
    status: Status = "pass"
    advice = ""
    if means["q"] < PULL[0]:
        status = "failure" if means["q"] < PULL[1] else "warning"
        advice = "the policy only imitates, as λ drowns Q: lower method.rac.lambda_initial, or raise reward_scale"
    elif held < PULL[0]:
        status = "failure" if held < PULL[1] else "warning"
        advice = "nothing holds the policy near data and meta-policy: raise lambda_initial, or lower reward_scale"
    return _check("pull on the policy", status, text, advice, means)


def _against_the_clone(figures: Figures) -> Iterator[Check]:
    """The meta-policy and the adapted policies against the clones that act as they do."""
    if not figures.has_environment and "clone_gain" in figures.scores:
        advice = "nothing was measured: try the clone first, then the policy, on the real system and under supervision"
        yield _check("policy against the clone", "warning", "unknown without an environment", advice, {})
        return
    clone = figures.returns.get("clone_drawn" if figures.stochastic else "clone")
    if clone is None:
        return
    if (meta := figures.returns.get("meta_policy")) is not None:
        difference = paired(meta, clone, ("tasks",)).interval
        status: Status = "warning" if difference.mean < 0 else "pass"
        advice = "imitating a task's data is better than what was learned from all tasks. Where tasks need different "
        advice += "actions in the same states, as with goals that are not observed, no policy does well on all, "
        advice += "and the next check decides; else see the checks above, then raise method.meta_policy.iterations"
        yield _compared("meta-policy against the clone", status, difference, meta, clone, advice)
    if (adapted := figures.returns.get("adapted")) is not None:
        difference = paired(adapted, clone, ("tasks",)).interval
        status = "failure" if judged(difference) == "does not hold" else "warning" if difference.mean < 0 else "pass"
        advice = "use the clone for now, and go through the checks above from the first that did not pass"
        yield _compared("policy against the clone", status, difference, adapted, clone, advice)


def _compared(
    name: str, status: Status, difference: Interval, own: Sequence[float], clone: Sequence[float], advice: str
) -> Check:
    low, high = difference.bounds
    below = sum(a < b for a, b in zip(own, clone, strict=True))
    span = "" if low == high else f" [{number(low)}, {number(high)}] over tasks"
    text = f"{number(difference.mean)}{span}; below on {below} of {len(own)} tasks"
    return _check(name, status, text, advice, {"difference": difference.mean, "low": low, "high": high})


def _check(name: str, status: Status, figure: str, advice: str, values: dict[str, float]) -> Check:
    return Check(name=name, status=status, figure=figure, advice="" if status == "pass" else advice, values=values)


def _above(value: float, limits: tuple[float, float]) -> Status:
    """Pass up to the first limit, a warning up to the second, and a failure beyond."""
    return "failure" if value > limits[1] else "warning" if value > limits[0] else "pass"


def _place(values: Sequence[float]) -> int:
    """The index of the largest value."""
    return max(range(len(values)), key=values.__getitem__)


def _kept(figures: Figures, what: str) -> str:
    """After how many steps models or clones were kept, where their held-out likelihood decided that."""
    steps = figures.scores.get(f"{what}_steps")
    return "" if not steps else f"; kept after {min(steps):,.0f} to {max(steps):,.0f} steps"


def _of(figures: Figures, place: int) -> str:
    """` (task 41)`, empty where there is one task only."""
    return f" (task {figures.tasks[place]})" if len(figures.tasks) > 1 else ""
