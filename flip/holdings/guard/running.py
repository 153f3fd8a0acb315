"""One call that the guard runs: the time limit of each program, and how it is pressed to end."""

from __future__ import annotations

import enum
import math
import signal
from typing import Protocol

from flip.holdings.call import HookCall
from flip.holdings.course import Course
from flip.holdings.guard.messages import Run

GRACE = 1.0  # seconds between TERM and KILL, at most
PART = 4  # of the timeout that is the grace, when that is shorter
DESPAIR = 1.0  # seconds after KILL
LEAST = 0.01  # seconds that a hook of a group has, when the time of the group is up
SLACK = 0.1  # seconds after its timeout in which KILL has surely come, if the guard lives

Signal = signal.Signals


class Hooks(Protocol):
    """Starts hooks; the end of each comes back as `Sentry.ended`."""

    def start(self, number: int, call: HookCall, limit: float) -> int:
        """Start a hook and return its pid.

        :param limit: when it ends at the latest, should the guard die before; seconds
            of the node's clock.
        :raises OSError: it cannot be started.
        :raises ValueError: neither can it be with such arguments.
        """

    def signal(self, number: int, signal: Signal) -> None:
        """Signal its group."""

    def survives(self, event: str) -> bool:
        """Whether such a hook runs on when the guard is killed."""


class Press(enum.IntEnum):
    """What was done to make it end."""

    NOTHING = 0
    TERMINATED = 1
    KILLED = 2
    GIVEN_UP = 3


def grace(timeout: float) -> float:
    """The seconds between TERM and KILL, within the timeout."""
    return min(GRACE, timeout / PART)


class Running:
    """One run of a call, and of the program in it whose turn it is.

    :ivar call: all of it.
    :ivar orders: who is told of its end; none for a `down` of the guard's own.
    :ivar step: the program that runs, as a call with one member.
    :ivar verdict: why that one was made to end.
    :ivar due: when it has to be pressed.
    """

    __slots__ = (
        "_started", "began", "call", "course", "due", "number", "orders", "pressed", "step",
        "verdict",
    )  # fmt: skip

    def __init__(self, number: int, call: HookCall, began: float, orders: list[Run]) -> None:
        self.number = number
        self.call = call
        self.began = began
        self.orders = orders
        self.course = Course(call, LEAST)
        self.step: HookCall | None = None

    def proceed(self, now: float) -> HookCall | None:
        """Whose turn it is now; None: the call is over."""
        self.step = step = self.course.next(now)
        if step is not None:
            self._started = now
            self.verdict: str | None = None
            self.pressed = Press.NOTHING
            self.due = now + step.timeout - grace(step.timeout)
        return step

    @property
    def limit(self) -> float:
        """When the program that runs has been killed, at the latest."""
        return self._started + self._timeout + SLACK

    @property
    def _timeout(self) -> float:
        return self.call.timeout if self.step is None else self.step.timeout

    def press(self) -> Signal | None:
        """It is due: what to send, None when there is nothing left to do."""
        timeout = self._timeout
        match self.pressed:
            case Press.NOTHING:
                self.pressed = Press.TERMINATED
                self.due = self._started + timeout
                self.verdict = f"no end within {timeout:g} s: terminated"
                return signal.SIGTERM
            case Press.TERMINATED:
                self.pressed = Press.KILLED
                self.due = self._started + timeout + DESPAIR
                self.verdict = f"no end within {timeout:g} s: terminated, then killed"
                return signal.SIGKILL
            case _:
                self.pressed = Press.GIVEN_UP
                self.due = math.inf
                return None

    def kill(self, now: float, why: str) -> Signal | None:
        """End all of it at once: what to send, None when that was done before."""
        self.course.abandon()
        if self.pressed >= Press.KILLED:
            return None
        self.pressed = Press.KILLED
        self.due = now + DESPAIR
        self.verdict = f"killed, for {why}"
        return signal.SIGKILL
