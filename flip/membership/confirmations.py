"""What an operator said at this node: that these members are off.

The word is a vote of nobody's (`member.OPERATOR`) that is a quorum by itself, and is told
and merged like all votes. It is about one incarnation: who returns is back at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flip.errors import CannotConfirm
from flip.log import Logger
from flip.membership.member import OPERATOR, State
from flip.membership.roster import Change, Roster
from flip.membership.touch import Touch

REPEATS = 3  # times that the word stands against what others still tell of a dead member

_log = Logger()


@dataclass
class _Word:
    """About the life `boot` of a member; None: no record of any life was known."""

    boot: int | None
    repeats: int = REPEATS


class Confirmations:
    """Votes in the operator's name, and stands by them.

    A survivor that has just started knows no incarnation of a dead member, and then learns
    of one from another survivor: the word is said again, or it would be void. A member that
    lives after all ends that by speaking here, by starting anew, or by refuting it a few times
    where this node cannot hear it.
    """

    def __init__(self, roster: Roster, touch: Touch) -> None:
        self._roster = roster
        self._touch = touch
        self._words: dict[str, _Word] = {}
        roster.subscribe(self._changed)

    def confirm(self, ids: Iterable[str]) -> None:
        """Vote each of them down.

        :raises CannotConfirm: one of them cannot be; then nothing was done.
        """
        ids = tuple(ids)
        for id in ids:
            self._check(id)
        for id in ids:
            member = self._roster[id]
            self._words[id] = _Word(member.record.boot if member.record is not None else None)
            self._roster.accuse(id, member.incarnation, (OPERATOR,))

    def _check(self, id: str) -> None:
        if id not in self._roster:
            known = ", ".join(self._roster.others) or "none"
            raise CannotConfirm(f"There is no member {id!r}; the others are: {known}.")
        if id == self._roster.me:
            raise CannotConfirm(f"{id} is this node, and it runs. To end it, stop its process.")
        reachable = self._touch.reachable.get(id)
        if reachable:
            raise CannotConfirm(
                f"{id} answers this node: it is not off. If it was switched off just now, wait"
                " until its probes fail, and repeat."
            )
        if reachable is None and self._roster.state(id) is not State.LEFT:
            raise CannotConfirm(f"This node has not yet tried to reach {id}: repeat in a moment.")

    def _changed(self, change: Change) -> None:
        word, record = self._words.get(change.member), change.record
        if word is None:
            return
        if OPERATOR in change.votes:
            if word.boot is None and record is not None:
                word.boot = record.boot
            return
        returned = change.source == change.member
        if record is None or returned or word.boot not in (None, record.boot) or not word.repeats:
            del self._words[change.member]
            _log.info("{member} is not off: it has returned", member=change.member)
            return
        word.boot = record.boot
        word.repeats -= 1
        self._roster.accuse(change.member, record.incarnation, (OPERATOR,))
