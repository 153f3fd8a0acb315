"""The network's faults: each does what it says, to datagrams and to streams."""

from __future__ import annotations

from hamcrest import assert_that, close_to, empty, equal_to, has_length
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import CannotListenError

from flip.simulation.distributions import LogNormal, Uniform
from flip.simulation.reactor import BACKLOG
from tests.simulation.hosts import PORT, HostsTestCase, Receiver, Talks


class DatagramTests(HostsTestCase):
    """Datagrams from a to b."""

    def setUp(self) -> None:
        super().setUp()
        self.receiver = self.listen(self.b)

    def arrived(self) -> list[bytes]:
        """What b has heard, after all that is on its way has arrived."""
        self.run_for(1)
        return [packet for _, packet in self.receiver.heard]

    def test_latency(self) -> None:
        """A datagram takes as long as the latency says."""
        self.network.latency = Uniform(0.25, 0.25)
        self.send()
        self.run_for(1)
        assert_that(self.receiver.heard[0][0], close_to(0.25, 1e-9))

    def test_long_tail(self) -> None:
        """With a long tail most are quick, and those that are not are overtaken."""
        self.network.latency = LogNormal(0.001, 1.0, 0.5)
        for _ in range(50):
            self.send(20)
            self.run_for(0.01)
        arrived = self.arrived()
        assert_that(arrived, has_length(1000))
        assert_that(arrived == sorted(arrived), equal_to(False))

    def test_order(self) -> None:
        """Under a constant latency nothing is overtaken."""
        self.network.latency = Uniform(0.001, 0.001)
        self.send(100)
        assert_that(self.arrived(), equal_to([bytes([n]) for n in range(100)]))

    def test_reordering(self) -> None:
        """So many of a hundred are overtaken by later ones, and nothing is lost."""
        self.network.latency = Uniform(0.001, 0.001)
        self.network.reordering = 0.2
        self.send(100)
        arrived = self.arrived()
        assert_that(sorted(arrived), equal_to([bytes([n]) for n in range(100)]))
        in_time = [at for at, _ in self.receiver.heard if at < 0.0012]
        assert_that(len(in_time), close_to(80, 15))

    def test_loss(self) -> None:
        """One in five is lost."""
        self.network.loss = 0.2
        self.send(1000)
        assert_that(len(self.arrived()), close_to(800, 50))

    def test_duplication(self) -> None:
        """One in ten arrives twice."""
        self.network.duplication = 0.1
        self.send(1000)
        assert_that(len(self.arrived()), close_to(1100, 40))

    def test_one_way_cut(self) -> None:
        """What is cut one way still passes the other way."""
        sender = self.listen(self.a)
        self.network.cut(["a"], ["b"])
        self.send()
        self.network.send_datagram(("b", PORT), b"back", ("a", PORT))
        assert_that(self.arrived(), empty())
        assert_that([packet for _, packet in sender.heard], equal_to([b"back"]))
        self.network.heal(["a"], ["b"])
        self.send()
        assert_that(self.arrived(), equal_to([b"\0"]))

    def test_held_up(self) -> None:
        """What is held up arrives when it is let through, however late."""
        self.network.hold_up(["a"], ["b"])
        self.send()
        assert_that(self.arrived(), empty())
        self.network.let_through()
        assert_that(self.arrived(), equal_to([b"\0"]))

    def test_counted(self) -> None:
        """Traffic is counted where it is sent, lost or not, and shown to whoever watches."""
        seen: list[bytes] = []
        self.network.watch(lambda source, packet, target: seen.append(packet))
        self.network.loss = 1.0
        self.send(3)
        assert_that((self.network.sent["a"], self.network.sent_bytes["a"]), equal_to((3, 3)))
        assert_that(seen, equal_to([b"\0", b"\1", b"\2"]))

    def test_backlog(self) -> None:
        """The socket of a process that stands still keeps so many datagrams and no more."""
        self.b.freeze()
        self.send(BACKLOG + 10)
        self.run_for(1)
        self.b.thaw(sockets_first=True)
        assert_that(self.arrived(), has_length(BACKLOG))

    def test_taken(self) -> None:
        """Two sockets cannot have one address, nor one of another host."""
        for address in ("b", "a"):
            with self.assertRaises(CannotListenError):
                self.b.listenUDP(PORT, Receiver(self.b), interface=address)


class StreamTests(HostsTestCase):
    """A TCP connection from a to b."""

    @given(pieces=st.lists(st.binary(min_size=1, max_size=50), max_size=20), loss=st.floats(0, 0.5))
    def test_reliable(self, pieces: list[bytes], loss: float) -> None:
        """All that was written arrives once and in order, whatever the network does."""
        HostsTestCase.setUp(self)
        client, server = self.connected()
        assert client.transport is not None
        self.network.latency = LogNormal(0.002, 1.5, 1.0)
        self.network.loss = loss
        for piece in pieces:
            client.transport.write(piece)
            self.run_for(0.003)
        self.network.loss = 0.0
        self.run_for(120)
        assert_that(server.heard, equal_to(b"".join(pieces)))

    def test_cut(self) -> None:
        """A cut delays what is written meanwhile: it arrives after the cut has healed."""
        client, server = self.connected()
        assert client.transport is not None
        self.network.cut(["b"], ["a"])  # no acknowledgement comes back
        client.transport.write(b"news")
        self.run_for(3)
        assert_that((server.heard, server.ended), equal_to((b"", None)))
        self.network.heal()
        self.run_for(4)
        assert_that(server.heard, equal_to(b"news"))

    def test_close(self) -> None:
        """Closing ends both ends cleanly, after all that was written."""
        client, server = self.connected()
        assert client.transport is not None
        client.transport.write(b"news")
        client.transport.loseConnection()
        self.run_for(1)
        assert_that(server.heard, equal_to(b"news"))
        assert_that((client.ended, server.ended), equal_to(("ConnectionDone", "ConnectionDone")))

    def test_killed(self) -> None:
        """The peer of a process that is killed hears of it."""
        client, server = self.connected()
        self.b.die()
        self.run_for(1)
        assert_that((client.ended, server.ended), equal_to(("ConnectionLost", None)))

    def test_no_power(self) -> None:
        """A machine without power says nothing; who writes to it is told when it is asked."""
        client, _ = self.connected()
        assert client.transport is not None
        self.b.die(silently=True)
        self.run_for(1)
        assert_that(client.ended, equal_to(None))
        client.transport.write(b"news")
        self.run_for(1)
        assert_that(client.ended, equal_to("ConnectionLost"))

    def test_refused(self) -> None:
        """Nobody listens: that is said at once."""
        clients = Talks()
        self.a.connectTCP("b", PORT, clients, timeout=10)
        self.run_for(0.1)
        assert_that(clients.failures, equal_to(["ConnectionRefusedError"]))

    def test_firewall(self) -> None:
        """Behind a firewall a connection is never made, and times out."""
        self.network.udp_only = True
        clients, servers = self.connect(timeout=5)
        self.run_for(4.9)
        assert_that(clients.failures, empty())
        self.run_for(0.2)
        assert_that((clients.failures, servers.made), equal_to((["TimeoutError"], [])))

    def test_asked_again(self) -> None:
        """A request for a connection that is lost is sent again."""
        self.network.cut(["a"], ["b"])
        clients, _ = self.connect(timeout=5)
        self.run_for(0.5)
        self.network.heal()
        self.run_for(1)
        assert_that((len(clients.made), clients.failures), equal_to((1, [])))

    def test_frozen(self) -> None:
        """A process that stands still reads all that was written to it when it goes on."""
        client, server = self.connected()
        assert client.transport is not None
        self.b.freeze()
        for _ in range(3):
            client.transport.write(b"x")
            self.run_for(1)
        assert_that(server.heard, equal_to(b""))
        self.b.thaw(sockets_first=True)
        self.run_for(1)
        assert_that(server.heard, equal_to(b"xxx"))
