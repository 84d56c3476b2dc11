"""Synthetic reports, and a parser of their HTML pages."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import numpy as np

from merpo.report.report import Report, TaskReport

__all__ = ["Page", "bare", "synthetic", "with_returns"]


def synthetic(tasks: int = 10, seed: int = 0, **changes: Any) -> Report:
    """A report with every field set, as from a run on Point-Robot-Wind."""
    random = np.random.default_rng(seed)
    winds = random.uniform(-0.05, 0.05, (tasks, 2))
    behavior, oracle = -10.0 - random.random(tasks) * 2, -5.0 - random.random(tasks)
    meta = behavior + 0.75 * (oracle - behavior) + random.normal(0, 0.3, tasks)
    adapted = behavior + 0.9 * (oracle - behavior) + random.normal(0, 0.1, tasks)
    steps = [*range(140, 1401, 140)]
    data: dict[str, Any] = {
        "title": "merpo_adp: Point-Robot-Wind, medium data",
        "seed": seed,
        "recipe": {"method": {"component": "merpo", "alpha": {"component": "adaptive"}}},
        "versions": {"merpo": "0.1.0", "torch": "2.13.0"},
        "timings": {"meta-model": 21.0, "meta-policy": 120.5, "adapt": 14.2},
        "datasets": [
            {
                "task": i,
                "split": "test",
                "quality": "medium",
                "sha256": f"{i:064x}",
                "transitions": 5000,
                "behavior_return": float(behavior[i]),
            }
            for i in range(tasks)
        ],
        "tasks": [
            {
                "index": 40 + i,
                "params": {"wind": list(winds[i]), "goal": [1.0, 0.0]},
                "behavior": behavior[i],
                "oracle": oracle[i],
                "meta_policy": meta[i],
                "adapted": adapted[i],
                "snapshots": {s: adapted[i] - 2.0 * math.exp(-s / 30) for s in (0, 10, 25, 50, 100)},
                "trajectories": _paths(winds[i], random),
            }
            for i in range(tasks)
        ],
        "training_curve": [
            {
                "step": s,
                "adapted": list(adapted - 8 * math.exp(-s / 400)),
                "meta_policy": list(meta - 12 * math.exp(-s / 400)),
            }
            for s in steps
        ],
        "duals": {
            "training": {
                name: {
                    "steps": steps,
                    "mean": [base + 0.1 * math.sin(s / 200) for s in steps],
                    "low": [base - 0.2] * len(steps),
                    "high": [base + 0.2] * len(steps),
                }
                for name, base in (("alpha", 0.5), ("lambda", 2.0), ("beta", 1.0), ("q_gap", 6.0))
            },
            "adaptation": {
                "alpha": {"steps": steps, "values": [list(0.5 + 0.01 * i * random.random(tasks)) for i in range(10)]},
                "beta": {"steps": steps, "values": [[None] * tasks] + [list(random.random(tasks)) for i in range(9)]},
            },
        },
        "model": {
            "nll_before": list(random.random(tasks)),
            "nll_after": list(random.random(tasks) - 2),
            "error_before": list(0.5 + random.random(tasks)),
            "error_after": list(0.01 + 0.01 * random.random(tasks)),
        },
    }
    return Report.model_validate_json(json.dumps(data | changes))


def _paths(wind: Any, random: np.random.Generator) -> dict[str, list[list[float]]]:
    found = {}
    for name, noise in (("behavior", 0.05), ("meta_policy", 0.02), ("adapted", 0.008), ("oracle", 0.0)):
        point, path = np.zeros(2), [[0.0, 0.0]]
        for _ in range(20):
            aim = np.clip((np.array([1.0, 0.0]) - point) - (0 if name == "behavior" else wind), -0.1, 0.1)
            point = point + aim + wind + random.normal(0, noise, 2)
            path.append(point.tolist())
        found[name] = path
    return found


def bare(**changes: Any) -> Report:
    """The report of a method without a model, a meta-policy and an oracle."""
    return Report.model_validate(
        {"title": "combo", "seed": 3, "tasks": [{"index": 0, "behavior": -2.0, "adapted": -1.0}], **changes}
    )


def with_returns(task: TaskReport, **changes: float | None) -> TaskReport:
    """The task with other returns; a policy whose return is None has none."""
    returns = {key: value for key, value in {**task.returns, **changes}.items() if value is not None}
    return task.model_copy(update={"returns": returns})


class Page(HTMLParser):
    """The tags with attributes and the text of an HTML page; fails on unbalanced tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def images(self) -> Iterator[dict[str, str | None]]:
        return (attributes for tag, attributes in self.tags if tag == "img")
