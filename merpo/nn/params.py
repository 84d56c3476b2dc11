"""Arithmetic on trees of tensors: dicts of parameters, and NamedTuples of them; the leading dim says whose."""

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
    """Apply `function` to the tensors of equally built dicts and (named) tuples, leaf by leaf.

    `function` may act on leading dims or element by element, with f(0, ..., 0) = 0, and on nothing else, since
    parameters in the fast layout are mapped as they are stored.
    """
    if isinstance(tree, Packed):
        held = [leaves(like(tree, other)) for other in others]
        return rebuild(tree, tree_map(function, tree.leaves, *held))  # type: ignore[return-value]
    if isinstance(tree, dict):
        return {key: tree_map(function, value, *(o[key] for o in others)) for key, value in tree.items()}  # type: ignore[return-value]
    if isinstance(tree, tuple):
        parts = [tree_map(function, *leaves) for leaves in zip(tree, *others, strict=True)]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return function(tree, *others)  # type: ignore[no-any-return]


def fast_layout(params: Params) -> Params:
    """The same parameters in the memory layout in which a training step is fastest; it reads as the same dict."""
    return pack(params)


def storage(params: Params) -> Params:
    """The tensors that hold `params` in memory, as a checkpoint saves them."""
    return leaves(params)


def from_storage(template: Params, held: Params) -> Params:
    """The inverse of `storage`: parameters in the layout of `template` from the tensors that hold them."""
    return rebuild(template, held)


def ordinary(groups: dict[Key, Params]) -> dict[Key, Params]:
    """Groups of parameters as plain dicts, as they are when loaded; products with them differ by rounding only."""
    return {name: dict(params.items()) for name, params in groups.items()}


def gather(tree: Tree, index: torch.Tensor) -> Tree:
    """The slices `index` [k] of every leaf [n, ...], copied."""
    return tree_map(lambda leaf: leaf.index_select(0, index), tree)


def view(tree: Tree, index: range) -> Tree:
    """The slices `index` of every leaf, as views: what is done to them in place is done to `tree`. None stays None."""
    return tree if tree is None else tree_map(lambda leaf: leaf[index.start : index.stop], tree)


def take(rows: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """The rows `index` [T, K] of each task's `rows` [T, B, D], [T, K, D]; copied row by row, not number by number."""
    return rows.reshape(-1, rows.shape[-1]).index_select(0, flat_index(rows, index)).view(*index.shape, rows.shape[-1])


def flat_index(rows: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Where the rows `index` [T, K] of each task's `rows` [T, B, D] are among all tasks' rows [T · B, D]."""
    first = torch.arange(len(rows), device=index.device) * rows.shape[1]
    return (index + first[:, None]).flatten()


def scatter_(tree: Tree, index: torch.Tensor, part: Tree) -> None:
    """The slices `index` [k] of every leaf of `tree` become `part`, in place; the inverse of `gather`."""
    tree_map(lambda leaf, new: leaf.index_copy_(0, index, new.detach()), tree, part)


def expand(tree: Tree, *lead: int) -> Tree:
    """One copy of every leaf [...] for each of `lead`: [*lead, ...]."""
    return tree_map(lambda leaf: leaf.detach().expand(*lead, *leaf.shape).clone(), tree)


def clone(tree: Tree) -> Tree:
    """Every leaf detached and copied."""
    return tree_map(lambda leaf: leaf.detach().clone(), tree)


def to_device(tree: Tree, device: torch.device | str) -> Tree:
    """Every leaf on `device`."""
    return tree_map(lambda leaf: leaf.to(device), tree)


def stack(trees: Iterable[Tree]) -> Tree:
    """Equally built trees as one, with a new leading dim."""
    first, *rest = trees
    return tree_map(lambda *leaves: torch.stack(leaves), first, *rest)


def stack_alike(policies: Sequence[Params | None]) -> Params | None:
    """The same of what may be missing or of other sizes: None unless all are there and alike."""
    known = [policy for policy in policies if policy is not None]
    kinds = {str({key: value.shape for key, value in policy.items()}) for policy in known}
    return stack(known) if len(known) == len(policies) and len(kinds) == 1 else None


def concatenate(trees: Sequence[Tree]) -> Tree:
    """Equally built trees one after the other along the leading dim; the inverse of taking slices."""
    return trees[0] if len(trees) == 1 else tree_map(lambda *leaves: torch.cat(leaves), trees[0], *trees[1:])


def mean(tree: Tree) -> Tree:
    """The mean over the leading dim of every leaf."""
    return tree_map(lambda leaf: leaf.mean(0), tree)


def lerp_(old: Tree, new: Tree, rate: float) -> None:
    """`old + rate (new - old)`, in place: a Polyak step, or a step towards a mean."""
    tree_map(lambda a, b: a.lerp_(b, rate), old, new)


def weights(params: Params) -> Params:
    """The trainable part of `params`: everything but the statistics (`stat.`)."""
    return rebuild(params, {key: value for key, value in leaves(params).items() if not key.startswith("stat.")})


def squared_distance(params: Params, center: Params, dims: int) -> torch.Tensor:
    """‖params − center‖² over the trainable part, one number per slice of the first `dims` leading dims: [*lead]."""
    ours, theirs = leaves(weights(params)), leaves(like(params, center))
    parts = [(value - theirs[key]).square().flatten(dims).sum(-1) for key, value in ours.items()]
    return torch.stack(parts).sum(0)
