"""`merpo run`: data, meta-training, adaptation, evaluation, report. Six arrows, none back."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from merpo.actors import Actor, actor
from merpo.context import Adapted, Context, Log, Metrics
from merpo.data import ensure_data, load_data
from merpo.dataset import TaskData, TaskDataset, no_tasks, stack_tasks
from merpo.errors import StoppedError
from merpo.estimates import Estimates, estimate
from merpo.evaluation import Evaluation, evaluate, oracle_evaluation
from merpo.files import atomic_write_text
from merpo.keeper import CHECKPOINTS, Keeper
from merpo.lock import folder_lock
from merpo.machine import chosen_device, machine
from merpo.manifest import Manifest
from merpo.metrics import MetricsWriter, check_finite, to_numbers
from merpo.normalization import NORMALIZATION, Normalization, fit_normalization, with_normalization
from merpo.profile import Profile, print_profile
from merpo.progress import Progress
from merpo.recipe import Recipe
from merpo.report import Report
from merpo.run_folder import LOCK, META, RunFolder, mean_return, run_folders
from merpo.run_videos import make_videos
from merpo.saved_policies import TaskName, task_header
from merpo.stop import check, graceful
from merpo.stopwatch import Stopwatch, timed
from merpo.types import Params
from merpo.videos import Videos

__all__ = ["run_recipe"]

PROFILE = "profile"  # the folder of traces in a run's folder

Loaded = Sequence[tuple[TaskDataset, Manifest]]


def run_recipe(
    recipe: Recipe, out: Path | None, seeds: Sequence[int], device: str | None, collect: bool, profiled: bool = False
) -> Path:
    """Run a recipe for each seed and print what came out; returns the folder. Several seeds get a folder each in it."""
    from rich.console import Console

    from merpo.report_text import print_combined, print_summary

    base = out or _new_folder(recipe.title)
    where = chosen_device(device or recipe.run.device)
    console, reports = Console(), []
    for seed, folder in zip(seeds, run_folders(base, seeds), strict=True):
        profile = Profile(where) if profiled else None
        with graceful(), machine(1 if recipe.run.workers > 1 else recipe.run.threads), Progress() as progress:
            try:
                reports.append(_run_seed(recipe, folder, seed, where, collect, progress, profile))
            except StoppedError as stopped:
                resume = " --resume" if base.exists() else ""  # collection comes before the run's folder
                raise StoppedError(f"{stopped}; to go on, the same command with --out {base}{resume}") from None
            except KeyboardInterrupt:  # from a thread that is not the main one, or another program's handler
                progress.note(f"interrupted; with --out {base} the same command goes on after the last checkpoint")
                raise
        print_summary(reports[-1], console)
        console.print(f"report: {folder / 'report.html'}")
        if profile is not None:
            print_profile(profile, folder / PROFILE, console)
    if len(seeds) > 1:
        combined = print_combined(reports, console)
        atomic_write_text(base / "summary.json", combined.model_dump_json(indent=1) + "\n")
    return base


def _run_seed(
    recipe: Recipe, path: Path, seed: int, device: str, collect: bool, progress: Progress, profile: Profile | None
) -> Report:
    """One seed from data to report."""
    from merpo.assemble import assemble
    from merpo.report_html import write_report

    watch = Stopwatch() if profile is None else profile.watch
    base = Context() if profile is None else Context(on_step=profile.step)
    with watch.stage("data"):
        ensure_data(recipe, replace(base, seed=recipe.collect.seed, log=progress.log), progress.note, collect)
        train, test = load_data(recipe, recipe.method.min_transitions)
    digests = {
        f"{split} {data.name}": m.sha256 for split, part in (("train", train), ("test", test)) for data, m in part
    }
    check()
    with folder_lock(path / LOCK):
        folder = RunFolder(path, recipe, seed, digests, progress.note, device)
        if profile is not None:
            profile.save_in(path / PROFILE)
        with MetricsWriter(path, recipe.run.tensorboard, progress.note) as metrics:
            every, root = recipe.run.checkpoint_every, path / CHECKPOINTS
            keeper = Keeper(root, folder.fingerprint, every, progress.note, metrics.sync)
            context = replace(
                base,
                seed=seed,
                device=device,
                log=_tee(progress.log, metrics.log),
                stage=keeper.stages(timed(folder.stage, watch)),
                resume=keeper.resume,
                keep=keeper.keep,
                on_step=_both(base.on_step, keeper.on_step),
                workers=recipe.run.workers,
                log_every=recipe.run.log_every,
            )
            with keeper.named():
                runner = _Runner(recipe, folder, context, (train, test), watch)
                adapted, evaluations, estimates = runner.stages()
                videos = runner.videos(adapted, progress.note)
        with watch.stage("report"):
            report = assemble(recipe, folder, seed, train, test, adapted, evaluations, watch.read(), estimates, videos)
            write_report(report, path)
        keeper.finish()
    return report


class _Runner:
    """Adapts to the unseen tasks and measures, at the end and during meta-training."""

    def __init__(
        self, recipe: Recipe, folder: RunFolder, context: Context, data: tuple[Loaded, Loaded], watch: Stopwatch
    ) -> None:
        self.recipe, self.folder, self.base, self.watch = recipe, folder, context, watch
        self.train, self.test = data
        self.normalization = _normalization(recipe, *data, context)
        self.tasks = [data.task for data, _ in self.test]
        self.data = self.stack(self.test)
        labels = tuple(f"unseen-{manifest.task_index}" for _, manifest in self.test)
        self.unseen = replace(context, labels=labels, snapshots=recipe.evaluate.snapshots)

    def stages(self) -> tuple[Adapted, dict[str, Evaluation], Estimates]:
        """Meta-training, adaptation, and what can be said of its policies; a signal may stop it between any two."""
        with self.watch.stage("fit"):
            meta = self.recipe.method.fit(self.stack(self.train), self.context())
            # whole, whatever the method's stages: what `merpo adapt` begins with
            self.folder.save(META, with_normalization(meta, self.normalization))
        check()
        with self.watch.stage("adapt"):
            adapted = self.adapt(meta)
            header = {"tasks": _names(self.test)}
            groups = with_normalization({"policy": adapted.policy, **adapted.artifacts}, self.normalization)
            self.folder.save("adapted", groups, header)
        check()
        with self.watch.stage("evaluate"):
            evaluations = self.evaluate(adapted)
            unmeasured = not self.recipe.tasks.has_environment
            estimates = estimate(self.recipe.method, adapted, self.data) if unmeasured else Estimates()
        check()
        return adapted, evaluations, estimates

    def stack(self, loaded: Loaded) -> TaskData:
        """Datasets as training reads them."""
        spec, device = self.recipe.tasks.spec(), self.base.device
        datasets = [data for data, _ in loaded]
        data = stack_tasks(datasets, spec, self.base.seed, device) if datasets else no_tasks(spec, device)
        return data if self.normalization is None else self.normalization.tasks(data)

    def context(self) -> Context:
        """What meta-training is given: it may ask for an evaluation along the way."""
        if not self.recipe.tasks.has_environment:
            return self.base
        return replace(self.base, checkpoint=self._checkpoint, checkpoints=self.recipe.evaluate.during_training)

    def adapt(self, meta: dict[str, Params]) -> Adapted:
        """Policies for the unseen tasks, from their data alone."""
        adapted = self.recipe.method.adapt(meta, self.data, self.unseen)
        check_finite("adapt", max(adapted.snapshots, default=0), to_numbers(adapted.scores))
        return adapted

    def play(self, policy: Params) -> Evaluation:
        """Episodes of one policy per task, deterministic or stochastic as the recipe says."""
        act = self.actor(policy, [manifest.task_index for _, manifest in self.test])
        episodes, seed, device = self.recipe.evaluate.episodes, self.base.seed, self.base.device
        return evaluate(self.recipe.tasks, self.tasks, act, episodes, seed, device)

    def actor(self, policy: Params, tasks: Sequence[int]) -> Actor:
        """How one policy per task of `tasks` acts when it is measured."""
        method, kind, width = self.recipe.method, self.recipe.evaluate.policy, self.data.spec.action_dim
        act = actor(method, policy, kind, width, self.base.seed, tasks, self.base.device)
        normalization = self.normalization
        return act if normalization is None else lambda observations: act(normalization.apply(observations))

    def videos(self, adapted: Adapted, note: Callable[[str], None]) -> Videos:
        """An episode of every policy on some unseen tasks; `note` is told why one is missing."""
        if self.recipe.evaluate.videos == 0 or not self.recipe.tasks.has_environment:
            return Videos()
        policies = {"adapted": adapted.policy}
        policies |= {name.replace("-", "_"): policy for name, policy in adapted.references.items()}
        with self.watch.stage("videos"):
            made = make_videos(self.recipe, self.folder.path, self.test, policies, self.actor, self.base)
        if made.note:
            note(f"videos: {made.note}")
        return made

    def evaluate(self, adapted: Adapted) -> dict[str, Evaluation]:
        """Returns of the adapted policies, of their snapshots (`step-k`), of the references and of the oracle."""
        if not self.recipe.tasks.has_environment:
            return {}
        found = {"adapted": self.play(adapted.policy)}
        found |= {name.replace("-", "_"): self.play(policy) for name, policy in adapted.references.items()}
        found |= {f"step-{step}": self.play(policy) for step, policy in sorted(adapted.snapshots.items())}
        oracle = oracle_evaluation(self.recipe.tasks, self.tasks, self.recipe.evaluate.episodes, self.base.seed)
        found |= {} if oracle is None else {"oracle": oracle}
        self.base.log("evaluate", len(found), len(found), {name: e.returns.mean(1) for name, e in found.items()})
        return found

    def _checkpoint(self, step: int, meta: dict[str, Params]) -> None:
        """Adapt to the unseen tasks from the meta-artifact as it is now, record the returns, and keep the best."""
        with self.watch.stage("unseen tasks"):
            alone = Context()  # what an evaluation does is not kept: meta-training goes on from before it
            quiet = replace(self.unseen, log=alone.log, resume=alone.resume, keep=alone.keep, snapshots=())
            adapted = self.recipe.method.adapt(meta, self.data, quiet)
            returns = {"adapted": self.play(adapted.policy).returns.mean(1)}
            returns |= {k.replace("-", "_"): self.play(p).returns.mean(1) for k, p in adapted.references.items()}
            self.base.log("unseen tasks", step, step, {name: value.mean() for name, value in returns.items()})
            curve = {name: value.tolist() for name, value in returns.items()}
            self.folder.keep_best(step, mean_return(curve), with_normalization(meta, self.normalization))
            self.folder.add_to_curve(step, curve)


def _normalization(recipe: Recipe, train: Loaded, test: Loaded, context: Context) -> Normalization | None:
    """How observations are normalised, if they are: by the data that the method learns from, never by unseen tasks'.

    A method that learns from no training task trains its policies on the others' data alone, and these tell.
    """
    if not recipe.data.normalize_observations:
        return None
    learnt_from = train if recipe.method.learns_from_tasks else test

    def compute() -> dict[str, Params]:
        return {NORMALIZATION: fit_normalization([data for data, _ in learnt_from])._asdict()}

    return Normalization(**context.stage(NORMALIZATION, compute)[NORMALIZATION]).to(context.device)


def _names(loaded: Loaded) -> str:
    """Whose policies an artifact holds, for its header."""
    return task_header([TaskName(data.name, manifest.task_index, manifest.task) for data, manifest in loaded])


def _tee(*logs: Log) -> Log:
    def log(stage: str, step: int, total: int, metrics: Metrics) -> None:
        for each in logs:
            each(stage, step, total, metrics)

    return log


def _both(*calls: Callable[[], None]) -> Callable[[], None]:
    def call() -> None:
        for each in calls:
            each()

    return call


def _new_folder(title: str) -> Path:
    """A folder under runs/ that does not exist yet."""
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60] or "run"
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    path, n = Path("runs") / f"{slug}-{stamp}", 2
    while path.exists():
        path, n = Path("runs") / f"{slug}-{stamp}-{n}", n + 1
    return path
