"""What is allowed, and probably not meant: the warnings."""

from __future__ import annotations

import math
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from flip.config.addresses import normal
from flip.config.fit import is_address
from flip.config.places import Fault, Path, place, shown
from flip.config.values import Config, Problem, System
from flip.config.vocabulary import ONE_OWNER

SHORT_KEY = 16  # characters; 32 bytes in base64 have 44
RECORD_SIZE = 200  # bytes of a packet with one record, without the five ids and the systems
SHORT_HOOK = 0.1  # seconds; Python alone takes 0.02
SHORT_PING = 0.01  # seconds; a probe is six pings


@dataclass(frozen=True, slots=True)
class Host:
    """What the rules see of this host.

    :ivar interfaces: the names of its network interfaces.
    :ivar mode: the permission bits of the configuration file.
    """

    interfaces: Collection[str]
    mode: int


Doubt = Callable[[Config, Host], Iterator[Fault]]


def warnings(config: Config, host: Host) -> tuple[Problem, ...]:
    """Everything that an operator should think about once more."""
    return tuple(fault.problem for doubt in DOUBTS for fault in doubt(config, host))


def quorum(config: Config, host: Host) -> Iterator[Fault]:
    count, needed = len(config.servers), config.quorum
    if count == 1:
        yield Fault(("servers",), "there is one server only: when it is down, so is everything")
    elif needed == count and config.witness is None:
        cure = "add an arbiter, a third server without systems, or a witness that both can ping"
        if count > 2:
            cure = f"lower the quorum to {count // 2 + 1}, a majority"
        message = f"{needed} of {count} can never be reached when one server is down, so nothing"
        yield Fault(("quorum",), f"{message} would be taken over: {cure}")
    elif 2 * needed <= count:
        message = f"{needed} of {count} is no majority: the two halves of a partition would both"
        yield Fault(
            ("quorum",), f"{message} take everything over (split brain); use {count // 2 + 1}"
        )


def witness(config: Config, host: Host) -> Iterator[Fault]:
    count, enough = len(config.servers), config.quorum - 1
    if config.witness is None:
        return
    if count == 1:
        yield Fault(("witness",), "a single server agrees with itself: it needs no witness")
    elif count > 2 and 2 * enough <= count:
        message = f"with it {enough} of {count} are enough: if the cluster is cut in two, and both"
        cure = "remove it: an odd number needs none"
        if count % 2 == 0:
            cure = "an arbiter, one more server without systems, does better"
        message = f"{message} sides reach it, both take everything over (split brain); {cure}"
        yield Fault(("witness",), message)


def voters(config: Config, host: Host) -> Iterator[Fault]:
    for name, system in config.systems.items():
        count = len(system.voters)
        if system.exclusive and count % 2 == 0:
            bears = "the loss of none" if count == 2 else f"no more losses than {count - 1}"
            message = f"an even number of voters, {count}, bears {bears}: make it {count + 1}"
            yield Fault(("cluster", "system", name, "voters"), message)


def key(config: Config, host: Host) -> Iterator[Fault]:
    short = [number for number, key in enumerate(config.keys) if len(key) < SHORT_KEY]
    for number in short:
        path = ("key",) if len(config.keys) == 1 else ("key", number)
        message = f"a short key can be guessed: take one of {SHORT_KEY} characters or more"
        yield Fault(path, f"{message}, best from flip keygen")
    if not short and host.mode & stat.S_IROTH:
        message = f"every user of this host can read it: chmod o-r {config.path}"
        yield Fault(("key",), message)


def interfaces(config: Config, host: Host) -> Iterator[Fault]:
    for name in config.me.systems:
        system = config.systems[name]
        path: Path = ("cluster", "system", name)
        places: list[tuple[Mapping[str, Any], Path]] = [(system.config, path)]
        places += [
            (system.special[id].config, (*path, "data", at))
            for at, id in enumerate(system.data)
            if id in system.special
        ]
        told: set[str] = set()
        for settings, where in places:
            interface = settings.get("interface")
            if isinstance(interface, str) and interface not in (*host.interfaces, *told):
                told.add(interface)
                known = ", ".join(host.interfaces) or "none"
                message = f"this host has no interface {shown(interface)}; it has {known}"
                if system.provider is not None:
                    message += ". Until it appears this node gets nothing of the system"
                yield Fault((*where, "config", "interface"), message)


def loopback(config: Config, host: Host) -> Iterator[Fault]:
    inside = [id for id, server in config.servers.items() if ip_address(server.ip).is_loopback]
    if inside and len(inside) < len(config.servers):
        for id in inside:
            message = f"{config.servers[id].ip} is this host itself: servers elsewhere cannot"
            yield Fault(("servers", id, "ip"), f"{message} reach it")


def lone_servers(config: Config, host: Host) -> Iterator[Fault]:
    if not config.systems:
        yield Fault(("cluster", "system"), "there is no system: this cluster holds nothing")
    if len(config.servers) == 1:
        return
    for name, system in config.systems.items():
        servers = config.servers_of(name)
        if system.type in ONE_OWNER and len(servers) == 1:
            message = f"only {servers[0]} lists it: nobody takes over when that is down"
            yield Fault(("cluster", "system", name), message)


def data(config: Config, host: Host) -> Iterator[Fault]:
    own = {server.ip: id for id, server in config.servers.items()}
    holders: dict[str, str] = {}
    for name, system in config.systems.items():
        for at, datum in _members(system):
            path = ("cluster", "system", name, "data", at)
            if not datum.strip() or datum != datum.strip():
                yield Fault(path, f"{shown(datum)} is empty, or begins or ends with a blank")
                continue
            address = _normal(datum)
            if address in own and is_address(address):
                server = place(("servers", own[address], "ip"))
                message = f"{datum} is {server} too, and would be taken away from that server"
                yield Fault(path, message)
            if holders.setdefault(address, name) != name and is_address(address):
                other = place(("cluster", "system", holders[address]))
                message = f"{datum} is in {other} too: two servers could have the same address"
                yield Fault(path, message)


def groups(config: Config, host: Host) -> Iterator[Fault]:
    for name, system in config.systems.items():
        place = ("cluster", "system", name, "data")
        for at, id in enumerate(system.data if system.special else ()):
            point = system.special.get(id)
            count = 1 if point is None else len(point.members)
            each = system.hook_timeout / count
            if count > 1 and each < SHORT_HOOK and system.provider is None:
                message = f"each of the {count} hooks of {id} has {each * 1000:.0f} ms"
                yield Fault((*place, at), f"{message} of hook_timeout: raise that")


def preferences(config: Config, host: Host) -> Iterator[Fault]:
    for name, system in config.systems.items():
        found = Counter(point.prefer for point in system.special.values() if point.prefer)
        weights = {id: config.servers[id].weight for id in config.servers_of(name)}
        for id, count in found.items():
            share = math.ceil(len(system.data) * weights[id] / sum(weights.values()))
            if count > share:
                message = f"{count} data points prefer {id}, whose fair share of"
                message += f" {len(system.data)} is {share}: it has {count} of them"
                yield Fault(("cluster", "system", name, "data"), message)


def _members(system: System) -> Iterator[tuple[int, str]]:
    """What hooks are run for, and the place of the data point that it belongs to."""
    for at, id in enumerate(system.data):
        point = system.special.get(id)
        for member in (id,) if point is None else point.members:
            yield at, member


def _normal(datum: str) -> str:
    """The address that a data point is, if it is one, with or without a prefix length."""
    text = datum.partition("/")[0]
    # IPv4 has one form only, so that 100,000 of them need no parsing.
    return normal(text) if ":" in text and is_address(text) else text


def timing(config: Config, host: Host) -> Iterator[Fault]:
    each = config.ping_timeout / 6
    if each < SHORT_PING:
        message = f"each of the six pings of a probe has {each * 1000:.1f} ms"
        yield Fault(("ping_timeout",), f"{message}: a busy host is easily late")


def heads(config: Config, host: Host) -> Iterator[Fault]:
    """A member's record must fit a datagram also when it can take nothing of any system."""
    id = max(len(id.encode()) for id in config.servers)
    names = max(
        sum(len(name.encode()) + 2 for name in server.systems) for server in config.servers.values()
    )
    needed = RECORD_SIZE + 5 * id + names
    if needed > config.max_packet:
        message = f"the names of a server's systems need up to {needed} bytes of a packet; set it"
        yield Fault(("max_packet",), f"{message} so high, or news of failed hooks comes late")


DOUBTS: tuple[Doubt, ...] = (
    quorum,
    witness,
    voters,
    key,
    interfaces,
    loopback,
    lone_servers,
    data,
    groups,
    preferences,
    timing,
    heads,
)
