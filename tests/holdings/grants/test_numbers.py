"""Tests for `flip.holdings.grants.numbers`."""

from __future__ import annotations

import random

from hamcrest import assert_that, empty, equal_to, greater_than
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.grants.numbers import LEAP, Numbers
from flip.wire.messages import INCARNATIONS, ClaimNumber


class NumbersTests(SynchronousTestCase):
    """The numbers of one life."""

    def setUp(self) -> None:
        self.risen: list[int] = []
        self.numbers = Numbers(100, random.Random(1), self.risen.append)

    def test_next(self) -> None:
        """Each is above the one before it, and above all of an earlier life."""
        assert_that(self.numbers.floor, greater_than(ClaimNumber(99, 10**9)))
        first, second = self.numbers.next(), self.numbers.next()
        assert_that([first, second], equal_to([ClaimNumber(100, 1), ClaimNumber(100, 2)]))
        assert_that(first, greater_than(self.numbers.floor))

    def test_own_numbers(self) -> None:
        """What this life has used is nothing to rise above."""
        self.numbers.next()
        self.numbers.rise_above(ClaimNumber(100, 1))
        self.numbers.rise_above(ClaimNumber(99, 7))
        assert_that([self.numbers.next(), self.risen], equal_to([ClaimNumber(100, 2), []]))

    @given(st.integers(100, INCARNATIONS - 1), st.integers(1, INCARNATIONS - 1))
    def test_rise(self, generation: int, counter: int) -> None:
        """Above a later life everything that follows is above its numbers, and on disk first."""
        self.setUp()
        seen = ClaimNumber(generation, counter)
        self.numbers.rise_above(seen)
        assert_that(self.risen, equal_to([self.numbers.last.generation]))
        if generation < INCARNATIONS - LEAP:
            assert_that(self.numbers.floor, greater_than(seen))
        assert_that(self.numbers.last.generation, equal_to(min(self.risen[0], INCARNATIONS - 1)))

    def test_follow(self) -> None:
        """When the node raises its incarnation, claims from there on are above it."""
        self.numbers.next()
        self.numbers.follow(90)
        assert_that(self.numbers.next(), equal_to(ClaimNumber(100, 2)))
        self.numbers.follow(150)
        assert_that(self.numbers.next(), equal_to(ClaimNumber(150, 1)))
        self.numbers.follow(150)
        assert_that(self.numbers.next(), equal_to(ClaimNumber(150, 2)))

    def test_random(self) -> None:
        """Two lives that rise above the same number do not use the same ones."""
        leaps = set()
        for seed in range(10):
            numbers = Numbers(100, random.Random(seed), lambda generation: None)
            numbers.rise_above(ClaimNumber(200, 5))
            leaps.add(numbers.last.generation)
        assert_that(len(leaps), greater_than(8))
        assert_that([leap for leap in leaps if not 200 < leap <= 200 + LEAP], empty())
