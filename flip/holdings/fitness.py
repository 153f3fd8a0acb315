"""For which systems this node declares itself ineligible, why, and until when.

Causes are added and taken away by whoever finds them: the keeper (`alive` kept failing,
the node flaps or cannot settle), health checks, links, operators. Of several the worst
standing is what others hear of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from flip.log import Logger
from flip.wire.standing import Standing

_log = Logger()


class _Exclusion(NamedTuple):
    standing: Standing
    end: IDelayedCall | None


class Fitness:
    """This node's own word on where it must not be given anything.

    :param systems: all systems that this server lists.
    :param changed: called whenever what is declared changed.
    :param recovered: called with a system that this node can serve again, and its standing
        before, ahead of `changed`: others do not know of it yet.
    """

    def __init__(
        self,
        clock: IReactorTime,
        systems: Iterable[str],
        changed: Callable[[], None],
        recovered: Callable[[str, Standing], None] = lambda system, before: None,
    ) -> None:
        self._clock = clock
        self._systems = tuple(systems)
        self._changed = changed
        self._recovered = recovered
        self._causes: dict[tuple[str, str], _Exclusion] = {}

    @property
    def ineligible(self) -> tuple[str, ...]:
        """The systems, sorted."""
        return tuple(sorted({system for system, _ in self._causes}))

    @property
    def standings(self) -> list[Standing]:
        """Of the systems of `ineligible`, in their order."""
        return [self.standing(system) for system in self.ineligible]

    def standing(self, system: str) -> Standing:
        """The worst of what keeps this node from a system."""
        found = (one.standing for (name, _), one in self._causes.items() if name == system)
        return max(found, default=Standing.FIT)

    def reasons(self, system: str) -> str | None:
        """Why this node is ineligible for a system, None when it is not."""
        return "; ".join(cause for name, cause in self._causes if name == system) or None

    def excluded(self, cause: str, system: str) -> bool:
        """Whether this node is ineligible for a system for this cause."""
        return (system, cause) in self._causes

    def exclude(
        self,
        cause: str,
        seconds: float | None,
        systems: Iterable[str] = (),
        standing: Standing = Standing.UNFIT,
    ) -> None:
        """Become ineligible for `systems` (all when empty), for a time or until `admit`."""
        for system in tuple(systems) or self._systems:
            self._forget(system, cause)
            end = None
            if seconds is not None:
                end = self._clock.callLater(seconds, self._expire, system, cause)
            self._causes[system, cause] = _Exclusion(standing, end)
        self._changed()

    def admit(self, cause: str | None = None, system: str | None = None) -> None:
        """Take back what was declared for a cause and a system (any, when None)."""
        before = {name: self.standing(name) for name in self._systems}
        for name, why in list(self._causes):
            if (system is None or name == system) and (cause is None or why == cause):
                self._forget(name, why)
        self._tell(before)

    def stop(self) -> None:
        """Cancel all timers."""
        for system, cause in list(self._causes):
            self._forget(system, cause)

    def _forget(self, system: str, cause: str) -> None:
        known = self._causes.pop((system, cause), None)
        if known is not None and known.end is not None and known.end.active():
            known.end.cancel()

    def _expire(self, system: str, cause: str) -> None:
        before = {system: self.standing(system)}
        self._forget(system, cause)
        _log.info("eligible for {system} again ({cause})", system=system, cause=cause)
        self._tell(before)

    def _tell(self, before: dict[str, Standing]) -> None:
        for system, standing in before.items():
            if standing >= Standing.FAILING > self.standing(system):
                self._recovered(system, standing)
        self._changed()
