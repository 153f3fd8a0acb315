"""The messages that nodes exchange, and what they are made of.

Every message is a msgpack array with a tag first. Fields are only ever added at
the end, with a default: an older node ignores what it does not know and a newer
one fills in what is missing, so that a rolling upgrade is no partition.
docs/protocol.md describes them for other implementations.

`Record` is what a member says of itself and nobody else may write. `Update` is
what one node tells another about one member. UDP carries `Ping`, `Ack`,
`PingReq`, `Nack` and `Gossip`, and for exclusive systems `GrantRequest`,
`GrantAnswer`, `GrantRelease` and `GrantQuery`; TCP carries `SyncRequest` and
`SyncResponse`.
"""

from __future__ import annotations

import enum
from typing import Annotated, NamedTuple

import msgspec

from flip.errors import MalformedPacket

INCARNATIONS = 2**62  # clocks in milliseconds need 41 bits: nothing honest comes near it
Incarnation = Annotated[int, msgspec.Meta(ge=0, lt=INCARNATIONS)]
# What members make a node remember is bounded, even when one of them is out of order.
Name = Annotated[str, msgspec.Meta(max_length=255)]
Digest = Annotated[bytes, msgspec.Meta(max_length=64)]
Standings = Annotated[bytes, msgspec.Meta(max_length=4096)]
Datum = Annotated[str, msgspec.Meta(max_length=256)]  # of an exclusive system
LONGEST_LEASE = 24 * 3600 * 1000  # milliseconds, as configurations allow


class Status(enum.IntEnum):
    """What a member says of its own life."""

    JOINING = 0  # runs, but may not yet take anything over (R1)
    ACTIVE = 1
    LEAVING = 2  # is letting go of everything (R5)
    LEFT = 3


class Record(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A member's head: always small enough for a datagram.

    (incarnation, version) orders the records of one member. `birth` is the
    incarnation that this life of the member started with and `boot` its random
    identity; the life with the greater (birth, boot) is the younger one.
    `claims_hash` names the claims that belong to this record; the claims travel
    beside it when they fit. `ineligible` lists systems that must not be given
    to this member, and `standings` why: a byte for each (`flip.wire.standing`).
    `protocol` is the newest version that the member speaks.
    """

    member: Name
    incarnation: Incarnation
    version: Incarnation
    status: Status
    birth: Incarnation
    boot: int
    config_digest: Digest
    config_version: int = 0
    claims_hash: Digest = b""
    ineligible: tuple[Name, ...] = ()
    protocol: int = 1
    standings: Standings = b""

    @property
    def stamp(self) -> tuple[int, int]:
        """The order of the records of one member."""
        return self.incarnation, self.version

    @property
    def first_fields(self) -> tuple[object, ...]:
        """The fields of protocol version 1, in order, which digests of states cover.

        Fields that are added later stay out of it: an older node does not know
        them, and nodes of two versions would never agree.
        """
        return (
            self.member,
            self.incarnation,
            self.version,
            self.status,
            self.birth,
            self.boot,
            self.config_digest,
            self.config_version,
            self.claims_hash,
            self.ineligible,
            self.protocol,
        )


class Update(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What the sender knows of one member.

    `record` is absent when the sender has none. `claims` (wire.claims encodes
    it) is absent when it is unknown or too large. `voters` accuse `member` at
    incarnation `accused`; part of the set may travel, because votes unite.
    """

    member: Name
    record: Record | None = None
    claims: bytes | None = None
    accused: Incarnation = 0
    voters: tuple[Name, ...] = ()


class Ping(msgspec.Struct, array_like=True, tag=1, gc=False):
    """Are you there? `nonce` is answered by exactly one `Ack`.

    `incarnation` and `digest` (of the sender's whole state) describe the sender
    in every message.
    """

    incarnation: Incarnation
    digest: int
    nonce: int
    updates: tuple[Update, ...] = ()


class Ack(msgspec.Struct, array_like=True, tag=2, gc=False):
    """`target` is alive: it answered the ping `nonce`, now, maybe through a helper."""

    incarnation: Incarnation
    digest: int
    nonce: int
    target: Name
    target_incarnation: Incarnation
    updates: tuple[Update, ...] = ()


class PingReq(msgspec.Struct, array_like=True, tag=3, gc=False):
    """Please ping `target` for me; answer `nonce` with an `Ack` or a `Nack`."""

    incarnation: Incarnation
    digest: int
    nonce: int
    target: Name
    updates: tuple[Update, ...] = ()


class Nack(msgspec.Struct, array_like=True, tag=4, gc=False):
    """A helper's word that it is alive itself but has no answer from the target yet."""

    incarnation: Incarnation
    digest: int
    nonce: int
    updates: tuple[Update, ...] = ()


class Gossip(msgspec.Struct, array_like=True, tag=5, gc=False):
    """News that could not wait for the next ping. Nobody answers it."""

    incarnation: Incarnation
    digest: int
    updates: tuple[Update, ...] = ()


class SyncRequest(msgspec.Struct, array_like=True, tag=6, gc=False):
    """Everything the sender knows; the receiver answers with the same of its own.

    `wanted` are digests of data lists (wire.claims) that the sender lacks.
    """

    incarnation: Incarnation
    nonce: int
    updates: tuple[Update, ...] = ()
    wanted: tuple[Digest, ...] = ()


class SyncResponse(msgspec.Struct, array_like=True, tag=7, gc=False):
    """The answer to the `SyncRequest` with this `nonce`.

    `lists` hands over the wanted data lists by their digest, so that claims made
    under another configuration can be read by name.
    """

    incarnation: Incarnation
    nonce: int
    updates: tuple[Update, ...] = ()
    lists: dict[Digest, tuple[str, ...]] = {}


class ClaimNumber(NamedTuple):
    """Names one claim of one member to a data point; a later one has a greater number.

    `generation` belongs to one life of the member: the incarnation that it has
    risen to, or what it had to leap to above an earlier life's. `counter` counts the
    claims of that generation.
    """

    generation: Incarnation
    counter: Incarnation


Numbered = tuple[tuple[Datum, ClaimNumber], ...]


class GrantRequest(msgspec.Struct, array_like=True, tag=8, gc=False):
    """Grant me these data points, or go on doing so; answer with `nonce`.

    `voters` is the hash of the list of voters that the sender goes by, `lease`
    the milliseconds for which it will count an answer.
    """

    incarnation: Incarnation
    digest: int
    nonce: int
    system: Name
    voters: Digest
    lease: Annotated[int, msgspec.Meta(ge=1, le=LONGEST_LEASE)]
    points: Numbered
    updates: tuple[Update, ...] = ()


class GrantAnswer(msgspec.Struct, array_like=True, tag=9, gc=False):
    """What a voter says to the `GrantRequest` with this `nonce`.

    `granted` are claims that the voter's grants stand for now; `refused` are data
    points that it has not granted, with the greatest claim number that it has seen
    of the claimant. A claim that was refused may be granted by a second answer.
    """

    incarnation: Incarnation
    digest: int
    nonce: int
    system: Name
    granted: Numbered = ()
    refused: Numbered = ()
    updates: tuple[Update, ...] = ()


class GrantRelease(msgspec.Struct, array_like=True, tag=10, gc=False):
    """The sender's claims up to and including these numbers are over. Nobody answers it."""

    incarnation: Incarnation
    digest: int
    system: Name
    points: Numbered
    updates: tuple[Update, ...] = ()


class GrantQuery(msgspec.Struct, array_like=True, tag=11, gc=False):
    """Do you still pursue these claims? Those that are over are answered with a release."""

    incarnation: Incarnation
    digest: int
    system: Name
    points: Numbered
    updates: tuple[Update, ...] = ()


GrantMessage = GrantRequest | GrantAnswer | GrantRelease | GrantQuery
Datagram = Ping | Ack | PingReq | Nack | Gossip | GrantMessage
SyncMessage = SyncRequest | SyncResponse

_encoder = msgspec.msgpack.Encoder()
_datagrams = msgspec.msgpack.Decoder(Datagram)
_sync_messages = msgspec.msgpack.Decoder(SyncMessage)

# Broken UTF-8 and endless nesting surface as the interpreter's own errors.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

encode = _encoder.encode


def decode_datagram(payload: bytes) -> Datagram:
    """Parse the payload of a datagram.

    :raises MalformedPacket: it is not one of the `Datagram` messages.
    """
    try:
        message: Datagram = _datagrams.decode(payload)
    except _UNREADABLE as error:
        raise MalformedPacket(f"({error})") from error
    return message


def decode_sync(payload: bytes | bytearray) -> SyncMessage:
    """Parse the payloads of TCP frames, joined.

    :raises MalformedPacket: it is not one of the `SyncMessage` messages.
    """
    try:
        message: SyncMessage = _sync_messages.decode(payload)
    except _UNREADABLE as error:
        raise MalformedPacket(f"({error})") from error
    return message
