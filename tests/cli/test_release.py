"""Tests for `flip.cli.release`."""

from __future__ import annotations

import json
import socket
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from threading import Thread
from typing import Any

from hamcrest import assert_that, contains_string, equal_to
from twisted.trial.unittest import SynchronousTestCase

from flip.cli import main


class ReleaseTests(SynchronousTestCase):
    """What is asked of the node, and what is printed."""

    def setUp(self) -> None:
        directory = Path(mkdtemp())  # short, as a socket's path must be
        self.addCleanup(rmtree, directory)
        self.path = directory / "control"
        self.asked: list[dict[str, Any]] = []

    def release(self, answer: dict[str, Any], *options: str) -> tuple[int, str, str]:
        """The exit code, output and errors of ``flip release`` when the node answers this."""
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(self.path))
            listening.listen()

            def serve() -> None:
                connection, _ = listening.accept()
                with connection, connection.makefile("rwb") as stream:
                    self.asked.append(json.loads(stream.readline()))
                    stream.write(json.dumps(answer).encode() + b"\n")

            server = Thread(target=serve, daemon=True)
            server.start()
            with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as errors:
                code = main(["release", "--socket", str(self.path), "ip", "192.168.0.1", *options])
            server.join(5)
        return code, out.getvalue(), errors.getvalue()

    def test_forced(self) -> None:
        """The node is asked to, and what it did is said."""
        code, out, _ = self.release({"ok": True, "result": None}, "--force")
        assert_that(code, equal_to(0))
        assert_that(out, equal_to("ip: 192.168.0.1 is no longer claimed by this node.\n"))
        expected = {"command": "release", "system": "ip", "datum": "192.168.0.1", "force": True}
        assert_that(self.asked, equal_to([expected]))

    def test_refused(self) -> None:
        """The node's refusal is printed; the exit code says that nothing was done."""
        code, out, errors = self.release({"ok": False, "error": "Make sure, then --force."})
        assert_that([code, out], equal_to([1, ""]))
        assert_that(errors, contains_string("Make sure, then --force."))
        assert_that(self.asked[0]["force"], equal_to(False))
