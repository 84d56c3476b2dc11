"""Interleaved timing of variants in one process, relative to each other and to the machine's matrix product."""

from __future__ import annotations

import argparse
import atexit
import datetime as dt
import functools
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from _options import options, recorded
from _results import write_results

from merpo.artifacts.versions import processor
from merpo.support.machine import machine

__all__ = [
    "Summary",
    "Timings",
    "Variant",
    "flops",
    "gemm_rate",
    "interleave",
    "parser",
    "prepare",
    "ratio",
    "rows",
    "show",
    "summary",
    "write",
]

Variant = Callable[[], object]  # does the work once; may return the seconds to be counted instead of the measured ones
GEMM = 1024  # the product of two such square matrices is the machine's rate
GEMM_REPEATS = 5


class Summary(NamedTuple):
    """Median and range over rounds."""

    median: float
    low: float
    high: float


class Timings(NamedTuple):
    """Seconds of every variant in every round, and the rate of sgemm in the same rounds."""

    seconds: dict[str, list[float]]
    gemm: list[float]  # FLOP/s


def parser(doc: str | None, script: str, rounds: int) -> argparse.ArgumentParser:
    """The options of every script that times something: the shared ones, rounds and threads."""
    made = options(doc, script)
    made.add_argument("--rounds", type=int, default=rounds, help="number of rounds in which every variant is timed")
    made.add_argument("--threads", type=int, default=2, help="PyTorch threads")
    return made


def prepare(arguments: argparse.Namespace) -> None:
    """Set up the process as in a run, until the script ends; to be called before any computation."""
    block = machine(arguments.threads)
    block.__enter__()
    atexit.register(block.__exit__, None, None, None)


def interleave(variants: Mapping[str, Variant], rounds: int, warmup: int = 1) -> Timings:
    """Time every variant once per round, in an order that is rotated from round to round, and sgemm in every round."""
    names = list(variants)
    for _ in range(warmup):
        for work in variants.values():
            work()
    found = Timings({name: [] for name in names}, [])
    for k in range(rounds):
        shift = k % len(names)
        found.gemm.append(gemm_rate())
        for name in names[shift:] + names[:shift]:
            found.seconds[name].append(_timed(variants[name]))
    found.gemm.append(gemm_rate())
    return found


def _timed(work: Variant) -> float:
    start = time.perf_counter()
    own = work()
    return own if isinstance(own, float) else time.perf_counter() - start


def gemm_rate() -> float:
    """FLOP/s of a float32 product of square matrices now: the median of a few."""
    a, b, out = _matrices()
    seconds = []
    for _ in range(GEMM_REPEATS):
        start = time.perf_counter()
        torch.mm(a, b, out=out)
        seconds.append(time.perf_counter() - start)
    return 2.0 * GEMM**3 / statistics.median(seconds)


@functools.cache
def _matrices() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    made = torch.rand(3, GEMM, GEMM, dtype=torch.float32)
    torch.mm(made[0], made[1], out=made[2])  # the first product is slow
    return made[0], made[1], made[2]


def summary(values: Sequence[float]) -> Summary:
    """Median, least and greatest."""
    return Summary(statistics.median(values), min(values), max(values))


def ratio(timings: Timings, reference: str, name: str) -> Summary:
    """How many times faster than `reference` a variant was, round by round: above 1 is faster."""
    pairs = zip(timings.seconds[reference], timings.seconds[name], strict=True)
    return summary([theirs / ours for theirs, ours in pairs])


def flops(timings: Timings, name: str, work: float) -> Summary:
    """FLOP/s of a variant that does `work` FLOP."""
    return summary([work / seconds for seconds in timings.seconds[name]])


def rows(timings: Timings, references: Sequence[str], work: float | None = None) -> list[dict[str, Any]]:
    """One row per variant: seconds, speed-up over each reference; with `work`, FLOP/s and their share of sgemm's."""
    gemm = summary(timings.gemm)
    made = []
    for name, seconds in timings.seconds.items():
        row: dict[str, Any] = {"variant": name, "seconds": summary(seconds)._asdict()}
        row["speedup"] = {other: ratio(timings, other, name)._asdict() for other in references}
        if work is not None:
            rate = flops(timings, name, work)
            row |= {"flop": work, "flop_per_second": rate._asdict(), "of_sgemm": rate.median / gemm.median}
        made.append(row)
    return made


def show(
    title: str, timings: Timings, references: Sequence[str], work: float | None = None, unit: str = "ms"
) -> dict[str, Any]:
    """Print the variants as a table, and return it with the rounds.

    Column `x name` is the speed relative to that variant; `work` is the FLOP counted for every variant.
    """
    gemm, scale = summary(timings.gemm), {"s": 1.0, "ms": 1e3, "us": 1e6}[unit]
    made = rows(timings, references, work)
    width = max(len(row["variant"]) for row in made)
    print(f"\n{title}")
    print(f"  sgemm {GEMM}: {_span(gemm, 1e-9, 0)} GFLOP/s" + (f"; {work / 1e9:.3g} GFLOP" if work else ""))
    head = f"  {'':{width}}  {unit + ' (min-max)':>24}" + "".join(f"  {'x ' + name:>18}" for name in references)
    print(head + ("  GFLOP/s  of sgemm" if work else ""))
    for row in made:
        line = f"  {row['variant']:{width}}  {_span(Summary(**row['seconds']), scale, 2):>24}"
        line += "".join(f"  {_span(Summary(**row['speedup'][name]), 1.0, 2):>18}" for name in references)
        if work:
            line += f"  {row['flop_per_second']['median'] / 1e9:7.1f}  {row['of_sgemm']:8.0%}"
        print(line, flush=True)
    return {"table": made, "rounds": timings.seconds, "sgemm": timings.gemm}


def _span(values: Summary, scale: float, digits: int) -> str:
    median, low, high = (f"{value * scale:.{digits}f}" for value in values)
    return f"{median} ({low}-{high})"


def write(
    arguments: argparse.Namespace,
    results: Mapping[str, Any],
    *,
    name: str | None = None,
    markdown: str | None = None,
    missing: Iterable[str] = (),
    optional: Iterable[str] = (),
) -> None:
    """Write measurements as <name>.json, with the machine and the arguments, and `markdown` as <name>.md.

    The name is by default the script's; `missing` and `optional` are as in `write_results`.
    """
    path = arguments.out / f"{name or arguments.script}.json"
    files: dict[Path, Mapping[str, Any] | str] = {
        path: {"machine": _machine(), "arguments": recorded(arguments), **results}
    }
    if markdown is not None:
        files[path.with_suffix(".md")] = markdown
    write_results(arguments.script, files, missing, optional)


def _machine() -> dict[str, Any]:
    """The machine, the date, and the load, which shows whether other processes were running."""
    return {
        "cpu": processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg() if hasattr(os, "getloadavg") else None,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }
