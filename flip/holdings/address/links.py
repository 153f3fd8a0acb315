"""Keeps this node away from systems whose interface cannot serve: it is down, or not there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from flip.addresses.kernel import Address, Assigned, Kernel, Link
from flip.config import System


class Unfit(Protocol):
    """Of `flip.holdings.fitness.Fitness` what is needed here."""

    def exclude(self, cause: str, seconds: float | None, systems: Iterable[str] = ...) -> None:
        """Become ineligible."""

    def admit(self, cause: str | None = None, system: str | None = None) -> None:
        """Take that back."""


class Links:
    """An observer of the kernel (`flip.addresses.kernel.Observer`).

    :param systems: by name, those with this provider.
    :param recovered: called with a system that an interface is back for: what failed meanwhile
        says nothing any more.
    """

    def __init__(
        self,
        kernel: Kernel,
        systems: Mapping[str, System],
        fitness: Unfit,
        recovered: Callable[[str], None],
    ) -> None:
        self._kernel = kernel
        self._interfaces = {name: interfaces(system) for name, system in systems.items()}
        self._fitness = fitness
        self._recovered = recovered
        self._causes: dict[tuple[str, str], str] = {}  # by system and interface

    def look(self) -> None:
        """Judge all interfaces by what the kernel tells now."""
        for name in sorted({one for some in self._interfaces.values() for one in some}):
            self.link_changed(name, self._kernel.links().get(name))

    def appeared(self, address: Address, assigned: Assigned) -> None:
        """It says nothing about links."""

    def vanished(self, address: Address) -> None:
        """It says nothing about links."""

    def link_changed(self, name: str, link: Link | None) -> None:
        """An interface appeared, went, came up or went down."""
        cause = None
        if link is None:
            cause = f"there is no interface {name}"
        elif not link.up:
            cause = f"link down: {name}"
        for system, names in self._interfaces.items():
            if name in names:
                self._judge((system, name), cause)

    def _judge(self, key: tuple[str, str], cause: str | None) -> None:
        before = self._causes.pop(key, None)
        if cause is not None:
            self._causes[key] = cause
            if cause != before:
                self._fitness.exclude(cause, None, (key[0],))
        if before is not None and before != cause:
            self._fitness.admit(before, key[0])
            if cause is None:
                self._recovered(key[0])


def interfaces(system: System) -> frozenset[str]:
    """The interfaces that a system's data points belong on."""
    configs = [system.config, *(point.config for point in system.special.values())]
    return frozenset(config["interface"] for config in configs if "interface" in config)
