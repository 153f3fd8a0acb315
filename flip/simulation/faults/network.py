"""What befalls the network: cuts, loss, duplicates, delay, blocked TCP."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING, ClassVar, Self

from flip.config import Config
from flip.config.places import shown
from flip.errors import BadFault
from flip.simulation.distributions import Uniform
from flip.simulation.faults import notation
from flip.simulation.faults.fault import Fault
from flip.simulation.faults.notation import Span, number

if TYPE_CHECKING:
    from flip.simulation.network import Network
    from flip.simulation.world import World

Group = tuple[str, ...]


@dataclass(frozen=True)
class _Separation(Fault):
    """Packets do not get from some nodes to others.

    :ivar groups: of nodes; a single one stands against everybody else.
    """

    groups: tuple[Group, ...]

    def __post_init__(self) -> None:
        for name in self.named:
            if self.named.count(name) > 1:
                raise BadFault(f"{shown(name)} stands on two sides of it")

    @classmethod
    def parse(cls, text: str) -> Self:
        what, span = notation.timed(text)
        return cls(span, tuple(notation.names(group) for group in what.split("/")))

    @property
    def rest(self) -> str:
        return f"{'/'.join(','.join(group) for group in self.groups)}@{self.span}"

    @property
    def named(self) -> Sequence[str]:
        return [name for group in self.groups for name in group]

    def problems(self, config: Config) -> Iterator[str]:
        if len(self.groups) == 1 and len(self.groups[0]) == len(config.servers):
            yield "it names all servers: nobody is left to be cut off from"

    @abstractmethod
    def ways(self, world: World) -> Iterable[tuple[Group, Group]]:
        """From whom to whom nothing gets."""

    def sides(self, world: World) -> Sequence[Group]:
        """The groups, and everybody else where only one is named."""
        if len(self.groups) > 1:
            return self.groups
        (group,) = self.groups
        return group, tuple(id for id in world.machines if id not in group)

    def impose(self, world: World) -> None:
        for sources, targets in self.ways(world):
            world.network.cut(world.addresses(*sources), world.addresses(*targets))

    def lift(self, world: World, others: Sequence[Fault]) -> None:
        for sources, targets in self.ways(world):
            world.network.heal(world.addresses(*sources), world.addresses(*targets))
        for other in others:
            if isinstance(other, _Separation):
                other.impose(world)


@dataclass(frozen=True)
class Cut(_Separation):
    """A partition."""

    kind: ClassVar[str] = "cut"
    form: ClassVar[str] = "NODE[,NODE][/NODE[,NODE]]...@TIME[-TIME]"
    example: ClassVar[str] = "flip,flip2/flip1@30-45"
    meaning: ClassVar[str] = (
        "nothing gets from one of the groups to another; a single group is cut off from all others."
    )

    def ways(self, world: World) -> Iterable[tuple[Group, Group]]:
        return permutations(self.sides(world), 2)


@dataclass(frozen=True)
class CutOneWay(_Separation):
    """A cable with one dead direction."""

    kind: ClassVar[str] = "cut-one-way"
    form: ClassVar[str] = "NODE[,NODE][/NODE[,NODE]]@TIME[-TIME]"
    example: ClassVar[str] = "flip1/flip,flip2@30-45"
    meaning: ClassVar[str] = (
        "nothing gets from the first group to the second (or to all others); the way back is open."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.groups) > 2:
            raise BadFault(f"it names {len(self.groups)} groups: expected a source and a target")

    def ways(self, world: World) -> Iterable[tuple[Group, Group]]:
        source, target = self.sides(world)
        return ((source, target),)


@dataclass(frozen=True)
class _Setting(Fault):
    """All links change; of several in force the last to begin counts."""

    def impose(self, world: World) -> None:
        self.change(world.network)

    def lift(self, world: World, others: Sequence[Fault]) -> None:
        still = [other for other in others if isinstance(other, type(self))]
        if still:
            still[-1].change(world.network)
        else:
            self.reset(world)

    @abstractmethod
    def change(self, network: Network) -> None:
        """Break all links."""

    @abstractmethod
    def reset(self, world: World) -> None:
        """Make all links whole again."""


@dataclass(frozen=True)
class _Share(_Setting):
    """A chance for each datagram.

    :ivar percent: from 0 to 100.
    """

    form: ClassVar[str] = "PERCENT%@TIME[-TIME]"

    percent: float

    @classmethod
    def parse(cls, text: str) -> Self:
        what, span = notation.timed(text)
        return cls(span, notation.share(what))

    @property
    def rest(self) -> str:
        return f"{number(self.percent)}%@{self.span}"


@dataclass(frozen=True)
class Loss(_Share):
    """Datagrams are lost."""

    kind: ClassVar[str] = "loss"
    example: ClassVar[str] = "20%@60-120"
    meaning: ClassVar[str] = "the chance that a datagram is lost, on every link."

    def change(self, network: Network) -> None:
        network.loss = self.percent / 100

    def reset(self, world: World) -> None:
        world.network.loss = 0.0


@dataclass(frozen=True)
class Duplicate(_Share):
    """Datagrams arrive twice."""

    kind: ClassVar[str] = "duplicate"
    example: ClassVar[str] = "5%@60-120"
    meaning: ClassVar[str] = "the chance that a datagram arrives twice."

    def change(self, network: Network) -> None:
        network.duplication = self.percent / 100

    def reset(self, world: World) -> None:
        world.network.duplication = 0.0


@dataclass(frozen=True)
class Reorder(_Share):
    """Later datagrams overtake."""

    kind: ClassVar[str] = "reorder"
    example: ClassVar[str] = "10%@60-120"
    meaning: ClassVar[str] = "the chance that later datagrams overtake one."

    def change(self, network: Network) -> None:
        network.reordering = self.percent / 100

    def reset(self, world: World) -> None:
        world.network.reordering = 0.0


@dataclass(frozen=True)
class Latency(_Setting):
    """Packets take longer.

    :ivar least: milliseconds.
    :ivar most: milliseconds.
    """

    kind: ClassVar[str] = "latency"
    form: ClassVar[str] = "LEAST-MOSTms@TIME[-TIME]"
    example: ClassVar[str] = "5-80ms@60-120"
    meaning: ClassVar[str] = "how long a packet takes on every link; a wide range reorders them."

    least: float
    most: float

    @classmethod
    def parse(cls, text: str) -> Self:
        what, span = notation.timed(text)
        return cls(span, *notation.milliseconds(what))

    @property
    def rest(self) -> str:
        return f"{number(self.least)}-{number(self.most)}ms@{self.span}"

    def change(self, network: Network) -> None:
        network.latency = Uniform(self.least / 1000, self.most / 1000)

    def reset(self, world: World) -> None:
        from flip.simulation.network import LATENCY  # and Twisted, of which this has no need

        world.network.latency = LATENCY


@dataclass(frozen=True)
class BlockTCP(_Setting):
    """A firewall that lets UDP through only."""

    kind: ClassVar[str] = "block-tcp"
    form: ClassVar[str] = "TIME[-TIME]"
    example: ClassVar[str] = "60-120"
    meaning: ClassVar[str] = "no TCP connection comes about, as behind a firewall for UDP only."

    @classmethod
    def parse(cls, text: str) -> Self:
        return cls(Span.parse(text.removeprefix("@")))

    @property
    def rest(self) -> str:
        return str(self.span)

    def change(self, network: Network) -> None:
        network.udp_only = True

    def reset(self, world: World) -> None:
        world.network.udp_only = False
