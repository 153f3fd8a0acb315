"""One process's reactor on virtual time: timers, UDP and TCP, and the stalls of a real one."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.base import DelayedCall
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from flip.simulation.clock import RESOLUTION, Agenda, Clock

if TYPE_CHECKING:
    from flip.simulation.network import Network

WORK = 1e-6  # seconds that a call takes; nothing happens at quite the same time
BACKLOG = 5000  # datagrams that a socket keeps for a process that does not read

_Call = Callable[[], object]


@implementer(IReactorTime)
class VirtualReactor:
    """What `flip.node.Node` needs of a reactor, for one process of a machine.

    Like a real one it works in rounds: the timers that are due, then what has
    arrived. It puts itself on the world's agenda for its next round. A frozen
    process neither reads its sockets nor runs its timers. One that thaws finds
    all of it at once, timers before sockets or the other way round.

    :ivar work: seconds that each call takes before anything comes of it. More
        than `WORK` is a slow process, whose calls wait for one another.
    """

    def __init__(self, address: str, network: Network, agenda: Agenda, clock: Clock) -> None:
        self.address = address
        self.dead = False
        self.frozen = False
        self.work = WORK
        self.streams: dict[Any, None] = {}  # in the order in which they were made
        self._network = network
        self._agenda = agenda
        self._clock = clock
        self._shown = 0.0
        self._timers: list[tuple[float, int, DelayedCall]] = []
        self._count = 0
        self._inbox: deque[_Call] = deque()
        self._round: deque[_Call] = deque()  # what is left of it, in a slow process
        self._busy_until: float | None = None
        self._wakes_at: float | None = None  # by the world's time; other wakes are void
        self._working = False
        self._ports: list[Any] = []

    def seconds(self) -> float:
        """The machine's clock, and a little more while this process works."""
        now = self._clock.seconds()
        if now > self._shown:
            self._shown = now
        return self._shown

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: object, **kw: object
    ) -> DelayedCall:
        call = DelayedCall(
            self.seconds() + delay, callable, args, kw, _ignore, self._push, self.seconds
        )
        self._push(call)
        return call

    def getDelayedCalls(self) -> list[DelayedCall]:
        return [call for _, _, call in self._timers if call.active()]

    def _push(self, call: DelayedCall) -> None:
        if self.dead:
            return
        self._count += 1
        heapq.heappush(self._timers, (call.time, self._count, call))
        if not self._working and self._timers[0][2] is call:
            self.plan()

    def deliver(self, arrival: _Call) -> None:
        """Something has arrived on a stream, or from a child."""
        if not self.dead:
            self._inbox.append(arrival)
            if not self._working:
                self.plan()

    def receive(self, arrival: _Call) -> bool:
        """A datagram has arrived, for which the socket's buffer may be full.

        Where nothing else happens at this moment the round that reads it is the next
        in any case: it comes at once, and the agenda is spared most of its entries.

        :returns: whether it was read at once.
        """
        if self.dead or len(self._inbox) >= BACKLOG:
            return False
        idle = not (self._working or self.frozen or self._round or self._inbox)
        if not idle or self.work > WORK or not self._agenda.clear:
            self.deliver(arrival)
            return False
        self._inbox.append(arrival)
        self._wakes_at = None  # this round plans the next
        return self.iterate()

    @property
    def waiting(self) -> int:
        """How many calls come before the next that is made: what has arrived, timers that are due.

        In a slow process each of them takes `work`.
        """
        now = self.seconds() + RESOLUTION
        due = sum(call.active() and call.getTime() <= now for _, _, call in self._timers)
        return len(self._round) + len(self._inbox) + due

    def plan(self) -> None:
        """Put the next round on the agenda: after all that may have changed when it is."""
        if self.dead or self.frozen:
            self._wakes_at = None
            return
        if self._busy_until is not None:
            when = self._busy_until
        elif self._inbox or self._round:
            when = self._agenda.now
        else:
            due = self._next_timer()
            if due is None:
                self._wakes_at = None
                return
            when = max(self._clock.when(due), self._agenda.now)
        if when != self._wakes_at:
            self._wakes_at = when
            self._agenda.at(when, partial(self._wake, when))

    def _wake(self, when: float) -> bool:
        if when != self._wakes_at:
            return False
        self._wakes_at = None
        return self.iterate()

    def _next_timer(self) -> float | None:
        timers = self._timers
        while timers:
            at, _, call = timers[0]
            if call.time == at and not (call.cancelled or call.called):
                if call.delayed_time == 0:
                    return at
                heapq.heappop(timers)
                call.activate_delay()
                self._count += 1
                heapq.heappush(timers, (call.time, self._count, call))
            else:
                heapq.heappop(timers)
        return None

    def iterate(self, *, sockets_first: bool = False) -> bool:
        """One round, or one call of it in a slow process; False if nothing was to be done."""
        self._working = True
        try:
            if self.work > WORK or self._round:
                return self._work_slowly(sockets_first)
            if sockets_first:
                done = self._read()
                return self._run_due() or done
            done = self._run_due()
            return self._read() or done
        finally:
            self._working = False
            self.plan()

    def _run_due(self) -> bool:
        # Calls that are made meanwhile wait for the next round, behind the sockets.
        due = self._next_timer()
        now, last = self.seconds() + RESOLUTION, self._count
        if due is None or due > now:
            return False
        later = []
        while due is not None and due <= now:
            entry = heapq.heappop(self._timers)
            if entry[1] > last:
                later.append(entry)
            else:
                self._run(entry[2])
            due = self._next_timer()
        for entry in later:
            heapq.heappush(self._timers, entry)
        return True

    def _run(self, call: DelayedCall) -> None:
        # No timer may see a time before its own, however clocks are rounded.
        self._shown = max(self._shown, call.time)
        call.called = 1
        call.func(*call.args, **call.kw)
        self._shown += WORK

    def _read(self) -> bool:
        count = len(self._inbox)
        for _ in range(count):
            if self.dead:
                break
            self._inbox.popleft()()
            self._shown += WORK
        return count > 0

    def _work_slowly(self, sockets_first: bool) -> bool:
        """One call at a time, `work` seconds after the one before."""
        if self._busy_until is None:
            self._begin_round(sockets_first)
            if not self._round:
                return False
            self._busy_until = self._agenda.now + self.work
        if self._agenda.now < self._busy_until:
            return False
        self._busy_until = None
        self.seconds()
        self._round.popleft()()
        return True

    def _begin_round(self, sockets_first: bool) -> None:
        if self._round:
            return
        timers: list[_Call] = []
        now = self.seconds() + RESOLUTION
        while (due := self._next_timer()) is not None and due <= now:
            timers.append(partial(self._run_if_due, *heapq.heappop(self._timers)))
        reads, self._inbox = list(self._inbox), deque()
        self._round.extend([*reads, *timers] if sockets_first else [*timers, *reads])

    def _run_if_due(self, at: float, number: int, call: DelayedCall) -> None:
        # Much may have happened since the round began.
        if call.time == at and call.active():
            if call.delayed_time:
                heapq.heappush(self._timers, (at, number, call))
            else:
                self._run(call)

    def freeze(self) -> None:
        """Stand still, as after SIGSTOP."""
        self.frozen = True
        self.plan()

    def thaw(self, *, sockets_first: bool) -> None:
        """Go on, as after SIGCONT, with whatever has waited."""
        self.frozen = False
        self.iterate(sockets_first=sockets_first)

    def die(self, *, silently: bool = False) -> None:
        """The process is gone: no timer runs, no socket is open any more.

        :param silently: nobody hears of it, as when the machine has no power.
        """
        self.dead = True
        self._timers.clear()
        self._inbox.clear()
        self._round.clear()
        self._wakes_at = self._busy_until = None
        for port in list(self._ports):
            port.close()
        for stream in self.streams:
            stream.break_off(silently=silently)
        self.streams.clear()

    def listenUDP(
        self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192
    ) -> Any:
        self._refuse_foreign(interface, port)
        opened = self._network.open_udp(self, (interface, port), protocol)
        self._ports.append(opened)
        protocol.makeConnection(opened)
        return opened

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        self._refuse_foreign(interface, port)
        opened = self._network.open_tcp(self, (interface, port), factory)
        self._ports.append(opened)
        return opened

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: object = None
    ) -> Any:
        return self._network.connect_tcp(self, (host, port), factory, timeout)

    def _refuse_foreign(self, interface: str, port: int) -> None:
        if interface != self.address:
            raise CannotListenError(interface, port, OSError("not an address of this host"))


def _ignore(call: DelayedCall) -> None:
    """A cancelled call stays in the heap until its time: nothing looks at it again."""
