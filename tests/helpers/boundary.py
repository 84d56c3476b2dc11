"""Analysis of a plugin's imports: uses of merpo beyond its public names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import merpo

__all__ = ["EXAMPLE", "ROOT", "imports", "trespasses"]

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "example_plugin"


def trespasses(source: str, own: str) -> list[str]:
    """Names that a plugin's source uses of merpo beyond its public ones, or of other plugins."""
    attributes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute))
    used = {node.attr for node in attributes if isinstance(node.value, ast.Name) and node.value.id == "merpo"}
    found = [f"merpo.{name}" for name in sorted(used - set(merpo.__all__))]
    for module, name in imports(source):
        top = module.partition(".")[0]
        public = (module == "merpo" and name in ("", *merpo.__all__)) or module == "merpo.lazy"
        other_plugin = top.startswith("merpo_") and top != own
        if (top == "merpo" and not public) or other_plugin or name == "*":
            found.append(f"{module}:{name}")
    return found


def imports(source: str) -> Iterator[tuple[str, str]]:
    """Yield (module, name) of every import in a source, also inside functions; name is empty for `import module`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((("." * node.level) + (node.module or ""), alias.name) for alias in node.names)
