"""The seal on every packet: who sent it, unaltered, and never twice.

AES-256-GCM under a subkey of one sender's one life (HKDF-SHA256, RFC 5869), with
a counter as the nonce, so that no nonce ever repeats under a key. The header is
in clear and authenticated:

    version 1 | channel 1 | length of sender 1 | sender | boot 8 | counter 8
"""

from __future__ import annotations

import base64
import binascii
import enum
import hashlib
import struct
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
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
)
from flip.wire.replay import ReplayWindow

PROTOCOL_VERSION = 1
OLDEST_VERSION = 1
KEY_SIZE = 32
TAG_SIZE = 16
LIVES = 4  # of one sender, whose replay windows are remembered

_BOOT_AND_COUNTER = struct.Struct(">QQ")
_NONCE = struct.Struct(">IQ")


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
    windows: dict[Channel, ReplayWindow] = field(
        default_factory=lambda: {channel: ReplayWindow() for channel in Channel}
    )


class Seal:
    """Seals this life's packets and opens those of the members.

    :param keys: 32 bytes each; the first seals, all open.
    :param boot: this life's random identity, 64 bits.
    :param members: whose packets are opened at all.
    """

    def __init__(
        self, keys: Sequence[bytes], sender: str, boot: int, members: Collection[str]
    ) -> None:
        self._keys = tuple(keys)
        self._sender = sender
        self._boot = boot
        self._members = frozenset(members)
        self._counter = 0
        self._lives: dict[str, OrderedDict[int, _Life]] = {}
        self._kept: dict[str, int] = {}
        self._cipher = _subkey(self._keys[0], sender, boot)
        self._headers = {channel: _header(channel, sender) for channel in Channel}
        self.overhead = len(self._headers[Channel.UDP]) + _BOOT_AND_COUNTER.size + TAG_SIZE

    def seal(self, payload: bytes, channel: Channel) -> bytes:
        """One packet."""
        self._counter += 1
        header = self._headers[channel] + _BOOT_AND_COUNTER.pack(self._boot, self._counter)
        return header + self._cipher.encrypt(_NONCE.pack(0, self._counter), payload, header)

    def unseal(self, packet: bytes, channel: Channel) -> Opened:
        """Authenticate and open one packet.

        :raises MalformedPacket: there is no whole header, or it is for the other channel.
        :raises UnknownProtocolVersion: this node does not speak that version.
        :raises UnknownSender: the sender is not a member.
        :raises UnauthenticPacket: none of the keys opens it.
        :raises ReplayedPacket: it was opened before, or is too old to tell.
        """
        end, sender = _parse(packet, channel)
        if sender not in self._members:
            raise UnknownSender(f"({sender!r})")
        boot, counter = _BOOT_AND_COUNTER.unpack_from(packet, end - _BOOT_AND_COUNTER.size)
        if sender == self._sender and boot == self._boot:
            raise ReplayedPacket("(an echo of this node itself)")
        lives = self._lives.setdefault(sender, OrderedDict())
        life = lives.get(boot)
        ciphers = life.ciphers if life else [_subkey(key, sender, boot) for key in self._keys]
        nonce = _NONCE.pack(0, counter)
        payload = _open(ciphers, nonce, packet[end:], packet[:end], sender)
        if life is None:
            life = lives[boot] = _Life(ciphers)
            self._forget_lives(sender)
        if not life.windows[channel].admit(counter):
            raise ReplayedPacket(f"(number {counter} of {sender})")
        return Opened(sender, boot, payload)

    def keep(self, sender: str, boot: int) -> None:
        """This is the sender's present life: its replay window must not be forgotten."""
        self._kept[sender] = boot

    def _forget_lives(self, sender: str) -> None:
        lives = self._lives[sender]
        for boot in list(lives):
            if len(lives) <= LIVES:
                return
            if boot != self._kept.get(sender):
                del lives[boot]


def _header(channel: Channel, sender: str) -> bytes:
    name = sender.encode()
    return bytes((PROTOCOL_VERSION, channel, len(name))) + name


def _parse(packet: bytes, channel: Channel) -> tuple[int, str]:
    """Where the header ends, and the sender's name."""
    if len(packet) < 3:
        raise MalformedPacket(f"({len(packet)} bytes)")
    version, sealed_for, length = packet[0], packet[1], packet[2]
    if not OLDEST_VERSION <= version <= PROTOCOL_VERSION:
        raise UnknownProtocolVersion(
            f"(version {version}; this node speaks {OLDEST_VERSION} to {PROTOCOL_VERSION})"
        )
    end = 3 + length + _BOOT_AND_COUNTER.size
    if sealed_for != channel or len(packet) < end + TAG_SIZE:
        raise MalformedPacket(f"({len(packet)} bytes for channel {sealed_for})")
    try:
        return end, packet[3 : 3 + length].decode()
    except UnicodeDecodeError as error:
        raise MalformedPacket("(the sender's name is not UTF-8)") from error


def _open(
    ciphers: Sequence[AESGCM], nonce: bytes, sealed: bytes, header: bytes, sender: str
) -> bytes:
    for cipher in ciphers:
        try:
            return cipher.decrypt(nonce, sealed, header)
        except InvalidTag:
            continue
    raise UnauthenticPacket(f"(from {sender}, or somebody who says so)")


def _subkey(key: bytes, sender: str, boot: int) -> AESGCM:
    info = b"flip packet\0" + boot.to_bytes(8, "big") + sender.encode()
    return AESGCM(HKDF(algorithm=SHA256(), length=KEY_SIZE, salt=None, info=info).derive(key))
