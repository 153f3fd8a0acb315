"""What the keeper sees of the guard (E10)."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from flip.holdings.call import HookCall, HookResult

PATIENCE = 0.2  # seconds that a guard may take to answer before it is replaced
RESTART = 0.1  # seconds that a new guard takes to be ready, on a busy machine
# What can pass between a deadline and the start of `down`, beyond the timers' own
# lateness: the guard may freeze or die in the last moment. A holder's margin is the
# hook_timeout plus this.
RESOLUTION = PATIENCE + RESTART

Point = tuple[str, str]  # a system and one of its data points


class Deadline(NamedTuple):
    """When a data point must be let go of, and how.

    :ivar at: when `down` starts by itself; seconds of the node's clock.
    :ivar down: its `down` hook. Renewals that pass an equal one cost next to nothing.
    """

    at: float
    down: HookCall


class Stage(enum.Enum):
    """How far the guard has got with letting go of a data point."""

    BEGAN = "began"
    FAILED = "failed"
    ENDED = "ended"


class LetGo(NamedTuple):
    """The guard runs `down` by itself.

    FAILED is followed by another BEGAN, by itself, until one ENDED: then nothing is
    left of the data point, and it is not armed any more.

    :ivar details: of BEGAN why, of FAILED the hook's reason.
    :ivar duration: of ENDED, seconds of the `down` that ended well.
    """

    point: Point
    stage: Stage
    details: str
    duration: float = 0.0


class Condition(NamedTuple):
    """How the guard is, for status.

    :ivar pid: None while there is none.
    :ivar ready: it has answered: `alive` may start.
    :ivar armed: how many data points it guards.
    :ivar restarts: how many guards before it died or were replaced.
    :ivar trouble: what is wrong with it, None when it is well.
    """

    pid: int | None
    ready: bool
    armed: int
    restarts: int
    trouble: str | None


class Guard(Protocol):
    """Runs all hooks of exclusive systems, one at a time for each data point.

    The guard runs `down` by itself for what is armed: when its deadline passes, and
    for everything at once when the daemon is gone. It kills a running `alive` first.
    """

    def run(self, call: HookCall) -> Deferred[HookResult]:
        """Run a hook, as `flip.holdings.runner.HookRunner` does.

        `timeout` includes the grace: TERM comes before it, KILL at it.

        An `alive` fails at once when the data point is not armed with a deadline that
        lies ahead, or is being let go of. Without a guard it waits for the next one. A
        `down` kills an `alive` of the same data point that still runs; it shares the
        end of a `down` that the guard runs or has ended by itself.

        :returns: fires with the result, or fails with `HookFailed`.
        """

    def arm(self, deadlines: Mapping[Point, Deadline]) -> None:
        """Set the deadlines of some data points, in one message; others keep theirs.

        A deadline in the past means now. What the guard is letting go of, or let go
        of without the keeper knowing, stays so: a `LetGo` is on its way.
        """

    def disarm(self, points: Iterable[Point]) -> None:
        """Nothing is left of these: their `down` has ended well, or no `alive` ever began.

        To be called after a `down` of the keeper has ended well; after one of the
        guard (ENDED) it has been done.
        """

    def kill(self, point: Point) -> None:
        """Kill a running or waiting `alive` at once, with its group; its `run` fails."""

    def on_let_go(self, observer: Callable[[LetGo], None]) -> None:
        """Tell `observer` of each step when the guard lets go by itself."""

    def on_trouble(self, observer: Callable[[str | None], None]) -> None:
        """Tell `observer` what is wrong with the guard, None when it is well again."""

    @property
    def condition(self) -> Condition:
        """How it is."""

    def start(self) -> None:
        """Start a guard, and another one whenever it dies; never waits for it."""

    def stop(self) -> Deferred[None]:
        """Let it go: it ends when nothing is armed any more, and until then does its duty.

        Fires when the pipe to it is closed, not when it has ended.
        """
