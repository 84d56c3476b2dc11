"""A job's work: meta-training by `merpo run`, then its cells, each adapted by the library and stored in a file."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import _bench  # noqa: F401 - makes the modules of bench/ importable
import torch
from _command import merpo
from grid_metas import meta_policy
from grid_plan import Cell, Job, Unit

from merpo import Adapted, Context, Normalization, Params, TaskData, TaskDataset, normalize_tasks, stack_tasks
from merpo.artifacts.artifact import load_artifact, save_artifact
from merpo.artifacts.differences import differences
from merpo.artifacts.finished_run import FinishedRun, open_run
from merpo.artifacts.run_folder import META
from merpo.data.needed import behavior_policy, load_data
from merpo.data.normalize import split_normalization
from merpo.errors import MerpoError
from merpo.evaluation.evaluate import Actor, actor, evaluate, oracle_evaluation, starts
from merpo.nn.noise import derive_seed
from merpo.nn.params import expand, ordinary, stack_alike
from merpo.nn.policy import act
from merpo.recipe.recipe import load_recipe, resolved
from merpo.recipe.sections import PolicyKind
from merpo.run.adapt import readapted
from merpo.support.files import atomic_write_json, fingerprint
from merpo.support.machine import machine

__all__ = ["RECIPES", "work"]

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
DRAWN = 20  # episodes of policies whose actions are drawn, at least: the tasks of the point robots begin in one state
UNADAPTED = (  # of the run, whose own adaptation would be one of the cells
    "method.adaptation.steps=0",
    "evaluate.snapshots=[0]",
    "evaluate.during_training=0",
    "evaluate.videos=0",
    "run.tensorboard=false",
    "run.threads=1",
    'run.device="cpu"',
)


def work(job: Job) -> str:
    """Run the job's meta-training and measure its cells, as far as that was not done; returns the job's name."""
    missing = job.missing()
    if not missing:
        return job.name
    with machine(1):
        meta_train(job)
        for unit in job.units:
            cells = [cell for other, cell in missing if other == unit]
            if cells:
                measure(job, unit, cells)
    return job.name


def meta_train(job: Job) -> None:
    """`merpo run` without adaptation; raises `MerpoError` where the folder has a run with other settings."""
    report, sets = job.run / "report.json", (*job.settings, *UNADAPTED)
    if not report.is_file():
        began = time.monotonic()
        words = [word for text in sets for word in ("--set", text)]
        recipe = str(RECIPES / f"{job.family.recipe}.toml")
        out = ("--seed", str(job.seed), "--out", str(job.run))
        merpo("run", recipe, *words, *out, makes=report, quiet=True, env={"OMP_NUM_THREADS": "1"})
        print(f"{job.name}: meta-trained in {time.monotonic() - began:.0f} s", flush=True)
    expected = resolved(load_recipe(RECIPES / f"{job.family.recipe}.toml", sets))
    ignored = ("title", "description", "seed", "run")
    if found := differences(resolved(open_run(job.run).recipe), expected, ignored):
        raise MerpoError(f"{job.run}: is a run with other settings: {found}; give another --runs")


def measure(job: Job, unit: Unit, cells: list[Cell]) -> None:
    """Adapt and measure cells of a unit, each with a file of its own."""
    unseen = Unseen.of(job, unit)
    for cell in cells:
        began = time.monotonic()
        found = _cell(job, unit, cell, unseen)
        atomic_write_json(job.file(unit, cell), found)
        print(
            f"{job.name}, {unit.name}, {cell.meta}, {cell.setting.label}: {time.monotonic() - began:.0f} s", flush=True
        )


def _cell(job: Job, unit: Unit, cell: Cell, unseen: Unseen) -> dict[str, Any]:
    family, run = job.family, unseen.run
    overrides = (f"method.adaptation.steps={family.steps[-1]}", *cell.setting.overrides)
    recipe = readapted(run.recipe, overrides)
    hidden = recipe.method.rac.policy_hidden  # type: ignore[attr-defined]
    policy = meta_policy(cell.meta, unseen.meta["meta_policy"], recipe.tasks.spec(), hidden, run.seed, family.mirror)
    context = Context(
        seed=run.seed, stage=fitted(job.place(unit)), labels=unseen.labels, snapshots=family.steps, diagnose=False
    )
    began = time.monotonic()
    adapted = recipe.method.adapt({**unseen.meta, "meta_policy": policy}, unseen.data, context)
    seconds = time.monotonic() - began
    kept = {**adapted.snapshots, family.steps[-1]: adapted.policy}  # with candidates, not the last snapshot
    return {
        "family": family.name,
        "quality": job.quality,
        "seed": job.seed,
        "data_seed": job.data_seed,
        "episodes": unit.episodes,
        "meta": cell.meta,
        "lambda": cell.setting.lambda_,
        "alpha": cell.setting.alpha,
        "returns": {str(step): unseen.play(kept[step]) for step in family.steps},
        "drawn": unseen.play(adapted.policy, "stochastic"),
        "alphas": _alphas(adapted, cell, family.steps),
        "references": unseen.references(adapted, policy, cell.meta),
        "overrides": overrides,
        "recipe": fingerprint(resolved(recipe)),
        "adaptation_seconds": seconds,
    }


def _alphas(adapted: Adapted, cell: Cell, steps: tuple[int, ...]) -> dict[str, list[float]]:
    """α of every task after some steps, of cells whose scheduler moves it."""
    if not isinstance(cell.setting.alpha, str):
        return {}
    return {str(step): adapted.curves["alpha"][step - 1].tolist() for step in (1, *steps)}


def fitted(folder: Path) -> Callable[[str, Callable[[], dict[str, Params]]], dict[str, Params]]:
    """`Context.stage` that keeps the tasks' models and clones in a folder, for all cells of a unit."""
    kept: dict[str, dict[str, Params]] = {}

    def stage(name: str, compute: Callable[[], dict[str, Params]]) -> dict[str, Params]:
        path = folder / f"{name}.safetensors"
        if name not in kept:
            if not path.is_file():
                save_artifact(path, {key: group for key, group in ordinary(compute()).items() if group}, {})
            kept[name] = load_artifact(path)[0]
        return kept[name]

    return stage


@dataclass(frozen=True)
class Unseen:
    """A run's unseen tasks with some of their episodes, and the run's meta-artifact."""

    run: FinishedRun
    meta: dict[str, Params]
    normalization: Normalization | None
    whole: tuple[TaskDataset, ...]  # all episodes
    indices: tuple[int, ...]
    data: TaskData  # the episodes that there are to adapt with

    @staticmethod
    def of(job: Job, unit: Unit) -> Unseen:
        """From the run's folder and the store."""
        run = open_run(job.run)
        sections = run.recipe.data
        meta, normalization = split_normalization(run.groups(META), sections.normalize_observations, job.run)
        loaded = load_data(run.recipe, 2)[1]
        whole, indices = tuple(data for data, _ in loaded), tuple(manifest.task_index for _, manifest in loaded)
        # each seed has episodes of its own
        seeds = [derive_seed(run.seed, "grid-episodes", index) for index in indices]
        parts = [some_episodes(each, unit.episodes, seed) for each, seed in zip(whole, seeds, strict=True)]
        data = stack_tasks(parts, run.recipe.tasks.spec(), run.seed, "cpu", sections.largest_action)
        if normalization is not None:
            data = normalize_tasks(normalization, data)
        return Unseen(run, meta, normalization, whole, indices, data)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the tasks, as in a run: the same random numbers for every unit."""
        return tuple(f"unseen-{index}" for index in self.indices)

    def play(self, policy: Params, kind: PolicyKind = "deterministic") -> list[float]:
        """The mean return of policies [T, ...] in every task."""
        method, spec, seed = self.run.recipe.method, self.run.recipe.tasks.spec(), self.run.seed
        act = actor(method, policy, kind, spec.action_dim, seed, self.indices, "cpu")
        normalization = self.normalization
        own = act if normalization is None else lambda observations: act(normalization.apply(observations))
        least = DRAWN if kind == "stochastic" else 1
        return self.measure(own, max(least, self.episodes))

    @property
    def episodes(self) -> int:
        """Of an evaluation."""
        return self.run.recipe.evaluate.episodes

    @property
    def tasks(self) -> list[dict[str, Any]]:
        """Their parameters."""
        return [data.task for data in self.whole]

    def measure(self, act: Actor, episodes: int) -> list[float]:
        """The mean return of an actor in every task."""
        family, seed = self.run.recipe.tasks, starts(self.run.seed)
        return evaluate(family, self.tasks, act, episodes, seed).returns.mean(1).tolist()

    def references(self, adapted: Adapted, policy: Params, meta: str) -> dict[str, list[float]]:
        """The returns of the policies beside the adapted ones, each measured once."""
        clone, start = adapted.references["clone"], expand(policy, len(self.whole))
        measured: dict[str, Callable[[], list[float]]] = {
            "clone": lambda: self.play(clone),
            "clone_drawn": lambda: self.play(clone, "stochastic"),
            f"{meta}/meta_policy": lambda: self.play(start),
            f"{meta}/meta_policy_drawn": lambda: self.play(start, "stochastic"),
        }
        for name, measure in measured.items():
            if name not in self._measured:
                self._measured[name] = measure()
        own = {name.removeprefix(f"{meta}/"): value for name, value in self._measured.items()}
        return {name: value for name, value in own.items() if "/" not in name}

    @cached_property
    def _measured(self) -> dict[str, list[float]]:
        """Returns by name: at first of what is the same in all cells."""
        found = {"behavior": [float(data.episode_returns().mean()) for data in self.whole]}
        policies = stack_alike([behavior_policy(self.run.recipe, data) for data in self.whole])
        if policies is not None:  # of some data, several policies or none is known
            found["behavior_mode"] = self.measure(lambda observations: act(policies, observations), self.episodes)
        oracle = oracle_evaluation(self.run.recipe.tasks, self.tasks, self.episodes, starts(self.run.seed))
        return found | ({} if oracle is None else {"oracle": oracle.returns.mean(1).tolist()})


def some_episodes(data: TaskDataset, count: int | None, seed: int) -> TaskDataset:
    """`count` episodes of a dataset, drawn with `seed`, or all (None); a smaller number is a part of a larger one.

    The first episodes would not do: of mixed data they are those of the untrained policies.
    """
    total = len(data.episode_offsets) - 1
    if count is None or count >= total:
        return data
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    chosen = sorted(order[:count].tolist())
    spans = [data.episode_offsets[episode : episode + 2].tolist() for episode in chosen]
    rows = torch.cat([torch.arange(begin, end) for begin, end in spans])
    lengths = torch.tensor([0, *(end - begin for begin, end in spans)])
    arrays = ("observations", "actions", "rewards", "next_observations", "terminations", "truncations")
    parts = {key: getattr(data, key)[rows] for key in arrays}
    return replace(data, **parts, episode_offsets=lengths.cumsum(0))
