"""Groups in the guard: program by program, within one deadline."""

from __future__ import annotations

from hamcrest import assert_that, close_to, equal_to
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.call import Hook, HookCall
from flip.holdings.guard.interface import Point, Stage
from flip.holdings.guard.messages import Arm, Run
from flip.holdings.guard.running import SLACK
from tests.holdings.guard.post import TIMEOUT, Bed

WEB: Point = ("ip", "web")
MEMBERS = ("a", "b")
UP, AWAY = Hook("up", ("/up",)), Hook("away", ("/away",))


def call(event: str) -> HookCall:
    """A call for the group."""
    up = event == "alive"
    hook, undo = (UP, AWAY) if up else (AWAY, None)
    return HookCall(hook, event, *WEB, "{}", "me", TIMEOUT, MEMBERS, undo)


class GroupTests(SynchronousTestCase):
    """A sentry that is told of a group."""

    def setUp(self) -> None:
        self.bed = Bed()
        self.orders = 0

    def arm(self, after: float = 10.0) -> None:
        at = self.bed.clock.seconds() + after
        self.bed.sentry.receive(Arm(((WEB, at),), (call("down"),)))

    def order(self, event: str) -> int:
        self.orders += 1
        self.bed.sentry.receive(Run(self.orders, call(event)))
        self.bed.sentry.act()
        return self.orders

    def signals(self) -> list[str]:
        sent, self.bed.hooks.signals = self.bed.hooks.signals, []
        return sent

    def test_alive(self) -> None:
        """One member after the other; the order has ended with the last."""
        self.arm()
        number = self.order("alive")
        assert_that(self.bed.news(), equal_to(["alive a of web"]))
        self.bed.end("web")
        assert_that(self.bed.ended(number), equal_to([]))
        assert_that(self.bed.news(), equal_to(["alive b of web"]))
        self.bed.end("web")
        assert_that(self.bed.ended(number), equal_to([None]))

    def test_undone(self) -> None:
        """A member that fails takes the others with it, within the same order."""
        self.arm()
        number = self.order("alive")
        self.bed.end("web")
        self.bed.end("web", "exit status 1")
        self.bed.end("web")
        assert_that(self.bed.ended(number), equal_to([]))
        self.bed.end("web")
        assert_that(self.bed.ended(number), equal_to(["b: up: exit status 1"]))
        assert_that(
            self.bed.news(),
            equal_to(["alive a of web", "alive b of web", "down b of web", "down a of web"]),
        )

    def test_down(self) -> None:
        """Backwards, and on after a failure."""
        number = self.order("down")
        self.bed.end("web", "exit status 2")
        self.bed.end("web")
        assert_that(self.bed.news(), equal_to(["down b of web", "down a of web"]))
        assert_that(self.bed.ended(number), equal_to(["b: away: exit status 2"]))

    def test_hanging(self) -> None:
        """Each has an equal part of the time; all of it ends within the timeout."""
        number = self.order("down")
        self.bed.wait(TIMEOUT / 2 * 0.75)
        assert_that(self.signals(), equal_to(["TERM web"]))
        self.bed.wait(TIMEOUT / 2 * 0.25)
        assert_that(self.signals(), equal_to(["KILL web"]))
        self.bed.end("web", "killed by SIGKILL")
        assert_that(self.bed.news(), equal_to(["down b of web", "down a of web"]))
        self.bed.wait(TIMEOUT / 2)
        assert_that(self.signals(), equal_to(["TERM web", "KILL web"]))
        assert_that(self.bed.clock.seconds(), close_to(100 + TIMEOUT, 1e-6))
        self.bed.end("web", "killed by SIGKILL")
        (failure,) = self.bed.ended(number)
        self.assertIn("no end within 0.5 s: terminated, then killed", failure or "")

    def test_deadline(self) -> None:
        """Kills the member that comes up, undoes nothing more, and lets go of all."""
        self.arm(after=0.5)
        number = self.order("alive")
        self.bed.end("web")
        self.bed.news()
        self.bed.wait(0.5)
        assert_that(self.signals(), equal_to(["KILL web"]))
        self.bed.end("web", "killed by SIGKILL")
        assert_that(
            self.bed.ended(number), equal_to(["b: up: killed, for its deadline has passed"])
        )
        self.bed.end("web")
        self.bed.end("web")
        assert_that(self.bed.news(), equal_to(["down b of web", "down a of web"]))
        steps = [("web", Stage.BEGAN), ("web", Stage.ENDED)]
        assert_that(self.bed.let_go(), equal_to(steps))

    def test_deadline_while_undoing(self) -> None:
        """What undoes is killed as well: the whole `down` takes its place at once."""
        self.arm(after=0.4)
        self.order("alive")
        self.bed.end("web", "exit status 1")
        self.bed.news()
        self.bed.wait(0.4)
        assert_that(self.signals(), equal_to(["KILL web"]))
        self.bed.end("web", "killed by SIGKILL")
        assert_that(self.bed.news(), equal_to(["down b of web"]))

    def test_stall(self) -> None:
        """No further member comes up after the deadline, whatever is heard of first."""
        self.arm(after=1.0)
        self.order("alive")
        self.bed.news()
        self.bed.clock.advance(5.0)
        self.bed.end("web")
        started = self.bed.news()
        assert_that([step for step in started if step.startswith("alive")], equal_to([]))

    def test_noted(self) -> None:
        """What would survive the guard is written down for as long as that program may run."""
        self.order("down")
        assert_that(self.bed.turn.noted[WEB], close_to(100 + TIMEOUT / 2 + SLACK, 1e-6))
        self.bed.clock.advance(0.1)
        self.bed.end("web")
        assert_that(self.bed.turn.noted[WEB], close_to(100 + TIMEOUT + SLACK, 1e-6))

    def test_cannot_start(self) -> None:
        """A program that is not there any more ends the group like any other failure."""
        self.arm()
        self.bed.hooks.refuses = OSError(2, "no such file")
        number = self.order("alive")
        (failure,) = self.bed.ended(number)
        self.assertIn("a: up cannot be started", failure or "")
        self.assertIn("a: away cannot be started", failure or "")
