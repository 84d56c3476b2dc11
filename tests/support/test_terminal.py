"""Whatever text is from a recipe, a file or a plugin, it does not control the terminal; results stay readable."""

from __future__ import annotations

import ast
import io
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table
from rich.text import Text

from merpo.support import terminal
from merpo.support.progress import Progress
from merpo.support.tables import print_table
from merpo.support.terminal import _hook, neutral, printable

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "\x1b]0;own\x07\x1b[31mred\x9b2J\r\u202eltr\x00[bold]"
CONTROLS = st.text(st.characters(categories=["Cc", "Cf", "Zl", "Zp"]) | st.sampled_from("a[]/1;m"), max_size=30)


def is_harmless(text: str) -> bool:
    return all(c == "\n" or c.isprintable() for c in text)


@given(text=CONTROLS)
def test_no_control_character_is_left(text: str) -> None:
    assert printable(text).isprintable()
    assert is_harmless(neutral(text))
    assert neutral(text).count("\n") == text.count("\n")


@given(text=CONTROLS, width=st.integers(20, 200), soft=st.booleans())
def test_rich_prints_none_either(text: str, width: int, soft: bool) -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=width, markup=False, highlight=False)
    console.push_render_hook(_hook())
    table = Table(title=text)
    table.add_column(text)
    table.add_row(text)
    for what in (text, Text(text), table, Text.assemble("a ", (text, "bold"))):
        console.print(what, soft_wrap=soft)
    print_table(table, console)
    assert is_harmless(stream.getvalue())


@given(text=CONTROLS)
def test_json_and_toml_stay_what_they_are(text: str) -> None:
    for say, dump, load in (
        (terminal.say_json, lambda value: value, json.loads),
        (terminal.say_toml, tomli_w.dumps, tomllib.loads),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdout", stream := io.StringIO())
            say(dump({"title": text, "names": [text]}))  # type: ignore[operator]
        assert is_harmless(stream.getvalue())
        assert load(stream.getvalue()) == {"title": text, "names": [text]}


def test_progress_says_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for interactive in (False, True):
        monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
        console = terminal.console(err=True)
        console.is_interactive = interactive
        with Progress(console) as progress:
            progress.log(HOSTILE, 1, 2, {HOSTILE: 1.0})
            progress.note(HOSTILE)
        assert HOSTILE[1:5] in stream.getvalue()
        assert "\x1b]" not in stream.getvalue()
        assert "\x9b" not in stream.getvalue()
        assert "\u202e" not in stream.getvalue()


def test_everything_is_printed_by_one_module() -> None:
    """`print`, a console of rich's and a stream's `write` are used nowhere else."""
    allowed = {"merpo/support/terminal.py", "merpo/cli/app.py"}
    found = []
    for path in sorted((ROOT / "merpo").rglob("*.py")):
        name = str(path.relative_to(ROOT))
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and name not in allowed:
                called = ast.unparse(node.func)
                if called in {"print", "typer.echo", "typer.secho", "sys.stdout.write", "sys.stderr.write"}:
                    found.append(f"{name}:{node.lineno}: {called}")
                if called == "Console" and "quiet=True" not in ast.unparse(node):
                    found.append(f"{name}:{node.lineno}: {called}")
    assert found == []


def test_results_are_alone_on_standard_output() -> None:
    """What plugins print, write to descriptor 1, or do when Python ends, is on standard error."""
    code = (
        "import atexit, ctypes, os, sys\n"
        "from merpo.support.terminal import own_stdout, say_json\n"
        "atexit.register(lambda: print('at exit'))\n"
        "atexit.register(lambda: os.write(1, b'written at exit\\n'))\n"
        "with own_stdout():\n"
        "    os.write(1, b'written\\n')\n"
        "    os.system('echo shouted')\n"
        "    ctypes.CDLL(None).puts(b'put')\n"
        "    say_json([1])\n"
        "print('afterwards')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [1]
    for word in ("written", "shouted", "put", "afterwards", "at exit", "written at exit"):
        assert word in done.stderr


def test_a_program_may_call_commands_one_after_the_other() -> None:
    code = (
        "from merpo.support.terminal import own_stdout, say\n"
        "for text in ('one', 'two', 'three'):\n    with own_stdout():\n        say(text)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("one\ntwo\nthree\n", "")


def test_a_stream_of_a_test_is_written_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("one", "two"):
        with terminal.own_stdout():
            terminal.say(text)
            terminal.console().print(text)
            terminal.say("told", err=True)
    assert capsys.readouterr() == ("one\none\ntwo\ntwo\n", "told\ntold\n")


def test_what_another_error_says_is_not_dropped() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

        def fileno(self) -> int:
            return os.open(os.devnull, os.O_WRONLY)

    with pytest.raises(OSError, match="No space left"):
        terminal._Sturdy(Full()).write("x")  # type: ignore[arg-type]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk")
def test_a_full_disk_is_told_once() -> None:
    command = f"{sys.executable} -m merpo schema > /dev/full"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: the disk: No space left on device\n"


def test_descriptor_1_is_restored_within_a_test(capfd: pytest.CaptureFixture[str]) -> None:
    with terminal.own_stdout():
        os.write(1, b"noise\n")
        terminal.say("result")
    os.write(1, b"after\n")
    assert capfd.readouterr() == ("result\nafter\n", "noise\n")
