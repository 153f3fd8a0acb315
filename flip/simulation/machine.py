"""A host of the simulation: its disk, its clock, its processes, and what its hooks made live."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from flip.config import Config
from flip.membership.roster import Change, State
from flip.node import Node
from flip.simulation.checks import Ailing
from flip.simulation.clock import Clock
from flip.simulation.daemon import Daemon
from flip.simulation.disk import MemoryDisk
from flip.simulation.distributions import Distribution
from flip.simulation.guard import GuardProcess
from flip.simulation.hooks import HOOK_TIME, Hooks
from flip.simulation.placement import Placement, interfaces
from flip.simulation.reactor import WORK, VirtualReactor
from flip.simulation.stack import Stack
from flip.wire.standing import Standing, standing

if TYPE_CHECKING:
    from flip.simulation.world import World

START = 1_700_000_000.0  # the wall clock when the virtual clock shows 0
DAEMON = "flip"  # the process that runs the node
Point = tuple[str, str]


class Machine:
    """A host: its disk and what it serves outlive the processes that run on it.

    :ivar served: the data points of which anything is live here: what hooks made so, counted
        from the start of `alive` to the end of `down`, or addresses that are in the `stack`.
        Changed by `serve` and `cease` only.
    :ivar ailing: whose health checks go wrong.
    :ivar drained: what an operator last said of each system.
    :ivar obeyed: per system, when a process last took what an operator said of it.
    :ivar overruns: the chance that what the stack tells a process does not fit its socket.
    :ivar processes: the reactor of each process that runs, by the process's name.
    :ivar node: what the daemon runs, None while there is none; `reactor` is its reactor.
    :ivar failing: (event, datum) whose hook fails; also `hanging` ones, and `slow`
        ones, which end well just before their timeout.
    :ivar guards: the guards that run, of this daemon and maybe of an earlier one.
    :ivar turn: the one of them that may run hooks.
    :ivar left_running: until when the hooks of a killed guard may run.
    :ivar running_hooks: what ends each hook of an ordinary system, well or not, and who ran it.
    """

    def __init__(self, world: World, config: Config, disk: MemoryDisk) -> None:
        self.id = config.id
        self.config = config
        self.disk = disk
        self.world = world
        self.clock = Clock(world.agenda)
        self.rng = random.Random(f"{world.seed} {self.id}")
        self.served: set[Point] = set()
        self._members: dict[Point, set[str]] = {}  # of what is served by hooks: what is live
        self.ailing = Ailing()
        self.drained: dict[str, bool] = {}
        self.obeyed: dict[str, float] = {}
        self.overruns = 0.0
        self.processes: dict[str, VirtualReactor] = {}
        self.node: Node | None = None
        self.reactor: VirtualReactor | None = None
        self.hook_time: Distribution = HOOK_TIME
        self.failing: set[tuple[str, str]] = set()
        self.hanging: set[tuple[str, str]] = set()
        self.slow: set[tuple[str, str]] = set()
        self.runs: list[tuple[float, str, str]] = []
        self.wall_offset = 0.0
        self.leaving = False
        self.stopped = False  # the node ended by itself
        self.guards: list[GuardProcess] = []
        self.guards_started = 0
        self.turn: GuardProcess | None = None
        self.left_running: dict[Point, float] = {}
        self.running_hooks: dict[Callable[[bool], None], Hooks] = {}
        number = list(config.servers).index(config.id)
        self.stack = Stack(
            world.agenda,
            self.clock,
            random.Random(f"{world.seed} {self.id} stack"),
            interfaces(config),
            number,
        )
        self.placement = Placement(self, config)
        self._slowness = WORK
        self._standings: dict[str, Standing] = {}
        self._lives = 0
        self._daemon: Daemon | None = None

    @property
    def address(self) -> str:
        return self.config.me.ip

    @property
    def running(self) -> bool:
        """Whether the daemon runs and is not frozen."""
        return self.reactor is not None and not self.reactor.frozen

    @property
    def guarded(self) -> bool:
        """Whether anything runs here that lets go of exclusive data points in time."""
        return self.running or any(not guard.frozen for guard in self.guards)

    @property
    def running_node(self) -> Node:
        """The node of this machine's daemon, also while that is frozen.

        :raises AssertionError: none runs here.
        """
        if self.node is None:
            raise AssertionError(f"no process runs on {self.id}")
        return self.node

    @property
    def slowness(self) -> float:
        """Seconds that every call of this machine's processes takes: each timer, each packet."""
        return self._slowness

    @slowness.setter
    def slowness(self, seconds: float) -> None:
        self._slowness = seconds
        for reactor in self.processes.values():
            reactor.work = seconds

    @property
    def drift(self) -> float:
        """Seconds that the machine's clocks gain in a second."""
        return self.clock.drift

    @drift.setter
    def drift(self, drift: float) -> None:
        self.clock.drift = drift
        self.stack.replan()
        for reactor in self.processes.values():
            reactor.plan()

    def wall(self) -> float:
        """The wall clock: the same crystal as the monotonic one, and steps."""
        return START + self.clock.seconds() + self.wall_offset

    def spawn(self, name: str) -> VirtualReactor:
        """The reactor of a new process, which ends with `end` or with the machine."""
        world = self.world
        reactor = VirtualReactor(self.address, world.network, world.agenda, self.clock)
        reactor.work = self._slowness
        self.processes[name] = reactor
        return reactor

    def end(self, name: str, *, silently: bool = False) -> None:
        """End a process at once.

        :param silently: its peers hear nothing of it.
        """
        self.processes.pop(name).die(silently=silently)

    def start(self, config: Config | None = None) -> None:
        """Start the daemon."""
        self.config = config or self.config
        self.placement.adopt(self.config)
        self.leaving = self.stopped = False
        self._standings.clear()
        self._lives += 1
        world = self.world
        reactor = self.reactor = self.spawn(DAEMON)
        mount = self.disk.mount()
        self._daemon = Daemon(self, self.config, reactor, mount, self._lives, self._ended)
        self.node = self._daemon.node
        world.disturb(f"{self.id} starts")
        self._daemon.start()
        self.node.parts.membership.roster.subscribe(self._member_changed)
        self._process_changed()

    def _ended(self) -> None:
        self.stopped = True
        self.kill()

    def kill(self) -> None:
        """SIGKILL of the daemon: the machine goes on, and so do the hooks that run."""
        assert self.reactor is not None
        self._end_daemon(f"{self.id} is killed", silently=False)

    def _end_daemon(self, text: str, *, silently: bool) -> None:
        self.world.disturb(text)
        self.end(DAEMON, silently=silently)
        if not silently:
            for guard in self.guards:
                guard.daemon_ended()
        if self._daemon is not None:
            self._daemon.end()
        self.reactor = self.node = self._daemon = None
        self._process_changed()

    def reboot(self) -> None:
        """The machine's power fails: what it served is gone."""
        if self.reactor is not None:
            self._end_daemon(f"{self.id} loses its power", silently=True)
        for guard in list(self.guards):
            guard.end(silently=True)
        for name in list(self.processes):
            self.end(name, silently=True)
        self.disk.lose_power(self.rng)
        self.stack.lose_power()
        for point in sorted(self.served):
            self.cease(point)

    def recorded(self) -> set[Point] | None:
        """What the next daemon will know that this machine may serve; None: that it may be all."""
        return self.disk.recorded()

    def lose_disk(self) -> None:
        """The disk is replaced by an empty one."""
        self.disk.lose()

    def leave(self) -> Deferred[None]:
        """SIGTERM; fires when the process has ended."""
        node = self.running_node
        self.world.note(f"{self.id} is asked to leave")
        self.leaving = True
        self._process_changed()
        return node.stopService().addCallback(lambda _: self.kill())

    def freeze(self, name: str = DAEMON) -> None:
        """SIGSTOP of a process."""
        self.world.disturb(f"{self.id} freezes")
        self.processes[name].freeze()
        self._process_changed()

    def thaw(self, name: str = DAEMON) -> None:
        """SIGCONT."""
        self.world.disturb(f"{self.id} thaws")
        reactor = self.processes[name]
        reactor.frozen = False
        self._process_changed()
        reactor.thaw(sockets_first=self.rng.random() < 0.5)

    def kill_guard(self) -> None:
        """SIGKILL of the guard; of all of them, should one of an earlier daemon be left."""
        self.world.disturb(f"{self.id}: its guard is killed")
        for guard in list(self.guards):
            guard.kill()
        self._process_changed()

    def freeze_guard(self) -> None:
        """SIGSTOP of the guard."""
        for guard in self.guards:
            self.freeze(guard.name)

    def thaw_guard(self) -> None:
        """SIGCONT of the guard, unless it was replaced in the meantime."""
        for guard in list(self.guards):
            self.thaw(guard.name)

    def serve(self, point: Point, member: str | None = None) -> None:
        """Make a data point live here, or a member of it, as an `alive` hook does."""
        self._members.setdefault(point, set()).add(point[1] if member is None else member)
        if point not in self.served:
            self.served.add(point)
            for served_changed in self.world.observers.served_changed:
                served_changed(self, point, True)

    def cease(self, point: Point, member: str | None = None) -> None:
        """A data point, or a member of it, is no longer live here, as after a `down` hook."""
        left = self._members.get(point, set())
        left.discard(member) if member is not None else left.clear()
        if point in self.served and not left:
            self.served.discard(point)
            for served_changed in self.world.observers.served_changed:
                served_changed(self, point, False)

    def whole(self, point: Point) -> bool:
        """Whether all members of a data point are live here, and can be reached."""
        if self.placement.addresses_of(point):
            return self.placement.whole(point)
        name, datum = point
        members = self.config.systems[name].points[datum].members
        return self._members.get(point, set()).issuperset(members)

    def has(self, point: Point, member: str) -> bool:
        """Whether a member of a data point is live here, by its hooks."""
        return member in self._members.get(point, ())

    def take_away(self, point: Point) -> None:
        """Somebody ends a data point here by hand."""
        for address in self.placement.addresses_of(point):
            self.stack.remove(address)
        self.cease(point)

    def _process_changed(self) -> None:
        for process_changed in self.world.observers.process_changed:
            process_changed(self)

    def _member_changed(self, change: Change) -> None:
        if change.member == self.id:
            self._judge_standings()
        if change.state is not change.state_before:
            for member_changed in self.world.observers.member_changed:
                member_changed(self, change.member, change.state_before, change.state)

    def standing(self, system: str) -> Standing:
        """What this machine's node says of how well it can serve a system."""
        return self._standings.get(system, Standing.FIT)

    def _judge_standings(self) -> None:
        record = self.running_node.parts.membership.own.record
        for system in self.config.me.systems:
            says = standing(record, system)
            if says is not self.standing(system):
                self._standings[system] = says
                for standing_changed in self.world.observers.standing_changed:
                    standing_changed(self, system, says)

    def state(self, member: str) -> State:
        """What this node thinks of a member."""
        return self.running_node.parts.membership.roster.state(member)

    def held(self, system: str = "ip") -> set[str]:
        """What is served here of one system."""
        return {datum for name, datum in self.served if name == system}
