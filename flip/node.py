"""A node: all its parts and how they are wired, on one page."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, succeed

from flip.addresses.kernel import Kernel
from flip.config import Config
from flip.control.chronicle import Chronicle
from flip.control.parts import Parts
from flip.errors import CannotListen
from flip.holdings.address.addresses import Addresses
from flip.holdings.address.dispatch import Dispatch
from flip.holdings.checks.health import HealthChecks
from flip.holdings.checks.prober import Prober
from flip.holdings.departure import RELEASE_LIMIT, leave
from flip.holdings.grants.asking import Asking
from flip.holdings.grants.granting import Granting
from flip.holdings.grants.numbers import Numbers
from flip.holdings.grants.post import Post
from flip.holdings.grants.silence import Silence
from flip.holdings.grants.voter import Voter
from flip.holdings.guard.interface import Guard
from flip.holdings.hooks import Hook
from flip.holdings.journal import RETRY, Journal
from flip.holdings.keeper import Keeper
from flip.holdings.runner import HookProcesses
from flip.log import Logger
from flip.membership.echo import Echo
from flip.membership.repeat import repeating
from flip.membership.service import Membership
from flip.wire.seal import Ciphers, Seal, derive

_log = Logger()


class Node(MultiService):
    """One member of the cluster, from its sockets to its hooks.

    :param reactor: time, UDP and TCP; `flip.tap` passes Twisted's, tests pass
        one on virtual time.
    :param keys: 32 bytes each; the first seals, all open.
    :param wall: seconds of the wall clock, for the first incarnation only.
    :param runner: runs the hooks, those of exclusive systems aside.
    :param guard: runs those, and lets go in time if this process does not; None where this
        server has no exclusive system with hooks.
    :param kernel: makes the connection to the host's addresses; asked only where there are
        addresses to keep without hooks, or left by an earlier life.
    :param prober: carries out the health checks; None where no system has one.
    :param hooks: per system of this server, its hooks by event: `alive` and `down`, and those
        that look.
    :param failed: called when this node must not go on; it has let go of everything.
    :param echo: pings the witnesses; needed where the configuration names some.
    :param ciphers: see `Seal`.
    """

    def __init__(
        self,
        config: Config,
        reactor: Any,
        rng: random.Random,
        *,
        keys: tuple[bytes, ...],
        wall: Callable[[], float],
        journal: Journal,
        runner: HookProcesses,
        hooks: Mapping[str, Mapping[str, Hook]],
        failed: Callable[[], None],
        guard: Guard | None = None,
        kernel: Callable[[], Kernel] | None = None,
        prober: Prober | None = None,
        echo: Echo | None = None,
        ciphers: Ciphers = derive,
    ) -> None:
        super().__init__()
        self.setName("flip")
        self.config = config
        self.reactor = reactor
        self.journal = journal
        self._rng = rng
        self._keys = keys
        self._wall = wall
        self._runner = runner
        self._hooks = hooks
        self._failed = failed
        self._echo = echo
        self._ciphers = ciphers
        self._guard = guard
        self._prober = prober
        self._kernel = kernel

    def startService(self) -> None:
        """Start, in the order in which the parts need one another.

        :raises StateDirectoryInUse: another live node uses the state directory.
        :raises CannotListen: the server's address cannot be bound.
        """
        config, journal = self.config, self.journal
        journal.open()
        if journal.locked:
            self._runner.end_former()
        birth = max(int(self._wall() * 1000), journal.incarnation + 1)
        boot = self._rng.getrandbits(63)
        seal = Seal(self._keys, config.id, boot, config.servers, ciphers=self._ciphers)
        numbers = Numbers(birth, self._rng, journal.remember_incarnation)

        def raised(incarnation: int) -> None:
            journal.remember_incarnation(incarnation)
            numbers.follow(incarnation)

        membership = Membership(
            config,
            self.reactor,
            self._rng,
            seal,
            birth=birth,
            boot=boot,
            raised=raised,
            echo=self._echo,
        )
        membership.setServiceParent(self)
        membership.on_doubled(self._doubled)
        chronicle = Chronicle(config, membership, journal)
        silence = Silence(config, self.reactor, journal)
        voter = Voter(
            config,
            journal,
            patience=config.ping_timeout,
            now=self.reactor.seconds(),
            silent_until=silence.until,
        )
        addresses = self._addresses(chronicle)
        runner = self._runner if addresses is None else Dispatch(self._runner, addresses.provider)
        post = Post(config.id, membership.protocol, config.max_packet - seal.overhead)
        granting = Granting(self.reactor, post, voter)
        grants = Asking(
            config,
            self.reactor,
            self._rng,
            post,
            numbers,
            self._guards(addresses),
            wall=self._wall,
            note=chronicle.warn,
        )
        keeper = Keeper(config, self.reactor, membership, journal, runner, self._hooks, grants)
        health = HealthChecks(
            config, self.reactor, self._prober, keeper.fitness, journal.note_event
        )
        self.parts = Parts(
            config,
            self.reactor,
            self.reactor.seconds(),
            journal,
            membership,
            keeper,
            chronicle,
            grants,
            granting,
            silence,
            self._guard,
            addresses,
            health,
        )
        try:
            membership.listen()
        except CannotListen:
            journal.close()  # or nobody could try again
            raise
        if self._guard is not None:
            self._guard.on_trouble(chronicle.guard_trouble)
            self._guard.start()
        silence.begin()
        keeper.start()
        health.start()
        if addresses is not None:
            addresses.start(config, keeper, membership.roster)
        super().startService()
        # A journal that could not be written must be whole again soon after its disk is.
        self._tending = repeating(self.reactor, journal.flush, "tending the journal")
        self._tending.start(RETRY, now=False)

    def stopService(self) -> Deferred[None]:
        """Leave the cluster in order, then end; see `flip.holdings.departure`."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        left = await leave(self.reactor, self.parts.membership, self.parts.keeper)
        self.parts.health.stop()
        self.parts.keeper.stop()
        # A `down` that went on would undo what the next process does.
        ended = succeed(None) if left else self._runner.end_all()
        self.parts.grants.stop()
        self.parts.granting.stop()
        self.parts.silence.stop()
        if self._guard is not None:
            await self._guard.stop()
        if self.parts.addresses is not None:
            self.parts.addresses.stop()
        await ended
        self._tending.stop()
        await super().stopService()
        self.journal.close()

    def _addresses(self, chronicle: Chronicle) -> Addresses | None:
        """What keeps this server's addresses; None where there are none without hooks."""
        held, listed = self.journal.held(), (self.config.systems[name] for name in self._hooks)
        systems = {system.name: system for system in listed if system.provider == "address"}
        provided = any(Hook.of_record(one.down).provided for one in held)
        if self._kernel is None or not (systems or provided):
            return None
        return Addresses(
            self.reactor,
            self._kernel(),
            systems,
            {(one.system, one.datum) for one in held},
            together=self.journal.batch,
            note=chronicle.warn,
            trouble=chronicle.address_trouble,
        )

    def _guards(self, addresses: Addresses | None) -> dict[str, Guard]:
        """What runs the hooks of each exclusive system, and lets go in time."""
        guards: dict[str, Guard] = {}
        for name in self.config.me.systems:
            provided = self.config.systems[name].provider is not None
            guard = addresses.guard if provided and addresses is not None else self._guard
            if self.config.systems[name].exclusive and guard is not None:
                guards[name] = guard
        return guards

    def _doubled(self, younger: bool) -> None:
        alarm = self.parts.chronicle.alarm
        if not younger:
            alarm(
                "double", f"another process runs as {self.config.id}; it is younger and has to go"
            )
            return
        alarm(
            "double",
            f"an older process runs as {self.config.id}: this one lets go of everything and stops."
            " Give every node an id and an address of its own.",
        )
        emptied = self.parts.keeper.release_all().addTimeout(RELEASE_LIMIT, self.reactor)
        emptied.addBoth(lambda _: self._failed())
