"""A voter: to which claim it has granted each data point, and who else waits for it.

Pure: what happened and when come in as arguments, answers go out as values. The
rules have their names (E1 to E9) from docs/exclusive.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from flip.config import Config
from flip.holdings.grants.lease import Point, Terms, kept, voters_hash
from flip.holdings.store import Grant
from flip.wire.messages import ClaimNumber, GrantRequest, Numbered


class Grants(Protocol):
    """Where a voter keeps its grants over its own end."""

    @property
    def doubtful(self) -> Collection[Point]:
        """Where disk and memory may differ, since a write failed."""

    def grants(self) -> Mapping[Point, Grant]:
        """All of them."""

    def grant(self, grants: Mapping[Point, Grant]) -> bool:
        """Keep these; False when they are not sure to survive a power cut, and nothing changed."""

    def revoke(self, points: Iterable[Point]) -> None:
        """These are granted to nobody."""


@dataclass(slots=True)
class Reply:
    """What a voter says because of one message.

    :ivar granted: of the claimant.
    :ivar refused: the data points, each with the greatest number seen of the claimant.
    :ivar queries: by the owner of a grant that is in the way, what to ask it about (E7).
    """

    granted: list[tuple[str, ClaimNumber]] = field(default_factory=list)
    refused: list[tuple[str, ClaimNumber]] = field(default_factory=list)
    queries: dict[str, list[tuple[str, ClaimNumber]]] = field(default_factory=dict)


class Belated(NamedTuple):
    """A request that was refused before, and is granted now."""

    node: str
    nonce: int
    point: Point
    number: ClaimNumber


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A request that may still be granted, until `until`."""

    number: ClaimNumber
    lease: int
    nonce: int
    until: float


@dataclass(slots=True)
class _History:
    """What a voter knows of one member's claims to one data point.

    `seen` is the greatest number, `over` the greatest that was released.
    """

    seen: ClaimNumber
    over: ClaimNumber


NONE = ClaimNumber(0, 0)  # lies under every claim


class Voter:
    """Grants the data points of the systems that it has a vote in.

    :param patience: seconds for which a refused request is remembered.
    :param now: when this process started; what is on its disk counts as answered then (E4).
    :param silent_until: when it may speak: at once, or after everything that an
        earlier life may have granted, and this one cannot know of, has run out.
    """

    def __init__(
        self, config: Config, store: Grants, *, patience: float, now: float, silent_until: float
    ) -> None:
        self.silent_until = silent_until
        self._store = store
        self._patience = patience
        self._claimants: dict[str, frozenset[str]] = {}
        self._data: dict[str, frozenset[str]] = {}
        self._hashes: dict[str, bytes] = {}
        self._leases: dict[str, int] = {}
        for name, system in config.systems.items():
            if config.id in system.voters:
                self._claimants[name] = frozenset(config.servers_of(name))
                self._data[name] = frozenset(system.data)
                self._hashes[name] = voters_hash(system.voters)
                self._leases[name] = Terms.of(system).asked_for()
        self._answered = dict.fromkeys(store.grants(), now)
        self._histories: dict[tuple[Point, str], _History] = {}
        self._waiting: dict[Point, dict[str, _Waiting]] = {}

    @property
    def systems(self) -> Iterable[str]:
        """Those that this node has a vote in."""
        return self._data.keys()

    def granted(self) -> dict[Point, tuple[Grant, float]]:
        """What is granted to whom, and when that was last answered."""
        return {
            point: (grant, self._answered[point])
            for point, grant in self._store.grants().items()
            if point[1] in self._data.get(point[0], ())
        }

    def objection(self, request: GrantRequest) -> str | None:
        """Why a request is not answered: it goes by another configuration than this node (E9).

        A lease that is longer than this node's own is as bad as other voters: should this
        node lose its disk, it would be silent for its own lease only (E4).
        """
        name = request.system
        if name not in self._hashes:
            return None
        if request.voters != self._hashes[name]:
            return "goes by another list of voters"
        if request.lease > self._leases[name]:
            return f"asks for a lease of {request.lease} ms, which is longer,"
        return None

    def request(self, sender: str, request: GrantRequest, now: float) -> Reply | None:
        """Grant, go on granting, or refuse; None is silence."""
        name = request.system
        if now < self.silent_until or sender not in self._claimants.get(name, ()):
            return None
        if self.objection(request) is not None:
            return None
        reply, new = Reply(), dict[Point, Grant]()
        for datum, number in request.points:
            point = name, datum
            if datum not in self._data[name] or point in self._store.doubtful:
                continue
            history = self._heard(point, sender, number)
            grant = self._store.grants().get(point)
            if number < history.seen or number <= history.over:
                reply.refused.append((datum, history.seen))
            elif grant is not None and (grant.node, grant.number) == (sender, number):
                if grant.lease >= request.lease:
                    self._answered[point] = now
                    reply.granted.append((datum, number))
                else:
                    new[point] = Grant(sender, number, request.lease)
            elif grant is None or self._is_over(point, grant, now):
                new[point] = Grant(sender, number, request.lease)
            else:
                reply.refused.append((datum, history.seen))
                reply.queries.setdefault(grant.node, []).append((datum, grant.number))
                self._waiting.setdefault(point, {})[sender] = _Waiting(
                    number, request.lease, request.nonce, now + self._patience
                )
        if self._grant(new, now):
            reply.granted += [(datum, grant.number) for (_, datum), grant in new.items()]
        return reply

    def release(self, sender: str, system: str, points: Numbered, now: float) -> list[Belated]:
        """These claims of the sender, and all before them, are over; who waited is granted."""
        freed = []
        for datum, number in points:
            if datum not in self._data.get(system, ()) or sender not in self._claimants[system]:
                continue
            point = system, datum
            history = self._heard(point, sender, number)
            history.over = max(history.over, number)
            grant = self._store.grants().get(point)
            if grant is not None and grant.node == sender and grant.number <= number:
                freed.append(point)
        if freed:
            self._store.revoke(freed)
        return self._serve_waiting(freed, now)

    def expire(self, now: float) -> list[Belated]:
        """Grants may have run out: who waited for them is granted."""
        return self._serve_waiting(list(self._waiting), now)

    def next_expiry(self) -> float | None:
        """When `expire` may have something to do, None if never."""
        grants = self._store.grants()
        return min(
            (self._until(point, grants[point]) for point in self._waiting if point in grants),
            default=None,
        )

    def _serve_waiting(self, points: Iterable[Point], now: float) -> list[Belated]:
        if now < self.silent_until:
            return []
        new, belated = dict[Point, Grant](), []
        for point in points:
            waiting = self._waiting.get(point, {})
            for node in [node for node, one in waiting.items() if now > one.until]:
                del waiting[node]
            grant = self._store.grants().get(point)
            free = grant is None or self._is_over(point, grant, now)
            if free and point not in self._store.doubtful:
                for node, one in list(waiting.items()):
                    del waiting[node]
                    history = self._histories[point, node]
                    if one.number >= history.seen and one.number > history.over:
                        new[point] = Grant(node, one.number, one.lease)
                        belated.append(Belated(node, one.nonce, point, one.number))
                        break
            if not waiting:
                self._waiting.pop(point, None)
        return belated if self._grant(new, now) else []

    def _grant(self, new: Mapping[Point, Grant], now: float) -> bool:
        """Keep new grants on disk (E1), and only then let anybody know."""
        if new and not self._store.grant(new):
            return False
        self._answered.update(dict.fromkeys(new, now))
        return True

    def _heard(self, point: Point, node: str, number: ClaimNumber) -> _History:
        history = self._histories.setdefault((point, node), _History(NONE, NONE))
        history.seen = max(history.seen, number)
        return history

    def _is_over(self, point: Point, grant: Grant, now: float) -> bool:
        return now >= self._until(point, grant)

    def _until(self, point: Point, grant: Grant) -> float:
        return self._answered[point] + kept(grant.lease / 1000)
