"""Tests for `flip.config.doubts`: what is told, and does not keep a node from starting."""

from __future__ import annotations

import base64
import socket

from hamcrest import assert_that, contains_inanyorder, empty, equal_to

from tests.config.case import ConfigurationCase


class QuorumTests(ConfigurationCase):
    """Quorums with which the cluster does not do what it is for."""

    def test_good(self) -> None:
        """A majority of three is what there should be."""
        assert_that(self.warnings(), empty())

    def test_two_servers(self) -> None:
        """Two servers can never outvote one another: they need a third voice."""
        del self.servers["flip2"]
        expected = (
            "quorum: 2 of 2 can never be reached when one server is down, so nothing would be taken"
            " over: add an arbiter, a third server without systems, or a witness that both can ping"
        )
        assert_that(self.warnings(), equal_to([expected]))
        self.description["witness"] = {"ping": ["10.0.0.254"]}
        assert_that(self.warnings(), empty())

    def test_witness_of_more(self) -> None:
        """More than two do better without one: both sides of a cut could win."""
        self.description["witness"] = {"ping": ["10.0.0.254"]}
        expected = (
            "witness: with it {} are enough: if the cluster is cut in two, and both sides reach it,"
            " both take everything over (split brain); {}"
        )
        odd = expected.format("1 of 3", "remove it: an odd number needs none")
        assert_that(self.warnings(), equal_to([odd]))
        self.servers["flip3"] = {"ip": "127.0.0.1", "port": 2203}
        self.description["quorum"] = 3
        cure = "an arbiter, one more server without systems, does better"
        assert_that(self.warnings(), equal_to([expected.format("2 of 4", cure)]))
        self.description["quorum"] = 4
        assert_that(self.warnings(), empty())

    def test_witness_of_one(self) -> None:
        """A server alone needs no witness."""
        self.description |= {"servers": {"flip": self.servers["flip"]}, "quorum": 1}
        self.description["witness"] = {"ping": ["10.0.0.254"]}
        expected = "witness: a single server agrees with itself: it needs no witness"
        assert_that(expected in self.warnings(), equal_to(True))

    def test_all_servers(self) -> None:
        """Nor can more, when all of them must agree."""
        self.description["quorum"] = 3
        expected = (
            "quorum: 3 of 3 can never be reached when one server is down, so nothing would be taken"
            " over: lower the quorum to 2, a majority"
        )
        assert_that(self.warnings(), equal_to([expected]))

    def test_split_brain(self) -> None:
        """Half of the servers are no majority."""
        self.servers["flip3"] = {"ip": "127.0.0.1", "port": 2203}
        expected = (
            "quorum: 2 of 4 is no majority: the two halves of a partition would both take"
            " everything over (split brain); use 3"
        )
        assert_that(self.warnings(), equal_to([expected]))
        self.description["quorum"] = 1
        assert_that(self.warnings(), equal_to([expected.replace("2 of 4", "1 of 4")]))
        del self.description["quorum"]
        assert_that(self.warnings(), empty())

    def test_one_server(self) -> None:
        """A server alone needs no advice about quorums."""
        self.description["servers"] = {"flip": self.servers["flip"]}
        self.description["quorum"] = 1
        expected = "servers: there is one server only: when it is down, so is everything"
        assert_that(self.warnings(), equal_to([expected]))


class KeyTests(ConfigurationCase):
    """Keys that others know or can find out."""

    short = "a short key can be guessed: take one of 16 characters or more, best from flip keygen"

    def test_short(self) -> None:
        """A word can be guessed."""
        self.description["key"] = "secret"
        assert_that(self.warnings(), equal_to([f"key: {self.short}"]))
        self.description["key"] = "x" * 15
        assert_that(self.warnings(), equal_to([f"key: {self.short}"]))
        self.description["key"] = "x" * 16
        assert_that(self.warnings(), empty())

    def test_short_one_of_several(self) -> None:
        """Each of several keys opens packets."""
        self.description["key"] = ["x" * 20, "secret", "y" * 20, "word"]
        expected = [f"key[1]: {self.short}", f"key[3]: {self.short}"]
        assert_that(self.warnings(), equal_to(expected))

    def test_random(self) -> None:
        """What flip keygen prints is good."""
        self.description["key"] = base64.b64encode(bytes(range(32))).decode()
        assert_that(self.warnings(), empty())

    def test_readable(self) -> None:
        """A key that every user can read is no secret."""
        self.mode = 0o644
        expected = f"key: every user of this host can read it: chmod o-r {self.path.absolute()}"
        assert_that(self.warnings(), equal_to([expected]))
        self.mode = 0o640
        assert_that(self.warnings(), empty())

    def test_one_warning(self) -> None:
        """One that can be guessed is none in the first place."""
        self.mode = 0o644
        self.description["key"] = "secret"
        assert_that(self.warnings(), equal_to([f"key: {self.short}"]))


class InterfaceTests(ConfigurationCase):
    """`config.interface` of the systems that this server lists."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(socket, "if_nameindex", lambda: [(1, "lo"), (2, "eth0")])

    def test_lacking(self) -> None:
        """An interface that this host does not have, from wherever the config has it."""
        expected = 'this host has no interface "lo0"; it has lo, eth0'
        place = "cluster.system.ip.config.interface"
        self.description["cluster"]["config"]["interface"] = "lo0"
        assert_that(self.warnings(), equal_to([f"{place}: {expected}"]))
        self.systems["ip"]["config"]["interface"] = "eth0"
        assert_that(self.warnings(), empty())

    def test_not_ours(self) -> None:
        """What other servers need is checked there."""
        self.systems["ip"]["config"]["interface"] = "lo0"
        self.description["id"] = "flip2"
        assert_that(self.warnings(), empty())

    def test_no_name(self) -> None:
        """Other hooks may mean something else by the word."""
        self.systems["ip"]["config"]["interface"] = {"name": "lo0"}
        assert_that(self.warnings(), empty())


class ReachTests(ConfigurationCase):
    """Servers that cannot reach each other, or have nobody to take over."""

    def test_loopback(self) -> None:
        """An address of the host itself among others."""
        self.servers["flip1"]["ip"] = self.servers["flip2"]["ip"] = "10.0.0.1"
        expected = (
            "servers.flip.ip: 127.0.0.1 is this host itself: servers elsewhere cannot reach it"
        )
        assert_that(self.warnings(), equal_to([expected]))

    def test_lone_holder(self) -> None:
        """A system on one server does not fail over, unless it is meant for every one."""
        del self.servers["flip1"]["systems"]
        expected = "cluster.system.ip: only flip lists it: nobody takes over when that is down"
        assert_that(self.warnings(), equal_to([expected]))
        self.systems["ip"]["type"] = "replicate"
        assert_that(self.warnings(), empty())

    def test_no_system(self) -> None:
        """A cluster may hold nothing yet."""
        self.systems.clear()
        self.servers["flip"]["systems"] = self.servers["flip1"]["systems"] = []
        expected = "cluster.system: there is no system: this cluster holds nothing"
        assert_that(self.warnings(), equal_to([expected]))


class DataTests(ConfigurationCase):
    """Data points that are probably not meant so."""

    place = "cluster.system.ip.data"

    def test_blanks(self) -> None:
        """Blanks around a text are hard to see."""
        self.systems["ip"]["data"] = ["", " a", "b\n", "c d"]
        doubtful = "is empty, or begins or ends with a blank"
        expected = [
            f"{self.place}[{at}]: {text} {doubtful}"
            for at, text in enumerate(('""', '" a"', '"b\\n"'))
        ]
        assert_that(self.warnings(), equal_to(expected))

    def test_own_address(self) -> None:
        """A server that lets go of its own address is gone."""
        self.servers["flip1"]["ip"] = "127.0.0.9"
        self.systems["ip"]["data"] = ["127.0.0.9/8", "127.0.0.90"]
        expected = (
            f"{self.place}[0]: 127.0.0.9/8 is servers.flip1.ip too, and would be taken away from"
            " that server"
        )
        assert_that(self.warnings(), equal_to([expected]))

    def test_two_systems(self) -> None:
        """The same address in two systems, in whatever way it is written."""
        self.systems["ip"]["data"] = ["fd00::1", "a", "10.0.0.1"]
        self.systems["more"] = self.systems["ip"] | {"data": ["a", "fd00:0::1/64"]}
        self.servers["flip"]["systems"] = self.servers["flip1"]["systems"] = ["ip", "more"]
        expected = (
            "cluster.system.more.data[1]: fd00:0::1/64 is in cluster.system.ip too: two servers"
            " could have the same address"
        )
        assert_that(self.warnings(), equal_to([expected]))


class SizeTests(ConfigurationCase):
    """Numbers that are allowed, and too small."""

    def test_timeout(self) -> None:
        """Six pings in a few milliseconds fail for no reason."""
        self.description["ping_timeout"] = 30
        expected = (
            "ping_timeout: each of the six pings of a probe has 5.0 ms: a busy host is easily late"
        )
        assert_that(self.warnings(), equal_to([expected]))
        self.description["ping_timeout"] = 60
        assert_that(self.warnings(), empty())

    def test_packet(self) -> None:
        """A member's record has to fit a packet, with the names of all that it gave up."""
        names = [f"system{n:02}" for n in range(50)]
        for name in names:
            self.systems[name] = self.systems["ip"] | {"data": []}
        self.servers["flip"]["systems"] = self.servers["flip1"]["systems"] = ["ip", *names]
        assert_that(self.warnings(), empty())
        self.description["max_packet"] = 600
        expected = (
            "max_packet: the names of a server's systems need up to 729 bytes of a packet; set it"
            " so high, or news of failed hooks comes late"
        )
        assert_that(self.warnings(), equal_to([expected]))

    def test_several(self) -> None:
        """Warnings come together, too."""
        self.description |= {"ping_timeout": 30, "key": "secret", "quorum": 1}
        places = [warning.partition(":")[0] for warning in self.warnings()]
        assert_that(places, contains_inanyorder("ping_timeout", "key", "quorum"))
