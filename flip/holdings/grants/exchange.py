"""Grants on the wire: this node as a claimant, as a voter, and both to itself.

Everything that is said goes out in `act`: at the end of the keeper's turn, when a
message has come, and when a timer says that somebody has to be asked again (E8).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from flip.config import Config
from flip.holdings.grants.claimant import FEWEST_TRIES, Claimant
from flip.holdings.grants.lease import Terms, voters_hash
from flip.holdings.grants.numbers import Numbers
from flip.holdings.grants.right import Right
from flip.holdings.grants.voter import Belated, Voter
from flip.holdings.guard.interface import Guard, LetGo, Stage
from flip.log import Logger
from flip.membership.datagram import GossipProtocol
from flip.wire.messages import (
    INCARNATIONS,
    ClaimNumber,
    GrantAnswer,
    GrantQuery,
    GrantRelease,
    GrantRequest,
    encode,
)

Numbered = tuple[str, ClaimNumber]
LARGEST_NUMBER = ClaimNumber(INCARNATIONS - 1, INCARNATIONS - 1)

_log = Logger()


class GrantExchange:
    """Asks, answers and releases.

    :param room: bytes that a message may have.
    :ivar rights: the permits of this server's exclusive systems.
    """

    def __init__(
        self,
        config: Config,
        clock: IReactorTime,
        rng: random.Random,
        protocol: GossipProtocol,
        voter: Voter,
        numbers: Numbers,
        guard: Guard | None,
        *,
        room: int,
    ) -> None:
        self.voter = voter
        self.rights: dict[str, Right] = {}
        self._me = config.id
        self._clock = clock
        self._rng = rng
        self._protocol = protocol
        self._room = room
        self._observers: list[Callable[[str, Sequence[str]], None]] = []
        self._hashes: dict[str, bytes] = {}
        self._patience = config.ping_timeout
        self._timers: dict[str, IDelayedCall] = {}
        self._stopped = False
        for name in config.me.systems if guard is not None else ():
            system = config.systems[name]
            if system.exclusive and guard is not None:
                terms = Terms.of(system)
                self._hashes[name] = voters_hash(terms.voters)
                claimant = Claimant(terms, system.data, numbers, rng, patience=self._patience)
                self.rights[name] = Right(
                    name, claimant, guard, clock.seconds, asked=self._act_soon, watched=self._watch
                )
        if guard is not None:
            guard.on_let_go(self._let_go)
        protocol.answers |= {
            GrantRequest: self._requested,
            GrantAnswer: self._answered,
            GrantRelease: self._released,
            GrantQuery: self._queried,
        }

    def on_changed(self, observer: Callable[[str, Sequence[str]], None]) -> None:
        """Call `observer` with a system and the data points whose right came or went."""
        self._observers.append(observer)

    def act(self) -> None:
        """Say everything that has to be said now."""
        if self._stopped:
            return
        now = self._clock.seconds()
        for name, right in self.rights.items():
            right.over += right.claimant.expire(now)
            over, right.over = right.over, []
            self._release(name, over)
            for voter in right.claimant.terms.voters:
                self._ask(name, right, voter, now)
        self._follow()

    def stop(self) -> None:
        """Say nothing more."""
        self._stopped = True
        for timer in self._timers.values():
            if timer.active():
                timer.cancel()

    def forfeit(self, system: str | None = None, data: Sequence[str] | None = None) -> None:
        """No grant counts any more: of some data points, or of all."""
        for name, right in self.rights.items():
            if system in (None, name):
                right.claimant.forfeit(data)
                self._changed(name, right.begun())

    def _changed(self, system: str, data: Sequence[str]) -> None:
        for observer in self._observers:
            observer(system, data)

    def _let_go(self, step: LetGo) -> None:
        """The guard acts by itself: what it was told to guard is gone, whatever was granted."""
        system, datum = step.point
        if step.stage is Stage.BEGAN:
            self.forfeit(system, (datum,))
        else:
            self._changed(system, (datum,))

    def _ask(self, name: str, right: Right, voter: str, now: float) -> None:
        """Ask a voter for what is due, all that fits one message at a time."""
        terms = right.claimant.terms
        bare = GrantRequest(0, 0, 0, name, self._hashes[name], terms.asked_for(), ())
        for points in self._split(right.claimant.due(voter, now), bare):
            nonce = self._rng.getrandbits(63)
            right.claimant.asked(nonce, voter, points, now)
            message = GrantRequest(
                0, 0, nonce, name, self._hashes[name], terms.asked_for(), tuple(points)
            )
            if voter == self._me:
                self._requested(voter, message)
            else:
                self._protocol.grant(voter, message)

    def _release(self, name: str, over: Sequence[Numbered], to: Iterable[str] = ()) -> None:
        """Tell voters which claims are over; all of them, when none is named."""
        for points in self._split(over, GrantRelease(0, 0, name, ())):
            for voter in to or self.rights[name].claimant.terms.voters:
                message = GrantRelease(0, 0, name, tuple(points))
                if voter == self._me:
                    self._released(voter, message)
                else:
                    self._protocol.grant(voter, message)

    def _requested(self, sender: str, request: GrantRequest) -> None:
        now = self._clock.seconds()
        reply = self.voter.request(sender, request, now)
        if reply is None:
            return
        self._answer(sender, request.nonce, request.system, reply.granted, reply.refused)
        for owner, points in reply.queries.items():
            for some in self._split(points, GrantQuery(0, 0, request.system, ())):
                query = GrantQuery(0, 0, request.system, tuple(some))
                if owner == self._me:
                    self._queried(owner, query)
                else:
                    self._protocol.grant(owner, query)
        self._follow()

    def _answer(
        self,
        to: str,
        nonce: int,
        system: str,
        granted: Sequence[Numbered],
        refused: Sequence[Numbered] = (),
    ) -> None:
        bare = GrantAnswer(0, 0, nonce, system)
        answers = chain(
            (GrantAnswer(0, 0, nonce, system, tuple(some)) for some in self._split(granted, bare)),
            (
                GrantAnswer(0, 0, nonce, system, (), tuple(some))
                for some in self._split(refused, bare)
            ),
        )
        for answer in answers:
            if to == self._me:
                self._answered(to, answer)
            else:
                self._protocol.grant(to, answer)

    def _answered(self, sender: str, answer: GrantAnswer) -> None:
        right = self.rights.get(answer.system)
        if right is None:
            return
        permitted = right.claimant.answered(
            sender, answer.nonce, answer.granted, self._clock.seconds()
        )
        right.arm(datum for datum, _ in answer.granted)
        # Late answers to claims that are over are answered with their end (E6).
        self._release(answer.system, right.claimant.over(answer.granted), (sender,))
        right.over += right.claimant.refused(answer.refused)
        if right.over:
            self._act_soon()
        if permitted:
            self._changed(answer.system, permitted)
        self._follow()

    def _released(self, sender: str, release: GrantRelease) -> None:
        points = release.points
        self._tell(self.voter.release(sender, release.system, points, self._clock.seconds()))

    def _queried(self, sender: str, query: GrantQuery) -> None:
        right = self.rights.get(query.system)
        if right is not None:
            self._release(query.system, right.claimant.over(query.points), (sender,))

    def _tell(self, belated: Iterable[Belated]) -> None:
        answers: dict[tuple[str, int, str], list[Numbered]] = {}
        for node, nonce, (system, datum), number in belated:
            answers.setdefault((node, nonce, system), []).append((datum, number))
        for (node, nonce, system), granted in answers.items():
            self._answer(node, nonce, system, granted)

    def _split(self, points: Sequence[Numbered], bare: object) -> Iterator[list[Numbered]]:
        """As many of them as fit one message each."""
        room = self._room - len(encode(bare)) - 40  # its numbers and lengths, at their largest
        chunk: list[Numbered] = []
        left = room
        for datum, number in points:
            size = len(encode((datum, LARGEST_NUMBER)))
            if chunk and size > left:
                yield chunk
                chunk, left = [], room
            chunk.append((datum, number))
            left -= size
        if chunk:
            yield chunk

    def _follow(self) -> None:
        """Set the timers by what is going on now."""
        now = self._clock.seconds()
        if any(right.claimant.active for right in self.rights.values()):
            self._at("asking", now + self._patience / FEWEST_TRIES, self.act)
        expiry = self.voter.next_expiry()
        if expiry is not None:
            self._at("expiry", max(expiry, now), self._expire)
        if not self._pending("lapse"):
            lapses = [right.lapses() for right in self.rights.values()]
            first = min((at for at in lapses if at is not None), default=None)
            if first is not None:
                self._watch(first)

    def _watch(self, time: float) -> None:
        # Renewals move what it waits for on; it looks again, and so is never late.
        self._at("lapse", time, self._look_for_lapses)

    def _pending(self, name: str) -> bool:
        timer = self._timers.get(name)
        return timer is not None and timer.active()

    def _at(self, name: str, time: float, call: Callable[[], None]) -> None:
        """Call then, unless the timer of that name comes sooner."""
        timer = self._timers.get(name)
        if timer is not None and timer.active():
            if timer.getTime() <= time or self._stopped:
                return
            timer.cancel()
        self._timers[name] = self._clock.callLater(max(0.0, time - self._clock.seconds()), call)

    def _act_soon(self) -> None:
        self._at("asking", self._clock.seconds(), self.act)

    def _expire(self) -> None:
        self._tell(self.voter.expire(self._clock.seconds()))
        self._follow()

    def _look_for_lapses(self) -> None:
        for name, right in self.rights.items():
            lapsed = [datum for datum in right.begun() if right.lapsed(datum)]
            if lapsed:
                self._changed(name, lapsed)
        self._follow()
