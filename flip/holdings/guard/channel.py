"""The guard's end of its connection to the daemon. Nothing here ever waits for the other end."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable

from flip.holdings.guard.messages import Report, Said, encode

CHUNK = 1 << 18  # bytes per read
KEPT = 1 << 20  # bytes for a daemon that does not read, beyond which hooks' output is dropped


class Channel:
    """Orders come in, reports go out.

    :param received: called with each order, a line.
    :param lost: called once, when the daemon has closed its end or died.
    """

    def __init__(
        self,
        connection: socket.socket,
        selector: selectors.BaseSelector,
        received: Callable[[bytes], None],
        lost: Callable[[], None],
    ) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._selector = selector
        self._received = received
        self._lost = lost
        self._unread = bytearray()
        self._unsent = bytearray()
        self.open = True
        selector.register(connection, selectors.EVENT_READ, self._ready)

    def send(self, report: Report) -> None:
        """Say something, or remember it until the daemon listens again."""
        if not self.open or (isinstance(report, Said) and len(self._unsent) > KEPT):
            return
        idle = not self._unsent
        self._unsent += encode(report) + b"\n"
        if idle:
            self._write()

    def close(self) -> None:
        """Have nothing more to do with the daemon; it sees the end of the connection."""
        if self.open:
            self.open = False
            self._selector.unregister(self._connection)
            self._connection.close()
            self._lost()

    def _ready(self) -> None:
        self._write()
        if self.open:
            self._read()

    def _read(self) -> None:
        # All that is there: an order must not be followed when the end of the daemon
        # that gave it waits behind it.
        while self.open and self._read_some():
            pass

    def _read_some(self) -> bool:
        try:
            data = self._connection.recv(CHUNK)
        except (BlockingIOError, InterruptedError):
            return False
        except ConnectionError:
            data = b""
        if not data:
            self.close()
            return False
        self._take(data)
        return True

    def _take(self, data: bytes) -> None:
        *lines, rest = (self._unread + data).split(b"\n") if b"\n" in data else (data,)
        if not lines:
            self._unread += rest
            return
        self._unread = bytearray(rest)
        for line in lines:
            self._received(bytes(line))

    def _write(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._connection.send(self._unsent)]
        except (BlockingIOError, InterruptedError):
            pass
        except ConnectionError:
            self._unsent.clear()  # what it still sent has to be read; then comes the end
        if self.open:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
            self._selector.modify(self._connection, events, self._ready)
