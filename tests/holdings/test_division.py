"""Tests for `flip.holdings.division`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hamcrest import assert_that, empty, equal_to, has_entries, has_length
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.division import Division
from flip.holdings.outlook import Outlook
from flip.membership.roster import Change
from flip.wire.claims import Phase
from flip.wire.messages import Status
from flip.wire.standing import Standing
from tests.holdings.bed import Others, config, roster_of, system

DELAY = 0.05


class DivisionTestCase(SynchronousTestCase):
    """The division of one system, on the node "me" of three."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.divisions: list[tuple[dict[str, str], frozenset[str]]] = []
        self.mine: dict[str, Phase] = {}
        self.build()

    def build(self, **settings: Any) -> None:
        described: dict[str, Any] = {"data": "abc", "delay": DELAY} | settings
        self.config = config(system(**described))
        roster = roster_of(self.config)
        self.others = Others(self.config, roster)
        outlook = Outlook(self.config, roster, lambda id: True)
        self.division = Division(
            self.config, "ip", self.clock, outlook, lambda: self.mine, self.divided
        )

        def learn(change: Change) -> None:
            outlook.learn(change)
            self.division.update()

        roster.subscribe(learn)
        self.others.say("flip1")
        self.others.say("flip2")
        self.divisions.clear()

    def divided(self, owners: Mapping[str, str], wanted: frozenset[str]) -> None:
        self.divided_last = dict(owners), wanted
        self.divisions.append(self.divided_last)

    def latest(self) -> dict[str, str]:
        return self.divisions[-1][0]


class TimingTests(DivisionTestCase):
    """`delay` gathers what starts and returns; nothing else waits."""

    def test_first(self) -> None:
        """A node divides as soon as it looks, and what is its own is told apart."""
        self.division.update()
        owners = {"a": "me", "b": "flip1", "c": "flip2"}
        assert_that(self.division.owners, equal_to(owners))
        assert_that(self.divisions, empty())

    def test_gone(self) -> None:
        """Who is down loses his data at once."""
        self.others.accuse("flip1", "me", "flip2")
        assert_that(self.divisions, has_length(1))
        assert_that(sorted(self.latest().values()), equal_to(["flip2", "me", "me"]))
        assert_that(self.divisions[-1][1], equal_to(frozenset("ab")))

    def test_unfit(self) -> None:
        """Who cannot serve any more loses his data at once."""
        self.others.say("flip1", ineligible=("ip",), standing=Standing.UNFIT)
        assert_that(self.latest(), has_entries(b="me"))

    def test_drained(self) -> None:
        """Who makes room for others, and could serve, is in no hurry."""
        self.others.say("flip1", ineligible=("ip",), standing=Standing.DRAINED)
        assert_that(self.divisions, empty())
        self.clock.advance(DELAY)
        assert_that(self.latest(), has_entries(b="me"))

    def test_leaving(self) -> None:
        """So does who is about to leave."""
        self.others.say("flip1", status=Status.LEAVING)
        assert_that(self.latest(), has_entries(b="me"))

    def test_back(self) -> None:
        """Several that come back within the delay are one plan."""
        self.others.accuse("flip1", "me", "flip2")
        self.others.accuse("flip2", "me", "flip1")
        self.divisions.clear()
        self.others.say("flip1", incarnation=2)
        self.clock.advance(DELAY - 0.01)
        self.others.say("flip2", incarnation=2)
        assert_that(self.divisions, empty())
        self.clock.advance(0.01)
        assert_that(self.latest(), equal_to({"a": "me", "b": "flip1", "c": "flip2"}))
        assert_that([len(self.divisions), self.clock.getDelayedCalls()], equal_to([1, []]))

    def test_back_and_gone(self) -> None:
        """Who comes back and goes within the delay changes nothing."""
        self.others.accuse("flip1", "me", "flip2")
        self.divisions.clear()
        self.others.say("flip1", incarnation=2)
        self.others.accuse("flip1", "me", "flip2", incarnation=2)
        self.clock.advance(1)
        assert_that([self.divisions, self.clock.getDelayedCalls()], equal_to([[], []]))

    def test_gone_while_another_is_back(self) -> None:
        """A loss does not wait for the delay of a return, nor count on who is hardly back."""
        self.others.accuse("flip1", "me", "flip2")
        self.others.say("flip1", incarnation=2)
        self.others.accuse("flip2", "me", "flip1")
        assert_that(self.latest(), equal_to({"a": "me", "b": "me", "c": "me"}))
        self.clock.advance(DELAY)
        assert_that(self.latest(), equal_to({"a": "me", "b": "flip1", "c": "me"}))
        assert_that(self.clock.getDelayedCalls(), empty())

    def test_stop(self) -> None:
        """A division that is due later is forgotten."""
        self.others.accuse("flip1", "me", "flip2")
        self.others.say("flip1", incarnation=2)
        self.division.stop()
        assert_that(self.clock.getDelayedCalls(), empty())

    def test_each_alone(self) -> None:
        """Where each server stands alone, all of it is wanted whoever is there."""
        self.build(type="replicate")
        self.others.accuse("flip1", "me", "flip2")
        self.clock.advance(DELAY)
        self.division.update()
        assert_that(self.divided_last, equal_to(({}, frozenset("abc"))))


class StayTests(DivisionTestCase):
    """No server is fit, and the data stays with whoever has it."""

    def all_unfit(self) -> None:
        self.division.update()
        for id, claims in (("flip1", {"a": Phase.HELD}), ("flip2", {}), ("me", {})):
            unfit = {"ineligible": ("ip",), "standing": Standing.UNFIT}
            self.others.say(id, {"ip": claims}, **unfit)  # type: ignore[arg-type]

    def test_stays(self) -> None:
        """What somebody has stays there; the rest is divided as if all were fit."""
        self.all_unfit()
        assert_that(self.division.owners, equal_to({"a": "flip1", "b": "flip1", "c": "flip2"}))

    def test_own_claims(self) -> None:
        """This node's own claims count as soon as it has them."""
        self.all_unfit()
        self.mine["c"] = Phase.TAKING
        self.division.update()
        assert_that(self.division.owners, has_entries(c="me"))

    def test_all_fit_at_once(self) -> None:
        """When all are fit again, as many as before, the data is divided all the same."""
        self.all_unfit()
        look = self.patch(self.division, "update", lambda: None)  # it stands still
        for id in ("flip1", "flip2", "me"):
            self.others.say(id, hidden=True)
        look.restore()
        self.division.update()
        self.clock.advance(DELAY)
        assert_that(self.division.owners, equal_to({"a": "me", "b": "flip1", "c": "flip2"}))


class ReportTests(DivisionTestCase):
    """What an operator reads about a plan."""

    def moves(self, data: int) -> list[str]:
        self.build(data=[str(number) for number in range(data)])
        with capturedLogs() as logs:
            self.others.accuse("flip1", "me", "flip2")
        return [formatEvent(event) for event in logs]

    def test_few(self) -> None:
        """A line per data point that moves: where from and where to."""
        assert_that(
            self.moves(6),
            equal_to(
                [
                    "ip: 1 belongs to flip2 now (before: flip1)",
                    "ip: 4 belongs to me now (before: flip1)",
                ]
            ),
        )

    def test_twenty(self) -> None:
        """Twenty moves are still twenty lines."""
        assert_that(self.moves(60), has_length(20))

    def test_many(self) -> None:
        """More are one line."""
        (line,) = self.moves(63)
        ways = "11 from flip1 to me, 10 from flip1 to flip2"
        assert_that(line, equal_to(f"ip: 21 of 63 data points move: {ways}"))

    def test_nobody_left(self) -> None:
        """A data point that nobody can have is said to be nobody's."""
        self.others.accuse("flip1", "me", "flip2")
        self.others.accuse("flip2", "me", "flip1")
        with capturedLogs() as logs:
            self.others.accuse("me", "flip1", "flip2", incarnation=0)
        lines = [formatEvent(event) for event in logs]
        assert_that(lines[0], equal_to("ip: a belongs to nobody now (before: me)"))
        assert_that([len(lines), self.latest()], equal_to([3, {}]))
