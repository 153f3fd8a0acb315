"""Tests for `flip.wire.standing`."""

from __future__ import annotations

from hamcrest import assert_that, equal_to
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.wire.messages import Record, Status
from flip.wire.standing import Standing, encode_standings, standing

SYSTEMS = ("db", "ip", "web")


def record(ineligible: tuple[str, ...] = (), standings: bytes = b"") -> Record:
    return Record(
        "flip1",
        1,
        1,
        Status.ACTIVE,
        1,
        1,
        b"",
        ineligible=ineligible,
        standings=standings,
    )


class StandingTests(SynchronousTestCase):
    """What a member says of itself, and what others read in it."""

    @settings(deadline=None)
    @given(st.dictionaries(st.sampled_from(SYSTEMS), st.sampled_from(list(Standing)[1:])))
    def test_round_trip(self, said: dict[str, Standing]) -> None:
        """Whatever is said of each system is read of it; of all others it is fit."""
        one = record(tuple(sorted(said)), encode_standings(said[name] for name in sorted(said)))
        found = {name: standing(one, name) for name in SYSTEMS}
        assert_that(found, equal_to(dict.fromkeys(SYSTEMS, Standing.FIT) | said))

    def test_unheard_of(self) -> None:
        """Nothing moves without agreement: a member not yet heard of counts as fit."""
        assert_that(standing(None, "ip"), equal_to(Standing.FIT))

    def test_older(self) -> None:
        """An older node names its systems only: it fails, as far as anybody can tell."""
        assert_that(standing(record(("db", "ip")), "ip"), equal_to(Standing.FAILING))

    @settings(deadline=None)
    @given(st.integers(0, 255))
    def test_newer(self, word: int) -> None:
        """No byte makes a system that is named eligible, or raises."""
        known = Standing.FIT < word <= Standing.UNKNOWN
        read = standing(record(("ip",), bytes((word,))), "ip")
        assert_that(read, equal_to(Standing(word) if known else Standing.FAILING))
