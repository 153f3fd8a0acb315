"""The story on a real LAN: addresses move, and a neighbour keeps reaching them."""

from __future__ import annotations

import signal
import time

from hamcrest import assert_that, equal_to, less_than, not_none
from twisted.trial.unittest import SynchronousTestCase

from flip.demo.workplace import TRACEBACK
from tests.end_to_end.processes import FAST
from tests.network.lan import HOME, Answers, LanCluster
from tests.network.namespaces import unavailable

ONE, TWO = HOME["flip"], HOME["flip1"]
REACHED = 0.1  # seconds: the longest silence after a partition has healed (R6)
TAKEOVER = 2.0  # seconds: gossip_interval 100 and ping_timeout 300, on a busy machine
HANDOFF = 0.5  # seconds: two hooks that are Python programs, on a busy machine


class LanTestCase(SynchronousTestCase):
    """A LAN with three nodes and a client."""

    skip = unavailable()

    def setUp(self) -> None:
        self.cluster = LanCluster(**FAST)
        self.cluster.__enter__()
        self.addCleanup(self.cluster.close)

    def heal(self, answers: Answers, healed: float, owner: str) -> None:
        """After a partition has healed the client has an answer all the time, from the owner."""
        assert_that(answers.silence(healed), less_than(REACHED), str(answers.since(healed)))
        assert_that(answers[-30].owner, equal_to(owner))

    def assert_no_traceback(self) -> None:
        for id in self.cluster.hosts:
            self.assertNotIn(TRACEBACK, self.cluster.logged(id))


class MovingTests(LanTestCase):
    """An address moves with its node's life."""

    def test_killed_and_left(self) -> None:
        """SIGKILL, back, SIGTERM, back: the client is answered by whoever holds the address."""
        cluster = self.cluster
        with cluster.asking(TWO) as killed:
            at = time.monotonic()
            cluster.kill("flip1")
            cluster.await_addresses({"flip": {ONE, TWO}})
            time.sleep(0.2)
        # Nobody took the dead node's address away: its announced successor counts.
        assert_that(killed[-30].owner, equal_to("flip"))
        assert_that(killed.silence(at), less_than(TAKEOVER))
        with cluster.asking(TWO) as back:
            at = time.monotonic()
            cluster.start("flip1")
            cluster.await_home()
            time.sleep(0.2)
        assert_that(back[-30].owner, equal_to("flip1"))
        assert_that(back.silence(at), less_than(HANDOFF))
        with cluster.asking(TWO) as left:
            at = time.monotonic()
            cluster.nodes["flip1"].send(signal.SIGTERM)
            cluster.nodes["flip1"].wait(10)
            cluster.await_addresses({"flip": {ONE, TWO}, "flip1": set()})
            time.sleep(0.2)
        assert_that(left[-30].owner, equal_to("flip"))
        assert_that(left.silence(at), less_than(HANDOFF))
        self.assert_no_traceback()


class PartitionTests(LanTestCase):
    """The LAN falls apart, and is whole again."""

    def test_holder_cut_off(self) -> None:
        """Both sides hold the address; healed, the client loses it to neither (R6)."""
        cluster = self.cluster
        # The client is on the majority's side, then on that of the one that was cut off.
        for id, with_client in (("flip1", False), ("flip", True)):
            other = "flip" if id == "flip1" else "flip1"
            away = [cluster.hosts[id], *([cluster.client] if with_client else [])]
            cluster.await_home()
            with cluster.asking(HOME[id]) as answers:
                cluster.lan.split(away)
                cluster.await_addresses({other: {ONE, TWO}, id: {HOME[id]}})
                time.sleep(0.5)
                healed = time.monotonic()
                cluster.lan.split(away, False)
                cluster.await_home()
                time.sleep(0.5)
            served = [a.owner for a in answers if a.sent < healed - 0.2][-1]
            assert_that(served, equal_to(id if with_client else other))
            self.heal(answers, healed, id)
        self.assert_no_traceback()

    def test_nobody_reaches_anybody(self) -> None:
        """The nodes are cut off from each other: nothing moves, and everything is reached."""
        cluster = self.cluster
        nodes = list(cluster.hosts.values())
        with cluster.asking(TWO) as answers:
            cut = time.monotonic()
            cluster.lan.isolate(nodes)
            cluster.wait(
                lambda: not any((cluster.status(id) or {}).get("in_touch") for id in cluster.hosts),
                10,
                "nobody is in touch",
            )
            time.sleep(2)
            for id in cluster.hosts:
                assert_that(cluster.addresses(id), equal_to({HOME[id]} if id in HOME else set()))
            healed = time.monotonic()
            cluster.lan.isolate(nodes, False)
            cluster.await_home()
            time.sleep(0.5)
        assert_that({a.owner for a in answers if a.sent < healed and a.owner}, equal_to({"flip1"}))
        assert_that(answers.silence(cut, healed), less_than(REACHED))
        self.heal(answers, healed, "flip1")
        self.assert_no_traceback()

    def test_switch_restarts(self) -> None:
        """Everybody is cut off from everybody, and the client forgets where the address was."""
        cluster = self.cluster
        everybody = [*cluster.hosts.values(), cluster.client]
        with cluster.asking(TWO) as answers:
            for host in everybody:
                cluster.lan.unplug(host)
            cluster.wait(
                lambda: not any((cluster.status(id) or {}).get("in_touch") for id in cluster.hosts),
                10,
                "nobody is in touch",
            )
            cluster.client.run("ip", "neigh", "flush", "dev", cluster.client.interface)
            time.sleep(1.5)
            assert_that(cluster.client.neighbour(TWO), equal_to(None))
            for host in everybody:
                cluster.lan.unplug(host, False)
            healed = time.monotonic()
            cluster.await_home()
            time.sleep(0.5)
        assert_that(cluster.client.neighbour(TWO), not_none())
        assert_that({a.owner for a in answers if a.owner}, equal_to({"flip1"}))
        # Whoever announces first, or the client's own next question, ends the silence.
        assert_that(answers.silence(healed), less_than(1.0))
        self.assert_no_traceback()
