"""Starts the guard's process, and talks to it over a socket pair that is its standard input."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, ITCPTransport
from twisted.internet.process import registerReapProcessHandler, unregisterReapProcessHandler
from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from flip.holdings.child import above_standard_streams, spawn
from flip.holdings.guard.messages import Order, Report, decode_report, encode

PROGRAM = Path(__file__).parent
LIMIT = 1.0  # seconds to send the last orders to a guard that does not read them


class ProcessLink(LineOnlyReceiver):
    """A guard's process and the connection to it; see `flip.holdings.guard.daemon.Link`.

    :param reactor: for IReactorSocket and IReactorTime.
    :param words: what the guard is told: the node's id, the path of its lock, maybe a priority.
    :raises OSError: it cannot be started.
    """

    delimiter = b"\n"
    MAX_LENGTH = 1 << 24  # a data point's name and a hook's last line; ours, so trusted

    def __init__(
        self,
        reactor: Any,
        words: Sequence[str],
        environ: Mapping[str, str],
        received: Callable[[Report], None],
        lost: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._received = received
        self._lost = lost
        self._closing: Deferred[None] | None = None
        self._reaped = False
        ours, theirs = socket.socketpair()
        with ours:
            try:
                self.pid = _start(words, environ, theirs)
            finally:
                theirs.close()
            ours.setblocking(False)
            reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, _Factory(self))
        registerReapProcessHandler(self.pid, self)

    @property
    def _connection(self) -> ITCPTransport:
        return cast(ITCPTransport, self.transport)

    def send(self, order: Order) -> None:
        """Say something; Twisted's buffer takes it when the guard does not."""
        self.sendLine(encode(order))

    def close(self) -> Deferred[None]:
        """Say no more; fires when the connection is closed."""
        closing = self._closing = Deferred()
        self._connection.loseConnection()
        late = self._reactor.callLater(LIMIT, self._connection.abortConnection)

        def closed(result: None) -> None:
            if late.active():
                late.cancel()

        return closing.addCallback(closed)

    def kill(self) -> None:
        """SIGKILL the guard: that works on a stopped process, too."""
        if not self._reaped:
            os.kill(self.pid, signal.SIGKILL)
        self._connection.abortConnection()

    def kill_group(self, pid: int) -> None:
        """SIGKILL what is left of a hook.

        The guard has died just now, and the kernel does not give away the number of a
        group again so soon, let alone while the group has members.
        """
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)

    def lineReceived(self, line: bytes) -> None:
        self._received(decode_report(line))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost()
        if self._closing is not None:
            closing, self._closing = self._closing, None
            closing.callback(None)

    def reapProcess(self) -> None:
        """Look whether it has exited; the reactor calls this on SIGCHLD."""
        try:
            pid, _ = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:  # other code in this process waited for it
            pid = self.pid
        if pid:
            unregisterReapProcessHandler(self.pid, self)
            self._reaped = True

    def processEnded(self, status: int) -> None:
        """The reactor's reaper found the process ended, before it was registered."""
        self._reaped = True


class _Factory(Factory):
    noisy = False

    def __init__(self, link: ProcessLink) -> None:
        self._link = link

    def buildProtocol(self, addr: IAddress | None) -> ProcessLink:
        return self._link


def _start(words: Sequence[str], environ: Mapping[str, str], end: socket.socket) -> int:
    # `ps` shows what it is; its name, where the system has one, is flip-guard.
    argv = [os.fsencode(word) for word in (sys.executable, "-IS", str(PROGRAM), *words)]
    variables = {os.fsencode(name): os.fsencode(value) for name, value in environ.items()}
    fd = above_standard_streams(os.dup(end.fileno()))
    try:
        # Standard output and error are the daemon's: there it writes when that is gone.
        return spawn(argv, variables, [(os.POSIX_SPAWN_DUP2, fd, 0)])
    finally:
        os.close(fd)
