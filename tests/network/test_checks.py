"""A service that fails and recovers on a busy machine: what a client on the LAN sees of it."""

from __future__ import annotations

import sys
import time
from typing import Any

from hamcrest import assert_that, equal_to, less_than
from twisted.trial.unittest import SynchronousTestCase

from flip.demo.workplace import TRACEBACK
from tests.end_to_end.processes import FAST
from tests.network.lan import HOME, PORT, LanCluster
from tests.network.namespaces import unavailable

ONE, TWO = HOME["flip"], HOME["flip1"]
CHECK: dict[str, Any] = {
    "tcp": f"127.0.0.1:{PORT}",
    "interval": 200,
    "timeout": 1000,
    "rise": 2,
    "fall": 2,
}
NOTICED = 2 * 0.2 + 0.2  # seconds: two intervals, and one for a busy machine
HANDOFF = 1.0  # seconds: two hooks that are Python programs, on a machine that is busy twice over
BUSY = 4  # loops, on as many cores or fewer


class ServiceTests(SynchronousTestCase):
    """Three nodes, the service of one of which dies."""

    skip = unavailable()

    def setUp(self) -> None:
        self.cluster = LanCluster(**FAST)
        self.addCleanup(self.cluster.close)
        self.cluster.system["check"] = CHECK
        self.cluster.__enter__()

    def test_under_load(self) -> None:
        """The address moves to a server that answers, and comes back without a gap."""
        cluster = self.cluster
        for _ in range(BUSY):
            cluster.client.popen(sys.executable, "-c", "while True: pass")
        with cluster.asking(TWO) as failed:
            at = time.monotonic()
            cluster.services["flip1"].kill()
            cluster.services["flip1"].wait()
            cluster.await_addresses({"flip": {ONE, TWO}, "flip1": set()})
            time.sleep(0.3)
        assert_that(failed[-30].owner, equal_to("flip"))
        assert_that(failed.silence(at), less_than(NOTICED + HANDOFF), str(failed.since(at)))
        with cluster.asking(TWO) as recovered:
            at = time.monotonic()
            cluster.serve("flip1")
            cluster.await_home()
            time.sleep(0.3)
        assert_that(recovered[-30].owner, equal_to("flip1"))
        assert_that(recovered.silence(at), less_than(HANDOFF), str(recovered.since(at)))
        for id in cluster.hosts:
            self.assertNotIn(TRACEBACK, cluster.logged(id))
            self.assertNotIn("is down", cluster.logged(id))
