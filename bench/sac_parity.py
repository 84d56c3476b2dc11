"""Returns of merpo's SAC (data collection) and Stable-Baselines3's on one task of Point-Robot-Wind or of a recipe.

Same network sizes, rates, batch, discount, seed steps and environment steps; both start from random networks. At every
checkpoint the same function measures both: the mean return of stochastic episodes, and that of the mode. Rewards are
unscaled for both. The log-std is bounded by [-5, 2] in merpo and by [-20, 2] in Stable-Baselines3. The two alternate,
seed after seed. CPU seconds are reported, too, because other processes disturb them less.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from _options import options, parse, skip
from _results import write_results

import merpo
from merpo.collect.train import train_behavior
from merpo.components.interfaces import TaskFamily
from merpo.evaluation.evaluate import evaluate, oracle_evaluation
from merpo.recipe.recipe import load_recipe
from merpo.recipe.sections import CollectSettings
from merpo.support.statistics.estimate import unpaired
from merpo.types import Params, Task
from merpo_critics import Conservative
from merpo_tasks import PointRobotWind

try:
    import stable_baselines3
    from stable_baselines3.common.callbacks import BaseCallback
except ModuleNotFoundError:
    stable_baselines3 = None

Act = Callable[[torch.Tensor, bool], torch.Tensor]  # (observations [1, E, O], the mode?) -> actions [1, E, A]
EPISODES = 20


class Learned(NamedTuple):
    """Returns at every checkpoint, and seconds of training without measuring."""

    stochastic: list[float]
    mode: list[float]
    seconds: float
    cpu_seconds: float


class Clock:
    """A clock that excludes the time of `leave_out`."""

    def __init__(self) -> None:
        self._start = self._now()

    def leave_out(self, work: Callable[[], object]) -> None:
        """Do `work` with the clock stopped."""
        before = self._now()
        work()
        self._start += self._now() - before

    def seconds(self) -> tuple[float, float]:
        """Wall and CPU seconds."""
        wall, cpu = self._now() - self._start
        return float(wall), float(cpu)

    def _now(self) -> np.ndarray:
        return np.asarray([time.perf_counter(), time.process_time()])


def main() -> None:
    """Train both, print the comparison, and write the JSON after every seed but the first."""
    arguments = _arguments()
    if stable_baselines3 is None:
        skip("stable_baselines3 is not installed (pip install 'merpo[bench]')")
    torch.set_num_threads(1)
    family, settings = _problem(arguments)
    task = family.tasks(arguments.task + 1, 0)[0][arguments.task]
    oracle = oracle_evaluation(family, [task], 1, 0)
    best = float(oracle.returns.mean()) if oracle else None
    name = f"sac_parity_{arguments.recipe.stem}" if arguments.recipe else "sac_parity"
    path = arguments.out / f"{name}.json"
    runs: dict[str, list[Learned]] = {"merpo": [], "sb3": []}
    for seed in range(arguments.seeds):
        runs["merpo"].append(train_merpo(family, task, settings, seed))
        runs["sb3"].append(train_sb3(family, task, settings, seed))
        last = ", ".join(f"{who} {found[-1].mode[-1]:.2f}" for who, found in runs.items())
        print(f"seed {seed}: {last}", flush=True)
        if seed:
            report = {**compare(runs, settings, best), "family": family.name, "task": task}
            write_results(arguments.script, {path: report}, optional=("oracle",))
    show(report)


def _problem(arguments: argparse.Namespace) -> tuple[TaskFamily, CollectSettings]:
    """The task family and settings: a recipe's, or those of Point-Robot-Wind."""
    family, settings = PointRobotWind(), CollectSettings()
    if arguments.recipe:
        recipe = load_recipe(arguments.recipe, arguments.overrides)
        family, settings = recipe.tasks, recipe.collect
    lengths = {"steps": arguments.steps, "checkpoint_every": arguments.every}
    return family, CollectSettings.model_validate({**settings.model_dump(), **lengths})


def train_merpo(family: TaskFamily, task: Task, settings: CollectSettings, seed: int) -> Learned:
    """One run of `train_behavior` on one task; the time includes its measuring of checkpoints."""
    critic = Conservative(hidden=settings.hidden, output_scale=settings.value_scale)
    clock = Clock()
    found = train_behavior(family, critic, [task], settings, merpo.Context(seed=seed))
    seconds = clock.seconds()
    noise = torch.Generator().manual_seed(seed)
    measured = []
    for k in range(len(found.steps)):
        policy = {key: value[k] for key, value in found.policies.items()}
        measured.append(measure(family, task, lambda s, mode, p=policy: _merpo_act(p, s, mode, noise)))  # type: ignore[misc]
    return Learned([m[0] for m in measured], [m[1] for m in measured], *seconds)


def _merpo_act(policy: Params, observations: torch.Tensor, mode: bool, noise: torch.Generator) -> torch.Tensor:
    if mode:
        return merpo.act(policy, observations)
    actions = policy["b" + str(len(policy) // 2 - 1)].shape[-1] // 2
    return merpo.act(policy, observations, torch.randn(*observations.shape[:-1], actions, generator=noise))


def train_sb3(family: TaskFamily, task: Task, settings: CollectSettings, seed: int) -> Learned:
    """One run of Stable-Baselines3's SAC with the same settings."""
    torch.manual_seed(seed)
    model = stable_baselines3.SAC(
        "MlpPolicy", family.make(task), learning_rate=settings.learning_rate, buffer_size=settings.steps,
        learning_starts=settings.seed_steps, batch_size=settings.batch_size, tau=settings.polyak,
        gamma=settings.discount, train_freq=settings.update_every, ent_coef=f"auto_{settings.temperature}",
        policy_kwargs={"net_arch": list(settings.hidden)}, seed=seed, device="cpu",
    )  # fmt: skip

    def act(observations: torch.Tensor, mode: bool) -> torch.Tensor:
        actions, _ = model.predict(observations[0].numpy(), deterministic=mode)
        return torch.as_tensor(np.asarray(actions))[None]

    measured = [measure(family, task, act)]

    class Checkpoint(BaseCallback):
        def _on_step(self) -> bool:
            if self.num_timesteps % settings.checkpoint_every == 0:
                clock.leave_out(lambda: measured.append(measure(family, task, act)))
            return True

    clock = Clock()
    model.learn(settings.steps, callback=Checkpoint())
    seconds = clock.seconds()
    return Learned([m[0] for m in measured], [m[1] for m in measured], *seconds)


def measure(family: TaskFamily, task: Task, act: Act) -> tuple[float, float]:
    """The mean return of stochastic episodes, and of deterministic ones."""
    found = [
        evaluate(family, [task], lambda s: act(s, mode), EPISODES, 0).returns.mean()  # noqa: B023
        for mode in (False, True)
    ]
    return float(found[0]), float(found[1])


def compare(runs: dict[str, list[Learned]], settings: CollectSettings, oracle: float | None) -> dict[str, object]:
    """Mean and spread of both at every checkpoint, and merpo − SB3 with its 95 % interval (Welch)."""
    steps = list(range(0, settings.steps + 1, settings.checkpoint_every))
    curves: dict[str, object] = {}
    for what in ("stochastic", "mode"):
        rows = []
        for k, step in enumerate(steps):
            ours, theirs = ([getattr(run, what)[k] for run in runs[who]] for who in ("merpo", "sb3"))
            rows.append({"step": step, "merpo": ours, "sb3": theirs, **difference(ours, theirs)})
        curves[what] = rows
    return {
        "seeds": len(runs["merpo"]), "settings": settings.model_dump(mode="json"), "oracle": oracle,
        "versions": {
            "python": platform.python_version(), "torch": torch.__version__.partition("+")[0],
            "stable_baselines3": stable_baselines3.__version__, "merpo": merpo.__version__,
        },
        "curves": curves,
        "seconds": {who: [run.seconds for run in found] for who, found in runs.items()},
        "cpu_seconds": {who: [run.cpu_seconds for run in found] for who, found in runs.items()},
        "gradient_steps": settings.gradient_steps(),
    }  # fmt: skip


def difference(ours: list[float], theirs: list[float]) -> dict[str, float]:
    """merpo − SB3, half its 95 % interval for new seeds of both by Welch's t, and the ratio of mean returns."""
    found = unpaired(ours, theirs).interval
    ratio = statistics.fmean(ours) / statistics.fmean(theirs)
    return {"difference": found.mean, "half_interval": (found.bounds[1] - found.bounds[0]) / 2, "ratio": ratio}


def show(report: dict[str, object]) -> None:
    """The comparison as lines."""
    print(f"oracle {report['oracle']}, {report['seeds']} seeds")
    for what, rows in report["curves"].items():  # type: ignore[attr-defined]
        print(f"return of {'the mode' if what == 'mode' else 'stochastic episodes'}")
        print("  step    merpo (sd)        sb3 (sd)          merpo - sb3 (95 %)   ratio")
        for row in rows:
            spread = [statistics.stdev(row[who]) for who in ("merpo", "sb3")]
            means = [statistics.fmean(row[who]) for who in ("merpo", "sb3")]
            print(
                f"  {row['step']:5d}  {means[0]:7.2f} ({spread[0]:5.2f})  {means[1]:7.2f} ({spread[1]:5.2f})  "
                f"{row['difference']:+7.2f} ± {row['half_interval']:5.2f}       {row['ratio']:.2f}"
            )
    for what in ("seconds", "cpu_seconds"):
        ours, theirs = (statistics.fmean(report[what][who]) for who in ("merpo", "sb3"))  # type: ignore[index]
        rates = [report["gradient_steps"] / value for value in (ours, theirs)]  # type: ignore[operator]
        print(
            f"{what} of training: merpo {ours:.1f}, sb3 {theirs:.1f}, ratio {ours / theirs:.2f}; "
            f"gradient steps per second: merpo {rates[0]:.1f}, sb3 {rates[1]:.1f}"
        )


def _arguments() -> argparse.Namespace:
    made = options(__doc__, __file__)
    made.add_argument("--seeds", type=int, default=8)
    made.add_argument("--steps", type=int, default=2000, help="environment steps of each run")
    made.add_argument("--every", type=int, default=250, help="environment steps between checkpoints")
    made.add_argument("--recipe", type=Path, help="recipe whose family and collect section are used")
    made.add_argument("--set", dest="overrides", action="append", default=[], help="as of merpo collect")
    made.add_argument("--task", type=int, default=0, help="which task of the family")
    arguments = parse(made, seeds=2, steps=600, every=300)
    if arguments.seeds < 2:
        made.error("--seeds: expected at least 2, as one run has no spread")
    return arguments


if __name__ == "__main__":
    main()
