"""What the tests with real processes share."""

from __future__ import annotations

from typing import Any

from hamcrest import assert_that, empty
from twisted.trial.unittest import SynchronousTestCase

from flip.demo.records import overlaps
from flip.demo.story import ALL_ACTIVE, IDS
from flip.demo.workplace import TRACEBACK
from tests.end_to_end.processes import FAST, LOOPBACK, Cluster


class DaemonTestCase(SynchronousTestCase):
    """Clusters that are ended and removed, whatever happens, and must not log tracebacks."""

    def cluster(self, host: str = LOOPBACK, **settings: Any) -> Cluster:
        """The story's cluster with short timers; nothing runs yet."""
        cluster = Cluster(host, **FAST | settings)
        self.addCleanup(cluster.close)
        self.addCleanup(self._look_for_tracebacks, cluster)
        return cluster

    def story(self, **settings: Any) -> Cluster:
        """The story's cluster, all active."""
        cluster = self.cluster(**settings)
        cluster.start()
        cluster.await_row(ALL_ACTIVE)
        return cluster

    def assert_one_owner(self, cluster: Cluster) -> None:
        """No data point was ever held by two nodes, by the hooks' own timestamps."""
        assert_that(overlaps(cluster.runs(), cluster.deaths), empty())

    def _look_for_tracebacks(self, cluster: Cluster) -> None:
        for id in IDS:
            if TRACEBACK in cluster.logged(id):
                self.fail(f"{id} logged a traceback:\n{cluster.logged(id)}")
