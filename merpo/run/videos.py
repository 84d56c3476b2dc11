"""Videos of a run: the behaviour policy and the evaluated policies on the first unseen tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from merpo.components.context import Context
from merpo.data.dataset import TaskDataset
from merpo.data.manifest import Manifest
from merpo.data.needed import behavior_policy
from merpo.errors import MerpoError
from merpo.evaluation.evaluate import Actor, starts
from merpo.evaluation.videos import Shot, Videos, film_shots, params_digest
from merpo.nn.noise import Streams, derive_seed
from merpo.nn.policy import act
from merpo.recipe.recipe import Recipe
from merpo.report.policies import in_order
from merpo.types import Params

__all__ = ["make_videos"]

ActorOf = Callable[[Params, Sequence[int]], Actor]  # policies [T, ...], indices of their tasks
Loaded = Sequence[tuple[TaskDataset, Manifest]]


def make_videos(
    recipe: Recipe, folder: Path, test: Loaded, policies: Mapping[str, Params], actor_of: ActorOf, context: Context
) -> Videos:
    """Videos of one episode per task and policy; `policies` [T, ...] are all unseen tasks', by name in reports."""
    shots: list[Shot] = []
    notes = []

    def on_device(policy: Params, tasks: Sequence[int]) -> Actor:
        act = actor_of(policy, tasks)
        return lambda observations: act(observations.to(context.device))

    for t, (data, manifest) in enumerate(test[: recipe.evaluate.videos]):
        try:
            behavior = behavior_policy(recipe, data)
        except MerpoError as error:  # missing or damaged
            notes.append(str(error))
        else:
            if behavior is None:
                notes.append(f"No behaviour policy was kept with the data of task {manifest.task_index}.")
            else:
                shots.append(_of_behavior(behavior, data, manifest, context.seed))
        shots += _of_policies(t, data, manifest, policies, on_device, recipe.evaluate.policy)
    videos = film_shots(folder, recipe.tasks, shots, starts(context.seed), context.log)
    return videos.model_copy(update={"note": videos.note or " ".join(notes)})


def _of_policies(
    t: int, data: TaskDataset, manifest: Manifest, policies: Mapping[str, Params], actor_of: ActorOf, kind: str
) -> Iterator[Shot]:
    """The policies of the unseen task at position t."""
    for name, policy in in_order(policies):
        own = {key: value[t : t + 1].contiguous() for key, value in policy.items()}
        identity = {"policy": params_digest(own), "acts": kind}
        yield Shot(manifest.task_index, data.task, name, partial(actor_of, own, (manifest.task_index,)), identity)


def _of_behavior(policy: Params, data: TaskDataset, manifest: Manifest, seed: int) -> Shot:
    """The video request for a task's behaviour policy, which acts stochastically as in collection."""
    own = {key: value[None] for key, value in policy.items()}
    width = data.actions.shape[1]

    def actor() -> Actor:
        noise = Streams.seeded([derive_seed(seed, "film", manifest.task_index)])
        return lambda observations: act(own, observations, noise.normal(observations.shape[1], width))

    identity = {"policy": params_digest(own), "acts": "stochastic"}
    return Shot(manifest.task_index, data.task, "behavior", actor, identity)
