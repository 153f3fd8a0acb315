"""Tests for `flip.membership.frames`."""

from __future__ import annotations

import socket
import struct

from hamcrest import (
    assert_that,
    contains_string,
    empty,
    equal_to,
    has_length,
    less_than,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from flip.errors import (
    MalformedPacket,
    ReplayedPacket,
    SyncFailed,
    UnauthenticPacket,
    UnknownProtocolVersion,
    UnknownSender,
)
from flip.membership import frames
from flip.membership.frames import CHUNK, LAST, MORE, TIME_LIMIT, SyncProtocol
from flip.membership.port import CS6
from flip.wire.messages import Ping, SyncMessage, SyncRequest, SyncResponse, Update, encode
from flip.wire.seal import Channel, Opened, Seal
from tests.wire.samples import sync_messages

MEMBERS = ("a", "b", "c")
KEY = bytes(32)


def seal(sender: str, boot: int = 1, key: bytes = KEY) -> Seal:
    """The seal of a member."""
    return Seal((key,), sender, boot, MEMBERS)


def framed(packet: bytes) -> bytes:
    """A packet as TCP carries it."""
    return struct.pack(">I", len(packet)) + packet


def large(size: int) -> SyncResponse:
    """A message of about as many bytes."""
    return SyncResponse(1, 2, (Update("b", claims=bytes(size)),))


class Wire(StringTransport):
    """A transport in memory that tells its protocol when it is gone."""

    aborting = False
    protocol: Protocol | None = None

    def abortConnection(self) -> None:
        self.aborting = True
        self.lose()

    def lose(self, reason: Exception | None = None) -> None:
        """The connection ends."""
        protocol, self.protocol = self.protocol, None
        if protocol is not None:
            protocol.connectionLost(Failure(reason or ConnectionDone()))


class SyncProtocolTests(SynchronousTestCase):
    """One connection, to node a from member b."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.addCleanup(lambda: assert_that(self.clock.getDelayedCalls(), empty()))
        self.protocol, self.transport = self.connect(seal("a"))
        self.b = seal("b")

    def connect(self, seal: Seal) -> tuple[SyncProtocol, Wire]:
        protocol, wire = SyncProtocol(self.clock, seal), Wire()
        wire.protocol = protocol
        protocol.makeConnection(wire)
        self.addCleanup(self.end, protocol, wire)
        return protocol, wire

    def end(self, protocol: SyncProtocol, wire: Wire) -> None:
        """The connection ends, if it has not yet."""
        protocol.message.addErrback(lambda _: None)
        wire.lose()

    def test_marked(self) -> None:
        """A connection over a real socket is marked as network control, as datagrams are."""
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as real:
            wire = Wire()
            wire.getHandle = lambda: real  # type: ignore[attr-defined]
            protocol = SyncProtocol(self.clock, seal("a"))
            protocol.makeConnection(wire)
            assert_that(real.getsockopt(socket.IPPROTO_IP, socket.IP_TOS), equal_to(CS6))
            self.end(protocol, wire)
            protocol.connectionLost()

    def frame(self, chunk: bytes, more: bytes = LAST, by: Seal | None = None) -> bytes:
        """One frame of a message."""
        return framed((by or self.b).seal(more + chunk, Channel.TCP))

    def refused(self, error: type[Exception], words: str = "") -> None:
        """The message failed with this error, and the connection was aborted."""
        failure = self.failureResultOf(self.protocol.message, error)
        assert_that(str(failure.value), contains_string(words))
        assert_that(self.transport.aborting, equal_to(True))

    @settings(deadline=None, max_examples=40)
    @given(sync_messages, st.integers(1, 50))
    def test_round_trip(self, message: SyncMessage, step: int) -> None:
        """What one end sends the other receives, in however small pieces."""
        sender, wire = self.connect(seal("b", 2))
        receiver, other = self.connect(seal("a"))
        sender.send(message)
        sent = wire.value()
        for at in range(0, len(sent), step):
            receiver.dataReceived(sent[at : at + step])
        assert_that(self.successResultOf(receiver.message), equal_to(("b", message)))
        assert_that(receiver.peer, equal_to(("b", 2)))
        self.end(sender, wire)
        self.end(receiver, other)

    def test_many_frames(self) -> None:
        """A message of any size travels in frames of bounded size."""
        for size in (CHUNK - 100, CHUNK, 3 * CHUNK + 1):
            sender, wire = self.connect(seal("b", size))
            receiver, _ = self.connect(seal("a"))
            sender.send(large(size))
            (first,) = struct.unpack(">I", wire.value()[:4])
            assert_that(first, less_than(SyncProtocol.MAX_LENGTH))
            receiver.dataReceived(wire.value())
            assert_that(self.successResultOf(receiver.message), equal_to(("b", large(size))))

    def test_exactly_one_frame(self) -> None:
        """A message that fills its frame is the last one."""
        message = large(CHUNK - (len(encode(large(CHUNK))) - CHUNK))
        assert_that(encode(message), has_length(CHUNK))
        sender, wire = self.connect(self.b)
        sender.send(message)
        self.protocol.dataReceived(wire.value())
        assert_that(self.successResultOf(self.protocol.message), equal_to(("b", message)))

    def test_slow(self) -> None:
        """Who does not finish in time is cut off, however much of it has come."""
        for _ in range(int(TIME_LIMIT) - 1):
            self.clock.advance(1)
            self.protocol.dataReceived(self.frame(b"x", MORE))
        self.assertNoResult(self.protocol.message)
        self.clock.advance(1)
        self.refused(SyncFailed, "no whole message within 10 s")

    def test_too_long_a_frame(self) -> None:
        """A frame longer than any node sends is refused before it has come."""
        self.protocol.dataReceived(struct.pack(">I", SyncProtocol.MAX_LENGTH + 1))
        self.refused(MalformedPacket, "TCP frame of 61025 bytes")

    def test_too_long_a_message(self) -> None:
        """A message is bounded, even from a member."""
        self.patch(frames, "LARGEST", 2 * CHUNK)
        for _ in range(2):
            self.protocol.dataReceived(self.frame(bytes(CHUNK), MORE))
        self.assertNoResult(self.protocol.message)
        self.protocol.dataReceived(self.frame(b"x", MORE))
        self.refused(MalformedPacket, "over 120000 bytes")

    def test_lost_in_the_middle(self) -> None:
        """A connection that ends before its message does is a failed exchange."""
        self.protocol.dataReceived(self.frame(b"x", MORE))
        self.transport.lose()
        failure = self.failureResultOf(self.protocol.message, SyncFailed)
        assert_that(str(failure.value), contains_string("closed cleanly"))
        self.successResultOf(self.protocol.ended)

    def test_two_senders(self) -> None:
        """A message has one sender, and one life of it."""
        for other in (seal("c"), seal("b", 9)):
            self.protocol, self.transport = self.connect(seal("a"))
            self.protocol.dataReceived(self.frame(b"x", MORE))
            self.protocol.dataReceived(self.frame(b"x", by=other))
            self.refused(MalformedPacket, "two senders")

    def test_strangers(self) -> None:
        """A stranger is found out at the first frame."""
        for frame, error in (
            (framed(b""), MalformedPacket),
            (framed(b"GET / HTTP/1.1"), UnknownProtocolVersion),
            (framed(b"\x01\x01"), MalformedPacket),
            (framed(b"\x01\x01\x01xGET / HTTP/1.1" + bytes(40)), UnknownSender),
            (self.frame(b"", by=seal("b", 3, bytes([1]) * 32)), UnauthenticPacket),
            (framed(self.b.seal(LAST, Channel.UDP)), MalformedPacket),
        ):
            self.protocol, self.transport = self.connect(seal("a"))
            self.protocol.dataReceived(frame)
            self.refused(error)
            assert_that(self.protocol.peer, equal_to(None))

    def test_http(self) -> None:
        """So is a browser: its first four bytes are no length."""
        self.protocol.dataReceived(b"GET / HTTP/1.1\r\n")
        self.refused(MalformedPacket, "TCP frame of 1195725856 bytes")

    def test_replayed(self) -> None:
        """A frame that was received before, on whatever connection."""
        frame = self.frame(encode(SyncRequest(1, 2)))
        node = seal("a")
        first, _ = self.connect(node)
        first.dataReceived(frame)
        self.successResultOf(first.message)
        self.protocol, self.transport = self.connect(node)
        self.protocol.dataReceived(frame)
        self.refused(ReplayedPacket)

    def test_nonsense(self) -> None:
        """Authentic frames with no message inside."""
        for chunk in (b"", b"\xc1", encode(Ping(1, 1, 1)), bytes(1000)):
            self.protocol, self.transport = self.connect(seal("a"))
            self.protocol.dataReceived(self.frame(chunk))
            self.refused(MalformedPacket)

    def test_unknown_flag(self) -> None:
        """A frame that is neither the last nor one of more."""
        self.protocol.dataReceived(self.frame(b"x", b"\x02"))
        self.refused(MalformedPacket, "neither")

    def test_nothing_after_the_end(self) -> None:
        """What comes after a refusal or a whole message is not even opened."""
        opened: list[bytes] = []
        node = seal("a")
        unseal = node.unseal

        def observed(packet: bytes, channel: Channel) -> Opened:
            opened.append(packet)
            return unseal(packet, channel)

        self.patch(node, "unseal", observed)
        for first in (framed(b"x"), self.frame(encode(SyncRequest(1, 2)))):
            self.protocol, self.transport = self.connect(node)
            opened.clear()
            self.protocol.dataReceived(first + framed(b"x") * 1000)
            assert_that(opened, has_length(1))

    def test_cancelled(self) -> None:
        """Cancelling the message ends the connection."""
        self.transport.protocol = None  # a real one tells of its end in a later turn
        self.protocol.message.cancel()
        assert_that(self.transport.aborting, equal_to(True))
        self.protocol.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(self.protocol.message, CancelledError)

    @settings(deadline=None, max_examples=60)
    @given(st.binary(max_size=300))
    def test_random_bytes(self, data: bytes) -> None:
        """Random bytes never raise, and never make a message."""
        protocol, wire = self.connect(seal("a"))
        protocol.dataReceived(data)
        assert_that(protocol.peer, equal_to(None))
        self.end(protocol, wire)

    def test_at_most_one_frame_of_a_stranger(self) -> None:
        """What a stranger can make a node hold is one frame."""
        self.protocol.dataReceived(struct.pack(">I", SyncProtocol.MAX_LENGTH))
        for _ in range(SyncProtocol.MAX_LENGTH // 1000):
            self.protocol.dataReceived(bytes(1000))
        self.assertNoResult(self.protocol.message)
        self.protocol.dataReceived(bytes(1000))
        self.refused(UnknownProtocolVersion)
