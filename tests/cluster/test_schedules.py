"""Random schedules of faults: the safety rules hold all along, and afterwards all is well.

More of them, or one again:

    FLIP_SCHEDULES=2000 trial tests.cluster.test_schedules
    FLIP_SEED=17 trial tests.cluster.test_schedules
"""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Callable
from functools import partial
from typing import Any

from hamcrest import assert_that, equal_to

from flip.allocation import plan
from flip.membership.roster import State
from flip.simulation.machine import Machine
from flip.simulation.world import World
from tests.cluster.case import STORY, ClusterTestCase, at_rest, holdings, larger

COUNT = int(os.environ.get("FLIP_SCHEDULES", "40"))
FAULTS = 12
LASTING = 25.0  # seconds in which faults happen
LEAVING = 10.5  # seconds in which a clean stop ends, with or without its hooks
RECOVERY = 90.0  # seconds by which everything must be well: the longest penalty (R8) and a start


class ScheduleTests(ClusterTestCase):
    """Kills, reboots, lost disks, freezes, cuts of all kinds, loss, failing hooks, clean stops."""

    def test_schedules(self) -> None:
        """Every data point ends at the node that the topology names, every claim is true."""
        only = os.environ.get("FLIP_SEED")
        for seed in [int(only)] if only else range(COUNT):
            self._run_schedule(seed)

    def _run_schedule(self, seed: int) -> None:
        world = World(_description(seed), seed)
        try:
            self._act(world)
            self._recover(world)
        finally:
            world.close()

    def _act(self, world: World) -> None:
        world.start()
        for _ in range(FAULTS):
            fault = world.rng.choice(_FAULTS)
            machine = world.rng.choice(list(world.machines.values()))
            world.schedule(world.rng.uniform(3, LASTING), partial(fault, machine))
        world.run(LASTING + 1)

    def _recover(self, world: World) -> None:
        world.heal()
        world.network.loss = 0.0
        for machine in world.machines.values():
            machine.failing.clear()
            machine.hanging.clear()
            if machine.reactor is not None and machine.reactor.frozen:
                machine.thaw()
        world.run(LEAVING)
        for machine in world.machines.values():
            if machine.node is None:
                machine.start()
        expected = {id: set(data) for id, data in plan(world.base)["ip"].items()}
        world.run_until(lambda: holdings(world) == expected and at_rest(world), RECOVERY)
        world.run(5)
        if holdings(world) != expected or not at_rest(world):
            raise world.violation("it did not stay well", "rest")
        for machine in world.machines.values():
            for other in world.machines:
                assert_that(machine.state(other), equal_to(State.ALIVE), f"seed {world.seed}")


def _description(seed: int) -> dict[str, Any]:
    """The story's cluster, or five nodes with more data; every third with other settings."""
    description = copy.deepcopy(STORY if seed % 3 else larger(5, 7))
    rng = random.Random(seed)
    if rng.random() < 0.3:
        description["cluster"]["system"]["ip"] |= {
            "type": rng.choice(["shard", "replicate"]),
            "on_isolation": rng.choice(["hold", "release"]),
            "remove_on_start": rng.choice([True, False]),
            "hook_concurrency": rng.choice([1, 4]),
            "delay": rng.choice([0, 50, 1000]),
        }
    return description


def _kill(machine: Machine) -> None:
    if machine.running:
        machine.kill()


def _reboot(machine: Machine) -> None:
    if machine.running:
        machine.reboot()


def _lose_disk(machine: Machine) -> None:
    if machine.node is None:
        machine.lose_disk()


def _start(machine: Machine) -> None:
    if machine.node is None:
        machine.start()


def _freeze(machine: Machine) -> None:
    if machine.running:
        machine.freeze()


def _thaw(machine: Machine) -> None:
    if machine.reactor is not None and machine.reactor.frozen:
        machine.thaw()


def _leave(machine: Machine) -> None:
    if machine.running and not machine.leaving:
        machine.leave()


def _fail_hooks(machine: Machine) -> None:
    world = machine.world
    event = world.rng.choice(["alive", "down"])
    chosen = world.rng.choice([machine.failing, machine.hanging])
    chosen.add((event, world.rng.choice(world.base.systems["ip"].data)))


def _mend_hooks(machine: Machine) -> None:
    machine.failing.clear()
    machine.hanging.clear()


def _isolate(machine: Machine) -> None:
    machine.world.cut([machine.id], machine.world.others(machine.id))


def _cut_link(machine: Machine) -> None:
    world = machine.world
    other = world.rng.choice(world.others(machine.id))
    world.cut([machine.id], [other], one_way=world.rng.random() < 0.5)


def _heal(machine: Machine) -> None:
    machine.world.heal()


def _lose(machine: Machine) -> None:
    machine.world.network.loss = machine.world.rng.choice([0.0, 0.1, 0.3])


_FAULTS: list[Callable[[Machine], None]] = [
    _kill,
    _reboot,
    _lose_disk,
    _start,
    _start,
    _start,
    _freeze,
    _thaw,
    _thaw,
    _leave,
    _fail_hooks,
    _mend_hooks,
    _isolate,
    _cut_link,
    _heal,
    _heal,
    _lose,
]
