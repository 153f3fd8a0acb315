"""Calls that are repeated until they are stopped, whatever happens in one of them."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from flip.log import Logger

_log = Logger()


def repeating(clock: IReactorTime, call: Callable[[], None], name: str) -> LoopingCall:
    """A LoopingCall that outlives the errors of `call`.

    An error ends a plain LoopingCall for good, and with it the node's sight of
    the others, while everything else of the node runs on. A bug in one round is
    a failure in the log, and the next round comes.
    """

    def round_() -> Deferred[None]:
        return maybeDeferred(call).addErrback(
            lambda failure: _log.failure("an error in {name}", failure, name=name)
        )

    loop = LoopingCall(round_)
    loop.clock = clock
    return loop
