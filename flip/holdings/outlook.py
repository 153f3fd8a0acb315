"""What this node's view of the cluster means for its systems.

Who is eligible, who claims what, and whose configuration plans: read from the
roster and kept as indexes, so that one changed record costs what changed in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from flip.config import Config
from flip.config.vocabulary import ONE_OWNER
from flip.holdings.eligibility import Candidates, candidates
from flip.membership.roster import NO_CLAIMS, Change, Claims, Roster
from flip.wire.claims import Phase
from flip.wire.messages import Record, Status
from flip.wire.standing import Standing, standing

Point = tuple[str, str]  # system, datum
SERVING = (Phase.TAKING, Phase.HELD)
Obstacle = Callable[[str, str], str | None]
STRENGTH = (Phase.TAKING, Phase.UNSURE, Phase.RELEASING, Phase.HELD)  # the last is in the way most


def rank(record: Record) -> tuple[int, bytes]:
    """Which configuration plans: the higher version, and of equal ones the greater digest."""
    return record.config_version, record.config_digest


class Rivals(NamedTuple):
    """What the claims of other members mean for a data point; see `decision.Situation`."""

    contested: bool
    blocked: bool
    served: bool
    outranked: bool
    outranking: bool


NO_RIVALS = Rivals(False, False, False, False, outranking=True)
HINDERED = Rivals(True, True, False, False, outranking=False)


class Outlook:
    """The roster, as the keeper needs to see it.

    :param reachable: whether a member answered this node's last probe of it.
    """

    def __init__(
        self, config: Config, roster: Roster, reachable: Callable[[str], bool | None]
    ) -> None:
        self.own_rank = config.config_version, config.digest
        self._config = config
        self._roster = roster
        self._reachable = reachable
        self._claimants: defaultdict[Point, dict[str, Phase]] = defaultdict(dict)
        self._servers = {name: config.servers_of(name) for name in config.systems}
        # Others may run a configuration in which a member of a group stands alone.
        self._members = {
            (name, point.id): [member for member in point.members if member != point.id]
            for name, system in config.systems.items()
            for point in system.special.values()
        }
        self._group = {
            (name, member): (name, id)
            for (name, id), rest in self._members.items()
            for member in rest
        }
        # A member not yet heard of in this life may hold anything (R2).
        self._unknown = set(roster.others)
        self._obstacles: list[tuple[Obstacle, bool]] = []
        self._standings: dict[str, Mapping[str, Standing]] = {}  # until one of them changes
        self._planning: bool | None = None  # None: to be computed; asked for each data point

    def hinder(self, obstacle: Obstacle, *, always: bool = False) -> None:
        """Ask `obstacle`, too, why a data point, given its system, must not be taken yet.

        :param always: also where every server has every data point, so that what others have
            is in nobody's way.
        """
        self._obstacles.append((obstacle, always))

    def obstacle(self, system: str, datum: str) -> str | None:
        """Why a data point that no present member claims must not be taken yet."""
        for obstacle, always in self._obstacles:
            if always or self._config.systems[system].type in ONE_OWNER:
                why = obstacle(system, datum)
                if why is not None:
                    return why
        return None

    def learn(self, change: Change) -> list[Point]:
        """Take in a change; returns the data points whose claims it touched."""
        self._planning = None
        if _fitness(change.record) != _fitness(change.record_before) or (
            change.state is not change.state_before
        ):
            self._standings.clear()
        if change.member == self._roster.me:
            return []
        if change.claims is None:
            self._unknown.add(change.member)
        else:
            self._unknown.discard(change.member)
        if change.claims is change.claims_before:
            return []
        touched = dict(_differing(change.claims_before or NO_CLAIMS, change.claims or NO_CLAIMS))
        for point, phase in touched.items():
            if phase is not None:
                self._claimants[point][change.member] = phase
            else:
                self._claimants[point].pop(change.member, None)
                if not self._claimants[point]:
                    del self._claimants[point]
        return [self._group.get(point, point) for point in touched]

    def standings(self, system: str) -> Mapping[str, Standing]:
        """What the system's servers that are here to stay say of themselves."""
        found = self._standings.get(system)
        if found is None:
            found = self._standings[system] = {
                id: standing(self._roster[id].record, system)
                for id in self._servers[system]
                if self._roster.present(id) and not self._leaves(id)
            }
        return found

    def candidates(self, system: str) -> Candidates:
        """Who may be given data of a system."""
        return candidates(self.standings(system), self._config.systems[system].all_unfit)

    def alone(self, system: str) -> bool:
        """Whether no other member could take this system's data."""
        return not any(
            word < Standing.FAILING
            for id, word in self.standings(system).items()
            if id != self._roster.me
        )

    def serving(self, system: str) -> frozenset[str]:
        """The other fit servers that serve anything of a system."""
        points = (claims for (name, _), claims in self._claimants.items() if name == system)
        serve = {id for claims in points for id, phase in claims.items() if phase in SERVING}
        return frozenset(serve & self.fit(system))

    def fit(self, system: str) -> frozenset[str]:
        """The other servers that say that they are fit, or of whom nothing else is known."""
        return frozenset(
            id
            for id, word in self.standings(system).items()
            if word is Standing.FIT and id != self._roster.me
        )

    def spare(self, system: str) -> frozenset[str]:
        """The servers that could serve, were there not better ones."""
        standings = self.standings(system).items()
        return frozenset(id for id, word in standings if word < Standing.FAILING)

    def claimants(self, system: str, datum: str) -> Mapping[str, Phase]:
        """Who else claims a data point, whatever became of them."""
        return self._claimants.get((system, datum), {})

    def claims(self, system: str, datum: str) -> dict[str, Phase | None]:
        """Which present others claim a data point; None is a member that may claim anything."""
        found: dict[str, Phase | None] = {
            id: phase
            for id, phase in self._claimants.get((system, datum), {}).items()
            if self._roster.present(id)
        }
        for member in self._members.get((system, datum), ()):
            for id, phase in self._claimants.get((system, member), {}).items():
                if self._roster.present(id):
                    found[id] = max(phase, found.get(id) or phase, key=STRENGTH.index)
        for id in self._unknown.intersection(self._servers[system]):
            if self._roster.present(id):
                found[id] = None
        return found

    def rivals(self, system: str, datum: str) -> Rivals:
        """What `claims` means, by phases and by whose configuration plans."""
        claims = self.claims(system, datum)
        if not claims:
            return self.hindrance(system, datum)
        hindered = self.obstacle(system, datum) is not None
        phases, mine = claims.values(), self.own_rank
        ranks = {id: self.rank_of(id) for id in claims}
        # What may be there, or is on its way out, is nothing to make room for.
        serving = [ranks[id] for id, phase in claims.items() if phase in SERVING]
        return Rivals(
            contested=True,
            blocked=hindered or any(phase is not Phase.TAKING for phase in phases),
            served=any(phase in SERVING for phase in phases),
            outranked=any(rank is not None and rank > mine for rank in serving),
            outranking=all(rank is not None and rank < mine for rank in ranks.values()),
        )

    def hindrance(self, system: str, datum: str) -> Rivals:
        """What is in the way of a data point that nobody else's claims concern."""
        return NO_RIVALS if self.obstacle(system, datum) is None else HINDERED

    def ready(self, id: str, system: str, datum: str) -> bool:
        """Whether a member can take a data point over now, or has it already.

        What its record says is not enough: a late datagram may bring back the
        word of a member that has died since (M6).
        """
        record = self._roster[id].record
        if record is None or not self._reachable(id):
            return False
        holds = self._claimants.get((system, datum), {}).get(id) is Phase.HELD
        word = standing(record, system)
        if word is Standing.UNKNOWN:
            return holds  # until its health check has ended it takes nothing
        if Standing.FIT < word < Standing.FAILING and id not in self.candidates(system).servers:
            return holds  # it is drained, or waits, and a plan that names it is about to change
        return record.status == Status.ACTIVE or holds

    def rank_of(self, id: str) -> tuple[int, bytes] | None:
        """The rank of a member's configuration, None while it is unknown."""
        record = self._roster[id].record
        return rank(record) if record is not None else None

    def differing(self) -> list[str]:
        """The present members that run another configuration."""
        return [
            member.id
            for member in self._roster
            if member.record is not None
            and member.record.config_digest != self._config.digest
            and self._roster.present(member.id)
        ]

    def planning(self) -> bool:
        """Whether no present member's configuration goes before this node's (R7)."""
        if self._planning is None:
            ranks = [self.rank_of(id) or self.own_rank for id in self.differing()]
            self._planning = max(ranks, default=self.own_rank) <= self.own_rank
        return self._planning

    def _leaves(self, id: str) -> bool:
        record = self._roster[id].record
        return record is not None and record.status == Status.LEAVING


def _fitness(record: Record | None) -> object:
    """What of a member's record `standings` depends on."""
    return (record.status, record.ineligible, record.standings) if record is not None else None


def _differing(before: Claims, after: Claims) -> Iterator[tuple[Point, Phase | None]]:
    """The data points whose phase changed, with the new one; None where it is claimed no more."""
    for system in {**before, **after}:
        old, new = before.get(system, {}), after.get(system, {})
        for datum in {**old, **new}:
            if old.get(datum) is not new.get(datum):
                yield (system, datum), new.get(datum)
