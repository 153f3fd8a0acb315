"""Invariants of addresses and of standings: each notices what it is there for."""

from __future__ import annotations

from unittest.mock import patch

from hamcrest import assert_that, contains_string, empty, equal_to, greater_than
from twisted.trial.unittest import SynchronousTestCase

from flip.addresses.kernel import Address, Put
from flip.holdings.address.repair import Repair
from flip.holdings.address.upkeep import Upkeep
from flip.holdings.call import Hook, HookCall
from flip.holdings.grants.lease import Terms
from flip.membership.roster import State
from flip.simulation.faults import schedule as befall
from flip.simulation.faults.hooks import FailHook
from flip.simulation.faults.operators import Drain
from flip.simulation.invariants import Violation
from flip.simulation.invariants.addresses import PUT_BACK, SLACK
from flip.simulation.invariants.rest import Rest
from flip.simulation.invariants.standings import Stays, diagnosis_bound, moving_bound
from flip.simulation.invariants.truth import Truth
from flip.simulation.lifetimes import LATEST
from flip.simulation.machine import Machine
from flip.simulation.world import World
from flip.wire.claims import Phase
from flip.wire.standing import Standing
from tests.cluster.case import ALL_ACTIVE, ONE, TWO, at_rest, holdings, system

LEASE = 3
CHECK = {"tcp": "127.0.0.1:80", "interval": 500, "timeout": 200, "rise": 1, "fall": 2}


def story(**settings: object) -> dict[str, object]:
    """The story with addresses that flip sets itself."""
    described = system(provider="address", **settings)
    for event in ("alive", "down"):
        del described["cluster"]["system"]["ip"][event]
    return described


def address(datum: str) -> Address:
    """A data point's, as it is put."""
    return Address("eth0", datum, 32)


class AddressInvariantTests(SynchronousTestCase):
    """The story with addresses and a lease in the kernel, at rest."""

    def setUp(self) -> None:
        self.world = self.cluster(kernel_lease=LEASE * 1000, wait_for_lease=True)

    def cluster(self, **config: object) -> World:
        """A story, at rest."""
        world = World(story(config={"interface": "eth0", **config}), 1)
        self.addCleanup(world.close)
        world.start()
        world.run_until(lambda: holdings(world) == ALL_ACTIVE, 12)
        world.run_until(lambda: at_rest(world), 12)
        return world

    def assert_broken(self, seconds: float, text: str) -> None:
        """A rule is broken within so much time."""
        with self.assertRaises(Violation) as caught:
            self.world.run(seconds)
        assert_that(str(caught.exception), contains_string(text))

    def test_never_lapses(self) -> None:
        """An address that stays although its daemon is dead for longer than the lease."""
        machine = self.world["flip1"]
        machine.kill()
        machine.stack.change(Put(address(TWO), 2 * LEASE))
        self.world.run(LEASE + LATEST)
        self.assert_broken(2 * SLACK, f"flip1 has ['{TWO}'] 4.1")

    def test_lapses(self) -> None:
        """One that the kernel removes breaks nothing."""
        self.world["flip1"].kill()
        self.world.run(LEASE + LATEST + 1)
        assert_that(self.world["flip1"].served, empty())

    def test_not_waited_for(self) -> None:
        """An address that is taken while a dead one still has it."""
        self.world["flip1"].kill()
        with self.assertRaises(Violation) as caught:
            self.world["flip"].stack.change(Put(address(TWO)))
        assert_that(str(caught.exception), contains_string(f"flip takes {TWO}, which flip1 has"))

    def test_cut_off_before(self) -> None:
        """One that was down before it died was waited for while it ran."""
        self.world.cut(("flip1",), ("flip", "flip2"))
        self.world.run_until(lambda: self.world["flip"].state("flip1") is State.DOWN, 5)
        self.world["flip1"].kill()
        self.world["flip"].stack.change(Put(address(TWO)))

    def test_regained(self) -> None:
        """An address that ran out while its node stood still, and is just put back."""
        machine = self.world["flip1"]
        machine.freeze()
        self.world.run(LEASE + LATEST)
        assert_that(machine.served, empty())
        with self.assertRaises(Violation) as caught:
            machine.stack.change(Put(address(TWO)))
        assert_that(str(caught.exception), contains_string(f"flip1 puts {TWO} back"))

    def test_not_put_back(self) -> None:
        """An address that somebody removes, and nobody puts back."""
        self.world = self.cluster()  # without a lease, whose renewal would put it back
        with patch.object(Repair, "vanished", lambda self, address: None):
            self.world["flip1"].take_away(("ip", TWO))
            self.assert_broken(PUT_BACK + 0.1, f"flip1 says that it holds {TWO}, and does not")

    def test_never_put_back(self) -> None:
        """One that nobody puts back after the kernel refused it for long (Upkeep tries once)."""
        self.world = self.cluster()
        with patch.object(Upkeep, "_try_again", lambda self: None):
            self.refuse(3.2)
            self.world["flip1"].take_away(("ip", TWO))
            self.world.run(3.2 + PUT_BACK - 0.1)
            self.assert_broken(0.2, f"flip1 says that it holds {TWO}, and does not")

    def test_refused(self) -> None:
        """One that the kernel refuses is put back soon after that; until then nothing is broken."""
        self.world = self.cluster()
        self.refuse(PUT_BACK - 0.2)
        self.world["flip1"].take_away(("ip", TWO))
        self.world.run(PUT_BACK - 0.1)
        assert_that(self.world["flip1"].served, empty())  # the next try comes after the first look
        self.world.run(PUT_BACK)
        assert_that(self.world["flip1"].served, equal_to({("ip", TWO)}))

    def refuse(self, seconds: float) -> None:
        """The kernel of one refuses what it is told, for so long from now on."""
        now = self.world.now
        befall(self.world, [FailHook.parse(f"flip1/alive@{now:.3f}-{now + seconds:.3f}")])
        self.world.run(0.001)

    def test_put_back(self) -> None:
        """One that is put back breaks nothing, and all is well again."""
        self.world["flip1"].take_away(("ip", TWO))
        assert_that(self.world["flip1"].served, empty())
        self.world.run(PUT_BACK + 0.1)
        assert_that(list(Rest(self.world).missing()), empty())

    def test_part(self) -> None:
        """All is not well where a link is down."""
        self.world["flip1"].stack.set_link("eth0", up=False)
        assert_that(
            next(Rest(self.world).missing()), equal_to(f"flip1 serves a part of {TWO} of ip")
        )


class ExclusiveTests(SynchronousTestCase):
    """The same, exclusive: the kernel is the guard."""

    def test_no_excuse(self) -> None:
        """What a dead daemon left is not excused."""
        world = World(story(config={"interface": "eth0"}, exclusive=True, lease=4000), 1)
        self.addCleanup(world.close)
        world.start()
        world.run_until(lambda: holdings(world) == ALL_ACTIVE, 20)
        world["flip1"].kill()
        with self.assertRaises(Violation) as caught:
            world["flip"].stack.change(Put(address(TWO)))
        assert_that(str(caught.exception), contains_string(f"flip and flip1 hold {TWO} of ip"))

    def test_margin(self) -> None:
        """What is kept back of a lease is more than the time for which a kernel may be late."""
        world = World(story(config={"interface": "eth0"}, exclusive=True, lease=4000), 1)
        self.addCleanup(world.close)
        assert_that(Terms.of(world.base.systems["ip"]).margin, greater_than(LATEST))


class StandingInvariantTests(SynchronousTestCase):
    """The story with a health check, at rest."""

    def setUp(self) -> None:
        self.world = World(system(check=CHECK), 1)
        self.addCleanup(self.world.close)
        self.world.start()
        self.world.run_until(lambda: holdings(self.world) == ALL_ACTIVE, 12)
        self.world.run_until(lambda: at_rest(self.world), 12)
        check = self.world.base.systems["ip"].check
        assert check is not None
        self.diagnosis = diagnosis_bound(check)
        self.moving = moving_bound(self.world, "ip")

    def pretend(self, machine: Machine, standing: Standing) -> None:
        """A machine's node seems to say something."""
        self.patch(machine, "standing", lambda system: standing)
        for standing_changed in self.world.observers.standing_changed:
            standing_changed(machine, "ip", standing)

    def call(self, event: str, datum: str) -> HookCall:
        """One of flip's hooks."""
        return HookCall(Hook(event, (event,)), event, "ip", datum, "{}", "flip", 10.0, (datum,))

    def assert_broken(self, seconds: float, text: str) -> None:
        """A rule is broken within so much time."""
        with self.assertRaises(Violation) as caught:
            self.world.run(seconds)
        assert_that(str(caught.exception), contains_string(text))

    def test_link_unseen(self) -> None:
        """A link is down for long, and its node says that it is fit."""
        world = World(story(config={"interface": "eth0"}), 1)
        self.addCleanup(world.close)
        world.start()
        world.run(5)
        self.world = world
        self.pretend(world["flip1"], Standing.FIT)
        world["flip1"].stack.set_link("eth0", up=False)
        self.assert_broken(2.0, "flip1 says that it can serve ip: FIT")

    def test_fails_unseen(self) -> None:
        """A check fails for long, and its node says that it is fit."""
        machine = self.world["flip1"]
        self.pretend(machine, Standing.FIT)
        machine.ailing.fails.add("ip")
        self.world.fault("fail-check flip1")
        self.assert_broken(self.diagnosis + 0.1, "flip1 says that it can serve ip: FIT")

    def test_well_unseen(self) -> None:
        """A check ends well for long, and its node says that it is not fit."""
        self.pretend(self.world["flip1"], Standing.UNFIT)
        self.world.fault("fail-check flip1", False)
        self.assert_broken(self.diagnosis + 0.1, "flip1 says that it cannot serve ip: UNFIT")

    def test_seen(self) -> None:
        """A check that fails, and is well again, breaks nothing; the data moves and comes back."""
        machine = self.world["flip1"]
        machine.ailing.fails.add("ip")
        self.world.fault("fail-check flip1")
        self.world.run(self.diagnosis + self.moving)
        assert_that(holdings(self.world)["flip"], equal_to({ONE, TWO}))
        machine.ailing.fails.clear()
        self.world.fault("fail-check flip1", False)
        self.world.run(self.diagnosis + self.moving)
        assert_that(holdings(self.world), equal_to(ALL_ACTIVE))

    def test_keeps(self) -> None:
        """Who is unfit keeps its data although another one is fit."""
        self.world.run(self.moving)
        self.pretend(self.world["flip1"], Standing.UNFIT)
        self.assert_broken(self.moving + 0.1, f"flip1 serves ['{TWO}'], and is unfit")

    def test_moves_in_vain(self) -> None:
        """Nobody is fit, and yet somebody lets go."""
        for id in ("flip", "flip1"):
            self.world[id].ailing.fails.add("ip")
        self.world.run(self.diagnosis)
        machine = self.world["flip1"]
        assert_that(machine.held(), equal_to({TWO}))
        self.release(machine)
        with self.assertRaises(Violation) as caught:
            self.world.hook_started(machine, self.call("down", TWO))
        assert_that(str(caught.exception), contains_string("and nobody is fit"))

    def test_takes_although_drained(self) -> None:
        """Who is drained takes something while another one is fit."""
        self.world["flip"].running_node.parts.keeper.failback.drain(("ip",))
        self.world.run(self.moving)
        assert_that(self.world["flip"].standing("ip"), equal_to(Standing.DRAINED))
        stays = Stays(self.world, Truth(self.world))
        with self.assertRaises(Violation) as caught:
            stays.hook_started(self.world["flip"], self.call("alive", TWO))
        assert_that(str(caught.exception), contains_string("although it is drained"))

    def release(self, machine: Machine) -> None:
        """What a machine holds seems to be let go of."""
        holding = machine.running_node.parts.keeper.systems["ip"].holdings[TWO]
        self.patch(holding, "phase", Phase.RELEASING)

    def come_back(self) -> Machine:
        """One node was away and waits; the other one is about to hand something back to it."""
        self.world = World(system(failback="manual"), 1)
        self.addCleanup(self.world.close)
        self.world.start()
        self.world.run(5)
        self.world["flip"].kill()
        self.world.run(5)
        assert_that(self.world["flip1"].held(), equal_to({ONE, TWO}))
        self.world["flip"].start()
        self.world.run(5)
        assert_that(self.world["flip1"].held(), equal_to({ONE, TWO}))
        machine = self.world["flip1"]
        self.release(machine)
        machine.running_node.parts.keeper.systems["ip"].owners[TWO] = "flip"
        return machine

    def test_moves_back(self) -> None:
        """Something moves back to who was away, although an operator is to be waited for."""
        machine = self.come_back()
        with self.assertRaises(Violation) as caught:
            self.world.hook_started(machine, self.call("down", TWO))
        told = f"flip1 lets go of {TWO} for flip, which came back 5.0"
        assert_that(str(caught.exception), contains_string(told))

    def test_not_told_yet(self) -> None:
        """An operator's command is no excuse before a process takes it."""
        machine, heir = self.come_back(), self.world["flip"]
        heir.freeze()
        command = Drain.parse("flip/ip@1-2")
        self.world.fault(str(command), False)
        command.relieve(heir, "ip")
        with self.assertRaises(Violation) as caught:
            self.world.hook_started(machine, self.call("down", TWO))
        assert_that(str(caught.exception), contains_string(f"lets go of {TWO} for flip"))
