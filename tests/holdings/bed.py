"""What tests of the keeper's parts share: configurations, a roster, hooks that the test ends."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from flip.config import Config, Server, System
from flip.errors import HookFailed
from flip.holdings.disk import StateDirectory
from flip.holdings.grants.asking import Asking
from flip.holdings.grants.numbers import Numbers
from flip.holdings.grants.post import Post
from flip.holdings.guard.interface import Guard
from flip.holdings.hooks import Hook
from flip.holdings.journal import Journal
from flip.holdings.runner import HookCall, HookResult
from flip.membership.datagram import GossipProtocol
from flip.membership.own import OwnRecord
from flip.membership.roster import Claims, Roster
from flip.membership.service import Membership
from flip.membership.touch import Touch
from flip.wire.claims import claims_hash, data_digest, encode_claims
from flip.wire.messages import Datagram, GrantMessage, Record, Status, Update
from flip.wire.standing import Standing

NOON = 1_700_049_600.0  # 2023-11-15, 12:00:00 UTC
DIGEST = b"01234567"
HOOKS = {event: Hook(event, (f"/hooks/{event}",)) for event in ("alive", "down")}


def system(name: str = "ip", data: Iterable[str] = ("a", "b"), **settings: Any) -> System:
    """A system with everyday settings, but for those given."""
    everyday: dict[str, Any] = {
        "name": name,
        "alive": "alive",
        "down": "down",
        "type": "shard",
        "config": {"interface": "lo0"},
        "data": tuple(data),
        "delay": 0.05,
        "hook_timeout": 10.0,
        "hook_concurrency": 4,
        "remove_on_start": True,
        "on_isolation": "hold",
        "alive_attempts": 3,
        "retry_after": 60.0,
    }
    return System(**everyday | settings)


def config(
    *systems: System, servers: Mapping[str, Iterable[str]] | None = None, **settings: Any
) -> Config:
    """A configuration of the node "me".

    :param servers: id -> its systems; me, flip1 and flip2 with all systems by default.
    """
    named = {one.name: one for one in systems or (system(),)}
    servers = servers or dict.fromkeys(("me", "flip1", "flip2"), tuple(named))
    everyday: dict[str, Any] = {
        "id": "me",
        "quorum": len(servers) // 2 + 1,
        "gossip_interval": 1.0,
        "ping_timeout": 1.5,
        "ping_per_interval": 3,
        "keys": ("secret",),
        "log_level": "info",
        "servers": {
            id: Server(id, "127.0.0.1", 2200 + place, tuple(listed), None)
            for place, (id, listed) in enumerate(servers.items())
        },
        "systems": named,
        "config_version": 0,
        "max_packet": 1232,
        "bind": None,
        "hook_dir": None,
        "state_dir": Path("state"),
        "control": Path("control"),
        "path": Path("flip.json"),
        "warnings": (),
        "digest": DIGEST,
    }
    return Config(**everyday | settings)


def roster_of(config: Config) -> Roster:
    """A roster of a configuration, of which no record is known."""
    lists = {data_digest(system.data): system.data for system in config.systems.values()}
    return Roster(config.id, config.servers, config.quorum, lists)


class Others:
    """Writes the other members' records into a roster, as gossip would."""

    def __init__(self, config: Config, roster: Roster) -> None:
        self._data = {name: system.data for name, system in config.systems.items()}
        self._roster = roster
        self._versions: dict[str, int] = {}

    def say(
        self,
        member: str,
        claims: Claims | None = None,
        *,
        status: Status = Status.ACTIVE,
        incarnation: int = 1,
        ineligible: tuple[str, ...] = (),
        standing: Standing = Standing.FAILING,
        digest: bytes = DIGEST,
        config_version: int = 0,
        boot: int = 1,
        hidden: bool = False,
    ) -> None:
        """A member's new record.

        :param standing: why it is not eligible.
        :param hidden: the claims themselves have not arrived.
        """
        version = self._versions[member] = self._versions.get(member, 0) + 1
        body = encode_claims(claims or {}, self._data)
        record = Record(
            member,
            incarnation,
            version,
            status,
            birth=1,
            boot=boot,
            config_digest=digest,
            config_version=config_version,
            claims_hash=claims_hash(body),
            ineligible=ineligible,
            standings=bytes([standing] * len(ineligible)),
        )
        self._roster.merge((Update(member, record, None if hidden else body),), member)

    def accuse(self, member: str, *voters: str, incarnation: int = 1) -> None:
        """Votes against a member."""
        self._roster.accuse(member, incarnation, voters)


class Hooks:
    """A runner whose hooks end when the test says so.

    :ivar started: every hook that was started, as "event datum".
    :ivar calls: the calls behind them.
    """

    def __init__(self) -> None:
        self.started: list[str] = []
        self.calls: list[HookCall] = []
        self.running: dict[tuple[str, str], Deferred[HookResult]] = {}

    def run(self, call: HookCall) -> Deferred[HookResult]:
        point = call.system, call.datum
        assert point not in self.running, f"two hooks of {point} at once"
        self.calls.append(call)
        self.started.append(f"{call.event} {call.datum}")

        def killed(_: object) -> None:
            del self.running[point]

        self.running[point] = Deferred(killed)
        return self.running[point]

    def news(self) -> list[str]:
        """What was started since the last time."""
        started, self.started = self.started, []
        return started

    def succeed(self, datum: str, system: str = "ip") -> None:
        self.running.pop((system, datum)).callback(HookResult(0.01))

    def fail(self, datum: str, system: str = "ip") -> None:
        self.running.pop((system, datum)).errback(HookFailed("(exit status 1)"))


class Wire:
    """What grants see of the protocol: what was said to whom, and what is done about answers."""

    def __init__(self) -> None:
        self.answers: dict[type[Datagram], Callable[[str, Any], None]] = {}
        self.sent: list[tuple[str, GrantMessage]] = []

    def grant(self, peer: str, message: GrantMessage) -> None:
        self.sent.append((peer, message))

    def news(self) -> list[tuple[str, GrantMessage]]:
        """What was said since the last time."""
        sent, self.sent = self.sent, []
        return sent

    def hear(self, sender: str, message: GrantMessage) -> None:
        """A message arrives."""
        self.answers[type(message)](sender, message)

    def post(self, me: str = "me", room: int = 1100) -> Post:
        """The node's end of it."""
        return Post(me, cast(GossipProtocol, self), room)


def asking(config: Config, clock: Clock, wire: Wire, guard: Guard | None = None) -> Asking:
    """This node as a claimant, whose wall clock runs with the other one."""
    rng = random.Random(1)
    return Asking(
        config,
        clock,
        rng,
        wire.post(),
        Numbers(5, rng, lambda generation: None),
        {} if guard is None else dict.fromkeys(config.me.systems, guard),
        wall=lambda: NOON + clock.seconds(),
        note=lambda kind, text: None,
    )


def open_journal(directory: Path, clock: Clock) -> Journal:
    """A journal on the test's clock."""
    journal = Journal(StateDirectory(directory), now=lambda: NOON + clock.seconds())
    journal.open()
    return journal


def phases(journal: Journal) -> dict[str, str]:
    """What a journal names."""
    return {held.datum: held.phase.name for held in journal.held()}


class StandIn:
    """What the keeper sees of membership: a real roster and own record, without a network.

    :ivar pushes: how often everybody was told everything.
    """

    def __init__(self, config: Config) -> None:
        self.in_touch = self.settled = False
        self.roster = roster_of(config)
        self.touch = Touch(self.roster, config.ping_timeout, lambda: 0.0)
        self.touch.reachable.update(dict.fromkeys(self.roster.others, True))
        self.concerned: list[str] = []
        self.pushes = 0
        self._touch: list[Callable[[], None]] = []
        record = Record("me", 5, 0, Status.JOINING, 5, 9, config.digest, config.config_version)
        self.own = OwnRecord(
            self.roster,
            record,
            {name: system.data for name, system in config.systems.items()},
            published=self.concerned.extend,
            raised=lambda incarnation, voters: None,
            doubled=lambda younger: None,
        )

    def as_membership(self) -> Membership:
        """For those who ask for all of it; they use no more than is here."""
        return cast(Membership, self)

    def amend(
        self,
        *,
        status: Status | None = None,
        claims: Claims | None = None,
        ineligible: tuple[str, ...] | None = None,
        standings: bytes | None = None,
        concerns: frozenset[str] = frozenset(),
    ) -> None:
        self.own.amend(
            status=status,
            claims=claims,
            ineligible=ineligible,
            standings=standings,
            concerns=concerns,
        )

    def check_pulse(self) -> None:
        """It never stalls."""

    def push_to_all(self) -> None:
        self.pushes += 1

    def on_touch(self, observer: Callable[[], None]) -> None:
        self._touch.append(observer)

    def on_found_down(self, observer: Callable[[], None]) -> None:
        self.roster.on_buried(observer)

    def become(self, *, in_touch: bool, settled: bool) -> None:
        """Change what is known of the quorum, and tell."""
        self.in_touch, self.settled = in_touch, settled
        for observer in self._touch:
            observer()

    def find_down(self) -> None:
        """Learn that all others voted it down."""
        self.roster.accuse("me", self.own.record.incarnation, self.roster.others)
