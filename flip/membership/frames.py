"""One message each way over TCP, cut into sealed frames.

A frame carries at most `CHUNK` bytes and is sealed on its own, so that a
stranger is found out at the first frame and never makes a node hold more than
one. The first byte of a frame's payload says whether more frames follow.
"""

from __future__ import annotations

import socket

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.protocols.basic import Int32StringReceiver
from twisted.python.failure import Failure

from flip.errors import MalformedPacket, SyncFailed, WireError
from flip.membership.port import mark
from flip.wire.messages import SyncMessage, decode_sync, encode
from flip.wire.seal import Channel, Seal

CHUNK = 60_000  # bytes
LARGEST = 16 * 1024 * 1024  # bytes of one message, from an authentic peer
TIME_LIMIT = 10.0  # seconds for one exchange, however much of it has come
LAST, MORE = b"\x00", b"\x01"


class SyncProtocol(Int32StringReceiver):
    """One connection: `message` fires with the authentic sender and what it said.

    `message` fails with a `WireError` when something else came in, with
    `SyncFailed` when the connection ended before the message did, and can be
    cancelled, which ends the connection. `ended` fires when it has ended. `peer`
    is the sender and its boot id once its first frame has proved authentic.
    """

    MAX_LENGTH = CHUNK + 1024
    transport: ITCPTransport | None

    def __init__(self, clock: IReactorTime, seal: Seal) -> None:
        self.message: Deferred[tuple[str, SyncMessage]] = Deferred(lambda _: self.abort())
        self.ended: Deferred[None] = Deferred()
        self._clock = clock
        self._seal = seal
        self.peer: tuple[str, int] | None = None
        self._payload = bytearray()

    def connectionMade(self) -> None:
        """Nobody may hold a connection open for longer than an exchange takes."""
        self._limit = self._clock.callLater(TIME_LIMIT, self._time_out)
        handle = getattr(self.transport, "getHandle", lambda: None)()
        if isinstance(handle, socket.socket):  # and not one of a simulated network
            mark(handle)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell whoever waits."""
        if self._limit.active():
            self._limit.cancel()
        self._fail(SyncFailed(f"({reason.getErrorMessage()})"))
        self.ended.callback(None)

    def lengthLimitExceeded(self, length: int) -> None:
        """Refuse a frame that is longer than any node sends."""
        self._refuse(MalformedPacket(f"(a TCP frame of {length} bytes)"))

    def stringReceived(self, string: bytes) -> None:
        """Authenticate one frame; the last one completes the message."""
        if self.message.called:
            return  # refused or complete: what else comes costs nothing
        try:
            message = self._take(string)
        except WireError as error:
            self._refuse(error)
        else:
            if message is not None and self.peer is not None:
                self.message.callback((self.peer[0], message))

    def _take(self, frame: bytes) -> SyncMessage | None:
        """Add a frame to the message, which is returned when it is complete."""
        opened = self._seal.unseal(frame, Channel.TCP)
        peer = opened.sender, opened.boot
        if self.peer not in (None, peer):
            raise MalformedPacket("(two senders on one connection)")
        self.peer = peer
        more, chunk = opened.payload[:1], opened.payload[1:]
        if more not in (LAST, MORE):
            raise MalformedPacket("(a TCP frame that is neither the last nor one of more)")
        self._payload += chunk
        if len(self._payload) > LARGEST:
            raise MalformedPacket(f"(a message over {LARGEST} bytes)")
        return decode_sync(self._payload) if more == LAST else None

    def send(self, message: SyncMessage) -> None:
        """Send one message, in as many frames as it takes."""
        payload = encode(message)
        for at in range(0, len(payload), CHUNK):
            last = at + CHUNK >= len(payload)
            chunk = (LAST if last else MORE) + payload[at : at + CHUNK]
            frame = self._seal.seal(chunk, Channel.TCP)
            self.sendString(frame)

    def close(self) -> None:
        """End the connection when all that was sent has left."""
        if self.transport is not None:
            self.transport.loseConnection()

    def abort(self) -> None:
        """End the connection now."""
        if self.transport is not None:
            self.transport.abortConnection()

    def _time_out(self) -> None:
        self._fail(SyncFailed(f"(no whole message within {TIME_LIMIT:.0f} s)"))
        self.abort()

    def _refuse(self, error: WireError) -> None:
        self._fail(error)
        self.abort()

    def _fail(self, error: Exception) -> None:
        if not self.message.called:
            self.message.errback(error)
