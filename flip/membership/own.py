"""This node's own record: only this node writes it, and it defends it.

A node that finds votes against itself, or a record of itself that it did not
write, raises its incarnation above everything seen, which voids the votes. When
another living process has the same id, each would raise above the other for
ever; the younger of the two has to go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from flip.log import Logger
from flip.membership.member import OUTSIDERS, spoken
from flip.membership.roster import Change, Claims, Roster, supersedes
from flip.wire.claims import claims_hash, encode_claims
from flip.wire.messages import INCARNATIONS, Record, Status, Update

# How far to rise above another life of this id. Records of a dead one may go on
# arriving, from members that lag, and be a few refutations apart; what is above
# the leap was written by a process that has heard of it, and so is alive.
LEAP = 60_000

_log = Logger()


class OwnRecord:
    """The record of this node in its own roster.

    :param data: system -> its configured data, to encode claims with.
    :param published: called after each change of the record with the members
        whom it concerns most.
    :param raised: called with each new incarnation, before anybody hears of it,
        and with those whose votes made this node raise it.
    :param doubled: called once per other living process with this id, with
        whether this node is the younger one; that one raises nothing any more.
    """

    def __init__(
        self,
        roster: Roster,
        record: Record,
        data: Mapping[str, tuple[str, ...]],
        *,
        published: Callable[[frozenset[str]], None],
        raised: Callable[[int, frozenset[str]], None],
        doubled: Callable[[bool], None],
    ) -> None:
        self.record = record
        self.claims: Claims = {}
        self._roster = roster
        self._data = data
        self._body = b""
        self._published = published
        self._raised = raised
        self._doubled = doubled
        self._leapt: set[int] = set()  # the boots that this node has leapt above
        self._doubles: set[int] = set()
        self._gives_way = False
        self._exhausted = False
        self._raised(record.incarnation, frozenset())
        self._declare(frozenset())
        roster.subscribe(self._changed)

    def amend(
        self,
        *,
        status: Status | None = None,
        claims: Claims | None = None,
        ineligible: tuple[str, ...] | None = None,
        standings: bytes | None = None,
        concerns: frozenset[str] = frozenset(),
    ) -> None:
        """Write the parts that are given; does nothing when none of them is new."""
        changes: dict[str, Any] = {}
        if status is not None:
            changes["status"] = status
        if ineligible is not None:
            changes["ineligible"] = ineligible
        if standings is not None:
            changes["standings"] = standings
        if claims is not None:
            self.claims = claims
            self._body = encode_claims(claims, self._data)
            changes["claims_hash"] = claims_hash(self._body)
        amended = msgspec.structs.replace(self.record, **changes)
        if amended != self.record:
            self.record = msgspec.structs.replace(amended, version=self.record.version + 1)
            self._declare(concerns)

    def _declare(self, concerns: frozenset[str]) -> None:
        self._roster.merge((Update(self.record.member, self.record, self._body),), self._roster.me)
        self._published(concerns)

    def _changed(self, change: Change) -> None:
        if change.member != self._roster.me or self.record.status == Status.LEFT:
            return
        me = self._roster[self._roster.me]
        record = me.record
        foreign = record if record is not None and supersedes(record, self.record) else None
        if foreign is not None and foreign.boot in self._leapt | {self.record.boot}:
            self._meet_double(foreign)
        seen = max(me.incarnation, me.accused)
        overtaken = seen > self.record.incarnation or foreign is not None
        if (overtaken or me.voters) and not self._gives_way:
            self._raise_above(seen, me.voters, foreign)

    def _meet_double(self, foreign: Record) -> None:
        if foreign.boot in self._doubles:
            return
        self._doubles.add(foreign.boot)
        self._gives_way = (self.record.birth, self.record.boot) > (foreign.birth, foreign.boot)
        self._doubled(self._gives_way)

    def _raise_above(self, seen: int, voters: frozenset[str], foreign: Record | None) -> None:
        leaps = foreign is not None and foreign.boot not in self._leapt
        incarnation = min(seen + (LEAP if leaps else 1), INCARNATIONS - 1)
        if incarnation <= seen:
            self._give_up(seen)
            return
        if foreign is not None:
            self._leapt.add(foreign.boot)
        self.record = msgspec.structs.replace(
            self.record, incarnation=incarnation, version=self.record.version + 1
        )
        _log.info(
            "raised the incarnation to {incarnation}: {reason}",
            incarnation=incarnation,
            reason=f"{', '.join(spoken(voters))} said that this node is down"
            if voters
            else "another record of this node was seen",
        )
        self._raised(incarnation, voters)
        self._declare(voters - OUTSIDERS)

    def _give_up(self, seen: int) -> None:
        if not self._exhausted:
            self._exhausted = True
            _log.critical(
                "cannot rise above incarnation {seen}, which a member made up: this node cannot"
                " refute it. Stop all nodes, move their journals away, and start them again.",
                seen=seen,
            )
