"""What befalls a part of a node: one of its systems, its interfaces or its data points."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from flip.config import Config
from flip.config.places import meant, shown
from flip.simulation.faults import notation
from flip.simulation.faults.fault import Fault

if TYPE_CHECKING:
    from flip.simulation.machine import Machine
    from flip.simulation.world import World


@dataclass(frozen=True)
class Scoped(Fault):
    """Befalls some parts of some nodes.

    :cvar part: what one of these parts is called.
    :cvar lacking: what is wrong with a node that has none of them.
    :ivar name: the part; None for all of a node's.
    """

    part: ClassVar[str]
    lacking: ClassVar[str]

    nodes: tuple[str, ...]
    name: str | None

    @classmethod
    def parse(cls, text: str) -> Self:
        what, span = notation.timed(text)
        nodes, slash, name = what.partition("/")
        return cls(span, notation.names(nodes), name if slash else None)

    @property
    def rest(self) -> str:
        name = "" if self.name is None else f"/{self.name}"
        return f"{','.join(self.nodes)}{name}@{self.span}"

    @property
    def named(self) -> Sequence[str]:
        return self.nodes

    def problems(self, config: Config) -> Iterator[str]:
        for node in self.nodes:
            parts = self.parts(config, node)
            if not parts:
                yield f"{shown(node)} {self.lacking}"
            elif self.name is not None and self.name not in parts:
                hint = meant(self.name, parts)
                yield f"{shown(node)} has no {self.part} {shown(self.name)}{hint}"

    def impose(self, world: World) -> None:
        for node in self.nodes:
            for name in self._meant(world, node):
                self.befall(world[node], name)

    def lift(self, world: World, others: Sequence[Fault]) -> None:
        for node in self.nodes:
            for name in self._meant(world, node):
                self.relieve(world[node], name)
        for other in others:
            if isinstance(other, type(self)):
                other.impose(world)

    def _meant(self, world: World, node: str) -> list[str]:
        parts = self.parts(world.base, node)
        return [name for name in parts if self.name in (None, name)]

    @abstractmethod
    def parts(self, config: Config, node: str) -> Sequence[str]:
        """What of a node it may befall."""

    @abstractmethod
    def befall(self, machine: Machine, name: str) -> None:
        """Break one part; nothing happens to one that is broken in this way already."""

    @abstractmethod
    def relieve(self, machine: Machine, name: str) -> None:
        """Make one part whole again."""
