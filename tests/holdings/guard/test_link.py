"""How the daemon starts the guard's process and talks to it: a reactor that the test plays."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hamcrest import assert_that, equal_to
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.guard.link import LIMIT, ProcessLink
from flip.holdings.guard.messages import Begin, Ping, Pong, Report, encode

PATIENCE = 10.0  # seconds for a process on a busy machine


class Transport(StringTransport):
    """Notes that it was closed, and how."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


class AdoptingReactor(Clock):
    """Takes connections over: the test moves what is on them.

    :ivar end: the connection.
    """

    end: socket.socket

    def adoptStreamConnection(self, fd: int, family: int, factory: Factory) -> None:
        self.end = socket.socket(fileno=os.dup(fd))
        self.end.setblocking(True)
        self.end.settimeout(PATIENCE)
        protocol: Any = factory.buildProtocol(None)
        self.transport = Transport()
        protocol.makeConnection(self.transport)


class ProcessLinkTests(SynchronousTestCase):
    """A real guard behind it."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.reactor = AdoptingReactor()
        self.reports: list[Report] = []
        self.losses = 0
        words = ["me", str(self.directory / "guard")]
        self.link = ProcessLink(self.reactor, words, os.environ, self.reports.append, self.lost)
        self.addCleanup(self.reap)
        self.addCleanup(self.reactor.end.close)

    def lost(self) -> None:
        self.losses += 1

    def reap(self) -> None:
        """The process ends, whatever the test has done; nobody else waits for it."""
        if not self.link._reaped:
            os.kill(self.link.pid, signal.SIGKILL)
            self.wait(self.ended)

    def ended(self, link: ProcessLink | None = None) -> bool:
        link = link or self.link
        link.reapProcess()
        return link._reaped

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def pass_on(self) -> None:
        """What was written so far goes to the guard."""
        self.reactor.end.sendall(self.reactor.transport.value())
        self.reactor.transport.clear()

    def test_talk(self) -> None:
        """Orders go out and reports come in, one a line, however they are cut."""
        for order in (Begin(1.0), Ping(7)):
            self.link.send(order)
        assert_that(self.reactor.transport.value().count(b"\n"), equal_to(2))
        self.pass_on()
        data = self.reactor.end.recv(4096)
        assert_that(data, equal_to(encode(Pong(7)) + b"\n"))
        for n in range(len(data)):
            self.link.dataReceived(data[n : n + 1])
        assert_that(self.reports, equal_to([Pong(7)]))

    def test_session(self) -> None:
        """It leads a session of its own, without a terminal: no Ctrl-C reaches it."""
        assert_that(os.getsid(self.link.pid), equal_to(self.link.pid))

    def test_descriptors(self) -> None:
        """It has its standard streams and what it opened itself, nothing of the daemon's."""
        if not sys.platform.startswith("linux"):
            self.skipTest("needs /proc")
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        self.addCleanup(os.close, write)
        os.set_inheritable(write, True)
        words = ["me", str(self.directory / "other")]
        reactor = AdoptingReactor()
        other = ProcessLink(reactor, words, os.environ, self.reports.append, self.lost)
        self.addCleanup(reactor.end.close)
        other.send(Ping(1))
        reactor.end.sendall(reactor.transport.value())
        reactor.end.recv(100)
        pipe = os.readlink(f"/proc/self/fd/{write}")
        files = Path(f"/proc/{other.pid}/fd")
        links = [os.readlink(file) for file in files.iterdir() if int(file.name) > 2]
        assert_that(pipe in links, equal_to(False))
        os.kill(other.pid, signal.SIGKILL)
        self.wait(lambda: self.ended(other))

    def test_closed(self) -> None:
        """The guard sees the end of the connection, and has nothing to stay for."""
        closing = self.link.close()
        assert_that(self.reactor.transport.disconnecting, equal_to(True))
        self.assertNoResult(closing)
        self.reactor.end.shutdown(socket.SHUT_RDWR)
        self.link.connectionLost(Failure(ConnectionDone()))
        self.successResultOf(closing)
        self.wait(self.ended)
        assert_that((self.losses, self.reactor.getDelayedCalls()), equal_to((1, [])))

    def test_closed_in_vain(self) -> None:
        """A guard that does not read its last orders holds nobody up."""
        self.link.close()
        self.reactor.advance(LIMIT)
        assert_that(self.reactor.transport.aborted, equal_to(True))

    def test_kill(self) -> None:
        """SIGKILL ends a guard that is stopped; the connection shows it."""
        os.kill(self.link.pid, signal.SIGSTOP)
        self.link.kill()
        self.wait(self.ended)
        assert_that(self.reactor.transport.aborted, equal_to(True))
        readable, _, _ = select.select([self.reactor.end], [], [], PATIENCE)
        assert_that(readable and self.reactor.end.recv(1), equal_to(b""))

    def test_kill_twice(self) -> None:
        """A number that is nobody's any more is not signalled."""
        self.link.kill()
        self.wait(self.ended)
        self.link.kill()
        self.link.kill_group(self.link.pid)

    def test_cannot_be_started(self) -> None:
        """The error is the operating system's, and nothing is left open."""
        self.patch(sys, "executable", "/nowhere/python")
        before = len(os.listdir("/dev/fd"))
        with self.assertRaises(FileNotFoundError):
            ProcessLink(self.reactor, ["me"], os.environ, self.reports.append, self.lost)
        assert_that(len(os.listdir("/dev/fd")), equal_to(before))
