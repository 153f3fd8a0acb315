"""`flip.membership.reconciliation`: with whom everything is exchanged, and how often at most."""

from __future__ import annotations

import random

from hamcrest import assert_that, empty, equal_to, has_length, is_in

from flip.membership.reconciliation import RECHECK, Reconciliation
from flip.membership.touch import Touch
from flip.wire.claims import Phase
from flip.wire.messages import Update
from tests.membership.samples import ClockTestCase, record, roster, with_claims

INTERVAL = 1.0


class States:
    """What packets have shown."""

    def __init__(self) -> None:
        self.agreeing: set[str] = set()
        self.differing: dict[str, float] = {}

    def agrees(self, peer: str) -> bool:
        return peer in self.agreeing


class ReconciliationTests(ClockTestCase):
    """Node a among five."""

    def setUp(self) -> None:
        super().setUp()
        self.roster = roster()
        self.touch = Touch(self.roster, 1.5, self.clock.seconds)
        self.states = States()
        self.begun: list[str] = []
        self.failing: set[str] = set()
        self.reconciliation = Reconciliation(
            self.clock,
            random.Random(1),
            self.roster,
            self.touch,
            self.states,
            INTERVAL,
            self.begun.append,
            failing=lambda: self.failing,
        )

    def in_touch(self) -> None:
        for member in "bcde":
            self.touch.acked(member, self.clock.seconds())
        self.touch.judge()

    def test_agreement(self) -> None:
        """Equal digests are as good as an exchange."""
        self.in_touch()
        self.states.agreeing.update("bc")
        self.reconciliation.acked("b")
        self.reconciliation.acked("c")
        self.touch.judge()
        assert_that((self.begun, self.touch.settled), equal_to(([], True)))

    def test_failing(self) -> None:
        """A peer with which it failed is tried again now and then, while it answers."""
        self.in_touch()
        self.failing.add("b")
        for _ in range(6):
            self.reconciliation.look()
            self.clock.advance(RECHECK / 2)
        assert_that(self.begun, equal_to(["b", "b", "b"]))
        self.touch.missed("b", 0.0)
        self.clock.advance(RECHECK)
        self.reconciliation.look()
        assert_that(len(self.begun), equal_to(3))

    def test_start(self) -> None:
        """Who is not settled catches up with whoever answers, at once, but not twice."""
        self.in_touch()
        for peer in "bcbc":
            self.reconciliation.acked(peer)
        assert_that(self.begun, equal_to(["b", "c"]))
        self.touch.synced("b")
        self.clock.advance(INTERVAL)
        self.reconciliation.acked("b")
        self.reconciliation.acked("c")
        assert_that(self.begun, equal_to(["b", "c", "c"]))

    def test_settled(self) -> None:
        """Later on, a difference has two intervals to go by itself."""
        self.in_touch()
        for peer in "bc":
            self.touch.synced(peer)
        self.touch.judge()
        self.states.differing["b"] = self.clock.seconds()
        self.reconciliation.acked("b")
        self.reconciliation.look()
        self.clock.advance(2 * INTERVAL - 0.1)
        self.touch.acked("b", self.clock.seconds())
        self.reconciliation.look()
        assert_that(self.begun, empty())
        self.clock.advance(0.1)
        self.touch.acked("b", self.clock.seconds())
        self.reconciliation.look()
        assert_that(self.begun, equal_to(["b"]))

    def test_not_met_again(self) -> None:
        """In a large cluster the last packet of a peer may be old: it may well agree by now."""
        self.in_touch()
        for peer in "bc":
            self.touch.synced(peer)
        self.touch.judge()
        self.states.differing["b"] = self.clock.seconds()
        self.touch.acked("b", self.clock.seconds())
        self.clock.advance(60 * INTERVAL)
        self.reconciliation.look()
        assert_that(self.begun, empty())

    def test_out_of_reach(self) -> None:
        """There is no use in trying who does not answer."""
        self.in_touch()
        self.touch.missed("b", self.clock.seconds())
        self.states.differing["b"] = 0.0
        self.reconciliation.look()
        assert_that(self.begun, empty())

    def test_peer_without_tcp(self) -> None:
        """A peer whose exchanges fail, behind a firewall, does not keep others from theirs."""
        self.in_touch()
        self.states.differing = {"b": 1.0, "c": 2.0, "d": 3.0}
        for _ in range(4):
            self.reconciliation.look()
        assert_that(self.begun, equal_to(["b", "c", "d"]))
        self.clock.advance(INTERVAL)
        self.reconciliation.look()
        assert_that(self.begun, equal_to(["b", "c", "d", "b"]))

    def test_cut_off(self) -> None:
        """Where nobody answers, TCP is tried with somebody once per interval."""
        for _ in range(10):
            self.reconciliation.look()
        assert_that(self.begun, has_length(1))
        self.clock.advance(INTERVAL)
        self.reconciliation.look()
        assert_that(self.begun, has_length(2))

    def test_claims(self) -> None:
        """Claims that did not fit are fetched from whoever told of the record."""
        self.in_touch()
        update = with_claims("b", {"ip": {"one": Phase.HELD}})
        self.roster.merge((Update("b", update.record),), "c")
        self.reconciliation.fetch(self.roster["b"], "c")
        assert_that(self.begun, equal_to(["c"]))

    def test_claims_in_vain(self) -> None:
        """Claims that nobody can read or give are asked for once per interval, not for ever."""
        self.in_touch()
        self.roster.merge((Update("b", record("b", claims_hash=b"whatever")),), "c")
        self.reconciliation.fetch(self.roster["b"], "c")
        for _ in range(100):
            self.reconciliation.look()
        assert_that(self.begun, equal_to(["c"]))
        self.clock.advance(INTERVAL)
        self.reconciliation.look()
        assert_that(self.begun, equal_to(["c", "b"]))

    def test_next_record(self) -> None:
        """The claims of the next record are fetched without a pause."""
        self.in_touch()
        for version in range(3):
            update = Update("b", record("b", 5, version, claims_hash=b"%d" % version))
            self.roster.merge((update,), "b")
            self.reconciliation.fetch(self.roster["b"], "b")
        assert_that(self.begun, equal_to(["b", "b", "b"]))

    def test_claims_of_who_is_out_of_reach(self) -> None:
        """Where this node cannot reach the member, any other may know."""
        self.in_touch()
        self.touch.missed("b", self.clock.seconds())
        self.roster.merge((Update("b", record("b", claims_hash=b"whatever")),), "c")
        self.reconciliation.look()
        assert_that(self.begun, has_length(1))
        assert_that(self.begun[0], is_in("cde"))

    def test_own_claims(self) -> None:
        """Its own claims a node knows itself."""
        self.in_touch()
        self.roster.merge((Update("a", record("a", claims_hash=b"whatever")),), "c")
        self.reconciliation.look()
        assert_that(self.begun, empty())
