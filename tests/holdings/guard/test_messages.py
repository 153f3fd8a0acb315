"""What daemon and guard say, and that the other understands it."""

from __future__ import annotations

from hamcrest import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.call import Hook, HookCall
from flip.holdings.guard.interface import LetGo, Stage
from flip.holdings.guard.messages import (
    Arm,
    Begin,
    Disarm,
    Ended,
    Kill,
    Note,
    Order,
    Ping,
    Pong,
    Report,
    Run,
    Said,
    Started,
    decode_order,
    decode_report,
    encode,
)

# Any text: a data point may hold newlines, a path bytes that are no UTF-8.
TEXT = st.text(st.characters(exclude_categories=()), max_size=8)
NUMBER = st.integers(0, 2**40)
SECONDS = st.floats(0, 1e9)
POINT = st.tuples(TEXT, TEXT)
HOOK = st.builds(Hook, TEXT, st.lists(TEXT, max_size=3).map(tuple))
MEMBERS = st.lists(TEXT, max_size=3).map(tuple)
CALL = st.builds(HookCall, HOOK, TEXT, TEXT, TEXT, TEXT, TEXT, SECONDS, MEMBERS, st.none() | HOOK)


def several(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(strategy, max_size=3).map(tuple)


ORDERS = st.one_of(
    st.builds(Begin, SECONDS),
    st.builds(Arm, several(st.tuples(POINT, SECONDS)), several(CALL)),
    st.builds(Disarm, several(POINT)),
    st.builds(Run, NUMBER, CALL),
    st.builds(Kill, POINT),
    st.builds(Ping, NUMBER),
)
REPORTS = st.one_of(
    st.builds(Started, NUMBER, NUMBER),
    st.builds(Said, TEXT, TEXT, TEXT, st.booleans(), TEXT),
    st.builds(Ended, NUMBER, st.none() | TEXT, SECONDS),
    st.builds(LetGo, POINT, st.sampled_from(Stage), TEXT, SECONDS),
    st.builds(Pong, NUMBER),
    st.builds(Note, TEXT),
)


class MessageTests(SynchronousTestCase):
    """Orders and reports."""

    @given(ORDERS)
    def test_orders(self, order: Order) -> None:
        """Every order is one line, and comes out as it went in."""
        line = encode(order)
        assert_that(decode_order(line), equal_to(order))
        assert_that(type(decode_order(line)), equal_to(type(order)))
        self.assertNotIn(b"\n", line)

    @given(REPORTS)
    def test_reports(self, report: Report) -> None:
        """Every report is one line, and comes out as it went in."""
        line = encode(report)
        assert_that(decode_report(line), equal_to(report))
        assert_that(type(decode_report(line)), equal_to(type(report)))
        self.assertNotIn(b"\n", line)

    def test_nonsense(self) -> None:
        """Is an error, for it is a bug: the other side is the same program."""
        with self.assertRaises(ValueError):
            decode_order(b'["Pong", 1]')
        with self.assertRaises(ValueError):
            decode_report(b'["Ping", 1]')
