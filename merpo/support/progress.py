"""Progress of a run: live bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from merpo.support import terminal
from merpo.support.format import duration
from merpo.support.metrics import check_finite, to_numbers
from merpo.support.terminal import neutral, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from merpo.types import Metrics

__all__ = ["Progress"]

EVERY_SECONDS = 10.0
EVERY_SHARE = 0.1
SHARE_SECONDS = 1.0  # a stage of a second or two says that it began and that it ended, no more

# Shown first, where a stage reports them; the rest follow in the order in which it names them.
PREFERRED = ("return", "adapted", "meta-policy", "nll", "loss", "alpha", "lambda_", "beta", "q_gap")
SHOWN = 5
REDRAW_SECONDS = 0.1


@dataclass
class _Stage:
    """The last step of a stage, and the last line printed about it."""

    first: int
    began: float
    total: int
    step: int = 0
    numbers: str = ""
    printed_step: int = -1
    printed_at: float = 0.0
    bar: TaskID | None = None

    def eta(self, now: float) -> float | None:
        """Estimated seconds to the end of the stage; None before its first step."""
        done = self.step - self.first
        return (now - self.began) / done * max(0, self.total - self.step) if done > 0 else None


class Progress:
    """Progress bars of a run's stages on a terminal, occasional lines elsewhere; its `log` is a `Context.log`."""

    def __init__(
        self,
        console: Console | None = None,
        preferred: Sequence[str] = PREFERRED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.console = terminal.console(err=True) if console is None else console
        self._preferred = tuple(preferred)
        self._clock = clock
        self._stages: dict[str, _Stage] = {}
        self._bars: Bars | None = None
        self._drawn_at = -REDRAW_SECONDS

    def __enter__(self) -> Self:
        if self.console.is_interactive:
            self._bars = _bars(self.console)
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
            return
        for name, stage in self._stages.items():
            if stage.printed_step != stage.step:
                self._print(name, stage)

    def log(self, stage: str, step: int, total: int, metrics: Metrics) -> None:
        """Show `step` of `total` and the numbers that matter; raises `TrainingError` where one is not finite."""
        numbers = to_numbers(metrics)
        check_finite(stage, step, numbers)
        state = self._stages.get(stage)
        restarted = state is not None and step < state.step  # e.g. adaptation, once per evaluation
        if state is None or restarted:
            bar = state.bar if state is not None else None
            state = self._stages[stage] = _Stage(first=step, began=self._clock(), total=total, bar=bar)
        state.step, state.total = step, total
        state.numbers = self._pick(numbers)
        if self._bars is not None:
            self._draw(self._bars, stage, state, restarted)
        elif self._due(state):
            self._print(stage, state)

    def note(self, text: str) -> None:
        """Print a line of text, above the bars where there are any."""
        self.console.print(neutral(text), markup=False, highlight=False, soft_wrap=True)

    def _pick(self, numbers: dict[str, float | list[float]]) -> str:
        """The few numbers that matter, e.g. `nll -3.21  alpha 0.41`; of a metric per task, its mean."""
        names = [name for name in self._preferred if name in numbers]
        names += [name for name in numbers if name not in names]
        means = ((name, value) for name in names if (value := numbers[name]) != [])
        flat = ((name, sum(value) / len(value) if isinstance(value, list) else value) for name, value in means)
        return printable("  ".join(f"{name} {value:.4g}" for name, value in list(flat)[:SHOWN]))

    def _due(self, stage: _Stage) -> bool:
        """Whether to print a line: at start and end, every 10 seconds, and every 10 % (at most one a second)."""
        silent = self._clock() - stage.printed_at
        share = (stage.step - stage.printed_step) / max(1, stage.total)
        ended = stage.step >= stage.total and stage.printed_step != stage.step
        return (
            stage.printed_step < 0
            or ended
            or silent >= EVERY_SECONDS
            or (share >= EVERY_SHARE and silent >= SHARE_SECONDS)
        )

    def _print(self, name: str, stage: _Stage) -> None:
        now = self._clock()
        stage.printed_step, stage.printed_at = stage.step, now
        eta = stage.eta(now)
        if stage.step >= stage.total:
            when = f"done in {duration(now - stage.began)}"
        else:
            when = f"ETA {duration(eta)}" if eta is not None else ""
        self.note("  ".join(part for part in (f"{name}: {stage.step}/{stage.total}", when, stage.numbers) if part))

    def _draw(self, bars: Bars, name: str, stage: _Stage, restarted: bool) -> None:
        if stage.bar is None:
            stage.bar = bars.add_task(printable(name), total=stage.total, numbers="")
        elif restarted:
            bars.reset(stage.bar, total=stage.total)
        bars.update(stage.bar, completed=stage.step, total=stage.total, numbers=stage.numbers)
        if self._clock() - self._drawn_at >= REDRAW_SECONDS or stage.step >= stage.total:
            self._drawn_at = self._clock()
            bars.refresh()


def _bars(console: Console) -> Bars:
    from rich import progress
    from rich.table import Column

    def fixed(width: int) -> Column:
        return Column(no_wrap=True, min_width=width)

    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False, style="bold", table_column=fixed(11)),
        progress.BarColumn(bar_width=12, table_column=fixed(12)),
        progress.MofNCompleteColumn(table_column=fixed(9)),
        progress.TimeRemainingColumn(elapsed_when_finished=True, table_column=fixed(7)),
        progress.TextColumn(  # the numbers have what is left of the line
            "{task.fields[numbers]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)
        ),
        expand=True,
        console=console,
        auto_refresh=False,  # its thread outlives it, and would share the cores with the training
    )
