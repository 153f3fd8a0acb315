"""Which news rides on which packet.

Every change is sent at most lambda * log2(n + 1) times, newest first (SWIM,
section 4.1). A peer whose digest differs from ours gets whatever else fits, our
own record first, so that small clusters agree after one round trip and only
large ones need TCP.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator

from flip.membership.roster import Change, Roster
from flip.wire.messages import Update, encode

RETRANSMISSIONS = 3  # lambda: at 20 % loss a change misses a given member in 1 of 3,000 cases


class Dissemination:
    """The queue of changes that still have to be told.

    :param roster: where the updates come from.
    :param room: bytes that updates may take in one packet.
    """

    def __init__(self, roster: Roster, room: int, rng: random.Random) -> None:
        self._roster = roster
        self._room = room
        self._rng = rng
        self._limit = RETRANSMISSIONS * math.ceil(math.log2(len(roster) + 1))
        # Insertion order is age: a member that changes again moves to the end.
        self._sent: dict[str, int] = {}
        self._fitting: dict[str, tuple[Update, Update, int]] = {}
        roster.subscribe(self._changed)

    def _changed(self, change: Change) -> None:
        self._sent.pop(change.member, None)
        self._sent[change.member] = 0

    def updates(self, peer: str, *, differs: bool) -> tuple[Update, ...]:
        """The updates for a packet to `peer`.

        :param differs: whether the peer's digest was last seen to differ from ours.
        """
        if not (self._sent or differs or self._roster[peer].votes):
            return ()
        chosen: list[Update] = []
        room = self._room
        for id, is_news in self._candidates(peer, differs):
            update, size = self._fit(id)
            if size > room:
                continue
            room -= size
            chosen.append(update)
            if is_news:
                self._count(id)
        return tuple(chosen)

    def _candidates(self, peer: str, differs: bool) -> Iterator[tuple[str, bool]]:
        """Members to tell of, the most urgent first, and whether each is queued as news."""
        seen = set()

        def once(id: str) -> bool:
            if id in seen:
                return False
            seen.add(id)
            return True

        # A suspect is told first: it alone can refute.
        if self._roster[peer].votes and once(peer):
            yield peer, False
        for id in reversed(tuple(self._sent)):
            if once(id):
                yield id, True
        if differs:
            if once(self._roster.me):
                yield self._roster.me, False
            rest = [id for id in self._roster.others if id not in seen]
            self._rng.shuffle(rest)
            for id in rest:
                if self._roster[id].update.record or self._roster[id].voters:
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
            fitting, size = _cut(update, self._room)
            cached = self._fitting[id] = update, fitting, size
        return cached[1], cached[2]


def _cut(update: Update, room: int) -> tuple[Update, int]:
    """Leave out claims, then votes, until the update fits: TCP brings the rest."""
    attempts: tuple[Callable[[Update], Update], ...] = (
        lambda u: u,
        lambda u: Update(u.member, u.record, None, u.accused, u.voters),
    )
    for attempt in attempts:
        fitting = attempt(update)
        size = len(encode(fitting))
        if size <= room:
            return fitting, size
    voters = update.voters
    while voters:
        voters = voters[: len(voters) // 2]
        fitting = Update(update.member, update.record, None, update.accused, voters)
        size = len(encode(fitting))
        if size <= room:
            return fitting, size
    return fitting, size
