"""`merpo adapt`: a run's meta-policy on further tasks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from merpo.artifacts.finished_run import FinishedRun, open_run
from merpo.artifacts.keeper import CHECKPOINTS, Keeper
from merpo.artifacts.run_folder import BEST, LOCK, META, RunFolder
from merpo.artifacts.run_manifest import write_last
from merpo.components.context import Adapted, Context
from merpo.data.dataset import TaskDataset, stack_tasks
from merpo.data.manifest import Manifest
from merpo.data.named import matches_family, read_named
from merpo.data.needed import load_data, needed
from merpo.data.normalize import normalize_tasks, split_normalization
from merpo.data.offsets import check_offsets, offsets_of
from merpo.data.validate import check_datasets
from merpo.errors import ArtifactError, DatasetError, MerpoError, RecipeError, StoppedError, nearest
from merpo.nn.params import to_device
from merpo.policies.task_name import task_header, task_name
from merpo.recipe.memory import check_memory, needed_memory
from merpo.recipe.recipe import Recipe, from_tables, resolved
from merpo.recipe.text import apply_overrides
from merpo.run.adaptation import finished_adaptation, plain_adaptation, save_adaptation
from merpo.run.data_blame import naming_data
from merpo.run.notes import notes_on_origin
from merpo.support.files import plain, sha256_file
from merpo.support.lock import folder_lock
from merpo.support.machine import available_memory, chosen_device, machine
from merpo.support.metrics import check_finite, to_numbers
from merpo.support.progress import Progress
from merpo.support.stop import graceful
from merpo.types import Params

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["AdaptationSummary", "NewTask", "adapt_new", "print_adaptation"]

SUMMARY = "summary.json"
DIGEST = "meta-artifact"  # stands among the digests of the data
CURVES = ("alpha", "lambda_", "beta", "to_behavior", "to_meta")  # of which a summary has the last value
READAPTED = ("method", "run")  # sections of which some keys may differ from the run's
BEGINNINGS = {"last": META, "best": BEST}

Loaded = Sequence[tuple[TaskDataset, Manifest]]


class NewTask(BaseModel):
    """What adaptation did on one task; None or left out where the method does not tell."""

    model_config = ConfigDict(frozen=True)

    name: str
    index: int
    transitions: int
    behavior_return: float
    trained_on: bool  # whether the run was meta-trained on this very dataset
    chosen_on: bool = False  # whether the meta-artifact was chosen by returns on this very task
    scores: dict[str, float]  # such as nll_before and nll_after of the model
    last: dict[str, float]  # alpha, lambda and so on after the last step


class AdaptationSummary(BaseModel):
    """`summary.json`: the run that was adapted, and every task."""

    model_config = ConfigDict(frozen=True)

    run: str
    title: str
    seed: int
    tasks: list[NewTask]


def adapt_new(
    path: Path,
    names: Sequence[str],
    out: Path,
    device: str | None = None,
    begin: str = "last",
    overrides: Sequence[str] = (),
    trust: bool = False,
) -> AdaptationSummary:
    """Adapt the run in `path` to the datasets called `names`; the artifact, its manifest and a summary go to `out`.

    Without names, to the run's own unseen tasks. `begin` says with which meta-artifact: the `last`, or the `best` of
    the evaluations during meta-training; `device` is the recipe's unless given (auto, cpu or cuda); `overrides` are
    `key=value` for settings that do not change the meta-artifact, such as `method.adaptation.steps=500`. With `trust`
    the run, and one in `out`, are read although their files are not those of their manifests.
    Raises `RecipeError` for another setting, `DatasetError` for data of another family or of other dims,
    `ArtifactError` where `out` holds something else or the run has no such meta-artifact, and `MerpoError` where
    another process writes to `out`.
    """
    run = open_run(path, trust)
    if DIGEST in run.manifest.get("datasets", {}):
        raise ArtifactError(f"{path}: was itself made by `merpo adapt`; give the run whose meta-artifact it began with")
    run = run._replace(recipe=readapted(run.recipe, overrides))
    loaded = _numbered(run, read_named(names)) if names else load_data(run.recipe, run.recipe.method.min_transitions)[1]
    _check(run, loaded)
    where = chosen_device(device or run.recipe.run.device)
    rows = sum(len(data) for data, _ in loaded)
    check_memory(needed_memory(run.recipe, 0, len(loaded), rows), available_memory(where))
    groups = to_device(_meta(run, begin), where)
    meta, normalization = split_normalization(groups, run.recipe.data.normalize_observations, path)
    digests = {f"adapt {data.name}": manifest.sha256 for data, manifest in loaded}
    tasks = task_header([task_name(data.name, manifest) for data, manifest in loaded])
    digests[DIGEST] = sha256_file(run.artifact(BEGINNINGS[begin]))
    with (
        graceful(),
        machine(1 if run.recipe.run.workers > 1 else run.recipe.run.threads),
        folder_lock(out / LOCK),
        Progress() as progress,
    ):
        folder = RunFolder(out, run.recipe, run.seed, digests, progress.note, where, trust, offsets_of(loaded[0][1]))
        for note in notes_on_origin(run.recipe.tasks, loaded):
            progress.note(f"note: {note}")
        every, root = run.recipe.run.checkpoint_every, out / CHECKPOINTS
        keeper = Keeper(root, folder.fingerprint, every, progress.note)
        context = Context(
            seed=run.seed,
            device=where,
            log=progress.log,
            stage=keeper.stages(folder.stage),
            resume=keeper.resume,
            save_state=keeper.save_state,
            on_step=keeper.on_step,
            workers=run.recipe.run.workers,
            log_every=run.recipe.run.log_every,
            labels=tuple(f"unseen-{manifest.task_index}" for _, manifest in loaded),  # as in the run: the same policies
        )
        spec, largest = run.recipe.tasks.spec(), run.recipe.data.largest_action
        data = stack_tasks([data for data, _ in loaded], spec, run.seed, where, largest)
        if normalization is not None:
            data = normalize_tasks(normalization, data)
        adapted = finished_adaptation(folder, meta, ()) if folder.whole() else None
        if adapted is None:
            try:
                with keeper.named(), naming_data(loaded):
                    adapted = plain_adaptation(run.recipe.method.adapt(meta, data, context))
            except StoppedError as stopped:
                raise StoppedError(f"{stopped}; run the same command to resume") from None
            with naming_data(loaded):
                check_finite("adapt", max(adapted.snapshots, default=0), to_numbers(adapted.scores))
            save_adaptation(folder, adapted, meta, (), normalization, tasks)
        summary = _summary(run, loaded, adapted, begin)
        write_last(out, SUMMARY, summary.model_dump_json(indent=1) + "\n", trust)
        keeper.finish()
    return summary


def readapted(recipe: Recipe, overrides: Sequence[str]) -> Recipe:
    """The recipe with other values for adaptation; raises `RecipeError` for a key that meta-training depends on."""
    for text in overrides:
        key = text.partition("=")[0].strip()
        section, _, rest = key.partition(".")
        if section not in READAPTED:
            raise RecipeError(f"--set {key[:80]}: cannot change after meta-training; expected method.* or run.*")
        if section == "method" and (problem := recipe.method.fixed_after_fit(rest)):
            raise RecipeError(f"--set {key[:80]}: {problem}")
    tables = resolved(recipe)
    apply_overrides(tables, overrides)
    return from_tables(tables, "--set") if overrides else recipe


def _numbered(run: FinishedRun, loaded: Loaded) -> Loaded:
    """The data with the tasks' numbers in the run: a recipe that names its data numbers it in its own order."""
    if not run.recipe.data.named:
        return loaded
    known = {digest: number for number, digest in enumerate(run.manifest.get("datasets", {}).values())}
    free = count(len(known))
    numbers = [known[manifest.sha256] if manifest.sha256 in known else next(free) for _, manifest in loaded]
    return [(d, m.model_copy(update={"task_index": number})) for number, (d, m) in zip(numbers, loaded, strict=True)]


def _check(run: FinishedRun, loaded: Loaded) -> None:
    """Data of the family that the run was trained on, each task once."""
    family, spec = run.recipe.tasks, run.recipe.tasks.spec()
    seen: dict[int, str] = {}
    for data, manifest in loaded:
        if not matches_family(family, manifest):
            raise DatasetError(
                f"{data.name}: is of family {manifest.family!r}, the run in {run.path} of {family.name!r}"
            )
        dims = (manifest.observation_dim, manifest.action_dim)
        if dims != spec[:2]:
            raise DatasetError(
                f"{data.name}: (observation, action) dims are {dims}, the run in {run.path} has {spec[:2]}"
            )
        if manifest.task_index in seen:
            raise DatasetError(
                f"{data.name}: is of task {manifest.task_index}, as is {seen[manifest.task_index]}; "
                "adapt to them one after the other, each with an --out of its own"
            )
        seen[manifest.task_index] = data.name
    check_datasets([data for data, _ in loaded], run.recipe.method.min_transitions)
    if (subtracted := run.manifest.get("subtracted")) is not None:
        check_offsets(loaded, subtracted, f"the run in {run.path}")


def _meta(run: FinishedRun, begin: str) -> dict[str, Params]:
    """The meta-artifact with which adaptation begins."""
    if begin not in BEGINNINGS:
        raise MerpoError(f"meta: got {begin!r:.60}{nearest(begin, BEGINNINGS)}, expected last or best")
    if begin == "best" and BEST not in run.manifest["artifacts"]:
        raise ArtifactError(
            f"{run.path}: has no {BEST}: none is kept where evaluate.during_training is 0 (here "
            f"{run.recipe.evaluate.during_training}) or tasks have no environments, nor was by an older merpo; "
            "expected --meta last"
        )
    return run.groups(BEGINNINGS[begin])


def _summary(run: FinishedRun, loaded: Loaded, adapted: Adapted, begin: str) -> AdaptationSummary:
    datasets = run.manifest.get("datasets", {}).items()
    trained, test = ({digest for name, digest in datasets if name.startswith(f"{s} ")} for s in ("train", "test"))
    unseen = [] if run.recipe.data.named else [plain(source.task) for source in needed(run.recipe)[1]]
    rows = []
    for t, (data, manifest) in enumerate(loaded):
        rows.append(
            NewTask(
                name=data.name,
                index=manifest.task_index,
                transitions=manifest.transitions,
                behavior_return=manifest.behavior.return_mean,
                trained_on=run.recipe.method.learns_from_tasks and manifest.sha256 in trained,
                chosen_on=begin == "best" and (manifest.sha256 in test or plain(manifest.task) in unseen),
                scores={key: float(value[t]) for key, value in adapted.scores.items()},
                last={
                    key.rstrip("_"): float(adapted.curves[key][-1, t])
                    for key in CURVES
                    if len(adapted.curves.get(key, ()))
                },
            )
        )
    return AdaptationSummary(run=str(run.path), title=run.recipe.title, seed=run.seed, tasks=rows)


SHOWN = ("alpha", "to_behavior", "to_meta")  # of these, what the table shows


def print_adaptation(summary: AdaptationSummary, out: Path, console: Console) -> None:
    """The table of the tasks, and where their policies are."""
    from rich.table import Table

    from merpo.support.format import number
    from merpo.support.tables import frame, print_table

    table = Table(title="Adapted from data alone", title_justify="left", box=frame(console))
    pairs = sorted({key.removesuffix("_before") for t in summary.tasks for key in t.scores if key.endswith("_before")})
    pairs = [key for key in pairs if key == "error"] or pairs[:1]  # the others are in the summary
    last = [key for key in SHOWN if any(key in task.last for task in summary.tasks)]
    labels = [f"model {key}" for key in pairs] + [key.replace("_", " ") for key in last]
    for label in ("task", "behaviour", *labels):
        table.add_column(label, justify="left" if label == "task" else "right", no_wrap=True)
    for task in summary.tasks:
        moved = [f"{number(task.scores.get(f'{key}_{when}'))}" for key in pairs for when in ("before", "after")]
        cells = [f"{a} to {b}" for a, b in zip(moved[::2], moved[1::2], strict=True)]
        cells += [number(task.last.get(key)) for key in last]
        table.add_row(task.name, number(task.behavior_return), *cells)
    print_table(table, console)
    for task in summary.tasks:
        if task.trained_on:
            console.print(f"{task.name}: the run was meta-trained on this very dataset", markup=False)
        if task.chosen_on:
            text = "the best meta-artifact was chosen by returns on this very task, so its own return is no measurement"
            console.print(f"{task.name}: {text}", markup=False)
    console.print(f"policies: {out / 'artifacts' / 'adapted.safetensors'}", markup=False, soft_wrap=True)
    console.print(f"measure them where the environments are known: merpo evaluate {out}", markup=False, soft_wrap=True)
