"""The suspicion timer: long for one accuser, the shorter the more there are (Lifeguard, IV-B)."""

from __future__ import annotations

import math
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime


def timeout(confirmed: int, wanted: int, least: float, most: float) -> float:
    """Seconds from the first accusation to the verdict.

    :param confirmed: accusers beside the first.
    :param wanted: how many bring the timeout down to `least`; 0: it is `least` at once.
    """
    if wanted == 0:
        return least
    share = math.log(confirmed + 1) / math.log(wanted + 1)
    return max(least, most - share * (most - least))


class Suspicion:
    """One member's suspicion of another one.

    :param accuser: the first to suspect it.
    :param expired: called when the suspect has not refuted in time.
    """

    def __init__(
        self,
        clock: IReactorTime,
        accuser: str,
        wanted: int,
        least: float,
        most: float,
        expired: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._wanted = wanted
        self._least = least
        self._most = most
        self._accusers = {accuser}
        self._began = clock.seconds()
        self._timer = clock.callLater(timeout(0, wanted, least, most), expired)

    def confirm(self, accuser: str) -> bool:
        """Another accusation; returns whether that is news worth telling on."""
        if accuser in self._accusers or len(self._accusers) > self._wanted:
            return False
        self._accusers.add(accuser)
        total = timeout(len(self._accusers) - 1, self._wanted, self._least, self._most)
        if self._timer.active():
            self._timer.reset(max(0.0, self._began + total - self._clock.seconds()))
        return True

    def cancel(self) -> None:
        """The suspect refuted, or somebody else declared it dead."""
        if self._timer.active():
            self._timer.cancel()
