"""A hook call as a row of programs, one for each member of a group: all are live, or none.

Only the standard library is needed here: the guard runs groups as well.
"""

from __future__ import annotations

from flip.holdings.call import HookCall

DOWN = "down"


class Course:
    """What to run next of a call, without any I/O.

    The members have their turns in order, for `down` in reverse. `down` is run for all
    of them, whatever fails. Anything else ends with the first failure; then the call's
    `undo` is run for the member that failed, which may have got half way, and for those
    before it, backwards.

    A hook may take an equal part of the time that is left, so that one that hangs leaves
    time for the others. What is undone has as much time again.

    :param least: seconds that a hook has, whatever the others took.
    """

    def __init__(self, call: HookCall, least: float) -> None:
        self._call = call
        self._least = least
        self._event = call.event
        self._hook = call.hook
        down = call.event == DOWN
        self._undo = call.undo
        self._left = list(call.members if down else reversed(call.members))  # the next one last
        self._done: list[str] = []  # and what runs now, last
        self._end: float | None = None  # when the time is up
        self._failures: list[str] = []

    @property
    def failure(self) -> str | None:
        """Why the whole failed; None while it has not."""
        return "; ".join(self._failures) or None

    def next(self, now: float) -> HookCall | None:
        """The next program to run, as a call with one member; None: that was all."""
        if not self._left:
            return None
        call = self._call
        if self._end is None:
            self._end = now + call.timeout
        timeout = max((self._end - now) / len(self._left), self._least)
        member = self._left.pop()
        self._done.append(member)
        return call._replace(
            hook=self._hook,
            event=self._event,
            members=(member,),
            timeout=round(timeout, 3),
            undo=None,
        )

    def ended(self, failure: str | None) -> None:
        """The program has ended.

        :param failure: why it failed, None when it did not.
        """
        if failure is None:
            return
        alone = self._call.members == (self._call.datum,)
        self._failures.append(failure if alone else f"{self._done[-1]}: {failure}")
        if self._event != DOWN:
            self._left.clear()
            if self._undo is not None:
                self._event, self._hook, self._end = DOWN, self._undo, None
                self._left, self._done = self._done, []

    def abandon(self) -> None:
        """Run nothing more."""
        self._left.clear()
        self._undo = None
