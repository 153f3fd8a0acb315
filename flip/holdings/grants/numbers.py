"""Claim numbers: each claim of this node gets one that is above all before it (E1)."""

from __future__ import annotations

import random
from collections.abc import Callable

from flip.wire.messages import INCARNATIONS, ClaimNumber

# How far to rise, at most, above an earlier life that had come further: at random, for
# another life that had to rise, too, must not have used the same numbers.
LEAP = 2**16


class Numbers:
    """The numbers of one life of this node.

    :param birth: the incarnation that this life started with.
    :param risen: called with each new generation, so that the next life starts above it.
    """

    def __init__(self, birth: int, rng: random.Random, risen: Callable[[int], None]) -> None:
        self.last = ClaimNumber(birth, 0)
        self._rng = rng
        self._risen = risen

    def follow(self, incarnation: int) -> None:
        """This node has raised its incarnation: above everything that was seen of it.

        So are the claims from here on: a release by an earlier life that was ahead, and
        is still under way, frees none of them.
        """
        if incarnation > self.last.generation:
            self.last = ClaimNumber(incarnation, 0)

    @property
    def floor(self) -> ClaimNumber:
        """Every number of an earlier life, as far as is known, is at most this one."""
        return ClaimNumber(self.last.generation, 0)

    def next(self) -> ClaimNumber:
        """The number of a new claim."""
        self.last = ClaimNumber(self.last.generation, self.last.counter + 1)
        return self.last

    def rise_above(self, number: ClaimNumber) -> None:
        """A voter has seen this number of this node: what comes next is greater.

        Numbers of this life are no news. Those above come from a life whose journal
        is lost, and whose clock was ahead of this one's.
        """
        if number > self.last:
            leap = self._rng.randrange(1, LEAP)
            generation = min(number.generation + leap, INCARNATIONS - 1)
            self.last = ClaimNumber(generation, 0)
            self._risen(generation)
