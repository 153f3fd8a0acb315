"""Lifeguard's local health multiplier: how far a member trusts itself."""

from __future__ import annotations


class Awareness:
    """A score from 0 (well) to `limit` - 1.

    :param limit: the greatest factor by which times are scaled.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.score = 0

    def apply(self, delta: int) -> None:
        """Add to the score, within its bounds."""
        self.score = min(max(self.score + delta, 0), self._limit - 1)

    def scaled(self, seconds: float) -> float:
        """A time as long as this member needs to be fair to others."""
        return seconds * (self.score + 1)
