"""`nox` says what CI will say: tests, lint, types. `nox -s docs`, `nox -s bench` and `nox -s golden` do the rest."""

from __future__ import annotations

import os
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["tests", "lint", "types"]
nox.options.reuse_existing_virtualenvs = True

CONSTRAINTS = ("-c", "constraints.txt")
# Small networks: more threads only get in the way.
ONE_THREAD = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}


def install(session: nox.Session, *what: str) -> None:
    """Install at the tested versions."""
    session.install(*CONSTRAINTS, *what)


@nox.session
def tests(session: nox.Session) -> None:
    """The test suite, with branch coverage of at least 90 % where all of it runs; e.g. `nox -s tests -- -k critic`."""
    install(session, "-e", ".[test,tensorboard]")
    chosen = session.posargs or ["--cov", "--cov-report=term", "--durations=10"]
    session.run("pytest", *chosen, env=ONE_THREAD)


@nox.session
def slow(session: nox.Session) -> None:
    """What the test suite leaves out because it takes a minute or more."""
    install(session, "-e", ".[test,tensorboard]")
    session.run("pytest", "-m", "slow", *session.posargs, env=ONE_THREAD)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff, without changing anything; `nox -s lint -- --fix` mends what it can."""
    install(session, "ruff")
    session.run("ruff", "check", *session.posargs, ".")


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict, on merpo/ and plugins/."""
    install(session, "-e", ".[types]")
    session.run("mypy", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation as a site in site/; a link that leads nowhere is an error."""
    install(session, "mkdocs")
    session.run("mkdocs", *(session.posargs or ["build", "--strict"]))


@nox.session
def bench(session: nox.Session) -> None:
    """All timings under bench/, or one script (`nox -s bench -- sac_parity --seeds 3`); JSON goes to bench/results/.

    What trains until something is learnt takes hours, and runs only by name: `checkpoints`, `sac_parity` and `results`.
    """
    install(session, "-e", ".[bench]")
    name, *arguments = session.posargs or [""]
    scripts = [Path("bench", f"{name}.py")] if name else sorted(Path("bench").glob("[!_]*.py"))
    if not name:
        scripts = [script for script in scripts if script.stem not in {"checkpoints", "sac_parity", "results", "goals"}]
        scripts.append(Path("bench", "goals.py"))  # the table of what the others found
    for script in scripts:
        session.run("python", str(script), *arguments)


@nox.session
def golden(session: nox.Session) -> None:
    """Write the golden files anew. Review them as a diff: a changed number is a decision."""
    install(session, "-e", ".[test]")
    session.run("pytest", "tests/test_golden.py", *session.posargs, env={**ONE_THREAD, "MERPO_GOLDEN": "write"})
