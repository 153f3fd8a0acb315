"""Which news rides on which packet.

Every change is sent at most lambda * log2(n + 1) times, newest first (SWIM,
section 4.1). What is too large for a packet goes without its claims, which the
receiver then fetches by TCP, or with some of its votes. A peer whose digest
differs from ours gets whatever else fits, our own record first, so that small
clusters agree after one round trip and only large ones need TCP. In large ones
this waits until the news is told: a death among 128 is 127 votes, between which
everybody differs from everybody, and full packets cost 150 kB per node.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from itertools import chain

from msgspec.structs import replace

from flip.membership.member import OUTSIDERS
from flip.membership.push import SMALL
from flip.membership.roster import Change, Roster
from flip.wire.messages import Update, encode

RETRANSMISSIONS = 3  # lambda: at 20 % loss a change misses a given member in 1 of 3,000 cases
VOTERS_SHARE = 0.75  # of the room, for votes that do not all fit: other news wants to ride as well
PATIENCE = 8  # updates too large for what is left of a packet, after which it counts as full


class Dissemination:
    """The queue of changes that still have to be told.

    :param roster: where the updates come from.
    :param room: bytes that updates may take in one packet.
    """

    def __init__(self, roster: Roster, room: int, rng: random.Random) -> None:
        self._roster = roster
        self._room = room
        self._rng = rng
        self._longest = max(len(encode(id)) for id in (roster.me, *roster.others, *OUTSIDERS))
        self._limit = RETRANSMISSIONS * math.ceil(math.log2(len(roster) + 1))
        # Insertion order is age: a member that changes again moves to the end.
        self._sent: dict[str, int] = {}
        self._fitting: dict[str, tuple[Update, Update, int]] = {}
        roster.subscribe(self._changed)

    def _changed(self, change: Change) -> None:
        self._sent.pop(change.member, None)
        self._sent[change.member] = 0

    def forget(self) -> None:
        """Nothing is news any more."""
        self._sent.clear()

    def about(self, id: str) -> Update | None:
        """What can be said of one member in one packet, None when not even its head fits."""
        update, size = self._fit(id)
        return update if size <= self._room else None

    def updates(self, peer: str, *, differs: bool, taken: int = 0) -> tuple[Update, ...]:
        """The updates for a packet to `peer`.

        :param differs: whether the peer's digest was last seen to differ from ours.
        :param taken: bytes of the room that the message needs for itself.
        """
        if not (self._sent or differs or self._roster[peer].votes):
            return ()
        chosen: list[Update] = []
        room = self._room - taken
        too_large = 0
        if self._roster[peer].votes:
            # A suspect is told first, and never without it: it alone can refute.
            accusation, size = self._accusation(peer)
            if size > room:
                return ()
            chosen.append(accusation)
            room -= size
        for id, is_news in self._candidates(differs):
            update, size = self._fit(id)
            if size <= room:
                room -= size
                chosen.append(update)
                if is_news:
                    self._count(id)
                continue
            if is_news and size > self._room:
                del self._sent[id]  # no datagram ever takes it: TCP brings it
            too_large += 1
            if too_large == PATIENCE:
                break
        return tuple(chosen)

    def _candidates(self, differs: bool) -> Iterator[tuple[str, bool]]:
        """Members to tell of, the most urgent first, and whether each is queued as news."""
        news = tuple(self._sent)
        for id in reversed(news):
            yield id, True
        me, others = self._roster.me, self._roster.others
        if not differs or (news and len(others) > SMALL):
            return  # where there is news, it is likely to be what the peer lacks
        told = set(news)
        if me not in told:
            yield me, False
        start = self._rng.randrange(len(others))
        for id in chain(others[start:], others[:start]):
            member = self._roster[id]
            if id not in told and (member.record is not None or member.voters):
                yield id, False

    def _count(self, id: str) -> None:
        self._sent[id] += 1
        if self._sent[id] >= self._limit:
            del self._sent[id]

    def _fit(self, id: str) -> tuple[Update, int]:
        """The update about a member, cut down to what one packet can carry, and its size."""
        update = self._roster[id].update
        cached = self._fitting.get(id)
        if cached is None or cached[0] is not update:
            fitting, size = update, len(encode(update))
            if size > self._room:
                fitting = replace(update, claims=None)
                size = len(encode(fitting))
            cached = self._fitting[id] = update, fitting, size
        _, fitting, size = cached
        return (fitting, size) if size <= self._room else self._with_fewer_voters(fitting)

    def _accusation(self, id: str) -> tuple[Update, int]:
        """The votes against a member, for itself: what else it is, it knows best."""
        known = self._roster[id].update
        accusation = Update(id, accused=known.accused, voters=known.voters)
        size = len(encode(accusation))
        return (accusation, size) if size <= self._room else self._with_fewer_voters(accusation)

    def _with_fewer_voters(self, update: Update) -> tuple[Update, int]:
        """Others each time, so that over many packets every vote is told."""
        voters = update.voters
        fewer = replace(update, voters=())
        size = len(encode(fewer))
        if not voters or size > self._room:
            return fewer, size
        # A longer array has a longer header.
        count = max(0, int((self._room - size) * VOTERS_SHARE) - 2) // self._longest
        start = self._rng.randrange(len(voters))
        chosen = (voters[start:] + voters[:start])[:count]
        fewer = replace(update, voters=tuple(sorted(chosen)))
        return fewer, len(encode(fewer))
