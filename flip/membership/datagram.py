"""The UDP side: authenticate, decode, learn, answer, in this order.

Nothing that a stranger sends can raise an exception here, grow memory, or cost
more than a failed decryption. Members are known by id, never by the address a
packet came from; answers go to the configured address.
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twisted.internet.interfaces import IReactorTime, IUDPTransport
from twisted.internet.protocol import DatagramProtocol

from flip.errors import MalformedPacket, WireError
from flip.log import Logger
from flip.membership.dissemination import Dissemination
from flip.membership.push import SMALL
from flip.membership.roster import Roster
from flip.wire.messages import (
    INCARNATIONS,
    Ack,
    Datagram,
    Gossip,
    GrantMessage,
    Nack,
    Ping,
    PingReq,
    Update,
    decode_datagram,
    encode,
)
from flip.wire.seal import Channel, Opened, Seal

COMPLAINT_PAUSE = 10.0  # seconds between two log lines on the same kind of trouble
SHOW_PAUSE = 1.0  # seconds between two packets that show a member its own later record

Address = tuple[str, int]
Answer = Callable[[str, Any], None]

_log = Logger()


def news_room(max_packet: int, overhead: int, ids: Iterable[str]) -> int:
    """The bytes of a datagram that updates may take: what the largest message leaves of it.

    :param overhead: bytes of the seal.
    :param ids: all members.
    """
    return max_packet - overhead - largest_message(ids)


def largest_message(ids: Iterable[str]) -> int:
    """The bytes of the largest message without updates, those about grants aside."""
    longest = max(ids, key=lambda id: len(id.encode()))
    largest = Ack(INCARNATIONS, 2**64 - 1, 2**64 - 1, longest, INCARNATIONS)
    return len(encode(largest)) + 2  # a longer array has a longer header


class GossipProtocol(DatagramProtocol):
    """Sends and receives sealed messages, with news on every one of them.

    :param addresses: where each member listens.
    :param answers: per message type, what to do once its news has been learnt;
        called with the sender and the message.
    :ivar differing: since when every packet of a peer has shown another state.
    """

    noisy = False

    def __init__(
        self,
        clock: IReactorTime,
        seal: Seal,
        roster: Roster,
        dissemination: Dissemination,
        addresses: Mapping[str, Address],
    ) -> None:
        self.traffic: Counter[str] = Counter()
        self.answers: dict[type[Datagram], Answer] = {}
        self.mute = False
        self._clock = clock
        self._seal = seal
        self._roster = roster
        self._dissemination = dissemination
        self._addresses = addresses
        self._largest = largest_message(addresses)
        self._digests: dict[str, int] = {}
        self.differing: dict[str, float] = {}
        self._complained: dict[str, float] = {}

    def datagramReceived(self, datagram: bytes, addr: Address) -> None:
        """Learn from a packet and answer it; drop, count and report what is not authentic."""
        try:
            opened = self._seal.unseal(datagram, Channel.UDP)
            message = decode_datagram(opened.payload)
        except WireError as error:
            self.drop(error, addr)
            return
        if self.mute:
            self.traffic["unheard"] += 1
            return
        self.traffic["received"] += 1
        self._learn(opened, message)
        if opened.sender != self._roster.me and type(message) in self.answers:
            self.answers[type(message)](opened.sender, message)

    def receive_failed(self, error: OSError) -> None:
        """The socket reported an error in place of a datagram."""
        self.traffic["unreceived"] += 1
        if self._may_complain(f"receive {error.errno}"):
            _log.warn("cannot receive: {error} ({name})", error=error, name=_name(error))

    def _learn(self, opened: Opened, message: Datagram) -> None:
        sender = opened.sender
        member = self._roster[sender]
        if message.incarnation < member.incarnation:
            self._show_its_own_record(sender)
        if message.updates:
            self._roster.merge(message.updates, sender)
        self._roster.witness(sender, message.incarnation)
        if message.incarnation == member.incarnation:
            self._seal.keep(sender, opened.boot)
        self._digests[sender] = message.digest
        if message.digest == self._roster.digest:
            self.differing.pop(sender, None)
        elif sender not in self.differing:
            self.differing[sender] = self._clock.seconds()

    def _show_its_own_record(self, sender: str) -> None:
        """A member below its known incarnation had its clock set back: it must rise above."""
        if sender != self._roster.me and self._may_complain(f"show {sender}", SHOW_PAUSE):
            update = self._dissemination.about(sender)
            if update is not None:
                self._write(sender, Gossip(self._incarnation, self._roster.digest, (update,)))

    def agrees(self, peer: str) -> bool:
        """Whether the last packet of `peer` showed the very state that this node has now."""
        return self._digests.get(peer) == self._roster.digest

    def all_agree(self) -> None:
        """Every peer has shown this node's present state, and nobody lacks any news."""
        self._digests.update(dict.fromkeys(self._roster.others, self._roster.digest))
        self.differing.clear()
        self._dissemination.forget()

    def reconciled(self, peer: str) -> None:
        """This node and `peer` have just exchanged everything."""
        self.differing.pop(peer, None)

    def ping(self, peer: str, nonce: int) -> None:
        self._write(peer, Ping(self._incarnation, self._roster.digest, nonce, self._news(peer)))

    def ack(self, peer: str, nonce: int, target: str, incarnation: int) -> None:
        news = self._news(peer)
        digest = self._roster.digest
        self._write(peer, Ack(self._incarnation, digest, nonce, target, incarnation, news))

    def ping_req(self, peer: str, nonce: int, target: str) -> None:
        news = self._news(peer)
        self._write(peer, PingReq(self._incarnation, self._roster.digest, nonce, target, news))

    def nack(self, peer: str, nonce: int) -> None:
        self._write(peer, Nack(self._incarnation, self._roster.digest, nonce, self._news(peer)))

    def gossip(self, peer: str) -> None:
        self._write(peer, Gossip(self._incarnation, self._roster.digest, self._news(peer)))

    def grant(self, peer: str, message: GrantMessage) -> None:
        """Send a message about grants, which is complete but for what it says of the sender."""
        message.incarnation, message.digest = self._incarnation, self._roster.digest
        size = len(encode(message)) + 2  # a longer array has a longer header
        message.updates = self._news(peer, max(0, size - self._largest))
        self._write(peer, message)

    @property
    def _incarnation(self) -> int:
        return self._roster[self._roster.me].incarnation

    def _news(self, peer: str, taken: int = 0) -> tuple[Update, ...]:
        return self._dissemination.updates(peer, differs=self._differs(peer), taken=taken)

    def _differs(self, peer: str) -> bool:
        """Whether `peer` is likely to lack something that is no news any more."""
        if len(self._roster.others) <= SMALL:
            return self._digests.get(peer) != self._roster.digest
        # In a large cluster most were last heard before the last change, which is
        # on its way to them: only those that differed when they were heard lag behind.
        return peer in self.differing or peer not in self._digests

    def _write(self, peer: str, message: Datagram) -> None:
        transport: IUDPTransport | None = self.transport
        if transport is None or self.mute:
            return
        packet = self._seal.seal(encode(message), Channel.UDP)
        try:
            transport.write(packet, self._addresses[peer])
        except OSError as error:
            # A full buffer, a route that is gone, a firewall: to the other side
            # all of these are loss, and loss is what the protocol is made for.
            self.traffic["unsent"] += 1
            if self._may_complain(f"send {peer} {error.errno}"):
                _log.warn(
                    "cannot send to {peer} at {address}: {error} ({name})",
                    peer=peer,
                    address=_shown(self._addresses[peer]),
                    error=error.strerror or error,
                    name=_name(error),
                )
            return
        self.traffic["sent"] += 1
        self.traffic["sent_bytes"] += len(packet)

    def reject_claims(self, owner: str, source: str) -> None:
        """What `source` told of the claims of `owner` is nothing that a member writes.

        The owner counts as claiming everything, which an operator has to hear of.
        """
        self.drop(MalformedPacket(f"(the claims of {owner})"), self._addresses[source])

    def drop(self, error: WireError, addr: Address) -> None:
        """Count a packet that is not taken, and report it from time to time."""
        cause = type(error).__name__
        self.traffic[f"dropped_{cause}"] += 1
        if self._may_complain(cause):
            _log.warn(
                "dropped a packet from {address}: {error} ({count} such so far)",
                address=_shown(addr),
                error=error,
                count=self.traffic[f"dropped_{cause}"],
            )

    def _may_complain(self, topic: str, pause: float = COMPLAINT_PAUSE) -> bool:
        now = self._clock.seconds()
        last = self._complained.get(topic)
        if last is not None and now - last < pause:
            return False
        self._complained[topic] = now
        return True


def _name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, "?")


def _shown(address: Address) -> str:
    return f"{address[0]} port {address[1]}"
