"""What numbers depend on, for every manifest: Python, merpo, the libraries beneath it, and the plugins that loaded."""

from __future__ import annotations

import importlib.metadata
import platform
from contextlib import suppress

import merpo
from merpo.lazy import torch

__all__ = ["plugin_versions", "versions"]

LIBRARIES = ("gymnasium", "numpy", "pydantic", "safetensors", "torch")


def versions() -> dict[str, str]:
    """Name -> version, and the number of threads; libraries that are not installed are left out."""
    found = {"python": platform.python_version(), "merpo": merpo.__version__, "threads": str(torch.get_num_threads())}
    for name in LIBRARIES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found | plugin_versions()


def plugin_versions() -> dict[str, str]:
    """Distribution -> version of every plugin that brought a component, but for merpo's own."""
    from merpo.registry import components

    return {e.distribution: e.version for e in components() if e.status == "ok" and e.distribution != "merpo"}
