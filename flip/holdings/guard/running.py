"""One hook that the guard runs: its time limit, and how it is pressed to end."""

from __future__ import annotations

import enum
import math
import signal
from typing import Protocol

from flip.holdings.call import HookCall
from flip.holdings.guard.messages import Run

GRACE = 1.0  # seconds between TERM and KILL, at most
PART = 4  # of the timeout that is the grace, when that is shorter
DESPAIR = 1.0  # seconds after KILL
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
    """One run.

    :ivar orders: who is told of its end; none for a `down` of the guard's own.
    :ivar verdict: why it was made to end.
    :ivar due: when it has to be pressed.
    """

    __slots__ = ("began", "call", "due", "number", "orders", "pressed", "verdict")

    def __init__(self, number: int, call: HookCall, began: float, orders: list[Run]) -> None:
        self.number = number
        self.call = call
        self.began = began
        self.orders = orders
        self.verdict: str | None = None
        self.pressed = Press.NOTHING
        self.due = began + call.timeout - grace(call.timeout)

    @property
    def limit(self) -> float:
        """When it has been killed, at the latest."""
        return self.began + self.call.timeout + SLACK

    def press(self) -> Signal | None:
        """It is due: what to send, None when there is nothing left to do."""
        timeout = self.call.timeout
        match self.pressed:
            case Press.NOTHING:
                self.pressed = Press.TERMINATED
                self.due = self.began + timeout
                self.verdict = f"no end within {timeout:g} s: terminated"
                return signal.SIGTERM
            case Press.TERMINATED:
                self.pressed = Press.KILLED
                self.due = self.began + timeout + DESPAIR
                self.verdict = f"no end within {timeout:g} s: terminated, then killed"
                return signal.SIGKILL
            case _:
                self.pressed = Press.GIVEN_UP
                self.due = math.inf
                return None

    def kill(self, now: float, why: str) -> Signal | None:
        """End it at once: what to send, None when that was done before."""
        if self.pressed >= Press.KILLED:
            return None
        self.pressed = Press.KILLED
        self.due = now + DESPAIR
        self.verdict = f"killed, for {why}"
        return signal.SIGKILL
