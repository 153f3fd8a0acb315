"""The address layer on real interfaces: what the kernel has, and what the neighbours see."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from hamcrest import assert_that, close_to, contains_string, equal_to, has_length
from hamcrest import greater_than_or_equal_to as at_least
from twisted.trial.unittest import SynchronousTestCase

from flip.hooks import frames
from tests.matchers import all_of, has_entries, has_item, has_items, not_
from tests.network import addressing
from tests.network.namespaces import Host, Lan, unavailable

PROGRAM = str(Path(addressing.__file__).resolve())
ROOT = str(Path(__file__).parent.parent.parent)
FOUR, SIX = ["eth0", "10.77.9.1", 32], ["eth0", "fd77::9:1", 128]
OWN4 = socket.inet_pton(socket.AF_INET, "10.77.9.1")
OWN6 = socket.inet_pton(socket.AF_INET6, "fd77::9:1")
LATEST = 1.3  # seconds after its end until the kernel has removed an address, and some


class Agent:
    """The layer in a namespace.

    :ivar heard: what its observer heard: [what, text, seconds].
    """

    def __init__(self, host: Host, *capabilities: str) -> None:
        environ = {**os.environ, "PYTHONPATH": ROOT}
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "env": environ}
        self.process = subprocess.Popen(
            host.command(sys.executable, PROGRAM, *capabilities), stdin=subprocess.PIPE, **pipes
        )
        self.heard: list[list[Any]] = []
        self._rest = b""
        assert self._line(20) == ["ready"]

    def ask(self, verb: str, *arguments: object, limit: float = 20) -> Any:
        """Have something done; its result."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([verb, *arguments]).encode() + b"\n")
        self.process.stdin.flush()
        while True:
            kind, *rest = self._line(limit)
            if kind == "heard":
                self.heard.append(rest)
            elif kind == "failed":
                raise RuntimeError(rest[0])
            else:
                return rest[0]

    def wait(self, what: str, text: str, limit: float = 10) -> float:
        """Wait until the observer has heard something; when that was."""
        while True:
            for heard, about, when in self.heard:
                if (heard, about) == (what, text):
                    return float(when)
            self.heard.append(self._line(limit)[1:])

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()

    def _line(self, limit: float) -> list[Any]:
        assert self.process.stdout is not None
        deadline = time.monotonic() + limit
        while b"\n" not in self._rest:
            ready, _, _ = select.select(
                [self.process.stdout], [], [], max(0, deadline - time.monotonic())
            )
            assert ready, f"nothing in {limit} s; heard: {self.heard[-5:]}"
            data = os.read(self.process.stdout.fileno(), 65536)
            assert data, "the program has ended"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        found: list[Any] = json.loads(line)
        return found


class AddressesTests(SynchronousTestCase):
    """Two hosts on an Ethernet."""

    skip = unavailable()

    def setUp(self) -> None:
        self.lan = Lan(2)
        self.addCleanup(self.lan.close)
        self.lan.__enter__()
        self.one, self.two = self.lan.hosts

    def agent(self, host: Host | None = None, *capabilities: str) -> Agent:
        """A layer that has started."""
        agent = Agent(host or self.one, *capabilities)
        self.addCleanup(agent.close)
        agent.ask("start")
        return agent

    def listing(self, host: Host, interface: str = "eth0") -> dict[str, Any]:
        """What iproute2 says of a host's addresses."""
        shown = host.run("ip", "-j", "-d", "addr", "show", "dev", interface).stdout
        return {entry["local"]: entry for entry in json.loads(shown)[0]["addr_info"]}

    def until(self, true: Callable[[], bool], limit: float = 5) -> None:
        """Wait for something that others do."""
        deadline = time.monotonic() + limit
        while not true():
            assert time.monotonic() < deadline, f"not in {limit} s"
            time.sleep(0.02)

    def test_put_and_remove(self) -> None:
        """What the layer says is there is there, as it should be; and then not."""
        agent = self.agent()
        assert_that(agent.ask("put", [FOUR, SIX], None, "flip"), equal_to([None, None]))
        listing = self.listing(self.one)
        assert_that(
            listing["10.77.9.1"],
            has_entries(prefixlen=32, scope="global", label="eth0:flip"),
        )
        assert_that(
            listing["fd77::9:1"],
            has_entries(prefixlen=128, deprecated=True, nodad=True, noprefixroute=True),
        )
        assert_that(listing["fd77::9:1"], not_(has_item("tentative")))
        known = agent.ask("addresses")
        assert_that(known["10.77.9.1/32 on eth0"], equal_to([None, "flip", True, True]))
        assert_that(known["fd77::9:1/128 on eth0"], equal_to([None, None, True, True]))
        assert_that(known["10.77.0.1/24 on eth0"], equal_to([None, None, False, True]))
        self.two.run("ping", "-c1", "-W2", "fd77::9:1", check=False)
        assert_that(agent.ask("remove", [FOUR, SIX, FOUR]), equal_to([None] * 3))
        assert_that(
            self.listing(self.one), all_of(not_(has_item("10.77.9.1")), has_item("fd77::1"))
        )
        agent.wait("vanished", "fd77::9:1/128 on eth0")
        agent.wait("vanished", "10.77.9.1/32 on eth0")

    def test_lifetimes(self) -> None:
        """A lifetime ends when it should, unless it is renewed; also of a process that is dead."""
        agent = self.agent()
        other4, other6 = ["eth0", "10.77.9.2", 32], ["eth0", "fd77::9:2", 64]
        agent.ask("put", [FOUR, SIX, other4, other6], 2)
        began = time.monotonic()
        for _ in range(3):
            time.sleep(0.7)
            agent.ask("put", [other4, other6], 2)
        for text in ("10.77.9.1/32 on eth0", "fd77::9:1/128 on eth0"):
            assert_that(agent.wait("vanished", text) - began, close_to(2 + LATEST / 2, LATEST / 2))
        renewed = time.monotonic() - 0.05
        left = {ip: entry.get("prefixlen") for ip, entry in self.listing(self.one).items()}
        assert_that(left, has_entries({"10.77.9.2": 32, "fd77::9:2": 64}))
        agent.close()
        self.until(lambda: not {"10.77.9.2", "fd77::9:2"} & set(self.listing(self.one)))
        assert_that(time.monotonic() - renewed, at_least(0.5))
        # The network of a host's own address does not go with one that ran out.
        routes = self.one.run("ip", "-6", "route", "show", "dev", "eth0").stdout
        assert_that(routes, contains_string("fd77::/64"))

    def test_announcement(self) -> None:
        """The neighbours get a request, a reply and an advertisement, and believe them."""
        one, two = self.agent(), self.agent(self.two)
        one.ask("put", [FOUR, SIX])
        for ip in ("10.77.9.1", "fd77::9:1"):
            self.until(partial(self.mislead, self.two, ip), limit=20)
        two.ask("capture", "eth0")
        one.ask("announce", [FOUR, SIX])
        mac = bytes.fromhex(self.one.mac().replace(":", ""))
        expected = [
            frames.gratuitous_request(mac, OWN4),
            frames.gratuitous_reply(mac, OWN4),
            frames.unsolicited_advertisement(mac, OWN6, False),
        ]
        captured: list[str] = []

        def all_captured() -> bool:
            captured.extend(two.ask("captured"))
            return {frame.hex() for frame in expected} <= set(captured)

        self.until(all_captured)
        for ip in ("10.77.9.1", "fd77::9:1"):
            self.until(lambda ip=ip: self.two.neighbour(ip) == self.one.mac())  # type: ignore[misc]

    def test_probe(self) -> None:
        """Whoever has the address answers with his MAC, and his tables do not change."""
        one, two = self.agent(), self.agent(self.two)
        for address in (FOUR, SIX):
            assert_that(one.ask("probe", address), equal_to(None))
            two.ask("put", [address])
            before = self.learned(self.two)
            assert_that(one.ask("probe", address), equal_to(self.two.mac()))
            assert_that(self.learned(self.two), equal_to(before))
            one.ask("put", [address])  # both have it now
            assert_that(one.ask("probe", address), equal_to(self.two.mac()))
            two.ask("remove", [address])
            assert_that(one.ask("probe", address), equal_to(None))

    def test_interfaces(self) -> None:
        """A bridge is an interface as any; where there is no ARP, nobody is told or asked."""
        script = (
            "ip link add br0 type bridge forward_delay 0; ip link set eth0 master br0;"
            "ip link set br0 up; ip link add v0 type veth peer name v1;"
            "ip link set v1 up; ip link set v0 up arp off"
        )
        self.one.run("sh", "-c", script)
        one, two = self.agent(), self.agent(self.two)
        self.until(lambda: bool(one.ask("links")["br0"] == [True, True]))
        assert_that(one.ask("links"), has_entries(v0=[True, False], lo=[True, False]))
        bridged, silent = ["br0", "10.77.9.1", 32], ["v0", "10.77.9.2", 32]
        two.ask("capture", "eth0")
        assert_that(one.ask("put", [bridged, silent]), equal_to([None, None]))
        one.ask("announce", [bridged, silent])
        captured: list[str] = []

        def request_captured() -> bool:
            captured.extend(two.ask("captured"))
            return any(OWN4.hex() in frame for frame in captured)

        self.until(request_captured)
        assert_that(two.ask("probe", FOUR), equal_to(self.mac_of(self.one, "br0")))
        two.ask("put", [FOUR])
        assert_that(one.ask("probe", bridged), equal_to(self.two.mac()))
        assert_that(one.ask("probe", silent), equal_to(None))

    def mislead(self, host: Host, ip: str) -> bool:
        """Let a host take an address for its former owner's; not while its kernel has no room."""
        words = ("lladdr", "02:00:00:00:00:99", "dev", "eth0", "nud", "stale")
        return host.run("ip", "neigh", "replace", ip, *words, check=False).returncode == 0

    def learned(self, host: Host) -> list[str]:
        """What a host has learned about its neighbours; it knows groups by itself."""
        shown = host.run("ip", "neigh", "show", "nud", "all").stdout
        return [line for line in shown.splitlines() if "NOARP" not in line]

    def mac_of(self, host: Host, interface: str) -> str:
        shown = json.loads(host.run("ip", "-j", "link", "show", "dev", interface).stdout)
        return str(shown[0]["address"])

    def test_link(self) -> None:
        """Loss of the carrier is heard at once, and so is its return."""
        agent = self.agent()
        port = ["ip", "-n", self.lan.switch, "link", "set", "dev", self.one.port]
        subprocess.run([*port, "down"], check=True)
        agent.wait("down", "eth0")
        assert_that(agent.ask("announce", [FOUR]), equal_to(None))
        assert_that(agent.ask("probe", FOUR), equal_to(None))
        subprocess.run([*port, "up"], check=True)
        agent.wait("up", "eth0")

    def test_vanishes_and_returns(self) -> None:
        """An interface that is taken away and made again is used under its new number."""
        self.one.run("sh", "-c", "ip link add v0 type veth peer name v1; ip link set v0 up")
        agent = self.agent()
        four, six = ["v0", "10.78.0.1", 32], ["v0", "fd78::1", 128]
        assert_that(agent.ask("put", [four, six], 60), equal_to([None, None]))
        self.one.run("ip", "link", "del", "v0")
        agent.wait("vanished", "10.78.0.1/32 on v0")
        agent.wait("vanished", "fd78::1/128 on v0")
        agent.wait("gone", "v0")
        (error,) = agent.ask("put", [four])
        assert_that(error, contains_string("there is no such interface here, only: eth0"))
        assert_that(agent.ask("remove", [four]), equal_to([None]))
        self.one.run("sh", "-c", "ip link add v0 type veth peer name v1; ip link set v0 up")
        assert_that(agent.ask("put", [four, six], 60), equal_to([None, None]))
        assert_that(set(self.listing(self.one, "v0")), has_items("10.78.0.1", "fd78::1"))

    def test_neighbours_in_the_subnet(self) -> None:
        """The others of a subnet stay when its first address is removed, or runs out."""
        self.one.run("sh", "-c", "ip link add v0 type veth peer name v1; ip link set v0 up")
        setting = "/proc/sys/net/ipv4/conf/v0/promote_secondaries"
        self.one.run(
            "sh",
            "-c",
            f"echo 0 > /proc/sys/net/ipv4/conf/all/promote_secondaries; echo 0 > {setting}",
        )
        agent = self.agent()
        agent.ask("put", [["v0", "10.78.0.1", 24]])
        agent.ask("put", [["v0", "10.78.0.2", 24]], 1)
        self.one.run("ip", "addr", "add", "10.78.0.3/24", "dev", "v0")
        agent.ask("remove", [["v0", "10.78.0.1", 24]])
        agent.wait("vanished", "10.78.0.2/24 on v0")
        assert_that(self.listing(self.one, "v0"), has_item("10.78.0.3"))

    def test_overrun(self) -> None:
        """After a storm of changes, while this process stood still, it knows what is there."""
        agent = self.agent()
        many = "".join(
            f"addr add 10.{n >> 8}.{n & 255}.1/32 dev eth0\n" for n in range(256, 12_256)
        )
        storm = subprocess.Popen(
            self.one.command("ip", "-batch", "-"), stdin=subprocess.PIPE, text=True
        )
        storm.communicate(many)
        agent.ask("stand_still", 0.1)
        agent.ask("remove", [["eth0", "10.1.0.1", 32]])
        there = len(self.listing(self.one))
        self.until(lambda: len(on_eth0(agent)) == there, limit=20)
        assert_that(there, at_least(12_000))

    def test_unprivileged(self) -> None:
        """Nobody with two capabilities can do everything; with one it is said what is missing."""
        agent = self.agent(self.one, "net_admin", "net_raw")
        assert_that(agent.ask("put", [FOUR, SIX, ["eth0", "10.77.9.3", 24]], 60), has_length(3))
        assert_that(agent.ask("addresses"), has_item("10.77.9.1/32 on eth0"))
        agent.ask("announce", [FOUR, SIX])
        assert_that(agent.ask("probe", ["eth0", "10.77.0.2", 32]), equal_to(self.two.mac()))
        assert_that(agent.ask("remove", [FOUR, SIX]), equal_to([None, None]))
        for kept, missing in (("net_admin", "CAP_NET_RAW"), ("net_raw", "CAP_NET_ADMIN")):
            with self.assertRaises(RuntimeError) as caught:
                self.agent(self.one, kept)
            assert_that(str(caught.exception), contains_string(f"{missing} missing: run flip as"))


def on_eth0(agent: Agent) -> list[str]:
    """The addresses on eth0 that an agent knows of."""
    return [text for text in agent.ask("addresses") if text.endswith(" on eth0")]
