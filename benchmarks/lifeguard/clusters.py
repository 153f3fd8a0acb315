"""Clusters that the experiment can freeze members of, each on virtual time."""

from __future__ import annotations

import enum
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from benchmarks.lifeguard.member import Member
from benchmarks.lifeguard.settings import Settings
from benchmarks.lifeguard.view import Standing
from flip.membership.roster import State
from flip.simulation.clock import Agenda, Clock
from flip.simulation.machine import Machine
from flip.simulation.network import Network
from flip.simulation.observer import Observer
from flip.simulation.reactor import BACKLOG, VirtualReactor
from flip.simulation.world import World

PORT = 2200


class Belief(enum.Enum):
    """What one member believes of another one, in every detector's words."""

    ALIVE = "alive"
    SUSPECT = "suspect"  # probably_down in flip
    DOWN = "down"  # dead in memberlist


class Verdict(NamedTuple):
    """One member changed its belief about another one."""

    at: float
    observer: str
    subject: str
    belief: Belief


class Traffic(NamedTuple):
    """What all members have sent.

    :ivar octets: bytes of datagrams and of streams, without the headers of UDP, TCP and IP.
    """

    datagrams: int
    octets: int


class Cluster(Protocol):
    """Members on a virtual clock.

    :ivar verdicts: every change of a belief so far.
    """

    verdicts: list[Verdict]

    @property
    def now(self) -> float:
        """Seconds since the cluster was made."""

    @property
    def ids(self) -> Sequence[str]:
        """The members."""

    def start(self) -> None:
        """Start all members; each knows all others."""

    def run(self, seconds: float) -> None:
        """Let time pass."""

    def stop(self, id: str) -> None:
        """Let a member stand still: whatever arrives for it waits."""

    def resume(self, id: str) -> None:
        """Let a member go on."""

    def traffic(self) -> Traffic:
        """What was sent so far."""

    def close(self) -> None:
        """Leave nothing behind."""


def addresses(members: int) -> dict[str, tuple[str, int]]:
    """Names and addresses of so many members."""
    return {f"n{n}": (f"10.0.{n // 250}.{n % 250 + 1}", PORT) for n in range(members)}


class FlipCluster(Observer):
    """flip's real nodes, without data to take care of.

    :param settings: top-level settings of the configuration file.
    """

    def __init__(self, members: int, settings: Mapping[str, Any], seed: int) -> None:
        servers = {id: {"ip": ip, "port": port} for id, (ip, port) in addresses(members).items()}
        description = {"key": "secret", "servers": servers, "cluster": {"config": {}, "system": {}}}
        self._world = World(description | dict(settings), seed)
        self.verdicts: list[Verdict] = []
        self._world.observe(self)

    @property
    def now(self) -> float:
        """The world's clock."""
        return self._world.now

    @property
    def ids(self) -> Sequence[str]:
        return tuple(self._world.machines)

    def start(self) -> None:
        self._world.start_acquainted()

    def run(self, seconds: float) -> None:
        self._world.run(seconds)

    def stop(self, id: str) -> None:
        self._world[id].freeze()

    def resume(self, id: str) -> None:
        self._world[id].thaw()

    def traffic(self) -> Traffic:
        return _sent(self._world.network)

    def close(self) -> None:
        self._world.close()

    def member_changed(self, machine: Machine, member: str, before: State, after: State) -> None:
        belief = {State.DOWN: Belief.DOWN, State.PROBABLY_DOWN: Belief.SUSPECT}.get(
            after, Belief.ALIVE
        )
        self.verdicts.append(Verdict(self.now, machine.id, member, belief))


class SwimCluster:
    """Members of memberlist's kind, on the same network and the same event loops.

    :param blocked: whether a member that is stopped is only blocked when it has
        sent or received something, as in the paper, while its timers go on;
        otherwise nothing of it goes on.
    """

    def __init__(self, members: int, settings: Settings, seed: int, *, blocked: bool) -> None:
        self.verdicts: list[Verdict] = []
        self._blocked = blocked
        self._rng = random.Random(seed)
        self._agenda = Agenda()
        self._network = Network(self._agenda.after, random.Random(f"{seed} network"))
        known = addresses(members)
        self._reactors = {
            id: _Reactor(address[0], self._network, self._agenda, Clock(self._agenda))
            for id, address in known.items()
        }
        self._members = {
            id: Member(
                id,
                known,
                self._reactors[id],
                random.Random(self._rng.getrandbits(64)),
                settings,
                self._recorder(id),
            )
            for id in known
        }

    @property
    def now(self) -> float:
        return self._agenda.now

    @property
    def ids(self) -> Sequence[str]:
        return tuple(self._members)

    def start(self) -> None:
        for member in self._members.values():
            member.start()

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._agenda.step(end):
            pass
        self._agenda.now = end

    def stop(self, id: str) -> None:
        reactor = self._reactors[id]
        if self._blocked:
            reactor.deaf = True
            self._members[id].block()
        else:
            reactor.freeze()

    def resume(self, id: str) -> None:
        # Which of a member's threads runs first when it goes on, is chance.
        reactor, member = self._reactors[id], self._members[id]
        sockets_first = self._rng.random() < 0.5
        if not self._blocked:
            reactor.thaw(sockets_first=sockets_first)
        elif sockets_first:
            reactor.hear()
            member.unblock()
        else:
            member.unblock()
            reactor.hear()

    def traffic(self) -> Traffic:
        return _sent(self._network)

    def close(self) -> None:
        for reactor in self._reactors.values():
            reactor.die()

    def _recorder(self, observer: str) -> Callable[[str, Standing, Standing], None]:
        beliefs = {
            Standing.ALIVE: Belief.ALIVE,
            Standing.SUSPECT: Belief.SUSPECT,
            Standing.DEAD: Belief.DOWN,
        }

        def changed(subject: str, before: Standing, after: Standing) -> None:
            self.verdicts.append(Verdict(self.now, observer, subject, beliefs[after]))

        return changed


class _Reactor(VirtualReactor):
    """A member's event loop.

    :ivar deaf: whether what arrives waits while timers go on.
    """

    def __init__(self, address: str, network: Network, agenda: Agenda, clock: Clock) -> None:
        super().__init__(address, network, agenda, clock)
        self.deaf = False
        self._unheard: list[Callable[[], object]] = []

    def hear(self) -> None:
        """Read all that has arrived."""
        self.deaf = False
        unheard, self._unheard = self._unheard, []
        for arrival in unheard:
            arrival()

    def receive(self, arrival: Callable[[], object]) -> bool:
        if not self.deaf:
            return super().receive(arrival)
        if len(self._unheard) < BACKLOG:
            self._unheard.append(arrival)
        return False

    def deliver(self, arrival: Callable[[], object]) -> None:
        if self.deaf:
            self._unheard.append(arrival)
        else:
            super().deliver(arrival)


def _sent(network: Network) -> Traffic:
    return Traffic(network.sent.total(), network.sent_bytes.total())
