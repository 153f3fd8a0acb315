"""Tests for `flip.config.addresses`."""

from __future__ import annotations

from hamcrest import assert_that, contains_inanyorder, empty, equal_to

from tests.config.case import ConfigurationCase


class ServerAddressTests(ConfigurationCase):
    """A server's address is one that the others can send to, and its own."""

    def test_shared(self) -> None:
        """Two servers at the same place would steal each other's packets."""
        self.servers["flip2"]["port"] = 2200
        expected = (
            "servers.flip2.port: 127.0.0.1 port 2200 is that of servers.flip too; give each its own"
        )
        assert_that(self.problems(), equal_to([expected]))

    def test_shared_in_other_words(self) -> None:
        """An IPv6 address can be written in many ways."""
        for id, ip in (("flip", "fd00::1"), ("flip1", "fd00::2"), ("flip2", "FD00:0:0::0001")):
            self.servers[id] |= {"ip": ip, "port": 2200}
        expected = (
            "servers.flip2.port: fd00::1 port 2200 is that of servers.flip too; give each its own"
        )
        assert_that(self.problems(), equal_to([expected]))
        self.servers["flip2"]["port"] = 2201
        assert_that(self.load().servers["flip2"].ip, equal_to("fd00::1"))

    def test_two_kinds(self) -> None:
        """A node binds one address, of one kind."""
        self.servers["flip1"]["ip"] = "::1"
        expected = (
            "servers.flip1.ip: ::1 is IPv6, but that of servers.flip is IPv4: a node binds one"
            " address and reaches only its own kind"
        )
        assert_that(self.problems(), equal_to([expected]))

    def test_unusable(self) -> None:
        """Addresses that are nobody's, everybody's, or not the same everywhere."""
        several = "is an address of many hosts; expected that of one"
        every = 'stands for every address; give the one that the others send to (see "bind")'
        link = "is valid on one link only; take a global or unique local address (fd00::/8)"
        for ip, message in {
            "224.0.0.18": several,
            "255.255.255.255": several,
            "ff02::1": several,
            "0.0.0.0": every,
            "::": every,
            "fe80::1": link,
            "fe80::1%eth0": link,
            "2001:db8::1%eth0": link,
            "::ffff:10.0.0.1": 'is IPv4 inside IPv6; write "10.0.0.1"',
        }.items():
            for server in self.servers.values():
                server["ip"] = ip
            expected = [f'servers.{id}.ip: "{ip}" {message}' for id in self.servers]
            assert_that(self.problems(), contains_inanyorder(*expected))


class BindTests(ConfigurationCase):
    """`bind` is where this node listens, when that is not its ip."""

    def test_good(self) -> None:
        """Any address of the same kind, or every one."""
        for bind in ("10.0.0.1", "0.0.0.0"):
            self.description["bind"] = bind
            assert_that(self.load().bind, equal_to(bind))

    def test_absent(self) -> None:
        """Usually there is none."""
        assert_that(self.load().bind, equal_to(None))

    def test_other_kind(self) -> None:
        """A node that listens on IPv6 cannot send to IPv4."""
        self.description["bind"] = "::"
        expected = "bind: :: is IPv6, but servers.flip.ip is 127.0.0.1: take the same kind"
        assert_that(self.problems(), equal_to([expected]))

    def test_unusable(self) -> None:
        """Multicast cannot be bound."""
        self.description["bind"] = "224.0.0.1"
        expected = 'bind: "224.0.0.1" is an address of many hosts; expected that of one'
        assert_that(self.problems(), equal_to([expected]))

    def test_normal_form(self) -> None:
        """It is written in one way, as the servers' addresses are."""
        for id, server in self.servers.items():
            server["ip"] = f"fd00::{len(id)}"
        self.description["bind"] = "FD00::00:1"
        assert_that(self.problems(), empty())
        assert_that(self.load().bind, equal_to("fd00::1"))
