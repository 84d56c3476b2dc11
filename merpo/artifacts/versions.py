"""Versions on which results depend, for manifests: Python, merpo, libraries, loaded plugins, and the processor."""

from __future__ import annotations

import importlib.metadata
import platform
from contextlib import suppress
from pathlib import Path

from merpo.lazy import torch
from merpo.version import __version__

__all__ = ["plugin_versions", "processor", "versions"]

LIBRARIES = ("gymnasium", "numpy", "pydantic", "safetensors", "torch")


def versions() -> dict[str, str]:
    """Name -> version of installed software, with the number of threads and the processor."""
    found = {"python": platform.python_version(), "merpo": __version__, "threads": str(torch.get_num_threads())}
    found["processor"] = processor()
    for name in LIBRARIES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found | plugin_versions()


def processor() -> str:
    """The processor's name; rounding and speed depend on it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def plugin_versions() -> dict[str, str]:
    """Distribution -> version of every plugin with a component, except merpo's own."""
    from merpo.components.registry import components

    return {e.distribution: e.version for e in components() if e.status == "ok" and e.distribution != "merpo"}
