"""Asks the neighbours whether somebody else has an address that this node is about to take.

The question is sent at the first vote against an owner, so that the answer is in before the
quorum. A server that is down should not answer; its kernel does if only its flip was killed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from flip.addresses.kernel import Address, Kernel
from flip.config import System
from flip.errors import HookFailed
from flip.holdings.address.assignment import assignment
from flip.holdings.guard.interface import Point
from flip.holdings.tally import LISTED
from flip.log import Logger
from flip.membership.roster import Change, Roster, State

DOUBTED = (State.PROBABLY_DOWN, State.DOWN)
FRESH = 5.0  # seconds for which an answer counts
AGAIN = 1.0  # seconds until somebody who answered is asked again

_log = Logger()


@dataclass(slots=True, eq=False)
class _Question:
    """About all addresses of one data point.

    :ivar left: how many answers are still to come.
    """

    left: int
    found: tuple[Address, str] | None = None


class Conflicts:
    """Who answers for which addresses.

    :param systems: by name, those with this provider.
    :param inherited: the data points of a system that this node would get, were a member down.
    :param pending: whether this node wants a data point and has not got it.
    :param configured: the configuration of a data point, as JSON, and its members.
    :param mark: called with what may be taken from now on.
    :param note: called with what an operator may ask about: a kind, and a sentence.
    :ivar answered: by data point, who answered last: a MAC; nobody is in here who is silent.
    """

    def __init__(
        self,
        clock: IReactorTime,
        kernel: Kernel,
        roster: Roster,
        systems: Mapping[str, System],
        *,
        inherited: Callable[[str, str], Iterable[str]],
        pending: Callable[[str, str], bool],
        configured: Callable[[str, str], tuple[tuple[str, ...], str]],
        mark: Callable[[str, str], None],
        note: Callable[[str, str], None],
    ) -> None:
        self.answered: dict[Point, tuple[Address, str]] = {}
        self._clock = clock
        self._kernel = kernel
        self._roster = roster
        self._systems = systems
        self._patient = {
            name
            for name, system in systems.items()
            if system.addressing is not None and system.addressing.on_conflict == "wait"
        }
        self._inherited = inherited
        self._pending = pending
        self._configured = configured
        self._mark = mark
        self._note = note
        self._asked: dict[Point, _Question] = {}
        self._looked: dict[Point, float] = {}  # when the last answers were in
        self._owners: dict[Point, str] = {}  # whose death is expected
        self._news: list[Point] = []
        self._calls: dict[Point | None, IDelayedCall] = {}
        self.ready = False

    def learn(self, change: Change) -> None:
        """Another member changed: ask when it is doubted, tell when it is down."""
        member = change.member
        if member == self._roster.me or not self.ready:
            return
        doubted = change.state in DOUBTED
        if doubted and change.state_before not in DOUBTED:
            for name in self._systems:
                for datum in self._inherited(name, member):
                    self._owners[name, datum] = member
                    self._ask((name, datum))
        if change.state is State.DOWN and change.state_before is not State.DOWN:
            for point in self._of(member):
                self._tell(point)
        if not doubted:
            for point in self._of(member):
                self._forget(point)

    def obstacle(self, system: str, datum: str) -> str | None:
        """Why a data point must not be taken yet; it is asked for, if that was not done."""
        point = system, datum
        if system not in self._patient or not self.ready or not self._pending(system, datum):
            return None
        if point in self.answered:
            address, mac = self.answered[point]
            return f"{mac} answers for {address.ip} (on_conflict: wait)"
        if point not in self._asked and self._old(point):
            self._ask(point)
        return "its neighbours are asked whether they have it" if point in self._asked else None

    def stop(self) -> None:
        """Ask nobody any more."""
        self.ready = False
        for call in self._calls.values():
            call.cancel()
        self._calls.clear()
        self._asked.clear()  # what is answered from now on is heard by nobody

    def _old(self, point: Point) -> bool:
        return self._clock.seconds() - self._looked.get(point, -FRESH) >= FRESH

    def _ask(self, point: Point) -> None:
        if point in self._asked:
            return
        try:
            addresses = assignment(*self._configured(*point)).addresses
        except HookFailed as error:
            _log.warn("{error}", error=error)
            return
        question = self._asked[point] = _Question(len(addresses))
        for address in addresses:
            self._kernel.probe(address).addErrback(self._refused).addCallback(
                self._heard, point, address, question
            )

    def _refused(self, failure: Failure) -> None:
        _log.warn("neighbours cannot be asked: {error}", error=failure.getErrorMessage())

    def _heard(self, mac: str | None, point: Point, address: Address, question: _Question) -> None:
        if self._asked.get(point) is not question:
            return  # it does not matter any more
        if mac is not None:
            question.found = address, mac
        question.left -= 1
        if not question.left:
            del self._asked[point]
            self._looked[point] = self._clock.seconds()
            self._learn_of(point, question.found)

    def _learn_of(self, point: Point, found: tuple[Address, str] | None) -> None:
        before = self.answered.pop(point, None)
        if found is not None:
            self.answered[point] = found
            owner = self._owners.get(point)
            if before is None and (owner is None or self._roster.state(owner) is State.DOWN):
                self._tell(point)
            if point[0] in self._patient:
                self._calls[point] = self._clock.callLater(AGAIN, self._look_again, point)
        self._mark(*point)

    def _look_again(self, point: Point) -> None:
        del self._calls[point]
        owner = self._owners.get(point)
        doubted = owner is not None and self._roster.state(owner) is State.PROBABLY_DOWN
        if doubted or self._pending(*point):
            self._ask(point)
        else:
            self.answered.pop(point, None)
            self._looked.pop(point, None)

    def _of(self, member: str) -> list[Point]:
        return [point for point, owner in self._owners.items() if owner == member]

    def _tell(self, point: Point) -> None:
        """Gather what is found in one turn: a thousand addresses may have one other owner."""
        if point in self.answered:
            self._news.append(point)
            if None not in self._calls:
                self._calls[None] = self._clock.callLater(0, self._tell_all)

    def _tell_all(self) -> None:
        del self._calls[None]
        news, self._news = self._news, []
        found: dict[tuple[str, str, str | None], list[str]] = {}
        for point in news:
            if point in self.answered:
                address, mac = self.answered[point]
                found.setdefault((point[0], mac, self._owners.get(point)), []).append(address.ip)
        for (system, mac, owner), ips in found.items():
            more = f" and {len(ips) - LISTED} more" if len(ips) > LISTED else ""
            whose = f" although {owner} is down" if owner is not None else ""
            done = "waits" if system in self._patient else "takes over all the same"
            text = f"{system}: {mac} answers for {', '.join(ips[:LISTED])}{more}{whose}"
            self._note("address-conflict", f"{text}; this node {done}")

    def _forget(self, point: Point) -> None:
        self._owners.pop(point, None)
        self._asked.pop(point, None)
        self.answered.pop(point, None)
        self._looked.pop(point, None)
        call = self._calls.pop(point, None)
        if call is not None:
            call.cancel()
