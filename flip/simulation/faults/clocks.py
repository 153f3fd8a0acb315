"""What befalls a machine's clocks and its speed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from flip.simulation.faults import notation
from flip.simulation.faults.fault import NodeFault
from flip.simulation.faults.notation import number, signed

if TYPE_CHECKING:
    from flip.simulation.machine import Machine

MOST_DRIFT = 50.0  # percent


@dataclass(frozen=True)
class Slow(NodeFault):
    """A machine without enough of a processor.

    :ivar milliseconds: what each timer and each packet costs a process.
    """

    kind: ClassVar[str] = "slow"
    form: ClassVar[str] = "NODE[,NODE]:MILLISECONDSms@TIME[-TIME]"
    example: ClassVar[str] = "flip:20ms@60-120"
    meaning: ClassVar[str] = (
        "every timer and every packet takes the node so long, and the next has to wait."
    )

    milliseconds: float

    @classmethod
    def parse(cls, text: str) -> Self:
        nodes, cost, span = notation.measured(text)
        return cls(span, nodes, notation.cost(cost))

    @property
    def rest(self) -> str:
        return f"{','.join(self.nodes)}:{number(self.milliseconds)}ms@{self.span}"

    def befall(self, machine: Machine) -> None:
        machine.slowness = self.milliseconds / 1000

    def relieve(self, machine: Machine) -> None:
        from flip.simulation.reactor import WORK  # and Twisted, of which the language has no need

        machine.slowness = WORK


@dataclass(frozen=True)
class Drift(NodeFault):
    """A clock that goes fast or slow.

    :ivar percent: how much it gains, from -50 to 50.
    """

    kind: ClassVar[str] = "drift"
    form: ClassVar[str] = "NODE[,NODE]:+PERCENT%@TIME[-TIME]"
    example: ClassVar[str] = "flip:+5%@0"
    meaning: ClassVar[str] = "the machine's clocks gain so much, or lose it with -."

    percent: float

    @classmethod
    def parse(cls, text: str) -> Self:
        nodes, percent, span = notation.measured(text)
        return cls(span, nodes, notation.deviation(percent, MOST_DRIFT))

    @property
    def rest(self) -> str:
        return f"{','.join(self.nodes)}:{signed(self.percent)}%@{self.span}"

    def befall(self, machine: Machine) -> None:
        machine.drift = self.percent / 100

    def relieve(self, machine: Machine) -> None:
        machine.drift = 0.0


@dataclass(frozen=True)
class Step(NodeFault):
    """Somebody sets the wall clock.

    :ivar seconds: how far it is off then.
    """

    kind: ClassVar[str] = "step"
    form: ClassVar[str] = "NODE[,NODE]:+SECONDSs@TIME[-TIME]"
    example: ClassVar[str] = "flip:+60s@30"
    meaning: ClassVar[str] = "the machine's wall clock jumps, back with -; its timers do not."

    seconds: float

    @classmethod
    def parse(cls, text: str) -> Self:
        nodes, seconds, span = notation.measured(text)
        return cls(span, nodes, notation.seconds(seconds))

    @property
    def rest(self) -> str:
        return f"{','.join(self.nodes)}:{signed(self.seconds)}s@{self.span}"

    def befall(self, machine: Machine) -> None:
        machine.wall_offset = self.seconds

    def relieve(self, machine: Machine) -> None:
        machine.wall_offset = 0.0
