"""Tests for `flip.demo.cluster`, without processes."""

from __future__ import annotations

import os
import shutil
import signal
import site
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hamcrest import assert_that, contains_string, empty, equal_to, is_, not_
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

import flip
from flip.config import load
from flip.demo import cluster as module
from flip.demo import workplace
from flip.demo.cluster import PORT_TRIES, START_LIMIT, STOP_LIMIT, Cluster, environment
from flip.demo.relay import HOST
from flip.demo.story import IDS
from flip.demo.workplace import Workplace
from flip.errors import CannotListen, DemoFailed


class Process:
    """A process that ends when the test says so, or by SIGKILL."""

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.signals: list[int] = []
        self.ended = False

    def signalProcess(self, number: int) -> None:
        if self.ended:
            raise ProcessExitedAlready()
        self.signals.append(number)
        if number == signal.SIGKILL:
            self.end(ProcessTerminated(signal=signal.SIGKILL))

    def end(self, how: Exception) -> None:
        self.ended = True
        self.protocol.processExited(Failure(how))


class Threads:
    """A thread pool without threads."""

    def callInThreadWithCallback(self, done: Callable[..., None], call: Any, *args: Any) -> None:
        done(True, call(*args))


class Reactor(MemoryReactorClock):
    """Starts processes that run what `life` says."""

    def __init__(self, life: Callable[[Process], None]) -> None:
        super().__init__()
        self.life = life
        self.processes: list[Process] = []
        self.spawned: list[tuple[list[str], dict[str, Any]]] = []

    def spawnProcess(self, protocol: Any, executable: str, args: list[str], **options: Any) -> None:
        process = Process(protocol)
        protocol.transport = process
        self.processes.append(process)
        self.spawned.append((args, options))
        self.life(process)

    def getThreadPool(self) -> Any:
        return Threads()

    def callFromThread(self, function: Any, *args: Any, **kwargs: Any) -> None:
        function(*args, **kwargs)


class ClusterTests(SynchronousTestCase):
    """Starting and stopping nodes."""

    def setUp(self) -> None:
        base = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, base)
        self.patch(workplace, "_places", lambda: iter((str(base),)))
        self.place = Workplace.make()
        self.answering: set[str] = set(IDS)
        self.patch(module, "_status", self.status)
        self.reactor = Reactor(lambda process: None)
        self.cluster = Cluster(self.reactor, self.place)

    def status(self, control: Path | None) -> dict[str, Any] | None:
        if control is None or control.parent.name not in self.answering:
            return None
        return {"id": control.parent.name}

    def start(self, *ids: str) -> Deferred[None]:
        return Deferred.fromCoroutine(self.cluster.start(ids))

    def started(self, id: str) -> Process:
        self.successResultOf(self.start(id))
        return self.reactor.processes[-1]

    def stop(self, id: str) -> Deferred[float]:
        return Deferred.fromCoroutine(self.cluster.stop(id))

    def reason(self, failing: Deferred[Any]) -> str:
        return str(self.failureResultOf(failing, DemoFailed).value)

    def test_started(self) -> None:
        """A node is twistd with its own file, on a leash, in its own directory."""
        self.started("flip1")
        arguments, options = self.reactor.spawned[0]
        directory = self.place.root / "flip1"
        expected = ["-P", "-m", "flip.demo.leash", "-n", "--pidfile=", f"--rundir={directory}"]
        expected += ["flip", "-c", str(directory / "flip.json"), "--id", "flip1"]
        assert_that(arguments[1:], equal_to(expected))
        assert_that(options["childFDs"][0], equal_to("w"))

    def test_paths(self) -> None:
        """Every node finds the others at the links, and the links find every node."""
        for at, link in enumerate(self.cluster.links.values()):
            link.port = 30000 + at
        for id in IDS:
            self.started(id)
        for id in IDS:
            config = load(self.place.root / id / "flip.json", environ={})
            for other in IDS:
                if other != id:
                    link = self.cluster.links[id, other]
                    assert_that(config.servers[other].port, equal_to(link.port))
                    back = self.cluster.links[other, id]
                    assert_that(back.destination, equal_to(config.me.port))

    def test_same_port(self) -> None:
        """A node that starts again has the port that it had."""
        self.started("flip")
        port = self.cluster.links["flip1", "flip"].destination
        self.cluster.kill("flip")
        self.started("flip")
        assert_that(self.cluster.links["flip1", "flip"].destination, equal_to(port))

    def test_port_taken(self) -> None:
        """Another program may take the port before the node does: it gets another one."""
        ports = []

        def lose(process: Process) -> None:
            ports.append(self.cluster.links["flip1", "flip"].destination)
            if len(ports) == 1:
                taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                self.addCleanup(taken.close)
                taken.bind((HOST, ports[0]))
                self.place.log("flip").write_text(f"flip: {CannotListen('(in use)')}\n")
                process.end(ProcessTerminated(exitCode=1))
                return
            self.answering.add("flip")

        self.answering.clear()
        self.reactor.life = lose
        starting = self.start("flip")
        self.reactor.advance(1)
        self.successResultOf(starting)
        assert_that(len(ports), equal_to(2))
        assert_that(ports[1], not_(ports[0]))

    def test_port_always_taken(self) -> None:
        """That is not tried for ever."""

        def lose(process: Process) -> None:
            with self.place.log("flip").open("a") as log:
                log.write(f"flip: {CannotListen('(in use)')}\n")
            process.end(ProcessTerminated(exitCode=1))

        self.reactor.life = lose
        said = self.reason(self.start("flip"))
        assert_that(said, contains_string("flip did not start (exit status 1)"))
        assert_that(len(self.reactor.processes), equal_to(PORT_TRIES))

    def test_other_error(self) -> None:
        """A node that ends for another reason is not started again, whatever was logged before."""
        self.place.log("flip").write_text(f"flip: {CannotListen('(in use)')}\n")
        self.reactor.life = lambda process: process.end(ProcessTerminated(exitCode=2))
        said = self.reason(self.start("flip"))
        assert_that(said, contains_string("flip did not start (exit status 2)"))
        assert_that(len(self.reactor.processes), equal_to(1))

    def test_silent(self) -> None:
        """A node that never answers fails, by name, though the others start."""
        self.answering.discard("flip2")
        starting = self.start(*IDS)
        self.reactor.pump([0.1] * int(10 * START_LIMIT + 5))
        assert_that(self.reason(starting), contains_string("flip2 did not answer within"))

    def test_stop(self) -> None:
        """The time from SIGTERM to the end; twistd ends by the very signal."""
        process = self.started("flip")
        stopping = self.stop("flip")
        assert_that(process.signals, equal_to([signal.SIGTERM]))
        self.reactor.advance(2)
        process.end(ProcessTerminated(signal=signal.SIGTERM))
        assert_that(self.successResultOf(stopping), equal_to(2.0))
        assert_that(self.reactor.getDelayedCalls(), empty())

    def test_stop_with_status(self) -> None:
        """Exit status 0 is as good; anything else is an error."""
        process = self.started("flip")
        stopping = self.stop("flip")
        process.end(ProcessDone(0))
        self.successResultOf(stopping)
        process = self.started("flip1")
        stopping = self.stop("flip1")
        process.end(ProcessTerminated(exitCode=1))
        assert_that(self.reason(stopping), contains_string("flip1 did not stop cleanly: exit"))

    def test_stop_takes_too_long(self) -> None:
        """A node that does not end in time is killed, and that is an error."""
        process = self.started("flip")
        stopping = self.stop("flip")
        self.reactor.advance(STOP_LIMIT + 1)
        assert_that(self.reason(stopping), contains_string("flip did not end within 10 s"))
        assert_that(process.ended, is_(True))

    def test_ended_by_itself(self) -> None:
        """A node that ends unasked is an error, one that was killed is not."""
        self.started("flip").end(ProcessTerminated(exitCode=1))
        observing = Deferred.fromCoroutine(self.cluster.observe())
        said = self.reason(observing)
        assert_that(said, contains_string("flip ended by itself (exit status 1)"))

    def test_killed(self) -> None:
        """A killed node does not answer; its death is on record."""
        for id in IDS:
            self.started(id)
        self.cluster.kill("flip1")
        seen = self.successResultOf(Deferred.fromCoroutine(self.cluster.observe()))
        answered = {id: status is not None for id, status in seen.statuses.items()}
        assert_that(answered, equal_to({"flip": True, "flip1": False, "flip2": True}))
        assert_that([len(self.cluster.deaths[id]) for id in IDS], equal_to([0, 1, 0]))

    def test_close(self) -> None:
        """Everything that still runs is killed."""
        for id in IDS:
            self.started(id)
        self.cluster.kill("flip")
        self.successResultOf(Deferred.fromCoroutine(self.cluster.close()))
        assert_that([process.ended for process in self.reactor.processes], equal_to([True] * 3))


class EnvironmentTests(SynchronousTestCase):
    """`environment`."""

    def test_this_flip(self) -> None:
        """The nodes find the flip that runs the demo, wherever they are started."""
        home = str(Path(flip.__file__).resolve().parent.parent)
        assert_that(environment({})["PYTHONPATH"], equal_to(home))
        places = environment({"PYTHONPATH": os.pathsep.join((".", "", "/a"))})["PYTHONPATH"]
        assert_that(places.split(os.pathsep)[:2], equal_to([os.getcwd(), "/a"]))

    def test_installed(self) -> None:
        """An installed flip is found anyway, and site-packages must not hide the library."""
        home = str(Path(flip.__file__).resolve().parent.parent)
        self.patch(site, "getsitepackages", lambda: [home])
        assert_that(environment({"HOME": "/h"}), equal_to({"HOME": "/h"}))

    def test_own_variables(self) -> None:
        """Variables that speak to a node of flip are not for these."""
        assert_that(environment({"FLIP_ID": "x"}).get("FLIP_ID"), equal_to(None))
