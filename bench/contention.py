"""Time of an inner step with all cores busy with other processes, and with idle cores.

Variants are numbers of threads, and how long an idle thread spins before it sleeps: libgomp's default, and
`merpo.support.machine.SPINS`, which the command line uses. Each is a separate process, because OpenMP reads the setting
once. They are timed one after the other, so that they do not disturb each other.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from _options import parse
from _problem import SIZES, Stepper, make_problem
from _timing import parser, prepare, summary, write

from merpo.support.machine import SPINS

VARIANTS = {  # threads, spins
    "1 thread": (1, None),
    "2 threads, libgomp's own wait": (2, None),
    "2 threads, patient": (2, SPINS),
}
BURN = "while True: pass"


def main() -> None:
    """Time all variants and write the results; or, as one of the processes, print the milliseconds of every step."""
    arguments = _arguments()
    if arguments.worker:
        return steps(arguments)
    results = {}
    for name in arguments.sizes:
        print(f"\ninner step, {name}, 8 tasks: ms, median (min-max)")
        print(f"  {'':30} {'alone':>26} {'beside busy processes':>26}")
        results[name] = {title: compare(name, title, arguments) for title in arguments.variants}
    write(arguments, {"sizes": results})
    return None


def compare(name: str, title: str, arguments: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds of every step, alone and beside busy processes."""
    found = {"alone": _run(name, title, arguments)}
    with _busy(os.cpu_count() or 1):
        found["busy"] = _run(name, title, arguments)
    cells = []
    for seconds in found.values():
        median, low, high = (1e3 * value for value in summary(seconds))
        cells.append(f"{median:.1f} ({low:.1f}-{high:.1f})")
    print(f"  {title:30} {cells[0]:>26} {cells[1]:>26}", flush=True)
    return found


def steps(arguments: argparse.Namespace) -> None:
    """The main loop of a variant's process: prints a line per step."""
    prepare(arguments)
    stepper = Stepper(make_problem(SIZES[arguments.sizes[0]], 8))
    for k in range(2 + arguments.rounds):
        start = time.perf_counter()
        stepper.step()
        if k >= 2:
            print(time.perf_counter() - start, flush=True)


def _run(name: str, title: str, arguments: argparse.Namespace) -> list[float]:
    threads, spins = VARIANTS[title]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_"))}
    environment |= {} if spins is None else {"GOMP_SPINCOUNT": str(spins)}
    line = [sys.executable, __file__, "--worker", "--sizes", name, "--threads", str(threads)]
    line += ["--rounds", str(arguments.rounds)]
    found = subprocess.run(line, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return [float(row) for row in found.stdout.split()]


@contextmanager
def _busy(count: int) -> Iterator[None]:
    """Processes in busy loops, each in a separate session, like another user's."""
    burning = [subprocess.Popen([sys.executable, "-c", BURN], start_new_session=True) for _ in range(count)]
    try:
        yield
    finally:
        for process in burning:
            process.kill()
            process.wait()


def _arguments() -> argparse.Namespace:
    made = parser(__doc__, __file__, rounds=20)
    made.add_argument("--sizes", nargs="+", choices=sorted(SIZES), default=["3x64", "5x300"])
    made.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    made.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parse(made, rounds=2, sizes=["tiny"], variants=[list(VARIANTS)[-1]])


if __name__ == "__main__":
    main()
