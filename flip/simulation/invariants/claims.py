"""Who may begin to hold something, and that claims and journals tell the truth about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flip.simulation.invariants.invariant import Invariant
from flip.simulation.invariants.truth import Truth, rotation
from flip.wire.claims import Phase
from flip.wire.messages import Status

if TYPE_CHECKING:
    from flip.holdings.runner import HookCall
    from flip.membership.roster import Change
    from flip.node import Node
    from flip.simulation.machine import Machine, Point
    from flip.simulation.world import World

CALM = 4.0  # seconds without a fault after which members know of each other's claims
AT_ONCE = 0.05  # seconds within which two that take the same cannot know of each other
STRETCH = 4  # times, at most, that a node's health lengthens its probes


class Minority(Invariant):
    """Invariant 4, R1: a minority never starts to hold anything.

    A node whose `alive` hook starts for what it does not serve already is in touch
    and settled, unless the hook is a retry, or it claims that it holds the data point, and
    has served it in this life: it has told the others so since, and begins nothing. What
    it holds may have gone away without its doing, and R6 has `alive` run for what is kept:
    an interface was unplugged, or the node stood still, and the kernel, which counts whole
    seconds, has ended an exclusive address up to one before its grants. An ordinary address
    that ran out is no longer held.

    And the node is right about being in touch: it has not
    reached the same few, less than a quorum, itself included, directly or through
    one helper, for more than `rotation + 4 * ping_timeout` seconds (a rotation finds
    out that members are gone, a probe of the sickest node takes four timeouts).
    """

    def __init__(self, world: World, truth: Truth) -> None:
        super().__init__(world, truth)
        self._served: dict[tuple[str, Point], Node | None] = {}  # the process that did, at last

    def lapsed(self, machine: Machine, point: Point) -> None:
        """Without grants nobody can say that it may come back."""
        if not self.world.base.systems[point[0]].exclusive:
            self._served.pop((machine.id, point), None)

    def served_changed(self, machine: Machine, point: Point, serves: bool) -> None:
        """Keep in whose life it came."""
        if serves:
            self._served[machine.id, point] = machine.node

    def hook_started(self, machine: Machine, call: HookCall) -> None:
        """Judge what begins to be held."""
        point = call.system, call.datum
        if call.event != "alive" or point in machine.served:
            return
        parts = machine.running_node.parts
        holding = parts.keeper.systems[call.system].holdings[call.datum]
        served = self._served.get((machine.id, point)) is machine.node
        if (holding.phase is Phase.HELD and served) or holding.error is not None:
            return
        if not parts.membership.settled:
            raise self.violated(f"{machine.id} takes {call.datum} although it has not settled")
        config = self.world.base
        alone = self.truth.alone(machine.id)
        if alone > rotation(config) + STRETCH * config.ping_timeout:
            raise self.violated(
                f"{machine.id} takes {call.datum} although it has reached no quorum"
                f" for {alone:.3f} s"
            )


class BreakBeforeMake(Invariant):
    """R2: nobody takes what another one has.

    A node whose `alive` hook starts claims the data point. It knows of no member, neither
    down nor left, that claims what it begins to take, other than by taking it as well
    (exclusive systems ask voters in place of that). When nothing was broken
    or mended for `CALM` seconds, no other running node that it reaches and that
    reaches it serves a shard's data point that it begins to take, except one that
    began within the last `AT_ONCE` seconds: of two that begin at once the one
    withdraws when it hears of the other.
    """

    def __init__(self, world: World, truth: Truth) -> None:
        super().__init__(world, truth)
        self._began: dict[tuple[str, Point], float] = {}

    def hook_started(self, machine: Machine, call: HookCall) -> None:
        """Judge what begins to be held."""
        point = call.system, call.datum
        if call.event != "alive":
            return
        claims = machine.running_node.parts.membership.own.claims
        if call.datum not in claims.get(call.system, {}):
            raise self.violated(f"{machine.id} runs alive for {call.datum} without a claim")
        fresh = point not in machine.served and self.truth.single(point)
        if fresh and not self.world.base.systems[call.system].exclusive:
            self._judge_knowledge(machine, point)
        if fresh and self.truth.calm > CALM and not self.truth.lossy:
            self._judge(machine, point)
        self._began[machine.id, point] = self.world.now

    def _judge_knowledge(self, taker: Machine, point: Point) -> None:
        keeper = taker.running_node.parts.keeper
        if keeper.systems[point[0]].holdings[point[1]].error is not None:
            return  # it began to take it before
        for id, phase in keeper.outlook.claims(*point).items():
            if phase is not Phase.TAKING:
                name = phase.name if phase is not None else "perhaps"
                raise self.violated(f"{taker.id} takes {point[1]} that {id} claims ({name})")

    def _judge(self, taker: Machine, point: Point) -> None:
        for machine in self.truth.running():
            if (
                point in machine.served
                and self._began.get((machine.id, point), -1.0) < self.world.now - AT_ONCE
                and self.truth.mutual(taker.id, machine.id)
            ):
                raise self.violated(f"{taker.id} takes {point[1]} although {machine.id} has it")


class Remembered(Invariant):
    """R3 and invariant 7: what a machine serves, its node claims and its journal names.

    After every step, and at the moment at which an `alive` hook starts: every data
    point that a machine serves while its process runs is claimed in that node's
    own record, and is in the journal on disk, or the journal on disk is known to
    be incomplete (then the next life counts everything as its own). So a crash
    between any two steps, or between the journal's write and the hook's start,
    makes no node forget what it may still hold. A node that says that it left
    serves nothing (R5).
    """

    def __init__(self, world: World, truth: Truth) -> None:
        super().__init__(world, truth)
        self._dirty: dict[str, Machine] = {}
        self._followed: dict[str, object] = {}

    def process_changed(self, machine: Machine) -> None:
        """Follow the claims of a new process."""
        node = machine.node
        if node is not None and self._followed.get(machine.id) is not node:
            self._followed[machine.id] = node

            def changed(change: Change) -> None:
                if change.member == machine.id:
                    self._dirty[machine.id] = machine
                    self._judge_farewell(machine)

            node.parts.membership.roster.subscribe(changed)
        self._dirty[machine.id] = machine

    def hook_started(self, machine: Machine, call: HookCall) -> None:
        """Killed now, the node would have to know."""
        if call.event == "alive":
            self._judge_journal(machine, [(call.system, call.datum)])

    def served_changed(self, machine: Machine, point: Point, serves: bool) -> None:
        """Look again after this step."""
        self._dirty[machine.id] = machine

    def stepped(self, world: World) -> None:
        """Judge the machines about which something changed."""
        if self._dirty:
            machines, self._dirty = self._dirty, {}
            for machine in machines.values():
                if machine.node is not None and machine.served:
                    self._judge_claims(machine)
                    self._judge_journal(machine, sorted(machine.served))

    def _judge_farewell(self, machine: Machine) -> None:
        # Not after the step: the process ends with it.
        node = machine.node
        left = node is not None and node.parts.membership.own.record.status == Status.LEFT
        if left and machine.served:
            raise self.violated(f"{machine.id} leaves, and serves {sorted(machine.served)}")

    def _judge_claims(self, machine: Machine) -> None:
        claims = machine.running_node.parts.membership.own.claims
        for system, datum in machine.served:
            if datum not in claims.get(system, {}):
                raise self.violated(f"{machine.id} serves {datum} and does not claim it")

    def _judge_journal(self, machine: Machine, points: list[Point]) -> None:
        recorded = machine.recorded()
        missing = [] if recorded is None else [point for point in points if point not in recorded]
        if missing:
            raise self.violated(f"the journal of {machine.id} does not name {missing[0][1]}")
