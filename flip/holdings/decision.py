"""What to do about one data point: the rules R1 to R4 and R7 as one pure function.

docs/design.md gives the rules their names and says which faults made them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from flip.wire.claims import Phase


class Step(enum.Enum):
    """What the keeper does next about a data point."""

    REST = "rest"
    CLAIM = "claim"  # say that this node wants it, and wait
    ASK = "ask"  # claim it and ask the voters of an exclusive system for it
    TAKE = "take"  # claim it and run `alive`
    RELEASE = "release"  # run `down`, then drop the claim
    WITHDRAW = "withdraw"  # drop the claim: `alive` was never started


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that the step depends on.

    :param phase: this node's claim, None without one.
    :param started: a hook was started under this claim, or something may be there from before.
    :param begun: `alive` was started under this claim.
    :param failed: the last hook under this claim did not end well.
    :param outdated: what is there was made with another hook configuration, so that
        only the hook of that time can let go of it.
    :param wanted: the topology names this node.
    :param acting: in touch and settled (R1).
    :param planning: no present member runs a configuration that goes before this one (R7).
    :param ending: this node lets go of everything: it leaves, or has been isolated for
        too long in a system that releases then.
    :param contested: another present member claims it, in whatever phase, or may do so.
    :param blocked: one of those claims is more than an intention to take it.
    :param served_elsewhere: another present member holds it or is taking it.
    :param outranked: one of those that hold or take it has a configuration that goes before
        this one (R7).
    :param outranking: all that contest it run a configuration that comes after this one (R7).
    :param permitted: a quorum of voters has granted it, or nobody has to.
    :param heir_ready: the topology names another member, and that one can take over now
        or holds it already; or nobody has to, because each server stands alone.
    """

    phase: Phase | None
    started: bool
    begun: bool
    failed: bool
    outdated: bool
    wanted: bool
    acting: bool
    planning: bool
    ending: bool
    contested: bool
    blocked: bool
    served_elsewhere: bool
    outranked: bool
    outranking: bool
    heir_ready: bool
    permitted: bool


def decide(now: Situation) -> Step:
    """The next step for a data point whose hooks do not run at this moment."""
    if now.phase is None:
        return _without_claim(now)
    idle_claim = now.phase is Phase.TAKING and not now.started
    if not (now.permitted or idle_claim):
        # Whatever else there is to say (E5): others may be granted it from now on. This
        # is also how what an earlier life left behind goes: that has no grants any more.
        return Step.RELEASE
    if now.ending:
        return Step.WITHDRAW if idle_claim else Step.RELEASE
    if not now.acting:
        return _cut_off(now, idle_claim)
    if now.outdated:
        return Step.RELEASE
    if now.outranked and now.phase in (Phase.TAKING, Phase.HELD):
        return Step.WITHDRAW if idle_claim else Step.RELEASE
    return _BY_PHASE[now.phase](now)


def _cut_off(now: Situation, idle_claim: bool) -> Step:
    if idle_claim:
        # An intention is no holding: what never started need not be kept.
        return Step.WITHDRAW
    if now.failed and now.phase in _INTENDED:
        return _INTENDED[now.phase]  # a hook that was begun is retried
    return Step.REST


def _without_claim(now: Situation) -> Step:
    if not (now.wanted and now.acting and now.planning) or now.ending:
        return Step.REST
    if not now.contested:
        return _take(now)
    return Step.CLAIM if now.outranking else Step.REST


def _taking(now: Situation) -> Step:
    if now.begun and now.wanted:
        return Step.TAKE
    if not now.wanted or not (now.planning or now.started):
        return Step.RELEASE if now.started else Step.WITHDRAW
    # Of two takers the one that the topology names goes on; a holder is waited for.
    return Step.REST if now.blocked else _take(now)


def _take(now: Situation) -> Step:
    return Step.TAKE if now.permitted else Step.ASK


def _held(now: Situation) -> Step:
    if now.wanted or not now.planning or not now.heir_ready:
        return Step.REST
    return Step.RELEASE


def _releasing(now: Situation) -> Step:
    # The last wish wins, unless somebody else has begun to count on the first.
    if now.wanted and now.planning and not now.contested:
        return Step.TAKE
    return Step.RELEASE


def _unsure(now: Situation) -> Step:
    if now.served_elsewhere:
        return Step.RELEASE
    if not now.wanted:
        return Step.RELEASE if now.heir_ready else Step.REST
    # Kept means that `alive` is run again: after a reboot nothing is there.
    return Step.REST if now.contested else Step.TAKE


_INTENDED = {Phase.TAKING: Step.TAKE, Phase.RELEASING: Step.RELEASE}

_BY_PHASE = {
    Phase.TAKING: _taking,
    Phase.HELD: _held,
    Phase.RELEASING: _releasing,
    Phase.UNSURE: _unsure,
}
