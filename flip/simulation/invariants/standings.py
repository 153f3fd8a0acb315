"""What follows when a node cannot serve a system, or says that it should not."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from flip.simulation.invariants.claims import STRETCH
from flip.simulation.invariants.invariant import Invariant
from flip.simulation.invariants.truth import Truth, rotation
from flip.wire.claims import Phase
from flip.wire.standing import Standing

if TYPE_CHECKING:
    from flip.config.values import Check
    from flip.holdings.runner import HookCall
    from flip.simulation.machine import Machine, Point
    from flip.simulation.world import World

SLACK = 1.0  # seconds in which the calls of several moments are made
TURNS = 1.5  # of its interval and timeout, that a check takes at most to end once more


def diagnosis_bound(check: Check) -> float:
    """Seconds after which a node knows that its check fails, or does not any more."""
    return (max(check.rise, check.fall) + 1) * TURNS * (check.interval + check.timeout) + SLACK


def moving_bound(world: World, system: str) -> float:
    """Seconds after which data is moved when all know where it belongs.

    Everybody hears of it, and is in touch; then `down` and `alive` have been run, and the
    grants of an exclusive system asked for.
    """
    settings = world.base.systems[system]
    told = rotation(world.base) + 2 * STRETCH * world.base.ping_timeout
    rounds = 1 + len(settings.data) // settings.hook_concurrency
    return told + 2 * rounds * settings.hook_timeout + settings.delay + 3 * settings.lease + SLACK


class Diagnosed(Invariant):
    """A check that fails for long, or a link that is down, makes a node unfit, and nothing else.

    A running node whose check has failed, or hung, every time for `diagnosis_bound`, or one of
    whose addresses' links has been down for `SLACK`, says that it is not fit; one whose check
    has ended well every time, and whose links have been up, for as long does not.
    """

    def __init__(self, world: World, truth: Truth) -> None:
        super().__init__(world, truth)
        self._bounds = {
            name: SLACK if system.check is None else diagnosis_bound(system.check)
            for name, system in world.base.systems.items()
            if system.check is not None or system.provider is not None
        }
        self._since: dict[str, float] = {}  # nothing has changed on a machine since then

    def process_changed(self, machine: Machine) -> None:
        """Look again when it has run for long enough."""
        self._changed(machine)

    def link_changed(self, machine: Machine, interface: str, up: bool) -> None:
        """The kernel tells it at once."""
        self._changed(machine)

    def fault(self, text: str, began: bool) -> None:
        """Checks may go otherwise from now on."""
        for machine in self.world.machines.values() if self._bounds else ():
            self._changed(machine)

    def _changed(self, machine: Machine) -> None:
        self._since[machine.id] = since = self.world.now
        for name, bound in self._bounds.items():
            if name in machine.config.me.systems:
                after = bound / (1 + min(machine.drift, 0.0))
                self.world.schedule(after, partial(self._look, machine, name, since))

    def _look(self, machine: Machine, name: str, since: float) -> bool:
        if self._since[machine.id] == since and machine.running and not machine.leaving:
            ailing, says = machine.ailing, machine.standing(name)
            connected = machine.placement.connected(name)
            fails = name in ailing.fails or name in ailing.hangs
            if (fails or not connected) and says < Standing.UNFIT:
                raise self.violated(f"{machine.id} says that it can serve {name}: {says.name}")
            well = connected and not fails and name not in ailing.flaps
            if well and says >= Standing.UNFIT:
                raise self.violated(f"{machine.id} says that it cannot serve {name}: {says.name}")
        return False


class Unfit(Invariant):
    """Who cannot serve a system hands its data over to somebody who can.

    A running node that has said for `moving_bound` that it is unfit, while another one on the
    side of the quorum has said for as long that it is fit, and nothing was broken or mended,
    serves nothing of that system, unless `down` fails there.
    """

    def __init__(self, world: World, truth: Truth) -> None:
        super().__init__(world, truth)
        self._said: dict[str, float] = {}  # when somebody last said something of a system

    def standing_changed(self, machine: Machine, system: str, standing: Standing) -> None:
        """Look again when all have had the time to act."""
        self._said[system] = self.world.now
        self._await(system, moving_bound(self.world, system))

    def _await(self, system: str, after: float) -> None:
        said = self._said[system]
        self.world.schedule(after, lambda: self._look(system, said))

    def _look(self, system: str, said: float) -> bool:
        if self._said[system] != said:
            return False
        left = self.truth.changed + moving_bound(self.world, system) - self.world.now
        if left > 0 or self.truth.lossy:
            self._await(system, max(left, SLACK))
            return False
        side = [self.world.machines[id] for id in self.truth.quorum_side()]
        able = [one for one in side if system in one.config.me.systems and not one.leaving]
        if any(machine.standing(system) is Standing.FIT for machine in able):
            for machine in able:
                held = machine.held(system)
                unfit = machine.standing(system) is Standing.UNFIT
                if held and unfit and not machine.failing and not machine.hanging:
                    raise self.violated(f"{machine.id} serves {sorted(held)}, and is unfit")
        return False


class Stays(Invariant):
    """While nobody is fit, data stays where it is; who comes back takes nothing by itself.

    Counted when nothing was broken or mended, and nobody said anything else, for
    `moving_bound`: where all servers of a system have said that they are unfit (and
    `all_unfit` is "stay"), none starts `down` for what it holds alone; and a node that is
    drained, or has returned, begins to take nothing while another one is fit.
    """

    def __init__(self, world: World, truth: Truth) -> None:
        super().__init__(world, truth)
        self._said: dict[str, float] = {}

    def standing_changed(self, machine: Machine, system: str, standing: Standing) -> None:
        """Everybody has to hear of it."""
        self._said[system] = self.world.now

    def hook_started(self, machine: Machine, call: HookCall) -> None:
        """Judge what moves."""
        name, point = call.system, (call.system, call.datum)
        settings = self.world.base.systems.get(name)
        if settings is None or machine.node is None or machine.leaving:
            return
        changed = max(self.truth.changed, self._said.get(name, 0.0))
        if self.world.now - changed < moving_bound(self.world, name) or self.truth.lossy:
            return
        standings = {one.id: one.standing(name) for one in self._able(machine, name)}
        if call.event == "down" and settings.all_unfit == "stay":
            all_unfit = set(standings.values()) == {Standing.UNFIT}
            if all_unfit and self._holds_alone(machine, point):
                raise self.violated(f"{machine.id} lets go of {call.datum}, and nobody is fit")
        elif call.event == "alive" and point not in machine.served:
            kept_out = standings.get(machine.id) in (Standing.RETURNED, Standing.DRAINED)
            if kept_out and Standing.FIT in standings.values():
                raise self.violated(f"{machine.id} takes {call.datum} although it is drained")

    def _able(self, machine: Machine, system: str) -> Iterator[Machine]:
        for id in self.truth.quorum_side():
            other = self.world.machines[id]
            if system in other.config.me.systems and not other.leaving:
                yield other

    def _holds_alone(self, machine: Machine, point: Point) -> bool:
        parts = machine.running_node.parts
        keeper = parts.keeper.systems[point[0]]
        holding = keeper.holdings.get(point[1])
        rivals = parts.keeper.outlook.claims(*point)
        return (
            point in machine.served
            and not keeper.ending
            and holding is not None
            and holding.phase is Phase.RELEASING
            and not holding.failures
            and not rivals
        )
