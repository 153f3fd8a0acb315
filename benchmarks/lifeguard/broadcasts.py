"""News on its way: each piece is sent a limited number of times, the least sent first."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class _Broadcast:
    subject: str
    packet: bytes
    number: int
    sent: int = 0


class Broadcasts:
    """The queue of one member.

    :param limit: how many times each piece is sent.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._queued: dict[str, _Broadcast] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._queued)

    def queue(self, subject: str, packet: bytes) -> None:
        """Tell something about a member; what was to be told of it before is void."""
        self._count += 1
        self._queued[subject] = _Broadcast(subject, packet, self._count)

    def take(self, room: int, overhead: int) -> list[bytes]:
        """What to send now, `overhead` bytes added to each; newer and larger pieces first."""
        if not self._queued:
            return []
        order = sorted(self._queued.values(), key=lambda b: (b.sent, -len(b.packet), -b.number))
        taken = []
        for broadcast in order:
            size = len(broadcast.packet) + overhead
            if size > room:
                continue
            room -= size
            taken.append(broadcast.packet)
            broadcast.sent += 1
            if broadcast.sent >= self._limit:
                del self._queued[broadcast.subject]
        return taken
