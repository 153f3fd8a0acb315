"""Faults that befall a world, each at its time."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from flip.simulation.faults.fault import Fault

if TYPE_CHECKING:
    from flip.simulation.world import World


def schedule(world: World, faults: Iterable[Fault]) -> None:
    """Let faults befall a world whose clock shows 0, or not yet the time of the first.

    Where several overlap, the end of one does not end the others.
    """
    in_force: list[Fault] = []

    def begin(fault: Fault) -> None:
        world.fault(str(fault), True)
        in_force.append(fault)
        fault.impose(world)

    def end(fault: Fault) -> None:
        world.fault(str(fault), False)
        in_force.remove(fault)
        fault.lift(world, in_force)

    for fault in faults:
        world.schedule(fault.span.begin - world.now, partial(begin, fault))
        if fault.span.end is not None:
            world.schedule(fault.span.end - world.now, partial(end, fault))
