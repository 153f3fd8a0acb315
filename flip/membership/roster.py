"""The state of the cluster: one record and one set of votes per member, and their merge.

The merge is a join (commutative, associative, idempotent), so updates may be
lost, doubled, delayed and reordered on their way and every node still ends in
the same state. See "CRDTs: Consistency without concurrency control" (Letia,
Preguiça, Shapiro, 2009) for the idea and SWIM (Das, Gupta, Motivala, 2002) for
the incarnations. Nothing here knows of time, chance or the network.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set

from flip.errors import MalformedPacket
from flip.membership.member import NO_CLAIMS as NO_CLAIMS
from flip.membership.member import OPERATOR, OUTSIDERS, enough
from flip.membership.member import Change as Change
from flip.membership.member import Claims as Claims
from flip.membership.member import Member as Member
from flip.membership.member import State as State
from flip.membership.member import supersedes as supersedes
from flip.wire.claims import (
    UnreadableClaims,
    claims_hash,
    data_digest,
    decode_claims,
    list_digests,
)
from flip.wire.messages import Record, Status, Update, encode

NOBODY: frozenset[str] = frozenset()

# State, record, claims, accused incarnation and votes of a member before a merge.
_Before = tuple[State, Record | None, Claims | None, int, frozenset[str]]


class Roster:
    """Everything a node knows of all members, itself included.

    Members that the configuration does not list are ignored: they neither vote
    nor appear in the digest, or two different configurations could never agree.
    Two voters are nobody's members: `member.WITNESS` and `member.OPERATOR`.

    :param me: this node's id.
    :param servers: all ids of the configuration, this node's included.
    :param quorum: how many votes make a member down.
    :param lists: data lists by their digest, to read claims with.
    """

    def __init__(
        self,
        me: str,
        servers: Iterable[str],
        quorum: int,
        lists: Mapping[bytes, tuple[str, ...]],
    ) -> None:
        self.me = me
        self.quorum = quorum
        self.lists = dict(lists)
        self._configured = frozenset(lists)
        self.digest = 0
        self.buried = 0  # the highest incarnation at which this node was voted down
        self._members = {id: Member(id, update=Update(id)) for id in servers}
        self._voters = frozenset(self._members) | OUTSIDERS
        self._others = tuple(id for id in self._members if id != me)
        self._left: set[str] = set()
        self._confirmed: set[str] = set()
        self._absent: set[str] = set()  # down, or left
        self._unread: set[str] = set()
        self._observers: list[Callable[[Change], None]] = []
        self._mourners: list[Callable[[], None]] = []
        self._undelivered: deque[Change] = deque()
        self._delivering = False

    def __contains__(self, id: str) -> bool:
        return id in self._members

    def __getitem__(self, id: str) -> Member:
        return self._members[id]

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def __len__(self) -> int:
        return len(self._members)

    @property
    def others(self) -> tuple[str, ...]:
        """The ids of all members but this node."""
        return self._others

    @property
    def left(self) -> Set[str]:
        """The ids of all members that left."""
        return self._left

    @property
    def confirmed(self) -> Set[str]:
        """The ids of all members of which an operator said that they are off."""
        return self._confirmed

    @property
    def absent(self) -> Set[str]:
        """The ids of all members that are down or left."""
        return self._absent

    @property
    def unread(self) -> Iterable[Member]:
        """The members of whom a record is known, but not the claims that belong to it."""
        return [self._members[id] for id in self._ids_of(self._unread)]

    def _ids_of(self, ids: Set[str]) -> Iterable[str]:
        # In the order of the configuration: an order of hashes would differ from run to run.
        return (id for id in self._members if id in ids) if ids else ()

    @property
    def missing_lists(self) -> set[bytes]:
        """Digests of the data lists without which some claims cannot be read."""
        return {digest for member in self for digest in member.missing}

    def subscribe(self, observer: Callable[[Change], None]) -> None:
        """Call `observer` after every merge that changed a member."""
        self._observers.append(observer)

    def on_buried(self, observer: Callable[[], None]) -> None:
        """Call `observer` whenever `buried` rose, before the votes that say so are refuted."""
        self._mourners.append(observer)

    def state(self, id: str) -> State:
        """What the votes, or the member's own good-bye, say of a member."""
        member = self._members[id]
        record = member.record
        # A good-bye is the last word of its incarnation only: who speaks again is back.
        if record is not None and record.status == Status.LEFT and not member.outdated:
            return State.LEFT
        votes = member.votes
        if votes and enough(votes, self.quorum):
            return State.DOWN
        return State.PROBABLY_DOWN if votes else State.ALIVE

    def present(self, id: str) -> bool:
        """Whether a member is neither down nor left: its claims count."""
        return id not in self._absent

    def witness(self, sender: str, incarnation: int) -> None:
        """Note the incarnation that an authentic packet of `sender` carried."""
        member = self._members[sender]
        if incarnation > member.incarnation:
            before = self._snapshot(member)
            member.witnessed = incarnation
            # A new life may hold anything until its record says what.
            member.claims, member.missing = None, ()
            self._announce(member, before, sender)
            self._deliver()

    def accuse(self, suspect: str, incarnation: int, voters: Collection[str]) -> None:
        """Add votes against one incarnation of a member."""
        self.merge((Update(suspect, accused=incarnation, voters=tuple(voters)),), self.me)

    def merge(self, updates: Iterable[Update], source: str) -> None:
        """Learn what `source` knows; observers hear of each member that changed."""
        members, buried = self._members, self.buried
        for update in updates:
            member = members.get(update.member)
            if member is not None and update != member.update:  # most gossip is repetition
                self._merge_one(member, update, source)
        if self.buried != buried:
            for observer in self._mourners:
                observer()
        self._deliver()

    def learn_lists(self, lists: Mapping[bytes, tuple[str, ...]]) -> None:
        """Take data lists of other configurations and read the claims that waited for them."""
        wanted = {
            digest: lists[digest]
            for digest in self.missing_lists & lists.keys()
            if data_digest(lists[digest]) == digest
        }
        if not wanted:
            return
        self._forget_unused_lists()
        self.lists.update(wanted)
        for member in self:
            if not wanted.keys().isdisjoint(member.missing):
                before = self._snapshot(member)
                self._read_claims(member)
                if member.claims is not None:
                    self._announce(member, before, member.id)
        self._deliver()

    def _forget_unused_lists(self) -> None:
        # Or a member whose data change all the time would make this node remember them all.
        used = set(self._configured)
        for member in self:
            if member.body is not None and member.claims is not None:
                used |= list_digests(member.body)
        self.lists = {digest: points for digest, points in self.lists.items() if digest in used}

    def _merge_one(self, member: Member, update: Update, source: str) -> None:
        told = member.update
        before = self._snapshot(member)
        voters, voted = member.voters, told.voters
        record = update.record
        if record is not None and record.member == member.id and supersedes(record, member.record):
            member.record = record
        self._merge_claims(member, update.claims)
        self._merge_votes(member, update)
        if member.voters is not voters and member.voters != voters:
            # Sorting is fast where most is in order: a death among many is many votes.
            kept = voted if member.voters > voters else ()
            voted = tuple(sorted((*kept, *member.voters.difference(kept))))
        known = Update(member.id, member.record, member.body, member.accused, voted)
        if known != told:
            member.update = update if known == update else known
            self._refingerprint(member)
            self._announce(member, before, source)

    def _merge_claims(self, member: Member, body: bytes | None) -> None:
        record = member.record
        if record is None:
            return
        for candidate in (member.body, body, b""):
            if candidate is not None and claims_hash(candidate) == record.claims_hash:
                if candidate != member.body or member.claims is None:
                    member.body = candidate
                    self._read_claims(member)
                return
        member.body, member.claims, member.missing = None, None, ()

    def _read_claims(self, member: Member) -> None:
        member.claims, member.missing = None, ()
        if member.body is None or member.outdated:
            return
        try:
            member.claims = decode_claims(member.body, self.lists) if member.body else NO_CLAIMS
        except UnreadableClaims as unreadable:
            member.missing = unreadable.missing
        except MalformedPacket:
            # The member itself is the only writer of these bytes; until it writes
            # others it counts as claiming everything, which is the safe reading.
            pass

    def _merge_votes(self, member: Member, update: Update) -> None:
        voters = NOBODY
        known = update.accused == member.accused and member.voters.issuperset(update.voters)
        if update.voters and not known:
            voters = (self._voters & frozenset(update.voters)) - {member.id}
        if member.id == self.me:
            self._read_own_obituary(member, update.accused, voters)
        if voters and update.accused > member.accused:
            member.accused, member.voters = update.accused, voters
        elif update.accused == member.accused and not voters <= member.voters:
            member.voters |= voters
        if member.record is not None and member.accused < member.record.incarnation:
            member.accused, member.voters = member.record.incarnation, NOBODY

    def _read_own_obituary(self, me: Member, accused: int, voters: frozenset[str]) -> None:
        # Votes that this node has refuted already, by the first of them that it
        # heard of, still say that a quorum had given it up.
        known = me.voters if accused == me.accused else frozenset()
        if enough(voters | known, self.quorum):
            self.buried = max(self.buried, accused)

    def _refingerprint(self, member: Member) -> None:
        # The claims are named by the record's hash of them, so the digest of
        # two nodes is equal even where one has yet to fetch a large body.
        fields = member.record.first_fields if member.record is not None else None
        content = encode((member.id, fields, member.accused, member.update.voters))
        hashed = hashlib.blake2b(content, digest_size=8).digest()
        fingerprint = int.from_bytes(hashed, "big")
        self.digest ^= member.fingerprint ^ fingerprint
        member.fingerprint = fingerprint

    def _snapshot(self, member: Member) -> _Before:
        return (
            self.state(member.id), member.record, member.claims, member.accused, member.votes
        )  # fmt: skip

    def _announce(self, member: Member, before: _Before, source: str) -> None:
        state, record, claims, accused, votes = before
        now = member.votes
        state_now = self.state(member.id)
        _note(self._left, member.id, state_now is State.LEFT)
        _note(self._confirmed, member.id, OPERATOR in now)
        _note(self._absent, member.id, state_now in (State.DOWN, State.LEFT))
        _note(self._unread, member.id, member.record is not None and member.claims is None)
        change = Change(
            member=member.id,
            state_before=state,
            state=state_now,
            record_before=record,
            record=member.record,
            claims_before=claims,
            claims=member.claims,
            votes=now,
            new_votes=now - votes if member.accused == accused else now,
            source=source,
        )
        self._undelivered.append(change)

    def _deliver(self) -> None:
        # An observer may merge (a refutation does): its change waits its turn,
        # so that every observer hears of all changes in the order they happened.
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._undelivered:
                change = self._undelivered.popleft()
                for observer in self._observers:
                    observer(change)
        finally:
            self._delivering = False


def _note(ids: set[str], id: str, belongs: bool) -> None:
    if belongs:
        ids.add(id)
    else:
        ids.discard(id)
