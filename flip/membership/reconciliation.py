"""When this node exchanges everything it knows with a peer, and with which (anti-entropy)."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from flip.membership.roster import Member, Roster
from flip.membership.touch import Touch

RECHECK = 30.0  # seconds between two tries with a peer that fails, while nothing else asks for one


class Digests(Protocol):
    """What packets have shown of the peers' states."""

    def agrees(self, peer: str) -> bool:
        """Whether the last packet of `peer` showed the very state that this node has now."""

    @property
    def differing(self) -> Mapping[str, float]:
        """Since when every packet of a peer has shown another state."""


class Reconciliation:
    """Begins exchanges where gossip alone does not do; each of them is tried with a pause.

    :param interval: seconds of the gossip interval. States may differ for two of them, by
        the answers to what was asked two of them apart; whatever failed or was in vain is
        tried again after one.
    :param begin: begins an exchange with a peer, unless one is under way.
    :param failing: the peers with which the last exchange failed.
    """

    def __init__(
        self,
        clock: IReactorTime,
        rng: random.Random,
        roster: Roster,
        touch: Touch,
        digests: Digests,
        interval: float,
        begin: Callable[[str], None],
        *,
        failing: Callable[[], Collection[str]],
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._roster = roster
        self._touch = touch
        self._digests = digests
        self._interval = interval
        self._begin = begin
        self._failing = failing
        self._tried: dict[str, float] = {}
        self._asked = float("-inf")
        self._fetches: dict[str, tuple[tuple[int, int], float]] = {}

    def acked(self, peer: str) -> None:
        """`peer` answered: it may be one of the quorum with which this node has to catch up."""
        if self._digests.agrees(peer):
            self._touch.synced(peer)
        elif not self._touch.settled and not self._touch.in_sync(peer):
            self._try(peer)

    def look(self) -> None:
        """Exchange with a peer whose state has differed for too long, or that knows claims."""
        signs, patience = self._touch.last_sign, 2 * self._interval
        overdue = [
            (since, peer)
            for peer, since in self._digests.differing.items()
            if signs.get(peer, since) - since >= patience
            and self._touch.reachable.get(peer)
            and self._may_try(peer)
        ]
        if overdue:
            self._try(min(overdue)[1])
        elif not self._touch.in_touch and self._now - self._asked >= self._interval:
            # Where no answer comes over UDP, TCP may bring one: from behind a
            # firewall, or to a process whose id and answers another one has (D9).
            self._asked = self._now
            self._begin(self._rng.choice(self._roster.others))
        # Whoever let TCP through meanwhile wants to read that it works again.
        for peer in list(self._failing()):
            if self._touch.reachable.get(peer) and self._may_try(peer, RECHECK):
                self._try(peer)
        for member in self._roster.unread:
            self.fetch(member, member.id)

    def fetch(self, member: Member, source: str) -> None:
        """Ask for a member's claims: `source` first, which just told of its record."""
        if member.id == self._roster.me or member.record is None:
            return
        stamp, since = self._fetches.get(member.id, (None, 0.0))
        if stamp == member.record.stamp:
            if self._now - since < self._interval:
                return
            source = member.id  # whoever was asked for this record's claims had none
        peer = self._first_reachable(source, member.id)
        if peer is not None:
            self._fetches[member.id] = member.record.stamp, self._now
            self._begin(peer)

    def _first_reachable(self, *preferred: str) -> str | None:
        able = [id for id in self._roster.others if self._touch.reachable.get(id)]
        for peer in preferred:
            if peer in able:
                return peer
        return self._rng.choice(able) if able else None

    def _may_try(self, peer: str, pause: float | None = None) -> bool:
        pause = self._interval if pause is None else pause
        return self._now - self._tried.get(peer, float("-inf")) >= pause

    def _try(self, peer: str) -> None:
        if self._may_try(peer):
            self._tried[peer] = self._now
            self._begin(peer)

    @property
    def _now(self) -> float:
        return self._clock.seconds()
