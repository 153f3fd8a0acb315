"""Data points: the three ways to write one, and the rules between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flip.config.parts import Parts, Section, listed
from flip.config.places import Fault, meant, place, shown
from flip.config.places import Path as Place
from flip.config.values import Point
from flip.config.vocabulary import TYPES

Written = str | list[str] | Section


def id_of(written: Written) -> str:
    """What a data point is called.

    A list goes by its first member: no other data point can have that, and it stays the
    same when the group grows, so that nodes which know the group as it was, and those
    which know only its first member, mean the same.

    :raises KeyError: an object without an id.
    """
    if isinstance(written, str):
        return written
    if isinstance(written, list):
        return written[0]
    id: str = written["id"]
    return id


def members_of(written: Written) -> tuple[str, ...]:
    """What its hooks are run for, in order; KeyError as with `id_of`."""
    if isinstance(written, str):
        return (written,)
    if isinstance(written, list):
        return tuple(written)
    return tuple(written["members"]) if "members" in written else (written["id"],)


def special(data: Iterable[Written], config: Mapping[str, Any]) -> dict[str, Point]:
    """The data points that are more than a text, by id.

    :param config: the system's, complete.
    """
    found: dict[str, Point] = {}
    for written in data:
        if isinstance(written, str):
            continue
        own = {} if isinstance(written, list) else written
        id = id_of(written)
        found[id] = Point(
            id, members_of(written), own.get("prefer"), {**config, **own.get("config", {})}
        )
    return found


def ids(system: Section) -> Iterator[tuple[int, str]]:
    """The ids of a system's data points, and where each is in the list."""
    for at, written in written_points(system):
        yield at, id_of(written)


def faults(parts: Parts) -> Iterator[Fault]:
    """Everything in which data points do not agree, with one another and with the servers."""
    for name, system in parts.systems.items():
        if all(isinstance(written, str) for written in system.get("data", ())):
            continue  # the schema wants each once, and 100,000 of them are no more to look at
        path: Place = ("cluster", "system", name)
        data = [*written_points(system)]
        yield from _members(data, (*path, "data"))
        yield from _ids(data, (*path, "data"))
        yield from _preferences(parts, name, data, (*path, "data"))


def written_points(system: Section) -> Iterator[tuple[int, Written]]:
    """The data points that lack nothing, and where each is in the list."""
    for at, written in enumerate(system.get("data", ())):
        if isinstance(written, str) or (isinstance(written, list) and written) or "id" in written:
            yield at, written


def _members(data: Iterable[tuple[int, Written]], path: Place) -> Iterator[Fault]:
    first: dict[str, Place] = {}
    for at, written in data:
        for where, member in members_at(written):
            here = (*path, at, *where)
            before = first.setdefault(member, here)
            # Texts that stand twice in one list are the schema's to find.
            if before is not here and before[:-1] != here[:-1]:
                yield Fault(here, f"{shown(member)} is in {place(before)} already")


def members_at(written: Written) -> Iterator[tuple[Place, str]]:
    """Each member, and where it is written."""
    if isinstance(written, str):
        yield (), written
    elif isinstance(written, list):
        yield from (((at,), member) for at, member in enumerate(written))
    elif "members" in written:
        yield from ((("members", at), member) for at, member in enumerate(written["members"]))
    else:
        yield ("id",), written["id"]


def _ids(data: list[tuple[int, Written]], path: Place) -> Iterator[Fault]:
    """An id names one data point and nothing else: it is what people type."""
    owners: dict[str, int] = {}
    for at, written in data:
        for member in members_of(written):
            owners.setdefault(member, at)
    for at, written in data:
        if isinstance(written, str | list) or "members" not in written:
            continue  # it goes by a member of its own, which nobody else may have
        id = written["id"]
        if owners.setdefault(id, at) != at:
            other = place((*path, owners[id]))
            yield Fault((*path, at, "id"), f"{shown(id)} is in {other} too: take another name")


def _preferences(
    parts: Parts, name: str, data: Iterable[tuple[int, Written]], path: Place
) -> Iterator[Fault]:
    type = parts.systems[name].get("type")
    for at, written in data:
        if isinstance(written, str | list) or "prefer" not in written:
            continue
        id, here = written["prefer"], (*path, at, "prefer")
        if type is not None and TYPES[type] != "shard":
            yield Fault(here, f"only data that is divided has it: the system's type is {type}")
        elif parts.servers and id not in parts.servers:
            yield Fault(here, f"there is no such server: {shown(id)}{meant(id, parts.servers)}")
        elif parts.knows_lists and name not in listed(parts.servers.get(id, {})):
            message = f"{shown(id)} does not list the system {shown(name)}: add it to its systems"
            yield Fault(here, f"{message}, or prefer a server that does")
