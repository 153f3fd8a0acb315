"""Hooks on virtual time: how long they take, and whether they end well."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, fail, succeed

from flip.errors import HookFailed
from flip.holdings.group import run_group
from flip.holdings.runner import HookCall, HookResult
from flip.simulation.distributions import Uniform

if TYPE_CHECKING:
    from flip.simulation.machine import Machine
    from flip.simulation.reactor import VirtualReactor

HOOK_TIME = Uniform(0.005, 0.04)  # of a hook that sets an address
NARROWLY = 0.99  # of its timeout, that a slow hook takes


class Hooks:
    """The hook runner of one process: hooks end on time, fail or hang as their machine says.

    A hook that takes longer than its timeout, by its machine's clock, is killed
    then. It goes on when the process that ran it dies, until the next one starts.
    """

    def __init__(self, machine: Machine, reactor: VirtualReactor) -> None:
        self._machine = machine
        self._reactor = reactor
        self._ended = False

    def run(self, call: HookCall) -> Deferred[HookResult]:
        if len(call.members) > 1:
            return run_group(call, self._run_one, self._reactor.seconds)
        return self._run_one(call)

    def _run_one(self, call: HookCall) -> Deferred[HookResult]:
        if self._ended:
            return fail(HookFailed("(not started, flip ends)"))
        machine, world = self._machine, self._machine.world
        point, (member,) = (call.system, call.datum), call.members
        machine.runs.append((world.now, call.event, call.datum))
        world.hook_started(machine, call)
        if call.event == "alive":
            machine.serve(point, member)
        duration, good = self._fate(call)
        done: Deferred[HookResult] = Deferred()

        def end(good: bool = good) -> None:
            if machine.running_hooks.pop(end, None) is None:
                return
            if call.event == "down" and good:
                machine.cease(point, member)
            world.hook_ended(machine, call, good)
            self._reactor.deliver(lambda: report(good))

        def report(good: bool) -> None:
            if good:
                done.callback(HookResult(duration))
            else:
                done.errback(HookFailed("(exit status 1)"))

        machine.running_hooks[end] = self
        machine.clock.after(duration, end)
        return done

    def end_former(self) -> None:
        """Kill what former processes left running: it fails, and what is served stays as it is."""
        for end, runner in list(self._machine.running_hooks.items()):
            if runner is not self:
                end(False)

    def end_all(self) -> Deferred[None]:
        """End what runs, as production's TERM and KILL do, but without their grace."""
        self._ended = True
        for end, runner in list(self._machine.running_hooks.items()):
            if runner is self:
                end(False)
        return succeed(None)

    def _fate(self, call: HookCall) -> tuple[float, bool]:
        """The seconds, by its machine's clock, that a hook takes, and whether it ends well."""
        machine, limit = self._machine, call.timeout
        duration = machine.hook_time.draw(machine.rng)
        if afflicted(call, machine.slow):
            duration = max(duration, NARROWLY * limit)
        if afflicted(call, machine.hanging) or duration > limit:
            return limit, False
        if call.event == "check":
            return duration, machine.has((call.system, call.datum), *call.members)
        return duration, not afflicted(call, machine.failing)


def afflicted(call: HookCall, hooks: Container[tuple[str, str]]) -> bool:
    """Whether the hook of a call is among these, by its data point or its member."""
    (member,) = call.members
    return (call.event, call.datum) in hooks or (call.event, member) in hooks
