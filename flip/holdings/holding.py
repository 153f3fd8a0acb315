"""What a node knows and does about one data point."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from flip.errors import HookFailed
from flip.holdings.pauses import LONGEST_PAUSE, pause
from flip.holdings.store import Held
from flip.log import Logger
from flip.wire.claims import Phase

__all__ = ["LONGEST_PAUSE", "Holding", "pause", "trouble"]

_log = Logger()


@dataclass(slots=True)
class Holding:
    """One data point on this node.

    :ivar phase: of the claim, None without one.
    :ivar started: a hook was started under this claim, or something may be there
        from before it.
    :ivar begun: `alive` was started under this claim.
    :ivar again: `alive` has to be run once more although the point is held (R6).
    :ivar recorded: the journal named it: this node did hold it.
    :ivar outdated: what the journal says of it, when it was made with another hook
        configuration than the present one.
    :ivar kept: an earlier life did hold it, and it is to stay.
    :ivar cleaning: nobody claims it here, but `down` has to be run once (R4).
    :ivar running: the event whose hook runs now.
    :ivar failures: of `alive` or `down` in a row.
    :ivar error: how the last hook under this claim failed, None if it did not.
    """

    phase: Phase | None = None
    started: bool = False
    begun: bool = False
    again: bool = False
    recorded: bool = False
    outdated: Held | None = None
    kept: bool = False
    cleaning: bool = False
    running: str | None = None
    failures: int = 0
    error: str | None = None
    retry: IDelayedCall | None = None

    def stop_waiting(self) -> None:
        """Cancel the timer of the next try, if there is one."""
        if self.retry is not None:
            self.retry.cancel()
            self.retry = None


def trouble(failure: Failure) -> str:
    """Why a hook failed. Anything but `HookFailed` is a bug, and goes to the log as one."""
    if isinstance(failure.value, HookFailed):
        return failure.value.details
    _log.failure("a hook could not be run", failure)
    return failure.getErrorMessage()
