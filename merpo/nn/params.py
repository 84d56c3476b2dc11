"""Operations on trees of tensors: dicts of parameters, and (named) tuples of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from merpo.lazy import torch
from merpo.nn.packed import Packed, leaves, like, pack, rebuild
from merpo.types import Params

__all__ = [
    "clone",
    "concatenate",
    "expand",
    "fast_layout",
    "flat_index",
    "from_storage",
    "gather",
    "lerp_",
    "mean",
    "ordinary",
    "scatter_",
    "squared_distance",
    "stack",
    "stack_alike",
    "storage",
    "take",
    "to_device",
    "tree_map",
    "view",
    "weights",
]

Tree = TypeVar("Tree", bound=Any)
Key = TypeVar("Key", int, str)


def tree_map(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """The tree of `function` applied to the tensors of dicts and (named) tuples of the same structure, leaf by leaf.

    `function` must act only on leading dims or element by element, with f(0, ..., 0) = 0, because parameters in the
    fast layout are mapped in their padded form.
    """
    if isinstance(tree, Packed):
        stored = [leaves(like(tree, other)) for other in others]
        return rebuild(tree, tree_map(function, tree.leaves, *stored))  # type: ignore[return-value]
    if isinstance(tree, dict):
        return {key: tree_map(function, value, *(o[key] for o in others)) for key, value in tree.items()}  # type: ignore[return-value]
    if isinstance(tree, tuple):
        parts = [tree_map(function, *leaves) for leaves in zip(tree, *others, strict=True)]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return function(tree, *others)  # type: ignore[no-any-return]


def fast_layout(params: Params) -> Params:
    """The same parameters in the memory layout for the fastest training steps; it reads as the same dict."""
    return pack(params)


def storage(params: Params) -> Params:
    """The tensors in which `params` are stored in memory and in checkpoints."""
    return leaves(params)


def from_storage(template: Params, stored: Params) -> Params:
    """The inverse of `storage`: parameters in the layout of `template` from their stored tensors."""
    return rebuild(template, stored)


def ordinary(groups: dict[Key, Params]) -> dict[Key, Params]:
    """Groups of parameters as plain dicts, as when loaded from a file; network outputs differ by rounding only."""
    return {name: dict(params.items()) for name, params in groups.items()}


def gather(tree: Tree, index: torch.Tensor) -> Tree:
    """The slices `index` [k] of every leaf [n, ...], copied."""
    return tree_map(lambda leaf: leaf.index_select(0, index), tree)


def view(tree: Tree, index: range) -> Tree:
    """The slices `index` of every leaf, as views: in-place changes reach `tree`. None stays None."""
    return tree if tree is None else tree_map(lambda leaf: leaf[index.start : index.stop], tree)


def take(rows: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """The rows `index` [T, K] of each task's `rows` [T, B, D]: [T, K, D], copied by whole rows."""
    return rows.reshape(-1, rows.shape[-1]).index_select(0, flat_index(rows, index)).view(*index.shape, rows.shape[-1])


def flat_index(rows: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """The positions of the rows `index` [T, K] of each task's `rows` [T, B, D] among all tasks' rows [T · B, D]."""
    first = torch.arange(len(rows), device=index.device) * rows.shape[1]
    return (index + first[:, None]).flatten()


def scatter_(tree: Tree, index: torch.Tensor, part: Tree) -> None:
    """Set the slices `index` [k] of every leaf of `tree` to `part`, in place; the inverse of `gather`."""
    tree_map(lambda leaf, new: leaf.index_copy_(0, index, new.detach()), tree, part)


def expand(tree: Tree, *lead: int) -> Tree:
    """Every leaf [...] copied along new leading dims: [*lead, ...]."""
    return tree_map(lambda leaf: leaf.detach().expand(*lead, *leaf.shape).clone(), tree)


def clone(tree: Tree) -> Tree:
    """Every leaf detached and copied."""
    return tree_map(lambda leaf: leaf.detach().clone(), tree)


def to_device(tree: Tree, device: torch.device | str) -> Tree:
    """Every leaf on `device`."""
    return tree_map(lambda leaf: leaf.to(device), tree)


def stack(trees: Iterable[Tree]) -> Tree:
    """Trees of the same structure stacked along a new leading dim."""
    first, *rest = trees
    return tree_map(lambda *leaves: torch.stack(leaves), first, *rest)


def stack_alike(policies: Sequence[Params | None]) -> Params | None:
    """The policies stacked along a new leading dim; None if one is missing or their shapes differ."""
    present = [policy for policy in policies if policy is not None]
    shapes = {str({key: value.shape for key, value in policy.items()}) for policy in present}
    return stack(present) if len(present) == len(policies) and len(shapes) == 1 else None


def concatenate(trees: Sequence[Tree]) -> Tree:
    """Trees of the same structure concatenated along the leading dim; the inverse of taking slices."""
    return trees[0] if len(trees) == 1 else tree_map(lambda *leaves: torch.cat(leaves), trees[0], *trees[1:])


def mean(tree: Tree) -> Tree:
    """The mean over the leading dim of every leaf."""
    return tree_map(lambda leaf: leaf.mean(0), tree)


def lerp_(old: Tree, new: Tree, rate: float) -> None:
    """Set `old` to `old + rate (new - old)`, in place: a Polyak step, or a step towards a mean."""
    tree_map(lambda a, b: a.lerp_(b, rate), old, new)


def weights(params: Params) -> Params:
    """The trainable part of `params`: everything but the statistics (`stat.`)."""
    return rebuild(params, {key: value for key, value in leaves(params).items() if not key.startswith("stat.")})


def squared_distance(params: Params, center: Params, dims: int) -> torch.Tensor:
    """‖params − center‖² over the trainable part, one number per slice of the first `dims` leading dims: [*lead]."""
    own, other = leaves(weights(params)), leaves(like(params, center))
    parts = [(value - other[key]).square().flatten(dims).sum(-1) for key, value in own.items()]
    return torch.stack(parts).sum(0)
