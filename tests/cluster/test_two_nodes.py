"""docs/two-nodes.md: what each kind of two-node cluster does in every fault.

Each cell of the page's table is a test here, and its docstring is the cell's text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from hamcrest import assert_that, equal_to, greater_than, has_length, less_than

from flip.simulation.world import World
from tests.cluster.case import DETECTION, ONE, SETTLING, TWO, ClusterTestCase, at_rest, holdings

PAGE = Path(__file__).parent.parent.parent / "docs" / "two-nodes.md"
GATEWAY = "10.0.0.254"
A, B, ARBITER = "a", "b", "arbiter"
HEALING = 3.0  # seconds within which one owner is left after a cut
LATER = 15.0  # seconds after which whatever was going to happen has happened


class TwoNodes(ClusterTestCase):
    """Servers a and b, each with one of two data points."""

    settings: ClassVar[dict[str, Any]]
    arbiter = False

    def two(self, seed: int = 1, **system: Any) -> World:
        """Both serve what is theirs, and rest."""
        servers = {
            A: {"ip": "10.0.0.1", "port": 2200, "systems": ["ip"]},
            B: {"ip": "10.0.0.2", "port": 2200, "systems": ["ip"]},
        }
        if self.arbiter:
            servers[ARBITER] = {"ip": "10.0.0.3", "port": 2200}
        ip = {"alive": "up", "down": "down", "type": "shard", "data": [ONE, TWO]}
        described = {
            "key": "secret",
            "servers": servers,
            "cluster": {"system": {"ip": ip | system}},
        }
        world = self.cluster(described | self.settings, seed)
        world.start()
        world.run_until(lambda: self.divided(world) and at_rest(world), SETTLING)
        world.run(3)
        return world

    def owners(self, world: World) -> tuple[set[str], set[str]]:
        """What a and b serve."""
        found = holdings(world)
        return found[A], found[B]

    def divided(self, world: World) -> bool:
        """Whether each serves its own."""
        return self.owners(world) == ({ONE}, {TWO})

    def expect_owners(self, world: World, a: set[str], b: set[str]) -> None:
        assert_that(self.owners(world), equal_to((a, b)), "\n".join(world.history))

    def takes_over(self, world: World, limit: float = DETECTION + 0.1) -> None:
        """b takes what was a's."""
        world.await_served(B, {ONE, TWO}, limit)

    def heals(self, world: World) -> None:
        """One owner for each, soon."""
        world.heal()
        seconds = world.run_until(lambda: self.divided(world), LATER)
        assert_that(seconds, less_than(HEALING))

    def stays(self, world: World) -> None:
        """Nothing moves, not even for a moment."""
        ran = [len(machine.runs) for machine in world.machines.values()]
        world.run(LATER)
        assert_that([len(machine.runs) for machine in world.machines.values()], equal_to(ran))
        assert_that(self.divided(world), equal_to(True))

    def isolate(self, world: World, id: str) -> None:
        """A machine's link fails."""
        world.cut((id,), world.others(id))
        self.cut_gateway(world, id)

    def cut_gateway(self, world: World, *ids: str) -> None:
        addresses = world.addresses(*ids)
        world.network.cut(addresses, [GATEWAY])
        world.network.cut([GATEWAY], addresses)

    def third_dies(self, world: World) -> None:
        """The arbiter, or the gateway."""
        if self.arbiter:
            world[ARBITER].reboot()
        self.cut_gateway(world, A, B)

    def switch_dies(self, world: World) -> None:
        world.cut_all()
        self.cut_gateway(world, A, B)

    def crash(self) -> World:
        """a loses its power; its data is b's soon."""
        world = self.two()
        world[A].reboot()
        self.takes_over(world)
        self.expect_owners(world, set(), {ONE, TWO})
        return world

    def agent_crash(self) -> None:
        """a's flip is killed, and started again later."""
        world = self.two()
        world[A].kill()
        self.takes_over(world)
        world.run(LATER)
        self.expect_owners(world, {ONE}, {ONE, TWO})
        world[A].start()
        world.run_until(lambda: self.divided(world), LATER)

    def clean_stop(self) -> None:
        """a is told to stop; nobody serves twice, and nobody waits for a timeout."""
        world = self.two()
        world[A].leave()
        self.takes_over(world, 0.5)
        self.expect_owners(world, set(), {ONE, TWO})

    def split(self) -> World:
        """Both take everything."""
        world = self.two()
        world.cut([A], [B])
        world.run_until(lambda: self.owners(world) == ({ONE, TWO}, {ONE, TWO}), LATER)
        return world

    def isolated(self, *, takes: bool) -> None:
        """a's link fails: b takes over; whether a takes, too."""
        world = self.two()
        self.isolate(world, A)
        self.takes_over(world)
        world.run(LATER)
        self.expect_owners(world, {ONE, TWO} if takes else {ONE}, {ONE, TWO})
        self.heals(world)

    def isolated_release(self) -> None:
        """The same with on_isolation: release."""
        world = self.two(on_isolation="release")
        self.isolate(world, A)
        self.takes_over(world)
        seconds = world.run_until(lambda: not self.owners(world)[0], LATER)
        assert_that(seconds, less_than(2 * DETECTION))
        self.heals(world)

    def frozen(self) -> None:
        """a stands still for 8 s."""
        world = self.two()
        world[A].freeze()
        self.takes_over(world)
        world.run(8 - DETECTION)
        self.expect_owners(world, {ONE}, {ONE, TWO})
        world[A].thaw()
        seconds = world.run_until(lambda: self.divided(world), LATER)
        assert_that(seconds, less_than(HEALING))

    def power_cut(self) -> None:
        """Everything but the gateway loses its power, and starts again at once."""
        world = self.two()
        for machine in world.machines.values():
            machine.reboot()
        world.run(1)
        world.start()
        seconds = world.run_until(lambda: self.divided(world), LATER)
        assert_that(seconds, less_than(HEALING))

    def lone_start(self) -> None:
        """b starts while a is dead; the arbiter runs."""
        world = self.two()
        for id in (A, B):
            world[id].reboot()
        world.run(5)
        world[B].start()
        seconds = world.run_until(lambda: self.owners(world) == (set(), {ONE, TWO}), LATER)
        assert_that(seconds, greater_than(1.5))
        assert_that(seconds, less_than(3 * DETECTION))


class ArbiterTests(TwoNodes):
    """A third server without systems."""

    arbiter = True
    settings: ClassVar[dict[str, Any]] = {}

    def test_node_crash(self) -> None:
        """b takes over within 2.5 s"""
        self.crash()

    def test_agent_crash(self) -> None:
        """b takes over, and a's hooks' work stays: two owners until its flip is back"""
        self.agent_crash()

    def test_clean_stop(self) -> None:
        """b takes over at once, never two owners"""
        self.clean_stop()

    def test_cut_between(self) -> None:
        """nothing moves: each hears of the other through the arbiter"""
        world = self.two()
        world.cut([A], [B])
        self.stays(world)

    def test_isolated(self) -> None:
        """b takes over; a takes nothing and keeps what it has; one owner soon after healing"""
        self.isolated(takes=False)

    def test_isolated_release(self) -> None:
        """the same, but a lets go within 5 s"""
        self.isolated_release()

    def test_switch_dies(self) -> None:
        """nothing moves"""
        world = self.two()
        self.switch_dies(world)
        self.stays(world)

    def test_third_dies(self) -> None:
        """nothing moves"""
        world = self.two()
        self.third_dies(world)
        self.stays(world)

    def test_third_dies_first(self) -> None:
        """b keeps what it has and takes nothing, until somebody says `flip confirm-down a`"""
        self._third_dies_first()

    def test_freeze(self) -> None:
        """b takes over, two owners while a is frozen; one owner soon after"""
        self.frozen()

    def test_power_cut(self) -> None:
        """each has its own again within 3 s"""
        self.power_cut()

    def test_lone_start(self) -> None:
        """b takes everything once it has looked for a in vain, within 8 s"""
        self.lone_start()

    def _third_dies_first(self) -> None:
        world = self.two()
        self.third_dies(world)
        world.run(5)
        world[A].reboot()
        world.run(LATER)
        self.expect_owners(world, set(), {TWO})
        world[B].running_node.parts.membership.confirm_down([A])
        self.takes_over(world, 4.0)  # it hears the third out: one probe ends, another is missed
        world[A].start()
        world.run_until(lambda: self.divided(world), LATER)


class WitnessTests(ArbiterTests):
    """A gateway that both can ping."""

    arbiter = False
    settings: ClassVar[dict[str, Any]] = {"witness": {"ping": [GATEWAY]}}

    def test_node_crash(self) -> None:
        """b takes over within 2.5 s"""
        self.crash()

    def test_agent_crash(self) -> None:
        """b takes over, and a's hooks' work stays: two owners until its flip is back"""
        self.agent_crash()

    def test_clean_stop(self) -> None:
        """b takes over at once, never two owners"""
        self.clean_stop()

    def test_cut_between(self) -> None:
        """**both take everything**; one owner soon after healing"""
        self.heals(self.split())

    def test_isolated(self) -> None:
        """b takes over; a takes nothing and keeps what it has; one owner soon after healing"""
        self.isolated(takes=False)

    def test_isolated_release(self) -> None:
        """the same, but a lets go within 5 s"""
        self.isolated_release()

    def test_switch_dies(self) -> None:
        """nothing moves"""
        world = self.two()
        self.switch_dies(world)
        self.stays(world)

    def test_third_dies(self) -> None:
        """nothing moves"""
        world = self.two()
        self.third_dies(world)
        self.stays(world)

    def test_third_dies_first(self) -> None:
        """b keeps what it has and takes nothing, until somebody says `flip confirm-down a`"""
        self._third_dies_first()

    def test_freeze(self) -> None:
        """b takes over, two owners while a is frozen; one owner soon after"""
        self.frozen()

    def test_power_cut(self) -> None:
        """each has its own again within 3 s"""
        self.power_cut()

    def test_lone_start(self) -> None:
        """b takes everything once it has looked for a in vain, within 8 s"""
        self.lone_start()


class QuorumOneTests(TwoNodes):
    """Each believes itself."""

    settings: ClassVar[dict[str, Any]] = {"quorum": 1}

    def test_node_crash(self) -> None:
        """b takes over within 2.5 s"""
        self.crash()

    def test_agent_crash(self) -> None:
        """b takes over, and a's hooks' work stays: two owners until its flip is back"""
        self.agent_crash()

    def test_clean_stop(self) -> None:
        """b takes over at once, never two owners"""
        self.clean_stop()

    def test_cut_between(self) -> None:
        """**both take everything**; one owner soon after healing"""
        self.heals(self.split())

    def test_left_while_cut(self) -> None:
        """Who took everything behind a cut and left has moved the neighbours: they are told."""
        world = self.split()
        world[B].leave()
        world.run_until(lambda: world[B].node is None, SETTLING)
        world.heal()
        world.run(LATER)
        back = world.now
        world[B].start()
        world.run_until(lambda: self.divided(world) and at_rest(world), SETTLING)
        told = [run for run in world[A].runs if run[0] >= back and run[1:] == ("alive", ONE)]
        assert_that(told, has_length(1), "\n".join(world.history))

    def test_isolated(self) -> None:
        """**both take everything**; one owner soon after healing"""
        self.isolated(takes=True)

    def test_isolated_release(self) -> None:
        """**both take everything**: a never counts as isolated"""
        world = self.two(on_isolation="release")
        self.isolate(world, A)
        world.run_until(lambda: self.owners(world) == ({ONE, TWO}, {ONE, TWO}), LATER)
        world.run(LATER)
        self.expect_owners(world, {ONE, TWO}, {ONE, TWO})
        self.heals(world)

    def test_switch_dies(self) -> None:
        """**both take everything**; one owner soon after healing"""
        world = self.two()
        self.switch_dies(world)
        world.run_until(lambda: self.owners(world) == ({ONE, TWO}, {ONE, TWO}), LATER)
        self.heals(world)

    def test_third_dies(self) -> None:
        """nothing moves: nobody is asked"""
        world = self.two()
        self.third_dies(world)
        self.stays(world)

    def test_third_dies_first(self) -> None:
        """b takes over within 2.5 s"""
        world = self.two()
        self.third_dies(world)
        world[A].reboot()
        self.takes_over(world)

    def test_freeze(self) -> None:
        """b takes over, two owners while a is frozen; one owner soon after"""
        self.frozen()

    def test_power_cut(self) -> None:
        """each has its own again within 3 s"""
        self.power_cut()

    def test_lone_start(self) -> None:
        """b takes everything once it has looked for a in vain, within 8 s"""
        self.lone_start()


class QuorumOneAndWitnessTests(TwoNodes):
    """A witness makes even a quorum of 1 look whether it is itself the one that is cut off."""

    settings: ClassVar[dict[str, Any]] = {"quorum": 1, "witness": {"ping": [GATEWAY]}}

    def test_isolated(self) -> None:
        """A node that reaches neither the other nor a witness takes nothing."""
        self.isolated(takes=False)

    def test_node_crash(self) -> None:
        """Else it is as with any witness."""
        self.crash()


class LossTests(TwoNodes):
    """Packets that are lost at random."""

    settings: ClassVar[dict[str, Any]] = {"witness": {"ping": [GATEWAY]}}

    def test_loss(self) -> None:
        """At 10 % on every link, the witness's included, nothing moves in ten minutes."""
        for seed in range(3):
            world = self.two(seed)
            world.network.loss = 0.1
            ran = [len(machine.runs) for machine in world.machines.values()]
            world.run(600)
            assert_that([len(one.runs) for one in world.machines.values()], equal_to(ran))
            reached = [world[id].running_node.parts.membership.witness for id in (A, B)]
            assert_that([one and one.reached() for one in reached], equal_to([True, True]))


class PageTests(ClusterTestCase):
    """The page says what the tests show."""

    columns = (ArbiterTests, WitnessTests, QuorumOneTests)

    def test_every_cell(self) -> None:
        """Each row names its test, and each cell is what that test's docstring says."""
        rows = [*table(PAGE.read_text())]
        expected = [
            [name, *(getattr(column, f"test_{name}").__doc__ for column in self.columns)]
            for name in names(ArbiterTests)
        ]
        assert_that(expected, has_length(12))
        assert_that(rows, equal_to(expected))


def names(case: type) -> list[str]:
    return [name.removeprefix("test_") for name in vars(case) if name.startswith("test_")]


def table(page: str) -> Iterator[list[str]]:
    """The rows of the page's table of faults: the test's name, then the cells."""
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        found = re.search(r"\(`(\w+)`\)$", cells[0])
        if found and len(cells) == 4:
            yield [found[1], *cells[1:]]
