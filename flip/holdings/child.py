"""A hook's process: started without a fork, in a session of its own, read and reaped.

Why not reactor.spawnProcess: it cannot call setsid. Twisted could only do that in a
forked child, and a fork costs five to ten times as much as posix_spawn (4 to 10 ms
against 0.8) and grows with the daemon's memory; a launcher such as setsid(1) costs
one more exec (1.4 to 4 ms), hides why an exec failed, and macOS has none.
os.posix_spawn makes the session itself, and reports a failed exec as an OSError. The
rest is what Twisted's own Process does, by the same public means: descriptors in the
reactor, the reactor's reaper, which runs on SIGCHLD, and a ProcessProtocol that hears
of it all.
"""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.process import registerReapProcessHandler, unregisterReapProcessHandler
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

CHUNK = 65536  # bytes per read: what a pipe holds on Linux
FREE_BYTES = 1 << 20  # read as fast as they come; what follows is read at leisure
BREATH = 0.01  # seconds between two reads of a hook that floods its output
STDOUT, STDERR = 1, 2

Received = Callable[[int, bytes], None]


class Child:
    """A process that leads its own session.

    :param reactor: for IReactorFDSet and IReactorTime.
    :param argv: the first one is an absolute path.
    :raises OSError: it cannot be started.
    :raises ValueError: an argument holds a NUL byte.
    """

    def __init__(self, reactor: Any, argv: Sequence[bytes], environ: Mapping[bytes, bytes]) -> None:
        opened: list[int] = []
        try:
            for _ in (STDOUT, STDERR):
                opened += os.pipe()
            # A daemon that was started with closed standard streams gets their numbers.
            for n, fd in enumerate(opened):
                opened[n] = above_standard_streams(fd)
            out, out_end, err, err_end = opened
            streams = (
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, out_end, STDOUT),
                (os.POSIX_SPAWN_DUP2, err_end, STDERR),
            )
            self.pid = spawn(argv, environ, streams)
        except BaseException:
            for fd in opened:
                os.close(fd)
            raise
        os.close(out_end)
        os.close(err_end)
        self._reactor = reactor
        self._pipes = (_Pipe(reactor, STDOUT, out), _Pipe(reactor, STDERR, err))
        self._protocol: ProcessProtocol | None = None
        self._alive = True
        self._condemned = False

    def watch(self, protocol: ProcessProtocol) -> None:
        """Begin to read and to wait.

        The protocol hears of the output, and then of the end, once: when the process
        has exited, whoever holds its pipes. The reason is a `ProcessDone`, a
        `ProcessTerminated`, or a `ProcessExitedAlready` when other code took the status.
        """
        self._protocol = protocol
        for pipe in self._pipes:
            pipe.start(protocol.childDataReceived)
        registerReapProcessHandler(self.pid, self)

    def signal_group(self, number: int) -> None:
        """Signal the process and all that it started and that stayed in its group.

        From the first signal on the whole group must go: what is left of it when
        the process exits is killed.

        :raises PermissionError: none of them may be signalled.
        """
        if self._alive:
            self._condemned = True
            os.killpg(self.pid, number)

    def reapProcess(self) -> None:
        """Look whether the process has exited; the reactor calls this on SIGCHLD."""
        if not self._alive:
            return
        status: int | None
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            # Other code in this process waited for it. To raise here would keep the
            # reactor from the other children.
            pid, status = self.pid, None
        if pid:
            unregisterReapProcessHandler(self.pid, self)
            self.processEnded(status)

    def processEnded(self, status: int | None) -> None:
        """The reactor's reaper found the process ended."""
        self._alive = False
        if self._condemned:
            # A group with members keeps its number; an empty one cannot have lost
            # it to others within these few instructions.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        for pipe in self._pipes:
            pipe.drain()
            pipe.close()
        if self._protocol is not None:
            reason = Failure(_reason(status))
            self._protocol.processExited(reason)
            self._protocol.processEnded(reason)


@implementer(IReadDescriptor)
class _Pipe:
    """The reading end of a hook's standard output or error."""

    def __init__(self, reactor: Any, stream: int, fd: int) -> None:
        os.set_blocking(fd, False)
        self._reactor = reactor
        self._stream = stream
        self._fd = fd
        self._received: Received | None = None
        self._bytes = 0
        self._breath: Any = None

    def start(self, received: Received) -> None:
        self._received = received
        self._reactor.addReader(self)

    def fileno(self) -> int:
        return self._fd

    def logPrefix(self) -> str:
        return "hook"

    def doRead(self) -> Any:
        ended = self._read()
        if ended is None and self._bytes > FREE_BYTES and self._breath is None:
            # Not to read at all would block the hook; to read all the time, the node.
            self._reactor.removeReader(self)
            self._breath = self._reactor.callLater(BREATH, self._resume)
        return ended

    def connectionLost(self, reason: Failure) -> None:
        self.close()

    def drain(self) -> None:
        """Read what is there: a pipe's content at most, for somebody may still write."""
        if self._fd >= 0:
            self._read()

    def close(self) -> None:
        if self._breath is not None:
            self._breath.cancel()
            self._breath = None
        if self._fd >= 0:
            self._reactor.removeReader(self)
            os.close(self._fd)
            self._fd = -1

    def _resume(self) -> None:
        self._breath = None
        self._reactor.addReader(self)

    def _read(self) -> Any:
        """Read once; returns what tells the reactor that there will be no more."""
        try:
            data = os.read(self._fd, CHUNK)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return CONNECTION_LOST
        if not data:
            return CONNECTION_DONE
        self._bytes += len(data)
        if self._received is not None:
            self._received(self._stream, data)
        return None


def spawn(argv: Sequence[bytes], environ: Mapping[bytes, bytes], streams: Sequence[Any]) -> int:
    """Start a process that leads its own session; returns its pid.

    :param streams: posix_spawn's file actions for its standard streams. Of all other
        descriptors it gets none.
    :raises OSError: it cannot be started.
    :raises ValueError: an argument holds a NUL byte.
    """
    actions = [*streams, *((os.POSIX_SPAWN_CLOSE, fd) for fd in _inheritable())]
    # Python ignores SIGPIPE; a hook must not inherit that, nor a blocked signal.
    ignored = [n for n in signal.valid_signals() if signal.getsignal(n) is signal.SIG_IGN]

    def start(**group: Any) -> int:
        return os.posix_spawn(
            argv[0],
            list(argv),
            environ,
            file_actions=actions,
            setsigmask=(),
            setsigdef=ignored,
            **group,
        )

    try:
        return start(setsid=True)
    except NotImplementedError:
        # Some BSDs: a process group of its own keeps Ctrl-C away just as well.
        return start(setpgroup=0)


def _inheritable() -> list[int]:
    """Descriptors above the standard streams that a child would get.

    Python makes none such; these come from whoever started the daemon.
    """
    found = []
    for name in os.listdir("/dev/fd"):
        fd = int(name)
        try:
            if fd > STDERR and os.get_inheritable(fd):
                found.append(fd)
        except OSError:
            continue  # the descriptor of the listing itself
    return found


def above_standard_streams(fd: int) -> int:
    """Move a descriptor out of the way of 0, 1 and 2, if it is one of them."""
    if fd > STDERR:
        return fd
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, STDERR + 1)
    os.close(fd)
    return moved


def _reason(status: int | None) -> Exception:
    """A wait status, as Twisted's process protocols are told of it."""
    if status is None:
        return ProcessExitedAlready()
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return ProcessDone(status)
    return ProcessTerminated(max(code, 0) or None, max(-code, 0) or None, status)
