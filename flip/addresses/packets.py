"""Ethernet frames on their way out, a few at a time, none lost on this host."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import Any

from twisted.internet.task import deferLater

from flip.addresses.pace import Pace
from flip.addresses.sockets import Sock
from flip.errors import AddressError

PAUSE = 0.005  # seconds until a full queue is tried again
LIMIT = 1.0  # seconds that one frame may wait for a place in it
FULL = {errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM}
GONE = {errno.ENETDOWN, errno.ENODEV, errno.ENXIO, errno.ENETUNREACH}

Frame = tuple[str, bytes]  # an interface, and what to send there


class Packets:
    """Sends frames."""

    def __init__(self, reactor: Any, pace: Pace) -> None:
        self._reactor = reactor
        self._pace = pace
        self._sock: Sock | None = None

    def open(self, sock: Sock) -> None:
        """Send with this socket."""
        self._sock = sock

    def close(self) -> None:
        """Send nothing more; what waits for its turn fails."""
        if self._sock:
            self._sock.close()
            self._sock = None

    async def send(self, frames: Iterable[Frame]) -> None:
        """Send, in order; frames for interfaces that are down or gone by now are left out.

        :raises AddressError: the kernel refuses, or its queue stays full.
        """
        for frame in frames:
            if self._pace.exhausted:
                await self._pace.turn()
            if not self._sent(frame):
                await self._send_later(frame)

    async def _send_later(self, frame: Frame) -> None:
        deadline = self._reactor.seconds() + LIMIT
        while True:
            await deferLater(self._reactor, PAUSE)
            if self._sent(frame):
                return
            if self._reactor.seconds() >= deadline:
                raise AddressError(
                    f"{frame[0]} has taken no packet for {LIMIT} s: its queue is full.",
                    errno.ENOBUFS,
                )

    def _sent(self, frame: Frame) -> bool:
        """Try to send; False: the queue is full."""
        interface, data = frame
        if self._sock is None:
            raise AddressError("No packets are sent: this node has not started, or is stopping.")
        try:
            self._sock.sendto(data, (interface, 0))
        except OSError as error:
            if error.errno in FULL:
                return False
            if error.errno not in GONE:
                raise AddressError(
                    f"It sends no packet on {interface}: {error.strerror}.", error.errno or 0
                ) from error
        return True
