"""A claimant: what this node asks the voters of one system for, and what they let it do.

Pure: what happened and when come in as arguments, what is to be said goes out as
values. The rules have their names (E1 to E9) from docs/exclusive.md.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from flip.holdings.grants.lease import NOTICE, Terms
from flip.holdings.grants.numbers import Numbers
from flip.wire.messages import ClaimNumber

FEWEST_TRIES = 6  # questions to a silent voter within `patience`
NEVER = float("-inf")  # the deadline of what no quorum has granted
MOST_DOUBLINGS = 4  # of the pause after a claim that got no quorum


@dataclass(slots=True)
class _Claim:
    """A claim that is pursued.

    :ivar granted: by voter, when the newest question that it answered with yes was sent.
    :ivar due: by voter, when it is asked next; at once where it is missing.
    :ivar split: since when some have granted it and no quorum has.
    :ivar begun: `alive` was started: only `down` ends it.
    :ivar deadline: when what it permits has to be let go of.
    """

    number: ClaimNumber
    granted: dict[str, float] = field(default_factory=dict)
    due: dict[str, float] = field(default_factory=dict)
    split: float | None = None
    begun: bool = False
    deadline: float = NEVER


@dataclass(frozen=True, slots=True)
class _Question:
    voter: str
    sent: float
    numbers: dict[str, ClaimNumber]


class Claimant:
    """The claims of this node to the data points of one system.

    :param data: of the system.
    :param patience: seconds after which a claim without its quorum is withdrawn (E6).
    """

    def __init__(
        self,
        terms: Terms,
        data: Iterable[str],
        numbers: Numbers,
        rng: random.Random,
        *,
        patience: float,
    ) -> None:
        self.terms = terms
        self._numbers = numbers
        self._rng = rng
        self._patience = patience
        self._claims: dict[str, _Claim] = {}
        self._paused: dict[str, float] = {}  # wanted, but not before then
        self._failures: dict[str, int] = {}
        self._left = set(data)  # an earlier life's; nobody has run `down` for them yet
        self._questions: dict[int, _Question] = {}
        self._fresh: dict[str, None] = {}  # of which nobody has been asked yet
        self._unanswered: dict[str, float] = {}  # by voter, since when it owes an answer

    @property
    def active(self) -> bool:
        """Whether there is anything to ask for."""
        return bool(self._claims or self._paused)

    def pursue(self, datum: str) -> None:
        """Ask for a data point, until it is relinquished."""
        if datum not in self._claims and datum not in self._paused:
            self._begin(datum)

    def begin(self, datum: str) -> None:
        """`alive` is about to run: from here on the claim ends with `relinquish` only."""
        self._claims[datum].begun = True

    def relinquish(self, datum: str) -> ClaimNumber | None:
        """Nothing of a data point is here any more; returns what is over, if anything."""
        self._paused.pop(datum, None)
        self._failures.pop(datum, None)
        claim = self._claims.pop(datum, None)
        if claim is not None:
            self._left.discard(datum)
            return claim.number
        if datum in self._left:
            self._left.discard(datum)
            return self._numbers.floor
        return None

    def expire(self, now: float) -> list[tuple[str, ClaimNumber]]:
        """Withdraw what waits in vain, try again what has paused; returns what is over (E6)."""
        for datum in [datum for datum, until in self._paused.items() if until <= now]:
            del self._paused[datum]
            self.pursue(datum)
        over = []
        for datum, claim in list(self._claims.items()):
            if claim.begun or not claim.granted or self.permitted(datum, now):
                claim.split = None
            elif claim.split is None:
                claim.split = now
            elif now - claim.split >= self._patience:
                over.append((datum, claim.number))
                self._pause(datum, now)
        self._forget_questions(now)
        return over

    def fresh(self) -> list[tuple[str, ClaimNumber]]:
        """What no voter has been asked for yet; all of them have to be."""
        fresh, self._fresh = self._fresh, {}
        return [(datum, self._claims[datum].number) for datum in fresh if datum in self._claims]

    def due(self, voter: str, now: float) -> list[tuple[str, ClaimNumber]]:
        """What to ask a voter for now; `asked` has to follow."""
        return [
            (datum, claim.number)
            for datum, claim in self._claims.items()
            if claim.due.get(voter, now) <= now
        ]

    def asked(
        self, nonce: int, voter: str, points: Iterable[tuple[str, ClaimNumber]], now: float
    ) -> None:
        """A question with these claims leaves now; it has a nonce of its own (E2)."""
        question = _Question(voter, now, dict(points))
        self._questions[nonce] = question
        self._unanswered.setdefault(voter, now)
        for datum in question.numbers:
            self._claims[datum].due[voter] = now + self._patience / FEWEST_TRIES

    def heard(self, voter: str, nonce: int) -> None:
        """A voter has answered, be it yes or no."""
        question = self._questions.get(nonce)
        if question is not None and question.voter == voter:
            self._unanswered.pop(voter, None)

    def silent(self, now: float) -> dict[str, float]:
        """Which voters have not answered anything for a whole lease, and for how many seconds."""
        return {
            voter: now - since
            for voter, since in sorted(self._unanswered.items())
            if self._claims and now - since > self.terms.lease
        }

    def answered(
        self, voter: str, nonce: int, granted: Iterable[tuple[str, ClaimNumber]], now: float
    ) -> list[str]:
        """A voter says yes; returns the data points that are permitted now and were not before."""
        question = self._questions.get(nonce)
        if question is None or question.voter != voter:
            return []
        permitted, quorum, permit = [], self.terms.quorum, self.terms.permit
        for datum, number in granted:
            claim = self._claims.get(datum)
            if claim is None or not claim.number == number == question.numbers.get(datum):
                continue
            before = self.permitted(datum, now)
            claim.granted[voter] = max(question.sent, claim.granted.get(voter, question.sent))
            if len(claim.granted) >= quorum:
                newest = sorted(claim.granted.values())[-quorum]
                claim.deadline = newest + permit
            wait = self.terms.renewal * self._rng.uniform(0.8, 1.0)
            claim.due[voter] = max(claim.due.get(voter, 0.0), question.sent + wait)
            if self.permitted(datum, now):
                claim.split = None
                self._failures.pop(datum, None)
                if not before:
                    permitted.append(datum)
            elif claim.split is None:
                claim.split = now
        return permitted

    def refused(self, refused: Iterable[tuple[str, ClaimNumber]]) -> list[tuple[str, ClaimNumber]]:
        """A voter says no, and which number it has seen; returns what is over (E1)."""
        over = []
        for datum, seen in refused:
            self._numbers.rise_above(seen)
            claim = self._claims.get(datum)
            if claim is not None and claim.number < seen and not claim.begun:
                over.append((datum, claim.number))
                self._begin(datum)
        return over

    def over(self, points: Iterable[tuple[str, ClaimNumber]]) -> list[tuple[str, ClaimNumber]]:
        """Which of these claims of this node are over (E7).

        None is while an earlier life's hooks may have left something here. Of a number
        above the present claim's nothing is said: a release takes all lower ones with it.
        """
        over = []
        for datum, number in points:
            self._numbers.rise_above(number)
            claim = self._claims.get(datum)
            if datum not in self._left and (claim is None or number < claim.number):
                over.append((datum, number))
        return over

    def permitted(self, datum: str, now: float) -> bool:
        """Whether `alive` may run, and what it made live may stay (E5)."""
        claim = self._claims.get(datum)
        return claim is not None and now < claim.deadline - NOTICE

    def deadline(self, datum: str) -> float | None:
        """When `down` has to start at the latest, None without a quorum of answers."""
        claim = self._claims.get(datum)
        return None if claim is None or claim.deadline == NEVER else claim.deadline

    def forfeit(self, data: Iterable[str] | None = None) -> None:
        """No answer counts any more that was asked for before this moment."""
        for datum, claim in self._claims.items():
            if data is None or datum in data:
                claim.granted.clear()
                claim.due.clear()
                claim.deadline = NEVER
        if data is None:
            self._questions.clear()
        else:
            for question in self._questions.values():
                for datum in data:
                    question.numbers.pop(datum, None)

    def grants(self, datum: str) -> Mapping[str, float]:
        """Which voters have granted the present claim, and when they were asked."""
        claim = self._claims.get(datum)
        return claim.granted if claim is not None else {}

    def number(self, datum: str) -> ClaimNumber | None:
        """Of the present claim, None without one."""
        claim = self._claims.get(datum)
        return claim.number if claim is not None else None

    def _begin(self, datum: str) -> None:
        self._claims[datum] = _Claim(self._numbers.next())
        self._fresh[datum] = None

    def _pause(self, datum: str, now: float) -> None:
        failures = self._failures[datum] = self._failures.get(datum, 0) + 1
        del self._claims[datum]
        longest = self._patience / 4 * 2.0 ** min(failures, MOST_DOUBLINGS)
        self._paused[datum] = now + self._rng.uniform(longest / 4, longest)

    def _forget_questions(self, now: float) -> None:
        """An answer to what was asked so long ago permits nothing."""
        for nonce, question in list(self._questions.items()):
            if now - question.sent <= self.terms.permit:
                break  # they are in the order of their sending
            del self._questions[nonce]
