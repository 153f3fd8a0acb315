"""`flip.membership.service`: whole memberships on one clock, over a network in memory."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from hamcrest import (
    assert_that,
    contains_string,
    equal_to,
    greater_than,
    has_item,
    has_length,
    is_,
    less_than,
    none,
)
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IDelayedCall

from flip.config import Config, Server, System
from flip.errors import CannotListen
from flip.membership import push
from flip.membership.own import LEAP
from flip.membership.push import SMALL
from flip.membership.roster import State
from flip.membership.service import Membership
from flip.simulation.network import Network
from flip.simulation.streams import Address
from flip.wire.claims import Phase, claims_hash
from flip.wire.messages import Ack, Datagram, Ping, Status, Update, decode_datagram
from flip.wire.seal import Channel, Seal
from tests.matchers import only_contains
from tests.membership.samples import ClockTestCase, votes

KEY = b"k" * 32
INTERVAL, TIMEOUT = 1.0, 1.5
ONE = {"ip": {"d0": Phase.HELD}}


def config(id: str, servers: tuple[str, ...] = ("a", "b", "c"), data: int = 4) -> Config:
    """The configuration of one member, each at an address of its own."""
    system = System(
        "ip", "up", "down", "shard", {}, tuple(f"d{n}" for n in range(data)),
        0.05, 10.0, 4, True, "hold", 3, 60.0,
    )  # fmt: skip
    here = Path("nowhere")
    return Config(
        id=id, quorum=len(servers) // 2 + 1, gossip_interval=INTERVAL, ping_timeout=TIMEOUT,
        ping_per_interval=3, keys=("secret",), log_level="info",
        servers={
            server: Server(server, f"10.0.0.{at}", 2200, ("ip",), None)
            for at, server in enumerate(servers, 1)
        },
        systems={"ip": system}, config_version=0, max_packet=1232, bind=None, hook_dir=None,
        state_dir=here, control=here, path=here, warnings=(), digest=b"01234567",
    )  # fmt: skip


class Host:
    """The reactor of one member: the test's clock, and its own address in the network."""

    dead = False

    def __init__(self, test: ServiceTestCase, address: str) -> None:
        self.address = address
        self.refused: set[str] = set()
        self.streams: dict[Any, None] = {}
        self._test = test

    def seconds(self) -> float:
        return self._test.clock.seconds()

    def callLater(self, delay: float, call: Callable[..., Any], *args: Any) -> IDelayedCall:
        return self._test.clock.callLater(delay, call, *args)

    def receive(self, arrival: Callable[[], object]) -> bool:
        self.deliver(arrival)
        return True

    def deliver(self, arrival: Callable[[], object]) -> None:
        arrival()

    def listenUDP(self, port: int, protocol: Any, interface: str, **options: Any) -> Any:
        self._check("UDP", interface, port)
        opened = self._test.network.open_udp(self, (interface, port), protocol)
        protocol.makeConnection(opened)
        return opened

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        self._check("TCP", interface, port)
        return self._test.network.open_tcp(self, (interface, port), factory)

    def connectTCP(self, host: str, port: int, factory: Any, timeout: float, **rest: Any) -> Any:
        return self._test.network.connect_tcp(self, (host, port), factory, timeout)

    def _check(self, kind: str, interface: str, port: int) -> None:
        if kind in self.refused:
            raise CannotListenError(interface, port, OSError("address in use"))


class ServiceTestCase(ClockTestCase):
    """Memberships that are stopped in the end, and must leave no timer behind."""

    def setUp(self) -> None:
        super().setUp()
        self.rng = random.Random(1)
        self.network = Network(self.schedule, self.rng)
        self.members: dict[str, Membership] = {}
        self.running: list[Membership] = []
        self.addCleanup(self.stop_all)

    def schedule(self, delay: float, call: Callable[[], object]) -> IDelayedCall:
        return self.clock.callLater(delay, call)

    def make(self, config: Config, birth: int = 1000, host: Host | None = None) -> Membership:
        boot = self.rng.getrandbits(63)
        member = Membership(
            config,
            host or Host(self, config.me.ip),
            random.Random(self.rng.getrandbits(64)),
            Seal((KEY,), config.id, boot, config.servers),
            birth=birth,
            boot=boot,
            raised=lambda incarnation: None,
        )
        self.members[config.id] = member
        return member

    def start(self, id: str, birth: int = 1000, **settings: Any) -> Membership:
        """A member that listens and probes, as one that may take over."""
        member = self.make(config(id, **settings), birth)
        member.listen()
        member.startService()
        member.amend(status=Status.ACTIVE)
        self.running.append(member)
        return member

    def start_all(self, *ids: str, **settings: Any) -> list[Membership]:
        """Members that know one another."""
        members = [self.start(id, **settings) for id in ids]
        self.run_for(3)
        return members

    def stop(self, member: Membership) -> None:
        self.running.remove(member)
        self.successResultOf(member.stopService())

    def stop_all(self) -> None:
        for member in list(self.running):
            self.stop(member)
        self.clock.advance(30)  # what was under way in the network, both ways

    def cut(self, *ids: str) -> None:
        """Nothing gets to or from these any more."""
        for id in ids:
            address = self.members[id]._config.me.ip
            everywhere = {server.ip for server in self.members[id]._config.servers.values()}
            self.network.cut([address], everywhere - {address})
            self.network.cut(everywhere - {address}, [address])


class MeetingTests(ServiceTestCase):
    """Members find one another, agree and settle."""

    def test_three(self) -> None:
        """All are in touch within a round trip, and settled soon."""
        members = [self.start(id) for id in "abc"]
        self.run_for(0.1)
        for member in members:
            assert_that((member.in_touch, member.settled), equal_to((True, True)))
        digests = {member.roster.digest for member in members}
        assert_that(digests, has_length(1))

    def test_alone(self) -> None:
        """One alone is never in touch, and votes against nobody."""
        member = self.start("a")
        self.run_for(20, 0.05)
        assert_that((member.in_touch, member.roster.state("b")), equal_to((False, State.ALIVE)))

    def test_two_of_three(self) -> None:
        """The first two wait for the third: a probe missed, and its votes or a grace."""
        members = [self.start(id) for id in "ab"]
        self.run_for(TIMEOUT)
        assert_that([member.settled for member in members], equal_to([False, False]))
        self.run_for(2 * TIMEOUT + INTERVAL)
        assert_that([member.settled for member in members], equal_to([True, True]))
        assert_that(members[0].roster.state("c"), is_(State.DOWN))

    def test_observers(self) -> None:
        """Whoever asked to hears of every change of touch."""
        member = self.start("a")
        seen: list[tuple[bool, bool]] = []
        member.on_touch(lambda: seen.append((member.in_touch, member.settled)))
        self.start("b")
        self.start("c")
        self.run_for(0.2)
        assert_that(seen[-1], equal_to((True, True)))
        self.cut("a")
        self.run_for(6, 0.05)
        assert_that(seen[-1], equal_to((False, False)))

    def test_idle(self) -> None:
        """Where nothing happens nothing is told: pings and acks, and no exchange."""
        self.start_all("a", "b", "c")
        opener = Seal((KEY,), "c", 1, ("a", "b", "c"))
        messages: list[Datagram] = []
        send = self.network.send_datagram

        def listen(source: Address, packet: bytes, target: Address) -> None:
            if source[0] == "10.0.0.1":
                messages.append(decode_datagram(opener.unseal(packet, Channel.UDP).payload))
            send(source, packet, target)

        self.run_for(60, 0.05)
        self.patch(self.network, "send_datagram", listen)
        self.run_for(10, 0.05)
        assert_that({type(message) for message in messages}, equal_to({Ping, Ack}))
        assert_that(len(messages), less_than(10 * 4 + 8))
        assert_that([message.updates for message in messages], only_contains(()))


class DeathTests(ServiceTestCase):
    """A member falls silent."""

    def test_death(self) -> None:
        """All others agree that it is down, within an interval, a timeout and a helper's third."""
        a, b, c = self.start_all("a", "b", "c")
        self.stop(c)
        self.seconds_until(
            lambda: not a.roster.present("c") and not b.roster.present("c"),
            INTERVAL + TIMEOUT + TIMEOUT / 3 + 0.1,
        )
        assert_that(a.in_touch and b.in_touch and a.settled, is_(True))

    def test_restart(self) -> None:
        """Who was down and comes back is alive to all at once."""
        a, b, c = self.start_all("a", "b", "c")
        self.stop(c)
        self.run_for(4)
        self.start("c", birth=2000)
        self.run_for(0.05)
        for member in (a, b):
            assert_that(member.roster.state("c"), is_(State.ALIVE))

    def test_clock_set_back(self) -> None:
        """A restart below the last life's incarnation is told so and rises above (D8)."""
        a, b, c = self.start_all("a", "b", "c")
        c.amend(status=Status.LEFT)
        c.push_to_all()
        self.run_for(0.1)
        self.stop(c)
        assert_that(a.roster.state("c"), is_(State.LEFT))
        again = self.start("c", birth=3)
        self.run_for(2)
        assert_that([m.roster.state("c") for m in (a, b, again)], equal_to([State.ALIVE] * 3))
        assert_that(again.own.record.incarnation, greater_than(LEAP))
        assert_that(again.settled, is_(True))

    def test_found_down(self) -> None:
        """Who comes back from a cut learns that it was given up, once, and refutes it."""
        a, b, c = self.start_all("a", "b", "c")
        found: list[int] = []
        c.on_found_down(lambda: found.append(1))
        self.cut("c")
        self.run_for(10, 0.05)
        assert_that(a.roster.state("c"), is_(State.DOWN))
        self.network.heal()
        self.run_for(5)
        assert_that(found, equal_to([1]))
        assert_that([m.roster.state("c") for m in (a, b)], equal_to([State.ALIVE] * 2))
        assert_that(c.health.score, equal_to(0))

    def test_stall(self) -> None:
        """After a stall over the timeout this node is in touch only when a quorum answers anew."""
        a, _, _ = self.start_all("a", "b", "c")
        seen: list[bool] = []
        a.on_touch(lambda: seen.append(a.in_touch))
        self.clock.rightNow += 2 * TIMEOUT
        a.check_pulse()
        assert_that((a.in_touch, a.settled, seen), equal_to((False, False, [False])))
        assert_that(a.health.score, equal_to(1))
        self.run_for(0.1)
        assert_that((a.in_touch, a.settled), equal_to((True, True)))

    def test_short_stall(self) -> None:
        """A shorter one is a matter of health only."""
        a, _, _ = self.start_all("a", "b", "c")
        self.clock.rightNow += TIMEOUT / 2
        a.check_pulse()
        assert_that((a.in_touch, a.health.score), equal_to((True, 1)))


class PushTests(ServiceTestCase):
    """Nobody waits for the next interval."""

    def told(self, member: Membership) -> list[str]:
        """Who gets gossip from a member from now on."""
        peers: list[str] = []
        gossip = member.protocol.gossip

        def spy(peer: str, *args: Any, **rest: Any) -> Any:
            peers.append(peer)
            return gossip(peer, *args, **rest)

        member.push._gossip = spy
        return peers

    def test_small(self) -> None:
        """In a small cluster everybody hears of a change at once."""
        a, b, c = self.start_all("a", "b", "c")
        self.run_for(0.25)
        a.amend(claims=ONE)
        self.run_for(0.01, 0.001)
        for member in (b, c):
            assert_that(member.roster["a"].claims, equal_to(ONE))

    def test_large(self) -> None:
        """In a large one those concerned do, and a few more."""
        servers = tuple("abcdefghijkl")
        assert_that(len(servers) - 1, greater_than(SMALL))
        a = self.start("a", servers=servers)
        peers = self.told(a)
        a.amend(claims=ONE, concerns=frozenset(("k",)))
        self.clock.advance(0)
        assert_that(peers, has_item("k"))
        assert_that(len(set(peers)), less_than(1 + 3 + 1))

    def test_suspect(self) -> None:
        """Whom a vote accuses hears of it at once, and its voter of the answer."""
        a, b, c = self.start_all("a", "b", "c")
        incarnation = c.own.record.incarnation
        a.roster.accuse("c", incarnation, ("a",))
        self.run_for(0.02, 0.001)
        assert_that(c.own.record.incarnation, equal_to(incarnation + 1))
        assert_that([m.roster.state("c") for m in (a, b)], equal_to([State.ALIVE] * 2))

    def test_suspect_among_many(self) -> None:
        """Of votes that others cast only the first is relayed to the suspect, and the quorum's."""
        servers = tuple("abcdefghijkl")
        a = self.start("a", servers=servers)
        a.roster.witness("b", 5)
        self.patch(push, "FANOUT", 0)
        peers = self.told(a)
        told = []
        for voter in "cdefghij":
            update = Update("b", accused=5, voters=(voter,))
            a.roster.merge((update,), voter)
            self.clock.advance(0.1)
            told.append("b" in peers)
            peers.clear()
        assert_that(told, equal_to([True, *[False] * 5, True, False]))

    def test_left(self) -> None:
        """Nobody tells those who left."""
        a, b, _ = self.start_all("a", "b", "c")
        b.amend(status=Status.LEFT)
        b.push_to_all()
        self.run_for(0.3)
        peers = self.told(a)
        a.amend(claims=ONE)
        self.run_for(0.1)
        assert_that(set(peers), equal_to({"c"}))

    def test_after_the_stop(self) -> None:
        """Nothing is told after the stop, and no timer waits for it."""
        a, _, _ = self.start_all("a", "b", "c")
        a.amend(claims=ONE)
        before = a.protocol.traffic["sent"]
        self.stop(a)
        a.amend(claims={})
        self.run_for(1)
        assert_that(a.protocol.traffic["sent"], equal_to(before))


class ReconciliationTests(ServiceTestCase):
    """TCP brings what gossip does not."""

    def test_large_claims(self) -> None:
        """Claims that fit no datagram are fetched at once."""
        a, b, c = self.start_all("a", "b", "c", data=40_000)
        claims = {"ip": {f"d{n}": Phase.HELD for n in range(0, 40_000, 3)}}
        a.amend(claims=claims)
        self.run_for(0.2)
        for member in (b, c):
            assert_that(member.roster["a"].claims, equal_to(claims))

    def test_news_that_was_lost(self) -> None:
        """A change whose packets were all lost arrives two intervals later at the latest."""
        a, b, c = self.start_all("a", "b", "c")
        self.cut("a")
        a.amend(claims=ONE)
        self.run_for(0.3)
        a.protocol._dissemination._sent.clear()
        self.network.heal()
        self.run_for(2 * INTERVAL + 1)
        for member in (b, c):
            assert_that(member.roster["a"].claims, equal_to(ONE))

    def test_udp_only(self) -> None:
        """Where TCP is filtered a small cluster agrees all the same."""
        self.network.udp_only = True
        members = self.start_all("a", "b", "c")
        for member in members:
            assert_that((member.in_touch, member.settled), equal_to((True, True)))

    def test_unreadable_claims(self) -> None:
        """Claims that nobody can read cost an exchange per interval, not a storm."""
        a, b, _ = self.start_all("a", "b", "c")
        begun: list[str] = []
        begin = b.sync.begin

        def observed(peer: str) -> None:
            begun.append(peer)
            begin(peer)

        self.patch(b.sync, "begin", observed)
        a.own._body = b"\xc1"
        a.own.record = msgspec.structs.replace(
            a.own.record, version=a.own.record.version + 1, claims_hash=claims_hash(b"\xc1")
        )
        a.own._declare(frozenset())
        self.run_for(10, 0.05)
        assert_that(b.roster["a"].claims, none())
        assert_that(len(begun), less_than(13))


class DoubleTests(ServiceTestCase):
    """Two processes with one id."""

    def test_younger(self) -> None:
        """The younger hears that it is, and falls silent; the elder that it has a double."""
        a = self.start("a", birth=1000)
        self.start("b")
        self.run_for(1)
        elder: list[bool] = []
        a.on_doubled(elder.append)
        elsewhere = replace(config("a"), bind="10.0.0.9")
        twin = self.make(elsewhere, birth=5000, host=Host(self, "10.0.0.9"))
        younger: list[bool] = []
        twin.on_doubled(younger.append)
        twin.listen()
        twin.startService()
        self.running.append(twin)
        self.run_for(30, 0.05)
        assert_that((elder, younger), equal_to(([False], [True])))
        assert_that(twin.protocol.mute, is_(True))
        b = self.members["b"]
        assert_that(b.roster["a"].record, equal_to(a.own.record))


class ListenTests(ServiceTestCase):
    """The sockets."""

    def test_taken(self) -> None:
        """A port that is taken, or an address that is another host's, is named with a cure."""
        for kind in ("UDP", "TCP"):
            host = Host(self, "10.0.0.1")
            host.refused.add(kind)
            member = self.make(config("a"), host=host)
            with self.assertRaises(CannotListen) as raised:
                member.listen()
            assert_that(str(raised.exception), contains_string("servers.a.ip"))
            self.successResultOf(member.stopService())

    def test_both_closed(self) -> None:
        """After the stop both are closed."""
        a = self.start("a")
        self.stop(a)
        self.stop(self.start("a"))

    def test_birth_at_the_bound(self) -> None:
        """A journal that followed nonsense up to the bound does not make packets nobody reads."""
        a = self.start("a", birth=2**62 + 5)
        b = self.start("b")
        self.run_for(1)
        assert_that((a.in_touch, b.in_touch), equal_to((True, True)))
        b.roster.merge((votes("a", 2**62 - 1, "c"),), "c")
        self.run_for(1)
        assert_that((a.in_touch, b.in_touch), equal_to((True, True)))
