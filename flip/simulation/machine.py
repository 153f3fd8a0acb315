"""A host of the simulation: its disk, its processes, and what its hooks made live."""

from __future__ import annotations

import random
import shutil
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from flip.config import Config
from flip.errors import HookFailed
from flip.holdings.disk import StateDirectory
from flip.holdings.hooks import Hook
from flip.holdings.journal import Journal
from flip.holdings.runner import HookCall, HookResult
from flip.membership.roster import Change, State
from flip.node import Node
from flip.simulation.reactor import VirtualReactor

if TYPE_CHECKING:
    from flip.simulation.world import World

KEY = b"k" * 32
START = 1_700_000_000.0  # the wall clock when the virtual clock shows 0
Point = tuple[str, str]


class Machine:
    """A host: its disk and what it serves outlive the processes that run on it.

    :ivar served: what the hooks made live here; counted from the start of
        `alive` to the end of `down`. Changed by `serve` and `cease` only.
    """

    def __init__(self, world: World, config: Config, disk: Path) -> None:
        self.id = config.id
        self.config = config
        self.disk = disk
        self.served: set[Point] = set()
        self.node: Node | None = None
        self.reactor: VirtualReactor | None = None
        self.hook_time = (0.005, 0.04)
        self.failing: set[tuple[str, str]] = set()  # (event, datum) whose hook fails
        self.hanging: set[tuple[str, str]] = set()
        self.runs: list[tuple[float, str, str]] = []
        self.wall_offset = 0.0
        self.leaving = False
        self.stopped = False  # the node ended by itself
        self._world = world

    @property
    def address(self) -> str:
        return self.config.me.ip

    @property
    def running(self) -> bool:
        """Whether a process runs and is not frozen."""
        return self.reactor is not None and not self.reactor.frozen

    @property
    def guarded(self) -> bool:
        """Whether anything runs here that lets go of exclusive data points in time."""
        return self.running

    @property
    def running_node(self) -> Node:
        """The node of this machine's process, also while that is frozen.

        :raises AssertionError: no process runs here.
        """
        if self.node is None:
            raise AssertionError(f"no process runs on {self.id}")
        return self.node

    def start(self, config: Config | None = None) -> None:
        """Start a process."""
        self.config = config or self.config
        self.leaving = self.stopped = False
        world = self._world
        reactor = self.reactor = VirtualReactor(self.address, world.network, lambda: world.now)
        names = self.config.me.systems
        hooks = {
            name: {event: Hook(event, (event,)) for event in ("alive", "down")} for name in names
        }
        self.node = Node(
            self.config,
            reactor,
            random.Random(world.rng.getrandbits(64)),
            keys=(KEY,),
            wall=self.wall,
            journal=Journal(StateDirectory(self.disk), now=self.wall),
            runner=Hooks(self, reactor),
            hooks=hooks,
            failed=self._ended,
        )
        world.disturb(f"{self.id} starts")
        self.node.startService()
        self.node.parts.membership.roster.subscribe(self._member_changed)
        self._process_changed()

    def wall(self) -> float:
        return START + self._world.now + self.wall_offset

    def _ended(self) -> None:
        self.stopped = True
        self.kill()

    def kill(self) -> None:
        """SIGKILL: the machine goes on, and so do the hooks that run."""
        assert self.reactor is not None
        node = self.running_node
        self._world.disturb(f"{self.id} is killed")
        self.reactor.die()
        node.journal.close()
        self.reactor = self.node = None
        self._process_changed()

    def reboot(self) -> None:
        """The machine's power fails: what it served is gone."""
        if self.node is not None:
            self.kill()
        for point in sorted(self.served):
            self.cease(point)

    def recorded(self) -> set[Point] | None:
        """What the journal on disk names; None where it does not claim to name all.

        This is what the next life of the node goes by, if this one ends now.
        """
        path = self.disk / "journal.sqlite"
        if not path.exists() or (self.disk / "journal.stale").exists():
            return None
        database = sqlite3.connect(path)
        try:
            complete = database.execute("SELECT value FROM facts WHERE name = 'complete'")
            if complete.fetchone() != (1,):
                return None
            return set(database.execute("SELECT system, datum FROM held"))
        finally:
            database.close()

    def lose_disk(self) -> None:
        shutil.rmtree(self.disk, ignore_errors=True)

    def leave(self) -> Deferred[None]:
        """SIGTERM; fires when the process has ended."""
        node = self.running_node
        self._world.note(f"{self.id} is asked to leave")
        self.leaving = True
        return node.stopService().addCallback(lambda _: self.kill())

    def freeze(self) -> None:
        assert self.reactor is not None
        self._world.disturb(f"{self.id} freezes")
        self.reactor.frozen = True
        self._process_changed()

    def thaw(self) -> None:
        assert self.reactor is not None
        self._world.disturb(f"{self.id} thaws")
        self.reactor.frozen = False
        self._process_changed()
        self.reactor.iterate(sockets_first=self._world.rng.random() < 0.5)

    def serve(self, point: Point) -> None:
        """Make a data point live here, as an `alive` hook does."""
        if point not in self.served:
            self.served.add(point)
            for served_changed in self._world.observers.served_changed:
                served_changed(self, point, True)

    def cease(self, point: Point) -> None:
        """A data point is no longer live here, as after a `down` hook."""
        if point in self.served:
            self.served.discard(point)
            for served_changed in self._world.observers.served_changed:
                served_changed(self, point, False)

    def _process_changed(self) -> None:
        for process_changed in self._world.observers.process_changed:
            process_changed(self)

    def _member_changed(self, change: Change) -> None:
        if change.state is not change.state_before:
            for member_changed in self._world.observers.member_changed:
                member_changed(self, change.member, change.state_before, change.state)

    def state(self, member: str) -> State:
        """What this node thinks of a member."""
        return self.running_node.parts.membership.roster.state(member)

    def held(self, system: str = "ip") -> set[str]:
        """What is served here of one system."""
        return {datum for name, datum in self.served if name == system}


class Hooks:
    """The hook runner of one process: hooks end on time, fail or hang as their machine says."""

    def __init__(self, machine: Machine, reactor: VirtualReactor) -> None:
        self._machine = machine
        self._reactor = reactor

    def run(self, call: HookCall) -> Deferred[HookResult]:
        machine, world = self._machine, self._machine._world
        point = call.system, call.datum
        machine.runs.append((world.now, call.event, call.datum))
        world.hook_started(machine, call)
        if call.event == "alive":
            machine.serve(point)
        key = call.event, call.datum
        hangs, fails = key in machine.hanging, key in machine.failing
        duration = call.timeout if hangs else world.rng.uniform(*machine.hook_time)
        done: Deferred[HookResult] = Deferred()

        def end() -> None:
            good = not (hangs or fails)
            if call.event == "down" and good:
                machine.cease(point)
            world.hook_ended(machine, call, good)
            self._reactor.deliver(lambda: report(good))

        def report(good: bool) -> None:
            if good:
                done.callback(HookResult(duration))
            else:
                done.errback(HookFailed("(exit status 1)"))

        world.schedule(duration, end)
        return done
