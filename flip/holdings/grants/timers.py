"""Named timers, of which each rings at the earliest time that it was set to."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Timers:
    """Timers that may ring too early, never too late: who is called looks at the clock."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._calls: dict[str, IDelayedCall] = {}
        self._stopped = False

    def at(self, name: str, time: float, call: Callable[[], None]) -> None:
        """Call then, unless the timer of that name rings before."""
        pending = self._calls.get(name)
        if pending is not None and pending.active():
            if pending.getTime() <= time:
                return
            pending.cancel()
        if not self._stopped:
            delay = max(0.0, time - self._clock.seconds())
            self._calls[name] = self._clock.callLater(delay, call)

    def is_set(self, name: str) -> bool:
        """Whether a timer is going to ring."""
        pending = self._calls.get(name)
        return pending is not None and pending.active()

    def stop(self) -> None:
        """No timer rings any more."""
        self._stopped = True
        for pending in self._calls.values():
            if pending.active():
                pending.cancel()
