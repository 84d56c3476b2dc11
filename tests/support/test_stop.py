"""merpo.support.stop: the first signal asks, the second one does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from merpo.errors import StoppedError
from merpo.support import stop

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")

STUBBORN = """
import time
from merpo.support.stop import graceful, requested
with graceful():
    print("ready", flush=True)
    while not requested():
        time.sleep(0.01)
    print("asked", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_ends_the_process_at_once(number: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.stdout.readline() == "asked\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert "stopping after this step; a second signal stops at once" in err


def test_handlers_and_the_question_do_not_outlast_the_block() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stop.graceful():
        assert not stop.requested()
        stop.check()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested()
        with pytest.raises(StoppedError, match="stopped by a signal"):
            stop.check()
    assert not stop.requested()
    assert signal.getsignal(signal.SIGTERM) is before


def test_in_another_thread_signals_stay_as_they_are() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with stop.graceful():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_closed_terminal_does_not_end_what_nohup_started() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop.graceful():
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.requested()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_stop_is_requested_where_nobody_reads_about_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(descriptor: int, text: bytes) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(os, "write", gone)
    with stop.graceful():
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested()
