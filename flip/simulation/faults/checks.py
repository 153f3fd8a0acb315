"""What befalls health checks: they fail, hang, or say now this and now that."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from flip.config import Config
from flip.simulation.faults.scoped import Scoped

if TYPE_CHECKING:
    from flip.simulation.machine import Machine


@dataclass(frozen=True)
class _CheckFault(Scoped):
    form: ClassVar[str] = "NODE[,NODE][/SYSTEM]@TIME[-TIME]"
    part: ClassVar[str] = "system with a check"
    lacking: ClassVar[str] = "lists no system with a check"

    def parts(self, config: Config, node: str) -> Sequence[str]:
        names = config.servers[node].systems
        return [name for name in names if config.systems[name].check is not None]

    def befall(self, machine: Machine, name: str) -> None:
        self.afflicted(machine).add(name)

    def relieve(self, machine: Machine, name: str) -> None:
        self.afflicted(machine).discard(name)

    @abstractmethod
    def afflicted(self, machine: Machine) -> set[str]:
        """The systems of this machine whose checks go so."""


@dataclass(frozen=True)
class FailCheck(_CheckFault):
    """What is checked does not work."""

    kind: ClassVar[str] = "fail-check"
    example: ClassVar[str] = "flip1/ip@20-40"
    meaning: ClassVar[str] = "the health check of a system fails, at once."

    def afflicted(self, machine: Machine) -> set[str]:
        return machine.ailing.fails


@dataclass(frozen=True)
class HangCheck(_CheckFault):
    """What is checked does not answer."""

    kind: ClassVar[str] = "hang-check"
    example: ClassVar[str] = "flip1/ip@20-40"
    meaning: ClassVar[str] = "the health check of a system fails at its timeout."

    def afflicted(self, machine: Machine) -> set[str]:
        return machine.ailing.hangs


@dataclass(frozen=True)
class FlapCheck(_CheckFault):
    """What is checked works now and then."""

    kind: ClassVar[str] = "flap-check"
    example: ClassVar[str] = "flip1/ip@20-40"
    meaning: ClassVar[str] = "every other health check of a system fails, at random."

    def afflicted(self, machine: Machine) -> set[str]:
        return machine.ailing.flaps
