"""Messages about grants: to other members by the protocol, to this node itself at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flip.membership.datagram import GossipProtocol
from flip.wire.messages import (
    INCARNATIONS,
    ClaimNumber,
    GrantMessage,
    GrantQuery,
    GrantRelease,
    encode,
)

Numbered = tuple[str, ClaimNumber]  # a data point, and a claim to it
LARGEST_NUMBER = ClaimNumber(INCARNATIONS - 1, INCARNATIONS - 1)
HEADERS = 40  # bytes: what a message's own numbers and lengths take more than zeros do


class Post:
    """Sends messages, and brings those that arrive to who registered for their kind.

    :param room: bytes that a message may have.
    """

    def __init__(self, me: str, protocol: GossipProtocol, room: int) -> None:
        self.me = me
        self._protocol = protocol
        self._room = room

    def answer(self, kind: type[GrantMessage], answer: Callable[[str, Any], None]) -> None:
        """Call `answer` with the sender and each message of this kind."""
        self._protocol.answers[kind] = answer

    def send(self, to: str, message: GrantMessage) -> None:
        """Send a message, which is complete but for what it says of the sender."""
        if to == self.me:
            self._protocol.answers[type(message)](to, message)
        else:
            self._protocol.grant(to, message)

    def release(self, to: str, system: str, points: Iterable[Numbered]) -> None:
        """Tell a voter that claims of this node are over."""
        for some in self.split(points, GrantRelease(0, 0, system, ())):
            self.send(to, GrantRelease(0, 0, system, some))

    def query(self, to: str, system: str, points: Iterable[Numbered]) -> None:
        """Ask a member whether its claims are over."""
        for some in self.split(points, GrantQuery(0, 0, system, ())):
            self.send(to, GrantQuery(0, 0, system, some))

    def split(
        self, points: Iterable[Numbered], bare: GrantMessage
    ) -> Iterator[tuple[Numbered, ...]]:
        """As many of the points at a time as fit a message that is `bare` without them."""
        room = self._room - len(encode(bare)) - HEADERS
        chunk: list[Numbered] = []
        left = room
        for datum, number in points:
            size = len(encode((datum, LARGEST_NUMBER)))
            if chunk and size > left:
                yield tuple(chunk)
                chunk, left = [], room
            chunk.append((datum, number))
            left -= size
        if chunk:
            yield tuple(chunk)
