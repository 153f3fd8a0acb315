"""What the journal names: of this configuration, or of an earlier one and in its way.

A text may have been a data point of its own and be a member of a group now, or the other
way round. What the journal names is let go of with the members of its time; until then
nothing that has one of those members may be taken, or that `down` would take it away again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from flip.config import System
from flip.holdings.journal import Held
from flip.holdings.leftovers import Leftovers
from flip.holdings.system import SystemKeeper


class Overlap:
    """Which data points of the present configuration wait for which of an earlier one.

    :param systems: the keepers, by system.
    """

    def __init__(self, systems: Mapping[str, SystemKeeper], leftovers: Leftovers) -> None:
        self._systems = systems
        self._leftovers = leftovers
        self._waiting: dict[tuple[str, str], list[str]] = {}

    def remember(self, held: Iterable[Held]) -> dict[str, list[Held]]:
        """What the journal names.

        :returns: by system, what the keepers know; the rest is left over.
        """
        known: dict[str, list[Held]] = {name: [] for name in self._systems}
        left = []
        for one in held:
            keeper = self._systems.get(one.system)
            if keeper is not None and one.datum in keeper.points:
                known[one.system].append(one)
            else:
                left.append(one)
        self._leftovers.remember(left)
        self._remember([*left, *(one for recorded in known.values() for one in recorded)])
        return known

    def _remember(self, recorded: Iterable[Held]) -> None:
        owners: dict[str, dict[str, str]] = {}
        for held in recorded:
            keeper = self._systems.get(held.system)
            if keeper is None:
                continue
            if held.system not in owners:
                owners[held.system] = _owners(keeper.system)
            for member in held.members:
                datum = owners[held.system].get(member, member)
                if datum != held.datum and datum in keeper.points:
                    self._waiting.setdefault((held.system, datum), []).append(held.datum)

    def obstacle(self, system: str, datum: str) -> str | None:
        """What a data point waits for, in words; None when it need not wait."""
        for former in self._waiting.get((system, datum), ()):
            if self._is_left(system, former):
                return f"{former}, as an earlier configuration has it, is not down yet"
        return None

    def mark(self) -> None:
        """Have the keepers decide about what need not wait any more."""
        for system, datum in list(self._waiting):
            if self.obstacle(system, datum) is None:
                del self._waiting[system, datum]
                self._systems[system].mark((datum,))

    def _is_left(self, system: str, former: str) -> bool:
        holding = self._systems[system].holdings.get(former)
        outdated = holding is not None and holding.outdated is not None
        return outdated or (system, former) in self._leftovers


def _owners(system: System) -> dict[str, str]:
    """The data point that each member belongs to, where that goes by another name."""
    return {
        member: point.id
        for point in system.special.values()
        for member in point.members
        if member != point.id
    }
