"""Tests for `flip.cli.retry`."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from threading import Thread
from typing import Any

from hamcrest import assert_that, contains_string, equal_to

from tests.cli.case import CommandCase


class RetryTests(CommandCase):
    """The command asks the running node."""

    def setUp(self) -> None:
        super().setUp()
        directory = Path(mkdtemp())  # short, as a socket's path must be
        self.addCleanup(rmtree, directory)
        self.socket = directory / "control"
        self.requests: list[Any] = []

    def answer(self, answer: dict[str, Any]) -> None:
        """Be the node, for one request."""
        listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(listening.close)
        listening.bind(str(self.socket))
        listening.listen()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                self.requests.append(json.loads(connection.recv(1000)))
                connection.sendall(json.dumps(answer).encode() + b"\n")

        thread = Thread(target=serve)
        thread.start()
        self.addCleanup(thread.join)

    def test_all(self) -> None:
        """Without a name it means everything."""
        self.answer({"ok": True, "result": None})
        assert_that(self.flip("retry", "--socket", str(self.socket)), equal_to(0))
        assert_that(self.requests, equal_to([{"command": "retry"}]))
        assert_that(self.out.getvalue(), contains_string("flip status"))

    def test_one(self) -> None:
        """Or one system, of the node that the configuration names."""
        self.description["control"] = str(self.socket)
        self.answer({"ok": True, "result": None})
        assert_that(self.flip("retry", "-c", self.write(), "ip"), equal_to(0))
        assert_that(self.requests, equal_to([{"command": "retry", "system": "ip"}]))

    def test_refused(self) -> None:
        """What the node refuses is told in its words."""
        self.answer({"ok": False, "error": "This node has no system 'x', only: ip."})
        assert_that(self.flip("retry", "--socket", str(self.socket), "x"), equal_to(1))
        expected = "flip retry: The running node did not do this. This node has no system 'x',"
        assert_that(self.err.getvalue(), contains_string(expected))
        assert_that(self.out.getvalue(), equal_to(""))

    def test_not_running(self) -> None:
        """No node, no traceback."""
        assert_that(self.flip("retry", "--socket", str(self.socket)), equal_to(1))
        assert_that(self.err.getvalue(), contains_string("the node is not running"))

    def test_which(self) -> None:
        """Somebody has to say which node."""
        assert_that(self.flip("retry"), equal_to(2))
        assert_that(self.err.getvalue(), contains_string("-c FILE"))
