"""Tests for `flip.holdings.slots`."""

from __future__ import annotations

from hamcrest import assert_that, empty, equal_to
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.slots import Slots, Urgency


class SlotsTests(SynchronousTestCase):
    """How much work runs at once, and which first."""

    def setUp(self) -> None:
        self.started: list[str] = []
        self.running: dict[str, Deferred[None]] = {}
        self.idle: set[str] = set()

    def slots(self, limit: int) -> Slots:
        """Slots whose work the test ends."""
        return Slots(limit, self.work)

    def work(self, key: str) -> Deferred[None] | None:
        self.started.append(key)
        if key in self.idle:
            return None
        assert key not in self.running
        self.running[key] = Deferred()
        return self.running[key]

    def end(self, key: str) -> None:
        self.running.pop(key).callback(None)

    def test_limit(self) -> None:
        """Only so much runs at once; the end of one starts the next."""
        slots = self.slots(2)
        for key in "abc":
            slots.add(key, Urgency.ALIVE)
        slots.fill()
        assert_that([self.started, slots.outstanding], equal_to([["a", "b"], 3]))
        self.end("b")
        assert_that(self.started, equal_to(["a", "b", "c"]))
        self.end("a")
        self.end("c")
        assert_that(slots.outstanding, equal_to(0))

    def test_lapsed(self) -> None:
        """What has lapsed waits for nobody; the others wait for it, too."""
        slots = self.slots(1)
        slots.add("serves", Urgency.ALIVE)
        slots.add("waits", Urgency.DOWN)
        slots.fill()
        for key in ("waits", "late"):
            slots.add(key, Urgency.LAPSED)
        slots.add("last", Urgency.ALIVE)
        slots.fill()
        assert_that(self.started, equal_to(["serves", "waits", "late"]))
        for key in ("waits", "late", "serves"):
            self.end(key)
        assert_that(self.started, equal_to(["serves", "waits", "late", "last"]))

    def test_nothing_starts_before_fill(self) -> None:
        """Adding only queues."""
        self.slots(1).add("a", Urgency.ALIVE)
        assert_that(self.started, empty())

    def test_order(self) -> None:
        """What serves goes first, tidying last; among equals the first come."""
        slots = self.slots(1)
        for key, urgency in (
            ("tidy", Urgency.CLEANING),
            ("down 1", Urgency.DOWN),
            ("alive 1", Urgency.ALIVE),
            ("down 2", Urgency.DOWN),
            ("alive 2", Urgency.ALIVE),
        ):
            slots.add(key, urgency)
        slots.fill()
        while self.running:
            self.end(next(iter(self.running)))
        expected = ["alive 1", "alive 2", "down 1", "down 2", "tidy"]
        assert_that(self.started, equal_to(expected))

    def test_more_urgent(self) -> None:
        """What is queued again more urgently runs once, at the better place."""
        slots = self.slots(1)
        slots.add("tidy", Urgency.CLEANING)
        slots.add("late", Urgency.CLEANING)
        slots.add("late", Urgency.ALIVE)
        slots.add("late", Urgency.DOWN)
        slots.fill()
        while self.running:
            self.end(next(iter(self.running)))
        assert_that(self.started, equal_to(["late", "tidy"]))

    def test_nothing_to_do(self) -> None:
        """Work that is no longer needed takes no slot."""
        slots = self.slots(1)
        self.idle.add("a")
        slots.add("a", Urgency.ALIVE)
        slots.add("b", Urgency.DOWN)
        slots.fill()
        assert_that([self.started, slots.outstanding], equal_to([["a", "b"], 1]))

    def test_work_that_ends_at_once(self) -> None:
        """Ten thousand hooks that cannot even be started exhaust no stack."""
        started = []

        def work(key: str) -> Deferred[None]:
            started.append(key)
            return succeed(None)

        slots = Slots(4, work)
        for number in range(10_000):
            slots.add(str(number), Urgency.ALIVE)
        slots.fill()
        assert_that([len(started), slots.outstanding], equal_to([10_000, 0]))

    def test_clear(self) -> None:
        """After `clear` what runs ends and nothing else starts."""
        slots = self.slots(1)
        slots.add("a", Urgency.ALIVE)
        slots.add("b", Urgency.ALIVE)
        slots.fill()
        slots.clear()
        self.end("a")
        assert_that([self.started, slots.outstanding], equal_to([["a"], 0]))

    @settings(deadline=None)
    @given(
        limit=st.integers(1, 4),
        steps=st.lists(
            st.tuples(st.sampled_from("abcdef"), st.sampled_from(Urgency), st.booleans())
        ),
    )
    def test_law(self, limit: int, steps: list[tuple[str, Urgency, bool]]) -> None:
        """Whatever is added and ended when: never over the limit, and all that was added runs.

        What has lapsed is no part of the limit, and runs at once.
        """
        self.setUp()
        waiting: set[str] = set()
        lapsed: set[str] = set()

        def work(key: str) -> Deferred[None] | None:
            waiting.discard(key)
            return self.work(key)

        slots = Slots(limit, work)
        for key, urgency, end in steps:
            if key not in self.running:
                waiting.add(key)
                slots.add(key, urgency)
                (lapsed.add if urgency is Urgency.LAPSED else lapsed.discard)(key)
            slots.fill()
            assert not lapsed & waiting
            assert len(self.running.keys() - lapsed) <= limit
            if end and self.running:
                self.end(next(iter(self.running)))
            assert_that(slots.outstanding, equal_to(len(self.running) + len(waiting)))
        while self.running:
            self.end(next(iter(self.running)))
        assert_that(waiting, empty())
