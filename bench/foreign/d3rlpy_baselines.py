"""BC, TD3+BC, IQL and CQL by d3rlpy on every unseen task of the foreign suite alone.

    python bench/foreign/d3rlpy_baselines.py --families heating cart --qualities medium --algorithms bc td3bc

It needs an environment of its own with d3rlpy 2.8.0, and merpo and merpo-foreign in it:

    pip install d3rlpy==2.8.0 torch && pip install -c constraints.txt -e . -e bench/foreign

Every algorithm has d3rlpy's defaults, 10,000 gradient steps and one thread. Observations are standardised; so are
rewards for IQL, CQL and TD3+BC in families that never terminate. Where episodes end early a shift of the rewards would
change what is optimal, so there rewards are multiplied, such that returns are 100 in the mean of their sizes;
`td3bc-returns` does so everywhere. The scalers' `eps` is 1e-8, as d3rlpy's 1e-3 would be as large as some deviations.

One JSON file per job in the folder `--runs`; existing ones are not made again, so that the script can be interrupted
and resumed. `foreign_d3rlpy.json`, with mean returns per seed of `--starts`, is written once all jobs of the command
line exist.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import _bench  # noqa: F401
import numpy as np
from _options import options, parse, recorded, skip
from _results import write_results
from merpo_foreign.suite import DEVELOPMENT, FAMILIES, QUALITIES, TEST, family, suite_logs

ALGORITHMS = ("bc", "td3bc", "iql", "cql", "td3bc-returns")  # the last only by name
RETURNS = 100.0  # mean size of returns, where rewards are multiplied


class Job(NamedTuple):
    """One algorithm on one unseen task's data."""

    family: str
    quality: str
    algorithm: str
    task: int
    seed: int

    @property
    def name(self) -> str:
        """The stem of the job's file."""
        return f"{self.family}-{self.quality}-{self.task}-{self.algorithm}-seed{self.seed}"


def main() -> None:
    """Do the jobs that are missing, then write them together if all exist."""
    arguments = _arguments()
    try:
        import d3rlpy
    except ImportError:
        skip("d3rlpy is not installed; see the head of this file")
    import structlog
    import torch

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    torch.set_num_threads(1)
    version, every = d3rlpy.__version__, list(jobs(arguments))
    for job in every:
        path = arguments.runs / f"{job.name}.json"
        if not path.exists():
            found = work(job, arguments.steps, arguments.episodes, arguments.starts)
            write_results("foreign/d3rlpy_baselines", {path: {**job._asdict(), "d3rlpy": version, **found}})
            mean = float(np.mean(found["returns"]))
            print(f"{job.name}: {mean:.4g} beside {found['data']:.4g}, {found['seconds']:.0f} s", flush=True)
    together = [json.loads((arguments.runs / f"{job.name}.json").read_text("utf-8")) for job in every]
    for found in together:  # of the episodes of each seed of starts
        found["returns"] = [float(np.mean(returns)) for returns in found["returns"]]
    write_results(
        "foreign/d3rlpy_baselines",
        {arguments.out / "foreign_d3rlpy.json": {"arguments": _recorded(arguments), "jobs": together}},
    )


def jobs(arguments: argparse.Namespace) -> Iterator[Job]:
    """The jobs in the order in which they are wanted: the development half first, and the slow CQL last."""
    names = [name for name in (cls.name.removeprefix("foreign-") for cls in FAMILIES) if name in arguments.families]
    first = {cls.name.removeprefix("foreign-") for cls in DEVELOPMENT}
    halves = [[name for name in names if name in first], [name for name in names if name not in first]]
    plain = [name for name in ALGORITHMS[:3] if name in arguments.algorithms]
    rest = [name for name in ALGORITHMS[3:] if name in arguments.algorithms]
    groups = [(half, [quality], plain) for quality in arguments.qualities[:1] for half in halves]
    groups += [(names, [quality], plain) for quality in arguments.qualities[1:]]
    groups += [(names, arguments.qualities, [algorithm]) for algorithm in rest]
    for group, qualities, algorithms in groups:
        for quality in qualities:
            for name in group:
                for algorithm in algorithms:
                    if algorithm != "td3bc-returns" or not family(name).terminates:  # else it is the same as td3bc
                        for seed in arguments.seeds:
                            yield from (Job(name, quality, algorithm, task, seed) for task in range(arguments.tasks))


def work(job: Job, steps: int, episodes: int, starts: list[int]) -> dict[str, Any]:
    """Train one algorithm on one task; returns by its mode on the episodes of merpo's runs with the seeds `starts`."""
    import d3rlpy

    from merpo.evaluation import evaluate as evaluation

    simulated = family(job.family)
    data = suite_logs(simulated, job.quality)[1][job.task]
    d3rlpy.seed(job.seed)
    learner = _algorithm(job.algorithm, simulated.terminates, data.episode_returns().numpy())
    offsets = data.episode_offsets.numpy()
    ends, cuts = data.terminations.numpy(), np.zeros(len(data))
    cuts[offsets[1:] - 1] = 1.0 - ends[offsets[1:] - 1]
    replay = d3rlpy.dataset.MDPDataset(
        observations=data.observations.numpy(),
        actions=data.actions.numpy(),
        rewards=data.rewards.numpy(),
        terminals=ends,
        timeouts=cuts,
    )
    began, worked = time.monotonic(), time.process_time()
    learner.fit(
        replay,
        n_steps=steps,
        n_steps_per_epoch=steps,
        save_interval=2,
        show_progress=False,
        logger_adapter=d3rlpy.logging.NoopAdapterFactory(),
    )
    seconds, cpu_seconds = time.monotonic() - began, time.process_time() - worked
    act = _actor(learner)
    returns = [
        evaluation.evaluate(simulated, [data.task], act, episodes, evaluation.starts(seed)).returns[0].tolist()
        for seed in starts
    ]
    return {
        "gradient_steps": steps,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,  # less than the former where the machine has other work
        "rows": len(data),
        "data": float(data.episode_returns().mean()),
        "starts": starts,
        "returns": returns,
    }


def _actor(learner: Any) -> Callable[[Any], Any]:
    import torch

    def act(observations: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(learner.predict(observations[0].numpy()))[None].clamp(-1.0, 1.0)

    return act


def _algorithm(name: str, terminates: bool, returns: np.ndarray) -> Any:
    from d3rlpy import algos
    from d3rlpy.preprocessing import MultiplyRewardScaler, StandardObservationScaler, StandardRewardScaler

    observations = StandardObservationScaler(eps=1e-8)
    if name == "bc":
        return algos.BCConfig(observation_scaler=observations).create(device="cpu")
    config = {
        "td3bc": algos.TD3PlusBCConfig,
        "td3bc-returns": algos.TD3PlusBCConfig,
        "iql": algos.IQLConfig,
        "cql": algos.CQLConfig,
    }[name]
    if terminates or name.endswith("-returns"):
        size = float(np.abs(returns).mean())
        scaler: Any = MultiplyRewardScaler(RETURNS / size if size else 1.0)
    else:
        scaler = StandardRewardScaler(eps=1e-8)
    return config(observation_scaler=observations, reward_scaler=scaler).create(device="cpu")


def _recorded(arguments: argparse.Namespace) -> dict[str, Any]:
    return {key: value for key, value in recorded(arguments).items() if key != "runs"}


def _arguments() -> argparse.Namespace:
    names = [cls.name.removeprefix("foreign-") for cls in FAMILIES]
    made = options(__doc__, __file__)
    made.add_argument("--families", nargs="+", choices=names, default=names)
    made.add_argument("--qualities", nargs="+", choices=QUALITIES, default=list(QUALITIES))
    made.add_argument("--algorithms", nargs="+", choices=ALGORITHMS, default=list(ALGORITHMS[:4]))
    made.add_argument("--tasks", type=int, default=TEST, help="unseen tasks")
    made.add_argument("--steps", type=int, default=10_000)
    made.add_argument("--episodes", type=int, default=20, help="per seed of starts")
    made.add_argument("--seeds", type=int, nargs="+", default=[0], help="of d3rlpy")
    made.add_argument("--starts", type=int, nargs="+", default=[0, 1, 2, 3], help="seeds of the evaluation episodes")
    made.add_argument("--runs", type=Path, metavar="FOLDER", help="a file per job (runs/foreign_d3rlpy)")
    tiny = {"families": names[:2], "qualities": ["medium"], "algorithms": ["bc", "td3bc"]}
    found = parse(made, **tiny, tasks=1, steps=20, episodes=2, starts=[0])
    root = Path(__file__).resolve().parents[2]
    found.runs = found.runs or (found.out if found.tiny else root) / "runs" / "foreign_d3rlpy"
    return found


if __name__ == "__main__":
    main()
