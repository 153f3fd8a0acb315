"""Runs a group's hooks, one after the other, where what runs one hook answers with a Deferred."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from flip.errors import HookFailed
from flip.holdings.call import HookCall, HookResult
from flip.holdings.course import Course


def run_group(
    call: HookCall, run: Callable[[HookCall], Deferred[HookResult]], seconds: Callable[[], float]
) -> Deferred[HookResult]:
    """Run a call for all of its members.

    To cancel the Deferred cancels the program that runs, and nothing follows.

    :param run: runs a call with one member; fails with `HookFailed`.
    :param seconds: the clock.
    :returns: fires with the result, or fails with `HookFailed`.
    """
    course = Course(call, call.timeout / len(call.members))
    running: list[Deferred[HookResult]] = []

    def cancelled(_: object) -> None:
        course.abandon()
        running[-1].cancel()

    async def go() -> HookResult:
        began = seconds()
        while (step := course.next(seconds())) is not None:
            running[:] = [run(step)]
            try:
                await running[-1]
            except HookFailed as error:
                course.ended(error.details)
            else:
                course.ended(None)
        if course.failure is not None:
            raise HookFailed(course.failure)
        return HookResult(seconds() - began)

    done: Deferred[HookResult] = Deferred(cancelled)
    Deferred.fromCoroutine(go()).addCallbacks(done.callback, done.errback)
    return done
