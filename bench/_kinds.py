"""Kinds of work, such as matrix products, by the names of PyTorch's operations."""

from __future__ import annotations

import re
from functools import cache

REST = "elementwise"
KINDS = {  # what the names of PyTorch's operations, without `aten::`, tell of the kind of work; the first that matches
    "matrix products": r"\w*mm|matmul|linear\w*|\w*mv|v?dot|einsum|\w*conv\w*",
    "optimiser": r"_fused_\w+|_foreach_\w+",
    "random numbers": r"rand\w*|normal\w*|uniform\w*|bernoulli\w*|multinomial|exponential_",
    "data movement": r"copy_|\w+_copy|to|cat|stack|_?index\w*|gather\w*|scatter\w*|take\w*|clone|contiguous|fill_|zero_"
    r"|repeat\w*|roll|flip|\w*sort|topk|masked\w*|item|_local_scalar_dense",
    "views and allocation": r"empty\w*|new_\w+|zeros\w*|ones\w*|full\w*|resize_|set_|\w*view\w*|_?reshape\w*|alias|t"
    r"|as_strided\w*|slice\w*|select\w*|narrow|\w*split\w*|chunk|unbind|transpose|permute|movedim|\w*squeeze\w*"
    r"|expand\w*|\w*flatten|broadcast\w*|detach_?|lift_fresh|result_type",
    "reductions": r"sum\w*|mean\w*|a?max|a?min|aminmax|arg(max|min)|_?log(_softmax\w*|sumexp)|_?softmax\w*|std\w*"
    r"|var\w*|\w*norm|prod|any|all|cum\w+|median|quantile",
    "autograd": r"(torch::)?autograd::.*|\w*Backward\d*|[A-Z]\w*",
}


@cache
def kind(operation: str) -> str:
    """The kind of work that one of PyTorch's operations is."""
    name = operation.removeprefix("aten::")
    return next((found for found, names in KINDS.items() if re.fullmatch(names, name)), REST)
