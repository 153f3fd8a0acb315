"""Tests for `flip.control.server`."""

from __future__ import annotations

import json
import socket
import stat
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from hamcrest import assert_that, calling, contains_string, equal_to
from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from flip.control.client import request
from flip.control.server import (
    MAX_CONNECTIONS,
    PATIENCE,
    ControlFactory,
    ControlProtocol,
    ControlService,
)
from flip.errors import CannotListen, FlipError
from tests.matchers import raises


class Unwell(FlipError):
    """It is unwell."""


class ControlProtocolTests(SynchronousTestCase):
    """One connection, in memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.slow: Deferred[Any] = Deferred()
        self.asked: list[Any] = []
        empty: dict[str, object] = {}
        commands = {
            "echo": lambda arguments: dict(arguments),
            "slow": lambda arguments: self.slow,
            "unwell": self.unwell,
            "broken": lambda arguments: empty["nothing"],
            "odd": lambda arguments: object(),
            "count": self.asked.append,
        }
        self.factory = ControlFactory(commands, self.clock)
        self.connection, self.transport = self.connect()

    def unwell(self, arguments: Any) -> None:
        raise Unwell("Since noon.")

    def connect(self) -> tuple[ControlProtocol, StringTransport]:
        connection = self.factory.buildProtocol(None)
        assert isinstance(connection, ControlProtocol)
        transport = StringTransport()
        connection.makeConnection(transport)
        return connection, transport

    def answer(self) -> Any:
        lines = self.transport.value().split(b"\n")
        assert_that([len(lines), lines[-1]], equal_to([2, b""]))
        return json.loads(lines[0])

    def refused(self, line: bytes, *words: str) -> None:
        self.connection.dataReceived(line)
        answer = self.answer()
        assert_that(answer["ok"], equal_to(False))
        for word in words:
            assert_that(answer["error"], contains_string(word))

    def test_result(self) -> None:
        """A command gets the rest of the request, and its result is the answer."""
        self.connection.dataReceived(b'{"command": "echo", "word": "ein"}\n')
        assert_that(self.answer(), equal_to({"ok": True, "result": {"word": "ein"}}))
        assert_that(self.transport.disconnecting, equal_to(True))

    def test_pieces(self) -> None:
        """A request may arrive in pieces."""
        for byte in b'{"command": "echo"}\n':
            assert_that(self.transport.value(), equal_to(b""))
            self.connection.dataReceived(bytes([byte]))
        assert_that(self.answer()["result"], equal_to({}))

    def test_deferred_result(self) -> None:
        """A command may answer later, and as late as it likes."""
        self.connection.dataReceived(b'{"command": "slow"}\n')
        self.clock.advance(10 * PATIENCE)
        assert_that(self.transport.value(), equal_to(b""))
        self.slow.callback([1])
        assert_that(self.answer()["result"], equal_to([1]))

    def test_client_gone(self) -> None:
        """A result for a client that did not wait is dropped, and leaves no timer."""
        self.connection.dataReceived(b'{"command": "slow"}\n')
        self.connection.connectionLost()
        self.slow.callback([1])
        assert_that(self.transport.value(), equal_to(b""))
        assert_that(self.clock.getDelayedCalls(), equal_to([]))

    def test_flip_error(self) -> None:
        """An error on purpose is the client's to read."""
        self.refused(b'{"command": "unwell"}\n', "It is unwell. Since noon.")

    def test_bug(self) -> None:
        """An unexpected exception goes to the log with its traceback, not to the client."""
        self.refused(b'{"command": "broken"}\n', "internal error, see the log")
        (failure,) = self.flushLoggedErrors(KeyError)
        assert_that(failure.getTraceback(), contains_string("nothing"))

    def test_later_bug(self) -> None:
        """So does one that a Deferred brings."""
        self.connection.dataReceived(b'{"command": "slow"}\n')
        self.slow.errback(ZeroDivisionError())
        assert_that(self.answer()["ok"], equal_to(False))
        assert_that(self.flushLoggedErrors(ZeroDivisionError)[0].value.args, equal_to(()))

    def test_unspeakable_result(self) -> None:
        """A result that JSON cannot say is a bug of the command."""
        self.refused(b'{"command": "odd"}\n', "internal error")
        assert_that(len(self.flushLoggedErrors(TypeError)), equal_to(1))

    def test_nonsense(self) -> None:
        """Whatever a client sends is answered in words."""
        for line, word in {
            b"status\n": "not JSON",
            b"\xff\n": "not JSON",
            b"[" * 60_000 + b"\n": "not JSON",
            b"[]\n": "Expected an object",
            b"{}\n": "no command None",
            b'{"command": []}\n': "no command []",
            b'{"command": "statsu"}\n': "there are: broken, count, echo",
            b"x" * 70_000: "longer than",
            b'"' + b"x" * 70_000 + b'"\n': "longer than",
        }.items():
            self.connection, self.transport = self.connect()
            self.refused(line, word)
            assert_that(self.transport.disconnecting, equal_to(True))

    def test_one_request(self) -> None:
        """A connection carries one request: more of them do nothing and cost nothing."""
        self.connection.dataReceived(b'{"command": "slow"}\n')
        self.connection.dataReceived(b'{"command": "count"}\n' * 3)
        assert_that(self.asked, equal_to([]))
        self.connection.dataReceived(b"x" * 70_000)
        assert_that(self.transport.disconnected, equal_to(True))

    def test_silent_client(self) -> None:
        """A client that asks nothing is cut off."""
        self.clock.advance(PATIENCE)
        assert_that(self.transport.disconnected, equal_to(True))

    def test_deaf_client(self) -> None:
        """So is one that does not read the answer."""
        self.connection.dataReceived(b'{"command": "echo"}\n')
        assert_that(self.transport.disconnected, equal_to(False))
        self.clock.advance(PATIENCE)
        assert_that(self.transport.disconnected, equal_to(True))

    def test_crowd(self) -> None:
        """The number of connections is bounded, and a lost one makes room."""
        for _ in range(MAX_CONNECTIONS - 1):
            self.connect()
        assert_that(self.factory.buildProtocol(None), equal_to(None))
        self.connection.connectionLost()
        self.connect()


class ControlServiceTests(TestCase):
    """Real sockets."""

    def setUp(self) -> None:
        # Not trial's own directory: a socket's path must be short.
        self.directory = Path(mkdtemp())
        self.path = self.directory / "run" / "control"
        self.addCleanup(rmtree, self.directory)

    def service(self, path: Path | None = None) -> ControlService:
        return ControlService(reactor, path or self.path, {"echo": dict})

    def start(self) -> ControlService:
        service = self.service()
        service.startService()
        self.addCleanup(service.stopService)
        return service

    @inlineCallbacks
    def test_request(self) -> Any:
        """A client on the socket is answered, by its user's node only; then all is gone."""
        service = self.start()
        assert_that(stat.S_IMODE(self.path.stat().st_mode), equal_to(0o600))
        assert_that(stat.S_IMODE(self.path.parent.stat().st_mode), equal_to(0o700))
        answer = yield deferToThread(request, self.path, "echo", word="x" * 30_000)
        assert_that(answer, equal_to({"word": "x" * 30_000}))
        yield service.stopService()
        assert_that(self.path.exists(), equal_to(False))

    @inlineCallbacks
    def test_stale_socket(self) -> Any:
        """The socket that a killed node left is replaced."""
        self.path.parent.mkdir()
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(self.path))
        self.start()
        assert_that((yield deferToThread(request, self.path, "echo")), equal_to({}))

    def test_live_socket(self) -> None:
        """The socket of a live node is not."""
        self.start()
        assert_that(calling(self.service().startService), raises(CannotListen, "runs already"))
        assert_that(self.path.exists(), equal_to(True))

    def test_no_socket(self) -> None:
        """A file that is no socket is left alone."""
        self.path.parent.mkdir()
        self.path.write_text("mine")
        assert_that(calling(self.service().startService), raises(CannotListen, "not a socket"))
        assert_that(self.path.read_text(), equal_to("mine"))

    def test_impossible_paths(self) -> None:
        """A path that is too long, or in no directory, is an error that tells the cure."""
        (self.directory / "file").touch()
        for path in (self.directory / ("x" * 200), self.directory / "file" / "control"):
            assert_that(
                calling(self.service(path).startService),
                raises(CannotListen, 'Set "control" in the configuration'),
            )

    @inlineCallbacks
    def test_removed_socket(self) -> Any:
        """A node stops well even if somebody removed its socket."""
        service = self.start()
        self.path.unlink()
        assert_that((yield service.stopService()), equal_to(None))
