"""Groups, where one hook is a Deferred."""

from __future__ import annotations

from hamcrest import assert_that, equal_to
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from flip.errors import HookFailed
from flip.holdings.call import Hook, HookCall, HookResult
from flip.holdings.group import run_group

UP, AWAY = Hook("up", ("/up",)), Hook("away", ("/away",))


class GroupTests(SynchronousTestCase):
    """`run_group` over hooks that the test ends."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.ran: list[str] = []
        self.running: list[Deferred[HookResult]] = []
        self.killed: list[str] = []

    def start(self, event: str = "alive") -> Deferred[HookResult]:
        call = HookCall(UP, event, "ip", "a", "{}", "me", 9.0, ("a", "b", "c"), AWAY)
        return run_group(call, self.run_one, self.clock.seconds)

    def run_one(self, call: HookCall) -> Deferred[HookResult]:
        name = f"{call.event} {call.members[0]}"
        self.ran.append(name)

        def killed(done: Deferred[HookResult]) -> None:
            self.killed.append(name)
            done.errback(HookFailed("killed"))

        done: Deferred[HookResult] = Deferred(killed)
        self.running.append(done)
        return done

    def end(self, failure: str | None = None) -> None:
        done = self.running.pop()
        self.clock.advance(1)
        if failure is None:
            done.callback(HookResult(1.0))
        else:
            done.errback(HookFailed(failure))

    def test_success(self) -> None:
        """Is one result, of all of the time."""
        done = self.start()
        for member in "abc":
            assert_that(self.ran[-1], equal_to(f"alive {member}"))
            self.assertNoResult(done)
            self.end()
        assert_that(self.successResultOf(done), equal_to(HookResult(3.0)))

    def test_failure(self) -> None:
        """Comes when all is undone that was done."""
        done = self.start()
        self.end()
        self.end("exit status 1")
        assert_that(self.ran, equal_to(["alive a", "alive b", "down b"]))
        self.end()
        self.assertNoResult(done)
        self.end()
        error = self.failureResultOf(done, HookFailed).value
        assert isinstance(error, HookFailed)
        assert_that(error.details, equal_to("b: exit status 1"))
        assert_that(self.ran[-1], equal_to("down a"))

    def test_cancelled(self) -> None:
        """Kills what runs, and nothing follows."""
        done = self.start()
        self.end()
        done.cancel()
        self.failureResultOf(done, HookFailed)
        assert_that([self.ran, self.killed], equal_to([["alive a", "alive b"], ["alive b"]]))

    def test_bug(self) -> None:
        """What is no failure of a hook is not taken for one."""
        done = self.start()
        self.running.pop().errback(ZeroDivisionError())
        self.failureResultOf(done, ZeroDivisionError)

    def test_at_once(self) -> None:
        """Hooks that end at once, and many of them, exhaust no stack."""
        members = tuple(map(str, range(2000)))
        call = HookCall(UP, "down", "ip", "0", "{}", "me", 9.0, members)
        ended = [0]

        def run_one(call: HookCall) -> Deferred[HookResult]:
            ended[0] += 1
            done: Deferred[HookResult] = Deferred()
            done.callback(HookResult(0.0))
            return done

        self.successResultOf(run_group(call, run_one, self.clock.seconds))
        assert_that(ended, equal_to([2000]))
