"""To whom the story is told, and what is kept of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from flip.demo.story import Observation, Row


@dataclass(frozen=True)
class Moment:
    """Something that a node did or found out; `after` in seconds since the step began."""

    after: float
    node: str
    text: str


class Audience(Protocol):
    """To whom the story is told."""

    def step(self, title: str, text: str) -> None:
        """A step begins: what is done, and what should come of it."""

    def waiting(self, text: str, seconds: float) -> None:
        """Nothing to tell yet; called often while `seconds` go by."""

    def moments(self, moments: list[Moment]) -> None:
        """How it came about."""

    def row(self, row: Row, seen: Observation) -> None:
        """The nodes are as they should be."""

    def remark(self, text: str) -> None:
        """What else there is to see."""


@dataclass
class Result:
    """What came out, for scripts; times in seconds."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    handoffs: list[dict[str, Any]] = field(default_factory=list)
    stops: dict[str, float] = field(default_factory=dict)
    datagrams_dropped: int = 0

    def note(self, row: Row, seen: Observation, seconds: float | None) -> None:
        """Keep a row; `seconds` is what it took to get there, if that was measured."""
        self.rows.append(
            {
                "row": row.name,
                "seconds": None if seconds is None else round(seconds, 3),
                "expected": _plain(row.holds),
                "reported": _plain({id: seen.held(id) for id in row.holds}),
                "files": _plain(seen.files),
            }
        )


def _plain(holds: Mapping[str, frozenset[str] | None]) -> dict[str, list[str] | None]:
    return {id: None if data is None else sorted(data) for id, data in holds.items()}
