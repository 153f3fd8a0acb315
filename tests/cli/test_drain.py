"""Tests for `flip.cli.drain` and `flip.cli.undrain`."""

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


class DrainTests(CommandCase):
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
        for command in ("drain", "undrain"):
            self.requests.clear()
            self.answer({"ok": True, "result": None})
            assert_that(self.flip(command, "--socket", str(self.socket)), equal_to(0))
            assert_that(self.requests, equal_to([{"command": command}]))
            assert_that(self.out.getvalue(), contains_string("flip status"))
            self.socket.unlink()

    def test_one(self) -> None:
        """Or one system, of the node that the configuration names."""
        self.description["control"] = str(self.socket)
        for command in ("drain", "undrain"):
            self.requests.clear()
            self.answer({"ok": True, "result": None})
            assert_that(self.flip(command, "-c", self.write(), "ip"), equal_to(0))
            assert_that(self.requests, equal_to([{"command": command, "system": "ip"}]))
            self.socket.unlink()

    def test_refused(self) -> None:
        """What the node refuses is told in its words."""
        self.answer({"ok": False, "error": "This node has no system 'x', only: ip."})
        assert_that(self.flip("drain", "--socket", str(self.socket), "x"), equal_to(1))
        expected = "flip drain: The running node did not do this. This node has no system 'x',"
        assert_that(self.err.getvalue(), contains_string(expected))
        assert_that(self.out.getvalue(), equal_to(""))
