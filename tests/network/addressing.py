"""The address layer in a namespace of its own; run there as a program.

``python addressing.py [CAPABILITY...]`` starts a `LinuxKernel`; with capabilities it first
becomes the user nobody, who has just these. It reads lines of JSON from its standard input,
``[VERB, ARGUMENT...]``, and answers each with a line: ``["done", RESULT]`` or ``["failed", TEXT]``.
What its observer hears comes in between as ``["heard", WHAT, TEXT, SECONDS]``, in seconds of
the monotonic clock.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.stdio import StandardIO
from twisted.internet.task import react
from twisted.protocols.basic import LineOnlyReceiver

from flip.addresses.capabilities import missing
from flip.addresses.kernel import Address, Assigned, Link, Put, Remove
from flip.addresses.linux import LinuxKernel
from flip.errors import AddressError

NOBODY = 65534
PR_SET_KEEPCAPS = 8
CAPABILITY_VERSION_3 = 0x20080522
BITS = {"net_admin": 1 << 12, "net_raw": 1 << 13}
ETH_P_ALL = 3


def become_nobody(capabilities: list[str]) -> None:
    """Keep these capabilities and nothing else of root."""
    missing()  # what Python imports for it, nobody may not be allowed to read
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    bits = sum(BITS[name] for name in capabilities if name in BITS)
    header = struct.pack("=Ii", CAPABILITY_VERSION_3, 0)
    if libc.capset(header, struct.pack("=6I", bits, bits, 0, 0, 0, 0)):
        raise OSError(ctypes.get_errno(), "capset")


def texts(errors: Sequence[AddressError | None]) -> list[str | None]:
    """What is wrong with each change, or None."""
    return [str(error) if error else None for error in errors]


class Session(LineOnlyReceiver):
    """Does what it is told, one line after another; also the observer."""

    delimiter = b"\n"

    def __init__(self, reactor: Any) -> None:
        self.kernel = LinuxKernel(reactor)
        self.kernel.observe(self)
        self.ended: Deferred[None] = Deferred()
        self._capture: socket.socket | None = None

    def lineReceived(self, line: bytes) -> None:
        verb, *arguments = json.loads(line)
        done = Deferred.fromCoroutine(getattr(self, f"do_{verb}")(*arguments))
        done.addCallbacks(
            lambda result: self.say("done", result),
            lambda failure: self.say("failed", str(failure.value)),
        )

    def connectionLost(self, reason: Any = None) -> None:
        self.ended.callback(None)

    def say(self, *words: object) -> None:
        assert self.transport is not None
        self.transport.write(json.dumps(words).encode() + b"\n")

    def appeared(self, address: Address, assigned: Assigned) -> None:
        self.say("heard", "appeared", str(address), time.monotonic())

    def vanished(self, address: Address) -> None:
        self.say("heard", "vanished", str(address), time.monotonic())

    def link_changed(self, name: str, link: Link | None) -> None:
        state = "gone" if link is None else "up" if link.up else "down"
        self.say("heard", state, name, time.monotonic())

    async def do_start(self) -> None:
        await self.kernel.start()

    async def do_put(
        self, addresses: list[list[Any]], valid: int | None = None, label: str | None = None
    ) -> list[str | None]:
        changes = [Put(Address(*address), valid, label) for address in addresses]
        return texts(await self.kernel.apply(changes))

    async def do_remove(self, addresses: list[list[Any]]) -> list[str | None]:
        changes = [Remove(Address(*address)) for address in addresses]
        return texts(await self.kernel.apply(changes))

    async def do_addresses(self) -> dict[str, Any]:
        now = time.monotonic()
        return {
            str(address): [assigned.until and assigned.until - now, *assigned[1:]]
            for address, assigned in self.kernel.addresses().items()
        }

    async def do_links(self) -> dict[str, Any]:
        return {link.name: [link.up, link.announces] for link in self.kernel.links().values()}

    async def do_announce(self, addresses: list[list[Any]]) -> None:
        await self.kernel.announce([Address(*address) for address in addresses])

    async def do_probe(self, address: list[Any]) -> str | None:
        return await self.kernel.probe(Address(*address))

    async def do_stand_still(self, seconds: float) -> None:
        time.sleep(seconds)

    async def do_capture(self, interface: str) -> None:
        self._capture = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._capture.bind((interface, ETH_P_ALL))
        self._capture.setblocking(False)

    async def do_captured(self) -> list[str]:
        assert self._capture is not None
        frames = []
        while True:
            try:
                frames.append(self._capture.recv(2048).hex())
            except BlockingIOError:
                return frames


async def serve(reactor: Any) -> None:
    """Serve until the standard input ends."""
    reactor.seconds = time.monotonic
    session = Session(reactor)
    StandardIO(session, reactor=reactor)
    session.say("ready")
    await session.ended


if __name__ == "__main__":
    if sys.argv[1:]:
        become_nobody(sys.argv[1:])
    react(lambda reactor: Deferred.fromCoroutine(serve(reactor)))
