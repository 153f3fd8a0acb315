"""R8: a member that is voted down again and again stays out for a growing time."""

from __future__ import annotations

from flip.holdings.fitness import Fitness
from flip.holdings.journal import Journal
from flip.log import Logger
from flip.membership.roster import Roster
from flip.wire.standing import Standing

FLAPPING = "it was voted down repeatedly"
FLAPPING_WINDOW = 600.0  # seconds in which being voted down twice counts as flapping
LONGEST_PENALTY = 60.0  # seconds

_log = Logger()


def penalty(downs: int) -> float:
    """Seconds out of service after the n-th time down within the window: 0, 1, 2, 4 ... 60."""
    return 0.0 if downs < 2 else min(LONGEST_PENALTY, 2.0 ** min(downs - 2, 6))


def count_down(roster: Roster, journal: Journal, fitness: Fitness, *, acting: bool) -> bool:
    """Count that this node was voted down, and draw the conclusion.

    Late news, of an incarnation that it has refuted and acted since, counts for the next
    time: to go away again now would be one more outage, not one less.

    :param acting: whether this node takes and lets go.
    :returns: whether that is news, and no late one.
    """
    news = journal.note_down(roster.buried)
    late = acting and roster.buried < roster[roster.me].incarnation
    downs = journal.downs_since(FLAPPING_WINDOW)
    seconds = penalty(downs)
    if seconds and news and not late:
        text = (
            f"voted down {downs} times in {FLAPPING_WINDOW / 60:.0f} minutes:"
            f" ineligible for {seconds:.0f} s"
        )
        _log.warn("{text}", text=text)
        journal.note_event("flapping", text)
        fitness.exclude(FLAPPING, seconds, standing=Standing.FAILING)
    return news and not late
