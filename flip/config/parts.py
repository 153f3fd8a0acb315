"""What of a file can be used to look for more faults, though others were found."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flip.config.places import Fault, Path, is_text

Section = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parts:
    """A file without the values that do not fit the schema.

    What is there has the right type, and anything may be missing.

    :ivar lost: where something was taken out.
    """

    top: Section
    lost: Collection[Path] = ()

    @property
    def servers(self) -> Mapping[str, Section]:
        """The servers by id."""
        found: Mapping[str, Section] = self.top.get("servers", {})
        return found

    @property
    def cluster(self) -> Section:
        """What the cluster holds."""
        found: Section = self.top.get("cluster", {})
        return found

    @property
    def systems(self) -> Mapping[str, Section]:
        """The systems by name."""
        found: Mapping[str, Section] = self.cluster.get("system", {})
        return found

    @property
    def knows_systems(self) -> bool:
        """Whether `systems` has every name that the file has."""
        return "system" in self.cluster

    @property
    def knows_lists(self) -> bool:
        """Whether the lists of the servers name every system that they do in the file."""
        other = ("ip", "port", "priority")
        return "servers" in self.top and not any(
            path[:1] == ("servers",) and (len(path) < 3 or path[2] not in other)
            for path in self.lost
        )


def listed(server: Section) -> list[str]:
    """The systems that a server lists."""
    names: list[str] = server.get("systems", server.get("system", []))
    return names


def usable(value: dict[str, Any], faults: Iterable[Fault]) -> Parts:
    """What is left without the values that cannot be used."""
    lost = {fault.path for fault in faults if not fault.usable}
    if not lost:
        return Parts(value)
    left: dict[str, Any] = copy.deepcopy(value)
    # From the end, so that the places in lists that are still to come do not shift.
    for path in sorted(lost, key=_order, reverse=True):
        _take_out(left, path)
    return Parts(left, lost)


def _order(path: Path) -> tuple[tuple[bool, str | int], ...]:
    return tuple((isinstance(step, int), step) for step in path)


def _take_out(value: Any, path: Path) -> None:
    *above, last = path
    for step in above:
        value = value[step]
    if isinstance(value, dict) and last not in value:
        return  # the fault is that it is missing
    is_server = len(path) == 2 and path[0] == "servers"
    is_system = len(path) == 3 and path[:2] == ("cluster", "system")
    if (is_server or is_system) and is_text(str(last)):
        value[last] = {}  # the name is still known
    else:
        del value[last]
