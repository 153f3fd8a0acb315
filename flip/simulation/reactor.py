"""One process's reactor on virtual time: timers, UDP and TCP, and the stalls of a real one."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.base import DelayedCall
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

if TYPE_CHECKING:
    from flip.simulation.network import Network

WORK = 1e-6  # seconds that a call takes; nothing happens at quite the same time
BACKLOG = 5000  # datagrams that a socket keeps for a process that does not read


@implementer(IReactorTime)
class VirtualReactor:
    """What `flip.node.Node` needs of a reactor.

    The world decides when time passes; see `due` and `iterate`. A frozen
    process neither reads its sockets nor runs its timers. One that thaws finds
    all of it at once, timers before sockets or the other way round, as a real
    process does.
    """

    def __init__(self, address: str, network: Network, now: Callable[[], float]) -> None:
        self.address = address
        self.dead = False
        self.frozen = False
        self._network = network
        self._now = now
        self._clock = 0.0
        self._heap: list[tuple[float, int, DelayedCall]] = []
        self._count = 0
        self._inbox: deque[Callable[[], None]] = deque()
        self._ports: list[Any] = []

    def seconds(self) -> float:
        """The world's time, and a little more while this process works."""
        self._clock = max(self._clock, self._now())
        return self._clock

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: object, **kw: object
    ) -> DelayedCall:
        call = DelayedCall(
            self.seconds() + delay, callable, args, kw, lambda _: None, self._push, self.seconds
        )
        self._push(call)
        return call

    def getDelayedCalls(self) -> list[DelayedCall]:
        return [call for _, _, call in self._heap if call.active()]

    def _push(self, call: DelayedCall) -> None:
        self._count += 1
        heapq.heappush(self._heap, (call.time, self._count, call))

    def due(self) -> float | None:
        """When this process has something to do, None if never."""
        if self.dead or self.frozen:
            return None
        return self.seconds() if self._inbox else self._next_timer()

    def _next_timer(self) -> float | None:
        while self._heap:
            at, _, call = self._heap[0]
            if call.active() and call.time == at:
                if call.delayed_time == 0:
                    return at
                call.activate_delay()
                self._push(call)
            heapq.heappop(self._heap)
        return None

    def iterate(self, *, sockets_first: bool = False) -> None:
        """One round of the event loop: what is due of timers, and what has arrived."""
        for read in (sockets_first, not sockets_first):
            if read:
                self._read()
            else:
                self._run_due()

    def _run_due(self) -> None:
        # Calls that are made meanwhile wait for the next round, behind the sockets.
        now, last = self.seconds(), self._count
        later = []
        while (at := self._next_timer()) is not None and at <= now:
            _, number, call = heapq.heappop(self._heap)
            if number > last:
                later.append((at, number, call))
                continue
            call.called = 1
            call.func(*call.args, **call.kw)
            self._clock += WORK
        for entry in later:
            heapq.heappush(self._heap, entry)

    def _read(self) -> None:
        for _ in range(len(self._inbox)):
            if not self.dead:
                self._inbox.popleft()()
                self._clock += WORK

    def deliver(self, arrival: Callable[[], None]) -> None:
        """Something has arrived on a socket."""
        if not self.dead and len(self._inbox) < BACKLOG:
            self._inbox.append(arrival)

    def die(self) -> None:
        """The process is gone: no timer runs, no socket is open any more."""
        self.dead = True
        self._heap.clear()
        self._inbox.clear()
        for port in list(self._ports):
            port.close()

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
