"""Addresses without hooks on a real LAN: by the kernels' own events, and by a neighbour's."""

from __future__ import annotations

import os
import signal
import sys
import time
from functools import partial
from typing import Any

from hamcrest import assert_that, contains_string, empty, equal_to, greater_than, less_than
from twisted.trial.unittest import SynchronousTestCase

from flip.demo.story import IDS
from flip.demo.workplace import TRACEBACK
from tests.end_to_end.exclusive import numbers
from tests.network.addresses import DATA, FOUR, STEADY, AddressLan
from tests.network.namespaces import Host, unavailable

TAKEOVER = 4.0  # seconds: gossip_interval 300 and ping_timeout 1200, on a busy machine
HANDOFF = 0.3  # seconds, on a busy machine; 5 ms on an idle one
LEASE = 2.0  # seconds, the shortest
LATE = 1.1  # seconds by which a kernel may be late
BUSY = 0.5  # seconds for this machine


class AddressTestCase(SynchronousTestCase):
    """A LAN with three nodes, of which flip and flip1 hold addresses."""

    skip = unavailable()

    def cluster_with(self, **options: Any) -> AddressLan:
        """A cluster that holds everything; it is torn down with the test."""
        cluster = AddressLan(**STEADY | options)
        cluster.__enter__()
        self.addCleanup(cluster.close)
        return cluster

    def say(self, **values: float) -> None:
        """Print what was measured."""
        print(self.id().rsplit(".", 1)[-1], numbers(**values), file=sys.__stdout__)

    def assert_no_traceback(self, cluster: AddressLan) -> None:
        for id in IDS:
            self.assertNotIn(TRACEBACK, cluster.logged(id))


class LifeTests(AddressTestCase):
    """Addresses move with their node's life."""

    def test_life(self) -> None:
        """A crash, a return, a clean stop, and a life that was killed in the middle."""
        cluster = self.cluster_with()
        self.crash_and_return(cluster)
        self.stop(cluster)
        self.restart(cluster)
        self.assert_no_traceback(cluster)

    def crash_and_return(self, cluster: AddressLan) -> None:
        """IPv4 and IPv6 are taken over, a neighbour learns of it, and they move back."""
        client, heir, host = cluster.client, cluster.hosts["flip"], cluster.hosts["flip1"]
        gone = cluster.addresses("flip1")
        assert_that(len(gone), equal_to(2))
        for ip in gone:
            client.run("ping", "-c1", "-w2", ip)
            assert_that(client.neighbour(ip), equal_to(host.mac()))
        at = time.time()
        cluster.kill("flip1")
        host.run("ip", "link", "set", "eth0", "down")
        took = cluster.await_on("flip", set(DATA))
        cluster.wait(
            lambda: {client.neighbour(ip) for ip in gone} == {heir.mac()}, 5, "the client learns"
        )
        assert_that(took, less_than(TAKEOVER))
        host.run("ip", "link", "set", "eth0", "up")
        host.run("ip", "addr", "add", f"{host.address6}/64", "dev", "eth0", "nodad")
        cluster.start("flip1")
        cluster.await_on("flip1", gone)
        cluster.await_on("flip", set(DATA) - gone)
        back = max(cluster.gap(ip, at + took + 0.1) for ip in gone)
        self.say(takeover=took, return_gap=back)
        assert_that(back, less_than(HANDOFF))

    def stop(self, cluster: AddressLan) -> None:
        """A node that leaves hands over: almost no gap, never two owners."""
        cluster.await_all()
        at, gone = time.time(), cluster.addresses("flip1")
        cluster.nodes["flip1"].send(signal.SIGTERM)
        cluster.nodes["flip1"].wait(10)
        cluster.await_on("flip", set(DATA))
        assert_that(cluster.addresses("flip1"), empty())
        gaps = [cluster.gap(ip, at) for ip in gone]
        self.say(longest_gap=max(gaps))
        assert_that(max(gaps), less_than(HANDOFF))
        assert_that(cluster.twice(at), empty())
        cluster.start("flip1")
        cluster.await_all()

    def restart(self, cluster: AddressLan) -> None:
        """What a killed life left is removed by the next one where it is not wanted (R4)."""
        gone, host = cluster.addresses("flip1"), cluster.hosts["flip1"]
        ip = next(ip for ip in FOUR if ip not in gone)
        cluster.kill("flip1")
        cluster.await_on("flip", set(DATA))
        assert_that(cluster.addresses("flip1"), equal_to(gone))
        host.run("ip", "addr", "add", f"{ip}/24", "dev", "eth0")  # somebody else's
        host.run("ip", "addr", "add", f"{ip}/32", "dev", "eth0", "label", "eth0:flip")
        cluster.start("flip1")
        cluster.wait(lambda: f"{ip}/32" not in host.addresses(), 10, "flip's own is removed")
        assert_that(f"{ip}/24" in host.addresses(), equal_to(True))


class KernelLeaseTests(AddressTestCase):
    """The kernel removes what nobody renews."""

    def test_frozen_and_killed(self) -> None:
        """Frozen or killed, the addresses go with their lifetimes, v4 and v6 alike."""
        cluster = self.cluster_with(config={"kernel_lease": LEASE * 1000})
        time.sleep(LEASE)
        gone = cluster.addresses("flip1")
        assert_that(len(gone), equal_to(2))  # they were renewed all the time
        cluster.nodes["flip1"].send(signal.SIGSTOP)
        cluster.await_on("flip1", set(), limit=LEASE + LATE + BUSY)
        cluster.await_on("flip", set(DATA))
        at = time.time()
        cluster.nodes["flip1"].send(signal.SIGCONT)
        # Thawed, it takes nothing back by itself.
        cluster.await_on("flip1", gone)
        cluster.await_on("flip", set(DATA) - gone)
        gap = max(cluster.gap(ip, at) for ip in gone)
        assert_that(cluster.twice(at), empty())
        assert_that(gap, less_than(HANDOFF))
        cluster.await_all()
        cluster.kill("flip1")
        took = cluster.await_on("flip1", set(), limit=LEASE + LATE + BUSY)
        self.say(gap_after_thaw=gap, killed_and_gone_after=took)
        assert_that(took, greater_than(LEASE / 2))
        cluster.await_on("flip", set(DATA))
        self.assert_no_traceback(cluster)

    def test_wait_for_lease(self) -> None:
        """With wait_for_lease a takeover comes after that: never two owners."""
        config = {"kernel_lease": LEASE * 1000, "wait_for_lease": True}
        cluster = self.cluster_with(config=config)
        gone = cluster.addresses("flip1")
        at = time.time()
        cluster.kill("flip1")
        waiting = cluster.wait(
            lambda: "wait_for_lease" in str((cluster.status("flip") or {}).get("systems")),
            8,
            "status tells what is waited for",
        )
        took = cluster.await_on("flip", set(DATA))
        gaps = [cluster.gap(ip, at) for ip in gone]
        self.say(down_after=waiting, taken_after=waiting + took, gap=max(gaps))
        assert_that(cluster.twice(at), empty())
        assert_that(max(gaps), less_than(TAKEOVER + LEASE + 0.3))


class ExclusiveTests(AddressTestCase):
    """Never two owners, with no guard but the kernel."""

    def test_never_two(self) -> None:
        """Frozen and thawed, cut off, killed: by the kernels' events there is one at a time."""
        cluster = self.cluster_with(system={"exclusive": True, "lease": 4000})
        gone = cluster.addresses("flip1")
        node, host = cluster.nodes["flip1"], cluster.hosts["flip1"]
        dark = {}
        for fault, begin, end in (
            ("frozen", partial(node.send, signal.SIGSTOP), partial(node.send, signal.SIGCONT)),
            ("cut", partial(cluster.lan.split, [host]), partial(cluster.lan.split, [host], False)),
            ("killed", partial(cluster.kill, "flip1"), partial(cluster.start, "flip1")),
        ):
            at = time.time()
            begin()
            cluster.await_on("flip", set(DATA))
            dark[fault] = max(cluster.gap(ip, at) for ip in gone)
            end()
            cluster.await_on("flip1", gone)
            cluster.await_on("flip", set(DATA) - gone)
        self.say(**dark)
        assert_that(cluster.twice(), empty())
        self.assert_no_traceback(cluster)


class TroubleTests(AddressTestCase):
    """What others do to addresses."""

    def test_removed_and_taken(self) -> None:
        """What is removed by hand is put back; who has another node's address is named."""
        cluster = self.cluster_with()
        host = cluster.hosts["flip1"]
        ip = next(ip for ip in FOUR if ip in cluster.addresses("flip1"))
        at = time.time()
        host.run("ip", "addr", "del", f"{ip}/32", "dev", "eth0")
        cluster.wait(lambda: cluster.texts("flip1", "address-removed"), 5, "an event")
        cluster.wait(lambda: ip in cluster.addresses("flip1"), 5, "it is back")
        self.say(gap=cluster.gap(ip, at))
        assert_that(cluster.gap(ip, at), less_than(HANDOFF))
        cluster.client.run("ip", "addr", "add", f"{ip}/32", "dev", "eth0")
        cluster.kill("flip1")
        host.run("ip", "link", "set", "eth0", "down")
        cluster.await_on("flip", set(DATA))
        cluster.wait(lambda: cluster.texts("flip", "address-conflict"), 5, "an event")
        (text,) = cluster.texts("flip", "address-conflict")
        assert_that(text, contains_string(f"{cluster.client.mac()} answers for {ip}"))

    def test_conflict_waited_for(self) -> None:
        """With on_conflict wait it is left alone until nobody answers any more."""
        cluster = self.cluster_with(config={"on_conflict": "wait"})
        ip = next(ip for ip in FOUR if ip in cluster.addresses("flip1"))
        cluster.client.run("ip", "addr", "add", f"{ip}/32", "dev", "eth0")
        cluster.kill("flip1")
        cluster.hosts["flip1"].run("ip", "link", "set", "eth0", "down")
        cluster.await_on("flip", set(DATA) - {ip})
        time.sleep(1.5)
        assert_that(cluster.addresses("flip"), equal_to(set(DATA) - {ip}))
        cluster.client.run("ip", "addr", "del", f"{ip}/32", "dev", "eth0")
        cluster.await_on("flip", set(DATA), limit=6)


class TwoLinks(AddressLan):
    """Hosts with an interface for the addresses that is not the cluster's own."""

    def prepare(self) -> None:
        for host in self.hosts.values():
            self.plug(host)

    def plug(self, host: Host) -> None:
        """Put the interface in."""
        host.run("ip", "link", "add", "vip0", "type", "veth", "peer", "name", "peer0")
        for end in ("vip0", "peer0"):
            host.run("ip", "link", "set", end, "up")

    def addresses(self, id: str, interface: str | None = None) -> set[str]:
        return super().addresses(id, interface or "vip0")


class LinkTests(AddressTestCase):
    """A link that goes down, an interface that vanishes."""

    def test_moved_at_once(self) -> None:
        """Its addresses move without any timeout, and back when it is up or there again."""
        cluster = TwoLinks(FOUR, {"interface": "vip0"})  # a slow detector: README settings
        cluster.__enter__()
        self.addCleanup(cluster.close)
        gone, host = cluster.addresses("flip1"), cluster.hosts["flip1"]
        host.run("ip", "link", "set", "peer0", "down")  # a cable is pulled out
        down = cluster.await_on("flip", set(FOUR), limit=5)
        status = cluster.status("flip1") or {}
        assert_that(status["systems"]["ip"]["ineligible"], contains_string("link down: vip0"))
        host.run("ip", "link", "set", "peer0", "up")
        cluster.await_on("flip1", gone)
        cluster.await_on("flip", set(FOUR) - gone)
        host.run("ip", "link", "del", "vip0")
        vanished = cluster.wait(lambda: cluster.addresses("flip") == set(FOUR), 5, "moved")
        cluster.plug(host)
        cluster.await_on("flip1", gone)
        self.say(down=down, vanished=vanished)
        assert_that(max(down, vanished), less_than(HANDOFF + BUSY))
        self.assert_no_traceback(cluster)


class UnprivilegedTests(AddressTestCase):
    """As a user who has nothing but CAP_NET_ADMIN and CAP_NET_RAW, as in etc/flip@.service."""

    CAPABILITIES = "+net_admin,+net_raw"

    def test_ambient_capabilities(self) -> None:
        """Everything works."""
        cluster = self.cluster_as(self.CAPABILITIES)
        cluster.__enter__()
        gone = cluster.addresses("flip1")
        cluster.kill("flip1")
        cluster.await_on("flip", set(DATA))
        assert_that(len(gone), equal_to(2))
        self.assert_no_traceback(cluster)

    def test_without(self) -> None:
        """Without them the node says which are missing, and takes nothing."""
        cluster = self.cluster_as("-all")
        cluster.lan.__enter__()
        cluster.start("flip")
        cluster.await_log("flip", "CAP_NET_ADMIN and CAP_NET_RAW missing")
        cluster.wait(lambda: cluster.status("flip"), 10, "status")
        status = cluster.status("flip") or {}
        assert_that(" ".join(status["alarms"]), contains_string("CAP_NET_ADMIN"))
        assert_that(cluster.addresses("flip"), empty())

    def cluster_as(self, capabilities: str) -> AddressLan:
        """A cluster whose nodes run as root's files demand, but with these capabilities only."""

        class Unprivileged(AddressLan):
            def command(self, id: str, path: Any, *options: str) -> list[str]:
                words = ["setpriv", "--bounding-set", f"-all,{capabilities}", "--inh-caps"]
                words += [f"-all,{capabilities}", "--ambient-caps", f"-all,{capabilities}"]
                words += ["--reuid", str(NOBODY), "--clear-groups", "--"]
                whole = super().command(id, path, *options)
                at = whole.index(self.hosts[id].namespace) + 1
                return [*whole[:at], *words, *whole[at:]]

        cluster = Unprivileged(**STEADY)
        self.addCleanup(cluster.close)
        for place in (cluster.root, *cluster.root.rglob("*")):
            os.chown(place, NOBODY, -1)
        return cluster


NOBODY = 65534
