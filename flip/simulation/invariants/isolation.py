"""What a node that reaches no quorum does, and whom it hands things to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flip.simulation.invariants.claims import STRETCH
from flip.simulation.invariants.detection import SLACK, detection_bound
from flip.simulation.invariants.invariant import Invariant
from flip.simulation.invariants.truth import Truth, rotation
from flip.wire.claims import Phase
from flip.wire.messages import Status

if TYPE_CHECKING:
    from flip.holdings.runner import HookCall
    from flip.simulation.machine import Machine
    from flip.simulation.world import World


class Isolated(Invariant):
    """R1 and `on_isolation`: who reaches no quorum knows it, and lets go where that is asked.

    A running node that has reached the same few, and no quorum, not even through a helper, for
    `rotation + ping_timeout * stretch` and the time in which it may still be answered, by its
    own clock, is not in touch; `ping_timeout` and two `down` hooks for every slot later its
    machine serves nothing of a system that releases when isolated, unless `down` fails there.
    Stretch, the health's, and clock: the greatest, and the slowest, since that began.

    It may still be answered because a probe that it began before may end well: what was sent
    before a cut arrives, and nobody can tell from an answer what happened since. That lasts
    for `2 * ping_timeout`, or where a question and its answer, even through a helper, took
    longer at any time of the run, as long as that; but not after the probe is over
    (`ping_timeout * stretch`), for then no answer counts any more.
    """

    def __init__(self, world: World, truth: Truth) -> None:
        super().__init__(world, truth)
        self._epoch = -1
        self._due = 0.0
        self._since: dict[str, float] = {}
        self._stretch: dict[str, int] = {}
        self._pace: dict[str, float] = {}  # seconds that pass in one second of its clock
        self._answer = 0.0  # seconds until an answer, at most, in the run so far

    def process_changed(self, machine: Machine) -> None:
        """One that just started or thawed has all its time before it."""
        self._since[machine.id] = self.world.now

    def stepped(self, world: World) -> None:
        """Look when the first of them is due."""
        if self._epoch != self.truth.epoch or world.now > self._due:
            self._epoch = self.truth.epoch
            self._answer = max(self._answer, 2 * self.truth.answer_time)  # through a helper
            self._look()

    def _look(self) -> None:
        self._due = math.inf
        for id, machine in self.world.machines.items():
            if machine.running and self.truth.isolated(id) and not machine.leaving:
                self._judge(machine, min(self.truth.alone(id), self._lasting(machine)))

    def _lasting(self, machine: Machine) -> float:
        return self.world.now - self._since.get(machine.id, 0.0)

    def _judge(self, machine: Machine, alone: float) -> None:
        config = self.world.base
        membership = machine.running_node.parts.membership
        stretch, pace = membership.health.stretch, 1 / (1 + machine.drift)
        if alone >= SLACK:  # a node that falls ill while it finds out takes longer
            stretch = max(stretch, self._stretch.get(machine.id, STRETCH))
            pace = max(pace, self._pace.get(machine.id, pace))
        self._stretch[machine.id], self._pace[machine.id] = stretch, pace
        probe = config.ping_timeout * stretch * pace
        answered = max(2 * config.ping_timeout * pace, min(self._answer, probe))
        knows = rotation(config) * pace + probe + answered + SLACK
        if alone > knows and membership.in_touch:
            raise self.violated(
                f"{machine.id} is in touch, but reaches no quorum for {alone:.3f} s"
            )
        due = [knows]
        for system in config.systems.values():
            if system.on_isolation == "release" and not machine.failing and not machine.hanging:
                rounds = 2 + 2 * len(system.data) // system.hook_concurrency
                hooks = rounds * machine.hook_time.longest + self._slowest(
                    machine, system.hook_timeout
                )
                empty = knows + (config.ping_timeout + hooks) * pace
                held = [datum for name, datum in machine.served if name == system.name]
                if alone > empty and held:
                    raise self.violated(
                        f"{machine.id} serves {held} although it is isolated for {alone:.3f} s"
                    )
                due.append(empty)
        later = [seconds for seconds in due if seconds >= alone]
        wait = min(later) - alone if later else config.ping_timeout
        self._due = min(self._due, self.world.now + wait + SLACK)

    def _slowest(self, machine: Machine, timeout: float) -> float:
        return 2 * timeout if machine.slow else 0.0


class Heirs(Invariant):
    """K7, M6: nobody lets go of something in favour of a dead member.

    A node that holds a shard's data point and reaches a quorum, is not leaving, and
    starts its `down` hook because its plan names another member, does so for one that
    serves it already, or whose process runs, or did until `detection_bound` ago.
    """

    def __init__(self, world: World, truth: Truth) -> None:
        super().__init__(world, truth)
        self._ended: dict[str, float] = {}

    def process_changed(self, machine: Machine) -> None:
        """Keep when each machine last ran."""
        if machine.running:
            self._ended.pop(machine.id, None)
        else:
            self._ended.setdefault(machine.id, self.world.now)

    def hook_started(self, machine: Machine, call: HookCall) -> None:
        """Judge what is let go of."""
        point = call.system, call.datum
        if call.event != "down" or point not in machine.served or not self.truth.single(point):
            return
        node = machine.node
        keeper = node.parts.keeper.systems.get(call.system) if node is not None else None
        if node is None or keeper is None or keeper.ending or machine.leaving:
            return
        heir = keeper.owners.get(call.datum)
        holding = keeper.holdings.get(call.datum)
        if heir in (None, machine.id) or heir not in self.world.machines or holding is None:
            return
        if holding.phase is not Phase.RELEASING or holding.failures or self._yields(machine, call):
            return
        dead = self.world.now - self._ended.get(heir, self.world.now)
        stretch = node.parts.membership.health.stretch
        if dead > rotation(self.world.base) + detection_bound(self.world.base, stretch):
            raise self.violated(
                f"{machine.id} lets go of {call.datum} for {heir}, which is dead for {dead:.3f} s"
            )

    def _yields(self, machine: Machine, call: HookCall) -> bool:
        """Whether somebody else may have it, by what the node knows."""
        claims = machine.running_node.parts.keeper.outlook.claims(call.system, call.datum)
        record = machine.running_node.parts.membership.own.record
        return any(phase is not Phase.UNSURE for phase in claims.values()) or (
            record.status == Status.LEAVING or call.system in record.ineligible
        )
