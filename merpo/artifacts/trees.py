"""Conversion of trees of tensors and generators to flat dicts for a checkpoint's file, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from merpo.components.context import Constant
from merpo.errors import ArtifactError, PluginError
from merpo.lazy import torch
from merpo.nn.noise import Streams
from merpo.nn.params import from_storage, storage
from merpo.types import Params

__all__ = ["flatten", "restored"]

Tree = TypeVar("Tree", bound=Any)


def flatten(tree: Any) -> Params:
    """The tensors of nested dicts and (named) tuples under names such as `policy_opt/m/w0`; None has no tensors.

    `Streams` and generators are represented by their state. Raises `PluginError` for anything else.
    """
    return dict(_tensors(tree, ""))


def restored(start: Tree, found: Mapping[str, torch.Tensor]) -> Tree:
    """The inverse of `flatten`: a tree with the structure of `start`, whose generators are set to their saved states.

    None in `start` is replaced by the saved value: a tensor, or dicts of them. Raises `ArtifactError`, before anything
    is changed, if names, shapes or types differ.
    """
    expected = flatten(start)
    placeholders = tuple(_placeholders(start, ""))
    for name in expected.keys() | found.keys():
        if name in expected and name in found:
            expected_type, found_type = ((tuple(x.shape), x.dtype) for x in (expected[name], found[name]))
            if expected_type != found_type:
                raise ArtifactError(f"{name!r} is {found_type}, expected {expected_type}")
        elif name in expected or not any(name == place or name.startswith(f"{place}/") for place in placeholders):
            raise ArtifactError(f"{name!r} is {'missing' if name in expected else 'not expected'}")
    for name, constant in _constants(start, ""):
        if not torch.equal(constant, found[name].to(constant.device)):
            raise ArtifactError(f"{name!r} is {found[name].tolist()!s:.80}, expected {constant.tolist()!s:.80}")
    rebuilt: Tree = _rebuilt(start, found, "")
    return rebuilt


def _tensors(tree: Any, name: str) -> Iterator[tuple[str, torch.Tensor]]:
    if tree is None:
        return
    if isinstance(tree, torch.Tensor):
        yield name, tree
    elif isinstance(tree, Streams):
        yield name, tree.state()
    elif isinstance(tree, torch.Generator):
        yield name, tree.get_state()
    else:
        for below, part in _parts(tree, name):
            yield from _tensors(part, below)


def _placeholders(tree: Any, name: str) -> Iterator[str]:
    """The names at which the tree has None."""
    if tree is None:
        yield name
    elif not isinstance(tree, torch.Tensor | Streams | torch.Generator):
        for below, part in _parts(tree, name):
            yield from _placeholders(part, below)


def _constants(tree: Any, name: str) -> Iterator[tuple[str, torch.Tensor]]:
    """The name and value of every `Constant` in the tree."""
    if isinstance(tree, Constant):
        yield _below(name, "value"), tree.value
    elif tree is not None and not isinstance(tree, torch.Tensor | Streams | torch.Generator):
        for below, part in _parts(tree, name):
            yield from _constants(part, below)


def _parts(tree: Any, name: str) -> list[tuple[str, Any]]:
    """The branches of a tree, each with its name."""
    if isinstance(tree, dict):
        items = list(storage(tree).items())
    elif isinstance(tree, tuple):
        items = list(zip(getattr(tree, "_fields", map(str, range(len(tree)))), tree, strict=True))
    else:
        raise PluginError(
            f"{name or 'state'!r} is {type(tree).__name__}, which cannot be saved; expected tensors, Streams, "
            "generators, None, or dicts and tuples of them"
        )
    return [(_below(name, key), part) for key, part in items]


def _below(name: str, key: str) -> str:
    own = key.replace("~", "~0").replace("/", "~1")  # as in JSON pointers
    return f"{name}/{own}" if name else own


def _rebuilt(tree: Any, found: Mapping[str, torch.Tensor], name: str) -> Any:
    if tree is None:
        return _subtree(found, name)
    if isinstance(tree, torch.Tensor):
        return found[name].to(tree.device)
    if isinstance(tree, Streams | torch.Generator):
        return _set(tree, found[name])
    parts = {below: _rebuilt(part, found, below) for below, part in _parts(tree, name)}
    if isinstance(tree, dict):
        return from_storage(tree, dict(zip(storage(tree), parts.values(), strict=True)))
    return type(tree)(*parts.values()) if hasattr(tree, "_fields") else tuple(parts.values())


def _set(source: Streams | torch.Generator, state: torch.Tensor) -> Streams | torch.Generator:
    if isinstance(source, Streams):
        source.restore(state)
    else:
        source.set_state(state.clone())
    return source


def _subtree(found: Mapping[str, torch.Tensor], name: str) -> Any:
    """The saved value at a name: a tensor, or nested dicts of the tensors below it."""
    if name in found:
        return found[name]
    subtree: dict[str, Any] = {}
    for path, tensor in found.items():
        if not path.startswith(f"{name}/"):
            continue
        *above, last = (key.replace("~1", "/").replace("~0", "~") for key in path[len(name) + 1 :].split("/"))
        branch = subtree
        for key in above:
            branch = branch.setdefault(key, {})
        branch[last] = tensor
    return subtree
