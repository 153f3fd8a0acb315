"""Exclusive systems: the defaults that depend on other settings, and the rules between them.

docs/exclusive.md says what a lease is and why it must not be shorter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flip.config.address_words import KERNEL_DELAY, SHORTEST_EXCLUSIVE_LEASE, WHOLE_SECOND
from flip.config.parts import Parts, Section
from flip.config.places import Fault, meant, shown
from flip.config.points import ids
from flip.config.settings import TOP, default
from flip.config.vocabulary import EXCLUSIVE_HOOK_TIMEOUT, GUARD_DELAY, MAX_VOTERS, ONE_OWNER, TYPES

MAX_DATUM = 256  # bytes; a question about one data point has to fit the smallest `max_packet`
OWN = ("lease", "voters")  # the settings that no other system has


def hook_timeout(system: Section) -> float:
    """Milliseconds that a hook of a system may take."""
    usual = EXCLUSIVE_HOOK_TIMEOUT if system.get("exclusive") else 10_000
    return float(system.get("hook_timeout", usual))


def lease(top: Section, system: Section) -> float:
    """Milliseconds that a grant of an exclusive system counts."""
    usual = 2 * _ping_timeout(top) + 2 * hook_timeout(system)
    return float(system.get("lease", max(usual, shortest_lease(top, system))))


def shortest_lease(top: Section, system: Section) -> float:
    """Milliseconds that a lease must have: for a probe's silence, `alive`, and `down`.

    A hook that is started in the last moment is killed at its deadline; `down` then has
    its own time, and the guard may be late. Until then a holder must be able to bear
    that the voters are silent for as long as a member may be.

    With a provider the kernel is the guard: it counts whole seconds, and may be late.
    """
    if "provider" in system:
        return max(SHORTEST_EXCLUSIVE_LEASE, _ping_timeout(top) + WHOLE_SECOND + KERNEL_DELAY)
    hook = hook_timeout(system)
    return _ping_timeout(top) + hook + max(hook, GUARD_DELAY)


def voters(servers: Sequence[str], system: Section) -> tuple[str, ...]:
    """Who grants the data points of an exclusive system."""
    return tuple(sorted(system.get("voters", servers)))


def _ping_timeout(top: Section) -> float:
    return float(top.get("ping_timeout", default(TOP, "ping_timeout")))


def faults(parts: Parts) -> Iterator[Fault]:
    """Everything in which exclusive systems are not as they must be."""
    exclusive = []
    for name, system in parts.systems.items():
        path = ("cluster", "system", name)
        if system.get("exclusive"):
            exclusive.append(name)
            yield from _faults(parts, path, system)
        elif (*path, "exclusive") not in parts.lost:
            for setting in OWN:
                if setting in system:
                    message = 'only exclusive systems have it: set "exclusive": true, or remove it'
                    yield Fault((*path, setting), message)
    yield from _quorum(parts, exclusive)


def _faults(parts: Parts, path: tuple[str, str, str], system: Section) -> Iterator[Fault]:
    if TYPES.get(system.get("type", ""), "shard") not in ONE_OWNER:
        message = "an exclusive system has one owner for each data point: expected shard, sharded"
        yield Fault((*path, "type"), f"{message} or failover, not {shown(system['type'])}")
    if system.get("on_isolation") == "hold":
        message = "an exclusive system cannot hold without its voters: expected release, not hold"
        yield Fault((*path, "on_isolation"), message)
    yield from _voters(parts, path, system)
    yield from _lease(parts, path, system)
    for at, id in ids(system):
        size = len(id.encode())
        if size > MAX_DATUM:
            message = f"takes {size} bytes; in an exclusive system at most {MAX_DATUM} fit a packet"
            yield Fault((*path, "data", at), message)


def _voters(parts: Parts, path: tuple[str, str, str], system: Section) -> Iterator[Fault]:
    known, lost = parts.servers, (*path, "voters") in parts.lost
    if "voters" not in system and not lost and len(known) > MAX_VOTERS:
        message = f"missing; with {len(known)} servers, name those that vote, at most {MAX_VOTERS}"
        yield Fault((*path, "voters"), message)
    for at, id in enumerate(system.get("voters", ())):
        if known and id not in known:
            message = f"there is no such server: {shown(id)}{meant(id, known)}"
            yield Fault((*path, "voters", at), message)


def _lease(parts: Parts, path: tuple[str, str, str], system: Section) -> Iterator[Fault]:
    timings = ((*path, "hook_timeout"), (*path, "lease"), ("ping_timeout",))
    if any(timing in parts.lost for timing in timings):
        return
    ping, hook = _ping_timeout(parts.top), hook_timeout(system)
    least, given = shortest_lease(parts.top, system), lease(parts.top, system)
    if given < least:
        terms = f"ping_timeout {ping:g} + hook_timeout {hook:g} + {max(hook, GUARD_DELAY):g}"
        if "provider" in system:
            terms = f"{SHORTEST_EXCLUSIVE_LEASE}, or ping_timeout {ping:g} + {WHOLE_SECOND} of the"
            terms += f" kernel's seconds + {KERNEL_DELAY} of its delay"
        yield Fault((*path, "lease"), f"expected at least {least:g} ({terms}), not {given:g}")


def _quorum(parts: Parts, exclusive: list[str]) -> Iterator[Fault]:
    quorum, count = parts.top.get("quorum"), len(parts.servers)
    if exclusive and quorum is not None and count and 2 * quorum <= count:
        message = f"{quorum} of {count} is no majority, which exclusive systems"
        least = count // 2 + 1
        yield Fault(
            ("quorum",), f"{message} ({', '.join(exclusive)}) need: expected at least {least}"
        )
