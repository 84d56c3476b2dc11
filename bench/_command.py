"""The `merpo` command in a separate process, checked by an expected output file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["merpo"]


def merpo(
    *arguments: str, makes: Path | None = None, quiet: bool = False, env: Mapping[str, str] | None = None
) -> None:
    """Run `merpo *arguments` with `env` added to the environment; raises if it fails or does not write `makes`."""
    line = [sys.executable, "-m", "merpo", *arguments]
    stdout = subprocess.DEVNULL if quiet else None
    subprocess.run(line, check=True, env={**os.environ, **(env or {})}, stdout=stdout)
    if makes is not None and not makes.is_file():
        raise RuntimeError(f"`merpo {' '.join(arguments)}` returned 0 without writing {makes}")
