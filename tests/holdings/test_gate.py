"""Tests for `flip.holdings.gate`."""

from __future__ import annotations

from hamcrest import assert_that, empty, equal_to
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.gate import Gate
from flip.wire.messages import Status
from tests.holdings.bed import StandIn, config

DELAY, TIMEOUT, PATIENCE = 0.05, 1.5, 5.0


class GateTests(SynchronousTestCase):
    """R1: when a node may act."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.membership = StandIn(config())
        self.changes: list[tuple[bool, bool]] = []
        self.unsettled: list[bool] = []
        self.gate = Gate(
            self.clock,
            self.membership.as_membership(),
            delay=DELAY,
            timeout=TIMEOUT,
            patience=PATIENCE,
            changed=lambda: self.changes.append((self.gate.open, self.gate.isolated)),
            unsettled=self.unsettled.append,
        )

    def become(self, *, in_touch: bool, settled: bool) -> None:
        self.membership.in_touch, self.membership.settled = in_touch, settled
        self.gate.update()

    def status(self) -> Status:
        return Status(self.membership.own.record.status)

    def test_start(self) -> None:
        """Closed, joining; open a little after it has settled, and active at once."""
        self.become(in_touch=True, settled=False)
        assert_that([self.gate.open, self.status()], equal_to([False, Status.JOINING]))
        self.become(in_touch=True, settled=True)
        assert_that([self.gate.open, self.status()], equal_to([False, Status.ACTIVE]))
        self.clock.advance(DELAY)
        assert_that(self.changes, equal_to([(True, False)]))

    def test_out_of_touch(self) -> None:
        """It closes at once, and says so; isolated is what lasts."""
        self.become(in_touch=True, settled=True)
        self.clock.advance(DELAY)
        self.become(in_touch=False, settled=False)
        assert_that([self.gate.open, self.gate.isolated], equal_to([False, False]))
        assert_that(self.status(), equal_to(Status.JOINING))
        self.clock.advance(TIMEOUT)
        assert_that(self.gate.isolated, equal_to(True))
        self.become(in_touch=True, settled=False)
        assert_that([self.gate.open, self.gate.isolated], equal_to([False, False]))
        assert_that(
            self.changes, equal_to([(True, False), (False, False), (False, True), (False, False)])
        )

    def test_short_cut(self) -> None:
        """A cut that ends before the timeout isolates nobody, and the next counts anew."""
        for _ in range(3):
            self.become(in_touch=False, settled=False)
            self.clock.advance(TIMEOUT - 0.1)
            self.become(in_touch=True, settled=True)
        assert_that(self.gate.isolated, equal_to(False))

    def test_lost_while_opening(self) -> None:
        """It does not open for who is out of touch again."""
        self.become(in_touch=True, settled=True)
        self.become(in_touch=False, settled=False)
        self.clock.advance(1)
        assert_that(self.changes, empty())

    def test_patience(self) -> None:
        """In touch but not settled for long: it says so once, and takes it back on settling."""
        self.become(in_touch=True, settled=False)
        self.become(in_touch=True, settled=False)
        self.clock.advance(PATIENCE)
        self.clock.advance(PATIENCE)
        self.become(in_touch=True, settled=True)
        assert_that(self.unsettled, equal_to([True, False]))

    def test_no_patience_out_of_touch(self) -> None:
        """Out of touch the others decide by their votes."""
        self.become(in_touch=True, settled=False)
        self.become(in_touch=False, settled=False)
        self.clock.advance(2 * PATIENCE)
        assert_that(self.unsettled, empty())

    def test_leaving(self) -> None:
        """The status of who leaves is not touched any more."""
        self.become(in_touch=True, settled=True)
        self.membership.amend(status=Status.LEAVING)
        self.gate.leave()
        self.become(in_touch=False, settled=False)
        self.become(in_touch=True, settled=True)
        assert_that(self.status(), equal_to(Status.LEAVING))

    def test_stop(self) -> None:
        """No timer is left."""
        self.become(in_touch=True, settled=True)
        self.become(in_touch=False, settled=False)
        self.gate.stop()
        assert_that(self.clock.getDelayedCalls(), empty())
