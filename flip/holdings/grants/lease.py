"""The arithmetic of leases: how long a grant counts, and how long a voter has to keep it.

Of two clocks that run within `DRIFT` of real time, what lasts `lease` by the
claimant's takes at most lease / (1 - r) of real time, and lease x (1 + r) / (1 - r)
by the voter's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from flip.config import System
from flip.config.address_words import KERNEL_DELAY
from flip.holdings.guard.interface import RESOLUTION
from flip.wire.messages import Datum

DRIFT = 0.05  # how much faster or slower than real time any clock may run
NOTICE = 0.05  # seconds before the guard has to act at which the daemon does so itself
RENEWALS = 4  # within the time for which a grant permits
Point = tuple[str, Datum]  # system, datum


def kept(lease: float) -> float:
    """Seconds that a voter keeps a grant after its last answer, by its own clock."""
    return lease * (1 + DRIFT) / (1 - DRIFT)


def majority(voters: int) -> int:
    """How many of the voters make a quorum, whatever the cluster's `quorum` is."""
    return voters // 2 + 1


def voters_hash(voters: Iterable[str]) -> bytes:
    """8 bytes that name a list of voters, in whatever order."""
    return hashlib.sha256(msgspec.msgpack.encode(sorted(voters))).digest()[:8]


@dataclass(frozen=True, slots=True)
class Terms:
    """What the grants of one exclusive system are about; times in seconds.

    :ivar margin: before the end of the lease, for `down` to end in: a hook's time
        limit, its killing included, and how late the guard may be. With a provider no hook
        runs, and the kernel is the guard.
    """

    voters: tuple[str, ...]
    lease: float
    margin: float

    @classmethod
    def of(cls, system: System) -> Terms:
        """The terms that a system's configuration sets."""
        if system.provider is not None:
            return cls(system.voters, system.lease, KERNEL_DELAY / 1000)
        return cls(system.voters, system.lease, system.hook_timeout + RESOLUTION)

    @property
    def quorum(self) -> int:
        """How many voters must have granted a data point."""
        return majority(len(self.voters))

    @property
    def permit(self) -> float:
        """Seconds from the asking on for which an answer permits to serve."""
        return self.lease - self.margin

    @property
    def renewal(self) -> float:
        """Seconds between two questions to one voter."""
        return self.permit / RENEWALS

    def asked_for(self) -> int:
        """The lease in whole milliseconds, as requests say it: never less than it is."""
        return int(-(-self.lease * 1000 // 1))
