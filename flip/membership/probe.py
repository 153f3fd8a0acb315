"""One probe of one member: pings until one is answered or the time is up.

A ping every sixth of the time; from a third of it on, every retry also asks
other members to ping (SWIM's ping-req). Six tries, because three give 0.13
false downs per ten minutes at 20 % loss and three nodes, six 7e-6 (modelled).
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall

from flip.log import Logger
from flip.membership.health import LATE

_log = Logger()

TRIES = 6
DIRECT_ONLY = 2  # tries before other members are asked too: a third of the time
ENOUGH = 5  # tries without which silence proves nothing: three are three false downs too many


class Verdict(enum.Enum):
    """How a probe ended."""

    ANSWERED = "answered"
    MISSED = "missed"
    UNJUDGED = "unjudged"  # this node itself was too late to say


class Probe:
    """Asks until `answered` is called or `duration` seconds are over.

    :param ping: sends one direct ping.
    :param ask_others: sends one ping-req to some other members.
    :param doubt: called once, when a third of the time has passed in vain.
    """

    def __init__(
        self,
        clock: IReactorTime,
        target: str,
        accused: int,
        duration: float,
        *,
        ping: Callable[[Probe], None],
        ask_others: Callable[[Probe], None],
        doubt: Callable[[Probe], None],
    ) -> None:
        self.target = target
        self.accused = accused
        self.helped: set[str] = set()
        self.nacks_due = False  # a helper was asked early enough to have said something
        self.nonces: list[int] = []
        self._clock = clock
        self._ping = ping
        self._ask_others = ask_others
        self._doubt = doubt
        self.tries = 0
        self._nudged = False
        self._verdict: Deferred[Verdict] = Deferred()
        self.began = clock.seconds()
        self._ends = self.began + duration
        self._deadline: IDelayedCall | None = None
        self._retry = LoopingCall(self._try)
        self._retry.clock = clock

    @property
    def midway(self) -> float:
        """When half of its time was over."""
        return (self.began + self._ends) / 2

    @property
    def exhausted(self) -> bool:
        """Whether it only waits for its end: a target that is back would not hear of it."""
        return self.tries == TRIES

    def start(self) -> Deferred[Verdict]:
        """Send the first ping; fires with the verdict, never fails."""
        duration = self._ends - self.began
        self._deadline = self._clock.callLater(duration, self._expire)
        self._retry.start(duration / TRIES).addErrback(
            lambda failure: _log.failure("a probe's tries ended early", failure)
        )
        return self._verdict

    def nudge(self) -> None:
        """The target gave a sign of life: ask again now, at most once between two tries."""
        if not self._nudged:
            self._nudged = True
            self._ping(self)

    def ping(self) -> None:
        """Ask once more, apart from the tries."""
        self._ping(self)

    def answered(self) -> None:
        """The target answered one of the pings."""
        self._end(Verdict.ANSWERED)

    def stop(self) -> None:
        """Give up without a verdict about the target."""
        self._end(Verdict.UNJUDGED)

    def _try(self) -> None:
        self.tries += 1
        self._nudged = False
        self._ping(self)
        if self.tries > DIRECT_ONLY:
            if self.tries == DIRECT_ONLY + 1:
                self._doubt(self)
            self._ask_others(self)
        if self.tries == TRIES:
            self._retry.stop()

    def _expire(self) -> None:
        # A stall past the deadline, or one that ate up the tries, says nothing about
        # the target. Answers may wait in the socket, which the reactor reads before
        # it makes the next call at zero delay.
        if self._retry.running:
            self._retry.stop()
        late = self._clock.seconds() - self._ends > LATE
        verdict = Verdict.UNJUDGED if late or self.tries < ENOUGH else Verdict.MISSED
        self._deadline = self._clock.callLater(0, self._end, verdict)

    def _end(self, verdict: Verdict) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None
        if self._retry.running:
            self._retry.stop()
        if not self._verdict.called:
            self._verdict.callback(verdict)
