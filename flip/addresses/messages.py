"""Netlink's framing: messages, attributes, acknowledgements. Pure: bytes in, bytes out.

The formats are those of <linux/netlink.h>, in the byte order of this machine. Whatever is too
short, or says that it is longer than it is, raises `MalformedMessage`, nothing else.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

from flip.errors import MalformedMessage

HEADER = struct.Struct("=IHHII")  # length, kind, flags, sequence, port
ATTRIBUTE = struct.Struct("=HH")  # length, kind
ERROR_NUMBER = struct.Struct("=i")  # negative, 0: done

ERROR, DONE = 2, 3  # kinds that all of netlink shares
# Flags of a request.
REQUEST, ACK, ROOT, MATCH = 0x1, 0x4, 0x100, 0x200
DUMP = ROOT | MATCH
REPLACE, CREATE = 0x100, 0x400
# Flags of an answer.
DUMP_INTERRUPTED = 0x10  # what was listed changed meanwhile
CAPPED, TEXTS = 0x100, 0x200  # of ERROR: without the request's payload; attributes follow
MESSAGE_TEXT = 1  # the attribute of ERROR that says in words what was wrong

KIND_BITS = 0x3FFF  # of an attribute; the others say that it is nested or big-endian


class Request(NamedTuple):
    """One message to the kernel, without its sequence number."""

    kind: int
    flags: int
    payload: bytes


class Message(NamedTuple):
    """One message from the kernel; the payload is a view into what was received."""

    kind: int
    flags: int
    sequence: int
    payload: memoryview


class Verdict(NamedTuple):
    """How a request ended: 0 is success, else a number of `errno`, perhaps with the reason."""

    errno: int
    text: str = ""

    def __str__(self) -> str:
        return self.text or os.strerror(self.errno)


def frame(request: Request, sequence: int) -> bytes:
    """A message to send; the kernel takes several that stand one after another."""
    payload = request.payload
    header = HEADER.pack(
        HEADER.size + len(payload), request.kind, request.flags | REQUEST, sequence, 0
    )
    return header + payload + bytes(-len(payload) % 4)


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to a multiple of 4."""
    return ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


def split(received: memoryview) -> Iterator[Message]:
    """The messages of a datagram.

    :raises MalformedMessage: it ends within one; those before it were yielded.
    """
    start, end = 0, len(received)
    while start < end:
        if end - start < HEADER.size:
            raise MalformedMessage(f"{end - start} bytes are no header")
        length, kind, flags, sequence, _ = HEADER.unpack_from(received, start)
        if not HEADER.size <= length <= end - start:
            raise MalformedMessage(f"a message of {length} bytes where {end - start} are left")
        yield Message(kind, flags, sequence, received[start + HEADER.size : start + length])
        start += (length + 3) & ~3


def attributes(payload: memoryview) -> dict[int, memoryview]:
    """The attributes of a message or of a nested one; of two of a kind the last one.

    :raises MalformedMessage: it ends within one.
    """
    found = {}
    start, end = 0, len(payload)
    while start < end:
        if end - start < ATTRIBUTE.size:
            raise MalformedMessage(f"{end - start} bytes are no attribute")
        length, kind = ATTRIBUTE.unpack_from(payload, start)
        if not ATTRIBUTE.size <= length <= end - start:
            raise MalformedMessage(f"an attribute of {length} bytes where {end - start} are left")
        found[kind & KIND_BITS] = payload[start + ATTRIBUTE.size : start + length]
        start += (length + 3) & ~3
    return found


def unpack(layout: struct.Struct, payload: memoryview) -> tuple[int, ...]:
    """The integers that a message starts with.

    :raises MalformedMessage: it is shorter.
    """
    if len(payload) < layout.size:
        raise MalformedMessage(f"{len(payload)} bytes where {layout.size} are expected")
    return layout.unpack_from(payload)


def text(value: memoryview) -> str:
    """A string that ends with a zero byte, or with its attribute; of any bytes."""
    return os.fsdecode(bytes(value).partition(b"\0")[0])


def verdict(message: Message) -> Verdict:
    """What an `ERROR` or `DONE` says.

    :raises MalformedMessage: it says nothing, or that something went wrong by a positive number.
    """
    (number,) = unpack(ERROR_NUMBER, message.payload)
    if number > 0:
        raise MalformedMessage(f"the error {number} is no error")
    if not number or not message.flags & TEXTS:
        return Verdict(-number)
    reasons = attributes(message.payload[_end_of_error(message) :])
    return Verdict(-number, text(reasons.get(MESSAGE_TEXT, memoryview(b""))))


def _end_of_error(message: Message) -> int:
    """Where the attributes of an `ERROR` or `DONE` start."""
    if message.kind == DONE:
        return ERROR_NUMBER.size
    length = unpack(HEADER, message.payload[ERROR_NUMBER.size :])[0]
    if message.flags & CAPPED:
        length = HEADER.size
    return ERROR_NUMBER.size + ((length + 3) & ~3)
