"""A clean stop: let go of everything, see it taken over, say good-bye (R5)."""

from __future__ import annotations

from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from flip.holdings.keeper import Keeper
from flip.holdings.tally import LISTED
from flip.log import Logger
from flip.membership.service import Membership
from flip.wire.claims import Phase
from flip.wire.messages import Status

RELEASE_LIMIT = 8.0  # seconds for all `down` hooks
HANDOVER_LIMIT = 1.0  # seconds for others to take over
GOOD_BYES = 3  # because one may be lost
STEP = 0.02  # seconds between two looks

_log = Logger()


async def leave(clock: IReactorTime, membership: Membership, keeper: Keeper) -> bool:
    """Leave the cluster; returns whether nothing is held any more.

    A node that could not let go of everything never says that it left: the
    others vote it down, and its journal remembers what to clean up.
    """
    held = keeper.claims()
    emptied = keeper.release_all()
    membership.amend(status=Status.LEAVING)
    try:
        await emptied.addTimeout(RELEASE_LIMIT, clock)
    except TimedOut:
        left = [f"{system}: {datum}" for system, data in keeper.claims().items() for datum in data]
        _log.error(
            "stopping although {count} data points could not be released within {limit:.0f} s:"
            " {left}; the others wait until they have voted this node down, and its next start"
            " cleans up",
            count=len(left),
            limit=RELEASE_LIMIT,
            left=", ".join(left[:LISTED]) + (", ..." if len(left) > LISTED else ""),
        )
        return False
    deadline = clock.seconds() + HANDOVER_LIMIT
    while not _handed_over(keeper, held) and clock.seconds() < deadline:
        await deferLater(clock, STEP)
    membership.amend(status=Status.LEFT)
    for _ in range(GOOD_BYES):
        membership.push_to_all()
        await deferLater(clock, STEP)
    return True


def _handed_over(keeper: Keeper, held: dict[str, dict[str, Phase]]) -> bool:
    """Whether everything that can be held by another member is."""
    return all(
        Phase.HELD in keeper.outlook.claims(system, datum).values()
        for system, data in held.items()
        if system in keeper.systems
        and keeper.systems[system].single_owner
        and not keeper.outlook.alone(system)
        for datum in data
    )
