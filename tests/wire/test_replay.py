"""Tests for `flip.wire.replay`."""

from __future__ import annotations

from hamcrest import assert_that, equal_to
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.wire.replay import WIDTH, ReplayWindow

BIGGEST = 2**64 - 1  # what eight bytes of a header can say

near = st.integers(0, 3 * WIDTH)
counters = st.lists(near | st.integers(BIGGEST - 2 * WIDTH, BIGGEST), max_size=60)
# Steps around the highest counter find the edges of the window.
steps = st.lists(
    st.sampled_from([-WIDTH - 1, -WIDTH, -WIDTH + 1, -1, 0, 1, 2, WIDTH - 1, WIDTH, WIDTH + 1]),
    max_size=60,
)


class NaiveWindow:
    """The same promise, kept by remembering everything."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def admit(self, counter: int) -> bool:
        highest = max(self.seen, default=-1)
        if counter in self.seen or counter <= highest - WIDTH:
            return False
        self.seen.add(counter)
        return True


class ReplayWindowTests(SynchronousTestCase):
    """Each counter passes once."""

    @settings(deadline=None)
    @given(counters)
    def test_as_a_set_would(self, counters: list[int]) -> None:
        """The window says what a set of all counters would say."""
        window, naive = ReplayWindow(), NaiveWindow()
        for counter in counters:
            assert_that(window.admit(counter), equal_to(naive.admit(counter)), str(counter))

    @settings(deadline=None)
    @given(steps)
    def test_edges(self, steps: list[int]) -> None:
        """So it does at its own edges."""
        window, naive = ReplayWindow(), NaiveWindow()
        for step in steps:
            counter = max(0, max(naive.seen, default=5 * WIDTH) + step)
            assert_that(window.admit(counter), equal_to(naive.admit(counter)), str(counter))

    def test_late_ones(self) -> None:
        """As many as `WIDTH` counters may come in any order; older ones are refused."""
        window = ReplayWindow()
        late_first = [WIDTH, *range(1, WIDTH)]
        assert_that([window.admit(counter) for counter in late_first], equal_to([True] * WIDTH))
        assert_that(window.admit(0), equal_to(False))

    def test_bounded(self) -> None:
        """What the window remembers never takes more than one bit per counter of its width."""
        window = ReplayWindow()
        for counter in (0, 1, WIDTH, BIGGEST - 1, BIGGEST):
            window.admit(counter)
            assert_that(window._seen.bit_length() <= WIDTH)
