"""What one member believes of the others: alive, suspect, dead, and what changes that."""

from __future__ import annotations

import enum
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from benchmarks.lifeguard.awareness import Awareness
from benchmarks.lifeguard.broadcasts import Broadcasts
from benchmarks.lifeguard.messages import Alive, Dead, Known, Message, State, Suspect, encode
from benchmarks.lifeguard.settings import Settings
from benchmarks.lifeguard.suspicion import Suspicion

Address = tuple[str, int]


class Standing(enum.IntEnum):
    """What a member believes of another one; the numbers are those of a `State`."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2


@dataclass(slots=True)
class Peer:
    """What one member knows of another one, or of itself."""

    name: str
    address: Address
    incarnation: int = 1
    standing: Standing = Standing.ALIVE
    since: float = 0.0
    suspicion: Suspicion | None = None


class View:
    """The members as `me` sees them.

    :param changed: called with a name and its standing before and after.
    """

    def __init__(
        self,
        me: str,
        addresses: Mapping[str, Address],
        clock: IReactorTime,
        settings: Settings,
        awareness: Awareness,
        changed: Callable[[str, Standing, Standing], None],
    ) -> None:
        self.me = me
        self.peers = {name: Peer(name, address) for name, address in addresses.items()}
        self.broadcasts = Broadcasts(settings.transmissions(len(addresses)))
        self._clock = clock
        self._settings = settings
        self._awareness = awareness
        self._changed = changed

    @property
    def others(self) -> list[Peer]:
        """Everybody but this member."""
        return [peer for peer in self.peers.values() if peer.name != self.me]

    def accuse(self, peer: Peer) -> None:
        """This member's own probe of `peer` failed."""
        self.suspect(Suspect(peer.incarnation, peer.name, self.me))

    def gossiped_to(self, peer: Peer) -> bool:
        """Whether `peer` hears news: the dead do for a while, so that they can refute."""
        gone = self._clock.seconds() - peer.since
        return peer.standing is not Standing.DEAD or gone <= self._settings.gossip_to_the_dead

    def alive(self, news: Alive) -> None:
        """Somebody says that a member is there."""
        peer = self.peers[news.node]
        if news.incarnation <= peer.incarnation:
            return
        if peer.name == self.me:
            self._refute(peer, news.incarnation)
            return
        peer.incarnation = news.incarnation
        self._settle(peer, Standing.ALIVE)
        self._tell(peer, news)

    def suspect(self, news: Suspect) -> None:
        """Somebody does not hear from a member."""
        peer = self.peers[news.node]
        if news.incarnation < peer.incarnation:
            return
        if peer.suspicion is not None:
            if peer.suspicion.confirm(news.origin):
                self._tell(peer, news)
            return
        if peer.standing is not Standing.ALIVE:
            return
        if peer.name == self.me:
            self._refute(peer, news.incarnation)
            return
        peer.incarnation = news.incarnation
        self._settle(peer, Standing.SUSPECT)
        members, settings = len(self.peers), self._settings
        peer.suspicion = Suspicion(
            self._clock,
            news.origin,
            settings.confirmations_of(members),
            settings.least_suspicion(members),
            settings.most_suspicion(members),
            lambda: self.dead(Dead(peer.incarnation, peer.name, self.me)),
        )
        self._tell(peer, news)

    def dead(self, news: Dead) -> None:
        """Somebody has given a member up."""
        peer = self.peers[news.node]
        if news.incarnation < peer.incarnation or peer.standing is Standing.DEAD:
            return
        if peer.name == self.me:
            self._refute(peer, news.incarnation)
            return
        peer.incarnation = news.incarnation
        self._settle(peer, Standing.DEAD)
        self._tell(peer, news)

    def state(self) -> State:
        """All of it."""
        return State(
            tuple(
                Known(peer.name, packed(peer), peer.address[1], peer.incarnation, peer.standing)
                for peer in self.peers.values()
            )
        )

    def merge(self, nodes: Iterable[Known]) -> None:
        """Learn another member's state; whom it holds for dead is only suspected here."""
        for known in nodes:
            if known.state == Standing.ALIVE:
                self.alive(Alive(known.incarnation, known.name, known.addr, known.port))
            else:
                self.suspect(Suspect(known.incarnation, known.name, self.me))

    def _settle(self, peer: Peer, standing: Standing) -> None:
        if peer.suspicion is not None:
            peer.suspicion.cancel()
            peer.suspicion = None
        before, peer.standing = peer.standing, standing
        if standing is not before:
            peer.since = self._clock.seconds()
            self._changed(peer.name, before, standing)

    def _refute(self, me: Peer, accused: int) -> None:
        # Having been accused at all speaks against this member's health.
        self._awareness.apply(1)
        me.incarnation = max(me.incarnation, accused) + 1
        self._tell(me, Alive(me.incarnation, me.name, packed(me), me.address[1]))

    def _tell(self, peer: Peer, news: Message) -> None:
        self.broadcasts.queue(peer.name, encode(news))


def packed(peer: Peer) -> bytes:
    """The peer's IPv4 address in four bytes."""
    return socket.inet_aton(peer.address[0])
