"""A whole node: how it starts, how it ends, and what it leaves when it cannot start."""

from __future__ import annotations

import time

from hamcrest import assert_that, calling, empty, equal_to, greater_than, has_item
from twisted.internet.interfaces import IListeningPort

from flip.errors import CannotListen, StateDirectoryInUse
from flip.holdings.journal import Journal
from flip.simulation.disk import MemoryDisk
from flip.simulation.machine import START, Machine
from flip.simulation.world import World
from flip.wire.messages import Status
from tests.cluster.case import ALL_ACTIVE, FLIP1_DOWN, ClusterTestCase, holdings
from tests.matchers import raises


class NodeTestCase(ClusterTestCase):
    """Machines of a virtual cluster; most tests look at flip1."""

    def journal(self, machine: Machine) -> Journal:
        """The machine's journal, as the next process finds it."""
        journal = Journal(machine.disk.mount(), now=time.time)
        journal.open()
        self.addCleanup(journal.close)
        return journal

    def listening(self, world: World, machine: Machine) -> list[object]:
        """The machine's open ports."""
        network = world.network
        return [at for at in (*network._udp, *network._tcp) if at[0] == machine.address]


class StartTests(NodeTestCase):
    """startService."""

    def test_incarnation(self) -> None:
        """A life's incarnation is the clock in ms, and on disk before anybody hears of it."""
        world = self.cluster()
        machine = world["flip1"]
        machine.start()
        incarnation = machine.running_node.parts.membership.own.record.incarnation
        assert_that(incarnation, equal_to(int(START * 1000)))
        assert_that(world.network.sent[machine.address], greater_than(0))
        machine.kill()
        assert_that(self.journal(machine).incarnation, equal_to(incarnation))

    def test_clock_set_back(self) -> None:
        """The next life's incarnation is higher even if the clock was set back."""
        world = self.cluster()
        machine = world["flip1"]
        machine.start()
        machine.kill()
        machine.wall_offset = -3600.0
        machine.start()
        record = machine.running_node.parts.membership.own.record
        assert_that(record.incarnation, equal_to(int(START * 1000) + 1))

    def test_claims_first(self) -> None:
        """The very first packet says what an earlier life may have left here (R4)."""
        world = self.cluster()
        world["flip1"].start()
        node = world["flip1"].running_node
        claims = node.parts.membership.own.claims
        assert_that(
            {datum for phases in claims.values() for datum in phases},
            equal_to(set(world.base.systems["ip"].data)),
        )
        assert_that(node.parts.membership.own.record.status, equal_to(Status.JOINING))


class RefusalTests(NodeTestCase):
    """A node that cannot start leaves nothing behind that is open."""

    def test_state_directory(self) -> None:
        """Another live node uses the state directory: no port was opened."""
        world = self.cluster()
        machine = world["flip1"]
        self.journal(machine)
        assert_that(calling(machine.start), raises(StateDirectoryInUse))
        assert_that(self.listening(world, machine), empty())
        machine.node = machine.reactor = None

    def test_ports(self) -> None:
        """Somebody has the port, for UDP or only for TCP: everything is free for a next try."""
        for taken in ("listenUDP", "listenTCP"):
            world = self.cluster()
            machine = world["flip1"]
            squatter = Machine(world, machine.config, MemoryDisk("squatter"))
            port = _squat(world, squatter, taken)
            assert_that(calling(machine.start), raises(CannotListen, "address in use"))
            assert machine.reactor is not None
            assert_that(len(self.listening(world, machine)), equal_to(1), taken)
            assert_that(machine.reactor.getDelayedCalls(), empty())
            port.stopListening()
            machine.start()
            assert_that(len(self.listening(world, machine)), equal_to(2), taken)


class StopTests(NodeTestCase):
    """stopService."""

    def test_nothing_left(self) -> None:
        """Afterwards no port is open, no timer runs, and the journal is free and clean."""
        world = self.story()
        machine = world["flip1"]
        reactor = machine.reactor
        assert reactor is not None
        stopped = machine.running_node.stopService()
        world.await_fired(stopped, 10)
        self.successResultOf(stopped)
        assert_that(self.listening(world, machine), empty())
        assert_that(reactor.getDelayedCalls(), empty())
        journal = self.journal(machine)
        assert_that((journal.held(), journal.clean), equal_to(([], True)))
        assert_that(holdings(world), equal_to(FLIP1_DOWN))
        machine.node = machine.reactor = None

    def test_order(self) -> None:
        """The node speaks until it holds nothing, and says last that it left (R5)."""
        world = self.story()
        machine = world["flip1"]
        node = machine.running_node
        seen: list[tuple[Status, bool]] = []

        def observe(change: object) -> None:
            record = node.parts.membership.own.record
            seen.append((Status(record.status), bool(machine.served)))

        node.parts.membership.roster.subscribe(observe)
        machine.leave()
        world.await_end(machine, 10)
        order = list(dict.fromkeys(seen))
        assert_that(order[0], equal_to((Status.LEAVING, True)))
        assert_that(order[-1], equal_to((Status.LEFT, False)))
        assert_that(order, has_item((Status.LEAVING, False)))
        assert_that({held for status, held in seen if status is Status.LEFT}, equal_to({False}))

    def test_again(self) -> None:
        """A node that left can be started again, and is given its share."""
        world = self.story()
        world["flip1"].leave()
        world.await_end(world["flip1"], 10)
        world["flip1"].start()
        self.await_holdings(world, ALL_ACTIVE)


def _squat(world: World, squatter: Machine, listen: str) -> IListeningPort:
    """Open a port of flip1's address, as a process that is not flip."""
    from twisted.internet.protocol import DatagramProtocol, Factory

    reactor = squatter.spawn("squatter")
    protocol = DatagramProtocol() if listen == "listenUDP" else Factory()
    port: IListeningPort = getattr(reactor, listen)(
        squatter.config.me.port, protocol, interface=squatter.address
    )
    return port
