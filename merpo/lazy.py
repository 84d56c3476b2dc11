"""Heavy modules, imported at their first use, so that `merpo --help` and `merpo show` start quickly.

`from merpo.lazy import torch` costs nothing; the module is imported when an attribute is first read. Type checkers
see the real modules.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

__all__ = ["F", "gymnasium", "np", "torch"]


class _LazyModule(ModuleType):
    """A placeholder that imports a module when one of its attributes is read."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__version__":  # introspection must not trigger the import
            raise AttributeError(name)
        module = importlib.import_module(self.__name__)
        value = getattr(module, name)
        self.__dict__[name] = value
        return value


if TYPE_CHECKING:
    import gymnasium as gymnasium
    import numpy as np
    import torch as torch
    import torch.nn.functional as F
else:
    gymnasium = _LazyModule("gymnasium")
    np = _LazyModule("numpy")
    torch = _LazyModule("torch")
    F = _LazyModule("torch.nn.functional")
