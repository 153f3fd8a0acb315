"""How long a failed hook waits for its next try."""

from __future__ import annotations

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds


def pause(failures: int) -> float:
    """Seconds to wait after the n-th failure in a row: 0.5, 1, 2 ... 30."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (min(failures, 16) - 1))
