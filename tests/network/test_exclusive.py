"""An exclusive system on a LAN that falls apart: at most one owner, by the hooks' own clock."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

from hamcrest import assert_that, empty, less_than
from twisted.trial.unittest import SynchronousTestCase

from flip.demo.story import IDS
from flip.demo.workplace import TRACEBACK
from tests.end_to_end.exclusive import ExclusiveCluster, now, numbers, overlaps
from tests.network.namespaces import Host, Lan, unavailable

BUSY = 0.3  # seconds that a busy machine may take for a hook written in Python


class ExclusiveLan(ExclusiveCluster):
    """Three nodes in namespaces of their own.

    :ivar hosts: the namespace of each node.
    """

    def __init__(self, **settings: Any) -> None:
        self.lan = Lan(len(IDS))
        self.hosts: dict[str, Host] = dict(zip(IDS, self.lan.hosts, strict=True))
        super().__init__(**settings)
        for id, host in self.hosts.items():
            self.servers[id] |= {"ip": host.address, "port": 2200}

    def command(self, id: str, path: Path, *options: str) -> list[str]:
        return self.hosts[id].command(*super().command(id, path, *options))

    def close(self) -> None:
        super().close()
        self.lan.close()


class CutTests(SynchronousTestCase):
    """The holder of a data point is cut off from the others."""

    skip = unavailable()

    def setUp(self) -> None:
        self.cluster = ExclusiveLan()
        self.addCleanup(self.cluster.close)
        self.cluster.lan.__enter__()
        self.cluster.start()
        self.cluster.await_home()

    def cut_off(self, *, stopped: bool) -> None:
        """Cut flip1 off, and see who held its data point when.

        :param stopped: its daemon stands still meanwhile, so that the guard has to act.
        """
        cluster = self.cluster
        datum, at = cluster.held_by("flip1"), now()
        host = cluster.hosts["flip1"]
        cluster.lan.split([host])
        if stopped:
            cluster.nodes["flip1"].send(signal.SIGSTOP)
        cluster.await_served(without="flip1")
        let_go = cluster.first(at, node="flip1", event="down", datum=datum, what="end")
        taken = cluster.first(at, node=None, event="alive", datum=datum, what="begin")
        cluster.lan.split([host], False)
        if stopped:
            cluster.nodes["flip1"].send(signal.SIGCONT)
        cluster.await_home()
        values = {"let_go": let_go, "taken": taken, "gap": taken - let_go, "lease": cluster.lease}
        print(self.id().rsplit(".", 1)[-1], numbers(**values), file=sys.__stdout__)
        assert_that(let_go, less_than(taken))
        assert_that(taken, less_than(2 * cluster.lease + BUSY))
        assert_that(overlaps(cluster.spans()), empty())
        for id in IDS:
            self.assertNotIn(TRACEBACK, cluster.logged(id))

    def test_cut_off(self) -> None:
        """It lets go before its lease ends, the majority takes over later; healed, it is back."""
        self.cut_off(stopped=False)

    def test_cut_off_and_stopped(self) -> None:
        """The same when its daemon stands still as well: the guard lets go."""
        self.cut_off(stopped=True)

    def test_nobody_reaches_anybody(self) -> None:
        """Everybody lets go, for nobody has a quorum; healed, everything is served again."""
        cluster = self.cluster
        at = now()
        hosts = list(cluster.hosts.values())
        cluster.lan.isolate(hosts)
        cluster.wait(lambda: not any(cluster.holders().values()), 10, "everybody lets go")
        took = (now() - at) / 1e9
        cluster.lan.isolate(hosts, False)
        healed = now()
        cluster.await_home()
        print(
            self.id().rsplit(".", 1)[-1],
            numbers(let_go=took, served_again=(now() - healed) / 1e9, lease=cluster.lease),
            file=sys.__stdout__,
        )
        assert_that(took, less_than(cluster.lease))
        assert_that(overlaps(cluster.spans()), empty())
