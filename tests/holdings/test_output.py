"""A hook's output as lines: complete where it is sane, bounded where it is not."""

from __future__ import annotations

import itertools

from hamcrest import assert_that, contains_exactly, equal_to, has_length
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.output import LINE_BYTES, LINES, Lines


def lines_of(*pieces: bytes) -> tuple[list[str], Lines]:
    said: list[str] = []
    lines = Lines(said.append)
    for piece in pieces:
        lines.received(piece)
    lines.ended()
    return said, lines


class LinesTests(SynchronousTestCase):
    """`Lines` cuts what arrives in pieces into lines."""

    def test_lines(self) -> None:
        """Lines are said in order, blank ones are not, the last one needs no newline."""
        said, lines = lines_of(b"one\n\n  \ntwo", b"\r\nthr", b"ee")
        assert_that(said, contains_exactly("one", "two", "three"))
        assert_that((lines.last, lines.dropped), equal_to(("three", 0)))

    def test_nothing(self) -> None:
        """No output is no line."""
        said, lines = lines_of()
        assert_that((said, lines.last), equal_to(([], "")))

    def test_binary(self) -> None:
        """What is no text, and what would steer a terminal, is escaped."""
        said, _ = lines_of(b"\xff\x00\x1b[31mred\x07\tend\n", "grün\n".encode())
        assert_that(said, contains_exactly(r"\xff\x00\x1b[31mred\x07\tend", "grün"))

    def test_separators_of_unicode(self) -> None:
        """A line of output stays one line of the log, whatever the log's reader splits at."""
        said, _ = lines_of("a\u2028b\x85c\n".encode())
        assert_that(said, contains_exactly(r"a\u2028b\x85c"))

    def test_long_line(self) -> None:
        """A long line is cut and what is lost is counted."""
        said, lines = lines_of(*[b"x" * 1000] * 5, b"\nnext\n")
        assert_that(said, contains_exactly("x" * LINE_BYTES, "next"))
        assert_that(lines.dropped, equal_to(5000 - LINE_BYTES))

    def test_many_lines(self) -> None:
        """Only so many lines are said; the last one is known all the same."""
        said, lines = lines_of(*[b"line\n" * 20000] * 2, b"the reason", b"\n")
        assert_that(said, has_length(LINES))
        assert_that(lines.last, equal_to("the reason"))
        assert_that(lines.dropped, equal_to(5 * (40000 - LINES) + len(b"the reason\n")))

    def test_last_line_of_a_flood_is_cut(self) -> None:
        """A flood without newlines takes no memory."""
        _, lines = lines_of(b"y\n" * LINES, *[b"z" * 65536] * 10)
        assert_that(lines.last, equal_to("z" * LINE_BYTES))

    @given(st.binary(max_size=300), st.lists(st.integers(0, 300)))
    @settings(deadline=None)
    def test_where_it_is_cut_does_not_matter(self, data: bytes, cuts: list[int]) -> None:
        """However a pipe cuts the output, the lines are the same."""
        edges = [0, *sorted(cuts), len(data)]
        pieces = [data[a:b] for a, b in itertools.pairwise(edges)]
        whole, cut = lines_of(data), lines_of(*pieces)
        assert_that((cut[0], cut[1].last, cut[1].dropped), equal_to((whole[0], whole[1].last, 0)))
