"""The meta-policies of a run's cells: as it was trained, mirrored, and untrained."""

from __future__ import annotations

from merpo import Context, Params, Spec, init_policy

__all__ = ["meta_policy", "mirrored"]


def meta_policy(
    kind: str, trained: Params, spec: Spec, hidden: tuple[int, ...], seed: int, mirror: tuple[int, int]
) -> Params:
    """The meta-policy of a `kind` of METAS; meta-Q is the trained one in each case."""
    if kind == "mirrored":
        return mirrored(trained, *mirror)
    if kind == "untrained":
        return init_policy(spec, hidden, Context(seed=seed).generator("grid-untrained"))
    return trained


def mirrored(policy: Params, observation: int, action: int) -> Params:
    """π'(M a | M s) = π(a | s), where M turns one dim of observations and of actions around: y to −y.

    A policy that was trained for goals on a half circle goes to those of the other half. It is exact: each changed
    weight is multiplied once, and the mean's last sum has all of its terms with the other sign.
    """
    found = {key: value.clone() for key, value in policy.items()}
    last = sum(1 for key in found if key.startswith("w")) - 1
    found["w0"][..., observation, :].neg_()
    found[f"w{last}"][..., action].neg_()  # the means come first, then the log-stds, which stay
    found[f"b{last}"][..., action].neg_()
    return found
