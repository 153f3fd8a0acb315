"""Tests for `flip.control.chronicle`."""

from __future__ import annotations

from pathlib import Path

from hamcrest import assert_that, contains_string, empty, equal_to
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from flip.control.chronicle import Chronicle
from flip.membership.member import OPERATOR, WITNESS
from flip.wire.claims import Phase
from flip.wire.messages import Status
from flip.wire.standing import Standing
from tests.holdings.bed import Others, StandIn, config, open_journal


class ChronicleTests(SynchronousTestCase):
    """What the node "me" logs about flip1 and flip2, with a quorum of two."""

    def setUp(self) -> None:
        clock = Clock()
        self.config = config()
        self.membership = StandIn(self.config)
        self.others = Others(self.config, self.membership.roster)
        self.journal = open_journal(Path(self.mktemp()), clock)
        self.addCleanup(self.journal.close)
        self.chronicle = Chronicle(self.config, self.membership.as_membership(), self.journal)
        for other in ("flip1", "flip2"):
            self.others.say(other)
        self.told = len(self.journal.events(100))

    def news(self) -> list[tuple[str, str]]:
        """The kinds and texts of the events since the last time."""
        events = self.journal.events(100)[self.told :]
        self.told += len(events)
        return [(event.kind, event.text) for event in events]

    def test_started(self) -> None:
        """A start, with what the node waits for: without it the log of a lonely node is empty."""
        text = "me started (incarnation 5): waits until it reaches 2 of 3 members, itself included"
        assert_that(self.journal.events(100)[0].text, equal_to(text))

    def test_restarted(self) -> None:
        """A member that was killed and is back before anybody missed it."""
        self.others.say("flip1", incarnation=2, boot=2)
        expected = [("restarted", "flip1 was restarted (incarnation 2)")]
        assert_that(self.news(), equal_to(expected))

    def test_standing(self) -> None:
        """Why a member gets no data of a system, and when that is over."""
        self.others.say("flip1", ineligible=("ip",), standing=Standing.UNFIT)
        self.others.say(
            "flip1", {"ip": {"a": Phase.HELD}}, ineligible=("ip",), standing=Standing.UNFIT
        )
        self.others.say("flip1", ineligible=("ip",), standing=Standing.RETURNED)
        self.others.say("flip1")
        texts = [
            "ip: flip1 is unfit (before: fit)",
            "ip: flip1 is returned (before: unfit)",
            "ip: flip1 is fit (before: returned)",
        ]
        assert_that(self.news(), equal_to([("standing", text) for text in texts]))

    def test_first_check(self) -> None:
        """That a check has not ended yet, and then ends well, is nothing to tell."""
        self.others.say("flip1", ineligible=("ip",), standing=Standing.UNKNOWN)
        self.others.say("flip1")
        assert_that(self.news(), empty())
        self.others.say("flip1", ineligible=("ip",), standing=Standing.UNKNOWN)
        self.others.say("flip1", ineligible=("ip",), standing=Standing.UNFIT)
        text = "ip: flip1 is unfit (before: unknown)"
        assert_that(self.news(), equal_to([("standing", text)]))

    def test_logged_and_kept(self) -> None:
        """Whatever is told is a line in the log and an event in the journal."""
        with capturedLogs() as logs:
            self.others.accuse("flip1", "me")
        lines = [formatEvent(event) for event in logs]
        assert_that(lines, equal_to([text for _, text in self.news()]))

    def test_seen(self) -> None:
        """A member that is heard of for the first time."""
        texts = [event.text for event in self.journal.events(2)]
        assert_that(
            texts,
            equal_to(["flip1 is here (incarnation 1)", "flip2 is here (incarnation 1)"]),
        )

    def test_going_down(self) -> None:
        """Who is probably down, on whose word and with how many votes; then that it is down."""
        self.others.accuse("flip1", "flip2")
        text = "flip1 is probably down: flip2 cannot reach it (votes 1/2)"
        assert_that(self.news(), equal_to([("probably-down", text)]))
        self.others.accuse("flip1", "me")
        text = "quorum reached, flip1 is down: flip2, me cannot reach it (votes 2/2)"
        assert_that(self.news(), equal_to([("down", text)]))

    def test_many_votes(self) -> None:
        """Of hundreds of votes not each is a line, and not each voter is named."""
        voters = [f"v{n:02}" for n in range(60)]
        everybody = config(servers=dict.fromkeys(("me", "flip1", *voters), ("ip",)))
        membership = StandIn(everybody)
        others = Others(everybody, membership.roster)
        Chronicle(everybody, membership.as_membership(), self.journal)
        others.say("flip1")
        self.news()
        for voter in voters:
            others.accuse("flip1", voter)
        *doubts, (kind, text) = self.news()
        assert_that([text.partition("(votes ")[2] for _, text in doubts], equal_to(
            [f"{count}/32)" for count in (*range(1, 9), 16)]
        ))  # fmt: skip
        named = "v00, v01, v02, v03, v04, v05, v06, v07, 24 others"
        expected = f"quorum reached, flip1 is down: {named} cannot reach it (votes 32/32)"
        assert_that((kind, text), equal_to(("down", expected)))

    def test_down_at_once(self) -> None:
        """A quorum of votes in one packet is one line."""
        self.others.accuse("flip1", "flip2", "me")
        assert_that([kind for kind, _ in self.news()], equal_to(["down"]))

    def test_outsiders(self) -> None:
        """The vote of a witness is named as such."""
        self.others.accuse("flip1", "me", WITNESS)
        text = "quorum reached, flip1 is down: the witness, me cannot reach it (votes 2/2)"
        assert_that(self.news(), equal_to([("down", text)]))

    def test_confirmed(self) -> None:
        """An operator's word is an alarm in every log, and no vote among others."""
        with capturedLogs() as logs:
            self.others.accuse("flip1", OPERATOR)
        text = "an operator confirmed that flip1 is off: it counts as down until it returns"
        assert_that(self.news(), equal_to([("confirmed-down", text)]))
        assert_that([event["log_level"] for event in logs], equal_to([LogLevel.critical]))

    def test_told_once(self) -> None:
        """The same votes again are no news."""
        self.others.accuse("flip1", "flip2", "me")
        self.news()
        self.others.accuse("flip1", "flip2")
        assert_that(self.news(), empty())

    def test_alive_again(self) -> None:
        """A member that refuted its votes, and with what."""
        self.others.accuse("flip1", "flip2", "me")
        self.news()
        self.others.say("flip1", incarnation=2)
        assert_that(self.news(), equal_to([("alive", "flip1 is alive (incarnation 2)")]))

    def test_leaving(self) -> None:
        """A member that leaves, and one that left."""
        self.others.say("flip1", status=Status.LEAVING)
        self.others.say("flip1", status=Status.LEFT)
        expected = [("leaving", "flip1 is leaving"), ("left", "flip1 left")]
        assert_that(self.news(), equal_to(expected))

    def test_claims(self) -> None:
        """Claims are the keeper's business, and no news here."""
        self.others.say("flip1", {"ip": {"a": Phase.HELD}})
        assert_that(self.news(), empty())

    def test_own_votes(self) -> None:
        """Votes against this node are told by who raises its incarnation."""
        self.others.accuse("me", "flip1", "flip2", incarnation=5)
        assert_that(self.news(), empty())

    def test_touch(self) -> None:
        """Getting in touch, settling, and losing touch, each once."""
        for in_touch, settled in ((True, False), (True, False), (True, True)):
            self.membership.become(in_touch=in_touch, settled=settled)
        assert_that([kind for kind, _ in self.news()], equal_to(["in-touch", "settled"]))
        self.membership.touch.missed("flip1", 0.0)
        self.membership.touch.missed("flip2", 0.0)
        with capturedLogs() as logs:
            self.membership.become(in_touch=False, settled=False)
        ((kind, text),) = self.news()
        assert_that(kind, equal_to("out-of-touch"))
        assert_that(text, contains_string("it reaches 1 of 3, itself included, and needs 2"))
        assert_that(logs[0]["log_level"], equal_to(LogLevel.warn))

    def test_touch_lost_by_a_stall(self) -> None:
        """Who reached everybody a moment ago waits for fresh answers."""
        self.membership.become(in_touch=True, settled=True)
        self.news()
        self.membership.become(in_touch=False, settled=False)
        ((_, text),) = self.news()
        assert_that(text, contains_string("it waits for fresh answers"))

    def test_alarm(self) -> None:
        """An alarm is logged as critical, and stays for status."""
        with capturedLogs() as logs:
            self.chronicle.alarm("double", "two of me")
        assert_that(logs[0]["log_level"], equal_to(LogLevel.critical))
        assert_that(self.chronicle.alarms, equal_to({"double": "two of me"}))
        assert_that(self.news(), equal_to([("double", "two of me")]))
