"""Runs `alive`, `down` and `check` of data points that are IP addresses, without any process.

All that is asked for within one turn of the reactor is one batch for the kernel: a thousand
addresses are taken over in one go.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from errno import ENODEV, ETIME

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from flip.addresses.kernel import Address, Kernel, Put, Remove
from flip.errors import AddressError, HookFailed
from flip.holdings.address.announcer import Announcer
from flip.holdings.address.assignment import Assignment, assignment
from flip.holdings.address.kept import Keeping, Kept
from flip.holdings.address.lifetimes import Lifetimes
from flip.holdings.call import HookCall, HookResult
from flip.holdings.guard.interface import Point
from flip.log import Logger

NOT_YET = "address: the kernel has not been asked yet"

_log = Logger()


@dataclass(slots=True, eq=False)
class _Job:
    """A call that is under way."""

    call: HookCall
    assignment: Assignment
    began: float
    done: Deferred[HookResult] = field(default_factory=Deferred)
    valid: int | None = None
    told: float = 0.0  # when the kernel was
    changes: list[Put | Remove] = field(default_factory=list)
    before: frozenset[Address] = frozenset()  # what was there already

    @property
    def point(self) -> Point:
        return self.call.system, self.call.datum


class AddressProvider:
    """Puts and removes the addresses of data points; a `flip.holdings.attempts.Runner`.

    :param recorded: the data points that an earlier life of this node held, by its journal.
    :param together: a context for many results at once: what they write becomes one write.
    :ivar ready: whether the kernel can be asked; until then calls wait.
    """

    def __init__(
        self,
        clock: IReactorTime,
        kernel: Kernel,
        keeping: Keeping,
        lifetimes: Lifetimes,
        announcer: Announcer,
        recorded: Collection[Point],
        *,
        together: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.ready = False
        self._clock = clock
        self._kernel = kernel
        self._keeping = keeping
        self._lifetimes = lifetimes
        self._announcer = announcer
        self._ours = set(recorded)
        self._together = together
        self._refusal: str | None = None
        self._jobs: list[_Job] = []
        self._flushing: IDelayedCall | None = None

    def open(self, refusal: str | None = None) -> None:
        """The kernel can be asked from now on; or not, and why."""
        self.ready, self._refusal = refusal is None, refusal
        self._flush_soon()

    def stop(self) -> None:
        """Do nothing more; what waits fails."""
        self.ready, self._refusal = False, "address: flip ends"
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        self._flush()

    def run(self, call: HookCall) -> Deferred[HookResult]:
        """Do what a call asks for; fails with `HookFailed`."""
        try:
            what = assignment(call.members, call.config)
        except HookFailed as error:
            return fail(error)
        if call.event == "check":
            return self._check(what)
        job = _Job(call, what, self._clock.seconds())
        if call.event == "alive" and self._waits_for_interface(job):
            return succeed(HookResult(0.0))
        self._jobs.append(job)
        if self.ready or self._refusal is not None:
            self._flush_soon()
        return job.done

    def cancel(self, point: Point) -> None:
        """Fail an `alive` of which the kernel has not been told yet."""
        for job in self._jobs:
            if job.point == point and job.call.event == "alive":
                self._jobs.remove(job)
                job.done.errback(HookFailed("address: cancelled"))
                return

    def _waits_for_interface(self, job: _Job) -> bool:
        """Whether this is kept already, and is put back by itself when its interface returns.

        Until then there is nobody to be told, and nothing that has failed.
        """
        known = self._kernel.links()
        return self.ready and job.point in self._keeping and job.assignment.interface not in known

    def _check(self, what: Assignment) -> Deferred[HookResult]:
        """Whether everything is here, by what the kernel tells."""
        there = self._kernel.addresses()
        for address in what.addresses:
            found = there.get(address)
            if found is None:
                return fail(HookFailed(f"address: {address} is not there"))
            if not found.serving:
                return fail(HookFailed(f"address: {address} is a duplicate, by the kernel's word"))
        return succeed(HookResult(0.0))

    def _flush_soon(self) -> None:
        if self._jobs and self._flushing is None:
            self._flushing = self._clock.callLater(0, self._flush)

    def _flush(self) -> None:
        self._flushing = None
        jobs, self._jobs = self._jobs, []
        if self._refusal is not None:
            self._fail_all(jobs, self._refusal)
            return
        now, there = self._clock.seconds(), self._kernel.addresses()
        for job in jobs:
            try:
                self._prepare(job, now, there)
            except HookFailed as error:
                job.done.errback(error)
        told = [job for job in jobs if not job.done.called]
        changes = [change for job in told for change in job.changes]
        if told:
            self._kernel.apply(changes).addCallbacks(
                lambda errors: self._applied(told, errors),
                lambda failure: self._broken(told, failure),
            ).addErrback(lambda failure: _log.failure("addresses: results were lost", failure))

    def _prepare(self, job: _Job, now: float, there: Collection[Address]) -> None:
        """What the kernel has to be told."""
        addresses, job.told = job.assignment.addresses, now
        if job.call.event == "alive":
            job.valid = self._lifetimes.valid(job.point, now)
            job.before = frozenset(one for one in addresses if one in there)
            by = self._lifetimes.by(job.point)
            job.changes = [*Kept(job.point, job.assignment).puts(job.valid, by)]
            self._ours.add(job.point)
            return
        self._keeping.forget(job.point)  # or what vanishes now would be put back
        job.changes = [
            Remove(address) for address in addresses if self._is_ours(job, address, there)
        ]

    def _is_ours(self, job: _Job, address: Address, there: Collection[Address]) -> bool:
        """Whether flip put an address here, and no other data point keeps it (R4)."""
        if self._keeping.owner(address) is not None:
            return False
        if job.point in self._ours or address not in there:
            return job.point in self._ours
        found = self._kernel.addresses()[address]
        ours = found.marked or (found.label is not None and found.label == job.assignment.label)
        if not ours:
            _log.warn(
                "{system}: {address} is here although this node does not hold it, and flip did"
                " not put it there: left alone",
                system=job.call.system,
                address=address,
            )
        return ours

    def _applied(self, jobs: list[_Job], errors: list[AddressError | None]) -> None:
        now, at = self._clock.seconds(), 0
        taken: list[Kept] = []
        with self._together():
            for job in jobs:
                own, at = errors[at : at + len(job.changes)], at + len(job.changes)
                failed = [one for one in zip(job.changes, own, strict=True) if _counts(*one)]
                reason = "; ".join(f"{change.address}: {error}" for change, error in failed)
                if job.call.event == "down":
                    if not failed:
                        self._ours.discard(job.point)
                elif any(error and error.errno == ETIME for error in own):
                    self._keeping.forget(job.point)
                    self._remove(job.assignment.addresses)
                elif failed:
                    if job.call.undo is not None:
                        gone = {change.address for change, _ in failed} | job.before
                        self._remove(one for one in job.assignment.addresses if one not in gone)
                else:
                    taken.append(self._keep(job))
                self._end(job, now, reason)
        self._announcer.tell(taken)

    def _keep(self, job: _Job) -> Kept:
        ends = None if job.valid is None else job.told + job.valid
        kept = Kept(job.point, job.assignment, ends)
        self._keeping.keep(kept)
        return kept

    def _remove(self, addresses: Iterable[Address]) -> None:
        """Take away what must not stay, whatever else there is to do."""
        undone = [Remove(address) for address in addresses]
        if undone:
            self._kernel.apply(undone).addErrback(
                lambda failure: _log.failure("addresses cannot be taken back", failure)
            )

    def _end(self, job: _Job, now: float, reason: str) -> None:
        if reason:
            job.done.errback(HookFailed(f"address: {reason}"))
        else:
            job.done.callback(HookResult(now - job.began))

    def _broken(self, jobs: list[_Job], failure: Failure) -> None:
        self._fail_all(jobs, f"address: {failure.getErrorMessage()}")

    def _fail_all(self, jobs: list[_Job], reason: str) -> None:
        with self._together():
            for job in jobs:
                job.done.errback(HookFailed(reason))


def _counts(change: Put | Remove, error: AddressError | None) -> bool:
    """Whether an error means that it is not so now: on no interface there is no address."""
    return error is not None and not (isinstance(change, Remove) and error.errno == ENODEV)
