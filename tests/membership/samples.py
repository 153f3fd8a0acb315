"""What tests of membership share: records, rosters, and a clock that must end empty."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from hamcrest import assert_that, empty
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from flip.membership.roster import Change, Roster
from flip.wire.claims import claims_hash, data_digest, encode_claims
from flip.wire.messages import Record, Status, Update

FIVE = ("a", "b", "c", "d", "e")
DATA = {"ip": ("one", "two", "three")}
LISTS: Mapping[bytes, tuple[str, ...]] = {data_digest(points): points for points in DATA.values()}


def record(member: str, incarnation: int = 5, version: int = 0, **fields: Any) -> Record:
    """A record of an active member's first life, but for the fields that are given."""
    plain = Record(
        member, incarnation, version, Status.ACTIVE, birth=5, boot=1, config_digest=b"same"
    )
    return msgspec.structs.replace(plain, **fields)


def with_claims(member: str, claims: Any, data: Any = None, **fields: Any) -> Update:
    """The record of a member and the claims that belong to it."""
    body = encode_claims(claims, DATA if data is None else data)
    return Update(member, record(member, **fields, claims_hash=claims_hash(body)), body)


def votes(suspect: str, incarnation: int, *voters: str) -> Update:
    """Votes against one incarnation of a member."""
    return Update(suspect, accused=incarnation, voters=voters)


def roster(me: str = "a", servers: tuple[str, ...] = FIVE, quorum: int | None = None) -> Roster:
    """A roster that has heard of nobody."""
    return Roster(me, servers, quorum or len(servers) // 2 + 1, LISTS)


def witnessed(roster: Roster) -> list[Change]:
    """The list into which all changes of a roster will go."""
    changes: list[Change] = []
    roster.subscribe(changes.append)
    return changes


class ClockTestCase(SynchronousTestCase):
    """A test with a clock; whatever it started has to be stopped when it ends."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.clock.advance(1000)
        self.addCleanup(lambda: assert_that(self.clock.getDelayedCalls(), empty()))

    def run_for(self, seconds: float, step: float = 0.01) -> None:
        """Let time pass, smoothly."""
        self.clock.pump([step] * round(seconds / step))

    def seconds_until(self, happened: Callable[[], object], limit: float) -> float:
        """Let time pass until something is true; the seconds that it took."""
        began = self.clock.seconds()
        while not happened():
            self.run_for(0.05)
            took = self.clock.seconds() - began
            assert took < limit, f"not within {limit} s"
        return self.clock.seconds() - began

    def errors(self, expected: type[Exception] = Exception) -> list[Exception]:
        """What was logged as a failure."""
        return [failure.value for failure in self.flushLoggedErrors(expected)]
