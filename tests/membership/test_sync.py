"""Tests for `flip.membership.sync`."""

from __future__ import annotations

import random
from typing import Any

from hamcrest import (
    assert_that,
    contains_exactly,
    contains_string,
    empty,
    equal_to,
    has_length,
    has_properties,
    instance_of,
    less_than_or_equal_to,
)
from twisted.internet.address import IPv4Address
from twisted.internet.endpoints import _WrappingProtocol
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from flip.errors import (
    MalformedPacket,
    TooManyConnections,
    UnauthenticPacket,
    WireError,
)
from flip.membership.frames import MORE, TIME_LIMIT, SyncProtocol
from flip.membership.sync import CONNECTIONS, Sync
from flip.wire.claims import Phase, data_digest
from flip.wire.messages import SyncRequest, SyncResponse, Update, decode_sync, encode
from flip.wire.seal import Channel, Seal
from tests.matchers import not_
from tests.membership.samples import record, roster, with_claims
from tests.membership.test_frames import Wire, framed

IDS = ("a", "b", "c")
ADDRESSES = {id: (f"10.0.0.{at}", 2200) for at, id in enumerate(IDS, 1)}
KEY = bytes(32)


class Peer:
    """One end of exchanges: a roster and its sync, on a reactor of its own."""

    def __init__(self, id: str, *, key: bytes = KEY, boot: int = 1) -> None:
        self.reactor = MemoryReactorClock()
        self.roster = roster(id, IDS)
        self.roster.merge((Update(id, record(id), b""),), id)
        self.seal = Seal((key,), id, boot, IDS)
        self.silent: set[str] = set()
        self.learnt: list[str] = []
        self.dropped: list[tuple[WireError, tuple[str, int]]] = []
        self.sync = Sync(
            self.reactor,
            self.reactor,
            random.Random(boot),
            self.seal,
            self.roster,
            ADDRESSES,
            reachable=lambda id: id not in self.silent,
            learnt=self.learnt.append,
            dropped=lambda error, address: self.dropped.append((error, address)),
        )

    def accept(self, host: str = "10.0.0.2") -> tuple[SyncProtocol | None, Wire]:
        """Somebody connects to this node."""
        wire = Wire()
        protocol = self.sync.buildProtocol(IPv4Address("TCP", host, 4711))
        if protocol is not None:
            wire.protocol = protocol
            protocol.makeConnection(wire)
        return protocol, wire

    def connected(self) -> tuple[SyncProtocol, Wire]:
        """The last connection that this node has asked for comes about."""
        factory = self.reactor.tcpClients[-1][2]
        protocol = factory.buildProtocol(IPv4Address("TCP", "10.0.0.9", 2200))
        assert isinstance(protocol, _WrappingProtocol)
        wrapped = protocol._wrappedProtocol
        assert isinstance(wrapped, SyncProtocol)
        wire = Wire()
        wire.protocol = wrapped
        protocol.makeConnection(wire)
        return wrapped, wire

    def refused(self) -> None:
        """The last connection that this node has asked for is refused."""
        factory = self.reactor.tcpClients[-1][2]
        connector = self.reactor.connectors[-1]
        factory.clientConnectionFailed(connector, Failure(ConnectionRefusedError()))


def exchange(asking: Peer, answering: Peer) -> None:
    """Carry one exchange, that has begun, to its end."""
    client, up = asking.connected()
    server, down = answering.accept()
    assert server is not None
    while up.value() or down.value():
        for wire, other in ((up, server), (down, client)):
            data = wire.value()
            wire.clear()
            if data:
                other.dataReceived(data)
    for wire in (up, down):
        assert_that(wire.disconnecting or wire.aborting)
        wire.lose()


class SyncTestCase(SynchronousTestCase):
    """Two nodes, and what they log."""

    def setUp(self) -> None:
        self.a, self.b = Peer("a", boot=1), Peer("b", boot=2)
        self.events = self.enterContext(capturedLogs())

    def warnings(self) -> list[str]:
        """The warnings so far."""
        return [
            event["log_format"].format(**event)
            for event in self.events
            if event["log_level"] is LogLevel.warn
        ]


class ExchangeTests(SyncTestCase):
    """Anti-entropy between two nodes."""

    def test_both_learn_everything(self) -> None:
        """Afterwards both know what either knew, and say so."""
        self.a.roster.merge((with_claims("c", {"ip": {"one": Phase.HELD}}),), "c")
        self.a.reactor.advance(7)
        self.a.sync.begin("b")
        exchange(self.a, self.b)
        assert_that(self.a.roster.digest, equal_to(self.b.roster.digest))
        assert_that(self.b.roster["c"].claims, equal_to({"ip": {"one": Phase.HELD}}))
        assert_that([self.a.learnt, self.b.learnt], equal_to([["b"], ["a"]]))
        assert_that(self.a.sync.last, equal_to({"b": 7}))
        assert_that([self.a.sync.errors, self.a.dropped, self.b.dropped], equal_to([{}, [], []]))

    def test_where_to(self) -> None:
        """A member is asked at its configured address."""
        self.a.sync.begin("b")
        host, port, *_ = self.a.reactor.tcpClients[0]
        assert_that((host, port), equal_to(("10.0.0.2", 2200)))

    def test_one_at_a_time(self) -> None:
        """An exchange that is under way is not begun again; afterwards another may be."""
        for _ in range(3):
            self.a.sync.begin("b")
        assert_that(self.a.reactor.tcpClients, has_length(1))
        exchange(self.a, self.b)
        self.a.sync.begin("b")
        assert_that(self.a.reactor.tcpClients, has_length(2))

    def test_large(self) -> None:
        """Claims of many frames."""
        names = {f"{n:064}": Phase.HELD for n in range(3000)}
        self.b.roster.merge((with_claims("b", {"former": names}, version=1),), "b")
        self.a.sync.begin("b")
        exchange(self.a, self.b)
        assert_that(self.a.roster["b"].claims, equal_to({"former": names}))

    def test_lists(self) -> None:
        """Claims made over other data are read once the other has handed over its list."""
        data = {"ip": ("other", "data")}
        self.b.roster.merge((with_claims("b", {"ip": {"data": Phase.HELD}}, data, version=1),), "b")
        self.b.roster.lists[self.digest(data["ip"])] = data["ip"]
        self.a.sync.begin("b")
        exchange(self.a, self.b)
        assert_that(self.a.roster["b"].claims, equal_to(None))
        self.a.sync.begin("b")
        exchange(self.a, self.b)
        assert_that(self.a.roster["b"].claims, equal_to({"ip": {"data": Phase.HELD}}))
        assert_that(self.a.roster.missing_lists, empty())

    def test_lists_that_nobody_wants(self) -> None:
        """Lists that were not asked for are not remembered, and no list grows for being asked."""
        before = dict(self.a.roster.lists)
        self.a.sync.begin("b")
        client, up = self.a.connected()
        asked = self.opened(up)
        points = [(str(n),) for n in range(100)]
        lists: dict[bytes, tuple[str, ...]] = {self.digest(point): point for point in points}
        answer = encode(SyncResponse(5, asked.nonce, (), lists))
        client.dataReceived(framed(self.b.seal.seal(b"\0" + answer, Channel.TCP)))
        assert_that(self.a.learnt, equal_to(["b"]))
        assert_that(self.a.roster.lists, equal_to(before))
        server, down = self.b.accept()
        assert server is not None
        request = encode(SyncRequest(5, 1, (), tuple(lists)))
        server.dataReceived(framed(self.a.seal.seal(b"\0" + request, Channel.TCP)))
        assert_that(self.opened(down), has_properties(nonce=1, lists={}))

    def opened(self, wire: Wire) -> Any:
        """The one message that was sent, opened as the third member would."""
        seal = Seal((KEY,), "c", 3, IDS)
        return decode_sync(seal.unseal(wire.value()[4:], Channel.TCP).payload[1:])

    def digest(self, points: tuple[str, ...]) -> bytes:
        """The digest of a list."""
        return data_digest(points)


class FailureTests(SyncTestCase):
    """Exchanges that come to nothing: a line in the log per peer and reason, and in status."""

    def test_refused(self) -> None:
        """A firewall that passes UDP only."""
        for _ in range(3):
            self.a.sync.begin("b")
            self.a.refused()
        assert_that(self.a.sync.errors["b"], contains_string("refused"))
        assert_that(self.warnings(), has_length(1))
        assert_that(self.warnings()[0], contains_string("is TCP let through"))
        self.a.sync.begin("b")
        exchange(self.a, self.b)
        assert_that(self.a.sync.errors, equal_to({}))

    def test_dead(self) -> None:
        """A peer that answers nothing over UDP either has no trouble with TCP."""
        self.a.silent.add("b")
        self.a.sync.begin("b")
        self.a.refused()
        assert_that([self.a.sync.errors, self.warnings()], equal_to([{}, []]))

    def test_silence(self) -> None:
        """A peer that accepts and says nothing, a frozen process say, holds up one exchange."""
        self.a.sync.begin("b")
        self.a.connected()
        self.a.reactor.advance(TIME_LIMIT)
        assert_that(self.a.sync.errors["b"], contains_string("no whole message within 10 s"))
        assert_that(self.a.learnt, empty())

    def test_hung_up(self) -> None:
        """A peer that ends the connection before it has answered."""
        self.a.sync.begin("b")
        _, wire = self.a.connected()
        wire.lose()
        assert_that(self.a.sync.errors["b"], contains_string("closed cleanly"))

    def test_wrong_key(self) -> None:
        """A peer with another key: both count it, and nobody blames a firewall."""
        other = Peer("b", key=bytes([1]) * 32)
        self.a.sync.begin("b")
        client, up = self.a.connected()
        server, _ = other.accept()
        assert server is not None
        server.dataReceived(up.value())
        assert_that(other.dropped, has_length(1))
        assert_that(
            other.dropped[0],
            contains_exactly(instance_of(UnauthenticPacket), equal_to(("10.0.0.2", 4711))),
        )
        server.send(SyncResponse(1, 1))
        client.dataReceived(framed(other.seal.seal(b"\0", Channel.TCP)))
        assert_that(
            self.a.dropped[0],
            contains_exactly(instance_of(UnauthenticPacket), equal_to(ADDRESSES["b"])),
        )
        assert_that(self.warnings()[0], not_(contains_string("is TCP let through")))

    def test_answers_to_other_questions(self) -> None:
        """An answer counts from the peer that was asked, to the question that was asked."""
        for boot, answering, message in (
            (7, "c", None),
            (8, "b", SyncResponse(5, 0)),
            (9, "b", SyncRequest(5, 1)),
        ):
            peer = Peer(answering, boot=boot)
            self.a.sync.begin("b")
            client, up = self.a.connected()
            server, down = peer.accept()
            assert server is not None
            if message is None:
                server.dataReceived(up.value())
            else:
                server.send(message)
            client.dataReceived(down.value())
            assert_that(self.a.sync.errors["b"], contains_string("another question"))
            assert_that(up.disconnecting, equal_to(True))
            assert_that(self.a.learnt, empty())

    def test_answer_without_a_question(self) -> None:
        """Who opens a connection has to ask."""
        server, wire = self.b.accept()
        assert server is not None
        server.dataReceived(
            framed(self.a.seal.seal(b"\0" + encode(SyncResponse(1, 1)), Channel.TCP))
        )
        assert_that(self.b.dropped[0][0], instance_of(MalformedPacket))
        assert_that(wire.aborting, equal_to(True))
        assert_that(self.b.learnt, empty())

    def test_twin(self) -> None:
        """Another process with this node's id is answered, and is no peer that knows more."""
        twin = Peer("b", boot=9)
        server, wire = self.b.accept()
        assert server is not None
        request = SyncRequest(5, 1, (twin.roster["b"].update,))
        server.dataReceived(framed(twin.seal.seal(b"\0" + encode(request), Channel.TCP)))
        assert_that(wire.value(), not_(empty()))
        assert_that(self.b.learnt, empty())

    def test_bug(self) -> None:
        """An error in learning is logged with its traceback, and the exchange is over."""

        def merge(updates: Any, source: str) -> None:
            raise ZeroDivisionError

        self.patch(self.a.roster, "merge", merge)
        self.a.sync.begin("b")
        exchange(self.a, self.b)
        assert_that(self.flushLoggedErrors(ZeroDivisionError), has_length(1))
        self.a.sync.begin("b")
        assert_that(self.a.reactor.tcpClients, has_length(2))

    def test_bug_of_an_observer(self) -> None:
        """So is one in whoever is told of an exchange."""
        self.patch(self.a.sync, "_learnt", lambda peer: 1 // 0)
        self.a.sync.begin("b")
        exchange(self.a, self.b)
        assert_that(self.flushLoggedErrors(ZeroDivisionError), has_length(1))
        self.a.sync.begin("b")
        assert_that(self.a.reactor.tcpClients, has_length(2))


class ConnectionsTests(SyncTestCase):
    """How many connections a node accepts, and from whom."""

    def test_strangers_do_not_starve_members(self) -> None:
        """Silent strangers hold every place; a member is answered all the same."""
        strangers = [self.b.accept("192.0.2.1") for _ in range(3 * CONNECTIONS)]
        self.a.sync.begin("b")
        exchange(self.a, self.b)
        assert_that(self.b.learnt, equal_to(["a"]))
        assert_that(
            [wire.aborting for _, wire in strangers].count(False), equal_to(CONNECTIONS - 1)
        )
        assert_that(strangers[0][1].aborting, equal_to(True))
        assert_that(strangers[-1][1].aborting, equal_to(False))
        assert_that(
            self.b.dropped[0],
            contains_exactly(instance_of(TooManyConnections), equal_to(("192.0.2.1", 4711))),
        )

    def test_members_are_not_thrown_out(self) -> None:
        """A member that has proved to be one keeps its place while it speaks."""
        member, wire = self.b.accept()
        assert member is not None
        member.dataReceived(framed(self.a.seal.seal(MORE + b"x", Channel.TCP)))
        for _ in range(3 * CONNECTIONS):
            self.b.accept("192.0.2.1")
        assert_that(wire.aborting, equal_to(False))

    def test_bounded(self) -> None:
        """When all places are members', the next has to come again."""
        for boot in range(CONNECTIONS):
            member, _ = self.b.accept()
            assert member is not None
            life = Seal((KEY,), "a", 100 + boot, IDS)
            member.dataReceived(framed(life.seal(MORE + b"x", Channel.TCP)))
        refused, _ = self.b.accept()
        assert_that(refused, equal_to(None))
        assert_that(len(self.b.sync._accepted), less_than_or_equal_to(CONNECTIONS))

    def test_places_are_given_back(self) -> None:
        """Every connection that ends, however it ends, makes room."""
        for _ in range(CONNECTIONS):
            _, wire = self.b.accept()
            wire.lose()
        for _ in range(CONNECTIONS):
            self.b.accept()
        self.b.reactor.advance(TIME_LIMIT)
        assert_that(self.b.sync._accepted, empty())
        assert_that(self.b.dropped, empty())

    def test_stop(self) -> None:
        """A node that stops gives up every exchange, quietly, and begins and takes none."""
        self.a.sync.begin("b")
        _, asking = self.a.connected()
        self.a.sync.begin("c")
        _, asked = self.a.accept()
        self.a.sync.stop()
        assert_that([asking.aborting, asked.aborting], equal_to([True, True]))
        self.a.sync.begin("b")
        assert_that(self.a.reactor.tcpClients, has_length(2))
        assert_that(self.a.accept()[0], equal_to(None))
        assert_that([self.a.sync.errors, self.warnings()], equal_to([{}, []]))
        assert_that(self.a.reactor.getDelayedCalls(), empty())
