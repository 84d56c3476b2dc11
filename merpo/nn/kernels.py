"""Forward and backward pass of a stacked MLP on padded tensors (`nn/packed.py`), as batched products.

Products with a narrow side (the last layer forward, the first layer backward) are computed transposed: BLAS is several
times slower where the rows of its output are short.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from merpo.lazy import F, torch

if TYPE_CHECKING:
    from torch.autograd.function import FunctionCtx

__all__ = ["Shape", "stacked_mlp"]

# Rows are processed in chunks whose activations fit in the cache: inference needs no backward pass, training keeps
# its activations and adds up one gradient per chunk.
CHUNK = 1 << 20  # numbers in one layer's activations per chunk, inference: 4 MB
CHUNK_TRAINING = 1 << 19  # the same, training: 2 MB
MIN_ROWS, MIN_ROWS_TRAINING = 64, 1024  # rows below which smaller chunks cost more in calls than they save
FEW_ROWS = 8  # rows up to which the last layer's product is faster untransposed


class Shape(NamedTuple):
    """The layer sizes, bias layout and activation of a stacked network."""

    sizes: tuple[int, ...]  # (in, hidden ..., out), without padding
    folded: bool  # biases are rows of the weights; otherwise separate tensors
    activation: str


class Saved(NamedTuple):
    """Intermediate results for the backward pass, per layer: inputs, and for silu also pre-activations."""

    hidden: list[torch.Tensor]
    raw: list[torch.Tensor]


def stacked_mlp(
    inputs: torch.Tensor, weights: list[torch.Tensor], biases: list[torch.Tensor], shape: Shape
) -> torch.Tensor:
    """Outputs [G, B, out] of G networks at inputs [G, B, in]; weights [G, K, N], biases [G, 1, N] unless folded."""
    tensors = [*weights, *biases]
    if torch.is_grad_enabled() and (inputs.requires_grad or any(leaf.requires_grad for leaf in tensors)):
        result: torch.Tensor = _function().apply(inputs, shape, *tensors)
        return result
    return _cat([_forward(part, weights, biases, shape, None) for part in _chunks(inputs, weights, CHUNK, MIN_ROWS)])


def _chunks(inputs: torch.Tensor, weights: list[torch.Tensor], numbers: int, min_rows: int) -> list[torch.Tensor]:
    """The rows of inputs [G, B, in] in chunks for which the widest layer has about `numbers` activations."""
    rows = max(min_rows, numbers // (inputs.shape[0] * max(weight.shape[-1] for weight in weights)))
    return [inputs] if rows >= inputs.shape[1] else list(torch.split(inputs, rows, dim=1))


def _cat(parts: list[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _forward(
    inputs: torch.Tensor, weights: list[torch.Tensor], biases: list[torch.Tensor], shape: Shape, saved: Saved | None
) -> torch.Tensor:
    """The forward pass; intermediate results for the backward pass are appended to `saved`."""
    hidden = _append_one(inputs) if shape.folded else inputs
    for i, weight in enumerate(weights[:-1]):
        if saved is not None:
            saved.hidden.append(hidden)
        raw = torch.bmm(hidden, weight) if shape.folded else torch.baddbmm(biases[i], hidden, weight)
        if shape.activation == "relu":
            hidden = raw.relu_()
        elif saved is None:
            hidden = F.silu(raw, inplace=True)
        else:
            saved.raw.append(raw)
            hidden = F.silu(raw)
        if shape.folded:
            hidden[..., shape.sizes[i + 1]] = 1.0  # the bias of the next layer is the weight of this constant
    if saved is not None:
        saved.hidden.append(hidden)
    if inputs.shape[1] <= FEW_ROWS and shape.sizes[-1] > 1:
        outputs = torch.bmm(hidden, weights[-1])
    else:
        outputs = torch.bmm(weights[-1].transpose(1, 2), hidden.transpose(1, 2)).transpose(1, 2)
    return outputs if shape.folded else outputs.add_(biases[-1])


def _backward(
    upstream: torch.Tensor,
    weights: list[torch.Tensor],
    shape: Shape,
    saved: Saved,
    of_inputs: bool,
    grads: list[torch.Tensor | None] | None,
) -> torch.Tensor | None:
    """The gradient of the inputs if `of_inputs`; those of weights and biases are added to `grads`, zero for padding."""
    last = len(weights) - 1
    d = upstream
    for i in range(last, -1, -1):
        hidden = saved.hidden[i]
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
            d = torch.ops.aten.silu_backward.grad_input(d, saved.raw[i - 1], grad_input=d)
        if shape.folded:
            d[..., shape.sizes[i]] = 0.0  # the constant input has no gradient
    if not of_inputs:
        return None
    return torch.bmm(weights[0], d.transpose(1, 2))[:, : shape.sizes[0]].transpose(1, 2)


def _add(grads: list[torch.Tensor | None], i: int, part: torch.Tensor) -> None:
    """Add one chunk's contribution to gradient i."""
    total = grads[i]
    grads[i] = part if total is None else total.add_(part)


def _differentiable(
    inputs: torch.Tensor, weights: list[torch.Tensor], biases: list[torch.Tensor], shape: Shape
) -> torch.Tensor:
    """The forward pass in operations that autograd can differentiate any number of times."""
    hidden, sizes = inputs, shape.sizes
    for i, weight in enumerate(weights):
        bias = weight[:, sizes[i], None] if shape.folded else biases[i]
        narrow = weight[:, : sizes[i], : sizes[i + 1]]
        hidden = torch.baddbmm(bias[..., : sizes[i + 1]], hidden, narrow)
        if i < len(weights) - 1:
            hidden = F.silu(hidden) if shape.activation == "silu" else F.relu(hidden)
    return hidden


def _append_one(inputs: torch.Tensor) -> torch.Tensor:
    """The inputs with a constant one appended, [G, B, in] -> [G, B, in + 1]."""
    wide = inputs.new_ones(*inputs.shape[:-1], inputs.shape[-1] + 1)
    wide[..., :-1] = inputs
    return wide


_CLASSES: list[Any] = []


def _function() -> Any:
    """The autograd function, defined at its first use: its base class needs torch, which is imported lazily."""
    if not _CLASSES:

        class StackedMLP(torch.autograd.Function):
            """`_forward` and `_backward` as one graph node; ordinary autograd for second derivatives."""

            @staticmethod
            def forward(ctx: FunctionCtx, inputs: torch.Tensor, shape: Shape, *tensors: torch.Tensor) -> torch.Tensor:
                state: Any = ctx
                weights, biases = _split(tensors, shape)
                parts = _chunks(inputs, weights, CHUNK_TRAINING, MIN_ROWS_TRAINING)
                state.shape, state.saved = shape, [Saved([], []) for _ in parts]
                ctx.save_for_backward(inputs, *tensors)
                return _cat(
                    [_forward(p, weights, biases, shape, saved) for p, saved in zip(parts, state.saved, strict=True)]
                )

            @staticmethod
            def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[Any, ...]:
                inputs, *tensors = ctx.saved_tensors
                weights, biases = _split(tensors, ctx.shape)
                needed = [ctx.needs_input_grad[0], *ctx.needs_input_grad[2:]]
                if torch.is_grad_enabled():  # create_graph: a second derivative may follow
                    sources = [x for x, need in zip((inputs, *tensors), needed, strict=True) if need]
                    outputs = _differentiable(inputs, weights, biases, ctx.shape)
                    of_sources = iter(torch.autograd.grad(outputs, sources, upstream[0], create_graph=True))
                    first, *rest = [next(of_sources) if need else None for need in needed]
                    return first, None, *rest
                grads: list[torch.Tensor | None] = [None for _ in tensors]
                of_tensors = grads if any(needed[1:]) else None
                rows = [saved.hidden[0].shape[1] for saved in ctx.saved]
                parts = [
                    _backward(d, weights, ctx.shape, saved, needed[0], of_tensors)
                    for d, saved in zip(torch.split(upstream[0], rows, dim=1), ctx.saved, strict=True)
                ]
                return _cat(parts) if needed[0] else None, None, *grads  # type: ignore[arg-type]

        _CLASSES.append(StackedMLP)
    return _CLASSES[0]


def _split(tensors: Any, shape: Shape) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The weights and the biases among `tensors`."""
    count = len(shape.sizes) - 1
    return list(tensors[:count]), list(tensors[count:])
