"""How numbers, times and lists of nodes are written in faults; every value is read back exactly."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Self

from flip.config.places import shown
from flip.errors import BadFault

_NUMBER = r"\d+(?:\.\d+)?"
_TIME = re.compile(rf"({_NUMBER})s?(?:-({_NUMBER})s?)?")
_PERCENT = re.compile(rf"([+-]?{_NUMBER})%")
_MILLISECONDS = re.compile(rf"({_NUMBER})(?:-({_NUMBER}))?ms")
_SIGNED_SECONDS = re.compile(rf"([+-]?{_NUMBER})s?")


def number(value: float) -> str:
    """The shortest decimal that is read back as the same number."""
    return format(Decimal(repr(value)), "f").removesuffix(".0")


def signed(value: float) -> str:
    """A number with its sign."""
    return number(value) if value < 0 else f"+{number(abs(value))}"


@dataclass(frozen=True)
class Span:
    """When a fault begins and ends, in seconds; it lasts for good when `end` is None."""

    begin: float
    end: float | None = None

    def __post_init__(self) -> None:
        if self.end is not None and self.end <= self.begin:
            raise BadFault(
                f"its end, {number(self.end)} s, does not come after its begin,"
                f" {number(self.begin)} s"
            )

    @property
    def last(self) -> float:
        """The end, or the begin where there is none."""
        return self.begin if self.end is None else self.end

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``5`` or ``30-45``.

        :raises BadFault: it is something else, or ends before it begins.
        """
        match = _TIME.fullmatch(text)
        if match is None:
            raise BadFault(f"{shown(text)} is no time in seconds, such as 5, or 30-45")
        begin, end = match.groups()
        return cls(float(begin), None if end is None else float(end))

    def __str__(self) -> str:
        end = "" if self.end is None else f"-{number(self.end)}"
        return f"{number(self.begin)}{end}"


def timed(text: str) -> tuple[str, Span]:
    """Read ``WHAT@TIME``: what stands before the last @, and the time.

    :raises BadFault: there is no time, or it is none.
    """
    what, at, time = text.rpartition("@")
    if not at:
        raise BadFault("it says no time: expected @ and seconds at the end")
    return what, Span.parse(time)


def names(text: str) -> tuple[str, ...]:
    """Read ids with commas between them.

    :raises BadFault: one is missing, or named twice.
    """
    found = tuple(name.strip() for name in text.split(","))
    if not all(found):
        raise BadFault("a node's id is missing" if found != ("",) else "it names no node")
    for name in found:
        if found.count(name) > 1:
            raise BadFault(f"it names {shown(name)} twice")
    return found


def measured(text: str) -> tuple[tuple[str, ...], str, Span]:
    """Read ``NODES:VALUE@TIME``, of which the value is still a text.

    :raises BadFault: something is missing.
    """
    what, span = timed(text)
    nodes, colon, value = what.rpartition(":")
    if not colon:
        raise BadFault("it does not say how much: expected : and a value after the nodes")
    return names(nodes), value, span


def share(text: str) -> float:
    """Read a percentage from 0% to 100%; returns 20.0 for ``20%``.

    :raises BadFault: it is none.
    """
    match = _PERCENT.fullmatch(text)
    if match is None or not 0 <= float(match[1]) <= 100:
        raise BadFault(f"{shown(text)} is no percentage from 0% to 100%")
    return abs(float(match[1]))


def deviation(text: str, most: float) -> float:
    """Read a percentage from -`most` to +`most`.

    :raises BadFault: it is none.
    """
    match = _PERCENT.fullmatch(text)
    if match is None or abs(float(match[1])) > most:
        allowed = f"-{number(most)}% to +{number(most)}%"
        raise BadFault(f"{shown(text)} is no percentage from {allowed}")
    return float(match[1])


def milliseconds(text: str) -> tuple[float, float]:
    """Read ``5ms`` or a range, ``1-40ms``; returns the least and the most.

    :raises BadFault: it is neither.
    """
    match = _MILLISECONDS.fullmatch(text)
    if match is None:
        raise BadFault(f"{shown(text)} is no time such as 5ms, or 1-40ms")
    least = float(match[1])
    most = least if match[2] is None else float(match[2])
    if most < least:
        raise BadFault(f"{number(most)} ms is less than {number(least)} ms")
    return least, most


def cost(text: str) -> float:
    """Read ``20ms``.

    :raises BadFault: it is something else.
    """
    least, most = milliseconds(text)
    if least != most:
        raise BadFault(f"{shown(text)} is no single time such as 20ms")
    return least


def seconds(text: str) -> float:
    """Read ``+60s`` or ``-0.5s``.

    :raises BadFault: it is neither.
    """
    match = _SIGNED_SECONDS.fullmatch(text)
    if match is None:
        raise BadFault(f"{shown(text)} is no number of seconds, such as +60s")
    return float(match[1])
