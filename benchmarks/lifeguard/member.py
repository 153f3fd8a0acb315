"""One member of a cluster of memberlist's kind: sockets, gossip, errands for others."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import LoopingCall

from benchmarks.lifeguard.awareness import Awareness
from benchmarks.lifeguard.messages import (
    COMPOUND_HEADER,
    COMPOUND_OVERHEAD,
    MOST,
    Ack,
    Alive,
    Dead,
    Message,
    Nack,
    Ping,
    PingRequest,
    State,
    Suspect,
    compound,
    decode,
    encode,
)
from benchmarks.lifeguard.prober import Prober
from benchmarks.lifeguard.settings import Settings
from benchmarks.lifeguard.streams import Server, ask
from benchmarks.lifeguard.view import Address, Peer, Standing, View, packed


@dataclass(slots=True)
class _Errand:
    """A ping sent for another member."""

    client: Address
    number: int
    nack: IDelayedCall | None
    expiry: IDelayedCall


class Member(DatagramProtocol):
    """Implements `benchmarks.lifeguard.prober.Questions` and answers those of others.

    :param changed: called with another member's name and its standing before and after.
    """

    def __init__(
        self,
        me: str,
        addresses: Mapping[str, Address],
        reactor: Any,
        rng: random.Random,
        settings: Settings,
        changed: Callable[[str, Standing, Standing], None],
    ) -> None:
        self.awareness = Awareness(settings.awareness_max)
        self.view = View(me, addresses, reactor, settings, self.awareness, changed)
        self._me = self.view.peers[me]
        self._reactor = reactor
        self._rng = rng
        self._settings = settings
        self._others = self.view.others
        self._numbers = count(1)
        self._errands: dict[int, _Errand] = {}
        self._blocked = False
        self._waiting: list[Callable[[], None]] = []
        self._prober = Prober(
            reactor,
            rng,
            settings,
            self.view,
            self.awareness,
            self,
            lambda: next(self._numbers),
            self.when_free,
        )
        self._gossip_loop = LoopingCall(self._gossip)
        self._gossip_loop.clock = reactor
        self._answers: dict[type[Message], Callable[[Any, Address], None]] = {
            Ping: self._ping_received,
            PingRequest: self._request_received,
            Ack: self._ack_received,
            Nack: lambda nack, source: self._prober.nacked(nack.seq_no),
            Suspect: lambda news, source: self.view.suspect(news),
            Alive: lambda news, source: self.view.alive(news),
            Dead: lambda news, source: self.view.dead(news),
        }

    def start(self) -> None:
        """Open the sockets and begin to probe and to gossip, at moments of one's own."""
        host, port = self._me.address
        self._reactor.listenUDP(port, self, interface=host)
        self._reactor.listenTCP(port, Server(self.view), interface=host)
        self._prober.start()
        interval = self._settings.gossip_interval
        stagger = self._rng.uniform(0, interval)
        self._reactor.callLater(stagger, self._gossip_loop.start, interval)
        self._pause = self._settings.push_pull_pause(len(self.view.peers))
        self._reactor.callLater(self._rng.uniform(0, self._pause), self._push_pull)

    def block(self) -> None:
        """From now on whatever wants to send something waits; timers go on."""
        self._blocked = True

    def unblock(self) -> None:
        """All that waited goes on."""
        self._blocked = False
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call()

    def when_free(self, call: Callable[[], None]) -> None:
        """Call it at once, or as soon as something can be sent."""
        if self._blocked:
            self._waiting.append(call)
        else:
            call()

    def datagramReceived(self, datagram: bytes, addr: Address) -> None:
        for message in decode(datagram):
            self._answers[type(message)](message, addr)

    def ping(self, peer: Peer, number: int) -> None:
        """Ping a member; with the buddy system a suspect hears first that it is one."""
        ping = encode(Ping(number, peer.name, *self._source()))
        if self._settings.buddy and peer.standing is not Standing.ALIVE:
            accusation = encode(Suspect(peer.incarnation, peer.name, self._me.name))
            self._write(compound([ping, accusation]), peer.address)
        else:
            self._send(ping, peer.address)

    def ask(self, helpers: Iterable[Peer], peer: Peer, number: int) -> None:
        """Ask others to ping a member."""
        nack, source = self._settings.nacks, self._source()
        request = encode(
            PingRequest(number, packed(peer), peer.address[1], peer.name, nack, *source)
        )
        for helper in helpers:
            self._send(request, helper.address)

    def call(self, peer: Peer, seconds: float) -> Deferred[bool]:
        """Ping a member over TCP."""
        ping = Ping(next(self._numbers), peer.name, *self._source())
        return ask(self._reactor, peer.address, ping, seconds).addCallback(
            lambda answer: isinstance(answer, Ack)
        )

    def _source(self) -> tuple[bytes, int, str]:
        return packed(self._me), self._me.address[1], self._me.name

    def _ping_received(self, ping: Ping, source: Address) -> None:
        self._send(encode(Ack(ping.seq_no)), source)

    def _request_received(self, request: PingRequest, source: Address) -> None:
        timeout, number = self._settings.probe_timeout, next(self._numbers)
        target = self.view.peers[request.node]
        nack = None
        if request.nack:
            delay = timeout * self._settings.nack_after
            nack = self._reactor.callLater(delay, self._deny, source, request.seq_no)
        expiry = self._reactor.callLater(timeout, self._errands.pop, number)
        self._errands[number] = _Errand(source, request.seq_no, nack, expiry)
        self._send(encode(Ping(number, target.name, *self._source())), target.address)

    def _deny(self, client: Address, number: int) -> None:
        self.when_free(lambda: self._send(encode(Nack(number)), client))

    def _ack_received(self, ack: Ack, source: Address) -> None:
        errand = self._errands.pop(ack.seq_no, None)
        if errand is None:
            self._prober.acked(ack.seq_no)
            return
        for timer in (errand.nack, errand.expiry):
            if timer is not None and timer.active():
                timer.cancel()
        self._send(encode(Ack(errand.number)), errand.client)

    def _gossip(self) -> None:
        if self._blocked:
            return  # it waits in its first send; the times that it misses are not made up for
        room = self._settings.packet - COMPOUND_HEADER
        for peer in self._random_peers(self._settings.gossip_nodes):
            parts = self.view.broadcasts.take(room, COMPOUND_OVERHEAD)
            if not parts:
                return
            self._write(compound(parts[:MOST]), peer.address)

    def _random_peers(self, wanted: int) -> list[Peer]:
        if not len(self.view.broadcasts):
            return []
        able = [peer for peer in self._others if self.view.gossiped_to(peer)]
        return self._rng.sample(able, min(wanted, len(able)))

    def _push_pull(self) -> None:
        self.when_free(self._exchange)

    def _exchange(self) -> None:
        self._reactor.callLater(self._pause, self._push_pull)
        able = [peer for peer in self._others if peer.standing is Standing.ALIVE]
        if able:
            peer = self._rng.choice(able)
            timeout = self._settings.stream_timeout
            asked = ask(self._reactor, peer.address, self.view.state(), timeout)
            asked.addCallback(self._merge)

    def _merge(self, answer: Message | None) -> None:
        if isinstance(answer, State):
            self.view.merge(answer.nodes)

    def _send(self, packet: bytes, address: Address) -> None:
        """Send a message, with as much news as fits behind it."""
        room = self._settings.packet - COMPOUND_HEADER - COMPOUND_OVERHEAD - len(packet)
        news = self.view.broadcasts.take(room, COMPOUND_OVERHEAD)
        self._write(compound([packet, *news[: MOST - 1]]) if news else packet, address)

    def _write(self, packet: bytes, address: Address) -> None:
        assert self.transport is not None
        self.transport.write(packet, address)
