"""A configuration as the rest of flip sees it: typed, complete, frozen; times in seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong or doubtful, and where: a place like ``servers.flip1.port``."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


@dataclass(frozen=True, slots=True)
class Server:
    """One server; without systems it is an arbiter."""

    id: str
    ip: str
    port: int
    systems: tuple[str, ...]
    priority: float | None
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Point:
    """A data point: what moves as a whole.

    :ivar id: what status, claims, plans and logs call it.
    :ivar members: what the hooks are run for, in order; more than one make it a group.
    :ivar prefer: the server that is its home, None where the deal decides.
    :ivar config: for its hooks, complete: ``cluster.config``, the system's, its own.
    """

    id: str
    members: tuple[str, ...]
    prefer: str | None
    config: Mapping[str, Any]


class Points(Mapping[str, Point]):
    """A system's data points by id, in order.

    Most are a text and no more: 100,000 of them must not cost an object each.

    :param special: those that are more than a text.
    :param config: of all others.
    """

    def __init__(
        self, data: tuple[str, ...], special: Mapping[str, Point], config: Mapping[str, Any]
    ) -> None:
        self._data = data
        self._special = special
        self._config = config
        self._ids = frozenset(data)

    def __getitem__(self, id: str) -> Point:
        if id not in self._ids:
            raise KeyError(id)
        return self._special.get(id) or Point(id, (id,), None, self._config)

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __contains__(self, id: object) -> bool:
        return id in self._ids


@dataclass(frozen=True, slots=True)
class Check:
    """The health check of a system; times in seconds.

    :ivar kind: "run", "tcp" or "http".
    :ivar target: the hook, "host:port" or the URL.
    :ivar expect: the status of an answer by http.
    """

    kind: str
    target: str
    expect: int
    interval: float
    timeout: float
    rise: int
    fall: int


@dataclass(frozen=True, slots=True)
class Addressing:
    """How the addresses of a system with the provider "address" are kept; times in seconds.

    :ivar kernel_lease: for how long the kernel keeps them without flip; 0: for ever.
    :ivar wait_for_lease: whether to take them from a server that is down only when that is over.
    :ivar on_conflict: "take" or "wait".
    :ivar announcements: when they are announced, counted from when they were put.
    :ivar repeat: the time between further announcements; 0: there are none.
    """

    kernel_lease: int
    wait_for_lease: bool
    on_conflict: str
    announcements: tuple[float, ...]
    repeat: float


@dataclass(frozen=True, slots=True)
class Witness:
    """What a node pings to know whether its own network works; times in seconds."""

    addresses: tuple[str, ...]
    interval: float
    timeout: float


@dataclass(frozen=True)
class System:
    """A set of data points, with its hooks.

    :ivar type: "shard", "failover" or "replicate", never an alias.
    :ivar config: ``cluster.config`` overlaid by the system's own, for the hooks.
    :ivar data: the ids of its data points, in order.
    :ivar exclusive: whether a data point never has two owners; `lease` and `voters` (ids, sorted)
        say how that is kept, and are blank in other systems.
    :ivar all_unfit: "stay", "divide" or "release".
    :ivar failback: seconds for which a server that was down or unfit stays drained; infinite:
        until an operator says otherwise.
    :ivar verify: the hook that looks, every `check_interval`, whether a data point is here.
    :ivar special: the data points that are more than a text, by id.
    :ivar provider: what flip does in place of hooks, None where there are hooks; `alive` and
        `down` are blank then.
    :ivar addressing: of the provider "address".
    """

    name: str
    alive: str
    down: str
    type: str
    config: Mapping[str, Any]
    data: tuple[str, ...]
    delay: float
    hook_timeout: float
    hook_concurrency: int
    remove_on_start: bool
    on_isolation: str
    alive_attempts: int
    retry_after: float
    exclusive: bool = False
    lease: float = 0.0
    voters: tuple[str, ...] = ()
    check: Check | None = None
    all_unfit: str = "stay"
    failback: float = 0.0
    verify: str | None = None
    check_interval: float = 30.0
    special: Mapping[str, Point] = field(default_factory=dict)
    provider: str | None = None
    addressing: Addressing | None = None

    @cached_property
    def points(self) -> Points:
        """Its data points, by id."""
        return Points(self.data, self.special, self.config)


@dataclass(frozen=True)
class Config:
    """The whole configuration, for the node `id`.

    :ivar servers: in the order that every division uses: by priority (lower
        first, absent last), then id.
    :ivar systems: in the order of their names.
    :ivar path: the file; relative hooks are looked for beside it.
    :ivar realtime: the priority that the node asks the kernel for, 1 to 99; 0: it asks for none.
    :ivar digest: 8 bytes that name what the division depends on: two nodes with
        the same digest and the same view of the members divide alike.
    """

    id: str
    quorum: int
    gossip_interval: float
    ping_timeout: float
    ping_per_interval: int
    keys: tuple[str, ...]
    log_level: str
    servers: Mapping[str, Server]
    systems: Mapping[str, System]
    config_version: int
    max_packet: int
    bind: str | None
    hook_dir: Path | None
    state_dir: Path
    control: Path
    path: Path
    warnings: tuple[Problem, ...]
    digest: bytes
    witness: Witness | None = None
    realtime: int = 0

    @property
    def me(self) -> Server:
        """This node's own server."""
        return self.servers[self.id]

    @property
    def two_sided(self) -> bool:
        """Whether two groups of servers that hear nothing of each other may both agree."""
        return self.witness is not None or 2 * self.quorum <= len(self.servers)

    def servers_of(self, system: str) -> tuple[str, ...]:
        """The ids of the servers that list a system, in order."""
        return self._servers_of.get(system, ())

    @cached_property
    def _servers_of(self) -> dict[str, tuple[str, ...]]:
        return {
            name: tuple(server.id for server in self.servers.values() if name in server.systems)
            for name in self.systems
        }
