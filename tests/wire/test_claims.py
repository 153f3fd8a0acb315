"""Tests for `flip.wire.claims`."""

from __future__ import annotations

import random
from typing import Any

import msgspec
from hamcrest import (
    assert_that,
    calling,
    empty,
    equal_to,
    has_length,
    less_than,
    raises,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.errors import MalformedPacket
from flip.wire.claims import (
    Phase,
    UnreadableClaims,
    claims_hash,
    data_digest,
    decode_claims,
    encode_claims,
    list_digests,
)
from tests.wire.samples import nonsense

pack = msgspec.msgpack.encode

DATA = {"ip": tuple(f"10.0.0.{n}" for n in range(20)), "none": ()}
LISTS = {data_digest(points): points for points in DATA.values()}

Claims = dict[str, dict[str, Phase]]

phases = st.sampled_from(Phase)
claimed = st.dictionaries(
    st.sampled_from(["ip", "none", "former"]),
    st.dictionaries(st.sampled_from(DATA["ip"]) | st.text(max_size=5), phases, max_size=30),
)


def body(*, digest: bytes = data_digest(DATA["ip"]), bits: Any = None, names: Any = None) -> bytes:
    """A handmade body about the system ip."""
    return pack({"ip": [digest, bits or {}, names or {}]})


class ClaimsTests(SynchronousTestCase):
    """Claims to bytes and back."""

    @settings(deadline=None)
    @given(claimed)
    def test_round_trip(self, claims: Claims) -> None:
        """What a member claims is what the others read, of data configured or not."""
        read = decode_claims(encode_claims(claims, DATA), LISTS)
        assert_that(read, equal_to({system: of for system, of in claims.items() if of}))

    @settings(deadline=None)
    @given(claimed, st.integers(0))
    def test_equal_claims_are_equal_bytes(self, claims: Claims, seed: int) -> None:
        """However they came about."""
        rng = random.Random(seed)

        def shuffled(mapping: dict[str, Any]) -> dict[str, Any]:
            items = list(mapping.items())
            rng.shuffle(items)
            return dict(items)

        same = shuffled({system: shuffled(of) for system, of in claims.items()})
        assert_that(encode_claims(same, DATA), equal_to(encode_claims(claims, DATA)))

    @settings(deadline=None)
    @given(claimed, claimed)
    def test_other_claims_are_other_bytes(self, one: Claims, other: Claims) -> None:
        """And equal bytes are equal claims."""
        known = [{system: of for system, of in claims.items() if of} for claims in (one, other)]
        same = encode_claims(one, DATA) == encode_claims(other, DATA)
        assert_that(same, equal_to(known[0] == known[1]))

    def test_nothing(self) -> None:
        """No claims are no bytes, and no bytes have no hash."""
        none: tuple[Claims, ...] = ({}, {"ip": {}})
        for claims in none:
            assert_that(encode_claims(claims, DATA), equal_to(b""))
        assert_that(decode_claims(b"", {}), equal_to({}))
        assert_that([claims_hash(b""), list_digests(b"")], equal_to([b"", frozenset()]))

    def test_as_written_down(self) -> None:
        """The bytes are those of docs/protocol.md."""
        claims = {
            "ip": {"10.0.0.0": Phase.HELD, "10.0.0.9": Phase.HELD, "10.0.0.1": Phase.TAKING},
            "former": {"b": Phase.UNSURE, "a": Phase.UNSURE},
        }
        expected = {
            "former": [data_digest(()), {}, {4: ["a", "b"]}],
            "ip": [data_digest(DATA["ip"]), {1: b"\x02", 2: b"\x01\x02"}, {}],
        }
        encoded = encode_claims(claims, DATA)
        assert_that(msgspec.msgpack.decode(encoded, strict=False), equal_to(expected))
        assert_that(data_digest(["a", "b"]).hex(), equal_to("4241de65c695735d"))
        assert_that(claims_hash(b"body").hex(), equal_to("230d8358dc8e8890"))

    def test_size(self) -> None:
        """A hundred of ten thousand data points fit into a datagram."""
        points = tuple(f"192.168.{n >> 8}.{n & 255}" for n in range(10_000))
        claims = {"ip": {points[n * 64]: Phase.HELD for n in range(100)}}
        assert_that(encode_claims(claims, {"ip": points}), has_length(less_than(1000)))

    def test_unknown_list(self) -> None:
        """Claims over a list that is not known cannot be read, and say which it takes."""
        encoded = encode_claims({"ip": {"10.0.0.1": Phase.HELD}}, DATA)
        with self.assertRaises(UnreadableClaims) as caught:
            decode_claims(encoded, {})
        digest = data_digest(DATA["ip"])
        assert_that(caught.exception.missing, equal_to((digest,)))
        assert_that(list_digests(encoded), equal_to({digest}))

    def test_names_need_no_list(self) -> None:
        """Data points of an older configuration are named, and read without any list."""
        encoded = encode_claims({"former": {"x": Phase.RELEASING}}, DATA)
        assert_that(list_digests(encoded), empty())
        assert_that(decode_claims(encoded, {}), equal_to({"former": {"x": Phase.RELEASING}}))


class NonsenseTests(SynchronousTestCase):
    """A body that no `encode_claims` made is a `MalformedPacket` and nothing else."""

    def refused(self, encoded: bytes) -> None:
        """The body cannot be decoded."""
        assert_that(calling(decode_claims).with_args(encoded, LISTS), raises(MalformedPacket))

    @settings(deadline=None, max_examples=200)
    @given(st.binary(max_size=40) | nonsense.map(pack))
    def test_random(self, encoded: bytes) -> None:
        """Random bytes and random values."""
        for decode in (lambda: decode_claims(encoded, LISTS), lambda: list_digests(encoded)):
            try:
                decode()
            except (MalformedPacket, UnreadableClaims) as error:
                assert_that(str(error).isprintable())

    def test_bits_beyond_the_list(self) -> None:
        """A bit for a data point that there is not, in however large a bitmap."""
        self.refused(body(bits={2: b"\0\0\x10"}))
        self.refused(body(bits={2: bytes(1_000_000) + b"\x01"}))
        self.refused(body(bits={2: b"\xff" * 1_000_000}))

    def test_claimed_twice(self) -> None:
        """One data point in two phases, or named twice."""
        self.refused(body(bits={1: b"\x01", 2: b"\x01"}))
        self.refused(body(bits={2: b"\x01"}, names={2: ["10.0.0.0"]}))
        self.refused(body(names={2: ["x", "x"]}))

    def test_unknown_phase(self) -> None:
        """A phase that there is not."""
        self.refused(body(bits={5: b"\x01"}))

    def test_broken_text(self) -> None:
        """A name that is not UTF-8."""
        self.refused(body(names={2: ["@"]}).replace(b"@", b"\xff"))

    def test_reports_are_short_and_plain(self) -> None:
        """What a member wrote is not printed as it is."""
        for encoded in (
            body(names={2: ["\x1b\n" * 5000] * 2}),
            pack({"\x1b\n" * 5000: [data_digest(DATA["ip"]), {2: b"\xff" * 9}, {}]}),
        ):
            with self.assertRaises(MalformedPacket) as caught:
                decode_claims(encoded, LISTS)
            assert_that(str(caught.exception).isprintable())
            assert_that(len(str(caught.exception)), less_than(500))
