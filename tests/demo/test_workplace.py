"""Tests for `flip.demo.workplace`: directories, hooks and configurations."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from hamcrest import assert_that, calling, contains_string, empty, equal_to, is_, raises
from twisted.trial.unittest import SynchronousTestCase

from flip.config import load
from flip.demo import workplace
from flip.demo.story import IDS
from flip.demo.workplace import HOOKS, Workplace
from flip.errors import DemoFailed


class WorkplaceTests(SynchronousTestCase):
    """What the demo makes of a directory."""

    def setUp(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="it's here "))
        self.addCleanup(shutil.rmtree, self.base)
        self.patch(workplace, "_places", lambda: iter((str(self.base),)))
        self.place = Workplace.make()

    def hook(self, name: str, node: str, datum: str) -> None:
        event = "alive" if name == "ip_up" else "down"
        environ = {**os.environ, "FLIP_NODE": node, "FLIP_EVENT": event}
        subprocess.run([self.place.root / "hooks" / name, datum, "{}"], env=environ, check=True)

    def test_hooks(self) -> None:
        """They make and remove a node's files, and write down when they began and ended."""
        self.hook("ip_up", "flip", "192.168.0.1")
        assert_that(self.place.files("flip"), equal_to({"192.168.0.1"}))
        assert_that(self.place.files("flip1"), empty())
        self.hook("ip_down", "flip", "192.168.0.1")
        self.hook("ip_down", "flip", "192.168.0.1")
        assert_that(self.place.files("flip"), empty())
        runs = self.place.runs()
        assert_that([run.event for run in runs], equal_to(["alive", "down", "down"]))
        assert_that({run.node for run in runs}, equal_to({"flip"}))
        times = [time for run in runs for time in (run.began, run.ended)]
        assert_that(times, equal_to(sorted(times)))

    def test_no_fraction(self) -> None:
        """Where date knows no nanoseconds, the hooks tell the time all the same."""
        date = self.base / "date"
        date.write_text("#!/bin/sh\necho 1700000000N\n")
        date.chmod(0o700)
        self.patch(os, "environ", {**os.environ, "PATH": f"{self.base}:{os.environ['PATH']}"})
        self.place = Workplace.make()
        self.hook("ip_up", "flip", "a")
        (run,) = self.place.runs()
        assert_that(run.ended - run.began > 1000)
        assert_that(len(str(run.began)), equal_to(19))

    def test_configuration(self) -> None:
        """Each node has a valid one of its own, with the ports where it finds the others."""
        for number, id in enumerate(IDS):
            ports = {other: 20000 + 10 * number + at for at, other in enumerate(IDS)}
            config = load(self.place.configure(id, ports), environ={})
            assert_that(config.id, equal_to(id))
            found = {server.id: server.port for server in config.servers.values()}
            assert_that(found, equal_to(ports))
            assert_that(config.control, equal_to(self.place.control(id)))
            assert_that(str(config.state_dir), contains_string(str(self.place.root / id)))

    def test_same_plan(self) -> None:
        """The nodes' files differ in nothing that the division depends on."""
        ports = {id: 20000 + at for at, id in enumerate(IDS)}
        others = {id: 30000 + at for at, id in enumerate(IDS)}
        one = load(self.place.configure("flip", ports), environ={})
        two = load(self.place.configure("flip1", others), environ={})
        assert_that(one.digest, equal_to(two.digest))

    def test_own_hooks(self) -> None:
        """No hook but the demo's own can be run by its configuration: it could change the host."""
        config = load(self.place.configure("flip", {}), environ={})
        system = config.systems["ip"]
        for hook, name in zip((system.alive, system.down), HOOKS, strict=True):
            assert_that(Path(hook), equal_to(self.place.root / "hooks" / name))

    def test_log(self) -> None:
        """A log that is not there yet is empty; of a long one, the end is shown."""
        assert_that(self.place.last_lines("flip"), empty())
        self.place.log("flip").write_text("".join(f"line {n}\n" for n in range(100)))
        assert_that(self.place.last_lines("flip")[-1], equal_to("line 99"))
        assert_that(len(self.place.last_lines("flip")), equal_to(workplace.LAST_LINES))

    def test_traceback(self) -> None:
        """A traceback in a log is noticed."""
        self.place.log("flip").write_text("2026 [-] all is well\n")
        assert_that(self.place.has_traceback("flip"), is_(False))
        with self.place.log("flip").open("a") as log:
            log.write("2026 [x#critical] oh\n\tTraceback (most recent call last):\n")
        assert_that(self.place.has_traceback("flip"), is_(True))

    def test_remove(self) -> None:
        """Nothing is left."""
        self.place.remove()
        assert_that(list(self.base.iterdir()), empty())


class ChoiceTests(SynchronousTestCase):
    """Which directory is taken."""

    def setUp(self) -> None:
        self.good = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.good)

    def make(self, *places: str | Path) -> Workplace:
        self.patch(workplace, "_places", lambda: map(str, places))
        return Workplace.make()

    def passed_over(self, bad: Path) -> None:
        """The next one is taken, and nothing left in this one."""
        assert_that(self.make(bad, self.good).root.parent, equal_to(self.good))
        if bad.exists():
            assert_that(list(bad.iterdir()), empty())

    def test_missing(self) -> None:
        """One that does not exist is passed over."""
        self.passed_over(self.good / "missing")

    def test_too_long(self) -> None:
        """So is one too long for a UNIX socket, by bytes."""
        bad = self.good / ("\u00fc" * 40)
        bad.mkdir()
        self.addCleanup(shutil.rmtree, bad)
        self.passed_over(bad)

    def test_braces(self) -> None:
        """So is one that a configuration would take for the node's id."""
        bad = self.good / "{id}"
        bad.mkdir()
        self.addCleanup(shutil.rmtree, bad)
        self.passed_over(bad)

    def test_no_execution(self) -> None:
        """So is one where hooks could not be run."""
        bad = self.good / "noexec"
        bad.mkdir()
        self.addCleanup(shutil.rmtree, bad)
        real = os.access
        self.patch(os, "access", lambda path, mode: str(bad) not in str(path) and real(path, mode))
        self.passed_over(bad)

    def test_none(self) -> None:
        """Where there is none, the error says what was tried and what can be done."""
        missing = self.good / "missing"
        words = f"{missing}: No such file or directory.*TMPDIR"
        assert_that(calling(self.make).with_args(missing), raises(DemoFailed, words))
