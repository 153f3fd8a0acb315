"""The safety rules of flip, checked in every simulation on what machines really do.

docs/testing.md lists them with their bounds. Invariant 3, which holds only some
time after the last fault, is `flip.simulation.invariants.rest`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flip.simulation.invariants.addresses import Lapsed, PutBack, Regained, Waited
from flip.simulation.invariants.claims import BreakBeforeMake, Minority, Remembered
from flip.simulation.invariants.detection import FalseDown, MissedDown
from flip.simulation.invariants.invariant import Violation
from flip.simulation.invariants.isolation import Heirs, Isolated
from flip.simulation.invariants.leases import Undisturbed
from flip.simulation.invariants.owners import Exclusive, Neighbours, Overlaps
from flip.simulation.invariants.standings import Diagnosed, Returned, Stays, Unfit
from flip.simulation.invariants.truth import Truth

if TYPE_CHECKING:
    from flip.simulation.world import World

__all__ = ["Invariants", "Violation"]


class Invariants:
    """All that watch one world, from its beginning."""

    def __init__(self, world: World) -> None:
        truth = Truth(world)
        self.overlaps = Overlaps(world, truth)
        self.exclusive = Exclusive(world, truth)
        self.neighbours = Neighbours(world)
        for observer in (
            truth,  # before those that ask it
            Minority(world, truth),
            BreakBeforeMake(world, truth),
            Remembered(world, truth),
            self.overlaps,
            self.exclusive,
            self.neighbours,
            FalseDown(world, truth),
            MissedDown(world, truth),
            Isolated(world, truth),
            Heirs(world, truth),
            Undisturbed(world, truth),
            Lapsed(world, truth),
            Waited(world, truth),
            PutBack(world, truth),
            Regained(world, truth),
            Diagnosed(world, truth),
            Unfit(world, truth),
            Stays(world, truth),
            Returned(world, truth),
        ):
            world.observe(observer)
