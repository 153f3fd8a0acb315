"""The answers to an operator's questions, as numbers; docs/simulating.md defines each of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from flip.membership.roster import State
from flip.simulation.report.series import Interval

if TYPE_CHECKING:
    pass

GONE = (State.DOWN, State.LEFT)


@dataclass
class Failure:
    """A node stopped to be sound while others still were; times are seconds after that.

    :ivar at: when, on the world's clock.
    :ivar how: "killed", "left", "frozen" or "cut off".
    :ivar lasted: until it was sound again; None if it never was.
    :ivar suspected: until the first vote against it at a sound node.
    :ivar down: until it was down (or had left) at the first sound node.
    :ivar down_everywhere: until it was so at all sound nodes at once.
    :ivar back: from being sound again until all sound nodes saw it alive.
    """

    node: str
    at: float
    how: str
    lasted: float | None = None
    suspected: float | None = None
    down: float | None = None
    down_everywhere: float | None = None
    back: float | None = None


@dataclass
class Ownership:
    """What became of one data point; times in seconds.

    :ivar placed: when it had a live owner for the first time; None if never.
    :ivar gaps: the times without a live owner after that.
    :ivar nowhere: the times when no machine at all served it after that.
    :ivar together: the times with two owners that run and reach each other.
    :ivar apart: the times with two owners that cannot hear each other.
    :ivar leftover: the times when a machine served it whose process was gone, beside an owner.
    :ivar moves: how often another node became its owner.
    :ivar unnecessary: how many of these were more than the topology called for.
    :ivar owners: the machines that serve it at the end.
    :ivar live_owners: those of them that are live owners.
    """

    system: str
    datum: str
    placed: float | None = None
    gaps: list[Interval] = field(default_factory=list)
    nowhere: list[Interval] = field(default_factory=list)
    together: list[Interval] = field(default_factory=list)
    apart: list[Interval] = field(default_factory=list)
    leftover: list[Interval] = field(default_factory=list)
    moves: int = 0
    unnecessary: int = 0
    owners: list[str] = field(default_factory=list)
    live_owners: list[str] = field(default_factory=list)

    @property
    def live_at_end(self) -> bool:
        """Whether it ends with a live owner."""
        return bool(self.live_owners)


@dataclass
class Traffic:
    """What one node sent, per second of the whole run; bytes without the headers of IP and UDP."""

    packets: float
    bytes: float


@dataclass
class Answers:
    """One run's answers.

    :ivar false_downs: how often a sound node came to be down at a sound node.
    :ivar false_suspicions: the same for votes that did not make it down.
    :ivar violation: the safety rule that was broken, and how; None if none was.
    """

    seed: int
    duration: float
    failures: list[Failure]
    data: list[Ownership]
    traffic: dict[str, Traffic]
    false_downs: int
    false_suspicions: int
    violation: str | None = None

    @property
    def moves(self) -> int:
        return sum(point.moves for point in self.data)

    @property
    def unnecessary(self) -> int:
        return sum(point.unnecessary for point in self.data)

    @property
    def longest_gap(self) -> float:
        """The longest time that any data point had no live owner."""
        return max((gap.length for point in self.data for gap in point.gaps), default=0.0)

    @property
    def ownerless(self) -> list[Ownership]:
        """The data points that end without a live owner."""
        return [point for point in self.data if not point.live_at_end]

    def as_json(self) -> dict[str, Any]:
        """Everything, for scripts; an interval is a list of its begin and its end."""
        found: dict[str, Any] = _rounded(asdict(self))
        return found | {"moves": self.moves, "unnecessary": self.unnecessary}


def _rounded(value: Any) -> Any:
    """The same with times to the microsecond."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(found) for key, found in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(found) for found in value]
    return value
