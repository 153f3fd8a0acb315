"""What befalls processes and their machines: they are killed, leave, freeze, and start again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from flip.config import Config
from flip.config.places import shown
from flip.errors import BadFault
from flip.simulation.faults.fault import Fault, NodeFault

if TYPE_CHECKING:
    from flip.simulation.machine import Machine
    from flip.simulation.world import World


@dataclass(frozen=True)
class _Ending(NodeFault):
    """Ends processes; at the end of the time they start again, unless they run already."""

    @property
    def lasts(self) -> bool:
        return False

    def lift(self, world: World, others: Sequence[Fault]) -> None:
        for node in self.nodes:  # whatever else ended them: this is an event, and no state
            self.relieve(world[node])

    def relieve(self, machine: Machine) -> None:
        if machine.node is None:
            machine.start()


@dataclass(frozen=True)
class Kill(_Ending):
    """SIGKILL."""

    kind: ClassVar[str] = "kill"
    example: ClassVar[str] = "flip1@5"
    meaning: ClassVar[str] = (
        "SIGKILL; what the node holds stays live on its machine. A second time starts it again."
    )

    def befall(self, machine: Machine) -> None:
        if machine.node is not None:
            machine.kill()


@dataclass(frozen=True)
class Reboot(_Ending):
    """The machine loses its power."""

    kind: ClassVar[str] = "reboot"
    example: ClassVar[str] = "flip1@5-60"
    meaning: ClassVar[str] = (
        "the machine loses its power, and with it all that was live there; the disk is kept."
        " A second time starts the node again."
    )

    def befall(self, machine: Machine) -> None:
        machine.reboot()


@dataclass(frozen=True)
class Leave(_Ending):
    """SIGTERM, and again."""

    kind: ClassVar[str] = "leave"
    example: ClassVar[str] = "flip1@5-60"
    meaning: ClassVar[str] = (
        "SIGTERM: the node hands over what it holds and ends. A second time starts it again."
    )

    def befall(self, machine: Machine) -> None:
        if machine.reactor is None:
            return  # it may have been killed while it was leaving
        if machine.leaving:
            machine.kill()  # as a second signal does
        else:
            # A frozen process hears of a signal when it thaws.
            machine.reactor.deliver(partial(_hear_signal, machine))


def _hear_signal(machine: Machine) -> None:
    machine.leave()  # a failure to do so is logged by Twisted, as any unhandled one


@dataclass(frozen=True)
class Restart(NodeFault):
    """The node starts."""

    kind: ClassVar[str] = "restart"
    form: ClassVar[str] = "NODE[,NODE]@TIME"
    example: ClassVar[str] = "flip1@20"
    meaning: ClassVar[str] = "the node starts; one that runs is killed first."

    def __post_init__(self) -> None:
        if self.span.end is not None:
            raise BadFault("it happens once, and has no end")

    @property
    def lasts(self) -> bool:
        return False

    def befall(self, machine: Machine) -> None:
        if machine.node is not None:
            machine.kill()
        machine.start()

    def relieve(self, machine: Machine) -> None:
        raise AssertionError("it has no end")


@dataclass(frozen=True)
class RestartEmpty(Restart):
    """The node starts without its disk."""

    kind: ClassVar[str] = "restart-empty"
    meaning: ClassVar[str] = "the same, but its state directory is lost."

    def befall(self, machine: Machine) -> None:
        if machine.node is not None:
            machine.kill()
        machine.lose_disk()
        machine.start()


@dataclass(frozen=True)
class Freeze(NodeFault):
    """SIGSTOP, and SIGCONT at the end."""

    kind: ClassVar[str] = "freeze"
    example: ClassVar[str] = "flip@50-58"
    meaning: ClassVar[str] = "SIGSTOP, and SIGCONT at the second time; hooks go on."

    def befall(self, machine: Machine) -> None:
        if machine.reactor is not None and not machine.reactor.frozen:
            machine.freeze()

    def relieve(self, machine: Machine) -> None:
        if machine.reactor is not None and machine.reactor.frozen:
            machine.thaw()


@dataclass(frozen=True)
class KillGuard(NodeFault):
    """SIGKILL of the guard; its daemon starts another."""

    kind: ClassVar[str] = "kill-guard"
    form: ClassVar[str] = "NODE[,NODE]@TIME"
    example: ClassVar[str] = "flip1@5"
    meaning: ClassVar[str] = "SIGKILL of the guard of exclusive systems; the node starts another."

    def __post_init__(self) -> None:
        if self.span.end is not None:
            raise BadFault("it happens once, and has no end")

    @property
    def lasts(self) -> bool:
        return False

    def problems(self, config: Config) -> Iterator[str]:
        return _unguarded(self, config)

    def befall(self, machine: Machine) -> None:
        machine.kill_guard()

    def relieve(self, machine: Machine) -> None:
        raise AssertionError("it has no end")


@dataclass(frozen=True)
class FreezeGuard(NodeFault):
    """SIGSTOP of the guard, and SIGCONT at the end."""

    kind: ClassVar[str] = "freeze-guard"
    example: ClassVar[str] = "flip@50-58"
    meaning: ClassVar[str] = "SIGSTOP of the guard of exclusive systems, and SIGCONT."

    def problems(self, config: Config) -> Iterator[str]:
        return _unguarded(self, config)

    def befall(self, machine: Machine) -> None:
        machine.freeze_guard()

    def relieve(self, machine: Machine) -> None:
        machine.thaw_guard()


def _unguarded(fault: NodeFault, config: Config) -> Iterator[str]:
    for node in fault.nodes:
        if not any(config.systems[name].exclusive for name in config.servers[node].systems):
            yield f"{shown(node)} lists no exclusive system, and has no guard"
