"""Tests for `flip.holdings.grants.lease`."""

from __future__ import annotations

from hamcrest import assert_that, close_to, equal_to, greater_than, greater_than_or_equal_to
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.config import vocabulary
from flip.config.exclusive import shortest_lease
from flip.holdings.grants.lease import DRIFT, NOTICE, Terms, kept, majority, voters_hash
from flip.holdings.guard.interface import RESOLUTION
from tests.holdings.bed import system
from tests.matchers import is_not


class LeaseTests(SynchronousTestCase):
    """How long a grant counts, and is kept."""

    @given(
        st.floats(0.02, 3600),
        st.floats(1 - DRIFT, 1 + DRIFT),
        st.floats(1 - DRIFT, 1 + DRIFT),
    )
    def test_drift(self, lease: float, claimant: float, voter: float) -> None:
        """However two clocks drift, the voter's wait ends when the claimant's lease is over."""
        really_over = lease / claimant
        really_free = kept(lease) / voter
        assert_that(really_free, greater_than_or_equal_to(really_over * (1 - 1e-12)))

    def test_no_longer_than_needed(self) -> None:
        """With the slowest claimant and the fastest voter both end together."""
        assert_that(kept(5.0) / (1 + DRIFT), close_to(5.0 / (1 - DRIFT), 1e-9))

    @given(st.integers(1, 15))
    def test_majority(self, voters: int) -> None:
        """Two quorums have a voter in common, and none is larger than needed for that."""
        assert_that(2 * majority(voters), greater_than(voters))
        assert_that(2 * (majority(voters) - 1), is_not(greater_than(voters)))

    def test_hash(self) -> None:
        """The order of the voters is nothing, every name is something."""
        assert_that(voters_hash(["a", "b"]), equal_to(voters_hash(["b", "a"])))
        assert_that(voters_hash(["a", "b"]), is_not(equal_to(voters_hash(["ab"]))))
        assert_that(len(voters_hash([])), equal_to(8))


class TermsTests(SynchronousTestCase):
    """What a system's settings come to."""

    def test_of(self) -> None:
        """The margin is a hook's time and the guard's; the rest permits, a quarter renews."""
        terms = Terms.of(system(exclusive=True, lease=5.0, hook_timeout=1.0, voters=("a", "b")))
        assert_that(terms, equal_to(Terms(("a", "b"), 5.0, 1.0 + RESOLUTION)))
        assert_that(terms.permit, close_to(3.7, 1e-9))
        assert_that(terms.renewal, close_to(0.925, 1e-9))
        assert_that(terms.quorum, equal_to(2))

    @given(st.floats(0.01, 86_400))
    def test_asked_for(self, lease: float) -> None:
        """In milliseconds it is not shorter than it counts."""
        terms = Terms(("a",), lease, 0.01)
        assert_that(terms.asked_for() / 1000, greater_than_or_equal_to(lease * (1 - 1e-12)))

    def test_guard(self) -> None:
        """The configuration knows by how much the guard may be late."""
        assert_that(vocabulary.GUARD_DELAY, close_to(RESOLUTION * 1000, 1e-9))

    @given(st.floats(10, 10_000), st.floats(10, 10_000))
    def test_shortest_lease(self, ping: float, hook: float) -> None:
        """The shortest lease bears a probe's silence, with the daemon's own notice."""
        described = {"hook_timeout": hook, "exclusive": True}
        lease = shortest_lease({"ping_timeout": ping}, described) / 1000
        terms = Terms(("a",), lease, hook / 1000 + RESOLUTION)
        assert_that(terms.permit, greater_than_or_equal_to(ping / 1000 - 1e-9))
        assert_that(terms.margin, greater_than(NOTICE))
