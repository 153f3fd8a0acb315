"""Tests for `flip.holdings.grants.granting` and `silence`: a voter on the wire."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from hamcrest import assert_that, contains_string, empty, equal_to, has_length
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.grants.granting import COMPLAINT_PAUSE, Granting
from flip.holdings.grants.lease import kept, voters_hash
from flip.holdings.grants.silence import Silence
from flip.holdings.grants.voter import Voter
from flip.wire.messages import (
    ClaimNumber,
    GrantAnswer,
    GrantMessage,
    GrantQuery,
    GrantRelease,
    GrantRequest,
)
from tests.holdings.bed import Wire, config, open_journal, system

VOTERS = ("flip1", "flip2", "me")
LEASE = 5.0
FIRST, SECOND = ClaimNumber(7, 1), ClaimNumber(7, 2)
Kind = TypeVar("Kind", bound=GrantMessage)


class GrantingTestCase(SynchronousTestCase):
    """The voter "me", whose journal is whole."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.config = config(
            system(data="abc", exclusive=True, lease=LEASE, voters=VOTERS),
            servers={"me": [], "flip1": ["ip"], "flip2": ["ip"]},
        )
        self.journal = open_journal(Path(self.mktemp()), self.clock)
        self.addCleanup(self.journal.close)
        self.wire = Wire()
        voter = Voter(
            self.config, self.journal, patience=1.5, now=self.clock.seconds(), silent_until=0.0
        )
        self.granting = Granting(self.clock, self.wire.post(), voter)
        self.addCleanup(self.granting.stop)

    def request(
        self, sender: str, nonce: int, number: ClaimNumber = FIRST, data: str = "a"
    ) -> None:
        points = tuple((datum, number) for datum in data)
        digest = voters_hash(VOTERS)
        self.wire.hear(sender, GrantRequest(0, 0, nonce, "ip", digest, 5000, points))

    def sent(self, kind: type[Kind]) -> list[tuple[str, Kind]]:
        """The messages of a kind since the last time; others are forgotten."""
        return [(to, message) for to, message in self.wire.news() if isinstance(message, kind)]


class AnswerTests(GrantingTestCase):
    """What a voter says."""

    def test_granted(self) -> None:
        """Yes, to the question's nonce; and it is on disk."""
        self.request("flip1", 9)
        ((to, answer),) = self.sent(GrantAnswer)
        assert_that([to, answer.nonce, answer.granted], equal_to(["flip1", 9, (("a", FIRST),)]))
        assert_that(self.journal.grants()["ip", "a"].node, equal_to("flip1"))

    def test_refused(self) -> None:
        """No; and whoever has it is asked whether it still does."""
        self.request("flip1", 9)
        self.wire.news()
        self.request("flip2", 8)
        ((to, answer), (owner, query)) = self.wire.news()
        assert isinstance(answer, GrantAnswer)
        assert isinstance(query, GrantQuery)
        assert_that([to, answer.nonce, answer.refused], equal_to(["flip2", 8, (("a", FIRST),)]))
        assert_that([owner, query.points], equal_to(["flip1", (("a", FIRST),)]))

    def test_release(self) -> None:
        """Who waits for it is granted at the release, to its own nonce."""
        self.request("flip1", 9)
        self.request("flip2", 8)
        self.wire.news()
        self.wire.hear("flip1", GrantRelease(0, 0, "ip", (("a", FIRST),)))
        ((to, answer),) = self.sent(GrantAnswer)
        assert_that([to, answer.nonce, answer.granted], equal_to(["flip2", 8, (("a", FIRST),)]))

    def test_expiry(self) -> None:
        """Who goes on asking is granted when the lease in the way has run out, to the moment."""
        self.request("flip1", 9)
        for nonce in range(100):
            if nonce * 0.25 < kept(LEASE):
                self.request("flip2", nonce)
                self.wire.news()
                if kept(LEASE) - nonce * 0.25 < 0.25:
                    break
                self.clock.advance(0.25)
        self.clock.advance(kept(LEASE) - self.clock.seconds() - 0.001)
        assert_that(self.sent(GrantAnswer), empty())
        self.clock.advance(0.002)
        assert_that([to for to, _ in self.sent(GrantAnswer)], equal_to(["flip2"]))

    def test_together(self) -> None:
        """What one question waits for is granted by one answer."""
        self.request("flip1", 9, FIRST, "abc")
        self.request("flip2", 8, SECOND, "abc")
        self.wire.news()
        points = tuple((datum, FIRST) for datum in "abc")
        self.wire.hear("flip1", GrantRelease(0, 0, "ip", points))
        ((_, answer),) = self.sent(GrantAnswer)
        assert_that([datum for datum, _ in answer.granted], equal_to(["a", "b", "c"]))

    def test_other_voters(self) -> None:
        """Who goes by another list of voters is not answered, and complained about, rarely."""
        with capturedLogs() as logs:
            for _ in range(3):
                request = GrantRequest(0, 0, 1, "ip", voters_hash(["me"]), 5000, (("a", FIRST),))
                self.wire.hear("flip1", request)
            assert_that(logs, has_length(1))
            self.clock.advance(COMPLAINT_PAUSE)
            self.wire.hear("flip1", request)
        assert_that(logs, has_length(2))
        assert_that(logs[0]["objection"], contains_string("another list of voters"))
        assert_that([self.wire.news(), self.journal.grants()], equal_to([[], {}]))

    def test_longer_lease(self) -> None:
        """So it is with a longer lease than this node's own."""
        with capturedLogs() as logs:
            digest = voters_hash(VOTERS)
            request = GrantRequest(0, 0, 1, "ip", digest, 5001, (("a", FIRST),))
            self.wire.hear("flip1", request)
        assert_that(logs[0]["objection"], contains_string("asks for a lease of 5001 ms"))
        assert_that([self.wire.news(), self.journal.grants()], equal_to([[], {}]))

    def test_stop(self) -> None:
        """After the stop nobody is granted anything by a timer."""
        self.request("flip1", 9)
        self.request("flip2", 8)
        self.granting.stop()
        self.wire.news()
        self.clock.advance(10)
        assert_that([self.wire.news(), self.clock.getDelayedCalls()], equal_to([[], []]))


class SilenceTests(GrantingTestCase):
    """E4: a voter that cannot know what it has granted."""

    def silence(self) -> Silence:
        silence = Silence(self.config, self.clock, self.journal)
        silence.begin()
        self.addCleanup(silence.stop)
        return silence

    def test_new_journal(self) -> None:
        """It says nothing for as long as a voter keeps a grant, and is then whole for good."""
        silence = self.silence()
        assert_that(silence.until, equal_to(self.clock.seconds() + kept(LEASE)))
        assert_that(silence.alarm, contains_string("silent for 5.5 s"))
        assert_that(self.journal.events(1)[0].kind, equal_to("silent"))
        self.clock.advance(kept(LEASE) - 0.01)
        assert_that(self.journal.has_grants_of("me"), equal_to(False))
        self.clock.advance(0.02)
        assert_that(self.journal.has_grants_of("me"), equal_to(True))
        assert_that(silence.alarm, equal_to(""))

    def test_whole_journal(self) -> None:
        """With all its grants on disk it speaks at once."""
        self.journal.keep_grants_of("me")
        silence = self.silence()
        assert_that([silence.until, silence.alarm], equal_to([self.clock.seconds(), ""]))
        assert_that(self.clock.getDelayedCalls(), empty())

    def test_ended_before_it_is_over(self) -> None:
        """A node that stops before is no wiser the next time."""
        silence = self.silence()
        silence.stop()
        self.clock.advance(100)
        assert_that(self.journal.has_grants_of("me"), equal_to(False))

    def test_no_vote(self) -> None:
        """A node that has no vote has nothing to be silent about; nor is it whole by that."""
        self.config = config(system(), servers={"me": ["ip"], "flip1": ["ip"]})
        silence = self.silence()
        assert_that([silence.alarm, self.clock.getDelayedCalls()], equal_to(["", []]))
        assert_that(self.journal.has_grants_of("me"), equal_to(False))
