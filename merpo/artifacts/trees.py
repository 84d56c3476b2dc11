"""Trees of tensors and generators as flat names, as a checkpoint's file holds them, and back again."""

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
    """The tensors of nested dicts and (named) tuples under names such as `policy_opt/m/w0`; None holds nothing.

    Of `Streams` and generators it is their state. Raises `PluginError` for anything else.
    """
    return dict(_tensors(tree, ""))


def restored(start: Tree, found: Mapping[str, torch.Tensor]) -> Tree:
    """A tree built as `start` from the tensors that `flatten` gave; `start`'s generators go on from where they were.

    Where `start` has None, there is what was found: a tensor, or dicts of them. Raises `ArtifactError`, with nothing
    changed yet, where names, shapes or types are others.
    """
    expected = flatten(start)
    free = tuple(_open(start, ""))
    for name in expected.keys() | found.keys():
        if name in expected and name in found:
            ours, theirs = ((tuple(x.shape), x.dtype) for x in (expected[name], found[name]))
            if ours != theirs:
                raise ArtifactError(f"{name!r} is {theirs}, expected {ours}")
        elif name in expected or not any(name == place or name.startswith(f"{place}/") for place in free):
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


def _open(tree: Any, name: str) -> Iterator[str]:
    """Where the tree has None."""
    if tree is None:
        yield name
    elif not isinstance(tree, torch.Tensor | Streams | torch.Generator):
        for below, part in _parts(tree, name):
            yield from _open(part, below)


def _constants(tree: Any, name: str) -> Iterator[tuple[str, torch.Tensor]]:
    """Where the tree has a `Constant`, and its value."""
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
            f"{name or 'state'!r} is {type(tree).__name__}, which no checkpoint can hold; expected tensors, Streams, "
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
    """What was found at a name, or below it: dicts by the parts of the names."""
    if name in found:
        return found[name]
    grown: dict[str, Any] = {}
    for path, tensor in found.items():
        if not path.startswith(f"{name}/"):
            continue
        *above, last = (key.replace("~1", "/").replace("~0", "~") for key in path[len(name) + 1 :].split("/"))
        place = grown
        for key in above:
            place = place.setdefault(key, {})
        place[last] = tensor
    return grown
