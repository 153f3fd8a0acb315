"""The guard of a machine on virtual time: the real logic, in a process of its own."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall

from flip.holdings.call import HookCall
from flip.holdings.guard.daemon import RemoteGuard, longest_hook
from flip.holdings.guard.interface import Point
from flip.holdings.guard.messages import Order, Report
from flip.holdings.guard.running import SLACK, grace
from flip.holdings.guard.sentry import Sentry
from flip.holdings.guard.watch import Watch
from flip.simulation.hooks import afflicted

if TYPE_CHECKING:
    from flip.config import Config
    from flip.simulation.machine import Machine
    from flip.simulation.reactor import VirtualReactor

NARROWLY = 0.99  # of the time before TERM, that a slow hook takes


def guard_of(machine: Machine, config: Config, reactor: VirtualReactor) -> RemoteGuard | None:
    """The guard for a daemon of this machine, None when it lists no exclusive system.

    :param reactor: the daemon's.
    """
    longest = longest_hook(config)
    if longest is None:
        return None
    return RemoteGuard(
        reactor,
        lambda received, lost: GuardProcess(machine, reactor, received, lost),
        longest,
    )


class GuardProcess:
    """One life of a guard, and the daemon's connection to it (`flip.holdings.guard.daemon.Link`).

    Orders and reports are delivered in order, each to the other's reactor, so that a
    frozen process finds them when it thaws, and a dead one never.
    """

    def __init__(
        self,
        machine: Machine,
        daemon: VirtualReactor,
        received: Callable[[Report], None],
        lost: Callable[[], None],
    ) -> None:
        machine.guards_started += 1
        self.pid = machine.guards_started
        self.name = f"flip-guard {self.pid}"
        self.reactor = machine.spawn(self.name)
        self._machine = machine
        self._daemon = daemon
        self._received = received
        self._lost = lost
        self._wake: IDelayedCall | None = None
        self._acting = False
        self._hooks = GuardedHooks(machine, self)
        turn = MachineTurn(machine, self)
        self._sentry = Sentry(self.reactor.seconds, self._hooks, Watch(turn), self._tell)
        machine.guards.append(self)

    @property
    def alive(self) -> bool:
        return not self.reactor.dead

    @property
    def frozen(self) -> bool:
        return self.reactor.frozen

    def send(self, order: Order) -> None:
        """An order of the daemon's is on its way."""
        self.deliver(lambda: self._sentry.receive(order))

    def close(self) -> Deferred[None]:
        """The daemon says no more."""
        self.daemon_ended()
        return succeed(None)

    def daemon_ended(self) -> None:
        """The other end of the pipe is closed, whatever closed it."""
        self.deliver(self._sentry.lost)

    def kill(self) -> None:
        """SIGKILL, at once."""
        if self.alive:
            self.end()

    def kill_group(self, pid: int) -> None:
        """The kernel has done that: an `alive` dies with its guard."""

    def end(self, *, silently: bool = False) -> None:
        """The process is gone.

        :param silently: the whole machine is.
        """
        machine = self._machine
        machine.guards.remove(self)
        machine.end(self.name, silently=silently)
        if machine.turn is self:
            machine.turn = None
        if silently:
            self._hooks.power_lost()
        self._hooks.guard_ended()
        self._daemon.deliver(self._lost)

    def deliver(self, happens: Callable[[], None]) -> None:
        """Something happens to this process; then it does what is due."""

        def react() -> None:
            happens()
            self._act_soon()

        self.reactor.deliver(react)

    def ended(self, number: int, failure: str | None) -> None:
        """A hook has ended."""
        self.deliver(lambda: self._sentry.ended(number, failure))

    def _tell(self, report: Report) -> None:
        self._daemon.deliver(lambda: self._received(report))

    def _act_soon(self) -> None:
        # As the real process does: it reads all that has arrived, and then acts.
        if self.alive and not self._acting:
            self._acting = True
            self.reactor.callLater(0, self._act)

    def _act(self) -> None:
        self._acting = False
        if not self.alive:
            return
        self._sentry.act()
        if self._sentry.finished:
            self.end()
            return
        due = self._sentry.due()
        if self._wake is not None and self._wake.active():
            self._wake.cancel()
        self._wake = None
        if due is not None and due < math.inf:
            wait = max(0.0, due - self.reactor.seconds())
            self._wake = self.reactor.callLater(wait, self._act)


class MachineTurn:
    """The lock file of a machine's guards."""

    def __init__(self, machine: Machine, owner: GuardProcess) -> None:
        self._machine = machine
        self._owner = owner

    def take(self) -> Mapping[Point, float] | None:
        machine = self._machine
        if machine.turn not in (None, self._owner):
            return None
        machine.turn = self._owner
        left, machine.left_running = machine.left_running, {}
        return left

    def give_up(self) -> None:
        self._machine.turn = None
        self._machine.left_running.clear()

    def extend(self, point: Point, until: float) -> None:
        self._machine.left_running[point] = until

    def evict(self) -> None:
        owner = self._machine.turn
        if owner is not None:
            owner.kill()


class GuardedHooks:
    """The hooks of one guard: they end on time, fail or hang as their machine says.

    What makes them end early, TERM and KILL, comes from the guard. An `alive` dies
    with it; a `down` goes on without it, until its own alarm clock rings.
    """

    def __init__(self, machine: Machine, guard: GuardProcess) -> None:
        self._machine = machine
        self._guard = guard
        self._ends: dict[int, tuple[HookCall, Callable[[bool, str | None], None]]] = {}

    def survives(self, event: str) -> bool:
        return event != "alive"

    def start(self, number: int, call: HookCall, limit: float) -> int:
        machine, world = self._machine, self._machine.world
        point, (member,) = (call.system, call.datum), call.members
        machine.runs.append((world.now, call.event, call.datum))
        world.hook_started(machine, call)
        if call.event == "alive":
            machine.serve(point, member)

        def end(good: bool, failure: str | None) -> None:
            if self._ends.pop(number, None) is None:
                return
            if call.event == "down" and good:
                machine.cease(point, member)
            world.hook_ended(machine, call, good)
            self._guard.ended(number, failure)

        self._ends[number] = call, end
        self._plan(call, end)
        return number

    def signal(self, number: int, number_of_signal: signal.Signals) -> None:
        """A hook that hangs ignores TERM."""
        run = self._ends.get(number)
        if run is not None:
            call, end = run
            hangs = afflicted(call, self._machine.hanging)
            if number_of_signal == signal.SIGKILL or not hangs:
                end(False, f"killed by {number_of_signal.name}")

    def guard_ended(self) -> None:
        """The guard was killed, or has ended."""
        for call, end in list(self._ends.values()):
            if not self.survives(call.event):
                end(False, "killed by SIGKILL")

    def power_lost(self) -> None:
        """Nothing of them is left."""
        self._ends.clear()

    def _plan(self, call: HookCall, end: Callable[[bool, str | None], None]) -> None:
        # All by the machine's clock, which the timeouts are measured with.
        machine = self._machine
        duration = machine.hook_time.draw(machine.rng)
        if afflicted(call, machine.slow):
            before_term = call.timeout - grace(call.timeout)
            duration = max(duration, NARROWLY * before_term)
        alarm = call.timeout + SLACK
        if afflicted(call, machine.hanging) or duration >= alarm:
            machine.clock.after(alarm, lambda: end(False, "killed by SIGALRM"))
            return
        good = not afflicted(call, machine.failing)
        failure = None if good else "exit status 1"
        machine.clock.after(duration, lambda: end(good, failure))
