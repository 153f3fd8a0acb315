"""Tests for `flip.config.document`."""

from __future__ import annotations

import builtins
import json
import os
from pathlib import Path

from hamcrest import assert_that, contains_string, equal_to, starts_with
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.config.document import MAX_SIZE, Unreadable, parse, read
from tests.matchers import is_not


def problem_in(content: bytes | str) -> str:
    """Why there is no JSON value in these bytes."""
    try:
        parse(content if isinstance(content, bytes) else content.encode())
    except Unreadable as error:
        return str(error.problem)
    return ""


def faults_in(text: str) -> list[str]:
    """What is wrong inside of the JSON value."""
    return [str(fault.problem) for fault in parse(text.encode())[1]]


class ReadTests(SynchronousTestCase):
    """`read` says why a file cannot be read, and what to do."""

    def problem(self, path: str) -> str:
        with self.assertRaises(Unreadable) as caught:
            read(path)
        return str(caught.exception.problem)

    def test_missing(self) -> None:
        """There is no such file."""
        expected = "no such file; name the configuration with -c FILE"
        assert_that(self.problem(self.mktemp()), equal_to(expected))

    def test_directory(self) -> None:
        """A directory is not a file."""
        path = self.mktemp()
        os.mkdir(path)
        assert_that(self.problem(path), equal_to("a directory; name the file in it"))

    def test_not_a_directory(self) -> None:
        """Other reasons are told in the system's words."""
        path = Path(self.mktemp())
        path.write_text("{}")
        expected = "cannot be read: Not a directory (ENOTDIR)"
        assert_that(self.problem(str(path / "flip.json")), equal_to(expected))

    def test_null_in_name(self) -> None:
        """A name that no file can have is no reason for a traceback."""
        expected = "cannot be read: embedded null byte"
        assert_that(self.problem("flip\0json"), equal_to(expected))

    def test_not_permitted(self) -> None:
        """A file of somebody else: who tried, and what to change."""

        def refuse(path: str, mode: str) -> None:
            raise PermissionError(13, "Permission denied", path)

        self.patch(builtins, "open", refuse)  # root may read everything
        expected = f"user {os.geteuid()} may not read it; change its owner or mode, or the user"
        assert_that(self.problem("flip.json"), equal_to(expected))

    def test_endless(self) -> None:
        """Of what never ends, no more is read than a configuration can have."""
        expected = f"larger than {MAX_SIZE // 1024 // 1024} MiB: is it the right file?"
        path = self.mktemp()
        with open(path, "wb") as file:
            file.truncate(MAX_SIZE + 2)
        assert_that(self.problem(path), equal_to(expected))

    def test_mode(self) -> None:
        """A file comes with its permissions, of which one may be too many."""
        path = Path(self.mktemp())
        path.write_text("[1]")
        path.chmod(0o640)
        document = read(str(path))
        assert_that((document.value, document.mode & 0o777), equal_to(([1], 0o640)))


class EncodingTests(SynchronousTestCase):
    """Only UTF-8 is JSON."""

    def test_empty(self) -> None:
        """Nothing is no JSON."""
        for content in ("", "  \n\t\n"):
            assert_that(problem_in(content), equal_to("empty; expected a JSON object"))

    def test_mark(self) -> None:
        """Files from Windows say what they are."""
        expected = "begins with a byte order mark; save it as UTF-8 without one (without BOM)"
        assert_that(problem_in("{}".encode("utf-8-sig")), equal_to(expected))
        for encoding in ("utf-16", "utf-32"):
            expected = f"{encoding.upper()}; save it as UTF-8"
            assert_that(problem_in("{}".encode(encoding)), equal_to(expected))

    def test_no_mark(self) -> None:
        """Also without saying it."""
        for encoding in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
            expected = "UTF-16 or UTF-32; save it as UTF-8"
            assert_that(problem_in("{}".encode(encoding)), equal_to(expected))

    def test_other_encoding(self) -> None:
        """The first byte that is not UTF-8 is named."""
        expected = "not UTF-8: line 2, byte 3 is 0xe9; save it as UTF-8"
        assert_that(problem_in('{\n "é": 1}'.encode("latin-1")), equal_to(expected))


class SyntaxTests(SynchronousTestCase):
    """Broken JSON: line, column, the line itself and what is often the reason."""

    def test_excerpt(self) -> None:
        """The line is shown, with a mark under the place."""
        expected = 'line 2, column 9: expecting \',\' delimiter\n     "b": 2 "c": 3\n            ^'
        assert_that(problem_in('{"a": 1,\n "b": 2 "c": 3\n}'), equal_to(expected))

    def test_hints(self) -> None:
        """What people write who think of another language gets the cure."""
        for text, hint in {
            '{"a": 1,}': "take",
            '{"a": [1, 2,]}': "take",
            "{'a': 1}": 'JSON uses double quotes: "..."',
            "{\n# comment\n}": "JSON has no comments",
            '{"a": 1, // comment\n}': "JSON has no comments",
            '{"a": True}': "write true",
            '{"a": None}': "write null",
            '{"a": [1, 2': "the file ends here; is a bracket or a quote not closed?",
            '{"a": "b\n}': "a text ends on the line on which it begins; is its quote not closed?",
        }.items():
            assert_that(problem_in(text).splitlines()[0], contains_string(f"({hint}"))

    def test_end_of_file(self) -> None:
        """The end of a file is where its last word ends."""
        expected = "line 1, column 9: "
        assert_that(problem_in('{"a": [1\n\n\n'), starts_with(expected))

    def test_long_line(self) -> None:
        """Of a file in one line, only the neighbourhood of the place is shown."""
        text = f'{{"a": "{"x" * 5000}", "b": 2 "c": 3}}'
        shown, mark = problem_in(text).splitlines()[1:]
        assert_that(len(shown) <= 104, equal_to(True))
        assert_that(shown[mark.index("^") :], starts_with('"c"'))

    def test_control_characters(self) -> None:
        """The line cannot move the cursor, nor the mark."""
        shown = problem_in('\t\x1b[2J"a"').splitlines()[1]
        assert_that(shown, equal_to('      [2J"a"'))

    def test_key(self) -> None:
        """The cluster's secret is not printed, wherever it stands."""
        for text in (
            '{"key": "sesame" "id": 1}',
            '{"key": "ses\\"ame" "id": 1}',
            '{"key": "sesame',
            '{"key" "sesame"}',
            '{"key": sesame}',
            '{"key": ["aaa", "sesame" "bbb"]}',
            '{"key": ["aaa",\n "sesame" "bbb"]}',
            '{"key": ["aaa",\n "sesame", ;',
        ):
            problem = problem_in(text)
            assert_that(problem, contains_string("^"))
            assert_that(problem, is_not(contains_string("sesame")))
            assert_that(problem, is_not(contains_string("ses")))

    def test_deep(self) -> None:
        """Deeper than anybody nests by hand is refused, not recursed into."""
        expected = "lists and objects are nested more than 64 deep"
        for depth in (70, 1000, 200_000):
            for opening, closing in (("[", "]"), ('{"a":', "}")):
                text = opening * depth + "1" + closing * depth
                assert_that(problem_in(text), contains_string(expected))
        assert_that(problem_in("[" * 60 + "]" * 60), equal_to(""))


class InnerTests(SynchronousTestCase):
    """What JSON's grammar allows and flip does not."""

    def test_repeated_name(self) -> None:
        """A name twice in an object: one of the values would be lost without a word."""
        text = '{"a": {"b": 1, "c": 2, "b": 3}, "d": [{"e": 1, "e": 2}]}'
        expected = [
            "d[0].e: there more than once; keep one of them",
            "a.b: there more than once; keep one of them",
        ]
        assert_that(faults_in(text), equal_to(expected))

    def test_constants(self) -> None:
        """What Python calls JSON and nobody else."""
        expected = [
            f"[{at}]: {name} is no number in JSON"
            for at, name in enumerate(("NaN", "Infinity", "-Infinity"))
        ]
        assert_that(faults_in("[NaN, Infinity, -Infinity]"), equal_to(expected))

    def test_huge_numbers(self) -> None:
        """Numbers that no computer has are neither converted nor printed."""
        expected = [f"[{at}]: too large a number" for at in range(2)]
        assert_that(faults_in(f"[1e999, {'9' * 5000}]"), equal_to(expected))

    def test_half_characters(self) -> None:
        """Texts must be such that they can be sent and stored."""
        text = '{"a": "\\ud800", "b\\udfff": 1, "c": "\\ud83d\\ude00", "d": ["\\udc80"]}'
        half = "holds half of a surrogate pair, which is no text"
        expected = [f"a: {half}", f'"b\\udfff": the name {half}', f"d[0]: {half}"]
        assert_that(faults_in(text), equal_to(expected))

    @settings(deadline=None, max_examples=200)
    @given(st.binary(max_size=40))
    def test_any_bytes(self, content: bytes) -> None:
        """Whatever a file holds, there is a value, or a reason why there is none."""
        if not problem_in(content):
            json.loads(content)
