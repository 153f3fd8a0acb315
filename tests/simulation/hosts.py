"""Hosts on a network of their own, without nodes on them."""

from __future__ import annotations

import random

from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from flip.simulation.clock import Agenda, Clock
from flip.simulation.network import Network
from flip.simulation.reactor import VirtualReactor

PORT = 2200


class Receiver(DatagramProtocol):
    """Keeps what arrives, with the time by its host's clock."""

    def __init__(self, reactor: VirtualReactor) -> None:
        self.heard: list[tuple[float, bytes]] = []
        self._reactor = reactor

    def datagramReceived(self, datagram: bytes, addr: object) -> None:
        self.heard.append((self._reactor.seconds(), datagram))


class Talk(Protocol):
    """One end of a connection: what it heard, and how it ended."""

    def __init__(self) -> None:
        self.heard = b""
        self.ended: str | None = None

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.ended = type(reason.value).__name__


class Talks(Factory):
    """Makes one end per connection, and keeps them all."""

    noisy = False

    def __init__(self) -> None:
        self.made: list[Talk] = []
        self.failures: list[str] = []

    def buildProtocol(self, addr: object) -> Talk:
        self.made.append(Talk())
        return self.made[-1]

    def startedConnecting(self, connector: object) -> None:
        """Part of what a client's factory needs."""

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
        self.failures.append(type(reason.value).__name__)


class HostsTestCase(SynchronousTestCase):
    """Hosts a and b, and the time."""

    def setUp(self) -> None:
        self.agenda = Agenda()
        self.network = Network(self.agenda.after, random.Random(1))
        self.clocks: dict[str, Clock] = {}
        self.a, self.b = self.host("a"), self.host("b")

    def host(self, address: str) -> VirtualReactor:
        """The reactor of a process on a host, which is new if its address is."""
        clock = self.clocks.setdefault(address, Clock(self.agenda))
        return VirtualReactor(address, self.network, self.agenda, clock)

    def listen(self, reactor: VirtualReactor) -> Receiver:
        """A socket of a host."""
        receiver = Receiver(reactor)
        reactor.listenUDP(PORT, receiver, interface=reactor.address)
        return receiver

    def send(self, count: int = 1) -> None:
        """Datagrams from a to b, numbered from 0."""
        for number in range(count):
            self.network.send_datagram(("a", PORT), bytes([number % 256]), ("b", PORT))

    def run_for(self, seconds: float) -> None:
        """Let time pass."""
        end = self.agenda.now + seconds
        while self.agenda.step(end):
            pass
        self.agenda.now = end

    def connect(self, timeout: float = 10.0) -> tuple[Talks, Talks]:
        """The ends of a connection from a to b, when it comes about."""
        clients, servers = Talks(), Talks()
        self.b.listenTCP(PORT, servers, interface="b")
        self.a.connectTCP("b", PORT, clients, timeout=timeout)
        return clients, servers

    def connected(self) -> tuple[Talk, Talk]:
        """Both ends of a connection."""
        clients, servers = self.connect()
        self.run_for(0.1)
        return clients.made[0], servers.made[0]
