"""Lifeguard's local health: a node that is itself ill must not accuse others.

Source: Dadgar, Phillips, Currey, "Lifeguard: Local Health Awareness for More
Accurate Failure Detection" (arXiv 1707.00788), section IV-A.
"""

from __future__ import annotations

from flip.log import Logger

WORST = 3
LATE = 0.1  # seconds after its time at which a timer says that this node is slow

_log = Logger()


class Health:
    """A score from 0 (well) to `WORST`, and the stretch of deadlines that follows from it."""

    def __init__(self) -> None:
        self.score = 0

    @property
    def stretch(self) -> int:
        """The factor, 1 to 4, by which this node lengthens the deadlines of its probes."""
        return 1 + self.score

    def worsen(self, reason: str) -> None:
        """Something went wrong that this node itself may be to blame for."""
        if self.score < WORST:
            self.score += 1
            _log.info(
                "this node may be slow ({reason}): its probes wait {stretch} times as long",
                reason=reason,
                stretch=self.stretch,
            )

    def improve(self) -> None:
        """A probe was answered in time."""
        if self.score:
            self.score -= 1
