"""What befalls hooks: they fail, hang, or take all the time they have."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from flip.config import Config
from flip.config.places import meant, shown
from flip.config.values import System
from flip.errors import BadFault
from flip.simulation.faults import notation
from flip.simulation.faults.fault import Fault

if TYPE_CHECKING:
    from flip.simulation.machine import Machine
    from flip.simulation.world import World

EVENTS = ("alive", "down")


@dataclass(frozen=True)
class _HookFault(Fault):
    """Hooks that begin meanwhile do not end as they should.

    :cvar of_kernel: whether it also befalls what flip asks the kernel for, in place of hooks.
    :ivar datum: of which data point, or member of one, in whatever system; of all when it
        is None.
    """

    form: ClassVar[str] = "NODE[,NODE]/alive|down[/DATUM]@TIME[-TIME]"
    of_kernel: ClassVar[bool] = False

    nodes: tuple[str, ...]
    event: str
    datum: str | None

    @classmethod
    def parse(cls, text: str) -> Self:
        what, span = notation.timed(text)
        nodes, slash, hook = what.partition("/")
        event, more, datum = hook.partition("/")
        if not slash:
            raise BadFault('it does not say which hook: expected "/alive" or "/down"')
        if event not in EVENTS:
            raise BadFault(f"{shown(event)} is no hook{meant(event, EVENTS)}")
        return cls(span, notation.names(nodes), event, datum if more else None)

    @property
    def rest(self) -> str:
        datum = "" if self.datum is None else f"/{self.datum}"
        return f"{','.join(self.nodes)}/{self.event}{datum}@{self.span}"

    @property
    def named(self) -> Sequence[str]:
        return self.nodes

    def problems(self, config: Config) -> Iterator[str]:
        for node in self.nodes:
            data = [text for system in self._systems(config, node) for text in _texts(system)]
            if not data:
                yield f"{shown(node)} holds nothing, and runs no hooks"
            elif self.datum is not None and self.datum not in data:
                hint = meant(self.datum, data)
                yield f"{shown(node)} can hold no data point {shown(self.datum)}{hint}"

    def impose(self, world: World) -> None:
        for node in self.nodes:
            self.afflicted(world[node]).update(self._hooks(world, node))

    def lift(self, world: World, others: Sequence[Fault]) -> None:
        for node in self.nodes:
            self.afflicted(world[node]).difference_update(self._hooks(world, node))
        for other in others:
            if isinstance(other, type(self)):
                other.impose(world)

    def _hooks(self, world: World, node: str) -> Iterator[tuple[str, str]]:
        for system in self._systems(world[node].config, node):
            for datum in _texts(system):
                if self.datum in (None, datum):
                    yield self.event, datum

    def _systems(self, config: Config, node: str) -> Iterator[System]:
        for name in config.servers[node].systems:
            if self.of_kernel or config.systems[name].provider is None:
                yield config.systems[name]

    @abstractmethod
    def afflicted(self, machine: Machine) -> set[tuple[str, str]]:
        """Event and datum of the hooks of this machine that behave so."""


def _texts(system: System) -> Iterator[str]:
    """The ids of a system's data points, and their members."""
    for id, point in system.points.items():
        yield id
        yield from (member for member in point.members if member != id)


@dataclass(frozen=True)
class FailHook(_HookFault):
    """An exit status other than 0."""

    kind: ClassVar[str] = "fail-hook"
    example: ClassVar[str] = "flip/alive/192.168.0.1@5-30"
    meaning: ClassVar[str] = (
        "the hook fails, or the kernel refuses the address, for one data point or for all."
    )
    of_kernel: ClassVar[bool] = True

    def afflicted(self, machine: Machine) -> set[tuple[str, str]]:
        return machine.failing


@dataclass(frozen=True)
class HangHook(_HookFault):
    """A hook that has to be killed."""

    kind: ClassVar[str] = "hang-hook"
    example: ClassVar[str] = "flip/down@5-30"
    meaning: ClassVar[str] = "the hook hangs until it is killed at its timeout."

    def afflicted(self, machine: Machine) -> set[tuple[str, str]]:
        return machine.hanging


@dataclass(frozen=True)
class SlowHook(_HookFault):
    """A hook that takes all the time it has."""

    kind: ClassVar[str] = "slow-hook"
    example: ClassVar[str] = "flip/alive@5-30"
    meaning: ClassVar[str] = "the hook ends well, but only just before its timeout."

    def afflicted(self, machine: Machine) -> set[tuple[str, str]]:
        return machine.slow
