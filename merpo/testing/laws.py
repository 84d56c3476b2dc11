"""The laws that hold for every method of every kind of component."""

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

__all__ = ["ATOL", "RTOL", "Laws", "Shape", "leaves", "require", "require_gradient", "require_slices"]

RTOL, ATOL = 1e-4, 1e-5  # a batched product of another shape may round otherwise

# The shape of one task's part of a result, or of each part of a tuple of results; None where any shape will do.
Shape: TypeAlias = "tuple[int, ...] | list[tuple[int, ...]] | None"


def require(holds: bool, place: str, law: str) -> None:
    """Raise AssertionError with `place: law` unless it holds."""
    if not holds:
        raise AssertionError(f"{place}: {law}")


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors of nested dicts and tuples, with where they are."""
    if isinstance(tree, torch.Tensor):
        yield path, tree
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from leaves(value, f"{path}[{key!r}]")
    elif isinstance(tree, list | tuple):
        for key, value in zip(getattr(tree, "_fields", range(len(tree))), tree, strict=True):
            yield from leaves(value, f"{path}.{key}")


def require_gradient(place: str, loss: Callable[[Params], torch.Tensor], params: Params, every: bool = True) -> None:
    """Every trainable tensor of `params` moves the loss, or at least one does."""
    try:
        grads = gradient(loss, params)[1]
    except RuntimeError as error:  # how autograd says that a tensor is not part of the loss
        raise AssertionError(f"{place}: cannot be differentiated: {error}") from error
    for key, grad in grads.items():
        require(bool(grad.isfinite().all()), place, f"the gradient in {key} is not finite")
    still = [key for key, grad in grads.items() if not bool((grad != 0).any())]
    require(not still if every else len(still) < len(grads), place, f"the gradient in {', '.join(still)} is zero")


def require_slices(params: Params, place: str, what: str) -> int:
    """How many members or critics the parameters hold; no two of them are equal."""
    trainable = list(weights(params).values())
    require(bool(trainable), place, "gives nothing that can be trained")
    counts = {tuple(leaf.shape[:1]) for leaf in trainable}
    require(len(counts) == 1 and counts != {()}, place, f"gives leading dims {sorted(counts)}, expected one {what} dim")
    n = trainable[0].shape[0]
    for i in range(n):
        for j in range(i):
            equal = all(torch.equal(leaf[i], leaf[j]) for leaf in trainable)
            require(not equal, place, f"{what} {i} begins equal to {what} {j}")
    return n


class _Guard(NamedTuple):
    """What a pure method leaves as it is."""

    arguments: list[tuple[str, torch.Tensor]]
    generators: list[bytes]
    component: dict[str, Any]

    @staticmethod
    def of(component: Component, arguments: tuple[Any, ...]) -> _Guard:
        legacy = np.random.get_state(legacy=False)
        states = [torch.get_rng_state().numpy().tobytes(), repr(legacy).encode(), repr(random.getstate()).encode()]
        copies = [(path, leaf.detach().clone()) for path, leaf in leaves(arguments)]
        return _Guard(copies, states, dump_component(component))


@final
class Laws:
    """Calls a component's methods and holds every call against the laws."""

    def __init__(self, component: Component) -> None:
        self.component = component
        self.name = type(component).__name__

    def call(self, method: str, make: Callable[[], tuple[Any, ...]], finite: bool = True) -> Any:
        """`method(*make())`: pure, finite and the same again."""
        place = f"{self.name}.{method}"
        result = self._guarded(method, make())
        again = list(leaves(self._guarded(method, make())))
        found = list(leaves(result))
        require([path for path, _ in found] == [path for path, _ in again], place, "gives other parts the second time")
        for (path, one), (_, two) in zip(found, again, strict=True):
            sound = one.isfinite().all() if finite else ~one.isnan().any()
            require(bool(sound), place, f"result{path} is not finite")
            require(_same(one, two), place, f"not deterministic: result{path} differs the second time")
        return result

    def per_task(
        self, method: str, make: Callable[[Sequence[int]], tuple[Any, ...]], shape: Shape, finite: bool = True
    ) -> Any:
        """`method(*make(tasks))` for all tasks together, of the given shapes, equal to each task alone."""
        place = f"{self.name}.{method}"
        together = self.call(method, lambda: make(TASKS), finite)
        parts = list(leaves(together))
        require(bool(parts), place, f"gives {type(together).__name__}, expected tensors")
        if shape is not None:
            expected = [(len(TASKS), *one) for one in (shape if isinstance(shape, list) else [shape])]
            require(
                [tuple(x.shape) for _, x in parts] == expected,
                place,
                f"gives shapes {[tuple(x.shape) for _, x in parts]}, expected {expected}",
            )
        for i, task in enumerate(TASKS):
            alone = dict(leaves(self._guarded(method, make((task,)))))
            for path, leaf in parts:
                require(
                    leaf.shape[:1] == (len(TASKS),), place, f"result{path} is {tuple(leaf.shape)}, expected tasks first"
                )
                require(
                    path in alone and _close(leaf[i : i + 1], alone[path]),
                    place,
                    f"together is not alone: result{path} of task {i} changes with its company",
                )
        return together

    def _guarded(self, method: str, arguments: tuple[Any, ...]) -> Any:
        place = f"{self.name}.{method}"
        before = _Guard.of(self.component, arguments)
        try:
            result = getattr(self.component, method)(*arguments)
        except Exception as error:  # whatever a plugin raises breaks the law
            raise AssertionError(f"{place}: raised {type(error).__name__}: {error}") from error
        after = _Guard.of(self.component, arguments)
        require(before.generators == after.generators, place, "draws from a global random state")
        require(before.component == after.component, place, "changes the component's own fields")
        same = [path for path, _ in before.arguments] == [path for path, _ in after.arguments]
        require(same, place, "adds to its arguments or takes from them")
        for (path, old), (_, new) in zip(before.arguments, after.arguments, strict=True):
            require(_same(old, new), place, f"changes its argument{path} in place")
        return result


def _same(one: torch.Tensor, two: torch.Tensor) -> bool:
    alike = one.shape == two.shape and one.dtype == two.dtype
    return alike and torch.allclose(one.double(), two.double(), rtol=0.0, atol=0.0, equal_nan=True)


def _close(one: torch.Tensor, two: torch.Tensor) -> bool:
    return one.shape == two.shape and torch.allclose(one.double(), two.double(), rtol=RTOL, atol=ATOL, equal_nan=True)
