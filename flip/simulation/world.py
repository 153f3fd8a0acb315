"""A whole cluster on virtual time: real nodes, simulated machines, network and hooks.

One seed gives one run. After every step the safety rules are checked on what the
machines really serve, not on what the nodes say; a broken one raises `Violation`
with the seed and the last things that happened.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any

from twisted.internet.defer import Deferred

from flip.config import Config, load
from flip.holdings.runner import HookCall
from flip.simulation.acquaintance import acquaint
from flip.simulation.clock import Agenda
from flip.simulation.disk import MemoryDisk
from flip.simulation.invariants import Invariants, Violation
from flip.simulation.machine import Machine
from flip.simulation.network import Network
from flip.simulation.observer import Observer, Observers
from flip.simulation.segment import Segment
from flip.wire.seal import derive

DESCRIBED = 10  # machines in a report


class World:
    """The clock, the network and the machines.

    :param description: the configuration file's JSON.
    :param checked: whether the safety rules are checked, which takes long with many nodes.
    :ivar schedule: lets something outside of the nodes happen after so many seconds.
    """

    def __init__(
        self, description: Mapping[str, Any], seed: int = 0, *, checked: bool = True
    ) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.history: deque[str] = deque(maxlen=60)
        self.observers = Observers()
        self.script: tuple[str, ...] = ()  # the faults to come, for reports
        self.broken: Violation | None = None  # the first, from deep inside of a node perhaps
        self.agenda = Agenda()
        self.schedule = self.agenda.after
        self.ciphers = cache(derive)  # one per life of a node, not one per pair of nodes
        self.network = Network(self.schedule, random.Random(f"{seed} network"))
        self.segment = Segment(self)
        self.base = self.configure(description)
        self.machines = {
            id: Machine(self, self.configuration_of(id), MemoryDisk(f"{id}/journal.sqlite"))
            for id in self.base.servers
        }
        self.invariants = Invariants(self)
        if not checked:
            self.observers = Observers()

    def configure(self, description: Mapping[str, Any]) -> Config:
        """Read a configuration as a node would."""
        return _read(json.dumps(description), next(iter(description["servers"])))

    def configuration_of(self, id: str, base: Config | None = None) -> Config:
        """A configuration as the node `id` sees it."""
        return replace(base or self.base, id=id)

    def close(self) -> None:
        """Kill everything and forget the disks; nobody is told of that."""
        self.observers = Observers()
        for machine in self.machines.values():
            machine.reboot()
            machine.lose_disk()

    @property
    def now(self) -> float:
        """Seconds since the world began."""
        return self.agenda.now

    def observe(self, observer: Observer) -> None:
        """Tell `observer` of what happens from now on."""
        self.observers.add(observer)

    def __getitem__(self, id: str) -> Machine:
        return self.machines[id]

    def start(self, *ids: str) -> None:
        """Start processes, all of them when none is named."""
        for id in ids or tuple(self.machines):
            self.machines[id].start()

    def start_acquainted(self) -> None:
        """Start all processes, as if their nodes had known one another for long.

        For large clusters: a thousand nodes would take minutes over a cold start.
        """
        network = self.network
        loss, network.loss = network.loss, 1.0
        self.start()
        acquaint(self.machines.values(), self.rng)
        network.loss = loss

    def addresses(self, *ids: str) -> list[str]:
        return [self.machines[id].address for id in ids]

    def cut(self, sources: Iterable[str], targets: Iterable[str], *, one_way: bool = False) -> None:
        """No packet gets from `sources` to `targets`, nor back."""
        here, there = self.addresses(*sources), self.addresses(*targets)
        self.disturb(f"cut {here} {'->' if one_way else '<->'} {there}")
        self.network.cut(here, there)
        if not one_way:
            self.network.cut(there, here)

    def cut_all(self) -> None:
        """Nobody can talk to anybody."""
        for id in self.machines:
            self.cut((id,), self.others(id))

    def heal(self, sources: Iterable[str] = (), targets: Iterable[str] = ()) -> None:
        """Undo all cuts, or those between two groups."""
        here, there = self.addresses(*sources), self.addresses(*targets)
        self.disturb(f"heal {here or 'everything'} {there}")
        if here:
            self.network.heal(here, there)
            self.network.heal(there, here)
        else:
            self.network.heal()

    def others(self, id: str) -> list[str]:
        return [other for other in self.machines if other != id]

    def fault(self, text: str, began: bool = True) -> None:
        """Tell all observers of a fault, or (`began` False) of the end of one."""
        self.disturb(text if began else f"no longer: {text}")
        for fault in self.observers.fault:
            fault(text, began)

    def disturb(self, text: str) -> None:
        """A fault, or the end of one."""
        self.note(text)

    def note(self, text: str) -> None:
        self.history.append(f"{self.now:9.3f} {text}")

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self._step(end):
            pass
        self.agenda.now = end

    def run_until(self, condition: Callable[[], bool], limit: float) -> float:
        """Let time pass until `condition` holds; returns the seconds that took.

        :raises Violation: it did not within `limit` seconds.
        """
        began = self.now
        while not condition():
            if not self._step(began + limit):
                self.agenda.now = began + limit
                if not condition():
                    raise self.violation(f"not within {limit} s", "awaited")
        return self.now - began

    def await_served(self, id: str, data: Collection[str], limit: float) -> float:
        """Let time pass until one machine serves just this."""
        return self.run_until(lambda: self.machines[id].held() == data, limit)

    def await_fired(self, deferred: Deferred[None], limit: float) -> float:
        """Let time pass until a deferred fires."""
        return self.run_until(lambda: bool(deferred.called), limit)

    def await_touch(self, id: str, limit: float) -> float:
        """Let time pass until a node is in touch."""
        membership = self.machines[id].running_node.parts.membership
        return self.run_until(lambda: membership.in_touch, limit)

    def await_end(self, machine: Machine, limit: float) -> float:
        """Let time pass until no process runs on a machine."""
        return self.run_until(lambda: machine.node is None, limit)

    def _step(self, end: float) -> bool:
        """The next thing that happens before `end`; False if nothing does."""
        if not self.agenda.step(end):
            return False
        for stepped in self.observers.stepped:
            stepped(self)
        if self.broken is not None:
            raise self.broken  # whatever a node made of it: to some it was a hook that failed
        return True

    def violation(self, text: str, invariant: str) -> Violation:
        """The error of a broken rule, with everything that tells how it came about."""
        lines = [f"seed {self.seed}, {self.now:.3f} s: {invariant}: {text}"]
        if self.script:
            lines += ["schedule:", *(f"    {fault}" for fault in self.script)]
        lines += ["last:", *self.history]
        for machine in list(self.machines.values())[:DESCRIBED]:
            lines.append(f"{machine.id} serves {sorted(machine.served)}; {describe(machine)}")
        return Violation(invariant, self.now, "\n".join(lines))

    def hook_started(self, machine: Machine, call: HookCall) -> None:
        """A hook of a machine begins to run."""
        self.note(f"{machine.id}: {call.event} {call.datum}")
        for hook_started in self.observers.hook_started:
            hook_started(machine, call)

    def hook_ended(self, machine: Machine, call: HookCall, good: bool) -> None:
        """A hook of a machine has ended; its process may be gone by now."""
        self.note(f"{machine.id}: {call.event} {call.datum} {'done' if good else 'failed'}")
        for hook_ended in self.observers.hook_ended:
            hook_ended(machine, call, good)


@lru_cache(maxsize=128)
def _read(text: str, id: str) -> Config:
    """A file's configuration: many worlds have the same."""
    with tempfile.NamedTemporaryFile("w", prefix="flip-", suffix=".json") as file:
        file.write(text)
        file.flush()
        return load(file.name, id=id, environ={})


def describe(machine: Machine) -> str:
    """One line on what a node believes."""
    if machine.node is None:
        return "not running"
    membership, keeper = machine.node.parts.membership, machine.node.parts.keeper
    states = {member.id: membership.roster.state(member.id).value for member in membership.roster}
    wanted = {name: sorted(system.wanted) for name, system in keeper.systems.items()}
    claims = {
        name: {datum: phase.name for datum, phase in phases.items()}
        for name, phases in membership.own.claims.items()
    }
    return (
        f"in touch {membership.in_touch}, settled {membership.settled}, {states},"
        f" wanted {wanted}, claims {claims}"
    )
