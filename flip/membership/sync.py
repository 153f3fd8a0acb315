"""Anti-entropy: two nodes tell each other everything they know, over TCP."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IAddress, IReactorTCP, IReactorTime
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from flip.errors import MalformedPacket, SyncFailed, TooManyConnections, WireError
from flip.log import Logger
from flip.membership.frames import TIME_LIMIT, SyncProtocol
from flip.membership.roster import Roster
from flip.wire.messages import SyncMessage, SyncRequest, SyncResponse, Update
from flip.wire.seal import Seal

CONNECTIONS = 32  # accepted at a time; each holds at most one frame of a stranger

Address = tuple[str, int]

_log = Logger()


class _OneShot(Factory):
    """Makes one connection's protocol, and no line in the log."""

    noisy = False

    def __init__(self, protocol: SyncProtocol) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: IAddress | None) -> SyncProtocol:
        return self._protocol


class Sync(Factory):
    """Both ends of the exchange; as a Factory, the end that listens.

    When too many connections are open, the oldest that has not proved to be a
    member's makes room: a stranger would have to open `CONNECTIONS` of them
    within the moment that a member needs to send its first frame.

    :param reachable: whether a member answers over UDP.
    :param learnt: called with a peer once both know what either knew.
    :param dropped: called with what was wrong with a frame and where it came from.
    """

    noisy = False

    def __init__(
        self,
        clock: IReactorTime,
        reactor: IReactorTCP,
        rng: random.Random,
        seal: Seal,
        roster: Roster,
        addresses: Mapping[str, Address],
        *,
        reachable: Callable[[str], bool | None],
        learnt: Callable[[str], None],
        dropped: Callable[[WireError, Address], None],
    ) -> None:
        self.errors: dict[str, str] = {}
        self.last: dict[str, float] = {}
        self._clock = clock
        self._reactor = reactor
        self._rng = rng
        self._seal = seal
        self._roster = roster
        self._addresses = addresses
        self._reachable = reachable
        self._learnt = learnt
        self._dropped = dropped
        self._running: dict[str, Deferred[None]] = {}
        self._accepted: dict[SyncProtocol, Address] = {}  # the oldest first
        self._stopped = False

    def begin(self, peer: str) -> None:
        """Exchange everything with `peer`, unless that is under way already."""
        if peer not in self._running and not self._stopped:
            done = self._running[peer] = Deferred.fromCoroutine(self._exchange(peer))
            done.addCallbacks(
                lambda _: self._succeeded(peer), lambda failure: self._failed(peer, failure)
            ).addErrback(lambda failure: _log.failure("after an exchange of states", failure))

    def stop(self) -> None:
        """Give up everything that is under way, and begin and answer nothing any more."""
        self._stopped = True
        for done in list(self._running.values()):
            done.cancel()
        for protocol in list(self._accepted):
            protocol.abort()

    def give_up(self) -> None:
        """End what is under way, which is no failure; what comes later is as always."""
        self.stop()
        self._stopped = False

    def buildProtocol(self, addr: IAddress | None) -> SyncProtocol | None:
        """Accept a connection, unless there is no room for it."""
        address = getattr(addr, "host", "?"), getattr(addr, "port", 0)
        if self._stopped or not self._has_room(address):
            return None
        protocol = SyncProtocol(self._clock, self._seal)
        self._accepted[protocol] = address
        protocol.ended.addCallback(lambda _: self._accepted.pop(protocol, None))
        protocol.message.addCallback(self._answer, protocol)
        protocol.message.addErrback(self._turned_away, protocol, address)
        return protocol

    def _has_room(self, address: Address) -> bool:
        """Whether another connection may come; makes room for it at a stranger's cost."""
        if len(self._accepted) < CONNECTIONS:
            return True
        stranger = next((one for one in self._accepted if one.peer is None), None)
        if stranger is not None:
            address = self._accepted.pop(stranger)
            stranger.abort()
        self._dropped(TooManyConnections(f"({CONNECTIONS})"), address)
        return stranger is not None

    def _answer(self, said: tuple[str, SyncMessage], protocol: SyncProtocol) -> None:
        sender, message = said
        if not isinstance(message, SyncRequest):
            raise MalformedPacket(f"(from {sender}: an answer where nothing was asked)")
        self._learn(sender, message)
        lists = self._roster.lists
        wanted = {digest: lists[digest] for digest in message.wanted if digest in lists}
        protocol.send(SyncResponse(self._incarnation, message.nonce, self._everything(), wanted))
        protocol.close()
        # Another process with this node's id is no peer that could know more.
        if sender != self._roster.me:
            self._learnt(sender)

    def _turned_away(self, failure: Failure, protocol: SyncProtocol, address: Address) -> None:
        protocol.abort()
        # A peer that hangs up early notices it itself; what matters here is
        # whether something unauthentic came in.
        error = failure.value
        if isinstance(error, WireError):
            self._dropped(error, address)
        elif not isinstance(error, SyncFailed):
            _log.failure("cannot answer a state exchange", failure)

    async def _exchange(self, peer: str) -> None:
        host, port = self._addresses[peer]
        endpoint_type = TCP6ClientEndpoint if ":" in host else TCP4ClientEndpoint
        endpoint = endpoint_type(self._reactor, host, port, timeout=TIME_LIMIT)
        protocol = SyncProtocol(self._clock, self._seal)
        await endpoint.connect(_OneShot(protocol))
        nonce = self._rng.getrandbits(63)
        wanted = tuple(sorted(self._roster.missing_lists))
        protocol.send(SyncRequest(self._incarnation, nonce, self._everything(), wanted))
        sender, message = await protocol.message
        protocol.close()
        if sender != peer or not isinstance(message, SyncResponse) or message.nonce != nonce:
            raise SyncFailed(f"({sender} gave the answer to another question)")
        self._roster.learn_lists(message.lists)
        self._learn(sender, message)

    @property
    def _incarnation(self) -> int:
        return self._roster[self._roster.me].incarnation

    def _everything(self) -> tuple[Update, ...]:
        return tuple(member.update for member in self._roster)

    def _learn(self, sender: str, message: SyncMessage) -> None:
        # What a peer sent is merged even where the exchange fails afterwards:
        # a join cannot be hurt by knowing more.
        self._roster.merge(message.updates, sender)
        self._roster.witness(sender, message.incarnation)

    def _succeeded(self, peer: str) -> None:
        del self._running[peer]
        self.last[peer] = self._clock.seconds()
        if self.errors.pop(peer, None) is not None:
            _log.info("exchanged states with {peer} over TCP again", peer=peer)
        self._learnt(peer)

    def _failed(self, peer: str, failure: Failure) -> None:
        del self._running[peer]
        if self._stopped:
            return
        error = failure.value
        hint = " (is TCP let through as well as UDP?)"
        if isinstance(error, WireError):
            self._dropped(error, self._addresses[peer])
            hint = ""
        elif not isinstance(error, SyncFailed | ConnectError):
            _log.failure("an exchange of states ended in an error", failure)
        if not self._reachable(peer):
            # A member that does not answer at all is reported as such.
            return
        reason = error.details if isinstance(error, SyncFailed) else failure.getErrorMessage()
        if self.errors.get(peer) != reason:
            _log.warn(
                "cannot exchange states with {peer} over TCP: {reason}{hint}",
                peer=peer,
                reason=reason,
                hint=hint,
            )
        self.errors[peer] = reason
