"""`nox` says what CI will say: tests, lint, types. `nox -s docs`, `nox -s bench` and `nox -s golden` do the rest."""

from __future__ import annotations

import os
import shutil
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
def plugin(session: nox.Session) -> None:
    """A bare environment: the wheel of merpo, the example plugin and fresh packages; their tests, types and runs."""
    work = Path(session.create_tmp()).resolve()
    shutil.rmtree(work, ignore_errors=True)
    shutil.rmtree("build", ignore_errors=True)  # setuptools would pack what was deleted since the last build
    example, wheels, packages = Path("docs", "example_plugin").resolve(), work / "wheels", work / "packages"
    shutil.copytree(example, packages / "example", ignore=shutil.ignore_patterns("*.egg-info", "build", "__pycache__"))
    _wheel(session, wheels, Path.cwd())
    install(session, *map(str, wheels.glob("merpo-*.whl")), "pytest", "mypy")
    session.env.update({**ONE_THREAD, "MERPO_DATA": str(work / "data")})
    session.chdir(work)  # nothing of the repository is on the path any more
    kinds = ("alpha", "method", "regularizer")
    for kind in kinds:
        session.run("merpo", "new-plugin", f"merpo-fresh-{kind}", "--kind", kind, "--into", str(packages))
    folders = sorted(packages.iterdir())
    _wheel(session, wheels, *folders)
    names = ("merpo_example", *(f"merpo_fresh_{kind}" for kind in kinds))
    session.install("--no-deps", "--force-reinstall", *(str(w) for name in names for w in wheels.glob(f"{name}-*.whl")))
    session.run("merpo", "list-components")
    listed = "import sys; from merpo.registry import components as c; sys.exit([e for e in c() if e.status != 'ok'])"
    session.run("python", "-c", listed)
    session.run("pytest", "-q", "--import-mode=importlib", *(str(folder / "tests") for folder in folders))
    for folder, name in zip(folders, names, strict=True):
        session.chdir(folder)
        session.run("mypy", "--strict", name, silent=True)
    session.chdir(work)
    for kind in kinds:
        session.run("merpo", "check", str(packages / f"merpo-fresh-{kind}" / "recipe.toml"))
        session.run("merpo", "run", str(packages / f"merpo-fresh-{kind}" / "recipe.toml"))
    both = ("method.alpha.component=halving", "method.regularizer.component=jeffreys")
    recipe = str(packages / "merpo-fresh-alpha" / "recipe.toml")
    session.run("merpo", "run", recipe, *(word for override in both for word in ("--set", override)))


def _wheel(session: nox.Session, into: Path, *projects: Path) -> None:
    """Build wheels, without their dependencies."""
    session.run("python", "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", str(into), *map(str, projects))


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation as a site in site/; a link that leads nowhere is an error."""
    install(session, "mkdocs")
    session.run("mkdocs", *(session.posargs or ["build", "--strict"]))


@nox.session
def bench(session: nox.Session) -> None:
    """All timings under bench/, or one script (`nox -s bench -- sac_parity --seeds 3`); JSON goes to bench/results/.

    What trains until something is learnt takes hours, and runs only by name: `sac_parity` and `results`.
    """
    install(session, "-e", ".[bench]")
    name, *arguments = session.posargs or [""]
    scripts = [Path("bench", f"{name}.py")] if name else sorted(Path("bench").glob("[!_]*.py"))
    if not name:
        scripts = [script for script in scripts if script.stem not in {"sac_parity", "results", "goals"}]
        scripts.append(Path("bench", "goals.py"))  # the table of what the others found
    for script in scripts:
        session.run("python", str(script), *arguments)


@nox.session
def golden(session: nox.Session) -> None:
    """Write the golden files anew. Review them as a diff: a changed number is a decision."""
    install(session, "-e", ".[test]")
    session.run("pytest", "tests/test_golden.py", *session.posargs, env={**ONE_THREAD, "MERPO_GOLDEN": "write"})
