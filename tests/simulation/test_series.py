"""Tests for `flip.simulation.report.series`."""

from __future__ import annotations

from hamcrest import assert_that, close_to, equal_to
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.simulation.report.series import Interval, Series, common, total, union, without

INTERVALS = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 20)).map(
        lambda pair: Interval(float(pair[0]), float(pair[0] + pair[1]))
    ),
    max_size=8,
)


class SeriesTests(SynchronousTestCase):
    """A value and when it changed."""

    def setUp(self) -> None:
        self.series = Series("a")
        self.series.set(2, "b")
        self.series.set(5, "a")

    def test_spans(self) -> None:
        """Every value has its time, up to the end that is asked for."""
        expected = [(Interval(0, 2), "a"), (Interval(2, 5), "b"), (Interval(5, 9), "a")]
        assert_that(list(self.series.spans(9)), equal_to(expected))
        assert_that(list(self.series.spans(4)), equal_to([*expected[:1], (Interval(2, 4), "b")]))

    def test_when(self) -> None:
        """A value may have several times."""
        assert_that(self.series.when("a", 9), equal_to([Interval(0, 2), Interval(5, 9)]))

    def test_at(self) -> None:
        """At the time of a change the new value counts."""
        found = [self.series.at(time) for time in (0, 1.9, 2, 4.9, 5, 100)]
        assert_that(found, equal_to(["a", "a", "b", "b", "a", "a"]))

    def test_same_value(self) -> None:
        """The same value again is no change."""
        self.series.set(7, "a")
        assert_that(len(self.series.changes), equal_to(3))

    def test_same_time(self) -> None:
        """Of several changes at one time the last counts, and none if it takes the others back."""
        self.series.set(7, "b")
        self.series.set(7, "c")
        assert_that(self.series.changes[-1], equal_to((7, "c")))
        self.series.set(7, "a")
        assert_that(self.series.changes[-1], equal_to((5, "a")))

    def test_at_once(self) -> None:
        """A change at the very beginning is one."""
        series = Series("a")
        series.set(0, "b")
        assert_that(len(series.changes), equal_to(2))
        assert_that(list(series.spans(1)), equal_to([(Interval(0, 1), "b")]))


class IntervalTests(SynchronousTestCase):
    """Sets of times."""

    def test_by_hand(self) -> None:
        """Union joins what overlaps or touches; common and without are exact."""
        some = [Interval(5, 7), Interval(0, 2), Interval(2, 3), Interval(6, 9)]
        assert_that(union(some), equal_to([Interval(0, 3), Interval(5, 9)]))
        assert_that(common(some, [Interval(1, 6)]), equal_to([Interval(1, 3), Interval(5, 6)]))
        assert_that(without(Interval(1, 10), some), equal_to([Interval(3, 5), Interval(9, 10)]))

    @given(INTERVALS)
    def test_parts_of_a_whole(self, parts: list[Interval]) -> None:
        """What is covered and what is not are all of a time, and nothing twice."""
        whole = Interval(10, 40)
        covered, left = common([whole], parts), without(whole, parts)
        assert_that(total(covered) + total(left), close_to(30, 1e-9))
        assert_that(common(covered, left), equal_to([]))

    @given(INTERVALS, INTERVALS)
    def test_common_is_symmetric(self, one: list[Interval], two: list[Interval]) -> None:
        """What two sets share does not depend on which comes first."""
        assert_that(common(one, two), equal_to(common(two, one)))

    @given(INTERVALS)
    def test_union_twice(self, some: list[Interval]) -> None:
        """A union is its own union."""
        assert_that(union(union(some)), equal_to(union(some)))
