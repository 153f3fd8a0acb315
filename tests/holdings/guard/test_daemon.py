"""The daemon's side of the guard, on virtual time, with guards that the test plays."""

from __future__ import annotations

from collections.abc import Callable

from hamcrest import assert_that, empty, equal_to, has_length
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from flip.errors import HookFailed
from flip.holdings.guard.daemon import FIRST_PATIENCE, RemoteGuard, longest_hook
from flip.holdings.guard.interface import PATIENCE, Deadline, LetGo, Stage
from flip.holdings.guard.messages import (
    Arm,
    Begin,
    Disarm,
    Ended,
    Kill,
    Order,
    Ping,
    Pong,
    Report,
    Run,
    Started,
)
from tests.holdings.bed import config, system
from tests.holdings.guard.post import A, B, call


class PlayedLink:
    """A guard that does what the test says.

    :ivar orders: what it was told, pings left out.
    """

    def __init__(self, received: Callable[[Report], None], lost: Callable[[], None]) -> None:
        self.pid = 7
        self.say = received
        self.die = lost
        self.orders: list[Order] = []
        self.pings: list[int] = []
        self.answers = True
        self.closed = self.killed = False
        self.groups: list[int] = []

    def send(self, order: Order) -> None:
        if isinstance(order, Ping):
            self.pings.append(order.number)
        else:
            self.orders.append(order)

    def pong(self) -> None:
        """Answer every question."""
        while self.pings:
            self.say(Pong(self.pings.pop(0)))

    def news(self) -> list[Order]:
        """The orders since the last time; they are answered."""
        orders, self.orders = self.orders, []
        self.pong()
        return orders

    def close(self) -> Deferred[None]:
        self.closed = True
        return succeed(None)

    def kill(self) -> None:
        self.killed = True

    def kill_group(self, pid: int) -> None:
        self.groups.append(pid)


class RemoteGuardTests(SynchronousTestCase):
    """A guard in another process."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.links: list[PlayedLink] = []
        self.refuses: OSError | None = None
        self.guard = RemoteGuard(self.clock, self.connect, longest=1.0)
        self.steps: list[LetGo] = []
        self.troubles: list[str | None] = []
        self.guard.on_let_go(self.steps.append)
        self.guard.on_trouble(self.troubles.append)
        self.addCleanup(lambda: assert_that(self.clock.getDelayedCalls(), empty()))
        self.addCleanup(self.guard.stop)

    def connect(self, received: Callable[[Report], None], lost: Callable[[], None]) -> PlayedLink:
        if self.refuses is not None:
            raise self.refuses
        self.links.append(PlayedLink(received, lost))
        return self.links[-1]

    def start(self) -> PlayedLink:
        """A guard that is ready."""
        self.guard.start()
        assert_that(self.links[-1].news()[0], equal_to(Begin(1.0)))
        return self.links[-1]

    def deadline(self, at: float, datum: str = "a") -> Deadline:
        return Deadline(at, call("down", datum))

    def test_begin(self) -> None:
        """It is told what it needs to know, and is ready when it has answered."""
        self.guard.start()
        assert_that(self.guard.condition, equal_to((7, False, 0, 0, None)))
        self.links[0].news()
        assert_that(self.guard.condition, equal_to((7, True, 0, 0, None)))
        assert_that(self.troubles, empty())

    def test_run(self) -> None:
        """The end of a hook is that of its Deferred."""
        link = self.start()
        good, bad = self.guard.run(call("down")), self.guard.run(call("down", "b"))
        one, two = link.news()
        assert isinstance(one, Run)
        assert isinstance(two, Run)
        assert_that((one.call, two.call), equal_to((call("down"), call("down", "b"))))
        link.say(Ended(one.number, None, 0.5))
        link.say(Ended(two.number, "down: exit status 1", 0.5))
        assert_that(self.successResultOf(good).duration, equal_to(0.5))
        failure = self.failureResultOf(bad, HookFailed)
        self.assertIn("exit status 1", str(failure.value))

    def test_arm(self) -> None:
        """A renewal is small: the guard knows the hook already."""
        link = self.start()
        self.guard.arm({A: self.deadline(5.0), B: self.deadline(6.0, "b")})
        self.guard.arm({A: self.deadline(7.0)})
        assert_that(
            link.news(),
            equal_to(
                [
                    Arm(((A, 5.0), (B, 6.0)), (call("down"), call("down", "b"))),
                    Arm(((A, 7.0),), ()),
                ]
            ),
        )
        assert_that(self.guard.condition.armed, equal_to(2))
        self.guard.disarm([A])
        self.guard.arm({A: self.deadline(8.0)})
        assert_that(link.news(), equal_to([Disarm((A,)), Arm(((A, 8.0),), (call("down"),))]))

    def test_another_hook(self) -> None:
        """A `down` that has changed is told."""
        link = self.start()
        self.guard.arm({A: self.deadline(5.0)})
        other = call("down", timeout=2.0)
        self.guard.arm({A: Deadline(5.0, other)})
        assert_that(link.news()[1], equal_to(Arm(((A, 5.0),), (other,))))

    def test_kill(self) -> None:
        """Is passed on."""
        link = self.start()
        self.guard.kill(A)
        assert_that(link.news(), equal_to([Kill(A)]))

    def test_let_go(self) -> None:
        """Every step is told; what has ended is not armed any more."""
        link = self.start()
        self.guard.arm({A: self.deadline(5.0)})
        link.news()
        steps = [LetGo(A, Stage.BEGAN, "late"), LetGo(A, Stage.ENDED, "", 0.1)]
        for step in steps:
            link.say(step)
        assert_that(self.steps, equal_to(steps))
        assert_that(self.guard.condition.armed, equal_to(0))

    def test_armed_after_let_go(self) -> None:
        """Whoever arms again knows of it, and so the guard is told that."""
        link = self.start()
        self.guard.arm({A: self.deadline(5.0)})
        link.say(LetGo(A, Stage.ENDED, "", 0.1))
        link.news()
        self.guard.arm({A: self.deadline(9.0), B: self.deadline(9.0, "b")})
        disarm, arm = link.news()
        assert_that(disarm, equal_to(Disarm((A,))))
        assert isinstance(arm, Arm)
        assert_that([point for point, _ in arm.deadlines], equal_to([A, B]))

    def test_died(self) -> None:
        """Another one is started at once, and armed before it gets any other order."""
        link = self.start()
        self.guard.arm({A: self.deadline(5.0)})
        link.news()
        link.die()
        waits = self.guard.run(call("alive"))
        self.clock.advance(0)
        assert_that(self.links, has_length(2))
        begin, arm, run = self.links[1].news()
        assert_that(begin, equal_to(Begin(1.0)))
        assert_that(arm, equal_to(Arm(((A, 5.0),), (call("down"),))))
        assert isinstance(run, Run)
        self.links[1].say(Ended(run.number, None, 0.1))
        assert_that(self.successResultOf(waits).duration, equal_to(0.1))
        assert_that(self.guard.condition, equal_to((7, True, 1, 1, None)))
        assert_that(self.troubles, equal_to(["it died; another one is started", None]))

    def test_died_while_hooks_ran(self) -> None:
        """They have failed; what is left of an `alive` is killed, a `down` goes on."""
        link = self.start()
        self.guard.arm({A: self.deadline(5.0)})
        alive, down = self.guard.run(call("alive")), self.guard.run(call("down", "b"))
        _, one, two = link.news()
        assert isinstance(one, Run)
        assert isinstance(two, Run)
        link.say(Started(one.number, 1001))
        link.say(Started(two.number, 1002))
        link.die()
        for done in (alive, down):
            self.failureResultOf(done, HookFailed)
        assert_that(link.groups, equal_to([1001]))
        assert_that(self.links[1].news(), has_length(2))

    def test_waits_for_a_guard(self) -> None:
        """Without a guard nothing starts; `kill` ends the waiting."""
        self.refuses = OSError(11, "Resource temporarily unavailable")
        self.guard.start()
        alive, down = self.guard.run(call("alive")), self.guard.run(call("down", "b"))
        self.guard.kill(A)
        self.failureResultOf(alive, HookFailed)
        self.assertNoResult(down)
        assert_that(self.guard.condition.ready, equal_to(False))
        self.refuses = None
        self.clock.advance(0.05)
        assert_that(self.links[0].news()[1:], has_length(1))
        self.assertIn("cannot be started", self.troubles[0] or "")
        assert_that(self.troubles[-1], equal_to(None))

    def test_cannot_be_started(self) -> None:
        """It is tried again, less and less often."""
        self.refuses = OSError(12, "Cannot allocate memory")
        self.guard.start()
        self.clock.pump([0.01] * 3000)
        assert_that(len(self.troubles), equal_to(12))  # 0, 0.05, 0.15 ... 6.35, 11.35 ... 26.35 s

    def test_does_not_get_ready(self) -> None:
        """One that dies at once is not started over and over."""
        self.guard.start()
        for _ in range(1000):
            if self.links and not self.links[-1].killed:
                self.links[-1].killed = True
                self.links[-1].die()
            self.clock.advance(0.01)
        assert_that(len(self.links), equal_to(8))

    def test_no_answer(self) -> None:
        """A guard that does not answer an order is killed and replaced."""
        link = self.start()
        self.guard.arm({A: self.deadline(5.0)})
        self.clock.advance(PATIENCE - 0.01)
        self.clock.advance(0)
        assert_that(link.killed, equal_to(False))
        self.clock.advance(0.01)
        self.clock.advance(0)
        assert_that(link.killed, equal_to(True))
        assert_that(self.links, has_length(2))
        assert_that(self.links[1].news()[1:], equal_to([Arm(((A, 5.0),), (call("down"),))]))

    def test_answer_after_a_stall(self) -> None:
        """When this process stood still, its timers come before the answer that is there."""
        link = self.start()
        self.guard.arm({A: self.deadline(5.0)})
        self.clock.callLater(10, link.pong)  # read in the round after the timers'
        self.clock.advance(10)
        assert_that((link.killed, self.links), equal_to((False, [link])))

    def test_orders_after_the_question(self) -> None:
        """Each of them is answered for, with one question at a time."""
        link = self.start()
        for at in (5.0, 6.0, 7.0):
            self.guard.arm({A: self.deadline(at)})
        assert_that(link.pings, has_length(1))
        link.say(Pong(link.pings.pop()))
        assert_that(link.pings, has_length(1))
        link.pong()
        self.clock.advance(60)
        assert_that(link.killed, equal_to(False))

    def test_slow_start(self) -> None:
        """A guard that has yet to start has more time."""
        self.guard.start()
        self.clock.advance(FIRST_PATIENCE - 0.1)
        self.clock.advance(0)
        assert_that(self.links[0].killed, equal_to(False))
        self.clock.advance(0.1)
        self.clock.advance(0)
        assert_that(self.links[0].killed, equal_to(True))

    def test_news_of_the_dead(self) -> None:
        """What an earlier guard has said is not taken for the present one's."""
        link = self.start()
        link.die()
        number = self.links[1].pings[0]
        link.say(Pong(number))
        link.say(LetGo(A, Stage.ENDED, ""))
        link.die()
        assert_that(self.guard.condition.ready, equal_to(False))
        assert_that((self.steps, len(self.links)), equal_to(([], 2)))

    def test_stop(self) -> None:
        """It is let go of, and nobody follows it."""
        link = self.start()
        self.guard.arm({A: self.deadline(5.0)})
        self.successResultOf(self.guard.stop())
        link.die()
        self.clock.advance(60)
        assert_that((link.closed, len(self.links)), equal_to((True, 1)))
        assert_that(self.troubles, empty())


class NeedTests(SynchronousTestCase):
    """Who needs a guard."""

    def test_longest(self) -> None:
        """Servers with exclusive systems, and it must know the longest of their hooks."""
        ordinary = system("ip")
        one = system("lock", exclusive=True, hook_timeout=1.0)
        two = system("leader", exclusive=True, hook_timeout=2.0)
        assert_that(longest_hook(config(ordinary)), equal_to(None))
        assert_that(longest_hook(config(ordinary, one, two)), equal_to(2.0))
        elsewhere = config(ordinary, one, servers={"me": ["ip"], "flip1": ["ip", "lock"]})
        assert_that(longest_hook(elsewhere), equal_to(None))
