"""What goes by more than the kernel: links, dead owners' leases, conflicts; and announcements."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hamcrest import assert_that, contains_string, empty, equal_to, has_length, is_in, none
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from flip.addresses.kernel import Address
from flip.config import System
from flip.config.values import Point
from flip.errors import HookFailed
from flip.holdings.address.announcer import Announcer
from flip.holdings.address.assignment import assignment
from flip.holdings.address.conflicts import Conflicts
from flip.holdings.address.links import Links, interfaces
from flip.holdings.address.orphans import Orphans
from flip.holdings.fitness import Fitness
from flip.membership.roster import State
from flip.wire.claims import Phase
from flip.wire.messages import Status
from tests.holdings.address.case import addresses
from tests.holdings.address.kernel import ETH0, FakeKernel, on
from tests.holdings.bed import Others, config, roster_of

LATENESS = 1.1


class LinksTests(SynchronousTestCase):
    """A system whose interface cannot serve is none of this node's."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.kernel = FakeKernel(self.clock)
        self.fitness = Fitness(self.clock, ("ip", "other"), lambda: None)
        other = addresses(name="other", config={"interface": "eth1"})
        self.recovered: list[str] = []
        systems = {"ip": addresses(), "other": other}
        self.links = Links(self.kernel, systems, self.fitness, self.recovered.append)
        self.kernel.observe(self.links)
        self.links.look()

    def test_start(self) -> None:
        """An interface that does not exist is a reason from the start."""
        assert_that(self.fitness.ineligible, equal_to(("other",)))
        assert_that(self.fitness.reasons("other"), equal_to("there is no interface eth1"))

    def test_down_and_up(self) -> None:
        """Down is a reason, up takes it back; other systems are not concerned."""
        self.kernel.link("eth0", ETH0._replace(up=False))
        assert_that(self.fitness.reasons("ip"), equal_to("link down: eth0"))
        assert_that(self.recovered, empty())
        self.kernel.link("eth0", ETH0)
        assert_that([self.fitness.reasons("ip"), self.recovered], equal_to([None, ["ip"]]))

    def test_vanishes(self) -> None:
        """From down to gone and back there is always one reason."""
        self.kernel.link("eth0", ETH0._replace(up=False))
        self.kernel.link("eth0", None)
        assert_that(self.fitness.reasons("ip"), equal_to("there is no interface eth0"))
        self.kernel.link("eth0", ETH0)
        assert_that(self.fitness.reasons("ip"), none())

    def test_interfaces(self) -> None:
        """Those of data points with an interface of their own count, too."""
        own = Point("10.0.0.1", ("10.0.0.1",), None, {"interface": "eth7"})
        system = addresses(special={"10.0.0.1": own})
        assert_that(interfaces(system), equal_to(frozenset(("eth0", "eth7"))))


class RosterCase(SynchronousTestCase):
    """The node me, with flip1 and flip2 whose records the test writes."""

    system: System

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.config = config(self.system)
        self.roster = roster_of(self.config)
        self.others = Others(self.config, self.roster)
        self.marked: list[Any] = []

    def claim(self, member: str, *data: str) -> None:
        """A member holds these."""
        self.others.say(member, {"ip": dict.fromkeys(data, Phase.HELD)})


class OrphansTests(RosterCase):
    """`wait_for_lease` with a kernel lease of 3 seconds."""

    system = addresses(kernel_lease=3, wait_for_lease=True)

    def setUp(self) -> None:
        super().setUp()
        self.orphans = Orphans(
            self.config, self.clock, self.roster, {"ip": self.system}, self.marked.append
        )
        self.roster.subscribe(self.orphans.learn)
        self.addCleanup(self.orphans.stop)

    def obstacle(self, datum: str = "10.0.0.1") -> str:
        """Why it must not be taken; empty when it may be."""
        return self.orphans.obstacle("ip", datum) or ""

    def test_down(self) -> None:
        """What a server claimed is left alone until its kernel must have removed it."""
        self.claim("flip1", "10.0.0.1")
        assert_that(self.obstacle(), empty())
        self.others.accuse("flip1", "me", "flip2")
        assert_that(self.obstacle(), contains_string("flip1 is down"))
        self.clock.advance(3 + LATENESS - 0.01)
        assert_that(self.obstacle(), contains_string("wait_for_lease"))
        assert_that(self.marked, empty())
        self.clock.advance(0.01)
        assert_that([self.obstacle(), self.marked], equal_to(["", ["ip"]]))

    def test_not_claimed(self) -> None:
        """What it did not claim is free at once."""
        self.claim("flip1", "10.0.0.1")
        self.others.accuse("flip1", "me", "flip2")
        assert_that(self.obstacle("10.0.0.2"), empty())

    def test_never_heard_of(self) -> None:
        """A server that is down and of whom nothing is known may have anything."""
        self.others.accuse("flip1", "me", "flip2", incarnation=0)
        assert_that(self.roster.state("flip1"), equal_to(State.DOWN))
        assert_that(self.obstacle(), contains_string("flip1"))

    def test_left(self) -> None:
        """Who leaves has let go of everything: nobody waits."""
        self.claim("flip1", "10.0.0.1")
        self.others.say("flip1", {}, status=Status.LEFT)
        assert_that(self.obstacle(), empty())

    def test_returns(self) -> None:
        """One that is back speaks for itself; the next time is counted anew."""
        self.claim("flip1", "10.0.0.1")
        self.others.accuse("flip1", "me", "flip2")
        self.clock.advance(2)
        self.others.say("flip1", {"ip": {"10.0.0.1": Phase.HELD}}, incarnation=2)
        assert_that(self.obstacle(), empty())
        self.others.accuse("flip1", "me", "flip2", incarnation=2)
        self.clock.advance(4)
        assert_that(self.obstacle(), contains_string("flip1"))
        self.clock.advance(0.2)
        assert_that([self.obstacle(), self.marked], equal_to(["", ["ip"]]))

    def test_other_systems(self) -> None:
        """A system that does not wait is not concerned."""
        self.claim("flip1", "10.0.0.1")
        self.others.accuse("flip1", "me", "flip2")
        assert_that(self.orphans.obstacle("other", "10.0.0.1"), none())


class ConflictsCase(RosterCase):
    """flip1 has 10.0.0.1 and 10.0.0.2, which this node would get."""

    def setUp(self) -> None:
        super().setUp()
        self.kernel = FakeKernel(self.clock)
        self.notes: list[tuple[str, str]] = []
        self.wanted: set[str] = set()
        self.conflicts = Conflicts(
            self.clock,
            self.kernel,
            self.roster,
            {"ip": self.system},
            inherited=self.inherited,
            pending=lambda name, datum: datum in self.wanted,
            configured=lambda name, datum: ((datum,), '{"interface": "eth0"}'),
            mark=lambda name, datum: self.marked.append(datum),
            note=lambda kind, text: self.notes.append((kind, text)),
        )
        self.conflicts.ready = True
        self.roster.subscribe(self.conflicts.learn)
        self.addCleanup(self.conflicts.stop)
        self.claim("flip1", "10.0.0.1", "10.0.0.2")

    def inherited(self, name: str, member: str) -> Iterable[str]:
        return ("10.0.0.1", "10.0.0.2") if member == "flip1" else ()

    def doubt(self) -> None:
        """The first vote against flip1."""
        self.others.accuse("flip1", "flip2")

    def bury(self) -> None:
        """The quorum's last vote; from now on this node wants what it had."""
        self.others.accuse("flip1", "me", "flip2")
        self.wanted |= {"10.0.0.1", "10.0.0.2"}


class TakeTests(ConflictsCase):
    """`on_conflict`: take, the default."""

    system = addresses()

    def test_asked_at_the_first_vote(self) -> None:
        """Each address that would be taken is asked for once; nothing is told of a doubt."""
        self.kernel.neighbours["10.0.0.1"] = "02:00:00:00:00:99"
        self.doubt()
        assert_that(self.kernel.probed, equal_to([on("10.0.0.1"), on("10.0.0.2")]))
        self.clock.advance(0.2)
        self.others.accuse("flip1", "flip2", "me")
        assert_that(self.kernel.probed, has_length(2))

    def test_told(self) -> None:
        """Somebody who answers for what a dead server had is an event, with the MAC."""
        self.kernel.neighbours["10.0.0.1"] = "02:00:00:00:00:99"
        self.doubt()
        self.clock.advance(0.2)
        assert_that(self.notes, empty())
        self.bury()
        self.clock.advance(0)
        ((kind, text),) = self.notes
        assert_that(kind, equal_to("address-conflict"))
        assert_that(text, contains_string("02:00:00:00:00:99 answers for 10.0.0.1 although flip1"))

    def test_late_answer(self) -> None:
        """An answer that comes after the quorum is told as well, and stops nothing."""
        self.kernel.neighbours["10.0.0.1"] = "02:00:00:00:00:99"
        self.doubt()
        self.bury()
        assert_that(self.conflicts.obstacle("ip", "10.0.0.1"), none())
        self.clock.advance(0.1)
        self.clock.advance(0)
        assert_that(self.notes, has_length(1))

    def test_many(self) -> None:
        """What one stranger answers for is one event."""
        self.kernel.neighbours |= dict.fromkeys(("10.0.0.1", "10.0.0.2"), "02:00:00:00:00:99")
        self.doubt()
        self.clock.advance(0.2)
        self.bury()
        self.clock.advance(0)
        ((_, text),) = self.notes
        assert_that(text, contains_string("10.0.0.1, 10.0.0.2"))

    def test_refuted(self) -> None:
        """A server that lives answers for its own addresses: that is no conflict."""
        self.kernel.neighbours["10.0.0.1"] = "02:00:00:00:00:01"
        self.doubt()
        self.clock.advance(0.2)
        self.others.say("flip1", {"ip": {"10.0.0.1": Phase.HELD}}, incarnation=2)
        self.clock.advance(10)
        assert_that([self.notes, self.conflicts.answered], equal_to([[], {}]))


class WaitTests(ConflictsCase):
    """`on_conflict`: wait."""

    system = addresses(on_conflict="wait")

    def obstacle(self) -> str:
        """Why it must not be taken; empty when it may be."""
        return self.conflicts.obstacle("ip", "10.0.0.1") or ""

    def test_nobody_answers(self) -> None:
        """The answer is in before the quorum: a takeover waits for nothing."""
        self.doubt()
        self.clock.advance(0.2)
        self.bury()
        assert_that(self.obstacle(), empty())

    def test_quorum_at_once(self) -> None:
        """When the quorum is faster it waits for the answer, and no longer."""
        self.doubt()
        self.bury()
        assert_that(self.obstacle(), contains_string("asked"))
        self.clock.advance(0.2)
        assert_that(self.obstacle(), empty())
        assert_that("10.0.0.1" in self.marked, equal_to(True))

    def test_somebody_answers(self) -> None:
        """It waits while somebody does, asking each second, and is told when that ends."""
        self.kernel.neighbours["10.0.0.1"] = "02:00:00:00:00:99"
        self.doubt()
        self.clock.advance(0.2)
        self.bury()
        self.kernel.probed.clear()
        for _ in range(50):
            self.clock.advance(0.1)
            assert_that(self.obstacle(), contains_string("02:00:00:00:00:99"))
        assert_that(len(self.kernel.probed), is_in((4, 5)))
        del self.kernel.neighbours["10.0.0.1"]
        self.marked.clear()
        self.clock.pump([0.1] * 13)
        assert_that([self.obstacle(), self.marked], equal_to(["", ["10.0.0.1"]]))

    def test_doubted_for_long(self) -> None:
        """While the owner is only doubted it keeps asking, to know at the quorum."""
        self.kernel.neighbours["10.0.0.1"] = "02:00:00:00:00:99"
        self.doubt()
        self.clock.pump([0.1] * 65)
        self.bury()
        assert_that(self.obstacle(), contains_string("02:00:00:00:00:99"))

    def test_without_a_vote(self) -> None:
        """What is taken for the first time is asked for, too, but only if it is wanted here."""
        assert_that([self.obstacle(), self.kernel.probed], equal_to(["", []]))
        self.wanted.add("10.0.0.1")
        assert_that(self.obstacle(), contains_string("asked"))
        self.clock.advance(0.2)
        assert_that(self.obstacle(), empty())

    def test_not_wanted_any_more(self) -> None:
        """It stops asking for what is another node's by now."""
        self.kernel.neighbours["10.0.0.1"] = "02:00:00:00:00:99"
        self.wanted.add("10.0.0.1")
        self.obstacle()
        self.clock.advance(0.2)
        self.wanted.clear()
        self.kernel.probed.clear()
        self.clock.pump([0.5] * 20)
        assert_that([self.kernel.probed, self.conflicts.answered], equal_to([[], {}]))


class AnnouncerTests(SynchronousTestCase):
    """Series of announcements."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.kernel = FakeKernel(self.clock)
        self.kept: set[Address] = {on("10.0.0.1"), on("10.0.0.2")}
        self.announcer = Announcer(
            self.clock, self.kernel, {"ip": addresses()}, self.kept.__contains__
        )

    def times(self) -> list[float]:
        return [time for time, _ in self.kernel.announced]

    def test_series(self) -> None:
        """At the times that were asked for."""
        self.announcer.begin([on("10.0.0.1")], (0.0, 1.0, 5.0))
        self.clock.pump([0.5] * 20)
        assert_that(self.times(), equal_to([0.0, 1.0, 5.0]))

    def test_let_go(self) -> None:
        """What is not kept any more is left out."""
        self.announcer.begin(sorted(self.kept), (0.0, 1.0))
        self.kept.discard(on("10.0.0.1"))
        self.clock.advance(1)
        assert_that(self.kernel.announced[-1], equal_to((1.0, (on("10.0.0.2"),))))

    def test_new_series(self) -> None:
        """A new series takes the place of the old one."""
        self.announcer.begin([on("10.0.0.1")], (0.0, 1.0, 5.0))
        self.clock.advance(0.5)
        self.announcer.begin([on("10.0.0.1")], (0.0, 1.0, 5.0))
        self.clock.pump([0.5] * 20)
        assert_that(self.times(), equal_to([0.0, 0.5, 1.5, 5.5]))

    def test_stopped(self) -> None:
        """Nothing is said after the end."""
        self.announcer.begin([on("10.0.0.1")], (0.0, 1.0))
        self.announcer.stop()
        self.clock.advance(5)
        assert_that(self.times(), equal_to([0.0]))


class AssignmentTests(SynchronousTestCase):
    """From members and a configuration to addresses."""

    def test_normal(self) -> None:
        """An address has one spelling."""
        found = assignment(("2001:DB8:0::1",), '{"interface": "eth0"}').addresses
        assert_that(found, equal_to((Address("eth0", "2001:db8::1", 128),)))

    def test_long_interface(self) -> None:
        """The default label gives way to a long name."""
        found = assignment(("192.0.2.1",), '{"interface": "enp129s0f1np1"}')
        assert_that(found.label, none())

    def test_foreign_records(self) -> None:
        """What a journal may hold instead is a failure with a reason, no crash."""
        for text in ("", "[]", "null", "{}", '{"interface": 3}'):
            self.assertRaises(HookFailed, assignment, ("192.0.2.1",), text)
        self.assertRaises(HookFailed, assignment, ("a",), '{"interface": "eth0"}')
