"""The report: what it derives, what it survives, and that the page shows what the run has and nothing else."""

from __future__ import annotations

import base64
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from reports import Page, bare, synthetic, with_returns
from rich.console import Console

from merpo.errors import ArtifactError, MerpoError
from merpo.report import html as report_html
from merpo.report.curves import bands, per_task
from merpo.report.html import build_report_html, pictures, write_report
from merpo.report.report import Report, load_report
from merpo.report.text import combine, print_combined, print_summary, verdict
from merpo.support.metrics import Record

ALL_PICTURES = ["per_task_returns", "return_over_training", "adaptation_steps", "trajectories", "duals", "model_error"]
HOSTILE = '<script>alert("x")</script> & [bold]'


def terminal(width: int = 100, **settings: Any) -> Console:
    return Console(file=io.StringIO(), width=width, **settings)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_summary_follows_from_the_tasks() -> None:
    report = Report.model_validate(
        {
            "title": "t",
            "seed": 0,
            "tasks": [
                {"index": 0, "behavior": -10.0, "adapted": -6.0, "meta_policy": -7.0, "oracle": -5.0},
                {"index": 1, "behavior": -8.0, "adapted": -9.0, "meta_policy": -7.0, "oracle": -5.0},
            ],
        }
    )
    summary = report.summary
    assert report.tasks[0].gap_closed == pytest.approx(0.8)
    assert summary.returns["adapted"].mean == -7.5
    assert summary.gap_closed is not None
    assert summary.gap_closed.mean == pytest.approx((-7.5 + 9.0) / (-5.0 + 9.0))
    assert summary.adapted_minus["behavior"].mean == pytest.approx(1.5)
    assert summary.worse_than == {"behavior": 1, "meta_policy": 1}


def test_a_written_report_reads_back_equal_and_states_the_derived_numbers(tmp_path: Path) -> None:
    report = synthetic(3)
    page = write_report(report, tmp_path)
    assert load_report(tmp_path / "report.json") == report
    data = json.loads((tmp_path / "report.json").read_text())
    assert data["summary"]["gap_closed"]["mean"] == report.summary.gap_closed.mean  # type: ignore[union-attr]
    assert data["tasks"][1]["gap_closed"] == report.tasks[1].gap_closed
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert sorted(path.stem for path in (tmp_path / "pictures").iterdir()) == sorted(ALL_PICTURES)


def test_the_page_holds_every_picture_within_itself() -> None:
    page = Page(build_report_html(synthetic(4)))
    images = list(page.images())
    assert len(images) == len(ALL_PICTURES)
    for image in images:
        source = image["src"] or ""
        assert source.startswith("data:image/png;base64,")
        assert base64.b64decode(source.split(",")[1], validate=True).startswith(b"\x89PNG")
        assert len(image["alt"] or "") > 40
    assert not page.open, "every tag is closed"
    assert not any(tag in ("script", "link", "iframe") for tag, _ in page.tags)
    assert "0.90" in page.text or "gap" in page.text
    assert f"{3:064x}" in page.text


def test_all_text_is_escaped() -> None:
    tasks = [{"index": 0, "behavior": 0.0, "adapted": 1.0, "params": {HOSTILE: HOSTILE}}]
    report = bare(title=HOSTILE, tasks=tasks, notes=[HOSTILE], versions={HOSTILE: HOSTILE}, timings={HOSTILE: 1.0},
                  recipe={HOSTILE: HOSTILE}, created=HOSTILE)  # fmt: skip
    page = Page(build_report_html(report))
    assert not any(tag == "script" for tag, _ in page.tags)
    assert page.text.count("<script>") >= 7
    console = terminal()
    print_summary(report, console)
    assert "[bold]" in written(console)


@pytest.mark.parametrize(
    ("changes", "gone"),
    [
        ({"training_curve": []}, {"return_over_training"}),
        ({"model": {}}, {"model_error"}),
        ({"duals": {}}, {"duals"}),
        ({"duals": {"adaptation": {"beta": {"steps": [1], "values": [[1.0, 2.0]]}}}}, set()),
    ],
)
def test_a_picture_without_data_is_left_out(changes: dict[str, Any], gone: set[str]) -> None:
    names = [picture.name for picture in pictures(synthetic(2, **changes))]
    assert names == [name for name in ALL_PICTURES if name not in gone]


def test_a_method_without_oracle_meta_policy_and_model_has_a_report() -> None:
    report = bare()
    assert report.summary.gap_closed is None
    assert "meta_policy" not in report.summary.returns
    html = build_report_html(report)
    page = Page(html)
    assert len(list(page.images())) == 1
    assert "meta-policy as it is" not in page.text
    assert "of the gap" not in page.text


def test_pictures_are_the_same_bytes_for_the_same_report() -> None:
    assert [p.data for p in pictures(synthetic(2))] == [p.data for p in pictures(synthetic(2))]


def test_the_terminal_table_states_every_task_and_the_verdict() -> None:
    report, console = synthetic(3), terminal()
    print_summary(report, console)
    text = written(console)
    for task in report.tasks:
        assert re.search(rf"^\W*{task.index}\b.*{abs(task.returns['adapted']):.2f}", text, re.MULTILINE)
    assert "\x1b" not in text, "no colours where there is no terminal"
    assert verdict(report.summary) in text


def test_a_task_has_its_gap_where_their_mean_may_be_chance() -> None:
    few = synthetic(2)
    low = with_returns(few.tasks[1], oracle=few.tasks[1].returns["behavior"] - 10.0)
    report, console = few.model_copy(update={"tasks": [few.tasks[0], low]}), terminal()
    print_summary(report, console)
    assert report.tasks[0].gap_closed is not None
    assert report.summary.gap_closed is None
    rows = {line.split()[1]: line.split()[-2] for line in written(console).splitlines() if line.startswith("|")}
    assert (rows[str(few.tasks[0].index)], rows["mean"]) == (f"{report.tasks[0].gap_closed:.2f}", "-")


def test_the_verdict_says_when_adaptation_hurts_or_cannot_be_told_apart() -> None:
    tasks = [{"index": i, "behavior": float(i), "adapted": float(i) - 1.0, "meta_policy": float(-i)} for i in range(4)]
    text = verdict(bare(tasks=tasks).summary)
    assert "loses 1.00" in text
    assert "worse than the behaviour policy on 4, and than the meta-policy on 1, of 4 unseen tasks" in text
    noise = [{"index": i, "behavior": 0.0, "adapted": (-1.0) ** i} for i in range(6)]
    assert "cannot be told apart" in verdict(bare(tasks=noise).summary)


def test_one_or_two_values_make_no_interval_to_believe() -> None:
    def told(*pairs: tuple[float, float]) -> str:
        return verdict(
            bare(tasks=[{"index": i, "behavior": b, "adapted": a} for i, (b, a) in enumerate(pairs)]).summary
        )

    one = told((5.0, 100.0))
    assert "gains 95.00 over the behaviour policies" in one
    assert "One task and one seed: whether that is chance cannot be decided." in one
    assert "With two tasks and one seed intervals say little." in told((0.0, 1.0), (0.0, 3.0))
    assert "say little" not in told((0.0, 1.0), (0.0, 3.0), (0.0, 2.0))


def test_the_verdict_and_the_page_say_what_the_intervals_cover() -> None:
    one_seed, one_task = synthetic(3), synthetic(1)
    said = verdict(one_seed.summary)
    assert said.endswith("Intervals are for new tasks with this training seed; another seed may give other returns.")
    both = combine([one_seed, synthetic(3, 1)])
    assert verdict(both).endswith(
        "Intervals are for new seeds of training and new tasks. All seeds share one data set."
    )
    seeds = combine([one_task, synthetic(1, 1), synthetic(1, 2)])
    assert "for new seeds of training on this one task; another task may have other returns." in verdict(seeds)
    own = [entry.model_copy(update={"sha256": "f" * 64}) for entry in one_task.datasets]
    apart = combine([one_task, synthetic(1, 1, datasets=[one.model_dump() for one in own])])
    assert "Intervals are for new seeds of data and training on this one task" in verdict(apart)
    assert "one data set" not in verdict(apart)
    assert "Intervals" not in verdict(one_task.summary)
    assert "95 % interval for new tasks" in build_report_html(one_seed)
    assert ">95 % interval<" in build_report_html(one_task)


def test_the_page_of_logs_explains_no_numbers_that_it_does_not_have() -> None:
    logs, measured = (build_report_html(one) for one in (bare(tasks=[{"index": 0, "behavior": -2.0}]), synthetic(2)))
    for text in ("Differences are paired by task", "Gap closed is"):
        assert text in measured
        assert text not in logs
    assert "for the return on a further task.</p>" in logs


def test_a_report_is_finished_with_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(report_html, "build_report_html", fail)
    with pytest.raises(KeyboardInterrupt):
        write_report(synthetic(2), tmp_path)
    assert not (tmp_path / "report.json").exists(), "the same run goes on and writes the page"


def test_seeds_are_combined_over_tasks_and_seeds() -> None:
    reports = [synthetic(3, seed) for seed in range(3)]
    console = terminal(140)
    summary = print_combined(reports, console)
    assert (summary.seeds, summary.tasks) == (3, 3)
    means = [report.summary.returns["adapted"].mean for report in reports]
    assert summary.returns["adapted"].mean == pytest.approx(float(np.mean(means)))
    adapted = summary.returns["adapted"]
    assert adapted.low < adapted.mean < adapted.high
    assert "seed 2" in written(console)
    assert "95 % interval" in written(console)


def test_reports_on_different_tasks_are_not_combined() -> None:
    with pytest.raises(MerpoError, match="seed 1 covers the tasks"):
        combine([synthetic(3, 0), synthetic(2, 1)])
    with pytest.raises(MerpoError, match="at least one"):
        combine([])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Invalid JSON"),
        (b"\xff\xfe", "UTF-16"),
        (b"[" * 5000, "Invalid JSON"),
        (b"[1]", "object"),
        (b'{"title": "t", "seed": 0, "tasks": []}', "tasks"),
        (b'{"title": "t", "seed": 0, "tasks": [{"index": 0, "behavior": NaN, "adapted": 0}]}', "behavior"),
        (
            b'{"schema_version": 2, "title": "t", "seed": 0, "tasks": [{"index": 0, "behavior": 1, "adapted": 0}]}',
            "version 1",
        ),
    ],
)
def test_a_damaged_report_is_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=message) as caught:
        load_report(path)
    assert str(path) in str(caught.value)


def test_a_missing_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no such file"):
        load_report(tmp_path / "report.json")


def test_bands_read_metrics_per_task_and_single() -> None:
    records = [
        Record("meta-policy", 10, 0.0, {"alpha/mean": 0.5, "alpha/min": 0.4, "alpha/max": 0.6, "beta": 1.0}),
        Record("adapt", 1, 0.0, {"alpha/mean": 9.0, "alpha/min": 9.0, "alpha/max": 9.0}),
        Record("meta-policy", 20, 0.0, {"lambda_/mean": 3.0, "lambda_/min": 2.0, "lambda_/max": None}),
    ]
    found = bands(records, "meta-policy")
    assert set(found) == {"alpha", "beta", "lambda"}
    assert (found["alpha"].steps, found["alpha"].low, found["alpha"].high) == ([10], [0.4], [0.6])
    assert found["beta"].low == found["beta"].mean == [1.0]
    assert found["lambda"].high == [None]


def test_curves_per_task_are_thinned_and_may_have_gaps() -> None:
    curve = torch.arange(1000.0)[:, None].expand(1000, 2).clone()
    curve[0, 1] = math.nan
    found = per_task({"lambda_": curve, "other": torch.zeros(3)}, most=300)
    assert set(found) == {"lambda"}
    assert len(found["lambda"].steps) <= 300
    assert found["lambda"].steps[:2] == [1, 5]
    assert found["lambda"].values[:2] == [[0.0, None], [4.0, 4.0]]


def test_paths_need_neither_wind_nor_goal() -> None:
    tasks = [
        {"index": 0, "behavior": 0.0, "adapted": 1.0, "trajectories": {"adapted": [(0.0, 0.0), (1.0, 1.0)]}},
        {
            "index": 1,
            "behavior": 0.0,
            "adapted": 1.0,
            "params": {"wind": "none"},
            "trajectories": {"adapted": [(0, 0)]},
        },
        {"index": 2, "behavior": 0.0, "adapted": 1.0},
        *(
            {"index": i, "behavior": 0.0, "adapted": 1.0, "trajectories": {"clone": [(0, 0), (1, 0)]}}
            for i in (3, 4, 5, 6)
        ),
    ]
    picture = next(picture for picture in pictures(bare(tasks=tasks)) if picture.name == "trajectories")
    assert "wind" not in picture.caption
    assert "6 unseen tasks" in picture.alt


def test_duals_of_one_phase_have_a_picture_without_the_other() -> None:
    curve = {"steps": [1, 2], "values": [[0.1], [0.2]]}
    band = {"steps": [1], "mean": [0.1], "low": [None], "high": [0.3]}
    report = bare(duals={"adaptation": {"alpha": curve}, "training": {"beta": band}})
    picture = next(picture for picture in pictures(report) if picture.name == "duals")
    assert picture.alt == "Line charts of alpha, beta over training and adaptation."
    report = bare(duals={"adaptation": {"alpha": curve}})
    assert any(picture.name == "duals" for picture in pictures(report))
