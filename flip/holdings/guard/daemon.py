"""The daemon's side of the guard: orders out, reports in, and another guard when one dies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, assert_never

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from flip.config import Config
from flip.errors import HookFailed
from flip.holdings.call import HookCall, HookResult
from flip.holdings.guard.interface import PATIENCE, Condition, Deadline, LetGo, Point, Stage
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
    Said,
    Started,
)
from flip.log import Logger

FIRST_PATIENCE = 2.0  # seconds for a guard that has to start first, on a busy machine
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0  # seconds before another try, when one did not get ready

_log = Logger()


class Link(Protocol):
    """A connection to a guard's process."""

    pid: int

    def send(self, order: Order) -> None:
        """Say something; never waits."""

    def close(self) -> Deferred[None]:
        """Say no more; fires when all that was said is on its way."""

    def kill(self) -> None:
        """SIGKILL the guard."""

    def kill_group(self, pid: int) -> None:
        """SIGKILL what is left of a hook of a guard that died."""


Connect = Callable[[Callable[[Report], None], Callable[[], None]], Link]


def longest_hook(config: Config) -> float | None:
    """The seconds that a hook of this server's exclusive systems may take; None: there is none."""
    systems = (config.systems[name] for name in config.me.systems)
    timeouts = (one.hook_timeout for one in systems if one.exclusive and one.provider is None)
    return max(timeouts, default=None)


@dataclass(slots=True)
class _Ordered:
    """A hook that was ordered.

    :ivar sent: whether the present guard knows of it.
    """

    call: HookCall
    done: Deferred[HookResult] = field(default_factory=Deferred)
    sent: bool = False
    pid: int | None = None

    @property
    def point(self) -> Point:
        return self.call.system, self.call.datum


class RemoteGuard:
    """A `flip.holdings.guard.interface.Guard` in another process.

    A guard that dies is noticed at once, and one that does not answer within
    `PATIENCE` is killed. The next one is armed before it gets any other order.

    :param connect: starts a guard and returns the connection, or raises OSError; it is
        given what takes its reports, and what hears of its end.
    :param longest: seconds that a hook may take, over all exclusive systems.
    """

    def __init__(self, clock: IReactorTime, connect: Connect, longest: float) -> None:
        self._clock = clock
        self._connect = connect
        self._longest = longest
        self._link: Link | None = None
        self._ready = self._stopped = False
        self._armed: dict[Point, Deadline] = {}
        self._known: dict[Point, HookCall] = {}  # the `down` hooks that this guard was told of
        self._gone: set[Point] = set()  # it let go of these, and remembers so
        self._ordered: dict[int, _Ordered] = {}
        self._count = self._tries = self._restarts = 0
        self._ping: int | None = None
        self._asked_since = False  # orders followed the ping
        self._timer: IDelayedCall | None = None
        self._trouble: str | None = None
        self._let_go_observers: list[Callable[[LetGo], None]] = []
        self._trouble_observers: list[Callable[[str | None], None]] = []

    def run(self, call: HookCall) -> Deferred[HookResult]:
        """Run a hook; see `Guard.run`."""
        self._count += 1
        ordered = self._ordered[self._count] = _Ordered(call)
        if self._link is not None:
            self._send_run(self._link, self._count, ordered)
            self._expect_answer(PATIENCE)
        return ordered.done

    def arm(self, deadlines: Mapping[Point, Deadline]) -> None:
        """Set deadlines; see `Guard.arm`."""
        acknowledged = self._gone.intersection(deadlines)
        if acknowledged:
            self.disarm(sorted(acknowledged))
        self._armed.update(deadlines)
        self._send_deadlines(deadlines)

    def disarm(self, points: Iterable[Point]) -> None:
        """Forget deadlines; see `Guard.disarm`."""
        points = tuple(points)
        for point in points:
            self._armed.pop(point, None)
            self._known.pop(point, None)
            self._gone.discard(point)
        self._send(Disarm(points))

    def kill(self, point: Point) -> None:
        """Kill an `alive`; see `Guard.kill`."""
        self._send(Kill(point))
        for number, ordered in list(self._ordered.items()):
            if not ordered.sent and ordered.point == point and ordered.call.event == "alive":
                self._fail(number, "cancelled")

    def on_let_go(self, observer: Callable[[LetGo], None]) -> None:
        """Tell `observer` when the guard acts by itself."""
        self._let_go_observers.append(observer)

    def on_trouble(self, observer: Callable[[str | None], None]) -> None:
        """Tell `observer` what is wrong with the guard, None when it is well again."""
        self._trouble_observers.append(observer)

    @property
    def condition(self) -> Condition:
        """How it is; see `Guard.condition`."""
        pid = None if self._link is None else self._link.pid
        return Condition(pid, self._ready, len(self._armed), self._restarts, self._trouble)

    def start(self) -> None:
        """Start a guard; see `Guard.start`."""
        self._stopped = False
        self._start()

    def stop(self) -> Deferred[None]:
        """Let it go; see `Guard.stop`."""
        self._stopped = True
        self._forget_timer()
        link, self._link, self._ready = self._link, None, False
        return succeed(None) if link is None else link.close()

    def _start(self) -> None:
        self._timer = None
        mine: list[Link] = []  # news of an earlier guard must not be taken for this one's

        def received(report: Report) -> None:
            if mine and mine[0] is self._link:
                self._received(report)

        def lost() -> None:
            if mine and mine[0] is self._link:
                self._lost("it died")

        try:
            link = self._connect(received, lost)
        except OSError as error:
            self._has_trouble(f"it cannot be started: {error.strerror or error}")
            self._start_later()
            return
        mine.append(link)
        self._link = link
        link.send(Begin(self._longest))
        self._send_deadlines(self._armed)
        for number, ordered in self._ordered.items():
            self._send_run(link, number, ordered)
        self._expect_answer(FIRST_PATIENCE)

    def _start_later(self) -> None:
        self._tries += 1
        wait = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._tries - 1, 16))
        self._timer = self._clock.callLater(wait, self._start)

    def _send(self, order: Order) -> None:
        if self._link is not None:
            self._link.send(order)
            self._expect_answer(PATIENCE)

    def _send_deadlines(self, deadlines: Mapping[Point, Deadline]) -> None:
        if self._link is None or not deadlines:
            return
        new = {
            point: deadline.down
            for point, deadline in deadlines.items()
            if self._known.get(point) != deadline.down
        }
        self._known.update(new)
        times = tuple((point, deadline.at) for point, deadline in deadlines.items())
        self._send(Arm(times, tuple(new.values())))

    def _send_run(self, link: Link, number: int, ordered: _Ordered) -> None:
        ordered.sent = True
        link.send(Run(number, ordered.call))

    def _expect_answer(self, patience: float) -> None:
        """Ask whether the guard is there, unless that question is open."""
        if self._link is None:
            return
        if self._ping is not None:
            self._asked_since = True
            return
        self._count += 1
        self._ping, self._asked_since = self._count, False
        self._link.send(Ping(self._ping))
        self._timer = self._clock.callLater(patience, self._silent)

    def _silent(self) -> None:
        # After a stall of this process its timers come first; the answer may be there.
        self._timer = self._clock.callLater(0, self._give_up)

    def _give_up(self) -> None:
        self._timer = None
        if self._link is not None:
            self._link.kill()
            self._lost("it did not answer, and was killed")

    def _lost(self, why: str) -> None:
        link, self._link = self._link, None
        was_ready, self._ready = self._ready, False
        self._restarts += 1
        self._forget_timer()
        self._known.clear()
        self._gone.clear()
        if self._stopped or link is None:
            return
        self._has_trouble(f"{why}; another one is started")
        for number, ordered in list(self._ordered.items()):
            if ordered.sent:
                if ordered.pid is not None and ordered.call.event == "alive":
                    link.kill_group(ordered.pid)
                self._fail(number, "the guard, which ran it, is gone")
        if was_ready:
            self._tries = 0
            self._start()
        else:
            self._start_later()

    def _forget_timer(self) -> None:
        self._ping = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _received(self, report: Report) -> None:
        match report:
            case Started(number, pid):
                if number in self._ordered:
                    self._ordered[number].pid = pid
            case Said(system, event, datum, error, line):
                say = _log.warn if error else _log.info
                names = {"system": system, "event": event, "datum": datum}
                say("{system}: {event} {datum} says: {line}", **names, line=line)
            case Ended():
                self._ended(report)
            case LetGo():
                self._let_go(report)
            case Pong(number):
                self._answered(number)
            case Note(text):
                _log.warn("guard: {text}", text=text)
            case _:
                assert_never(report)

    def _ended(self, ended: Ended) -> None:
        ordered = self._ordered.pop(ended.number, None)
        if ordered is None:
            return
        if ended.failure is None:
            ordered.done.callback(HookResult(ended.duration))
        else:
            ordered.done.errback(HookFailed(ended.failure))

    def _fail(self, number: int, why: str) -> None:
        ordered = self._ordered.pop(number)
        ordered.done.errback(HookFailed(f"{ordered.call.hook.name}: {why}"))

    def _let_go(self, step: LetGo) -> None:
        if step.stage is Stage.FAILED:
            system, datum = step.point
            _log.error(
                "{system}: the guard's down {datum} failed: {reason}; it tries again",
                system=system,
                datum=datum,
                reason=step.details,
            )
        elif step.stage is Stage.ENDED:
            self._armed.pop(step.point, None)
            self._gone.add(step.point)
        for observer in self._let_go_observers:
            observer(step)

    def _answered(self, number: int) -> None:
        if number != self._ping:
            return
        self._forget_timer()
        self._tries = 0
        if not self._ready:
            self._ready = True
            if self._trouble is not None:
                self._has_trouble(None)
        if self._asked_since:
            self._expect_answer(PATIENCE)

    def _has_trouble(self, trouble: str | None) -> None:
        self._trouble = trouble
        if trouble is None:
            _log.info("the guard is well again")
        else:
            _log.error("the guard: {trouble}", trouble=trouble)
        for observer in self._trouble_observers:
            observer(trouble)
