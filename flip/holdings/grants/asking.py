"""This node as a claimant: what it asks the voters for, and what follows from their answers.

What is new is said in `act`: at the end of the keeper's turn, or when an answer calls for
it. Who has to be asked again is found by a timer (E8).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from twisted.internet.interfaces import IReactorTime

from flip.config import Config
from flip.holdings.grants.claimant import FEWEST_TRIES, Claimant
from flip.holdings.grants.lease import Terms, voters_hash
from flip.holdings.grants.numbers import Numbers
from flip.holdings.grants.post import Post
from flip.holdings.grants.right import Right
from flip.holdings.grants.steps import Steps
from flip.holdings.grants.timers import Timers
from flip.holdings.guard.interface import Guard, LetGo, Stage
from flip.wire.messages import ClaimNumber, GrantAnswer, GrantQuery, GrantRequest


class Asking:
    """The rights of this server's exclusive systems.

    :param guards: by system, what runs its hooks and lets go in time.
    :param wall: seconds of the wall clock.
    :param note: called with what an operator may ask about: a kind, and a sentence.
    :ivar rights: by system.
    """

    def __init__(
        self,
        config: Config,
        clock: IReactorTime,
        rng: random.Random,
        post: Post,
        numbers: Numbers,
        guards: Mapping[str, Guard],
        *,
        wall: Callable[[], float],
        note: Callable[[str, str], None],
    ) -> None:
        self.rights: dict[str, Right] = {}
        self._clock = clock
        self._rng = rng
        self._post = post
        self._note = note
        self._patience = config.ping_timeout
        self._observers: list[Callable[[str, Sequence[str]], None]] = []
        self._hashes: dict[str, bytes] = {}
        self._timers = Timers(clock)
        self._steps = Steps(clock.seconds, wall)
        for system in (config.systems[name] for name in config.me.systems):
            if system.exclusive:
                terms = Terms.of(system)
                self._hashes[system.name] = voters_hash(terms.voters)
                self.rights[system.name] = Right(
                    system.name,
                    Claimant(terms, system.data, numbers, rng, patience=self._patience),
                    guards[system.name],
                    self._now,
                    asked=self._act_soon,
                    watched=self._watch,
                )
        for guard in {id(right.guard): right.guard for right in self.rights.values()}.values():
            guard.on_let_go(self._let_go)
        post.answer(GrantAnswer, self._answered)
        post.answer(GrantQuery, self._queried)

    def on_changed(self, observer: Callable[[str, Sequence[str]], None]) -> None:
        """Call `observer` with a system and the data points whose right came or went."""
        self._observers.append(observer)

    def act(self) -> None:
        """Say what has to be said now: what is over, and what is new."""
        now = self._now()
        for name, right in self.rights.items():
            over, right.over = right.over, []
            fresh = right.claimant.fresh()
            for voter in right.claimant.terms.voters if over or fresh else ():
                self._post.release(voter, name, over)
                self._ask(name, right, voter, fresh, now)
        self._wait()

    def _ask_again(self) -> None:
        now = self._now()
        for right in self.rights.values():
            right.over += right.claimant.expire(now)
        self.act()
        for name, right in self.rights.items():
            for voter in right.claimant.terms.voters:
                self._ask(name, right, voter, right.claimant.due(voter, now), now)
        self._wait()

    def stop(self) -> None:
        """Ask for nothing any more."""
        self._timers.stop()

    def _ask(
        self,
        name: str,
        right: Right,
        voter: str,
        points: Sequence[tuple[str, ClaimNumber]],
        now: float,
    ) -> None:
        terms, digest = right.claimant.terms, self._hashes[name]
        bare = GrantRequest(0, 0, 0, name, digest, terms.asked_for(), ())
        for some in self._post.split(points, bare):
            nonce = self._rng.getrandbits(63)
            right.claimant.asked(nonce, voter, some, now)
            request = GrantRequest(0, 0, nonce, name, digest, terms.asked_for(), some)
            self._post.send(voter, request)

    def _answered(self, sender: str, answer: GrantAnswer) -> None:
        right = self.rights.get(answer.system)
        if right is None:
            return
        right.claimant.heard(sender, answer.nonce)
        permitted = right.claimant.answered(sender, answer.nonce, answer.granted, self._now())
        right.arm(datum for datum, _ in answer.granted)
        # Late answers to claims that are over are answered with their end (E6).
        self._post.release(sender, answer.system, right.claimant.over(answer.granted))
        right.over += right.claimant.refused(answer.refused)
        if right.over:
            self._act_soon()
        if permitted:
            self._changed(answer.system, permitted)
        self._wait()

    def _queried(self, sender: str, query: GrantQuery) -> None:
        right = self.rights.get(query.system)
        if right is not None:
            self._post.release(sender, query.system, right.claimant.over(query.points))

    def _let_go(self, step: LetGo) -> None:
        """The guard acts by itself: whatever was granted, a data point is not served any more."""
        system, datum = step.point
        right = self.rights[system]
        if step.stage is Stage.BEGAN:
            right.claimant.forfeit((datum,))
            self._note("guarded", f"{system}: the guard lets go of {datum}: {step.details}")
        self._changed(system, (datum,))

    def _now(self) -> float:
        step = self._steps.look()
        if step and any(right.claimant.active for right in self.rights.values()):
            for right in self.rights.values():
                right.claimant.forfeit()
            self._note(
                "clock",
                f"the wall clock ran {step:+.1f} s ahead of the monotonic one: this host may have"
                " stood still, so it lets go of everything exclusive and asks for it again",
            )
            self._timers.at("lapse", self._clock.seconds(), self._look_for_lapses)
        return self._clock.seconds()

    def _wait(self) -> None:
        """Set the timers by what is going on now."""
        if any(right.claimant.active for right in self.rights.values()):
            pause = self._patience / FEWEST_TRIES
            self._timers.at("asking", self._clock.seconds() + pause, self._ask_again)
        if not self._timers.is_set("lapse"):
            ends = [right.ends() for right in self.rights.values()]
            first = min((end for end in ends if end is not None), default=None)
            if first is not None:
                self._watch(first)

    def _watch(self, time: float) -> None:
        # Renewals move what it waits for on; it looks again, and so is never late.
        self._timers.at("lapse", time, self._look_for_lapses)

    def _act_soon(self) -> None:
        self._timers.at("acting", self._clock.seconds(), self.act)

    def _look_for_lapses(self) -> None:
        for name, right in self.rights.items():
            lapsed, lines = right.lapses()
            for line in lines:
                self._note("lapsed", f"{name}: {line}")
            self._changed(name, lapsed)
        self._wait()

    def _changed(self, system: str, data: Sequence[str]) -> None:
        if data:
            for observer in self._observers:
                observer(system, data)
