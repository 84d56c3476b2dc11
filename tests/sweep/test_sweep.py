"""`merpo sweep`: combinations, processes that fail or are stopped, and one small sweep from start to end."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from command import Answer
from hypothesis import given
from hypothesis import strategies as st
from logs_recipes import logs_tables
from reports import synthetic
from rich.console import Console
from tiny import write_tiny

from merpo.errors import MerpoError, RecipeError
from merpo.recipe.recipe import from_tables, load_recipe
from merpo.report.text import combine
from merpo.support.lock import folder_lock
from merpo.support.processes import Command, Ended, run_commands
from merpo.sweep import sweep as module
from merpo.sweep.plan import combinations, common, plan, split_values
from merpo.sweep.summary import SweepSummary, VariantRow, print_sweep, summarize_sweep
from merpo.sweep.sweep import Outcome, _data_key, _lacks_data, last_line, run_sweep, threads_each

Merpo = Callable[..., Answer]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.1,0.4, 0.7", ["0.1", "0.4", "0.7"]),
        ("[1, 2],[3]", ["[1, 2]", "[3]"]),
        ('"a, b",c', ['"a, b"', "c"]),
        ("{component = 'x', y = [1, 2]}", ["{component = 'x', y = [1, 2]}"]),
        ("1,1,2", ["1", "2"]),
        ("", [""]),
        ("],1", ["]", "1"]),
    ],
)
def test_values_between_commas(text: str, expected: list[str]) -> None:
    assert split_values(text) == expected


@given(st.lists(st.integers(-99, 99), min_size=1, unique=True))
def test_numbers_come_back(values: list[int]) -> None:
    assert split_values(",".join(map(str, values))) == list(map(str, values))


def test_every_combination_the_last_changing_fastest() -> None:
    assert combinations([]) == [()]
    assert combinations(["a.b=1,2", "c=x", "d=[1,2],3"]) == [
        ("a.b=1", "c=x", "d=[1,2]"), ("a.b=1", "c=x", "d=3"), ("a.b=2", "c=x", "d=[1,2]"), ("a.b=2", "c=x", "d=3"),
    ]  # fmt: skip
    for bad, text in ((["a"], "expected KEY=VALUE"), (["a=1", "a=2"], "a is given twice")):
        with pytest.raises(RecipeError, match=text):
            combinations(bad)
    many = ",".join(map(str, range(1000)))
    with pytest.raises(RecipeError, match="make 1000000 combinations"):
        combinations([f"a={many}", f"b={many}"])


def test_a_plan_names_each_variant_and_validates_all(tmp_path: Path) -> None:
    recipe = write_tiny(tmp_path / "tiny.toml")
    jobs = plan(recipe, ["method.alpha.initial=0.1,0.4"], [3, 4], tmp_path / "out")
    assert [str(job.folder.relative_to(tmp_path / "out")) for job in jobs] == [
        "alpha.initial=0.1/seed-3", "alpha.initial=0.1/seed-4", "alpha.initial=0.4/seed-3", "alpha.initial=0.4/seed-4",
    ]  # fmt: skip
    assert jobs[0].recipe == load_recipe(recipe, ["method.alpha.initial=0.1"])
    assert [job.seed for job in plan(recipe, [], None, tmp_path)] == [0]
    assert plan(recipe, [], None, tmp_path)[0].folder == tmp_path / "base" / "seed-0"
    with pytest.raises(RecipeError, match=r"alpha\.initial: got 7.*in the variant alpha\.initial=7"):
        plan(recipe, ["method.alpha.initial=0.1,7"], None, tmp_path)
    names = [job.variant for job in plan(recipe, ['title="a/b","a b","a:b","../x"'], None, tmp_path)]
    assert len(set(names)) == 4
    assert all("/" not in name and not name.startswith(".") for name in names)
    (long,) = plan(recipe, [f'title="{"x" * 190}"'], None, tmp_path)
    assert len(long.variant) <= 80


def test_only_minaris_data_is_fetched_before_runs_that_name_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the store lacks by name fails in the run that names it, and in no other."""
    monkeypatch.setenv("MERPO_DATA", str(tmp_path))
    tables = logs_tables({"data": {"train": ["store:a"], "test": ["store:b"]}})
    assert not _lacks_data(from_tables(tables))
    tables["data"]["test"] = ["minari:D4RL/x-v0"]
    assert _lacks_data(from_tables(tables))
    assert _data_key(from_tables(tables)) == ("D4RL/x-v0",)


def test_variants_are_called_by_what_differs(tmp_path: Path) -> None:
    recipe = write_tiny(tmp_path / "tiny.toml")
    fixed = ["method.rac.batch_size=16", "evaluate.episodes=3"]

    def labels(*overrides: str) -> list[str]:
        return [job.label for job in plan(recipe, [*fixed, *overrides], [7], tmp_path)]

    assert labels("method.alpha.initial=0.1,0.4") == ["alpha.initial=0.1", "alpha.initial=0.4"]
    assert labels("run.threads=1,2", "method.alpha.initial=0.1,0.4")[1:3] == [
        "run.threads=1, alpha.initial=0.4", "run.threads=2, alpha.initial=0.1",
    ]  # fmt: skip
    long = labels(f'title="{"x" * 60}1","{"x" * 60}2"')
    assert len(set(long)) == 2
    assert all(len(label) < 60 for label in long)
    (alone,) = labels()
    assert alone == "rac.batch_size=16, evaluate.episodes=3"
    (job,) = plan(recipe, fixed, [7], tmp_path)
    assert str(job) == f"{alone} seed 7"
    assert job.folder == tmp_path / "rac.batch_size=16,evaluate.episodes=3" / "seed-7"
    (many,) = labels("run.threads=1")
    assert len(many) == 40
    assert common(combinations([*fixed, "a=1,2"])) == fixed
    assert common(combinations(fixed)) == []
    assert [job.label for job in plan(recipe, [], None, tmp_path)] == ["base"]


def test_a_sweep_says_what_its_labels_leave_out(tmp_path: Path) -> None:
    recipe = write_tiny(tmp_path / "tiny.toml")
    title = "y" * 50
    jobs = plan(recipe, ["evaluate.episodes=3", f'title="a","{title}"'], [7], tmp_path)
    summary = summarize_sweep(recipe, [Outcome(job, "failed", 2, reason="a reason") for job in jobs])
    assert [row.label for row in summary.variants] == ['title="a"', f'title="{"y" * 38}…']
    text = io.StringIO()
    print_sweep(summary, Console(file=text, width=200))
    lines = text.getvalue().splitlines()
    assert "in every variant: evaluate.episodes=3" in lines
    assert f'title="{"y" * 38}…: evaluate.episodes=3, title="{title}"' in lines
    assert any(line.startswith('failed: title="a" seed 7, exit code 2: a reason; log: ') for line in lines)
    rows = [line for line in lines if line.startswith("| title")]
    assert ["episodes" in row for row in rows] == [False, False]
    assert "brackets" not in text.getvalue(), "no run has finished, so there is no interval"


def test_a_sweep_says_what_its_intervals_cover() -> None:
    several = combine([synthetic(3, seed) for seed in range(2)])
    found = [("a", several, 2), ("b", synthetic(3).summary, 1)]
    variants = [VariantRow(name=n, overrides=[], seeds=list(range(k)), failed=0, summary=s) for n, s, k in found]
    text = io.StringIO()
    print_sweep(SweepSummary(recipe="r.toml", variants=variants, jobs=[]), Console(file=text, width=200))
    assert "brackets: 95 % intervals for new seeds of training and new tasks" in text.getvalue().splitlines()


def python(code: str, log: Path) -> Command:
    return Command((sys.executable, "-c", code), log)


def test_a_failure_stops_none_of_the_others(tmp_path: Path) -> None:
    codes = ["print('fine')", "import sys; print('bad luck'); sys.exit(3)", "import os; print(os.environ['MINE'])"]
    ended: dict[int, Ended] = {}
    commands = [python(c, tmp_path / f"{i}.log") for i, c in enumerate(codes)]
    run_commands(commands, 2, {"MINE": "here"}, ended.__setitem__)
    assert {which: one.exit_code for which, one in ended.items()} == {0: 0, 1: 3, 2: 0}
    assert [last_line(tmp_path / f"{i}.log") for i in range(3)] == ["fine", "bad luck", "here"]
    assert last_line(tmp_path / "none.log") == ""


class AtOnce(Executor):
    """The smallest executor: runs what is submitted before it returns."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        future.set_result(fn(*args, **kwargs))
        return future


EXECUTORS = {
    "threads": lambda: ThreadPoolExecutor(2),
    "processes": lambda: ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")),
    "own": AtOnce,
}


@pytest.mark.parametrize("kind", EXECUTORS)
def test_a_sweep_runs_on_any_executor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv("MERPO_DATA", str(tmp_path / "data"))
    code = (
        "import os, sys; print(sys.argv[1], os.environ['OMP_NUM_THREADS']); sys.exit(sys.argv[2:4] == ['--seed', '1'])"
    )
    monkeypatch.setattr(module, "_merpo", lambda command, *_: (sys.executable, "-c", code, command))
    monkeypatch.setattr(module, "threads_each", lambda parallel: 10 + parallel)
    jobs = plan(write_tiny(tmp_path / "tiny.toml"), [], [0, 1, 2], tmp_path / "out")
    said: list[str] = []
    with EXECUTORS[kind]() as executor:
        outcomes = run_sweep(jobs, 3, said.append, executor)
    assert [(outcome.job, outcome.status, outcome.exit_code) for outcome in outcomes] == [
        (jobs[0], "done", 0), (jobs[1], "failed", 1), (jobs[2], "done", 0),
    ]  # fmt: skip
    assert [last_line(job.log) for job in jobs] == ["run 13"] * 3
    assert last_line(tmp_path / "out" / "data-0.log") == "collect 13"
    assert len(said) == 4


def test_a_worker_that_dies_fails_its_run(tmp_path: Path) -> None:
    ended: dict[int, Ended] = {}
    code = "import os, signal; os.kill(os.getppid(), signal.SIGKILL)"
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        run_commands([python(code, tmp_path / "x.log")], 1, {}, ended.__setitem__, executor)
    assert ended[0].exit_code is None
    assert "BrokenProcessPool" in ended[0].error


def test_no_more_than_asked_run_at_a_time(tmp_path: Path) -> None:
    code = f"""
import os, pathlib, time
folder = pathlib.Path({str(tmp_path)!r})
mine = folder / f"on-{{os.getpid()}}"
mine.touch()
print(len(list(folder.glob("on-*"))))
time.sleep(0.2)
mine.unlink()
"""
    run_commands([python(code, tmp_path / f"{i}.log") for i in range(5)], 2, {}, lambda *_: None)
    counts = [int(last_line(tmp_path / f"{i}.log")) for i in range(5)]
    assert max(counts) <= 2


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MerpoError, match=r"file/x\.log: cannot be written"):
        run_commands([python("", tmp_path / "file" / "x.log")], 1, {}, lambda *_: None)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_children_are_stopped_with_their_parent(tmp_path: Path, sent: signal.Signals) -> None:
    polite = (
        "import time\nprint('started', flush=True)\n"
        "try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    print('tidied up', flush=True)"
    )
    stubborn = (
        "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "print('started', flush=True)\ntime.sleep(60)"
    )
    parent = f"""
import signal, sys
from pathlib import Path
from merpo.support import processes
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests in the background ignores it
processes.GRACE = 1.0
commands = [processes.Command((sys.executable, "-c", code), Path({str(tmp_path)!r}) / f"{{i}}.log")
            for i, code in enumerate({[polite, stubborn, polite]!r})]
try:
    processes.run_commands(commands, 2, {{}}, lambda *_: None)
except KeyboardInterrupt:
    print("stopped")
"""
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    logs = [tmp_path / f"{i}.log" for i in range(3)]
    until = time.monotonic() + 60
    while (
        process.poll() is None
        and time.monotonic() < until
        and not all(log.exists() and "started" in log.read_text() for log in logs[:2])
    ):
        time.sleep(0.05)
    process.send_signal(sent)
    out, _ = process.communicate(timeout=60)
    assert out == "stopped\n"
    assert last_line(logs[0]) == "tidied up"
    assert last_line(logs[1]) == "started", "what does not stop is killed"
    assert not logs[2].exists(), "what was waiting is not begun"


def test_the_cores_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert [threads_each(n) for n in (1, 2, 3, 8, 16)] == [8, 4, 2, 1, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads_each(2) == 3


def test_a_sweep_from_start_to_end(merpo_cli: Merpo) -> None:
    """One variant cannot be trained on so little data; the other is, and neither is begun again where it is done."""
    sweep = ("sweep", "tiny.toml", "--set", "method.rac.batch_size=16,4096", "--jobs", "2", "--out", "out")
    dry = merpo_cli(*sweep, "--dry-run")
    assert (dry.code, dry.out.count("to run")) == (0, 2)
    assert not Path("out").exists()
    answer = merpo_cli(*sweep)
    assert answer.code == 1, answer.out + answer.err
    assert "data of rac.batch_size=16: collected" in answer.out
    assert "failed: rac.batch_size=4096 seed 0, exit code 2: " in answer.out
    assert "out/rac.batch_size=4096/seed-0.log" in answer.out
    assert "fewer than a batch of 4096" in Path("out/rac.batch_size=4096/seed-0.log").read_text()
    assert (Path("out") / "rac.batch_size=16" / "seed-0" / "report.html").exists()
    summary = json.loads(Path("out/summary.json").read_text())
    good, bad = summary["variants"]
    assert (good["seeds"], good["failed"], bad["seeds"], bad["failed"], bad["summary"]) == ([0], 0, [], 1, None)
    rows = list(csv.DictReader(Path("out/summary.csv").read_text().splitlines()))
    assert [(row["status"], row["exit_code"]) for row in rows] == [("done", "0"), ("failed", "2")]
    assert float(rows[0]["adapted"]) == pytest.approx(good["summary"]["adapted"]["mean"])
    assert not (Path("out") / "sweep.lock").exists()
    began = (Path("out") / "rac.batch_size=16" / "seed-0" / "report.html").stat().st_mtime_ns
    again = merpo_cli("sweep", "tiny.toml", "--set", "method.rac.batch_size=16", "--out", "out")
    assert (again.code, "1 of 1 runs are finished already" in again.out) == (0, True)
    assert (Path("out") / "rac.batch_size=16" / "seed-0" / "report.html").stat().st_mtime_ns == began
    write_tiny(Path("tiny.toml"), {"method": {"adaptation": {"steps": 2}}})
    other = merpo_cli("sweep", "tiny.toml", "--set", "method.rac.batch_size=16", "--out", "out", "--dry-run")
    assert "to run" in other.out, "another recipe's report is not taken for this one's"


def test_data_that_cannot_be_collected_fails_the_runs_that_need_it(
    merpo_cli: Merpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("file").write_text("")
    monkeypatch.setenv("MERPO_DATA", "file")
    answer = merpo_cli("sweep", "tiny.toml", "--seeds", "0:2", "--out", "out")
    assert answer.code == 1
    assert answer.out.count("collecting its data failed") == 2
    assert "out/data-0.log" in answer.out
    assert not Path("out/base/seed-0.log").exists()


@pytest.mark.skipif(os.name != "posix", reason="flock")
def test_a_second_sweep_with_the_same_folder_is_refused(merpo_cli: Merpo) -> None:
    sweep = ("sweep", "tiny.toml", "--seeds", "0:2", "--out", "out")
    with folder_lock(Path("out/sweep.lock")):
        answer = merpo_cli(*sweep)
        assert answer.code == 2
        assert f"out/sweep.lock: process {os.getpid()} on " in answer.err
        assert [path.name for path in Path("out").iterdir()] == ["sweep.lock"]
        assert merpo_cli(*sweep, "--dry-run").code == 0
