"""`flip.membership.own`: a node defends its record, and two of them do not fight for ever."""

from __future__ import annotations

from typing import Any

from hamcrest import assert_that, empty, equal_to, greater_than, has_length, is_, less_than
from twisted.logger import LogEvent, LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from flip.membership.member import OPERATOR, WITNESS
from flip.membership.own import LEAP, OwnRecord
from flip.membership.roster import Roster, State
from flip.wire.claims import Phase, claims_hash
from flip.wire.messages import INCARNATIONS, Record, Status, Update
from tests.membership.samples import DATA, record, roster, votes


class Life:
    """One process: its roster, its own record, and what it reported."""

    def __init__(self, birth: int = 100, boot: int = 7, servers: tuple[str, ...] = ("a", "b", "c")):
        self.roster: Roster = roster("a", servers)
        self.published: list[frozenset[str]] = []
        self.raised: list[tuple[int, frozenset[str]]] = []
        self.doubled: list[bool] = []
        self.own = OwnRecord(
            self.roster,
            record("a", birth, birth=birth, boot=boot),
            DATA,
            published=self.published.append,
            raised=lambda incarnation, voters: self.raised.append((incarnation, voters)),
            doubled=self.doubled.append,
        )

    @property
    def incarnation(self) -> int:
        return self.own.record.incarnation

    def hear(self, *updates: Update) -> None:
        """Learn from another member."""
        self.roster.merge(updates, "b")

    def sees_itself(self) -> bool:
        """Whether the roster shows the record that this life wrote."""
        return self.roster["a"].record == self.own.record


def past(incarnation: int, version: int = 3, **fields: Any) -> Update:
    """A record of an earlier life."""
    return Update("a", record("a", incarnation, version, **{"boot": 1, "birth": 1} | fields))


class OwnRecordTestCase(SynchronousTestCase):
    """Criticals are collected, since trial only knows failures."""

    def setUp(self) -> None:
        super().setUp()
        self._events = self.enterContext(capturedLogs())

    @property
    def criticals(self) -> list[LogEvent]:
        """What was logged as critical so far."""
        return [event for event in self._events if event["log_level"] is LogLevel.critical]


class AmendTests(OwnRecordTestCase):
    """The record changes only where something is new."""

    def test_first(self) -> None:
        """A new life is in its own roster, and its incarnation was told before."""
        life = Life()
        assert_that(life.raised, equal_to([(100, frozenset())]))
        assert_that(life.sees_itself(), is_(True))

    def test_versions(self) -> None:
        """Every change is a new version, told first to those whom it concerns."""
        life = Life()
        life.own.amend(status=Status.LEAVING, ineligible=("ip",), concerns=frozenset("c"))
        assert_that(
            (life.own.record.version, life.own.record.status, life.own.record.ineligible),
            equal_to((1, Status.LEAVING, ("ip",))),
        )
        assert_that(life.published[-1], equal_to(frozenset("c")))
        assert_that(life.sees_itself(), is_(True))

    def test_nothing_new(self) -> None:
        """What is the case already is not told again."""
        life = Life()
        life.own.amend(claims={"ip": {"one": Phase.HELD}})
        told = len(life.published)
        life.own.amend(claims={"ip": {"one": Phase.HELD}}, status=Status.ACTIVE)
        assert_that((life.own.record.version, len(life.published)), equal_to((1, told)))

    def test_claims(self) -> None:
        """The record names the claims, and the roster reads them."""
        life = Life()
        life.own.amend(claims={"ip": {"one": Phase.HELD}})
        me = life.roster["a"]
        assert_that(me.claims, equal_to({"ip": {"one": Phase.HELD}}))
        assert_that(claims_hash(me.body or b""), equal_to(life.own.record.claims_hash))


class RefutationTests(OwnRecordTestCase):
    """Votes and records that this life did not write make it rise above them."""

    def test_vote(self) -> None:
        """One vote is enough, and its voter hears of the refutation first."""
        life = Life()
        life.own.amend(claims={"ip": {"one": Phase.HELD}})
        life.hear(votes("a", 100, "c"))
        assert_that(life.incarnation, equal_to(101))
        assert_that(life.raised[-1], equal_to((101, frozenset("c"))))
        assert_that(life.published[-1], equal_to(frozenset("c")))
        assert_that(
            (life.roster.state("a"), life.roster["a"].voters), equal_to((State.ALIVE, set()))
        )
        assert_that(life.roster["a"].claims, equal_to({"ip": {"one": Phase.HELD}}))

    def test_outsiders(self) -> None:
        """A witness and an operator are nobody who could hear of it."""
        life = Life()
        life.hear(votes("a", 100, "c", WITNESS, OPERATOR))
        assert_that(life.incarnation, equal_to(101))
        assert_that(life.published[-1], equal_to(frozenset("c")))

    def test_votes_ahead(self) -> None:
        """Votes against an incarnation yet to come are refuted as well."""
        life = Life()
        life.hear(votes("a", 150, "c"))
        assert_that(life.incarnation, equal_to(151))

    def test_void_votes(self) -> None:
        """Votes against an earlier life need no answer."""
        life = Life()
        life.hear(votes("a", 99, "b", "c"))
        assert_that((life.incarnation, life.roster.buried), equal_to((100, 99)))

    def test_earlier_record(self) -> None:
        """A record of an earlier life below this one is nothing to rise above."""
        life = Life()
        life.hear(past(99))
        assert_that((life.incarnation, life.sees_itself()), equal_to((100, True)))

    def test_clock_set_back(self) -> None:
        """A life that starts below an earlier one rises far above it, at the first word (D8)."""
        life = Life(birth=3)
        life.hear(past(100))
        assert_that((life.incarnation, life.sees_itself()), equal_to((100 + LEAP, True)))
        assert_that(life.doubled, empty())

    def test_clock_set_back_after_leaving(self) -> None:
        """Even where the earlier life said good-bye."""
        life = Life(birth=3)
        life.hear(past(100, status=Status.LEFT))
        assert_that(life.roster.state("a"), is_(State.ALIVE))
        assert_that(life.sees_itself(), is_(True))

    def test_same_stamp(self) -> None:
        """A record with the same stamp but other contents, and greater bytes, is risen above."""
        life = Life()
        life.hear(Update("a", record("a", 100, 0, birth=100, boot=9)))
        assert_that((life.incarnation > 100, life.sees_itself()), equal_to((True, True)))

    def test_peers_that_lag(self) -> None:
        """However many records of a dead life trickle in, it is no double."""
        life = Life(birth=3)
        for version, incarnation in enumerate((100, 101, 102, 103, 150, 150)):
            life.hear(past(incarnation, version))
            life.hear(votes("a", incarnation, "b", "c"))
        assert_that((life.doubled, life.incarnation), equal_to(([], 100 + LEAP)))

    def test_error_while_raising(self) -> None:
        """Where the new incarnation could not be noted down, the next word tries again."""
        life = Life()

        def fail(incarnation: int, voters: frozenset[str]) -> None:
            life.own._raised = lambda incarnation, voters: None
            raise ZeroDivisionError

        life.own._raised = fail
        with self.assertRaises(ZeroDivisionError):
            life.hear(votes("a", 100, "b"))
        life.hear(votes("a", 100, "c"))
        assert_that((life.doubled, life.sees_itself()), equal_to(([], True)))
        assert_that(life.roster.state("a"), is_(State.ALIVE))

    def test_after_leaving(self) -> None:
        """Who said good-bye does not answer any more."""
        life = Life()
        life.own.amend(status=Status.LEFT)
        life.hear(votes("a", 100, "b", "c"))
        assert_that((life.incarnation, life.roster.state("a")), equal_to((100, State.LEFT)))

    def test_while_leaving(self) -> None:
        """Who is still letting go answers."""
        life = Life()
        life.own.amend(status=Status.LEAVING)
        life.hear(votes("a", 100, "b", "c"))
        assert_that((life.incarnation, life.roster.state("a")), equal_to((101, State.ALIVE)))
        assert_that(life.own.record.status, is_(Status.LEAVING))


class DoubleTests(OwnRecordTestCase):
    """Two processes with one id (M5, D9)."""

    def fight(self, elder: Life, younger: Life) -> int:
        """Let each hear of the other until both are silent; returns the rounds."""
        for rounds in range(20):
            before = elder.incarnation, younger.incarnation
            elder.hear(younger.roster["a"].update)
            younger.hear(elder.roster["a"].update)
            if before == (elder.incarnation, younger.incarnation):
                return rounds
        raise AssertionError("they raise for ever")

    def test_the_younger_goes(self) -> None:
        """The younger gives way, the elder knows of it, and both are at peace soon."""
        elder, younger = Life(birth=100, boot=7), Life(birth=200, boot=8)
        assert_that(self.fight(elder, younger), less_than(5))
        assert_that((elder.doubled, younger.doubled), equal_to(([False], [True])))
        assert_that(elder.sees_itself(), is_(True))
        assert_that(younger.roster["a"].record, equal_to(elder.own.record))

    def test_twins(self) -> None:
        """Lives of the same millisecond are told apart by their boot."""
        one, other = Life(boot=8), Life(boot=7)
        self.fight(one, other)
        assert_that((one.doubled, other.doubled), equal_to(([True], [False])))

    def test_the_younger_is_silent(self) -> None:
        """Who gives way answers neither votes nor records, and does not overwrite the elder's."""
        elder, younger = Life(birth=100, boot=7), Life(birth=200, boot=8)
        self.fight(elder, younger)
        incarnation, raised = younger.incarnation, len(younger.raised)
        younger.hear(votes("a", elder.incarnation, "b"))
        younger.own.amend(claims={"ip": {"one": Phase.HELD}}, status=Status.LEFT)
        assert_that((younger.incarnation, len(younger.raised)), equal_to((incarnation, raised)))
        assert_that(younger.roster["a"].record, equal_to(elder.own.record))

    def test_clone(self) -> None:
        """A copy of the very process is an alarm; neither copy can know that it has to go."""
        life = Life()
        life.hear(Update("a", record("a", 101, birth=100, boot=7)))
        assert_that((life.doubled, life.sees_itself()), equal_to(([False], True)))


class BoundTests(OwnRecordTestCase):
    """A member that is out of order cannot make this node write what nobody can read."""

    def assert_bounded(self, life: Life, *told: Update) -> None:
        for update in told:
            life.hear(update)
        assert_that(life.incarnation, less_than(INCARNATIONS))
        assert_that(life.incarnation, greater_than(0))

    def test_near(self) -> None:
        """There may be no room for a leap: it rises as far as it can."""
        life = Life()
        self.assert_bounded(life, past(INCARNATIONS - 2))
        assert_that((life.incarnation, life.sees_itself()), equal_to((INCARNATIONS - 1, True)))

    def test_at_the_bound(self) -> None:
        """Nothing is above the bound: that is said once, and nothing loops or overflows."""
        cases = (
            votes("a", INCARNATIONS - 1, "b"),
            past(INCARNATIONS - 1, INCARNATIONS - 1),
            past(INCARNATIONS - 2, INCARNATIONS - 1),
        )
        for said, nonsense in enumerate(cases, 1):
            life = Life()
            self.assert_bounded(
                life, nonsense, votes("a", INCARNATIONS - 1, "b"), votes("a", 1, "c")
            )
            life.hear(votes("a", INCARNATIONS - 1, "c"))
            assert_that(self.criticals, has_length(said), str(nonsense))
            assert_that(life.doubled, empty())

    def test_born_at_the_bound(self) -> None:
        """A life whose journal followed such a member starts all the same."""
        life = Life(birth=INCARNATIONS - 1)
        self.assert_bounded(life, votes("a", INCARNATIONS - 1, "b"))
        written: Record = life.own.record
        assert_that(written.incarnation, equal_to(INCARNATIONS - 1))
