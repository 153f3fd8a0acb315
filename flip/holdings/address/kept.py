"""Which data points' addresses this node keeps, and of which data point an address is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from flip.addresses.kernel import Address, Put
from flip.holdings.address.assignment import Assignment
from flip.holdings.guard.interface import Point


@dataclass(slots=True)
class Kept:
    """One data point whose addresses are here, or have to be put back.

    :ivar ends: when the kernel may have removed them, unless they are renewed; None: never.
    :ivar asked: when that will be, when the kernel has done what it was asked to.
    :ivar missing: those that are not there although they should be.
    """

    point: Point
    assignment: Assignment
    ends: float | None = None
    asked: float = -math.inf
    missing: frozenset[Address] = frozenset()

    def puts(self, valid: int | None, by: float | None) -> list[Put]:
        """What puts all of its addresses, or renews them; `by` when they have to end at last."""
        label = self.assignment.label
        return [
            Put(address, valid, label if address.version == 4 else None, by)
            for address in self.assignment.addresses
        ]


class Keeping:
    """All that is kept. Two data points never keep the same address: the later one has it."""

    def __init__(self) -> None:
        self._points: dict[Point, Kept] = {}
        self._owners: dict[Address, Point] = {}

    def __getitem__(self, point: Point) -> Kept:
        return self._points[point]

    def __contains__(self, point: Point) -> bool:
        return point in self._points

    def __iter__(self) -> Iterator[Kept]:
        return iter(self._points.values())

    def __len__(self) -> int:
        return len(self._points)

    @property
    def by_point(self) -> Mapping[Point, Kept]:
        """All of it."""
        return self._points

    def keep(self, kept: Kept) -> None:
        """From now on this is kept; an earlier life of the same data point is forgotten."""
        self.forget(kept.point)
        self._points[kept.point] = kept
        for address in kept.assignment.addresses:
            self._owners[address] = kept.point

    def forget(self, point: Point) -> None:
        """It is not kept any more."""
        kept = self._points.pop(point, None)
        for address in kept.assignment.addresses if kept is not None else ():
            if self._owners.get(address) == point:
                del self._owners[address]

    def owner(self, address: Address) -> Kept | None:
        """The data point that keeps an address."""
        point = self._owners.get(address)
        return None if point is None else self._points.get(point)

    def lasts(self, address: Address, now: float) -> bool:
        """Whether an address is kept, and the kernel cannot have ended its lifetime by `now`.

        After this process stood still, what it kept may serve elsewhere for long.
        """
        kept = self.owner(address)
        return kept is not None and (kept.ends is None or now < kept.ends)
