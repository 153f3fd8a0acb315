"""Hooks as real processes: those that behave, and all that do not."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hamcrest import (
    assert_that,
    contains_string,
    equal_to,
    greater_than,
    has_length,
    instance_of,
    less_than,
)
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import Clock, LoopingCall, deferLater
from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import provider

from flip.errors import HookFailed
from flip.holdings import runner as module
from flip.holdings.call import DEFAULT_PATH
from flip.holdings.hooks import Hook
from flip.holdings.output import LINES
from flip.holdings.roll import Roll
from flip.holdings.runner import HookCall, HookResult, HookRunner
from tests.matchers import all_of, has_entries, has_item, is_not, not_

ROOT = Path(__file__).resolve().parents[2]


def call(hook: Hook, **changes: Any) -> HookCall:
    values: dict[str, Any] = {
        "event": "alive",
        "system": "ip",
        "datum": "192.0.2.1",
        "config": '{"interface": "eth0"}',
        "node": "flip1",
        "timeout": 10.0,
    }
    values |= changes
    return HookCall(hook, **{"members": (values["datum"],), **values})


def logged(case: SynchronousTestCase) -> list[LogEvent]:
    """The events of this test that hooks cause."""
    events: list[LogEvent] = []

    @provider(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event.get("log_namespace") == module.__name__:
            events.append(event)

    globalLogPublisher.addObserver(observe)
    case.addCleanup(globalLogPublisher.removeObserver, observe)
    return events


def open_descriptors() -> int:
    return len(os.listdir("/dev/fd"))


class ProcessTests(TestCase):
    """`HookRunner.run` with the real reactor and shell scripts."""

    timeout = 20

    async def setUp(self) -> None:  # type: ignore[override]  # trial takes coroutines
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        await deferLater(reactor, 0)  # a running reactor has descriptors of its own
        self.runner = HookRunner(reactor, os.environ)
        self.events = logged(self)
        self.patch(module, "GRACE", 10.0)  # so that only what ignores TERM is killed
        self.addCleanup(self.assert_nothing_left, open_descriptors())

    def assert_nothing_left(self, descriptors: int) -> None:
        assert_that(open_descriptors(), equal_to(descriptors), "open descriptors")
        # Fails with ECHILD when there is no child, running or zombie.
        self.assertRaises(
            ChildProcessError, os.waitid, os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT
        )

    def script(self, text: str, interpreter: str = "/bin/sh") -> Hook:
        path = self.directory / "hook"
        path.write_text(f"#!{interpreter}\n{text}\n")
        path.chmod(0o755)
        return Hook("hook", (str(path),))

    def run_hook(self, text: str, **changes: Any) -> Deferred[HookResult]:
        return self.runner.run(call(self.script(text), **changes))

    async def failure(self, text: str, **changes: Any) -> str:
        error = await self.assertFailure(self.run_hook(text, **changes), HookFailed)
        return str(error)

    def lines(self) -> list[str]:
        return [event["line"] for event in self.events if "line" in event]

    async def exists(self, name: str) -> str:
        """Wait for a file that a hook writes; returns its text."""
        path = self.directory / name
        while not path.exists() or not path.read_text().endswith("\n"):
            await deferLater(reactor, 0.01)
        return path.read_text()

    async def test_success(self) -> None:
        """A hook that exits with 0 fires with the time that it took."""
        result = await self.run_hook("sleep 0.1")
        assert_that(result.duration, all_of(greater_than(0.1), less_than(5)))

    async def test_group(self) -> None:
        """Runs once for each member: that is the datum, and FLIP_POINT the group's id."""
        group = {"datum": "web", "members": ("a", "b"), "event": "down"}
        await self.run_hook('echo "$FLIP_EVENT $1 $FLIP_DATUM $FLIP_POINT"', **group)
        assert_that(self.lines(), equal_to(["down b b web", "down a a web"]))
        assert_that([event["datum"] for event in self.events], equal_to(["b of web", "a of web"]))

    async def test_group_undone(self) -> None:
        """One member that fails takes the others with it; the failure names it."""
        hook = self.script('echo "$FLIP_EVENT $1"; test "$FLIP_EVENT $1" != "alive b"')
        group = call(hook, datum="web", members=("a", "b", "c"), undo=hook)
        error = await self.assertFailure(self.runner.run(group), HookFailed)
        assert_that(self.lines(), equal_to(["alive a", "alive b", "down b", "down a"]))
        assert_that(str(error), contains_string("b: hook: exit status 1 (it said: alive b)"))

    async def test_group_cancelled(self) -> None:
        """Kills the program that runs, and starts no other."""
        done = self.run_hook(
            f"echo x > {self.directory}/began; exec sleep 60", members=("a", "b"), datum="a"
        )
        await self.exists("began")
        (self.directory / "began").unlink()
        done.cancel()
        await self.assertFailure(done, HookFailed)
        await self.runner.end_all()
        assert_that((self.directory / "began").exists(), equal_to(False))

    async def test_group_at_the_end(self) -> None:
        """When flip ends nothing more of a group is started."""
        hook = self.script(f"echo x > {self.directory}/began; exec sleep 60")
        done = self.runner.run(call(hook, members=("a", "b"), datum="a", undo=hook))
        await self.exists("began")
        ended = self.runner.end_all()
        error = await self.assertFailure(done, HookFailed)
        await ended
        assert_that(str(error), contains_string("a: hook: flip ends: terminated"))
        assert_that(str(error), contains_string("not started, flip ends"))

    async def test_contract(self) -> None:
        """Two arguments, six variables, nothing on standard input, a session of its own."""
        text = (
            "import json, os, sys\n"
            "print(json.dumps([sys.argv[1:], dict(os.environ), sys.stdin.read(), os.getpid(),"
            " os.getpgid(0), os.getsid(0), sorted(os.listdir('/dev/fd'))]))"
        )
        self.runner = HookRunner(reactor, {"HOME": "/x", "NOTIFY_SOCKET": "/y", "FLIP_NODE": "z"})
        self.patch(sys.modules["flip.holdings.output"], "LINE_BYTES", 10000)
        await self.runner.run(call(self.script(text, f"{sys.executable} -IS")))
        arguments, environ, stdin, pid, group, session, fds = json.loads(self.lines()[0])
        assert_that(arguments, equal_to(["192.0.2.1", '{"interface": "eth0"}']))
        assert_that(
            environ,
            has_entries(
                FLIP_EVENT="alive",
                FLIP_SYSTEM="ip",
                FLIP_DATUM="192.0.2.1",
                FLIP_POINT="192.0.2.1",
                FLIP_NODE="flip1",
                FLIP_CONFIG='{"interface": "eth0"}',
                HOME="/x",
                PATH=DEFAULT_PATH,
            ),
        )
        assert_that(environ, not_(has_item("NOTIFY_SOCKET")))
        assert_that((stdin, group, session), equal_to(("", pid, pid)))
        assert_that(fds, has_length(4), "0, 1, 2 and that of the listing")

    async def test_descriptors_are_not_inherited(self) -> None:
        """What the daemon itself inherited from its starter does not reach the hook."""
        null = os.open("/dev/null", os.O_RDONLY)
        self.addCleanup(os.close, null)
        fd = fcntl.fcntl(null, fcntl.F_DUPFD, 100)  # shells use those from 10 on
        self.addCleanup(os.close, fd)
        os.set_inheritable(fd, True)
        await self.run_hook(f"if [ -e /dev/fd/{fd} ]; then exit 1; fi")

    async def test_signals_are_not_ignored(self) -> None:
        """Python ignores SIGPIPE; a hook starts with the default."""
        assert_that(signal.getsignal(signal.SIGPIPE), equal_to(signal.SIG_IGN))
        message = await self.failure("kill -PIPE $$; exit 0")
        assert_that(message, contains_string("killed by SIGPIPE"))

    async def test_awkward_data(self) -> None:
        """What looks like an option, is empty, or holds a newline arrives as it is."""
        for datum in ("-x", "", "two\nlines", "*$(exit 3)'\"", "grün \U0001f600", "x" * 10000):
            expected = datum.replace("'", "'\\''")
            await self.run_hook(f"[ \"$1\" = '{expected}' ]", datum=datum)

    async def test_failure(self) -> None:
        """The reason is the exit status and what the hook said last on standard error."""
        message = await self.failure("echo why >&2; echo because >&2; echo bye; exit 3")
        assert_that(message, contains_string("hook: exit status 3 (it said: because)"))

    async def test_failure_without_a_word(self) -> None:
        """A hook that said nothing has only its exit status."""
        message = await self.failure("exit 1")
        assert_that(message, equal_to("A hook did not end well. hook: exit status 1"))

    async def test_killed(self) -> None:
        """A signal is named."""
        message = await self.failure("kill -KILL $$")
        assert_that(message, contains_string("killed by SIGKILL"))

    async def test_output(self) -> None:
        """Output is logged line by line, with system, event and datum."""
        await self.run_hook("echo one; echo two >&2; printf three")
        assert_that(sorted(self.lines()), equal_to(["one", "three", "two"]))
        assert_that(
            self.events,
            has_item(
                has_entries(
                    line="two",
                    system="ip",
                    event="alive",
                    datum="192.0.2.1",
                    log_level=LogLevel.warn,
                )
            ),
        )

    async def test_binary_output(self) -> None:
        """Bytes that are no text do not hurt."""
        await self.run_hook("head -c 3000 /dev/urandom; printf '\\377\\000'")
        assert_that(self.lines(), is_not(equal_to([])))

    async def test_hanging(self) -> None:
        """Past its time a hook is terminated, and everything that it started with it."""
        started = time.monotonic()
        message = await self.failure("echo waiting; sleep 77 & sleep 78", timeout=0.2)
        assert_that(message, contains_string("no end within 0.2 s: terminated (it said: waiting)"))
        assert_that(time.monotonic() - started, less_than(8))

    async def test_ignoring_terminate(self) -> None:
        """A hook that ignores TERM is killed after the grace, with its children."""
        self.patch(module, "GRACE", 0.1)
        text = "trap '' TERM; sleep 77 & echo $! > child; echo >> child; while :; do sleep 1; done"
        failure = self.failure(f"cd {self.directory}; {text}", timeout=0.2)
        assert_that(await failure, contains_string("terminated, then killed"))
        await self.assert_ends(int(await self.exists("child")))

    async def test_ends_on_terminate(self) -> None:
        """Exit status 0 after the time limit is no success."""
        message = await self.failure("trap 'exit 0' TERM; sleep 77 & wait", timeout=0.2)
        assert_that(message, contains_string("no end within 0.2 s: terminated"))

    async def test_rest_of_the_group(self) -> None:
        """What a terminated hook leaves behind is killed: it would act beside the next try."""
        text = f"(trap '' TERM; echo $$ > {self.directory}/x; exec sleep 77) & echo $! > pid; wait"
        message = await self.failure(f"cd {self.directory}; {text}", timeout=0.3)
        assert_that(message, contains_string("terminated"))
        await self.assert_ends(int(await self.exists("pid")))

    async def assert_ends(self, pid: int) -> None:
        """Wait until a process is gone, or a zombie of somebody else's."""
        for _ in range(200):
            try:
                if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                    return
            except FileNotFoundError:
                return
            await deferLater(reactor, 0.01)
        self.fail(f"process {pid} still runs")

    async def test_child_in_the_background(self) -> None:
        """A hook has ended when its process exits, whoever still holds its output."""
        started = time.monotonic()
        await self.run_hook(f"sleep 77 & echo $! > {self.directory}/pid; echo done")
        pid = int(await self.exists("pid"))
        self.addCleanup(os.kill, pid, signal.SIGKILL)
        assert_that(time.monotonic() - started, less_than(15))
        assert_that(self.lines(), equal_to(["done"]))
        os.kill(pid, 0)  # and it was left alone

    async def test_flooding(self) -> None:
        """A flood is read, so that the hook ends, costs the reactor little, and fills no log."""
        turns = 0

        def turn() -> None:
            nonlocal turns
            turns += 1

        loop = LoopingCall(turn)
        loop.start(0.005)
        message = await self.failure("yes 'a line of output' & yes >&2", timeout=0.5)
        loop.stop()
        assert_that(message, contains_string("terminated (it said: y)"))
        assert_that(self.lines(), has_length(2 * LINES + 1))
        assert_that(self.lines()[-1], contains_string("more bytes of output are not logged"))
        assert_that(turns, greater_than(5))

    async def test_much_output(self) -> None:
        """A hook that only says too much is no failure, and its last word is known."""
        await self.run_hook("head -c 3000000 /dev/zero | tr '\\0' 'x'")
        message = await self.failure("seq 100000 >&2; exit 1")
        assert_that(message, contains_string("(it said: 100000)"))

    async def test_interrupt(self) -> None:
        """Ctrl-C at the daemon's terminal does not reach its hooks."""
        waiting = "while [ ! -e interrupted ]; do sleep 0.02; done"
        hook = self.script(f"cd {self.directory}; echo > started; {waiting}; echo ended > ended")
        daemon = self.directory / "daemon.py"
        daemon.write_text(DAEMON)
        terminal = Terminal()
        process = reactor.spawnProcess(
            terminal,
            sys.executable,
            [sys.executable, str(daemon), hook.argv[0], str(self.directory)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            usePTY=True,
        )
        await self.exists("started")
        process.write(b"\x03")
        await self.exists("interrupted")
        assert_that(await self.exists("ended"), equal_to("ended\n"))
        await terminal.ended

    async def test_many(self) -> None:
        """Many at once leave nothing behind."""
        hook = self.script("echo $1; exit $1")
        runs = [self.runner.run(call(hook, datum=str(n % 2))) for n in range(40)]
        outcomes = [await run.addErrback(lambda failure: failure.trap(HookFailed)) for run in runs]
        assert_that(outcomes.count(HookFailed), equal_to(20))

    async def test_reaped_by_others(self) -> None:
        """A status that other code took is a failure, and stops nobody else's reaping."""
        taken = self.run_hook(f"echo $$ > {self.directory}/pid; exec sleep 0.2")
        pid = int(await self.exists("pid"))
        os.waitpid(pid, 0)
        error = await self.assertFailure(taken, HookFailed)
        assert_that(str(error), contains_string("took its exit status"))
        await self.run_hook("exit 0")

    async def test_cancel(self) -> None:
        """Cancelling kills at once and fails with `HookFailed` like everything else."""
        run = self.run_hook(f"trap '' TERM; echo $$ > {self.directory}/pid; sleep 77")
        pid = int(await self.exists("pid"))
        run.cancel()
        error = await self.assertFailure(run, HookFailed)
        assert_that(str(error), contains_string("cancelled"))
        while self.runner_still_waits(pid):
            await deferLater(reactor, 0.01)

    async def test_end_all(self) -> None:
        """All that run are terminated with their groups, and nothing is started any more."""
        text = "trap 'echo bye; exit 0' TERM; echo $$ > pid; sleep 77 & wait"
        run = self.run_hook(f"cd {self.directory}; {text}")
        pid = int(await self.exists("pid"))
        ended = self.runner.end_all()
        await ended
        error = self.failureResultOf(run, HookFailed).value
        assert_that(str(error), contains_string("flip ends: terminated (it said: bye)"))
        assert_that(self.runner_still_waits(pid), equal_to(False))
        assert_that(await self.failure("exit 0"), contains_string("not started, flip ends"))

    async def test_end_all_ignored(self) -> None:
        """What ignores TERM is killed after the grace."""
        self.patch(module, "GRACE", 0.1)
        run = self.run_hook(f"trap '' TERM; echo $$ > {self.directory}/pid; sleep 77; sleep 77")
        await self.exists("pid")
        await self.runner.end_all()
        error = self.failureResultOf(run, HookFailed).value
        assert_that(str(error), contains_string("flip ends: terminated, then killed"))

    async def test_end_all_of_nothing(self) -> None:
        """It is over at once; hooks that have ended are forgotten."""
        await self.run_hook("exit 0")
        self.successResultOf(self.runner.end_all())

    async def test_left_running(self) -> None:
        """The next process kills what this one leaves running, and only that."""
        path = self.directory / "hooks"
        self.runner = HookRunner(reactor, os.environ, roll=Roll(path))
        run = self.run_hook(f"trap '' TERM; echo $$ > {self.directory}/pid; sleep 77; sleep 77")
        pid = int(await self.exists("pid"))
        await self.run_hook("exit 0")
        former = path.read_text()
        path.write_text(former.replace(f"{pid} ", f"{pid} 1"))  # with another start time
        HookRunner(reactor, os.environ, roll=Roll(path)).end_former()
        assert_that(self.runner_still_waits(pid), equal_to(True))
        path.write_text(former)
        HookRunner(reactor, os.environ, roll=Roll(path)).end_former()
        error = await self.assertFailure(run, HookFailed)
        assert_that(str(error), contains_string("killed by SIGKILL"))
        assert_that(path.read_text(), equal_to(""))

    def runner_still_waits(self, pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True


DAEMON = """
import pathlib, signal, sys
from twisted.internet import reactor
from flip.holdings.hooks import Hook
from flip.holdings.runner import HookCall, HookRunner

directory = pathlib.Path(sys.argv[2])
note = lambda *_: (directory / "interrupted").write_text("interrupted\\n")
signal.signal(signal.SIGINT, note)
run = HookRunner(reactor, {}).run(
    HookCall(Hook("hook", (sys.argv[1],)), "alive", "ip", "x", "{}", "flip", 10.0, ("x",))
)
run.addBoth(lambda _: reactor.stop())
reactor.run()
"""


class Terminal(ProcessProtocol):
    """The keyboard of a daemon that runs in the foreground."""

    def __init__(self) -> None:
        self.ended: Deferred[None] = Deferred()

    def processEnded(self, reason: object) -> None:
        self.ended.callback(None)


class SpawnErrorTests(SynchronousTestCase):
    """A hook that cannot be started fails at once, in plain words."""

    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name, "hook")
        self.descriptors = open_descriptors()

    def reason(self, runner: HookRunner | None = None, **changes: Any) -> str:
        hook = changes.pop("hook", Hook("hook", (str(self.path),)))
        runner = runner or HookRunner(reactor, os.environ)
        failure = self.failureResultOf(runner.run(call(hook, **changes)), HookFailed)
        assert_that(open_descriptors(), equal_to(self.descriptors), "open descriptors")
        return str(failure.value)

    def write(self, content: bytes, mode: int = 0o755) -> None:
        self.path.write_bytes(content)
        self.path.chmod(mode)

    def test_deleted(self) -> None:
        """The hook was there when the node started."""
        assert_that(self.reason(), contains_string(f"{self.path}, or the interpreter in its"))

    def test_no_shebang(self) -> None:
        """What the kernel cannot run is not run by a shell instead."""
        self.write(b"echo hello\n")
        assert_that(self.reason(), contains_string("nor a script with a #! line"))

    def test_not_executable(self) -> None:
        """The mode was changed since."""
        self.write(b"#!/bin/sh\n", 0o644)
        assert_that(self.reason(), contains_string(f"chmod +x {self.path}"))

    def test_too_long(self) -> None:
        """Linux allows 128 KiB for one argument."""
        self.write(b"#!/bin/sh\n")
        assert_that(self.reason(datum="x" * 10**7), contains_string("longer than this system"))

    def test_nul(self) -> None:
        """No argument of a process can hold a NUL."""
        self.write(b"#!/bin/sh\n")
        assert_that(self.reason(datum="a\0b"), contains_string("null byte"))

    def test_half_a_surrogate_pair(self) -> None:
        """JSON can spell text that no encoding can write."""
        self.write(b"#!/bin/sh\n")
        for datum in ("\ud800", "\udc80"):
            assert_that(self.reason(datum=datum), contains_string("is no UTF-8"))

    def test_unknown(self) -> None:
        """A damaged journal may name no executable."""
        assert_that(self.reason(hook=Hook("?", ())), contains_string("no executable is known"))

    def test_no_descriptors_left(self) -> None:
        """Out of descriptors: the reason names the limit."""
        self.write(b"#!/bin/sh\n")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = max(int(name) for name in os.listdir("/dev/fd"))
        fillers = [os.open(os.devnull, os.O_RDONLY) for _ in range(used)]
        runner = HookRunner(reactor, os.environ)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(fillers) + 1, hard))
        try:
            run = runner.run(call(Hook("hook", (str(self.path),))))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for fd in fillers:
                os.close(fd)
        reason = str(self.failureResultOf(run, HookFailed).value)
        assert_that(reason, contains_string("too many open files"))
        assert_that(open_descriptors(), equal_to(self.descriptors))

    def test_no_processes_left(self) -> None:
        """Out of processes: the reason names the limit."""

        def spawn(*_: object) -> Any:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

        reason = self.reason(HookRunner(Clock(), {}, spawn))
        assert_that(reason, contains_string("too many processes, TasksMax="))


class FakeProcess:
    """A process that ends when the test says so."""

    pid = 4711

    def __init__(self, *_: object) -> None:
        self.signals: list[int] = []
        self.exited = False

    def watch(self, protocol: ProcessProtocol) -> None:
        self.protocol = protocol

    def end(self, number: int = 0) -> None:
        """Exit well, or by a signal."""
        reason = ProcessTerminated(signal=number, status=number) if number else ProcessDone(0)
        self.protocol.processEnded(Failure(reason))

    def signal_group(self, number: int) -> None:
        self.signals.append(number)

    def reapProcess(self) -> None:
        if self.exited:
            self.end()


class ClockTests(SynchronousTestCase):
    """What happens when, on a virtual clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.process = FakeProcess()
        self.events = logged(self)

        def spawn(_: Any, argv: Any, environ: Mapping[bytes, bytes]) -> FakeProcess:
            return self.process

        runner = HookRunner(self.clock, {}, spawn)
        self.done = runner.run(call(Hook("hook", ("/bin/hook",)), timeout=10))

    def test_result(self) -> None:
        """The duration is that of the reactor's clock; no timer stays."""
        self.clock.advance(3)
        self.process.end()
        assert_that(self.successResultOf(self.done).duration, equal_to(3))
        assert_that(self.clock.getDelayedCalls(), equal_to([]))

    def test_escalation(self) -> None:
        """TERM at the time limit, KILL a second later, an alarm another second later."""
        self.clock.advance(9.9)
        assert_that(self.process.signals, equal_to([]))
        self.clock.advance(0.1)
        assert_that(self.process.signals, equal_to([signal.SIGTERM]))
        self.clock.advance(0.9)
        assert_that(self.process.signals, equal_to([signal.SIGTERM]))
        self.clock.advance(0.1)
        assert_that(self.process.signals, equal_to([signal.SIGTERM, signal.SIGKILL]))
        self.clock.advance(1)
        assert_that(self.events, has_item(has_entries(pid=4711, log_level=LogLevel.error)))
        self.assertNoResult(self.done)
        self.process.end(9)
        error = self.failureResultOf(self.done, HookFailed).value
        assert_that(str(error), contains_string("no end within 10 s: terminated, then killed"))
        assert_that(self.clock.getDelayedCalls(), equal_to([]))

    def test_daemon_was_frozen(self) -> None:
        """A hook that ended while the daemon stood still has not taken too long."""
        self.process.exited = True
        self.clock.advance(1000)
        assert_that(self.successResultOf(self.done), instance_of(HookResult))
        assert_that(self.process.signals, equal_to([]))

    def test_cancel(self) -> None:
        """The process of a cancelled run is still waited for."""
        self.done.cancel()
        self.failureResultOf(self.done, HookFailed)
        assert_that(self.process.signals, equal_to([signal.SIGKILL]))
        self.process.end(9)
        assert_that(self.clock.getDelayedCalls(), equal_to([]))

    def test_may_not_be_signalled(self) -> None:
        """A hook that became another user's process is reported, and waited for."""

        def refuse(number: int) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        self.patch(self.process, "signal_group", refuse)
        self.clock.advance(10)
        assert_that(self.events, has_item(has_entries(name="SIGTERM", log_level=LogLevel.error)))
        self.process.end()
        self.failureResultOf(self.done, HookFailed)
