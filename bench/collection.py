"""Collecting data by SAC: seconds per task, merpo with all tasks at once beside Stable-Baselines3 task by task.

Same network sizes, batch, update interval and environment steps; `sac_parity.py` says that both learn as well. Making
networks and environments is in the time of both; merpo's also holds its measuring of the first and the last policy.
"""

from __future__ import annotations

import argparse
import time

import stable_baselines3
import torch
from _timing import Variant, interleave, parser, prepare, show, write

import merpo
from merpo.collect import train_behavior
from merpo.collect_settings import CollectSettings
from merpo_critics import Conservative
from merpo_tasks import PointRobotWind


def main() -> None:
    """Time, print, write."""
    arguments = _arguments()
    prepare(arguments)
    settings = CollectSettings(
        steps=arguments.steps, checkpoint_every=arguments.steps, seed_steps=100, batch_size=arguments.batch
    )
    variants: dict[str, Variant] = {"sb3, one by one": lambda: sb3(settings)}
    for count in arguments.tasks:
        name = f"merpo, {count} task{'s' if count > 1 else ''}"
        variants[name] = lambda count=count: together(settings, count)  # type: ignore[misc]
    timings = interleave(variants, arguments.rounds)
    title = f"SAC on Point-Robot-Wind, time per task of {settings.steps} steps, batches of {settings.batch_size}"
    write(arguments, show(title, timings, ("sb3, one by one",)))


def together(settings: CollectSettings, count: int) -> float:
    """Seconds per task of merpo."""
    family = PointRobotWind()
    tasks = family.tasks(count, 0)[0]
    start = time.perf_counter()
    train_behavior(family, Conservative(hidden=settings.hidden), tasks, settings, merpo.Context())
    return (time.perf_counter() - start) / count


def sb3(settings: CollectSettings) -> float:
    """Seconds of Stable-Baselines3 for one task; its small batches are quickest with one thread."""
    family, threads = PointRobotWind(), torch.get_num_threads()
    torch.set_num_threads(1)
    start = time.perf_counter()
    model = stable_baselines3.SAC(
        "MlpPolicy", family.make(family.tasks(1, 0)[0][0]), learning_rate=settings.learning_rate,
        buffer_size=settings.steps, learning_starts=settings.seed_steps, batch_size=settings.batch_size,
        tau=settings.polyak, gamma=settings.discount, train_freq=settings.update_every,
        ent_coef=f"auto_{settings.temperature}", policy_kwargs={"net_arch": list(settings.hidden)}, device="cpu",
    )  # fmt: skip
    model.learn(settings.steps)
    seconds = time.perf_counter() - start
    torch.set_num_threads(threads)
    return seconds


def _arguments() -> argparse.Namespace:
    made = parser(__doc__, __file__, rounds=5)
    made.add_argument("--tasks", type=int, nargs="+", default=[1, 8, 50])
    made.add_argument("--steps", type=int, default=500)
    made.add_argument("--batch", type=int, default=64)
    return made.parse_args()


if __name__ == "__main__":
    main()
