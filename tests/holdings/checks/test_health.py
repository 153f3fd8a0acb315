"""Tests for `flip.holdings.checks.health`: rise, fall, and what does not count."""

from __future__ import annotations

from hamcrest import assert_that, contains_string, empty, equal_to, has_length
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from flip.config import Check
from flip.errors import CheckFailed
from flip.holdings.checks.health import FAILS, PATIENCE, UNKNOWN, HealthChecks
from flip.holdings.fitness import Fitness
from flip.wire.standing import Standing
from tests.holdings.bed import config, system

INTERVAL, TIMEOUT, RISE, FALL = 1.0, 0.5, 2, 3


def check(rise: int = RISE, fall: int = FALL) -> Check:
    return Check("tcp", "127.0.0.1:80", 200, INTERVAL, TIMEOUT, rise, fall)


class Prober:
    """Probes that end when the test says so."""

    def __init__(self) -> None:
        self.pending: list[Deferred[None]] = []
        self.begun = 0
        self.cancelled = 0
        self.error: Exception | None = None

    def probe(self, system: str) -> Deferred[None]:
        assert not self.pending, "two checks at once"
        self.begun += 1
        if self.error is not None:
            raise self.error
        probe: Deferred[None] = Deferred(self._cancel)
        self.pending.append(probe)
        return probe

    def _cancel(self, probe: Deferred[None]) -> None:
        self.cancelled += 1
        self.pending.remove(probe)


class HealthCase(SynchronousTestCase):
    """The check of one system."""

    def setUp(self) -> None:
        self.build()

    def build(self, *, rise: int = RISE, fall: int = FALL) -> None:
        self.clock = Clock()
        self.events: list[tuple[str, str]] = []
        self.said: list[Standing] = []
        self.fitness = Fitness(self.clock, ("ip",), self.changed)
        self.prober = Prober()
        self.health = HealthChecks(
            config(system(check=check(rise, fall))),
            self.clock,
            self.prober,
            self.fitness,
            lambda kind, text: self.events.append((kind, text)),
        )
        self.addCleanup(self.health.stop)
        self.health.start()

    def changed(self) -> None:
        if not self.said or self.said[-1] is not self.fitness.standing("ip"):
            self.said.append(self.fitness.standing("ip"))

    def word(self) -> Standing:
        return self.fitness.standing("ip")

    def pass_time(self, seconds: float) -> None:
        """Time passes as it does where nobody stands still."""
        for _ in range(round(seconds / 0.05) + 1):
            self.clock.advance(0.05)

    def end(self, good: bool, reason: str = "refused") -> None:
        """The check that runs ends, and the next one begins."""
        probe = self.prober.pending.pop()
        if good:
            probe.callback(None)
        else:
            probe.errback(CheckFailed(reason))
        self.pass_time(INTERVAL)

    def results(self, word: str) -> list[Standing]:
        """The standings after each of some results: "+" is good, "-" is not."""
        found = []
        for result in word:
            self.end(result == "+")
            found.append(self.word())
        return found


class RiseAndFallTests(HealthCase):
    """How many results it takes."""

    def test_unknown(self) -> None:
        """Until its first check has ended a node takes nothing."""
        assert_that(self.word(), equal_to(Standing.UNKNOWN))
        assert_that(self.fitness.reasons("ip"), equal_to(UNKNOWN))

    def test_first_good(self) -> None:
        """The first result decides at once."""
        self.end(True)
        assert_that(self.said, equal_to([Standing.UNKNOWN, Standing.FIT]))

    def test_first_bad(self) -> None:
        """Also the other way, and nobody hears in between that it is fit."""
        self.end(False)
        assert_that(self.said, equal_to([Standing.UNKNOWN, Standing.UNFIT]))
        assert_that(self.fitness.reasons("ip"), equal_to(FAILS))

    def test_fall(self) -> None:
        """It takes `fall` failures in a row; one success in between begins anew."""
        fit, unfit = Standing.FIT, Standing.UNFIT
        assert_that(self.results("+--+--"), equal_to([fit] * 6))
        assert_that(self.results("-"), equal_to([unfit]))
        assert_that(self.events[-1][0], equal_to("unfit"))
        assert_that(self.events[-1][1], contains_string("3 times in a row: refused"))

    def test_rise(self) -> None:
        """And `rise` successes to be fit again."""
        fit, unfit = Standing.FIT, Standing.UNFIT
        assert_that(self.results("-+-++"), equal_to([unfit] * 4 + [fit]))
        assert_that(self.events[-1][0], equal_to("fit"))

    @settings(deadline=None)
    @given(st.integers(1, 4), st.integers(1, 4), st.text("+-", min_size=1, max_size=40))
    def test_law(self, rise: int, fall: int, results: str) -> None:
        """The standing is that of a counter of results in a row."""
        self.build(rise=rise, fall=fall)
        fit, expected = results[0] == "+", []
        for end in range(1, len(results) + 1):
            if fit and results[:end].endswith("-" * fall):
                fit = False
            elif not fit and results[1:end].endswith("+" * rise):
                fit = True
            expected.append(Standing.FIT if fit else Standing.UNFIT)
        assert_that(self.results(results), equal_to(expected))


class TimingTests(HealthCase):
    """When checks begin, and that they never overlap."""

    def test_interval(self) -> None:
        """From the beginning of one to the beginning of the next."""
        self.pass_time(0.4)
        self.prober.pending.pop().callback(None)
        self.pass_time(0.4)
        assert_that(self.prober.begun, equal_to(1))
        self.pass_time(0.1)
        assert_that(self.prober.begun, equal_to(2))

    def test_longer_than_the_interval(self) -> None:
        """The next one waits for it."""
        self.pass_time(2.5)
        assert_that(self.prober.begun, equal_to(1))
        self.prober.pending.pop().callback(None)
        self.pass_time(0.05)
        assert_that(self.prober.begun, equal_to(2))

    def test_stuck(self) -> None:
        """What cannot be ended is a failure again and again, and no other joins it."""
        self.end(True)
        self.pass_time(TIMEOUT + PATIENCE + (FALL - 1) * INTERVAL + 0.2)
        assert_that([self.word(), self.prober.begun], equal_to([Standing.UNFIT, 2]))
        assert_that(self.health.conditions["ip"].reason, contains_string("cannot be ended"))
        self.prober.pending.pop().callback(None)
        self.pass_time(0.1)
        assert_that(self.prober.begun, equal_to(3))

    def test_stop(self) -> None:
        """What runs is given up, and that says nothing about the service."""
        self.end(True)
        with capturedLogs() as logs:
            self.health.stop()
        assert_that([self.prober.cancelled, self.word()], equal_to([1, Standing.FIT]))
        assert_that(logs, empty())
        assert_that(self.clock.getDelayedCalls(), empty())


class StallTests(HealthCase):
    """While this node stands still its checks fail for no fault of the service."""

    def test_late_timeout(self) -> None:
        """A failure after a stall does not count, and the next check comes at once."""
        self.end(True)
        self.clock.advance(8)  # stopped, and continued: all that happened comes at once
        with capturedLogs() as logs:
            self.prober.pending.pop().errback(CheckFailed("no answer within 0.5 s"))
        assert_that(self.health.conditions["ip"].failures, equal_to(0))
        assert_that(logs, has_length(1))
        self.clock.advance(0)
        assert_that(self.prober.begun, equal_to(3))

    def test_all_the_time(self) -> None:
        """A node that always stands still is not excused for ever."""
        self.end(True)
        for _ in range(2 * FALL):
            assert_that(self.word(), equal_to(Standing.FIT))
            self.clock.advance(8)
            self.prober.pending.pop().errback(CheckFailed("refused"))
            self.clock.advance(0)
        assert_that(self.word(), equal_to(Standing.UNFIT))

    def test_once(self) -> None:
        """Not even where one failure is enough does a freeze count, however long it was."""
        self.build(fall=1)
        self.end(True)
        self.clock.advance(60)
        self.prober.pending.pop().errback(CheckFailed("no answer within 0.5 s"))
        assert_that(self.word(), equal_to(Standing.FIT))

    def test_success(self) -> None:
        """A success counts, however late it is read."""
        self.end(False)
        for _ in range(RISE):
            self.clock.advance(8)
            self.prober.pending.pop().callback(None)
            self.clock.advance(0)
        assert_that(self.word(), equal_to(Standing.FIT))

    def test_before(self) -> None:
        """A stall before a check began is no excuse."""
        self.end(True)
        self.clock.advance(8)
        self.prober.pending.pop().callback(None)
        self.pass_time(1)
        for _ in range(FALL):
            self.end(False)
        assert_that(self.word(), equal_to(Standing.UNFIT))


class TroubleTests(HealthCase):
    """What must not end the checks."""

    def test_bug(self) -> None:
        """What fails in another way has failed; the log has its traceback."""
        self.prober.pending.pop().errback(KeyError("a bug"))
        self.pass_time(1)
        assert_that([self.word(), self.prober.begun], equal_to([Standing.UNFIT, 2]))
        assert_that(self.flushLoggedErrors(KeyError), has_length(1))

    def test_raises(self) -> None:
        """Also one that raises at once."""
        self.end(True)
        self.prober.error = ZeroDivisionError()
        self.end(True)
        self.pass_time(4 * INTERVAL)
        assert_that(self.word(), equal_to(Standing.UNFIT))
        assert_that(len(self.flushLoggedErrors(ZeroDivisionError)) >= FALL, equal_to(True))
        self.prober.error = None
        self.pass_time(INTERVAL)
        assert_that(self.prober.pending, has_length(1))

    def test_observer_that_raises(self) -> None:
        """What follows from a result may fail; the checks go on."""
        self.fitness._changed = self.fail_once
        self.end(True)
        assert_that(self.prober.begun, equal_to(2))
        assert_that(self.flushLoggedErrors(RuntimeError), has_length(1))

    def fail_once(self) -> None:
        self.fitness._changed = self.changed
        raise RuntimeError("a bug")
