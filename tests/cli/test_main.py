"""Tests for `flip.cli`: what all commands have in common."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from hamcrest import assert_that, contains_string, equal_to, less_than, starts_with

import flip
from flip.cli import COMMANDS, keygen
from flip.errors import HookFailed
from tests.cli.case import CommandCase
from tests.matchers import has_item

ROOT = Path(flip.__file__).parent.parent


class HelpTests(CommandCase):
    """Somebody who knows nothing finds out."""

    def test_alone(self) -> None:
        """`flip` alone is a question."""
        assert_that(self.flip(), equal_to(0))
        assert_that(self.out.getvalue(), starts_with("usage: flip [-h] COMMAND"))

    def test_help(self) -> None:
        """Every command has a line of its own that fits the terminal."""
        assert_that(self.flip("--help"), equal_to(0))
        lines = self.out.getvalue().splitlines()
        for command in COMMANDS:
            # Beside a long name argparse leaves no room for the text.
            assert_that([f"{line} " for line in lines], has_item(starts_with(f"    {command} ")))
        assert_that(max(map(len, lines)), less_than(81))

    def test_commands(self) -> None:
        """Each command explains itself."""
        for command in COMMANDS:
            self.out.truncate(0)
            assert_that(self.flip(command, "--help"), equal_to(0))
            assert_that(self.out.getvalue(), contains_string(f"usage: flip {command}"))

    def test_unknown(self) -> None:
        """A command that does not exist is exit code 2, and which there are."""
        assert_that(self.flip("stauts"), equal_to(2))
        assert_that(self.err.getvalue(), contains_string("'status'"))


class FailureTests(CommandCase):
    """Whatever happens, nobody reads a traceback who did nothing wrong."""

    def fail_with(self, error: BaseException) -> int:
        def run(args: argparse.Namespace) -> int:
            raise error

        self.patch(keygen, "run", run)
        return self.flip("keygen")

    def test_flip_error(self) -> None:
        """An error of flip's own is one line."""
        assert_that(self.fail_with(HookFailed("(exit status 1)")), equal_to(1))
        expected = "flip keygen: A hook did not end well. (exit status 1)\n"
        assert_that(self.err.getvalue(), equal_to(expected))

    def test_interrupted(self) -> None:
        """Ctrl-C is no error to read about."""
        assert_that(self.fail_with(KeyboardInterrupt()), equal_to(130))
        assert_that(self.err.getvalue(), equal_to(""))

    def test_bug(self) -> None:
        """A bug is not hidden."""
        with self.assertRaises(ZeroDivisionError):
            self.fail_with(ZeroDivisionError())

    def test_bad_configuration(self) -> None:
        """A bad configuration is the same report and exit code for every command."""
        self.description["quorum"] = 4
        path = self.write()
        for command in ("check", "plan", "status", "retry"):
            self.err.truncate(0)
            self.err.seek(0)
            assert_that(self.flip(command, "-c", path), equal_to(2))
            assert_that(self.err.getvalue(), starts_with(f"{path}: 1 problem\n  quorum: expected"))


class ProcessTests(CommandCase):
    """The console script, as a process."""

    def run_flip(self, *words: str, stdout: int) -> tuple[int, str]:
        code = "import sys; from flip.cli import main; sys.exit(main())"
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            stdout=stdout,
            stderr=subprocess.PIPE,
            env={"PATH": os.defpath, "PYTHONPATH": str(ROOT)},
            text=True,
            check=False,
        )
        return done.returncode, done.stderr

    def test_closed_pipe(self) -> None:
        """A reader that has gone ends it quietly, as a signal would."""
        reading, writing = os.pipe()
        os.close(reading)
        self.addCleanup(os.close, writing)
        assert_that(self.run_flip("--help", stdout=writing), equal_to((141, "")))

    def test_full_disk(self) -> None:
        """Output that is lost is told, and is a failure."""
        if not os.path.exists("/dev/full"):
            self.skipTest("this system has no /dev/full")
        with open("/dev/full", "w") as full:
            code, text = self.run_flip("version", stdout=full.fileno())
        assert_that(code, equal_to(1))
        expected = "flip: the output cannot be written: [Errno 28] No space left on device\n"
        assert_that(text, equal_to(expected))

    def test_light(self) -> None:
        """Help comes at once: nothing heavy is imported for it."""
        code = (
            "import sys; from flip.cli import main; main(['--help'])\n"
            "heavy = {'jsonschema', 'rich', 'twisted', 'msgspec', 'cryptography'}\n"
            "sys.exit(', '.join(heavy & set(sys.modules)))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={"PYTHONPATH": str(ROOT)},
            text=True,
            check=False,
        )
        assert_that(done.stderr.strip(), equal_to(""))
