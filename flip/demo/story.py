"""The story that the README tells: its configuration, its rows, and what a row demands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flip.membership.frames import TIME_LIMIT
from flip.membership.health import WORST

SYSTEM = "ip"

# As in etc/flip.json; every node's own file differs in addresses and paths only.
CONFIGURATION: dict[str, Any] = {
    "id": "flip",
    "quorum": 2,
    "gossip_interval": 1000,
    "key": "secret",
    "ping_per_interval": 3,
    "ping_timeout": 1500,
    "log_level": "info",
    "servers": {
        "flip": {"ip": "127.0.0.1", "port": 2200, "systems": [SYSTEM]},
        "flip1": {"priority": 1, "ip": "127.0.0.1", "port": 2201, "systems": [SYSTEM]},
        "flip2": {"ip": "127.0.0.1", "port": 2202},
    },
    "cluster": {
        "config": {},
        "system": {
            SYSTEM: {
                "alive": "ip_up",
                "down": "ip_down",
                "type": "shard",
                "config": {"interface": "lo0"},
                "data": ["192.168.0.2", "192.168.0.1"],
            }
        },
    },
}
IDS: tuple[str, ...] = tuple(CONFIGURATION["servers"])
ARBITERS = frozenset(
    id for id, server in CONFIGURATION["servers"].items() if "systems" not in server
)
DATA: tuple[str, ...] = tuple(CONFIGURATION["cluster"]["system"][SYSTEM]["data"])

PING_TIMEOUT = CONFIGURATION["ping_timeout"] / 1000  # seconds
GOSSIP_INTERVAL = CONFIGURATION["gossip_interval"] / 1000  # seconds

# A cut that outlasts every timeout proves that no timer moves anything: neither
# a probe by a node that thinks itself slow, then the wait until a node counts
# itself as isolated, nor an exchange over TCP.
LONGEST_PROBE = (1 + WORST) * PING_TIMEOUT  # seconds
LONGEST_TIMEOUT = max(GOSSIP_INTERVAL + LONGEST_PROBE + PING_TIMEOUT, TIME_LIMIT)  # seconds
CUT = LONGEST_TIMEOUT + 2  # seconds


@dataclass(frozen=True)
class Observation:
    """What the three nodes show at one moment.

    :ivar statuses: per node its answer to ``flip status``, None if it does not run.
    :ivar files: per node the data points for which its hooks have made a file.
    """

    statuses: Mapping[str, Mapping[str, Any] | None]
    files: Mapping[str, frozenset[str]]

    def held(self, id: str) -> frozenset[str] | None:
        """What a node says that it holds; None if it does not run."""
        status = self.statuses[id]
        if status is None:
            return None
        return frozenset(status["systems"].get(SYSTEM, {}).get("held", ()))

    def claimed(self, viewer: str, id: str) -> frozenset[str]:
        """What one node says that another holds.

        :raises LookupError: `viewer` does not run, or does not know `id`.
        """
        status = self.statuses[viewer]
        if status is None:
            raise LookupError(viewer)
        return frozenset(status["members"][id]["systems"].get(SYSTEM, {}).get("held", ()))


@dataclass(frozen=True)
class Row:
    """One row of the README's table.

    :ivar holds: per node what it must hold; None: it was killed.
    :ivar connected: whether the nodes can talk; if so they must also agree.
    """

    name: str
    holds: Mapping[str, frozenset[str] | None]
    connected: bool = True

    def differences(self, seen: Observation) -> list[str]:
        """Everything in which the nodes, or their hooks' files, are not as this row says."""
        found = self.moved(seen)
        for id, expected in self.holds.items():
            status = seen.statuses[id]
            if expected is None or status is None:
                continue
            if status["in_touch"] != self.connected:
                must, does = ("must", "is not") if self.connected else ("must not", "is")
                found.append(f"{id} {must} be in touch with a quorum, but it {does}")
            elif self.connected:
                found += self._disagreements(id, status, seen)
        return found

    def moved(self, seen: Observation) -> list[str]:
        """Where something else is held than this row says, whatever the nodes think of others."""
        found = []
        for id, expected in self.holds.items():
            reported = seen.held(id)
            if expected is None:
                if reported is not None:
                    found.append(f"{id} must be dead, but it answers")
            elif reported is None:
                found.append(f"{id} must hold {words(expected)}, but it does not answer")
            elif reported != expected:
                found.append(f"{id} must hold {words(expected)}; it says {words(reported)}")
            if expected is not None and seen.files[id] != expected:
                made = words(seen.files[id])
                found.append(f"{id} must hold {words(expected)}; its hooks made the files: {made}")
        return found

    def _disagreements(self, id: str, status: Mapping[str, Any], seen: Observation) -> list[str]:
        found = []
        if not status["settled"]:
            found.append(f"{id} has not settled")
        for other, expected in self.holds.items():
            member = status["members"][other]
            state = "down" if expected is None else "alive"
            if member["state"] != state:
                found.append(f"{id} must see {other} as {state}; it says {member['state']}")
            if expected is not None and seen.claimed(id, other) != expected:
                claimed = words(seen.claimed(id, other))
                found.append(f"{id} must see {other} hold {words(expected)}; it says {claimed}")
        return found


def words(data: Sequence[str] | frozenset[str] | None) -> str:
    """A set of data points as the README writes it."""
    return ", ".join(sorted(data or ())) or "nothing"


def _row(name: str, flip: str, flip1: str | None, *, connected: bool = True) -> Row:
    holds = {
        "flip": frozenset(flip.split()),
        "flip1": None if flip1 is None else frozenset(flip1.split()),
        "flip2": frozenset[str](),
    }
    return Row(name, holds, connected)


ALL_ACTIVE = _row("all active", "192.168.0.1", "192.168.0.2")
FLIP1_KILLED = _row("flip1 killed", "192.168.0.1 192.168.0.2", None)
FLIP1_BACK = _row("flip1 back", "192.168.0.1", "192.168.0.2")
ALL_CUT_OFF = _row("nobody can talk", "192.168.0.1", "192.168.0.2", connected=False)
