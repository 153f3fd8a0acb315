"""What a member holds, as bytes: bitmaps over the configured data.

A body is a msgpack map from system to [digest of the system's data list,
{phase: bitmap}, {phase: [names]}]. Bit i of a bitmap (least significant first,
trailing zero bytes left out) stands for the i-th data point. Names are for what
is left from an older configuration. Equal claims are equal bytes, so a hash of
the bytes names the claims.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import compress

import msgspec

from flip.errors import FlipError, MalformedPacket

DIGEST_SIZE = 8


class Phase(enum.IntEnum):
    """How far a claim has come (rule R2)."""

    TAKING = 1
    HELD = 2
    RELEASING = 3
    UNSURE = 4


Claims = Mapping[str, Mapping[str, Phase]]
_Body = dict[str, tuple[bytes, dict[Phase, bytes], dict[Phase, list[str]]]]

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Body)


class UnreadableClaims(FlipError):
    """Claims were made over data lists that this node does not know."""

    def __init__(self, missing: tuple[bytes, ...]) -> None:
        super().__init__(", ".join(digest.hex() for digest in missing))
        self.missing = missing


def data_digest(data: Sequence[str]) -> bytes:
    """The 8 bytes that name a data list."""
    return hashlib.sha256(msgspec.msgpack.encode(list(data))).digest()[:DIGEST_SIZE]


def claims_hash(body: bytes) -> bytes:
    """The 8 bytes that name a body; empty for no claims at all."""
    return hashlib.sha256(body).digest()[:DIGEST_SIZE] if body else b""


def encode_claims(claims: Claims, data: Mapping[str, Sequence[str]]) -> bytes:
    """Claims as bytes, empty when there are none.

    :param data: system -> its configured data.
    """
    body: _Body = {}
    for system, phases in sorted(claims.items()):
        if phases:
            points = _index(tuple(data.get(system, ())))
            body[system] = (points.digest, *_split(phases, points))
    return _encoder.encode(body) if body else b""


def list_digests(body: bytes) -> frozenset[bytes]:
    """The digests of the data lists that it takes to read a body.

    :raises MalformedPacket: it is not what `encode_claims` makes.
    """
    return frozenset(digest for digest, bitmaps, _ in _decode(body).values() if bitmaps)


def decode_claims(body: bytes, lists: Mapping[bytes, Sequence[str]]) -> dict[str, dict[str, Phase]]:
    """Bytes as claims.

    :param lists: known data lists by their `data_digest`.
    :raises UnreadableClaims: some systems' lists are not known.
    :raises MalformedPacket: it is not what `encode_claims` makes.
    """
    decoded = _decode(body)
    missing = {digest for digest, bitmaps, _ in decoded.values() if bitmaps} - lists.keys()
    if missing:
        raise UnreadableClaims(tuple(sorted(missing)))
    return {
        system: _join(system, bitmaps, names, lists.get(digest, ()))
        for system, (digest, bitmaps, names) in decoded.items()
    }


def _decode(body: bytes) -> _Body:
    if not body:
        return {}
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedPacket(f"(claims: {error})") from error


@dataclass(frozen=True, slots=True)
class _Index:
    digest: bytes
    place: Mapping[str, int]


@lru_cache(maxsize=64)
def _index(points: tuple[str, ...]) -> _Index:
    return _Index(data_digest(points), {datum: at for at, datum in enumerate(points)})


def _split(
    phases: Mapping[str, Phase], points: _Index
) -> tuple[dict[Phase, bytes], dict[Phase, list[str]]]:
    names: dict[Phase, list[str]] = {}
    bits: dict[Phase, bytearray] = {}
    for datum, phase in phases.items():
        index = points.place.get(datum)
        if index is None:
            names.setdefault(phase, []).append(datum)
            continue
        bitmap = bits.get(phase)
        if bitmap is None:
            bitmap = bits[phase] = bytearray((len(points.place) + 7) // 8)
        bitmap[index >> 3] |= 1 << (index & 7)
    return (
        {phase: bytes(bitmap).rstrip(b"\0") for phase, bitmap in sorted(bits.items())},
        {phase: sorted(found) for phase, found in sorted(names.items())},
    )


def _join(
    system: str,
    bitmaps: Mapping[Phase, bytes],
    names: Mapping[Phase, Sequence[str]],
    points: Sequence[str],
) -> dict[str, Phase]:
    claims: dict[str, Phase] = {}
    for phase, bitmap in bitmaps.items():
        number = int.from_bytes(bitmap, "little")
        if number.bit_length() > len(points):
            highest = number.bit_length() - 1
            raise MalformedPacket(f"(claims: {system[:80]!r} has no data point {highest})")
        bits = f"{number:b}"[::-1]  # the least significant first
        _add(claims, compress(points, map(int, bits)), phase)
    for phase, found in names.items():
        _add(claims, found, phase)
    return claims


def _add(claims: dict[str, Phase], found: Iterable[str], phase: Phase) -> None:
    known = len(claims)
    data = tuple(found)
    claims.update(dict.fromkeys(data, phase))
    if len(claims) != known + len(data):
        raise MalformedPacket("(claims: a data point is claimed twice)")
