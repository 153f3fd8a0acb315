"""For which systems this node declares itself ineligible, why, and until when.

Three causes: `alive` kept failing (R3), the node flaps (R8), or it cannot settle
although others may wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from flip.log import Logger

FLAPPING_WINDOW = 600.0  # seconds in which being voted down twice counts as flapping
LONGEST_PENALTY = 60.0  # seconds

_log = Logger()


def penalty(downs: int) -> float:
    """Seconds out of service after the n-th time down within the window: 0, 1, 2, 4 ... 60."""
    return 0.0 if downs < 2 else min(LONGEST_PENALTY, 2.0 ** min(downs - 2, 6))


class Fitness:
    """This node's own word on where it must not be given anything.

    :param systems: all systems that this server lists.
    :param changed: called whenever `ineligible` changed.
    """

    def __init__(
        self, clock: IReactorTime, systems: Iterable[str], changed: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._systems = tuple(systems)
        self._changed = changed
        self._causes: dict[tuple[str, str], IDelayedCall | None] = {}

    @property
    def ineligible(self) -> tuple[str, ...]:
        """The systems, sorted."""
        return tuple(sorted({system for system, _ in self._causes}))

    def reasons(self, system: str) -> str | None:
        """Why this node is ineligible for a system, None when it is not."""
        return "; ".join(cause for name, cause in self._causes if name == system) or None

    def excluded(self, cause: str, system: str) -> bool:
        """Whether this node is ineligible for a system for this cause."""
        return (system, cause) in self._causes

    def exclude(self, cause: str, seconds: float | None, systems: Iterable[str] = ()) -> None:
        """Become ineligible for `systems` (all when empty), for a time or until `admit`."""
        for system in tuple(systems) or self._systems:
            pending = self._causes.pop((system, cause), None)
            if pending is not None:
                pending.cancel()
            self._causes[system, cause] = (
                None
                if seconds is None
                else self._clock.callLater(seconds, self._expire, system, cause)
            )
        self._changed()

    def admit(self, cause: str | None = None, system: str | None = None) -> None:
        """Take back what was declared for a cause and a system (any, when None)."""
        for key in list(self._causes):
            if (system is None or key[0] == system) and (cause is None or key[1] == cause):
                pending = self._causes.pop(key)
                if pending is not None:
                    pending.cancel()
        self._changed()

    def stop(self) -> None:
        """Cancel all timers."""
        for pending in self._causes.values():
            if pending is not None:
                pending.cancel()
        self._causes.clear()

    def _expire(self, system: str, cause: str) -> None:
        del self._causes[system, cause]
        _log.info("eligible for {system} again ({cause})", system=system, cause=cause)
        self._changed()
