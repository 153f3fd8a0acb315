"""What becomes of the addresses that flip itself sets, when flip is gone and when they are."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from flip.allocation.topology import TOPOLOGIES
from flip.membership.roster import State
from flip.simulation.invariants.invariant import Invariant
from flip.simulation.invariants.truth import Truth
from flip.simulation.lifetimes import LATEST
from flip.wire.claims import Phase

if TYPE_CHECKING:
    from flip.config.values import System
    from flip.simulation.machine import Machine, Point
    from flip.simulation.world import World

SLACK = 0.1  # seconds in which the calls of several moments are made
GONE = (State.DOWN, State.LEFT)
PUT_BACK = 2.5  # seconds within which what somebody took away is there again


def lease_of(system: System) -> float:
    """Seconds after which the kernel removes what flip does not renew; infinite: it never does."""
    if system.addressing is None:
        return math.inf
    if system.exclusive:
        return system.lease
    return system.addressing.kernel_lease or math.inf


class Lapsed(Invariant):
    """Without flip no address stays for longer than its lease, and with flip it stays.

    A machine whose daemon is dead or frozen for longer than that (`kernel_lease`, or the lease
    of an exclusive system), by its own clock, and the time by which its kernel may be late, has
    no address of that system. Nor does the kernel end the lifetime of what a node of an
    ordinary system holds that has run for longer than the lease, if it refused nothing.
    """

    def __init__(self, world: World, truth: Truth) -> None:
        super().__init__(world, truth)
        leases = {name: lease_of(system) for name, system in world.base.systems.items()}
        self._leases = {name: lease for name, lease in leases.items() if lease < math.inf}
        self._stopped: dict[str, float] = {}  # since when, by the machine's clock
        self._changed: dict[str, float] = {}  # when each last began, or ceased, to run
        self._refused = 0.0  # when a kernel last refused something

    def fault(self, text: str, began: bool) -> None:
        """Keep when a kernel may have refused to renew."""
        if "fail-hook" in text or text == "no fault lasts":
            self._refused = self.world.now

    def lapsed(self, machine: Machine, point: Point) -> None:
        """Judge what ends while its daemon runs."""
        system = self.world.base.systems[point[0]]
        if machine.running and not system.exclusive and not machine.failing:
            since = max(self._changed.get(machine.id, 0.0), self._refused)
            claims = machine.running_node.parts.membership.own.claims.get(point[0], {})
            held = claims.get(point[1]) is Phase.HELD
            if held and self.world.now - since > lease_of(system):
                raise self.violated(f"{machine.id} does not renew {point[1]}, which it holds")

    def process_changed(self, machine: Machine) -> None:
        """Look at what is left when a daemon has not acted for that long."""
        self._changed[machine.id] = self.world.now
        if machine.running:
            self._stopped.pop(machine.id, None)
        elif machine.id not in self._stopped:
            self._stopped[machine.id] = since = machine.clock.seconds()
            for name, lease in self._leases.items():
                self._await(machine, name, since, since + lease + LATEST + SLACK)

    def _await(self, machine: Machine, name: str, since: float, due: float) -> None:
        look = partial(self._look, machine, name, since, due)
        self.world.agenda.at(machine.clock.when(due), look)

    def _look(self, machine: Machine, name: str, since: float, due: float) -> bool:
        if self._stopped.get(machine.id) != since:
            return False
        if machine.clock.seconds() < due - SLACK / 2:  # its speed has changed meanwhile
            self._await(machine, name, since, due)
        elif machine.held(name):
            stopped = machine.clock.seconds() - since
            raise self.violated(
                f"{machine.id} has {sorted(machine.held(name))} {stopped:.3f} s after its daemon"
                " stopped"
            )
        return False


class Waited(Invariant):
    """`wait_for_lease`: nobody takes the address of a dead one before the kernel has removed it.

    Where the system asks for that, a machine that begins to have an address finds no other
    one that has it and whose daemon is dead or frozen. Excused: one that the taker already
    counted as down before that happened (it was cut off, and waited for while it still ran),
    and those that stopped while clocks went at different speeds, or before they did.
    """

    def __init__(self, world: World, truth: Truth) -> None:
        super().__init__(world, truth)
        self._systems = {
            name
            for name, system in world.base.systems.items()
            if system.addressing is not None and system.addressing.wait_for_lease
            if TOPOLOGIES[system.type].single_owner
        }
        self._stopped: dict[str, set[str]] = {}  # who does not act, and at whom it was down before

    def process_changed(self, machine: Machine) -> None:
        """Keep how each stopped to act."""
        if machine.running:
            self._stopped.pop(machine.id, None)
        elif self._systems and machine.id not in self._stopped:
            machines = self.world.machines
            running = [other for other in self.truth.running() if other is not machine]
            self._stopped[machine.id] = (
                set(machines)
                if self._drifts()
                else {one.id for one in running if one.state(machine.id) in GONE}
            )

    def fault(self, text: str, began: bool) -> None:
        """Clocks may go at another speed from now on."""
        if self._stopped and self._drifts():
            self._stopped = {id: set(self.world.machines) for id in self._stopped}

    def _drifts(self) -> bool:
        return any(machine.drift for machine in self.world.machines.values())

    def served_changed(self, machine: Machine, point: Point, serves: bool) -> None:
        """Judge who begins to have an address."""
        if serves and point[0] in self._systems:
            for id, excused in self._stopped.items():
                others = id != machine.id and machine.id not in excused
                if others and point in self.world[id].served:
                    raise self.violated(f"{machine.id} takes {point[1]}, which {id} has")


class Regained(Invariant):
    """What ran out at a node that stood still may be somebody else's by now (R2).

    An address of an ordinary system whose lifetime the kernel has ended comes back to its
    machine by an `alive` only, before which claims are looked at; it is not simply put back.
    """

    def __init__(self, world: World, truth: Truth) -> None:
        super().__init__(world, truth)
        systems = world.base.systems.items()
        self._ordinary = {name for name, system in systems if not system.exclusive}
        self._lapsed: set[tuple[str, Point]] = set()

    def lapsed(self, machine: Machine, point: Point) -> None:
        """From now on it needs an `alive`."""
        if point[0] in self._ordinary:
            self._lapsed.add((machine.id, point))

    def served_changed(self, machine: Machine, point: Point, serves: bool) -> None:
        """Judge how it comes back."""
        if serves and (machine.id, point) in self._lapsed:
            self._lapsed.discard((machine.id, point))
            node = machine.node
            keeper = node.parts.keeper.systems.get(point[0]) if node is not None else None
            holding = keeper.holdings.get(point[1]) if keeper is not None else None
            if holding is None or holding.running != "alive":
                raise self.violated(f"{machine.id} puts {point[1]} back, which had run out")


class PutBack(Invariant):
    """What somebody takes away by hand is put back.

    An address that is gone from a machine whose running node says, before and `PUT_BACK`
    later, that it holds it, is there again by then, if the interface was there all the time.
    What the kernel refuses no node can put back: while hooks of the machine fail the time
    does not run, and begins when none fails any more, for flip tries again until then.
    """

    def __init__(self, world: World, truth: Truth) -> None:
        super().__init__(world, truth)
        systems = world.base.systems.items()
        self._systems = {name for name, system in systems if system.provider is not None}
        self._disturbed: dict[str, float] = {}  # when a machine's link or process last changed
        self._refused: dict[str, float] = {}  # when a machine's kernel last refused something
        self._gone: dict[tuple[str, Point], float] = {}  # since when what was held is gone

    def fault(self, text: str, began: bool) -> None:
        """Keep until when kernels refuse: this is told before a fault begins or ends."""
        for id, machine in self.world.machines.items():
            if machine.failing:
                self._refused[id] = self.world.now

    def process_changed(self, machine: Machine) -> None:
        """A node that starts has to find out first."""
        self._disturbed[machine.id] = self.world.now

    def link_changed(self, machine: Machine, interface: str, up: bool) -> None:
        """Without a link nothing is put back."""
        self._disturbed[machine.id] = self.world.now

    def served_changed(self, machine: Machine, point: Point, serves: bool) -> None:
        """Look again later."""
        if serves:
            self._gone.pop((machine.id, point), None)
        elif point[0] in self._systems and self._holds(machine, point):
            gone = self._gone[machine.id, point] = self.world.now
            self._look_later(machine, point, gone, since=gone)

    def _look_later(self, machine: Machine, point: Point, gone: float, since: float) -> None:
        look = partial(self._look, machine, point, gone, since)
        self.world.schedule(since + PUT_BACK - self.world.now, look)

    def _holds(self, machine: Machine, point: Point) -> bool:
        if not machine.running:
            return False
        parts = machine.running_node.parts
        phase = parts.membership.own.claims.get(point[0], {}).get(point[1])
        holding = parts.keeper.systems[point[0]].holdings.get(point[1])
        return phase is Phase.HELD and holding is not None and holding.running is None

    def _look(self, machine: Machine, point: Point, gone: float, since: float) -> bool:
        if self._gone.get((machine.id, point)) != gone:
            return False  # it was there meanwhile
        if self._disturbed.get(machine.id, 0.0) >= gone or not self._holds(machine, point):
            return False
        refused = self.world.now if machine.failing else self._refused.get(machine.id, 0.0)
        if refused > since:
            self._look_later(machine, point, gone, since=refused)
            return False
        raise self.violated(f"{machine.id} says that it holds {point[1]}, and does not")
