"""CPU time per environment step: one environment, plain loops over `mujoco.mj_step`, and the grid of many.

"bare" only sets controls and steps; "same work" also reads the observation and computes reward and termination by the
same functions, in a plain loop. CPU time of the process is measured, as other programs may be running.
"""

from __future__ import annotations

import time
from typing import Any

import mujoco
import numpy as np
import torch
from _options import parse
from _timing import Variant, interleave, parser, prepare, ratio, summary, write

from merpo_tasks import AntFwdBack, HalfCheetahFwdBack, Walker2DParams

STEPS, EPISODES = 1000, 16


def main() -> None:
    """Time all variants, print a table and write the results."""
    made = parser(__doc__, __file__, rounds=9)
    made.set_defaults(threads=1)
    arguments = parse(made, rounds=1)
    prepare(arguments)
    found: dict[str, Any] = {}
    for family in (HalfCheetahFwdBack(), Walker2DParams(), AntFwdBack()):
        found[family.name] = _measure(family, arguments.rounds)
    write(arguments, {"families": found})


def _measure(family: Any, rounds: int) -> dict[str, Any]:
    tasks = family.tasks(2, 0)[0]
    env = family.make(tasks[0]).unwrapped
    moves = np.random.default_rng(0).uniform(-1, 1, (STEPS, env.model.nu)).astype(np.float32)
    variants: dict[str, Variant] = {
        "bare": lambda: _bare(env, moves),
        "same work": lambda: _same_work(env, moves),
        "environment": lambda: _environment(env, moves),
        "grid": lambda: _grid(family, tasks, moves),
    }
    timings = interleave(variants, rounds)
    times = {name: summary([1e6 * s / STEPS for s in seconds])._asdict() for name, seconds in timings.seconds.items()}
    ratios = {name: ratio(timings, "environment", name)._asdict() for name in ("bare", "same work", "grid")}
    for name, value in times.items():
        print(f"{family.name:24} {name:12} {value['median']:7.1f} µs of CPU per step", flush=True)
    for name, value in ratios.items():
        print(f"{family.name:24} environment / {name}: {value['median']:.2f} ({value['low']:.2f}-{value['high']:.2f})")
    return {"cpu_microseconds_per_step": times, "environment_over": ratios}


def _bare(env: Any, moves: np.ndarray) -> float:
    model, data, frames = env.model, env.data, env._simulation.frame_skip
    env.reset(seed=0)
    start = time.process_time()
    for move in moves:
        data.ctrl[:] = move
        mujoco.mj_step(model, data, frames)
    return time.process_time() - start


def _same_work(env: Any, moves: np.ndarray) -> float:
    model, data, simulation = env.model, env.data, env._simulation
    now = {name: getattr(data, name) for name in simulation.fields}
    env.reset(seed=0)
    start = time.process_time()
    for move in moves:
        before = {name: value.copy() for name, value in now.items()}
        data.ctrl[:] = move
        mujoco.mj_step(model, data, simulation.frame_skip)
        _ = (
            simulation.observe(now).astype(np.float32),
            float(simulation.reward(before, move, now)),
            simulation.ended(now),
        )
    return time.process_time() - start


def _environment(env: Any, moves: np.ndarray) -> float:
    env.reset(seed=0)
    start = time.process_time()
    for move in moves:
        env.step(move)
    return time.process_time() - start


def _grid(family: Any, tasks: Any, moves: np.ndarray) -> float:
    """Seconds of one step of one environment, in a grid of two tasks with several episodes each."""
    grid = family.grid(tasks, EPISODES, 0, restart=True)
    steps = STEPS // (2 * EPISODES)
    start = time.process_time()
    for move in moves[:steps]:
        actions = torch.from_numpy(move).expand(2, EPISODES, -1).contiguous()
        grid.step(grid.observations(), actions)
    return (time.process_time() - start) * STEPS / (steps * 2 * EPISODES)


if __name__ == "__main__":
    main()
