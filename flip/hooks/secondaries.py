"""How to remove an IPv4 address on Linux without its neighbours in the same subnet.

The first address of a subnet on an interface is the primary one, the others are
its secondaries; the kernel removes them with it, unless promote_secondaries is
set, which systemd does by default and many kernels do not. flip sets it for its
interface. Where it cannot (/proc/sys read-only in a container), every secondary
gets a twin with /32 first, so that it stays reachable while the primary goes and
while it is added again, and the interface never runs out of addresses, which
would cost its routes. All such changes of an interface then take turns.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from flip.hooks.request import Address
from flip.hooks.tool import Tool

CONF = "/proc/sys/net/ipv4/conf"
KEPT_WORDS = ("brd", "scope", "metric", "valid_lft", "preferred_lft")  # with a value
KEPT_FLAGS = ("noprefixroute",)


@contextmanager
def safe_neighbours(address: Address, interface: str) -> Iterator[bool]:
    """Around a change of addresses: yields whether the kernel takes care of the neighbours."""
    if address.version == 6 or address.network.prefixlen == 32 or _promote(interface):
        yield True
        return
    # The hook's own file is a lock that all hooks of this host can open.
    fd = os.open(__file__, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield False
    finally:
        os.close(fd)


def removal(ip: Tool, address: Address, interface: str, promoted: bool) -> list[str]:
    """The commands for ``ip -batch`` that remove an address and nothing else."""
    delete = f"addr del {address} dev {interface}"
    if promoted:
        return [delete]
    subnet = ip.run("-o", "-4", "addr", "show", "dev", interface, "to", str(address.network))
    lines = [line.split() for line in subnet.splitlines()]
    if any(words[3] == str(address) and "secondary" in words for words in lines):
        return [delete]
    # Only those with the same prefix length go with it.
    length = f"/{address.network.prefixlen}"
    secondaries = [words for words in lines if "secondary" in words and words[3].endswith(length)]
    there = {words[3] for words in lines}
    twinless = [words for words in secondaries if _twin(words) not in there]
    return [*_twins("add", twinless), delete, *_added(secondaries), *_twins("del", twinless)]


def _promote(interface: str) -> bool:
    """Set promote_secondaries if it is not; returns whether it is set now."""
    if any(_is_set(f"{CONF}/{name}/promote_secondaries") for name in ("all", interface)):
        return True
    try:
        with open(f"{CONF}/{interface}/promote_secondaries", "w", encoding="ascii") as file:
            file.write("1")
    except OSError:
        return False
    return True


def _is_set(path: str) -> bool:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip() != "0"
    except OSError:
        return False


def _twin(words: list[str]) -> str:
    return words[3].split("/")[0] + "/32"


def _twins(verb: str, secondaries: list[list[str]]) -> Iterator[str]:
    for words in secondaries:
        yield f"addr {verb} {_twin(words)} dev {words[1]}"


def _added(secondaries: list[list[str]]) -> Iterator[str]:
    """Commands that bring secondaries back as they were."""
    for words in secondaries:
        command = ["addr", "add", words[3], "dev", words[1]]
        for name in KEPT_WORDS:
            if name in words:
                value = words[words.index(name) + 1]
                command += [name, value.removesuffix("sec")]
        command += [flag for flag in KEPT_FLAGS if flag in words]
        label = words[words.index("valid_lft") - 1].rstrip("\\")
        if label.startswith(f"{words[1]}:"):
            command += ["label", label]
        yield " ".join(command)
