"""A run's results on narrow terminals: every column is there, and no word is broken."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from reports import bare, synthetic
from rich.cells import cell_len
from rich.console import Console

from merpo.report.policies import POLICIES
from merpo.report.report import Report
from merpo.report.text import print_combined, print_summary

WORDS = re.compile(r"[^\s─-]+")  # a hyphen may end a line


def full(scale: float) -> Report:
    """Everything that the terminal can show, with returns times `scale`."""
    data: dict[str, Any] = json.loads(synthetic(4).to_json())
    for task in data["tasks"]:
        task["behavior_mode"] = task["behavior"] + 0.5
        task["clone"], task["clone_drawn"] = task["behavior"] + 0.4, task["behavior"] - 0.1
        task["meta_policy_drawn"], task["adapted_drawn"] = task["meta_policy"] - 0.2, task["adapted"] - 0.3
        for key in POLICIES:
            task[key] *= scale
        task["reference"] = {"random": -40.0 * scale, "expert": -5.0 * scale, "source": "metadata of mujoco/x-v0"}
        stats = {"return_std": 0, "length": 1000, "termination_rate": 0.5}
        task["episodes"] = {key: {"episodes": 2, "return_mean": task[key], **stats} for key in POLICIES}
    return Report.model_validate(data)


def logs(scale: float) -> Report:
    """A run without an environment."""
    estimates = {name: [scale, -scale] for name in ("departure", "q_logged", "q_meta_policy", "q_adapted")}
    return bare(tasks=[{"index": i, "behavior": i * scale} for i in range(2)], estimates=estimates)


def print_seeds(report: Report, console: Console) -> None:
    print_combined([report.model_copy(update={"seed": seed}) for seed in range(5)], console)


def printed(show: Callable[[Report, Console], object], report: Report, width: int) -> list[str]:
    text = io.StringIO()
    show(report, Console(file=text, width=width, force_terminal=True, color_system=None, legacy_windows=False))
    return text.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 60, 80])
@pytest.mark.parametrize("show", [print_summary, print_seeds])
@pytest.mark.parametrize("report", [full(1.0), full(1000.0), logs(1.0), logs(1e6)], ids=["full", "large", "logs", "q"])
def test_a_narrow_terminal_has_every_column_and_breaks_no_word(
    report: Report, show: Callable[[Report, Console], object], width: int
) -> None:
    narrow, wide = printed(show, report, width), printed(show, report, 1000)
    assert max(map(cell_len, narrow)) <= width
    shown, whole = (set(WORDS.findall("\n".join(lines))) for lines in (narrow, wide))
    assert shown == whole


def test_a_title_is_wider_than_a_narrow_table() -> None:
    lines = printed(print_summary, bare(title="Half-Cheetah, forwards and backwards"), 80)
    assert lines[0].rstrip() == "Half-Cheetah, forwards and backwards: return on unseen tasks"
