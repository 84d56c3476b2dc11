"""Laws of every method of every component: pure, finite, deterministic, and independent of other tasks."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, final

from merpo.components.component import Component, dump_component
from merpo.lazy import np, torch
from merpo.nn.optim import gradient
from merpo.nn.params import weights
from merpo.testing.inputs import TASKS
from merpo.types import Params

__all__ = ["ATOL", "RTOL", "Laws", "Shape", "named_leaves", "require", "require_gradient", "require_slices"]

RTOL, ATOL = 1e-4, 1e-5  # rounding of a batched product depends on its shape

# The shape of a result without the task dim, or one for each part of a tuple; None if any shape is valid.
Shape: TypeAlias = "tuple[int, ...] | list[tuple[int, ...]] | None"


def require(holds: bool, place: str, law: str) -> None:
    """Raise `AssertionError` with `place: law` unless `holds`."""
    if not holds:
        raise AssertionError(f"{place}: {law}")


def named_leaves(tree: Any, path: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors of nested dicts and tuples, with their paths."""
    if isinstance(tree, torch.Tensor):
        yield path, tree
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from named_leaves(value, f"{path}[{key!r}]")
    elif isinstance(tree, list | tuple):
        for key, value in zip(getattr(tree, "_fields", range(len(tree))), tree, strict=True):
            yield from named_leaves(value, f"{path}.{key}")


def require_gradient(place: str, loss: Callable[[Params], torch.Tensor], params: Params, every: bool = True) -> None:
    """Require a finite gradient of the loss in `params`, nonzero in every trainable tensor or in at least one."""
    try:
        grads = gradient(loss, params)[1]
    except RuntimeError as error:  # raised by autograd if a tensor is not part of the loss
        raise AssertionError(f"{place}: cannot be differentiated: {error}") from error
    for key, grad in grads.items():
        require(bool(grad.isfinite().all()), place, f"the gradient in {key} is not finite")
    zero = [key for key, grad in grads.items() if not bool((grad != 0).any())]
    require(not zero if every else len(zero) < len(grads), place, f"the gradient in {', '.join(zero)} is zero")


def require_slices(params: Params, place: str, what: str) -> int:
    """The number of members or critics in the parameters; requires that no two of them are equal."""
    trainable = list(weights(params).values())
    require(bool(trainable), place, "returns no trainable parameters")
    counts = {tuple(leaf.shape[:1]) for leaf in trainable}
    require(
        len(counts) == 1 and counts != {()}, place, f"returns leading dims {sorted(counts)}, expected one {what} dim"
    )
    n = trainable[0].shape[0]
    for i in range(n):
        for j in range(i):
            equal = all(torch.equal(leaf[i], leaf[j]) for leaf in trainable)
            require(not equal, place, f"{what} {i} is initialised equal to {what} {j}")
    return n


class _Guard(NamedTuple):
    """A copy of what a pure method must not change: its arguments, global random states and the component's fields."""

    arguments: list[tuple[str, torch.Tensor]]
    generators: list[bytes]
    component: dict[str, Any]

    @staticmethod
    def of(component: Component, arguments: tuple[Any, ...]) -> _Guard:
        legacy = np.random.get_state(legacy=False)
        states = [torch.get_rng_state().numpy().tobytes(), repr(legacy).encode(), repr(random.getstate()).encode()]
        copies = [(path, leaf.detach().clone()) for path, leaf in named_leaves(arguments)]
        return _Guard(copies, states, dump_component(component))


@final
class Laws:
    """Calls a component's methods and checks the laws in every call."""

    def __init__(self, component: Component) -> None:
        self.component = component
        self.name = type(component).__name__

    def call(self, method: str, make: Callable[[], tuple[Any, ...]], finite: bool = True) -> Any:
        """The result of `method(*make())`, checked to be pure, finite and deterministic."""
        place = f"{self.name}.{method}"
        result = self._guarded(method, make())
        again = list(named_leaves(self._guarded(method, make())))
        found = list(named_leaves(result))
        require(
            [path for path, _ in found] == [path for path, _ in again], place, "returns other parts in the second call"
        )
        for (path, one), (_, two) in zip(found, again, strict=True):
            sound = one.isfinite().all() if finite else ~one.isnan().any()
            require(bool(sound), place, f"result{path} is not finite")
            require(_same(one, two), place, f"not deterministic: result{path} differs in the second call")
        return result

    def per_task(
        self, method: str, make: Callable[[Sequence[int]], tuple[Any, ...]], shape: Shape, finite: bool = True
    ) -> Any:
        """The result of `method(*make(tasks))` for all tasks, checked for `shape` and equality with each task alone."""
        place = f"{self.name}.{method}"
        together = self.call(method, lambda: make(TASKS), finite)
        parts = list(named_leaves(together))
        require(bool(parts), place, f"returns {type(together).__name__}, expected tensors")
        if shape is not None:
            expected = [(len(TASKS), *one) for one in (shape if isinstance(shape, list) else [shape])]
            require(
                [tuple(x.shape) for _, x in parts] == expected,
                place,
                f"returns shapes {[tuple(x.shape) for _, x in parts]}, expected {expected}",
            )
        for i, task in enumerate(TASKS):
            alone = dict(named_leaves(self._guarded(method, make((task,)))))
            for path, leaf in parts:
                require(
                    leaf.shape[:1] == (len(TASKS),),
                    place,
                    f"result{path} has shape {tuple(leaf.shape)}, expected a leading task dim",
                )
                require(
                    path in alone and _close(leaf[i : i + 1], alone[path]),
                    place,
                    f"result{path} of task {i} depends on the other tasks: together it differs from the task alone",
                )
        return together

    def _guarded(self, method: str, arguments: tuple[Any, ...]) -> Any:
        place = f"{self.name}.{method}"
        before = _Guard.of(self.component, arguments)
        try:
            result = getattr(self.component, method)(*arguments)
        except Exception as error:  # a plugin may raise anything
            raise AssertionError(f"{place}: raised {type(error).__name__}: {error}") from error
        after = _Guard.of(self.component, arguments)
        require(before.generators == after.generators, place, "draws from a global random state")
        require(before.component == after.component, place, "changes the component's own fields")
        same = [path for path, _ in before.arguments] == [path for path, _ in after.arguments]
        require(same, place, "adds items to its arguments or removes some")
        for (path, old), (_, new) in zip(before.arguments, after.arguments, strict=True):
            require(_same(old, new), place, f"changes its argument{path} in place")
        return result


def _same(one: torch.Tensor, two: torch.Tensor) -> bool:
    alike = one.shape == two.shape and one.dtype == two.dtype
    return alike and torch.allclose(one.double(), two.double(), rtol=0.0, atol=0.0, equal_nan=True)


def _close(one: torch.Tensor, two: torch.Tensor) -> bool:
    return one.shape == two.shape and torch.allclose(one.double(), two.double(), rtol=RTOL, atol=ATOL, equal_nan=True)
