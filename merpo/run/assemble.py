"""The report of a run from its evaluations, curves and times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

from merpo.artifacts.run_folder import RunFolder
from merpo.artifacts.versions import versions
from merpo.components.context import Adapted
from merpo.data.dataset import TaskDataset
from merpo.data.manifest import Manifest
from merpo.data.reference_scores import stored_reference
from merpo.errors import ArtifactError
from merpo.evaluation.episode_stats import of_data, of_evaluation
from merpo.evaluation.evaluate import Evaluation
from merpo.evaluation.videos import Videos
from merpo.recipe.recipe import Recipe, resolved
from merpo.report.curves import DualCurves, bands, per_task
from merpo.report.policies import POLICIES, in_order
from merpo.report.report import CurvePoint, DatasetEntry, ModelErrors, Report, TaskReport
from merpo.run.health import health
from merpo.run.runner import Measurements
from merpo.run.stage_times import StageTimes
from merpo.support.metrics import Record, read_metrics

__all__ = ["assemble"]

Loaded = Sequence[tuple[TaskDataset, Manifest]]


def assemble(
    recipe: Recipe,
    folder: RunFolder,
    seed: int,
    train: Loaded,
    test: Loaded,
    adapted: Adapted,
    measured: Measurements,
    times: StageTimes,
    videos: Videos,
    notes: Sequence[str] = (),
) -> Report:
    """The report of one run."""
    scores = {
        name: value.double().tolist() for name, value in adapted.scores.items() if name in ModelErrors.model_fields
    }
    training = bands(_once(read_metrics(folder.path)), "meta-policy")
    curve = _curve(folder)
    tasks = [_task(t, data, manifest, measured.evaluations) for t, (data, manifest) in enumerate(test)]
    return Report(
        title=recipe.title,
        seed=seed,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        notes=list(notes),
        recipe=resolved(recipe),
        versions=versions(),
        datasets=[_dataset(m, "train") for _, m in train] + [_dataset(m, "test") for _, m in test],
        timings=times.read(),
        reused=times.reused,
        tasks=tasks,
        health=health(recipe, train, test, adapted, tasks),
        training_curve=curve,
        duals=DualCurves(training=training, adaptation=per_task(adapted.curves)),
        model=ModelErrors(**scores),
        estimates=measured.estimates,
        calibration=measured.calibration,
        videos=videos,
    )


def _curve(folder: RunFolder) -> list[CurvePoint]:
    try:
        points = [
            CurvePoint.model_validate({"step": int(step), **point}) for step, point in folder.read_curve().items()
        ]
    except (TypeError, ValueError) as error:
        raise ArtifactError(f"{folder.path}: training_curve.json is damaged ({error!s:.200}); delete it") from None
    return sorted(points, key=lambda point: point.step)


def _once(records: Iterable[Record]) -> list[Record]:
    """The last record of every step: a resumed run has written some steps twice."""
    last = {(record.stage, record.step): record for record in records}
    return sorted(last.values(), key=lambda record: record.step)


def _dataset(manifest: Manifest, split: Literal["train", "test"]) -> DatasetEntry:
    return DatasetEntry(
        task=manifest.task_index,
        split=split,
        quality=manifest.quality,
        sha256=manifest.sha256,
        behavior_return=manifest.behavior.return_mean,
        transitions=manifest.transitions,
    )


def _task(t: int, data: TaskDataset, manifest: Manifest, evaluations: Mapping[str, Evaluation]) -> TaskReport:
    """The report of one unseen task. The behaviour policy's return is the mean return of its data."""
    returns = {name: float(e.returns[t].double().mean()) for name, e in evaluations.items()}
    first = data.observations[: int(data.episode_offsets[1])].tolist()
    paths = {
        "behavior": first,
        **{key: e.trajectories[t] for key, e in evaluations.items() if key in POLICIES and POLICIES[key].path},
    }
    plane = data.observations.shape[1] == 2 and "adapted" in returns
    return TaskReport(
        index=manifest.task_index,
        params=manifest.task,
        returns=dict(in_order(returns)) | {"behavior": manifest.behavior.return_mean},
        reference=stored_reference(manifest.settings),
        episodes={"behavior": of_data(data)}
        | {key: of_evaluation(evaluation, t) for key, evaluation in in_order(evaluations)},
        snapshots={int(name[5:]): value for name, value in returns.items() if name.startswith("step-")},
        trajectories={name: [(p[0], p[1]) for p in path] for name, path in paths.items()} if plane else {},
    )
