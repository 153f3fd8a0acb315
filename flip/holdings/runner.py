"""Runs hooks: one process each, with a time limit, its output in the log."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from flip.errors import HookFailed
from flip.holdings.call import (
    HookCall,
    HookResult,
    arguments,
    environment,
    failed,
    no_executable,
    not_started,
    verdict,
)
from flip.holdings.child import STDERR, STDOUT, Child
from flip.holdings.group import run_group
from flip.holdings.output import Lines
from flip.holdings.roll import Roll
from flip.log import Logger

GRACE = 1.0  # seconds between TERM and KILL

__all__ = ["HookCall", "HookProcesses", "HookResult", "HookRunner"]

_log = Logger()


class HookProcesses(Protocol):
    """Runs hooks, and ends those that must not outlive the process that ran them."""

    def run(self, call: HookCall) -> Deferred[HookResult]:
        """Run one; fails with `HookFailed`."""

    def end_former(self) -> None:
        """Kill what a former process of this node left running; before the first `run`."""

    def end_all(self) -> Deferred[None]:
        """End what runs, and start nothing more; fires when nothing runs, or cannot be ended."""


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
    :param roll: where the next process finds what this one leaves running; None: nowhere.
    """

    def __init__(
        self,
        reactor: Any,
        environ: Mapping[str, str],
        spawn: Spawn = Child,
        roll: Roll | None = None,
    ) -> None:
        self._reactor = reactor
        self._environ = {os.fsencode(name): os.fsencode(value) for name, value in environ.items()}
        self._spawn = spawn
        self._roll = roll
        self._runs: set[_Run] = set()
        self._ended: Deferred[None] | None = None

    def end_former(self) -> None:
        """Kill the hooks on the roll that still run; the roll must be this process's alone."""
        if self._roll is not None:
            self._roll.end_former()

    def end_all(self) -> Deferred[None]:
        """Terminate what runs, kill what does not heed that, and start nothing more.

        :returns: fires when nothing runs any more, or what does cannot be killed.
        """
        ended = self._ended = Deferred()
        for run in list(self._runs):
            run.give_up("flip ends")
        return ended if self._runs else succeed(None)

    def run(self, call: HookCall) -> Deferred[HookResult]:
        """Run a hook as ``HOOK datum config``, for one member of a group after the other.

        It has ended when its process exits, whatever it left in the background.
        To cancel the Deferred kills the hook at once, without grace.

        :returns: fires with the result, or fails with `HookFailed`: it could not be
            started, exited with another status than 0, was killed, or took too long.
        """
        if len(call.members) > 1:
            return run_group(call, self._run_one, self._reactor.seconds)
        return self._run_one(call)

    def _run_one(self, call: HookCall) -> Deferred[HookResult]:
        if not call.hook.argv:
            return fail(HookFailed(no_executable(call)))
        if self._ended is not None:
            return fail(HookFailed(f"{call.hook.name}: not started, flip ends"))
        started = self._reactor.seconds()
        try:
            environ = environment(call, self._environ)
            process = self._spawn(self._reactor, arguments(call), environ)
        except (OSError, ValueError) as error:
            return fail(HookFailed(not_started(call, error)))
        if self._roll is not None:
            self._roll.enter(process.pid)
        run = _Run(self._reactor, call, process, started, self._over)
        self._runs.add(run)
        process.watch(run)  # it may end in this very call
        return run.done

    def _over(self, run: _Run, pid: int, ended: bool) -> None:
        """A hook has ended, or cannot be ended."""
        if ended and self._roll is not None:
            self._roll.strike(pid)
        last = self._runs == {run}
        self._runs.discard(run)
        if last and self._ended is not None:
            self._reactor.callLater(0, self._ended.callback, None)  # its result comes first


class _Run(ProcessProtocol):
    """One hook that runs: its clock, its output, its verdict."""

    def __init__(
        self,
        reactor: Any,
        call: HookCall,
        process: _Process,
        started: float,
        over: Callable[[_Run, int, bool], None],
    ) -> None:
        self.done: Deferred[HookResult] = Deferred(self._cancelled)
        self._reactor = reactor
        self._call = call
        self._process = process
        # What looks does so all the time; when it fails, the last that it said is told.
        looks = call.event == "check"
        self._lines = {
            STDOUT: Lines(lambda line: self._say(_log.debug if looks else _log.info, line)),
            STDERR: Lines(lambda line: self._say(_log.debug if looks else _log.warn, line)),
        }
        self._started = started
        self._over = over
        self._reason = f"no end within {call.timeout:g} s"
        self._verdict: str | None = None
        self._ended = False
        self._timer = reactor.callLater(call.timeout, self._terminate)

    def outReceived(self, data: bytes) -> None:
        self._lines[STDOUT].received(data)

    def errReceived(self, data: bytes) -> None:
        self._lines[STDERR].received(data)

    def give_up(self, reason: str) -> None:
        """Terminate it now, unless that is under way."""
        if self._verdict is None and not self.done.called:
            self._reason = reason
            _log.warn("{system}: {event} {datum}: {reason}", **self._names(), reason=reason)
            self._timer.cancel()
            self._terminate()

    def _terminate(self) -> None:
        # After a stall of the daemon its timers come first; the hook may have ended.
        self._process.reapProcess()
        if not self._ended:
            self._verdict = f"{self._reason}: terminated"
            self._signal(signal.SIGTERM)
            self._timer = self._reactor.callLater(GRACE, self._kill)

    def _kill(self) -> None:
        self._process.reapProcess()
        if not self._ended:
            self._verdict = f"{self._reason}: terminated, then killed"
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
            self._over(self, self._process.pid, False)

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
        self._over(self, self._process.pid, True)
        if self._timer.active():
            self._timer.cancel()
        for lines in self._lines.values():
            lines.ended()
        dropped = sum(lines.dropped for lines in self._lines.values())
        if dropped:
            self._say(_log.warn, f"({dropped} more bytes of output are not logged)")
        if self.done.called:
            return
        why = self._verdict or _describe(reason.value)
        if why is None:
            self.done.callback(HookResult(self._reactor.seconds() - self._started))
            return
        said = self._lines[STDERR].last or self._lines[STDOUT].last
        self.done.errback(HookFailed(failed(self._call, why, said)))

    def _say(self, log: Callable[..., None], line: str) -> None:
        log("{system}: {event} {datum} says: {line}", **self._names(), line=line)

    def _names(self) -> dict[str, str]:
        call = self._call
        return {"system": call.system, "event": call.event, "datum": call.subject}


def _describe(reason: BaseException | None) -> str | None:
    """What the end of a process means, None when it is success."""
    if isinstance(reason, ProcessDone):
        return None
    if not isinstance(reason, ProcessTerminated):
        return "ended, but other code in this process took its exit status"
    return verdict(reason.exitCode if reason.signal is None else -reason.signal)
