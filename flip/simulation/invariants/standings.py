"""What follows when a node cannot serve a system, or says that it should not."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from flip.simulation.invariants.claims import STRETCH
from flip.simulation.invariants.invariant import Invariant
from flip.simulation.invariants.truth import CALLS, Truth, rotation
from flip.wire.claims import Phase
from flip.wire.standing import Standing

if TYPE_CHECKING:
    from flip.config.values import Check
    from flip.holdings.runner import HookCall
    from flip.node import Node
    from flip.simulation.machine import Machine, Point
    from flip.simulation.world import World

SLACK = 1.0  # seconds in which the calls of several moments are made
PACE = 1.1  # times as long as it should, that a check takes at most to end once more


def diagnosis_bound(check: Check) -> float:
    """Seconds after which a node knows that its check fails, or does not any more."""
    ends = max(check.rise, check.fall) + 1  # the first one had begun before
    return ends * PACE * max(check.interval, check.timeout) + SLACK


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
        self._went: dict[str, object] = {}  # how checks and clocks went there

    def process_changed(self, machine: Machine) -> None:
        """Look again when it has run for long enough."""
        self._changed(machine)

    def link_changed(self, machine: Machine, interface: str, up: bool) -> None:
        """The kernel tells it at once."""
        self._changed(machine)

    def fault(self, text: str, began: bool) -> None:
        """Checks may go otherwise, or their machine's clock, as soon as it is imposed."""
        if self._bounds:
            self.world.schedule(0.0, self._compare)

    def _compare(self) -> bool:
        for machine in self.world.machines.values():
            goes = repr(machine.ailing), machine.drift, machine.slowness
            if self._went.get(machine.id) != goes:
                self._went[machine.id] = goes
                self._changed(machine)
        return False

    def _changed(self, machine: Machine) -> None:
        self._since[machine.id] = since = self.world.now
        for name, bound in self._bounds.items():
            if name in machine.config.me.systems:
                after = bound / (1 + min(machine.drift, 0.0)) + CALLS * machine.slowness
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
    """While nobody is fit, data stays where it is; who waits takes nothing.

    By what a node itself knows: where all present servers of a system have said that they are
    unfit (and `all_unfit` is "stay"), it does not start `down` for what it holds alone; and
    one that is drained, or waits after it was away, begins to take nothing while another one
    is fit. Not counted: the `delay` in which several changes become one plan.
    """

    def hook_started(self, machine: Machine, call: HookCall) -> None:
        """Judge what moves."""
        name, point = call.system, (call.system, call.datum)
        settings = self.world.base.systems.get(name)
        node = machine.node
        if settings is None or node is None or machine.leaving or not node.parts.keeper.gate.open:
            return
        division = node.parts.keeper.divisions.get(name)
        if division is None or division.waiting:
            return  # of a newer plan, for `delay`
        if not begins(machine, call):
            return
        words = set(node.parts.keeper.outlook.standings(name).values())
        if call.event == "down" and settings.all_unfit == "stay":
            if words == {Standing.UNFIT} and releases_alone(machine, point):
                raise self.violated(f"{machine.id} lets go of {call.datum}, and nobody is fit")
        elif call.event == "alive" and point not in machine.served:
            waits = machine.standing(name) in (Standing.RETURNED, Standing.DRAINED)
            if waits and Standing.FIT in words:
                raise self.violated(f"{machine.id} takes {call.datum} although it is drained")


class Returned(Invariant):
    """`failback`: nothing moves back by itself, or not before its time.

    A node that has held a data point, and acted, and been fit, since before another one
    started or became fit again, or thawed and heard that it was voted down, does not start
    `down` for it in favour of that one within `failback` of that, unless an operator's command
    was taken by one of the two meanwhile, or packets were lost (then the one that came back may
    not have heard of the other in time).

    What counts is when a process takes the command, not when it is typed: who is dead or
    frozen then comes back first, and is told to serve at once only afterwards.

    Who has not acted yet in this life, because it waits for others, is unsure of what an
    earlier one held: whoever comes then starts with it. A node that thaws may refute the first
    vote that it finds, and never hear that there was a quorum of them; for all that it knows
    it was not away.
    """

    def __init__(self, world: World, truth: Truth) -> None:
        super().__init__(world, truth)
        self._waits = {
            name: system.failback
            for name, system in world.base.systems.items()
            if system.failback and truth.single((name, ""))
        }
        self._back: dict[tuple[str, str], float] = {}  # since when a node can serve a system
        self._lives: dict[str, Node] = {}
        self._acts: dict[str, float] = {}  # since when it has acted in this life
        self._thawed: dict[str, tuple[float, int]] = {}  # when, and what it knew of its downs
        self._since: dict[tuple[str, Point], float] = {}  # what is held, since when
        self._said: dict[tuple[str, str], Standing] = {}
        self._rough = 0.0  # when packets may have been lost last

    def process_changed(self, machine: Machine) -> None:
        """Who starts comes back; who thaws may have been away."""
        node = machine.node
        if not self._waits or node is None or not machine.running:
            return
        if self._lives.get(machine.id) is not node:
            self._lives[machine.id] = node
            self._acts.pop(machine.id, None)
            self._thawed.pop(machine.id, None)
            for name in self._waits:
                self._back[machine.id, name] = self.world.now
                self._said.pop((machine.id, name), None)
        else:
            known = node.parts.membership.roster.buried
            self._thawed[machine.id] = self.world.now, known

    def stepped(self, world: World) -> None:
        """Keep since when each acts."""
        if self._waits and len(self._acts) < len(world.machines):
            for machine in world.machines.values():
                node = machine.node
                if (
                    node is not None
                    and machine.id not in self._acts
                    and node.parts.keeper.gate.open
                ):
                    self._acts[machine.id] = world.now

    def standing_changed(self, machine: Machine, system: str, standing: Standing) -> None:
        """Who can serve again comes back; who waited, and need not any more, was back before."""
        before = self._said.get((machine.id, system), Standing.FIT)
        self._said[machine.id, system] = standing
        if system in self._waits and before >= Standing.UNFIT > standing:
            self._back[machine.id, system] = self.world.now

    def served_changed(self, machine: Machine, point: Point, serves: bool) -> None:
        """Keep since when each holds what it holds."""
        if point[0] in self._waits:
            if serves:
                self._since[machine.id, point] = self.world.now
            else:
                self._since.pop((machine.id, point), None)

    def fault(self, text: str, began: bool) -> None:
        """Keep when packets may have been lost."""
        if self._waits and (self.truth.lossy or not self.world.network.whole):
            self._rough = self.world.now

    def hook_started(self, machine: Machine, call: HookCall) -> None:
        """Judge for whom something is let go of."""
        point, failback = (call.system, call.datum), self._waits.get(call.system)
        held = self._since.get((machine.id, point))
        if failback is None or held is None or call.event != "down" or not begins(machine, call):
            return
        heir = machine.running_node.parts.keeper.systems[call.system].owners.get(call.datum)
        if heir is None or heir == machine.id or not releases_alone(machine, point):
            return
        if machine.standing(call.system) is not Standing.FIT:
            return
        acts = self._acts.get(machine.id, self.world.now)
        thawed, _ = self._thawed.get(machine.id, (0.0, 0))
        came = self._back[machine.id, call.system]
        told = max(one.obeyed.get(call.system, 0.0) for one in (machine, self.world.machines[heir]))
        here = max(held, acts, thawed, came, told, self._rough) + SLACK
        back = self._came_back(heir, call.system)
        if here < back and self.world.now < back + failback - SLACK:
            raise self.violated(
                f"{machine.id} lets go of {call.datum} for {heir}, which came back"
                f" {self.world.now - back:.3f} s ago"
            )

    def _came_back(self, heir: str, system: str) -> float:
        back = self._back.get((heir, system), 0.0)
        thawed, known = self._thawed.get(heir, (0.0, 0))
        node = self.world.machines[heir].node
        if node is not None and node.parts.membership.roster.buried > known:
            return max(back, thawed)
        return back


def begins(machine: Machine, call: HookCall) -> bool:
    """Whether this is the first program of a call: a group has more."""
    points = machine.config.systems[call.system].points
    members = points[call.datum].members if call.datum in points else call.members
    first = members[-1] if call.event == "down" else members[0]
    return call.members in (members, (first,))


def releases_alone(machine: Machine, point: Point) -> bool:
    """Whether a node that serves something lets go of it of its own accord."""
    parts = machine.running_node.parts
    keeper = parts.keeper.systems[point[0]]
    holding = keeper.holdings.get(point[1])
    return (
        point in machine.served
        and not keeper.ending
        and not machine.leaving
        and holding is not None
        and holding.phase is Phase.RELEASING
        and not holding.failures
        and not parts.keeper.outlook.claims(*point)
    )
