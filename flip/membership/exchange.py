"""Pings and their answers: who asked whom with which nonce, and for whom.

Only an ack that carries the nonce of a ping proves life, and it proves it for
the time at which that ping was sent.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from flip.membership.datagram import GossipProtocol
from flip.membership.probe import TRIES, Probe
from flip.membership.roster import Roster
from flip.membership.touch import Touch
from flip.wire.messages import Ack, Gossip, Nack, Ping, PingReq

# At a time, for one member: it has four tries per probe and spreads them over helpers.
ERRANDS = 64


@dataclass(frozen=True, slots=True)
class _Question:
    probe: Probe
    asked: str
    sent: float


@dataclass(slots=True)
class _Errand:
    """A ping sent for another member."""

    client: str
    nonce: int
    target: str
    sent: float
    timer: IDelayedCall


class Exchange:
    """Implements `flip.membership.detector.Questions` and answers those of others.

    :param timeout: seconds after which nobody waits for an answer any more.
    :param asked_about: called with a member that another one asks to ping.
    :param sign_of_life: called with a member that pings this node and has not
        answered it yet.
    :param acked: called with a member that has just answered this node directly.
    """

    def __init__(
        self,
        clock: IReactorTime,
        rng: random.Random,
        protocol: GossipProtocol,
        roster: Roster,
        touch: Touch,
        timeout: float,
        *,
        asked_about: Callable[[str], None],
        sign_of_life: Callable[[str], None],
        acked: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._protocol = protocol
        self._roster = roster
        self._touch = touch
        self._timeout = timeout
        self._asked_about = asked_about
        self._sign_of_life = sign_of_life
        self._acked = acked
        self._questions: dict[int, _Question] = {}
        self._errands: dict[int, _Errand] = {}
        self._errands_of: Counter[str] = Counter()
        protocol.answers = {
            Ping: self._ping_received,
            Ack: self._ack_received,
            PingReq: self._ping_req_received,
            Nack: self._nack_received,
            Gossip: lambda sender, message: None,
        }

    def ping(self, probe: Probe) -> None:
        """Send one ping with a nonce of its own; an ack ends in `Probe.answered`."""
        self._protocol.ping(probe.target, self._ask(probe, probe.target))

    def ping_req(self, probe: Probe, helpers: Iterable[str]) -> None:
        """Ask each helper to ping the probe's target."""
        for peer in helpers:
            self._protocol.ping_req(peer, self._ask(probe, peer), probe.target)

    def forget(self, probe: Probe) -> None:
        """The probe is over: no answer to it counts any more."""
        for nonce in probe.nonces:
            self._questions.pop(nonce, None)

    def stop(self) -> None:
        """Forget every question and errand."""
        self._questions.clear()
        for errand in self._errands.values():
            errand.timer.cancel()
        self._errands.clear()
        self._errands_of.clear()

    def _ask(self, probe: Probe, peer: str) -> int:
        nonce = self._rng.getrandbits(63)
        probe.nonces.append(nonce)
        self._questions[nonce] = _Question(probe, peer, self._clock.seconds())
        return nonce

    def _ping_received(self, sender: str, ping: Ping) -> None:
        self._protocol.ack(
            sender, ping.nonce, self._roster.me, self._roster[self._roster.me].incarnation
        )
        if not self._touch.reachable.get(sender):
            self._sign_of_life(sender)

    def _ack_received(self, sender: str, ack: Ack) -> None:
        errand = self._errands.get(ack.nonce)
        if errand is not None and errand.target == sender == ack.target:
            self._bring_back(errand, ack)
            return
        question = self._questions.get(ack.nonce)
        if question is None or question.asked != sender or question.probe.target != ack.target:
            return
        if sender == ack.target:
            self._touch.acked(sender, question.sent)
        else:
            self._roster.witness(ack.target, ack.target_incarnation)
            self._touch.signed(sender, question.sent)
            self._touch.vouched(ack.target, question.sent)
            question.probe.helped.add(sender)
        question.probe.answered()
        self._acked(sender)

    def _nack_received(self, sender: str, nack: Nack) -> None:
        question = self._questions.get(nack.nonce)
        if question is not None and question.asked == sender != question.probe.target:
            question.probe.helped.add(sender)
            self._touch.signed(sender, question.sent)

    def _ping_req_received(self, sender: str, request: PingReq) -> None:
        if request.target not in self._roster or request.target == self._roster.me:
            return
        if self._errands_of[sender] >= ERRANDS:
            return  # to the member that asks it is a loss, and it asks others too
        nonce = self._rng.getrandbits(63)
        self._errands_of[sender] += 1
        timer = self._clock.callLater(self._timeout / TRIES, self._excuse, nonce)
        self._errands[nonce] = _Errand(
            sender, request.nonce, request.target, self._clock.seconds(), timer
        )
        self._protocol.ping(request.target, nonce)
        self._asked_about(request.target)

    def _excuse(self, nonce: int) -> None:
        """No answer yet: say so, and wait for it a while longer."""
        errand = self._errands[nonce]
        errand.timer = self._clock.callLater(self._timeout, self._end_errand, nonce)
        self._protocol.nack(errand.client, errand.nonce)

    def _bring_back(self, errand: _Errand, ack: Ack) -> None:
        errand.timer.cancel()
        self._end_errand(ack.nonce)
        self._touch.acked(errand.target, errand.sent)
        self._protocol.ack(errand.client, errand.nonce, errand.target, ack.target_incarnation)

    def _end_errand(self, nonce: int) -> None:
        self._errands_of[self._errands.pop(nonce).client] -= 1
