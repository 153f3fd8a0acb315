"""Everything that happened in a simulated world, written down while it happens."""

from __future__ import annotations

import enum
from collections import Counter
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from flip.allocation.topology import TOPOLOGIES
from flip.errors import BadFault
from flip.holdings.eligibility import candidates
from flip.membership.roster import State
from flip.simulation.faults import read
from flip.simulation.observer import Observer
from flip.simulation.report.series import Series

if TYPE_CHECKING:
    from flip.config import Config
    from flip.holdings.runner import HookCall
    from flip.simulation.machine import Machine, Point
    from flip.simulation.world import World
    from flip.wire.standing import Standing


class Life(enum.Enum):
    """What a machine's process does."""

    STOPPED = "stopped"
    RUNNING = "running"
    FROZEN = "frozen"
    LEAVING = "leaving"


class Sharing(enum.Enum):
    """How several machines come to serve one data point.

    TOGETHER: two of them run and reach each other, and could settle it.
    APART: two of them have a process, and cannot hear each other.
    LEFTOVER: all but one have no process: what a killed node left behind.
    """

    NONE = "none"
    LEFTOVER = "leftover"
    APART = "apart"
    TOGETHER = "together"


class FaultMark(NamedTuple):
    """A fault began, or (`began` False) ended."""

    at: float
    text: str
    began: bool

    @property
    def what(self) -> str:
        """The text without the time."""
        try:
            return read(self.text).what
        except BadFault:  # not of a schedule: somebody says in other words what happened
            return self.text


class View(NamedTuple):
    """The node `by` came to think something else of `member`."""

    at: float
    by: str
    member: str
    before: State
    after: State


class HookRun(NamedTuple):
    """A hook began (`good` None), or ended well or not."""

    at: float
    id: str
    event: str
    point: Point
    good: bool | None


class LinkMark(NamedTuple):
    """An interface with addresses came up, or (`up` False) went down or away."""

    at: float
    id: str
    interface: str
    up: bool


class Word(NamedTuple):
    """What a node said of how well it can serve a system, from then on."""

    at: float
    id: str
    system: str
    standing: Standing


class Lapse(NamedTuple):
    """A kernel ended the lifetime of an address of a data point."""

    at: float
    id: str
    point: Point


class Recording(Observer):
    """Written while a world runs; times are those of its clock.

    :ivar life: per machine, what its process does.
    :ivar touch: per machine, whether its node believes to reach a quorum.
    :ivar sound: the ids of the machines whose process runs, is not about to leave, and
        in truth reaches a quorum directly and is reached by it.
    :ivar able: per system, those of them that are to be given its data, by what each says of
        how well it can serve: the fit ones, if there are any.
    :ivar served: per machine and data point, from the begin of `alive` to the end of `down`.
    :ivar live: the same, from the good end of `alive` to the begin of `down`, or to the end
        of the process, without the time in which a link is down: surely live.
    :ivar sharing: per data point with one owner that ever had two owners.
    :ivar rates: per second of the run, datagrams and bytes sent by each machine in it.
    :ivar end: when the run ended.
    """

    def __init__(self, world: World) -> None:
        ids = world.machines
        self.config: Config = world.base
        self.end = 0.0
        self.faults: list[FaultMark] = []
        self.views: list[View] = []
        self.hooks: list[HookRun] = []
        self.links: list[LinkMark] = []
        self.words: list[Word] = []
        self.lapses: list[Lapse] = []
        self.life = {id: Series(Life.STOPPED) for id in ids}
        self.touch = {id: Series(False) for id in ids}
        self.sound: Series[frozenset[str]] = Series(frozenset())
        self.able = {name: Series(frozenset[str]()) for name in world.base.systems}
        self.served: dict[tuple[str, Point], Series[bool]] = {}
        self.live: dict[tuple[str, Point], Series[bool]] = {}
        self.sharing: dict[Point, Series[Sharing]] = {}
        self.sent: Counter[str] = Counter()
        self.sent_bytes: Counter[str] = Counter()
        self._world = world
        self._owners: dict[Point, set[str]] = {}
        self._shared: set[Point] = set()
        self._sure: set[tuple[str, Point]] = set()
        self._cuts = -1
        world.observe(self)

    def finish(self) -> None:
        """The run is over."""
        world = self._world
        self.end = world.now
        by_address = {machine.address: id for id, machine in world.machines.items()}
        for counts, found in (
            (world.network.sent, self.sent),
            (world.network.sent_bytes, self.sent_bytes),
        ):
            found.update({by_address[address]: count for address, count in counts.items()})

    def owners(self, point: Point, at: float) -> list[str]:
        """The machines that served a data point at a time."""
        return [
            id for (id, other), series in self.served.items() if other == point and series.at(at)
        ]

    def fault(self, text: str, began: bool) -> None:
        self.faults.append(FaultMark(self._world.now, text, began))
        self._cuts = -1

    def process_changed(self, machine: Machine) -> None:
        now = self._world.now
        self._cuts = -1
        if machine.node is not None and self.life[machine.id].now is Life.STOPPED:
            machine.node.parts.membership.on_touch(partial(self._note_touch, machine))
        self.life[machine.id].set(now, _life(machine))
        if machine.node is None:
            for id, point in [*self._sure]:
                if id == machine.id:  # its next process has to make sure of it
                    self._be_sure(machine, point, False)
        self._note_touch(machine)

    def _note_touch(self, machine: Machine) -> None:
        in_touch = machine.node is not None and machine.node.parts.membership.in_touch
        self.touch[machine.id].set(self._world.now, in_touch)

    def member_changed(self, machine: Machine, member: str, before: State, after: State) -> None:
        self.views.append(View(self._world.now, machine.id, member, before, after))

    def hook_started(self, machine: Machine, call: HookCall) -> None:
        point = call.system, call.datum
        self.hooks.append(HookRun(self._world.now, machine.id, call.event, point, None))
        if call.event == "down":
            self._be_sure(machine, point, False)

    def hook_ended(self, machine: Machine, call: HookCall, good: bool) -> None:
        point = call.system, call.datum
        self.hooks.append(HookRun(self._world.now, machine.id, call.event, point, good))
        if call.event == "alive":
            self._be_sure(machine, point, good and machine.node is not None)

    def served_changed(self, machine: Machine, point: Point, serves: bool) -> None:
        self._set(self.served, machine, point, serves)
        self._judge_live(machine, point)
        owners = self._owners.setdefault(point, set())
        (owners.add if serves else owners.discard)(machine.id)
        if TOPOLOGIES[self.config.systems[point[0]].type].single_owner:
            self._shared.add(point)  # to be judged at the end of the step

    def link_changed(self, machine: Machine, interface: str, up: bool) -> None:
        self.links.append(LinkMark(self._world.now, machine.id, interface, up))
        for point in sorted(machine.served):
            self._judge_live(machine, point)

    def standing_changed(self, machine: Machine, system: str, standing: Standing) -> None:
        self.words.append(Word(self._world.now, machine.id, system, standing))
        self._cuts = -1

    def lapsed(self, machine: Machine, point: Point) -> None:
        self.lapses.append(Lapse(self._world.now, machine.id, point))

    def _be_sure(self, machine: Machine, point: Point, sure: bool) -> None:
        (self._sure.add if sure else self._sure.discard)((machine.id, point))
        self._judge_live(machine, point)

    def _judge_live(self, machine: Machine, point: Point) -> None:
        is_live = (machine.id, point) in self._sure and point in machine.served
        self._set(self.live, machine, point, is_live and machine.whole(point))

    def _set(
        self,
        where: dict[tuple[str, Point], Series[bool]],
        machine: Machine,
        point: Point,
        value: bool,
    ) -> None:
        key = machine.id, point
        if key in where or value:
            where.setdefault(key, Series(False)).set(self._world.now, value)

    def stepped(self, world: World) -> None:
        if world.network.changes != self._cuts:
            self._cuts = world.network.changes
            self.sound.set(world.now, frozenset(self._find_sound()))
            for name, able in self.able.items():
                able.set(world.now, self._find_able(name))
            self._judge(self._shared)
        elif self._shared:
            self._judge(self._shared)

    def _find_sound(self) -> list[str]:
        machines = [
            machine
            for machine in self._world.machines.values()
            if machine.running and not machine.leaving
        ]
        quorum = self.config.quorum
        return [
            machine.id
            for machine in machines
            if sum(self._mutual(machine, other) for other in machines) >= quorum
        ]

    def _find_able(self, name: str) -> frozenset[str]:
        servers = [id for id in self.config.servers_of(name) if id in self.sound.now]
        standings = {id: self._world.machines[id].standing(name) for id in servers}
        return candidates(standings, self.config.systems[name].all_unfit).servers

    def _mutual(self, one: Machine, two: Machine) -> bool:
        passes = self._world.network.passes
        return passes(one.address, two.address) and passes(two.address, one.address)

    def _judge(self, points: set[Point]) -> None:
        """Say how data points with several owners are shared; forget those with one."""
        for point in sorted(points):
            sharing = self._sharing_of(point)
            if point in self.sharing or sharing is not Sharing.NONE:
                self.sharing.setdefault(point, Series(Sharing.NONE)).set(self._world.now, sharing)
            if sharing is Sharing.NONE:
                points.discard(point)

    def _sharing_of(self, point: Point) -> Sharing:
        owners = [self._world.machines[id] for id in sorted(self._owners[point])]
        if len(owners) < 2:
            return Sharing.NONE
        pairs = list(combinations(owners, 2))
        if any(a.running and b.running and self._mutual(a, b) for a, b in pairs):
            return Sharing.TOGETHER
        if any(a.node is not None and b.node is not None for a, b in pairs):
            return Sharing.APART
        return Sharing.LEFTOVER


def _life(machine: Machine) -> Life:
    if machine.node is None:
        return Life.STOPPED
    if not machine.running:
        return Life.FROZEN
    return Life.LEAVING if machine.leaving else Life.RUNNING
