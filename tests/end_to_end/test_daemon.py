"""Real ``twistd`` processes in the story's cluster: signals, faults, and what an operator asks."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import pty
import signal
import stat
import subprocess
import time
from pathlib import Path

from hamcrest import assert_that, contains_string, empty, equal_to, greater_than, less_than

from flip.demo.cluster import environment
from flip.demo.story import ALL_ACTIVE, FLIP1_BACK, FLIP1_KILLED, IDS
from tests.end_to_end.case import DaemonTestCase
from tests.end_to_end.processes import Cluster
from tests.matchers import all_of, has_entries, not_

ONE, TWO = "192.168.0.1", "192.168.0.2"
LEAVING = 10.0  # seconds that a node may take to leave


def events(cluster: Cluster, id: str, datum: str, since: int) -> list[str]:
    """Which hooks ran on a node for a data point since `since` (nanoseconds)."""
    return [
        run.event
        for run in cluster.runs()
        if run.node == id and run.datum == datum and run.began >= since
    ]


class StoryTests(DaemonTestCase):
    """The story's first three rows, and the signals that a node may get."""

    def test_killed_and_back(self) -> None:
        """SIGKILL, and a new start: the others take over, then the data is divided again."""
        cluster = self.story()
        at = cluster.kill("flip1")
        cluster.wait(lambda: cluster.took("flip", TWO, at), 5, "flip takes over")
        cluster.await_row(FLIP1_KILLED)
        assert_that(cluster.workplace.files("flip1"), equal_to({TWO}))  # nobody cleaned up yet
        cluster.start("flip1")
        cluster.await_row(FLIP1_BACK)
        self.assert_one_owner(cluster)

    def test_killed_and_back_at_once(self) -> None:
        """A node that is restarted before anybody has noticed goes on with what it held (R4)."""
        cluster = self.story(ping_timeout=2000)
        since = cluster.kill("flip1")
        cluster.start("flip1")
        cluster.await_log("flip", "flip1 was restarted")
        cluster.wait(lambda: events(cluster, "flip1", TWO, since), 5, "flip1 runs alive again")
        cluster.await_row(ALL_ACTIVE)
        assert_that(events(cluster, "flip1", TWO, since), equal_to(["alive"]))
        assert_that(events(cluster, "flip", TWO, since), empty())

    def test_leaves_in_order(self) -> None:
        """SIGTERM: everything is let go of and taken over, then the node says that it left (R5)."""
        cluster = self.story()
        node = cluster.nodes["flip1"]
        began = time.monotonic()
        node.send(signal.SIGTERM)
        # twistd ends itself with the signal that asked for it; systemd takes that for success.
        assert_that(node.wait(LEAVING), equal_to(-signal.SIGTERM))
        assert_that(time.monotonic() - began, less_than(LEAVING))
        assert_that(cluster.workplace.files("flip1"), empty())
        assert_that(cluster.workplace.files("flip"), equal_to({ONE, TWO}))
        assert_that(cluster.workplace.control("flip1").exists(), equal_to(False))
        cluster.await_log("flip2", "flip1 left")
        for id in ("flip", "flip2"):
            status = cluster.status(id)
            assert status is not None
            assert_that(status["members"]["flip1"]["state"], equal_to("left"))
        cluster.start("flip1")
        cluster.await_row(FLIP1_BACK)
        self.assert_one_owner(cluster)
        for id in ("flip1", "flip", "flip2"):
            cluster.nodes[id].send(signal.SIGTERM)
            cluster.nodes[id].wait(LEAVING)
        assert_that([cluster.workplace.files(id) for id in IDS], equal_to([frozenset()] * 3))

    def test_second_signal(self) -> None:
        """A second SIGTERM ends the process at once, although a hook hangs."""
        cluster = self.cluster()
        armed, started = cluster.root / "armed", cluster.root / "started"
        cluster.system["down"] = cluster.hook(
            "hanging", f"[ -e {armed} ] || exit 0; echo $$ >> {started}; exec sleep 30"
        )
        cluster.start()
        cluster.await_row(ALL_ACTIVE)
        armed.touch()
        node = cluster.nodes["flip1"]
        node.send(signal.SIGTERM)
        cluster.wait(started.exists, 5, "the down hook runs")
        self.addCleanup(_kill_each, started)
        assert_that(node.running, equal_to(True))
        began = time.monotonic()
        node.send(signal.SIGTERM)
        assert_that(node.wait(5), equal_to(128 + signal.SIGTERM))
        assert_that(time.monotonic() - began, less_than(1.0))

    def test_killed_while_leaving(self) -> None:
        """A `down` that a killed node left running does not undo what its next process did."""
        cluster = self.cluster(ping_timeout=2000)
        armed, started = cluster.root / "armed", cluster.root / "started"
        down = cluster.system["down"]
        cluster.system["down"] = cluster.hook(
            "slow", f'[ -e {armed} ] && {{ echo $$ >> {started}; sleep 3; }}; exec {down} "$@"'
        )
        cluster.start()
        cluster.await_row(ALL_ACTIVE)
        armed.touch()
        cluster.nodes["flip1"].send(signal.SIGTERM)
        cluster.wait(started.exists, 5, "the down hook runs")
        armed.unlink()
        since = cluster.kill("flip1")
        cluster.start("flip1")
        cluster.await_log("flip1", f"process {started.read_text().strip()}, a hook that an earlier")
        cluster.wait(lambda: events(cluster, "flip1", TWO, since), 5, "flip1 runs alive again")
        time.sleep(max(0.0, 3.5 - (time.time_ns() - since) / 1e9))
        cluster.await_row(ALL_ACTIVE)
        assert_that(events(cluster, "flip1", TWO, since), equal_to(["alive"]))

    def test_frozen(self) -> None:
        """A node that stood still is replaced; when it goes on, it gets its own back (R6)."""
        cluster = self.story()
        node = cluster.nodes["flip1"]
        node.send(signal.SIGHUP)  # is no reason to end
        cluster.await_log("flip1", "SIGHUP is ignored")
        node.send(signal.SIGSTOP)
        began = time.time_ns()
        cluster.wait(lambda: cluster.took("flip", TWO, began), 5, "flip takes over")
        time.sleep(max(0.0, 3 - (time.time_ns() - began) / 1e9))
        thawed = time.time_ns()
        node.send(signal.SIGCONT)
        cluster.await_row(ALL_ACTIVE)
        cluster.await_log("flip1", "this node stood still for 3")
        # The winner announces what it never lost, at once or when the other has let go.
        cluster.wait(lambda: events(cluster, "flip1", TWO, thawed), 5, "flip1 announces")
        assert_that(set(events(cluster, "flip1", TWO, thawed)), equal_to({"alive"}))
        assert_that(events(cluster, "flip", TWO, thawed)[-1], equal_to("down"))

    def test_interrupted(self) -> None:
        """Ctrl-C at the terminal reaches the node, which leaves, and not its hooks."""
        cluster = self.cluster()
        armed, log = cluster.root / "armed", cluster.root / "hooks.log"
        cluster.system["down"] = cluster.hook(
            "slow",
            f'[ -e {armed} ] || exit 0; trap "echo interrupted >> {log}" INT\n'
            f"sleep 0.5; echo ended >> {log}",
        )
        path = cluster.write()
        words = cluster.command("flip1", path)
        node = cluster.spawn(words, log=cluster.workplace.log("flip1"), group=True)
        cluster.nodes["flip1"] = node
        cluster.start("flip", "flip2")
        cluster.await_row(ALL_ACTIVE)
        armed.touch()
        os.killpg(node.pid, signal.SIGINT)
        assert_that(node.wait(LEAVING), equal_to(-signal.SIGINT))
        assert_that(log.read_text().split(), equal_to(["ended"]))
        cluster.await_log("flip", "flip1 left")


class RefusalTests(DaemonTestCase):
    """What keeps a node from starting is said in plain words, with an exit status."""

    def test_configuration(self) -> None:
        """A wrong configuration: the whole report, no traceback, status 2, also as a daemon."""
        cluster = self.cluster()
        cluster.configuration["ping_timeuot"] = 300
        cluster.servers["flip1"]["port"] = 0
        path = cluster.write()
        for words in (cluster.command("flip1", path), cluster.command("flip1", path, "--nodaemon")):
            if "--nodaemon" in words:
                words.remove("-n")
            log = cluster.root / "refused.log"
            log.write_text("")
            assert_that(cluster.spawn(words, log=log).wait(10), equal_to(2))
            said = log.read_text()
            assert_that(said, contains_string("ping_timeuot"))
            assert_that(said, contains_string("servers.flip1.port"))
            assert_that(said, not_(contains_string("Traceback")))

    def test_missing_hook(self) -> None:
        """A hook that cannot be found is an error at start, with the places looked in."""
        cluster = self.cluster()
        cluster.system["alive"] = "ip_upp"
        said = self.refused(cluster, "flip1", status=2)
        assert_that(said, all_of(contains_string("ip_upp"), contains_string(str(cluster.root))))

    def test_port_taken(self) -> None:
        """Another process has the port: one clear line, status 1, and nothing is left open."""
        cluster = self.cluster()
        cluster.start("flip")
        cluster.await_log("flip", "starting on")
        # As if another program had it: a configuration in which the port is flip1's alone.
        port = cluster.servers.pop("flip")["port"]
        cluster.servers["flip1"]["port"] = port
        cluster.servers["flip"] = {"ip": "127.0.0.2", "port": port}
        said = self.refused(cluster, "flip1", status=1)
        assert_that(said, contains_string("in use"))
        assert_that(said, contains_string(f"port {port}"))

    def test_foreign_address(self) -> None:
        """The server's ip is not this host's: the line says so, and what to do behind NAT."""
        cluster = self.cluster()
        cluster.servers["flip1"]["ip"] = "192.0.2.1"
        said = self.refused(cluster, "flip1", status=1)
        assert_that(said, contains_string("192.0.2.1"))
        assert_that(said, contains_string("servers.flip1.ip"))
        assert_that(said, contains_string("bind"))

    def test_state_directory_in_use(self) -> None:
        """Two live nodes never share a state directory; the line names the other process."""
        cluster = self.cluster()
        cluster.start("flip")
        cluster.await_log("flip", "starting on")
        state = cluster.root / "flip" / "state"
        path = cluster.write("shared.json", state_dir=str(state))
        said = self.refused(cluster, "flip1", status=1, path=path)
        assert_that(said, contains_string(str(state)))
        assert_that(said, contains_string(f"Process {cluster.nodes['flip'].pid} "))

    def refused(self, cluster: Cluster, id: str, *, status: int, path: Path | None = None) -> str:
        """What a node printed that ended by itself with a status."""
        log = cluster.root / "refused.log"
        words = cluster.command(id, path or cluster.write())
        assert_that(cluster.spawn(words, log=log).wait(10), equal_to(status))
        said = log.read_text()
        assert_that(said, not_(contains_string("Traceback")))
        return said


class DoubleTests(DaemonTestCase):
    """Two processes with one id."""

    def test_younger_stops(self) -> None:
        """The younger one lets go of everything and ends with an error; the elder stays."""
        cluster = self.story()
        state, control = cluster.root / "double", cluster.root / "double.sock"
        # As on a second machine that was cloned from the first: what it does is done there.
        elsewhere = copy.deepcopy(cluster.configuration["cluster"])
        elsewhere["system"]["ip"] |= dict.fromkeys(("alive", "down"), cluster.hook("there", "exit"))
        path = cluster.write(
            "double.json",
            bind="127.0.0.2",
            state_dir=str(state),
            control=str(control),
            cluster=elsewhere,
        )
        log = cluster.root / "double.log"
        double = cluster.spawn(cluster.command("flip1", path), log=log)
        assert_that(double.wait(20), equal_to(2), log.read_text())
        assert_that(log.read_text(), contains_string("an older process runs as flip1"))
        cluster.await_log("flip1", "another process runs as flip1")
        cluster.await_row(ALL_ACTIVE)


class TwistdTests(DaemonTestCase):
    """The other ways to run a node with twistd."""

    def test_daemon(self) -> None:
        """``twistd flip`` returns at once, and writes a pidfile and a log."""
        cluster = self.cluster()
        path = cluster.write()
        pidfile, log = cluster.root / "flip1.pid", cluster.root / "flip1.log"
        words = cluster.command("flip1", path, f"--pidfile={pidfile}", f"--logfile={log}")
        words.remove("-n")
        launcher = cluster.spawn(words, log=cluster.root / "launcher.log")
        assert_that(launcher.wait(10), equal_to(0))
        pid = int(pidfile.read_text())
        self.addCleanup(_kill, pid)
        cluster.start("flip", "flip2")
        cluster.wait(lambda: TWO in cluster.workplace.files("flip1"), 10, "flip1 takes its share")
        assert_that(log.read_text(), contains_string("in touch with a quorum"))
        os.kill(pid, signal.SIGTERM)
        cluster.wait(lambda: not pidfile.exists(), LEAVING, "the daemon removes its pidfile")
        assert_that(cluster.workplace.files("flip1"), empty())

    def test_terminal(self) -> None:
        """A node in a terminal that is closed leaves in order."""
        cluster = self.cluster()
        words = cluster.command("flip1", cluster.write())
        environ = environment(os.environ)
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(words[0], words, environ)
        self.addCleanup(_kill, pid)
        os.set_blocking(terminal, False)
        cluster.start("flip", "flip2")

        def takes_its_share() -> bool:
            with contextlib.suppress(BlockingIOError):
                os.read(terminal, 65536)  # or it would wait for somebody to read its log
            return TWO in cluster.workplace.files("flip1")

        cluster.wait(takes_its_share, 10, "flip1 takes its share")
        os.close(terminal)
        cluster.await_log("flip", "flip1 left")
        cluster.await_log("flip2", "flip1 left")
        assert_that(cluster.workplace.files("flip1"), empty())
        _, status = os.waitpid(pid, 0)
        assert_that(os.waitstatus_to_exitcode(status), equal_to(0))

    def test_tac(self) -> None:
        """``twistd -y etc/flip.tac`` runs the node that FLIP_CONFIG and FLIP_ID name."""
        cluster = self.cluster()
        tac = Path(__file__).parents[2] / "etc" / "flip.tac"
        cluster.start("flip", "flip2")
        words = cluster.command("flip1", Path())
        words = [*words[: words.index("flip")], "-y", str(tac)]
        environ = {"FLIP_CONFIG": str(cluster.root / "flip.json"), "FLIP_ID": "flip1"}
        cluster.nodes["flip1"] = cluster.spawn(
            words, log=cluster.workplace.log("flip1"), environ=environ
        )
        cluster.await_row(ALL_ACTIVE)
        cluster.nodes["flip1"].send(signal.SIGTERM)
        assert_that(cluster.nodes["flip1"].wait(LEAVING), equal_to(-signal.SIGTERM))
        assert_that(cluster.workplace.files("flip1"), empty())


class ControlTests(DaemonTestCase):
    """``flip status`` and ``flip retry`` against running nodes."""

    def test_status(self) -> None:
        """For people and for scripts, by configuration or by socket; only its user may ask."""
        cluster = self.story()
        path, socket = str(cluster.root / "flip.json"), cluster.workplace.control("flip1")
        assert_that(stat.S_IMODE(socket.stat().st_mode), equal_to(0o600))
        page = cluster.flip("status", "-c", path, "--id", "flip1")
        assert_that(page.returncode, equal_to(0), page.stderr)
        for words in ("flip1 is active", "in touch", "flip2", TWO):
            assert_that(page.stdout, contains_string(words))
        answer = cluster.flip("status", "--socket", str(socket), "--json")
        status = json.loads(answer.stdout)
        assert_that(
            status,
            has_entries(
                id="flip1",
                incarnation=greater_than(0),
                in_touch=True,
                quorum=2,
                members=has_entries(
                    flip=has_entries(
                        state="alive", votes=[], systems=has_entries(ip=has_entries(held=[ONE]))
                    ),
                    flip1=has_entries(systems=has_entries(ip=has_entries(held=[TWO]))),
                    flip2=has_entries(state="alive"),
                ),
                systems=has_entries(ip=has_entries(wanted=[TWO], held=[TWO], failed={})),
            ),
        )
        cluster.kill("flip1")
        gone = cluster.flip("status", "--socket", str(socket))
        assert_that((gone.returncode, gone.stdout), equal_to((1, "")))
        assert_that(gone.stderr, contains_string("the node was killed"))

    def test_retry(self) -> None:
        """A node whose `alive` keeps failing gives way; ``flip retry`` brings it back at once."""
        cluster = self.cluster()
        broken = cluster.root / "broken"
        broken.touch()
        good = cluster.system["alive"]
        cluster.system["alive"] = cluster.hook(
            "fragile",
            f'[ $FLIP_NODE = flip1 ] && [ -e {broken} ] && echo "no carrier" >&2 && exit 1\n'
            f'exec {good} "$@"',
        )
        cluster.start()
        cluster.wait(
            lambda: cluster.workplace.files("flip") == {ONE, TWO}, 10, "flip takes over from flip1"
        )
        status = cluster.status("flip1")
        assert status is not None
        assert_that(
            status["systems"]["ip"]["failed"], has_entries({TWO: contains_string("no carrier")})
        )
        broken.unlink()
        done = cluster.flip("retry", "-c", str(cluster.root / "flip.json"), "--id", "flip1")
        assert_that(done.returncode, equal_to(0), done.stderr)
        cluster.await_row(ALL_ACTIVE)
        self.assert_one_owner(cluster)

    def test_ipv6(self) -> None:
        """A cluster on IPv6 does the same."""
        try:
            cluster = self.cluster("::1")
        except OSError as error:
            self.skipTest(f"this host has no IPv6: {error}")
        cluster.start()
        cluster.await_row(ALL_ACTIVE)
        cluster.kill("flip1")
        cluster.await_row(FLIP1_KILLED)
        status = cluster.status("flip")
        assert status is not None
        port = cluster.servers["flip1"]["port"]
        assert_that(status["members"]["flip1"]["address"], equal_to(f"[::1]:{port}"))


class JournalTests(DaemonTestCase):
    """A disk that fails is reported, and is never in the way."""

    def test_corrupt(self) -> None:
        """A damaged journal is set aside; the node starts, says so, and takes its share."""
        cluster = self.story()
        cluster.kill("flip1")
        state = cluster.root / "flip1" / "state"
        for path in state.glob("journal.sqlite*"):
            path.write_bytes(b"no database at all" * 1000)
        cluster.start("flip1")
        cluster.await_row(ALL_ACTIVE)
        assert_that(list(state.glob("journal.sqlite.unreadable-*")), not_(empty()))
        cluster.await_log("flip1", "It is kept as")
        self.assert_one_owner(cluster)

    def test_full_disk(self) -> None:
        """With a full disk under its journal a node takes over all the same, and says so."""
        cluster = self.cluster()
        disk = cluster.root / "flip" / "disk"
        disk.mkdir()
        if os.geteuid() != 0:
            self.skipTest("needs root to mount a tiny disk")
        mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            self.skipTest("cannot mount a tmpfs here")
        self.addCleanup(subprocess.run, ["umount", "--lazy", str(disk)], check=True)
        path = cluster.write("full.json", state_dir=str(disk))
        cluster.start("flip", path=path)
        cluster.start("flip1", "flip2")
        cluster.await_row(ALL_ACTIVE)
        with (disk / "ballast").open("wb") as ballast:
            _fill(ballast.fileno())
        cluster.kill("flip1")
        cluster.await_row(FLIP1_KILLED)
        status = cluster.status("flip")
        assert status is not None
        assert_that(status["journal"]["error"], contains_string("full"))
        assert_that(" ".join(status["alarms"]), contains_string("journal"))
        cluster.await_log("flip", "cannot be written")
        (disk / "ballast").unlink()
        cluster.start("flip1")
        cluster.await_row(FLIP1_BACK)


def _fill(fd: int) -> None:
    """Write until the disk is full."""
    for size in (4096, 1):
        try:
            while True:
                os.write(fd, b"x" * size)
        except OSError:
            continue


def _kill(pid: int) -> None:
    """End a process that may be gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _kill_each(pids: Path) -> None:
    for pid in pids.read_text().split():
        _kill(int(pid))
