"""Every rule of docs/design.md that a fault made, and how to take it out of flip.

A rule is switched off by replacing the function that implements it; nothing in
flip knows of that. A schedule that belongs to a rule must break an invariant
then, and random schedules must find it out as well: `tests.simulation.mutations`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from twisted.python.failure import Failure

import flip.holdings.flapping
import flip.membership.probe
import flip.membership.roster
import flip.node
from flip.config import Config
from flip.holdings import departure
from flip.holdings.attempts import Attempts
from flip.holdings.book import Book
from flip.holdings.gate import Gate
from flip.holdings.grants import lease, silence, voter
from flip.holdings.grants.claimant import Claimant
from flip.holdings.grants.granting import Granting
from flip.holdings.grants.lease import Terms
from flip.holdings.grants.post import Post
from flip.holdings.grants.silence import Silence
from flip.holdings.grants.voter import Voter
from flip.holdings.guard.sentry import Sentry
from flip.holdings.holding import Holding
from flip.holdings.journal import Journal
from flip.holdings.keeper import Keeper
from flip.holdings.last_word import LastWord
from flip.holdings.leftovers import Leftovers
from flip.holdings.outlook import NO_RIVALS, Outlook
from flip.holdings.store import Held
from flip.membership.datagram import GossipProtocol
from flip.membership.detector import Detector
from flip.membership.dissemination import Dissemination
from flip.membership.member import Member
from flip.membership.own import OwnRecord
from flip.membership.reconciliation import Reconciliation
from flip.membership.roster import Change, Roster
from flip.membership.service import Membership
from flip.membership.sweep import Sweep
from flip.membership.touch import Touch
from flip.wire.claims import Phase
from flip.wire.messages import ClaimNumber, GrantRequest, Record, Status, Update
from tests.simulation.address_rules_off import ADDRESS_RULES
from tests.simulation.rule import Rule, nothing


@contextmanager
def switched_off(name: str) -> Iterator[None]:
    """Run without one rule."""
    with ExitStack() as stack:
        for target, attribute, replacement in RULES[name].patches:
            stack.enter_context(patch.object(target, attribute, replacement))
        yield


def _true(*args: object, **kw: object) -> bool:
    return True


def _rank_like_ours(self: Outlook, id: str) -> tuple[int, bytes]:
    return self.own_rank


def _outdated_record_wins(new: Record, old: Record | None) -> bool:
    return new != old


def _tie_stays(new: Record, old: Record | None) -> bool:
    return old is None or new.stamp > old.stamp


_merge_votes = Roster._merge_votes


def _votes_ahead_are_lost(self: Roster, member: Member, update: Update) -> None:
    if member.record is None or update.accused <= member.record.incarnation:
        _merge_votes(self, member, update)


def _votes_of_any_life(self: Member) -> frozenset[str]:
    return self.voters


def _accuse_present(self: Detector, suspect: str, incarnation: int) -> None:
    if self._roster.present(suspect):
        self._roster.accuse(suspect, self._roster[suspect].incarnation, (self._roster.me,))


def _ack_of_any_age(self: Touch, member: str, sent: float) -> None:
    _acked(self, member, self._seconds())


_acked = Touch.acked


def _no_epoch_after_stall(self: Membership, silence: float) -> None:
    self.health.worsen(f"nothing ran for {silence:.1f} s")


_judge = Touch.judge


def _nobody_is_silent(self: Touch) -> bool:
    silent, self._silent = self._silent, set()
    changed = _judge(self)
    self._silent = silent
    return changed


def _settled_in_touch(self: Touch, needed: int) -> bool:
    return self._has_quorum(needed)


def _unheard_claim_nothing(self: Outlook, system: str, datum: str) -> dict[str, Phase | None]:
    return {id: phase for id, phase in _claims(self, system, datum).items() if phase is not None}


_claims = Outlook.claims


def _hooks_before_claims(self: Keeper) -> None:
    postponed: list[dict[str, Any]] = []
    with patch.object(self._membership, "amend", lambda **kw: postponed.append(kw)):
        _take_turn(self)
    for changes in postponed:
        self._membership.amend(**changes)


_take_turn = Keeper._take_turn


_failed = Attempts._failed


def _failed_down_is_done(
    self: Attempts, event: str, datum: str, holding: Holding, failure: Failure
) -> None:
    if event == "down":
        holding.running = None
        self._drop(datum, holding)
    else:
        _failed(self, event, datum, holding, failure)


_remember, _record = Book.remember, Book._record


def _journal_complete(self: Book, recorded: Iterable[Held], *, complete: bool) -> None:
    _remember(self, recorded, complete=True)


def _journal_forgotten(self: Book, recorded: Iterable[Held], *, complete: bool) -> None:
    _remember(self, (), complete=True)


def _kept_without_alive(self: Book, recorded: Iterable[Held], *, complete: bool) -> None:
    _remember(self, recorded, complete=complete)
    for holding in self.holdings.values():
        if holding.phase is Phase.UNSURE and holding.recorded:
            holding.phase = Phase.HELD


def _recorded_when_held(self: Book, datum: str, phase: Phase) -> None:
    if phase is not Phase.TAKING:
        _record(self, datum, phase)


async def _leave_anyway(clock: Any, membership: Membership, keeper: Keeper) -> bool:
    clean = await departure.leave(clock, membership, keeper)
    if not clean:
        membership.amend(status=Status.LEFT)
        membership.push_to_all()
    return clean


def _never_isolated(self: Gate, *, open: bool | None = None, isolated: bool | None = None) -> None:
    _set(self, open=open)


_set = Gate._set


def _no_penalty(downs: int) -> float:
    return 0.0


def _no_rivals(self: Outlook, system: str, datum: str) -> Any:
    return NO_RIVALS


def _ready_by_its_record(self: Outlook, id: str, system: str, datum: str) -> bool:
    record = self._roster[id].record
    return record is not None and record.status == Status.ACTIVE


_updates = Dissemination.updates


def _suspects_are_not_told(self: Dissemination, peer: str, **kw: Any) -> tuple[Update, ...]:
    return tuple(update for update in _updates(self, peer, **kw) if update.member != peer)


def _votes_are_borne(self: OwnRecord, change: Change) -> None:
    if change.member == self._roster.me and not self._roster[self._roster.me].voters:
        _own_changed(self, change)


_own_changed = OwnRecord._changed


def _sweep_again(self: Sweep, suspect: str) -> None:
    self._swept.clear()
    self._waiting.clear()
    self._width = 1000
    self._widen()


_voter_begins = Voter.__init__


def _grants_are_forgotten(self: Voter, config: Config, store: Journal, **kw: Any) -> None:
    store.revoke(list(store.grants()))
    _voter_begins(self, config, store, **kw)


def _grants_are_old(self: Voter, config: Config, store: Journal, **kw: Any) -> None:
    _voter_begins(self, config, store, **kw)
    self._answered = dict.fromkeys(self._answered, -math.inf)


_silence_begins = Silence.__init__


def _never_silent(self: Silence, config: Config, clock: Any, journal: Journal) -> None:
    _silence_begins(self, config, clock, journal)
    self._seconds, self.until = 0.0, clock.seconds()


_answered = Claimant.answered


def _as_old_as_received(
    self: Claimant, voter: str, nonce: int, granted: Iterable[tuple[str, ClaimNumber]], now: float
) -> list[str]:
    question = self._questions.get(nonce)
    if question is not None:
        self._questions[nonce] = replace(question, sent=now)
    return _answered(self, voter, nonce, granted, now)


def _once_granted(self: Claimant, datum: str, now: float) -> bool:
    return len(self.grants(datum)) >= self.terms.quorum


_requested = Granting._requested


def _records_release(self: Granting, sender: str, request: GrantRequest) -> None:
    for (system, datum), (grant, _) in self.voter.granted().items():
        claims = self._post._protocol._roster[grant.node].claims
        if claims is not None and datum not in claims.get(system, {}):
            now = self._clock.seconds()
            self.voter.release(grant.node, system, ((datum, grant.number),), now)
    _requested(self, sender, request)


def _whole_lease_permits(self: Terms) -> float:
    return self.lease


_released = Voter.release


def _any_number_is_over(
    self: Voter, sender: str, system: str, points: Any, now: float
) -> list[Any]:
    for datum, _ in points:
        grant = self._store.grants().get((system, datum))
        if grant is not None and grant.node == sender:
            self._store.revoke([(system, datum)])
    return _released(self, sender, system, points, now)


def _little_of_a_lease(lease: float) -> float:
    return lease / 4


def _no_drift(lease: float) -> float:
    return lease


def _time_passes(self: Sentry, point: Any, post: Any, why: str) -> None:
    post.at = None


_claimant_begins = Claimant.__init__


def _nothing_is_left(self: Claimant, *args: Any, **kw: Any) -> None:
    _claimant_begins(self, *args, **kw)
    self._left.clear()


_expire = Claimant.expire


def _never_withdrawn(self: Claimant, now: float) -> list[tuple[str, ClaimNumber]]:
    for claim in self._claims.values():
        claim.split = None
    return _expire(self, now)


def _renewed_with_the_lease(self: Terms) -> float:
    return self.lease


def _one_voter_is_enough(voters: int) -> int:
    return 1


def _no_age(self: Claimant, datum: str) -> float | None:
    claim = self._claims.get(datum)
    if claim is None or len(claim.granted) < self.terms.quorum:
        return None
    return max(claim.granted.values()) + self.terms.permit


RULES: Mapping[str, Rule] = {
    "R1": Rule(
        "A node acts only while it is in touch with a quorum.",
        [(Touch, "_has_quorum", _true), (Touch, "judge", _nobody_is_silent)],
    ),
    "R1+": Rule(
        "One that starts or is back hears everybody out first.",
        [(Touch, "_has_settled", _settled_in_touch)],
    ),
    "D5": Rule(
        "After a stall only fresh answers count.",
        [(Membership, "_late", _no_epoch_after_stall)],
    ),
    "R2": Rule("Nobody takes what a present member claims.", [(Outlook, "rivals", _no_rivals)]),
    "R2-unheard": Rule(
        "A member not heard from counts as claiming everything.",
        [(Outlook, "claims", _unheard_claim_nothing)],
    ),
    "R3-first": Rule(
        "A claim and the journal come before the hook.",
        [(Keeper, "_take_turn", _hooks_before_claims)],
    ),
    "R3-journal": Rule(
        "What is being taken is in the journal before its hook runs.",
        [(Book, "_record", _recorded_when_held)],
    ),
    "R3-down": Rule(
        "A claim ends when `down` has ended well.",
        [(Attempts, "_failed", _failed_down_is_done)],
    ),
    "R4-unclean": Rule(
        "Without a whole journal everything may be there.",
        [(Book, "remember", _journal_complete)],
    ),
    "R4-journal": Rule(
        "What the journal names may be there.", [(Book, "remember", _journal_forgotten)]
    ),
    "K1": Rule(
        "What is kept after a start is made live again.",
        [(Book, "remember", _kept_without_alive)],
    ),
    "R5": Rule(
        "With a claim left nobody says that it left.", [(flip.node, "leave", _leave_anyway)]
    ),
    "R6": Rule(
        "Who keeps what another one held has the last word to the neighbours.",
        [(LastWord, "heed", nothing), (LastWord, "repeat", nothing)],
    ),
    "R7": Rule(
        "The higher configuration plans.",
        [(Outlook, "planning", _true), (Outlook, "rank_of", _rank_like_ours)],
    ),
    "K5": Rule(
        "What an older configuration left is let go of.", [(Leftovers, "remember", nothing)]
    ),
    "M5": Rule("The younger of two with one id gives way.", [(OwnRecord, "_meet_double", nothing)]),
    "R8": Rule(
        "Who flaps stays out for a growing time.",
        [(flip.holdings.flapping, "penalty", _no_penalty)],
    ),
    "isolation": Rule(
        "Where a system says so, an isolated node lets go.", [(Gate, "_set", _never_isolated)]
    ),
    "merge": Rule(
        "The higher incarnation and version stays.",
        [(flip.membership.roster, "supersedes", _outdated_record_wins)],
    ),
    "M1": Rule(
        "Votes ahead of the record wait for it.", [(Roster, "_merge_votes", _votes_ahead_are_lost)]
    ),
    "M2": Rule(
        "Of equal stamps the greater bytes stay.",
        [(flip.membership.roster, "supersedes", _tie_stays)],
    ),
    "M3": Rule(
        "A packet's incarnation counts before the record arrives.",
        [(Roster, "witness", nothing)],
    ),
    "M4": Rule(
        "Who has fallen behind its own incarnation is told.",
        [(GossipProtocol, "_show_its_own_record", nothing)],
    ),
    "refutation": Rule(
        "Who hears votes against itself rises above them.",
        [(OwnRecord, "_changed", _votes_are_borne)],
    ),
    "votes": Rule(
        "A vote counts against the incarnation that it names.",
        [(Member, "votes", property(_votes_of_any_life))],
    ),
    "vote": Rule("Whose probe fails votes.", [(Detector, "_vote", nothing)]),
    "D10": Rule("Own evidence stands against hearsay.", [(Detector, "_vote_early", nothing)]),
    "D4": Rule(
        "A vote accuses the incarnation known when the probe began.",
        [(Detector, "_vote", _accuse_present)],
    ),
    "D3": Rule("Only who hears others accuses.", [(Detector, "_has_witnesses", _true)]),
    "M6": Rule(
        "An heir must have answered this node itself.", [(Outlook, "ready", _ready_by_its_record)]
    ),
    "K7": Rule(
        "Nobody lets go for a member of which nothing is heard, and who starts hears all out.",
        [(Touch, "_has_settled", _settled_in_touch), (Outlook, "ready", _true)],
    ),
    "K8": Rule(
        "Somebody can say that a `down` which does not end has done its work.",
        [(Keeper, "forsake", nothing)],
    ),
    "nonce": Rule("An answer is as old as its question.", [(Touch, "acked", _ack_of_any_age)]),
    "S1": Rule("A sweep's own failures only widen it.", [(Sweep, "doubt", _sweep_again)]),
    "S2": Rule(
        "A probe tries six times.",
        [(flip.membership.probe, "TRIES", 3), (flip.membership.probe, "ENOUGH", 3)],
    ),
    "suspect": Rule(
        "A suspect is told first.", [(Dissemination, "updates", _suspects_are_not_told)]
    ),
    "anti-entropy": Rule(
        "Who differs for long exchanges everything.", [(Reconciliation, "look", nothing)]
    ),
    "E1": Rule("A voter's grants are on its disk.", [(Voter, "__init__", _grants_are_forgotten)]),
    "E2": Rule(
        "An answer is as old as the sending of its question.",
        [(Claimant, "answered", _as_old_as_received)],
    ),
    "E2-quorum": Rule(
        "A claim is as old as the oldest answer of its newest quorum.",
        [(Claimant, "deadline", _no_age)],
    ),
    "E3-number": Rule(
        "A release frees the claim that it names, and older ones.",
        [(Voter, "release", _any_number_is_over)],
    ),
    "E3-record": Rule(
        "No record, whatever it claims, frees a grant.",
        [(Granting, "_requested", _records_release)],
    ),
    "E3-lease": Rule(
        "A grant that nobody releases is kept for a lease.", [(voter, "kept", _little_of_a_lease)]
    ),
    "E3-drift": Rule(
        "And longer, because clocks drift.",
        [(voter, "kept", _no_drift), (silence, "kept", _no_drift)],
    ),
    "E4-start": Rule(
        "What is on a voter's disk counts as answered when it starts.",
        [(Voter, "__init__", _grants_are_old)],
    ),
    "E4-silence": Rule(
        "A voter without its disk is silent for a lease.", [(Silence, "__init__", _never_silent)]
    ),
    "E5": Rule(
        "`down` starts early enough to end within the lease.",
        [(Terms, "permit", property(_whole_lease_permits))],
    ),
    "E5-age": Rule(
        "What was granted is judged by the clock when it is acted upon.",
        [(Claimant, "permitted", _once_granted)],
    ),
    "E6": Rule(
        "A claim without its quorum is withdrawn.", [(Claimant, "expire", _never_withdrawn)]
    ),
    "E7": Rule("Who is in the way is asked.", [(Post, "query", nothing)]),
    "E8": Rule(
        "A holder renews in time, with every voter.",
        [(Terms, "renewal", property(_renewed_with_the_lease))],
    ),
    "E9": Rule("A quorum is a majority.", [(lease, "majority", _one_voter_is_enough)]),
    "E9-list": Rule(
        "Who goes by another list of voters is granted nothing.",
        [(Voter, "objection", nothing)],
    ),
    "E10": Rule("The guard lets go by itself.", [(Sentry, "_leave", _time_passes)]),
    "E-start": Rule(
        "A restarted holder runs `down` before it releases.",
        [(Claimant, "__init__", _nothing_is_left)],
    ),
    **ADDRESS_RULES,
}
