"""Two nodes and a witness on a real LAN: pings that are sent, answered, refused and lost."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

from hamcrest import assert_that, contains_string, empty, equal_to
from twisted.trial.unittest import SynchronousTestCase

import flip
from flip.demo.workplace import TRACEBACK
from tests.end_to_end.processes import FAST
from tests.network.lan import HOME, LanCluster
from tests.network.namespaces import Host, Lan, unavailable

PAIR = ("flip", "flip1")
ONE, TWO = HOME["flip"], HOME["flip1"]
CS6 = 0xC0
SOURCE = str(Path(flip.__file__).parent.parent)
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
RANGE = "net.ipv4.ping_group_range"

ASK = """
import random, sys
sys.path.insert(0, sys.argv.pop(1))
from twisted.internet import reactor
from flip.membership.ping import Ping
ping, heard = Ping(reactor, random.Random(1)), []
ping.start(lambda address, nonce: heard.append((address, nonce)))
for nonce, address in enumerate(sys.argv[1:]):
    ping.ask(address, nonce)
def end():
    print(sorted(heard), [line._raw for line in ping._lines.values()], ping.trouble)
    reactor.stop()
reactor.callLater(1.5, end)
reactor.run()
"""
# What a host sends: which protocol, from or to flip's port or not, with which TOS.
SNIFF = """
import socket, struct, sys, time
line = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
line.settimeout(0.2)
until, seen = time.monotonic() + 4, set()
while time.monotonic() < until:
    try:
        packet, address = line.recvfrom(2000)
    except TimeoutError:
        continue
    protocol, tos = packet[9], packet[1]
    payload = packet[(packet[0] & 15) * 4:]
    flags = payload[13] if protocol == 6 else 0
    outgoing = address[1] == 0x0800 and address[2] == socket.PACKET_OUTGOING
    opens, resets = flags & 18 == 2, flags & 4
    if outgoing and not opens and not resets:  # a SYN comes before us, a RST may have no socket
        seen.add((protocol, tos))
print(sorted(seen))
"""


class TwoNodes(LanCluster):
    """flip and flip1; the client is their witness."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        del self.servers["flip2"]
        self.configuration["witness"] = {"ping": [self.client.address, self.client.address6]}

    def start(self, *ids: str, path: Path | None = None) -> None:
        super().start(*(ids or PAIR), path=path)

    def await_home(self, limit: float = 30) -> None:
        self.await_addresses({"flip": {ONE}, "flip1": {TWO}}, limit)


class WitnessTests(SynchronousTestCase):
    """What the pair does in the faults that a witness is for."""

    skip = unavailable()

    def setUp(self) -> None:
        self.cluster = TwoNodes(**FAST)
        self.cluster.__enter__()
        self.addCleanup(self.cluster.close)

    def assert_no_traceback(self) -> None:
        for id in PAIR:
            self.assertNotIn(TRACEBACK, self.cluster.logged(id))

    def reached(self, id: str) -> object:
        status = self.cluster.status(id)
        return status and status["witness"]["reached"]

    def test_node_dies(self) -> None:
        """The survivor takes over."""
        cluster = self.cluster
        cluster.wait(lambda: self.reached("flip"), 10, "a witness answers")
        cluster.lan.unplug(cluster.hosts["flip1"])
        cluster.kill("flip1")
        cluster.await_addresses({"flip": {ONE, TWO}})
        self.assert_no_traceback()

    def test_cable(self) -> None:
        """Whose cable is pulled takes nothing, and says why; the other takes over."""
        cluster = self.cluster
        cluster.wait(lambda: self.reached("flip"), 10, "a witness answers")
        cluster.lan.unplug(cluster.hosts["flip"])
        cluster.await_addresses({"flip1": {ONE, TWO}})
        cluster.wait(lambda: self.reached("flip") is False, 10, "the witness is missed")
        assert_that(cluster.addresses("flip"), equal_to({ONE}))
        cluster.lan.unplug(cluster.hosts["flip"], False)
        cluster.await_home()
        self.assert_no_traceback()

    def test_marked(self) -> None:
        """All that a node sends to members and witnesses is marked as network control."""
        sniffer = self.cluster.hosts["flip1"]
        self.cluster.kill("flip")
        self.cluster.start("flip")
        seen = ast.literal_eval(sniffer.run(sys.executable, "-c", SNIFF).stdout)
        icmp, udp, tcp = 1, 17, 6
        assert_that({(icmp, CS6), (udp, CS6), (tcp, CS6)} - set(seen), empty())
        assert_that({(protocol, tos) for protocol, tos in seen if tos != CS6}, empty())


class PingTests(SynchronousTestCase):
    """Who may ping, and what is heard."""

    skip = unavailable()

    def setUp(self) -> None:
        self.lan = Lan(2)
        self.lan.__enter__()
        self.addCleanup(self.lan.close)
        self.here, self.there = self.lan.hosts

    def ask(self, host: Host, *addresses: str, by: tuple[str, ...] = ()) -> str:
        words = (*by, sys.executable, "-c", ASK, SOURCE, *addresses)
        return host.run(*words).stdout.strip()

    def test_raw(self) -> None:
        """Root where no group may ping has raw sockets; both families answer."""
        self.here.run("sysctl", "-qw", f"{RANGE}=1 0")
        there = self.there
        expected = f"{sorted([(there.address, 0), (there.address6, 1)])} [True, True] None"
        assert_that(self.ask(self.here, there.address, there.address6), equal_to(expected))

    def test_unprivileged(self) -> None:
        """Anybody has ping sockets where the groups may."""
        self.here.run("sysctl", "-qw", f"{RANGE}=0 2147483647")
        there = self.there
        expected = f"{sorted([(there.address, 0), (there.address6, 1)])} [False, False] None"
        said = self.ask(self.here, there.address, there.address6, by=NOBODY)
        assert_that(said, equal_to(expected))

    def test_not_permitted(self) -> None:
        """Who has neither hears what is missing."""
        self.here.run("sysctl", "-qw", f"{RANGE}=1 0")
        said = self.ask(self.here, self.there.address, by=NOBODY)
        for word in ("[] [] ", "CAP_NET_RAW", f"sysctl -w {RANGE}=", "65534"):
            assert_that(said, contains_string(word))

    def test_unreachable(self) -> None:
        """The kernel's reasons, and those that come back from the way, are told."""
        self.here.run("ip", "route", "add", "10.78.0.0/24", "via", self.there.address)
        self.there.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.there.run("ip", "route", "add", "unreachable", "10.78.0.0/24")
        said = self.ask(self.here, "10.78.0.1", "10.79.0.1")
        for reason in ("10.78.0.1: No route to host", "10.79.0.1: Network is unreachable"):
            assert_that(said, contains_string(reason))
