"""Tests for `flip.cli.page`."""

from __future__ import annotations

import io
import os

from hamcrest import assert_that, equal_to, less_than
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.cli.page import Cell, Page, lasted, listed, listing


class Terminal(io.StringIO):
    """A file that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


class PageTests(SynchronousTestCase):
    """What is printed, 40 columns wide."""

    def setUp(self) -> None:
        self.patch(os, "environ", {**os.environ, "COLUMNS": "40", "TERM": "xterm"})
        self.file = io.StringIO()
        self.page = Page(self.file)

    def lines(self) -> list[str]:
        return self.file.getvalue().splitlines()

    def test_table(self) -> None:
        """Columns are aligned, and nothing follows the last word of a line."""
        self.page.table([["", "one"], ["first", Cell("1", "red")], ["second", ""]])
        assert_that(self.lines(), equal_to(["        one", "first   1", "second"]))

    def test_cut(self) -> None:
        """The widest columns give way: lists keep their number, other text is marked as cut."""
        long = "a text that is longer than the column"
        self.page.table([["", "text", "list"], ["id", long, listing(["some"] * 30)]])
        expected = ["id  a text that is...  30: some, ..."]
        assert_that(self.lines()[1:], equal_to(expected))

    def test_too_many_columns(self) -> None:
        """Columns are not cut to nothing, even if the lines get too long."""
        self.page.table([["a long word"] * 8])
        assert_that(self.lines(), equal_to(["  ".join(["a lon..."] * 8)]))

    @settings(deadline=None, derandomize=True, max_examples=50)
    @given(st.lists(st.lists(st.text(max_size=60), min_size=3, max_size=3), min_size=1))
    def test_fits(self, rows: list[list[str]]) -> None:
        """Whatever is in it, a table of few columns fits and every row is one line."""
        file = io.StringIO()
        Page(file).table(rows)
        assert_that(file.getvalue().count("\n"), equal_to(len(rows)))
        assert_that(max(map(len, file.getvalue().split("\n"))), less_than(41))

    def test_paragraph(self) -> None:
        """A long text goes on beside its lead."""
        self.page.paragraph(Cell("ALARM"), "one two three four five six seven eight nine")
        expected = ["ALARM one two three four five six seven", "      eight nine"]
        assert_that(self.lines(), equal_to(expected))

    def test_control_characters(self) -> None:
        """Text from elsewhere cannot move the cursor, change colours or break a line."""
        self.page.line("a\x1b[31mb\rc\nd\x9be\udcfff")
        assert_that(self.lines(), equal_to([r"a\x1b[31mb\rc\nd\x9be\udcfff"]))

    def test_poor_encoding(self) -> None:
        """A terminal that knows only ASCII is no reason to fail."""
        raw = io.BytesIO()
        poor = io.TextIOWrapper(raw, "ascii", write_through=True)
        Page(poor).line("né", Cell("→", "red"))
        assert_that(raw.getvalue(), equal_to(b"n\\xe9\\u2192\n"))

    def test_colours(self) -> None:
        """A good terminal gets colours, a dumb one the bare text."""
        for term, expected in {"xterm": "\x1b[31mx\x1b[0m [b]y\n", "dumb": "x [b]y\n"}.items():
            os.environ["TERM"] = term
            terminal = Terminal()
            Page(terminal).line(Cell("x", "red"), " [b]y")
            assert_that(terminal.getvalue(), equal_to(expected))


class ListedTests(SynchronousTestCase):
    """`listed` abbreviates."""

    def test_whole(self) -> None:
        """What fits is not abbreviated."""
        assert_that(listed(["a", "b"], 4), equal_to("a, b"))

    def test_first_few(self) -> None:
        """Else the number and as many as fit."""
        assert_that(listed(["abc", "def", "ghi"], 12), equal_to("3: abc, ..."))
        assert_that(listed(["abc", "def", "ghi"], 11), equal_to("3: abc, ..."))
        assert_that(listed(["abc", "def", "ghi"], 10), equal_to("3"))

    @settings(deadline=None, derandomize=True, max_examples=100)
    @given(st.lists(st.text("ab", min_size=1), max_size=30), st.integers(8, 60))
    def test_never_too_long(self, data: list[str], width: int) -> None:
        """It fits."""
        assert_that(len(listed(data, width)), less_than(width + 1))


class LastedTests(SynchronousTestCase):
    """`lasted` names time spans."""

    def test_units(self) -> None:
        """Each span in the unit that says enough."""
        spans = {0.04: "0.0 s", 9.94: "9.9 s", 75: "75 s", 600: "10 min", 7200: "2 h"}
        spans |= {6 * 3600: "6 h", 30 * 86400: "30 d"}
        for seconds, text in spans.items():
            assert_that(lasted(seconds), equal_to(text))
