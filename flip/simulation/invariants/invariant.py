"""What all invariants share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flip.simulation.observer import Observer

if TYPE_CHECKING:
    from flip.simulation.invariants.truth import Truth
    from flip.simulation.world import World


class Violation(AssertionError):
    """A safety rule was broken.

    :ivar invariant: the name of the rule's class; what failed while time was
        awaited for something else bears the name of that.
    :ivar at: seconds of the world's clock.
    """

    def __init__(self, invariant: str, at: float, text: str) -> None:
        super().__init__(text)
        self.invariant = invariant
        self.at = at


class Invariant(Observer):
    """A rule that holds after every step; a broken one ends the run with a `Violation`.

    Each does work only when something happened that could break it.
    """

    def __init__(self, world: World, truth: Truth) -> None:
        self.world = world
        self.truth = truth

    def violated(self, text: str) -> Violation:
        """The error to raise, with everything that tells how it came about."""
        violation = self.world.violation(text, type(self).__name__)
        self.world.broken = self.world.broken or violation
        return violation
