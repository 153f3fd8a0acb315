"""The option `realtime`, with real processes: the daemon and its guard have it, no child has."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hamcrest import assert_that, contains_string, empty, equal_to, greater_than
from twisted.trial.unittest import SynchronousTestCase

from flip import realtime
from flip.demo.story import ALL_ACTIVE, IDS
from tests.end_to_end.case import DaemonTestCase
from tests.end_to_end.exclusive import ExclusiveCluster
from tests.end_to_end.processes import Cluster
from tests.matchers import has_item

PRIORITY = 7
ROUND_ROBIN = os.SCHED_RR | os.SCHED_RESET_ON_FORK
HOOK = """\
exec {python} -ISc 'import os, sys
line = "%s %s\\n" % (os.environ["FLIP_NODE"], os.sched_getscheduler(0))
os.write(os.open("{log}", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), line.encode())'
"""


class RealtimeTests(DaemonTestCase):
    """Where it is permitted."""

    def setUp(self) -> None:
        missing = realtime.complaint(PRIORITY)
        if missing is not None:
            self.skipTest(missing)

    def test_daemon(self) -> None:
        """Each node has the priority that was asked for; its hooks are ordinary processes."""
        cluster = self.cluster(realtime=PRIORITY)
        log = cluster.root / "policies"
        script = HOOK.format(python=sys.executable, log=str(log))
        for event in ("alive", "down"):
            cluster.system[event] = cluster.hook(f"policy_{event}", script)
        cluster.start()
        self.await_hooks(cluster, log, 2)
        for id in IDS:
            pid = cluster.nodes[id].pid
            assert_that(os.sched_getscheduler(pid), equal_to(ROUND_ROBIN))
            assert_that(os.sched_getparam(pid).sched_priority, equal_to(PRIORITY))
            threads = [int(name) for name in os.listdir(f"/proc/{pid}/task") if int(name) != pid]
            others = [os.sched_getscheduler(thread) for thread in threads]
            assert_that([policy for policy in others if policy != os.SCHED_OTHER], empty())
        policies = [int(line.split()[1]) for line in log.open()]
        assert_that(len(policies), greater_than(1))
        assert_that({*policies}, equal_to({os.SCHED_OTHER}))

    def test_guard(self) -> None:
        """The guard has it, too, as it must act in time; what it runs has not."""
        cluster = ExclusiveCluster(realtime=PRIORITY)
        self.addCleanup(cluster.close)
        log = cluster.root / "policies"
        script = HOOK.format(python=sys.executable, log=str(log))
        for event in ("alive", "down"):
            cluster.system[event] = cluster.hook(f"policy_{event}", script)
        cluster.start()
        self.await_hooks(cluster, log, 3)
        for id in IDS:
            guard = cluster.guard(id)
            assert_that(os.sched_getscheduler(guard), equal_to(ROUND_ROBIN))
            assert_that(os.sched_getparam(guard).sched_priority, equal_to(PRIORITY))
        policies = {int(line.split()[1]) for line in log.open()}
        assert_that(policies, equal_to({os.SCHED_OTHER}))

    def await_hooks(self, cluster: Cluster, log: Path, count: int) -> None:
        """Wait until hooks have run on so many nodes."""
        cluster.wait(
            lambda: log.exists() and len({line.split()[0] for line in log.open()}) == count,
            20,
            lambda: f"hooks on {count} nodes",
        )

    def test_ordinary(self) -> None:
        """Nobody has it who did not ask for it."""
        cluster = self.story()
        policies = {os.sched_getscheduler(node.pid) for node in cluster.nodes.values()}
        assert_that(policies, equal_to({os.SCHED_OTHER}))


class NotPermittedTests(DaemonTestCase):
    """Where it is not: an unprivileged user without a limit for it."""

    def setUp(self) -> None:
        if os.geteuid() != 0:
            self.skipTest("needs root to take capabilities away")

    def test_alarm(self) -> None:
        """The node runs on, and says what is missing as long as it runs; so does flip check."""
        cluster = self.cluster(realtime=PRIORITY)
        path = cluster.write()
        without = ["setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice"]
        for id in IDS:
            log = cluster.workplace.log(id)
            words = [*without, *cluster.command(id, path)]
            cluster.nodes[id] = cluster.spawn(words, log=log)
        cluster.await_row(ALL_ACTIVE)
        status = cluster.status("flip1")
        assert status is not None
        text = "it takes CAP_SYS_NICE, or RLIMIT_RTPRIO of 7 or more, and that is 0"
        assert_that(status["alarms"], has_item(contains_string(text)))
        assert_that(os.sched_getscheduler(cluster.nodes["flip1"].pid), equal_to(os.SCHED_OTHER))


class ReadingTests(SynchronousTestCase):
    """What the reasons are made of."""

    def test_capable(self) -> None:
        """A process knows whether it has the capability: then it may have the priority."""
        if os.geteuid() == 0 and realtime.complaint(PRIORITY) is None:
            assert_that(realtime._capable(), equal_to(True))
