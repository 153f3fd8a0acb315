"""The messages about addresses and interfaces: <linux/if_addr.h>, <linux/if_link.h>. Pure."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
from typing import NamedTuple

from flip.addresses.kernel import LONGEST_LABEL, PROTOCOL, Address, label_fits
from flip.addresses.messages import (
    ACK,
    CREATE,
    DUMP,
    REPLACE,
    Request,
    attribute,
    attributes,
    text,
    unpack,
)
from flip.errors import AddressError, MalformedMessage

NEW_LINK, DELETE_LINK, GET_LINK, SET_LINK = 16, 17, 18, 19
NEW_ADDRESS, DELETE_ADDRESS, GET_ADDRESS = 20, 21, 22

# The groups to listen to.
LINKS, IPV4_ADDRESSES, IPV6_ADDRESSES = 0x1, 0x10, 0x100

ADDRESS_HEADER = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, interface
LINK_HEADER = struct.Struct("=BxHiII")  # family, kind of hardware, interface, flags, change
CACHE = struct.Struct("=IIII")  # preferred and valid lifetimes, created, changed
NUMBER = struct.Struct("=I")

# Attributes of an address.
PREFIX_ADDRESS, LOCAL_ADDRESS, LABEL, CACHE_INFO, FLAGS, ORIGIN = 1, 2, 3, 6, 8, 11
# Flags of an address.
NO_DUPLICATE_DETECTION, DETECTION_FAILED, TENTATIVE, OPTIMISTIC = 0x02, 0x08, 0x40, 0x04
NO_PREFIX_ROUTE = 0x200
FOR_EVER = 0xFFFFFFFF  # a lifetime
LONGEST_LIFETIME = FOR_EVER - 1  # seconds
UNIVERSE, HOST = 0, 254  # scopes

# Attributes of an interface, and what is nested in them.
HARDWARE_ADDRESS, NAME, PER_FAMILY = 1, 3, 26
DETAIL, NO_STATISTICS = 29, 0x8  # IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS
CONFIGURATION = 1  # IFLA_INET_CONF
PROMOTE_SECONDARIES = 20  # IPV4_DEVCONF_PROMOTE_SECONDARIES
# Flags and kinds of interfaces.
UP, LOOPBACK, RUNNING, NO_ARP = 0x1, 0x8, 0x40, 0x80
ETHERNET = 1

FAMILIES: dict[int, int] = {socket.AF_INET: 4, socket.AF_INET6: 16}  # and the bytes of an address


class AddressNews(NamedTuple):
    """What the kernel says of one address.

    :ivar number: the index of its interface.
    :ivar valid: for how many seconds more it is there; None: for ever.
    :ivar label: the whole label, interface included; empty for IPv6.
    """

    number: int
    ip: str
    prefix: int
    flags: int
    valid: int | None
    label: str
    marked: bool


class LinkNews(NamedTuple):
    """What the kernel says of one interface.

    :ivar name: None where it says nothing about it.
    :ivar promotes: whether IPv4 addresses outlive the first one of their subnet; None: not said.
    """

    number: int
    name: str | None
    mac: bytes | None
    flags: int
    hardware: int
    promotes: bool | None


def new_address(address: Address, number: int, valid: int | None, label: str | None) -> Request:
    """Adds an address to an interface, or gives it a lifetime when it is there.

    :raises AddressError: the kernel has no such address, lifetime or label.
    """
    packed = pack(address.ip)
    lifetime = FOR_EVER if valid is None else valid
    if valid is not None and not 1 <= valid <= LONGEST_LIFETIME:
        raise AddressError(
            f"{address}: a lifetime of {valid} s; it must be 1 to {LONGEST_LIFETIME}.", errno.EINVAL
        )
    preferred, flags = lifetime, 0
    if address.version == 6:
        flags = NO_DUPLICATE_DETECTION
        if address.prefix == 128:
            # Never the source of this host's own packets, and a route to itself is of no use.
            preferred, flags = 0, flags | NO_PREFIX_ROUTE
    parts = [
        _header(address, number),
        attribute(LOCAL_ADDRESS, packed),
        attribute(PREFIX_ADDRESS, packed),
        attribute(FLAGS, NUMBER.pack(flags)),
        attribute(CACHE_INFO, CACHE.pack(preferred, lifetime, 0, 0)),
        attribute(ORIGIN, bytes((PROTOCOL,))),  # kernels before 5.18 skip it
    ]
    if label is not None and address.version == 4:
        if not label_fits(address.interface, label):
            whole = f"{address.interface}:{label}"
            raise AddressError(
                f"{address}: the label {whole!r} must have 1 to {LONGEST_LABEL} bytes.",
                errno.EINVAL,
            )
        parts.append(attribute(LABEL, os.fsencode(f"{address.interface}:{label}") + b"\0"))
    return Request(NEW_ADDRESS, ACK | CREATE | REPLACE, b"".join(parts))


def delete_address(address: Address, number: int) -> Request:
    """Removes an address from an interface, not the same one with another prefix length.

    :raises AddressError: the kernel has no such address.
    """
    packed = pack(address.ip)
    payload = (
        _header(address, number)
        + attribute(LOCAL_ADDRESS, packed)
        + attribute(PREFIX_ADDRESS, packed)
    )
    return Request(DELETE_ADDRESS, ACK, payload)


def promote_secondaries(number: int) -> Request:
    """Lets an interface's other IPv4 addresses stay when the first of their subnet goes."""
    setting = attribute(CONFIGURATION, attribute(PROMOTE_SECONDARIES, NUMBER.pack(1)))
    payload = LINK_HEADER.pack(socket.AF_UNSPEC, 0, number, 0, 0) + attribute(
        PER_FAMILY, attribute(socket.AF_INET, setting)
    )
    return Request(SET_LINK, ACK, payload)


def all_links() -> Request:
    """Lists all interfaces; without their statistics, which are most of it."""
    detail = attribute(DETAIL, NUMBER.pack(NO_STATISTICS))
    return Request(GET_LINK, DUMP, LINK_HEADER.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + detail)


def all_addresses() -> Request:
    """Lists all addresses."""
    return Request(GET_ADDRESS, DUMP, ADDRESS_HEADER.pack(socket.AF_UNSPEC, 0, 0, 0, 0))


def read_address(payload: memoryview) -> AddressNews | None:
    """What a NEW_ADDRESS or DELETE_ADDRESS says; None for a family without IP addresses.

    :raises MalformedMessage: it cannot be read.
    """
    family, prefix, flags, _, number = unpack(ADDRESS_HEADER, payload)
    size = FAMILIES.get(family)
    if size is None:
        return None
    found = attributes(payload[ADDRESS_HEADER.size :])
    # On a point-to-point interface the other attribute is the neighbour's address.
    packed = found.get(LOCAL_ADDRESS) or found.get(PREFIX_ADDRESS)
    if packed is None or len(packed) != size or prefix > 8 * size:
        raise MalformedMessage(f"an address of family {family} with prefix length {prefix}")
    if FLAGS in found:
        (flags,) = unpack(NUMBER, found[FLAGS])
    valid: int | None = None
    if CACHE_INFO in found:
        seconds = unpack(CACHE, found[CACHE_INFO])[1]
        valid = None if seconds == FOR_EVER else seconds
    label = text(found[LABEL]) if LABEL in found else ""
    marked = ORIGIN in found and bytes(found[ORIGIN]) == bytes((PROTOCOL,))
    return AddressNews(number, spelling(family, packed), prefix, flags, valid, label, marked)


def read_link(payload: memoryview) -> LinkNews | None:
    """What a NEW_LINK or DELETE_LINK says; None for news of a bridge's port, say.

    :raises MalformedMessage: it cannot be read.
    """
    family, hardware, number, flags, _ = unpack(LINK_HEADER, payload)
    if family != socket.AF_UNSPEC:
        return None  # "deleted" of the family AF_BRIDGE: from the bridge, not from the host
    found = attributes(payload[LINK_HEADER.size :])
    name = text(found[NAME]) if NAME in found else None
    mac = bytes(found[HARDWARE_ADDRESS]) if HARDWARE_ADDRESS in found else None
    return LinkNews(number, name, mac, flags, hardware, _promotes(found.get(PER_FAMILY)))


def pack(ip: str) -> bytes:
    """The bytes of an address.

    :raises AddressError: it is none.
    """
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in ip else socket.AF_INET, ip)
    except OSError:
        raise AddressError(f"{ip!r} is no address.", errno.EINVAL) from None


def spelling(family: int, packed: bytes | memoryview) -> str:
    """An address as `ipaddress` spells it, at a third of the time that takes."""
    ip = socket.inet_ntop(family, packed)
    if family == socket.AF_INET6 and "." in ip:
        return str(ipaddress.IPv6Address(bytes(packed)))
    return ip


def _header(address: Address, number: int) -> bytes:
    version6 = address.version == 6
    if not 0 <= address.prefix <= (128 if version6 else 32):
        raise AddressError(f"{address}: no such prefix length.", errno.EINVAL)
    scope = HOST if not version6 and address.ip.startswith("127.") else UNIVERSE
    family = socket.AF_INET6 if version6 else socket.AF_INET
    return ADDRESS_HEADER.pack(family, address.prefix, 0, scope, number)


def _promotes(per_family: memoryview | None) -> bool | None:
    """The interface's promote_secondaries, out of its array of settings."""
    if per_family is None:
        return None
    inet = attributes(per_family).get(socket.AF_INET)
    values = attributes(inet).get(CONFIGURATION) if inet is not None else None
    at = (PROMOTE_SECONDARIES - 1) * NUMBER.size
    if values is None or len(values) < at + NUMBER.size:
        return None
    return bool(NUMBER.unpack_from(values, at)[0])
