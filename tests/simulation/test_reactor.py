"""One process on virtual time: timers, rounds, stalls, slowness and drift."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

from hamcrest import assert_that, close_to, empty, equal_to
from hypothesis import given
from hypothesis import strategies as st

from flip.simulation.distributions import Uniform
from flip.simulation.reactor import WORK
from tests.simulation.hosts import HostsTestCase


class TimerTests(HostsTestCase):
    """callLater."""

    def setUp(self) -> None:
        super().setUp()
        self.called: list[tuple[float, object]] = []

    def call(self, what: object) -> None:
        self.called.append((self.a.seconds(), what))

    @given(
        st.lists(
            st.tuples(st.floats(0, 10), st.sampled_from(["keep", "cancel", "reset", "delay"])),
            max_size=30,
        )
    )
    def test_like_twisted(self, plans: list[tuple[float, str]]) -> None:
        """Timers that are moved and cancelled run when a real reactor runs them."""
        HostsTestCase.setUp(self)
        called: list[int] = []
        expected: list[tuple[float, int]] = []
        for number, (delay, change) in enumerate(plans):
            timer = self.a.callLater(delay, partial(called.append, number))
            due = delay
            if change == "cancel":
                timer.cancel()
                continue
            if change == "reset":
                timer.reset(due := 10 - delay)
            elif change == "delay":
                timer.delay(1)
                due = delay + 1
            expected.append((due, number))
        self.run_for(12)
        times = {number: due for due, number in expected}
        assert_that(sorted(called), equal_to(sorted(times)))
        order = [times[number] for number in called]
        assert_that(all(x <= y + 1e-9 for x, y in pairwise(order)))
        assert_that(self.a.getDelayedCalls(), empty())

    def test_time(self) -> None:
        """A timer runs at its time, neither sooner nor later."""
        self.a.callLater(1.5, self.call, "one")
        self.run_for(10)
        assert_that(self.called, equal_to([(1.5, "one")]))

    def test_next_round(self) -> None:
        """A call at zero delay comes after what has arrived meanwhile, as in a real reactor."""
        receiver = self.listen(self.a)
        self.network.latency = Uniform(1.0, 1.0)
        self.network.send_datagram(("b", 1), b"x", ("a", 2200))
        order: list[str] = []
        receiver.datagramReceived = lambda *_: order.append("read")  # type: ignore[method-assign]

        def first() -> None:
            order.append("first")
            self.a.callLater(0, order.append, "second")

        self.agenda.at(1.0, lambda: self.a.callLater(0, first) and None)
        self.run_for(2)
        assert_that(order, equal_to(["first", "read", "second"]))

    def test_work(self) -> None:
        """No two calls see the same time."""
        for number in range(3):
            self.a.callLater(1.0, self.call, number)
        self.run_for(2)
        times = [at for at, _ in self.called]
        assert_that(len(set(times)), equal_to(3))
        assert_that(times[2] - times[0], close_to(2 * WORK, WORK / 10))

    def test_dead(self) -> None:
        """A dead process does nothing, whatever was due."""
        self.a.callLater(1.0, self.call, "late")
        self.a.die()
        self.a.callLater(1.0, self.call, "later")
        self.run_for(5)
        assert_that(self.called, empty())


class StallTests(HostsTestCase):
    """Processes that stand still, or are slow."""

    def setUp(self) -> None:
        super().setUp()
        self.receiver = self.listen(self.b)
        self.ticks: list[float] = []

    def tick(self) -> None:
        self.ticks.append(self.b.seconds())

    def test_waiting(self) -> None:
        """What a slow process has to do before anything new: due timers and what has arrived."""
        self.b.work = 1.0
        for delay in (0.0, 0.0, 60.0):
            self.b.callLater(delay, self.tick)
        self.b.callLater(0.0, self.tick).cancel()
        for _ in range(3):
            self.b.deliver(self.tick)
        assert_that(self.b.waiting, equal_to(5))
        self.run_for(2.5)
        assert_that(self.b.waiting, equal_to(3))
        self.run_for(10)
        assert_that(self.b.waiting, equal_to(0))

    def test_frozen(self) -> None:
        """What was due or arrived while it stood still comes at once when it goes on."""
        self.b.callLater(1.0, self.tick)
        self.b.freeze()
        self.send()
        self.run_for(5)
        assert_that((self.ticks, self.receiver.heard), equal_to(([], [])))
        self.b.thaw(sockets_first=False)
        assert_that(self.ticks[0], close_to(5.0, 0.001))
        assert_that(self.receiver.heard[0][0] > self.ticks[0], equal_to(True))

    def test_sockets_first(self) -> None:
        """It may read its sockets before it looks at its timers."""
        self.b.callLater(1.0, self.tick)
        self.b.freeze()
        self.send()
        self.run_for(5)
        self.b.thaw(sockets_first=True)
        assert_that(self.receiver.heard[0][0] < self.ticks[0], equal_to(True))

    def test_behind_what_is_due(self) -> None:
        """What arrives at the very moment of a timer is read behind it, as always."""
        self.network.latency = Uniform(1.0, 1.0)
        self.b.callLater(1.0, self.tick)
        self.send(2)
        self.run_for(2)
        read = [at for at, _ in self.receiver.heard]
        assert_that((len(read), min(read) > self.ticks[0]), equal_to((2, True)))

    def test_slow(self) -> None:
        """Every call of a slow process takes its time, and the next one waits for it."""
        self.network.latency = Uniform(0.0, 0.0)
        self.b.work = 0.5
        self.b.callLater(1.0, self.tick)
        self.agenda.at(1.0, partial(self.send, 2))
        self.run_for(10)
        heard = [at for at, _ in self.receiver.heard]
        assert_that(self.ticks[0], close_to(1.5, 0.001))
        assert_that((heard[0], heard[1]), equal_to((2.0, 2.5)))

    def test_overloaded(self) -> None:
        """A process that gets more work than it can do falls behind, and catches up."""
        self.network.latency = Uniform(0.0, 0.0)
        self.b.work = 0.2
        for second in range(3):
            self.agenda.at(second, partial(self.send, 10))
        self.run_for(3)
        assert_that(len(self.receiver.heard), close_to(15, 1))
        self.run_for(4)
        assert_that(len(self.receiver.heard), equal_to(30))

    def test_cancelled_meanwhile(self) -> None:
        """What a slow process cancels before its turn comes never runs."""
        self.b.work = 0.5
        self.b.callLater(1.0, lambda: cancelled.cancel())
        self.b.callLater(1.0, lambda: moved.reset(5.0))
        cancelled = self.b.callLater(1.0, self.tick)
        moved = self.b.callLater(1.0, self.tick)
        self.run_for(10)
        assert_that(len(self.ticks), equal_to(1))
        assert_that(self.ticks[0], close_to(2.0 + 5.0 + 0.5, 0.001))

    def test_quick_again(self) -> None:
        """What waits in a process that is slow no more is worked off."""
        self.network.latency = Uniform(0.0, 0.0)
        self.b.work = 1.0
        self.send(10)
        self.run_for(2.5)
        self.b.work = WORK
        self.run_for(1)
        assert_that(len(self.receiver.heard), equal_to(10))


class DriftTests(HostsTestCase):
    """A process on a machine whose clock is wrong."""

    def test_too_fast(self) -> None:
        """On a fast clock a timer is over too soon."""
        self.clocks["a"].drift = 0.05
        over: list[float] = []
        self.a.callLater(10.5, lambda: over.append(self.agenda.now))
        self.run_for(20)
        assert_that(over[0], close_to(10.0, 1e-6))

    def test_changes(self) -> None:
        """A clock that begins to drift moves the timers that run already."""
        over: list[float] = []
        self.a.callLater(10.0, lambda: over.append(self.agenda.now))
        self.run_for(5)
        self.clocks["a"].drift = -0.05
        self.a.plan()
        self.run_for(20)
        assert_that(over[0], close_to(5 + 5 / 0.95, 1e-6))

    def test_never_early(self) -> None:
        """However clocks are rounded, no timer sees a time before its own."""
        self.clocks["a"].drift = 0.0123
        early: list[float] = []

        def again(due: float) -> None:
            if self.a.seconds() < due:
                early.append(due - self.a.seconds())
            self.a.callLater(0.1, again, self.a.seconds() + 0.1)

        again(0.0)
        self.run_for(100)
        assert_that(early, empty())
