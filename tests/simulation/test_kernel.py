"""The kernel as a process of the simulation sees it."""

from __future__ import annotations

from typing import Any

from hamcrest import assert_that, equal_to, greater_than, less_than
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from flip.addresses.kernel import Address, Assigned, Kernel, Link, Put, Remove
from flip.errors import AddressError
from flip.simulation.kernel import AT_ONCE, PROBE_LIMIT, SimulatedKernel
from flip.simulation.observer import Observer
from flip.simulation.world import World
from tests.cluster.case import STORY

ONE, TWO = Address("eth0", "10.9.0.1", 32), Address("eth0", "10.9.0.2", 32)
MANY = [Address("eth0", f"10.9.1.{number}", 32) for number in range(AT_ONCE + 5)]
AWAY = "02:ff:ff:ff:ff:01"


class News:
    """What a kernel's observer heard."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def appeared(self, address: Address, assigned: Assigned) -> None:
        self.heard.append(("appeared", address))

    def vanished(self, address: Address) -> None:
        self.heard.append(("vanished", address))

    def link_changed(self, name: str, link: Link | None) -> None:
        self.heard.append(("link", name, link is not None and link.up))


class Announcements(Observer):
    """What the neighbours were told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, object]] = []

    def announced(self, machine: Any, point: object) -> None:
        self.heard.append((machine.id, point))


class KernelTests(SynchronousTestCase):
    """One machine, a process on it, and the kernel."""

    def setUp(self) -> None:
        self.world = World(STORY, 1, checked=False)
        self.addCleanup(self.world.close)
        for id in ("flip", "flip1"):
            self.world[id].stack.plug_in("eth0")
        self.machine = self.world["flip"]
        self.process = self.machine.spawn("daemon")
        self.kernel = self.started("flip", "daemon")
        self.news = News()
        self.kernel.observe(self.news)

    def started(self, id: str, name: str) -> SimulatedKernel:
        """The kernel as seen by a process of a machine."""
        machine = self.world[id]
        process = machine.processes.get(name) or machine.spawn(name)
        kernel = SimulatedKernel(machine, process)
        self.fired(kernel.start())
        return kernel

    def fired(self, deferred: Deferred[Any]) -> Any:
        """Let time pass until a deferred fires, and return its result."""
        self.world.run_until(lambda: bool(deferred.called), 10)
        return self.successResultOf(deferred)

    def test_protocol(self) -> None:
        """It is what flip expects of a kernel."""
        kernel: Kernel = self.kernel
        assert_that(set(kernel.links()), equal_to({"eth0"}))

    def test_apply(self) -> None:
        """The changes are made at once, shown when they are answered, and told after that."""
        done = self.kernel.apply([Put(ONE), Put(TWO), Remove(ONE), Remove(MANY[0])])
        assert_that(list(self.machine.stack.dump()), equal_to([TWO]))
        assert_that((self.news.heard, dict(self.kernel.addresses())), equal_to(([], {})))
        assert_that(self.fired(done), equal_to([None] * 4))
        assert_that(list(self.kernel.addresses()), equal_to([TWO]))
        self.world.run(0.1)
        assert_that(self.news.heard, equal_to([("appeared", TWO)]))

    def test_errors(self) -> None:
        """What is refused is told in its place, and the others are done."""
        self.machine.stack.refuses = lambda change: change.address == ONE
        one, two = self.fired(self.kernel.apply([Put(ONE), Put(TWO)]))
        assert_that((type(one), two), equal_to((AddressError, None)))

    def test_batches(self) -> None:
        """Of many changes some are made at once and the others later."""
        done = self.kernel.apply([Put(address) for address in MANY])
        assert_that(len(self.machine.stack.dump()), equal_to(AT_ONCE))
        assert_that(len(self.fired(done)), equal_to(len(MANY)))
        assert_that(len(self.kernel.addresses()), equal_to(len(MANY)))

    def test_renewal(self) -> None:
        """Another lifetime is no news."""
        self.fired(self.kernel.apply([Put(ONE, 5)]))
        self.world.run(1)
        self.fired(self.kernel.apply([Put(ONE, 5)]))
        until = self.kernel.addresses()[ONE].until or 0.0
        assert_that(until, greater_than(5.9))
        assert_that(self.news.heard, equal_to([("appeared", ONE)]))

    def test_others(self) -> None:
        """What others do to addresses and links is told as well, also when time is over."""
        self.fired(self.kernel.apply([Put(ONE, 1), Put(TWO)]))
        self.world.run(0.1)
        self.machine.stack.remove(TWO)
        self.world.run(0.1)
        self.machine.stack.set_link("eth0", up=False)
        self.world.run(3)
        assert_that(
            self.news.heard[2:],
            equal_to([("vanished", TWO), ("link", "eth0", False), ("vanished", ONE)]),
        )

    def test_frozen(self) -> None:
        """A frozen process hears when it thaws; meanwhile the kernel goes on."""
        self.fired(self.kernel.apply([Put(ONE, 1)]))
        self.world.run(0.1)
        self.process.freeze()
        self.world.run(3)
        assert_that(self.machine.stack.dump(), equal_to({}))
        assert_that(self.news.heard, equal_to([("appeared", ONE)]))
        self.process.thaw(sockets_first=True)
        self.world.run(0.1)
        assert_that(self.news.heard[1:], equal_to([("vanished", ONE)]))

    def test_killed(self) -> None:
        """The addresses of a killed process stay, and are what the next one finds."""
        self.fired(self.kernel.apply([Put(ONE)]))
        self.machine.end("daemon")
        again = self.started("flip", "daemon again")
        assert_that(list(again.addresses()), equal_to([ONE]))

    def test_stopped(self) -> None:
        """What is under way fails, nothing more is told, and addresses stay."""
        done = self.kernel.apply([Put(address) for address in MANY])
        self.kernel.stop()
        results = self.successResultOf(done)
        assert_that([error is None for error in results], equal_to([True] * AT_ONCE + [False] * 5))
        (error,) = self.successResultOf(self.kernel.apply([Put(TWO)]))
        assert_that(isinstance(error, AddressError), equal_to(True))
        self.world.run(1)
        assert_that(self.news.heard, equal_to([]))
        assert_that(
            (MANY[0] in self.machine.stack, TWO in self.machine.stack), equal_to((True, False))
        )

    def test_overrun(self) -> None:
        """What does not fit the socket is found out by asking for everything."""
        self.fired(self.kernel.apply([Put(ONE), Put(TWO)]))
        self.world.run(0.1)
        self.machine.overruns = 1.0
        self.machine.stack.remove(ONE)
        self.machine.stack.pull_out("eth0")
        self.world.run(1)
        assert_that(dict(self.kernel.addresses()), equal_to({}))
        assert_that(
            sorted(map(str, self.news.heard[2:])),
            equal_to(
                sorted(map(str, [("vanished", ONE), ("vanished", TWO), ("link", "eth0", False)]))
            ),
        )

    def test_probe(self) -> None:
        """Another machine that has an address answers, whatever runs on it, if it can be asked."""
        other = self.world["flip1"]
        other.stack.change(Put(ONE))
        assert_that(self.fired(self.kernel.probe(ONE)), equal_to(other.stack.mac_of(ONE.ip)))
        self.world.cut(("flip",), ("flip1",), one_way=True)
        began = self.world.now
        assert_that(self.fired(self.kernel.probe(ONE)), equal_to(None))
        assert_that(self.world.now - began, less_than(PROBE_LIMIT + 0.01))

    def test_probe_finds_others_only(self) -> None:
        """This machine's own address is no answer, nor one whose link is down."""
        self.machine.stack.change(Put(ONE))
        self.world["flip1"].stack.change(Put(ONE))
        self.world["flip1"].stack.set_link("eth0", up=False)
        assert_that(self.fired(self.kernel.probe(ONE)), equal_to(None))
        self.machine.stack.set_link("eth0", up=False)
        assert_that(self.successResultOf(self.kernel.probe(ONE)), equal_to(None))

    def test_stranger(self) -> None:
        """Somebody who belongs to no cluster answers, too."""
        self.world.segment.strangers[ONE.ip] = AWAY
        assert_that(self.fired(self.kernel.probe(ONE)), equal_to(AWAY))
