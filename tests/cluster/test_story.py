"""The README's story, and starts and stops of all kinds."""

from __future__ import annotations

from hamcrest import assert_that, equal_to, greater_than, less_than, not_

from flip.membership.roster import State
from flip.simulation.distributions import Uniform
from flip.simulation.world import World
from tests.cluster.case import (
    ALL_ACTIVE,
    DETECTION,
    FLIP1_DOWN,
    ONE,
    SETTLING,
    TWO,
    ClusterTestCase,
    at_rest,
    holdings,
    larger,
)


class StoryTests(ClusterTestCase):
    """The four rows of the table."""

    def test_all_active(self) -> None:
        """Started together, the cluster divides its data within 1.5 seconds."""
        world = self.cluster()
        world.start()
        assert_that(self.await_holdings(world, ALL_ACTIVE), less_than(1.5))
        world.run(20)
        self.expect(world, ALL_ACTIVE)

    def test_killed(self) -> None:
        """A killed owner's data has a new owner within an interval and a probe's time."""
        for seed in range(10):
            world = self.story(seed)
            world["flip1"].reboot()
            took = self.await_holdings(world, FLIP1_DOWN)
            assert_that(took, less_than(DETECTION + 0.5))
            world.run(1)
            assert_that(world["flip"].state("flip1"), equal_to(State.DOWN))
            assert_that(world["flip2"].state("flip1"), equal_to(State.DOWN))
            world.run(20)
            self.expect(world, FLIP1_DOWN)

    def test_back(self) -> None:
        """One that is back gets its data again, and no data point has two owners meanwhile."""
        world = self.story()
        world["flip1"].reboot()
        self.await_holdings(world, FLIP1_DOWN)
        world.run(5)
        world.invariants.overlaps.longest = 0.0
        world["flip1"].start()
        assert_that(self.await_holdings(world, ALL_ACTIVE), less_than(3.0))
        world.run(5)
        self.expect(world, ALL_ACTIVE)
        assert_that(world.invariants.overlaps.longest, equal_to(0.0))

    def test_nobody_reaches_anybody(self) -> None:
        """Nobody can agree, so nothing moves: neither while it lasts nor afterwards."""
        for seed in range(5):
            self.cut_all(self.story(seed))

    def cut_all(self, world: World) -> None:
        runs = {machine.id: len(machine.runs) for machine in world.machines.values()}
        world.cut_all()
        world.run(60)
        assert_that(holdings(world), equal_to(ALL_ACTIVE))
        for machine in world.machines.values():
            assert_that(machine.running_node.parts.membership.in_touch, equal_to(False))
            assert_that(len(machine.runs), equal_to(runs[machine.id]))
            # Whoever reaches nobody knows that it may be the one that is cut off.
            accused = [e.text for e in machine.running_node.journal.events(100) if "down" in e.kind]
            assert_that(accused, equal_to([]))
        world.heal()
        world.run(SETTLING)
        self.expect(world, ALL_ACTIVE)
        for machine in world.machines.values():
            assert_that(
                [run for run in machine.runs if run[1] == "down" and run[0] > 60], equal_to([])
            )


class StartTests(ClusterTestCase):
    """Machines and processes that start."""

    def test_alone(self) -> None:
        """A node that starts alone takes nothing."""
        world = self.cluster()
        world.start("flip1")
        world.run(60)
        assert_that(world["flip1"].held(), equal_to(set()))

    def test_two_of_three(self) -> None:
        """Two of three take over everything once the third has had the time to answer."""
        world = self.cluster()
        world.start("flip", "flip2")
        self.await_holdings(world, FLIP1_DOWN, 10)

    def test_mass_restart(self) -> None:
        """All processes are killed and come back: everybody keeps what it had."""
        for seed in range(5):
            world = self.story(seed)
            for machine in world.machines.values():
                machine.kill()
            world.run(3)
            for machine in world.machines.values():
                world.schedule(world.rng.uniform(0, 1), machine.start)
            world.run(SETTLING)
            self.expect(world, ALL_ACTIVE)
            for machine in world.machines.values():
                for other in world.others(machine.id):
                    assert_that(machine.state(other), equal_to(State.ALIVE))
            held = [
                run
                for machine in world.machines.values()
                for run in machine.runs
                if run[1] == "down" and run[2] in ALL_ACTIVE[machine.id]
            ]
            assert_that(held, equal_to([]))

    def test_power_failure(self) -> None:
        """All machines lose power and come back: everybody serves what it had (K1)."""
        world = self.story()
        for machine in world.machines.values():
            machine.reboot()
        world.run(3)
        world.start()
        self.await_holdings(world, ALL_ACTIVE)

    def test_quick_reboot(self) -> None:
        """A machine that reboots faster than anybody notices serves again (K1)."""
        world = self.story()
        world["flip1"].reboot()
        world.run(0.2)
        world["flip1"].start()
        assert_that(self.await_holdings(world, ALL_ACTIVE), less_than(5.0))

    def test_restart_while_another_is_dead(self) -> None:
        """A live holder keeps data for which the plan names a dead member (K7)."""
        world = self.story()
        world["flip1"].reboot()
        self.await_holdings(world, FLIP1_DOWN)
        world.run(2)
        for id in ("flip", "flip2"):
            world[id].kill()
        world.run(0.5)
        world.start("flip", "flip2")
        for _ in range(200):
            world.run(0.1)
            assert_that(holdings(world), equal_to(FLIP1_DOWN))

    def test_left_behind(self) -> None:
        """What a killed process left behind is taken away when its owner is another (R4)."""
        world = self.story()
        world["flip1"].kill()
        self.await_holdings(world, {"flip": {ONE, TWO}, "flip1": {TWO}, "flip2": set()})
        world.run(5)
        # Its address moves to the other server for good.
        world["flip"].running_node.parts.membership.amend()
        world["flip1"].start()
        self.await_holdings(world, ALL_ACTIVE)
        world.run(5)
        self.expect(world, ALL_ACTIVE)

    def test_lost_disk(self) -> None:
        """A node that has lost its journal cleans up everything that is not its own (R4)."""
        world = self.story()
        world["flip1"].kill()
        world["flip1"].lose_disk()
        world["flip1"].serve(("ip", ONE))
        world.start("flip1")
        self.await_holdings(world, ALL_ACTIVE)
        world.run(5)
        self.expect(world, ALL_ACTIVE)


class LeaveTests(ClusterTestCase):
    """A clean stop (R5)."""

    def test_handoff(self) -> None:
        """Everything is let go of and taken over, without a moment of two owners, within 10 s."""
        for seed in range(10):
            world = self.story(seed)
            world["flip1"].leave()
            took = self.await_holdings(world, FLIP1_DOWN)
            assert_that(took, less_than(0.5))
            world.run(10)
            assert_that(world["flip1"].node, equal_to(None))
            assert_that(world["flip"].state("flip1"), equal_to(State.LEFT))
            assert_that(world.invariants.overlaps.longest, equal_to(0.0))
            self.expect(world, FLIP1_DOWN)

    def test_fast(self) -> None:
        """A planned handoff costs two hooks and a message."""
        world = self.story()
        world["flip"].hook_time = world["flip1"].hook_time = Uniform(0.01, 0.01)
        world["flip1"].leave()
        self.await_holdings(world, FLIP1_DOWN)
        down = max(at for at, event, _ in world["flip1"].runs if event == "down")
        up = max(at for at, event, _ in world["flip"].runs if event == "alive")
        assert_that(up - down, less_than(0.015))

    def test_failing_down(self) -> None:
        """With a claim that cannot be dropped it never says that it left, and ends all the same."""
        world = self.story()
        world["flip1"].failing.add(("down", TWO))
        world["flip1"].leave()
        took = world.await_end(world["flip1"], 10)
        assert_that(took, greater_than(5))
        assert_that(world["flip"].state("flip1"), not_(equal_to(State.LEFT)))
        world.run(5)
        assert_that(world["flip"].state("flip1"), equal_to(State.DOWN))

    def test_last_one(self) -> None:
        """The last ones to leave wait for nobody."""
        world = self.story()
        for id in ("flip1", "flip", "flip2"):
            done = world[id].leave()
            assert_that(world.await_fired(done, 5), less_than(3))
        assert_that(holdings(world), equal_to({id: set() for id in world.machines}))

    def test_back_again(self) -> None:
        """One that left and is back gets its share."""
        world = self.story()
        world["flip1"].leave()
        world.run(5)
        world["flip1"].start()
        assert_that(self.await_holdings(world, ALL_ACTIVE), less_than(5))
        world.run(5)
        self.expect(world, ALL_ACTIVE)


class LargerTests(ClusterTestCase):
    """More than three."""

    def test_ten_nodes(self) -> None:
        """Two of ten die and come back: an even division all along, and it moves back."""
        world = self.cluster(larger(10, 100))
        world.start()
        world.run_until(
            lambda: at_rest(world) and all(len(h) == 10 for h in holdings(world).values()), 20
        )
        before = holdings(world)
        for id in ("n3", "n7"):
            world[id].reboot()
        world.run_until(lambda: sum(map(len, holdings(world).values())) == 100, 20)
        world.run(10)
        counts = [len(held) for id, held in holdings(world).items() if id not in ("n3", "n7")]
        assert_that(max(counts) - min(counts), less_than(2))
        world.start("n3", "n7")
        world.run_until(lambda: holdings(world) == before and at_rest(world), 20)
