"""Data collection by SAC: seconds per task, merpo with all tasks at once and Stable-Baselines3 task by task.

Same network sizes, batch, update interval and environment steps; `sac_parity.py` shows that both reach equal returns.
The time includes making networks and environments, and for merpo also measuring the first and the last policy.
Point-Robot-Wind, or the family and the `collect` section of a recipe, with `--steps` as the length.

`--budgets` prints a table of recipes instead: the data of each, and the time estimated from the pace of a few steps.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable
from pathlib import Path

import torch
from _options import parse, skip
from _timing import Variant, interleave, parser, prepare, show, write

import merpo
from merpo.collect.plan import estimate_seconds, measure_pace, plan_collection
from merpo.collect.train import train_behavior
from merpo.components.interfaces import TaskFamily
from merpo.data.needed import needed
from merpo.recipe.recipe import load_recipe
from merpo.recipe.sections import CollectSettings
from merpo.support.format import bytes_text
from merpo_critics import Conservative
from merpo_tasks import PointRobotWind

try:
    import stable_baselines3
except ModuleNotFoundError:
    stable_baselines3 = None

ROOT = Path(__file__).parent.parent
BODIES = ("half_cheetah_fwd_back", "ant_fwd_back", "walker_2d_params")
BUDGETS = [f"{folder}{body}" for body in BODIES for folder in ("", "table2/")]


def main() -> None:
    """Time all variants, print a table and write the results."""
    arguments = _arguments()
    prepare(arguments)
    if arguments.budgets:
        write(arguments, {"table": budgets(arguments.budgets)}, name="budgets")
        return
    if stable_baselines3 is None:
        skip("stable_baselines3 is not installed (pip install 'merpo[bench]')")
    family, settings = _problem(arguments)
    clock = time.process_time if arguments.cpu else time.perf_counter
    variants: dict[str, Variant] = {"sb3, one by one": lambda: sb3(family, settings, clock)}
    for count in arguments.tasks:
        name = f"merpo, {count} task{'s' if count > 1 else ''}"
        variants[name] = functools.partial(together, family, settings, count, clock)
    timings = interleave(variants, arguments.rounds, warmup=arguments.warmup)
    title = f"SAC on {family.name}, time per task of {settings.steps} steps, batches of {settings.batch_size}"
    print(f"{settings.gradient_steps()} gradient steps, networks {settings.hidden}")
    results = show(title, timings, ("sb3, one by one",))
    for row in results["table"]:
        row["steps_per_second"] = settings.steps / row["seconds"]["median"]
        print(f"  {row['variant']}: {row['steps_per_second']:.1f} environment steps per second and task")
    name = f"collection_{arguments.recipe.stem}" if arguments.recipe else None
    write(arguments, {"family": family.name, "collect": settings.model_dump(mode="json"), **results}, name=name)


def together(family: TaskFamily, settings: CollectSettings, count: int, clock: Callable[[], float]) -> float:
    """Seconds per task of merpo."""
    tasks = family.tasks(count, 0)[0]
    start = clock()
    train_behavior(family, Conservative(hidden=settings.hidden), tasks, settings, merpo.Context())
    return (clock() - start) / count


def sb3(family: TaskFamily, settings: CollectSettings, clock: Callable[[], float]) -> float:
    """Seconds of Stable-Baselines3 for one task; one thread is fastest for its small batches."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    start = clock()
    model = stable_baselines3.SAC(
        "MlpPolicy", family.make(family.tasks(1, 0)[0][0]), learning_rate=settings.learning_rate,
        buffer_size=settings.steps, learning_starts=settings.seed_steps, batch_size=settings.batch_size,
        tau=settings.polyak, gamma=settings.discount, train_freq=settings.update_every,
        ent_coef=f"auto_{settings.temperature}", policy_kwargs={"net_arch": list(settings.hidden)}, device="cpu",
    )  # fmt: skip
    model.learn(settings.steps)
    seconds = clock() - start
    torch.set_num_threads(threads)
    return seconds


def budgets(recipes: list[str]) -> list[dict[str, object]]:
    """Print a Markdown table with a row per recipe; the pace is CPU time, as on an idle core."""
    print("| recipe | tasks | steps per task | batch, networks | gradient steps/s | hours | rows | disk |")
    print("|---|---|---|---|---|---|---|---|")
    rows: list[dict[str, object]] = []
    for name in recipes:
        recipe = load_recipe(ROOT / "recipes" / f"{name}.toml", [])
        critic = Conservative(hidden=recipe.collect.hidden, output_scale=recipe.collect.value_scale)
        sources = [source for part in needed(recipe) for source in part]
        tasks, qualities = [source.task for source in sources], [source.quality for source in sources]
        pace = measure_pace(recipe.tasks, critic, tasks, recipe.collect, merpo.Context(), time.process_time)
        plan = plan_collection(
            recipe.tasks, critic, recipe.collect, len(tasks), recipe.data.episodes, qualities, since=0
        )
        hours = estimate_seconds(plan, pace, len(tasks)) / 3600
        rate = 1 / (pace.environment + pace.gradient)
        shape = f"{recipe.collect.batch_size}, {' × '.join(map(str, recipe.collect.hidden))}"
        print(
            f"| `recipes/{name}.toml` | {len(tasks)} | {recipe.collect.steps:,} | {shape} | {rate:.0f} | {hours:.1f} | "
            f"{plan.rows:,} | {bytes_text(plan.peak_bytes)} |",
            flush=True,
        )
        rows.append({"recipe": name, "hours": hours, "pace": pace._asdict(), "plan": plan._asdict()})
    return rows


def _problem(arguments: argparse.Namespace) -> tuple[TaskFamily, CollectSettings]:
    """A recipe's family and settings, or Point-Robot-Wind with default settings; both with `--steps` steps."""
    lengths = {"steps": arguments.steps, "checkpoint_every": arguments.steps, "seed_steps": 100}
    if arguments.recipe is None:
        return PointRobotWind(), CollectSettings(batch_size=arguments.batch, **lengths)
    recipe = load_recipe(arguments.recipe, arguments.overrides)
    return recipe.tasks, CollectSettings.model_validate({**recipe.collect.model_dump(), **lengths})


def _arguments() -> argparse.Namespace:
    made = parser(__doc__, __file__, rounds=5)
    made.add_argument("--tasks", type=int, nargs="+", default=[1, 8, 50])
    made.add_argument("--steps", type=int, default=500)
    made.add_argument("--batch", type=int, default=64)
    made.add_argument("--recipe", type=Path, help="recipe whose family and collect section are used")
    made.add_argument("--set", dest="overrides", action="append", default=[], help="as of merpo collect")
    made.add_argument("--cpu", action="store_true", help="measure CPU seconds, which other processes disturb less")
    made.add_argument("--warmup", type=int, default=1, help="rounds that are not counted")
    made.add_argument(
        "--budgets", nargs="*", metavar="NAME", help="print the table of these recipes, or of all MuJoCo recipes"
    )
    arguments = parse(made, rounds=1, warmup=0, tasks=[2], steps=150, batch=8)
    if arguments.budgets == []:
        arguments.budgets = BUDGETS
    return arguments


if __name__ == "__main__":
    main()
