"""The one way to the terminal: control characters in text are escaped, whatever recipe, file or plugin it is from.

A command owns its standard output: what plugins and libraries print, or write to file descriptor 1, goes to stderr,
so that results can be read by programs. Output that nobody reads any more, as after `| head`, is dropped.
"""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO, cast, final

from merpo.support import stop

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["console", "neutral", "own_stdout", "printable", "say", "say_json", "say_toml"]

STDOUT, STDERR = 1, 2
GONE = (errno.EPIPE, errno.EIO)  # whoever read has ended; the terminal is closed

_owned: list[TextIO] = []  # the stream of results while a command owns standard output
_first: list[int] = []  # a descriptor of the process's standard output, from before the first command took it


def printable(text: str) -> str:
    """Text on one line, with control characters escaped."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def neutral(text: str) -> str:
    """Text with its line breaks, other control characters escaped."""
    return "\n".join(printable(line) for line in text.split("\n"))


def say(*lines: str, err: bool = False) -> None:
    """Print lines of text to standard output, or to standard error."""
    _write("".join(f"{neutral(line)}\n" for line in lines), err)


def say_toml(text: str) -> None:
    """Print TOML, the control characters in its strings escaped as TOML does it."""
    _write(_in_strings(text, lambda c: f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}"), err=False)


def say_json(value: object) -> None:
    """Print a value as JSON, the control characters in its strings escaped as JSON does it."""
    _write(
        _in_strings(json.dumps(value, indent=2, ensure_ascii=False), lambda c: json.dumps(c)[1:-1]) + "\n", err=False
    )


def console(err: bool = False, quiet: bool = False) -> Console:
    """A console of rich's for standard output or standard error, without markup in texts."""
    from rich.console import Console

    file = None if err or not _owned else _owned[0]
    made = Console(file=file, stderr=err, quiet=quiet, markup=False, highlight=False, emoji=False)
    made.push_render_hook(_hook())
    return made


@contextmanager
def own_stdout() -> Iterator[None]:
    """Inside the block, results go to the standard output of before, and everything else to standard error.

    File descriptor 1 of a process stays with standard error afterwards, as what a plugin prints when Python ends is no
    result; within a test or a notebook, whose standard output is another stream, it is restored.
    """
    before = sys.stdout, sys.stderr
    own = sys.stdout is None or _descriptor(sys.stdout) == STDOUT
    results = _results() if own else _replacing(sys.stdout)
    kept = None if own else _redirected()
    sys.stderr = cast(TextIO, _Sturdy(_stderr()))
    sys.stdout = cast(TextIO, _Sturdy(results))
    _owned.append(sys.stdout)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):  # of a full disk, which has been reported
                stream.flush()
        _owned.pop()
        if kept is not None:
            os.dup2(kept, STDOUT)
            os.close(kept)
        sys.stdout, sys.stderr = before
        stop.forget()


@final
class _Sturdy:
    """A text stream that drops what nobody reads any more, and then asks the run to stop."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._drop(error)
            return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._drop(error)

    def close(self) -> None:
        """Flush only: results are still to come when a plugin closes what it takes for its own."""
        self.flush()

    def _drop(self, error: OSError) -> None:
        """Write to nowhere from now on; raises the error unless it is that nobody reads."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        with suppress(OSError, ValueError):  # a stream without a descriptor
            os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        if error.errno not in GONE:
            raise error
        if error.errno == errno.EPIPE:
            stop.request()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _results() -> TextIO:
    """Standard output under a descriptor of its own, while descriptor 1 becomes standard error."""
    stream = sys.stdout
    try:
        own = os.dup(_first[0] if _first and _same(STDOUT, STDERR) else STDOUT)
        _first[:] = _first or [os.dup(own)]
    except OSError:  # closed: the next file that is opened would have its descriptor
        own = os.dup(os.open(os.devnull, os.O_WRONLY))
    else:
        if stream is not None:
            stream.flush()
    with suppress(OSError):
        os.dup2(STDERR, STDOUT)
    encoding = "utf-8" if stream is None else stream.encoding
    return io.TextIOWrapper(
        os.fdopen(own, "wb"), encoding, "backslashreplace", write_through=False, line_buffering=True
    )


def _same(one: int, other: int) -> bool:
    first, second = os.fstat(one), os.fstat(other)
    return (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)


def _redirected() -> int | None:
    """Make descriptor 1 standard error; returns a descriptor of what it was, or None if it was closed."""
    try:
        kept = os.dup(STDOUT)
        os.dup2(STDERR, STDOUT)
    except OSError:
        return None
    return kept


def _stderr() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8") if sys.stderr is None else _replacing(sys.stderr)  # noqa: PTH123


def _replacing(stream: TextIO) -> TextIO:
    """The stream, escaping what its encoding lacks: a terminal that knows no α still gets its table."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):  # none, as of a string
        return None


def _write(text: str, err: bool) -> None:
    stream = sys.stderr if err else _owned[0] if _owned else sys.stdout
    if stream is not None:
        stream.write(text)
        stream.flush()


def _in_strings(text: str, escaped: Callable[[str], str]) -> str:
    """Text whose characters that cannot be printed are all in strings, with these escaped."""
    return "".join(c if c == "\n" or c.isprintable() else escaped(c) for c in text)


def _hook() -> Any:
    """A hook of rich's that escapes control characters in the text of whatever is printed."""
    from rich.console import ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
    from rich.segment import Segment

    @final
    class Neutral:
        def __init__(self, inner: ConsoleRenderable) -> None:
            self._inner = inner

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            for segment in console.render(self._inner, options):
                yield segment if segment.control else Segment(neutral(segment.text), segment.style)

    @final
    class Hook(RenderHook):
        def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
            return [Neutral(one) for one in renderables]

    return Hook()
