"""Addresses without hooks on a real LAN: by the kernels' own events, and by a neighbour's."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from hamcrest import assert_that, contains_string, empty, equal_to, greater_than, less_than
from twisted.trial.unittest import SynchronousTestCase

from flip.demo.story import IDS
from flip.demo.workplace import TRACEBACK
from tests.end_to_end.exclusive import numbers
from tests.network.addresses import DATA, FOUR, STEADY, AddressLan
from tests.network.namespaces import unavailable

TAKEOVER = 4.0  # seconds: gossip_interval 300 and ping_timeout 1200, on a busy machine
HANDOFF = 0.3  # seconds, on a busy machine; 5 ms on an idle one
LEASE = 2.0  # seconds, the shortest
VIP0 = ("ip", "link", "add", "vip0", "type", "veth", "peer", "name", "peer0")
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

    def test_crash_and_return(self) -> None:
        """IPv4 and IPv6 are taken over, a neighbour learns of it, and they move back."""
        cluster = self.cluster_with()
        client, heir = cluster.client, cluster.hosts["flip"]
        gone = cluster.addresses("flip1")
        assert_that(len(gone), equal_to(2))
        for ip in gone:
            client.run("ping", "-c1", "-w2", ip)
            assert_that(client.neighbour(ip), equal_to(cluster.hosts["flip1"].mac()))
        at = time.time()
        cluster.kill("flip1")
        cluster.hosts["flip1"].run("ip", "link", "set", "eth0", "down")
        took = cluster.await_on("flip", set(DATA))
        cluster.wait(
            lambda: {client.neighbour(ip) for ip in gone} == {heir.mac()}, 5, "the client learns"
        )
        assert_that(took, less_than(TAKEOVER))
        cluster.hosts["flip1"].run("ip", "link", "set", "eth0", "up")
        six = cluster.hosts["flip1"].address6
        cluster.hosts["flip1"].run("ip", "addr", "add", f"{six}/64", "dev", "eth0", "nodad")
        cluster.start("flip1")
        cluster.await_on("flip1", gone)
        cluster.await_on("flip", set(DATA) - gone)
        back = max(cluster.gap(ip, at + took + 0.1) for ip in gone)
        self.say(takeover=took, return_gap=back)
        assert_that(back, less_than(HANDOFF))
        self.assert_no_traceback(cluster)

    def test_clean_stop(self) -> None:
        """A node that leaves hands over: almost no gap, never two owners."""
        cluster = self.cluster_with()
        at, gone = time.time(), cluster.addresses("flip1")
        cluster.nodes["flip1"].send(signal.SIGTERM)
        cluster.nodes["flip1"].wait(10)
        cluster.await_on("flip", set(DATA))
        assert_that(cluster.addresses("flip1"), empty())
        gaps = [cluster.gap(ip, at) for ip in gone]
        self.say(longest_gap=max(gaps))
        assert_that(max(gaps), less_than(HANDOFF))
        assert_that(cluster.twice(at), empty())
        self.assert_no_traceback(cluster)

    def test_restarted(self) -> None:
        """What a killed life left is removed by the next one where it is not wanted (R4)."""
        cluster = self.cluster_with()
        gone = cluster.addresses("flip1")
        cluster.kill("flip1")
        cluster.await_on("flip", set(DATA))
        assert_that(cluster.addresses("flip1"), equal_to(gone))
        host = cluster.hosts["flip1"]
        host.run("ip", "addr", "add", f"{FOUR[0]}/24", "dev", "eth0")  # somebody else's
        cluster.start("flip1")
        cluster.await_all()
        cluster.wait(lambda: not cluster.twice(time.time() - 0.05).keys() - {FOUR[0]}, 10, "one")
        prefixes = [one for one in host.addresses() if one.startswith(FOUR[0])]
        assert_that(f"{FOUR[0]}/24" in prefixes, equal_to(True), str(prefixes))


class KernelLeaseTests(AddressTestCase):
    """The kernel removes what nobody renews."""

    def test_killed(self) -> None:
        """After SIGKILL the addresses are gone when their lifetime is over, v4 and v6 alike."""
        cluster = self.cluster_with(config={"kernel_lease": LEASE * 1000})
        time.sleep(2 * LEASE)
        gone = cluster.addresses("flip1")
        assert_that(len(gone), equal_to(2))  # they were renewed all the time
        cluster.kill("flip1")
        took = cluster.await_on("flip1", set(), limit=LEASE + LATE + BUSY)
        self.say(gone_after=took)
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
            5,
            "status tells what is waited for",
        )
        took = cluster.await_on("flip", set(DATA))
        gaps = [cluster.gap(ip, at) for ip in gone]
        self.say(down_after=waiting, taken_after=took, gap=max(gaps))
        assert_that(cluster.twice(at), empty())
        assert_that(max(gaps), less_than(TAKEOVER + LEASE + 0.3))

    def test_frozen(self) -> None:
        """After SIGSTOP and SIGCONT the thawed node takes nothing back by itself."""
        cluster = self.cluster_with(config={"kernel_lease": LEASE * 1000})
        gone = cluster.addresses("flip1")
        cluster.nodes["flip1"].send(signal.SIGSTOP)
        cluster.await_on("flip1", set(), limit=LEASE + LATE + BUSY)
        cluster.await_on("flip", set(DATA))
        at = time.time()
        cluster.nodes["flip1"].send(signal.SIGCONT)
        cluster.await_on("flip1", gone)
        cluster.await_on("flip", set(DATA) - gone)
        gaps = [cluster.gap(ip, at) for ip in gone]
        self.say(gap=max(gaps))
        assert_that(cluster.twice(at), empty())
        assert_that(max(gaps), less_than(HANDOFF))
        self.assert_no_traceback(cluster)


class ExclusiveTests(AddressTestCase):
    """Never two owners, with no guard but the kernel."""

    def setUp(self) -> None:
        self.cluster = self.cluster_with(system={"exclusive": True, "lease": 4000})

    def check(self, at: float, gone: set[str]) -> None:
        """Everything is with one owner, and always was."""
        cluster = self.cluster
        cluster.await_on("flip", set(DATA))
        self.say(dark=max(cluster.gap(ip, at) for ip in gone))
        assert_that(cluster.twice(), empty())
        self.assert_no_traceback(cluster)

    def test_killed(self) -> None:
        """SIGKILL of the daemon: the kernel ends the addresses before anybody is granted them."""
        at, gone = time.time(), self.cluster.addresses("flip1")
        self.cluster.kill("flip1")
        self.check(at, gone)

    def test_frozen_and_thawed(self) -> None:
        """SIGSTOP: the same; SIGCONT: they move back without a second owner."""
        cluster = self.cluster
        at, gone = time.time(), cluster.addresses("flip1")
        cluster.nodes["flip1"].send(signal.SIGSTOP)
        self.check(at, gone)
        cluster.nodes["flip1"].send(signal.SIGCONT)
        cluster.await_on("flip1", gone)
        cluster.await_on("flip", set(DATA) - gone)
        assert_that(cluster.twice(), empty())

    def test_cut_off(self) -> None:
        """Cut off from its voters the daemon lets go by itself."""
        cluster = self.cluster
        at, gone = time.time(), cluster.addresses("flip1")
        cluster.lan.split([cluster.hosts["flip1"]])
        self.check(at, gone)
        cluster.lan.split([cluster.hosts["flip1"]], False)
        cluster.await_on("flip1", gone)
        assert_that(cluster.twice(), empty())


class TroubleTests(AddressTestCase):
    """What others do to addresses and links."""

    def test_removed_by_hand(self) -> None:
        """It is put back within an instant, and status tells."""
        cluster = self.cluster_with()
        ip = min(cluster.addresses("flip1"))
        at = time.time()
        cluster.hosts["flip1"].run("ip", "addr", "del", f"{ip}/32", "dev", "eth0")
        cluster.wait(lambda: cluster.texts("flip1", "address-removed"), 5, "an event")
        assert_that(ip in cluster.addresses("flip1"), equal_to(True))
        self.say(gap=cluster.gap(ip, at))
        assert_that(cluster.gap(ip, at), less_than(HANDOFF))

    def test_conflict(self) -> None:
        """Somebody else answers for an address that is taken over: an event with the MAC."""
        cluster = self.cluster_with()
        ip = next(ip for ip in FOUR if ip in cluster.addresses("flip1"))
        cluster.client.run("ip", "addr", "add", f"{ip}/32", "dev", "eth0")
        cluster.kill("flip1")
        cluster.hosts["flip1"].run("ip", "link", "set", "eth0", "down")
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
        cluster.await_on("flip", set(DATA), limit=4)


class OtherLinkTests(AddressTestCase):
    """Addresses on an interface that is not the cluster's own."""

    def setUp(self) -> None:
        class TwoLinks(AddressLan):
            def prepare(self) -> None:
                for host in self.hosts.values():
                    host.run(*VIP0)
                    for end in ("vip0", "peer0"):
                        host.run("ip", "link", "set", end, "up")

            def addresses(self, id: str, interface: str | None = None) -> set[str]:
                return super().addresses(id, interface or "vip0")

        self.cluster = TwoLinks(FOUR, {"interface": "vip0"})  # a slow detector: README settings
        self.cluster.__enter__()
        self.addCleanup(self.cluster.close)

    def test_link_down(self) -> None:
        """When the link goes down its addresses move at once, and back when it is up."""
        cluster = self.cluster
        gone = cluster.addresses("flip1")
        host = cluster.hosts["flip1"]
        host.run("ip", "link", "set", "peer0", "down")  # a cable is pulled out
        took = cluster.await_on("flip", set(FOUR), limit=5)
        self.say(took=took)
        assert_that(took, less_than(HANDOFF + BUSY))
        status = cluster.status("flip1") or {}
        assert_that(status["systems"]["ip"]["ineligible"], contains_string("link down: vip0"))
        host.run("ip", "link", "set", "peer0", "up")
        cluster.await_on("flip1", gone)
        cluster.await_on("flip", set(FOUR) - gone)

    def test_interface_vanishes(self) -> None:
        """An interface that vanishes is like a link down, one that returns like a link up."""
        cluster = self.cluster
        gone = cluster.addresses("flip1")
        host = cluster.hosts["flip1"]
        host.run("ip", "link", "del", "vip0")
        took = cluster.wait(lambda: cluster.addresses("flip") == set(FOUR), 5, "moved")
        host.run(*VIP0)
        host.run("ip", "link", "set", "vip0", "up")
        host.run("ip", "link", "set", "peer0", "up")
        cluster.await_on("flip1", gone)
        self.say(took=took)
        assert_that(took, less_than(HANDOFF + BUSY))
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
        cluster.start()
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
