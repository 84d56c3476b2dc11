"""Task families of the foreign suite, `bench/foreign`."""

from __future__ import annotations

from collections.abc import Sequence

from merpo import Component, hookimpl
from merpo_foreign.arm import Arm
from merpo_foreign.battery import Battery
from merpo_foreign.cart import Cart
from merpo_foreign.heating import Heating
from merpo_foreign.inventory import Inventory
from merpo_foreign.reservoir import Reservoir
from merpo_foreign.stage import Stage
from merpo_foreign.vehicle import Vehicle

__all__ = ["Arm", "Battery", "Cart", "Heating", "Inventory", "Reservoir", "Stage", "Vehicle"]

MERPO_API = 2


@hookimpl
def merpo_components() -> Sequence[type[Component]]:
    """All families."""
    return [Heating, Cart, Stage, Reservoir, Arm, Vehicle, Battery, Inventory]
