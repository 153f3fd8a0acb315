"""The guard's main loop: orders, hooks, signals and time, one thread, no framework."""

from __future__ import annotations

import selectors
import signal
import socket
from collections.abc import Callable, Mapping

from flip.holdings.guard.channel import Channel
from flip.holdings.guard.forked import ForkedHooks
from flip.holdings.guard.interface import LetGo, Stage
from flip.holdings.guard.messages import Ended, Note, Pong, Report, Said, Started, decode_order
from flip.holdings.guard.sentry import Sentry
from flip.holdings.guard.turn import FileTurn
from flip.holdings.guard.watch import Watch

# Timers of the kernel stand still while the host is suspended, deadlines do not.
LONGEST_SLEEP = 0.25  # seconds
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
STOPPING = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)


class Loop:
    """One guard.

    :param clock: seconds of the node's clock.
    :param connection: to the daemon.
    :param lock: the path of the file that says which guard's turn it is.
    :param say: takes a line for the operator when there is no daemon to log it.
    :param prepare: called in each child, before it becomes the hook.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        connection: socket.socket,
        lock: str,
        environ: Mapping[bytes, bytes],
        say: Callable[[str], None],
        prepare: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._say = say
        self._selector = selectors.DefaultSelector()
        self._hooks = ForkedHooks(clock, self._selector, environ, self._tell, prepare)
        turn = FileTurn(lock, lambda text: self._tell(Note(text)))
        self._sentry = Sentry(clock, self._hooks, Watch(turn), self._tell)
        self._channel = Channel(connection, self._selector, self._received, self._sentry.lost)
        self._asked_to_end = False
        self._listen_to_signals()

    def run(self) -> None:
        """Keep watch until there is nothing left to guard, and nobody to guard it for."""
        while not self._sentry.finished and not (self._asked_to_end and not self._sentry.armed):
            for key, _ in self._selector.select(self._sleep()):
                key.data()
            self._hooks.reap(self._sentry.ended)
            self._sentry.act()

    def _sleep(self) -> float | None:
        times = [at for at in (self._sentry.due(), self._hooks.breathe()) if at is not None]
        return min(max(0.0, min(times) - self._clock()), LONGEST_SLEEP) if times else None

    def _received(self, line: bytes) -> None:
        if not self._channel.open:
            return  # behind a line that was not understood
        try:
            self._sentry.receive(decode_order(line))
        except Exception:  # noqa: BLE001
            # A bug. Whoever is armed must not suffer from it: as if the daemon were gone.
            import traceback

            self._say(traceback.format_exc())
            self._channel.close()

    def _tell(self, report: Report) -> None:
        if self._channel.open:
            self._channel.send(report)
        else:
            text = _text(report)
            if text:
                self._say(text)

    def _listen_to_signals(self) -> None:
        bell, clapper = socket.socketpair()
        for end in (bell, clapper):
            end.setblocking(False)
        self._bell, self._clapper = bell, clapper
        signal.set_wakeup_fd(clapper.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, *ENDING):
            signal.signal(number, lambda *_: None)
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)
        self._selector.register(bell, selectors.EVENT_READ, self._rung)

    def _rung(self) -> None:
        for number in self._bell.recv(4096):
            if number in ENDING:
                self._asked_to_end = True  # as soon as nothing is armed


def _text(report: Report) -> str:
    """A report as a line of a log; the daemon that would write it is gone."""
    match report:
        case LetGo((system, datum), stage, details, duration):
            match stage:
                case Stage.BEGAN:
                    return f"{system}: lets go of {datum}, for {details}"
                case Stage.FAILED:
                    return f"{system}: down {datum} failed: {details}"
                case Stage.ENDED:
                    return f"{system}: down {datum} done in {duration * 1000:.0f} ms"
        case Said(system, event, datum, _, line):
            return f"{system}: {event} {datum} says: {line}"
        case Note(text):
            return text
        case Started() | Ended() | Pong():
            return ""
