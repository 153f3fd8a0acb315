"""Tests for `flip.demo.records`."""

from __future__ import annotations

from hamcrest import assert_that, calling, contains_string, empty, equal_to, raises
from twisted.trial.unittest import SynchronousTestCase

from flip.demo.records import Handoff, HookRun, handoffs, overlaps, parse

MS = 1_000_000  # nanoseconds


def run(node: str, event: str, began: int, ended: int, datum: str = "a") -> HookRun:
    """A hook's run; times in milliseconds."""
    return HookRun(node, event, datum, began * MS, ended * MS)


class ParseTests(SynchronousTestCase):
    """`parse`."""

    def test_lines(self) -> None:
        """A line is one run."""
        record = "down a 1 2\nalive b 3 4\n"
        expected = [HookRun("n", "down", "a", 1, 2), HookRun("n", "alive", "b", 3, 4)]
        assert_that(parse("n", record), equal_to(expected))

    def test_nonsense(self) -> None:
        """What is no run is not passed over in silence."""
        for record in ("alive a 1\n", "alive a one two\n", "alive a 1 2 3\n", "\n"):
            assert_that(calling(parse).with_args("n", record), raises(ValueError))


class OverlapsTests(SynchronousTestCase):
    """`overlaps`."""

    def test_break_before_make(self) -> None:
        """A handoff in order is no overlap."""
        runs = [run("x", "alive", 0, 1), run("x", "down", 10, 11), run("y", "alive", 11, 12)]
        assert_that(overlaps(runs, {}), empty())

    def test_make_before_break(self) -> None:
        """An `alive` that begins before the holder's `down` has ended is one, however short."""
        runs = [run("x", "alive", 0, 1), run("x", "down", 10, 12), run("y", "alive", 11, 13)]
        found = overlaps(runs, {})
        assert_that(len(found), equal_to(1))
        assert_that(found[0], contains_string("y took a, then held by x"))

    def test_never_released(self) -> None:
        """Nor may somebody take what was never let go of."""
        assert_that(
            len(overlaps([run("x", "alive", 0, 1), run("y", "alive", 5, 6)], {})), equal_to(1)
        )

    def test_order_of_files(self) -> None:
        """The order in which the runs are given means nothing."""
        runs = [run("y", "alive", 11, 13), run("x", "down", 10, 12), run("x", "alive", 0, 1)]
        assert_that(len(overlaps(runs, {})), equal_to(1))

    def test_other_data(self) -> None:
        """Each data point stands alone."""
        runs = [run("x", "alive", 0, 1, "a"), run("y", "alive", 0, 1, "b")]
        assert_that(overlaps(runs, {}), empty())

    def test_again(self) -> None:
        """A holder may run `alive` again."""
        assert_that(overlaps([run("x", "alive", 0, 1), run("x", "alive", 5, 6)], {}), empty())

    def test_death(self) -> None:
        """Whoever was killed holds nothing from then on, but did until then."""
        runs = [run("x", "alive", 0, 1), run("y", "alive", 10, 11)]
        assert_that(overlaps(runs, {"x": [9 * MS]}), empty())
        assert_that(len(overlaps(runs, {"x": [11 * MS]})), equal_to(1))

    def test_cleaning(self) -> None:
        """A `down` of somebody else releases nothing for the holder."""
        runs = [run("x", "alive", 0, 1), run("z", "down", 2, 3), run("y", "alive", 5, 6)]
        assert_that(len(overlaps(runs, {})), equal_to(1))


class HandoffsTests(SynchronousTestCase):
    """`handoffs`."""

    def test_gap(self) -> None:
        """The gap is from the end of `down` to the end of `alive`."""
        runs = [run("x", "alive", 0, 1), run("x", "down", 10, 11), run("y", "alive", 13, 15)]
        assert_that(handoffs(runs, 0), equal_to([Handoff("a", "x", "y", 0.004)]))

    def test_cleaning_between(self) -> None:
        """The new owner's own cleaning up does not hide the handoff."""
        runs = [
            run("x", "alive", 0, 1),
            run("x", "down", 10, 11),
            run("y", "down", 11, 12),
            run("y", "alive", 13, 15),
        ]
        assert_that(handoffs(runs, 0), equal_to([Handoff("a", "x", "y", 0.004)]))

    def test_no_handoff(self) -> None:
        """What comes back to its holder, or from the dead, was not handed over."""
        runs = [run("x", "alive", 0, 1), run("x", "down", 2, 3), run("x", "alive", 4, 5)]
        assert_that(handoffs(runs, 0), empty())
        assert_that(handoffs([run("x", "alive", 0, 1), run("y", "alive", 4, 5)], 0), empty())

    def test_since(self) -> None:
        """Older ones are left out."""
        runs = [run("x", "alive", 0, 1), run("x", "down", 10, 11), run("y", "alive", 13, 15)]
        assert_that(handoffs(runs, 15 * MS), empty())
