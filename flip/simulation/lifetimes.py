"""How a kernel ends the lifetimes of addresses: late, and at times very late.

The rules are Linux's own for IPv4 (`check_lifetime` of net/ipv4/devinet.c) and IPv6
(`addrconf_verify_rtnl` of net/ipv6/addrconf.c), each with a work queue of its own, and agree
with what was measured: a lifetime ends up to `EARLY` before its time, usually up to `ROUNDING`
after it, and up to `PAUSE` after it when another address was put, or ended, shortly before.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from functools import partial

from flip.addresses.kernel import Address
from flip.simulation.clock import Agenda, Clock
from flip.simulation.distributions import Uniform

EARLY = 0.02  # seconds, ADDRCONF_TIMER_FUZZ_MINUS
ROUNDING = 0.25  # seconds for which the kernel waits for a whole one, ADDRCONF_TIMER_FUZZ
PAUSE = 1.0  # seconds, at least, from one planned look to the next, ADDRCONF_TIMER_FUZZ_MAX
QUEUED = Uniform(0.0, 0.005)  # seconds until a work queue's turn
LATEST = PAUSE + QUEUED.longest  # seconds, at most, that an address outlives its lifetime


class Lifetimes:
    """Those of the addresses of one IP version, on one machine.

    :param end: removes an address whose time is over.
    """

    def __init__(
        self, agenda: Agenda, clock: Clock, rng: random.Random, end: Callable[[Address], object]
    ) -> None:
        self._agenda = agenda
        self._clock = clock
        self._rng = rng
        self._end = end
        self._ends: dict[Address, float] = {}  # by the machine's clock
        self._phase = rng.random()  # of the kernel's whole seconds
        self._look_at = math.inf
        self._looks = 0  # planned so far: all but the last are void

    def begin(self, address: Address, seconds: int | None) -> None:
        """An address is put, for so many seconds or (None) for ever: the queue takes a look."""
        self.forget(address)
        if seconds is not None:
            self._ends[address] = self._clock.seconds() + seconds
        self._plan(self._clock.seconds())

    def forget(self, address: Address) -> None:
        """An address is removed, which makes no look unnecessary."""
        self._ends.pop(address, None)

    def replan(self) -> None:
        """The machine's clock goes at another speed from now on."""
        if self._look_at < math.inf:
            self._enter()

    def _plan(self, at: float) -> None:
        self._look_at = at + QUEUED.draw(self._rng)
        self._enter()

    def _enter(self) -> None:
        self._looks += 1
        self._agenda.at(self._clock.when(self._look_at), partial(self._look, self._looks))

    def _look(self, number: int) -> bool:
        if number != self._looks:
            return False
        self._look_at = math.inf
        now = self._clock.seconds()
        for address, end in list(self._ends.items()):
            if end <= now + EARLY:
                del self._ends[address]
                self._end(address)
        if self._ends and self._look_at == math.inf:
            self._plan(max(self._rounded(min(self._ends.values())), now + PAUSE))
        return True

    def _rounded(self, end: float) -> float:
        """A look at this time, or at the whole second after it if that is soon."""
        whole = math.ceil(end - self._phase) + self._phase
        return whole if whole < end + ROUNDING else end
