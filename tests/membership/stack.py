"""One node's whole membership in memory, and a member that sends it whatever it likes."""

from __future__ import annotations

import enum
import random
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from twisted.internet.testing import FakeDatagramTransport, MemoryReactorClock

from flip.config import Config, Server, System
from flip.membership.service import Membership
from flip.wire.messages import Datagram, decode_datagram, encode
from flip.wire.seal import Channel, Seal

KEY = bytes(32)
BIRTH = 1_000_000
ME, PEER = "a", "b"


def config(ids: tuple[str, ...] = ("a", "b", "c"), *, max_packet: int = 1232) -> Config:
    """A cluster with one system of three data points; the first server is this node."""
    system = System(
        name="ip",
        alive="up",
        down="down",
        type="shard",
        config={},
        data=("one", "two", "three"),
        delay=0.05,
        hook_timeout=10.0,
        hook_concurrency=4,
        remove_on_start=True,
        on_isolation="hold",
        alive_attempts=3,
        retry_after=60.0,
    )
    servers = {id: Server(id, f"10.0.0.{at}", 2200, ("ip",), None) for at, id in enumerate(ids, 1)}
    return Config(
        id=ids[0],
        quorum=len(ids) // 2 + 1,
        gossip_interval=1.0,
        ping_timeout=1.5,
        ping_per_interval=3,
        keys=("secret",),
        log_level="info",
        servers=servers,
        systems={"ip": system},
        config_version=0,
        max_packet=max_packet,
        bind=None,
        hook_dir=None,
        state_dir=Path("state"),
        control=Path("control"),
        path=Path("flip.json"),
        warnings=(),
        digest=b"digest!!",
    )


class Node:
    """A node that runs, on virtual time; `sent` is what it wrote to its socket."""

    def __init__(self, config: Config) -> None:
        self.reactor = MemoryReactorClock()
        self.reactor.advance(1000)
        rng = random.Random(1)
        self.seal = Seal((KEY,), config.id, 1, config.servers)
        self.membership = Membership(
            config, self.reactor, rng, self.seal, birth=BIRTH, boot=1, raised=lambda _: None
        )
        self.transport = FakeDatagramTransport()
        self.protocol = self.membership.protocol
        self.roster = self.membership.roster
        self.protocol.makeConnection(self.transport)
        self.membership.startService()

    @property
    def sent(self) -> list[tuple[bytes, tuple[str, int]]]:
        written: list[tuple[bytes, tuple[str, int]]] = self.transport.written
        return written

    def stop(self) -> None:
        """End every timer."""
        self.membership.stopService()

    def footprint(self) -> int:
        """The bytes of everything that this node remembers, and its pending timers."""
        timers = sum(call.active() for call in self.reactor.getDelayedCalls())
        return timers * 1000 + sum(sys.getsizeof(one) for one in reachable(self.membership))


class Member:
    """A member's life, with the right key, as far as its seal goes."""

    def __init__(self, node: Node, id: str = PEER, boot: int = 2, key: bytes = KEY) -> None:
        self.id = id
        self.boot = boot
        self.seal = Seal((key,), id, boot, {*(member.id for member in node.roster), id})
        self._node = node

    def send(self, payload: bytes) -> None:
        """An authentic datagram with whatever inside."""
        packet = self.seal.seal(payload, Channel.UDP)
        self._node.protocol.datagramReceived(packet, ("10.0.0.9", 999))

    def say(self, message: Datagram) -> None:
        """An authentic datagram with a message inside."""
        self.send(encode(message))

    def heard(self) -> list[Datagram]:
        """What the node has sent since the last call; opened as any other member would."""
        opened = [
            decode_datagram(self.seal.unseal(packet, Channel.UDP).payload)
            for packet, _ in self._node.sent
        ]
        self._node.sent.clear()
        return opened


def reachable(root: Any) -> Iterator[Any]:
    """Every object of flip, container and string that can be reached from an object."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, Mapping):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple | set | frozenset):
            waiting += one
        elif hasattr(one, "popleft"):
            waiting += list(one)
        elif isinstance(one, enum.Enum):
            continue
        elif type(one).__module__.startswith("flip."):
            names = [*getattr(one, "__dict__", ()), *getattr(one, "__struct_fields__", ())]
            names += getattr(one, "__slots__", ())
            waiting += [getattr(one, name) for name in names if hasattr(one, name)]
        elif not isinstance(one, str | bytes | int):
            continue
        yield one
