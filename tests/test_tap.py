"""``twistd flip``: its options, what keeps it from starting, its clock and its end."""

from __future__ import annotations

import atexit
import copy
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

from hamcrest import (
    assert_that,
    close_to,
    contains_string,
    empty,
    equal_to,
    has_entries,
    has_properties,
    is_,
)
from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ReactorNotRunning
from twisted.python.usage import UsageError
from twisted.scripts.twistd import ServerOptions  # type: ignore[attr-defined]  # not in __all__
from twisted.trial.unittest import SynchronousTestCase

from flip import log, tap
from flip.config import load
from flip.errors import CannotListen
from flip.holdings.hooks import Hook
from flip.holdings.lock import DirectoryLock
from flip.log import LEVELS
from flip.tap import BAD_CONFIGURATION, Daemon, Options, makeService, use_monotonic_clock
from tests.cluster.case import STORY
from tests.matchers import all_of, not_

HOUR = 3600.0


class OptionsTests(SynchronousTestCase):
    """The command line after ``twistd flip``."""

    def parse(self, *words: str) -> Options:
        options = Options()
        options.parseOptions(words)
        return options

    def test_defaults(self) -> None:
        """Without options: flip.json here, and its own id."""
        assert_that(self.parse(), has_entries(config="flip.json", id=None))

    def test_given(self) -> None:
        """A file and an id, short or long."""
        expected = has_entries(config="a.json", id="flip1")
        assert_that(self.parse("-c", "a.json", "--id", "flip1"), expected)
        assert_that(self.parse("--config=a.json", "--id=flip1"), expected)

    def twistd(self, *words: str) -> ServerOptions:
        options = ServerOptions()
        options.parseOptions(words)
        return options

    def test_foreground(self) -> None:
        """Several nodes run in one directory: in the foreground there is no pidfile."""
        assert_that(self.twistd("-n", "flip", "--id", "flip1")["pidfile"], equal_to(""))

    def test_daemon(self) -> None:
        """A daemon's pidfile has its node's name."""
        assert_that(
            self.twistd("flip", "--id", "flip1")["pidfile"],
            equal_to(os.path.abspath("flip-flip1.pid")),
        )
        self.patch(os, "environ", os.environ | {"FLIP_ID": "flip2"})
        assert_that(self.twistd("flip")["pidfile"], equal_to(os.path.abspath("flip-flip2.pid")))

    def test_pidfile(self) -> None:
        """A pidfile that was asked for stays."""
        for words in (("-n", "--pidfile=a.pid"), ("--pidfile=a.pid",)):
            options = self.twistd(*words, "flip", "--id=flip1")
            assert_that(options["pidfile"], equal_to(os.path.abspath("a.pid")))

    def test_unknown(self) -> None:
        """Anything else is an error, not ignored."""
        self.assertRaises(UsageError, self.parse, "--ids", "flip1")


class TapTestCase(SynchronousTestCase):
    """Has a configuration file, a standard error to look at, and a clock to spoil."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir()
        for name in ("ip_up", "ip_down"):
            hook = self.directory / name
            hook.write_text("#!/bin/sh\n")
            hook.chmod(0o700)
        self.stderr = StringIO()
        self.patch(sys, "stderr", self.stderr)
        self.patch(reactor, "seconds", reactor.seconds)
        self.patch(log, "_threshold", log._threshold)
        given = os.environ.pop("FLIP_ID", None)
        if given is not None:
            self.addCleanup(os.environ.__setitem__, "FLIP_ID", given)

    def file(self, **changes: Any) -> str:
        """Write the story's configuration with some settings changed."""
        # The control socket is never opened here, and its path has to be short.
        paths = {"state_dir": str(self.directory / "state_dir"), "control": "/nowhere/control"}
        path = self.directory / "flip.json"
        # 32 bytes in base64 are used as they are: nothing is stretched.
        settings = {"id": "flip", "key": "a" * 43 + "="} | paths | changes
        path.write_text(json.dumps(STORY | settings))
        return str(path)


class MakeServiceTests(TapTestCase):
    """From options to a service."""

    def make(self, path: str, id: str | None = None) -> Daemon:
        """What these options make, which must be a daemon."""
        service = makeService({"config": path, "id": id})
        assert isinstance(service, Daemon), service
        return service

    def test_node(self) -> None:
        """The service runs the node that the file names, or the one that --id names."""
        path = self.file()
        for id, expected in ((None, "flip"), ("flip1", "flip1")):
            assert_that(self.make(path, id).node.config.id, equal_to(expected))
        os.environ["FLIP_ID"] = "flip2"
        self.addCleanup(os.environ.pop, "FLIP_ID")
        assert_that(self.make(path).node.config.id, equal_to("flip2"))
        assert_that(self.stderr.getvalue(), equal_to(""))

    def test_log_level(self) -> None:
        """The file's log_level holds from then on."""
        makeService({"config": self.file(log_level="error"), "id": None})
        assert_that(log._threshold, is_(LEVELS["error"]))

    def refuse(self, path: str) -> str:
        """What is printed about a configuration that must be refused."""
        refusal = self.assertRaises(SystemExit, makeService, {"config": path, "id": None})
        assert_that(refusal.code, equal_to(BAD_CONFIGURATION))
        # No chained error: a traceback would hide the report.
        assert_that(refusal, has_properties(__cause__=None, __suppress_context__=True))
        return self.stderr.getvalue()

    def test_configuration(self) -> None:
        """Everything that is wrong with the file is printed."""
        said = self.refuse(self.file(quorum=9, ping_timeout="soon"))
        assert_that(said, all_of(contains_string("quorum"), contains_string("ping_timeout")))

    def test_no_file(self) -> None:
        """A file that is not there is named."""
        assert_that(self.refuse("nowhere.json"), contains_string("nowhere.json"))

    def test_hooks(self) -> None:
        """All hooks are found at start, never at failover."""
        for name in ("ip_up", "ip_down"):
            (self.directory / name).chmod(0o600)
        said = self.refuse(self.file())
        assert_that(said, all_of(contains_string("ip_up"), contains_string("ip_down")))

    def test_arbiter_needs_no_hooks(self) -> None:
        """A server without systems runs no hooks, and needs none."""
        (self.directory / "ip_up").chmod(0o600)
        assert_that(self.make(self.file(id="flip2")).node._hooks, empty())

    def test_guard(self) -> None:
        """Servers that list an exclusive system have a guard; it starts with the node."""
        exclusive = copy.deepcopy(STORY["cluster"])
        exclusive["system"]["ip"]["exclusive"] = True
        for id, cluster, needed in (
            ("flip", exclusive, True),
            ("flip2", exclusive, False),  # an arbiter
            ("flip", STORY["cluster"], False),
        ):
            guard = self.make(self.file(id=id, cluster=cluster)).node._guard
            assert_that(guard is not None, equal_to(needed))
            if guard is not None:
                assert_that(guard.condition.pid, equal_to(None))


class ClockTests(TapTestCase):
    """The reactor's clock."""

    def test_step_of_the_wall_clock(self) -> None:
        """When the wall clock is set, timers neither wait longer nor fire sooner."""
        use_monotonic_clock(reactor)
        before = reactor.seconds()
        call = reactor.callLater(HOUR, int)
        wall = time.time
        for step in (-HOUR, HOUR):
            self.patch(time, "time", lambda step=step: wall() + step)
            assert_that(reactor.seconds(), close_to(before, 60))
            assert_that(call.getTime(), close_to(before + HOUR, 60))
        call.cancel()

    def test_suspend(self) -> None:
        """Time in which the machine sleeps counts, where the system can tell."""
        asked: list[int] = []

        def read(number: int) -> float:
            asked.append(number)
            return 5.0

        clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        self.patch(time, "clock_gettime", read)
        use_monotonic_clock(reactor)
        assert_that(reactor.seconds(), equal_to(5.0))
        assert_that(asked, equal_to([clock]))


class StoppableReactor:
    """Counts how often it is asked to stop."""

    def __init__(self) -> None:
        self.stops = 0

    def seconds(self) -> float:
        return 0.0

    def callFromThread(self, call: Callable[[], None]) -> None:
        call()

    def stop(self) -> None:
        self.stops += 1
        if self.stops > 1:
            raise ReactorNotRunning


class TerminalOrNot(StringIO):
    """A standard input."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


class DaemonTests(TapTestCase):
    """The process around the node."""

    def daemon(self, **changes: Any) -> Daemon:
        self.reactor = StoppableReactor()
        config = load(self.file(**changes), id="flip", environ={})
        hook = Hook("true", ("/bin/true",))
        return Daemon(config, self.reactor, {"ip": {"alive": hook, "down": hook}})

    def test_cannot_start(self) -> None:
        """What an operator can mend is one line and status 1, not a traceback."""
        self.patch(signal, "signal", lambda number, handler: None)
        daemon = self.daemon()
        lock = DirectoryLock(self.directory / "state_dir")
        (self.directory / "state_dir").mkdir()
        lock.acquire()
        self.addCleanup(lock.release)
        refusal = self.assertRaises(SystemExit, daemon.startService)
        assert_that(refusal, has_properties(code=1, __suppress_context__=True))
        said = self.stderr.getvalue()
        assert_that(said, contains_string("flip: Another live node uses this state directory."))
        assert_that(said.splitlines(), equal_to([said.rstrip()]))

    def test_node_before_control(self) -> None:
        """At the end ``flip status`` can be asked until the node has left."""
        daemon = self.daemon()
        signals: list[int] = []
        self.patch(signal, "signal", lambda number, handler: signals.append(number))
        left: Deferred[None] = Deferred()
        ends: list[str] = []

        def end_control() -> Deferred[None]:
            ends.append("control")
            return succeed(None)

        self.patch(daemon.node, "stopService", lambda: left)
        self.patch(daemon.control, "stopService", end_control)
        stopped = daemon.stopService()
        self.assertNoResult(stopped)
        assert_that(ends, empty())
        assert_that(signals, equal_to([signal.SIGTERM, signal.SIGINT]))
        left.callback(None)
        self.successResultOf(stopped)
        assert_that(ends, equal_to(["control"]))

    def test_second_signal(self) -> None:
        """The next signal ends the process at once, with the status that shells give it."""
        handlers: dict[int, Any] = {}
        statuses: list[int] = []
        self.patch(signal, "signal", handlers.__setitem__)
        self.patch(os, "_exit", statuses.append)
        daemon = self.daemon()
        self.patch(daemon.node, "stopService", lambda: Deferred())
        self.assertNoResult(daemon.stopService())
        for number in (signal.SIGTERM, signal.SIGINT):
            handlers[number](number, None)
        assert_that(statuses, equal_to([143, 130]))

    def test_hangup(self) -> None:
        """SIGHUP ends a node whose terminal is gone, and no other: nobody can reload anything."""
        for at_terminal, stops in ((True, 1), (False, 0)):
            self.patch(sys, "stdin", TerminalOrNot(at_terminal))
            daemon = self.daemon()
            daemon._hung_up(signal.SIGHUP, None)
            assert_that(self.reactor.stops, equal_to(stops))

    def test_must_not_go_on(self) -> None:
        """A node that has to give way ends the process, with an error."""
        at_exit: list[tuple[object, ...]] = []
        self.patch(atexit, "register", lambda *call: at_exit.append(call))
        daemon = self.daemon()
        for _ in range(2):  # also when a signal was faster
            daemon.node._failed()
        assert_that(self.reactor.stops, equal_to(2))
        assert_that(at_exit[0], equal_to((os._exit, BAD_CONFIGURATION)))

    def test_warnings(self) -> None:
        """What is doubtful in the configuration is logged when the node starts."""
        said: list[str] = []
        self.patch(signal, "signal", lambda number, handler: None)
        self.patch(tap._log, "warn", lambda format, doubt: said.append(str(doubt)))
        daemon = self.daemon(key="short")

        def refuse() -> None:
            raise CannotListen("(taken)")

        self.patch(daemon.node, "startService", refuse)
        self.assertRaises(SystemExit, daemon.startService)
        assert_that(said, not_(empty()))
        assert_that(said[0], contains_string("key"))
