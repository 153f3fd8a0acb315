"""Changes of addresses: what to ask the kernel for them, and what its answers mean."""

from __future__ import annotations

import errno
import math
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from twisted.internet.defer import Deferred

from flip.addresses.exchange import Exchange
from flip.addresses.kernel import Address, Assigned, Put, Remove
from flip.addresses.messages import Request, Verdict
from flip.addresses.reasons import no_interface, other_prefix, refusal, too_late
from flip.addresses.rtnetlink import delete_address, new_address, promote_secondaries
from flip.addresses.table import Table
from flip.addresses.watch import Watch
from flip.errors import AddressError
from flip.log import Logger

SUCCESS = Verdict(0)
TOLD_WITHIN = 0.1  # seconds from reading the clock until the kernel has been told
NOT_THERE = {errno.EADDRNOTAVAIL, errno.ENODEV}  # the address, or its whole interface

_log = Logger()


class _Plan(NamedTuple):
    """What to ask the kernel for one change, on the interface of this number."""

    change: Put | Remove
    number: int
    requests: list[Request]


class _Call:
    """What one caller wants; `done` fires when all of it has been tried."""

    def __init__(self, changes: Sequence[Put | Remove]) -> None:
        self.changes = changes
        self.done: Deferred[list[AddressError | None]] = Deferred()
        self._results: list[AddressError | None] = [None] * len(changes)
        self._open = len(changes)
        if not changes:
            self.done.callback([])

    def settle(self, at: int, result: AddressError | None) -> None:
        """One change has been tried."""
        self._results[at] = result
        self._open -= 1
        if not self._open:
            self.done.callback(self._results)


class Changes:
    """Makes changes, and sees to it that the table shows them.

    All callers share one queue: an address that is removed after it was put stays away, however
    many batches the call that put it takes.

    :param now: the time in seconds.
    """

    def __init__(
        self, now: Callable[[], float], table: Table, watch: Watch, exchange: Exchange
    ) -> None:
        self._now = now
        self._table = table
        self._watch = watch
        self._exchange = exchange
        self._waiting: deque[tuple[_Call, int]] = deque()
        self._working = False

    def make(self, changes: Sequence[Put | Remove]) -> Deferred[list[AddressError | None]]:
        """Make changes after all that were asked for before; why each was refused, or None."""
        call = _Call(changes)
        self._waiting.extend((call, at) for at in range(len(changes)))
        if not self._working:
            self._working = True
            Deferred.fromCoroutine(self._work()).addErrback(
                lambda failure: _log.failure("an error in changing addresses", failure)
            )
        return call.done

    async def _work(self) -> None:
        try:
            while self._waiting:
                count = min(self._exchange.batch, len(self._waiting))
                batch = [self._waiting.popleft() for _ in range(count)]
                changes = [call.changes[at] for call, at in batch]
                for (call, at), result in zip(batch, await self._attempt(changes), strict=True):
                    call.settle(at, result)
        finally:
            self._working = False

    async def _attempt(self, changes: Sequence[Put | Remove]) -> list[AddressError | None]:
        try:
            return await self._make(changes)
        except AddressError as error:  # the kernel cannot be asked
            return [error] * len(changes)

    async def _make(self, changes: Sequence[Put | Remove]) -> list[AddressError | None]:
        plans: list[_Plan | AddressError] = []

        def ask() -> list[Request]:
            self._watch.drain()  # the numbers of interfaces may have changed
            now = self._now()
            plans.extend(self._plan(_in_time(change, now)) for change in changes)
            return [
                request for plan in plans if isinstance(plan, _Plan) for request in plan.requests
            ]

        verdicts = iter(await self._exchange.carry_out(ask))
        results: list[AddressError | None] = []
        for plan in plans:
            if isinstance(plan, AddressError):
                results.append(plan)
            else:
                # What prepares a change has failed when the change itself fails.
                last = [SUCCESS, *(next(verdicts) for _ in plan.requests)][-1]
                results.append(self._result(plan.change, plan.number, last))
        # The kernel told the news of these changes before it answered: those that came before
        # the changes, too, which must not be taken for later ones.
        self._watch.drain()
        return results

    def _plan(self, change: Put | Remove) -> _Plan | AddressError:
        """What to ask for: the change itself last, nothing when there is nothing to do."""
        address = change.address
        link = self._table.links.get(address.interface)
        if link is None:
            if isinstance(change, Remove):
                return _Plan(change, 0, [])
            return no_interface(address, self._table.links)
        try:
            return _Plan(change, link.number, self._requests(change, link.number))
        except AddressError as error:
            return error

    def _requests(self, change: Put | Remove, number: int) -> list[Request]:
        """What to ask of an interface.

        :raises AddressError: it cannot be, or must not be any more.
        """
        address = change.address
        if isinstance(change, Remove):
            return [*self._promoting(address, number), delete_address(address, number)]
        there = self._table.other_prefix(address)
        if there:
            raise other_prefix(address, there)
        if change.valid == 0 and change.by is not None:
            raise too_late(address)
        add = new_address(address, number, change.valid, change.label)
        assigned = self._table.addresses.get(address)
        if assigned and not assigned.serving:
            # Its detection of duplicates has failed or runs: only a new one can do without.
            return [delete_address(address, number), add]
        return [*self._promoting(address, number), add]

    def _promoting(self, address: Address, number: int) -> list[Request]:
        """What keeps other addresses here when this one goes, or runs out: once per interface."""
        if address.version == 6 or address.prefix == 32 or number not in self._table.unpromoted:
            return []
        self._table.unpromoted.discard(number)
        return [promote_secondaries(number)]

    def _result(self, change: Put | Remove, number: int, verdict: Verdict) -> AddressError | None:
        address = change.address
        place = number, address.ip, address.prefix
        if isinstance(change, Remove):
            if verdict.errno == 0 or verdict.errno in NOT_THERE:
                self._watch.change(partial(self._table.remove, *place))
                return None
        elif verdict.errno == 0:
            until = None if change.valid is None else self._now() + change.valid
            old = self._table.addresses.get(address)
            label = old.label if old else change.label if address.version == 4 else None
            assigned = Assigned(until, label, marked=True)
            self._watch.change(partial(self._table.put, *place, assigned))
            if until is not None and change.by is not None and until > change.by + TOLD_WITHIN:
                return too_late(address)  # this process stood still with the order in its hand
            return None
        elif verdict.errno == errno.EEXIST and address in self._table.addresses:
            return None
        return refusal(address, verdict)


def _in_time(change: Put | Remove, now: float) -> Put | Remove:
    """A change whose lifetime ends in time; 0: it cannot."""
    if isinstance(change, Remove) or change.by is None:
        return change
    left = max(0, math.floor(change.by - now))
    return change._replace(valid=left if change.valid is None else min(change.valid, left))
