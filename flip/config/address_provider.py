"""`"provider": "address"`: data points that are IP addresses, which flip itself puts and announces.

Its settings stand in the system's `config`, where those of hooks stand.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from itertools import accumulate
from typing import Any

from flip.config.address_words import (
    ANNOUNCE,
    CONFIG,
    INTERFACE,
    LONGEST_LABEL,
    NEEDLESS,
    OWN,
    PAUSES,
    SHARED,
    WHOLE_SECOND,
)
from flip.config.fit import fits
from flip.config.parts import Parts, Section
from flip.config.places import Fault, Path, meant, place, shown
from flip.config.points import members_at, written_points
from flip.config.values import Addressing
from flip.config.vocabulary import HOOK

ZONE = 'names an interface: leave out "%" and what follows, and set config.interface'


def addressing(system: Section, config: Mapping[str, Any]) -> Addressing | None:
    """How the addresses of a system that passed every rule are kept; None without the provider.

    :param config: of the system, complete.
    """
    if system.get("provider") != "address":
        return None
    announce = config.get("announce", {})
    defaults = {setting.name: setting.default for setting in ANNOUNCE}
    count, interval, repeat = ((defaults | announce)[name] for name in defaults)
    pauses = (interval / 1000 * PAUSES**power for power in range(int(count) - 1))
    return Addressing(
        kernel_lease=int(config.get("kernel_lease", 0)) // WHOLE_SECOND,
        wait_for_lease=bool(config.get("wait_for_lease")),
        on_conflict=config.get("on_conflict", "take"),
        announcements=(0.0, *accumulate(pauses)),
        repeat=repeat / 1000,
    )


def faults(parts: Parts) -> Iterator[Fault]:
    """Everything in which providers are not as they must be."""
    for name, system in parts.systems.items():
        path: Path = ("cluster", "system", name)
        if path in parts.lost or (*path, "provider") in parts.lost:
            continue
        if "provider" in system:
            yield from _faults(parts, system, path)
            continue
        for event in ("alive", "down"):
            if event not in system and (*path, event) not in parts.lost:
                message = f'missing; expected {HOOK["description"]}, or "provider": "address"'
                yield Fault((*path, event), message)


def _faults(parts: Parts, system: Section, path: Path) -> Iterator[Fault]:
    for setting in NEEDLESS:
        if setting in system:
            yield Fault((*path, setting), 'a system with "provider" runs no hooks: remove it')
    common = parts.cluster.get("config", {})
    places = {key: ("cluster", "config", key) for key in common}
    shared = system.get("config", {})
    places |= {key: (*path, "config", key) for key in shared}
    yield from _strange(shared, (*path, "config"))
    config = {**common, **shared}
    wrong = [*_misfits(config, places)]
    yield from wrong
    if not wrong:
        yield from _lease(system, config, path)
    yield from _data(system, config, places, path)


def _strange(config: Section, path: Path) -> Iterator[Fault]:
    known = [setting.name for setting in CONFIG]
    for key in config:
        if key not in known:
            yield Fault((*path, key), f"there is no such setting{meant(key, known)}")


def _misfits(config: Section, places: Mapping[str, Path]) -> Iterator[Fault]:
    for setting in CONFIG:
        if setting.name in config and not fits(config[setting.name], setting.schema):
            found, expected = shown(config[setting.name]), setting.schema["description"]
            yield Fault(places[setting.name], f"expected {expected}, not {found}")


def _lease(system: Section, config: Section, path: Path) -> Iterator[Fault]:
    lease = config.get("kernel_lease", False)
    where = (*path, "config", "kernel_lease")
    if lease and system.get("exclusive"):
        message = "the addresses of an exclusive system end with its `lease`: remove it"
        yield Fault(where, message)
    elif lease % WHOLE_SECOND:
        yield Fault(
            where, f"the kernel counts whole seconds: expected a multiple of 1000, not {lease}"
        )
    if config.get("wait_for_lease"):
        where = (*path, "config", "wait_for_lease")
        if system.get("exclusive"):
            yield Fault(where, "an exclusive system waits for the voters' grants: remove it")
        elif not lease:
            message = "nothing ends by itself that could be waited for: set kernel_lease too"
            yield Fault(where, message)


def _data(
    system: Section, config: Section, places: Mapping[str, Path], path: Path
) -> Iterator[Fault]:
    first: dict[str, Path] = {}
    own = {setting.name for setting in OWN}
    lacking = False
    for at, written in written_points(system):
        special = written.get("config", {}) if isinstance(written, Mapping) else {}
        here = (*path, "data", at, "config")
        for key in special:
            if key in {setting.name for setting in SHARED}:
                message = "a data point has interface, prefix and label of its own, nothing else"
                yield Fault((*here, key), f"{message}: set it in the system's config")
        yield from _strange(special, here)
        wrong = [*_misfits({key: special[key] for key in special if key in own}, _under(here, own))]
        yield from wrong
        complete = {**config, **special}
        if "interface" not in complete and not lacking:
            lacking = True
            message = f"missing; expected {INTERFACE['description']}"
            yield Fault((*path, "config", "interface"), message)
        elif not wrong and ("label" in special or "interface" in special or at == 0):
            yield from _label(complete, here if special else (*path, "config"))
        for where, member in members_at(written):
            yield from _member(member, complete, (*path, "data", at, *where), first)


def _under(path: Path, names: set[str]) -> dict[str, Path]:
    return {name: (*path, name) for name in names}


def _label(config: Section, path: Path) -> Iterator[Fault]:
    interface, label = config.get("interface"), config.get("label")
    if not isinstance(interface, str) or not isinstance(label, str):
        return
    if not label_fits(interface, label):
        size = len(os.fsencode(f"{interface}:{label}"))
        message = f"{shown(f'{interface}:{label}')} takes {size} bytes; Linux has {LONGEST_LABEL}"
        yield Fault((*path, "label"), message)


def _member(text: str, config: Section, path: Path, first: dict[str, Path]) -> Iterator[Fault]:
    try:
        address = ip_interface(text)
    except ValueError:
        message = f"expected an IPv4 or IPv6 address, with this provider, not {shown(text)}"
        yield Fault(path, message)
        return
    reason = ZONE if "%" in text else _unusable(address)
    if reason:
        yield Fault(path, f"{shown(text)} {reason}")
        return
    prefix, longest = config.get("prefix"), address.max_prefixlen
    if "/" not in text and isinstance(prefix, int) and prefix > longest:
        message = f"the prefix {prefix} is longer than an address of IPv{address.version}"
        yield Fault(path, f'{message}: write "{text}/{longest}"')
    if first.setdefault(str(address.ip), path) != path:
        yield Fault(path, f"{shown(text)} is in {place(first[str(address.ip)])} already")


def _unusable(address: IPv4Interface | IPv6Interface) -> str | None:
    """Why an interface cannot have an address."""
    ip = address.ip
    if ip.is_multicast or ip.is_unspecified or str(ip) == "255.255.255.255":
        return "is no address of one host"
    if isinstance(address, IPv6Interface) and address.ip.ipv4_mapped is not None:
        return f'is IPv4 inside IPv6; write "{address.ip.ipv4_mapped}"'
    return None


def label_fits(interface: str, label: str) -> bool:
    """Whether Linux can have this label on this interface."""
    return len(os.fsencode(f"{interface}:{label}")) <= LONGEST_LABEL
