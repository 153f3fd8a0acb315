"""A sentry for tests: hooks that the test ends, a turn that it gives, and all that is told."""

from __future__ import annotations

import signal
from collections.abc import Mapping

from twisted.internet.task import Clock

from flip.holdings.call import Hook, HookCall
from flip.holdings.guard.interface import LetGo, Point, Stage
from flip.holdings.guard.messages import Arm, Begin, Ended, Note, Report, Run
from flip.holdings.guard.sentry import Sentry
from flip.holdings.guard.watch import Watch

TIMEOUT = 1.0  # seconds of every hook; TERM comes after three quarters of it
A, B = ("ip", "a"), ("ip", "b")


def call(event: str, datum: str = "a", *, timeout: float = TIMEOUT, system: str = "ip") -> HookCall:
    """A run of a hook that is named like its event."""
    hook = Hook(event, (f"/hooks/{event}",))
    return HookCall(hook, event, system, datum, "{}", "me", timeout, (datum,))


class RecordedHooks:
    """Hooks that end when the test says so.

    :ivar running: the number and the call of each, by data point.
    :ivar signals: what was sent, as "TERM a".
    """

    def __init__(self) -> None:
        self.running: dict[str, tuple[int, HookCall]] = {}
        self.started: list[str] = []
        self.signals: list[str] = []
        self.limits: list[float] = []
        self.refuses: OSError | None = None

    def survives(self, event: str) -> bool:
        return event == "down"

    def start(self, number: int, call: HookCall, limit: float) -> int:
        if self.refuses is not None:
            raise self.refuses
        assert call.datum not in self.running, f"two hooks of {call.datum} at once"
        self.running[call.datum] = number, call
        self.started.append(f"{call.event} {call.subject}")
        self.limits.append(limit)
        return 1000 + number

    def signal(self, number: int, signal: signal.Signals) -> None:
        (datum,) = (datum for datum, (running, _) in self.running.items() if running == number)
        self.signals.append(f"{signal.name[3:]} {datum}")


class GivenTurn:
    """A lock that another guard has until the test frees it."""

    def __init__(self) -> None:
        self.free = True
        self.held = False
        self.left: dict[Point, float] = {}
        self.noted: dict[Point, float] = {}
        self.evictions = 0

    def take(self) -> Mapping[Point, float] | None:
        self.held = self.free
        return self.left if self.free else None

    def give_up(self) -> None:
        self.held = False

    def extend(self, point: Point, until: float) -> None:
        self.noted[point] = until

    def evict(self) -> None:
        self.evictions += 1


class Bed:
    """A sentry and all around it.

    :ivar told: every report, in order.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(100)
        self.hooks = RecordedHooks()
        self.turn = GivenTurn()
        self.told: list[Report] = []
        self.sentry = Sentry(self.clock.seconds, self.hooks, Watch(self.turn), self.told.append)
        self.sentry.receive(Begin(TIMEOUT))
        self._orders = 0

    def arm(self, *points: Point, after: float = 10.0) -> None:
        """Set deadlines, so many seconds from now."""
        times = tuple((point, self.clock.seconds() + after) for point in points)
        self.sentry.receive(Arm(times, tuple(call("down", datum) for _, datum in points)))
        self.sentry.act()

    def order(self, event: str, datum: str = "a") -> int:
        """Order a hook; returns the number of the order."""
        self._orders += 1
        self.sentry.receive(Run(self._orders, call(event, datum)))
        self.sentry.act()
        return self._orders

    def hold(self, *points: Point, after: float = 10.0) -> None:
        """Arm data points and make them live."""
        self.arm(*points, after=after)
        for _, datum in points:
            self.order("alive", datum)
            self.end(datum)
        self.news()

    def end(self, datum: str = "a", failure: str | None = None, said: str = "") -> None:
        """A hook ends."""
        number, _ = self.hooks.running.pop(datum)
        self.sentry.ended(number, failure, said)
        self.sentry.act()

    def lose(self) -> None:
        """The daemon is gone."""
        self.sentry.lost()
        self.sentry.act()

    def wait(self, seconds: float) -> None:
        """Let time pass as the loop does: from one thing that is due to the next."""
        end = self.clock.seconds() + seconds
        for _ in range(10_000):
            due = self.sentry.due()
            if due is None or due > end:
                break
            self.clock.rightNow = max(self.clock.seconds(), due)
            self.sentry.act()
        else:
            raise AssertionError("it is always due")
        self.clock.rightNow = end

    def news(self) -> list[str]:
        """The hooks that were started since the last time."""
        started, self.hooks.started = self.hooks.started, []
        return started

    def ended(self, number: int) -> list[str | None]:
        """How an order has ended: nothing, or one reason, None when it is well."""
        return [r.failure for r in self.told if isinstance(r, Ended) and r.number == number]

    def let_go(self) -> list[tuple[str, Stage]]:
        """What was told of letting go."""
        return [(r.point[1], r.stage) for r in self.told if isinstance(r, LetGo)]

    def notes(self) -> list[str]:
        return [r.text for r in self.told if isinstance(r, Note)]
