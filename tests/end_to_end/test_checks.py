"""Health checks, drain and verify with real processes and hooks."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from hamcrest import assert_that, contains_string, equal_to

from flip.demo.story import ALL_ACTIVE
from tests.end_to_end.case import DaemonTestCase
from tests.end_to_end.processes import Cluster

ONE, TWO = "192.168.0.1", "192.168.0.2"
AT_HOME = {"flip": {ONE}, "flip1": {TWO}}
MOVED = {"flip": {ONE, TWO}, "flip1": set[str]()}


class CheckTests(DaemonTestCase):
    """What moves because of what hooks, and operators, say."""

    def prepare(self, **settings: Any) -> Cluster:
        """A cluster whose check looks for a file of the node, and whose verify for the hook's."""
        cluster = self.cluster()
        root = cluster.root
        fit = cluster.hook("fit", f'test -e "{root}/$FLIP_NODE.fit"')
        there = f'test -e "{root}/$FLIP_NODE/holds/$1"'
        here = cluster.hook("here", f"{there} || {{ echo $1 is gone; exit 1; }}")
        check = {"run": fit, "interval": 200, "timeout": 2000, "rise": 2, "fall": 2}
        cluster.system.update(check=check, verify=here, check_interval=300, **settings)
        for id in AT_HOME:
            self.service(cluster, id).touch()
        cluster.start()
        cluster.await_row(ALL_ACTIVE)
        return cluster

    def service(self, cluster: Cluster, id: str) -> Path:
        return cluster.root / f"{id}.fit"

    def await_files(self, cluster: Cluster, expected: dict[str, set[str]]) -> None:
        cluster.wait(
            lambda: all(cluster.workplace.files(id) == held for id, held in expected.items()),
            10,
            f"{expected}",
        )

    def test_service(self) -> None:
        """A service fails and recovers; its data is with who can serve, one at a time."""
        cluster = self.prepare()
        self.service(cluster, "flip1").unlink()
        self.await_files(cluster, MOVED)
        status = cluster.status("flip1")
        assert status is not None
        assert_that(status["systems"]["ip"]["standing"], equal_to("unfit"))
        assert_that(status["systems"]["ip"]["check"]["reason"], contains_string("exit status 1"))
        shown = cluster.flip("status", "--socket", str(cluster.root / "flip1" / "control")).stdout
        assert_that(shown, contains_string("UNFIT, NOT ELIGIBLE"))
        self.service(cluster, "flip1").touch()
        self.await_files(cluster, AT_HOME)
        self.assert_one_owner(cluster)

    def test_drain(self) -> None:
        """`flip drain` empties a node, over a restart too, and `flip undrain` fills it again."""
        cluster = self.prepare()
        socket = str(cluster.root / "flip1" / "control")
        assert_that(cluster.flip("drain", "--socket", socket).returncode, equal_to(0))
        self.await_files(cluster, MOVED)
        cluster.kill("flip1")
        cluster.start("flip1")
        cluster.await_log("flip1", "settled")
        cluster.wait(lambda: (cluster.status("flip1") or {}).get("settled"), 10, "flip1 settles")
        time.sleep(0.5)
        self.await_files(cluster, MOVED)
        printed = cluster.flip("status", "--socket", socket, "--json").stdout
        assert_that(json.loads(printed)["systems"]["ip"]["standing"], equal_to("drained"))
        assert_that(cluster.flip("undrain", "--socket", socket, "ip").returncode, equal_to(0))
        self.await_files(cluster, AT_HOME)
        self.assert_one_owner(cluster)

    def test_verify(self) -> None:
        """What somebody took away is put back, and that is told with the hook's own words."""
        cluster = self.prepare()
        (cluster.root / "flip1" / "holds" / TWO).unlink()
        self.await_files(cluster, AT_HOME)
        cluster.await_log("flip1", f"ip: {TWO} is not here, so alive runs again")
        assert_that(cluster.logged("flip1"), contains_string(f"it said: {TWO} is gone"))
        cluster.wait(lambda: self.lives(cluster) >= 2, 10, "alive has run twice")

    def lives(self, cluster: Cluster) -> int:
        """How often flip1's `alive` ended."""
        runs = [run for run in cluster.runs() if run.node == "flip1" and run.datum == TWO]
        return sum(run.event == "alive" for run in runs)
