"""The stages of one run: meta-training, adaptation to the unseen tasks, and evaluation of their policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from merpo.artifacts.run_folder import META, RunFolder, mean_return
from merpo.components.context import Adapted, Context
from merpo.components.interfaces import can_draw
from merpo.components.task_data import TaskData, no_tasks
from merpo.data.dataset import TaskDataset, stack_tasks
from merpo.data.manifest import Manifest
from merpo.data.needed import behavior_policy
from merpo.data.normalize import NORMALIZATION, fit_normalization, normalize_tasks, with_normalization
from merpo.errors import MerpoError
from merpo.evaluation.calibration import Calibration, calibration
from merpo.evaluation.estimates import Estimates, estimate
from merpo.evaluation.evaluate import Actor, Evaluation, actor, evaluate, oracle_evaluation, starts
from merpo.evaluation.videos import Videos
from merpo.lazy import torch
from merpo.nn.params import stack_alike, to_device
from merpo.nn.policy import act
from merpo.policies.task_name import task_header, task_name
from merpo.recipe.recipe import Recipe
from merpo.recipe.sections import PolicyKind
from merpo.report.policies import POLICIES, key_of, variants
from merpo.run.adaptation import finished_adaptation, plain_adaptation, save_adaptation
from merpo.run.data_blame import naming_data
from merpo.run.given_meta import GivenMeta
from merpo.run.stage_times import StageTimes
from merpo.run.videos import make_videos
from merpo.support.metrics import check_finite, to_numbers
from merpo.support.stop import check
from merpo.types import Normalization, Params

__all__ = ["Loaded", "Measurements", "Runner"]

Loaded: TypeAlias = "Sequence[tuple[TaskDataset, Manifest]]"


class Measurements(NamedTuple):
    """What is known of the unseen tasks' policies, in environments or from logs."""

    evaluations: Mapping[str, Evaluation]
    estimates: Estimates = Estimates()
    calibration: Calibration = Calibration()


class Runner:
    """Runs meta-training, adaptation and evaluation; also evaluates on the unseen tasks during meta-training."""

    def __init__(
        self,
        recipe: Recipe,
        folder: RunFolder,
        context: Context,
        data: tuple[Loaded, Loaded],
        times: StageTimes,
        given: GivenMeta | None = None,
    ) -> None:
        self.recipe, self.folder, self.base = recipe, folder, context
        self.times, self.watch = times, times.watch
        self.train, self.test = data
        self.given = given
        self.notes: list[str] = []  # what the report's reader must know of its measurements
        self.damaged: list[str] = []  # those of the notes that say what could not be read
        self.normalization = given.normalization if given is not None else _normalization(recipe, *data, context)
        self.tasks = [data.task for data, _ in self.test]
        self.names = task_header([task_name(data.name, manifest) for data, manifest in self.test])
        self.data = self.stack(self.test)
        labels = tuple(f"unseen-{manifest.task_index}" for _, manifest in self.test)
        self.unseen = replace(context, labels=labels, snapshots=recipe.evaluate.snapshots)

    def stages(self) -> tuple[Adapted, Measurements]:
        """Meta-training, adaptation and evaluation; a signal may stop the run between stages."""
        whole = self.folder.whole()
        with self.watch.stage("fit"), naming_data(self.train):
            if self.given is not None:
                meta = self.given.groups
            else:
                meta = self.recipe.method.fit(self.stack(self.train), self.context())
            self.times.write()
            # the complete meta-artifact, regardless of the method's stages: the input of `merpo adapt`
            self.folder.save(META, with_normalization(meta, self.normalization))
        check()
        with self.watch.stage("adapt"):
            adapted = self._adapted_before(meta) if whole else None
            if adapted is None:
                adapted = self._adapt_and_save(meta)
        check()
        with self.watch.stage("evaluate"):
            evaluations = self.evaluate(adapted)
            unmeasured = not self.recipe.tasks.has_environment
            estimates = estimate(self.recipe.method, adapted, self.data) if unmeasured else Estimates()
            calibrated = self._calibration(adapted, evaluations)
        check()
        return adapted, Measurements(evaluations, estimates, calibrated)

    def stack(self, loaded: Loaded) -> TaskData:
        """Datasets as the input of training: stacked, and normalised if the recipe says so."""
        spec, device = self.recipe.tasks.spec(), self.base.device
        datasets = [data for data, _ in loaded]
        largest = self.recipe.data.largest_action
        data = stack_tasks(datasets, spec, self.base.seed, device, largest) if datasets else no_tasks(spec, device)
        return data if self.normalization is None else normalize_tasks(self.normalization, data)

    def context(self) -> Context:
        """The context of meta-training, with evaluations on the unseen tasks."""
        if not self.recipe.tasks.has_environment:
            return self.base
        return replace(self.base, evaluate_meta=self._evaluate_meta, evaluations=self.recipe.evaluate.during_training)

    def adapt(self, meta: dict[str, Params]) -> Adapted:
        """Policies for the unseen tasks, from their data alone."""
        with naming_data(self.test):
            adapted = self.recipe.method.adapt(meta, self.data, self.unseen)
            check_finite("adapt", max(adapted.snapshots, default=0), to_numbers(adapted.scores))
        return adapted

    def _adapted_before(self, meta: dict[str, Params]) -> Adapted | None:
        """The adaptation saved by an earlier process, if it has the same inputs and snapshots."""
        adapted = finished_adaptation(self.folder, meta, self.recipe.evaluate.snapshots)
        if adapted is not None:
            self.times.loaded("adapt")
        return adapted

    def _adapt_and_save(self, meta: dict[str, Params]) -> Adapted:
        adapted = plain_adaptation(self.adapt(meta))
        self.times.write()
        snapshots = self.recipe.evaluate.snapshots
        save_adaptation(self.folder, adapted, meta, snapshots, self.normalization, self.names)
        return adapted

    def play(self, policy: Params, kind: PolicyKind | None = None, discount: torch.Tensor | None = None) -> Evaluation:
        """The evaluation of one policy per task, deterministic or stochastic as in the recipe or as given."""
        return self.measure(self.actor(policy, [manifest.task_index for _, manifest in self.test], kind), discount)

    def measure(self, act: Actor, discount: torch.Tensor | None = None) -> Evaluation:
        """The evaluation of an actor, on the run's evaluation episodes; with discounted returns for a `discount`."""
        episodes, seed, device = self.recipe.evaluate.episodes, starts(self.base.seed), self.base.device
        return evaluate(self.recipe.tasks, self.tasks, act, episodes, seed, device, discount)

    def actor(self, policy: Params, tasks: Sequence[int], kind: PolicyKind | None = None) -> Actor:
        """The actor of policies [T, ...], one per task of `tasks`, with normalised observations.

        It acts as the recipe says unless a `kind` is given.
        """
        method, kind, width = self.recipe.method, kind or self.recipe.evaluate.policy, self.data.spec.action_dim
        act = actor(method, policy, kind, width, self.base.seed, tasks, self.base.device)
        normalization = self.normalization
        return act if normalization is None else lambda observations: act(normalization.apply(observations))

    def videos(self, adapted: Adapted, note: Callable[[str], None]) -> Videos:
        """Videos of every policy on some unseen tasks; `note` receives the reason for missing ones."""
        if self.recipe.evaluate.videos == 0 or not self.recipe.tasks.has_environment:
            return Videos()
        policies = {"adapted": adapted.policy}
        policies |= {key_of(name): policy for name, policy in adapted.references.items() if _shown(name)}
        with self.watch.stage("videos"):
            made = make_videos(self.recipe, self.folder.path, self.test, policies, self.actor, self.base)
        if made.note:
            note(f"videos: {made.note}")
        return made

    def evaluate(self, adapted: Adapted) -> dict[str, Evaluation]:
        """Evaluations by key: of the adapted policies, their snapshots (`step-k`), the references and the oracle."""
        if not self.recipe.tasks.has_environment:
            return {}
        found: dict[str, Evaluation] = {}
        for name, policy in {"adapted": adapted.policy, **adapted.references}.items():
            discount = adapted.scores.get("discount") if name == "adapted" else None
            found |= {key: self.play(policy, kind, discount) for key, kind in self._measurable(name).items()}
        found |= self._behavior_modes()
        found |= {f"step-{step}": self.play(policy) for step, policy in sorted(adapted.snapshots.items())}
        oracle = oracle_evaluation(self.recipe.tasks, self.tasks, self.recipe.evaluate.episodes, starts(self.base.seed))
        found |= {} if oracle is None else {"oracle": oracle}
        self.base.log("evaluate", len(found), len(found), {name: e.returns.mean(1) for name, e in found.items()})
        return found

    def _calibration(self, adapted: Adapted, evaluations: Mapping[str, Evaluation]) -> Calibration:
        """What the tasks' critics expected of the adapted policies at the starts of the episodes that were measured."""
        begun = evaluations["adapted"].begun if evaluations else None
        if begun is None:
            return Calibration()
        observations, actions = (x.to(self.base.device) for x in (begun.observations, begun.actions))
        if self.normalization is not None:
            observations = self.normalization.apply(observations)
        with torch.no_grad():
            values = self.recipe.method.value(adapted, observations, actions)
        return Calibration() if values is None else calibration(adapted.scores["discount"], values, begun.discounted)

    def _measurable(self, name: str) -> dict[str, PolicyKind]:
        """The variants of a policy, without drawn actions where the method cannot draw."""
        kinds = variants(name, self.recipe.evaluate.policy)
        return {key: kind for key, kind in kinds.items() if can_draw(self.recipe.method) or kind != "stochastic"}

    def _behavior_modes(self) -> dict[str, Evaluation]:
        """The evaluation of the behaviour policies' modes; empty, with a note, if one of the policies is missing.

        A baseline for deterministic policies, which gain over the data by the absence of noise alone.
        """
        if self.recipe.evaluate.policy != "deterministic":
            return {}  # the data's mean return is comparable, as it is of sampled actions, too
        kept: list[Params | None] = []
        for data, _ in self.test:
            try:
                kept.append(behavior_policy(self.recipe, data))
            except MerpoError as error:  # missing or damaged
                self.damaged.append(f"The behaviour policies were not measured by their modes: {error}.")
                self.notes += self.damaged
                return {}
        if (together := stack_alike(kept)) is None:
            without = [data.name for (data, _), policy in zip(self.test, kept, strict=True) if policy is None]
            why = f"none was kept with {', '.join(without[:3])}" if without else "their networks differ in shape"
            more = f" and {len(without) - 3} more" if len(without) > 3 else ""
            self.notes.append(f"The behaviour policies were not measured by their modes: {why}{more}.")
            return {}
        policies = to_device(together, self.base.device)
        return {"behavior_mode": self.measure(lambda observations: act(policies, observations))}

    def _evaluate_meta(self, step: int, meta: dict[str, Params]) -> None:
        """Adapt to the unseen tasks from the current meta-artifact, record the returns, and save the best."""
        with self.watch.stage("unseen tasks"):
            alone = Context()  # no checkpoints within an evaluation: meta-training resumes from before it
            quiet = replace(
                self.unseen,
                log=alone.log,
                resume=alone.resume,
                save_state=alone.save_state,
                snapshots=(),
                diagnose=False,
            )
            adapted = self.recipe.method.adapt(meta, self.data, quiet)
            returns = {"adapted": self.play(adapted.policy).returns.mean(1)}
            curved = {key_of(name): policy for name, policy in adapted.references.items() if _in_training(name)}
            returns |= {key: self.play(policy).returns.mean(1) for key, policy in curved.items()}
            self.base.log("unseen tasks", step, step, {name: value.mean() for name, value in returns.items()})
            curve = {name: value.tolist() for name, value in returns.items()}
            self.folder.keep_best(step, mean_return(curve), with_normalization(meta, self.normalization))
            self.folder.add_to_curve(step, curve)


def _normalization(recipe: Recipe, train: Loaded, test: Loaded, context: Context) -> Normalization | None:
    """The normalisation of observations, fitted on the training tasks' data, or None if the recipe has none.

    For a method without meta-training it is fitted on the unseen tasks' data, the only data that it trains on.
    """
    if not recipe.data.normalize_observations:
        return None
    learnt_from = train if recipe.method.learns_from_tasks else test

    def compute() -> dict[str, Params]:
        return {NORMALIZATION: fit_normalization([data for data, _ in learnt_from])._asdict()}

    return Normalization(**context.stage(NORMALIZATION, compute)[NORMALIZATION]).to(context.device)


def _shown(name: str) -> bool:
    """Whether there are videos of a method's reference policy."""
    key = key_of(name)
    return key not in POLICIES or POLICIES[key].path


def _in_training(name: str) -> bool:
    """Whether a method's reference policy is measured during meta-training, too."""
    key = key_of(name)
    return key not in POLICIES or POLICIES[key].in_training
