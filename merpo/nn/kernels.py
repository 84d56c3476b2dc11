"""A stacked multi-layer perceptron on padded tensors (`nn/packed.py`), forward and backward as batched products.

Products with a narrow side (a last layer forward, a first layer backward) are written transposed: BLAS is several times
slower where the rows of its output are short.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from merpo.lazy import F, torch

if TYPE_CHECKING:
    from torch.autograd.function import FunctionCtx

__all__ = ["Shape", "stacked_mlp"]

CHUNK = 1 << 20  # numbers of one layer's activations that are worked on at a time where nothing is kept: 4 MB
FEW = 8  # rows up to which a last layer's product is quicker as it stands than transposed
KEEP = 1 << 19  # the same where activations are kept for the backward pass: 2 MB
FEWEST, FEWEST_KEPT = 64, 1024  # rows below which parts are not worth their calls, and their sums of gradients


class Shape(NamedTuple):
    """What a stacked network is besides its tensors."""

    sizes: tuple[int, ...]  # (in, hidden ..., out), without padding
    folded: bool  # biases are rows of the weights, else tensors of their own
    activation: str


class Kept(NamedTuple):
    """What the backward pass needs of each layer: its inputs, and what its activation was applied to (silu)."""

    hidden: list[torch.Tensor]
    raw: list[torch.Tensor]


def stacked_mlp(
    inputs: torch.Tensor, weights: list[torch.Tensor], biases: list[torch.Tensor], shape: Shape
) -> torch.Tensor:
    """Inputs [G, B, in] through G networks with weights [G, K, N] and, unless folded, biases [G, 1, N]: [G, B, out]."""
    held = [*weights, *biases]
    if torch.is_grad_enabled() and (inputs.requires_grad or any(leaf.requires_grad for leaf in held)):
        result: torch.Tensor = _function().apply(inputs, shape, *held)
        return result
    return _joined([_forward(part, weights, biases, shape, None) for part in _chunks(inputs, weights, CHUNK, FEWEST)])


def _chunks(inputs: torch.Tensor, weights: list[torch.Tensor], numbers: int, fewest: int) -> list[torch.Tensor]:
    """The rows of inputs [G, B, in] in parts whose widest layer has about so many numbers: what fits into the cache."""
    rows = max(fewest, numbers // (inputs.shape[0] * max(weight.shape[-1] for weight in weights)))
    return [inputs] if rows >= inputs.shape[1] else list(torch.split(inputs, rows, dim=1))


def _joined(parts: list[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _forward(
    inputs: torch.Tensor, weights: list[torch.Tensor], biases: list[torch.Tensor], shape: Shape, kept: Kept | None
) -> torch.Tensor:
    """The forward pass; what the backward pass needs is put into `kept`."""
    hidden = _with_one(inputs) if shape.folded else inputs
    for i, weight in enumerate(weights[:-1]):
        if kept is not None:
            kept.hidden.append(hidden)
        raw = torch.bmm(hidden, weight) if shape.folded else torch.baddbmm(biases[i], hidden, weight)
        if shape.activation == "relu":
            hidden = raw.relu_()
        elif kept is None:
            hidden = F.silu(raw, inplace=True)
        else:
            kept.raw.append(raw)
            hidden = F.silu(raw)
        if shape.folded:
            hidden[..., shape.sizes[i + 1]] = 1.0  # the bias of the next layer is the weight of this constant
    if kept is not None:
        kept.hidden.append(hidden)
    if inputs.shape[1] <= FEW and shape.sizes[-1] > 1:
        outputs = torch.bmm(hidden, weights[-1])
    else:
        outputs = torch.bmm(weights[-1].transpose(1, 2), hidden.transpose(1, 2)).transpose(1, 2)
    return outputs if shape.folded else outputs.add_(biases[-1])


def _backward(
    upstream: torch.Tensor,
    weights: list[torch.Tensor],
    shape: Shape,
    kept: Kept,
    of_inputs: bool,
    grads: list[torch.Tensor | None] | None,
) -> torch.Tensor | None:
    """The gradient of the inputs if wanted; those of weights and biases are added to `grads`. Padding's are zero."""
    last = len(weights) - 1
    d = upstream
    for i in range(last, -1, -1):
        hidden = kept.hidden[i]
        if grads is not None:
            if i == last:
                _add(grads, i, torch.bmm(d.transpose(1, 2), hidden).transpose(1, 2).contiguous())
            else:
                _add(grads, i, torch.bmm(hidden.transpose(1, 2), d))
            if not shape.folded:
                _add(grads, len(weights) + i, d.sum(1, keepdim=True))
        if i == 0:
            break
        d = d * weights[i].transpose(1, 2) if d.shape[-1] == 1 else torch.bmm(d, weights[i].transpose(1, 2))
        if shape.activation == "relu":
            d = torch.ops.aten.threshold_backward.grad_input(d, hidden, 0, grad_input=d)
        else:
            d = torch.ops.aten.silu_backward.grad_input(d, kept.raw[i - 1], grad_input=d)
        if shape.folded:
            d[..., shape.sizes[i]] = 0.0  # the constant does not depend on anything
    if not of_inputs:
        return None
    return torch.bmm(weights[0], d.transpose(1, 2))[:, : shape.sizes[0]].transpose(1, 2)


def _add(grads: list[torch.Tensor | None], i: int, part: torch.Tensor) -> None:
    """What one part of the rows contributes to a gradient."""
    before = grads[i]
    grads[i] = part if before is None else before.add_(part)


def _plain(inputs: torch.Tensor, weights: list[torch.Tensor], biases: list[torch.Tensor], shape: Shape) -> torch.Tensor:
    """The same once more in operations that autograd can differentiate as often as asked."""
    hidden, sizes = inputs, shape.sizes
    for i, weight in enumerate(weights):
        bias = weight[:, sizes[i], None] if shape.folded else biases[i]
        narrow = weight[:, : sizes[i], : sizes[i + 1]]
        hidden = torch.baddbmm(bias[..., : sizes[i + 1]], hidden, narrow)
        if i < len(weights) - 1:
            hidden = F.silu(hidden) if shape.activation == "silu" else F.relu(hidden)
    return hidden


def _with_one(inputs: torch.Tensor) -> torch.Tensor:
    """[G, B, in] -> [G, B, in + 1]: the inputs and a one."""
    wide = inputs.new_ones(*inputs.shape[:-1], inputs.shape[-1] + 1)
    wide[..., :-1] = inputs
    return wide


_CLASSES: list[Any] = []


def _function() -> Any:
    """The autograd function, made at its first use: its base class needs torch, which importing merpo does not load."""
    if not _CLASSES:

        class StackedMLP(torch.autograd.Function):
            """`_forward` and `_backward` as one node of a graph; plain autograd where it is differentiated twice."""

            @staticmethod
            def forward(ctx: FunctionCtx, inputs: torch.Tensor, shape: Shape, *held: torch.Tensor) -> torch.Tensor:
                state: Any = ctx
                weights, biases = _apart(held, shape)
                parts = _chunks(inputs, weights, KEEP, FEWEST_KEPT)
                state.shape, state.kept = shape, [Kept([], []) for _ in parts]
                ctx.save_for_backward(inputs, *held)
                return _joined(
                    [_forward(p, weights, biases, shape, kept) for p, kept in zip(parts, state.kept, strict=True)]
                )

            @staticmethod
            def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[Any, ...]:
                inputs, *held = ctx.saved_tensors
                weights, biases = _apart(held, ctx.shape)
                wanted = [ctx.needs_input_grad[0], *ctx.needs_input_grad[2:]]
                if torch.is_grad_enabled():  # the caller wants a graph of the gradient itself
                    tensors = [x for x, want in zip((inputs, *held), wanted, strict=True) if want]
                    outputs = _plain(inputs, weights, biases, ctx.shape)
                    found = iter(torch.autograd.grad(outputs, tensors, upstream[0], create_graph=True))
                    first, *rest = [next(found) if want else None for want in wanted]
                    return first, None, *rest
                grads: list[torch.Tensor | None] = [None for _ in held]
                of_held = grads if any(wanted[1:]) else None
                rows = [kept.hidden[0].shape[1] for kept in ctx.kept]
                parts = [
                    _backward(d, weights, ctx.shape, kept, wanted[0], of_held)
                    for d, kept in zip(torch.split(upstream[0], rows, dim=1), ctx.kept, strict=True)
                ]
                return _joined(parts) if wanted[0] else None, None, *grads  # type: ignore[arg-type]

        _CLASSES.append(StackedMLP)
    return _CLASSES[0]


def _apart(held: Any, shape: Shape) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Weights and biases."""
    count = len(shape.sizes) - 1
    return list(held[:count]), list(held[count:])
