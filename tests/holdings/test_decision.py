"""Tests for `flip.holdings.decision`: the rules as laws over every situation there is."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import fields, replace

from hamcrest import assert_that, empty, equal_to, greater_than
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.decision import Situation, Step, decide
from flip.wire.claims import Phase

FLAGS = tuple(field.name for field in fields(Situation) if field.name != "phase")
TOUCHING = (Step.TAKE, Step.RELEASE)  # the steps that run hooks


def _possible(now: Situation) -> bool:
    """Whether the keeper can see this: its flags depend on one another."""
    if now.blocked and not now.contested:
        return False
    if now.served_elsewhere and not now.contested:
        return False
    if now.outranked and (not now.served_elsewhere or now.outranking):
        return False
    if not now.contested and not now.outranking:
        return False  # of nobody everything is true
    if now.outranked and now.planning:
        return False  # a present member's configuration goes before this one
    if now.heir_ready and now.wanted:
        return False  # the topology names one member
    if now.phase is None and (now.started or now.failed or now.outdated):
        return False
    if now.begun and not (now.phase is Phase.TAKING and now.started):
        return False  # it makes no difference then
    if now.phase is Phase.TAKING and now.failed and not now.begun:
        return False
    if now.phase not in (None, Phase.TAKING, Phase.UNSURE) and not now.started:
        return False
    if now.outdated and now.phase not in (Phase.UNSURE, Phase.RELEASING):
        return False
    return not (now.phase is Phase.UNSURE and (now.failed or now.started))


ALL = tuple(
    Situation(phase, **dict(zip(FLAGS, values, strict=True)))
    for phase in (None, *Phase)
    for values in itertools.product((False, True), repeat=len(FLAGS))
)
POSSIBLE = tuple(filter(_possible, ALL))


def situations(condition: Callable[[Situation], bool]) -> Iterator[tuple[Situation, Step]]:
    """What is decided wherever a condition holds; it does hold somewhere."""
    found = [(now, decide(now)) for now in POSSIBLE if condition(now)]
    assert_that(len(found), greater_than(0))
    return iter(found)


def _cut_off(now: Situation) -> bool:
    return not now.acting and not now.ending and now.permitted


def _failed_when_cut_off(now: Situation) -> bool:
    return now.failed and _cut_off(now)


def _idle_claim(now: Situation) -> bool:
    return now.phase is Phase.TAKING and not now.started


def _taking_unwanted(now: Situation) -> bool:
    return now.phase is Phase.TAKING and not now.wanted and now.acting


def _held_in_peace(now: Situation) -> bool:
    peaceful = now.acting and not (now.ending or now.outranked)
    return now.phase is Phase.HELD and now.permitted and peaceful


def _wanted_back(now: Situation) -> bool:
    return (
        now.phase is Phase.RELEASING
        and now.wanted
        and now.permitted
        and now.acting
        and now.planning
        and not (now.ending or now.outdated)
    )


def _yielding(now: Situation) -> bool:
    return now.outranked and now.acting and not now.ending


class DecisionTestCase(SynchronousTestCase):
    """Words for laws."""

    def law(self, condition: Callable[[Situation], bool], *allowed: Step) -> None:
        """Wherever `condition` holds nothing but the allowed steps is taken."""
        broken = [(now, step) for now, step in situations(condition) if step not in allowed]
        assert_that(broken[:3], empty())

    def never(self, condition: Callable[[Situation], bool], *forbidden: Step) -> None:
        """Wherever `condition` holds none of these steps is taken."""
        self.law(condition, *(step for step in Step if step not in forbidden))


class QuorumTests(DecisionTestCase):
    """R1: no quorum, no change."""

    def test_nothing_starts(self) -> None:
        """Out of touch nothing is claimed."""
        self.law(lambda now: not now.acting and now.phase is None, Step.REST)

    def test_only_what_failed_is_tried_again(self) -> None:
        """Out of touch no hook runs, but for one that was begun and failed."""
        self.never(lambda now: _cut_off(now) and not now.failed, *TOUCHING)

    def test_failed_hooks_are_retried(self) -> None:
        """Out of touch a failed hook is tried again, towards what was intended."""
        self.law(
            lambda now: _failed_when_cut_off(now) and now.phase is Phase.RELEASING, Step.RELEASE
        )
        self.law(
            lambda now: _failed_when_cut_off(now) and now.phase is Phase.TAKING and now.started,
            Step.TAKE,
        )

    def test_what_is_held_is_kept(self) -> None:
        """Out of touch what is held stays held, whoever claims it."""
        self.law(lambda now: _cut_off(now) and now.phase is Phase.HELD, Step.REST)

    def test_the_unsure_waits(self) -> None:
        """Until it has caught up, a restarted node does nothing about what may be left."""
        self.law(lambda now: _cut_off(now) and now.phase is Phase.UNSURE, Step.REST)


class BreakBeforeMakeTests(DecisionTestCase):
    """R2: nothing is taken while somebody else claims it."""

    def test_never_take_from_nothing_while_contested(self) -> None:
        """Without a claim of its own a node takes nothing that another claims."""
        self.never(lambda now: now.phase is None and now.contested, Step.TAKE)

    def test_never_take_what_may_be_there(self) -> None:
        """No `alive` starts while another member's claim is more than an intention."""
        self.never(
            lambda now: now.blocked and not (now.phase is Phase.TAKING and now.begun), Step.TAKE
        )

    def test_unwanted(self) -> None:
        """What the topology gives to others is never taken, nor claimed."""
        self.never(
            lambda now: not now.wanted and now.acting and not now.ending,
            Step.TAKE,
            Step.CLAIM,
            Step.ASK,
        )

    def test_named_taker_goes_on(self) -> None:
        """Of two takers, neither of which has more, the one that is named goes on."""
        self.law(
            lambda now: (
                now.phase is Phase.TAKING
                and now.wanted
                and now.acting
                and now.planning
                and not now.ending
                and not now.blocked
                and now.permitted
            ),
            Step.TAKE,
        )

    def test_other_taker_withdraws(self) -> None:
        """The other withdraws; it releases if its `alive` was started."""
        self.law(lambda now: _taking_unwanted(now) and not now.started, Step.WITHDRAW)
        self.law(lambda now: _taking_unwanted(now) and now.started, Step.RELEASE)

    def test_released_only_to_who_can_take_it(self) -> None:
        """What is held goes when somebody else is ready for it, and not before."""
        self.law(lambda now: _held_in_peace(now) and not now.heir_ready, Step.REST)
        self.law(lambda now: _held_in_peace(now) and now.heir_ready and now.planning, Step.RELEASE)

    def test_last_wish(self) -> None:
        """What is being released is kept after all, unless somebody counts on it."""
        self.law(lambda now: _wanted_back(now) and not now.contested, Step.TAKE)
        self.law(lambda now: _wanted_back(now) and now.contested, Step.RELEASE)


class TruthTests(DecisionTestCase):
    """R3: claims tell the truth."""

    def test_only_intentions_are_withdrawn(self) -> None:
        """A claim is dropped without `down` only where no `alive` was started."""
        withdrawn = [now for now in ALL if decide(now) is Step.WITHDRAW]
        assert_that(len(withdrawn), greater_than(0))
        assert_that(
            {(now.phase, now.started) for now in withdrawn}, equal_to({(Phase.TAKING, False)})
        )

    def test_started_claims_need_down(self) -> None:
        """What was started, held, or may be left is never just dropped."""
        self.never(
            lambda now: now.phase in (Phase.HELD, Phase.RELEASING, Phase.UNSURE) or now.started,
            Step.WITHDRAW,
        )

    def test_ending(self) -> None:
        """A node that lets go of everything keeps no claim and makes none, in touch or not."""
        self.law(lambda now: now.ending and now.phase is None, Step.REST)
        self.law(lambda now: now.ending and _idle_claim(now), Step.WITHDRAW)
        self.law(
            lambda now: now.ending and now.phase is not None and not _idle_claim(now), Step.RELEASE
        )


class LeftBehindTests(DecisionTestCase):
    """R4: what was left behind is cleaned up."""

    def test_loses_against_a_holder(self) -> None:
        """Unsure gives way to who really holds it, whatever the plan says."""
        self.law(
            lambda now: now.phase is Phase.UNSURE and now.served_elsewhere and now.acting,
            Step.RELEASE,
        )

    def test_kept_means_alive_again(self) -> None:
        """What the plan gives back is taken as if it were new: a reboot left nothing."""
        self.law(
            lambda now: (
                now.phase is Phase.UNSURE
                and now.wanted
                and now.permitted
                and now.acting
                and not now.contested
                and not now.ending
                and not now.outdated
            ),
            Step.TAKE,
        )

    def test_given_to_others(self) -> None:
        """Otherwise `down` runs, when somebody is ready to take it."""
        self.law(
            lambda now: (
                now.phase is Phase.UNSURE and now.heir_ready and now.acting and not now.ending
            ),
            Step.RELEASE,
        )

    def test_outdated(self) -> None:
        """What was made with another hook configuration goes first, even if it is wanted."""
        self.law(lambda now: now.outdated and now.acting, Step.RELEASE)


class ConfigurationTests(DecisionTestCase):
    """R7: different configurations do not fight."""

    def test_nothing_new(self) -> None:
        """A node that does not plan starts nothing new."""
        self.never(lambda now: not now.planning and now.phase is None, Step.TAKE, Step.CLAIM)

    def test_yields(self) -> None:
        """What a member that plans claims is given up by who serves it here."""
        self.law(lambda now: _yielding(now) and now.phase is Phase.HELD, Step.RELEASE)
        self.law(
            lambda now: _yielding(now) and now.phase is Phase.TAKING and not now.started,
            Step.WITHDRAW,
        )

    def test_keeps(self) -> None:
        """A node that does not plan keeps what it holds while nobody claims it."""
        self.law(
            lambda now: (
                now.phase is Phase.HELD
                and now.permitted
                and not now.planning
                and not now.outranked
                and not now.ending
            ),
            Step.REST,
        )

    def test_claims_what_others_have_to_yield(self) -> None:
        """The node that plans says that it wants a data point which others still hold."""
        self.law(
            lambda now: (
                now.phase is None
                and now.wanted
                and now.acting
                and now.planning
                and now.contested
                and now.outranking
                and not now.ending
            ),
            Step.CLAIM,
        )


class ExclusiveTests(DecisionTestCase):
    """E5: in an exclusive system nothing is served without the voters' grant."""

    def test_no_alive(self) -> None:
        """Without it no `alive` starts, first or again or after a failure."""
        self.never(lambda now: not now.permitted, Step.TAKE)

    def test_lapsed(self) -> None:
        """What may be there goes as soon as it is gone, whatever else is true: cut off, too."""
        self.law(
            lambda now: not now.permitted and now.phase is not None and not _idle_claim(now),
            Step.RELEASE,
        )

    def test_earlier_life(self) -> None:
        """So does what an earlier life left: that life's grants do not count for this one."""
        self.law(
            lambda now: not now.permitted and now.phase is Phase.UNSURE and not now.acting,
            Step.RELEASE,
        )

    def test_asked_for(self) -> None:
        """The voters are asked for what could be taken if they allowed it, and for nothing else."""
        for now in POSSIBLE:
            would = decide(replace(now, permitted=True)) is Step.TAKE
            idle = now.phase is None or _idle_claim(now)
            if not now.permitted and idle:
                assert_that(decide(now) is Step.ASK, equal_to(would), str(now))
        self.never(lambda now: now.permitted, Step.ASK)


class ProgressTests(DecisionTestCase):
    """Nothing rests for ever."""

    def test_wanted(self) -> None:
        """What this node should hold and nobody else claims ends up held, from any phase."""
        starts = [
            now
            for now in POSSIBLE
            if now.wanted and now.acting and now.planning and not now.contested and not now.ending
        ]
        assert_that(len(starts), greater_than(0))
        for start in starts:
            assert_that(_rest(start).phase, equal_to(Phase.HELD), str(start))

    def test_unwanted(self) -> None:
        """What another should hold and is ready for ends up unclaimed here, from any phase."""
        starts = [
            now
            for now in POSSIBLE
            if now.heir_ready and now.acting and now.planning and not now.ending
        ]
        assert_that(len(starts), greater_than(0))
        for start in starts:
            assert_that(_rest(start).phase, equal_to(None), str(start))

    def test_outranked(self) -> None:
        """What a configuration that goes before this one claims ends up unclaimed here."""
        starts = [
            now
            for now in POSSIBLE
            if now.outranked and now.served_elsewhere and now.acting and not now.ending
        ]
        assert_that(len(starts), greater_than(0))
        for start in starts:
            assert_that(_rest(start).phase, equal_to(None), str(start))

    def test_everything_ends(self) -> None:
        """Whatever the situation, as long as nothing else changes the node comes to rest."""
        for start in POSSIBLE:
            _rest(start)


def _rest(now: Situation) -> Situation:
    """Where a data point ends up when every hook succeeds and nothing else changes."""
    for _ in range(6):
        step = decide(now)
        if step is Step.REST:
            return now
        now = _carry_out(step, now)
    raise AssertionError(f"never at rest: {now}")


def _carry_out(step: Step, now: Situation) -> Situation:
    """What the keeper and a hook that ends well make of a step."""
    if step is Step.CLAIM:
        return replace(now, phase=Phase.TAKING, started=False, begun=False)
    if step is Step.ASK:
        return replace(now, phase=Phase.TAKING, started=False, begun=False, permitted=True)
    if step is Step.TAKE:
        return replace(now, phase=Phase.HELD, started=True, begun=False, failed=False)
    return replace(now, phase=None, started=False, begun=False, failed=False, outdated=False)
