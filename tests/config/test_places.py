"""Tests for `flip.config.places`."""

from __future__ import annotations

from hamcrest import assert_that, equal_to, less_than
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.config.places import meant, place, shown


class PlaceTests(SynchronousTestCase):
    """`place` writes paths."""

    def test_path(self) -> None:
        """Names with dots between them, and numbers in brackets."""
        assert_that(
            place(("servers", "flip-1", "systems", 0)), equal_to("servers.flip-1.systems[0]")
        )
        assert_that(place(()), equal_to(""))
        assert_that(place((0, "a")), equal_to("[0].a"))

    def test_quotes(self) -> None:
        """Names that could be taken for something else."""
        assert_that(place(("servers", "a.b", "")), equal_to('servers."a.b".""'))


class ShownTests(SynchronousTestCase):
    """`shown` writes values as JSON does."""

    def test_values(self) -> None:
        """Of lists and objects only what they are."""
        values = {"true": True, "null": None, "1.5": 1.5, '"é"': "é", '"a\\"b"': 'a"b'}
        for text, value in values.items():
            assert_that(shown(value), equal_to(text))
        assert_that((shown([1, 2]), shown({"a": 1})), equal_to(("a list", "an object")))

    @settings(deadline=None)
    @given(st.text(max_size=300) | st.integers() | st.integers(10**300, 10**320))
    def test_one_short_line(self, value: object) -> None:
        """Whatever it is, it fits a report and cannot disturb it."""
        assert_that(shown(value).isprintable(), equal_to(True))
        assert_that(len(shown(value)), less_than(800))


class MeantTests(SynchronousTestCase):
    """`meant` guesses."""

    def test_close(self) -> None:
        """The closest name, whatever the case of the letters."""
        assert_that(meant("PROT", ["ip", "port"]), equal_to('; did you mean "port"?'))

    def test_not_close(self) -> None:
        """All names, or the first of many."""
        assert_that(meant("zzz", ["ip", "port"]), equal_to("; there are ip, port"))
        assert_that(meant("zzz", []), equal_to("; there are none"))
        many = [f"node{number}" for number in range(100)]
        expected = f"; there are {', '.join(many[:20])} and 80 more"
        assert_that(meant("zzz", many), equal_to(expected))
