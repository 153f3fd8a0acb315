"""The guard's hooks: processes that it forks, reads and reaps.

A fork costs little in a process as small as this, and lets the child do before exec
what posix_spawn cannot: an `alive` asks the kernel to be killed when the guard dies
(Linux), and every hook gets an alarm clock that ends it should nobody else do so.
"""

from __future__ import annotations

import ctypes
import os
import selectors
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NoReturn

from flip.holdings.call import HookCall, arguments, environment, verdict, why_not
from flip.holdings.guard.messages import Said
from flip.holdings.output import Lines

CHUNK = 65536  # bytes per read: what a pipe holds on Linux
FREE_BYTES = 1 << 20  # read as fast as they come; what follows is read at leisure
BREATH = 0.01  # seconds between two reads of a hook that floods its output
PR_SET_PDEATHSIG = 1
CANNOT_EXEC = 127

Ended = Callable[[int, str | None, str], None]

_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


class ForkedHooks:
    """Runs hooks; see `flip.holdings.guard.running.Hooks`.

    :param environ: what the hooks inherit.
    :param say: takes what they print.
    :param prepare: called in each child, before it becomes the hook.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        selector: selectors.BaseSelector,
        environ: Mapping[bytes, bytes],
        say: Callable[[Said], None],
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._selector = selector
        self._environ = environ
        self._say = say
        self._prepare = prepare
        self._children: dict[int, _Child] = {}  # by pid
        self._numbers: dict[int, _Child] = {}
        self._null = os.open(os.devnull, os.O_RDONLY)
        self._me = os.getpid()

    def survives(self, event: str) -> bool:
        """Whether such a hook runs on when the guard is killed."""
        return event != "alive" or _prctl is None

    def start(self, number: int, call: HookCall, limit: float) -> int:
        """Start a hook and return its pid; see `Hooks.start`."""
        words, environ = arguments(call), environment(call, self._environ)
        opened: list[int] = []
        everything = signal.valid_signals()
        # A signal must not find the child with our handlers.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, everything)
        try:
            for _ in range(3):
                opened += os.pipe()
            pid = os.fork()
            if not pid:
                self._become(call, limit, words, environ, opened[1::2], before)
        except BaseException:
            for fd in opened:
                os.close(fd)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for fd in opened[1::2]:
            os.close(fd)
        child = _Child(number, pid, call, opened[::2], self._selector, self._say)
        self._children[pid] = self._numbers[number] = child
        return pid

    def _become(
        self,
        call: HookCall,
        limit: float,
        words: list[bytes],
        environ: Mapping[bytes, bytes],
        pipes: list[int],
        mask: set[int | signal.Signals],
    ) -> NoReturn:
        """In the child: become the hook."""
        out, err, refusal = pipes
        try:
            os.setsid()
            if not self.survives(call.event) and _prctl is not None:
                _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
                # The guard may have died before this line: then nobody would tell us.
                if os.getppid() != self._me:
                    os._exit(CANNOT_EXEC)
            signal.setitimer(signal.ITIMER_REAL, max(limit - self._clock(), 0.001))
            self._prepare()
            for stream, fd in enumerate((self._null, out, err)):
                os.dup2(fd, stream)
            for number in signal.valid_signals():
                with suppress(OSError, ValueError):  # KILL and STOP are as they are
                    signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.execve(words[0], words, environ)
        except OSError as error:
            os.write(refusal, str(error.errno or 0).encode())
        finally:
            os._exit(CANNOT_EXEC)

    def signal(self, number: int, signal: signal.Signals) -> None:
        """Signal a hook's group; what is left of it when the hook exits is killed."""
        child = self._numbers.get(number)
        if child is not None:
            child.signal(signal)

    def reap(self, ended: Ended) -> None:
        """See which hooks have ended."""
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:  # cannot be: each child is waited for here only
                return
            if not pid:
                return
            child = self._children.pop(pid, None)
            if child is not None:
                del self._numbers[child.number]
                failure, said = child.close(os.waitstatus_to_exitcode(status))
                ended(child.number, failure, said)

    def breathe(self) -> float | None:
        """Read on where a hook has flooded its output; returns when to come again."""
        now = self._clock()
        times = [at for child in self._children.values() if (at := child.breathe(now)) is not None]
        return min(times, default=None)


class _Child:
    """One hook that runs."""

    def __init__(
        self,
        number: int,
        pid: int,
        call: HookCall,
        pipes: list[int],
        selector: selectors.BaseSelector,
        say: Callable[[Said], None],
    ) -> None:
        self.number = number
        self._pid = pid
        self._call = call
        self._selector = selector
        self._say = say
        self._condemned = False
        self._bytes = 0
        self._held_back: list[int] = []  # streams that are not read at once
        self._next = 0.0
        out, err, self._refusal = pipes

        def to(error: bool) -> Lines:
            return Lines(lambda line: say(Said(call.system, call.event, call.subject, error, line)))

        self._lines = {out: to(False), err: to(True)}
        for fd in self._lines:
            os.set_blocking(fd, False)
            selector.register(fd, selectors.EVENT_READ, lambda fd=fd: self._readable(fd))

    def signal(self, number: int) -> None:
        self._condemned = True
        try:
            os.killpg(self._pid, number)
        except ProcessLookupError:
            # It has not yet made its group; it is still ours to reap, so this is it.
            os.kill(self._pid, number)

    def _readable(self, fd: int) -> None:
        if not self._read(fd):
            self._selector.unregister(fd)
        elif self._bytes > FREE_BYTES:
            # Not to read at all would block the hook; to read all the time, the guard.
            self._selector.unregister(fd)
            self._held_back.append(fd)

    def _read(self, fd: int) -> bool:
        """Read once; returns whether there may be more."""
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return True
        self._bytes += len(data)
        self._lines[fd].received(data)
        return bool(data)

    def breathe(self, now: float) -> float | None:
        if not self._held_back:
            return None
        if now >= self._next:
            self._next = now + BREATH
            self._held_back = [fd for fd in self._held_back if self._read(fd)]
        return self._next

    def close(self, code: int) -> tuple[str | None, str]:
        """It has exited: what that means, and the last that it said."""
        if self._condemned:
            # A group with members keeps its number; an empty one cannot have lost it
            # to others within these few instructions.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, signal.SIGKILL)
        registered = self._selector.get_map()
        for fd, lines in self._lines.items():
            self._read(fd)  # what a pipe holds, and no more: others may still write to it
            if fd in registered:
                self._selector.unregister(fd)
            os.close(fd)
            lines.ended()
        refused = os.read(self._refusal, 16) if code == CANNOT_EXEC else b""
        os.close(self._refusal)
        out, err = self._lines.values()
        if refused:
            error = OSError(int(refused), os.strerror(int(refused)))
            return f"cannot be started: {why_not(self._call, error)}", ""
        dropped = out.dropped + err.dropped
        if dropped:
            call, text = self._call, f"({dropped} more bytes of output are not logged)"
            self._say(Said(call.system, call.event, call.subject, True, text))
        return verdict(code), err.last or out.last
