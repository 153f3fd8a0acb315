"""Steps between two clocks: the sign that one of them stood still, or was set."""

from __future__ import annotations

from collections.abc import Callable

TOLERANCE = 0.5  # seconds; time servers correct a clock in smaller steps


class Steps:
    """Compares the wall clock with the monotonic one.

    A virtual machine that was paused may go on with a monotonic clock that knows of
    no pause. Its lease may have ended then, and only the wall clock tells.
    """

    def __init__(self, seconds: Callable[[], float], wall: Callable[[], float]) -> None:
        self._seconds = seconds
        self._wall = wall
        self._apart = wall() - seconds()

    def look(self) -> float:
        """By how much the wall clock ran ahead since the last look; 0 within the tolerance."""
        apart = self._wall() - self._seconds()
        step, self._apart = apart - self._apart, apart
        return step if abs(step) > TOLERANCE else 0.0
