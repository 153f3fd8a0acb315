"""Processes that stall, flap, step their clock, fail their hooks or exist twice."""

from __future__ import annotations

import random
from dataclasses import replace

from hamcrest import assert_that, equal_to, greater_than, less_than, only_contains, starts_with

from flip.membership.roster import State
from flip.simulation.disk import MemoryDisk
from flip.simulation.machine import Machine
from flip.simulation.world import World
from tests.cluster.case import (
    ALL_ACTIVE,
    FLIP1_DOWN,
    ONE,
    SETTLING,
    TWO,
    ClusterTestCase,
    at_rest,
    holdings,
    larger,
)
from tests.matchers import has_item


def kinds(machine: Machine) -> list[str]:
    """What happened, by a node's journal."""
    return [event.kind for event in machine.running_node.journal.events(10_000)]


class OrphanTests(ClusterTestCase):
    """Hooks that outlive the process that ran them."""

    def test_killed(self) -> None:
        """A `down` of a killed process does not take away what the next one serves."""
        for seed in range(10):
            world = self.story(seed)
            flip1 = world["flip1"]
            flip1.slow.add(("down", TWO))
            flip1.leave()
            world.run(world.rng.uniform(0.1, 5))
            flip1.slow.clear()
            flip1.kill()
            flip1.start()
            world.run(SETTLING + 10)
            self.expect(world, ALL_ACTIVE)

    def test_stopped(self) -> None:
        """Nor does one that a clean stop gave up waiting for: it ends with the process."""
        for seed in range(10):
            world = self.story(seed)
            flip1 = world["flip1"]
            flip1.slow.add(("down", TWO))
            left = flip1.leave()
            world.run(9)
            self.successResultOf(left)
            assert_that(flip1.running_hooks, equal_to({}))
            assert_that(flip1.held(), equal_to({TWO}))
            flip1.slow.clear()
            flip1.start()
            world.run(SETTLING + 10)
            self.expect(world, ALL_ACTIVE)


class StallTests(ClusterTestCase):
    """SIGSTOP and SIGCONT."""

    def test_long_freeze(self) -> None:
        """A node that stood still finds out first, and lets go of nothing it keeps."""
        for seed in range(10):
            world = self.story(seed)
            world.invariants.overlaps.limit = 0.3
            world["flip1"].freeze()
            world.await_served("flip", {ONE, TWO}, SETTLING)
            world.run(world.rng.uniform(0, 10))
            world["flip1"].thaw()
            world.run(SETTLING)
            self.expect(world, ALL_ACTIVE)
            let_go = [at for at, event, _ in world["flip"].runs if event == "down"]
            word = [at for at, event, _ in world["flip1"].runs if event == "alive"]
            assert_that(max(word), greater_than(max(let_go)), f"seed {seed}")

    def test_thaw(self) -> None:
        """A node that stood still asks at once, and only answers to that bring it in touch."""
        for seed in range(20):
            world = self.story(seed)
            world.run(world.rng.uniform(0, 3))
            world["flip1"].freeze()
            world.run(10 + world.rng.uniform(0, 1))
            world["flip1"].thaw()
            membership = world["flip1"].running_node.parts.membership
            assert_that(membership.in_touch, equal_to(False), f"seed {seed}")
            took = world.await_touch("flip1", 1)
            assert_that(took, less_than(0.02), f"seed {seed}")

    def test_short_freeze(self) -> None:
        """A pause shorter than a probe's time is no failure."""
        for seed in range(10):
            world = self.story(seed)
            for _ in range(5):
                world["flip1"].freeze()
                world.run(1.2)
                world["flip1"].thaw()
                world.run(1.0)
            assert_that(
                [kinds(m) for m in world.machines.values() if "down" in kinds(m)], equal_to([])
            )
            self.expect(world, ALL_ACTIVE)

    def test_voter_freezes(self) -> None:
        """A node that stood still does not accuse those whose answers it has not read yet."""
        for seed in range(10):
            world = self.story(seed)
            world["flip2"].freeze()
            world.run(1.4)
            world["flip2"].thaw()
            world.run(SETTLING)
            assert_that(
                [id for id in ("flip", "flip1") if world["flip2"].state(id) is not State.ALIVE],
                equal_to([]),
            )
            assert_that("probably-down" in kinds(world["flip2"]), equal_to(False))


class FlappingTests(ClusterTestCase):
    """Members that come and go."""

    def test_flapping(self) -> None:
        """A member that is voted down again and again stays out for a growing time (R8)."""
        world = self.story()
        absences = []
        for _ in range(4):
            world.cut(["flip1"], world.others("flip1"))
            world.await_served("flip", {ONE, TWO}, SETTLING)
            world.run(5)
            world.heal()
            healed = world.now
            world.run_until(lambda: holdings(world) == ALL_ACTIVE and at_rest(world), 60)
            absences.append(world.now - healed)
            world.run(5)
        assert_that(absences[3], greater_than(absences[0] + 2))
        assert_that(kinds(world["flip1"]), has_item("flapping"))


class ClockTests(ClusterTestCase):
    """The wall clock only names incarnations."""

    def test_step(self) -> None:
        """A step of the wall clock in a running cluster changes nothing."""
        world = self.story()
        for offset in (-3600.0, 7200.0, 0.0):
            world["flip1"].wall_offset = offset
            world.run(20)
            self.expect(world, ALL_ACTIVE)

    def test_set_back(self) -> None:
        """A node that restarts without its disk and with an earlier clock still joins (M4)."""
        world = self.story()
        world["flip1"].reboot()
        world["flip1"].lose_disk()
        world["flip1"].wall_offset = -86400.0
        world.run(0.3)
        world["flip1"].start()
        self.await_holdings(world, ALL_ACTIVE, 6)
        world.run(5)
        self.expect(world, ALL_ACTIVE)

    def test_set_back_after_leaving(self) -> None:
        """The same for one that had left."""
        world = self.story()
        world["flip1"].leave()
        world.run(5)
        world["flip1"].lose_disk()
        world["flip1"].wall_offset = -86400.0
        world["flip1"].start()
        self.await_holdings(world, ALL_ACTIVE, 6)


class HookTests(ClusterTestCase):
    """A broken node must not be a black hole (R3)."""

    def test_failing_alive(self) -> None:
        """After three failures another takes over, and the node says that it cannot."""
        world = self.cluster()
        world["flip1"].failing.add(("alive", TWO))
        world.start()
        self.await_holdings(world, FLIP1_DOWN, 15)
        world.run(20)
        self.expect(world, FLIP1_DOWN)
        record = world["flip"].running_node.parts.membership.roster["flip1"].record
        assert record is not None
        assert_that(record.ineligible, equal_to(("ip",)))
        world["flip1"].failing.clear()
        world["flip1"].running_node.parts.keeper.retry()
        self.await_holdings(world, ALL_ACTIVE, 5)

    def test_retry_after(self) -> None:
        """It is eligible again after `retry_after`."""
        world = self.story(retry_after=5000)
        world["flip1"].failing.add(("alive", TWO))
        world["flip1"].reboot()
        world.run(0.3)
        world["flip1"].start()
        world.await_served("flip", {ONE, TWO}, 20)
        world["flip1"].failing.clear()
        self.await_holdings(world, ALL_ACTIVE, 10)

    def test_nobody_else(self) -> None:
        """One that is alone goes on trying."""
        world = self.story()
        world["flip1"].reboot()
        self.await_holdings(world, FLIP1_DOWN)
        world["flip"].failing.add(("alive", TWO))
        world["flip"].reboot()
        world.run(1)
        world["flip"].start()
        world.run(60)
        assert_that(world["flip"].held(), has_item(ONE))
        world["flip"].failing.clear()
        self.await_holdings(world, FLIP1_DOWN, 35)

    def test_both_broken(self) -> None:
        """Where all are broken, all go on trying: the first that can serves."""
        world = self.cluster()
        for id in ("flip", "flip1"):
            world[id].failing.add(("alive", TWO))
        world.start()
        world.run(60)
        world["flip"].failing.clear()
        world.run_until(lambda: TWO in world["flip"].held() and at_rest(world), 120)

    def test_hanging_down(self) -> None:
        """While a `down` hangs nobody else takes the data point; then it moves."""
        world = self.story(hook_timeout=3000)
        world["flip1"].hanging.add(("down", TWO))
        world["flip1"].running_node.parts.keeper.fitness.exclude("the test says so", None)
        world.run(10)
        assert_that(world["flip"].held(), equal_to({ONE}))
        world["flip1"].hanging.clear()
        world.await_served("flip", {ONE, TWO}, 40)
        assert_that(world.invariants.overlaps.longest, equal_to(0.0))


class DoubleTests(ClusterTestCase):
    """Two processes with one id (M5)."""

    def test_double(self) -> None:
        """The younger one lets go of everything and stops; the elder goes on and says so."""
        for seed in range(5):
            world = self.story(seed)
            twin = Machine(world, world["flip1"].config, MemoryDisk("twin"))
            me = replace(twin.config.me, ip="10.0.0.9")
            servers = {**twin.config.servers, "flip1": me}
            world.machines["twin"] = twin
            twin.start(replace(twin.config, servers=servers))
            world.await_end(twin, 30)
            assert_that(twin.stopped, equal_to(True))
            assert_that(twin.held(), equal_to(set()))
            del world.machines["twin"]
            world.run(SETTLING)
            self.expect(world, ALL_ACTIVE)
            alarms = world["flip1"].running_node.parts.chronicle.alarms
            assert_that(alarms["double"], starts_with("another process runs as flip1"))
            rises = world["flip1"].running_node.parts.membership.own.record.incarnation
            world.run(30)
            assert_that(
                world["flip1"].running_node.parts.membership.own.record.incarnation, equal_to(rises)
            )


class ManyTests(ClusterTestCase):
    """What one death costs among many."""

    def fifty(self) -> World:
        """Fifty nodes that have settled."""
        world = self.cluster(larger(50, 0))
        world.start()
        nodes = [machine.running_node for machine in world.machines.values()]
        world.run_until(
            lambda: at_rest(world) and all(node.parts.membership.settled for node in nodes), 60
        )
        return world

    def test_sweep_ends(self) -> None:
        """The doubt about one dead member does not make everybody probe everybody for ever (S1)."""
        world = self.fifty()
        world.run(5)
        idle = packets(world, 5)
        world["n7"].kill()
        death = packets(world, 10) - 2 * idle
        assert_that(
            [m.state("n7") for m in world.machines.values() if m.node], only_contains(State.DOWN)
        )
        assert_that(death, less_than(49 * 150))
        # Everybody goes on looking for it in turn, and that is all.
        assert_that(packets(world, 5), less_than(1.3 * idle))

    def test_many_deaths(self) -> None:
        """A third of fifty nodes dies at once: all are found, nobody else is."""
        world = self.fifty()
        dead = random.Random(1).sample(sorted(world.machines), 16)
        for id in dead:
            world[id].kill()
        live = [m for m in world.machines.values() if m.node]
        world.run_until(lambda: all(m.state(id) is State.DOWN for m in live for id in dead), 40)
        world.run(5)
        assert_that(
            [m.id for m in live for other in live if m.state(other.id) is not State.ALIVE],
            equal_to([]),
        )


def packets(world: World, seconds: float) -> int:
    """How many datagrams all nodes send in a time."""
    before = world.network.sent.total()
    world.run(seconds)
    return world.network.sent.total() - before
