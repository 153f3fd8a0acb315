"""This node's own record: only this node writes it, and it defends it.

A node that finds votes against itself, or a record of itself that it did not
write, raises its incarnation above everything seen, which voids the votes. When
another living process has the same id, each would raise above the other for
ever; the younger of the two has to go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from flip.log import Logger
from flip.membership.roster import Change, Claims, Roster
from flip.wire.claims import claims_hash, encode_claims
from flip.wire.messages import Record, Status, Update

# A dead life's records may arrive in two steps, from a member that lagged and
# from one that did not; a third rise has a living process behind it.
RISES_OF_A_DOUBLE = 3

_log = Logger()


class OwnRecord:
    """The record of this node in its own roster.

    :param data: system -> its configured data, to encode claims with.
    :param published: called after each change of the record with the members
        whom it concerns most.
    :param raised: called with each new incarnation, before anybody hears of it,
        and with those whose votes made this node raise it.
    :param doubled: called once with whether this node is the younger of two
        living processes with its id.
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
        self._rises: Counter[int] = Counter()
        self._raised(record.incarnation, frozenset())
        self._declare(frozenset())
        roster.subscribe(self._changed)

    def amend(
        self,
        *,
        status: Status | None = None,
        claims: Claims | None = None,
        ineligible: tuple[str, ...] | None = None,
        concerns: frozenset[str] = frozenset(),
    ) -> None:
        """Write the parts that are given; does nothing when none of them is new."""
        changes: dict[str, Any] = {}
        if status is not None:
            changes["status"] = status
        if ineligible is not None:
            changes["ineligible"] = ineligible
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
        foreign = me.record if me.record is not None and me.record.boot != self.record.boot else None
        if foreign is not None:
            self._meet(foreign)
        seen = max(me.incarnation, me.accused)
        overtaken = seen > self.record.incarnation or me.record != self.record
        if overtaken or me.voters:
            self._raise_above(seen, me.voters)

    def _meet(self, foreign: Record) -> None:
        self._rises[foreign.boot] += 1
        if self._rises[foreign.boot] == RISES_OF_A_DOUBLE:
            younger = (self.record.birth, self.record.boot) > (foreign.birth, foreign.boot)
            self._doubled(younger)

    def _raise_above(self, seen: int, voters: frozenset[str]) -> None:
        self.record = msgspec.structs.replace(
            self.record, incarnation=seen + 1, version=self.record.version + 1
        )
        _log.info(
            "raised the incarnation to {incarnation}: {reason}",
            incarnation=self.record.incarnation,
            reason=f"{', '.join(sorted(voters))} could not reach this node"
            if voters
            else "another record of this node was seen",
        )
        self._raised(self.record.incarnation, voters)
        self._declare(voters)
