"""Invariants that no rule of flip alone keeps: each notices what it is there for."""

from __future__ import annotations

from pathlib import Path

from hamcrest import (
    assert_that,
    close_to,
    contains_string,
    empty,
    equal_to,
    greater_than_or_equal_to,
)
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.call import Hook, HookCall
from flip.membership.health import WORST
from flip.simulation.distributions import Uniform
from flip.simulation.hooks import HOOK_TIME
from flip.simulation.invariants import Violation
from flip.simulation.invariants.detection import SLACK
from flip.simulation.invariants.owners import SCHEDULING
from flip.simulation.invariants.rest import Rest
from flip.simulation.invariants.truth import CALLS, rotation
from flip.simulation.machine import Machine
from flip.simulation.schedules import Schedule, play
from flip.simulation.world import World
from flip.wire.claims import Phase
from tests.cluster.case import ALL_ACTIVE, FLIP1_DOWN, STORY, TWO, at_rest, holdings
from tests.simulation.rules_off import switched_off


class InvariantTests(SynchronousTestCase):
    """What is made wrong by hand is found."""

    def setUp(self) -> None:
        """The story, at rest."""
        self.world = World(STORY, 1)
        self.addCleanup(self.world.close)
        self.world.start()
        self.world.run_until(lambda: holdings(self.world) == ALL_ACTIVE, 12)
        self.world.run_until(lambda: at_rest(self.world), 12)

    def test_dead_heir(self) -> None:
        """To let go of something for a member that is long dead (K7)."""
        world = self.world
        world["flip1"].reboot()
        world.run(30)
        assert_that(holdings(world), equal_to(FLIP1_DOWN))
        keeper = world["flip"].running_node.parts.keeper.systems["ip"]
        keeper.owners[TWO] = "flip1"
        keeper.holdings[TWO].phase = Phase.RELEASING
        with self.assertRaises(Violation) as caught:
            world.hook_started(world["flip"], self.call("down", TWO))
        assert_that(str(caught.exception), contains_string("for flip1, which is dead"))

    def test_overlap(self) -> None:
        """Two that reach each other and serve the same, for longer than allowed."""
        overlaps = self.world.invariants.overlaps
        overlaps.limit = 0.1
        self.world["flip"].serve(("ip", TWO))
        overlaps.stepped(self.world)
        self.world.agenda.now += 0.2
        with self.assertRaises(Violation) as caught:
            overlaps.stepped(self.world)
        assert_that(str(caught.exception), contains_string("both hold 192.168.0.2 for 0.200 s"))

    def test_overlap_slow(self) -> None:
        """What waits in a slow machine when it comes to know of another owner has to be made."""
        world, overlaps, slow = self.world, self.world.invariants.overlaps, self.world["flip"]
        self.patch(overlaps, "_known", lambda pair: True)
        slow.slowness = 0.01
        reactor = slow.reactor
        assert reactor is not None
        for _ in range(10):
            reactor.deliver(lambda: None)
        slow.serve(("ip", TWO))
        overlaps.stepped(world)
        hooks = 2 * HOOK_TIME.longest + world.base.systems["ip"].delay
        assert_that(reactor.waiting, greater_than_or_equal_to(10))
        waits = (reactor.waiting + CALLS) * 0.01
        world.agenda.now += overlaps.truth.round_trip + hooks + waits
        overlaps.stepped(world)
        world.agenda.now += 2 * SCHEDULING
        with self.assertRaises(Violation) as caught:
            overlaps.stepped(world)
        assert_that(str(caught.exception), contains_string("both hold 192.168.0.2 and have known"))

    def test_lost_claim(self) -> None:
        """A machine that serves what its node does not claim."""
        self.world["flip"].serve(("ip", TWO))
        with self.assertRaises(Violation) as caught:
            self.world.run(1)
        assert_that(str(caught.exception), contains_string("serves 192.168.0.2 and does not claim"))

    def test_rest(self) -> None:
        """All is well, and yet a penalty that ends will move something."""
        self.world.run(1)
        rest = Rest(self.world)
        assert_that(list(rest.missing()), empty())
        self.world["flip1"].running_node.parts.keeper.fitness.exclude("it flaps", 1.0)
        assert_that([*rest.missing()][-1], equal_to("flip1 is ineligible for ip: it flaps"))

    def test_in_touch_alone(self) -> None:
        """A node that is cut off and never notices, where answers are quick (R1)."""
        config = self.world.base
        knows = rotation(config) + 6 * config.ping_timeout + SLACK
        assert_that(self.unnoticed(), close_to(knows, config.ping_timeout))  # at the next event

    def test_in_touch_late(self) -> None:
        """What was asked before a cut may be answered until its probe is over, by a slow clock."""
        config = self.world.base
        self.world["flip1"].drift = -0.05
        self.world.network.latency = Uniform(2.0, 2.0)
        self.world.fault("latency 2000ms")
        self.world.run(0.001)
        self.world.network.latency = Uniform(0.001, 0.001)
        knows = (rotation(config) + 8 * config.ping_timeout) / 0.95 + SLACK
        assert_that(self.unnoticed(), close_to(knows, config.ping_timeout))  # at the next event

    def unnoticed(self) -> float:
        """Cut off the owner of TWO, ill and heedless; seconds until that is found."""
        membership = self.world["flip1"].running_node.parts.membership
        membership.health.score = WORST
        self.patch(membership.touch, "judge", lambda: False)
        self.world.cut(("flip1",), ("flip", "flip2"))
        began = self.world.now
        with self.assertRaises(Violation) as caught:
            self.world.run(20)
        assert_that(str(caught.exception), contains_string("Isolated: flip1 is in touch"))
        found: float = caught.exception.at
        return found - began

    def test_takes_unsettled(self) -> None:
        """To begin to hold something before it has settled (R1)."""
        machine = self.unsettled(Phase.TAKING)
        with self.assertRaises(Violation) as caught:
            self.world.hook_started(machine, self.call("alive", TWO))
        assert_that(
            str(caught.exception),
            contains_string(f"Minority: flip1 takes {TWO} although it has not settled"),
        )

    def test_keeps_unsettled(self) -> None:
        """To announce what it claims to hold breaks nothing, although nothing is here now."""
        machine = self.unsettled(Phase.HELD)
        self.world.hook_started(machine, self.call("alive", TWO))

    def test_ran_out(self) -> None:
        """An ordinary address that ran out is begun anew, whatever is claimed."""
        machine = self.unsettled(Phase.HELD)
        for lapsed in self.world.observers.lapsed:
            lapsed(machine, ("ip", TWO))
        with self.assertRaises(Violation) as caught:
            self.world.hook_started(machine, self.call("alive", TWO))
        assert_that(str(caught.exception), contains_string("although it has not settled"))

    def unsettled(self, phase: Phase) -> Machine:
        """The owner of TWO, which has not settled and does not serve it."""
        machine = self.world["flip1"]
        parts = machine.running_node.parts
        parts.membership.touch.settled = False
        machine.cease(("ip", TWO))
        parts.keeper.systems["ip"].holdings[TWO].phase = phase
        return machine

    def call(self, event: str, datum: str) -> HookCall:
        """One of flip's hooks."""
        return HookCall(Hook(event, (event,)), event, "ip", datum, "{}", "flip", 10.0, (datum,))

    def test_lapse(self) -> None:
        """To let go because nobody renewed a lease that nothing kept from being renewed (E8)."""
        schedule = Schedule.load(Path(__file__).parent.parent / "schedules" / "E8.json")
        with switched_off("E8"), self.assertRaises(Violation) as caught:
            play(schedule)
        self.flushLoggedErrors(Violation)
        assert_that(caught.exception.invariant, equal_to("Undisturbed"))
