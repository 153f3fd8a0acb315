"""The failure detector: who is probed when, and when a missed probe becomes a vote.

SWIM's rotation and ping-req (Das, Gupta, Motivala, 2002), Lifeguard's local
health (arXiv 1707.00788), and votes in place of a suspicion timer: a vote is
the voter's own evidence, and a quorum of votes makes a member down.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from flip.log import Logger
from flip.membership.health import Health
from flip.membership.member import WITNESS
from flip.membership.pace import Pace
from flip.membership.probe import TRIES, Probe, Verdict
from flip.membership.repeat import repeating
from flip.membership.roster import Change, Roster, State
from flip.membership.sweep import Sweep
from flip.membership.touch import Touch

HELPERS = 3  # members asked to ping a suspect with every retry
WITNESSES = 3  # members, at most, that must answer for a voter to trust its own network

_log = Logger()


class Questions(Protocol):
    """What the detector asks of the network."""

    def ping(self, probe: Probe) -> None:
        """Send one ping with a nonce of its own; an ack ends in `Probe.answered`."""

    def ping_req(self, probe: Probe, helpers: Iterable[str]) -> None:
        """Ask each helper to ping the probe's target."""

    def forget(self, probe: Probe) -> None:
        """The probe is over: no answer to it counts any more."""


class Detector:
    """Probes members, in rotation and out of turn, and votes.

    :param interval: seconds between two steps of the rotation.
    :param per_interval: members probed per step.
    :param timeout: seconds that a probe has, times the health's stretch.
    :param judged: called after every verdict and every step.
    :param ask_witness: sends questions to the witnesses, if there are any.
    """

    def __init__(
        self,
        clock: IReactorTime,
        rng: random.Random,
        roster: Roster,
        touch: Touch,
        health: Health,
        questions: Questions,
        *,
        interval: float,
        per_interval: int,
        timeout: float,
        judged: Callable[[], None],
        ask_witness: Callable[[], None] | None = None,
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._roster = roster
        self._touch = touch
        self._health = health
        self._questions = questions
        self._interval = interval
        self._per_interval = per_interval
        self._timeout = timeout
        self._judged = judged
        self._ask_witness = ask_witness
        self._probes: dict[str, Probe] = {}
        self._rotation: list[str] = []
        self._early_votes: dict[str, float] = {}
        self._resting: IDelayedCall | None = None
        self._looked_again: dict[str, float] = {}
        self._again: set[str] = set()  # whose turn came when a probe of it had no try left
        self._pace = Pace(clock, self._probe)
        self._sweep = Sweep(rng, self._candidates, self._pace.add)
        self._loop = repeating(clock, self._step, "the probe rotation")
        roster.subscribe(self._changed)

    def start(self) -> None:
        """Probe everybody once, then go on in rotation."""
        self._loop.start(self._interval, now=False)
        self.probe_soon(self._roster.others)

    def rest(self, seconds: float) -> None:
        """Ask nobody for so long; then the rotation goes on, and nobody is asked out of turn."""
        self.stop()
        self._resting = self._clock.callLater(seconds, self._loop.start, self._interval)

    def stop(self) -> None:
        """End all probes without a verdict."""
        if self._resting is not None and self._resting.active():
            self._resting.cancel()
        if self._loop.running:
            self._loop.stop()
        self._pace.stop()
        for probe in list(self._probes.values()):
            probe.stop()

    def probe_soon(self, members: Iterable[str]) -> None:
        """Probe out of turn: at once, or as soon as the pace allows."""
        if self._loop.running:
            self._pace.add(members)

    def ask_anew(self) -> None:
        """Probe everybody: what was asked before this moment proves nothing any more."""
        for probe in list(self._probes.values()):
            probe.stop()
        self.probe_soon(self._roster.others)

    def hear_out(self) -> None:
        """Probe whoever has not answered since this node last lost sight of the others."""
        self.probe_soon(self._touch.unheard())

    def ask_somebody(self) -> None:
        """Ping one of those that did not answer of late, whatever is due when."""
        others = self._not_left(self._roster.others)
        silent = [id for id in others if not self._touch.reachable.get(id)]
        if silent:
            id = self._rng.choice(silent)
            running = self._probes.get(id)
            if running is not None:
                running.ping()
            else:
                self._probe(id)

    def sign_of_life(self, id: str) -> None:
        """A member that was not known to be reachable has just sent something."""
        running = self._probes.get(id)
        if running is not None:
            running.nudge()
        else:
            self.probe_soon((id,))

    def _step(self) -> None:
        for id in self._next(self._per_interval):
            if not self._probe(id) and id in self._probes and self._probes[id].exhausted:
                self._again.add(id)
        self._judged()

    def _next(self, count: int) -> list[str]:
        """The next of the rotation: each member once per round, a new order every round.

        Down members stay in it, so that partitions heal; those that left do not.
        """
        chosen: list[str] = []
        passed = 0
        for id in self._rotation:
            if len(chosen) == count:
                break
            passed += 1
            chosen += self._not_left((id,))
        self._rotation = self._rotation[passed:]
        if len(chosen) < count:
            # The step begins another round, but probes nobody twice.
            self._rotation = self._not_left(self._roster.others)
            self._rng.shuffle(self._rotation)
            fresh = [id for id in self._rotation if id not in chosen][: count - len(chosen)]
            self._rotation = [id for id in self._rotation if id not in fresh]
            chosen += fresh
        return chosen

    def _not_left(self, members: Iterable[str]) -> list[str]:
        left = self._roster.left
        return [id for id in members if id not in left]

    def _probe(self, id: str) -> bool:
        if id in self._probes or self._roster.state(id) is State.LEFT:
            return False
        probe = Probe(
            self._clock,
            id,
            self._roster[id].incarnation,
            self._timeout * self._health.stretch,
            ping=self._questions.ping,
            ask_others=self._ask_others,
            doubt=self._doubt,
        )
        self._probes[id] = probe
        probe.start().addCallback(self._ended, probe).addErrback(
            lambda failure: _log.failure("a probe ended in an error", failure)
        )
        return True

    def asked_about(self, id: str) -> None:
        """Another member cannot reach `id`: look for oneself, unless it is known to be silent.

        A probe that finds nothing new must not make others probe, or all probe
        a dead member for ever.
        """
        if self._touch.reachable.get(id, True) and self._roster.present(id):
            self.probe_soon((id,))

    def _ask_others(self, probe: Probe) -> None:
        if self._ask_witness is not None:
            # The vote that may come of this needs an answer from the probe's second half.
            self._ask_witness()
        if not self._roster.present(probe.target):
            return  # a quorum has looked; that it is back, it proves by answering itself
        absent, reachable = self._roster.absent, self._touch.reachable
        able = [
            id
            for id in self._roster.others
            if id != probe.target and reachable.get(id) and id not in absent
        ]
        # A helper says after a sixth of the time that it has no answer either.
        probe.nacks_due = probe.nacks_due or (bool(able) and probe.tries < TRIES)
        self._questions.ping_req(probe, self._rng.sample(able, min(HELPERS, len(able))))

    def _ended(self, verdict: Verdict, probe: Probe) -> None:
        del self._probes[probe.target]
        self._questions.forget(probe)
        if verdict is Verdict.ANSWERED:
            self._health.improve()
        elif verdict is Verdict.MISSED:
            self._missed(probe)
        elif self._loop.running:
            self.probe_soon((probe.target,))
        if probe.target in self._again:
            self._again.discard(probe.target)
            self.probe_soon((probe.target,))
        self._sweep.ended(probe.target, missed=verdict is Verdict.MISSED)
        self._judged()

    def _missed(self, probe: Probe) -> None:
        if probe.nacks_due and not probe.helped and self._touch.in_touch:
            # Out of touch there is nobody to help, and nobody whom it could accuse.
            self._health.worsen("no member that was asked for help answered")
        # Doubts from before this node was in touch are doubts about its own network.
        in_touch = self._touch.in_touch and probe.began >= self._touch.in_touch_since
        self._touch.missed(probe.target, probe.began)
        # What a witness answered before the target fell silent says nothing: the link that
        # both are behind may have failed since.
        witnessed = self._touch.witnessed(probe.midway)
        if in_touch and self._has_witnesses(probe.began, probe.target, witnessed):
            self._vote(probe.target, probe.accused, witnessed)
        elif self._touch.in_touch and not in_touch:
            self.probe_soon((probe.target,))

    def _has_witnesses(self, since: float, suspect: str, witnessed: bool) -> bool:
        needed = min(self._touch.needed(witnessed=witnessed) - 1, WITNESSES)
        return self._touch.signs_since(since, other_than=suspect) >= needed

    def _vote(self, suspect: str, incarnation: int, witnessed: bool) -> None:
        # Once a quorum has spoken, more votes only cost bytes.
        if self._roster.present(suspect):
            voters = (self._roster.me, WITNESS) if witnessed else (self._roster.me,)
            self._roster.accuse(suspect, incarnation, voters)

    def _doubt(self, probe: Probe) -> None:
        if self._touch.reachable.get(probe.target, True):
            self._sweep.doubt(probe.target)

    def _candidates(self) -> list[str]:
        """Members from which a sweep could learn something: silent of late, not being probed."""
        recently = self._clock.seconds() - self._timeout / 3
        left, last_sign = self._roster.left, self._touch.last_sign
        return [
            id
            for id in self._roster.others
            if id not in self._probes and id not in left and last_sign.get(id, -1.0) < recently
        ]

    def _changed(self, change: Change) -> None:
        if change.member == self._roster.me:
            return
        if change.state is State.LEFT:
            self._touch.parted(change.member)
            self._sweep.ended(change.member, missed=False)
        if change.new_votes - {self._roster.me}:
            self.probe_soon((change.member,))
        record, before = change.record, change.record_before
        risen = record is not None and (before is None or record.incarnation > before.incarnation)
        if risen and self._touch.reachable.get(change.member) is False:
            # A new life is no refutation, and others may well know of it first.
            same_life = record is not None and before is not None and record.boot == before.boot
            if same_life and change.source != change.member:
                self._vote_early(change.member)
            self._look_again(change.member)

    def _look_again(self, id: str) -> None:
        """Probe a silent member at its new incarnation: a running probe accuses the old one.

        At most once per `timeout`, or a member that rises all the time is never judged.
        """
        running, now = self._probes.get(id), self._clock.seconds()
        if running is None:
            self.probe_soon((id,))
        elif now - self._looked_again.get(id, -self._timeout) >= self._timeout:
            self._looked_again[id] = now
            running.stop()

    def _vote_early(self, suspect: str) -> None:
        """Own evidence stands against hearsay: an old datagram must not revive a dead member.

        At most one such vote per member and `timeout` (rule D10 of docs/design.md).
        """
        now = self._clock.seconds()
        if now - self._early_votes.get(suspect, -self._timeout) < self._timeout:
            return
        recently = now - self._timeout - self._interval
        witnessed = self._touch.witnessed(recently)
        if self._touch.in_touch and self._has_witnesses(recently, suspect, witnessed):
            self._early_votes[suspect] = now
            self._vote(suspect, self._roster[suspect].incarnation, witnessed)
