"""The parts of a running node that its control socket speaks about."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from flip.config import Config
from flip.control.chronicle import Chronicle
from flip.holdings.address.addresses import Addresses
from flip.holdings.checks.health import HealthChecks
from flip.holdings.grants.asking import Asking
from flip.holdings.grants.granting import Granting
from flip.holdings.grants.silence import Silence
from flip.holdings.guard.interface import Guard
from flip.holdings.journal import Journal
from flip.holdings.keeper import Keeper
from flip.membership.service import Membership


@dataclass(frozen=True)
class Parts:
    """One node.

    :ivar started: when it started, on `clock`.
    :ivar guard: of exclusive systems, None without one.
    :ivar addresses: what flip keeps itself, without hooks; None where there is nothing.
    :ivar health: the health checks of this server's systems.
    """

    config: Config
    clock: IReactorTime
    started: float
    journal: Journal
    membership: Membership
    keeper: Keeper
    chronicle: Chronicle
    grants: Asking
    granting: Granting
    silence: Silence
    guard: Guard | None
    addresses: Addresses | None
    health: HealthChecks
