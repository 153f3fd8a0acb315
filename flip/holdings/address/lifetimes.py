"""For how long the kernel may keep an address if nothing is heard of flip any more.

docs/addresses.md has the arithmetic, docs/exclusive.md the argument for exclusive systems.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from flip.config import System
from flip.config.address_words import KERNEL_DELAY
from flip.errors import HookFailed
from flip.holdings.guard.interface import Point

# How late the kernel may be to end a lifetime. It looks again no sooner than 1 s after its last
# look (ADDRCONF_TIMER_FUZZ_MAX), and rounds that up to a jiffy that suits it; any other address
# that is put or ends makes it look. 0.1 s is left for our own way to the kernel (`Put.by`).
LATENESS = KERNEL_DELAY / 1000
LEAD = 0.05  # seconds before a second is over, for a timer that is not to miss it
SHORTEST = 1  # second; 0 would be invalid


class Lifetimes:
    """The lifetimes of all data points' addresses.

    :param systems: by name, those with this provider.
    :ivar deadlines: of the data points of exclusive systems: when the right to serve them has
        to be given up. `LATENESS` later others may be granted it.
    """

    def __init__(self, systems: Mapping[str, System]) -> None:
        self.deadlines: dict[Point, float] = {}
        self._leases = {
            name: system.addressing.kernel_lease
            for name, system in systems.items()
            if system.addressing is not None
        }
        self._exclusive = {name for name, system in systems.items() if system.exclusive}

    def lease(self, system: str) -> int:
        """The `kernel_lease` of a system in seconds, 0 without one."""
        return self._leases.get(system, 0)

    def exclusive(self, system: str) -> bool:
        """Whether a system's lifetimes follow from its grants."""
        return system in self._exclusive

    def valid(self, point: Point, now: float) -> int | None:
        """The whole seconds that an address may have that is put now; None: it stays for ever.

        :raises HookFailed: an exclusive data point's grants end too soon.
        """
        if point[0] not in self._exclusive:
            return self._leases.get(point[0]) or None
        left = self.deadlines.get(point, -math.inf) - now
        if left < SHORTEST:
            raise HookFailed(
                "address: its grants end within a second" if left > 0 else "address: not granted"
            )
        return math.floor(left)

    def by(self, point: Point) -> float | None:
        """When its addresses have to end, however late the kernel is told; None: whenever."""
        return self.deadlines.get(point, -math.inf) if point[0] in self._exclusive else None

    def exact(self, point: Point, now: float) -> float | None:
        """When to renew an exclusive data point so that no part of a second is lost.

        The kernel's whole seconds end up to one before the deadline; they end just before it
        when they are counted from this moment on. None: it is so, until a new deadline.
        """
        left = self.deadlines.get(point, -math.inf) - now
        if left < SHORTEST:
            return None
        beyond = left - math.floor(left)
        return None if beyond <= 2 * LEAD else now + beyond - LEAD
