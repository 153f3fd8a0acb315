"""How fit a member says that it is for a system: the order in which servers get data."""

from __future__ import annotations

import enum
from collections.abc import Iterable

from flip.wire.messages import Record


class Standing(enum.IntEnum):
    """A member's own word on one system; of two, the higher one counts.

    All but FIT name the system in the record's `ineligible`.
    """

    FIT = 0
    RETURNED = 1  # it could serve; it was away, and waits until an operator lets it in again
    DRAINED = 2  # it could serve, and an operator wants it not to
    FAILING = 3  # `alive` kept failing, or it flaps, or cannot settle
    UNFIT = 4  # its health check fails, or its link is down
    UNKNOWN = 5  # its health check has not ended for the first time


def standing(record: Record | None, system: str) -> Standing:
    """What a member's record says; a member not yet heard of counts as fit.

    Of an older node's record, and of a newer one's words, only `ineligible` is understood.
    """
    if record is None or system not in record.ineligible:
        return Standing.FIT
    place = record.ineligible.index(system)
    word = record.standings[place] if place < len(record.standings) else Standing.FAILING
    return Standing(word) if Standing.FIT < word <= Standing.UNKNOWN else Standing.FAILING


def encode_standings(standings: Iterable[Standing]) -> bytes:
    """The record's `standings`, for the systems of its `ineligible` in their order."""
    return bytes(standings)
