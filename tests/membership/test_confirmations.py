"""`flip.membership.confirmations`: what an operator said, and when it is over."""

from __future__ import annotations

from typing import Any

from hamcrest import assert_that, calling, equal_to, raises

from flip.errors import CannotConfirm
from flip.membership.confirmations import REPEATS, Confirmations
from flip.membership.member import OPERATOR
from flip.membership.roster import State
from flip.membership.touch import Touch
from flip.wire.messages import Status, Update
from tests.membership.samples import ClockTestCase, record, roster, votes


class ConfirmationsTests(ClockTestCase):
    """Node a of five, which does not reach b."""

    def setUp(self) -> None:
        super().setUp()
        self.roster = roster("a")
        self.touch = Touch(self.roster, 1.5, self.clock.seconds)
        self.confirmations = Confirmations(self.roster, self.touch)
        self.touch.missed("b", self.clock.seconds())

    def learn(self, source: str, incarnation: int, **fields: Any) -> None:
        """Hear of b from somebody."""
        self.roster.merge((Update("b", record("b", incarnation, **fields)),), source)

    def stands(self) -> bool:
        return OPERATOR in self.roster["b"].votes and self.roster.state("b") is State.DOWN

    def test_alone(self) -> None:
        """One word is a quorum."""
        self.learn("b", 5)
        self.confirmations.confirm(["b"])
        assert_that(self.stands(), equal_to(True))

    def test_return(self) -> None:
        """Its own packet of a higher incarnation ends it, and it is not said again."""
        self.learn("b", 5)
        self.confirmations.confirm(["b"])
        self.roster.witness("b", 6)
        assert_that(self.stands(), equal_to(False))
        self.learn("c", 7)
        assert_that(self.stands(), equal_to(False))

    def test_hearsay(self) -> None:
        """What others still tell of the life that is over does not end it."""
        self.confirmations.confirm(["b"])
        self.learn("c", 5)
        assert_that(self.stands(), equal_to(True))
        self.learn("d", 6)
        assert_that(self.stands(), equal_to(True))

    def test_new_life(self) -> None:
        """A new life does, whoever tells of it."""
        self.learn("b", 5)
        self.confirmations.confirm(["b"])
        self.learn("c", 9, boot=2)
        assert_that(self.stands(), equal_to(False))

    def test_refutation(self) -> None:
        """So does one that is repeated: it lives where this node does not reach it."""
        self.learn("b", 5)
        self.confirmations.confirm(["b"])
        for incarnation in range(6, 6 + REPEATS):
            self.learn("c", incarnation)
            assert_that(self.stands(), equal_to(True))
        self.learn("c", 6 + REPEATS)
        assert_that(self.stands(), equal_to(False))

    def test_hearsay_of_a_leave(self) -> None:
        """A good-bye of which this node hears late is one, and the word stands beside it."""
        self.confirmations.confirm(["b"])
        self.learn("c", 5, status=Status.LEFT)
        assert_that(self.roster.state("b"), equal_to(State.LEFT))
        assert_that(self.roster.confirmed, equal_to({"b"}))

    def test_elsewhere(self) -> None:
        """A word that was said to another node is a vote like any other."""
        self.learn("c", 5)
        self.roster.merge((votes("b", 5, OPERATOR),), "c")
        assert_that(self.stands(), equal_to(True))
        self.learn("c", 6)
        assert_that(self.stands(), equal_to(False))

    def test_answering(self) -> None:
        """A member whose last probe was answered is not off."""
        self.touch.vouched("b", self.clock.seconds())
        confirming = calling(self.confirmations.confirm).with_args(["b"])
        assert_that(confirming, raises(CannotConfirm, "b answers this node"))

    def test_none_or_all(self) -> None:
        """With one that cannot be confirmed, none is."""
        confirming = calling(self.confirmations.confirm).with_args(["b", "c"])
        assert_that(confirming, raises(CannotConfirm, "not yet tried to reach c"))
        assert_that(self.stands(), equal_to(False))
