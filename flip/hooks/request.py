"""What a hook is asked to do: an address from the datum, an interface from the config."""

from __future__ import annotations

import ipaddress
import json

from flip.hooks.failure import REFUSED, Failure

Address = ipaddress.IPv4Interface | ipaddress.IPv6Interface


def read_request(arguments: list[str]) -> tuple[Address, str]:
    """The address, /32 or /128 without a prefix length, and the interface.

    :param arguments: the datum and the config as JSON.
    :raises Failure: one of them is wrong.
    """
    if len(arguments) != 2:
        raise Failure(f"expected an address and a config, got {len(arguments)} arguments", REFUSED)
    return read_address(arguments[0]), read_interface(arguments[1])


def read_address(datum: str) -> Address:
    """:raises Failure: the datum is no address that a host can have."""
    try:
        if "%" in datum:
            raise ValueError("the interface belongs into the system's config, not behind a '%'")
        address = ipaddress.ip_interface(datum)
        if address.ip.is_multicast or address.ip.is_unspecified:
            raise ValueError("no host can have it")
    except ValueError as error:
        raise Failure(
            f"the datum {datum!r} is no address like 192.0.2.1 or 2001:db8::1/64: {error}", REFUSED
        ) from None
    return address


def read_interface(config: str) -> str:
    """:raises Failure: the config does not name an interface."""
    try:
        values = json.loads(config)
    except ValueError as error:
        raise Failure(f"the config is no JSON ({error}): {config!r}", REFUSED) from None
    name = values.get("interface") if isinstance(values, dict) else None
    if name is None:
        raise Failure(
            'the config lacks "interface": set it in the system\'s config or in cluster.config',
            REFUSED,
        )
    if not isinstance(name, str) or not name or name[0] == "-" or not name.isprintable():
        raise Failure(f'the config\'s "interface" is no name of an interface: {name!r}', REFUSED)
    if "/" in name or " " in name:
        raise Failure(f'the config\'s "interface" holds a slash or a blank: {name!r}', REFUSED)
    return name
