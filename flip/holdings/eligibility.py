"""Which servers of a system may be given its data, by what each says of itself."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from flip.wire.claims import Phase
from flip.wire.standing import Standing


class Way(enum.Enum):
    """What becomes of a system's data."""

    DIVIDE = "divide"
    STAY = "stay"  # with whoever has it; what nobody has is divided
    RELEASE = "release"


class Candidates(NamedTuple):
    """The outcome.

    :ivar servers: who may be given data; while there is nobody, what is held stays held.
    :ivar nobody_fit: whether all of them have said that they cannot serve.
    """

    servers: frozenset[str]
    way: Way = Way.DIVIDE
    nobody_fit: bool = False


def candidates(standings: Mapping[str, Standing], all_unfit: str) -> Candidates:
    """Choose among the servers that are present and do not leave.

    The fit ones; else those that would be, if they had not been away or drained. A broken
    node must not be a black hole, and a cluster of broken nodes must not stop trying: when
    all have failed, all may try again. When health checks or links are the reason, moving
    the data helps nobody, and `all_unfit` says what is done.
    """
    for standing in (Standing.FIT, Standing.RETURNED, Standing.DRAINED):
        servers = frozenset(id for id, word in standings.items() if word is standing)
        if servers:
            return Candidates(servers)
    if not standings or Standing.UNKNOWN in standings.values():
        return Candidates(frozenset())  # it will be known as soon as a check can end
    everybody = frozenset(standings)
    if Standing.UNFIT not in standings.values():
        return Candidates(everybody, nobody_fit=True)
    if all_unfit == "release":
        return Candidates(frozenset(), Way.RELEASE, nobody_fit=True)
    return Candidates(everybody, Way(all_unfit), nobody_fit=True)


def stays_with(
    claims: Mapping[str, Phase], standings: Mapping[str, Standing], servers: Sequence[str]
) -> str | None:
    """Who goes on with a data point while no server is fit; None: nobody has it.

    A function of what is gossiped, so that all nodes agree as soon as they have heard the
    same; until then break before make (R2) keeps two that do not from serving the same.
    Who serves it comes first, then who is taking it, then who had it. Of one whose
    `alive` fails only what it serves counts: it must not keep the others from trying.

    :param claims: of whoever claims it, by server.
    :param servers: the system's, in order.
    """
    found = [
        (_NEARNESS[claims[id]], place)
        for place, id in enumerate(servers)
        if id in claims
        and id in standings
        and (claims[id] is Phase.HELD or standings[id] is not Standing.FAILING)
    ]
    return servers[min(found)[1]] if found else None


_NEARNESS = {Phase.HELD: 0, Phase.TAKING: 1, Phase.RELEASING: 2, Phase.UNSURE: 3}
