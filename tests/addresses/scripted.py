"""A kernel that answers on fake sockets, by a script of faults; and a node's end of it.

It reads requests and writes answers with `struct` alone, so that a mistake in flip's own codec
cannot hide in it.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock

from flip.addresses.kernel import Address, Assigned, Link
from flip.addresses.linux import LinuxKernel
from flip.addresses.sockets import ICMPV6_FILTER, SO_ATTACH_FILTER

HEADER = struct.Struct("=IHHII")
UP, RUNNING, LOOPBACK, NO_ARP = 0x1, 0x40, 0x8, 0x80
NEW_LINK, DELETE_LINK, GET_LINK, SET_LINK = 16, 17, 18, 19
NEW_ADDRESS, DELETE_ADDRESS, GET_ADDRESS = 20, 21, 22
ERROR, DONE, MULTIPART = 2, 3, 2
LINKS, ADDRESSES4, ADDRESSES6 = 0x1, 0x10, 0x100
FOR_EVER = 0xFFFFFFFF
T = TypeVar("T")
MACS = {"eth0": bytes.fromhex("020000000001"), "eth1": bytes.fromhex("020000000002")}


def padded(data: bytes) -> bytes:
    """Filled up to a multiple of 4."""
    return data + bytes(-len(data) % 4)


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute."""
    return padded(struct.pack("=HH", 4 + len(value), kind) + value)


def message(kind: int, payload: bytes, sequence: int = 0, flags: int = 0) -> bytes:
    """One message."""
    return HEADER.pack(16 + len(payload), kind, flags, sequence, 0) + padded(payload)


def parse(attributes: bytes) -> dict[int, bytes]:
    """Attributes by kind."""
    found = {}
    while attributes:
        length, kind = struct.unpack_from("=HH", attributes)
        found[kind] = attributes[4:length]
        attributes = attributes[length + -length % 4 :]
    return found


class Entry(NamedTuple):
    """An address in the kernel."""

    valid: int = FOR_EVER
    preferred: int = FOR_EVER
    flags: int = 0
    label: bytes = b""
    protocol: int = 0


PERMANENT = Entry()


class Interface(NamedTuple):
    """An interface in the kernel."""

    name: str
    flags: int = UP | RUNNING
    hardware: int = 1
    mac: bytes = b"\2\0\0\0\0\1"
    promotes: bool = True


Place = tuple[int, bytes, int]  # an interface's number, an address, its prefix length


class FakeSocket:
    """One socket; what it receives waits in `queue`.

    :ivar sent: what was sent.
    :ivar refusals: errors that the next sends raise, one each.
    """

    def __init__(self, number: int, sent_to: Callable[[FakeSocket, bytes], None]) -> None:
        self.queue: deque[tuple[bytes, Any] | OSError] = deque()
        self.sent: list[bytes] = []
        self.refusals: deque[OSError] = deque()
        self.options: list[tuple[int, int, Any]] = []
        self.closed = False
        self._number = number
        self._sent_to = sent_to

    def fileno(self) -> int:
        return self._number

    def close(self) -> None:
        self.closed = True

    def send(self, data: bytes, /) -> int:
        assert not self.closed, "sent on a closed socket"
        if self.refusals:
            raise self.refusals.popleft()
        self.sent.append(data)
        self._sent_to(self, data)
        return len(data)

    def sendto(self, data: bytes, address: Any, /) -> int:
        return self.send(address[0].encode() + b"|" + data)

    def recvfrom_into(self, buffer: Any, nbytes: int, flags: int, /) -> tuple[int, Any]:
        data, sender = self._next()
        kept = data[:nbytes]
        buffer[: len(kept)] = kept
        return len(data), sender

    def recvmsg(self, size: int, ancillary: int, /) -> tuple[bytes, list[Any], int, Any]:
        data, sender = self._next()
        return data[:size], *sender

    def setsockopt(self, level: int, option: int, value: Any, /) -> None:
        self.options.append((level, option, value))

    @property
    def listening(self) -> bool:
        """Whether the last filter lets something through."""
        filters = [
            v for _, option, v in self.options if option in (SO_ATTACH_FILTER, ICMPV6_FILTER)
        ]
        if not filters:
            return False  # `Sockets` opens them so
        if len(filters[-1]) == 32:
            return bool(filters[-1] != b"\xff" * 32)
        return bool(struct.unpack_from("@H", filters[-1])[0] > 1)

    def _next(self) -> tuple[bytes, Any]:
        assert not self.closed, "read from a closed socket"
        if not self.queue:
            raise BlockingIOError(errno.EAGAIN, "nothing")
        item = self.queue.popleft()
        if isinstance(item, OSError):
            raise item
        return item


class ScriptedKernel:
    """Opens fake sockets, and answers what is sent on them.

    :ivar refuse: the errors of changes, by address in bytes: (errno, text); looked up each time.
    :ivar answers: called with each datagram of answers before it is queued; what it returns is.
    :ivar interruptions: how many more listings are marked as interrupted.
    :ivar requests: (kind, flags, payload) of everything that was asked for.
    """

    def __init__(self) -> None:
        self.links = {
            1: Interface("lo", UP | RUNNING | LOOPBACK, 772, bytes(6)),
            2: Interface("eth0"),
            3: Interface("eth1", mac=MACS["eth1"]),
        }
        self.addresses: dict[Place, Entry] = {}
        self.refuse: dict[bytes, tuple[int, str]] = {}
        self.answers: Callable[[bytes], list[bytes]] = lambda datagram: [datagram]
        self.interruptions = 0
        self.requests: list[tuple[int, int, bytes]] = []
        self.opened: dict[str, list[FakeSocket]] = {}
        self.unopenable: dict[str, OSError] = {}

    # The sockets.

    def netlink(self, groups: int) -> FakeSocket:
        return self._open("news" if groups else "requests", self._asked)

    def packets(self) -> FakeSocket:
        return self._open("packets", lambda sock, data: None)

    def arp(self) -> FakeSocket:
        return self._open("arp", lambda sock, data: None)

    def advertisements(self) -> FakeSocket:
        return self._open("advertisements", lambda sock, data: None)

    def sock(self, kind: str) -> FakeSocket:
        """The newest socket of a kind."""
        return self.opened[kind][-1]

    # What happens.

    def tell(self, kind: int, payload: bytes) -> None:
        """News, to whoever listens."""
        for sock in self.opened.get("news", []):
            sock.queue.append((message(kind, payload), (0, 0)))

    def lose_news(self, kept: int = 0) -> None:
        """The queue of the news has run over: the error comes first, then what it still held."""
        queue = self.sock("news").queue
        held = [item for item in queue if not isinstance(item, OSError)][:kept]
        queue.clear()
        queue.append(OSError(errno.ENOBUFS, "No buffer space available"))
        queue.extend(held)

    def put(self, place: Place, entry: Entry = PERMANENT) -> None:
        """Somebody puts an address."""
        self.addresses[place] = entry
        self.tell(NEW_ADDRESS, self.describe(place))

    def remove(self, place: Place) -> None:
        """Somebody removes an address, or its lifetime ends."""
        payload = self.describe(place)
        del self.addresses[place]
        self.tell(DELETE_ADDRESS, payload)

    def set_link(self, number: int, link: Interface) -> None:
        """An interface appears or changes."""
        self.links[number] = link
        self.tell(NEW_LINK, self.describe_link(number))

    def remove_link(self, number: int) -> None:
        """An interface vanishes, with all that was on it."""
        for place in [place for place in self.addresses if place[0] == number]:
            self.remove(place)
        payload = self.describe_link(number)
        del self.links[number]
        self.tell(DELETE_LINK, payload)

    def describe(self, place: Place) -> bytes:
        """An address as the kernel tells of it."""
        number, packed, prefix = place
        entry = self.addresses[place]
        family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
        name = self.links[number].name.encode()
        return b"".join(
            (
                struct.pack("=BBBBI", family, prefix, entry.flags & 0xFF, 0, number),
                attribute(1, packed),
                attribute(2, packed) if len(packed) == 4 else b"",
                attribute(3, (entry.label or name) + b"\0") if len(packed) == 4 else b"",
                attribute(8, struct.pack("=I", entry.flags)),
                attribute(6, struct.pack("=IIII", entry.preferred, entry.valid, 1, 2)),
                attribute(11, bytes((entry.protocol,))) if entry.protocol else b"",
            )
        )

    def describe_link(self, number: int, family: int = 0) -> bytes:
        """An interface as the kernel tells of it."""
        link = self.links[number]
        settings = [0] * 32
        settings[19] = int(link.promotes)
        inet = attribute(1, struct.pack("=32I", *settings))
        return b"".join(
            (
                struct.pack("=BxHiII", family, link.hardware, number, link.flags, 0),
                attribute(3, link.name.encode() + b"\0"),
                attribute(1, link.mac),
                attribute(26, attribute(socket.AF_INET, inet)),
            )
        )

    # Answers.

    def _open(self, kind: str, sent_to: Callable[[FakeSocket, bytes], None]) -> FakeSocket:
        if kind in self.unopenable:
            raise self.unopenable[kind]
        count = sum(len(sockets) for sockets in self.opened.values())
        sock = FakeSocket(100 + count, sent_to)
        self.opened.setdefault(kind, []).append(sock)
        return sock

    def _asked(self, sock: FakeSocket, data: bytes) -> None:
        while data:
            length, kind, flags, sequence, _ = HEADER.unpack_from(data)
            payload, data = data[16:length], data[length + -length % 4 :]
            self.requests.append((kind, flags, payload))
            for datagram in self._carried_out(kind, payload, sequence):
                for answer in self.answers(datagram):
                    sock.queue.append((answer, (0, 0)))

    def _carried_out(self, kind: int, payload: bytes, sequence: int) -> list[bytes]:
        if kind == GET_LINK:
            entries = [message(NEW_LINK, self.describe_link(n), sequence, 2) for n in self.links]
            return self._listed(entries, sequence)
        if kind == GET_ADDRESS:
            entries = [message(NEW_ADDRESS, self.describe(p), sequence, 2) for p in self.addresses]
            return self._listed(entries, sequence)
        number, text = self._changed(kind, payload)
        answer = struct.pack("=i", -number) + HEADER.pack(16 + len(payload), kind, 5, sequence, 0)
        words = attribute(1, text.encode() + b"\0") if text else b""
        return [message(ERROR, answer + words, sequence, 0x100 | (0x200 if text else 0))]

    def _listed(self, entries: list[bytes], sequence: int) -> list[bytes]:
        interrupted = 0x10 if self.interruptions else 0
        self.interruptions = max(0, self.interruptions - 1)
        done = message(DONE, struct.pack("=i", 0), sequence, MULTIPART | interrupted)
        # Several to a datagram, as the kernel does it.
        chunks = [b"".join(entries[n : n + 7]) for n in range(0, len(entries), 7)]
        return [*chunks, done]

    def _changed(self, kind: int, payload: bytes) -> tuple[int, str]:
        if kind == SET_LINK:
            number = struct.unpack_from("=4xi", payload)[0]
            self.links[number] = self.links[number]._replace(promotes=True)
            return 0, ""
        _, prefix, flags, _, number = struct.unpack_from("=BBBBI", payload)
        found = parse(payload[8:])
        place = number, found[2], prefix
        if found[2] in self.refuse:
            return self.refuse[found[2]]
        if number not in self.links:
            return errno.ENODEV, "Device not found"
        if kind == DELETE_ADDRESS:
            if place not in self.addresses:
                return errno.EADDRNOTAVAIL, "Address not found"
            self.remove(place)
            return 0, ""
        preferred, valid, _, _ = struct.unpack("=IIII", found[6])
        (flags,) = struct.unpack("=I", found[8])
        label = found.get(3, b"").rstrip(b"\0")
        if place in self.addresses:
            label = self.addresses[place].label
        self.put(place, Entry(valid, preferred, flags, label, found[11][0]))
        return 0, ""


class Recorder:
    """An observer that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []

    def appeared(self, address: Address, assigned: Assigned) -> None:
        self.heard.append(("appeared", str(address)))

    def vanished(self, address: Address) -> None:
        self.heard.append(("vanished", str(address)))

    def link_changed(self, name: str, link: Link | None) -> None:
        self.heard.append(("link", name, link.up if link else None))


class Bench:
    """flip's end, a reactor on virtual time, and the scripted kernel.

    :ivar kernel: flip's.
    :ivar host: the scripted one.
    :ivar observer: hears what flip's tells.
    """

    def __init__(self) -> None:
        self.reactor = MemoryReactorClock()
        self.host = ScriptedKernel()
        self.kernel = LinuxKernel(self.reactor, sockets=self.host, missing=lambda: ())
        self.observer = Recorder()
        self.kernel.observe(self.observer)

    def turn(self, seconds: float = 0) -> None:
        """Let time pass, and the reactor read whatever is there."""
        self.reactor.advance(seconds)
        for _ in range(20):
            for reader in list(self.reactor.readers):
                if reader in self.reactor.readers and reader.sock.queue:
                    reader.doRead()
            self.reactor.advance(0)

    def pass_time(self, seconds: float) -> None:
        """The time that something takes: nothing that becomes due is done meanwhile."""
        self.reactor.rightNow += seconds

    def one_turn(self) -> None:
        """What a real reactor does in one turn: what is due by now, then one read of each socket.

        `Clock.advance` would go on with what has become due meanwhile.
        """
        now = self.reactor.seconds()
        calls: list[Any] = [*self.reactor.getDelayedCalls()]
        for call in [call for call in calls if call.getTime() <= now]:
            if call.active():
                function, arguments, keywords = call.func, call.args, call.kw
                call.cancel()
                function(*arguments, **keywords)
        for reader in list(self.reactor.readers):
            if reader.sock.queue:
                reader.doRead()

    def turns(self, begin: Callable[[], Deferred[T]]) -> tuple[Deferred[T], int, float]:
        """Begin something and let it end: it, how many turns it took, seconds of the longest."""
        begun: list[Deferred[T]] = []
        self.reactor.callLater(0, lambda: begun.append(begin()))
        turns, longest = 0, 0.0
        while not (begun and begun[0].called):
            began = self.reactor.seconds()
            self.one_turn()
            longest = max(longest, self.reactor.seconds() - began)
            turns += 1
            assert turns < 10_000, "it does not end"
        return begun[0], turns, longest

    def address(self, place: Place) -> Address:
        """A place in flip's words."""
        number, packed, prefix = place
        family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
        return Address(self.host.links[number].name, socket.inet_ntop(family, packed), prefix)
