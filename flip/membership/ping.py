"""ICMP echo on the reactor: `flip.membership.echo.Echo` for a real network."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from flip.errors import CannotPing
from flip.log import Logger
from flip.membership import icmp
from flip.membership.echo import Answered
from flip.membership.ping_socket import PingSocket, asked, open_ping_socket, reported

BURST = 64  # packets read before anything else gets its turn: a raw socket gets everybody's
LARGEST = 1024  # bytes; what is longer is no answer of ours

_log = Logger()


class Ping:
    """Pings over one socket per family, which is opened when it is first needed.

    :param reactor: an `IReactorFDSet`.
    :param opening: opens a socket; `open_ping_socket`, but for tests.
    """

    def __init__(
        self,
        reactor: Any,
        rng: random.Random,
        opening: Callable[[int], PingSocket] = open_ping_socket,
    ) -> None:
        self._reactor = reactor
        self._rng = rng
        self._opening = opening
        self._answered: Answered | None = None
        self._lines: dict[int, _Line] = {}
        self._asking: set[str] = set()
        self._troubles: dict[str, str] = {}  # per address, until it answers

    def start(self, answered: Answered) -> None:
        """Begin to listen; `answered` is called with the address and the nonce of each answer."""
        self._answered = answered

    def ask(self, address: str, nonce: int) -> None:
        """Send one echo request; what keeps it from being sent is told by `trouble`."""
        if self._answered is None:
            return
        self._asking.add(address)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            line = self._lines.get(family)
            if line is None:
                line = self._lines[family] = self._open(family)
            line.send(address, nonce)
        except CannotPing as error:
            self._note(address, str(error))
        except OSError as error:
            self._note(address, error.strerror or str(error))

    def stop(self) -> None:
        """Close the sockets; nothing is sent from now on."""
        self._answered = None
        lines, self._lines = list(self._lines.values()), {}
        for line in lines:
            line.close()

    @property
    def trouble(self) -> str | None:
        """Why no answer comes, per address, as far as it is known."""
        return "; ".join(f"{address}: {text}" for address, text in self._troubles.items()) or None

    def _open(self, family: int) -> _Line:
        line = _Line(self._reactor, self._rng, family, self._opening(family), self)
        self._reactor.addReader(line)
        return line

    def answered(self, address: str, nonce: int) -> None:
        """An answer has come in."""
        self._troubles.pop(address, None)
        if self._answered is not None:
            self._answered(address, nonce)

    def undelivered(self, address: str, text: str) -> None:
        """Somebody on the way reported that a ping did not arrive.

        It says why there is silence, to people; whether there is, silence itself says. Anybody
        could send such a report.
        """
        if address in self._asking:  # a raw socket gets reports on everybody's pings
            self._note(address, text)

    def _note(self, address: str, text: str) -> None:
        if self._troubles.get(address) != text:
            self._troubles[address] = text
            _log.warn("cannot ping {address}: {text}", address=address, text=text)


@implementer(IReadDescriptor)
class _Line:
    """One socket, on which the reactor waits."""

    def __init__(
        self, reactor: Any, rng: random.Random, family: int, opened: PingSocket, owner: Ping
    ) -> None:
        self._reactor = reactor
        self._socket = opened.socket
        self._raw = opened.raw
        self._family = family
        self._kind = icmp.V6 if family == socket.AF_INET6 else icmp.V4
        self._identifier = rng.getrandbits(16)  # of a ping socket the kernel has its own
        self._sequence = 0
        self._owner = owner
        self._closed = False

    def send(self, address: str, nonce: int) -> None:
        """:raises OSError: the kernel refuses."""
        packet = icmp.request(self._kind, self._identifier, self._sequence, nonce)
        self._sequence += 1
        self._socket.sendto(packet, (address, 0))

    def close(self) -> None:
        self._closed = True
        self._reactor.removeReader(self)
        self._socket.close()

    def fileno(self) -> int:
        """Where the reactor waits; -1 when closed."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """For the log."""
        return "ping"

    def doRead(self) -> None:
        """Read what is there, up to `BURST` packets."""
        maybeDeferred(self._read).addErrback(
            lambda failure: _log.failure("an error in receiving a ping's answer", failure)
        )

    def connectionLost(self, reason: Failure) -> None:
        """The reactor takes a report that waits in the error queue for the end: go on."""
        if self._closed:
            return
        self._read_reports()
        self._reactor.addReader(self)

    def _read(self) -> None:
        for _ in range(BURST):
            if self._closed:
                return
            try:
                packet, address = self._socket.recvfrom(LARGEST)
            except BlockingIOError:
                return
            except OSError:
                self._read_reports()
                return
            self._hear(packet, asked(address))

    def _read_reports(self) -> None:
        for address, text in reported(self._socket):
            self._owner.undelivered(address, text)

    def _hear(self, packet: bytes, address: str) -> None:
        if self._raw and self._family == socket.AF_INET:
            packet = icmp.without_ip_header(packet)
        reply = icmp.read_reply(self._kind, packet)
        # A ping socket gets its own answers only, under an identifier that the kernel chose.
        if reply is not None and (not self._raw or reply.identifier == self._identifier):
            self._owner.answered(address, reply.nonce)
