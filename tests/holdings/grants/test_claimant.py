"""Tests for `flip.holdings.grants.claimant`: rules E1, E2, E5, E6, E7 and E8."""

from __future__ import annotations

import random
from collections.abc import Iterable

from hamcrest import assert_that, close_to, empty, equal_to, greater_than, less_than, none
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.grants.claimant import FEWEST_TRIES, Claimant
from flip.holdings.grants.lease import NOTICE, RENEWALS, Terms
from flip.holdings.grants.numbers import Numbers
from flip.wire.messages import ClaimNumber

VOTERS = ("v1", "v2", "v3")
TERMS = Terms(VOTERS, 5.0, 1.3)
PATIENCE = 1.5
FIRST, SECOND = ClaimNumber(100, 1), ClaimNumber(100, 2)


class ClaimantTestCase(SynchronousTestCase):
    """A claimant of the data points a, b and c, which starts at 1,000 s."""

    def setUp(self) -> None:
        self.now = 1000.0
        self.nonce = 0
        self.numbers = Numbers(100, random.Random(1), lambda generation: None)
        self.claimant = Claimant(TERMS, "abc", self.numbers, random.Random(2), patience=PATIENCE)
        for datum in "abc":  # `down` has run for what an earlier life left
            self.claimant.relinquish(datum)

    def ask(self, voter: str) -> int:
        """Ask a voter for what is due; returns the nonce."""
        self.nonce += 1
        points = self.claimant.due(voter, self.now)
        self.claimant.asked(self.nonce, voter, points, self.now)
        return self.nonce

    def ask_all(self) -> dict[str, int]:
        return {voter: self.ask(voter) for voter in VOTERS}

    def answer(
        self, voter: str, nonce: int, data: str = "a", number: ClaimNumber = FIRST
    ) -> list[str]:
        """A voter says yes."""
        granted = [(datum, number) for datum in data]
        return self.claimant.answered(voter, nonce, granted, self.now)

    def grant(self, datum: str = "a", voters: Iterable[str] = VOTERS) -> None:
        """Voters grant a data point, as soon as they are asked."""
        number = self.claimant.number(datum)
        assert number is not None
        for voter in voters:
            self.answer(voter, self.ask(voter), datum, number)

    def permitted(self, datum: str = "a") -> bool:
        return self.claimant.permitted(datum, self.now)

    def deadline(self) -> float:
        """When "a" has to be let go of; long ago without a quorum."""
        return self.claimant.deadline("a") or 0.0

    def due(self, voter: str) -> list[str]:
        return [datum for datum, _ in self.claimant.due(voter, self.now)]


class QuorumTests(ClaimantTestCase):
    """E2, E5: what answers permit, and for how long."""

    def test_quorum(self) -> None:
        """A majority of the voters permits, and who completes it is told."""
        self.claimant.pursue("a")
        nonces = self.ask_all()
        assert_that(self.answer("v1", nonces["v1"]), empty())
        assert_that(self.permitted(), equal_to(False))
        assert_that(self.answer("v3", nonces["v3"]), equal_to(["a"]))
        assert_that(self.permitted(), equal_to(True))
        assert_that(self.answer("v2", nonces["v2"]), empty())

    def test_nobody_twice(self) -> None:
        """One voter's second answer is not a second voter's."""
        self.claimant.pursue("a")
        for _ in range(3):
            self.grant("a", ("v1",))
            self.now += PATIENCE
        assert_that(self.permitted(), equal_to(False))

    def test_age(self) -> None:
        """An answer is as old as its question, however late it comes (E-b)."""
        self.claimant.pursue("a")
        nonces = self.ask_all()
        self.now += 2
        for voter, nonce in nonces.items():
            self.answer(voter, nonce)
        assert_that(self.deadline(), close_to(1000 + TERMS.permit, 1e-9))

    def test_too_late(self) -> None:
        """Grants that are found in the socket after a stall permit nothing any more (E-e)."""
        self.claimant.pursue("a")
        nonces = self.ask_all()
        self.now += TERMS.permit - NOTICE + 1e-6
        for voter, nonce in nonces.items():
            assert_that(self.answer(voter, nonce), empty())
        assert_that(self.permitted(), equal_to(False))

    def test_newest_quorum(self) -> None:
        """What permits longest is the newest quorum: the second newest of three answers."""
        self.claimant.pursue("a")
        for seconds, voter in ((0.0, "v1"), (1.0, "v2"), (0.5, "v3")):
            self.now += seconds
            self.grant("a", (voter,))
        assert_that(self.deadline(), close_to(1001 + TERMS.permit, 1e-9))

    def test_end(self) -> None:
        """It ends the margin before the lease does, and a notice before that for the daemon."""
        self.claimant.pursue("a")
        self.grant()
        self.now += TERMS.lease - TERMS.margin - NOTICE - 0.001
        assert_that(self.permitted(), equal_to(True))
        self.now += 0.002
        assert_that(self.permitted(), equal_to(False))
        assert_that(self.deadline(), close_to(self.now + NOTICE, 0.01))

    def test_other_nonce(self) -> None:
        """An answer to another question, or from another voter, counts for nothing."""
        self.claimant.pursue("a")
        nonces = self.ask_all()
        for voter, nonce in (("v1", nonces["v2"]), ("v2", nonces["v1"]), ("v3", 999)):
            self.answer(voter, nonce)
        assert_that(self.claimant.grants("a"), equal_to({}))

    def test_other_number(self) -> None:
        """Nor does one that grants another claim, or a data point that was not asked for."""
        self.claimant.pursue("a")
        nonce = self.ask("v1")
        self.answer("v1", nonce, "a", SECOND)
        self.claimant.pursue("b")
        self.answer("v1", nonce, "b", SECOND)
        assert_that([self.claimant.grants(datum) for datum in "ab"], equal_to([{}, {}]))

    def test_former_claim(self) -> None:
        """An answer to a claim that is over does not count for the next one (E-f)."""
        self.claimant.pursue("a")
        nonces = self.ask_all()
        self.claimant.relinquish("a")
        self.claimant.pursue("a")
        for voter, nonce in nonces.items():
            self.answer(voter, nonce)
        assert_that(self.claimant.grants("a"), equal_to({}))

    def test_second_answer(self) -> None:
        """Who refused first may grant the same question later; that is as old as the question."""
        self.claimant.pursue("a")
        nonces = self.ask_all()
        self.claimant.refused([("a", FIRST)])
        self.now += 1
        for voter, nonce in nonces.items():
            self.answer(voter, nonce)
        assert_that(self.deadline(), close_to(1000 + TERMS.permit, 1e-9))

    def test_forfeit(self) -> None:
        """What was asked before counts no more, also where the answer is still to come."""
        self.claimant.pursue("a")
        self.grant("a", ("v1", "v2"))
        late = self.ask("v3")
        self.claimant.forfeit()
        self.answer("v3", late)
        assert_that(self.claimant.grants("a"), equal_to({}))
        self.grant()
        assert_that(self.permitted(), equal_to(True))

    def test_forfeit_one(self) -> None:
        """It can be one data point only."""
        self.claimant.pursue("a")
        self.claimant.pursue("b")
        late = self.ask("v1")
        self.grant("b")
        self.claimant.forfeit(["a"])
        self.answer("v1", late, "a", FIRST)
        assert_that(self.claimant.grants("a"), equal_to({}))
        assert_that(self.permitted("b"), equal_to(True))


class RenewalTests(ClaimantTestCase):
    """E8: who is asked when."""

    def setUp(self) -> None:
        super().setUp()
        self.claimant.pursue("a")

    def test_at_once(self) -> None:
        """A new claim is due with every voter."""
        assert_that([self.due(voter) for voter in VOTERS], equal_to([["a"]] * 3))

    def test_silent_voters(self) -> None:
        """Who does not answer is asked again, six times in a ping_timeout."""
        self.ask("v1")
        assert_that(self.due("v1"), empty())
        self.now += PATIENCE / FEWEST_TRIES + 1e-9
        assert_that(self.due("v1"), equal_to(["a"]))

    def test_renewal(self) -> None:
        """Who has granted is asked again four times, at least, before the permission ends."""
        self.grant()
        for voter in VOTERS:
            self.now = 1000.0
            while not self.due(voter):
                self.now += 0.01
            assert_that(self.now - 1000, less_than(TERMS.permit / RENEWALS + 0.02))
            assert_that(self.now - 1000, greater_than(0.75 * TERMS.permit / RENEWALS))

    def test_own_nonces(self) -> None:
        """The answer to the first of two questions is older than that to the second."""
        first = self.ask("v1")
        self.now += 1
        self.ask("v1")
        self.answer("v1", first)
        assert_that(self.claimant.grants("a"), equal_to({"v1": 1000.0}))

    def test_order(self) -> None:
        """A late answer to an earlier question makes nothing older."""
        first = self.ask("v1")
        self.now += 1
        self.answer("v1", self.ask("v1"))
        self.answer("v1", first)
        assert_that(self.claimant.grants("a"), equal_to({"v1": 1001.0}))

    @given(st.lists(st.tuples(st.sampled_from(VOTERS), st.floats(0, 2), st.booleans())))
    def test_law(self, steps: list[tuple[str, float, bool]]) -> None:
        """Whatever is asked and answered when: a quorum was asked less than the permit ago."""
        self.setUp()
        asked: dict[str, float] = {}
        for voter, pause, answers in steps:
            self.now += pause
            if self.claimant.due(voter, self.now):
                sent, nonce = self.now, self.ask(voter)
                self.now += pause / 2
                if answers:
                    asked[voter] = sent
                    self.answer(voter, nonce)
            young = sum(self.now - sent < TERMS.permit - NOTICE for sent in asked.values())
            assert_that(self.permitted(), equal_to(young >= TERMS.quorum))


class SilenceTests(ClaimantTestCase):
    """Voters that do not answer."""

    def setUp(self) -> None:
        super().setUp()
        self.claimant.pursue("a")

    def test_silent(self) -> None:
        """Who has owed an answer for more than a lease is silent, since its oldest question."""
        nonces = self.ask_all()
        self.claimant.heard("v1", nonces["v1"])
        self.now += TERMS.lease
        assert_that(self.claimant.silent(self.now), equal_to({}))
        self.ask_all()
        self.now += 1
        silent = self.claimant.silent(self.now)
        assert_that(silent, equal_to({"v2": TERMS.lease + 1, "v3": TERMS.lease + 1}))

    def test_any_answer(self) -> None:
        """Any answer to its own question ends that."""
        nonces = self.ask_all()
        self.now += TERMS.lease + 1
        self.claimant.heard("v2", nonces["v3"])
        self.claimant.heard("v2", 999)
        assert_that(list(self.claimant.silent(self.now)), equal_to([*VOTERS]))
        late = self.ask("v2")
        self.claimant.heard("v2", late)
        assert_that(list(self.claimant.silent(self.now)), equal_to(["v1", "v3"]))

    def test_nothing_claimed(self) -> None:
        """Who asks for nothing misses nobody."""
        self.ask_all()
        self.claimant.relinquish("a")
        self.now += 100
        assert_that(self.claimant.silent(self.now), equal_to({}))


class WithdrawalTests(ClaimantTestCase):
    """E6: what is not needed is given back."""

    def test_split(self) -> None:
        """A claim that some have granted, and no quorum, is over after ping_timeout."""
        self.claimant.pursue("a")
        self.grant("a", ("v1",))
        self.now += PATIENCE - 0.01
        assert_that(self.claimant.expire(self.now), empty())
        self.now += 0.02
        assert_that(self.claimant.expire(self.now), equal_to([("a", FIRST)]))
        assert_that(self.due("v1"), empty())

    def test_next_try(self) -> None:
        """After a pause it is claimed again, by the next number; no longer than it may be."""
        self.claimant.pursue("a")
        self.grant("a", ("v1",))
        self.now += PATIENCE
        self.claimant.expire(self.now)
        assert_that(self.claimant.active, equal_to(True))
        self.claimant.pursue("a")
        assert_that(self.claimant.number("a"), none())
        self.now += PATIENCE / 2
        self.claimant.expire(self.now)
        assert_that(self.claimant.number("a"), equal_to(SECOND))

    def test_pauses(self) -> None:
        """The pauses grow, to a bound, and are at random."""
        pauses = []
        for _ in range(12):
            self.claimant.pursue("a")
            self.grant("a", ("v1",))
            self.now += PATIENCE
            self.claimant.expire(self.now)
            began = self.now
            while self.claimant.number("a") is None:
                self.now += 0.01
                self.claimant.expire(self.now)
            pauses.append(self.now - began)
        assert_that(pauses[0], less_than(PATIENCE / 2 + 0.02))
        assert_that(max(pauses), greater_than(2 * PATIENCE))
        assert_that(max(pauses), less_than(4 * PATIENCE + 0.02))
        assert_that(len({round(pause, 2) for pause in pauses[4:]}), greater_than(5))

    def test_nothing_granted(self) -> None:
        """What nobody has granted there is nothing to give back of: it goes on asking."""
        self.claimant.pursue("a")
        self.ask_all()
        self.now += 10 * PATIENCE
        assert_that(self.claimant.expire(self.now), empty())
        assert_that(self.due("v1"), equal_to(["a"]))

    def test_begun(self) -> None:
        """What was begun is never given back from here: only `down` ends it."""
        self.claimant.pursue("a")
        self.grant("a", ("v1", "v2"))
        self.claimant.begin("a")
        self.now += 100
        for _ in range(3):
            assert_that(self.claimant.expire(self.now), empty())
            self.now += 100

    def test_granted_once_and_never_begun(self) -> None:
        """What lost its quorum before anything was begun is given back after a while."""
        self.claimant.pursue("a")
        self.grant("a", ("v1", "v2"))
        self.now += 3
        assert_that([self.claimant.expire(self.now), self.permitted()], equal_to([[], True]))
        self.now += 1
        self.grant("a", ("v1",))
        assert_that([self.claimant.expire(self.now), self.permitted()], equal_to([[], False]))
        self.now += PATIENCE
        assert_that(self.claimant.expire(self.now), equal_to([("a", FIRST)]))

    def test_not_wanted(self) -> None:
        """What is not wanted any more is over at once; and no pause remembers it."""
        self.claimant.pursue("a")
        assert_that(self.claimant.relinquish("a"), equal_to(FIRST))
        assert_that(self.claimant.active, equal_to(False))
        assert_that(self.claimant.relinquish("a"), none())

    def test_not_wanted_in_a_pause(self) -> None:
        """Nor is it asked for after a pause."""
        self.claimant.pursue("a")
        self.grant("a", ("v1",))
        self.now += PATIENCE
        self.claimant.expire(self.now)
        self.claimant.relinquish("a")
        self.now += 100
        self.claimant.expire(self.now)
        assert_that(self.claimant.number("a"), none())

    def test_greater_number_seen(self) -> None:
        """A voter that has seen a greater number is asked with one above that (E1)."""
        self.claimant.pursue("a")
        self.ask_all()
        seen = ClaimNumber(500, 3)
        assert_that(self.claimant.refused([("a", seen)]), equal_to([("a", FIRST)]))
        number = self.claimant.number("a")
        assert number is not None
        assert_that(number, greater_than(seen))
        assert_that(self.claimant.refused([("a", seen)]), empty())

    def test_greater_number_while_it_holds(self) -> None:
        """What was begun is not changed by that."""
        self.claimant.pursue("a")
        self.grant()
        self.claimant.begin("a")
        assert_that(self.claimant.refused([("a", ClaimNumber(500, 3))]), empty())
        assert_that(self.claimant.number("a"), equal_to(FIRST))


class OverTests(ClaimantTestCase):
    """E7: what a voter may take back."""

    def over(self, *numbers: ClaimNumber) -> list[ClaimNumber]:
        return [number for _, number in self.claimant.over([("a", number) for number in numbers])]

    def test_earlier_claims(self) -> None:
        """Claims before the present one are over; the present one is not."""
        self.claimant.pursue("a")
        self.claimant.relinquish("a")
        self.claimant.pursue("a")
        assert_that(self.over(FIRST, SECOND), equal_to([FIRST]))

    def test_no_claim(self) -> None:
        """Without a present one all are."""
        self.claimant.pursue("a")
        self.claimant.relinquish("a")
        assert_that(self.over(FIRST), equal_to([FIRST]))

    def test_later_than_the_present(self) -> None:
        """Of a number above the present one nothing is said: its release would end that, too."""
        self.claimant.pursue("a")
        assert_that(self.over(ClaimNumber(500, 1)), empty())
        self.claimant.relinquish("a")
        self.claimant.pursue("a")
        assert_that(self.over(ClaimNumber(500, 1)), equal_to([ClaimNumber(500, 1)]))

    def test_earlier_life(self) -> None:
        """Until `down` has run here, an earlier life's claim is not over; then it is."""
        claimant = Claimant(TERMS, "ab", self.numbers, random.Random(1), patience=PATIENCE)
        earlier = ClaimNumber(99, 7)
        assert_that(claimant.over([("a", earlier)]), empty())
        released = claimant.relinquish("a")
        assert released is not None
        assert_that(released, greater_than(earlier))
        assert_that(released, less_than(self.numbers.next()))
        assert_that(claimant.over([("a", earlier), ("b", earlier)]), equal_to([("a", earlier)]))
