"""Tests for `flip.wire.seal`."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hamcrest import (
    assert_that,
    calling,
    contains_string,
    equal_to,
    has_length,
    less_than_or_equal_to,
    not_,
    raises,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.errors import (
    MalformedPacket,
    ReplayedPacket,
    UnauthenticPacket,
    UnknownProtocolVersion,
    UnknownSender,
    WireError,
)
from flip.wire.seal import LIVES, PROTOCOL_VERSION, Channel, Opened, Seal, derive, stretch

OLD, NEW, OTHER = bytes(32), bytes([1]) * 32, bytes([2]) * 32
MEMBERS = ("a", "b", "ü")


def seal(sender: str = "a", boot: int = 1, *keys: bytes) -> Seal:
    """The seal of one life of one member."""
    return Seal(keys or (OLD,), sender, boot, MEMBERS)


class SealTests(SynchronousTestCase):
    """Packets between two members."""

    def setUp(self) -> None:
        self.a = seal("a", 1)
        self.b = seal("b", 2)

    def refused(self, packet: bytes, error: type[WireError], *, by: Seal | None = None) -> None:
        """`packet` is refused with exactly this error."""
        try:
            (by or self.b).unseal(packet, Channel.UDP)
        except WireError as refusal:
            assert_that(type(refusal), equal_to(error), str(refusal))
        else:
            self.fail(f"{packet!r} was opened")

    @settings(deadline=None)
    @given(st.binary(max_size=200), st.sampled_from(Channel), st.integers(0, 2**64 - 1))
    def test_round_trip(self, payload: bytes, channel: Channel, boot: int) -> None:
        """What one seals another opens, and learns from whom and of which life it is."""
        packet = seal("ü", boot).seal(payload, channel)
        opened = seal("b", 2).unseal(packet, channel)
        assert_that(opened, equal_to(Opened("ü", boot, payload)))

    def test_overhead(self) -> None:
        """`overhead` is what a seal adds to a payload."""
        sealed = seal("ü", 3)
        assert_that(sealed.seal(b"four", Channel.UDP), has_length(4 + sealed.overhead))

    @settings(deadline=None)
    @given(st.data())
    def test_tampered(self, data: st.DataObject) -> None:
        """A packet with any one byte changed is refused."""
        packet = bytearray(self.a.seal(b"the payload", Channel.UDP))
        at = data.draw(st.integers(0, len(packet) - 1))
        packet[at] ^= data.draw(st.integers(1, 255))
        assert_that(calling(self.b.unseal).with_args(bytes(packet), Channel.UDP), raises(WireError))

    def test_truncated(self) -> None:
        """A packet cut off after any byte is refused, and so is one with a byte too many."""
        packet = self.a.seal(b"the payload", Channel.UDP)
        for end in range(len(packet)):
            assert_that(
                calling(self.b.unseal).with_args(packet[:end], Channel.UDP), raises(WireError)
            )
        self.refused(packet + b"\0", UnauthenticPacket)
        self.b.unseal(packet, Channel.UDP)

    @settings(deadline=None)
    @given(st.binary(max_size=80))
    def test_random_bytes(self, packet: bytes) -> None:
        """Nothing but a packet is one."""
        assert_that(calling(self.b.unseal).with_args(packet, Channel.UDP), raises(WireError))

    def test_other_channel(self) -> None:
        """A packet for UDP is refused on TCP, and its counter is still good on UDP."""
        packet = self.a.seal(b"", Channel.UDP)
        assert_that(calling(self.b.unseal).with_args(packet, Channel.TCP), raises(MalformedPacket))
        self.b.unseal(packet, Channel.UDP)

    def test_channel_is_authentic(self) -> None:
        """Nobody can relabel a packet for the other channel."""
        packet = bytearray(self.a.seal(b"", Channel.UDP))
        packet[1] = Channel.TCP
        assert_that(
            calling(self.b.unseal).with_args(bytes(packet), Channel.TCP),
            raises(UnauthenticPacket),
        )

    def test_twice(self) -> None:
        """A packet is opened once."""
        packet = self.a.seal(b"", Channel.UDP)
        self.b.unseal(packet, Channel.UDP)
        self.refused(packet, ReplayedPacket)

    def test_forgery_spends_no_counter(self) -> None:
        """A forged packet with a high counter does not shut out the true ones."""
        packet = self.a.seal(b"", Channel.UDP)
        forged = bytearray(packet)
        forged[12:20] = b"\xff" * 8
        self.refused(bytes(forged), UnauthenticPacket)
        self.b.unseal(packet, Channel.UDP)

    def test_wrong_key(self) -> None:
        """A packet under another key is refused."""
        self.refused(seal("a", 1, OTHER).seal(b"", Channel.UDP), UnauthenticPacket)

    def test_rotation(self) -> None:
        """The first key seals and all open, so that a key is changed node by node."""
        before, between, after = seal("a", 1, OLD), seal("a", 2, OLD, NEW), seal("a", 3, NEW, OLD)
        for sender in (before, between, after):
            for keys in ((OLD, NEW), (NEW, OLD)):
                seal("b", 9, *keys).unseal(sender.seal(b"", Channel.UDP), Channel.UDP)
        self.refused(after.seal(b"", Channel.UDP), UnauthenticPacket, by=seal("b", 9, OLD))
        self.refused(between.seal(b"", Channel.UDP), UnauthenticPacket, by=seal("b", 9, NEW))

    def test_nonces(self) -> None:
        """No two packets of a life carry the same counter, on whatever channel."""
        packets = [self.a.seal(b"", channel) for channel in [*Channel] * 50]
        assert_that({packet[12:20] for packet in packets}, has_length(100))

    def test_lives_have_their_own_keys(self) -> None:
        """The same counter in another life, or of another member, is another nonce and key."""
        sealed = {
            seal(sender, boot).seal(b"the payload", Channel.UDP)[20:]
            for sender in ("a", "b")
            for boot in (1, 2)
        }
        assert_that(sealed, has_length(4))

    def test_unknown_sender_costs_nothing(self) -> None:
        """Who is no member is refused before any key is derived."""
        packet = Seal((OLD,), "stranger", 1, ["stranger"]).seal(b"", Channel.UDP)
        derived: list[str] = []

        def ciphers(key: bytes, sender: str, boot: int) -> AESGCM:
            derived.append(sender)
            return derive(key, sender, boot)

        receiver = Seal((OLD,), "b", 2, MEMBERS, ciphers=ciphers)
        self.refused(packet, UnknownSender, by=receiver)
        assert_that(derived, equal_to(["b"]))

    def test_stranger_is_shown_harmlessly(self) -> None:
        """The name in a report is bounded and has no control characters."""
        name = b"\x1b[2J\n\xff" * 42
        packet = bytes((PROTOCOL_VERSION, Channel.UDP, len(name))) + name + bytes(40)
        with self.assertRaises(UnknownSender) as caught:
            self.b.unseal(packet, Channel.UDP)
        assert_that(str(caught.exception).isprintable())
        assert_that(len(str(caught.exception)), less_than_or_equal_to(1200))

    def test_version(self) -> None:
        """A packet of a version that this node does not speak is refused with both versions."""
        for version in (0, PROTOCOL_VERSION + 1, 255):
            packet = bytes((version,)) + self.a.seal(b"", Channel.UDP)[1:]
            self.refused(packet, UnknownProtocolVersion)
            with self.assertRaises(UnknownProtocolVersion) as caught:
                self.b.unseal(packet, Channel.UDP)
            assert_that(str(caught.exception), contains_string(f"version {version};"))
            assert_that(str(caught.exception), contains_string(f"speaks 1 to {PROTOCOL_VERSION}"))

    def test_echo(self) -> None:
        """A node does not hear itself, but it does hear another process with its id."""
        self.refused(self.a.seal(b"", Channel.UDP), ReplayedPacket, by=self.a)
        twin = seal("a", 3).seal(b"twin", Channel.UDP)
        assert_that(self.a.unseal(twin, Channel.UDP), equal_to(Opened("a", 3, b"twin")))

    def test_forged_lives_are_not_remembered(self) -> None:
        """Packets of lives that never were leave nothing behind."""
        for boot in range(100):
            self.refused(seal("a", boot, OTHER).seal(b"", Channel.UDP), UnauthenticPacket)
        assert_that(self.b._lives.get("a", {}), has_length(0))

    def test_few_lives_are_remembered(self) -> None:
        """However many lives a member has had, the last `LIVES` are remembered."""
        for boot in range(100):
            self.b.unseal(seal("a", boot).seal(b"", Channel.UDP), Channel.UDP)
            assert_that(len(self.b._lives["a"]), less_than_or_equal_to(LIVES))
        assert_that(list(self.b._lives["a"]), equal_to(list(range(100 - LIVES, 100))))

    def test_present_life_is_never_forgotten(self) -> None:
        """Recordings of many former lives cannot make the present one's packets good again."""
        present = self.a.seal(b"", Channel.UDP)
        self.b.unseal(present, Channel.UDP)
        self.b.keep("a", 1)
        for boot in range(10, 30):
            self.b.unseal(seal("a", boot).seal(b"", Channel.UDP), Channel.UDP)
        self.refused(present, ReplayedPacket)
        assert_that(self.b._lives["a"], has_length(LIVES))


class StretchTests(SynchronousTestCase):
    """The key of the configuration."""

    def test_random_key(self) -> None:
        """32 bytes in base64 are the key."""
        key = bytes(range(32))
        assert_that(stretch(base64.b64encode(key).decode()), equal_to(key))

    def test_passphrase(self) -> None:
        """Anything else is stretched: always to the same 32 bytes, others for another."""
        for passphrase in ("secret", "", "schlüssel", base64.b64encode(bytes(31)).decode()):
            assert_that(stretch(passphrase), has_length(32))
            assert_that(stretch(passphrase), equal_to(stretch(passphrase)))
        assert_that(stretch("secret"), not_(equal_to(stretch("Secret"))))

    def test_as_written_down(self) -> None:
        """The derivation never changes, or a rolling upgrade would be a partition."""
        assert_that(
            stretch("secret").hex(),
            equal_to("4f8eae86a6efba4491b2235108ebfff71552809a3229933b1bce63822a4ea140"),
        )
        packet = Seal((stretch("secret"),), "a", 7, MEMBERS).seal(b"payload", Channel.UDP)
        assert_that(
            packet.hex(),
            equal_to(
                "0100016100000000000000070000000000000001f8ddb4ad2480be02a60e06bc24037385caddba3b00ce01"
            ),
        )
