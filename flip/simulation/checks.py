"""Health checks on virtual time: `flip.holdings.checks.prober.Prober`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from flip.errors import CheckFailed
from flip.simulation.distributions import Uniform

if TYPE_CHECKING:
    from flip.simulation.machine import Machine
    from flip.simulation.reactor import VirtualReactor

CHECK_TIME = Uniform(0.0005, 0.02)
FLAPS = 0.5  # of the checks of a system that flaps fail


@dataclass
class Ailing:
    """The systems that a machine cannot serve well: how their checks go."""

    fails: set[str] = field(default_factory=set)
    hangs: set[str] = field(default_factory=set)
    flaps: set[str] = field(default_factory=set)


class SimulatedProber:
    """The checks of one process: they end well, fail or hang as their machine says."""

    def __init__(self, machine: Machine, reactor: VirtualReactor) -> None:
        self._machine = machine
        self._reactor = reactor

    def probe(self, system: str) -> Deferred[None]:
        machine = self._machine
        ailing, rng = machine.ailing, machine.rng
        check = machine.config.systems[system].check
        assert check is not None, f"{system} has no check"
        fails = system in ailing.fails or (system in ailing.flaps and rng.random() < FLAPS)
        takes = CHECK_TIME.draw(rng)
        if system in ailing.hangs or takes > check.timeout:
            takes, fails = check.timeout, True
        done: Deferred[None] = Deferred()

        def end() -> None:
            if done.called:
                return  # it was given up
            if fails:
                done.errback(CheckFailed(f"({system}: the simulation lets it fail)"))
            else:
                done.callback(None)

        machine.world.schedule(takes, lambda: self._reactor.deliver(end))
        return done
