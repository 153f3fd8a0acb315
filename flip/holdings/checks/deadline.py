"""A time limit that is fair to answers which have arrived already."""

from __future__ import annotations

from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from flip.errors import CheckFailed

T = TypeVar("T")


def within(clock: IReactorTime, seconds: float, deferred: Deferred[T]) -> Deferred[T]:
    """Cancel `deferred` after some time, but not before the sockets were read once more.

    After a stall of the event loop its timers come first: what has been answered in time
    would be called late.

    :returns: the same Deferred; fails with `CheckFailed` when time is up.
    """
    timer: IDelayedCall
    expired = False

    def look_again() -> None:
        nonlocal timer
        timer = clock.callLater(0, expire)

    def expire() -> None:
        nonlocal expired
        expired = True
        deferred.cancel()

    def ended(result: T | Failure) -> T | Failure:
        if timer.active():
            timer.cancel()
        if expired and isinstance(result, Failure):
            raise CheckFailed(f"no answer within {seconds:g} s")
        return result

    timer = clock.callLater(seconds, look_again)
    return deferred.addBoth(ended)
