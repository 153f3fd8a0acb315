"""Tests for `flip.cli.demo`: what a user sees."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from typing import Any

from hamcrest import assert_that, contains_string, equal_to, less_than
from twisted.trial.unittest import SynchronousTestCase

from flip.cli import demo
from flip.cli.demo import Screen
from flip.demo import performance, story
from flip.demo.audience import Moment
from flip.demo.performance import Outcome
from tests.demo.test_story import perfect
from tests.matchers import is_not


class Terminal(io.StringIO):
    """A file that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


class ScreenTests(SynchronousTestCase):
    """The story on a screen of 80 columns."""

    def setUp(self) -> None:
        self.patch(os, "environ", {**os.environ, "COLUMNS": "80", "TERM": "xterm"})

    def show(self, file: io.StringIO) -> str:
        screen = Screen(file)
        screen.opening("/tmp/flip-demo-12345678")
        screen.step("kill -9 flip1", "Something happens. " * 10)
        screen.waiting("flip1 killed", 1.5)
        screen.waiting("flip1 killed", 1.6)
        screen.moments(
            [Moment(1.5, "flip", "flip1 is down"), Moment(2.25, "flip", "alive a: done")]
        )
        screen.row(story.FLIP1_KILLED, perfect(story.FLIP1_KILLED))
        screen.remark("Took 2 s.")
        screen.end(Outcome(seconds=20.4))
        return file.getvalue()

    def test_plain(self) -> None:
        """In a file there are lines of at most 80 characters, and nothing but text."""
        text = self.show(io.StringIO())
        assert_that(max(map(len, text.splitlines())), less_than(81))
        assert_that(text.replace("\n", "").isprintable())
        assert_that(text, is_not(contains_string("flip1 killed ...")))
        lines = text.splitlines()
        at = lines.index("1. kill -9 flip1")
        row = [" ".join(line.split()) for line in lines[at:]]
        assert_that("flip flip1 flip2" in row)
        assert_that("flip1 killed 192.168.0.1, 192.168.0.2 x (arbiter)" in row)
        assert_that("2.25 s flip alive a: done" in row)
        assert_that(lines[-3], equal_to("All as told, in 20 s"))

    def test_live(self) -> None:
        """On a terminal the time runs while nothing happens, and leaves no trace."""
        text = self.show(Terminal())
        assert_that(text, contains_string("\r   flip1 killed ... 1.6 s\x1b[K\r\x1b[K"))

    def test_dumb(self) -> None:
        """On a dumb terminal it is as in a file."""
        os.environ["TERM"] = "dumb"
        assert_that(self.show(Terminal()), equal_to(self.show(io.StringIO())))

    def test_stopped(self) -> None:
        """Ctrl-C is no success, and no failure of the story."""
        file = io.StringIO()
        Screen(file).end(Outcome(status=130))
        assert_that(file.getvalue(), equal_to("\nStopped: all its processes are ended.\n"))


class RunTests(SynchronousTestCase):
    """``flip demo``, with a performance that is made up."""

    def setUp(self) -> None:
        self.patch(sys, "stdout", io.StringIO())
        self.patch(sys, "stderr", io.StringIO())
        self.kept: list[bool] = []

    def run_demo(self, outcome: Outcome, *options: str) -> int:
        def perform(theatre: Any, *, keep: bool) -> Outcome:
            theatre.step("A step", "Some text.")
            self.kept.append(keep)
            return outcome

        self.patch(performance, "perform", perform)
        parser = argparse.ArgumentParser()
        demo.add(parser.add_subparsers())
        args = parser.parse_args(["demo", *options])
        status: int = args.run(args)
        return status

    def output(self) -> tuple[str, str]:
        out, err = sys.stdout, sys.stderr
        assert isinstance(out, io.StringIO)
        assert isinstance(err, io.StringIO)
        return out.getvalue(), err.getvalue()

    def test_good(self) -> None:
        """All went well: 0, and nothing on standard error."""
        assert_that(self.run_demo(Outcome()), equal_to(0))
        out, err = self.output()
        assert_that(out, contains_string("1. A step"))
        assert_that(err, equal_to(""))
        assert_that(self.kept, equal_to([False]))

    def test_differs(self) -> None:
        """Something differed: 1, with the error, the ends of the logs, and where they are."""
        outcome = Outcome(
            1, "It failed.\nflip must hold a; it says b", {"flip": ["a line"]}, "/tmp/x"
        )
        assert_that(self.run_demo(outcome), equal_to(1))
        out, err = self.output()
        assert_that(out, is_not(contains_string("All as told")))
        for words in (
            "It failed.",
            "flip must hold a; it says b",
            "flip's log",
            "a line",
            "/tmp/x",
        ):
            assert_that(err, contains_string(words))

    def test_json(self) -> None:
        """With --json there is nothing else on standard output."""
        assert_that(self.run_demo(Outcome(kept="/tmp/x"), "--json", "--keep"), equal_to(0))
        out, err = self.output()
        answer = json.loads(out)
        assert_that(
            (answer["ok"], answer["error"], answer["directory"]), equal_to((True, None, "/tmp/x"))
        )
        assert_that(err, equal_to(""))
        assert_that(self.kept, equal_to([True]))
