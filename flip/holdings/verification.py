"""Is it really here? Looks after what is held, now and then, and at start.

What a node holds can go away without its doing: an interface is taken down, somebody
deletes an address, a job dies. A hook that looks finds that; `alive` then runs again.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from flip.config import System
from flip.holdings.attempts import Runner
from flip.holdings.book import Book
from flip.holdings.call import Hook, HookCall
from flip.holdings.holding import Holding, trouble
from flip.holdings.slots import Slots, Urgency
from flip.holdings.tally import LISTED
from flip.log import Logger
from flip.membership.repeat import repeating
from flip.wire.claims import Phase

CHECK = "check"  # the event; what a holding says that it runs meanwhile
CONCURRENCY = 2  # looks of one system at once, beside its other hooks

_log = Logger()


class Verification:
    """Looks after the data points of one system.

    A look never stands in the way: when something has to be done about its data point it
    is ended at once, and what it says is never a reason to let go.

    :param hook: exit status 0 says that a data point is here; None: nobody can tell.
    :param runner: runs it, in exclusive systems too: the guard is for what lets go in time.
    :param mark: called with each data point that has to be decided about anew.
    :param note: called with what an operator may ask about later: a kind, and a sentence.
    """

    def __init__(
        self,
        me: str,
        system: System,
        hook: Hook | None,
        clock: IReactorTime,
        book: Book,
        runner: Runner,
        *,
        mark: Callable[[str], None],
        note: Callable[[str, str], None],
    ) -> None:
        self._me = me
        self._system = system
        self._hook = hook
        self._book = book
        self._runner = runner
        self._mark = mark
        self._note = note
        self._looks: dict[str, Deferred[bool | None]] = {}
        self._gone = 0
        self._slots = Slots(CONCURRENCY, self._look_at, self._told)
        self._loop = repeating(clock, self._look_at_all, f"looking after {system.name}")
        self._stopped = False

    def start(self) -> None:
        """Look every `check_interval`, if there is anything to look with."""
        if self._hook is not None:
            self._loop.start(self._system.check_interval, now=False)

    def stop(self) -> None:
        """Look no more; what runs is ended."""
        self._stopped = True
        if self._loop.running:
            self._loop.stop()
        self._slots.clear()
        for datum in list(self._looks):
            self.end(datum)

    def end(self, datum: str) -> None:
        """Something else has to be done about a data point: if it is looked at, not any more."""
        look = self._looks.get(datum)
        if look is not None:
            look.cancel()

    def may_be_kept(self, holding: Holding) -> bool:
        """Whether a look can tell that `alive` need not be run for what an earlier life left.

        What flip provides itself it also has to look after from now on.
        """
        if self._hook is None or self._hook.provided or self._system.exclusive:
            return False
        return holding.kept

    def keep(self, datum: str, holding: Holding) -> Deferred[bool | None]:
        """Look at what an earlier life left here; fires with whether it is here."""
        holding.kept = False
        return self._look(datum, holding)

    def _look_at_all(self) -> None:
        if self._slots.outstanding:
            return  # the last round has not ended
        for datum, holding in self._book.holdings.items():
            if holding.phase is Phase.HELD:
                self._slots.add(datum, Urgency.CLEANING)
        self._slots.fill()

    def _look_at(self, datum: str) -> Deferred[None] | None:
        holding = self._book.holdings.get(datum)
        if holding is None or holding.phase is not Phase.HELD or self._stopped:
            return None
        if holding.running is not None or holding.again or holding.retry is not None:
            return None  # `alive` runs anyway

        def judge(here: bool | None) -> None:
            if here is False:
                holding.again = True

        return self._look(datum, holding).addCallback(judge)

    def _look(self, datum: str, holding: Holding) -> Deferred[bool | None]:
        """Fires with whether it is here; None: that was not found out."""
        assert self._hook is not None  # there is no round without it
        holding.running = CHECK
        members, config = self._book.present(datum)
        name, timeout = self._system.name, self._system.hook_timeout
        call = HookCall(self._hook, CHECK, name, datum, config, self._me, timeout, members)
        abandoned = False

        def abandon(ended: Deferred[bool | None]) -> None:
            nonlocal abandoned
            abandoned = True
            running.cancel()
            if not ended.called:
                ended.callback(None)  # it ends when it ends; until then nothing else runs

        def failed(failure: Failure) -> bool | None:
            if abandoned or self._stopped:
                return None
            self._tell(datum, trouble(failure))
            return False

        def done(here: bool | None) -> None:
            holding.running = None
            del self._looks[datum]
            self._mark(datum)
            if not ended.called:
                ended.callback(here)

        ended = self._looks[datum] = Deferred(abandon)

        running = maybeDeferred(self._runner.run, call)
        running.addCallbacks(lambda _: True, failed).addCallback(done)
        return ended

    def _tell(self, datum: str, reason: str) -> None:
        self._gone += 1
        text = f"{self._system.name}: {datum} is not here, so alive runs again ({reason})"
        if self._gone <= LISTED:
            _log.warn("{text}", text=text)
            self._note("drift", text)

    def _told(self) -> None:
        gone, self._gone = self._gone, 0
        if gone > LISTED:
            text = f"{self._system.name}: {gone} data points were not here, so alive runs again"
            _log.warn("{text}", text=text)
            self._note("drift", text)
