"""Tests for `flip.holdings.leftovers`."""

from __future__ import annotations

from pathlib import Path

from hamcrest import assert_that, contains_string, empty, equal_to, has_length
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.journal import Held
from flip.holdings.leftovers import Leftovers
from flip.holdings.runner import HookCall, HookResult
from flip.wire.claims import Phase
from tests.holdings.bed import Hooks, open_journal, phases


def held(datum: str) -> Held:
    return Held("old", datum, Phase.HELD, ("/old/down", "-v"), '{"interface": "eth7"}', (datum,))


class LeftoversTests(SynchronousTestCase):
    """What no configured system can let go of."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.hooks = Hooks()
        self.changes = 0
        self.journal = open_journal(Path(self.mktemp()), self.clock)
        self.addCleanup(self.journal.close)
        self.leftovers = Leftovers("me", self.clock, self.journal, self.hooks, self.changed)
        for datum in "ab":
            self.journal.hold(held(datum))
        self.leftovers.remember(self.journal.held())

    def changed(self) -> None:
        self.changes += 1

    def wait(self, seconds: float = 0) -> list[str]:
        self.clock.advance(seconds)
        return self.hooks.news()

    def end(self, datum: str, *, well: bool = True) -> None:
        (self.hooks.succeed if well else self.hooks.fail)(datum, "old")

    def test_claimed(self) -> None:
        """They are claimed until they are released, and nothing is done before it may be."""
        claims = {"old": {"a": Phase.UNSURE, "b": Phase.UNSURE}}
        assert_that([self.leftovers.claims(), self.wait(60)], equal_to([claims, []]))

    def test_released(self) -> None:
        """One after the other, each with the hook that the journal names."""
        self.leftovers.act()
        self.leftovers.act()
        first = self.wait()
        assert_that(first, has_length(1))
        (call,) = self.hooks.calls
        assert_that(call.hook.argv, equal_to(("/old/down", "-v")))
        assert_that((call.event, call.config), equal_to(("down", '{"interface": "eth7"}')))
        self.end(call.datum)
        second = self.wait()
        assert_that(sorted(first + second), equal_to(["down a", "down b"]))
        self.end(self.hooks.calls[-1].datum)
        assert_that(self.wait(60), empty())
        assert_that([self.leftovers.claims(), phases(self.journal)], equal_to([{}, {}]))
        assert_that([self.changes, self.clock.getDelayedCalls()], equal_to([2, []]))

    def test_failing(self) -> None:
        """What fails stays claimed, is shown, and is tried again; the others do not wait for it."""
        self.leftovers.act()
        stubborn = self.hooks.calls[0].datum
        self.end(stubborn, well=False)
        (other,) = {"a", "b"} - {stubborn}
        self.wait()
        self.end(other)
        self.wait()
        assert_that(self.leftovers.claims(), equal_to({"old": {stubborn: Phase.UNSURE}}))
        assert_that(self.leftovers.errors["old", stubborn], contains_string("exit status 1"))
        for pause in (0.5, 1, 2, 4, 8, 16, 30, 30):
            assert_that(self.wait(pause - 0.01), empty())
            assert_that(self.wait(0.02), equal_to([f"down {stubborn}"]))
            self.end(stubborn, well=False)
            self.wait()
        self.leftovers.retry()
        self.end(stubborn)
        assert_that([self.leftovers.claims(), self.leftovers.errors], equal_to([{}, {}]))

    def test_retry(self) -> None:
        """An operator does not have to wait for the next round."""
        self.leftovers.act()
        for _ in "ab":
            self.end(self.hooks.calls[-1].datum, well=False)
            self.wait()
        self.leftovers.retry()
        assert_that(self.wait(), has_length(1))

    def test_forsaken(self) -> None:
        """What an operator drops is claimed no more, even while its hook runs."""
        self.leftovers.act()
        running = self.hooks.calls[0].datum
        for datum in "ab":
            self.leftovers.forsake(("old", datum))
        assert_that([self.leftovers.claims(), phases(self.journal)], equal_to([{}, {}]))
        self.end(running, well=False)
        assert_that([self.wait(60), self.leftovers.errors], equal_to([[f"down {running}"], {}]))

    def test_bug_in_a_runner(self) -> None:
        """An error that no runner may have does not end the tries."""
        self.leftovers.act()
        point, running = self.hooks.running.popitem()
        running.errback(ZeroDivisionError("what"))
        assert_that(self.flushLoggedErrors(ZeroDivisionError), has_length(1))
        assert_that(self.leftovers.errors, equal_to({point: "what"}))
        self.hooks.news()
        assert_that(self.wait(), has_length(1))

    def test_stop(self) -> None:
        """After a stop the hook that runs may end; no other starts and no timer is left."""
        self.leftovers.act()
        self.wait()
        self.leftovers.stop()
        self.end(self.hooks.calls[0].datum)
        assert_that([self.wait(60), self.clock.getDelayedCalls()], equal_to([[], []]))

    def test_stop_between_rounds(self) -> None:
        """The next round is cancelled."""
        self.leftovers.act()
        for _ in "ab":
            self.end(self.hooks.calls[-1].datum, well=False)
            self.wait()
        self.leftovers.stop()
        assert_that(self.clock.getDelayedCalls(), empty())

    def test_many(self) -> None:
        """Thousands of hooks that end at once are no problem, and few lines in the log."""

        class Quick:
            def run(self, call: HookCall) -> Deferred[HookResult]:
                return succeed(HookResult(0.0))

        leftovers = Leftovers("me", self.clock, self.journal, Quick(), self.changed)
        with capturedLogs() as logs:
            leftovers.remember(held(str(number)) for number in range(2000))
        assert_that(logs, has_length(21))
        assert_that(formatEvent(logs[-1]), contains_string("2000 data points in all"))
        leftovers.act()
        self.clock.pump([0] * 2000)
        assert_that(leftovers.claims(), empty())
