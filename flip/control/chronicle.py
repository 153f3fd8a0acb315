"""What an operator wants to read: one line per thing that happened to the cluster."""

from __future__ import annotations

from flip.config import Config
from flip.holdings.journal import Journal
from flip.log import Logger
from flip.membership.member import OPERATOR, spoken
from flip.membership.roster import Change, State
from flip.membership.service import Membership
from flip.wire.messages import Record, Status
from flip.wire.standing import Standing, standing

VOTES_TOLD = 8  # of one member, each in a line; of more only when their number has doubled

_log = Logger()


class Chronicle:
    """Turns changes of membership into log lines and journal events."""

    def __init__(self, config: Config, membership: Membership, journal: Journal) -> None:
        self.alarms: dict[str, str] = {}
        self._config = config
        self._membership = membership
        self._journal = journal
        self._in_touch = self._settled = False
        membership.roster.subscribe(self._changed)
        membership.on_touch(self._touch_changed)
        incarnation, all = membership.own.record.incarnation, len(config.servers)
        waits = f"waits until it reaches {config.quorum} of {all} members, itself included"
        self._note("started", f"{config.id} started (incarnation {incarnation}): {waits}")

    def alarm(self, kind: str, text: str) -> None:
        """Something that a person has to look at."""
        self.alarms[kind] = text
        _log.critical("{text}", text=text)
        self._journal.note_event(kind, text)

    def guard_trouble(self, trouble: str | None) -> None:
        """What is wrong with the guard, which has logged it; None: it is well again."""
        if trouble is None:
            self.alarms.pop("guard", None)
            self._journal.note_event("guard", "the guard is well again")
        else:
            self.alarms["guard"] = f"the guard: {trouble}; until it is there, no alive hook starts"
            self._journal.note_event("guard", f"the guard: {trouble}")

    def address_trouble(self, trouble: str | None) -> None:
        """What is wrong with the addresses that flip keeps itself; None: it is well again."""
        if trouble is not None:
            self.alarm("addresses", f"addresses: {trouble}")
        elif self.alarms.pop("addresses", None) is not None:
            self._note("addresses", "addresses: all is well again")

    def warn(self, kind: str, text: str) -> None:
        """Something that an operator will ask about."""
        _log.warn("{text}", text=text)
        self._journal.note_event(kind, text)

    def _note(self, kind: str, text: str) -> None:
        _log.info("{text}", text=text)
        self._journal.note_event(kind, text)

    def _changed(self, change: Change) -> None:
        mine = change.member == self._config.id
        if OPERATOR in change.new_votes and not mine:
            self._report_confirmation(change.member)
        elif change.new_votes and not mine and change.state in (State.PROBABLY_DOWN, State.DOWN):
            self._report_votes(change)
        if change.state is change.state_before:
            self._report_life(change)
        elif change.state is State.LEFT:
            self._note("left", f"{change.member} left")
        elif change.state is State.ALIVE and not mine:
            incarnation = change.record.incarnation if change.record else 0
            self._note("alive", f"{change.member} is alive (incarnation {incarnation})")

    def _report_votes(self, change: Change) -> None:
        votes, before = len(change.votes), len(change.votes - change.new_votes)
        doubtful = change.state is State.PROBABLY_DOWN
        # In a large cluster hundreds vote: a line for each would say nothing more.
        if votes.bit_length() == before.bit_length() and before >= VOTES_TOLD and doubtful:
            return
        voters = spoken(change.votes)
        if len(voters) > 2 * VOTES_TOLD:
            voters[VOTES_TOLD:] = [f"{len(voters) - VOTES_TOLD} others"]
        text = f"{', '.join(voters)} cannot reach it (votes {votes}/{self._config.quorum})"
        if doubtful:
            self._note("probably-down", f"{change.member} is probably down: {text}")
        elif change.state_before is not State.DOWN:
            self._note("down", f"quorum reached, {change.member} is down: {text}")

    def _report_confirmation(self, member: str) -> None:
        text = f"an operator confirmed that {member} is off: it counts as down until it returns"
        _log.critical("{text}", text=text)
        self._journal.note_event("confirmed-down", text)

    def _report_life(self, change: Change) -> None:
        before, after = change.record_before, change.record
        if after is None or change.member == self._config.id:
            return
        if before is None:
            self._note("seen", f"{change.member} is here (incarnation {after.incarnation})")
        elif after.boot != before.boot and after.status != Status.LEFT:
            incarnation = after.incarnation
            self._note("restarted", f"{change.member} was restarted (incarnation {incarnation})")
        elif after.status == Status.LEAVING != before.status:
            self._note("leaving", f"{change.member} is leaving")
        else:
            self._report_standings(before, after)

    def _report_standings(self, before: Record, after: Record) -> None:
        for system in sorted({*before.ineligible, *after.ineligible}):
            was, word = standing(before, system), standing(after, system)
            # That a check has ended well for the first time is how it should be.
            known = was is not Standing.UNKNOWN or word is not Standing.FIT
            if was is not word and word is not Standing.UNKNOWN and known:
                now, then = word.name.lower(), was.name.lower()
                self._note("standing", f"{system}: {after.member} is {now} (before: {then})")

    def _touch_changed(self) -> None:
        membership, touch = self._membership, self._membership.touch
        needed, all = (
            touch.needed(witnessed=touch.witnessed(touch.epoch)),
            len(self._config.servers),
        )
        if membership.in_touch != self._in_touch:
            self._in_touch = membership.in_touch
            reached = all - len(touch.unreachable())
            if self._in_touch:
                self._note("in-touch", f"in touch with a quorum ({needed} of {all} needed)")
            else:
                reaches = f"it reaches {reached} of {all}, itself included, and needs {needed}"
                if reached >= needed:
                    reaches = "it waits for fresh answers"
                elif reached >= touch.needed(witnessed=True):
                    reaches += ", as no witness answers"
                text = f"NOT in touch with a quorum: {reaches}; takes nothing over until it is"
                self.warn("out-of-touch", text)
        if membership.settled != self._settled:
            self._settled = membership.settled
            if self._settled:
                self._note("settled", "settled: every member was heard out, acting on the plan")
