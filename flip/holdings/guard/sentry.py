"""What the guard does, without any I/O: the same in the real process and in simulations.

One hook at a time runs for each data point. What is armed is let go of when its
deadline passes, or all at once when the daemon is lost: a running `alive` is killed,
`down` runs, and again until it ends well. Nothing starts before it is this guard's
turn: an earlier one may still be letting go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import assert_never

from flip.holdings.call import HookCall, failed
from flip.holdings.guard.interface import LetGo, Point, Stage
from flip.holdings.guard.launch import launch
from flip.holdings.guard.messages import (
    Arm,
    Begin,
    Disarm,
    Ended,
    Kill,
    Note,
    Order,
    Ping,
    Pong,
    Report,
    Run,
)
from flip.holdings.guard.post import PASSED, Post
from flip.holdings.guard.running import Hooks, Press, Running
from flip.holdings.guard.watch import Watch
from flip.holdings.pauses import pause

BATCH = 8  # hooks that are started before orders are read again: a `Ping` must not wait long
LOST = "the daemon is gone"


class Sentry:
    """Keeps watch over the data points of one node.

    The loop around it calls `receive`, `lost` and `ended` with what has happened, then
    `act`, and again when `due` says.

    :param clock: seconds of the node's clock.
    :param watch: whose turn it is to run hooks.
    :param tell: takes reports to the daemon.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        hooks: Hooks,
        watch: Watch,
        tell: Callable[[Report], None],
    ) -> None:
        self._clock = clock
        self._hooks = hooks
        self._watch = watch
        self._tell = tell
        self._posts: dict[Point, Post] = {}
        self._running: dict[int, Running] = {}
        self._open: dict[Point, None] = {}  # where something may have to be started, in order
        self._later: dict[Point, float] = {}  # when they will be open
        self._earliest: float | None = None  # no deadline lies before it
        self._count = 0
        self._lost = False

    @property
    def armed(self) -> bool:
        """Whether anything is guarded or runs: then the guard must not end."""
        return bool(self._running) or any(post.guarded for post in self._posts.values())

    @property
    def finished(self) -> bool:
        """Whether the process can end."""
        return self._lost and not self.armed

    def receive(self, order: Order) -> None:
        """An order of the daemon's."""
        match order:
            case Begin():
                self._watch.longest = order.longest
            case Arm():
                self._arm(order)
            case Disarm():
                self._disarm(order.points)
            case Run():
                self._run(order)
            case Kill():
                self._kill(order.point)
            case Ping():
                self._tell(Pong(order.number))
            case _:
                assert_never(order)

    def lost(self) -> None:
        """The daemon is gone: let go of everything, and start nothing else."""
        self._lost = True
        for point, post in list(self._posts.items()):
            post.orders.clear()
            post.gone = None
            if post.at is not None:
                self._leave(point, post, LOST)
            self._end_alive(post, LOST)
            self._forget_idle(point, post)

    def ended(self, number: int, failure: str | None, said: str = "") -> None:
        """A hook has ended.

        :param failure: what its exit status means, None when it is success.
        :param said: the last line of its output.
        """
        running = self._running[number]
        why = running.verdict or failure
        call = running.step or running.call
        running.course.ended(None if why is None else failed(call, why, said))
        self._proceed(running)

    def act(self) -> None:
        """Do what is due now."""
        now = self._clock()
        if self._earliest is not None and now >= self._earliest:
            self._look_at_deadlines(now)
        for running in [running for running in self._running.values() if running.due <= now]:
            self._press(running)
        for point in [point for point, at in self._later.items() if at <= now]:
            del self._later[point]
            self._open[point] = None
        if self._needs_turn():
            if self._watch.take(now, self._note):
                self._start(now)
            elif self._lost and not self._running and self._watch.denied(now):
                self._abandon()
        if not self._needs_turn():
            self._watch.give_up()

    def due(self) -> float | None:
        """When `act` has something to do next; None: only after something has happened."""
        times = [running.due for running in self._running.values()]
        times += self._later.values()
        if self._earliest is not None:
            times.append(self._earliest)
        if self._needs_turn() and (self._open or not self._watch.ours):
            times.append(self._watch.next_look(self._clock()))
        return min(times, default=None)

    def _arm(self, order: Arm) -> None:
        for call in order.downs:
            self._post((call.system, call.datum)).down = call
        for point, at in order.deadlines:
            post = self._post(point)
            if post.leaving is None and post.gone is None:
                post.at = at
                self._expect(at)

    def _expect(self, at: float) -> None:
        self._earliest = at if self._earliest is None else min(self._earliest, at)

    def _disarm(self, points: Iterable[Point]) -> None:
        for point in points:
            post = self._posts.get(point)
            if post is not None:
                post.at = post.leaving = post.gone = None
                post.failures = 0
                self._forget_idle(point, post)

    def _run(self, order: Run) -> None:
        call = order.call
        point = call.system, call.datum
        post = self._post(point)
        if call.event == "down":
            if post.gone is not None:
                self._tell(Ended(order.number, None, post.gone))
                return
            if post.running is not None and post.runs("down"):
                post.running.orders.append(order)
                return
            self._end_alive(post, "its down hook")
        post.orders.append(order)
        refusal = post.refusal(self._clock())
        if refusal is not None:
            self._refuse(post, refusal)
        self._open[point] = None

    def _kill(self, point: Point) -> None:
        post = self._posts.get(point)
        if post is None:
            return
        self._refuse(post, "cancelled")
        self._end_alive(post, "it lost its grants")
        self._forget_idle(point, post)

    def _look_at_deadlines(self, now: float) -> None:
        self._earliest = None
        for point, post in self._posts.items():
            if post.at is None:
                continue
            if post.at > now:
                self._expect(post.at)
            elif not post.runs("down"):
                self._leave(point, post, PASSED)  # else the end of that `down` decides

    def _leave(self, point: Point, post: Post, why: str) -> None:
        post.at, post.leaving, post.failures = None, why, 0
        self._tell(LetGo(point, Stage.BEGAN, why))
        self._refuse(post, why)
        self._end_alive(post, why)
        self._open[point] = None

    def _end_alive(self, post: Post, why: str) -> None:
        running = post.running
        if running is not None and post.runs("alive"):
            signal = running.kill(self._clock(), why)
            if signal is not None:
                self._hooks.signal(running.number, signal)

    def _refuse(self, post: Post, why: str) -> None:
        """Whatever `alive` waits does not start any more."""
        for order in post.take_orders("alive"):
            self._tell(Ended(order.number, f"{order.call.hook.name}: {why}", 0.0))

    def _press(self, running: Running) -> None:
        signal = running.press()
        if signal is not None:
            self._hooks.signal(running.number, signal)
        elif running.pressed is Press.GIVEN_UP:
            call = running.step or running.call
            self._note(
                f"{call.system}: {call.event} {call.subject} does not end although it was killed"
                f" (stuck in the kernel, state D?); until it does, {call.datum} stays as it is"
            )

    def _start(self, now: float) -> None:
        room = BATCH
        for point in list(self._open):
            if not room:
                return
            del self._open[point]
            post = self._posts.get(point)
            if post is None or post.running is not None:
                continue
            haunted = self._watch.haunted(point)
            if haunted > now:
                self._later[point] = haunted
            elif self._next(point, post, now):
                room -= 1

    def _next(self, point: Point, post: Post, now: float) -> bool:
        """Start the hook whose turn it is at a data point, if there is one."""
        downs = post.take_orders("down")
        if downs:
            self._launch(point, post, downs[0].call, downs)
            return True
        if post.leaving is not None and post.down is not None and point not in self._later:
            self._launch(point, post, post.down, [])
            return True
        alives = post.take_orders("alive")
        while alives:
            order = alives.pop(0)
            refusal = post.refusal(now)
            if refusal is None:
                post.orders += alives
                self._launch(point, post, order.call, [order])
                return True
            self._tell(Ended(order.number, f"{order.call.hook.name}: {refusal}", 0.0))
        self._forget_idle(point, post)
        return False

    def _launch(self, point: Point, post: Post, call: HookCall, orders: list[Run]) -> None:
        self._count += 1
        running = Running(self._count, call, self._clock(), orders)
        post.running = self._running[running.number] = running
        self._later.pop(point, None)
        self._proceed(running)

    def _proceed(self, running: Running) -> None:
        """Start the next program of a call, or end it."""
        point = running.call.system, running.call.datum
        while (step := running.proceed(self._clock())) is not None:
            refusal = self._posts[point].refusal(self._clock()) if step.event == "alive" else None
            if refusal is not None:  # it became so while others of the group ran
                failure: str | None = f"{step.hook.name}: {refusal}"
            else:
                failure = launch(running, step, self._hooks, self._watch, self._tell)
            if failure is None:
                return
            running.course.ended(failure)
        self._finish(running, running.course.failure)

    def _finish(self, running: Running, reason: str | None) -> None:
        call, now = running.call, self._clock()
        point = call.system, call.datum
        post = self._posts[point]
        del self._running[running.number]
        post.running = None
        for order in running.orders:
            self._tell(Ended(order.number, reason, now - running.began))
        if call.event == "down":
            if reason is None:
                self._left(point, post, now - running.began)
            else:
                self._down_failed(point, post, reason, now)
        if point not in self._later:
            self._open[point] = None
        self._forget_idle(point, post)

    def _left(self, point: Point, post: Post, duration: float) -> None:
        post.at = None
        if post.leaving is not None:
            post.leaving = None
            self._tell(LetGo(point, Stage.ENDED, "", duration))
            if not self._lost:
                post.gone = duration

    def _down_failed(self, point: Point, post: Post, reason: str, now: float) -> None:
        if post.at is not None:
            self._expect(post.at)
        if post.leaving is not None:
            post.failures += 1
            self._later[point] = now + pause(post.failures)
            self._tell(LetGo(point, Stage.FAILED, reason))

    def _needs_turn(self) -> bool:
        # When it is lost it has no need of it between two tries: a successor may take over.
        if self._running or self._open:
            return True
        return not self._lost and (bool(self._later) or self.armed)

    def _abandon(self) -> None:
        if self.armed:
            self._note("another guard has taken over: it lets go of what is left")
        self._posts.clear()
        self._open.clear()
        self._later.clear()
        self._earliest = None

    def _post(self, point: Point) -> Post:
        return self._posts.setdefault(point, Post())

    def _forget_idle(self, point: Point, post: Post) -> None:
        if post.idle:
            self._posts.pop(point, None)
            self._open.pop(point, None)
            self._later.pop(point, None)

    def _note(self, text: str) -> None:
        self._tell(Note(text))
