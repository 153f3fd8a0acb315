"""What all faults are: a text, a time, and what is done to a world then."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from flip.config import Config
from flip.simulation.faults import notation
from flip.simulation.faults.notation import Span

if TYPE_CHECKING:
    from flip.simulation.machine import Machine
    from flip.simulation.world import World


@dataclass(frozen=True)
class Fault(ABC):
    """Something that breaks, and perhaps is whole again later.

    :cvar kind: the first word of its text.
    :cvar form: the rest of its text, as a pattern.
    :cvar example: the rest of a text that can be read.
    :cvar meaning: what breaks.
    :cvar can_happen: whether it does, outside of tests of the safety rules.
    """

    kind: ClassVar[str]
    form: ClassVar[str]
    example: ClassVar[str]
    meaning: ClassVar[str]
    can_happen: ClassVar[bool] = True

    span: Span

    @classmethod
    @abstractmethod
    def parse(cls, text: str) -> Self:
        """Read the text after the kind.

        :raises BadFault: says what is wrong with it.
        """

    @property
    @abstractmethod
    def rest(self) -> str:
        """The text after the kind."""

    def __str__(self) -> str:
        return f"{self.kind} {self.rest}"

    @property
    def lasts(self) -> bool:
        """Whether it goes on until its end, or for good; else it is a moment, perhaps two."""
        return True

    @property
    def what(self) -> str:
        """The text without the time."""
        return str(self).removesuffix(str(self.span)).removesuffix("@").rstrip()

    @property
    def named(self) -> Sequence[str]:
        """The nodes that the text names."""
        return ()

    def problems(self, config: Config) -> Iterator[str]:
        """What does not fit the cluster, of which all named nodes are known."""
        yield from ()

    @abstractmethod
    def impose(self, world: World) -> None:
        """Break it."""

    @abstractmethod
    def lift(self, world: World, others: Sequence[Fault]) -> None:
        """Make it whole again, but for what `others` still break.

        :param others: all that are in force, the last to begin comes last.
        """


@dataclass(frozen=True)
class NodeFault(Fault):
    """What befalls some nodes, each by itself."""

    form: ClassVar[str] = "NODE[,NODE]@TIME[-TIME]"

    nodes: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        what, span = notation.timed(text)
        return cls(span, notation.names(what))

    @property
    def rest(self) -> str:
        return f"{','.join(self.nodes)}@{self.span}"

    @property
    def lasts(self) -> bool:
        """Whether it goes on until its end, or for good; else it is a moment, perhaps two."""
        return True

    @property
    def what(self) -> str:
        """The text without the time."""
        return str(self).removesuffix(str(self.span)).removesuffix("@").rstrip()

    @property
    def named(self) -> Sequence[str]:
        return self.nodes

    def impose(self, world: World) -> None:
        for node in self.nodes:
            self.befall(world[node])

    def lift(self, world: World, others: Sequence[Fault]) -> None:
        alike = [other for other in others if isinstance(other, type(self))]
        for node in self.nodes:
            still = [other for other in alike if node in other.nodes]
            if still:
                still[-1].befall(world[node])
            else:
                self.relieve(world[node])

    @abstractmethod
    def befall(self, machine: Machine) -> None:
        """Break one node; nothing happens to one that is broken in this way already."""

    @abstractmethod
    def relieve(self, machine: Machine) -> None:
        """Make one node whole again."""
