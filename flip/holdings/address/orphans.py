"""`wait_for_lease`: what a server that is down may still have, because its kernel does not know.

A daemon that was killed renews nothing. Its kernel serves its addresses until their lifetimes
end; who took them before would be the second to have them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from flip.config import Config, System
from flip.holdings.address.lifetimes import LATENESS
from flip.membership.roster import Change, Roster, State


class Orphans:
    """Knows until when the addresses of servers that are down must be left alone.

    :param systems: by name, those with this provider.
    :param mark: called with a system of which something may be taken from now on.
    """

    def __init__(
        self,
        config: Config,
        clock: IReactorTime,
        roster: Roster,
        systems: Mapping[str, System],
        mark: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._roster = roster
        self._mark = mark
        self._waits: dict[str, float] = {}
        for name, system in systems.items():
            addressing = system.addressing
            if addressing is not None and addressing.wait_for_lease:
                self._waits[name] = addressing.kernel_lease + LATENESS
        self._servers = {name: frozenset(config.servers_of(name)) for name in self._waits}
        self._down: dict[str, float] = {}  # since when this node knows it
        self._calls: dict[tuple[str, str], IDelayedCall] = {}

    def learn(self, change: Change) -> None:
        """Another member changed.

        One that left let go of everything first. Of one that was down when this node came to
        know of it nobody says since when.
        """
        member = change.member
        if change.state is not State.DOWN:
            self._forget(member)
        elif member not in self._down and member != self._roster.me:
            self._down[member] = self._clock.seconds()
            for name, wait in self._waits.items():
                if member in self._servers[name]:
                    key = member, name
                    self._calls[key] = self._clock.callLater(wait, self._over, *key)

    def obstacle(self, system: str, datum: str) -> str | None:
        """Why a data point must not be taken yet."""
        wait = self._waits.get(system)
        if wait is None:
            return None
        for member, since in self._down.items():
            left = since + wait - self._clock.seconds()
            if (
                left > 0
                and member in self._servers[system]
                and self._may_have(member, system, datum)
            ):
                return (
                    f"{member} is down, and its kernel may keep the address for"
                    f" {left:.1f} s more (wait_for_lease)"
                )
        return None

    def stop(self) -> None:
        """Cancel all timers."""
        for call in self._calls.values():
            call.cancel()
        self._calls.clear()

    def _may_have(self, member: str, system: str, datum: str) -> bool:
        claims = self._roster[member].claims
        return claims is None or datum in claims.get(system, {})

    def _over(self, member: str, system: str) -> None:
        del self._calls[member, system]
        self._mark(system)

    def _forget(self, member: str) -> None:
        self._down.pop(member, None)
        for name in self._waits:
            call = self._calls.pop((member, name), None)
            if call is not None:
                call.cancel()
