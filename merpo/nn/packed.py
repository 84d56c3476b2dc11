"""Parameters of stacked networks in padded tensors, for fast matrix products.

`Packed` reads as the dict of ordinary weights `w{i}` [*lead, in, out] and biases `b{i}` [*lead, out] that it was made
from. Internally, hidden widths are padded with zeros to whole vector registers. If every hidden layer has padding, the
biases are folded into the weights: each is the row after the last one of its weight, with a constant one as its input.
Operations on leading dims or element by element (`params.py`, `optim.py`) apply to the padded tensors directly;
padding stays zero under all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, final

from merpo.lazy import torch
from merpo.types import Params

if TYPE_CHECKING:
    from collections.abc import ItemsView, KeysView, ValuesView

__all__ = ["LANE", "Packed", "leaves", "like", "pack", "rebuild"]

LANE = 8  # float32 numbers of an AVX register: products with other widths take up to 1.6 times as long

_WEIGHT = re.compile(r"(.*)w(\d+)")


class Layer(NamedTuple):
    """Names and sizes of a layer's ordinary tensors."""

    weight: str
    bias: str
    inputs: int
    outputs: int


class Network(NamedTuple):
    """The layers of a network, first to last."""

    layers: tuple[Layer, ...]
    folded: bool  # biases are rows of the weights

    @property
    def sizes(self) -> tuple[int, ...]:
        """(in, hidden ..., out), without padding."""
        return (self.layers[0].inputs, *(layer.outputs for layer in self.layers))


class Layout(NamedTuple):
    """The networks of a dict of parameters."""

    networks: dict[str, Network]  # by prefix
    views: dict[str, dict[str, tuple[Any, ...]]]  # padded tensor -> names of the ordinary tensors in it, and indices


class Stack(NamedTuple):
    """A network's padded tensors with the dims `lead` flattened into one, G."""

    network: Network
    lead: tuple[int, ...]
    weights: list[torch.Tensor]  # [G, K, N]
    biases: list[torch.Tensor]  # [G, 1, N], none if they are folded


@final
class Packed(dict[str, "torch.Tensor"]):
    """Parameters in padded form: `leaves` has the padded and all other tensors; ordinary views are made when read."""

    def __init__(self, tensors: Params, layout: Layout) -> None:
        super().__init__()
        self.leaves = tensors
        self.layout = layout
        self._filled = False
        self._stacks: dict[str, Stack] = {}

    def stack(self, prefix: str) -> Stack | None:
        """The network with this prefix in the kernels' format; cached, because training uses it in every step."""
        network = self.layout.networks.get(prefix)
        if network is None or prefix in self._stacks:
            return self._stacks.get(prefix)
        keys = [layer.weight for layer in network.layers]
        keys += [] if network.folded else [layer.bias for layer in network.layers]
        padded = [self.leaves[key] for key in keys]
        flat = [leaf if leaf.dim() == 3 else leaf.reshape(-1, *leaf.shape[-2:]) for leaf in padded]
        depth = len(network.layers)
        stack = Stack(network, tuple(padded[0].shape[:-2]), flat[:depth], flat[depth:])
        if all(leaf.is_contiguous() for leaf in padded):  # else `reshape` may have copied: a cache would go stale
            self._stacks[prefix] = stack
        return stack

    def _fill(self) -> None:
        if self._filled:
            return
        self._filled = True
        for key, leaf in self.leaves.items():
            for name, index in self.layout.views.get(key, {key: ()}).items():
                super().__setitem__(name, leaf[(..., *index)] if index else leaf)

    # Every read fills in the views first. Overriding `__iter__` makes CPython's `{**packed}` and `dict(packed)` do so.

    def __getitem__(self, key: str) -> torch.Tensor:
        if key in self.leaves and key not in self.layout.views:
            return self.leaves[key]
        self._fill()
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[str]:
        self._fill()
        return super().__iter__()

    def __len__(self) -> int:
        self._fill()
        return super().__len__()

    def __contains__(self, key: object) -> bool:
        self._fill()
        return super().__contains__(key)

    def keys(self) -> KeysView[str]:  # type: ignore[override]
        """The ordinary names."""
        self._fill()
        return super().keys()

    def values(self) -> ValuesView[torch.Tensor]:  # type: ignore[override]
        """The ordinary tensors, as views."""
        self._fill()
        return super().values()

    def __repr__(self) -> str:
        self._fill()
        return super().__repr__()

    def items(self) -> ItemsView[str, torch.Tensor]:  # type: ignore[override]
        """Names and views."""
        self._fill()
        return super().items()


def pack(params: Params) -> Params:
    """`params` with every network in it padded; the same dict if there is none."""
    if isinstance(params, Packed):
        return params
    networks = _networks(params)
    if not networks:
        return params
    packed, views = dict(params), {}
    for network in networks.values():
        for layer in network.layers:
            first, last = layer is network.layers[0], layer is network.layers[-1]
            tensors, indices = _padded(params, layer, network.folded, first, last)
            del packed[layer.bias]
            packed.update(tensors)
            views.update(indices)
    return Packed(packed, Layout(networks, views))


def leaves(params: Params) -> Params:
    """The tensors in which the parameters are stored: padded ones for packed parameters."""
    return params.leaves if isinstance(params, Packed) else params


def rebuild(template: Params, tensors: Params) -> Params:
    """Parameters in the layout of `template` from other leaves, or from a part of them."""
    return Packed(tensors, template.layout) if isinstance(template, Packed) else tensors


def like(template: Params, params: Params) -> Params:
    """`params` in the layout of `template`: packed or not."""
    if isinstance(template, Packed) and not isinstance(params, Packed):
        return pack(params)
    return params


def _networks(params: Params) -> dict[str, Network]:
    numbers: dict[str, list[int]] = {}
    for key in params:
        if match := _WEIGHT.fullmatch(key):
            numbers.setdefault(match[1], []).append(int(match[2]))
    networks: dict[str, Network] = {}
    for prefix, found in numbers.items():
        layers = [layer for i in range(len(found)) if (layer := _layer(params, prefix, i))]
        joined = all(a.outputs == b.inputs for a, b in pairwise(layers))
        if joined and len(layers) == len(found):
            hidden = [layer.outputs for layer in layers[:-1]]
            networks[prefix] = Network(tuple(layers), bool(hidden) and all(width % LANE for width in hidden))
    return networks


def _layer(params: Params, prefix: str, i: int) -> Layer | None:
    """Layer i, or None if its tensors are not those of a stacked linear layer."""
    weight, bias = f"{prefix}w{i}", f"{prefix}b{i}"
    w, b = params.get(weight), params.get(bias)
    if w is None or b is None or w.dim() < 2 or b.shape != (*w.shape[:-2], w.shape[-1]):
        return None
    return Layer(weight, bias, w.shape[-2], w.shape[-1])


def _padded(
    params: Params, layer: Layer, folded: bool, first: bool, last: bool
) -> tuple[Params, dict[str, dict[str, tuple[Any, ...]]]]:
    """A layer's padded tensors, and the indices of the ordinary ones in them."""
    weight, bias = params[layer.weight], params[layer.bias]
    lead, rows, columns = weight.shape[:-2], layer.inputs, layer.outputs
    height = rows + folded if first else _round_up(rows)
    width = columns if last else _round_up(columns)
    block = weight.new_zeros(*lead, height, width)
    block[..., :rows, :columns] = weight
    inside = {layer.weight: (slice(rows), slice(columns))}
    if folded:
        block[..., rows, :columns] = bias
        return {layer.weight: block}, {layer.weight: {**inside, layer.bias: (rows, slice(columns))}}
    row = bias.new_zeros(*lead, 1, width)  # broadcasts over a batch of rows
    row[..., 0, :columns] = bias
    bias_index = {layer.bias: (0, slice(columns))}
    return {layer.weight: block, layer.bias: row}, {layer.weight: inside, layer.bias: bias_index}


def _round_up(size: int) -> int:
    return -(-size // LANE) * LANE
