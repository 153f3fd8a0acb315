"""What is known of one member, which of its records goes before which, and how it stands."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from flip.wire.claims import Phase
from flip.wire.messages import Record, Update, encode

Claims = Mapping[str, Mapping[str, Phase]]

NO_CLAIMS: Claims = {}

# Voters that are no members: no server's id has a slash. Nodes that do not know of
# them pass over them, as over everybody who is not in their configuration.
WITNESS = "/witness"  # one more vote, of whoever reached a witness when it voted
OPERATOR = "/operator"  # somebody looked, and it is off: a quorum by itself
OUTSIDERS = frozenset((WITNESS, OPERATOR))


class State(enum.Enum):
    """What the votes say of a member; computed by everybody, sent by nobody."""

    ALIVE = "alive"
    PROBABLY_DOWN = "probably_down"
    DOWN = "down"
    LEFT = "left"


@dataclass(slots=True)
class Member:
    """What this node knows of one member.

    `witnessed` is the highest incarnation that a packet of the member itself
    carried: it voids older votes even before the record that belongs to it
    arrives. `claims` is None while the member may hold anything: the record of
    its incarnation or the claims that belong to it are not known, or cannot be
    read yet; `missing` names the data lists that would help.
    """

    id: str
    record: Record | None = None
    body: bytes | None = None
    claims: Claims | None = None
    missing: tuple[bytes, ...] = ()
    witnessed: int = 0
    accused: int = 0
    voters: frozenset[str] = frozenset()
    fingerprint: int = 0
    update: Update = field(default_factory=lambda: Update(""))

    @property
    def incarnation(self) -> int:
        """The highest incarnation known of, 0 for a member never heard of."""
        record, witnessed = self.record, self.witnessed
        if record is None or record.incarnation < witnessed:
            return witnessed
        return record.incarnation

    @property
    def outdated(self) -> bool:
        """Whether the record is of an earlier incarnation than the member's packets."""
        return self.record is not None and self.record.incarnation < self.witnessed

    @property
    def garbled(self) -> bool:
        """Whether the claims that belong to the record are nothing that a member writes."""
        return not (self.body is None or self.claims is not None or self.missing or self.outdated)

    @property
    def votes(self) -> frozenset[str]:
        """Who accuses this member now: votes against another incarnation do not count."""
        if not self.voters or self.accused == self.incarnation:
            return self.voters
        return frozenset()


def enough(votes: frozenset[str], quorum: int) -> bool:
    """Whether votes make a member down."""
    return len(votes) >= quorum or OPERATOR in votes


def spoken(votes: Iterable[str]) -> list[str]:
    """Voters, sorted, as people call them."""
    return [_SPOKEN.get(voter, voter) for voter in sorted(votes)]


_SPOKEN = {WITNESS: "the witness", OPERATOR: "an operator"}


class Change(msgspec.Struct, frozen=True):
    """One member before and after a merge that changed something about it."""

    member: str
    state_before: State
    state: State
    record_before: Record | None
    record: Record | None
    claims_before: Claims | None
    claims: Claims | None
    votes: frozenset[str]
    new_votes: frozenset[str]
    source: str


def supersedes(new: Record, old: Record | None) -> bool:
    """Whether `new` replaces `old`: the order of all records of one member.

    Equal stamps with different content come from two processes with one id or
    from a restored disk; the greater bytes win, everywhere alike.
    """
    if old is None or new.stamp > old.stamp:
        return True
    return new.stamp == old.stamp and new != old and encode(new) > encode(old)
