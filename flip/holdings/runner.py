"""Runs hooks: one process each, with a time limit, its output in the log."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from flip.errors import HookFailed
from flip.holdings.child import STDERR, STDOUT, Child
from flip.holdings.hooks import Hook
from flip.holdings.output import Lines
from flip.log import Logger

GRACE = 1.0  # seconds between TERM and KILL
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Of systemd, for the daemon's own process: in a hook they would speak for the daemon.
PRIVATE = frozenset(
    ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
)

_log = Logger()


@dataclass(frozen=True, slots=True)
class HookCall:
    """One run of a hook.

    :ivar event: "alive" or "down".
    :ivar config: JSON text.
    :ivar node: the id of this node.
    :ivar timeout: seconds.
    """

    hook: Hook
    event: str
    system: str
    datum: str
    config: str
    node: str
    timeout: float


@dataclass(frozen=True, slots=True)
class HookResult:
    """A hook that ended well.

    :ivar duration: seconds from start to exit.
    """

    duration: float


class _Process(Protocol):
    pid: int

    def watch(self, protocol: ProcessProtocol) -> None: ...

    def signal_group(self, number: int) -> None: ...

    def reapProcess(self) -> None: ...


Spawn = Callable[[Any, Sequence[bytes], Mapping[bytes, bytes]], _Process]


class HookRunner:
    """Starts hooks and sees them end.

    :param reactor: for IReactorTime and IReactorFDSet.
    :param environ: the daemon's environment, which hooks inherit.
    :param spawn: starts a process; see `Child`.
    """

    def __init__(self, reactor: Any, environ: Mapping[str, str], spawn: Spawn = Child) -> None:
        self._reactor = reactor
        self._environ = {"PATH": DEFAULT_PATH, **environ}
        self._spawn = spawn

    def run(self, call: HookCall) -> Deferred[HookResult]:
        """Run a hook as ``HOOK datum config``.

        It has ended when its process exits, whatever it left in the background.
        To cancel the Deferred kills the hook at once, without grace.

        :returns: fires with the result, or fails with `HookFailed`: it could not be
            started, exited with another status than 0, was killed, or took too long.
        """
        if not call.hook.argv:
            return fail(HookFailed(f"{call.hook.name}: no executable is known for it"))
        started = self._reactor.seconds()
        try:
            argv = [os.fsencode(word) for word in call.hook.argv]
            argv += [call.datum.encode(), call.config.encode()]
            process = self._spawn(self._reactor, argv, self._environment(call))
        except (OSError, ValueError) as error:
            return fail(HookFailed(f"{call.hook.name} cannot be started: {_why(call, error)}"))
        return _Run(self._reactor, call, process, started).done

    def _environment(self, call: HookCall) -> dict[bytes, bytes]:
        environment = {
            os.fsencode(name): os.fsencode(value)
            for name, value in self._environ.items()
            if name not in PRIVATE
        }
        for name, value in (
            (b"FLIP_EVENT", call.event),
            (b"FLIP_SYSTEM", call.system),
            (b"FLIP_DATUM", call.datum),
            (b"FLIP_NODE", call.node),
            (b"FLIP_CONFIG", call.config),
        ):
            environment[name] = value.encode()
        return environment


class _Run(ProcessProtocol):
    """One hook that runs: its clock, its output, its verdict."""

    def __init__(self, reactor: Any, call: HookCall, process: _Process, started: float) -> None:
        self.done: Deferred[HookResult] = Deferred(self._cancelled)
        self._reactor = reactor
        self._call = call
        self._process = process
        self._lines = {
            STDOUT: Lines(lambda line: self._say(_log.info, line)),
            STDERR: Lines(lambda line: self._say(_log.warn, line)),
        }
        self._started = started
        self._verdict: str | None = None
        self._ended = False
        self._timer = reactor.callLater(call.timeout, self._terminate)
        process.watch(self)

    def outReceived(self, data: bytes) -> None:
        self._lines[STDOUT].received(data)

    def errReceived(self, data: bytes) -> None:
        self._lines[STDERR].received(data)

    def _terminate(self) -> None:
        # After a stall of the daemon its timers come first; the hook may have ended.
        self._process.reapProcess()
        if not self._ended:
            self._verdict = f"no end within {self._call.timeout:g} s: terminated"
            self._signal(signal.SIGTERM)
            self._timer = self._reactor.callLater(GRACE, self._kill)

    def _kill(self) -> None:
        self._process.reapProcess()
        if not self._ended:
            self._verdict = f"no end within {self._call.timeout:g} s: terminated, then killed"
            self._signal(signal.SIGKILL)
            self._timer = self._reactor.callLater(GRACE, self._despair)

    def _despair(self) -> None:
        self._process.reapProcess()
        if not self._ended:
            _log.error(
                "{system}: {event} {datum}: process {pid} does not end although it was killed"
                " (stuck in the kernel, state D?); until it does, {datum} stays as it is",
                **self._names(),
                pid=self._process.pid,
            )

    def _cancelled(self, done: Deferred[HookResult]) -> None:
        self._timer.cancel()
        self._signal(signal.SIGKILL)
        self._timer = self._reactor.callLater(GRACE, self._despair)
        done.errback(HookFailed(f"{self._call.hook.name}: cancelled, and killed"))

    def _signal(self, number: signal.Signals) -> None:
        try:
            self._process.signal_group(number)
        except OSError as error:
            _log.error(
                "{system}: {event} {datum}: cannot send {name} to process {pid}: {error}",
                **self._names(),
                name=number.name,
                pid=self._process.pid,
                error=error.strerror,
            )

    def processEnded(self, reason: Failure) -> None:
        self._ended = True
        if self._timer.active():
            self._timer.cancel()
        for lines in self._lines.values():
            lines.ended()
        dropped = sum(lines.dropped for lines in self._lines.values())
        if dropped:
            self._say(_log.warn, f"({dropped} more bytes of output are not logged)")
        if self.done.called:
            return
        verdict = self._verdict or _describe(reason.value)
        if verdict is None:
            self.done.callback(HookResult(self._reactor.seconds() - self._started))
            return
        said = self._lines[STDERR].last or self._lines[STDOUT].last
        text = f"{self._call.hook.name}: {verdict}"
        self.done.errback(HookFailed(f"{text} (it said: {said})" if said else text))

    def _say(self, log: Callable[..., None], line: str) -> None:
        log("{system}: {event} {datum} says: {line}", **self._names(), line=line)

    def _names(self) -> dict[str, str]:
        call = self._call
        return {"system": call.system, "event": call.event, "datum": call.datum}


def _describe(reason: BaseException | None) -> str | None:
    """What the end of a process means, None when it is success."""
    if isinstance(reason, ProcessDone):
        return None
    if not isinstance(reason, ProcessTerminated):
        return "ended, but other code in this process took its exit status"
    if reason.signal is None:
        return f"exit status {reason.exitCode}"
    try:
        return f"killed by {signal.Signals(reason.signal).name}"
    except ValueError:  # a real-time signal
        return f"killed by signal {reason.signal}"


def _why(call: HookCall, error: Exception) -> str:
    """Why a process could not be started, in an operator's words."""
    path = call.hook.argv[0]
    if isinstance(error, UnicodeEncodeError):
        return f"{error.object!r:.200} holds half a surrogate pair, which is no UTF-8"
    if not isinstance(error, OSError):
        return f"{error} in its path, arguments or environment"
    match error.errno:
        case errno.ENOENT:
            return f"{path}, or the interpreter in its first line, does not exist any more"
        case errno.ENOEXEC:
            return f"{path} is neither a program for this machine nor a script with a #! line"
        case errno.EACCES:
            return f"{path} is not executable any more (chmod +x {path})"
        case errno.E2BIG:
            size = len(call.datum.encode()) + len(call.config.encode())
            return f"datum and config ({size} bytes) are longer than this system allows"
        case errno.EMFILE | errno.ENFILE:
            return "too many open files (LimitNOFILE= in systemd, or ulimit -n)"
        case errno.EAGAIN | errno.ENOMEM:
            return f"{error.strerror} (too many processes, TasksMax=, or out of memory)"
        case _:
            return f"{path}: {error.strerror}"
