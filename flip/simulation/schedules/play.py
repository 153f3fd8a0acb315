"""Plays a schedule: faults for a while, then none, then all has to be well within a bound."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import provider

from flip.config import Config
from flip.holdings.flapping import LONGEST_PENALTY
from flip.holdings.holding import LONGEST_PAUSE
from flip.simulation.faults import Fault
from flip.simulation.faults import schedule as befall
from flip.simulation.invariants.rest import Rest
from flip.simulation.invariants.standings import diagnosis_bound
from flip.simulation.invariants.truth import rotation
from flip.simulation.schedules.schedule import Schedule
from flip.simulation.world import World

LEAVING = 10.5  # seconds in which a clean stop ends, with or without its hooks
SIGNAL = 0.2  # seconds after which a slow process has heard of a signal, or of a check's end
CHECK_FAULTS = {"fail-check", "hang-check", "flap-check"}
STARTING = 5.0  # seconds that a node may take to settle, beyond its probes
STRETCH = 4  # times as long as others a node's probes may take


@dataclass(frozen=True)
class Outcome:
    """What a run that broke no rule was like.

    :ivar recovery: seconds from the last fault until everything was as it must be.
    :ivar overlap: seconds for which two that reached each other held the same, at most.
    :ivar unguarded: seconds of two owners in exclusive systems without flip or guard.
    :ivar simulated: seconds in all.
    """

    recovery: float
    overlap: float
    unguarded: float
    simulated: float


def recovery_bound(config: Config) -> float:
    """Seconds within which all is well once faults have stopped and all processes run.

    The longest of what a node waits for by itself (a penalty for flapping, its word
    that it cannot run `alive`, the pause before a hook is tried again), the time for
    which it keeps out after it was away, and its health checks; then a start: to be in
    touch, to hear everybody out and to catch up. Voters that have lost their disk, and
    then claimants, wait a lease each where systems are exclusive.
    """
    systems = config.systems.values()
    waiting = max(LONGEST_PENALTY, LONGEST_PAUSE, *(system.retry_after for system in systems), 0.0)
    waiting += max((one.failback for one in systems if one.failback < math.inf), default=0.0)
    checks = max((diagnosis_bound(one.check) for one in systems if one.check), default=0.0)
    hooks = 2 * max((system.hook_timeout for system in systems), default=0.0)
    delay = max((system.delay for system in systems), default=0.0)
    leases = max((3 * system.lease for system in systems if system.exclusive), default=0.0)
    probes = 2 * (rotation(config) + STRETCH * config.ping_timeout)
    return waiting + checks + hooks + delay + leases + probes + STARTING


def play(schedule: Schedule, watch: Callable[[World], object] = lambda world: None) -> Outcome:
    """Run a schedule to its end.

    :param watch: gets the world before anything happens, to observe it.
    :raises Violation: a rule was broken, all is not well within `recovery_bound`, or
        a node logged an error that it did not expect.
    :raises BadFault: it contains a fault that cannot be read.
    """
    world = World(schedule.config, schedule.seed)
    failures: list[Failure] = []
    with overheard(failures):
        try:
            watch(world)
            world.script = schedule.faults
            befall(world, schedule.parsed)
            world.start()
            world.run(schedule.duration)
            mend(world, schedule.parsed)
            world.run(_unheard(world, {fault.kind for fault in schedule.parsed}))
            outcome = _recover(world)
            if failures:
                raise world.violation(f"a node failed: {failures[0].getTraceback()}", "Error")
            return outcome
        finally:
            world.close()


@contextmanager
def overheard(failures: list[Failure]) -> Iterator[None]:
    """Gather the errors that nodes log and survive: each is a bug."""

    @provider(ILogObserver)
    def hear(event: LogEvent) -> None:
        failure = event.get("log_failure")
        if failure is not None:
            failures.append(failure)

    globalLogPublisher.addObserver(hear)
    try:
        yield
    finally:
        globalLogPublisher.removeObserver(hear)


def mend(world: World, faults: Iterable[Fault]) -> None:
    """Make whole again what has no end of its own; who is asked to leave still may."""
    world.fault("no fault lasts", False)
    for fault in faults:
        if fault.span.end is None and "[-TIME]" in fault.form:
            fault.lift(world, ())


def _unheard(world: World, kinds: set[str]) -> float:
    """Seconds after the last fault until a process has heard of all that befell it.

    A signal is on its way to a slow one, and a check that began under a fault, even at its
    last moment, fails only when it ends: until then all seems to be well.
    """
    signal = SIGNAL if "leave" in kinds else 0.0
    if kinds.isdisjoint(CHECK_FAULTS):
        return signal
    checks = (system.check for system in world.base.systems.values())
    return signal + SIGNAL + max((one.timeout for one in checks if one), default=0.0)


def _recover(world: World) -> Outcome:
    mended = world.now
    world.run_until(lambda: not _leaving(world), LEAVING)
    rest = Rest(world)
    recovery = _settle(world, rest) - mended
    # Well for a moment is not enough.
    world.run(2 * world.base.gossip_interval)
    if not rest.reached() and _keeps_out(world):
        recovery = _settle(world, rest) - mended
        world.run(2 * world.base.gossip_interval)
    if not rest.reached():
        raise rest.violated(None)
    invariants = world.invariants
    return Outcome(recovery, invariants.overlaps.longest, invariants.exclusive.unguarded, world.now)


def _settle(world: World, rest: Rest) -> float:
    """Let time pass until all is well; returns when."""
    try:
        world.run_until(lambda: _all_run(world) and rest.reached(), recovery_bound(world.base))
    except AssertionError as error:
        raise rest.violated(error) from None
    return world.now


def _keeps_out(world: World) -> bool:
    """Whether a node may hear late that it was away, and only then keep out of a system."""
    return any(system.failback for system in world.base.systems.values())


def _all_run(world: World) -> bool:
    """Start what does not run: a process may hear of its signal to leave only now."""
    for machine in world.machines.values():
        if machine.node is None:
            machine.start()
    return True


def _leaving(world: World) -> bool:
    return any(machine.leaving and machine.node is not None for machine in world.machines.values())
