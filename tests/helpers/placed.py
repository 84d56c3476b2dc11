"""Run folders made from synthetic reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from reports import synthetic, with_returns

from merpo.artifacts.run_manifest import write_last, write_manifest
from merpo.report.report import Report

__all__ = ["moved", "place"]


def place(folder: Path, report: Report) -> Path:
    """Write a run folder with this report; returns the folder."""
    folder.mkdir(parents=True)
    (folder / "recipe.toml").write_text("", "utf-8")
    write_manifest(folder, {"seed": report.seed, "artifacts": {}})
    write_last(folder, "report.json", report.to_json())
    return folder


def moved(alpha: float, seed: int, shift: float, title: str = "A study", **changes: Any) -> Report:
    """A synthetic report of a run, with its own noise around the same tasks' returns."""
    report = synthetic(6)
    noise = np.random.default_rng([int(100 * alpha), seed]).normal(shift, 0.1, 6)
    tasks = [with_returns(t, adapted=t.returns["adapted"] + x) for t, x in zip(report.tasks, noise, strict=True)]
    recipe = {"seed": seed, "run": {"threads": seed}, "method": {"alpha": {"component": "fixed", "initial": alpha}}}
    return report.model_copy(update={"title": title, "seed": seed, "recipe": recipe, "tasks": tasks, **changes})
