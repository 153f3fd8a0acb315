"""The seal on every packet: who sent it, unaltered, and never twice.

AES-256-GCM under a subkey of one sender's one life (HKDF-SHA256, RFC 5869), with
a counter as the nonce, so that no nonce ever repeats under a key. The header is
in clear and authenticated:

    version 1 | channel 1 | length of sender 1 | sender | boot 8 | counter 8

The version byte says how to read everything after it. A node opens versions
`OLDEST_VERSION` to `PROTOCOL_VERSION`; its record announces the newest.
"""

from __future__ import annotations

import base64
import binascii
import enum
import hashlib
import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from flip.errors import (
    MalformedPacket,
    ReplayedPacket,
    UnauthenticPacket,
    UnknownProtocolVersion,
    UnknownSender,
    WireError,
)
from flip.wire.replay import ReplayWindow

PROTOCOL_VERSION = 1
OLDEST_VERSION = 1
KEY_SIZE = 32
TAG_SIZE = 16
LIVES = 4  # of one sender, whose replay windows are remembered

Ciphers = Callable[[bytes, str, int], AESGCM]

_BOOT_AND_COUNTER = struct.Struct(">QQ")
_NONCE_PREFIX = bytes(4)  # a nonce has 12 bytes, a counter 8


class Channel(enum.IntEnum):
    """Where a packet travels: one sealed for UDP is refused on TCP."""

    UDP = 0
    TCP = 1


class Opened(NamedTuple):
    """An authentic packet."""

    sender: str
    boot: int
    payload: bytes


def stretch(key: str) -> bytes:
    """The 32 bytes of a configured key.

    Base64 of 32 bytes (``flip keygen``) is used as it is; anything else is a
    passphrase and stretched with scrypt (RFC 7914), once, at start.
    """
    try:
        decoded = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) == KEY_SIZE:
        return decoded
    return hashlib.scrypt(key.encode(), salt=b"flip", n=2**14, r=8, p=1, dklen=KEY_SIZE)


@dataclass(slots=True)
class _Life:
    """What is remembered of one life of a sender."""

    ciphers: list[AESGCM]
    windows: list[ReplayWindow | None] = field(default_factory=lambda: [None] * len(Channel))

    def window(self, channel: Channel) -> ReplayWindow:
        """The window of one channel, made when its first packet comes."""
        window = self.windows[channel]
        if window is None:
            window = self.windows[channel] = ReplayWindow()
        return window


_NONE: dict[int, _Life] = {}


def derive(key: bytes, sender: str, boot: int) -> AESGCM:
    """The cipher of one life of a sender."""
    info = b"flip packet\0" + boot.to_bytes(8, "big") + sender.encode()
    return AESGCM(HKDF(algorithm=SHA256(), length=KEY_SIZE, salt=None, info=info).derive(key))


class Seal:
    """Seals this life's packets and opens those of the members.

    :param keys: 32 bytes each; the first seals, all open.
    :param boot: this life's random identity, 64 bits.
    :param members: whose packets are opened at all.
    :param ciphers: `derive`; many nodes in one process may share what it derives.
    """

    def __init__(
        self,
        keys: Sequence[bytes],
        sender: str,
        boot: int,
        members: Collection[str],
        *,
        ciphers: Ciphers = derive,
    ) -> None:
        self._keys = tuple(keys)
        self._sender = sender
        self._boot = boot
        self._counter = 0
        self._ciphers = ciphers
        self._lives: dict[str, dict[int, _Life]] = {}  # of each sender, the oldest first
        self._kept: dict[str, int] = {}
        self._cipher = ciphers(self._keys[0], sender, boot)
        self._headers = tuple(_header(channel, sender) for channel in Channel)
        self._senders = _senders(tuple(members))
        self.overhead = len(self._headers[Channel.UDP]) + _BOOT_AND_COUNTER.size + TAG_SIZE

    def seal(self, payload: bytes, channel: Channel) -> bytes:
        """One packet."""
        self._counter += 1
        numbers = _BOOT_AND_COUNTER.pack(self._boot, self._counter)
        header = self._headers[channel] + numbers
        return header + self._cipher.encrypt(_NONCE_PREFIX + numbers[8:], payload, header)

    def unseal(self, packet: bytes, channel: Channel) -> Opened:
        """Authenticate and open one packet.

        :raises MalformedPacket: there is no whole header, or it is for the other channel.
        :raises UnknownProtocolVersion: this node does not speak that version.
        :raises UnknownSender: the sender is not a member.
        :raises UnauthenticPacket: none of the keys opens it.
        :raises ReplayedPacket: it was opened before, or is too old to tell.
        """
        named = 3 + packet[2] if len(packet) > 2 else 3
        end = named + _BOOT_AND_COUNTER.size
        sender = self._senders[channel].get(packet[:named])
        if sender is None or len(packet) < end + TAG_SIZE:
            raise _unreadable(packet, channel)
        boot, counter = _BOOT_AND_COUNTER.unpack_from(packet, named)
        if boot == self._boot and sender == self._sender:
            raise ReplayedPacket("(an echo of this node itself)")
        life = self._lives.get(sender, _NONE).get(boot)
        ciphers = life.ciphers if life else [self._ciphers(key, sender, boot) for key in self._keys]
        header = packet[:end]
        payload = _open(ciphers, _NONCE_PREFIX + header[-8:], packet[end:], header, sender)
        if life is None:
            life = self._lives.setdefault(sender, {})[boot] = _Life(ciphers)
            self._forget_lives(sender)
        if not life.window(channel).admit(counter):
            raise ReplayedPacket(f"(number {counter} of {sender})")
        return Opened(sender, boot, payload)

    def keep(self, sender: str, boot: int) -> None:
        """This is the sender's present life: its replay window must not be forgotten.

        Who records the packets of many former lives and plays them again can
        make a node forget former lives only, whose news is old.
        """
        self._kept[sender] = boot

    def _forget_lives(self, sender: str) -> None:
        lives = self._lives[sender]
        if len(lives) > LIVES:
            kept = self._kept.get(sender)
            del lives[next(boot for boot in lives if boot != kept)]


def _header(channel: Channel, sender: str) -> bytes:
    name = sender.encode()
    return bytes((PROTOCOL_VERSION, channel, len(name))) + name


@lru_cache(maxsize=8)
def _senders(members: tuple[str, ...]) -> tuple[Mapping[bytes, str], ...]:
    """By channel, the members by the start of their packets."""
    return tuple({_header(channel, id): id for id in members} for channel in Channel)


def _unreadable(packet: bytes, channel: Channel) -> WireError:
    """What is wrong with a packet that has no whole header of a member of the cluster."""
    if len(packet) < 3:
        return MalformedPacket(f"({len(packet)} bytes)")
    version, sealed_for, length = packet[:3]
    if not OLDEST_VERSION <= version <= PROTOCOL_VERSION:
        return UnknownProtocolVersion(
            f"(version {version}; this node speaks {OLDEST_VERSION} to {PROTOCOL_VERSION})"
        )
    if sealed_for != channel:
        return MalformedPacket(f"({len(packet)} bytes for channel {sealed_for})")
    if len(packet) < 3 + length + _BOOT_AND_COUNTER.size + TAG_SIZE:
        return MalformedPacket(f"(cut off after {len(packet)} bytes)")
    return UnknownSender(f"({packet[3 : 3 + length].decode(errors='replace')!r})")


def _open(
    ciphers: Sequence[AESGCM], nonce: bytes, sealed: bytes, header: bytes, sender: str
) -> bytes:
    for cipher in ciphers:
        try:
            return cipher.decrypt(nonce, sealed, header)
        except InvalidTag:
            continue
    raise UnauthenticPacket(f"(from {sender}, or somebody who says so)")
