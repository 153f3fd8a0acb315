"""One system's division of its data, renewed as servers come and go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from flip.allocation.topology import TOPOLOGIES
from flip.allocation.wishes import wishes
from flip.config import Config
from flip.holdings.eligibility import Candidates, Way, stays_with
from flip.holdings.outlook import Outlook
from flip.holdings.tally import LISTED
from flip.log import Logger
from flip.wire.claims import Phase
from flip.wire.standing import Standing

NOBODY = "nobody"

_log = Logger()


class Division:
    """Who should hold what of one system, by this node's view.

    :param claims: what this node claims of the system.
    :param divided: called with the owner of each data point and those of this node.
    :ivar candidates: among whom the data is divided now.
    """

    def __init__(
        self,
        config: Config,
        system: str,
        clock: IReactorTime,
        outlook: Outlook,
        claims: Callable[[], Mapping[str, Phase]],
        divided: Callable[[Mapping[str, str], frozenset[str]], None],
    ) -> None:
        self.owners: dict[str, str] = {}
        self.candidates = Candidates(frozenset())
        self._me = config.id
        self._system = config.systems[system]
        self._servers = config.servers_of(system)
        self._topology = TOPOLOGIES[self._system.type]
        self._wishes = wishes(config, system)
        self._clock = clock
        self._outlook = outlook
        self._claims = claims
        self._divided = divided
        self._eligible: frozenset[str] | None = None
        self._stayed = False  # the last plan was no division among these
        self._own: frozenset[str] | None = None
        self._late: IDelayedCall | None = None

    @property
    def waiting(self) -> bool:
        """Whether a newer division waits for its `delay`."""
        return self._late is not None

    @property
    def without_me(self) -> bool:
        """Whether this node may be given data, and the next division will be the first to do so."""
        before = self._eligible
        return before is not None and self._me in self.candidates.servers - before

    def update(self) -> None:
        """Divide anew: at once when a server is gone, after `delay` when one came back.

        Several that come back within `delay` are one plan; what is gone leaves
        data without an owner, and that does not wait. Who came back a moment ago
        is left out of that plan: others may not know of it yet, and two plans
        name two owners. Who has to make room for a better one is not gone.
        """
        self.candidates = self._outlook.candidates(self._system.name)
        eligible = self.candidates.servers
        if not self._topology.single_owner:
            self._divide_by_itself()
        elif self.candidates.way is Way.STAY:
            self._stay()
        elif self._eligible is None:
            self._divide(eligible)
        else:
            gone = self._eligible - eligible
            if gone and not gone <= self._outlook.spare(self._system.name):
                self._divide(self._eligible & eligible or eligible)
            if eligible == self._eligible and not self._stayed:
                self.stop()
            elif self._late is None:
                self._late = self._clock.callLater(self._system.delay, self._divide_late)

    def inherited(self, member: str) -> list[str]:
        """What this node would get if a member that has it now were down."""
        if not self._topology.single_owner or member not in self.candidates.servers:
            return []
        dealt = self._deal(self.candidates.servers - {member})
        return [
            datum
            for datum, owner in self.owners.items()
            if owner == member and dealt.get(datum) == self._me
        ]

    def stop(self) -> None:
        """Forget a division that is due later."""
        if self._late is not None and self._late.active():
            self._late.cancel()
        self._late = None

    def _divide_late(self) -> None:
        self._late = None
        self.candidates = self._outlook.candidates(self._system.name)
        if self.candidates.way is Way.STAY:
            self._stay()
        else:
            self._divide(self.candidates.servers)

    def _divide(self, eligible: frozenset[str]) -> None:
        self.stop()
        self._eligible, self._stayed = eligible, False
        self._assign(self._deal(eligible))

    def _deal(self, eligible: frozenset[str]) -> dict[str, str]:
        division = self._topology.divide(self._system.data, self._servers, eligible, self._wishes)
        return {datum: server for server, data in division.items() for datum in data}

    def _stay(self) -> None:
        """No server is fit: everything stays with whoever has it."""
        self.stop()
        self._eligible, self._stayed = self.candidates.servers, True
        name, mine = self._system.name, self._claims()
        standings = self._outlook.standings(name)
        dealt = self._deal(
            frozenset(id for id, word in standings.items() if word is Standing.UNFIT)
        )
        owners = {}
        for datum in self._system.data:
            claims = dict(self._outlook.claimants(name, datum))
            if datum in mine:
                claims[self._me] = mine[datum]
            owner = stays_with(claims, standings, self._servers) or dealt.get(datum)
            if owner is not None:
                owners[datum] = owner
        if owners != self.owners:
            self._assign(owners)

    def _divide_by_itself(self) -> None:
        """Each server stands alone: it has everything, unless it must have nothing.

        That its hooks failed, or that it flaps, is no reason for others to take what they
        have themselves.
        """
        name, data = self._system.name, frozenset(self._system.data)
        word = self._outlook.standings(name).get(self._me, Standing.FIT)
        if word in (Standing.FIT, Standing.FAILING):
            own = data
        elif self.candidates.way is Way.STAY:
            mine = self._claims()
            own = frozenset(
                datum for datum in data if datum in mine or not self._outlook.claims(name, datum)
            )
        else:
            own = data if self._me in self.candidates.servers else frozenset()
        if own != self._own:
            self._own = own
            self._divided({}, own)

    def _assign(self, owners: dict[str, str]) -> None:
        before, self.owners = self.owners, owners
        self._report(before)
        mine = frozenset(datum for datum, owner in owners.items() if owner == self._me)
        self._divided(owners, mine)

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
