"""Virtual time: the agenda's order, and clocks that drift."""

from __future__ import annotations

from functools import partial

from hamcrest import assert_that, calling, close_to, equal_to
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.simulation.clock import Agenda, Clock
from tests.matchers import raises

drifts = st.floats(-0.05, 0.05)
spans = st.floats(0, 1000)


class AgendaTests(SynchronousTestCase):
    """What happens when."""

    def setUp(self) -> None:
        self.agenda = Agenda()
        self.happened: list[object] = []

    def note(self, what: object) -> None:
        self.happened.append((self.agenda.now, what))

    @given(delays=st.lists(st.floats(0, 100)))
    def test_order(self, delays: list[float]) -> None:
        """Everything happens at its time, and what is due at one time in the order of entry."""
        agenda = Agenda()
        happened: list[tuple[float, int]] = []
        for number, delay in enumerate(delays):
            agenda.after(delay, partial(happened.append, (delay, number)))
        while agenda.step(100):
            pass
        expected = sorted((delay, number) for number, delay in enumerate(delays))
        assert_that(happened, equal_to(expected))

    def test_end(self) -> None:
        """What is due after the end does not happen, and time does not go on for it."""
        self.agenda.after(2.0, lambda: self.note("late"))
        assert_that(self.agenda.step(1.9), equal_to(False))
        assert_that((self.agenda.now, self.happened), equal_to((0.0, [])))

    def test_past(self) -> None:
        """What should have happened happens now: time never goes back."""
        self.agenda.after(5.0, lambda: self.note("first"))
        self.agenda.step(10)
        self.agenda.at(1.0, lambda: self.note("overdue"))
        self.agenda.step(10)
        assert_that(self.happened, equal_to([(5.0, "first"), (5.0, "overdue")]))

    def test_nothing_to_do(self) -> None:
        """A call that finds nothing to do is no step."""
        self.agenda.after(1.0, lambda: False)
        self.agenda.after(2.0, lambda: self.note("something"))
        assert_that(self.agenda.step(10), equal_to(True))
        assert_that(self.happened, equal_to([(2.0, "something")]))


class ClockTests(SynchronousTestCase):
    """A machine's clock."""

    def test_true(self) -> None:
        """Without drift it shows the world's time exactly."""
        agenda = Agenda()
        clock = Clock(agenda)
        agenda.now = 0.1 + 0.2
        assert_that(clock.seconds(), equal_to(agenda.now))
        assert_that(clock.when(7.7), equal_to(7.7))

    @given(changes=st.lists(st.tuples(drifts, spans), min_size=1), ahead=spans)
    def test_drift(self, changes: list[tuple[float, float]], ahead: float) -> None:
        """It gains what its drifts make of the time they last, and knows when it shows what."""
        agenda = Agenda()
        clock = Clock(agenda)
        shown = 0.0
        for drift, seconds in changes:
            clock.drift = drift
            assert_that(clock.seconds(), close_to(shown, 1e-6))
            agenda.now += seconds
            shown += seconds * (1 + drift)
        assert_that(clock.seconds(), close_to(shown, 1e-6))
        target = clock.seconds() + ahead
        agenda.now = clock.when(target)
        assert_that(clock.seconds(), close_to(target, 1e-6))

    def test_backwards(self) -> None:
        """A monotonic clock goes forward."""
        clock = Clock(Agenda())
        assert_that(calling(setattr).with_args(clock, "drift", -1.0), raises(ValueError, "-1.0"))

    @given(spans, drifts, st.floats(0, 1), drifts)
    def test_alarm(self, seconds: float, drift: float, part: float, later: float) -> None:
        """What waits for the clock happens when the clock says so, however it drifts meanwhile."""
        agenda = Agenda()
        clock = Clock(agenda)
        clock.drift = drift
        rung: list[float] = []
        clock.after(seconds, lambda: rung.append(clock.seconds()))
        agenda.after(clock.when(seconds) * part, lambda: setattr(clock, "drift", later))
        while agenda.step(2000):
            pass
        (at,) = rung
        assert_that(at, close_to(seconds, 1e-6))
