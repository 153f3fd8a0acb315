"""`flip.membership.touch`: in touch, settled, and the epoch of the evidence."""

from __future__ import annotations

from hamcrest import assert_that, contains_inanyorder, empty, equal_to, is_

from flip.membership.member import OPERATOR
from flip.membership.touch import Touch
from flip.wire.messages import Status, Update
from tests.membership.samples import FIVE, ClockTestCase, record, roster

THREE = ("a", "b", "c")
GRACE = 1.5


class TouchTestCase(ClockTestCase):
    """Node a of a cluster."""

    def touch(self, servers: tuple[str, ...] = FIVE, quorum: int | None = None) -> Touch:
        self.roster = roster("a", servers, quorum)
        touch = Touch(self.roster, GRACE, self.clock.seconds)
        self.clock.advance(1)
        return touch

    def acked(self, touch: Touch, *members: str) -> None:
        """Pings sent now are answered."""
        for member in members:
            touch.acked(member, self.clock.seconds())
        touch.judge()

    def settle(self, touch: Touch) -> None:
        """All answer and agree."""
        self.acked(touch, *self.roster.others)
        for member in self.roster.others:
            touch.synced(member)
        touch.judge()
        assert_that((touch.in_touch, touch.settled), equal_to((True, True)))

    def missed(self, touch: Touch, *members: str) -> None:
        """Probes that began now fail."""
        for member in members:
            touch.missed(member, self.clock.seconds())
        touch.judge()

    def vote_down(self, member: str, incarnation: int = 0) -> None:
        voters = [voter.id for voter in self.roster if voter.id != member]
        self.roster.accuse(member, incarnation, voters)


class InTouchTests(TouchTestCase):
    """Able to reach a quorum (S3)."""

    def test_start(self) -> None:
        """Quorum - 1 others have to answer themselves."""
        touch = self.touch()
        self.acked(touch, "b")
        assert_that(touch.in_touch, is_(False))
        self.acked(touch, "c")
        assert_that(touch.in_touch, is_(True))

    def test_through_others(self) -> None:
        """An answer through a helper shows that the member lives, not that it is in touch."""
        touch = self.touch()
        for member in "bcde":
            touch.vouched(member, self.clock.seconds())
        touch.judge()
        assert_that(touch.in_touch, is_(False))
        assert_that(touch.unreachable(), empty())

    def test_from_before(self) -> None:
        """Answers to pings from before the epoch do not count (D5)."""
        touch = self.touch()
        sent = self.clock.seconds()
        self.clock.advance(1)
        touch.begin_epoch()
        for member in "bcde":
            touch.acked(member, sent)
        touch.judge()
        assert_that(touch.in_touch, is_(False))
        self.acked(touch, "b", "c")
        assert_that(touch.in_touch, is_(True))

    def test_lost(self) -> None:
        """As many as servers - quorum may be out of reach, and no more."""
        touch = self.touch()
        self.settle(touch)
        self.missed(touch, "b", "c")
        assert_that(touch.in_touch, is_(True))
        self.missed(touch, "d")
        assert_that((touch.in_touch, touch.settled), equal_to((False, False)))

    def test_regained(self) -> None:
        """It takes fresh answers of a quorum again, whatever was known before."""
        touch = self.touch()
        self.settle(touch)
        self.clock.advance(1)
        self.missed(touch, "b", "c", "d")
        self.clock.advance(1)
        self.acked(touch, "b")
        assert_that(touch.unreachable(), contains_inanyorder("c", "d"))
        assert_that(touch.in_touch, is_(False))
        self.acked(touch, "e")
        assert_that(touch.in_touch, is_(True))

    def test_left(self) -> None:
        """Who left counts as out of reach, without any probe."""
        touch = self.touch(THREE)
        self.settle(touch)
        self.roster.merge((Update("b", record("b", status=Status.LEFT)),), "b")
        touch.judge()
        assert_that((touch.in_touch, touch.unreachable()), equal_to((True, ["b"])))
        self.missed(touch, "c")
        assert_that(touch.in_touch, is_(False))

    def test_parted(self) -> None:
        """Of a member that left and comes back nothing is known."""
        touch = self.touch(THREE)
        self.settle(touch)
        self.missed(touch, "b")
        touch.parted("b")
        assert_that((touch.reachable.get("b"), touch.unreachable()), equal_to((None, [])))

    def test_quorum_of_one(self) -> None:
        """Who needs nobody is always in touch."""
        touch = self.touch(THREE, 1)
        touch.judge()
        assert_that(touch.in_touch, is_(True))
        self.missed(touch, "b", "c")
        assert_that(touch.in_touch, is_(True))

    def test_quorum_of_all(self) -> None:
        """Who needs everybody is cut off by a single silence."""
        touch = self.touch(THREE, 3)
        self.settle(touch)
        self.missed(touch, "b")
        assert_that(touch.in_touch, is_(False))

    def test_reports_changes(self) -> None:
        """`judge` says whether anything changed."""
        touch = self.touch(THREE)
        assert_that(touch.judge(), is_(False))
        touch.acked("b", self.clock.seconds())
        assert_that((touch.judge(), touch.judge()), equal_to((True, False)))
        touch.synced("b")
        touch.acked("c", self.clock.seconds())
        assert_that((touch.judge(), touch.judge(), touch.settled), equal_to((True, False, True)))


class SettledTests(TouchTestCase):
    """Caught up with a quorum, and everybody heard out (R1, K7)."""

    def test_sync(self) -> None:
        """Answers alone do not settle: a quorum must know the same."""
        touch = self.touch()
        self.acked(touch, "b", "c", "d", "e")
        touch.synced("b")
        touch.judge()
        assert_that(touch.settled, is_(False))
        touch.synced("c")
        touch.judge()
        assert_that(touch.settled, is_(True))

    def test_old_sync(self) -> None:
        """What was the same before the epoch may differ now."""
        touch = self.touch(THREE)
        self.settle(touch)
        self.clock.advance(1)
        touch.begin_epoch()
        self.acked(touch, "b", "c")
        assert_that(
            (touch.in_touch, touch.settled, touch.in_sync("b")), equal_to((True, False, False))
        )

    def test_silence(self) -> None:
        """The first two who meet wait until the third has missed a whole probe, and its grace."""
        touch = self.touch(THREE)
        self.acked(touch, "b")
        touch.synced("b")
        self.clock.advance(10)
        touch.judge()
        assert_that((touch.settled, touch.unheard()), equal_to((False, ["c"])))
        self.missed(touch, "c")
        assert_that(touch.settled, is_(False))
        self.clock.advance(GRACE)
        touch.judge()
        assert_that(touch.settled, is_(True))

    def test_doubt_from_before(self) -> None:
        """A probe that began before this node was in touch says nothing of its target."""
        touch = self.touch(THREE)
        began = self.clock.seconds()
        self.clock.advance(1)
        self.acked(touch, "b")
        touch.synced("b")
        touch.missed("c", began)
        self.vote_down("c")
        self.clock.advance(60)
        touch.judge()
        assert_that(touch.settled, is_(False))

    def test_doubt_from_another_epoch(self) -> None:
        """Nor does one of an earlier time in touch."""
        touch = self.touch(THREE)
        self.settle(touch)
        self.clock.advance(1)
        self.missed(touch, "c")
        self.missed(touch, "b")
        self.clock.advance(1)
        self.acked(touch, "b")
        touch.synced("b")
        self.clock.advance(60)
        touch.judge()
        assert_that((touch.in_touch, touch.settled), equal_to((True, False)))

    def test_voted_down(self) -> None:
        """A probe of its own and a quorum's votes settle it at once."""
        touch = self.touch(THREE)
        self.acked(touch, "b")
        touch.synced("b")
        self.vote_down("c")
        touch.judge()
        assert_that(touch.settled, is_(False))
        self.missed(touch, "c")
        assert_that(touch.settled, is_(True))

    def test_answer_in_the_grace(self) -> None:
        """A member that answers after all is heard, one that falls silent again waits again."""
        touch = self.touch(THREE)
        self.acked(touch, "b")
        self.missed(touch, "c")
        self.clock.advance(GRACE / 2)
        self.acked(touch, "c")
        touch.synced("b")
        touch.judge()
        assert_that(touch.settled, is_(True))

    def test_left(self) -> None:
        """Nobody waits for who left."""
        touch = self.touch(THREE)
        self.acked(touch, "b")
        touch.synced("b")
        self.roster.merge((Update("c", record("c", status=Status.LEFT)),), "b")
        touch.judge()
        assert_that(touch.settled, is_(True))

    def test_stays(self) -> None:
        """A death later on does not unsettle."""
        touch = self.touch(THREE)
        self.settle(touch)
        self.clock.advance(5)
        self.missed(touch, "c")
        assert_that(touch.settled, is_(True))

    def test_stall(self) -> None:
        """After a stall everything has to be proven again."""
        touch = self.touch(THREE)
        self.settle(touch)
        self.clock.advance(5)
        touch.begin_epoch()
        assert_that((touch.in_touch, touch.settled), equal_to((False, False)))
        assert_that(touch.unheard(), contains_inanyorder("b", "c"))
        self.settle(touch)


class SignTests(TouchTestCase):
    """Who answered anything, and when it was asked."""

    def test_since(self) -> None:
        """Only answers to what was sent since then count, and not the suspect's own."""
        touch = self.touch()
        touch.signed("b", 10.0)
        touch.signed("b", 5.0)
        touch.acked("c", 12.0)
        touch.signed("d", 9.0)
        assert_that(touch.signs_since(10.0, other_than="e"), equal_to(2))
        assert_that(touch.signs_since(10.0, other_than="c"), equal_to(1))


class WitnessTests(TouchTestCase):
    """A witness is one more that is reached."""

    def two(self, quorum: int | None = None) -> Touch:
        """One of two nodes; `answered` is when what a witness answered was asked."""
        self.answered = -1.0
        self.roster = roster("a", ("a", "b"), quorum)
        touch = Touch(self.roster, GRACE, self.clock.seconds, lambda since: self.answered >= since)
        self.clock.advance(1)
        return touch

    def judged(self, touch: Touch) -> tuple[bool, bool]:
        touch.judge()
        return touch.in_touch, touch.settled

    def test_survivor(self) -> None:
        """With it one of two is in touch, and settles once the other has missed its probe."""
        touch = self.two()
        assert_that(self.judged(touch), equal_to((False, False)))
        self.answered = self.clock.seconds()
        assert_that(self.judged(touch), equal_to((True, False)))
        self.missed(touch, "b")
        self.roster.accuse("b", 0, ("/witness",))
        assert_that(self.judged(touch), equal_to((True, False)))
        self.roster.accuse("b", 0, ("a",))
        assert_that(self.judged(touch), equal_to((True, True)))

    def test_lost(self) -> None:
        """Without it and the other it is not; it takes a fresh answer to be in touch again."""
        touch = self.two()
        self.answered = self.clock.seconds()
        self.judged(touch)
        self.missed(touch, "b")
        assert_that(touch.in_touch, is_(True))
        lost, self.answered = self.answered, -1.0
        assert_that(self.judged(touch)[0], is_(False))
        self.clock.advance(1)
        self.answered = lost + 0.5
        touch.begin_epoch()
        assert_that(self.judged(touch)[0], is_(False))
        self.answered = self.clock.seconds()
        assert_that(self.judged(touch)[0], is_(True))

    def test_not_worse(self) -> None:
        """While both nodes reach each other, a witness that is dead takes nothing away."""
        touch = self.two()
        self.settle(touch)

    def test_quorum_of_one(self) -> None:
        """With a quorum of 1 a node that reaches neither member nor witness is not in touch."""
        touch = self.two(quorum=1)
        assert_that(self.judged(touch)[0], is_(False))
        self.answered = self.clock.seconds()
        assert_that(self.judged(touch)[0], is_(True))

    def test_needed(self) -> None:
        """One fewer with it; a majority without; and where there is none, the quorum."""
        touch = self.two(quorum=1)
        assert_that([touch.needed(witnessed=one) for one in (True, False)], equal_to([0, 2]))
        assert_that(self.touch(FIVE, 2).needed(witnessed=False), equal_to(2))


class ConfirmedTests(TouchTestCase):
    """Members that are off, as an operator said, count as reached."""

    def test_survivor(self) -> None:
        """One of three, which has just started, with the two others confirmed."""
        touch = self.touch(THREE)
        self.missed(touch, "b", "c")
        for member in "bc":
            self.roster.accuse(member, 0, (OPERATOR,))
        touch.judge()
        assert_that((touch.in_touch, touch.settled), equal_to((True, True)))
        assert_that(touch.unreachable(), empty())

    def test_one(self) -> None:
        """With one of them it is in touch, and waits until the other has had its time."""
        touch = self.touch(THREE)
        self.missed(touch, "b", "c")
        self.roster.accuse("b", 0, (OPERATOR,))
        touch.judge()
        assert_that((touch.in_touch, touch.settled), equal_to((True, False)))

    def test_returned(self) -> None:
        """It is over with the word."""
        touch = self.touch(THREE)
        self.missed(touch, "b", "c")
        for member in "bc":
            self.roster.accuse(member, 0, (OPERATOR,))
        touch.judge()
        for member in "bc":
            self.roster.witness(member, 9)
        touch.judge()
        assert_that(touch.in_touch, is_(False))
