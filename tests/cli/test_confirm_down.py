"""Tests for `flip.cli.confirm_down`."""

from __future__ import annotations

import json
import os
import socket
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from threading import Thread
from typing import Any

from hamcrest import assert_that, contains_string, empty, equal_to
from twisted.trial.unittest import SynchronousTestCase

from flip.cli import confirm_down, main


class Terminal(StringIO):
    """A person who types."""

    def isatty(self) -> bool:
        return True


class ConfirmDownTests(SynchronousTestCase):
    """What is asked of the operator and of the node, and what is printed."""

    def setUp(self) -> None:
        directory = Path(mkdtemp())  # short, as a socket's path must be
        self.addCleanup(rmtree, directory)
        self.path = directory / "control"
        self.asked: list[dict[str, Any]] = []
        self.patch(confirm_down, "_who", lambda: "alice")

    def confirm(
        self, *words: str, answer: dict[str, Any] | None = None, typed: StringIO | None = None
    ) -> tuple[int, str, str]:
        """The exit code, output and errors when the node answers this."""
        self.patch(sys, "stdin", typed or StringIO())
        said = answer or {"ok": True, "result": None}
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(self.path))
            listening.listen()
            listening.settimeout(5)

            def serve() -> None:
                connection, _ = listening.accept()
                with connection, connection.makefile("rwb") as stream:
                    line = stream.readline()
                    if line:
                        self.asked.append(json.loads(line))
                        stream.write(json.dumps(said).encode() + b"\n")

            server = Thread(target=serve, daemon=True)
            server.start()
            with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as errors:
                code = main(["confirm-down", "--socket", str(self.path), *words])
            if not self.asked:
                with socket.socket(socket.AF_UNIX) as end:
                    end.connect(str(self.path))
            server.join(5)
        return code, out.getvalue(), errors.getvalue()

    def request(self, *ids: str, force: bool = True) -> dict[str, Any]:
        return {"command": "confirm-down", "ids": [*ids], "force": force, "by": "alice"}

    def test_forced(self) -> None:
        """A script says --force, and nobody is asked; what was done is said."""
        code, out, _ = self.confirm("--force", "flip1", "flip2")
        assert_that(code, equal_to(0))
        assert_that(out, contains_string("flip1, flip2: down until they return"))
        assert_that(self.asked, equal_to([self.request("flip1", "flip2")]))

    def test_script(self) -> None:
        """Without it the node refuses, and says what to make sure of."""
        refusal = {"ok": False, "error": "Make sure, then --force."}
        code, _, errors = self.confirm("flip1", answer=refusal)
        assert_that(code, equal_to(1))
        assert_that(errors, contains_string("Make sure, then --force."))
        assert_that(self.asked, equal_to([self.request("flip1", force=False)]))

    def test_typed_twice(self) -> None:
        """A person types the ids again."""
        for typed in ("flip1 flip2\n", " flip1, flip2 \n"):
            self.asked.clear()
            self.path.unlink(missing_ok=True)
            code, out, _ = self.confirm("flip1", "flip2", typed=Terminal(typed))
            assert_that(code, equal_to(0))
            assert_that(out, contains_string("type the ids again: "))
            assert_that(self.asked, equal_to([self.request("flip1", "flip2")]))

    def test_typed_otherwise(self) -> None:
        """Whoever types something else, or nothing, has done nothing."""
        for typed in ("flip1\n", "yes\n", "flip2 flip1\n", "\n", ""):
            self.path.unlink(missing_ok=True)
            code, _, errors = self.confirm("flip1", "flip2", typed=Terminal(typed))
            assert_that(code, equal_to(1))
            assert_that(errors, contains_string("nothing was done"))
        assert_that(self.asked, empty())

    def test_named_twice(self) -> None:
        """An id that is named twice is one."""
        self.confirm("--force", "flip1", "flip1")
        assert_that(self.asked, equal_to([self.request("flip1")]))


class WhoTests(SynchronousTestCase):
    """Whom the log names."""

    def test_sudo(self) -> None:
        """The user, and who that was before sudo."""
        self.patch(os, "getuid", lambda: 0)
        self.patch(os, "environ", {})
        assert_that(confirm_down._who(), equal_to("root"))
        self.patch(os, "environ", {"SUDO_USER": "alice"})
        assert_that(confirm_down._who(), equal_to("alice (as root)"))

    def test_nobody(self) -> None:
        """A user without a name has a number."""
        self.patch(os, "getuid", lambda: 123456)
        self.patch(os, "environ", {})
        assert_that(confirm_down._who(), equal_to("user 123456"))
