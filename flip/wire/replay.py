"""The sliding window that lets each counter of a sender pass once (RFC 6479's idea)."""

from __future__ import annotations

WIDTH = 4096  # counters below the highest that may still arrive late


class ReplayWindow:
    """Which counters of one sender's life have been seen on one channel."""

    __slots__ = ("_highest", "_seen")

    def __init__(self) -> None:
        self._highest = -1
        self._seen = 0  # bit i stands for the counter highest - i

    def admit(self, counter: int) -> bool:
        """Whether a counter is new; it is not any more afterwards."""
        ahead = counter - self._highest
        if ahead > 0:
            self._seen = ((self._seen << ahead) | 1) & _MASK if ahead < WIDTH else 1
            self._highest = counter
            return True
        if -ahead >= WIDTH or self._seen >> -ahead & 1:
            return False
        self._seen |= 1 << -ahead
        return True


_MASK = (1 << WIDTH) - 1
