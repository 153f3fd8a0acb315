"""Tests for flip.holdings.due."""

from __future__ import annotations

from hamcrest import assert_that, empty, equal_to
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.due import SHARE, Due


class DueTests(SynchronousTestCase):
    """What is marked is taken once, in order, in shares."""

    def setUp(self) -> None:
        self.asked = 0
        self.due = Due(self.ask)

    def ask(self) -> None:
        """Count how often a turn was asked for."""
        self.asked += 1

    def test_once(self) -> None:
        """However often something is marked, it is decided about once."""
        self.due.mark(["b", "a"])
        self.due.mark(["a", "c"])
        assert_that(self.due.take(), equal_to(["b", "a", "c"]))
        assert_that(self.due.take(), empty())
        assert_that(self.asked, equal_to(2))

    def test_share(self) -> None:
        """Many are spread over turns, each of which asks for the next one."""
        data = [f"d{n}" for n in range(2 * SHARE + 1)]
        self.due.mark(data)
        shares = [self.due.take() for _ in range(self.asked)]
        while self.asked > len(shares):
            shares.append(self.due.take())
        assert_that([len(share) for share in shares], equal_to([SHARE, SHARE, 1]))
        assert_that([datum for share in shares for datum in share], equal_to(data))

    def test_nobody_starves(self) -> None:
        """What is marked over and over does not keep others from their turn."""
        restless, patient = [f"r{n}" for n in range(SHARE)], ["p"]
        self.due.mark(restless + patient)
        self.due.take()
        self.due.mark(restless)
        assert_that(self.due.take()[0], equal_to("p"))

    @given(st.lists(st.lists(st.integers(0, 3 * SHARE).map(str), max_size=40), max_size=20))
    def test_nothing_lost(self, marks: list[list[str]]) -> None:
        """A turn for each asking takes everything that was marked."""
        due = Due(self.ask)
        self.asked = 0
        taken: list[str] = []
        for data in marks:
            due.mark(data)
        while self.asked:
            self.asked -= 1
            taken += due.take()
        assert_that(set(taken), equal_to({datum for data in marks for datum in data}))
