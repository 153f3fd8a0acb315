"""Tests for `flip.control.client`."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from threading import Thread
from unittest import SkipTest

from hamcrest import assert_that, calling, equal_to, raises
from twisted.trial.unittest import SynchronousTestCase

from flip.control.client import request
from flip.errors import ControlUnavailable, RequestRefused


class RequestTests(SynchronousTestCase):
    """What `request` says when it is not answered, or not well."""

    def setUp(self) -> None:
        self.directory = Path(mkdtemp())  # short, as a socket's path must be
        self.addCleanup(rmtree, self.directory)
        self.path = self.directory / "control"

    @contextmanager
    def server(self, *answers: bytes, stay: bool = False) -> Iterator[None]:
        """Somebody who gives these answers to one request, whatever it is."""
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(self.path))
            listening.listen()

            def serve() -> None:
                connection, _ = listening.accept()
                with connection:
                    connection.recv(65536)
                    for answer in answers:
                        connection.sendall(answer)
                    if stay:
                        connection.recv(1)

            thread = Thread(target=serve)
            thread.start()
            yield
            thread.join()

    def unavailable(self, words: str, timeout: float = 5.0) -> None:
        asking = calling(request).with_args(self.path, "status", timeout=timeout)
        assert_that(asking, raises(ControlUnavailable, words))

    def test_answer(self) -> None:
        """An answer in pieces is put together."""
        with self.server(b'{"ok": true, ', b'"result": [1]}\n'):
            assert_that(request(self.path, "status"), equal_to([1]))

    def test_refusal(self) -> None:
        """What the node refuses is told in the node's words."""
        with self.server(b'{"ok": false, "error": "Not today."}\n'):
            asking = calling(request).with_args(self.path, "status")
            assert_that(asking, raises(RequestRefused, "Not today"))

    def test_no_socket(self) -> None:
        """No socket: the node does not run."""
        self.unavailable("not running")

    def test_stale_socket(self) -> None:
        """A socket where nobody listens: the node was killed."""
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(self.path))
        self.unavailable("was killed")

    def test_silence(self) -> None:
        """A node that hangs does not hang the asker."""
        with self.server(b'{"ok": tr', stay=True):
            self.unavailable("within 0.05 s", timeout=0.05)

    def test_something_else(self) -> None:
        """Whatever else may answer is no reason for a traceback."""
        for answer in (b"", b"220 mail\n", b"[]\n", b"{}\n", b'{"ok": true}\n'):
            with self.server(answer):
                self.unavailable("is not flip")
            self.path.unlink()

    def test_permission(self) -> None:
        """Somebody else's node: says as whom to ask."""
        if os.geteuid() == 0:
            raise SkipTest("root may ask everybody")
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(self.path))
            listening.listen()
            self.path.chmod(0)
            self.unavailable("as the user that runs the node")

    def test_impossible_path(self) -> None:
        """A path that no socket can have."""
        self.path = self.directory / ("x" * 200)
        self.unavailable("path too long")
