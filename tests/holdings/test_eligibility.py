"""Tests for `flip.holdings.eligibility`."""

from __future__ import annotations

from hamcrest import assert_that, equal_to, is_in, none
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.eligibility import Candidates, Way, candidates, stays_with
from flip.wire.claims import Phase
from flip.wire.standing import Standing

FIT, RETURNED, DRAINED, FAILING, UNFIT, UNKNOWN = Standing
SERVERS = ("a", "b", "c")
standings = st.dictionaries(st.sampled_from(SERVERS), st.sampled_from(Standing))


def among(*words: Standing, all_unfit: str = "stay") -> Candidates:
    """Among the servers a, b and c that say this."""
    return candidates(dict(zip(SERVERS, words, strict=False)), all_unfit)


class CandidatesTests(SynchronousTestCase):
    """Who may be given data."""

    def test_best(self) -> None:
        """Fit ones, else those who were away, else those who are drained."""
        for words, expected in (
            ((FIT, FIT, RETURNED), "ab"),
            ((RETURNED, DRAINED, FIT), "c"),
            ((RETURNED, DRAINED, UNFIT), "a"),
            ((FAILING, DRAINED, UNKNOWN), "b"),
        ):
            assert_that(among(*words), equal_to(Candidates(frozenset(expected))))

    def test_unknown(self) -> None:
        """Nothing is decided for the worst while a health check may still say that all is well."""
        assert_that(among(UNFIT, FAILING, UNKNOWN), equal_to(Candidates(frozenset())))

    def test_nobody_here(self) -> None:
        """Without servers there is nobody, and nobody said so."""
        assert_that(among(), equal_to(Candidates(frozenset())))

    def test_all_failing(self) -> None:
        """Where hooks fail all may try again, whatever is done about failed health checks."""
        for all_unfit in ("stay", "divide", "release"):
            expected = Candidates(frozenset("abc"), Way.DIVIDE, nobody_fit=True)
            assert_that(among(FAILING, FAILING, FAILING, all_unfit=all_unfit), equal_to(expected))

    def test_all_unfit(self) -> None:
        """Where health checks fail the configuration says what is done."""
        for all_unfit, servers in (("stay", "abc"), ("divide", "abc"), ("release", "")):
            expected = Candidates(frozenset(servers), Way(all_unfit), nobody_fit=True)
            assert_that(among(UNFIT, FAILING, UNFIT, all_unfit=all_unfit), equal_to(expected))

    @settings(deadline=None)
    @given(standings, st.sampled_from(("stay", "divide", "release")))
    def test_law(self, words: dict[str, Standing], all_unfit: str) -> None:
        """A worse server is never chosen beside, or instead of, one that could serve."""
        chosen = candidates(words, all_unfit)
        best = min(words.values(), default=UNKNOWN)
        if best < FAILING:
            assert_that({words[id] for id in chosen.servers}, equal_to({best}))
            assert_that(chosen.way, equal_to(Way.DIVIDE))
        if UNKNOWN in words.values() or best < FAILING:
            assert_that(chosen.nobody_fit, equal_to(False))


class StaysWithTests(SynchronousTestCase):
    """Who goes on with a data point while no server is fit."""

    def owner(self, claims: dict[str, Phase], **words: Standing) -> str | None:
        return stays_with(claims, dict.fromkeys(SERVERS, UNFIT) | words, SERVERS)

    def test_nearness(self) -> None:
        """Who serves it, else who is taking it, else who had it."""
        claims = {"a": Phase.RELEASING, "b": Phase.TAKING, "c": Phase.HELD}
        assert_that(self.owner(claims), equal_to("c"))
        del claims["c"]
        assert_that(self.owner(claims), equal_to("b"))
        claims["b"] = Phase.UNSURE
        assert_that(self.owner(claims), equal_to("a"))

    def test_order(self) -> None:
        """Of two that are as near the first of the servers, on every node."""
        assert_that(self.owner({"c": Phase.TAKING, "b": Phase.TAKING}), equal_to("b"))

    def test_nobody(self) -> None:
        """What nobody has, or somebody who is not here, is nobody's."""
        assert_that(self.owner({}), none())
        assert_that(stays_with({"c": Phase.HELD}, {"a": UNFIT}, SERVERS), none())

    def test_failing(self) -> None:
        """Who tries in vain does not keep the others from trying; what he serves is his."""
        assert_that(self.owner({"a": Phase.TAKING}, a=FAILING), none())
        assert_that(self.owner({"a": Phase.HELD}, a=FAILING), equal_to("a"))

    @settings(deadline=None)
    @given(st.dictionaries(st.sampled_from(SERVERS), st.sampled_from(Phase)), standings)
    def test_law(self, claims: dict[str, Phase], words: dict[str, Standing]) -> None:
        """It is always somebody who is here and claims it."""
        owner = stays_with(claims, words, SERVERS)
        assert_that(owner, is_in([None, *(claims.keys() & words.keys())]))
