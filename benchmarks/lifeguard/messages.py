"""The messages, as large as memberlist's: a type byte and a MessagePack map, or several in one."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

COMPOUND_HEADER = 2  # type and count
COMPOUND_OVERHEAD = 2  # the length of each part
MOST = 255  # parts of one compound
_COMPOUND = 7
_VERSIONS = (1, 5, 2, 0, 0, 0)


class Ping(msgspec.Struct, frozen=True, rename="pascal"):
    """Are you there?"""

    seq_no: int
    node: str
    source_addr: bytes
    source_port: int
    source_node: str


class PingRequest(msgspec.Struct, frozen=True, rename="pascal"):
    """Ask somebody for me whether it is there."""

    seq_no: int
    target: bytes
    port: int
    node: str
    nack: bool
    source_addr: bytes
    source_port: int
    source_node: str


class Ack(msgspec.Struct, frozen=True, rename="pascal"):
    """It is there."""

    seq_no: int
    payload: bytes = b""


class Nack(msgspec.Struct, frozen=True, rename="pascal"):
    """I do not hear from it either."""

    seq_no: int


class Suspect(msgspec.Struct, frozen=True, rename="pascal"):
    """`origin` does not hear from `node`."""

    incarnation: int
    node: str
    origin: str = msgspec.field(name="From")


class Alive(msgspec.Struct, frozen=True, rename="pascal"):
    """`node` is there and has this incarnation."""

    incarnation: int
    node: str
    addr: bytes
    port: int
    meta: bytes = b""
    vsn: tuple[int, ...] = _VERSIONS


class Dead(msgspec.Struct, frozen=True, rename="pascal"):
    """`origin` has given `node` up."""

    incarnation: int
    node: str
    origin: str = msgspec.field(name="From")


class Known(msgspec.Struct, frozen=True, rename="pascal"):
    """One line of a whole state."""

    name: str
    addr: bytes
    port: int
    incarnation: int
    state: int
    meta: bytes = b""
    vsn: tuple[int, ...] = _VERSIONS


class State(msgspec.Struct, frozen=True, rename="pascal"):
    """All that a member knows, sent over TCP."""

    nodes: tuple[Known, ...]
    join: bool = False


Message = Ping | PingRequest | Ack | Nack | Suspect | Alive | Dead | State

_CODES: dict[type[Message], int] = {
    Ping: 0, PingRequest: 1, Ack: 2, Suspect: 3, Alive: 4, Dead: 5, State: 6, Nack: 11,
}  # fmt: skip
_encoder = msgspec.msgpack.Encoder()
_decoders = {code: msgspec.msgpack.Decoder(kind) for kind, code in _CODES.items()}


def encode(message: Message) -> bytes:
    """One message."""
    return bytes((_CODES[type(message)],)) + _encoder.encode(message)


def compound(parts: list[bytes]) -> bytes:
    """Several messages in one packet."""
    lengths = struct.pack(f">{len(parts)}H", *map(len, parts))
    return bytes((_COMPOUND, len(parts))) + lengths + b"".join(parts)


def decode(packet: bytes) -> Iterator[Message]:
    """The messages of a packet."""
    if packet[0] != _COMPOUND:
        yield _decoders[packet[0]].decode(packet[1:])
        return
    lengths = struct.unpack_from(f">{packet[1]}H", packet, COMPOUND_HEADER)
    at = COMPOUND_HEADER + COMPOUND_OVERHEAD * len(lengths)
    for length in lengths:
        yield _decoders[packet[at]].decode(packet[at + 1 : at + length])
        at += length
