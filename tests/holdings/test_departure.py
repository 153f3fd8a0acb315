"""Tests for `flip.holdings.departure`."""

from __future__ import annotations

from collections.abc import Callable

from hamcrest import assert_that, contains_string, empty, equal_to, less_than
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from flip.holdings.departure import GOOD_BYES, leave
from flip.wire.claims import Phase
from flip.wire.messages import Status
from tests.holdings.case import KeeperTestCase

LIMIT = 10.0  # seconds that a clean stop may take, whatever happens


class DepartureTests(KeeperTestCase):
    """R5: a clean stop lets go of everything."""

    def leave(self) -> Deferred[bool]:
        membership = self.membership.as_membership()
        return Deferred.fromCoroutine(leave(self.clock, membership, self.keeper))

    def seconds_until(self, left: Deferred[bool], act: Callable[[], None] = lambda: None) -> float:
        """How long it took, while `act` is called every 10 ms."""
        began = self.clock.seconds()
        while not left.called:
            assert_that(self.clock.seconds() - began, less_than(LIMIT))
            act()
            self.clock.advance(0.01)
        return self.clock.seconds() - began

    def status(self) -> Status:
        return Status(self.membership.own.record.status)

    def test_nothing_held(self) -> None:
        """Who holds nothing says good-bye, several times, and is gone."""
        left = self.leave()
        assert_that(self.status(), equal_to(Status.LEAVING))
        assert_that(self.seconds_until(left), less_than(0.2))
        assert_that(self.successResultOf(left), equal_to(True))
        assert_that([self.status(), self.membership.pushes], equal_to([Status.LEFT, GOOD_BYES]))

    def test_taken_over(self) -> None:
        """`down` runs, the claims go, and `left` is said when others have it all."""
        self.hold_own()
        left = self.leave()
        self.clock.advance(0)
        assert_that(self.hooks.news(), equal_to(["down a"]))
        self.clock.advance(1)
        assert_that([self.status(), self.claims()], equal_to([Status.LEAVING, {"a": "RELEASING"}]))
        self.hooks.succeed("a")
        self.clock.advance(0.05)
        assert_that([self.status(), self.claims()], equal_to([Status.LEAVING, {}]))
        self.others.say("flip1", {"ip": {"a": Phase.HELD, "b": Phase.HELD}})
        assert_that(self.seconds_until(left), less_than(0.2))
        assert_that(self.successResultOf(left), equal_to(True))
        assert_that(self.status(), equal_to(Status.LEFT))

    def test_not_taken_over(self) -> None:
        """When nobody takes it, it leaves all the same, a second later."""
        self.hold_own()
        left = self.leave()
        self.clock.advance(0)
        self.hooks.succeed("a")
        assert_that(self.seconds_until(left), less_than(1.5))
        assert_that(self.successResultOf(left), equal_to(True))

    def test_nobody_to_take_over(self) -> None:
        """The last one does not wait for anybody."""
        self.hold_own()
        for other in ("flip1", "flip2"):
            self.others.say(other, status=Status.LEFT)
        left = self.leave()
        self.clock.advance(0)
        self.hooks.succeed("a")
        assert_that(self.seconds_until(left), less_than(0.2))

    def test_down_hangs(self) -> None:
        """With a claim it never says `left`; it ends in time, and the journal remembers."""
        self.hold_own()
        left = self.leave()
        with capturedLogs() as logs:
            self.seconds_until(left)
        assert_that(self.successResultOf(left), equal_to(False))
        assert_that([self.status(), self.membership.pushes], equal_to([Status.LEAVING, 0]))
        assert_that(self.claims(), equal_to({"a": "RELEASING"}))
        assert_that([held.datum for held in self.journal.held()], equal_to(["a"]))
        assert_that(formatEvent(logs[-1]), contains_string("ip: a"))

    def test_down_fails(self) -> None:
        """The same for a `down` that fails as often as it is tried."""
        self.hold_own()
        left = self.leave()

        def fail() -> None:
            if self.hooks.running:
                self.hooks.fail("a")

        self.seconds_until(left, fail)
        assert_that([self.successResultOf(left), self.status()], equal_to([False, Status.LEAVING]))

    def test_down_fails_once(self) -> None:
        """A `down` that works the second time is good enough."""
        self.hold_own()
        left = self.leave()
        self.clock.advance(0)
        self.hooks.fail("a")
        self.clock.advance(0.5)
        self.hooks.succeed("a")
        self.seconds_until(left)
        assert_that([self.successResultOf(left), self.status()], equal_to([True, Status.LEFT]))

    def test_alive_runs(self) -> None:
        """An `alive` that runs is waited for, and undone."""
        self.act()
        assert_that(self.hooks.news(), equal_to(["alive a"]))
        left = self.leave()
        self.clock.advance(0)
        self.hooks.succeed("a")
        self.clock.advance(0)
        assert_that(self.hooks.news(), equal_to(["down a"]))
        self.hooks.succeed("a")
        self.seconds_until(left)
        assert_that(self.successResultOf(left), equal_to(True))

    def test_out_of_touch(self) -> None:
        """Who is cut off lets go all the same."""
        self.hold_own()
        self.membership.become(in_touch=False, settled=False)
        left = self.leave()
        self.clock.advance(0)
        assert_that(self.hooks.news(), equal_to(["down a"]))
        self.hooks.succeed("a")
        self.seconds_until(left)
        assert_that(self.successResultOf(left), equal_to(True))

    def test_nothing_is_taken(self) -> None:
        """What others drop meanwhile is not taken any more."""
        self.hold_own()
        self.leave()
        self.clock.advance(0)
        self.others.accuse("flip1", "me", "flip2")
        self.clock.advance(0.1)
        assert_that(self.hooks.news(), equal_to(["down a"]))

    def test_twice(self) -> None:
        """A second request to leave changes nothing for the first."""
        self.hold_own()
        lefts = [self.leave(), self.leave()]
        self.clock.advance(0)
        self.hooks.succeed("a")
        for left in lefts:
            self.seconds_until(left)
        assert_that([self.successResultOf(left) for left in lefts], equal_to([True, True]))

    def test_stopped_afterwards(self) -> None:
        """After that nothing is left that could happen."""
        self.hold_own()
        left = self.leave()
        self.seconds_until(left)
        self.keeper.stop()
        self.hooks.succeed("a")
        self.membership.become(in_touch=False, settled=False)
        self.membership.find_down()
        self.others.accuse("flip1", "me", "flip2")
        assert_that(self.clock.getDelayedCalls(), empty())
