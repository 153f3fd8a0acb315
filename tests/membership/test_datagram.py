"""Tests for `flip.membership.datagram`: what authentic members and strangers may send."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any

import msgspec
from hamcrest import (
    assert_that,
    contains_string,
    empty,
    equal_to,
    greater_than,
    has_entries,
    has_length,
    less_than,
    less_than_or_equal_to,
    only_contains,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from flip.membership.datagram import COMPLAINT_PAUSE, news_room
from flip.membership.push import SMALL
from flip.wire.claims import Phase, claims_hash, data_digest, encode_claims
from flip.wire.messages import (
    INCARNATIONS,
    Ack,
    Gossip,
    Nack,
    Ping,
    PingReq,
    Record,
    Status,
    Update,
    encode,
)
from flip.wire.seal import PROTOCOL_VERSION, Channel, Seal
from tests.matchers import all_of, has_item
from tests.membership.stack import BIRTH, KEY, ME, PEER, Member, Node, config
from tests.wire.samples import nonsense

SOMEWHERE = ("192.0.2.1", 4711)

OWN_LIST = data_digest(("one", "two", "three"))

pack = msgspec.msgpack.encode


def record(member: str, incarnation: int = BIRTH, version: int = 0, **fields: Any) -> Record:
    """A record of an active member."""
    plain = Record(member, incarnation, version, Status.ACTIVE, BIRTH, 2, b"digest!!")
    return msgspec.structs.replace(plain, **fields)


class NodeTestCase(SynchronousTestCase):
    """A node, a member of its cluster, and what is logged."""

    def setUp(self) -> None:
        self.node = Node(config())
        self.addCleanup(self.node.stop)
        self.member = Member(self.node)
        self.traffic = self.node.protocol.traffic
        self.node.sent.clear()
        self.events = self.enterContext(capturedLogs())

    def warnings(self) -> list[str]:
        """The warnings so far."""
        return [
            event["log_format"].format(**event)
            for event in self.events
            if event["log_level"] is LogLevel.warn
        ]

    def receive(self, packet: bytes) -> None:
        """A datagram from somewhere."""
        self.node.protocol.datagramReceived(packet, SOMEWHERE)


class PingTests(NodeTestCase):
    """Learn, then answer."""

    def test_ack(self) -> None:
        """A ping is answered once, with its nonce, to the configured address."""
        self.member.say(Ping(BIRTH, 0, 77))
        assert_that({address for _, address in self.node.sent}, equal_to({("10.0.0.2", 2200)}))
        acks = [message for message in self.member.heard() if isinstance(message, Ack)]
        assert_that(acks, has_length(1))
        assert_that(
            (acks[0].nonce, acks[0].target, acks[0].target_incarnation), equal_to((77, ME, BIRTH))
        )

    def test_news_before_the_answer(self) -> None:
        """The answer to a ping says what the ping taught."""
        self.member.say(Ping(BIRTH, 0, 1, (Update("c", record("c"), b"", BIRTH),)))
        ack = next(message for message in self.member.heard() if isinstance(message, Ack))
        assert_that([update.member for update in ack.updates], has_item("c"))

    def test_incarnation_of_the_sender(self) -> None:
        """Every packet carries its sender's incarnation, merged before it is handled."""
        self.member.say(Gossip(BIRTH + 9, 0))
        assert_that(self.node.roster[PEER].incarnation, equal_to(BIRTH + 9))

    def test_clock_set_back(self) -> None:
        """A sender below its known incarnation is shown its own record, once a second."""
        self.member.say(Gossip(BIRTH + 9, 0, (Update(PEER, record(PEER, BIRTH + 9), b""),)))
        self.member.heard()
        for _ in range(5):
            self.member.say(Gossip(BIRTH, 0))
        shown = self.member.heard()
        assert_that(shown, has_length(1))
        assert_that(shown[0].updates[0].record, equal_to(record(PEER, BIRTH + 9)))
        self.node.reactor.advance(1.1)
        self.member.heard()
        self.member.say(Gossip(BIRTH, 0))
        assert_that(self.member.heard(), has_length(1))

    def test_shown_record_fits(self) -> None:
        """Even when the claims beside it would not."""
        body = bytes(5000)
        own = record(PEER, BIRTH + 9, claims_hash=claims_hash(body))
        self.node.roster.merge((Update(PEER, own, body),), PEER)
        self.member.say(Gossip(BIRTH, 0))
        assert_that([len(packet) for packet, _ in self.node.sent], only_contains(less_than(1233)))
        assert_that(
            self.member.heard()[-1].updates[0], equal_to(Update(PEER, own, None, BIRTH + 9))
        )

    def test_present_life_is_kept(self) -> None:
        """Old lives' packets, played again, do not make the present life's good again."""
        present = self.member.seal.seal(encode(Gossip(BIRTH + 100, 0)), Channel.UDP)
        self.receive(present)
        for boot in range(10, 20):
            Member(self.node, boot=boot).say(Gossip(BIRTH, 0))
        self.receive(present)
        assert_that(self.traffic["dropped_ReplayedPacket"], equal_to(1))

    def test_digests(self) -> None:
        """A peer agrees while its last packet showed this node's own state."""
        protocol = self.node.protocol
        self.member.say(Gossip(BIRTH, 1))
        began = self.node.reactor.seconds()
        assert_that([protocol.agrees(PEER), protocol.differing.get(PEER)], equal_to([False, began]))
        self.member.say(Gossip(BIRTH, self.node.roster.digest))
        assert_that([protocol.agrees(PEER), protocol.differing.get(PEER)], equal_to([True, None]))

    def test_filled_up(self) -> None:
        """In a large cluster only who differed when it was last heard is told old news as well."""
        ids = tuple("abcdefghijkl")
        assert_that(len(ids) - 1, greater_than(SMALL))
        self.node = Node(config(ids))
        self.addCleanup(self.node.stop)
        b, c = Member(self.node), Member(self.node, "c", boot=3)

        def told(digest: int) -> bool:
            b.say(Ping(BIRTH, digest, 7))
            return bool(b.heard()[-1].updates)

        told(1)  # from here on it is known
        self.settle(c)
        assert_that([told(1), told(self.node.roster.digest)], equal_to([True, False]))
        self.node.roster.merge((Update("d", record("d"), b""),), "d")
        self.settle(c)
        self.node.protocol.gossip(PEER)
        assert_that([told.updates for told in b.heard()], equal_to([()]))

    def settle(self, member: Member) -> None:
        """Ask until there is no news."""
        self.node.sent.clear()
        for _ in range(100):
            member.say(Ping(BIRTH, self.node.roster.digest, 7))
        assert_that(member.heard()[-1].updates, empty())

    def test_twin(self) -> None:
        """Another process with this node's id is learnt from and not answered."""
        twin = Member(self.node, ME, boot=9)
        twin.say(Ping(BIRTH, 0, 1))
        twin.say(Ping(BIRTH - 1, 0, 2))
        assert_that(self.traffic["received"], equal_to(2))
        assert_that(self.node.sent, empty())

    def test_mute(self) -> None:
        """A muted node learns and says nothing, and counts what it does not hear."""
        self.node.protocol.mute = True
        self.member.say(Ping(BIRTH + 9, 0, 1))
        assert_that(self.node.sent, empty())
        assert_that(self.node.roster[PEER].incarnation, equal_to(0))
        assert_that(self.traffic, has_entries(unheard=1))


class SendTests(NodeTestCase):
    """A network that does not take packets."""

    def test_refused(self) -> None:
        """An error in sending is a loss: counted, reported at most every ten seconds."""

        tried: list[bytes] = []

        def write(packet: bytes, address: Any) -> None:
            tried.append(packet)
            raise OSError(errno.ENETUNREACH, "Network is unreachable")

        self.patch(self.node.transport, "write", write)
        for _ in range(5):
            self.member.say(Ping(BIRTH, 0, 1))
        assert_that(self.traffic["unsent"], equal_to(len(tried)))
        assert_that(self.warnings(), has_length(1))
        assert_that(
            self.warnings()[0],
            all_of(contains_string("b at 10.0.0.2 port 2200"), contains_string("ENETUNREACH")),
        )

    def test_receive_failed(self) -> None:
        """An error in place of a datagram is counted and reported."""
        for _ in range(3):
            self.node.protocol.receive_failed(OSError(errno.ENOMEM, "Cannot allocate memory"))
        assert_that(self.traffic["unreceived"], equal_to(3))
        assert_that(self.warnings(), has_length(1))


class StrangerTests(NodeTestCase):
    """What is not authentic is dropped, counted, reported now and then, and forgotten."""

    def dropped(self, cause: str, *packets: bytes) -> None:
        """Each packet is dropped for this cause, and nothing is sent or learnt."""
        before = self.traffic[f"dropped_{cause}"]
        self.node.sent.clear()
        for packet in packets:
            self.receive(packet)
        assert_that(self.traffic[f"dropped_{cause}"] - before, equal_to(len(packets)))
        assert_that(self.node.sent, empty())
        assert_that(self.traffic["received"], equal_to(0))

    def test_empty(self) -> None:
        """A datagram without a byte."""
        self.dropped("MalformedPacket", b"")

    def test_truncated(self) -> None:
        """One cut off anywhere."""
        packet = self.member.seal.seal(encode(Ping(BIRTH, 0, 1)), Channel.UDP)
        self.node.sent.clear()
        for end in range(len(packet)):
            self.receive(packet[:end])
        assert_that(self.traffic["received"], equal_to(0))
        causes = ("MalformedPacket", "UnauthenticPacket", "UnknownSender")
        dropped = sum(self.traffic[f"dropped_{cause}"] for cause in causes)
        assert_that(dropped, equal_to(len(packet)))

    def test_replayed(self) -> None:
        """One that was received before."""
        packet = self.member.seal.seal(encode(Gossip(BIRTH, 0)), Channel.UDP)
        self.receive(packet)
        self.receive(packet)
        assert_that(self.traffic, has_entries(received=1, dropped_ReplayedPacket=1))

    def test_wrong_key(self) -> None:
        """One under another key."""
        forged = Member(self.node, key=bytes([1]) * 32).seal.seal(b"", Channel.UDP)
        self.dropped("UnauthenticPacket", forged)

    def test_huge(self) -> None:
        """One as large as UDP can carry."""
        packet = self.member.seal.seal(b"", Channel.UDP)
        self.dropped("UnauthenticPacket", packet + bytes(65_507 - len(packet)))

    def test_unknown_sender(self) -> None:
        """One from somebody whom the configuration does not list."""
        packet = Seal((KEY,), "stranger", 5, ["stranger"]).seal(b"", Channel.UDP)
        self.dropped("UnknownSender", packet)
        assert_that(self.warnings(), has_item(contains_string("'stranger'")))

    def test_echo(self) -> None:
        """This node's own words."""
        self.node.protocol.gossip(PEER)
        packet, _ = self.node.sent[-1]
        self.dropped("ReplayedPacket", packet)

    def test_other_version(self) -> None:
        """One of a version not spoken here: the report names both versions."""
        packet = self.member.seal.seal(b"", Channel.UDP)
        self.dropped("UnknownProtocolVersion", bytes([PROTOCOL_VERSION + 1]) + packet[1:])
        assert_that(
            self.warnings(),
            has_item(
                contains_string(
                    f"version {PROTOCOL_VERSION + 1}; this node speaks 1 to {PROTOCOL_VERSION}"
                )
            ),
        )

    def test_own_version(self) -> None:
        """A node's record announces the version that it speaks."""
        own = self.node.roster[ME].record
        assert own is not None
        assert_that(own.protocol, equal_to(PROTOCOL_VERSION))

    def test_reports_are_few(self) -> None:
        """A flood is one line in ten seconds per cause, with the number so far."""
        for _ in range(1000):
            self.receive(b"rubbish")
        assert_that(self.warnings(), has_length(1))
        self.node.membership.stopService()
        self.node.reactor.advance(COMPLAINT_PAUSE)
        self.receive(b"rubbish")
        assert_that(self.warnings(), has_length(2))
        assert_that(self.warnings()[1], contains_string("1001 such so far"))

    @settings(deadline=None, max_examples=50)
    @given(st.lists(st.binary(max_size=300), max_size=20))
    def test_nothing_is_remembered(self, packets: list[bytes]) -> None:
        """Random bytes leave nothing behind but a count."""
        for packet in packets:
            self.receive(packet)
        before = self.node.footprint()
        for packet in packets:
            self.receive(packet)
        assert_that(self.node.footprint() - before, less_than_or_equal_to(64))


class HostileMemberTests(NodeTestCase):
    """A member with the key may lie, but not crash a node or make it grow without bound."""

    @settings(deadline=None, max_examples=200)
    @given(st.integers(0, 8), st.lists(nonsense, max_size=6))
    def test_nonsense(self, tag: int, fields: list[Any]) -> None:
        """Any value under any tag: taken or dropped, and the next ping is answered."""
        known = self.traffic["received"] + self.traffic["dropped_MalformedPacket"]
        self.member.send(pack([tag, *fields]))
        counted = self.traffic["received"] + self.traffic["dropped_MalformedPacket"]
        assert_that(counted, equal_to(known + 1))
        self.answers()

    def answers(self) -> None:
        """The node still answers a ping."""
        self.member.heard()
        self.member.say(Ping(BIRTH, 0, 5))
        acks = [message for message in self.member.heard() if isinstance(message, Ack)]
        assert_that([ack.nonce for ack in acks], equal_to([5]))

    def test_random_payload(self) -> None:
        """Random bytes under a true seal."""
        rng = random.Random(3)
        for length in range(200):
            self.member.send(rng.randbytes(length))
        self.answers()
        assert_that(self.traffic["dropped_MalformedPacket"], greater_than(150))

    def test_unknown_members(self) -> None:
        """Neither records nor votes of those whom the configuration does not list."""
        digest = self.node.roster.digest
        self.member.say(
            Gossip(0, 0, (Update("x", record("x"), b""), Update("c", None, None, 5, ("x", "y"))))
        )
        assert_that(self.node.roster["c"].voters, empty())
        assert_that(self.node.roster.digest, equal_to(digest))
        self.answers()

    def test_record_of_another(self) -> None:
        """A record inside the update of another member belongs to nobody."""
        self.member.say(Gossip(0, 0, (Update("c", record(PEER), b""),)))
        assert_that(self.node.roster["c"].record, equal_to(None))
        assert_that(self.node.roster[PEER].record, equal_to(None))

    def test_at_the_bound(self) -> None:
        """The highest incarnation there is, of the sender, of others and of this node."""
        top = INCARNATIONS - 1
        for id in (ME, PEER, "c"):
            voters = tuple({ME, PEER, "c"} - {id})
            self.member.say(Gossip(0, 0, (Update(id, record(id, top, top), b"", top, voters),)))
        self.member.say(Ping(top, 0, 1))
        own = [m for m in self.member.heard() if isinstance(m, Ack)][-1]
        assert_that(own.incarnation, less_than(INCARNATIONS))

    def test_relayed_to_nobody(self) -> None:
        """A ping-req for a stranger or for this node itself is not carried out."""
        for target in ("x", ME):
            self.member.say(PingReq(BIRTH, 0, 1, target))
        assert_that([m for m in self.member.heard() if isinstance(m, Ping | Nack)], empty())

    def test_answers_to_nothing(self) -> None:
        """Acks and nacks that nobody asked for prove nothing."""
        self.member.say(Ack(BIRTH, 0, 1, "c", BIRTH))
        self.member.say(Ack(BIRTH, 0, 1, "x", BIRTH))
        self.member.say(Nack(BIRTH, 0, 1))
        touch = self.node.membership.touch
        assert_that([touch.last_ack, touch.last_sign, touch.last_word], equal_to([{}, {}, {}]))

    def grows_no_further(self, packets: Iterator[Callable[[], None]]) -> None:
        """Hundreds of such packets more take no memory that the first did not."""
        for _ in range(300):
            next(packets)()
        before = self.node.footprint()
        for _ in range(600):
            next(packets)()
        assert_that(self.node.footprint(), less_than(before * 1.1))

    def test_ever_new_claims(self) -> None:
        """Claims over data lists that change all the time."""

        def say(n: int) -> None:
            body = pack({"ip": [n.to_bytes(8, "big"), {2: b"\x01"}, {}]})
            own = record(PEER, version=n, claims_hash=claims_hash(body))
            self.member.say(Gossip(BIRTH, 0, (Update(PEER, own, body),)))

        self.grows_no_further(partial(say, n) for n in count(1))
        assert_that(self.node.roster.missing_lists, has_length(1))

    def test_garbled_claims(self) -> None:
        """Claims that no member writes are counted and reported, and block takers."""
        for version, body in enumerate(
            (
                b"\xc1",
                pack({"ip": [OWN_LIST, {2: bytes(500) + b"\1"}, {}]}),
                pack({"ip": [OWN_LIST, {1: b"\1", 2: b"\1"}, {}]}),
                pack({"ip": [OWN_LIST, {}, {2: ["x", "x"]}]}),
                pack({"ip": [OWN_LIST, {9: b"\1"}, {}]}),
            )
        ):
            own = record(PEER, version=version, claims_hash=claims_hash(body))
            self.member.say(Gossip(BIRTH, 0, (Update(PEER, own, body),)))
            assert_that(self.node.roster[PEER].claims, equal_to(None))
            assert_that(self.traffic["dropped_MalformedPacket"], equal_to(version + 1))
        assert_that(self.warnings(), has_item(contains_string("the claims of b")))
        self.answers()

    def test_ever_new_lists(self) -> None:
        """And the lists themselves: only those of present claims are kept."""

        def say(n: int) -> None:
            data = {"ip": (f"point {n}",)}
            body = encode_claims({"ip": {f"point {n}": Phase.HELD}}, data)
            own = record(PEER, version=n, claims_hash=claims_hash(body))
            self.member.say(Gossip(BIRTH, 0, (Update(PEER, own, body),)))
            self.node.roster.learn_lists({data_digest(data["ip"]): data["ip"]})
            assert_that(self.node.roster[PEER].claims, equal_to({"ip": {f"point {n}": Phase.HELD}}))

        self.grows_no_further(partial(say, n) for n in count(1))

    def test_false_lists(self) -> None:
        """A list under the digest of another one is not believed."""
        body = pack({"ip": [b"8 bytes.", {2: b"\x01"}, {}]})
        own = record(PEER, claims_hash=claims_hash(body))
        self.member.say(Gossip(BIRTH, 0, (Update(PEER, own, body),)))
        self.node.roster.learn_lists({b"8 bytes.": ("false",)})
        assert_that(self.node.roster[PEER].claims, equal_to(None))

    def test_ever_new_errands(self) -> None:
        """Ping-reqs without end."""

        def say(n: int) -> None:
            self.member.say(PingReq(BIRTH, 0, n, "c"))

        self.grows_no_further(partial(say, n) for n in count())

    def test_ever_new_members_and_voters(self) -> None:
        """Names without end, as members, voters, targets and systems."""

        def say(n: int) -> None:
            voters = tuple(f"{n}.{m}" for m in range(50))
            own = record(PEER, version=n, ineligible=(f"system {n}",))
            self.member.say(
                Gossip(
                    BIRTH,
                    n,
                    (Update(f"x{n}", record(f"x{n}")), Update("c", None, None, n, voters)),
                )
            )
            self.member.say(Ack(BIRTH, n, n, f"x{n}", n, (Update(PEER, own, b""),)))

        self.grows_no_further(partial(say, n) for n in count())

    def test_ever_new_lives(self) -> None:
        """A life per packet, each risen above the one before."""

        def say(n: int) -> None:
            Member(self.node, boot=10 + n).say(Ping(BIRTH + n, n, n))

        self.grows_no_further(partial(say, n) for n in count())

    def test_reports_are_few_and_plain(self) -> None:
        """Nonsense does not fill the log, nor write anything of its own there."""
        for n in range(500):
            self.member.send(pack([5, 0, 0, [["\x1b[2J\n" * 60 + str(n), 7]]]))
        assert_that(len(self.warnings()), less_than(4))
        assert_that("".join(self.warnings()).isprintable())


class PacketSizeTests(SynchronousTestCase):
    """No packet exceeds `max_packet`, whoever is told of whom."""

    @settings(deadline=None, max_examples=60)
    @given(st.data())
    def test_any_roster(self, data: st.DataObject) -> None:
        """Whatever members, ids, claims, votes and systems there are, and every head is told."""
        ids = tuple(
            data.draw(
                st.lists(
                    st.text("xü", min_size=1, max_size=32) | st.text("x", max_size=64, min_size=60),
                    min_size=2,
                    max_size=12,
                    unique=True,
                )
            )
        )
        max_packet = data.draw(st.sampled_from([512, 600, 1232, 8192]))
        node = Node(config(ids, max_packet=max_packet))
        self.addCleanup(node.stop)
        for id in ids[1:]:
            body = bytes(data.draw(st.integers(0, 2 * max_packet)))
            top = INCARNATIONS - 2
            systems = tuple(data.draw(st.lists(st.text("s", min_size=64, max_size=64), max_size=1)))
            own = Record(
                id,
                top,
                top,
                Status.LEFT,
                top,
                2**64 - 1,
                bytes(8),
                2**53,
                claims_hash(body),
                systems,
            )
            voters = tuple(data.draw(st.sets(st.sampled_from(ids))))
            node.roster.merge((Update(id, own, body, top, voters),), id)
        for _ in range(20):
            for peer in ids[1:]:
                node.protocol.ping(peer, 2**64 - 1)
                node.protocol.ack(peer, 2**64 - 1, max(ids, key=len), INCARNATIONS - 1)
                node.protocol.ping_req(peer, 2**63, max(ids, key=len))
                node.protocol.nack(peer, 2**63)
                node.protocol.gossip(peer)
        for packet, _ in node.sent:
            assert_that(len(packet), less_than_or_equal_to(max_packet))
        for id in ids:
            told = node.protocol._dissemination.about(id)
            assert told is not None
            assert_that(told.record, equal_to(node.roster[id].record))

    def test_room(self) -> None:
        """What is left for news depends on the longest id, in bytes."""
        assert_that(news_room(1232, 40, ["a"]) - news_room(1232, 40, ["a", "ü" * 10]), equal_to(19))
