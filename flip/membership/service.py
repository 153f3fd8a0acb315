"""Membership: everything about who is there, behind one face.

The layers above read `roster`, `in_touch` and `settled`, write their part of
this node's record with `amend`, and subscribe to what changes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError

from flip.config import Config
from flip.errors import CannotListen
from flip.log import Logger
from flip.membership.confirmations import Confirmations
from flip.membership.datagram import GossipProtocol, news_room
from flip.membership.detector import Detector
from flip.membership.dissemination import Dissemination
from flip.membership.echo import Echo
from flip.membership.exchange import Exchange
from flip.membership.health import Health
from flip.membership.member import OPERATOR, spoken
from flip.membership.own import OwnRecord
from flip.membership.port import listen_tcp, listen_udp
from flip.membership.pulse import Pulse
from flip.membership.push import Push
from flip.membership.reconciliation import Reconciliation
from flip.membership.roster import Change, Claims, Roster
from flip.membership.search import Search
from flip.membership.sync import Sync
from flip.membership.touch import Touch
from flip.membership.witness import Witness
from flip.wire.claims import data_digest
from flip.wire.messages import INCARNATIONS, Record, Status
from flip.wire.seal import PROTOCOL_VERSION, Seal

_log = Logger()


class Membership(Service):
    """The members, this node's evidence about them, and its own record.

    :param reactor: time, UDP and TCP.
    :param seal: opens and closes packets under this life's boot id.
    :param birth: the incarnation that this life starts with.
    :param boot: this life's random identity.
    :param raised: called with each new incarnation before anybody hears of it.
    :param echo: asks the witnesses, where the configuration names some.
    """

    name = "membership"

    def __init__(
        self,
        config: Config,
        reactor: Any,
        rng: random.Random,
        seal: Seal,
        *,
        birth: int,
        boot: int,
        raised: Callable[[int], None],
        echo: Echo | None = None,
    ) -> None:
        self._config = config
        self._reactor = reactor
        self._rng = rng
        self._raised = raised
        self._touch_observers: list[Callable[[], None]] = []
        self._doubled_observers: list[Callable[[bool], None]] = []
        self._ports: list[Any] = []
        data = {name: system.data for name, system in config.systems.items()}
        addresses = {id: (server.ip, server.port) for id, server in config.servers.items()}
        self.health = Health()
        self.roster = Roster(
            config.id,
            config.servers,
            config.quorum,
            {data_digest(points): points for points in data.values()},
        )
        self.witness = Witness.of(config, reactor, rng, echo, self.judge)
        reached = self.witness.reached if self.witness else None
        self.touch = Touch(self.roster, config.ping_timeout, reactor.seconds, reached)
        self._confirmations = Confirmations(self.roster, self.touch)
        room = news_room(config.max_packet, seal.overhead, config.servers)
        dissemination = Dissemination(self.roster, room, rng)
        self.protocol = GossipProtocol(reactor, seal, self.roster, dissemination, addresses)
        self._exchange = Exchange(
            reactor,
            rng,
            self.protocol,
            self.roster,
            self.touch,
            config.ping_timeout,
            asked_about=lambda member: self.detector.asked_about(member),
            sign_of_life=lambda member: self.detector.sign_of_life(member),
            acked=self._acked,
        )
        self.detector = Detector(
            reactor,
            rng,
            self.roster,
            self.touch,
            self.health,
            self._exchange,
            interval=config.gossip_interval,
            per_interval=config.ping_per_interval,
            timeout=config.ping_timeout,
            judged=self.judge,
            ask_witness=self.witness.ask if self.witness else None,
        )
        self.sync = Sync(
            reactor,
            reactor,
            rng,
            seal,
            self.roster,
            addresses,
            reachable=self.touch.reachable.get,
            learnt=self._learnt,
            dropped=self.protocol.drop,
        )
        self._reconciliation = Reconciliation(
            reactor,
            rng,
            self.roster,
            self.touch,
            self.protocol,
            config.gossip_interval,
            self._exchange_states,
            failing=lambda: self.sync.errors,
        )
        self.push = Push(reactor, rng, self.roster, self.protocol.gossip)
        self._search = Search(reactor, self.detector.ask_somebody)
        self._pulse = Pulse(reactor, min(0.5, config.ping_timeout / 4), self._late)
        self.roster.subscribe(self._changed)
        # The journal may have followed a member that was out of order up to the bound.
        birth = min(birth, INCARNATIONS - 1)
        record = Record(
            config.id,
            birth,
            0,
            Status.JOINING,
            birth,
            boot,
            config.digest,
            config.config_version,
            protocol=PROTOCOL_VERSION,
        )
        self.own = OwnRecord(
            self.roster,
            record,
            data,
            published=self._tell,
            raised=self._own_raised,
            doubled=self._doubled,
        )

    @property
    def in_touch(self) -> bool:
        """Whether this node reaches a quorum, itself included (R1)."""
        return self.touch.in_touch

    @property
    def settled(self) -> bool:
        """Whether this node may take and let go: in touch, and every member heard out."""
        return self.touch.settled

    def check_pulse(self) -> None:
        """Notice a stall before acting on what was known before it."""
        self._pulse.check()

    def on_touch(self, observer: Callable[[], None]) -> None:
        """Call `observer` whenever `in_touch` or `settled` changed."""
        self._touch_observers.append(observer)

    def on_found_down(self, observer: Callable[[], None]) -> None:
        """Call `observer` as soon as this node learns that it was voted down."""
        self.roster.on_buried(observer)

    def on_doubled(self, observer: Callable[[bool], None]) -> None:
        """Call `observer` when another process has this id; True: this one is the younger."""
        self._doubled_observers.append(observer)

    def amend(
        self,
        *,
        status: Status | None = None,
        claims: Claims | None = None,
        ineligible: tuple[str, ...] | None = None,
        standings: bytes | None = None,
        concerns: frozenset[str] = frozenset(),
    ) -> None:
        """Write this node's record; `concerns` hear of it first."""
        self.own.amend(
            status=status,
            claims=claims,
            ineligible=ineligible,
            standings=standings,
            concerns=concerns,
        )

    def listen(self) -> None:
        """Open the sockets.

        :raises CannotListen: the address is not this host's, or the port is taken.
        """
        me = self._config.me
        address = self._config.bind or me.ip
        try:
            self._ports.append(listen_udp(self._reactor, me.port, self.protocol, address))
            self._ports.append(listen_tcp(self._reactor, me.port, self.sync, address))
        except CannotListenError as error:
            while self._ports:
                self._ports.pop().stopListening()
            raise CannotListen(
                f"({address} port {me.port}: {error.socketError}) Is servers.{me.id}.ip an address"
                " of this host and the port free? With NAT or containers set bind."
            ) from error

    def startService(self) -> None:
        """Begin to probe."""
        super().startService()
        self.touch.begin_epoch()
        self._pulse.start()
        if self.witness is not None:
            self.witness.start()
        self.detector.start()
        self.judge()

    def stopService(self) -> Deferred[None]:
        """Say nothing more and close the sockets."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await maybeDeferred(super().stopService)
        self.push.stop()
        self._pulse.stop()
        self.detector.stop()
        if self.witness is not None:
            self.witness.stop()
        self._search.stop()
        self._exchange.stop()
        self.sync.stop()
        self.protocol.mute = True
        for port in self._ports:
            await maybeDeferred(port.stopListening)

    def confirm_down(self, ids: Iterable[str]) -> None:
        """Believe an operator that these members are off, until they return.

        :raises CannotConfirm: one of them cannot be; then nothing was done.
        """
        self._confirmations.confirm(ids)
        self.judge()

    def push_to_all(self) -> None:
        """Tell everybody what is new, now."""
        for peer in self.roster.others:
            self.protocol.gossip(peer)

    def _acked(self, peer: str) -> None:
        self._reconciliation.acked(peer)
        if not self.touch.settled:
            self.judge()

    def _learnt(self, peer: str) -> None:
        self.touch.synced(peer)
        self.protocol.reconciled(peer)
        self.judge()

    def judge(self) -> None:
        """Look at the evidence again, and tell and do what follows from it."""
        was_in_touch = self.touch.in_touch
        if self.touch.judge():
            if self.touch.in_touch and not was_in_touch:
                self.detector.hear_out()
            _call_each(self._touch_observers)
        if self.running:
            self._search.follow(in_touch=self.touch.in_touch)
        self._reconciliation.look()

    def _exchange_states(self, peer: str) -> None:
        if self.running and not self.protocol.mute:
            self.sync.begin(peer)

    def _late(self, silence: float) -> None:
        self.health.worsen(f"nothing ran for {silence:.1f} s")
        if silence > self._config.ping_timeout:
            _log.warn(
                "this node stood still for {silence:.1f} s: what it knew is old,"
                " it takes and releases nothing until a quorum has answered",
                silence=silence,
            )
            self.touch.begin_epoch()
            _call_each(self._touch_observers)
            self.detector.ask_anew()

    def _changed(self, change: Change) -> None:
        member = self.roster[change.member]
        if member.garbled:
            self.protocol.reject_claims(member.id, change.source)
        elif change.record is not None and change.claims is None:
            self._reconciliation.fetch(member, change.source)
        moved = change.state is not change.state_before
        told = moved or bool(change.new_votes)
        record, before = change.record, change.record_before
        if record is not None and record is not before:
            told = told or before is None or _head(record) != _head(before)
        if told and change.member != self.roster.me:
            # The suspect alone can answer a vote; of hundreds, whoever relays tells it few.
            relayed = change.source != self.roster.me
            heard = bool(change.new_votes) and (moved or not relayed)
            self._tell(frozenset((change.member,) if heard else ()), relayed=relayed)
        if moved:
            self.judge()

    def _tell(self, concerned: frozenset[str], *, relayed: bool = False) -> None:
        if self.running:
            self.push.soon(concerned, relayed=relayed)

    def _own_raised(self, incarnation: int, voters: frozenset[str]) -> None:
        self._raised(incarnation)
        if voters - {OPERATOR}:
            self.health.worsen(f"{', '.join(spoken(voters))} said that it is down")

    def _doubled(self, younger: bool) -> None:
        if younger:
            self.protocol.mute = True
            self.sync.stop()
        for observer in self._doubled_observers:
            observer(younger)


def _head(record: Record) -> tuple[object, ...]:
    """What of a record is worth telling on at once: not every single claim."""
    fitness = record.ineligible, record.standings
    return record.incarnation, record.status, fitness, record.config_digest


def _call_each(observers: list[Callable[[], None]]) -> None:
    for observer in observers:
        observer()
