"""However a command ends, by a signal, a shortage or a reader that has gone: a clear end, and never a traceback."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from figure_files import write_figure
from finished import finished_run
from tiny import write_tiny

from merpo.artifacts.run_folder import WITHIN, refuse_foreign
from merpo.cli import app as cli
from merpo.errors import ArtifactError, StoppedError
from merpo.support import stop

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and limits")

CODE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # pytest in the background of a shell ignores it
from merpo.cli.app import main
print('begun', file=sys.stderr, flush=True)
main()
"""
RESUMABLE = ("run", "collect", "adapt", "sweep", "reproduce")


@pytest.fixture(scope="module")
def folder(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny.toml, a finished run, and its data."""
    folder = tmp_path_factory.mktemp("ends")
    write_tiny(folder / "tiny.toml")
    finished_run(store, folder / "first")
    return folder


def start(folder: Path, store: Path, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "MERPO_DATA": str(store), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", CODE, *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, **pipes)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=240)
    finally:
        process.kill()
    assert "Traceback" not in (out or "") + (err or ""), err
    assert "Exception ignored" not in (err or ""), err
    return process.returncode, out or "", err or ""


@pytest.mark.parametrize("delay", [0.0, 0.1, 0.35])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_first_half_second_stops_a_run_that_can_go_on(
    folder: Path, store: Path, delay: float, number: int
) -> None:
    process = start(folder, store, "run", "tiny.toml", "--out", f"early-{delay}-{number}")
    assert process.stderr is not None
    assert process.stderr.readline() == "begun\n"
    time.sleep(delay + 0.02)  # until `main` has taken over
    process.send_signal(number)
    code, _, err = ended(process)
    assert code in (75, 0)  # 0: it was quicker
    assert code == 0 or "stopped by a signal" in err
    assert code == 0 or "run the same command" in err


@pytest.mark.parametrize("delay", [0.0, 0.3, 0.6])
def test_a_signal_ends_what_cannot_go_on_in_one_way(folder: Path, store: Path, delay: float) -> None:
    process = start(folder, store, "evaluate", "first", "--episodes", "100000")
    assert process.stderr is not None
    assert process.stderr.readline() == "begun\n"
    time.sleep(delay + 0.02)
    process.send_signal(signal.SIGINT)
    assert ended(process)[0] == 130


@pytest.mark.parametrize("command", RESUMABLE)
def test_every_command_that_can_go_on_says_so(
    command: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    codes: list[int] = []

    def leave(code: int) -> None:
        codes.append(code)
        raise SystemExit(code)

    monkeypatch.setattr(os, "_exit", leave)
    monkeypatch.setattr(sys, "argv", ["merpo", command, "x"])
    monkeypatch.setattr(cli, "_app", lambda: lambda: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit):
        cli.main()
    assert codes == [StoppedError.exit_code]
    assert capfd.readouterr().err == "stopped by a signal; run the same command to go on\n"
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_stopped_sweep_can_go_on(folder: Path, store: Path) -> None:
    process = start(folder, store, "sweep", "tiny.toml", "--seeds", "0:3", "--out", "sweep")
    until(lambda: list(folder.glob("sweep/base/seed-*/manifest.json")))
    process.send_signal(signal.SIGINT)
    code, _, err = ended(process)
    assert code == 75
    assert "of 3 runs finished; run the same command to resume" in err
    assert ended(start(folder, store, "sweep", "tiny.toml", "--seeds", "0:3", "--out", "sweep"))[0] == 0


def test_a_stopped_figure_can_go_on(folder: Path, store: Path) -> None:
    arms = [{"id": "low", "label": "low α", "set": ["method.alpha={component='fixed',initial=0.1}"]}]
    write_figure(folder / "mine.toml", arms=arms, claims=[])
    command = ("reproduce", "mine.toml", "--seeds", "0:3", "--out", "reproduced")
    process = start(folder, store, *command)
    until(lambda: list(folder.glob("reproduced/tiny-*/seed-*/manifest.json")))
    process.send_signal(signal.SIGINT)
    code, _, err = ended(process)
    assert code == 75
    assert "of 3 runs finished; run the same command to resume" in err
    assert ended(start(folder, store, *command))[0] == 0
    assert len(list(folder.glob("reproduced/tiny-*/seed-*/report.json"))) == 3


def until(true: Callable[[], Any], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


READ = ["list-components", "list-components --json", "schema", "--help", "check tiny.toml --resolved", "evaluate first"]


@pytest.mark.parametrize("command", READ)
def test_a_reader_that_has_gone_ends_a_command_quietly(folder: Path, store: Path, command: str) -> None:
    process = start(folder, store, *command.split())
    assert process.stdout is not None
    process.stdout.close()  # as `| head -0` does
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0
    assert [line for line in err.splitlines() if line != "begun"] == []


@pytest.mark.parametrize("closed", ["stdout", "stderr", "both"])
def test_standard_streams_may_be_closed(folder: Path, store: Path, closed: str) -> None:
    redirects = {"stdout": ">&-", "stderr": "2>&-", "both": ">&- 2>&-"}[closed]
    command = f"exec {sys.executable} -m merpo check tiny.toml {redirects}"
    process = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=False)
    assert process.returncode == 0
    assert process.stderr == ""
    assert ("valid" in process.stdout) == (closed == "stderr")


def test_a_run_that_nobody_reads_stops_and_can_go_on(folder: Path, store: Path) -> None:
    command = ("run", "tiny.toml", "--out", "unread", "--set", "method.adaptation.steps=300")
    process = start(folder, store, *command)
    assert process.stderr is not None
    assert process.stderr.readline() == "begun\n"
    assert process.stderr.readline()
    process.stderr.close()
    process.wait(240)
    assert process.returncode == 75
    assert process.stdout is not None
    process.stdout.close()
    assert ended(start(folder, store, *command, "--resume"))[0] == 0


@pytest.mark.parametrize("limit", [5, 7, 11])
@pytest.mark.parametrize("command", ["run tiny.toml --out few", "export first --out few"])
def test_few_file_descriptors_are_named(folder: Path, store: Path, limit: int, command: str) -> None:
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    code, _, err = ended(start(folder, store, *f"{command}-{limit}".split(), preexec_fn=few))
    assert code in (0, 2)
    assert code == 0 or "too many open files" in err.lower() or "no such file" in err


LONG = "x" * 4000
LONG_PATHS = [
    f"check {LONG}",
    f"run {LONG}",
    f"run tiny.toml --out {LONG}",
    f"collect {LONG}",
    f"evaluate {LONG}",
    f"export {LONG}",
    f"export first --out {LONG}",
    f"adapt {LONG} --out new",
    f"adapt first --out {LONG}",
    f"compare {LONG}",
    f"compare first --out {LONG}",
    f"compare first --markdown {LONG}",
    f"report {LONG}",
    f"sweep tiny.toml --out {LONG}",
    f"data import {LONG}",
]


@pytest.mark.parametrize("command", LONG_PATHS, ids=lambda text: text.replace(LONG, "LONG"))
def test_a_path_of_4000_characters_is_refused_and_not_repeated(
    folder: Path, store: Path, command: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MERPO_DATA", str(store))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["merpo", *command.split()])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 2
    err = capfd.readouterr().err
    assert "xxxx" in err
    assert len(err) < 2000
    assert "Traceback" not in err


def test_a_folder_that_leaves_no_room_for_a_runs_files_is_refused_at_once() -> None:
    most = os.pathconf("/", "PC_PATH_MAX") - WITHIN
    path = Path("/".join(["d" * 99] * 100)[: most - 1])
    refuse_foreign(path)
    with pytest.raises(ArtifactError, match=f"the path has {most + 1} bytes, expected at most {most}"):
        refuse_foreign(Path(f"{path}dd"))


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), MemoryError("1 GiB")],
)
def test_memory_that_is_lacking_is_an_error_without_a_traceback(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def exhausted() -> None:
        raise error

    monkeypatch.setattr(cli, "_app", lambda: exhausted)
    monkeypatch.setattr(sys, "argv", ["merpo", "check"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 2
    assert capfd.readouterr().err.startswith("error: not enough memory")


def test_what_was_requested_by_a_reader_does_not_outlive_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_app", lambda: stop.request)
    monkeypatch.setattr(sys, "argv", ["merpo", "check"])
    with pytest.raises(SystemExit):
        cli.main()
    assert not stop.requested()
