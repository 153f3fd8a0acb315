"""What daemon and guard say to each other: JSON, one message a line.

The standard library's json and no schema: each trusts its own twin, the guard has no
third-party packages, and a path may hold bytes that are no UTF-8 (surrogates).
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from flip.holdings.call import Hook, HookCall
from flip.holdings.guard.interface import LetGo, Point, Stage


class Begin(NamedTuple):
    """The first order.

    :ivar longest: seconds that a `down` may take, over all systems.
    """

    longest: float


class Arm(NamedTuple):
    """New deadlines; see `Guard.arm`.

    :ivar downs: the `down` hooks that the guard does not know yet.
    """

    deadlines: tuple[tuple[Point, float], ...]
    downs: tuple[HookCall, ...]


class Disarm(NamedTuple):
    """Nothing is left of these, and what the guard said of them is known."""

    points: tuple[Point, ...]


class Run(NamedTuple):
    """Run a hook; an `Ended` of this number follows."""

    number: int
    call: HookCall


class Kill(NamedTuple):
    """Kill the `alive` of a data point."""

    point: Point


class Ping(NamedTuple):
    """Are you there? All orders before it have been received when the `Pong` comes."""

    number: int


class Started(NamedTuple):
    """A hook that was ordered runs; its pid is also that of its group."""

    number: int
    pid: int


class Said(NamedTuple):
    """A hook printed a line.

    :ivar datum: what it ran for, as `HookCall.subject`.
    :ivar error: whether on standard error.
    """

    system: str
    event: str
    datum: str
    error: bool
    line: str


class Ended(NamedTuple):
    """An order was carried out: well, when there is no failure."""

    number: int
    failure: str | None
    duration: float


class Pong(NamedTuple):
    """The answer to a `Ping`."""

    number: int


class Note(NamedTuple):
    """Something that an operator should know."""

    text: str


Order = Begin | Arm | Disarm | Run | Kill | Ping
Report = Started | Said | Ended | LetGo | Pong | Note


def encode(message: Order | Report) -> bytes:
    """A message as one line, its newline left out."""
    return json.dumps([type(message).__name__, *map(_plain, message)]).encode()


def decode_order(line: bytes) -> Order:
    """The order in a line."""
    kind, *fields = json.loads(line)
    match kind, fields:
        case "Begin", [longest]:
            return Begin(longest)
        case "Arm", [deadlines, downs]:
            times = tuple((_point(point), at) for point, at in deadlines)
            return Arm(times, tuple(map(_call, downs)))
        case "Disarm", [points]:
            return Disarm(tuple(map(_point, points)))
        case "Run", [number, call]:
            return Run(number, _call(call))
        case "Kill", [point]:
            return Kill(_point(point))
        case "Ping", [number]:
            return Ping(number)
    raise ValueError(f"no order: {line[:80]!r}")


def decode_report(line: bytes) -> Report:
    """The report in a line."""
    kind, *fields = json.loads(line)
    match kind, fields:
        case "Started", [number, pid]:
            return Started(number, pid)
        case "Said", [system, event, datum, error, text]:
            return Said(system, event, datum, error, text)
        case "Ended", [number, failure, duration]:
            return Ended(number, failure, duration)
        case "LetGo", [point, stage, details, duration]:
            return LetGo(_point(point), Stage(stage), details, duration)
        case "Pong", [number]:
            return Pong(number)
        case "Note", [text]:
            return Note(text)
    raise ValueError(f"no report: {line[:80]!r}")


def _plain(value: Any) -> Any:
    if isinstance(value, Stage):
        return value.value
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return value


def _call(plain: Any) -> HookCall:
    hook, event, system, datum, config, node, timeout, members, undo = plain
    return HookCall(
        _hook(hook),
        event,
        system,
        datum,
        config,
        node,
        timeout,
        tuple(members),
        None if undo is None else _hook(undo),
    )


def _hook(plain: Any) -> Hook:
    name, argv = plain
    return Hook(name, tuple(argv))


def _point(plain: Any) -> Point:
    system, datum = plain
    return system, datum
