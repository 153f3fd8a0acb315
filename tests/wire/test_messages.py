"""Tests for `flip.wire.messages`."""

from __future__ import annotations

from typing import Any

import msgspec
from hamcrest import assert_that, calling, equal_to, instance_of, raises
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.errors import MalformedPacket
from flip.wire.messages import (
    INCARNATIONS,
    LONGEST_LEASE,
    Ack,
    ClaimNumber,
    Datagram,
    Gossip,
    GrantAnswer,
    GrantQuery,
    GrantRelease,
    GrantRequest,
    Nack,
    Ping,
    PingReq,
    Record,
    Status,
    SyncMessage,
    SyncRequest,
    SyncResponse,
    Update,
    decode_datagram,
    decode_sync,
    encode,
)
from tests.wire.samples import datagrams, nonsense, sync_messages

pack = msgspec.msgpack.encode
unpack = msgspec.msgpack.decode

BARE_RECORD = ["a", 5, 6, 1, 4, 3, b"config"]


class CodecTests(SynchronousTestCase):
    """Messages to bytes and back."""

    @settings(deadline=None)
    @given(datagrams)
    def test_datagrams(self, message: Datagram) -> None:
        """Every message of UDP comes back as it was."""
        assert_that(decode_datagram(encode(message)), equal_to(message))

    @settings(deadline=None)
    @given(sync_messages)
    def test_sync_messages(self, message: SyncMessage) -> None:
        """So does every message of TCP."""
        assert_that(decode_sync(encode(message)), equal_to(message))

    def test_as_written_down(self) -> None:
        """The arrays are those of docs/protocol.md."""
        record = Record("a", 5, 6, Status.ACTIVE, 4, 3, b"config", 2, b"hash", ("ip",), 1, b"\4")
        update = Update("a", record, b"claims", 5, ("b",))
        raw_record = ["a", 5, 6, 1, 4, 3, b"config", 2, b"hash", ["ip"], 1, b"\4"]
        raw = [["a", raw_record, b"claims", 5, ["b"]]]
        points = (("x", ClaimNumber(7, 2)),)
        for message, expected in (
            (Ping(5, 9, 8, (update,)), [1, 5, 9, 8, raw]),
            (Ack(5, 9, 8, "b", 7, (update,)), [2, 5, 9, 8, "b", 7, raw]),
            (PingReq(5, 9, 8, "b", (update,)), [3, 5, 9, 8, "b", raw]),
            (Nack(5, 9, 8, (update,)), [4, 5, 9, 8, raw]),
            (Gossip(5, 9, (update,)), [5, 5, 9, raw]),
            (
                GrantRequest(5, 9, 8, "ip", b"hash", 5000, points, (update,)),
                [8, 5, 9, 8, "ip", b"hash", 5000, [["x", [7, 2]]], raw],
            ),
            (
                GrantAnswer(5, 9, 8, "ip", points, (("y", ClaimNumber(7, 3)),), (update,)),
                [9, 5, 9, 8, "ip", [["x", [7, 2]]], [["y", [7, 3]]], raw],
            ),
            (GrantRelease(5, 9, "ip", points, (update,)), [10, 5, 9, "ip", [["x", [7, 2]]], raw]),
            (GrantQuery(5, 9, "ip", points, (update,)), [11, 5, 9, "ip", [["x", [7, 2]]], raw]),
            (SyncRequest(5, 8, (update,), (b"list",)), [6, 5, 8, raw, [b"list"]]),
            (SyncResponse(5, 8, (update,), {b"list": ("x",)}), [7, 5, 8, raw, {b"list": ["x"]}]),
        ):
            assert_that(unpack(encode(message)), equal_to(expected))

    def test_channels(self) -> None:
        """A message of TCP is none of UDP, and the other way round."""
        assert_that(
            calling(decode_datagram).with_args(encode(SyncRequest(1, 1))), raises(MalformedPacket)
        )
        assert_that(calling(decode_sync).with_args(encode(Ping(1, 1, 1))), raises(MalformedPacket))


class RollingUpgradeTests(SynchronousTestCase):
    """Nodes of the version before and of the version after."""

    @settings(deadline=None)
    @given(datagrams, st.lists(nonsense, min_size=1, max_size=3))
    def test_newer_datagrams(self, message: Datagram, more: list[Any]) -> None:
        """Fields that a newer node adds at the end of a message are ignored."""
        assert_that(decode_datagram(pack([*unpack(encode(message)), *more])), equal_to(message))

    @settings(deadline=None)
    @given(sync_messages, st.lists(nonsense, min_size=1, max_size=3))
    def test_newer_sync_messages(self, message: SyncMessage, more: list[Any]) -> None:
        """On TCP too."""
        assert_that(decode_sync(pack([*unpack(encode(message)), *more])), equal_to(message))

    def test_newer_records(self) -> None:
        """So are those at the end of an update and of a record."""
        record = [*BARE_RECORD, 0, b"", [], 2, b"", {"new": "field"}]
        update = ["a", record, None, 0, [], b"new", ["field"]]
        message = decode_datagram(pack([5, 5, 9, [update], "new field"]))
        expected = Record("a", 5, 6, Status.ACTIVE, 4, 3, b"config", protocol=2)
        assert_that(message, equal_to(Gossip(5, 9, (Update("a", expected),))))

    def test_older_messages(self) -> None:
        """Fields that an older node does not send yet have their defaults."""
        for raw, expected in (
            ([1, 5, 9, 8], Ping(5, 9, 8, ())),
            ([2, 5, 9, 8, "b", 7], Ack(5, 9, 8, "b", 7, ())),
            ([3, 5, 9, 8, "b"], PingReq(5, 9, 8, "b", ())),
            ([4, 5, 9, 8], Nack(5, 9, 8, ())),
            ([5, 5, 9], Gossip(5, 9, ())),
        ):
            assert_that(decode_datagram(pack(raw)), equal_to(expected))
        assert_that(decode_sync(pack([6, 5, 8])), equal_to(SyncRequest(5, 8, (), ())))
        assert_that(decode_sync(pack([7, 5, 8])), equal_to(SyncResponse(5, 8, (), {})))

    def test_older_records(self) -> None:
        """So have those of an update and of a record; who names no protocol speaks the first."""
        message = decode_datagram(pack([5, 5, 9, [["a", BARE_RECORD], ["b"]]]))
        record = Record("a", 5, 6, Status.ACTIVE, 4, 3, b"config", 0, b"", (), 1)
        assert_that(
            message.updates,
            equal_to((Update("a", record, None, 0, ()), Update("b", None, None, 0, ()))),
        )


class DigestTests(SynchronousTestCase):
    """What the digests of two versions have in common."""

    def test_first_fields(self) -> None:
        """A digest covers the eleven fields of version 1, and none that is added later."""
        record = Record("a", 5, 6, Status.ACTIVE, 4, 3, b"config", 2, b"hash", ("ip",), 1)
        raw = ["a", 5, 6, 1, 4, 3, b"config", 2, b"hash", ["ip"], 1]
        assert_that(unpack(encode(record.first_fields)), equal_to(raw))


class NonsenseTests(SynchronousTestCase):
    """What is authentic may still be nonsense: it raises `MalformedPacket` and nothing else."""

    def decode(self, payload: bytes) -> None:
        """Decode as either kind of message."""
        for decode in (decode_datagram, decode_sync):
            try:
                message = decode(payload)
            except MalformedPacket:
                continue
            assert_that(message, instance_of(msgspec.Struct))

    def refused(self, payload: bytes) -> None:
        """Both decoders refuse a payload."""
        for decode in (decode_datagram, decode_sync):
            assert_that(calling(decode).with_args(payload), raises(MalformedPacket))

    @settings(deadline=None, max_examples=200)
    @given(st.binary(max_size=60))
    def test_bytes(self, payload: bytes) -> None:
        """Random bytes."""
        self.decode(payload)

    @settings(deadline=None, max_examples=200)
    @given(st.integers(0, 12), st.lists(nonsense, max_size=9))
    def test_values(self, tag: int, fields: list[Any]) -> None:
        """Random values under every tag."""
        self.decode(pack([tag, *fields]))

    @settings(deadline=None, max_examples=200)
    @given(datagrams | sync_messages, st.data())
    def test_mutations(self, message: Any, data: st.DataObject) -> None:
        """True messages with any byte changed, or cut off anywhere."""
        payload = bytearray(encode(message))
        at = data.draw(st.integers(0, len(payload) - 1))
        payload[at] = data.draw(st.integers(0, 255))
        self.decode(bytes(payload))
        self.decode(bytes(payload[:at]))

    def test_broken_text(self) -> None:
        """A name that is not UTF-8."""
        self.refused(pack([3, 1, 1, 1, "@", []]).replace(b"@", b"\xff"))
        self.refused(pack([6, 1, 1, [["@"]], []]).replace(b"@", b"\xff"))

    def test_nesting(self) -> None:
        """A field nested too deep to walk, where fields are ignored."""
        for opening in (b"\x91", b"\x81\xa1a"):
            self.refused(b"\x96\x01\x01\x01\x01\x90" + opening * 100_000)

    def test_lengths(self) -> None:
        """Lengths that promise more than there is cost no memory."""
        self.refused(b"\x95\x01\x01\x01\x01\xdd\xff\xff\xff\xff")
        self.refused(b"\x95\x07\x01\x01\x90\xdf\xff\xff\xff\xff")
        self.refused(b"\x96\x03\x01\x01\x01\xdb\xff\xff\xff\xff\x90")

    def test_bounds(self) -> None:
        """Incarnations are counted from 0 to a bound, names and digests are short."""
        decode_datagram(pack([5, INCARNATIONS - 1, 0, [["a", None, None, INCARNATIONS - 1]]]))
        for incarnation in (-1, INCARNATIONS, 2**64 - 1):
            self.refused(pack([5, incarnation, 0]))
            self.refused(pack([5, 0, 0, [["a", None, None, incarnation]]]))
            self.refused(pack([5, 0, 0, [["a", ["a", incarnation, *BARE_RECORD[2:]]]]]))
        for name in ("x" * 256, "ü" * 256):
            self.refused(pack([5, 0, 0, [[name]]]))
            self.refused(pack([5, 0, 0, [["a", None, None, 0, [name]]]]))
        self.refused(pack([5, 0, 0, [["a", [*BARE_RECORD[:6], bytes(65)]]]]))
        self.refused(pack([5, 0, 0, [["a", [*BARE_RECORD, 0, bytes(65)]]]]))

    def test_grants(self) -> None:
        """Numbers, leases, data and hashes of messages about grants have bounds, too."""
        request = [8, 0, 0, 0, "ip", b"hash", 5000, [["x", [7, 2]]]]
        decode_datagram(pack(request))
        decode_datagram(pack([*request[:6], LONGEST_LEASE, [["x" * 256, [0, 0]]]]))
        wrong_values: dict[int, list[Any]] = {
            4: ["x" * 256, 7],
            5: [bytes(65), "hash"],
            6: [0, -1, LONGEST_LEASE + 1, 1.5],
            7: [
                [["x" * 257, [7, 2]]],
                [["x", [7]]],
                [["x", [-1, 2]]],
                [["x", [7, -1]]],
                [["x", [INCARNATIONS, 2]]],
                [["x", [7, INCARNATIONS]]],
                [["x", 7]],
                [["x"]],
                None,
            ],
        }
        for place, values in wrong_values.items():
            for value in values:
                wrong = [*request[:place], value, *request[place + 1 :]]
                self.refused(pack(wrong))
                if place == 7:
                    self.refused(pack([9, 0, 0, 0, "ip", value]))
                    self.refused(pack([9, 0, 0, 0, "ip", [], value]))
                    self.refused(pack([10, 0, 0, "ip", value]))
                    self.refused(pack([11, 0, 0, "ip", value]))

    def test_status(self) -> None:
        """A status that there is not."""
        self.refused(pack([5, 0, 0, [["a", [*BARE_RECORD[:3], 4, *BARE_RECORD[4:]]]]]))
