"""`flip.membership.sweep`: a doubt is settled with few probes, and never for ever (S1)."""

from __future__ import annotations

import random
from collections.abc import Iterable

from hamcrest import assert_that, empty, equal_to, has_item, has_length
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.membership.sweep import FIRST, Sweep
from tests.matchers import is_not


class Field:
    """Members to sweep; probes end when the test says."""

    def __init__(self, count: int, seed: int = 1) -> None:
        self.members = [f"n{number}" for number in range(count)]
        self.rounds: list[list[str]] = []
        self.running: list[str] = []
        self.sweep = Sweep(random.Random(seed), lambda: list(self.members), self.probe)

    def probe(self, members: Iterable[str]) -> None:
        self.rounds.append(list(members))
        self.running += self.rounds[-1]

    @property
    def probed(self) -> list[str]:
        return [member for members in self.rounds for member in members]

    def finish(self, dead: Iterable[str] = ()) -> None:
        """All probes end; those of the dead fail, after they have raised a doubt."""
        while self.running:
            member = self.running.pop(0)
            if member in dead:
                self.sweep.doubt(member)
            self.sweep.ended(member, missed=member in dead)


class SweepTests(SynchronousTestCase):
    """One member is silent."""

    def test_it_is_that_member(self) -> None:
        """Five others answer, and that was all; the suspect is not among them."""
        field = Field(100)
        field.sweep.doubt("n0")
        field.finish()
        assert_that([len(members) for members in field.rounds], equal_to([FIRST]))
        assert_that(field.probed, is_not(has_item("n0")))

    def test_widening(self) -> None:
        """Twice as many for as long as one of them fails, and nobody twice."""
        field = Field(100)
        field.sweep.doubt("n0")
        field.finish(dead=field.members)
        assert_that([len(members) for members in field.rounds], equal_to([5, 10, 20, 40, 24]))
        assert_that(set(field.probed), has_length(99))

    def test_own_failures_start_nothing(self) -> None:
        """What a sweep finds silent widens it and starts no other."""
        field = Field(50)
        field.sweep.doubt("n0")
        first = field.rounds[0][0]
        field.finish(dead=(first,))
        assert_that([len(members) for members in field.rounds], equal_to([5, 10]))

    def test_one_at_a_time(self) -> None:
        """A second suspect waits for no sweep of its own while one is under way."""
        field = Field(50)
        field.sweep.doubt("n0")
        field.sweep.doubt("n1")
        assert_that(field.rounds, has_length(1))

    def test_again(self) -> None:
        """The next doubt, once it is over, starts with five again."""
        field = Field(100)
        field.sweep.doubt("n0")
        field.finish(dead=field.members)
        field.rounds.clear()
        field.sweep.doubt("n1")
        assert_that([len(members) for members in field.rounds], equal_to([FIRST]))

    def test_nobody_to_ask(self) -> None:
        """Two servers: there is nobody else, and the next doubt finds it the same."""
        field = Field(1)
        field.sweep.doubt("n0")
        field.sweep.doubt("n0")
        assert_that(field.rounds, empty())

    def test_others_probes(self) -> None:
        """The end of a probe that no sweep began means nothing to it."""
        field = Field(50)
        field.sweep.ended("n7", missed=True)
        field.sweep.doubt("n0")
        field.running.clear()
        for member in field.members:
            if member not in field.probed:
                field.sweep.ended(member, missed=True)
        assert_that(field.rounds, has_length(1))

    @settings(deadline=None, max_examples=100)
    @given(st.integers(0, 300), st.randoms(use_true_random=False), st.floats(0, 1))
    def test_ends(self, count: int, rng: random.Random, dead_share: float) -> None:
        """However many are dead, a sweep probes nobody twice, and ends."""
        field = Field(count, rng.randrange(1000))
        dead = {member for member in field.members if rng.random() < dead_share}
        field.sweep.doubt("suspect")
        field.finish(dead)
        assert_that(len(field.probed), equal_to(len(set(field.probed))))
        field.rounds.clear()
        field.finish(dead)
        assert_that(field.rounds, empty())
