"""The guard's real process, with real hooks: the tests are its daemon."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from hamcrest import assert_that, close_to, empty, equal_to, less_than
from twisted.trial.unittest import SynchronousTestCase

import flip.holdings.guard
from flip.holdings.call import Hook, HookCall
from flip.holdings.guard.interface import LetGo, Point, Stage
from flip.holdings.guard.messages import (
    Arm,
    Begin,
    Ended,
    Note,
    Order,
    Ping,
    Pong,
    Report,
    Run,
    Said,
    Started,
    decode_report,
    encode,
)

PROGRAM = str(Path(flip.holdings.guard.__file__).parent)
CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
LIMIT = 10.0  # seconds that anything may take on a busy machine
POINT: Point = ("ip", "a b")
DONE = "exit 0"


def now() -> float:
    return time.clock_gettime(CLOCK)


class GuardTestCase(SynchronousTestCase):
    """A guard, and the daemon's end of its connection."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.record = self.directory / "record"
        self.errors = self.directory / "errors"
        self.process, self.connection = self.spawn()
        self.lines = self.connection.makefile("rb")
        self.addCleanup(lambda: self.lines.close())
        self.send(Begin(1.0))

    def spawn(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        ours, theirs = socket.socketpair()
        ours.settimeout(LIMIT)
        with theirs, self.errors.open("ab") as errors:
            words = [sys.executable, "-IS", PROGRAM, "me", str(self.directory / "lock")]
            environ = os.environ | {"NOTIFY_SOCKET": "/x", "KEPT": "yes"}
            process = subprocess.Popen(
                words, stdin=theirs.fileno(), stderr=errors, start_new_session=True, env=environ
            )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(ours.close)
        return process, ours

    def send(self, *orders: Order) -> None:
        self.connection.sendall(b"".join(encode(order) + b"\n" for order in orders))

    def until(self, wanted: type[Report]) -> list[Report]:
        """The reports up to the first of one kind."""
        reports: list[Report] = []
        while not reports or not isinstance(reports[-1], wanted):
            line = self.lines.readline()
            assert line, f"the guard has ended after {reports}: {self.errors.read_text()}"
            reports.append(decode_report(line))
        return reports

    def lose(self) -> None:
        """The daemon dies."""
        self.lines.close()
        self.connection.close()

    def call(self, event: str, script: str, *, timeout: float = 1.0) -> HookCall:
        """A hook: a shell script, which writes down that it began."""
        path = self.directory / f"{event}-{len(list(self.directory.iterdir()))}"
        path.write_text(f"#!/bin/sh\necho $FLIP_EVENT >> {self.record}\n{script}\n")
        path.chmod(0o700)
        hook = Hook(path.name.split("-", maxsplit=1)[0], (str(path),))
        return HookCall(hook, event, *POINT, '{"x": 1}', "me", timeout, POINT[1:])

    def hold(self, alive: str, down: str, *, after: float = 60.0) -> int:
        """Arm, and order `alive`; returns its pid when it runs."""
        call = self.call("down", down)
        self.send(
            Arm(((POINT, now() + after),), (call,)), Run(1, self.call("alive", alive, timeout=60))
        )
        *_, started = self.until(Started)
        assert isinstance(started, Started)
        return started.pid

    def ran(self) -> list[str]:
        """The hooks that began, in order."""
        return self.record.read_text().split() if self.record.exists() else []

    def await_line(self, text: str) -> None:
        """Wait until a hook has written a line."""
        self.wait(lambda: text in self.ran())

    def wait(self, condition: Any) -> None:
        deadline = time.monotonic() + LIMIT
        while not condition():
            assert time.monotonic() < deadline, f"{self.ran()} {self.errors.read_text()}"
            time.sleep(0.005)


class HookTests(GuardTestCase):
    """It keeps the contract of docs/hooks.md."""

    def test_group(self) -> None:
        """Runs once for each member; one that fails takes the others with it."""
        hook = self.call("alive", 'echo "$1:$FLIP_POINT"; test "$FLIP_EVENT $1" != "alive b"')
        group = hook._replace(members=("a", "b"), undo=hook.hook)
        down = group._replace(event="down", undo=None)
        self.send(Arm(((POINT, now() + 60),), (down,)), Run(1, group))
        reports = self.until(Ended)
        ended = reports[-1]
        assert isinstance(ended, Ended)
        assert_that(ended.failure, equal_to("b: alive: exit status 1 (it said: b:a b)"))
        assert_that(self.ran(), equal_to(["alive", "alive", "down", "down"]))
        said = [report for report in reports if isinstance(report, Said)]
        of = [f"{one.datum} {one.line}" for one in said]
        assert_that(of, equal_to([f"{m} of a b {m}:a b" for m in ("a", "b", "b", "a")]))

    def test_contract(self) -> None:
        """Arguments, environment, streams, session: as with any other hook."""
        script = (
            'echo "$#:$1:$2"; echo "$FLIP_SYSTEM:$FLIP_DATUM:$FLIP_NODE:$FLIP_CONFIG" >&2;'
            'echo "$KEPT:$NOTIFY_SOCKET:$(cat)"; ls /dev/fd | wc -l; ps -o sid= -p $$; echo $$'
        )
        self.send(Run(1, self.call("down", script)))
        reports = self.until(Ended)
        out = [r.line for r in reports if isinstance(r, Said) and not r.error]
        assert_that(out[:2], equal_to(['2:a b:{"x": 1}', "yes::"]))
        assert_that(int(out[2]), less_than(5))  # 0, 1, 2 and that of the listing
        assert_that(out[3].strip(), equal_to(out[4]))
        errors = [r.line for r in reports if isinstance(r, Said) and r.error]
        assert_that(errors, equal_to(['ip:a b:me:{"x": 1}']))
        started, ended = reports[0], reports[-1]
        assert isinstance(started, Started)
        assert isinstance(ended, Ended)
        assert_that((str(started.pid), ended.failure), equal_to((out[4], None)))

    def test_signals(self) -> None:
        """None is ignored or blocked in a hook, although the guard ignores some."""
        self.send(Run(1, self.call("down", "grep -E 'Sig(Ign|Blk)' /proc/self/status")))
        lines = [r.line for r in self.until(Ended) if isinstance(r, Said)]
        # The C library keeps two signals to itself: nobody can set or clear them.
        ours = sum(1 << (number - 1) for number in signal.valid_signals())
        masks = [int(line[-16:], 16) & ours for line in lines if line.startswith("Sig")]
        if sys.platform.startswith("linux"):
            assert_that(masks, equal_to([0, 0]))

    def test_priority(self) -> None:
        """What the guard may have of it is not for its hooks."""
        self.send(Run(1, self.call("down", "nice; ulimit -n")))
        lines = [r.line for r in self.until(Ended) if isinstance(r, Said)]
        here = subprocess.run(
            ["sh", "-c", "nice; ulimit -n"], capture_output=True, text=True, check=True
        )
        assert_that(lines, equal_to(here.stdout.split()))

    def test_failure(self) -> None:
        """Status and last words."""
        self.send(Run(1, self.call("down", "echo no such device >&2; exit 3")))
        *_, ended = self.until(Ended)
        assert isinstance(ended, Ended)
        assert_that(ended.failure, equal_to("down: exit status 3 (it said: no such device)"))

    def test_cannot_be_started(self) -> None:
        """The reason is that of exec, in an operator's words."""
        call = HookCall(Hook("down", ("/nowhere",)), "down", *POINT, "{}", "me", 1.0, POINT[1:])
        self.send(Run(1, call))
        *_, ended = self.until(Ended)
        assert isinstance(ended, Ended)
        self.assertIn("/nowhere, or the interpreter", ended.failure or "")

    def test_timeout(self) -> None:
        """TERM and KILL for the whole group, within the timeout."""
        script = "trap '' TERM; sleep 60 & echo $!; wait; sleep 60"
        self.send(Run(1, self.call("down", script, timeout=0.4)))
        began = now()
        reports = self.until(Ended)
        took = now() - began
        (pid,) = (int(r.line) for r in reports if isinstance(r, Said))
        ended = reports[-1]
        assert isinstance(ended, Ended)
        self.assertIn("no end within 0.4 s: terminated, then killed", ended.failure or "")
        assert_that(took, close_to(0.45, 0.15))
        self.wait(lambda: not _runs(pid))

    def test_background(self) -> None:
        """A hook has ended when its process exits, whoever holds its output."""
        self.send(Run(1, self.call("down", "sleep 5 & exit 0")))
        began = now()
        self.until(Ended)
        assert_that(now() - began, less_than(2.0))

    def test_flood(self) -> None:
        """Output is read, bounded and counted, and keeps nobody from being answered."""
        script = "yes | head -c 8000000; echo last >&2; exit 1"
        self.send(Run(1, self.call("down", script, timeout=LIMIT)), Ping(2))
        reports = self.until(Ended)
        lines = [r.line for r in reports if isinstance(r, Said)]
        assert_that(len(lines), equal_to(102))  # a hundred, the last words, the count
        self.assertIn("more bytes of output are not logged", lines[-1])
        assert_that(Pong(2) in reports, equal_to(True))
        ended = reports[-1]
        assert isinstance(ended, Ended)
        self.assertIn("it said: last", ended.failure or "")


class WatchTests(GuardTestCase):
    """It lets go, whatever happens."""

    def test_deadline(self) -> None:
        """`down` runs by itself, on time, and before it dies an `alive` that hangs."""
        pid = self.hold("sleep 60", DONE, after=0.5)
        began = now()
        reports = self.until(LetGo)
        late = now() - began - 0.5
        assert_that(reports[-1], equal_to(LetGo(POINT, Stage.BEGAN, "its deadline has passed")))
        assert_that(late, less_than(0.2))
        *_, ended = self.until(LetGo)
        assert isinstance(ended, LetGo)
        assert_that(ended.stage, equal_to(Stage.ENDED))
        assert_that((self.ran(), _runs(pid)), equal_to((["alive", "down"], False)))

    def test_daemon_dies(self) -> None:
        """The end of the connection is enough; then the guard ends, and has said what it did."""
        self.hold(DONE, "echo bye")
        self.until(Ended)
        self.lose()
        assert_that(self.process.wait(LIMIT), equal_to(0))
        assert_that(self.ran(), equal_to(["alive", "down"]))
        said = self.errors.read_text()
        self.assertIn("[flip-guard me] ip: lets go of a b, for the daemon is gone", said)
        self.assertIn("ip: down a b says: bye", said)
        self.assertIn("ip: down a b done in", said)

    def test_nothing_to_guard(self) -> None:
        """It ends with its daemon."""
        self.lose()
        assert_that(self.process.wait(LIMIT), equal_to(0))
        assert_that(self.errors.read_text(), equal_to(""))

    def test_daemon_does_not_read(self) -> None:
        """A frozen daemon holds up nothing, however much there is to tell."""
        call = self.call("down", DONE, timeout=LIMIT)
        words = "yes 0123456789012345678901234567890123456789 | head -n 100"
        chatty = self.call("down", words, timeout=LIMIT)
        points = [("ip", f"p{n}") for n in range(100)]
        for number, (system, datum) in enumerate(points):
            chatter = HookCall(chatty.hook, "down", system, datum, "{}", "me", LIMIT, (datum,))
            self.send(Run(number, chatter))
        self.send(Arm(((POINT, now() + 0.2),), (call,)))
        self.wait(lambda: len(self.ran()) == len(points) + 1)

    def test_signals(self) -> None:
        """Whoever wants it to end must wait while something is armed."""
        self.hold(DONE, DONE)
        self.until(Ended)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTSTP):
            self.process.send_signal(number)
        self.send(Ping(5))
        assert_that(self.until(Pong)[-1], equal_to(Pong(5)))
        assert_that(self.process.poll(), equal_to(None))
        self.lose()
        assert_that(self.process.wait(LIMIT), equal_to(0))

    def test_asked_to_end(self) -> None:
        """With nothing armed it does as it is told."""
        self.send(Ping(1))
        self.until(Pong)
        self.process.send_signal(signal.SIGTERM)
        assert_that(self.process.wait(LIMIT), equal_to(0))

    def test_killed(self) -> None:
        """Its `alive` dies with it; a `down` goes on, and the next guard waits for its end."""
        if not sys.platform.startswith("linux"):
            self.skipTest("needs PR_SET_PDEATHSIG")
        pid = self.hold("exec sleep 60", DONE)
        self.await_line("alive")
        other = HookCall(
            self.call("down", "sleep 0.5; echo over >> " + str(self.record)).hook,
            "down",
            "ip",
            "b",
            "{}",
            "me",
            1.0,
            ("b",),
        )
        self.send(Run(2, other))
        self.await_line("down")
        self.process.kill()
        self.process.wait()
        self.wait(lambda: not _runs(pid))
        self.lines.close()
        self.process, self.connection = self.spawn()
        self.lines = self.connection.makefile("rb")
        again = HookCall(self.call("down", DONE).hook, "down", "ip", "b", "{}", "me", 1.0, ("b",))
        self.send(Begin(1.0), Run(3, again))
        self.until(Ended)
        assert_that(self.ran(), equal_to(["alive", "down", "over", "down"]))

    def test_killed_and_hanging(self) -> None:
        """A hook that nobody is left to end has an alarm clock of its own."""
        self.send(Run(1, self.call("down", "exec sleep 60", timeout=0.5)))
        *_, started = self.until(Started)
        assert isinstance(started, Started)
        self.await_line("down")
        self.process.kill()
        self.process.wait()
        assert_that(_runs(started.pid), equal_to(True))
        self.wait(lambda: not _runs(started.pid))

    def test_two_guards(self) -> None:
        """The next one runs nothing before the old one has let go."""
        script = f"sleep 0.4; echo over >> {self.record}"
        self.hold(DONE, script)
        self.until(Ended)
        self.lose()
        self.process, self.connection = self.spawn()
        self.lines = self.connection.makefile("rb")
        self.send(Begin(1.0), Run(1, self.call("down", DONE)))
        *reports, ended = self.until(Ended)
        assert isinstance(ended, Ended)
        assert_that(ended.failure, equal_to(None))
        assert_that(self.ran(), equal_to(["alive", "down", "over", "down"]))
        notes = [r.text for r in reports if isinstance(r, Note)]
        assert_that(notes, equal_to(["waits until the guard of an earlier daemon has let go"]))

    def test_nonsense(self) -> None:
        """A bug of the daemon's is no reason to keep what is armed."""
        self.hold(DONE, DONE)
        self.until(Ended)
        self.connection.sendall(b"nonsense\n")
        assert_that(self.process.wait(LIMIT), equal_to(0))
        assert_that(self.ran(), equal_to(["alive", "down"]))
        self.assertIn("Traceback", self.errors.read_text())


class SizeTests(GuardTestCase):
    """It is small."""

    def test_memory(self) -> None:
        """Private memory that is its own: a few megabytes."""
        self.send(Ping(1))
        self.until(Pong)
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except FileNotFoundError:
            self.skipTest("needs /proc")
        fields = dict(line.split(":", 1) for line in status.splitlines())
        assert_that(fields["Name"].strip(), equal_to("flip-guard"))
        assert_that(int(fields["RssAnon"].split()[0]), less_than(8_000))
        assert_that(int(fields["VmRSS"].split()[0]), less_than(16_000))

    def test_modules(self) -> None:
        """Nothing of Twisted, nothing of others."""
        maps = Path(f"/proc/{self.process.pid}/maps")
        if not maps.exists():
            self.skipTest("needs /proc")
        self.send(Ping(1))
        self.until(Pong)
        foreign = [line for line in maps.read_text().splitlines() if "site-packages" in line]
        assert_that(foreign, empty())


def _runs(pid: int) -> bool:
    """Whether a process runs: a zombie does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
