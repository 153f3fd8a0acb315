"""Sockets as the reactor reads them."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from flip.addresses.pace import Pace
from flip.addresses.sockets import LARGEST, Sock
from flip.log import Logger

_log = Logger()


@implementer(IReadDescriptor)
class Reader:
    """A socket that the reactor reads; whatever a datagram brings to light, it goes on."""

    def __init__(self, reactor: IReactorFDSet, sock: Sock) -> None:
        self._reactor = reactor
        self.sock = sock
        reactor.addReader(self)

    def fileno(self) -> int:
        return self.sock.fileno()

    def logPrefix(self) -> str:
        return "addresses"

    def doRead(self) -> None:
        """Read what is there."""
        maybeDeferred(self.read).addErrback(
            lambda failure: _log.failure("an error in reading what the kernel says", failure)
        )

    def read(self) -> None:
        """Read until nothing is left, or time is up."""
        raise NotImplementedError

    def connectionLost(self, reason: Failure) -> None:
        self.close()

    def close(self) -> None:
        """Read no more."""
        self._reactor.removeReader(self)
        self.sock.close()


class NetlinkReader(Reader):
    """Reads a netlink socket.

    :param received: is given each datagram of the kernel's, a view that is valid during the call.
    :param lost: is called when datagrams were lost.
    """

    def __init__(
        self,
        reactor: Any,
        sock: Sock,
        pace: Pace,
        received: Callable[[memoryview], None],
        lost: Callable[[], None],
    ) -> None:
        self._pace = pace
        self._received = received
        self._lost = lost
        self._buffer = memoryview(bytearray(LARGEST))
        super().__init__(reactor, sock)

    def read(self) -> None:
        """Read until nothing is left, or this turn has had its share; the reactor comes again."""
        while self._read_one() and not self._pace.exhausted:
            pass

    def drain(self) -> None:
        """Read until nothing is left."""
        while self._read_one():
            pass

    def _read_one(self) -> bool:
        try:
            size, sender = self.sock.recvfrom_into(self._buffer, LARGEST, socket.MSG_TRUNC)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            self._lost()
            return True
        if size > LARGEST:
            self._lost()
        elif sender[0] == 0:  # the kernel, not a process
            self._received(self._buffer[:size])
        return True
