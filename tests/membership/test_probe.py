"""`flip.membership.probe`: six tries, helpers from a third on, a verdict at the end."""

from __future__ import annotations

from hamcrest import assert_that, close_to, empty, equal_to, has_length

from flip.membership.health import LATE
from flip.membership.probe import Probe, Verdict
from tests.matchers import contains_exactly
from tests.membership.samples import ClockTestCase

TIMEOUT = 1.5


class ProbeTests(ClockTestCase):
    """One probe of 1.5 s."""

    def setUp(self) -> None:
        super().setUp()
        self.pings: list[float] = []
        self.requests: list[float] = []
        self.doubts: list[float] = []
        self.verdicts: list[Verdict] = []
        self.probe = self.make()
        self.addCleanup(lambda: self.probe.stop())

    def make(self) -> Probe:
        return Probe(
            self.clock,
            "b",
            5,
            TIMEOUT,
            ping=lambda probe: self.pings.append(self.elapsed),
            ask_others=lambda probe: self.requests.append(self.elapsed),
            doubt=lambda probe: self.doubts.append(self.elapsed),
        )

    @property
    def elapsed(self) -> float:
        return round(self.clock.seconds() - self.probe.began, 2)

    def start(self) -> None:
        self.probe.start().addCallback(self.verdicts.append)

    def test_silence(self) -> None:
        """Six pings, helpers with the last four, one doubt at a third, the verdict at the end."""
        self.start()
        self.run_for(TIMEOUT - 0.02)
        assert_that(self.pings, contains_exactly(*(close_to(n / 4, 0.02) for n in range(6))))
        assert_that(self.requests, contains_exactly(*(close_to(n / 4, 0.02) for n in range(2, 6))))
        assert_that(self.doubts, contains_exactly(close_to(TIMEOUT / 3, 0.02)))
        assert_that(self.verdicts, empty())
        self.run_for(0.04)
        assert_that(self.verdicts, equal_to([Verdict.MISSED]))
        assert_that(self.clock.getDelayedCalls(), empty())

    def test_answer(self) -> None:
        """An answer ends it at once, and silences its timers."""
        self.start()
        self.run_for(0.3)
        self.probe.answered()
        assert_that(self.verdicts, equal_to([Verdict.ANSWERED]))
        assert_that(self.clock.getDelayedCalls(), empty())
        assert_that(self.requests + self.doubts, empty())

    def test_answer_within_the_first_ping(self) -> None:
        """Where the network is faster than the call that sends."""
        self.probe = Probe(
            self.clock,
            "b",
            5,
            TIMEOUT,
            ping=lambda probe: probe.answered(),
            ask_others=lambda probe: None,
            doubt=lambda probe: None,
        )
        self.start()
        assert_that(self.verdicts, equal_to([Verdict.ANSWERED]))
        assert_that(self.clock.getDelayedCalls(), empty())

    def test_late_answer(self) -> None:
        """An answer after the verdict changes nothing."""
        self.start()
        self.run_for(TIMEOUT + 0.1)
        self.probe.answered()
        assert_that(self.verdicts, equal_to([Verdict.MISSED]))

    def test_stop(self) -> None:
        """Giving up says nothing about the target."""
        self.start()
        self.probe.stop()
        assert_that(self.verdicts, equal_to([Verdict.UNJUDGED]))

    def test_nudge(self) -> None:
        """A sign of life is answered with a ping at once, but once between two tries only."""
        self.start()
        self.run_for(0.1)
        self.probe.nudge()
        self.probe.nudge()
        assert_that(self.pings, equal_to([0.0, 0.1]))
        self.run_for(0.2)
        self.probe.nudge()
        assert_that(self.pings, has_length(4))

    def test_late_deadline(self) -> None:
        """After a stall past the deadline there is no verdict, and the socket is read before."""
        self.start()
        self.run_for(1.4)
        self.clock.rightNow += 10
        self.clock.advance(0)
        assert_that(self.verdicts, equal_to([Verdict.UNJUDGED]))

    def test_answer_waits_in_the_socket(self) -> None:
        """What is read between the deadline that came late and its judgement counts."""
        self.start()
        self.run_for(1.4)
        # What the reactor does after a stall: the timers that are due, then the sockets.
        self.clock.callLater(0.1 + LATE, lambda: self.clock.callLater(0, self.probe.answered))
        self.clock.advance(5)
        assert_that(self.verdicts, equal_to([Verdict.UNJUDGED]))

    def test_read_before_judged(self) -> None:
        """Even a deadline in time is judged only after the socket was read."""
        self.clock.callLater(TIMEOUT, lambda: self.clock.callLater(0, self.probe.answered))
        self.start()
        self.run_for(TIMEOUT + 0.02)
        assert_that(self.verdicts, equal_to([Verdict.ANSWERED]))

    def test_stall_within(self) -> None:
        """A stall that ate up the tries leaves no verdict: one ping is no evidence."""
        self.start()
        self.run_for(0.1)
        self.clock.advance(1.35)
        self.run_for(0.1)
        assert_that(self.verdicts, equal_to([Verdict.UNJUDGED]))

    def test_one_late_try(self) -> None:
        """One try lost to a late timer is no excuse."""
        self.start()
        self.run_for(0.2)
        self.clock.advance(0.35)
        self.run_for(1.0)
        assert_that((len(self.pings), self.verdicts), equal_to((5, [Verdict.MISSED])))

    def test_error(self) -> None:
        """A ping that fails with a bug of ours is a failure in the log, and accuses nobody."""

        def ping(probe: Probe) -> None:
            raise ZeroDivisionError

        self.probe = Probe(
            self.clock,
            "b",
            5,
            TIMEOUT,
            ping=ping,
            ask_others=lambda probe: None,
            doubt=lambda probe: None,
        )
        self.start()
        self.run_for(TIMEOUT + 0.1)
        assert_that(self.verdicts, equal_to([Verdict.UNJUDGED]))
        assert_that(self.errors(ZeroDivisionError), has_length(1))
