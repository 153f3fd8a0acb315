"""One system's division of its data, renewed as servers come and go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from flip.allocation.topology import TOPOLOGIES
from flip.config import Config
from flip.holdings.outlook import Outlook
from flip.holdings.tally import LISTED
from flip.log import Logger

NOBODY = "nobody"

_log = Logger()


class Division:
    """Who should hold what of one system, by this node's view.

    :param divided: called with the owner of each data point and those of this node.
    """

    def __init__(
        self,
        config: Config,
        system: str,
        clock: IReactorTime,
        outlook: Outlook,
        divided: Callable[[Mapping[str, str], frozenset[str]], None],
    ) -> None:
        self.owners: dict[str, str] = {}
        self._me = config.id
        self._system = config.systems[system]
        self._servers = config.servers_of(system)
        self._topology = TOPOLOGIES[self._system.type]
        self._clock = clock
        self._outlook = outlook
        self._divided = divided
        self._eligible: frozenset[str] | None = None
        self._late: IDelayedCall | None = None

    @property
    def waiting(self) -> bool:
        """Whether a newer division waits for its `delay`."""
        return self._late is not None

    def update(self) -> None:
        """Divide anew: at once when a server is gone, after `delay` when one came back.

        Several that come back within `delay` are one plan; what is gone leaves
        data without an owner, and that does not wait. Who came back a moment ago
        is left out of that plan: others may not know of it yet, and two plans
        name two owners.
        """
        eligible = self._outlook.eligible(self._system.name)
        if self._eligible is None:
            self._divide(eligible)
        elif self._eligible - eligible:
            self._divide(self._eligible & eligible or eligible)
        if eligible == self._eligible:
            self.stop()
        elif self._late is None:
            self._late = self._clock.callLater(self._system.delay, self._divide_late)

    def stop(self) -> None:
        """Forget a division that is due later."""
        if self._late is not None and self._late.active():
            self._late.cancel()
        self._late = None

    def _divide_late(self) -> None:
        self._divide(self._outlook.eligible(self._system.name))

    def _divide(self, eligible: frozenset[str]) -> None:
        self.stop()
        self._eligible = eligible
        if not self._topology.single_owner:
            # Each server stands alone: nobody else's state changes what it holds.
            self._divided({}, frozenset(self._system.data))
            return
        division = self._topology.divide(self._system.data, self._servers, eligible)
        before = self.owners
        self.owners = {datum: server for server, data in division.items() for datum in data}
        self._report(before)
        self._divided(self.owners, frozenset(division.get(self._me, ())))

    def _report(self, before: Mapping[str, str]) -> None:
        moving = [datum for datum in self._system.data if before.get(datum) != self._owner(datum)]
        if len(moving) > LISTED:
            ways = Counter((before.get(datum), self._owner(datum)) for datum in moving)
            listed = [
                f"{count} from {source or NOBODY} to {target or NOBODY}"
                for (source, target), count in ways.most_common(LISTED)
            ]
            _log.info(
                "{system}: {count} of {all} data points move: {ways}",
                system=self._system.name,
                count=len(moving),
                all=len(self._system.data),
                ways=", ".join(listed) + (", ..." if len(ways) > LISTED else ""),
            )
            return
        for datum in moving:
            _log.info(
                "{system}: {datum} belongs to {target} now (before: {source})",
                system=self._system.name,
                datum=datum,
                target=self._owner(datum) or NOBODY,
                source=before.get(datum, NOBODY),
            )

    def _owner(self, datum: str) -> str | None:
        return self.owners.get(datum)
