"""One performance of the demo, from an empty directory to an empty directory."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError
from twisted.python.failure import Failure

from flip.demo.audience import Audience, Result
from flip.demo.cluster import Cluster
from flip.demo.story import IDS
from flip.demo.walk import Walk
from flip.demo.workplace import Workplace
from flip.errors import DemoFailed

STOPPED_BY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Theatre(Audience, Protocol):
    """An audience that also sees the beginning."""

    def opening(self, root: str) -> None:
        """The demo is about to begin, in the directory `root`."""


@dataclass
class Outcome:
    """How it ended.

    :ivar status: the exit status: 0, 1, or 128 and the number of the signal that stopped it.
    :ivar error: what differed from the story, empty if nothing did.
    :ivar logs: per node the end of its log, if something differed.
    :ivar kept: the directory, if it is still there.
    :ivar seconds: what it took in all.
    """

    status: int = 0
    error: str = ""
    logs: dict[str, list[str]] = field(default_factory=dict)
    kept: str = ""
    seconds: float = 0.0
    result: Result = field(default_factory=Result)

    def as_json(self) -> dict[str, Any]:
        """All of it as values for JSON; times in seconds."""
        return {
            "ok": self.status == 0,
            "seconds": round(self.seconds, 3),
            **asdict(self.result),
            "error": self.error or None,
            "directory": self.kept or None,
        }


def perform(theatre: Theatre, *, keep: bool) -> Outcome:
    """Run the demo; returns when no process and, unless kept, no file of it is left.

    This runs the reactor, which a process can do only once.
    """
    from twisted.internet import reactor

    return _Performance(reactor, theatre, keep).run()


class _Performance:
    def __init__(self, reactor: Any, theatre: Theatre, keep: bool) -> None:
        self._reactor = reactor
        self._theatre = theatre
        self._keep = keep
        self._outcome = Outcome()
        self._failure: Failure | None = None
        self._story: Deferred[None] | None = None
        self._is_over = self._is_shutting_down = False

    def run(self) -> Outcome:
        began = time.monotonic()
        os.umask(0o077)  # whatever it was: what is made here must be ours to use
        workplace = Workplace.make()
        try:
            # A step of the wall clock must not move the timers.
            self._reactor.seconds = time.monotonic
            self._reactor.callWhenRunning(self._begin, workplace)
            self._reactor.run()
            self._conclude(workplace)
        finally:
            if self._keep:
                self._outcome.kept = str(workplace.root)
            else:
                workplace.remove()
        self._outcome.seconds = time.monotonic() - began
        return self._outcome

    def _begin(self, workplace: Workplace) -> None:
        for number in STOPPED_BY:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._interrupted)
        self._reactor.addSystemEventTrigger("before", "shutdown", self._shut_down)
        self._story = Deferred.fromCoroutine(self._tell(workplace))
        self._story.addErrback(self._failed).addBoth(self._ended)

    def _ended(self, _: object) -> None:
        self._is_over = True
        if not self._is_shutting_down:
            self._reactor.stop()

    def _shut_down(self) -> Deferred[None] | None:
        """Wait for the end, also where a signal came before our own handlers were there."""
        self._is_shutting_down = True
        if self._is_over:
            return None
        self._stop(signal.SIGINT)
        return self._story

    def _interrupted(self, number: int, frame: object) -> None:
        self._reactor.callFromThread(self._stop, number)

    def _stop(self, number: int) -> None:
        # Once is enough: all that is left to do then is to clean up.
        if self._story is not None and not self._outcome.status:
            self._outcome.status = 128 + number
            self._story.cancel()

    def _failed(self, failure: Failure) -> None:
        self._failure = failure

    async def _tell(self, workplace: Workplace) -> None:
        cluster = Cluster(self._reactor, workplace)
        walk = Walk(self._reactor, cluster, self._theatre)
        self._outcome.result = walk.result
        try:
            try:
                cluster.open()
            except CannotListenError as error:
                raise DemoFailed(f"No port of this machine can be had: {error}") from error
            self._theatre.opening(str(workplace.root))
            await walk.all()
        finally:
            await cluster.close()
        for id in IDS:
            if workplace.has_traceback(id):
                raise DemoFailed(f"{id} met an error in flip itself: see its log.")

    def _conclude(self, workplace: Workplace) -> None:
        failure, outcome = self._failure, self._outcome
        if failure is None or (outcome.status and isinstance(failure.value, CancelledError)):
            return
        if not isinstance(failure.value, DemoFailed):
            failure.raiseException()
        outcome.status = 1
        outcome.error = str(failure.value)
        outcome.logs = {id: workplace.last_lines(id) for id in IDS}
        self._keep = True
